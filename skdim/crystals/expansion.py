"""Atom rows and symmetry operations become the sites of a cell, each atom once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.symmetry import Operations

__all__ = ["SAME_ATOM", "Images", "expand"]

SAME_ATOM = 0.02  # Angstrom; images of one atom that close are one site, its coordinates were rounded


@dataclass(frozen=True, eq=False)
class Images:
    """The images of atom rows.

    Attributes
    ----------
    frac : ndarray of float64, shape (n, 3)
        Fractional coordinates.
    row : ndarray of int64, shape (n,)
        The row that each is an image of, in increasing order.
    """

    frac: NDArray[np.float64]
    row: NDArray[np.int64]


def expand(frac: NDArray[np.float64], operations: Operations, lattice: NDArray[np.float64]) -> Images:
    """Apply symmetry operations to atom rows; images of one row that coincide are one.

    Parameters
    ----------
    frac : ndarray of float64, shape (r, 3)
        Fractional coordinates of the rows.
    operations : Operations
        A group that the cell has.
    lattice : ndarray of float64, shape (3, 3)
        Lattice vectors as rows, in Angstrom.

    Returns
    -------
    Images
        An atom within 0.02 Angstrom of a special position is put on it.
    """
    if len(operations) == 1:
        return Images(frac, np.arange(len(frac)))
    frac = frac.copy()
    fixing = _fixing(frac, operations, lattice)
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


def _fixing(frac: NDArray[np.float64], operations: Operations, lattice: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which operations leave points where they are, within 0.02 Angstrom; shape (m, r)."""
    moved = _apply(operations, frac) - frac[:, None]
    moved -= np.rint(moved)
    moved = moved @ lattice
    return np.asarray(np.einsum("gmi,gmi->mg", moved, moved) <= SAME_ATOM**2)


def _orbit(place: NDArray[np.float64], fixing: NDArray[np.bool_], operations: Operations) -> NDArray[np.float64]:
    """Images of a point on or near a special position, which it is moved to; shape (k, 3)."""
    group, first = operations.cosets(fixing)
    moved = operations.rotation[group] @ place + operations.translation[group] - place
    place = place + (moved - np.rint(moved)).mean(axis=0)
    return np.asarray(operations.rotation[first] @ place + operations.translation[first])
