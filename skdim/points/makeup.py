"""What crystals are made of, so far as a model may never have seen the like: elements, sizes, disorder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets


@dataclass(frozen=True)
class Makeup:
    """What C crystals are made of."""

    elements: NDArray[np.bool_]  # (C, 119) whether each holds the element of an atomic number
    # (C,) sites of the smallest unit, in the ratio of their multiplicities: the choice of the cell does not matter.
    sites: NDArray[np.int64]
    disordered: NDArray[np.bool_]  # (C,) whether any site is shared or partly empty

    @classmethod
    def of(cls, points: PointSets) -> Makeup:
        """Look at C crystals, all usable."""
        fractions = np.asarray(points.site_types.fractions)
        mixed: NDArray[np.bool_] = np.any((fractions > 0) & (np.abs(fractions - 1) > 1e-6), axis=1)
        start = np.asarray(points.site_offsets)[:-1]
        holds: NDArray[np.bool_] = fractions > 0
        return cls(
            np.logical_or.reduceat(holds[points.site_type], start, axis=0),
            np.add.reduceat(np.asarray(points.multiplicity, dtype=np.int64), start),
            np.logical_or.reduceat(mixed[points.site_type], start),
        )
