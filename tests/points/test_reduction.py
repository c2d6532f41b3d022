"""Snapping and reduction against naive twins: clusters by hand, colour refinement by multisets of Python."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdim.points.reduction import merge, site_classes, snap, sort_by_distance
from tests.daily import examples

TOLERANCE = 1e-3
distances = st.lists(
    st.one_of(st.floats(0, 20), st.floats(3.0, 3.01), st.integers(0, 40).map(lambda k: 2.0 + k * 4e-4)),
    min_size=1,
    max_size=60,
).map(np.array)


def one_group(distance: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    return snap(np.zeros(len(distance), np.int64), distance, tolerance)


def slow_snap(distances: list[float], tolerance: float, gap: float | None = None) -> dict[float, float]:
    """Return the mean of the cluster of each distance; a wide cluster is cut at gaps ten times smaller."""
    gap = tolerance if gap is None else gap
    ordered, clusters = sorted(distances), []
    for d in ordered:
        if clusters and d - clusters[-1][-1] <= gap:
            clusters[-1].append(d)
        else:
            clusters.append([d])
    means: dict[float, float] = {}
    for cluster in clusters:
        if cluster[-1] - cluster[0] <= tolerance:
            means |= dict.fromkeys(cluster, sum(cluster) / len(cluster))
        else:
            means |= slow_snap(cluster, tolerance, gap / 10)
    return means


@given(distances)
def test_no_distance_moves_by_more_than_the_tolerance(distance: np.ndarray) -> None:
    snapped = one_group(distance)
    assert np.abs(snapped - distance).max() <= TOLERANCE
    for value in np.unique(snapped):
        assert np.ptp(distance[snapped == value]) <= TOLERANCE + 1e-9


@given(distances)
def test_snapping_keeps_the_order(distance: np.ndarray) -> None:
    order = np.argsort(distance)
    assert (np.diff(one_group(distance)[order]) >= 0).all()


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=60))
def test_clusters_are_those_of_the_slow_twin(steps: list[int]) -> None:
    # Multiples of an odd fraction of the tolerance: no gap is near one that decides.
    distance = 2.0 + np.array(steps) * TOLERANCE * 0.13
    means = slow_snap(distance.tolist(), TOLERANCE)
    np.testing.assert_allclose(one_group(distance), [means[d] for d in distance.tolist()], atol=1e-8)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 0.9)), min_size=1, max_size=40), st.floats(0, 1))
def test_no_grid_splits_a_cluster(members: list[tuple[int, float]], offset: float) -> None:
    # Clusters narrower than the tolerance, 1.5 tolerances and more apart, wherever they lie.
    distance = 2.0 + offset * 0.01 + np.array([(2.5 * k + spread) * TOLERANCE for k, spread in members])
    cluster = np.array([k for k, _ in members])
    snapped = one_group(distance)
    for k in np.unique(cluster):
        assert len(np.unique(snapped[cluster == k])) == 1
        assert snapped[cluster == k][0] == pytest.approx(distance[cluster == k].mean(), abs=1e-9)
    assert len(np.unique(snapped)) == len(np.unique(cluster))


def test_a_wide_chain_is_cut() -> None:
    chain = np.linspace(2.0, 2.5, 2001)  # every gap is a quarter of the tolerance
    snapped = one_group(chain)
    assert np.abs(snapped - chain).max() <= TOLERANCE
    assert len(np.unique(snapped)) > 400
    # Within such a chain, what symmetry makes equal up to rounding stays together.
    twice = one_group(np.concatenate([chain, chain + 1e-11]))
    np.testing.assert_array_equal(twice[:2001], twice[2001:])


def test_groups_are_snapped_by_themselves() -> None:
    group, distance = np.array([0, 1, 0, 1]), np.array([2.0, 2.0005, 2.0009, 2.0006])
    np.testing.assert_allclose(snap(group, distance, TOLERANCE), [2.00045, 2.00055, 2.00045, 2.00055], atol=1e-9)


@given(distances, st.integers(1, 3), st.integers(0, 999))
def test_snapping_depends_on_no_order_bit_by_bit(distance: np.ndarray, n_groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    group, order = rng.integers(0, n_groups, len(distance)), rng.permutation(len(distance))
    snapped = snap(group, distance, TOLERANCE)
    np.testing.assert_array_equal(snap(group[order], distance[order], TOLERANCE), snapped[order])
    np.testing.assert_array_equal(snap(np.tile(group, 3), np.tile(distance, 3), TOLERANCE)[: len(group)], snapped)
    # Nor on what else there is, nor on how groups are numbered; above two million of them another sort is used.
    other = np.concatenate([rng.uniform(0, 9, 20), distance])
    beside = snap(np.concatenate([np.full(20, 7), group]), other, TOLERANCE)
    np.testing.assert_array_equal(beside[20:], snapped)
    np.testing.assert_array_equal(snap(group + 2**30, distance, TOLERANCE), snapped)


def test_nothing_is_snapped_to_nothing() -> None:
    assert snap(np.zeros(0, np.int64), np.zeros(0), TOLERANCE).shape == (0,)


@given(distances, st.integers(0, 999))
def test_pairs_are_sorted_by_group_and_distance(distance: np.ndarray, seed: int) -> None:
    group = np.random.default_rng(seed).integers(0, 4, len(distance))
    for numbering in (group, group + 2**30):
        order = sort_by_distance(numbering, distance)
        rows = list(zip(group[order], distance[order] + 1e-9 * group[order], strict=True))
        assert all(a[0] < b[0] or a[1] <= b[1] + 1e-8 for a, b in pairwise(rows))


# ---------------------------------------------------------------- classes and rows


class Graph:
    """Sites with labels, each with neighbours at distances; pairs sorted as the reduction wants them."""

    def __init__(self, label: list[int], pairs: list[tuple[int, int, float]]) -> None:
        self.label = np.array(label)
        ordered = sorted(pairs, key=lambda pair: (pair[0], pair[2], pair[1]))
        self.site, self.neighbor = (np.array([p[k] for p in ordered]) for k in (0, 1))
        self.distance = np.array([p[2] for p in ordered])


def slow_classes(graph: Graph) -> list[int]:
    """Refine labels by multisets of (label of the neighbour, distance) until they are stable."""
    color: list[object] = graph.label.tolist()
    while True:
        seen: list[Counter] = [Counter() for _ in color]
        for i, j, d in zip(graph.site, graph.neighbor, graph.distance, strict=True):
            seen[i][color[j], float(d)] += 1
        names: dict[object, int] = {}
        finer = [names.setdefault((c, frozenset(s.items())), len(names)) for c, s in zip(color, seen, strict=True)]
        if len(set(finer)) == len(set(color)):
            return finer
        color = list(finer)


def regular_graph(n: int, degree: int, n_labels: int, n_distances: int, seed: int) -> Graph:
    """Return random graphs of equal degrees, so that first labels tell little and refinement has work."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(degree):
        other = rng.permutation(n)
        d = float(rng.integers(2, 2 + n_distances))
        pairs += [(i, int(j), d) for i, j in enumerate(other)] + [(int(j), i, d) for i, j in enumerate(other)]
    return Graph(rng.integers(0, n_labels, n).tolist(), pairs)


