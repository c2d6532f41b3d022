"""Near-duplicates among crystals: the same composition, and vectors that hardly differ.

One of them among the labels that are learned from tells the label of the other. So they have to be on one side of every
fold by which something is chosen or an error is told.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.metrics.pairwise import euclidean_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets

TOLERANCE = 0.05  # root mean square difference of vectors, in their standard deviations
_ROWS = 512  # compared at once


def twins(points: PointSets, vectors: NDArray[np.floating]) -> NDArray[np.int64]:
    """Label n usable crystals, of vectors (n, d), so that near-duplicates share a label: 0, 1, ... as they appear."""
    fractions = np.asarray(points.site_types.fractions, dtype=np.float64)[points.site_type]  # (S, 119)
    each = fractions * np.asarray(points.multiplicity)[:, None]
    amounts = np.add.reduceat(each, np.asarray(points.site_offsets)[:-1], axis=0)  # (n, 119)
    compositions = np.round(amounts / amounts.sum(1, keepdims=True), 4)
    return label_close([row.tobytes() for row in compositions], vectors, TOLERANCE)


def label_close(
    kinds: Sequence[Hashable],  # only rows of one kind are compared
    vectors: NDArray[np.floating],  # (n, d)
    tolerance: float,  # most that close ones differ by, as a root mean square over the columns
) -> NDArray[np.int64]:  # (n,) 0, 1, ... in order of first appearance; closeness is passed on
    """Label rows so that those of one kind whose vectors are close share a label.

    Examples
    --------
    >>> label_close(["a", "a", "a", "b"], np.array([[1.0], [5.0], [1.1], [1.0]]), 0.2).tolist()
    [0, 1, 0, 2]
    """
    members: dict[Hashable, list[int]] = {}
    for row, kind in enumerate(kinds):
        members.setdefault(kind, []).append(row)
    table, most = vectors.astype(np.float64), tolerance * vectors.shape[1] ** 0.5
    pairs: list[NDArray[np.int64]] = [np.empty((2, 0), np.int64)]
    for rows in (np.array(rows) for rows in members.values() if len(rows) > 1):
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            first, second = np.nonzero(euclidean_distances(table[some], table[rows]) <= most)
            pairs.append(np.stack([some[first], rows[second]]))
    first, second = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(kinds), len(kinds)))
    return in_order(connected_components(graph, directed=False)[1])


def together(
    groups: NDArray[Any] | None,  # (n,) that were given
    alike: NDArray[np.int64],  # (n,) from `twins`
) -> NDArray[Any] | None:
    """Join groups that have twins in common.

    They stay as given without twins, and where twins would leave no two groups: nothing could be held out then.

    Examples
    --------
    >>> together(np.array(["a", "a", "b", "c"]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    >>> together(None, np.array([0, 1, 2])) is None
    True
    """
    if len(np.unique(alike)) == len(alike):
        return groups
    n = len(alike)
    _, given = (None, np.arange(n)) if groups is None else np.unique(groups.astype(str), return_inverse=True)
    # Rows are joined through the label of their twins, and through the group that they have.
    nodes = np.concatenate([n + given, n + given.max() + 1 + alike])
    size = int(nodes.max()) + 1
    graph = coo_array((np.ones(2 * n), (np.tile(np.arange(n), 2), nodes)), shape=(size, size))
    joined = in_order(connected_components(graph, directed=False)[1][:n])
    return joined if joined.any() else groups


def in_order(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Number labels in order of first appearance."""
    _, where, which = np.unique(labels, return_index=True, return_inverse=True)
    order: NDArray[np.int64] = np.argsort(np.argsort(where))[which]
    return order
