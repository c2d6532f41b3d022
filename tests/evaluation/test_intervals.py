"""Intervals: against the definition row by row, against MAPIE, and how many of new values they hold."""

from typing import ClassVar

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, LeaveOneGroupOut, ShuffleSplit
from sklearn.neighbors import KNeighborsRegressor

from skdim.evaluation import CrossConformalRegressor, KernelRidgeCV
from skdim.evaluation._intervals import mean_and_doubt
from tests.daily import slow


def noisy(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose noise grows with the second column."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X[:, 0] + np.exp(X[:, 1]) * rng.normal(size=n)


FOREST = RandomForestRegressor(10, random_state=0)


@pytest.mark.parametrize("regressor", [LinearRegression(), KernelRidgeCV("laplacian", cv=None), *slow(FOREST)])
def test_the_ends_are_quantiles_of_what_each_fold_says(regressor) -> None:
    X, y = noisy(40)
    new, _ = noisy(7, seed=1)
    model = CrossConformalRegressor(regressor, cv=5, random_state=0).fit(X, y)
    found = model.predict_interval(new, coverage=0.8)
    low, high = np.empty((7, 40)), np.empty((7, 40))
    for row in range(40):
        seen_not = model.fold_regressors_[model.fold_[row]]
        (at_row,), (doubt_row,) = mean_and_doubt(seen_not, X[[row]])
        at_new, doubt_new = mean_and_doubt(seen_not, new)
        away = abs(at_row - y[row]) * (doubt_new + model.floor_) / (doubt_row + model.floor_)
        low[:, row], high[:, row] = at_new - away, at_new + away
    for place in range(7):
        # The 33rd of 40 from below and from above: 0.8 times 41, rounded up.
        np.testing.assert_allclose(found[place], [sorted(low[place], reverse=True)[32], sorted(high[place])[32]])


class Counting(KernelRidgeCV):
    """Keeps how many rows it was asked to predict at once."""

    counts: ClassVar[list[int]] = []

    def predict(self, X, return_std=False):
        self.counts.append(len(X))
        return super().predict(X, return_std)


def test_many_rows_are_predicted_in_blocks_as_a_table_of_all_would_not_fit_into_memory(monkeypatch) -> None:
    model = CrossConformalRegressor(Counting("laplacian", cv=None), cv=5, random_state=0).fit(*noisy(40))
    new, _ = noisy(30, seed=1)
    whole = model.predict_intervals(new, [0.5, 0.8])
    monkeypatch.setattr("skdim.evaluation._intervals.ENTRIES", 400)
    Counting.counts.clear()
    np.testing.assert_allclose(model.predict_intervals(new, [0.5, 0.8]), whole)
    assert Counting.counts == [10] * 5 * 3


@pytest.mark.parametrize("kernel", ["laplacian", "matern", "linear"])
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_that_share_distances_predict_what_each_does_by_itself(kernel: str, weighted: bool, monkeypatch) -> None:
    X, y = noisy(40)
    weights = np.where(np.arange(40) % 7 == 0, 0.0, 1.0) if weighted else None  # rows of weight 0 are not trained on
    model = CrossConformalRegressor(KernelRidgeCV(kernel, cv=None), cv=5, random_state=0).fit(X, y, weights)
    new, _ = noisy(30, seed=1)
    shared = model.predict_interval(new)
    monkeypatch.setattr(KernelRidgeCV, "predict_by_parts", lambda *_: None)
    np.testing.assert_array_equal(shared, model.predict_interval(new))


def test_distances_are_found_once_for_all_folds(monkeypatch) -> None:
    model = CrossConformalRegressor(KernelRidgeCV("laplacian", cv=None), cv=5, random_state=0).fit(*noisy(40))
    asked, pairs = [], KernelRidgeCV._pairs
    monkeypatch.setattr(KernelRidgeCV, "_pairs", lambda self, X: asked.append(len(X)) or pairs(self, X))
    model.predict_interval(noisy(30, seed=1)[0])
    assert asked == [30]


class Padded(KernelRidgeCV):
    """Tells its doubt with the floor added, as the intervals here do."""

    floor = 0.0

    def predict(self, X, return_std=False):
        found = super().predict(X, return_std)
        return (found[0], found[1] + self.floor) if return_std else found


@pytest.mark.slow
def test_they_are_those_of_mapie() -> None:
    scores = pytest.importorskip("mapie.conformity_scores")
    from mapie.regression import CrossConformalRegressor as Theirs

    X, y = noisy(60)
    new, _ = noisy(20, seed=1)
    folds = KFold(5, shuffle=True, random_state=0)
    ours = CrossConformalRegressor(KernelRidgeCV("laplacian", cv=None), cv=folds).fit(X, y)
    Padded.floor = ours.floor_
    theirs = Theirs(
        Padded("laplacian", cv=None), confidence_level=0.9, cv=folds, conformity_score=scores.StdConformityScore()
    )
    _, ends = theirs.fit_conformalize(X, y).predict_interval(new)
    np.testing.assert_allclose(ours.predict_interval(new, coverage=0.9), ends[:, :, 0], rtol=1e-9)


@pytest.mark.slow
def test_on_average_they_hold_what_they_say_and_are_wide_where_the_noise_is() -> None:
    held, narrow, wide = [], [], []
    for seed in range(30):
        X, y = noisy(300, seed)
        lower, upper = CrossConformalRegressor(Ridge(), random_state=0).fit(X[:50], y[:50]).predict_interval(X[50:]).T
        held.append(np.mean((y[50:] >= lower) & (y[50:] <= upper)))
        forest = CrossConformalRegressor(RandomForestRegressor(20, random_state=0), 5, 0) if seed < 3 else None
        if forest is not None:
            width = np.diff(forest.fit(X[:100], y[:100]).predict_interval(X[100:]), axis=1)[:, 0]
            narrow.append(width[X[100:, 1] < 0].mean())
            wide.append(width[X[100:, 1] > 1].mean())
    assert 0.87 < np.mean(held) < 0.95
    assert np.mean(wide) > 1.5 * np.mean(narrow)


def test_more_coverage_makes_wider_intervals_that_hold_the_narrower() -> None:
    X, y = noisy(60)
    model = CrossConformalRegressor(KernelRidgeCV("laplacian", cv=None)).fit(X, y)
    ends = model.predict_intervals(X, [0.5, 0.8, 0.95])
    assert (np.diff(ends[..., 0], axis=0) <= 0).all()
    assert (np.diff(ends[..., 1], axis=0) >= 0).all()


def test_groups_stay_together_and_rows_that_are_not_scored_leave_no_error() -> None:
    X, y = noisy(60)
    groups = np.repeat(np.arange(6), 10)
    model = CrossConformalRegressor(Ridge(), cv=10, random_state=0).fit(X, y, groups=groups)
    assert len(model.fold_regressors_) == 6
    assert all(len(set(model.fold_[groups == group])) == 1 for group in range(6))
    same = CrossConformalRegressor(Ridge(), LeaveOneGroupOut()).fit(X, y, groups=groups)
    assert sorted(same.scores_) == pytest.approx(sorted(model.scores_))
    part = CrossConformalRegressor(Ridge(), random_state=0).fit(X, y, scored=groups > 0)
    assert len(part.scores_) == 50


def test_what_cannot_be_done_is_refused_with_what_is_needed() -> None:
    X, y = noisy(12)
    model = CrossConformalRegressor(KNeighborsRegressor(2)).fit(X, y)
    with pytest.raises(ValueError, match=r"coverage=0.95 needs at least 19 labels, got 12.*at most 0.92"):
        model.predict_interval(X, 0.95)
    with pytest.raises(ValueError, match="coverage must be a number > 0 and < 1, got 1"):
        model.predict_interval(X, 1)
    with pytest.raises(ValueError, match="12 labelled rows are of 1 group; at least 2 groups"):
        CrossConformalRegressor(Ridge()).fit(X, y, groups=["a"] * 12)
    with pytest.raises(ValueError, match="cv must be an integer >= 2, got 1"):
        CrossConformalRegressor(Ridge(), cv=1).fit(X, y)
    with pytest.raises(ValueError, match="cv must hold out every row exactly once"):
        CrossConformalRegressor(Ridge(), cv=ShuffleSplit(3, random_state=0)).fit(X, y)
    with pytest.raises(ValueError, match="got 1 in all 12 labelled rows"):
        CrossConformalRegressor(Ridge()).fit(X, np.ones(12))
