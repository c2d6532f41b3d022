"""Symmetry reduction: what is repeated in a crystal becomes one row or one pair with a count.

Sites that symmetry makes alike see the same neighbourhood, so any message passing gives them the same vector.
Colour refinement finds them without asking for a space group: sites keep one label as long as the multisets
{(label of j, distance)} of their neighbours agree. Each class of sites becomes one row with a multiplicity, and
equal pairs of a row become one pair with a count. Nothing is approximated after the distances are snapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Distances are compared as integers of this many Angstrom: sums and means of integers do not depend on order,
# so a crystal's result does not depend on its site order or on the crystals beside it.
_QUANTUM = 2.0**-32
_DISTANCE_BITS = 42
_GROUP_BITS = 63 - _DISTANCE_BITS


@dataclass(frozen=True)
class Reduced:
    """Rows and pairs of a chunk of crystals after the reduction."""

    representative: NDArray[np.int64]  # (R,) one site of each class, in increasing order, so crystal by crystal
    multiplicity: NDArray[np.int32]  # (R,) number of sites in the class
    # (Q,) rows of each merged pair, counted over the chunk; sorted by row, distance and neighbour's row, so that the
    # order depends on the crystal alone.
    pair_row: NDArray[np.int64]
    pair_neighbor: NDArray[np.int64]  # (Q,)
    pair_source: NDArray[np.int64]  # (Q,) one of the pairs that were merged
    count: NDArray[np.int32]  # (Q,) number of pairs that were merged


def sort_by_distance(
    group: NDArray[np.int64],  # (P,) not negative
    distance: NDArray[np.float64],  # (P,) in Angstrom, below 1024
) -> NDArray[np.intp]:
    """Order pairs by group and then by distance, to 2^-32 Angstrom; the order (P,) of equals is arbitrary."""
    length = _in_quanta(distance)
    if group.max(initial=0) >> _GROUP_BITS:
        return np.lexsort((length, group))
    # One sort of integers takes a tenth of the time of a sort by two keys.
    return np.argsort((group << _DISTANCE_BITS) | length)


def _in_quanta(distance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Distances as whole numbers of the quantum."""
    return np.rint(distance / _QUANTUM).astype(np.int64)


def snap(
    group: NDArray[np.int64],  # (P,) only distances of one group are compared: one crystal and one pair of site types
    distance: NDArray[np.float64],  # (P,) in Angstrom, below 1024
    tolerance: float,  # in Angstrom
) -> NDArray[np.float64]:
    """Replace clusters of nearly equal distances by their means.

    Sorted distances are cut into clusters wherever the gap exceeds the tolerance; a cluster that became wider than
    the tolerance by chaining is cut again at a tenth of it, and so on, so no distance moves by more than the
    tolerance and a grid never splits a cluster.

    The mean is a multiple of 2^-32 Angstrom: the same number for all members of a cluster, and another for every other
    cluster of the group.

    Examples
    --------
    >>> snap(np.array([0, 0, 0, 1]), np.array([2.0, 2.5, 2.0005, 2.0003]), tolerance=1e-3).round(5).tolist()
    [2.00025, 2.5, 2.00025, 2.0003]
    """
    order = sort_by_distance(group, distance)
    length, group = _in_quanta(distance[order]), group[order]
    starts = _cluster_starts(length, changes(group), tolerance / _QUANTUM)
    first = np.flatnonzero(starts)
    size = np.diff(np.r_[first, len(length)])
    # Means of the offsets from the first member: integers of this size are exact in float64. Rounded, so that equal
    # distances of two groups are equal, and clusters of one group still differ.
    offset = np.add.reduceat(length - np.repeat(length[first], size), first) / size if len(first) else np.zeros(0)
    snapped = np.empty(len(length))
    snapped[order] = np.repeat((length[first] + np.rint(offset)) * _QUANTUM, size)
    return snapped


def _cluster_starts(length: NDArray[np.int64], new_group: NDArray[np.bool_], gap: float) -> NDArray[np.bool_]:
    """Whether each sorted distance begins a cluster; clusters wider than the first gap are cut at smaller ones."""
    widest = gap
    starts = new_group.copy()
    if len(length) == 0:
        return starts
    step = np.diff(length, prepend=length[:1])
    starts |= step > gap
    while True:
        first = np.flatnonzero(starts)
        last = np.r_[first[1:], len(length)] - 1
        wide = length[last] - length[first] > widest
        if not wide.any():
            return starts
        gap /= 10.0
        starts |= np.repeat(wide, last - first + 1) & (step > gap)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64 bits (the finaliser of splitmix64), so that sums of labels tell multisets apart."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def site_classes(
    label: NDArray[np.int64],  # (S,) first label of each site: its crystal and its type
    site: NDArray[np.int64],  # (P,) ascending; every site has at least one pair
    neighbor: NDArray[np.int64],  # (P,)
    distance: NDArray[np.float64],  # (P,) snapped
) -> NDArray[np.int64]:
    """Classes (S,) of sites that no depth of message passing can tell apart, numbered in the order of appearance.

    Labels are 64-bit hashes; two different neighbourhoods get one label with a chance of about 1e-19.
    """
    starts = np.flatnonzero(changes(site))
    distance_key = _mix(distance.view(np.uint64))
    key = _mix(label.astype(np.uint64) + np.uint64(1))
    classes, n_classes = _number(key)
    while True:
        seen = np.add.reduceat(_mix(key[neighbor] + distance_key), starts)
        key = _mix(seen + _mix(key))
        finer, n_finer = _number(key)
        if n_finer == n_classes:
            return classes
        classes, n_classes = finer, n_finer


def _number(key: NDArray[np.uint64]) -> tuple[NDArray[np.int64], int]:
    """Number the distinct keys in the order of first appearance."""
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse], len(first)


def merge(
    classes: NDArray[np.int64],  # (S,) from `site_classes`; ``np.arange(S)`` merges no sites
    site: NDArray[np.int64],  # (P,) pairs as `sort_by_distance` sorts them by site and snapped distance
    neighbor: NDArray[np.int64],  # (P,)
    distance: NDArray[np.float64],  # (P,)
) -> Reduced:
    """One row for each class of sites, one pair for each class of neighbours at one distance."""
    representative = np.unique(classes, return_index=True)[1]
    source = np.flatnonzero(representative[classes[site]] == site)
    row, other, length = classes[site[source]], classes[neighbor[source]], distance[source]
    shell = np.cumsum(changes(row) | changes(length))
    order = np.argsort(shell * len(representative) + other, kind="stable")
    row, other, shell, source = row[order], other[order], shell[order], source[order]
    first = np.flatnonzero(changes(shell) | changes(other))
    count = np.diff(np.r_[first, len(row)]).astype(np.int32)
    multiplicity = np.bincount(classes).astype(np.int32)
    return Reduced(representative, multiplicity, row[first], other[first], source[first], count)


def changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value differs from the one before; the first does."""
    changes = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes
