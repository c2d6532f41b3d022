"""Intervals: against the definition row by row, against MAPIE, and how many of new values they hold."""

from typing import ClassVar

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, LeaveOneGroupOut, PredefinedSplit, ShuffleSplit
from sklearn.neighbors import KNeighborsRegressor

from skdim.evaluation import CrossConformalRegressor, KernelRidgeCV
from skdim.evaluation._intervals import mean_and_doubt
from tests.daily import crossed, slow


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
    model = CrossConformalRegressor(regressor, cv=KFold(5, shuffle=True, random_state=0)).fit(X, y)
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
    kernel = CrossConformalRegressor(KernelRidgeCV("laplacian", cv=None), cv=5, random_state=0).fit(*noisy(40))
    model = CrossConformalRegressor(Counting("laplacian", cv=None), cv=5, random_state=0).fit(*noisy(40))
    new, _ = noisy(30, seed=1)
    whole, of_kernel = (one.predict_intervals(new, [0.5, 0.8]) for one in (model, kernel))
    monkeypatch.setattr("skdim.evaluation._intervals.ENTRIES", 400)
    Counting.counts.clear()
    np.testing.assert_allclose(model.predict_intervals(new, [0.5, 0.8]), whole)
    assert Counting.counts == [10] * 5 * 3
    np.testing.assert_allclose(kernel.predict_intervals(new, [0.5, 0.8]), of_kernel)


KERNELS = ["laplacian", "matern", "linear"]
WEIGHTS = {"some are 0": np.arange(70) % 7 / 3, "none": np.ones(70), "all": np.linspace(0.2, 3, 70)}


@pytest.mark.parametrize(
    ("kernel", "choice", "weighing", "grouped"), crossed(KERNELS, ["error", "likelihood"], WEIGHTS, [False, True])
)
def test_kernels_without_a_block_are_those_that_were_trained_without_it(kernel, choice, weighing, grouped) -> None:
    X, y = noisy(70)
    new, _ = noisy(7, seed=1)
    weights = WEIGHTS[weighing]
    groups = np.arange(70) // 3 if grouped else None
    model = CrossConformalRegressor(KernelRidgeCV(kernel, cv=None, choice=choice), cv=5, random_state=0)
    model.fit(X, y, None if weighing == "none" else weights, groups)
    means, doubts = model._by_blocks(new)
    assert len(means) == model.block_.max() + 1 >= 10
    for block in range(len(means)):
        rows = np.flatnonzero(model.block_ == block)
        rest = np.setdiff1d(np.arange(70), rows)
        (strength,) = {model.fold_[row] for row in rows}
        chosen = model.fold_regressors_[strength]
        # Weights are in units of their mean, which is another one without the block.
        alpha = chosen.alpha_ * weights[weights > 0].mean() / weights[rest][weights[rest] > 0].mean()
        twin = KernelRidgeCV(kernel, [alpha], [chosen.gamma_], cv=None, choice=choice)
        twin.fit(X[rest], y[rest], weights[rest])
        mean, doubt = twin.predict(new, return_std=True)
        np.testing.assert_allclose(means[block], mean, atol=1e-9)
        noise = twin.scale_**2 * (chosen.alpha_ - alpha)  # of a new row, which has the mean weight
        np.testing.assert_allclose(doubts[block], np.sqrt(doubt**2 + noise), atol=1e-9)
        np.testing.assert_allclose(model.errors_[rows], np.abs(twin.predict(X[rows]) - y[rows]), atol=1e-9)
        if groups is not None:
            assert not set(groups[rows]) & set(groups[rest])


def test_distances_are_found_once_for_all_folds(monkeypatch) -> None:
    model = CrossConformalRegressor(KernelRidgeCV("laplacian", cv=None), cv=5, random_state=0).fit(*noisy(40))
    asked, pairs = [], KernelRidgeCV.pairs
    monkeypatch.setattr(KernelRidgeCV, "pairs", lambda self, X: asked.append(len(X)) or pairs(self, X))
    model.predict_interval(noisy(30, seed=1)[0])
    assert asked == [30]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_that_share_distances_are_trained_as_each_by_itself(kernel: str, weighted: bool) -> None:
    X, y = noisy(60)
    weights = np.arange(60) % 7 / 3 if weighted else None
    parts = [np.arange(0, 60, 2), np.arange(40)]
    models, _ = KernelRidgeCV(kernel, cv=None).fit_parts(X, y, parts, weights)
    for model, rows in zip(models, parts, strict=True):
        alone = KernelRidgeCV(kernel, cv=None).fit(X[rows], y[rows], None if weights is None else weights[rows])
        assert (model.alpha_, model.gamma_) == (alone.alpha_, alone.gamma_)
        for found, expected in zip(model.predict(X, True), alone.predict(X, True), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_folds_that_were_given_are_left_out_whole() -> None:
    X, y = noisy(60)
    kernel = KernelRidgeCV("laplacian", cv=None)
    made = CrossConformalRegressor(kernel, 5, random_state=0).fit(X, y)
    given = CrossConformalRegressor(kernel, PredefinedSplit(made.fold_)).fit(X, y)
    np.testing.assert_array_equal(given.block_, given.fold_)
    np.testing.assert_allclose(given.errors_, np.abs(given.held_out_ - y))
    np.testing.assert_array_equal(made.held_out_, given.held_out_)  # by which regressors are compared
    assert len(set(made.block_)) == 10


class Embargo:
    """Folds in a row, whose models do not see the rows beside them either."""

    def split(self, X, y=None, groups=None):
        rows = np.arange(len(X))
        for test in np.array_split(rows, 5):
            yield rows[(rows < test[0] - 3) | (rows > test[-1] + 3)], test


def test_rows_that_a_splitter_keeps_from_a_model_are_not_brought_back() -> None:
    X, y = noisy(60)
    model = CrossConformalRegressor(KernelRidgeCV("laplacian", cv=None), Embargo()).fit(X, y)
    twin = CrossConformalRegressor(Counting("laplacian", cv=None), Embargo()).fit(X, y)
    np.testing.assert_array_equal(model.errors_, twin.errors_)
    np.testing.assert_array_equal(model.predict_interval(X), twin.predict_interval(X))


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


@pytest.mark.slow
def test_five_rows_left_out_hold_what_they_say_with_narrower_intervals_than_whole_folds() -> None:
    rng, held, width = np.random.default_rng(0), [], []
    for seed in range(20):
        X = rng.uniform(-2, 2, size=(500, 2))
        y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=500)
        folds = KFold(5, shuffle=True, random_state=seed)
        for place, cv in enumerate((5, folds)):
            model = CrossConformalRegressor(KernelRidgeCV("matern", cv=None), cv, random_state=seed)
            lower, upper = model.fit(X[:100], y[:100]).predict_interval(X[100:]).T
            held.append((place, np.mean((y[100:] >= lower) & (y[100:] <= upper))))
            width.append((place, np.mean(upper - lower)))
    (few, whole), (narrow, wide) = ([np.mean([v for k, v in own if k == p]) for p in (0, 1)] for own in (held, width))
    assert 0.88 < few < whole < 0.98
    assert abs(few - 0.9) < abs(whole - 0.9)
    assert narrow < 0.95 * wide


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
