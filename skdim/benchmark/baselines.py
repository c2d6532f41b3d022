"""Crystals and a baseline's name in, the columns that it describes them by out, found again if once computed."""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from skdim.benchmark import describers
from skdim.benchmark.content_cache import BareCrystal, ContentCache
from skdim.crystals.prechecks import site_species
from skdim.crystals.rows import row_labels
from skdim.crystals.structures import load_structures

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_CHUNK = 16  # crystals described by one job, then kept
_SHOWN = 3  # rows named in a warning
# What featurizers raise on crystals that they were not made for.
_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_PYMATGEN = ("pymatgen", "pymatgen-core")  # the second holds the code of newer ones
_MATMINER = ("matminer", *_PYMATGEN)
# They speak of the code of the featurizers, whatever the crystal.
_OF_THE_CODE = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)


@dataclass(frozen=True)
class Baseline:
    """Features to compare learned vectors with.

    Attributes
    ----------
    name : str
        Key in `BASELINES`.
    make : callable
        Makes the `Describer`.
    packages : tuple of str
        Distributions whose versions decide the numbers.
    max_sites : int or None
        Most sites of a crystal; more take too long and count as failures.
    ordered : bool
        Whether only crystals with one whole atom on each site can be described.
    revision : int
        Raised when the same packages give other numbers.
    """

    name: str
    make: Callable[[], describers.Describer]
    packages: tuple[str, ...]
    max_sites: int | None = None
    ordered: bool = False
    revision: int = 1

    @property
    def scope(self) -> str:
        """What decides the numbers beside the crystal."""
        return " ".join([self.name, str(self.revision), *map(_pinned, self.packages)])

    def refusal(self, crystal: BareCrystal) -> str | None:
        """Say why a crystal cannot be described, as far as that can be told beforehand."""
        if self.max_sites is not None and len(crystal.places) > self.max_sites:
            return f"{len(crystal.places)} sites; {self.name} is given at most {self.max_sites}"
        if self.ordered and not all(len(content) == 1 and content[0][1] == 1 for content in crystal.contents):
            return f"disordered; {self.name} describes ordered crystals only"
        return None


BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("magpie", describers.magpie, _MATMINER),
        Baseline("elements", describers.elements, ("matminer",)),
        Baseline("ofm", describers.orbital_field_matrix, _MATMINER, 500, ordered=True),
        Baseline("cfid", describers.classical_force_field, _MATMINER, 500, ordered=True),
        Baseline("xrd", describers.powder_pattern, _MATMINER, 500),
        Baseline("chgnet", describers.chgnet, ("chgnet", *_PYMATGEN), 1000, ordered=True),
    )
}
"""The named baselines; `skdim.benchmark.describers` says what each is."""


class Described(NamedTuple):
    """What came of describing a crystal: features or the reason for none, and what the library warned of."""

    outcome: NDArray[np.float64] | str
    remarks: tuple[str, ...] = ()


