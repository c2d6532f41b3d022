"""Point sets of a chunk of crystals: pairs, snapping, reduction, columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.points.cells import check_pairs, primitive_cell, supercell_pairs
from skdim.points.features import interaction_features
from skdim.points.neighbors import APART, Cell, Pairs, both_directions, cut_shells, presence, shell_pairs
from skdim.points.pointsets import PointSets, SiteTypes
from skdim.points.reduction import Reduced, merge, site_classes, snap, sort_by_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class PointSetConfig:
    """What turns cells into point sets; see `CrystalPointSetTransformer` for the meaning of each field."""

    neighborhood: str
    n_neighbors: int
    supercell_size: int
    tolerance: float
    interaction_features: tuple[str, ...]
    feature_names: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True)
class _Chunk:
    """All sites and directed pairs of a chunk, counted over the chunk; pairs sorted by site and then by distance."""

    crystal: NDArray[np.int64]  # (S,)
    site_type: NDArray[np.int64]  # (S,)
    site: NDArray[np.int64]  # (P,)
    neighbor: NDArray[np.int64]  # (P,)
    distance: NDArray[np.float64]  # (P,) snapped
    weight: NDArray[np.float64]  # (P,)


def assemble(
    cells: Sequence[Cell],
    site_types: SiteTypes,  # what the cells' ``site_type`` points into
    config: PointSetConfig,
    *,
    # False keeps every site and pair as a row of its own, on the same snapped distances: the slow twin.
    reduce: bool = True,
) -> PointSets:
    """Build the point sets of some crystals, at least one, each with at least one site."""
    if config.neighborhood == "supercell":
        for cell in cells:  # before the search for symmetry, of which the time grows with the square of the sites
            check_pairs(len(cell.frac), config.supercell_size)
        cells = [_primitive(cell, config.tolerance) for cell in cells]
    chunk = _collect(cells, site_types.fractions.sum(1), config)
    if reduce:
        label = chunk.crystal * (chunk.site_type.max() + 1) + chunk.site_type
        classes = site_classes(label, chunk.site, chunk.neighbor, chunk.distance)
        reduced = merge(classes, chunk.site, chunk.neighbor, chunk.distance)
    else:
        reduced = _keep_all(chunk)
    return _columns(cells, site_types, config, chunk, reduced)


def _primitive(cell: Cell, tolerance: float) -> Cell:
    """The primitive reduced cell of the same crystal; shells need none, they do not depend on the cell."""
    primitive = primitive_cell(cell.lattice, cell.frac, cell.site_type, tolerance)
    share = len(primitive.frac) / len(cell.frac)
    return replace(
        cell,
        lattice=primitive.lattice,
        frac=primitive.frac,
        site_type=cell.site_type[primitive.site],
        volume=cell.volume * share,
        atoms=cell.atoms * share,
    )


def _collect(cells: Sequence[Cell], occupancy: NDArray[np.floating], config: PointSetConfig) -> _Chunk:
    """Find, snap and cut the pairs of all crystals at once; occupancies are those of the site types."""
    sizes = np.array([len(c.frac) for c in cells])
    crystal = np.repeat(np.arange(len(cells)), sizes)
    site_type = np.concatenate([c.site_type for c in cells]).astype(np.int64)
    first = np.r_[0, np.cumsum(sizes)]
    pairs = _find(cells, config, first)
    types = site_type[pairs.site], site_type[pairs.neighbor]
    low, high = np.minimum(*types), np.maximum(*types)
    keys = (crystal[pairs.site] * (site_type.max() + 1) + low) * (site_type.max() + 1) + high
    snapped = snap(keys, pairs.distance, config.tolerance)
    if config.neighborhood == "supercell":
        order = sort_by_distance(pairs.site, snapped)
        weight = np.ones(len(order))
    else:
        pairs, snapped = both_directions(pairs), np.r_[snapped, snapped]
        order, weight = cut_shells(len(site_type), pairs.site, snapped, config.n_neighbors)
        near = np.flatnonzero(snapped[order] < APART)
        both = site_type[pairs.site[order[near]]], site_type[pairs.neighbor[order[near]]]
        weight[near] *= presence(snapped[order[near]], occupancy[both[0]] + occupancy[both[1]])
    return _Chunk(crystal, site_type, pairs.site[order], pairs.neighbor[order], snapped[order], weight)


def _find(cells: Sequence[Cell], config: PointSetConfig, first: NDArray[np.int64]) -> Pairs:
    """Pairs with sites counted over the chunk: in one direction for shells, all of them for supercells."""
    if config.neighborhood == "shell":
        found = shell_pairs(cells, config.n_neighbors, margin=3 * config.tolerance)
    else:
        found = [Pairs(*supercell_pairs(c.lattice, c.frac, config.supercell_size)) for c in cells]
    return Pairs(
        np.concatenate([p.site + shift for p, shift in zip(found, first[:-1], strict=True)]),
        np.concatenate([p.neighbor + shift for p, shift in zip(found, first[:-1], strict=True)]),
        np.concatenate([p.distance for p in found]),
    )


def _keep_all(chunk: _Chunk) -> Reduced:
    """Every site a row and every pair a pair."""
    n, ones = np.arange(len(chunk.site_type)), np.ones(len(chunk.site), np.int32)
    return Reduced(n, np.ones(len(n), np.int32), chunk.site, chunk.neighbor, np.arange(len(ones)), ones)


def _columns(
    cells: Sequence[Cell], site_types: SiteTypes, config: PointSetConfig, chunk: _Chunk, reduced: Reduced
) -> PointSets:
    """The columns of the point sets."""
    crystal, site_type = chunk.crystal[reduced.representative], chunk.site_type[reduced.representative]
    site_offsets = np.searchsorted(crystal, np.arange(len(cells) + 1))
    pair_offsets = np.searchsorted(reduced.pair_row, np.arange(len(site_type) + 1))
    distance = chunk.distance[reduced.pair_source]
    types = site_type[reduced.pair_row], site_type[reduced.pair_neighbor]
    divisor = np.gcd.reduceat(reduced.multiplicity, site_offsets[:-1])
    return PointSets(
        site_offsets=site_offsets.astype(np.int64),
        pair_offsets=pair_offsets.astype(np.int64),
        site_type=site_type.astype(np.int32),
        multiplicity=(reduced.multiplicity // divisor[crystal]).astype(np.int32),
        neighbor=(reduced.pair_neighbor - site_offsets[crystal[reduced.pair_row]]).astype(np.int32),
        distance=distance.astype(np.float32),
        count=reduced.count,
        weight=chunk.weight[reduced.pair_source].astype(np.float32),
        extra=interaction_features(config.interaction_features[1:], site_types, *types, distance),
        volume=np.array([c.volume / c.atoms for c in cells], np.float32),
        site_types=site_types,
        feature_names=config.feature_names,
        interaction_names=config.interaction_features,
        settings=config.settings,
    )
