"""Neighbour shells: all periodic pairs of a crystal that may belong to one.

A shell neighbourhood depends on the crystal alone, not on the cell that describes it: site i sees every
neighbour up to the distance r_i of its ``n_neighbors``-th one, which gives complete shells. Beyond r_i a smooth cutoff
lets the next neighbours fade in. Positions of a disordered crystal that are too close to be occupied together are not
neighbours, and those a little farther apart fade in too. When atoms move continuously, so do the pairs and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
# Positions closer than this, in Angstrom, are alternatives of one disordered site and never occupied together.
OVERLAP = 0.5
# Partly occupied positions this far apart, in Angstrom, may well be occupied together. Between the two, weights fade
# so slowly that even attention that falls with the eighth power of the distance follows without a jump.
APART = 1.0
_FADE = 22.0
_ONE_ATOM = 1.002  # as occupancies of thirds are printed


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
    i, j, d = search.compute(points=points, box=box, periodic=True, quantities="ijd")
    apart = d >= OVERLAP
    return Pairs(i[apart].astype(np.int64), j[apart].astype(np.int64), d[apart])


def shell_pairs(
    cells: Sequence[Cell],
    n_neighbors: int,  # least number of neighbours in a complete neighbourhood
    margin: float,  # room in Angstrom to leave beyond the taper, at least the snapping tolerance
) -> list[Pairs]:
    """Pairs of each crystal, far enough for the shells of all its sites.

    They go in one direction only (i to j, not j to i), and are complete up to r_i * (1 + TAPER) + margin for every site
    i; there are often some pairs more.
    """
    lattices, sizes = np.stack([cell.lattice for cell in cells]), np.array([len(cell.frac) for cell in cells])
    volumes = np.array([cell.volume for cell in cells])
    boxes = compact_lattices(lattices, volumes)
    cutoffs = (_FIRST_SPHERE * n_neighbors * volumes / sizes * 0.75 / np.pi) ** (1 / 3)
    found: dict[int, Pairs] = {}
    pending = list(range(len(cells)))
    while pending:
        trial = [_half_pairs(cells[k], boxes[k], cutoffs[k]) for k in pending]
        complete = [
            _is_complete(cells[k], p, cutoffs[k], n_neighbors, margin) for k, p in zip(pending, trial, strict=True)
        ]
        found.update((k, p) for k, p, ok in zip(pending, trial, complete, strict=True) if ok)
        pending = [k for k, ok in zip(pending, complete, strict=True) if not ok]
        cutoffs[pending] *= _GROWTH
    return [found[k] for k in range(len(cells))]


def _is_complete(cell: Cell, pairs: Pairs, cutoff: float, n_neighbors: int, margin: float) -> bool:
    """Whether each site has its n_neighbors so near that their taper lies within the cutoff."""
    near = pairs.distance <= (cutoff - margin) / (1 + TAPER)
    n = len(cell.frac)
    counts = np.bincount(pairs.site[near], minlength=n) + np.bincount(pairs.neighbor[near], minlength=n)
    return bool(counts.min() >= n_neighbors)


def presence(
    distance: NDArray[np.float64],  # (P,) in Angstrom, at least `OVERLAP`
    # (P,) occupancies of the two positions, added; where they exceed one, both are occupied at times.
    occupancy: NDArray[np.float64],
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
