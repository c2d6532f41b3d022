"""One pymatgen structure in, what its sites hold and the reason why it cannot be used (or None) out."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import DummySpecies, Element, Species
from pymatgen.core.structure import IStructure
from scipy.spatial import cKDTree

__all__ = ["SiteSpecies", "check_structure", "site_species"]

SiteSpecies = tuple[tuple[int, float], ...]
"""What a site holds: (atomic number, occupancy) of its elements, by rising atomic number."""

_OVERLAP = 0.5  # Angstrom; atoms are never that close, positions that exclude one another are
_FULL = 1 + 1.0001e-3  # occupancies are printed with three decimals, so thirds may add to 1.001
_LENGTHS = (0.5, 1000.0)  # Angstrom
_VOLUMES = (0.1, 1e5)  # cubic Angstrom per site; dense hydrogen has 1, an atom in a vacuum box of 40 Angstrom 6e4
_FARTHEST = 1e6  # fractional; beyond it a double no longer resolves the place in the cell
_LAST_ELEMENT = 118
_WIDE = 2 * _OVERLAP  # Angstrom between lattice planes, see _has_close_pair
_FEW = 64  # sites up to which comparing all pairs at once is faster than a cell list
_MOST_SPLIT = 64  # positions around one; measured structures have a dozen at the most

_WHOLE: tuple[SiteSpecies, ...] = tuple(((number, 1.0),) for number in range(_LAST_ELEMENT + 1))


def site_species(structure: IStructure) -> list[SiteSpecies]:
    """Say which elements each site holds, and how much of each.

    Oxidation states and isotopes do not matter: Fe2+ and Fe3+ on one site add up, deuterium is hydrogen.

    Parameters
    ----------
    structure : pymatgen Structure or IStructure
        Ordered or disordered.

    Returns
    -------
    list of tuple of (int, float)
        For each site the pairs (atomic number, occupancy) by rising atomic number; hashable. A vacancy is nothing.
        Dummy species are (0, 1.0); `check_structure` refuses them.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4), [{"Na+": 0.5, "K+": 0.25}, "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> site_species(salt)
    [((11, 0.5), (19, 0.25)), ((17, 1.0),)]
    """
    return [_content(site.species) for site in structure.sites]


def _content(composition: Composition) -> SiteSpecies:
    """Give the content of one site, in a shared tuple where it is one whole element."""
    if len(composition) == 1:
        species, amount = next(iter(composition.items()))
        if type(species) in (Element, Species):
            return _WHOLE[species.Z] if amount == 1 else ((species.Z, round(float(amount), 8)),)
    numbers = sorted({0 if isinstance(species, DummySpecies) else species.Z for species in composition})
    # Asked by element: the amount that older pymatgen gives beside Fe is that of Fe2+ and Fe3+ too. Rounded, because
    # the order in which a mixture is added up must not make two kinds of site of one.
    return tuple(
        (number, round(float(composition[Element.from_Z(number)]), 8) if number else 1.0) for number in numbers
    )


def check_structure(
    structure: IStructure, *, max_sites: int = 5000, max_atomic_number: int | Collection[int] | None = None
) -> str | None:
    """Say why a structure cannot be used.

    Split positions of one disordered atom may be as close as they like: what may not be is a group of
    positions, each closer than 0.5 Angstrom to each other, with occupancies that add to more than one.

    Parameters
    ----------
    structure : pymatgen Structure or IStructure
        Ordered or disordered.
    max_sites : int, default=5000
        The most sites that are accepted.
    max_atomic_number : int or collection of int, optional
        The heaviest element that is accepted, or the atomic numbers of all that are. By default every element of
        the periodic table.

    Returns
    -------
    str or None
        The reason, with the value at fault and what is accepted, or None for a usable structure.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> check_structure(Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    >>> check_structure(Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.05, 0, 0]]))
    'sites 0 (Na) and 1 (Cl) overlap: 0.2 Angstrom apart; closer than 0.5 their occupancies may add ...'
    """
    n_sites = len(structure.sites)
    if n_sites == 0:
        return "no sites; at least one is needed"
    if n_sites > max_sites:
        return f"{n_sites} sites; max_sites={max_sites} are accepted"
    # Older pymatgen keeps whole numbers as they are given.
    lattice, coords = structure.lattice, structure.frac_coords.astype(np.float64, copy=False)
    if reason := _lattice_reason(lattice, n_sites):
        return reason
    # Negated, so that NaN fails too.
    if not np.abs(coords).max() <= _FARTHEST:
        site = int(np.argmin((np.abs(coords) <= _FARTHEST).all(axis=1)))
        return f"site {site} has the fractional coordinates {coords[site].tolist()}; finite ones up to 1e6 are accepted"
    contents = site_species(structure)
    for content in dict.fromkeys(contents):
        if problem := _content_reason(content, max_atomic_number):
            site = contents.index(content)
            return f"site {site} ({structure.sites[site].species_string}) {problem}"
    if _plane_spacing(lattice) > _WIDE and n_sites <= _FEW and not _has_close_pair(coords, lattice.matrix):
        return None
    return _overlap_reason(structure, contents)


def _lattice_reason(lattice: Lattice, n_sites: int) -> str | None:
    """Say what is wrong with a lattice; hopeless angles show as a volume near zero or as a site near its own image."""
    a, b, c = lattice.matrix.tolist()
    lengths = [math.hypot(*vector) for vector in (a, b, c)]
    # Negated, so that NaN fails too.
    if not all(_LENGTHS[0] <= length <= _LENGTHS[1] for length in lengths):
        shown = ", ".join(f"{length:g}" for length in lengths)
        return f"absurd lattice: lengths {shown} Angstrom; 0.5 to 1000 are accepted"
    volume = _volume(a, b, c)
    if not _VOLUMES[0] <= volume / n_sites <= _VOLUMES[1]:
        kind = "singular" if volume < _VOLUMES[0] else "absurd"
        return f"{kind} lattice: {volume:.3g} cubic Angstrom for {n_sites} sites; 0.1 to 1e5 for each site are accepted"
    if not all(lattice.pbc):
        return f"periodic as pbc={tuple(map(bool, lattice.pbc))}; only crystals periodic in all three are accepted"
    return None


def _cross(a: list[float], b: list[float]) -> list[float]:
    """Vector product; of three numbers, numpy's takes ten times as long."""
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _volume(a: list[float], b: list[float], c: list[float]) -> float:
    """Volume of the cell that three vectors span."""
    normal = _cross(b, c)
    return abs(a[0] * normal[0] + a[1] * normal[1] + a[2] * normal[2])


