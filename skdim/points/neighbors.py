"""Neighbour shells: all periodic pairs of a crystal that may belong to one.

A shell neighbourhood depends on the crystal alone, not on the cell that describes it: site i sees every
neighbour up to the distance r_i of its ``n_neighbors``-th one, which gives complete shells. Beyond r_i a smooth cutoff
lets the next neighbours fade in. Positions of a disordered crystal that are too close to be occupied together are not
neighbours, and those a little farther apart fade in too. When atoms move continuously, so do the pairs and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from skdim.crystals.limits import current_limits
from skdim.points.reduction import sort_by_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Beyond r_i the weight of a neighbour falls to zero within this share of r_i: wide enough that a shift of
# 0.001 Angstrom moves a weight by less than one percent, narrow enough to cost few pairs.
TAPER = 0.05
# First guess of the cutoff: the sphere that holds this multiple of n_neighbors at the mean density.
_FIRST_SPHERE = 1.5
_GROWTH = 1.25
# The first cutoff is lowered until no more pairs a site are compared; an even crystal has 250 with 48 neighbours.
_COMPARED = 400
_COMPARED_AT_ONCE = 400_000  # pairs in both directions; fewer are compared without being counted first
_MANY_PAIRS = 400  # a site; where there are more, those that no shell needs are left out at once
# Positions closer than this, in Angstrom, are alternatives of one disordered site and never occupied together.
OVERLAP = 0.5
# Partly occupied positions this far apart, in Angstrom, may well be occupied together. Between the two, weights fade
# so slowly that even attention that falls with the eighth power of the distance follows without a jump.
APART = 1.0
_FADE = 22.0
_ONE_ATOM = 1.002  # three thirds may be printed as .334 each


class CrowdedError(ValueError):
    """A crystal whose sites have too many neighbours to compare."""


@dataclass(frozen=True)
class Cell:
    """One crystal as arrays: all that the neighbour search and the reduction need."""

    lattice: NDArray[np.float64]  # (3, 3) lattice vectors as rows, in Angstrom
    frac: NDArray[np.float64]  # (n, 3) fractional coordinates
    site_type: NDArray[np.int32]  # (n,) index of each site's type
    volume: float  # of the cell, in cubic Angstrom
    atoms: float  # in the cell, counted by occupancy


@dataclass(frozen=True)
class Pairs:
    """Directed pairs of one crystal, one element a pair."""

    site: NDArray[np.int64]  # (P,) sites of the crystal
    neighbor: NDArray[np.int64]  # (P,)
    distance: NDArray[np.float64]  # (P,) in Angstrom


def compact_lattices(lattices: NDArray[np.float64], volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lattice vectors (C, 3, 3) of the same lattices that are short enough for a neighbour search.

    A very oblique cell makes a search visit many empty images; such a cell is replaced by an LLL-reduced one, any other
    is returned as it is.
    """
    lengths = np.sqrt((lattices * lattices).sum(2))
    oblique = np.flatnonzero(lengths.prod(1) >= 4.0 * volumes)
    if not len(oblique):
        return lattices
    from pymatgen.core.lattice import Lattice

    compact = lattices.copy()
    for k in oblique:
        compact[k] = Lattice(lattices[k]).get_lll_reduced_lattice().matrix
    return compact


def _half_pairs(cell: Cell, box: NDArray[np.float64], cutoff: float) -> Pairs:
    """Every pair of the crystal up to the cutoff, in one direction; the box spans the same lattice as the cell."""
    from vesin import NeighborList  # imports torch, and what only prepares work for others does without

    points = cell.frac @ cell.lattice
    # One thread: featurizing is parallel over crystals, and nested threads would fight for the processors.
    search = NeighborList(cutoff=cutoff, full_list=False, n_threads=1)
    try:
        i, j, d = search.compute(points=points, box=box, periodic=True, quantities="ijd")
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise MemoryError(str(error)) from error
    apart = d >= OVERLAP
    return Pairs(i[apart].astype(np.int64), j[apart].astype(np.int64), d[apart])


