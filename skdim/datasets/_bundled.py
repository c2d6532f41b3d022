"""The files of the bundled sets, checked against their sha256, and the structures they hold."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from skdim._files import sha256
from skdim.datasets._folds import in_test_fold
from skdim.datasets._records import Records, deliver

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

Row = Mapping[str, Any]

SUBSETS: Final = ("all", "train", "test")


@dataclass(frozen=True)
class BundledFile:
    """A data file of the package: its name, its sha256, and the labels of its rows."""

    name: str
    sha256: str
    labels: tuple[str, ...]
    log10: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Every label a user can ask for, the decadic logarithms included."""
        return (*self.labels, *(f"log10({label})" for label in self.log10))


FORMATION_ENERGY: Final = BundledFile(
    name="flla_formation_energy.json.gz",
    sha256="daf08d2551696d52f584660326b0469b84736f6fb7da78b4d24a3ca359e994f9",
    labels=("formation_energy_per_atom", "e_above_hull"),
)
BAND_GAP: Final = BundledFile(
    name="dielectric_band_gap.json.gz",
    sha256="8227fe352d6def386b930232c4122a7769fa6e4a2b74243e8ccc9aa207e7c681",
    labels=("band_gap", "n"),
)
ELASTIC_MODULI: Final = BundledFile(
    name="elastic_moduli.json.gz",
    sha256="5617c15e4382308197dc71b449fe52966cbe522d80638ae83e49b82309bfbe09",
    labels=("K_VRH", "G_VRH"),
    log10=("K_VRH", "G_VRH"),
)
PIEZOELECTRIC: Final = BundledFile(
    name="piezoelectric.json.gz",
    sha256="15619ea3239c3be11079aa86ddc130d3d930d2bb3a6e95aec77a3c6372e57de7",
    labels=("eij_max",),
)
# The order matters: a crystal of several files is taken from the first one that has it.
ALL_FILES: Final = (FORMATION_ENERGY, BAND_GAP, ELASTIC_MODULI, PIEZOELECTRIC)


def load_file(file: BundledFile, descr: str, target: str, *, return_X_y: bool, as_frame: bool, subset: str) -> Any:
    """Load one labelled file, one target, one subset."""
    from skdim._parameters import check, choice  # here, as it brings scikit-learn

    check("target", target, choice(*file.targets))
    check("subset", subset, choice(*SUBSETS))
    rows = select(read_rows(file), subset)
    records = Records([row["material_id"] for row in rows], build_structures(rows), columns(rows, file))
    return _deliver(records, target, descr, return_X_y=return_X_y, as_frame=as_frame)


def load_distinct(wanted: Sequence[BundledFile], descr: str, *, return_X_y: bool, as_frame: bool, subset: str) -> Any:
    """Load the distinct crystals of several files, without labels."""
    from skdim._parameters import check, choice

    check("subset", subset, choice(*SUBSETS))
    distinct: dict[str, Row] = {}
    for file in wanted:
        for row in read_rows(file):
            distinct.setdefault(row["material_id"], row)
    rows = select(list(distinct.values()), subset)
    records = Records([row["material_id"] for row in rows], build_structures(rows))
    return _deliver(records, None, descr, return_X_y=return_X_y, as_frame=as_frame)


def _deliver(records: Records, target: str | None, descr: str, *, return_X_y: bool, as_frame: bool) -> Any:
    """Add what only bundled sets have: the fold and the description."""
    return deliver(
        records,
        target,
        return_X_y=return_X_y,
        as_frame=as_frame,
        test_mask=in_test_fold(records.material_id),
        DESCR=_resource("descr", descr).read_text(encoding="utf-8"),
    )


def read_rows(file: BundledFile) -> list[Row]:
    """Read and parse a bundled file after checking its hash."""
    content = read_verified(_resource("data", file.name), file.sha256)
    rows: list[Row] = json.loads(gzip.decompress(content))
    return rows


def read_verified(path: Traversable, expected: str) -> bytes:
    """Return the content of a file of the package; one whose sha256 is not the expected one is an OSError."""
    content = path.read_bytes()
    found = sha256(content)
    if found != expected:
        raise OSError(
            f"{path} is damaged: its sha256 is {found}, the file that was shipped has {expected}. "
            "Reinstall the package to restore it."
        )
    return content


def select(rows: list[Row], subset: str) -> list[Row]:
    """Keep the rows of a subset: "all", "train" or "test"."""
    if subset == "all":
        return rows
    test = in_test_fold(row["material_id"] for row in rows)
    return [row for row, is_test in zip(rows, test, strict=True) if is_test == (subset == "test")]


def build_structures(rows: Iterable[Row]) -> list[Structure]:
    """Make a new pymatgen Structure of each row."""
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    return [Structure(Lattice(row["lattice"]), row["species"], row["frac_coords"]) for row in rows]


def columns(rows: Sequence[Row], file: BundledFile) -> dict[str, NDArray[np.float64]]:
    """Collect every label of a file, and the logarithms offered beside them."""
    found = {label: np.array([row[label] for row in rows], dtype=np.float64) for label in file.labels}
    return found | {f"log10({label})": np.log10(found[label]) for label in file.log10}


def _resource(folder: str, name: str) -> Traversable:
    """Locate a file shipped inside the package."""
    return files("skdim.datasets") / folder / name
