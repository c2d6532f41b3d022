"""SiteNetRegressor among scikit-learn's tools: a pretrained start survives whatever they do with it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Structure
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim import SiteNetRegressor
from tests.small import bundled_points
from tests.test_regressor import N, energies, equal, pretrained, regressor, start, untrained
from tests.test_sklearn_contract import ROUNDING, WITHOUT_X, crystals


def test_pretrained_weights_survive_every_fold_of_cross_validation() -> None:
    given = {"cv": 3, "return_estimator": True}
    trained = cross_validate(regressor(), bundled_points(N), energies(), **given)["estimator"]
    control = cross_validate(regressor(untrained()), bundled_points(N), energies(), **given)["estimator"]
    for one, other in zip(trained, control, strict=True):
        assert equal(start(one), pretrained().state_.weights)
        assert one.history_[0]["train_loss"] != pytest.approx(other.history_[0]["train_loss"], rel=1e-3)


def test_pretrained_weights_survive_clone_and_a_grid_search_and_stay_as_they_are() -> None:
    before = copy.deepcopy(pretrained().state_.weights)
    again = clone(clone(regressor()))
    assert equal(again.embedder.state_.weights, before)
    search = GridSearchCV(again, {"learning_rate": [1e-4, 1e-3], "embedder__verbose": [0]}, cv=2)
    best = search.fit(bundled_points(N), energies()).best_estimator_
    assert equal(start(best), before)
    assert equal(pretrained().state_.weights, before)
    assert again.set_params(embedder__verbose=1).embedder is not pretrained()
    assert pretrained().verbose == 0


def test_a_requested_sample_weight_survives_clone() -> None:
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        asked = regressor().set_fit_request(sample_weight=True)
        assert clone(asked).get_metadata_routing().fit.requests["sample_weight"] is True


@pytest.mark.parametrize("name", WITHOUT_X)
def test_scikit_learn_s_checks_without_crystals_pass(name: str) -> None:
    getattr(estimator_checks, name)("SiteNetRegressor", SiteNetRegressor())


class ToyRegressor(SiteNetRegressor):
    """The regressor behind a door for arrays, as ToyEmbedder is the embedder."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ToyRegressor:
        return super().fit(self.crystals(X, ensure_min_samples=2), y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> ToyRegressor:
        return super().partial_fit(self.crystals(X, reset=not hasattr(self, "state_")), y, sample_weight)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        check_is_fitted(self)
        return super().predict(self.crystals(X, reset=False), return_std)

    def crystals(self, X: Any, **given: Any) -> list[Structure]:
        return crystals(validate_data(self, X, dtype=np.float64, **given))


def test_scikit_learn_s_other_checks_pass_on_crystals_made_of_rows() -> None:
    other = "a row that is repeated is drawn into other batches, and leave-one-out leaves one copy out"
    expected = {**ROUNDING, "check_sample_weight_equivalence_on_dense_data": other}
    toy = ToyRegressor(max_epochs=1, head_width=4, random_state=0)
    results = estimator_checks.check_estimator(toy, expected_failed_checks=expected, on_skip=None, on_fail=None)
    assert not [(r["check_name"], repr(r["exception"])) for r in results if r["status"] == "failed"]
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {*expected, "check_array_api_input"}
    assert sum(r["status"] == "passed" for r in results) >= 50


def test_tags_say_that_crystals_are_no_array_and_targets_may_be_several() -> None:
    tags = get_tags(SiteNetRegressor())
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.estimator_type == "regressor"
