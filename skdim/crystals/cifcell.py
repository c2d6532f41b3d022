"""The lattice of a CIF."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from gemmi import cif
from numpy.typing import NDArray

from skdim.crystals.ciftags import Tags, number
from skdim.crystals.closeness import check_lengths, volume_of
from skdim.crystals.notes import Note

__all__ = ["lattice_of", "vectors_of", "volume_notes"]


_SAME_VOLUME = 0.02  # relative; lengths are rounded
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


def lattice_of(tags: Tags) -> NDArray[np.float64]:
    """Make lattice vectors of the cell lengths and angles, the first along x, the second in the plane of x and y."""
    values = []
    for name in _CELL:
        word = (tags.column(f"_cell_{name}") or ["?"])[0]
        if cif.is_null(word):
            raise ValueError(f"_cell_{name} is missing; all three lengths and angles of the cell are needed")
        values.append(number(word, f"_cell_{name}"))
    return vectors_of(values)


def vectors_of(cell: Sequence[float]) -> NDArray[np.float64]:
    """Make lattice vectors of three lengths and three angles in degrees; those of no cell are a ValueError."""
    a, b, c, alpha, beta, gamma = cell
    if min(a, b, c) <= 0 or not all(0 < angle < 180 for angle in (alpha, beta, gamma)):
        said = ", ".join(f"{v:g}" for v in cell)
        raise ValueError(f"the cell {said} is impossible: lengths above 0 and angles below 180 are needed")
    check_lengths((a, b, c))
    # Exact for right angles and 60 and 120 degrees, of which cosines are rounded.
    cos_a, cos_b, cos_g = (_COSINES.get(angle, math.cos(math.radians(angle))) for angle in (alpha, beta, gamma))
    sin_g = math.sqrt(1 - cos_g**2)
    y = (cos_a - cos_b * cos_g) / sin_g
    height = 1 - cos_b**2 - y**2
    if height <= 1e-8:
        raise ValueError(f"the cell angles {alpha:g}, {beta:g} and {gamma:g} span no volume")
    return np.array([[a, 0, 0], [b * cos_g, b * sin_g, 0], [c * cos_b, c * y, c * math.sqrt(height)]])


def volume_notes(tags: Tags, lattice: NDArray[np.float64]) -> list[Note]:
    """Compare the volume that a file gives with that of its cell, of which one may be misprinted."""
    given, volume = cif.as_number(tags.text("_cell_volume") or "?"), volume_of(lattice)
    if not given > 0 or abs(given - volume) <= _SAME_VOLUME * volume:
        return []
    return [Note("the cell has another volume than its file says", f"{volume:.4g} and {given:.4g} cubic Angstrom")]


_COSINES = {90.0: 0.0, 60.0: 0.5, 120.0: -0.5}
