"""CrystalPointSetTransformer among scikit-learn's tools: structures stay structures through all of them."""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Structure
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdim import PointSets
from tests.handmade import salt, silicon
from tests.points.test_featurizer import Choosy, featurized, featurizer


def test_parameters_representations_and_pickles() -> None:
    ours = featurizer(n_neighbors=20, cache_dir=None)
    twin = clone(ours)
    assert twin.get_params() == ours.get_params()
    assert repr(ours) == "CrystalPointSetTransformer(n_neighbors=20, site_features='paper')"
    assert "CrystalPointSetTransformer" in ours._repr_html_()
    assert pickle.loads(pickle.dumps(ours)).fit_transform([salt()]).equals(twin.fit_transform([salt()]))
    assert clone(featurizer(site_features=Choosy())).fit_transform([salt()]).n_sites.tolist() == [2]
    assert not vars(ours.set_params(n_neighbors=30)).keys() - ours.get_params().keys()


def test_point_sets_are_returned_as_they_are() -> None:
    points = featurized([salt()])
    assert featurizer().fit(points).transform(points) is points


@pytest.mark.parametrize("transform", ["default", "pandas", "polars"])
def test_any_output_setting_leaves_point_sets(transform: str) -> None:
    assert isinstance(featurizer().set_output(transform=transform).fit_transform([salt()]), PointSets)
    pipe = make_pipeline(featurizer(), FunctionTransformer()).set_output(transform="default")
    assert isinstance(pipe.fit_transform([salt()]), PointSets)


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_progress_bar_shows_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    featurized([salt()])
    assert terminal.getvalue() == ""
    featurized([salt()] * 70, verbose=1)
    assert "featurizing" in terminal.getvalue()
    assert "70/70" in terminal.getvalue()


class SiteCounter(RegressorMixin, BaseEstimator):
    """Predicts from point sets, and from nothing else."""

    def fit(self, X: Any, y: Any) -> SiteCounter:
        self.model_ = Ridge().fit(self._columns(X), y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return self.model_.predict(self._columns(X))

    def _columns(self, X: Any) -> np.ndarray:
        assert isinstance(X, PointSets), type(X)
        return np.column_stack([X.n_sites, X.volume])


def equally_long() -> tuple[list[Structure], np.ndarray]:
    """Return crystals of eight sites each, which numpy would make a table of sites."""
    crystals = []
    for k in range(12):
        crystals += [crystal.copy().apply_strain(0.01 * k, inplace=False) for crystal in (salt(), silicon())]
    return crystals, np.array([c.volume / 8 for c in crystals])


@pytest.mark.parametrize("as_array", [False, True])
def test_cross_validation_never_makes_structures_rows_of_sites(as_array: bool) -> None:
    crystals, y = equally_long()
    X: Any = crystals
    if as_array:
        X = np.empty(len(crystals), object)
        X[:] = crystals
    pipe = Pipeline([("points", featurizer()), ("model", SiteCounter())])
    scores = cross_val_score(pipe, X, y, cv=KFold(3, shuffle=True, random_state=0), error_score="raise")
    assert scores.min() > 0.99
    points = featurized(crystals)
    assert cross_val_score(SiteCounter(), points, y, cv=3, error_score="raise").min() > 0.9
    np.testing.assert_allclose(pipe.fit(X, y).predict(X), SiteCounter().fit(points, y).predict(points))


@pytest.mark.slow
def test_grid_search_over_its_parameters_with_a_memory(tmp_path: Any) -> None:
    crystals, y = equally_long()
    pipe = Pipeline([("points", featurizer()), ("model", SiteCounter())], memory=str(tmp_path))
    grid = {"points__n_neighbors": [4, 12], "points__neighborhood": ["shell", "supercell"]}
    search = GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(crystals, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.score(crystals, y) > 0.99
    frame = pd.DataFrame({"structure": crystals, "id": range(len(crystals))})
    assert cross_val_score(pipe, frame, y, cv=3, error_score="raise").min() > 0.9
