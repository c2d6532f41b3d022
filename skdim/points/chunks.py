"""Featurizing a chunk of crystals: their point sets, and the reasons of those that fail."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pymatgen.core.structure import IStructure

from skdim._parameters import check, choice, integer, number
from skdim._workers import keep_freed_memory
from skdim.crystals.crystal import Crystal
from skdim.crystals.limits import Limits, applied, current_limits
from skdim.crystals.notes import Decided
from skdim.crystals.structures import source_of, try_crystal
from skdim.points.assembly import PointSetConfig, assemble
from skdim.points.features import (
    ElementTable,
    SiteFeaturizer,
    check_interaction_features,
    resolve_site_features,
    site_types_from_sites,
    site_types_from_species,
)
from skdim.points.neighbors import Cell, CrowdedError
from skdim.points.pointsets import PointSets
from skdim.points.sitetypes import N_ATOMIC_NUMBERS, SiteTypes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from skdim.points.pointcache import Cache, Entries

# Directed pairs that are worked on at once: some tens of megabytes. Usual crystals are far below it, but a chunk of
# them may hold several of thousands of sites.
_PAIRS = 500_000
_PAIRS_OF_SITE = 100
_ACCEPTED = {
    "neighborhood": choice("shell", "supercell"),
    "n_neighbors": integer(1),
    "supercell_size": integer(2),
    "tolerance": number(above=0, most=0.1),
    "max_sites": integer(1),
}
# What matminer's site featurizers raise for structures that they cannot describe.
_FEATURIZER_ERRORS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
)


@dataclass(frozen=True)
class Work:
    """The work on every chunk of crystals, whichever process does it."""

    config: PointSetConfig
    features: ElementTable | SiteFeaturizer
    max_sites: int
    cache: Cache | None = None
    folder: str | None = None
    limits: Limits = field(default_factory=current_limits)


def work_with(
    *,
    neighborhood: str,
    n_neighbors: int,
    supercell_size: int,
    site_features: Any,
    interaction_features: Sequence[str],
    tolerance: float,
    max_sites: int,
    **others: Any,  # what says how to run, or what to do with rows that fail; not used
) -> Work:
    """Check and resolve the parameters of a `CrystalPointSetTransformer`; there is no cache yet."""
    given = (neighborhood, n_neighbors, supercell_size, tolerance, max_sites)
    for (name, accepted), value in zip(_ACCEPTED.items(), given, strict=True):
        check(name, value, accepted)
    check_interaction_features(interaction_features)
    features = resolve_site_features(site_features)
    settings = {"neighborhood": neighborhood, "tolerance": float(tolerance)}
    if neighborhood == "shell":
        settings["n_neighbors"] = int(n_neighbors)
    else:
        settings["supercell_size"] = int(supercell_size)
    names, pairs = features.feature_names, tuple(interaction_features)
    config = PointSetConfig(neighborhood, n_neighbors, supercell_size, tolerance, pairs, names, settings)
    return Work(config, features, max_sites)


class Featurized(NamedTuple):
    """The outcome of a chunk."""

    points: PointSets  # one crystal a row, those that failed without sites
    failures: list[tuple[int, str]]  # row within the chunk, reason
    notes: list[str]  # what is wrong with the cache
    decided: list[Decided]  # what was decided in reading, by row within the chunk


class Made(NamedTuple):
    """Point sets of some rows of a chunk."""

    points: PointSets
    rows: list[int]  # row of each crystal
    failures: list[tuple[int, str]]  # rows of those that have none, and the reasons

    def spread(self, n: int) -> PointSets:
        """Put the crystals in their rows of n, and crystals without sites in the others."""
        if len(self.rows) == n:
            return self.points
        sizes, volume = np.zeros(n, np.int64), np.full(n, np.nan, np.float32)
        sizes[self.rows], volume[self.rows] = self.points.n_sites, self.points.volume
        return replace(self.points, site_offsets=np.concatenate([[0], np.cumsum(sizes)]), volume=volume)


class Prepared(NamedTuple):
    """Crystals of a chunk after reading, in few arrays: each one takes time on its way to another process."""

    lattice: NDArray[np.float64]  # (U, 3, 3)
    frac: NDArray[np.float64]  # (S, 3), crystal after crystal
    site_type: NDArray[np.int32]  # (S,)
    sizes: list[int]  # sites of each of U crystals
    volumes: list[float]
    atoms: list[float]
    site_types: SiteTypes
    usable: list[int]  # row of each crystal
    failures: list[tuple[int, str]]
    decided: list[Decided]
    n_rows: int

    def cells(self) -> list[Cell]:
        """The crystals, one after the other."""
        ends = np.cumsum(self.sizes)[:-1]
        fracs, site_types = np.split(self.frac, ends), np.split(self.site_type, ends)
        columns = (self.lattice, fracs, site_types, self.volumes, self.atoms)
        return [Cell(*each) for each in zip(*columns, strict=True)]


def sends_arrays(rows: Sequence[object], work: Work) -> bool:
    """Whether all that is left to do with these crystals can be done with arrays."""
    plain = work.cache is None and isinstance(work.features, ElementTable)
    return plain and all(isinstance(row, IStructure) for row in rows)


def prepare(rows: Sequence[object], work: Work) -> Sequence[object] | Prepared:
    """Read the structures of a chunk before another process gets it: arrays travel at a tenth of their cost.

    The rows come back as they are where they are not all structures in memory, or where the work is with structures.
    """
    table = work.features
    if not isinstance(table, ElementTable) or not sends_arrays(rows, work):
        return rows
    crystals, failures = _read(dict(enumerate(rows)), work)
    if not crystals:
        return rows
    cells, site_types = cells_and_site_types(list(crystals.values()), table)
    lattices, fracs, site_type = zip(*((c.lattice, c.frac, c.site_type) for c in cells), strict=True)
    stacked = np.stack(lattices), np.concatenate(fracs), np.concatenate(site_type)
    sizes, decided = list(map(len, fracs)), _decided(rows, crystals)
    amounts = [c.volume for c in cells], [c.atoms for c in cells]
    return Prepared(*stacked, sizes, *amounts, site_types, list(crystals), failures, decided, len(rows))


def featurize(rows: Sequence[object] | Prepared, work: Work) -> Featurized:
    """Featurize a chunk of crystals, and name those that fail.

    The rows are of any accepted kind, or what `prepare` made of them. The point sets are the same with and without a
    cache, and for any division into chunks.
    """
    keep_freed_memory()
    if isinstance(rows, Prepared):
        made = _point_sets(rows.usable, rows.cells(), rows.site_types, work.config)
        return Featurized(made.spread(rows.n_rows), sorted(rows.failures + made.failures), [], rows.decided)
    # Worker processes live on between calls, while their caller may have gone elsewhere; other machines may lack it.
    if work.folder is not None and os.getcwd() != work.folder and os.path.isdir(work.folder):
        os.chdir(work.folder)
    with applied(work.limits):
        if work.cache is not None:
            with work.cache.open() as entries:
                return _through_cache(rows, work, entries)
        crystals, failures = _read(dict(enumerate(rows)), work)
        made = _assembled(crystals, work)
    return Featurized(made.spread(len(rows)), sorted(failures + made.failures), [], _decided(rows, crystals))


def _through_cache(rows: Sequence[object], work: Work, entries: Entries) -> Featurized:
    """Look crystals up in the cache; featurize those that it lacks, and keep them there."""
    keys = entries.source_keys(rows, work.max_sites)
    known = entries.load(keys)
    crystals, failures = _read({row: source for row, source in enumerate(rows) if row not in known}, work)
    others = {row: entries.crystal_key(crystal) for row, crystal in crystals.items() if row not in keys}
    known |= entries.load(others)
    made = _assembled({row: one for row, one in crystals.items() if row not in known}, work)
    known |= entries.store({row: (keys | others)[row] for row in made.rows}, made.points)
    order, failures = sorted(known), sorted(failures + made.failures)
    points = PointSets.concatenate([known[row] for row in order]) if order else made.points
    return Featurized(Made(points, order, []).spread(len(rows)), failures, entries.notes, _decided(rows, crystals))


def _decided(rows: Sequence[object], crystals: Mapping[int, Crystal]) -> list[Decided]:
    """List what was decided in reading crystals, with their rows and the files that they come from."""
    return [Decided(row, source_of(rows[row]), note) for row, crystal in crystals.items() for note in crystal.notes]


def _read(rows: Mapping[int, object], work: Work) -> tuple[dict[int, Crystal], list[tuple[int, str]]]:
    """Checked crystals by row, and the reasons of the rows that failed."""
    known = work.features.atomic_numbers
    tried = {row: try_crystal(source, max_sites=work.max_sites, elements=known) for row, source in rows.items()}
    failures = [(row, reason) for row, (_, reason) in tried.items() if reason is not None]
    return {row: crystal for row, (crystal, _) in tried.items() if crystal is not None}, failures


def _assembled(crystals: Mapping[int, Crystal], work: Work) -> Made:
    """Make the point sets of checked crystals, given by row."""
    values: ElementTable | list[NDArray[np.float64]]
    failures: list[tuple[int, str]] = []
    if isinstance(work.features, ElementTable):
        values = work.features
    else:
        crystals, values, failures = _describe(crystals, work.features)
    if not crystals:
        return Made(no_crystals(0, work.config), [], failures)
    cells, site_types = cells_and_site_types(list(crystals.values()), values)
    made = _point_sets(list(crystals), cells, site_types, work.config)
    return made._replace(failures=failures + made.failures)


def _point_sets(rows: Sequence[int], cells: Sequence[Cell], site_types: SiteTypes, config: PointSetConfig) -> Made:
    """Make the point sets of cells, except for those that need too much memory or work."""
    try:
        return Made(_divided(cells, site_types, config), list(rows), [])
    except (MemoryError, CrowdedError):  # of a large crystal; the others go on
        pass
    found: dict[int, PointSets] = {}
    failures = []
    for row, cell in zip(rows, cells, strict=True):
        try:
            found[row] = _divided([cell], site_types, config)
        except CrowdedError as error:
            failures.append((row, str(error)))
        except MemoryError:
            failures.append((row, f"{len(cell.frac)} sites, for whose neighbours there is not enough memory"))
    return Made(PointSets.concatenate(list(found.values()) or [no_crystals(0, config)]), list(found), failures)


def _divided(cells: Sequence[Cell], site_types: SiteTypes, config: PointSetConfig) -> PointSets:
    """The point sets of cells, not too many at once."""
    sizes = np.array([len(cell.frac) for cell in cells])
    around = np.maximum(sizes, _PAIRS_OF_SITE) if config.neighborhood == "supercell" else _PAIRS_OF_SITE
    starts = np.flatnonzero(np.diff(np.cumsum(sizes * around) // _PAIRS, prepend=-1)).tolist()
    parts = [assemble(cells[i:j], site_types, config) for i, j in pairwise([*starts, len(cells)])]
    return PointSets.concatenate(parts)


def _describe(
    crystals: Mapping[int, Crystal], features: SiteFeaturizer
) -> tuple[Mapping[int, Crystal], list[NDArray[np.float64]], list[tuple[int, str]]]:
    """Ask a site featurizer for its values; rows for which it fails are left out."""
    values, failures = {}, []
    for row, crystal in crystals.items():
        try:
            values[row] = features.describe(crystal.structure)
        except _FEATURIZER_ERRORS as error:
            failures.append((row, f"site_features: {type(error).__name__}: {' '.join(str(error).split())[:300]}"))
    return {row: crystals[row] for row in values}, list(values.values()), failures


def cells_and_site_types(
    crystals: Sequence[Crystal],  # at least one, each with at least one site
    # (n, F) properties of the elements, or for each crystal the features of its n sites.
    features: ElementTable | Sequence[NDArray[np.float64]],
) -> tuple[list[Cell], SiteTypes]:
    """Put the species of the sites of several crystals into one table of site types."""
    if isinstance(features, ElementTable):
        distinct = {one: k for k, one in enumerate(dict.fromkeys(one for c in crystals for one in c.species))}
        site_types = site_types_from_species(list(distinct), features)
        each = [np.array([distinct[one] for one in c.species], np.int32)[c.site_type] for c in crystals]
    else:
        flat = [c.species[k] for c in crystals for k in c.site_type.tolist()]
        site_types, site_type = site_types_from_sites(flat, np.concatenate(features))
        each = np.split(site_type, np.cumsum([len(c) for c in crystals])[:-1])
    totals = ([sum(amount for _, amount in one) for one in c.species] for c in crystals)
    atoms = [float(np.array(total)[c.site_type].sum()) for total, c in zip(totals, crystals, strict=True)]
    lattices = np.array([c.lattice for c in crystals])
    volumes = np.abs(np.linalg.det(lattices)).tolist()
    return [
        Cell(lattice, c.frac, site_type, volume, n_atoms)
        for c, lattice, site_type, volume, n_atoms in zip(crystals, lattices, each, volumes, atoms, strict=True)
    ], site_types


def no_crystals(n: int, config: PointSetConfig) -> PointSets:
    """Return point sets of n crystals that all failed."""
    site_types = SiteTypes(np.zeros((0, len(config.feature_names))), np.zeros((0, N_ATOMIC_NUMBERS), np.float32))
    return PointSets.empty(n, site_types, config.feature_names, config.interaction_features, config.settings)
