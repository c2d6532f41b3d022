"""Features that others describe crystals by: what learned vectors are compared with."""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from joblib import Memory, Parallel, delayed
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from skdim._files import digest
from skdim._parameters import check, choice
from skdim._progress import Progress
from skdim.crystals.crystal import site_species
from skdim.crystals.rows import row_labels
from skdim.crystals.structures import load_structures
from skdim.evaluation import _reference_sets as sets
from skdim.evaluation._matminer_set import FAILURES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pymatgen.core.structure import IStructure

_DIGITS = 6  # of coordinates and occupancies, to tell crystals apart
_SHOWN = 3  # rows named in a warning
_PYMATGEN = ("pymatgen", "pymatgen-core")  # the second holds the code of newer ones
_MATMINER = ("matminer", *_PYMATGEN)
# They concern the code of the featurizers, whatever the crystal.
_OF_THE_CODE = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)


@dataclass(frozen=True)
class ReferenceSet:
    """A named feature set to compare learned vectors with."""

    name: str  # key in `REFERENCE_FEATURES`
    summary: str  # what it is, for readers of reports
    make: Callable[[], sets.Featurizer]  # makes the `Featurizer`
    packages: tuple[str, ...]  # distributions whose versions decide the numbers
    max_sites: int | None = None  # most sites of a crystal; larger ones take too long and count as failures
    ordered: bool = False  # whether only crystals with one whole atom on each site can be described
    usual: bool = True  # whether a study takes it unless it is told which to take
    partial: bool = False  # whether some of the columns of a crystal may be NaN
    revision: int = 1  # raised when the same packages give other numbers
    extra: str | None = None  # extra of skdim-crystals that installs its package, where it needs one of its own

    @property
    def is_available(self) -> bool:
        """Whether its package is installed."""
        return self.extra is None or importlib.util.find_spec(self.packages[0]) is not None

    @property
    def scope(self) -> str:
        """What decides the numbers beside the crystal."""
        return " ".join([self.name, str(self.revision), *map(_pinned, self.packages)])

    def refusal(self, structure: IStructure) -> str | None:
        """Say why a crystal cannot be described, as far as that can be told beforehand."""
        if self.max_sites is not None and len(structure) > self.max_sites:
            return f"{len(structure)} sites; {self.name} accepts at most {self.max_sites}"
        if self.ordered and not all(len(c) == 1 and c[0][1] == 1 for c in site_species(structure)):
            return f"disordered; {self.name} accepts ordered crystals only"
        return None


REFERENCE_FEATURES: dict[str, ReferenceSet] = {
    one.name: one
    for one in (
        ReferenceSet("magpie", "Magpie's statistics of the composition", sets.magpie, _MATMINER),
        ReferenceSet(
            "elements", "composition statistics of the tables that the encoder is given", sets.elements, ("matminer",)
        ),
        ReferenceSet("ofm", "orbital field matrix", sets.orbital_field_matrix, _MATMINER, 500, ordered=True),
        ReferenceSet(
            "cfid",
            "classical force-field inspired descriptors (JARVIS)",
            sets.classical_force_field,
            _MATMINER,
            500,
            ordered=True,
        ),
        ReferenceSet("xrd", "X-ray powder pattern", sets.powder_pattern, _MATMINER, 500),
        ReferenceSet(
            "matminer",
            "the largest set of matminer's features",
            sets.matminer_set,
            _MATMINER,
            500,
            usual=False,
            partial=True,
        ),
        ReferenceSet(
            "chgnet",
            "vectors of CHGNet, a potential trained on energies",
            sets.chgnet,
            ("chgnet", *_PYMATGEN),
            1000,
            ordered=True,
            extra="chgnet",
        ),
        ReferenceSet(
            "chgnet_layers",
            "atoms of CHGNet pooled by layer, a potential trained on energies",
            sets.chgnet_layers,
            ("chgnet", *_PYMATGEN),
            1000,
            ordered=True,
            extra="chgnet",
        ),
        ReferenceSet(
            "sevennet",
            "atoms of SevenNet-0 pooled by layer, a potential trained on energies of 1.5M structures",
            sets.sevennet,
            ("sevenn", "ase", *_PYMATGEN),
            1000,
            ordered=True,
            extra="sevennet",
        ),
        ReferenceSet(
            "sevennet_l3i5",
            "atoms of SevenNet-l3i5 pooled by layer, a larger potential trained on the same energies",
            sets.sevennet_l3i5,
            ("sevenn", "ase", *_PYMATGEN),
            1000,
            ordered=True,
            usual=False,
            extra="sevennet",
        ),
    )
}
"""The named reference features; `reference_features` says what each is."""


