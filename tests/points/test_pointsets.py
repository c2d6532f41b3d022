"""PointSets against a plain list of crystals, and as rows in scikit-learn's hands."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing, check_consistent_length, resample, shuffle
from sklearn.utils.validation import _num_samples, indexable

from skdim.points import pointsets
from skdim.points.pointsets import PointSets
from skdim.points.sitetypes import SiteTypes
from tests.counted import calls_in
from tests.daily import examples
from tests.pointset_twin import as_list, make_sets

layouts = st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=8)


@st.composite
def sets_and_key(draw: st.DrawFn) -> tuple[PointSets, object]:
    sets = make_sets(draw(layouts), seed=draw(st.integers(0, 99)))
    n = len(sets)
    positions = st.lists(st.integers(-n, n - 1), max_size=10)
    key = draw(
        st.one_of(
            st.integers(-n, n - 1),
            st.slices(n),
            positions,
            positions.map(lambda p: np.array(p, dtype=np.int32)),
            st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
        )
    )
    return sets, key


@given(sets_and_key())
@examples(150)
def test_indexing_is_that_of_a_list_of_crystals(drawn: tuple[PointSets, object]) -> None:
    sets, key = drawn
    positions = np.atleast_1d(np.arange(len(sets))[np.asarray(key, int) if isinstance(key, list) else key])
    crystals = as_list(sets)
    chosen = sets[key]
    assert isinstance(chosen, PointSets)
    assert as_list(chosen.validate()) == [crystals[p] for p in positions]
    assert chosen.site_types is sets.site_types
    assert len(chosen) == len(positions)


@given(layouts, st.lists(st.integers(0, 8), max_size=4))
@examples(50)
def test_cutting_and_joining_gives_back_the_same(layout: list[list[int]], cuts: list[int]) -> None:
    sets = make_sets(layout)
    ends = [0, *sorted(min(c, len(sets)) for c in cuts), len(sets)]
    joined = PointSets.concatenate(sets[a:b] for a, b in pairwise(ends))
    assert joined.equals(sets)
    assert joined.site_types is sets.site_types


@given(layouts, layouts)
@examples(50)
def test_joining_sets_with_their_own_kinds_is_list_addition(a: list[list[int]], b: list[list[int]]) -> None:
    one, other = make_sets(a, seed=1), make_sets(b, seed=2)
    joined = PointSets.concatenate([one, other]).validate()
    assert as_list(joined) == as_list(one) + as_list(other)
    assert len(np.unique(joined.site_types.features, axis=0)) == len(joined.site_types)
    assert joined.equals(PointSets.concatenate(list(joined)))


def test_a_joined_kind_is_one_whatever_the_sign_of_zero() -> None:
    one = make_sets([[1]], n_site_types=1)
    features = np.array([[-0.0, 2.0]])
    first, second = (
        replace(one, site_types=SiteTypes(f, one.site_types.fractions)) for f in (features, features * [-1, 1])
    )
    third = replace(one, site_types=SiteTypes(features * 2 + 1, one.site_types.fractions))
    joined = PointSets.concatenate([first, second, third])
    assert len(joined.site_types) == 2
    assert joined.site_type.tolist() == [0, 0, 1]


def test_sets_made_otherwise_are_not_joined() -> None:
    sets = make_sets([[1, 2]])
    other = replace(sets, settings={**sets.settings, "n_neighbors": 12})
    with pytest.raises(ValueError, match=r"item 1 was not made as item 0 was \(n_neighbors: 48, 12"):
        PointSets.concatenate([sets, other])
    with pytest.raises(ValueError, match="feature_names"):
        PointSets.concatenate([sets, replace(sets, feature_names=("Row", "occupancy"))])
    with pytest.raises(ValueError, match="nothing to join"):
        PointSets.concatenate([])
    with pytest.raises(TypeError, match="item 1 is list"):
        PointSets.concatenate([sets, [1]])
    assert not sets.equals(other)
    assert not sets.equals([1])


def test_settings_equal_their_json_form() -> None:
    sets = make_sets([[1, 2]])
    before = replace(sets, settings={"interaction_features": ("distance",)})
    after = replace(sets, settings={"interaction_features": ["distance"]})
    assert before.equals(after)
    assert len(PointSets.concatenate([before, after])) == 2


@pytest.mark.parametrize("key", [5, -6, [0, 5], np.array([-6]), [True, False], [0.5], "a", None, (0, 1), [[0]], True])
def test_a_key_that_selects_no_rows_is_an_index_error(key: object) -> None:
    with pytest.raises(IndexError, match=r"out of range for 5 crystals|2 entries for 5|does not select"):
        make_sets([[1]] * 5)[key]


def test_consecutive_crystals_share_memory_and_scattered_ones_do_not() -> None:
    sets = make_sets([[2, 1]] * 6)
    for view in (sets[1:4], sets[np.array([1, 2, 3])], sets[2], sets[...]):
        assert np.shares_memory(view.distance, sets.distance)
    assert not np.shares_memory(sets[[0, 2]].distance, sets.distance)


def test_sizes_of_crystals_with_failed_ones_between() -> None:
    sets = make_sets([[], [3], [], [1, 0, 2], []])
    assert sets.valid.tolist() == [False, True, False, True, False]
    assert sets.n_sites.tolist() == [0, 1, 0, 3, 0]
    assert sets.n_pairs.tolist() == [0, 3, 0, 3, 0]
    assert [len(one) for one in sets] == [1] * 5
    assert PointSets.concatenate(list(sets)).equals(sets)
    empty = PointSets.empty(2, sets.site_types, sets.feature_names, sets.interaction_names, sets.settings).validate()
    assert PointSets.concatenate([empty, sets])[2:].equals(sets)


def test_repr_tells_the_sizes() -> None:
    text = repr(make_sets([[30] * 40] * 3 + [[]]))
    assert text == (
        "PointSets(4 crystals (1 failed), 120 site rows, 3,600 pairs, 2 site features, 2 interaction features, "
        "shell neighborhood)"
    )


def test_numpy_does_not_make_an_array_of_it() -> None:
    sets = make_sets([[1, 2], [3]])
    with pytest.raises(TypeError, match="cannot become an array"):
        np.asarray(sets)
    box = np.empty(1, dtype=object)
    box[0] = sets
    assert box[0] is sets


def test_copies_and_pickles_are_equal_and_frozen() -> None:
    sets = make_sets([[1, 2], [], [3]])
    for other in (pickle.loads(pickle.dumps(sets)), copy.copy(sets), copy.deepcopy(sets)):
        assert other.equals(sets)
    assert joblib.hash(sets) == joblib.hash(pickle.loads(pickle.dumps(sets)))
    assert PointSets.concatenate([sets, pickle.loads(pickle.dumps(sets))]).site_types is sets.site_types
    with pytest.raises(AttributeError):
        sets.distance = sets.weight  # type: ignore[misc]


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("site_type", lambda a: a + 4, "site_type must be a row of site_types: entry 0"),
        ("site_type", lambda a: a.astype(np.int64), "site_type must be int32"),
        ("neighbor", lambda a: a + 2, "neighbor must be a row of its crystal"),
        ("distance", lambda a: -a, "distance must be from 0 to"),
        ("weight", lambda a: a + 1, "weight must be in"),
        ("count", lambda a: a * 0, "count must be at least 1"),
        ("extra", lambda a: a * np.nan, "extra must be finite"),
        ("extra", lambda a: a[:, :0], "extra must be float32 of shape"),
        ("volume", lambda a: a * np.nan, "volume must be positive"),
        ("volume", lambda a: a[1:], r"volume must be float32 of shape \(2,\)"),
        ("pair_offsets", lambda a: a + 1, "pair_offsets must be one-dimensional and begin with 0"),
        ("pair_offsets", lambda a: a[[0, 2, 1, 3]], "pair_offsets must not decrease"),
        ("interaction_names", lambda a: a[::-1], "interaction_names must begin with 'distance'"),
        ("feature_names", lambda a: a[:1], "site_types.features must be float64"),
    ],
)
def test_columns_that_do_not_fit_are_named(column: str, change: object, message: str) -> None:
    sets = make_sets([[1, 2], [3]])
    broken = replace(sets, **{column: change(getattr(sets, column))})  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        broken.validate()


class MeanDistance(TransformerMixin, BaseEstimator):
    """Mean distance and total count of each crystal: a transformer that refuses anything but PointSets."""

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

    def fit(self, X: PointSets, y: object = None) -> MeanDistance:
        self.n_rows_ = len(X)
        return self

    def transform(self, X: PointSets) -> np.ndarray:
        if not isinstance(X, PointSets):
            raise TypeError(f"got {type(X)}")
        return np.array([[np.mean(one.distance**self.power), one.count.sum()] for one in X])


def test_scikit_learn_indexes_rows_and_keeps_the_type() -> None:
    sets = make_sets([[2] * (1 + i % 3) for i in range(30)])
    y = np.arange(30.0)
    assert _num_samples(sets) == 30
    check_consistent_length(sets, y)
    assert indexable(sets, y)[0] is sets
    mask = y > 20
    for key in (np.array([3, 1]), [3, 1], mask, mask.tolist(), slice(2, 9, 2), 4, range(3)):
        chosen = _safe_indexing(sets, list(key) if isinstance(key, range) else key)
        assert isinstance(chosen, PointSets)
    train, test, _, y_test = train_test_split(sets, y, random_state=0)
    assert isinstance(train, PointSets)
    assert test.equals(sets[y_test.astype(int)])
    assert shuffle(sets, y, random_state=0)[0].equals(sets[shuffle(np.arange(30), random_state=0)])
    assert isinstance(resample(sets, random_state=0), PointSets)


@pytest.mark.slow
def test_it_passes_through_pipelines_and_searches(tmp_path: Path) -> None:
    sets = make_sets([[2] * (1 + i % 3) for i in range(30)])
    y = np.arange(30.0)
    model = make_pipeline(MeanDistance(), Ridge(), memory=joblib.Memory(tmp_path, verbose=0))
    assert np.isfinite(cross_val_score(model, sets, y, cv=KFold(3, shuffle=True, random_state=0))).all()
    assert cross_val_predict(model, sets, y, cv=3).shape == (30,)
    search = GridSearchCV(model, {"meandistance__power": [1, 2]}, cv=3, n_jobs=2).fit(sets, y)
    assert search.best_estimator_[0].n_rows_ == 30
    assert search.predict(sets[:4]).shape == (4,)


def test_choosing_many_crystals_takes_no_more_steps_than_choosing_two() -> None:
    sets, rng = make_sets([[8] * 4] * 10_000), np.random.default_rng(0)
    few, many = (rng.choice(10_000, n, replace=False) for n in (2, 5_000))
    assert calls_in(lambda: sets[many]) == calls_in(lambda: sets[few])
    assert len(sets[many]) == 5_000


def test_saved_sets_come_back_equal_read_or_mapped(tmp_path: Path) -> None:
    sets = make_sets([[2, 1], [], [3], [0, 4, 1], [1]])
    folder = tmp_path / "a" / "sets"
    sets.save(folder)
    loaded, mapped = PointSets.load(folder), PointSets.load(folder, mmap_mode="r")
    for other in (loaded, mapped):
        assert other.equals(sets)
        assert other[[4, 0]].equals(sets[[4, 0]])
        assert joblib.hash(other[1:4]) == joblib.hash(loaded[1:4])
    assert PointSets.concatenate([mapped, sets])[5:].equals(sets)
    mapped.save(folder)  # replaces the files it is mapped from
    assert PointSets.load(folder).equals(sets)
    assert [p.name for p in folder.parent.iterdir()] == ["sets"]


FORMER = {"site_type": "kind", "site_types_features": "kinds_features", "site_types_fractions": "kinds_fractions"}


@pytest.mark.parametrize("mode", [None, "r"])
def test_sets_of_the_former_layout_open(tmp_path: Path, mode: Literal["r"] | None) -> None:
    sets = make_sets([[2, 1], [], [3]])
    sets.save(tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    meta["version"] = 1
    meta["arrays"] = {FORMER.get(name, name): entry for name, entry in meta["arrays"].items()}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    for now, before in FORMER.items():
        (tmp_path / f"{now}.npy").rename(tmp_path / f"{before}.npy")
    assert PointSets.load(tmp_path, mmap_mode=mode).equals(sets)


def test_former_names_warn() -> None:
    sets = make_sets([[2, 1]])
    with pytest.warns(DeprecationWarning, match=r"PointSets\.kind is now PointSets\.site_type"):
        assert sets.kind is sets.site_type
    with pytest.warns(DeprecationWarning, match=r"PointSets\.kinds is now PointSets\.site_types"):
        assert sets.kinds is sets.site_types
    with pytest.warns(DeprecationWarning, match="Kinds is now SiteTypes"):
        assert pointsets.Kinds is SiteTypes


def test_mapped_sets_read_only_what_is_indexed(tmp_path: Path) -> None:
    sets = make_sets([[50] * 4] * 100)
    sets.save(tmp_path / "sets")
    with (tmp_path / "sets" / "distance.npy").open("r+b") as handle:
        handle.seek(-4, 2)
        handle.write(np.array([-1], np.float32).tobytes())
    mapped = PointSets.load(tmp_path / "sets", mmap_mode="r")
    assert isinstance(mapped.distance.base, np.memmap)
    assert np.shares_memory(mapped[3:50].distance, mapped.distance)
    assert mapped[:99].equals(sets[:99])
    with pytest.raises(ValueError, match=r"distance must be from 0 to 1e\+06: entry 199 does not"):
        mapped[99].validate()
    with pytest.raises(ValueError, match=r"distance\.npy is damaged: its checksum differs"):
        PointSets.load(tmp_path / "sets")


def test_sets_without_crystals_or_pairs_are_saved_too(tmp_path: Path) -> None:
    for number, layout in enumerate(([], [[]], [[0, 0]])):
        sets = make_sets(layout)
        sets.save(tmp_path / str(number))
        for mode in (None, "r"):
            assert PointSets.load(tmp_path / str(number), mmap_mode=mode).equals(sets)