def _plane_spacing(lattice: Lattice) -> float:
    """Smallest distance between opposite faces of the cell, in Angstrom."""
    a, b, c = lattice.matrix.tolist()
    return _volume(a, b, c) / max(math.hypot(*_cross(*faces)) for faces in ((a, b), (b, c), (c, a)))


def _content_reason(content: SiteSpecies, accepted: int | Collection[int] | None) -> str | None:
    """Say what is wrong with what a site holds."""
    if not content:
        return "has no occupancy; more than 0 and at most 1 is accepted"
    for number, occupancy in content:
        if number == 0:
            return "is a dummy species or an unknown element; a vacancy is accepted as an occupancy below 1"
        if not occupancy > 0:
            return f"has the occupancy {occupancy:g}; more than 0 and at most 1 is accepted"
        if accepted is not None and not _is_accepted(number, accepted):
            heaviest = max(accepted, default=0) if isinstance(accepted, Collection) else accepted
            return f"holds element {number}, which is not in the table of elements; that goes up to number {heaviest}"
    total = sum(occupancy for _, occupancy in content)
    if not total <= _FULL:
        return f"has occupancies that add to {total:g}; more than 0 and at most 1 is accepted"
    return None


def _is_accepted(number: int, accepted: int | Collection[int]) -> bool:
    """Tell whether an element is one of the accepted ones, or up to the heaviest of them."""
    return number in accepted if isinstance(accepted, Collection) else number <= accepted


def _has_close_pair(coords: NDArray[np.float64], matrix: NDArray[np.float64]) -> bool:
    """Tell whether two sites of a cell are closer than 0.5 Angstrom.

    A vector shorter than 0.5 Angstrom has fractional components below 0.5 / (distance between lattice planes). Where
    the planes are more than 1 Angstrom apart that is less than one half, so taking the nearest integer off finds the
    vector even in a skewed cell, and no site is that close to its own image.
    """
    between = coords[:, None] - coords  # (n, n, 3)
    between -= np.rint(between)
    cartesian = between.reshape(-1, 3) @ matrix  # (n * n, 3)
    squared = np.einsum("ij,ij->i", cartesian, cartesian)
    squared[:: len(coords) + 1] = math.inf
    return bool(squared.min() < _OVERLAP**2)


