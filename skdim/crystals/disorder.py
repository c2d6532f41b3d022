"""Positions that exclude one another: alternatives of one atom, as refinements of disorder write them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.closeness import MOST_CLOSE, close_pairs, plane_spacing
from skdim.crystals.crystal import Crystal, SiteSpecies
from skdim.crystals.limits import current_limits
from skdim.crystals.notes import Note
from skdim.crystals.occupancies import FULL, MOST_SHARED, SPLIT
from skdim.crystals.sharing import OVERLAP

__all__ = ["without_crowding"]


def without_crowding(crystal: Crystal) -> Crystal:
    """Check positions closer than 0.5 Angstrom: of those that are all that close to each other, one is occupied.

    Where partly occupied positions of one element add to more than 1 and at most 1.5, they and those linked to them are
    divided by that sum, with a note. Positions that hold more are a ValueError that names them.
    """
    reduced = crystal.lattice
    if plane_spacing(reduced) <= 2 * OVERLAP:
        from pymatgen.core.lattice import Lattice

        reduced = np.asarray(Lattice(reduced).get_lll_reduced_lattice().matrix)
    shortest = float(np.linalg.norm(reduced, axis=1).min())
    if shortest < OVERLAP:
        raise ValueError(f"each site is {shortest:.2g} Angstrom from its own image; at least 0.5 is accepted")
    site, other, vector = close_pairs(crystal.frac, crystal.lattice, OVERLAP)
    if not len(site):
        return crystal
    apart = np.linalg.norm(vector, axis=1)
    if (own := site == other).any():
        raise ValueError(
            f"site {_name(crystal, site[own][0])} is {apart[own].min():.2g} Angstrom from its own image; "
            "at least 0.5 is accepted"
        )
    from scipy.sparse import coo_matrix  # see `skdim.crystals.closeness`
    from scipy.sparse.csgraph import connected_components

    n = len(crystal)
    if (many := np.bincount(site, minlength=n) > MOST_CLOSE).any():
        crowded = int(np.flatnonzero(many)[0])
        raise ValueError(f"site {crowded} overlaps with more than {MOST_CLOSE} others, closer than 0.5 Angstrom")
    totals = np.array([sum(amount for _, amount in content) for content in crystal.species])
    occupancy = totals[crystal.site_type]
    _, member = connected_components(coo_matrix((np.ones(len(site)), (site, other)), shape=(n, n)), directed=False)
    scale, told, search = np.ones(n), [], _Search(site, other, occupancy)
    for group in _linked(member, occupancy):
        crowd = search.fullest(group)
        total = float(occupancy[crowd].sum())
        if total <= FULL:
            continue
        if not _is_split_atom(crystal, group, total):
            raise ValueError(_too_full(crystal, crowd, total, site, other, apart))
        scale[group] = 1 / total
        names = ", ".join(dict.fromkeys(_name(crystal, k) for k in crowd[:6]))
        told.append(f"{names} ({total:.3g})")
    return _scaled(crystal, scale, told) if told else crystal


def _linked(member: NDArray[np.int32], occupancy: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Groups of sites that are linked by short distances, and that hold more than one atom in all."""
    total, size = np.bincount(member, occupancy), np.bincount(member)
    order = np.argsort(member, kind="stable")
    groups = np.split(order, np.cumsum(size)[:-1])
    return [groups[k] for k in np.flatnonzero((size > 1) & (total > FULL))]