class Described(NamedTuple):
    """What came of describing a crystal: features or the reason for none, and what the library warned of."""

    outcome: NDArray[np.float64] | str
    remarks: tuple[str, ...] = ()


def reference_features(
    name: str,
    structures: Any,
    *,
    on_error: str = "raise",
    cache_dir: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Describe crystals as others do, to compare learned vectors with.

    Parameters
    ----------
    name : {"magpie", "elements", "ofm", "cfid", "xrd", "matminer", "chgnet", "chgnet_layers", "sevennet", \
            "sevennet_l3i5"}
        "magpie": statistics of the composition; "elements": the same kind of statistics of the tables that the
        encoder is given; "ofm": orbital field matrix; "cfid": classical force-field inspired descriptors; "xrd":
        X-ray powder pattern; "matminer": everything of matminer that can be computed of thousands of crystals (half a
        second and more for each), NaN where a part fails; "chgnet" and "chgnet_layers": the crystal vector of CHGNet,
        and its atoms pooled by layer (with the extra ``chgnet``); "sevennet" and "sevennet_l3i5": atoms of
        SevenNet-0 and of its larger form pooled by layer (with the extra ``sevennet``). These potentials were trained
        on energies of 1.5M structures.
    structures : collection of crystals of length C
        Of any accepted kind. Only lattice, coordinates, elements and occupancies count.
    on_error : {"raise", "nan"}, default="raise"
        How to treat rows that are no usable crystals: raise an error that names them all, or describe the others, leave
        these NaN and warn.
    cache_dir : path-like or None, default=None
        Folder where the features of each crystal are kept as soon as they are computed (a joblib.Memory), so that a
        run that was stopped continues where it was; failures are kept too.
    n_jobs : int or None, default=None
        Processes; the result is the same for any number.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    DataFrame of shape (C, d)
        One row a crystal; NaN for those that cannot be described, which one warning counts.

    Raises
    ------
    ValueError
        If the name is not known.
    ImportError
        If a package of its own is missing; the message names the extra that installs it.
    StructureError
        For rows that are no usable crystals, all at once.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> table = reference_features("elements", [salt])
    >>> table.shape, table["mean Row"].tolist()
    ((1, 84), [3.0])
    """
    import pandas as pd

    reference = _find(name)
    loaded, unusable = load_structures(structures, on_error=on_error)
    memory = Memory(cache_dir and os.path.expanduser(cache_dir), verbose=0)
    describe = memory.cache(_describe, ignore=["structure"])
    keys = [None if one is None else _key(reference, one) for one in loaded]
    distinct = {key: one for key, one in zip(keys, loaded, strict=True) if key is not None}
    jobs = (delayed(describe)(name, key, structure) for key, structure in distinct.items())
    described: dict[str | None, Described] = {}
    with Progress(name, "crystals", len(distinct), enabled=bool(verbose)) as progress:
        for key, row in zip(distinct, Parallel(n_jobs=n_jobs, return_as="generator")(jobs), strict=True):
            described[key] = row
            progress.update()
    reasons = dict(unusable)
    outcomes = [Described(reasons[row]) if key is None else described[key] for row, key in enumerate(keys)]
    columns = list(_featurizer(name).columns)
    table = np.full((len(keys), len(columns)), np.nan)
    for row, one in zip(table, outcomes, strict=True):
        if not isinstance(one.outcome, str):
            row[:] = one.outcome
    _report(name, outcomes, structures)
    return pd.DataFrame(table, columns=columns)


def magpie_statistics(structures: Any, *, on_error: str = "raise", n_jobs: int | None = None) -> pd.DataFrame:
    """Magpie's statistics of the elements in each crystal: what to beat without looking at the structure.

    Twenty-two elemental properties, each as minimum, maximum, range, mean, mean deviation and mode over the
    composition [1]_, computed by matminer.

    Parameters
    ----------
    structures : collection of crystals of length C
        Of any accepted kind; partial occupancies count as such.
    on_error : {"raise", "nan"}, default="raise"
        How to treat rows that are no usable crystals, as for `reference_features`.
    n_jobs : int or None, default=None
        Processes.

    Returns
    -------
    DataFrame of shape (C, 132)
        One row a crystal, with matminer's feature labels.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.

    References
    ----------
    .. [1] L. Ward et al., npj Comput. Mater. 2 (2016) 16028, doi:10.1038/npjcompumats.2016.28.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> magpie_statistics([salt])["MagpieData mean Number"].tolist()
    [14.0]
    """
    return reference_features("magpie", structures, on_error=on_error, n_jobs=n_jobs)


def _find(name: str) -> ReferenceSet:
    """Look up a reference set and see that its packages are installed."""
    check("name", name, choice(*REFERENCE_FEATURES))
    chosen = REFERENCE_FEATURES[name]
    if not chosen.is_available:
        message = f"the features {name!r} need their package: pip install 'skdim-crystals[{chosen.extra}]'"
        raise ImportError(message, name=chosen.packages[0])
    return chosen


@functools.cache  # as each crystal asks
def _pinned(package: str) -> str:
    """Name a distribution and its version, if it is installed."""
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        return package


def _key(reference: ReferenceSet, structure: IStructure) -> str:
    """Digest of what decides the features: lattice, coordinates and site contents, and what computes them."""
    contents = repr([[(z, round(share, _DIGITS)) for z, share in content] for content in site_species(structure)])
    # The sum makes one of the two zeros.
    arrays = (np.round(array, _DIGITS) + 0.0 for array in (structure.lattice.matrix, structure.frac_coords))
    return digest(reference.scope, contents, *arrays)


@functools.lru_cache(maxsize=2)
def _featurizer(name: str) -> sets.Featurizer:
    """Make a featurizer, once a process."""
    with warnings.catch_warnings():
        for category in _OF_THE_CODE:
            warnings.simplefilter("ignore", category)
        return REFERENCE_FEATURES[name].make()


@functools.lru_cache(maxsize=2)
def _threads(name: str) -> ThreadpoolController:
    """The libraries with threads that a featurizer has loaded; to find them takes as long as to describe a crystal."""
    _featurizer(name)
    return ThreadpoolController()


def _describe(name: str, key: str, structure: IStructure) -> Described:
    """Describe one crystal, or say why it cannot be done; in a process that may be another."""
    reference, featurizer = REFERENCE_FEATURES[name], _featurizer(name)
    refusal = reference.refusal(structure)
    if refusal:
        return Described(refusal)
    # One thread: sums are the same in any process, and processes share the cores.
    with _threads(name).limit(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row = featurizer.featurize(sets.neutral(structure))
            outcome: NDArray[np.float64] | str = _checked(row, featurizer.columns, reference.partial)
        except FAILURES as error:
            outcome = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    remarks = [" ".join(str(w.message).split()) for w in caught if not issubclass(w.category, _OF_THE_CODE)]
    return Described(outcome, tuple(dict.fromkeys(remarks)))


def _checked(row: NDArray[np.float64], columns: Sequence[str], partial: bool) -> NDArray[np.float64]:
    """Refuse a row of another length, or with a value that is not finite; NaN may be in a ``partial`` one."""
    if row.shape != (len(columns),):
        raise ValueError(f"{row.shape} features for {len(columns)} columns")
    wrong = np.flatnonzero(np.isinf(row) if partial else ~np.isfinite(row))
    if len(wrong):
        raise ValueError(f"{row[wrong[0]]} as {columns[wrong[0]]!r}")
    return row


def _report(name: str, described: Sequence[Described], structures: Any) -> None:
    """Warn of rows that failed and of what libraries remarked, each once."""
    failed = [(row, one.outcome) for row, one in enumerate(described) if isinstance(one.outcome, str)]
    remarked = [(row, one.remarks[0]) for row, one in enumerate(described) if one.remarks]
    for rows, what in ((failed, "fails on {} of {} crystals, whose rows are NaN"), (remarked, "warns of {} of {}")):
        if rows:
            labels = row_labels(structures, [row for row, _ in rows]) or [""] * len(rows)
            first = [
                f"row {k}{f' ({label})' if label else ''}: {why}" for (k, why), label in zip(rows, labels, strict=True)
            ]
            listed = "; ".join(first[:_SHOWN]) + ("; ..." if len(rows) > _SHOWN else "")
            warnings.warn(f"{name} {what.format(len(rows), len(described))}: {listed}", stacklevel=3)