graphs = st.builds(
    regular_graph, st.integers(1, 24), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(0, 10**6)
)


@given(graphs)
@examples(80)
def test_the_partition_is_that_of_a_naive_colour_refinement(graph: Graph) -> None:
    classes = site_classes(graph.label, graph.site, graph.neighbor, graph.distance)
    slow = slow_classes(graph)
    assert len(set(zip(classes.tolist(), slow, strict=True))) == len(set(slow)) == len(set(classes.tolist()))
    first = [classes.tolist().index(c) for c in range(classes.max() + 1)]
    assert first == sorted(first)


def test_refinement_sees_what_many_steps_away_differs() -> None:
    n = 30
    path = [(i, i + 1, 2.0) for i in range(n - 1)] + [(i + 1, i, 2.0) for i in range(n - 1)]
    ends = [(0, 0, 2.0), (n - 1, n - 1, 2.0)]  # all have two neighbours
    graph = Graph([0] * n, path + ends)
    assert len(set(site_classes(graph.label, graph.site, graph.neighbor, graph.distance))) == 1
    graph = Graph([0] * (n - 1) + [1], path + ends)
    assert len(set(site_classes(graph.label, graph.site, graph.neighbor, graph.distance))) == n
    ring = Graph([0] * n, [*path, (0, n - 1, 2.0), (n - 1, 0, 2.0)])
    assert len(set(site_classes(ring.label, ring.site, ring.neighbor, ring.distance))) == 1


@given(graphs)
@examples(60)
def test_merged_pairs_count_those_of_the_sites(graph: Graph) -> None:
    classes = site_classes(graph.label, graph.site, graph.neighbor, graph.distance)
    reduced = merge(classes, graph.site, graph.neighbor, graph.distance)
    assert reduced.multiplicity.tolist() == np.bincount(classes).tolist()
    assert (classes[reduced.representative] == np.arange(classes.max() + 1)).all()
    merged = Counter()
    for row, other, source, count in zip(
        reduced.pair_row, reduced.pair_neighbor, reduced.pair_source, reduced.count, strict=True
    ):
        merged[int(row), int(other), float(graph.distance[source])] += int(count)
    assert len(merged) == len(reduced.count)
    for site in range(len(classes)):  # every site, not only the representative
        own = graph.site == site
        pairs = Counter(
            zip([int(classes[site])] * own.sum(), classes[graph.neighbor[own]], graph.distance[own], strict=True)
        )
        assert pairs == {k: v for k, v in merged.items() if k[0] == classes[site]}
    keys = list(zip(reduced.pair_row, graph.distance[reduced.pair_source], reduced.pair_neighbor, strict=True))
    assert keys == sorted(keys)


@given(graphs, st.integers(0, 999))
@examples(40)
def test_the_order_of_sites_does_not_matter(graph: Graph, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(graph.label))  # new number -> old number
    number = np.argsort(order)
    pairs = zip(number[graph.site].tolist(), number[graph.neighbor].tolist(), graph.distance.tolist(), strict=True)
    other = Graph(graph.label[order].tolist(), list(pairs))
    ours = site_classes(graph.label, graph.site, graph.neighbor, graph.distance)[order]
    theirs = site_classes(other.label, other.site, other.neighbor, other.distance)
    assert len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == ours.max() + 1 == theirs.max() + 1
