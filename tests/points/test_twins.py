"""Near-duplicates: an obvious twin with loops, groups that are joined, and no matter which cell was chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skdim import CrystalPointSetTransformer
from skdim.points import twins as module
from skdim.points.twins import label_close, together, twins
from tests.daily import examples
from tests.handmade import perovskite, salt, silicon


def obvious(kinds, vectors, tolerance) -> list[int]:
    """Pass labels on until nothing changes."""
    labels = list(range(len(kinds)))
    for _ in kinds:
        for a in range(len(kinds)):
            for b in range(len(kinds)):
                if kinds[a] == kinds[b] and np.sqrt(np.mean((vectors[a] - vectors[b]) ** 2)) <= tolerance:
                    labels[a] = labels[b] = min(labels[a], labels[b])
    return [sorted(set(labels)).index(label) for label in labels]


@examples(50)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=1, max_size=12))
def test_labels_are_those_of_loops(rows) -> None:
    kinds, vectors = [kind for kind, _ in rows], np.array([[float(v), 2.0 * v] for _, v in rows])
    assert label_close(kinds, vectors, 1.7).tolist() == obvious(kinds, vectors, 1.7)


def test_many_rows_of_one_kind_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).integers(0, 30, (60, 1)).astype(float)
    whole = label_close(["a"] * 60, vectors, 1.0)
    monkeypatch.setattr(module, "_ROWS", 7)
    assert label_close(["a"] * 60, vectors, 1.0).tolist() == whole.tolist()


@examples(50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5)), min_size=2, max_size=10))
def test_joined_groups_hold_every_group_and_all_twins(rows) -> None:
    groups, alike = np.array([group for group, _ in rows]), np.array([number for _, number in rows])
    joined = together(groups, alike)
    assume(joined is not groups)
    assert len(set(joined.tolist())) > 1
    for same in (groups, alike):
        for name in set(same.tolist()):
            assert len(set(joined[same == name].tolist())) == 1


def test_nothing_is_joined_without_twins_or_where_nothing_would_be_left_to_hold_out() -> None:
    groups = np.array(["a", "b", "b"], dtype=object)
    assert together(groups, np.arange(3)) is groups
    assert together(None, np.zeros(3, np.int64)) is None
    assert together(groups, np.array([0, 0, 1])) is groups


def test_another_cell_of_a_crystal_is_its_twin_and_another_composition_is_none() -> None:
    crystals = [salt(), perovskite(), salt() * (2, 1, 1), silicon()]
    points = CrystalPointSetTransformer().fit_transform(crystals)
    assert twins(points, np.zeros((4, 3), np.float32)).tolist() == [0, 1, 0, 2]
    assert twins(points, np.array([[0.0], [0.0], [1.0], [0.0]], np.float32)).tolist() == [0, 1, 2, 3]
