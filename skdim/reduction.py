"""Pairs of many crystals in, the same point sets without their repetitions out.

Sites that symmetry makes alike see the same neighbourhood, so any message passing gives them the same vector.
Colour refinement finds them without asking for a space group: sites keep one label as long as the multisets
{(label of j, distance)} of their neighbours agree. Each class of sites becomes one row with a multiplicity, and
equal pairs of a row become one pair with a count. Nothing is approximated after the distances are snapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Distances are compared as integers of this many Angstrom: sums and means of integers do not depend on order,
# so a crystal's result does not depend on its site order or on the crystals beside it.
_QUANTUM = 2.0**-32
_DISTANCE_BITS = 42


@dataclass(frozen=True)
class Reduced:
    """Rows and pairs of a chunk of crystals after the reduction.

    Attributes
    ----------
    representative : ndarray of shape (R,)
        One site of each class, in increasing order, so crystal by crystal.
    multiplicity : ndarray of shape (R,)
        Number of sites in the class.
    pair_row, pair_neighbor : ndarray of shape (Q,)
        Rows of each merged pair, counted over the chunk; sorted by row.
    pair_source : ndarray of shape (Q,)
        One of the pairs merged in it.
    count : ndarray of shape (Q,)
        How many pairs were merged.
    """

    representative: NDArray[np.int64]
    multiplicity: NDArray[np.int32]
    pair_row: NDArray[np.int64]
    pair_neighbor: NDArray[np.int64]
    pair_source: NDArray[np.int64]
    count: NDArray[np.int32]


def snap(
    group: NDArray[np.int64], distance: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Replace clusters of nearly equal distances by their means.

    Sorted distances are cut into clusters wherever the gap exceeds the tolerance; a cluster that became wider than
    the tolerance by chaining is cut again at a tenth of it, and so on, so no distance moves by more than the
    tolerance and a grid never splits a cluster.

    Parameters
    ----------
    group : ndarray of shape (P,)
        Only distances of one group are compared: one crystal and one pair of site contents.
    distance : ndarray of shape (P,)
        In Angstrom, below 1024.
    tolerance : float
        In Angstrom.

    Returns
    -------
    cluster : ndarray of shape (P,)
        Index of the cluster, unique over groups.
    snapped : ndarray of shape (P,)
        Mean distance of the cluster in Angstrom.
    """
    length = np.rint(distance / _QUANTUM).astype(np.int64)
    order = np.argsort((group << _DISTANCE_BITS) | length)
    length, group = length[order], group[order]
    starts = _cluster_starts(length, np.r_[True, group[1:] != group[:-1]], tolerance / _QUANTUM)
    label = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    size = np.diff(np.r_[first, len(length)])
    # Means of the offsets from the first member: integers of this size are exact in float64.
    offset = np.add.reduceat(length - length[first][label], first) / size if len(first) else np.zeros(0)
    mean = (length[first] + offset) * _QUANTUM
    cluster = np.empty_like(label)
    cluster[order] = label
    return cluster, mean[cluster]


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
    label: NDArray[np.int64], site: NDArray[np.int64], neighbor: NDArray[np.int64], cluster: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Classes of sites that no depth of message passing can tell apart.

    Parameters
    ----------
    label : ndarray of shape (S,)
        First label of each site: its crystal and its content.
    site, neighbor, cluster : ndarray of shape (P,)
        Pairs sorted by site, every site with at least one, and the distance cluster of each.

    Returns
    -------
    ndarray of shape (S,)
        Class of each site, numbered in the order of first appearance.

    Notes
    -----
    Labels are 64-bit hashes; two different neighbourhoods get one label with a chance of about 1e-19.
    """
    starts = np.flatnonzero(np.r_[True, site[1:] != site[:-1]])
    distance_key = _mix(cluster.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
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
    classes: NDArray[np.int64], site: NDArray[np.int64], neighbor: NDArray[np.int64], cluster: NDArray[np.int64]
) -> Reduced:
    """One row for each class of sites, one pair for each class of neighbours at one distance.

    Parameters
    ----------
    classes : ndarray of shape (S,)
        From `site_classes`; ``np.arange(S)`` merges no sites.
    site, neighbor, cluster : ndarray of shape (P,)
        Pairs sorted by site, and the distance cluster of each.

    Returns
    -------
    Reduced
        The reduced rows and pairs.
    """
    representative = np.unique(classes, return_index=True)[1]
    multiplicity = np.bincount(classes)
    source = np.flatnonzero(representative[classes[site]] == site)
    row, other, length = classes[site[source]], classes[neighbor[source]], cluster[source]
    order = np.lexsort((other, length, row))
    row, other, length, source = row[order], other[order], length[order], source[order]
    new = np.ones(len(row), bool)
    new[1:] = (row[1:] != row[:-1]) | (length[1:] != length[:-1]) | (other[1:] != other[:-1])
    first = np.flatnonzero(new)
    count = np.diff(np.r_[first, len(row)])
    return Reduced(
        representative, multiplicity.astype(np.int32), row[first], other[first], source[first], count.astype(np.int32)
    )
