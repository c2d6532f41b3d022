"""Atom rows and symmetry operations become the sites of a cell, each atom once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.operations import Operations

__all__ = ["SAME_ATOM", "Images", "expand"]

SAME_ATOM = 0.02  # Angstrom; images of one atom that close are one site, its coordinates were rounded


_FARTHEST = 0.1  # Angstrom; atoms that are refined beside a special position are farther from their images


@dataclass(frozen=True, eq=False)
class Images:
    """The images of atom rows."""

    frac: NDArray[np.float64]  # (n, 3) fractional coordinates
    row: NDArray[np.int64]  # (n,) the row that each is an image of, in increasing order


def expand(
    frac: NDArray[np.float64],  # (r, 3) fractional coordinates of the rows
    operations: Operations,  # a group that the cell has
    lattice: NDArray[np.float64],  # (3, 3) lattice vectors as rows, in Angstrom
    decimals: Sequence[int] = (),  # to how many decimals each row is rounded; empty if that is not known
) -> Images:
    """Apply symmetry operations to atom rows; images of one row that coincide are one.

    Where images of an atom are within 0.02 Angstrom, it is put on the special position between them; and also up to 0.1
    Angstrom, where the decimals do not tell them apart: a third that is written as 0.33.
    """
    if len(operations) == 1:
        return Images(frac, np.arange(len(frac)))
    frac = frac.copy()
    fixing = _fixing(frac, operations, lattice, SAME_ATOM)
    if decimals and np.linalg.norm(lattice, axis=1).max() * 10.0 ** -min(decimals) > SAME_ATOM:
        _add_rounded(fixing, frac, decimals, operations, lattice)
    special = fixing.sum(axis=0) > 1
    general = np.flatnonzero(~special)
    parts = [(general, _apply(operations, frac[general]))] if len(general) else []  # (g, m, 3)
    for one in np.flatnonzero(special).tolist():
        parts.append((np.array([one]), _orbit(frac[one], fixing[:, one], operations)[None]))
    row = np.concatenate([np.repeat(rows, images.shape[1]) for rows, images in parts])
    places = np.concatenate([images.reshape(-1, 3) for _, images in parts])
    order = np.argsort(row, kind="stable")
    return Images(places[order], row[order])


def _apply(operations: Operations, frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """Images of points (g, 3), shape (g, m, 3)."""
    return np.asarray(np.einsum("mij,gj->gmi", operations.rotation, frac) + operations.translation)


def _add_rounded(
    fixing: NDArray[np.bool_],
    frac: NDArray[np.float64],
    decimals: Sequence[int],
    operations: Operations,
    lattice: NDArray[np.float64],
) -> None:
    """Add the operations of special positions that are written with so few decimals that they lie farther off."""
    wide = _fixing(frac, operations, lattice, _FARTHEST)
    for row in np.flatnonzero((wide != fixing).any(axis=0)).tolist():
        shift = _special(frac[row], operations, operations.cosets(wide[:, row])[0]) - frac[row]
        if np.abs(shift).max() <= 0.5001 * 10.0 ** -decimals[row]:  # it is the rounded one
            fixing[:, row] = wide[:, row]


def _special(place: NDArray[np.float64], operations: Operations, group: NDArray[np.intp]) -> NDArray[np.float64]:
    """Move a point to the place that operations leave alone."""
    moved = operations.rotation[group] @ place + operations.translation[group] - place
    return np.asarray(place + (moved - np.rint(moved)).mean(axis=0))


def _fixing(
    frac: NDArray[np.float64],
    operations: Operations,
    lattice: NDArray[np.float64],
    reach: float,
) -> NDArray[np.bool_]:
    """Which operations leave points where they are, within a reach; shape (m, r)."""
    moved = _apply(operations, frac) - frac[:, None]
    moved -= np.rint(moved)
    moved = moved @ lattice
    return np.asarray(np.einsum("gmi,gmi->mg", moved, moved) <= reach**2)


def _orbit(place: NDArray[np.float64], fixing: NDArray[np.bool_], operations: Operations) -> NDArray[np.float64]:
    """Images of a point on or near a special position, which it is moved to; shape (k, 3)."""
    group, first = operations.cosets(fixing)
    place = _special(place, operations, group)
    return np.asarray(operations.rotation[first] @ place + operations.translation[first])