class _Search:
    """The search for positions, each closer than 0.5 Angstrom to each other, that hold the most.

    Only such a group is impossible: of a row of positions 0.4 Angstrom apart the first and the third may both be
    occupied, so the sum over all that are linked says nothing. The search is for a clique of the greatest weight. A
    clique that holds a position lies among the few that are near to it, so those are all that a step looks at; the
    crystal is refused where the steps for all of its groups are too many.
    """

    def __init__(self, site: NDArray[np.intp], other: NDArray[np.intp], occupancy: NDArray[np.float64]) -> None:
        self._occupancy = occupancy.tolist()
        self._near: dict[int, set[int]] = {}
        for i, j in zip(site.tolist(), other.tolist(), strict=True):
            self._near.setdefault(i, set()).add(j)
        self._looked_at, self._most = 0, MOST_CLOSE * current_limits().steps

    def fullest(self, group: NDArray[np.intp]) -> list[int]:
        """Find them in a group of linked positions; those that hold up to one atom may be left out."""
        order = sorted(group.tolist(), key=lambda k: -self._occupancy[k])
        place = {k: rank for rank, k in enumerate(order)}
        best: tuple[float, list[int]] = (0.0, [])
        for first in order:
            later = sorted((k for k in self._near[first] if place[k] > place[first]), key=place.__getitem__)
            # Each entry: positions taken, what they hold, positions that may be added.
            stack = [([first], self._occupancy[first], later)]
            while stack:
                taken, held, left = stack.pop()
                if held > best[0] + 1e-12:
                    best = (held, taken)
                if held + self._most_of(left) <= max(best[0] + 1e-9, FULL):
                    continue
                second, rest = left[0], left[1:]
                stack.append((taken, held, rest))
                added = [k for k in rest if k in self._near[second]]
                stack.append(([*taken, second], held + self._occupancy[second], added))
        return best[1]

    def _most_of(self, left: list[int]) -> float:
        """Bound what positions can hold together: of those that do not exclude each other only one counts."""
        self._looked_at += len(left)
        if self._looked_at > self._most:  # measured structures need a handful of steps
            raise ValueError(
                f"{len(self._near)} positions are closer than 0.5 Angstrom to others, too many to tell whether those "
                "that exclude one another hold more than one atom (limit steps)"
            )
        total, colors = 0.0, list[list[int]]()
        for k in left:  # by falling occupancy, so the first of a color is its largest
            near = self._near[k]
            for same in colors:
                if near.isdisjoint(same):
                    same.append(k)
                    break
            else:
                colors.append([k])
                total += self._occupancy[k]
        return total


def _is_split_atom(crystal: Crystal, group: NDArray[np.intp], total: float) -> bool:
    """Tell whether linked positions are partly occupied ones of one element and hold little more than one atom."""
    contents: set[SiteSpecies] = {crystal.species_on(k) for k in group}
    elements = {number for content in contents for number, _ in content}
    return total <= MOST_SHARED + 1e-9 and len(elements) == 1 and all(content[0][1] < 1 for content in contents)


def _too_full(
    crystal: Crystal,
    crowd: list[int],
    total: float,
    site: NDArray[np.intp],
    other: NDArray[np.intp],
    apart: NDArray[np.float64],
) -> str:
    """Say which positions hold too much."""
    crowd = sorted(crowd)
    names = " and ".join(_name(crystal, member) for member in crowd[:2])
    names += f" and {len(crowd) - 2} more" if len(crowd) > 2 else ""
    among = np.isin(site, crowd) & np.isin(other, crowd)
    return (
        f"sites {names} overlap: {apart[among].min():.2g} Angstrom apart; "
        f"closer than 0.5 their occupancies may add to at most 1, not to {total:g}; "
        f"partly occupied positions of one element may add to {MOST_SHARED}"
    )


def _name(crystal: Crystal, site: int) -> str:
    """Name a site by its number and its label or content."""
    return f"{site} ({crystal.site_name(site)})"


def _scaled(crystal: Crystal, scale: NDArray[np.float64], told: list[str]) -> Crystal:
    """Divide occupancies of some sites, and say so."""
    site_type, contents = crystal.site_type.copy(), list(crystal.species)
    known: dict[SiteSpecies, int] = {content: k for k, content in enumerate(contents)}
    for k in np.flatnonzero(scale != 1):
        number, amount = crystal.species_on(int(k))[0]
        content: SiteSpecies = ((number, round(amount * float(scale[k]), 8)),)
        if content not in known:
            known[content] = len(contents)
            contents.append(content)
        site_type[k] = known[content]
    detail = "; ".join(told[:3]) + (f"; and {len(told) - 3} more" if len(told) > 3 else "")
    note = Note(SPLIT, detail)
    return replace(crystal, site_type=site_type, species=tuple(contents), notes=(*crystal.notes, note), source=None)
