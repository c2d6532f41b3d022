"""The table of distinct site types that point sets share: the features and the occupancy by element of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_ELEMENTS = 118
N_ATOMIC_NUMBERS = N_ELEMENTS + 1  # length of what is indexed by atomic number; number 0 is no element


@dataclass(frozen=True, eq=False)
class SiteTypes:
    """The distinct site types, one row each: an element, a mixture, or a partly occupied site."""

    features: NDArray[np.float64]  # (K, F) raw physical ones, weighted by occupancy; the last is the total occupancy
    fractions: NDArray[np.float32]  # (K, 119) occupancy by atomic number: column z is element z, column 0 is unused

    def __len__(self) -> int:
        """Return the number of site types K."""
        return len(self.features)

    def equals(self, other: SiteTypes) -> bool:
        """Tell whether both tables hold the same rows in the same order (NaN equals NaN)."""
        if self is other:
            return True
        return np.array_equal(self.features, other.features, equal_nan=True) and np.array_equal(
            self.fractions, other.fractions
        )


def merge_site_types(tables: Sequence[SiteTypes]) -> tuple[SiteTypes, list[NDArray[np.int32]]]:
    """Merge tables of the same features, at least one: identical rows become one, in the order of first appearance.

    With the merged table comes, for each of the given ones, where its rows (K,) went.
    """
    first = tables[0]
    if all(table.equals(first) for table in tables):
        return first, [np.arange(len(first), dtype=np.int32)] * len(tables)
    features = np.concatenate([table.features for table in tables])
    fractions = np.concatenate([table.fractions for table in tables])
    # Adding 0.0 turns -0.0 into 0.0, so that equal numbers are equal bytes.
    rows = np.concatenate([features + 0.0, fractions.astype(np.float64) + 0.0], axis=1)
    raw = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1] * 8))).reshape(-1)
    _, first_row, inverse = np.unique(raw, return_index=True, return_inverse=True)
    order = np.argsort(first_row)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    kept = first_row[order]
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return SiteTypes(features[kept], fractions[kept]), np.split(rank[inverse.reshape(-1)], ends)
