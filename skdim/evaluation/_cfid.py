"""Classical force-field inspired descriptors: those of matminer, with arrays in place of loops."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matminer.featurizers.structure import JarvisCFID

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

_FAR = 10.0  # Angstrom
_NEAREST = 0.1  # Angstrom; what is closer is the atom itself
_BIN = 0.1  # Angstrom
_GAP = 0.11  # Angstrom between shells
_GAP_OF_PAIR = 0.1  # the same between distances of one pair of elements
_MOST_ATOMS = 3000  # whose pairs are compared at once
_PER_DEGREE = 1000  # angles are distinguished to a thousandth of a degree
_BINS = np.arange(1, 181.0, 1)
_COLLINEAR = 1e-6  # square Angstrom
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Bonds:
    """Directed bonds of the supercell, those of an atom side by side."""

    start: NDArray[np.int64]  # (n + 1,) bonds of atom i are start[i]:start[i + 1]
    other: NDArray[np.int64]  # (B,) neighbour
    vector: NDArray[np.float64]  # (B, 3) in Angstrom
    length: NDArray[np.float64]  # (B,) in Angstrom

    def within(self, cutoff: float) -> Bonds:
        """Keep those shorter than a cutoff."""
        kept = self.length < cutoff
        start = np.concatenate([[0], np.cumsum(kept)])[self.start]
        return Bonds(start, self.other[kept], self.vector[kept], self.length[kept])

    def of(self, atom: int) -> slice:
        """Return the place of an atom's bonds."""
        return slice(int(self.start[atom]), int(self.start[atom + 1]))


class ArrayCFID(JarvisCFID):
    """matminer's featurizer, about ten times faster.

    The numbers are the same, except where three atoms lie on a line. A chain of four atoms that contains them has no
    dihedral angle: matminer's is whatever rounding makes of an arc tangent of zeros, here it is zero. And rounding
    splits the angle of the three between two values in matminer; here it is one value, as it would be without rounding.

    References
    ----------
    K. Choudhary et al., Phys. Rev. Mater. 2 (2018) 083801, doi:10.1103/PhysRevMaterials.2.083801.
    """

    def get_distributions(
        self,
        structure: Structure,  # ordered
        c_size: float = _FAR,  # smallest size of the supercell, in Angstrom
        max_cut: float = 5.0,  # where the search for a gap between shells ends, in Angstrom
    ) -> tuple[NDArray[np.float64], ...]:
        """Distributions of angles to two cutoffs, of dihedral angles, of distances and of neighbours."""
        center, other, _, distance = structure.get_neighbor_list(_FAR)
        starts, radial, neighbours = _radial(structure, distance)
        first, second = _gaps(starts[neighbours > 0].tolist(), max_cut)
        number = np.array([site.specie.Z for site in structure])
        widest = _beyond_first_shells(number[center], number[other], distance)
        bonds = _bonds(structure, c_size, max(widest, first, second))
        angles = [_histogram(_angles(bonds.within(cutoff))) for cutoff in (widest, second)]
        return angles[0], angles[1], _histogram(_dihedrals(bonds.within(first))), radial, neighbours