def shell_pairs(
    cells: Sequence[Cell],
    n_neighbors: int,  # least number of neighbours in a complete neighbourhood
    margin: float,  # room in Angstrom to leave beyond the taper, at least the snapping tolerance
) -> list[Pairs]:
    """Pairs of each crystal, far enough for the shells of all its sites.

    They go in one direction only (i to j, not j to i), and are complete up to r_i * (1 + TAPER) + margin for every site
    i; there are often some pairs more. A crystal with too many pairs is a CrowdedError.
    """
    lattices, sizes = np.stack([cell.lattice for cell in cells]), np.array([len(cell.frac) for cell in cells])
    volumes = np.array([cell.volume for cell in cells])
    boxes = compact_lattices(lattices, volumes)
    spacings = 1 / np.linalg.norm(np.linalg.inv(boxes), axis=1)  # (C, 3) between the planes of each box
    cutoffs = (_FIRST_SPHERE * n_neighbors * volumes / sizes * 0.75 / np.pi) ** (1 / 3)
    for k in _perhaps_many(spacings, sizes, cutoffs).tolist():
        while cutoffs[k] > APART and compared_pairs(cells[k], boxes[k], cutoffs[k]) > _COMPARED * sizes[k]:
            cutoffs[k] /= _GROWTH
    while (fine := _ends_the_process(spacings, cutoffs)).any():
        cutoffs[fine] *= _GROWTH
    found: dict[int, Pairs] = {}
    pending = np.arange(len(cells))
    while len(pending):
        for k in pending[_perhaps_many(spacings[pending], sizes[pending], cutoffs[pending])].tolist():
            _check_compared(cells[k], boxes[k], cutoffs[k], n_neighbors)
        trial = {k: _half_pairs(cells[k], boxes[k], cutoffs[k]) for k in pending.tolist()}
        for k, pairs in trial.items():
            if _has_enough(pairs, sizes[k], n_neighbors, cutoffs[k], margin).all():
                found[k] = _needed(pairs, sizes[k], n_neighbors, cutoffs[k], margin)
        pending = np.array([k for k in trial if k not in found], np.intp)
        cutoffs[pending] *= _GROWTH
    return [found[k] for k in range(len(cells))]


def _perhaps_many(
    spacings: NDArray[np.float64],  # (C, 3) between the planes of each box
    sizes: NDArray[np.int64],  # (C,)
    cutoffs: NDArray[np.float64],  # (C,)
) -> NDArray[np.intp]:
    """Crystals that may have so many pairs that these are counted before they are compared."""
    images = np.prod(2 * np.ceil(cutoffs[:, None] / spacings) + 1, axis=1)
    return np.flatnonzero(sizes**2 * images > _COMPARED_AT_ONCE)


