"""Atom rows that describe one site: elements that share it, and copies of an atom that symmetry makes anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.closeness import any_closer, close_pairs
from skdim.crystals.crystal import WHOLE, SiteSpecies
from skdim.crystals.expansion import SAME_ATOM, Images
from skdim.crystals.notes import Note
from skdim.crystals.occupancies import FULL, ROUNDED, SPLIT, excess
from skdim.exceptions import first_few

__all__ = ["COPIES", "OVERLAP", "Rows", "Sites", "shared_sites"]

COPIES = "atoms listed beside the operations that make them are taken once"
OVERLAP = 0.5  # Angstrom; atoms are never that close, positions that exclude one another are
_SAME_PLACE = 0.005  # Angstrom between elements that share a site, whose coordinates are rounded


@dataclass(frozen=True, eq=False)
class Rows:
    """The atom rows of a file."""

    labels: list[str]  # what the file calls each of the r rows
    species: list[str]  # type symbol with its charge, or label: rows that differ in it are no copies of each other
    numbers: list[int]  # atomic numbers
    frac: NDArray[np.float64]  # (r, 3) fractional coordinates as written
    occupancy: list[float]  # above 0
    decimals: list[int]  # the most decimals of the coordinates of each row


@dataclass(frozen=True, eq=False)
class Sites:
    """The sites of a cell."""

    frac: NDArray[np.float64]  # (n, 3) fractional coordinates
    row: NDArray[np.int64]  # (n,) the first atom row of each
    contents: list[SiteSpecies]  # what each of the r rows holds, those that share its sites included
    notes: list[Note]  # what was decided
    apart: bool  # whether no two sites are closer than 0.5 Angstrom


def shared_sites(rows: Rows, images: Images, lattice: NDArray[np.float64]) -> Sites:
    """Make sites of the images of atom rows; more than one atom on a site is a ValueError that names its rows."""
    single = [
        WHOLE[number] if amount == 1 else ((number, round(amount, 8)),)
        for number, amount in zip(rows.numbers, rows.occupancy, strict=True)
    ]
    if not any_closer(images.frac, lattice, OVERLAP):
        contents, notes = _scaled(rows, [[k] for k in range(len(single))], single)
        return Sites(images.frac, images.row, contents, notes, True)
    groups, copies = _groups(rows, images, lattice)
    contents, notes = _scaled(rows, groups, single)
    if copies:
        notes.append(Note(COPIES, _names(rows, copies)))
    first = np.zeros(len(single), bool)
    first[[group[0] for group in groups]] = True
    kept = first[images.row]
    return Sites(images.frac[kept], images.row[kept], contents, notes, False)


def _groups(rows: Rows, images: Images, lattice: NDArray[np.float64]) -> tuple[list[list[int]], list[int]]:
    """Put together the rows that share sites, in their order; list apart the rows that are copies of others."""
    first, second, vector = close_pairs(images.frac, lattice, SAME_ATOM)
    one, other = images.row[first], images.row[second]
    size = np.bincount(images.row, minlength=len(rows.labels))
    apart = np.linalg.norm(vector, axis=1)
    meant = (one < other) & (size[one] == size[other])
    owner, copies = list(range(len(rows.labels))), []
    shared: dict[int, list[int]] = {k: [k] for k in owner}
    n_rows, one, other, apart = len(owner), one[meant], other[meant], apart[meant]
    order = np.lexsort((apart, one * n_rows + other))
    number, nearest = np.unique((one * n_rows + other)[order], return_index=True)
    pairs = list(zip((number // n_rows).tolist(), (number % n_rows).tolist(), strict=True))
    distances = apart[order][nearest].tolist()
    for i, j in pairs:  # copies first: what shares a site with a copy shares it with the atom itself too
        if i in shared and j in shared and _is_copy(rows, i, j, lattice):
            copies.append(j)
            del shared[j]
    for (i, j), d in zip(pairs, distances, strict=True):
        if d <= _SAME_PLACE and j in shared and owner[i] in shared and owner[i] != owner[j]:
            shared[owner[i]] += shared.pop(j)
            owner[j] = owner[i]
    return list(shared.values()), copies


def _is_copy(rows: Rows, i: int, j: int, lattice: NDArray[np.float64]) -> bool:
    """Tell whether a row, at an image of another row and not at its place, is that other one listed again."""
    alike = rows.numbers[i] == rows.numbers[j] and rows.occupancy[i] == rows.occupancy[j]
    same_species = alike and (rows.species[i] == rows.species[j] or rows.occupancy[i] == 1)
    return same_species and float(np.linalg.norm((rows.frac[i] - rows.frac[j]) @ lattice)) > SAME_ATOM


def _scaled(
    rows: Rows, groups: Sequence[Sequence[int]], single: list[SiteSpecies]
) -> tuple[list[SiteSpecies], list[Note]]:
    """Add up what each group of rows holds; a little more than one atom is one, see `skdim.crystals.occupancies`."""
    contents, rounded, split = list(single), [], []
    for group in groups:
        if len(group) == 1 and rows.occupancy[group[0]] <= FULL:
            continue
        amounts: dict[int, float] = {}
        for k in group:
            amounts[rows.numbers[k]] = amounts.get(rows.numbers[k], 0.0) + rows.occupancy[k]
        total = sum(amounts.values())
        kind = excess(total, len(amounts), [rows.occupancy[k] for k in group])
        if kind is None:
            where = f"the site of {_names(rows, group)}" if len(group) > 1 else f"site {rows.labels[group[0]]}"
            raise ValueError(f"{where} has occupancies that add to {total:g}; at most 1 is accepted")
        if total > FULL:
            if kind == ROUNDED:
                rounded += list(group)
            else:
                split.append(f"{_names(rows, group)} ({total:.3g})")
            amounts = {number: amount / total for number, amount in amounts.items()}
        contents[group[0]] = _as_species(amounts)
    told = [(ROUNDED, _names(rows, rounded))] if rounded else []
    told += [(SPLIT, "; ".join(split[:3]))] if split else []
    return contents, [Note(*one) for one in told]


def _as_species(amounts: dict[int, float]) -> SiteSpecies:
    """Write amounts by atomic number as a content."""
    if len(amounts) == 1:
        (number, amount), *_ = amounts.items()
        if abs(amount - 1) < 1e-8:
            return WHOLE[number]
    return tuple((number, round(amount, 8)) for number, amount in sorted(amounts.items()))


def _names(rows: Rows, some: Sequence[int]) -> str:
    """Name rows by their labels, the first few of many."""
    return first_few((rows.labels[k] for k in some), 6)