def _radial(
    structure: Structure, distance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Starts of the bins of distances, the radial distribution function and the neighbours of an atom in each."""
    edges = np.arange(0, _FAR + _BIN, _BIN)
    counts = np.histogram(distance, edges)[0]
    volumes = 4 / 3 * np.pi * np.diff(edges**3)
    radial = counts / volumes / (len(structure) / structure.volume) / len(structure)
    return edges[:-1], np.round(radial, 4), counts / len(structure)


def _beyond_first_shells(number: NDArray[np.int64], other: NDArray[np.int64], distance: NDArray[np.float64]) -> float:
    """Distance beyond the first shell of each pair of elements, from the elements and lengths of all bonds."""
    low, high = np.sort([number, other], axis=0)
    pair, cutoffs = low * 1000 + high, []
    for one in np.unique(pair):
        lengths = np.sort(distance[pair == one])
        wide = np.flatnonzero(np.diff(lengths) >= _GAP_OF_PAIR)
        last = int(wide[0]) if len(wide) else len(lengths) - 2
        cutoffs.append((lengths[last] + lengths[last + 1]) / 2)
    return float(max(cutoffs))


def _gaps(shells: list[float], max_cut: float) -> tuple[float, float]:
    """Middle of the first and of the second gap between shells."""
    low = 0
    while shells[low + 1] - shells[low] < _GAP and shells[low + 1] < max_cut:
        low += 1
    first = (shells[low + 1] + shells[low]) / 2
    low += 1
    while shells[low + 1] - shells[low] < _GAP and shells[low + 1] < max_cut:
        low += 1
    return first, (shells[low + 1] + shells[low]) / 2


def _bonds(structure: Structure, size: float, cutoff: float) -> Bonds:
    """Find the bonds of a supercell, each pair of atoms by its nearest images."""
    matrix = structure.lattice.matrix
    times = (size / np.abs(matrix).max(1)).astype(int) + 1
    n = len(structure) * int(times.prod())
    if n > _MOST_ATOMS:
        raise ValueError(f"{n} atoms in a supercell of {size} Angstrom; at most {_MOST_ATOMS} are accepted")
    cells = np.indices(tuple(times)).reshape(3, -1).T
    places = ((structure.frac_coords[:, None] + cells) / times).reshape(-1, 3)
    i, j = np.triu_indices(n, 1)
    apart = places[i] - places[j]
    apart -= np.sign(apart) * (np.abs(apart) >= 0.5)
    vector = apart @ (matrix * times[:, None])
    length = np.linalg.norm(vector, axis=1)
    near = (length < cutoff) & (length >= _NEAREST)
    i, j, vector, length = i[near], j[near], vector[near], length[near]
    atom = np.concatenate([i, j])
    order = np.argsort(atom, kind="stable")
    start = np.searchsorted(atom[order], np.arange(n + 1))
    both = (np.concatenate([j, i]), np.concatenate([vector, -vector]), np.concatenate([length, length]))
    return Bonds(start, *(column[order] for column in both))


@functools.lru_cache(maxsize=256)
def _pairs(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each pair of n things once."""
    return np.triu_indices(n, 1)


def _angles(bonds: Bonds) -> Iterator[NDArray[np.float64]]:
    """Angles between the bonds of each atom, in degrees."""
    for atom in range(len(bonds.start) - 1):
        vector, length = bonds.vector[bonds.of(atom)], bonds.length[bonds.of(atom)]
        i, j = _pairs(len(length))
        product = vector[i] * vector[j]
        cosine = (product[:, 0] + product[:, 1] + product[:, 2]) / (length[i] * length[j])
        # Straight angles are straight whatever rounding makes of them; matminer moves them off the ends like this.
        cosine += 1e-6 * (cosine <= -1.0 + _ROUNDING) - 1e-6 * (cosine >= 1.0 - _ROUNDING)
        yield np.degrees(np.arccos(cosine))


def _dihedrals(bonds: Bonds) -> Iterator[NDArray[np.float64]]:
    """Dihedral angles of the chains about the bonds of each atom with later ones, in degrees."""
    for atom in range(len(bonds.start) - 1):
        found = [np.empty(0)]
        own = bonds.of(atom)
        for bond in range(own.start, own.stop):
            other = int(bonds.other[bond])
            if other > atom:
                theirs = bonds.of(other)
                before = bonds.vector[own][bonds.other[own] != other]
                after = -bonds.vector[theirs][bonds.other[theirs] != atom]
                found.append(_dihedral(before, -bonds.vector[bond], after))
        yield np.concatenate(found)


def _dihedral(
    before: NDArray[np.float64], middle: NDArray[np.float64], after: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Dihedral angles of every bond before with every bond after, (n, 3) and (m, 3), in degrees, shape (n * m,)."""
    first, second = np.cross(before, middle), np.cross(middle, after)
    first[np.linalg.norm(first, axis=1) < _COLLINEAR] = 0.0
    second[np.linalg.norm(second, axis=1) < _COLLINEAR] = 0.0
    cosine = first @ second.T
    sine = np.linalg.norm(middle) * (before @ second.T)
    # Zero where there is no plane, as atan2 has it.
    sine[~first.any(1)] = 0.0
    angle = np.degrees(np.arctan2(sine, cosine))
    return np.where(angle < 1e-5, -angle, angle).ravel()


def _histogram(of_atom: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Histogram of the distinct angles, each with its number per atom that has it."""
    total, atoms = np.zeros(180 * _PER_DEGREE + 1), np.zeros(180 * _PER_DEGREE + 1)
    for angles in of_atom:
        distinct, number = np.unique(np.rint(angles * _PER_DEGREE).astype(np.int64), return_counts=True)
        total[distinct] += number
        atoms[distinct] += 1
    found = np.flatnonzero(total)
    counts: NDArray[np.float64] = np.histogram(found / _PER_DEGREE, _BINS, weights=total[found] / atoms[found])[0]
    return counts
