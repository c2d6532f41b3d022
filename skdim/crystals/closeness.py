"""Sites of a periodic cell that are close to each other, in any setting of the cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_CLOSE", "any_closer", "check_lengths", "close_pairs", "plane_spacing", "volume_of"]

_LENGTHS = (0.5, 1000.0)  # Angstrom
MOST_CLOSE = 64
"""Close sites that are listed around one; measured structures have a dozen at the most."""

_HEAP = 256  # atoms in one place: 192 operations may make copies of one, and 64 others may share it
_PLACES = 4096  # along an axis

_FEW = 64  # sites up to which comparing all pairs at once is fastest
_BINS = 2**20  # along an axis; three such numbers make one of 60 bits
# Of a bin and the 26 around it those that meet each pair of bins once: itself, and one of every two opposite ones.
_HALF_AROUND = [shift for shift in product((-1, 0, 1), repeat=3) if shift >= (0, 0, 0)]
_IN_BIN = 8  # sites of a bin that are compared with each other; more are for a tree


def check_lengths(lengths: Sequence[float]) -> None:
    """Refuse absurd lengths of a cell: of a tiny one there would be images without end within half an Angstrom.

    Examples
    --------
    >>> check_lengths([5e-10, 5e-10, 5e-10])
    Traceback (most recent call last):
    ValueError: absurd lattice: lengths 5e-10, 5e-10, 5e-10 Angstrom; 0.5 to 1000 are accepted
    """
    if not all(_LENGTHS[0] <= length <= _LENGTHS[1] for length in lengths):  # negated, so that NaN fails too
        shown = ", ".join(f"{length:g}" for length in lengths)
        raise ValueError(f"absurd lattice: lengths {shown} Angstrom; 0.5 to 1000 are accepted")


def volume_of(lattice: NDArray[np.float64]) -> float:
    """Volume of the cell that three vectors span."""
    a, b, c = lattice.tolist()
    normal = _cross(b, c)
    return float(abs(a[0] * normal[0] + a[1] * normal[1] + a[2] * normal[2]))


def plane_spacing(lattice: NDArray[np.float64]) -> float:
    """Smallest distance between opposite faces of a cell that is not singular, in Angstrom."""
    a, b, c = lattice.tolist()
    largest = max(math.hypot(*_cross(*faces)) for faces in ((a, b), (b, c), (c, a)))
    return volume_of(lattice) / largest if largest else 0.0


def _cross(a: list[float], b: list[float]) -> list[float]:
    """Vector product; of three numbers, numpy's takes ten times as long."""
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def any_closer(frac: NDArray[np.float64], lattice: NDArray[np.float64], distance: float) -> bool:
    """Tell whether two sites, or a site and its own image, are closer than a distance in Angstrom.

    A vector shorter than the distance has fractional components below distance / (distance between lattice planes).
    Where the planes are more than twice the distance apart that is less than one half, so taking the nearest integer
    off finds the vector even in a skewed cell, and no site is that close to its own image.
    """
    spacing = plane_spacing(lattice)
    if len(frac) > _FEW and spacing > 4 * distance and (found := _any_in_bins(frac, lattice, distance)) is not None:
        return found
    if len(frac) > _FEW or spacing <= 2 * distance:
        return bool(len(close_pairs(frac, lattice, distance)[0]))
    between = frac[:, None] - frac  # (n, n, 3)
    between -= np.rint(between)
    cartesian = between.reshape(-1, 3) @ lattice  # (n * n, 3)
    squared = np.einsum("ij,ij->i", cartesian, cartesian)
    squared[:: len(frac) + 1] = math.inf
    return bool(squared.min() < distance**2)


