"""LabelMaskingRegressor: pretraining on every row, labels on few; how often it pretrains; scores where y is known."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import LabelMaskingRegressor, SiteNetRegressor, masked_scorer
from tests.array_rows import crystals
from tests.masked import MAE, data, embedder, model, pretrainings
from tests.small import bundled


class Embedding(RegressorMixin, BaseEstimator):
    """A regressor of crystals that starts from an embedder, as SiteNetRegressor does."""

    def __init__(self, embedder: Any = None) -> None:
        self.embedder = embedder

    def fit(self, X: Any, y: Any) -> Embedding:
        self.head_ = Ridge(10.0).fit(self.embedder.transform(X), y)
        self.n_rows_ = len(X)
        return self

    def predict(self, X: Any) -> Any:
        return self.head_.predict(self.embedder.transform(X))


def test_it_is_the_embedder_on_all_rows_and_the_regressor_on_the_labelled() -> None:
    points, y = data(40, unknown=15)
    fitted = model().fit(points, y)
    known = np.flatnonzero(~np.isnan(y))
    vectors = embedder().fit(points).transform(points)
    expected = Ridge(10.0).fit(vectors[known], y[known]).predict(vectors)
    assert np.array_equal(fitted.labelled_, known)
    assert fitted.predict(points) == pytest.approx(expected, abs=1e-4)
    alone = model().fit(points[known], y[known]).predict(points)
    assert np.abs(fitted.predict(points) - alone).max() > 1e-3  # rows without labels matter


def test_no_crystals_have_no_predictions() -> None:
    points, y = data(20)
    assert model().fit(points, y).predict([]).shape == (0,)
    assert model().fit(points, np.stack([y, -y], 1)).predict(points[:0]).shape == (0, 2)


def test_labels_that_are_not_drawn_and_those_of_unlabelled_rows_do_not_matter() -> None:
    points, y = data()
    first = model(n_labels=10).fit(points, y)
    others = np.setdiff1d(np.arange(40), first.labelled_)
    y[others] = 1e6
    second = model(n_labels=10).fit(points, y)
    assert np.array_equal(first.labelled_, second.labelled_)
    assert np.array_equal(first.predict(points), second.predict(points))


def test_choices_of_labels_are_nested_seeded_and_uniform() -> None:
    points, y = data(40, unknown=10)
    frozen = FrozenEstimator(embedder(max_epochs=0).fit(points))
    drawn = {n: set(model(embedder=frozen, n_labels=n).fit(points, y).labelled_) for n in (1, 5, 20, 30)}
    assert [len(rows) for rows in drawn.values()] == [1, 5, 20, 30]
    assert drawn[1] < drawn[5] < drawn[20] < drawn[30] == set(np.flatnonzero(~np.isnan(y)))
    times = np.zeros(40)
    for seed in range(60):
        few = model(embedder=frozen, n_labels=10, random_state=seed).fit(points, y).labelled_
        assert list(few) == sorted(set(few))
        times[few] += 1
    assert (times[np.isnan(y)] == 0).all()
    assert times[~np.isnan(y)].min() > 5  # twenty are expected, with a deviation of 3.7
    assert times.max() < 36


def test_no_global_generator_is_touched_by_the_choice_of_labels() -> None:
    points, y = data(20)
    np.random.seed(1)  # noqa: NPY002 - the one that must not matter
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    model(n_labels=5).fit(points, y)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_frozen_embedder_is_used_as_it_is(tmp_path: Path) -> None:
    points, y = data()
    trained = embedder().fit(points[20:])
    fitted = model(embedder=FrozenEstimator(trained), memory=tmp_path).fit(points[:20], y[:20])
    vectors = trained.transform(points)
    assert fitted.predict(points) == pytest.approx(Ridge(10.0).fit(vectors[:20], y[:20]).predict(vectors), abs=1e-4)
    assert pretrainings(tmp_path) == 0
    assert np.array_equal(clone(fitted).fit(points[:20], y[:20]).predict(points), fitted.predict(points))
    with pytest.raises(NotFittedError):
        model(embedder=FrozenEstimator(embedder())).fit(points, y)


def test_a_plain_embedder_is_pretrained_anew_and_left_alone() -> None:
    points, y = data(20)
    given = embedder().fit(points[:10])
    before = given.transform(points)
    fitted = model(embedder=given).fit(points, y)
    assert np.array_equal(given.transform(points), before)
    assert np.array_equal(fitted.embedder_.transform(points), embedder().fit(points).transform(points))


@pytest.mark.parametrize("nested", [False, True])
def test_a_regressor_with_an_embedder_starts_from_the_one_of_this_fit(nested: bool) -> None:
    points, y = data()
    inner: Any = Embedding()
    regressor = GridSearchCV(inner, {}, cv=2) if nested else inner
    fitted = model(regressor=regressor, n_labels=12).fit(bundled(40)[0], y)
    best = fitted.regressor_.best_estimator_ if nested else fitted.regressor_
    assert best.n_rows_ == 12
    assert np.array_equal(best.embedder.transform(points), fitted.embedder_.transform(points))
    plain = model(n_labels=12).fit(points, y)
    assert fitted.predict(points) == pytest.approx(plain.predict(points), abs=1e-3)
    assert inner.embedder is None
    assert clone(fitted).get_params()["regressor"].get_params().get("embedder") is None
    with pytest.raises(ValueError, match=r"embedder of the regressor must be None, .* got DeepInfoMaxEmbedder"):
        model(regressor=Embedding(embedder())).fit(points, y)


def test_site_net_is_fine_tuned_from_the_embedder_of_this_fit() -> None:
    points, y = data(40, unknown=5)
    start = SiteNetRegressor(max_epochs=1, random_state=0)
    fitted = model(regressor=start, n_labels=24).fit(points, y)
    alone = clone(start).set_params(embedder=embedder().fit(points))
    rows = fitted.labelled_
    assert np.array_equal(fitted.predict(points), alone.fit(points[rows], y[rows]).predict(points))
    assert not np.allclose(fitted.predict(points), clone(start).fit(points[rows], y[rows]).predict(points), atol=1e-3)
    search = GridSearchCV(model(regressor=start), {"n_labels": [8, 12]}, cv=2, scoring=MAE, error_score="raise")
    assert np.isfinite(search.fit(points, y).cv_results_["mean_test_score"]).all()


def test_partly_labelled_y_is_cross_validated() -> None:
    points, y = data(40, unknown=10)
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(model(), points, y, cv=folds, scoring=MAE, error_score="raise")
    by_hand = []
    for train, test in folds.split(y):
        known = test[~np.isnan(y[test])]
        by_hand.append(-mean_absolute_error(y[known], model().fit(points[train], y[train]).predict(points[known])))
    assert scores == pytest.approx(by_hand, rel=1e-5)
    both = {"r2": masked_scorer("r2"), "mae": MAE}
    several = cross_validate(model(), points, y, cv=folds, scoring=both, error_score="raise")
    assert several["test_mae"] == pytest.approx(scores)
    default = cross_val_score(model(), points, y, cv=folds, error_score="raise")
    assert default == pytest.approx(several["test_r2"])


def test_parameters_of_embedder_and_labels_are_searched_together() -> None:
    structures, y = bundled(24)[0], data(24, unknown=4)[1]
    grid = {"embedder__max_epochs": [0, 1], "n_labels": [4, 8]}
    search = GridSearchCV(model(), grid, cv=2, scoring=MAE, error_score="raise").fit(structures, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.best_estimator_.labelled_) == search.best_params_["n_labels"]
    assert search.predict(structures[:3]).shape == (3,)


def test_a_masked_score_is_the_score_of_the_known_rows() -> None:
    points, y = data(30)
    fitted = model().fit(points, y)
    weights = np.linspace(1, 2, 30)
    known = np.arange(30) % 3 == 0
    masked = np.where(known, y, np.nan)
    expected = r2_score(y[known], fitted.predict(points[known]), sample_weight=weights[known])
    for score in (masked_scorer("r2"), pickle.loads(pickle.dumps(masked_scorer("r2"))), LabelMaskingRegressor.score):
        assert score(fitted, points, masked, sample_weight=weights) == pytest.approx(expected)
    assert masked_scorer("r2")(fitted, points, y) == pytest.approx(fitted.score(points, y))
    assert repr(MAE).startswith("masked_scorer(make_scorer(mean_absolute_error")
    for score in (MAE, LabelMaskingRegressor.score):
        with pytest.raises(ValueError, match="y is NaN in all 30 rows"):
            score(fitted, points, np.full(30, np.nan))
    with pytest.raises(ValueError, match="no_such_score"):
        masked_scorer("no_such_score")


def test_sample_weights_reach_the_regressor_in_the_order_of_the_labelled() -> None:
    points, y = data(20, unknown=5)
    weights = np.linspace(0.1, 5, 20)
    fitted = model(n_labels=12).fit(points, y, sample_weight=weights)
    rows, vectors = fitted.labelled_, fitted.embedder_.transform(points)
    expected = Ridge(10.0).fit(vectors[rows], y[rows], sample_weight=weights[rows]).predict(vectors)
    assert fitted.predict(points) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match=r"regressor=KNeighborsRegressor.*does not accept"):
        model(regressor=KNeighborsRegressor()).fit(points, y, sample_weight=weights)
    with pytest.raises(ValueError, match="sample_weight"):
        model().fit(points, y, sample_weight=weights[:7])


class Composition(TransformerMixin, BaseEstimator):
    """A transformer of crystals that is no embedder of this package: how heavy they are."""

    def fit(self, X: Any, y: Any = None) -> Composition:
        assert y is None
        self.n_rows_ = len(X)
        return self

    def transform(self, X: Any) -> list[list[float]]:
        return [[s.density, float(s.composition.weight) / len(s)] for s in X]


def test_any_other_transformer_of_crystals_may_stand_in_for_the_embedder(tmp_path: Path) -> None:
    structures, y = bundled(30)
    y = np.where(np.arange(30) < 20, y, np.nan)
    control = make_pipeline(StandardScaler(), RandomForestRegressor(10, random_state=0))
    fitted = model(embedder=Composition(), regressor=control, memory=tmp_path).fit(structures, y)
    assert fitted.embedder_.n_rows_ == 30
    vectors = np.array(Composition().transform(structures))
    assert fitted.predict(structures) == pytest.approx(clone(control).fit(vectors[:20], y[:20]).predict(vectors))
    assert pretrainings(tmp_path) == 1


def test_it_is_pickled_and_shown() -> None:
    points, y = data(20)
    fitted = model(n_labels=9).fit(points, y)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict(points), fitted.predict(points))
    for shown in (model(), fitted):
        html = shown._repr_html_()
        assert "DeepInfoMaxEmbedder" in html
        assert "Ridge" in html
    assert clone(fitted).get_params()["embedder__max_epochs"] == 1
    assert not hasattr(clone(fitted), "labelled_")


def test_toy_crystals_end_in_predictions() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    y = np.where(np.arange(30) < 25, X[:, 0], np.nan)
    fitted = model().fit(crystals(X), y)
    assert fitted.score(crystals(X), y) > 0.5