def _ends_the_process(spacings: NDArray[np.float64], cutoffs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether vesin divides by zero for a box (C, 3) with this cutoff (C,), which ends the whole process.

    It has a grid of at most 100,000 bins; where they would be more it makes fewer of them along each axis in
    proportion, down to none along the short axis of a flat box (vesin 0.6.2).
    """
    bins = np.maximum(spacings // cutoffs[:, None], 1)
    fewer = (1e5 / bins.prod(1)) ** (1 / 3)
    return np.asarray((fewer < 1) & (bins.min(1) * fewer < 2))


def compared_pairs(cell: Cell, box: NDArray[np.float64], cutoff: float) -> float:
    """Bound the pairs of a crystal up to the cutoff, in one direction, by those in bins beside each other."""
    inverse = np.linalg.inv(box)
    spacing = 1 / np.linalg.norm(inverse, axis=0)  # (3,) between the planes of the box
    bins = np.maximum(spacing // cutoff, 1).astype(np.int64)
    place = np.minimum((cell.frac @ cell.lattice @ inverse % 1 * bins).astype(np.int64), bins - 1)  # (n, 3)
    filled, held = np.unique(place, axis=0, return_counts=True)  # (B, 3), (B,)
    key = _bin_key(filled, bins)
    around = np.zeros(len(filled))
    for shift in product(*((0,) if n == 1 else (-1, 0, 1) for n in bins)):
        wanted = _bin_key((filled + shift) % bins, bins)
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        around += np.where(key[at] == wanted, held[at], 0)
    images = np.where(bins == 1, 2 * np.ceil(cutoff / spacing) + 1, 1).prod()
    return float((held * around).sum() * images) / 2


def _bin_key(place: NDArray[np.int64], bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number bins (B, 3) of a grid in the order of their places."""
    return np.asarray((place[:, 0] * bins[1] + place[:, 1]) * bins[2] + place[:, 2])


def _check_compared(cell: Cell, box: NDArray[np.float64], cutoff: float, n_neighbors: int) -> None:
    """Refuse a crystal with a site so lonely that the cutoff it needs gives crowded sites too many pairs."""
    most = current_limits().pairs
    if (compared := compared_pairs(cell, box, cutoff)) > most:
        raise CrowdedError(
            f"{len(cell.frac)} sites: to find {n_neighbors} neighbours of each, up to {compared:.3g} pairs would have "
            f"to be compared, more the more crowded some are beside empty space; {most} are accepted (limit pairs)"
        )


def _has_enough(pairs: Pairs, n_sites: int, n_neighbors: int, cutoff: float, margin: float) -> NDArray[np.bool_]:
    """Whether each site has its n_neighbors within the largest shell whose taper lies within a cutoff."""
    near = pairs.distance <= (cutoff - margin) / (1 + TAPER)
    counts = np.bincount(pairs.site[near], minlength=n_sites) + np.bincount(pairs.neighbor[near], minlength=n_sites)
    return np.asarray(counts >= n_neighbors)


def _needed(pairs: Pairs, n_sites: int, n_neighbors: int, cutoff: float, margin: float) -> Pairs:
    """Of very many pairs leave out those that the shells of neither site need."""
    if len(pairs.site) <= _MANY_PAIRS * n_sites:
        return pairs
    reach, full = np.full(n_sites, cutoff), np.ones(n_sites, np.bool_)
    while full.any():
        reach[full] = cutoff
        cutoff /= _GROWTH
        full = _has_enough(pairs, n_sites, n_neighbors, cutoff, margin)
    kept = pairs.distance <= np.maximum(reach[pairs.site], reach[pairs.neighbor])
    return Pairs(pairs.site[kept], pairs.neighbor[kept], pairs.distance[kept])


def presence(
    distance: NDArray[np.float64],  # (P,) in Angstrom, at least `OVERLAP`
    occupancy: NDArray[np.float64],  # (P,) sum of both; where it exceeds one, both positions are occupied at times
) -> NDArray[np.float64]:
    """Weight by which the other position of a pair is a neighbour rather than an alternative to the position itself.

    It is 1 from 1 Angstrom on and for positions that are occupied together; else it falls to nearly 0 at `OVERLAP`.

    Examples
    --------
    >>> presence(np.array([0.6, 0.6, 2.0]), np.array([1.0, 2.0, 1.0])).round(5).tolist()
    [0.0, 1.0, 1.0]
    """
    nearness = np.clip((APART - distance) / (APART - OVERLAP), 0.0, 1.0)
    return np.asarray(np.where(occupancy <= _ONE_ATOM, np.exp(-_FADE * nearness**2), 1.0))


def both_directions(pairs: Pairs) -> Pairs:
    """The pairs i to j together with the pairs j to i."""
    return Pairs(
        np.concatenate([pairs.site, pairs.neighbor]),
        np.concatenate([pairs.neighbor, pairs.site]),
        np.concatenate([pairs.distance, pairs.distance]),
    )


def cut_shells(
    n_sites: int,
    site: NDArray[np.int64],  # (P,) site of each pair, both directions present
    distance: NDArray[np.float64],  # (P,) snapped distances in Angstrom
    n_neighbors: int,  # the distance of this neighbour is where the taper begins
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Keep each site's complete shells and the tapered rest.

    It gives the pairs that stay (Q,), sorted by site and then by distance, and their weights (Q,): 1 up to r_i, then a
    cosine down to 0 at r_i * (1 + TAPER).
    """
    order = sort_by_distance(site, distance)
    start = np.searchsorted(site[order], np.arange(n_sites))
    radius = distance[order[start + n_neighbors - 1]][site[order]]
    excess = (distance[order] - radius) / (TAPER * radius)
    # Short of 1, where the cosine would round to a weight of zero.
    keep = excess < 1.0 - 1e-6
    weight = 0.5 * (1.0 + np.cos(np.pi * np.clip(excess[keep], 0.0, 1.0)))
    return order[keep], weight