def _any_in_bins(frac: NDArray[np.float64], lattice: NDArray[np.float64], distance: float) -> bool | None:
    """Tell whether two sites are closer than a distance, from those in bins beside each other; None for a crowd.

    Without a tree, as importing scipy.spatial would double the time of importing all that reading needs. Each axis has
    at least three bins, so that the two neighbours of a bin are distinct.
    """
    spacing = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    bins = np.minimum(spacing / (1.001 * distance), _BINS).astype(np.int64)  # a little larger because of rounding
    place = np.minimum((frac % 1 * bins).astype(np.int64), bins - 1)  # (n, 3)
    sizes = np.array([bins[1] * bins[2], bins[2], 1])
    key = place @ sizes
    order = np.argsort(key)
    key = key[order]
    if (key[_IN_BIN:] == key[:-_IN_BIN]).any():
        return None
    for shift in _HALF_AROUND:
        wanted = (place + shift) % bins @ sizes
        start, end = np.searchsorted(key, wanted), np.searchsorted(key, wanted, "right")
        for k in range((end - start).max()):
            some = np.flatnonzero(start + k < end)
            other = order[start[some] + k]
            some, other = some[some != other], other[some != other]
            between = frac[some] - frac[other]
            cartesian = (between - np.rint(between)) @ lattice
            if (np.einsum("ij,ij->i", cartesian, cartesian) < distance**2).any():
                return True
    return False


def close_pairs(
    frac: NDArray[np.float64],  # (n, 3) fractional coordinates
    # (3, 3) lattice vectors as rows, in Angstrom; each longer than the distance once reduced.
    lattice: NDArray[np.float64],
    distance: float,  # in Angstrom
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """List all pairs (p,) closer than a distance, in both directions: site, other site, vector (p, 3) in Angstrom.

    Of a site with more than 64 others that near, the nearest 65 are listed. A site may be close to its own image. More
    than 256 sites in one place are a ValueError: a tree cannot tell them apart, and would look at all for each of them.

    Notes
    -----
    The neighbour lists of materials libraries lay a grid of this fine mesh over the cell, too much for a large one.
    """
    lattice, coords = _compact(frac, lattice, distance)
    n_sites = len(coords)
    # In fractions of the cell, what is within reach of a face; a little more because of rounding.
    margin = 1.001 * distance * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    site = np.arange(n_sites)
    coords = coords % 1
    if n_sites > _HEAP:
        x, y, z = (coords * _PLACES).astype(np.int64).T
        _, first, counts = np.unique((x * _PLACES + y) * _PLACES + z, return_index=True, return_counts=True)
        if counts.max() > _HEAP:
            raise ValueError(f"site {first[counts.argmax()]} overlaps with more than {_HEAP} others, in one place")
    for axis in range(3):
        reach = math.ceil(margin[axis])
        shifts = np.array([0, *range(-reach, 0), *range(1, reach + 1)])  # the cell itself comes first
        images = coords + shifts[:, None, None] * np.eye(3)[axis]  # (shifts, sites so far, 3)
        kept = (shifts[:, None] == 0) | (np.abs(images[..., axis] - 0.5) <= 0.5 + margin[axis])
        site, coords = np.broadcast_to(site, kept.shape)[kept], images[kept]
    places = coords @ lattice
    ranks = range(1, min(MOST_CLOSE + 2, len(places)) + 1)  # itself, the most that may be there, and one too many
    from scipy.spatial import cKDTree  # here, as its import is slow and most crystals do without

    tree = cKDTree(places)
    # Most sites have no other that near: all ranks are asked for the few that have.
    if len(places) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros((0, 3))
    _, nearest = tree.query(places[:n_sites], [2], distance_upper_bound=distance)
    some = np.flatnonzero(nearest[:, 0] < len(places))
    _, found = tree.query(places[some], ranks, distance_upper_bound=distance)  # (some, ranks)
    place, rank = np.nonzero((found < len(places)) & (found != some[:, None]))
    center, second = some[place], found[place, rank]
    return center, site[second], places[second] - places[center]


def _compact(
    frac: NDArray[np.float64], lattice: NDArray[np.float64], distance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Describe the crystal in a reduced cell where it is so skewed that thousands of images would matter."""
    if plane_spacing(lattice) > 2 * distance:
        return lattice, frac
    from pymatgen.core.lattice import Lattice

    reduced = np.asarray(Lattice(lattice).get_lll_reduced_lattice().matrix)
    return reduced, (frac @ lattice) @ np.linalg.inv(reduced)