def baseline_features(
    name: str,
    structures: Any,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Describe crystals as others have done: what learned vectors are to be compared with.

    Parameters
    ----------
    name : {"magpie", "elements", "ofm", "cfid", "xrd", "chgnet"}
        "magpie": statistics of the composition; "elements": the same kind of statistics of the tables that the
        encoder is given; "ofm": orbital field matrix; "cfid": classical force-field inspired descriptors; "xrd":
        X-ray powder pattern; "chgnet": vectors of a network pretrained on energies of 1.5M structures (with the
        extra ``chgnet``).
    structures : collection of crystals of length C
        Of any accepted kind. Only lattice, coordinates, elements and occupancies count.
    cache_dir : path-like or None, default=None
        Folder where the features of each crystal are kept as soon as some dozens are computed, so that a killed
        run goes on where it was; failures are kept too.
    n_jobs : int or None, default=None
        Processes; the result is the same for any number.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    DataFrame of shape (C, d)
        One row a crystal; NaN for those that the baseline fails on, which one warning counts.

    Raises
    ------
    ValueError
        If the name is not known.
    ImportError
        If the package for "chgnet" is missing.
    StructureError
        For rows that are no usable crystals, all at once.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> table = baseline_features("elements", [salt])
    >>> table.shape, table["mean Row"].tolist()
    ((1, 84), [3.0])
    """
    import pandas as pd

    baseline = _find(name)
    cache = ContentCache(cache_dir)
    loaded = load_structures(structures)[0]
    crystals = [_crystal(structure) for structure in loaded]
    keys = [crystal.digest(baseline.scope) for crystal in crystals]
    described = _describe_all(baseline, dict(zip(keys, crystals, strict=True)), cache, n_jobs, verbose)
    labels = list(_describer(name).labels)
    table = np.full((len(keys), len(labels)), np.nan)
    for row, key in zip(table, keys, strict=True):
        if not isinstance(described[key].outcome, str):
            row[:] = described[key].outcome
    _report(name, [described[key] for key in keys], structures, cache.notes)
    return pd.DataFrame(table, columns=labels)


def _find(name: str) -> Baseline:
    """Look up a baseline and see that its packages are there."""
    if name not in BASELINES:
        raise ValueError(f"name={name!r} is no baseline; accepted are {', '.join(map(repr, BASELINES))}.")
    if name == "chgnet" and importlib.util.find_spec("chgnet") is None:
        raise ImportError("the baseline 'chgnet' needs its package: pip install 'skdim-crystals[chgnet]'", name=name)
    return BASELINES[name]


def _pinned(package: str) -> str:
    """Name a distribution and its version, if it is there."""
    try:
        return f"{package}=={version(package)}"
    except PackageNotFoundError:
        return package


def _crystal(structure: Any) -> BareCrystal:
    """Take from a structure what counts."""
    return BareCrystal(
        np.array(structure.lattice.matrix, np.float64),
        np.array(structure.frac_coords, np.float64),
        site_species(structure),
    )


def _describe_all(
    baseline: Baseline, crystals: dict[bytes, BareCrystal], cache: ContentCache, n_jobs: int | None, verbose: int
) -> dict[bytes, Described]:
    """Describe the crystals that are not in the cache, keeping them chunk by chunk."""
    from tqdm.auto import tqdm

    done = {key: Described(outcome) for key, outcome in cache.load(list(crystals)).items()}
    missing = [key for key in crystals if key not in done]
    chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
    jobs = (delayed(_describe)(baseline.name, [crystals[key] for key in chunk]) for chunk in chunks)
    with tqdm(total=len(missing), desc=baseline.name, unit="crystal", disable=not verbose) as bar:
        results: Iterator[list[Described]] = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
        for chunk, rows in zip(chunks, results, strict=True):
            fresh = dict(zip(chunk, rows, strict=True))
            cache.store({key: one.outcome for key, one in fresh.items()})
            done |= fresh
            bar.update(len(chunk))
    return done


@functools.lru_cache(maxsize=2)
def _describer(name: str) -> describers.Describer:
    """Make a describer, once a process."""
    with warnings.catch_warnings():
        for category in _OF_THE_CODE:
            warnings.simplefilter("ignore", category)
        return BASELINES[name].make()


def _describe(name: str, crystals: Sequence[BareCrystal]) -> list[Described]:
    """Describe some crystals, in a process that may be another."""
    describer = _describer(name)
    # One thread: sums are the same in any process, and processes share the cores.
    with threadpool_limits(1):
        return [_describe_one(BASELINES[name], describer, crystal) for crystal in crystals]


def _describe_one(baseline: Baseline, describer: describers.Describer, crystal: BareCrystal) -> Described:
    """Describe one crystal, or say why it cannot be done."""
    refusal = baseline.refusal(crystal)
    if refusal:
        return Described(refusal)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            outcome: NDArray[np.float64] | str = _finite(describer.describe(crystal), describer.labels)
        except _ERRORS as error:
            outcome = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    remarks = [" ".join(str(w.message).split()) for w in caught if not issubclass(w.category, _OF_THE_CODE)]
    return Described(outcome, tuple(dict.fromkeys(remarks)))


def _finite(row: NDArray[np.float64], labels: Sequence[str]) -> NDArray[np.float64]:
    """Refuse a row of another length, or with what is not finite."""
    if row.shape != (len(labels),):
        raise ValueError(f"{row.shape} features for {len(labels)} labels")
    wrong = np.flatnonzero(~np.isfinite(row))
    if len(wrong):
        raise ValueError(f"{row[wrong[0]]} as {labels[wrong[0]]!r}")
    return row


def _report(name: str, described: Sequence[Described], structures: Any, notes: Sequence[str]) -> None:
    """Warn of rows that failed, of what libraries remarked and of a damaged cache, each once."""
    failed = [(row, one.outcome) for row, one in enumerate(described) if isinstance(one.outcome, str)]
    remarked = [(row, one.remarks[0]) for row, one in enumerate(described) if one.remarks]
    for rows, what in ((failed, "fails on {} of {} crystals, whose rows are NaN"), (remarked, "warns of {} of {}")):
        if rows:
            labels = row_labels(structures, [row for row, _ in rows]) or [""] * len(rows)
            first = [
                f"row {k}{f' ({label})' * bool(label)}: {why}" for (k, why), label in zip(rows, labels, strict=True)
            ]
            listed = "; ".join(first[:_SHOWN]) + ("; ..." if len(rows) > _SHOWN else "")
            warnings.warn(f"{name} {what.format(len(rows), len(described))}: {listed}", stacklevel=3)
    for note in dict.fromkeys(notes):
        warnings.warn(note, stacklevel=3)
