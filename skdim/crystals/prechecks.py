"""Every reason why a crystal that was read cannot be used."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.closeness import any_closer, check_lengths, volume_of
from skdim.crystals.crystal import Crystal, SiteSpecies
from skdim.crystals.disorder import without_crowding
from skdim.crystals.occupancies import FULL
from skdim.crystals.sharing import OVERLAP

__all__ = ["check_crystal"]

_VOLUMES = (0.1, 1e5)  # cubic Angstrom per site; dense hydrogen has 1, an atom in a vacuum box of 40 Angstrom 6e4
_FARTHEST = 1e6  # fractional; beyond it a double no longer resolves the place in the cell


def check_crystal(
    crystal: Crystal,
    *,
    max_sites: int = 5000,  # the most sites that are accepted
    elements: Collection[int] | None = None,  # atomic numbers that are accepted; None accepts every element
) -> Crystal:
    """Check a crystal, and scale split positions that hold a little more than one atom.

    One that cannot be used is a ValueError, which names the value at fault and what is accepted. Split positions of one
    disordered atom may be as close as they like: what may not be is a group of positions, each closer than 0.5 Angstrom
    to each other, with occupancies that add to more than one. Partly occupied ones of one element may add to 1.5, as
    refinements have it; see `skdim.crystals.disorder.without_crowding` for what is scaled.

    Examples
    --------
    >>> cell = {"lattice": np.eye(3) * 4, "species": (((11, 1.0),), ((17, 1.0),)), "site_type": np.array([0, 1])}
    >>> len(check_crystal(Crystal(frac=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), **cell)))
    2
    >>> check_crystal(Crystal(frac=np.array([[0, 0, 0], [0.05, 0, 0]]), **cell))
    Traceback (most recent call last):
    ...
    ValueError: sites 0 (Na) and 1 (Cl) overlap: 0.2 Angstrom apart; closer than 0.5 their occupancies may add ...
    """
    n_sites = len(crystal)
    if n_sites == 0:
        raise ValueError("no sites; at least one is needed")
    if n_sites > max_sites:
        raise ValueError(f"{n_sites} sites; max_sites={max_sites} are accepted")
    _check_lattice(crystal.lattice, n_sites)
    if crystal.source is not None and not all(getattr(crystal.source.lattice, "pbc", (True,) * 3)):
        pbc = tuple(map(bool, crystal.source.lattice.pbc))
        raise ValueError(f"periodic as pbc={pbc}; only crystals periodic in all three are accepted")
    # Negated, so that NaN fails too.
    if not np.abs(crystal.frac).max() <= _FARTHEST:
        site = int(np.argmin((np.abs(crystal.frac) <= _FARTHEST).all(axis=1)))
        coords = crystal.frac[site].tolist()
        raise ValueError(f"site {site} has the fractional coordinates {coords}; finite ones up to 1e6 are accepted")
    for k, content in enumerate(crystal.species):
        if problem := _content_reason(content, elements):
            site = int(np.argmax(crystal.site_type == k))
            raise ValueError(f"site {site} ({_named(crystal, site)}) {problem}")
    if crystal.apart or not any_closer(crystal.frac, crystal.lattice, OVERLAP):
        return crystal
    return without_crowding(crystal)


def _named(crystal: Crystal, site: int) -> str:
    """Name what sits on a site, with its charge where that is known."""
    return crystal.source.sites[site].species_string if crystal.source is not None else crystal.site_name(site)


def _check_lattice(lattice: NDArray[np.float64], n_sites: int) -> None:
    """Refuse absurd lengths and volumes; impossible angles show as a volume near zero or a site near its own image."""
    lengths = [math.hypot(*vector) for vector in lattice.tolist()]
    check_lengths(lengths)
    volume = volume_of(lattice)
    if not _VOLUMES[0] <= volume / n_sites <= _VOLUMES[1]:
        kind = "singular" if volume < _VOLUMES[0] else "absurd"
        raise ValueError(
            f"{kind} lattice: {volume:.3g} cubic Angstrom for {n_sites} sites; 0.1 to 1e5 for each site are accepted"
        )


def _content_reason(content: SiteSpecies, elements: Collection[int] | None) -> str | None:
    """Say what is wrong with what a site holds."""
    if not content:
        return "has no occupancy; more than 0 and at most 1 is accepted"
    for number, occupancy in content:
        if number == 0:
            return "is a dummy species or an unknown element; a vacancy is accepted as an occupancy below 1"
        if not occupancy > 0:
            return f"has the occupancy {occupancy:g}; more than 0 and at most 1 is accepted"
        if elements is not None and number not in elements:
            heaviest = max(elements, default=0)
            return f"holds element {number}, which is not in the table of elements; that goes up to number {heaviest}"
    total = sum(occupancy for _, occupancy in content)
    if not total <= FULL:
        return f"has occupancies that add to {total:g}; more than 0 and at most 1 is accepted"
    return None