def _overlap_reason(structure: IStructure, contents: list[SiteSpecies]) -> str | None:
    """Name sites that exclude one another by their distance and yet hold more than one atom together."""
    lattice = structure.lattice
    if _plane_spacing(lattice) <= _WIDE:
        lattice = lattice.get_lll_reduced_lattice()  # of a very skewed cell thousands of images would matter
    if min(lattice.abc) < _OVERLAP:
        return f"each site is {min(lattice.abc):.2g} Angstrom from its own image; at least 0.5 is accepted"
    center, other, vector = _close_pairs(lattice, structure.cart_coords)
    occupancy = np.array([sum(amount for _, amount in content) for content in contents])
    for site in np.unique(center):
        mine = center == site
        around, places = other[mine], vector[mine]
        apart = np.linalg.norm(places, axis=1)
        if (around == site).any():
            own = apart[around == site].min()
            return f"site {site} is {own:.2g} Angstrom from its own image; at least 0.5 is accepted"
        if len(around) > _MOST_SPLIT:
            return f"site {site} overlaps with more than {_MOST_SPLIT} others, closer than 0.5 Angstrom"
        if group := _crowd(places, occupancy[around], _FULL - occupancy[site]):
            members = [site, *around[group]]
            names = " and ".join(f"{member} ({structure.sites[member].species_string})" for member in members[:2])
            names += f" and {len(members) - 2} more" if len(members) > 2 else ""
            return (
                f"sites {names} overlap: {apart[group].min():.2g} Angstrom apart; "
                f"closer than 0.5 their occupancies may add to at most 1, not to {occupancy[members].sum():g}"
            )
    return None


def _close_pairs(
    lattice: Lattice, places: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """List all pairs closer than 0.5 Angstrom, in both directions: site, the other one, vector between (n_pairs, 3).

    Of a site with more than 64 others that near, the nearest 65.
    The neighbour lists of materials libraries lay a grid of this fine mesh over the cell, too much for a large one.
    """
    matrix, n_sites = lattice.matrix, len(places)
    # In fractions of the cell, what is within reach of a face; a little more because of rounding.
    margin = 1.001 * _OVERLAP * np.linalg.norm(np.linalg.inv(matrix), axis=0)
    site = np.arange(n_sites)
    coords = lattice.get_fractional_coords(places) % 1
    for axis in range(3):
        reach = math.ceil(margin[axis])
        shifts = np.array([0, *range(-reach, 0), *range(1, reach + 1)])  # the cell itself comes first
        images = coords + shifts[:, None, None] * np.eye(3)[axis]  # (shifts, sites so far, 3)
        kept = (shifts[:, None] == 0) | (np.abs(images[..., axis] - 0.5) <= 0.5 + margin[axis])
        site, coords = np.broadcast_to(site, kept.shape)[kept], images[kept]
    places = coords @ matrix
    ranks = range(1, min(_MOST_SPLIT + 2, len(places)) + 1)  # itself, the most that may be there, and one too many
    _, found = cKDTree(places).query(places[:n_sites], ranks, distance_upper_bound=_OVERLAP)  # (n_sites, ranks)
    center, rank = np.nonzero((found < len(places)) & (found != np.arange(n_sites)[:, None]))
    second = found[center, rank]
    return center, site[second], places[second] - places[center]


def _crowd(places: NDArray[np.float64], occupancy: NDArray[np.float64], room: float) -> list[int]:
    """Find positions, each closer than 0.5 Angstrom to each other, whose occupancies exceed the room; [] if none do.

    Only such a group is impossible: of a row of positions 0.4 Angstrom apart the first and the third may both be
    occupied, so the sum over all that are linked says nothing.
    """
    close = np.linalg.norm(places[:, None] - places, axis=2) < _OVERLAP

    def grow(group: list[int], left: float, candidates: list[int]) -> list[int]:
        """Add candidates to a group until there is no room, leaving out what cannot fill it any more."""
        if left < 0:
            return group
        for k, candidate in enumerate(candidates):
            if occupancy[candidates[k:]].sum() <= left:
                break
            allies = [ally for ally in candidates[k + 1 :] if close[candidate, ally]]
            if found := grow([*group, candidate], left - occupancy[candidate], allies):
                return found
        return []

    return grow([], room, list(range(len(places))))
