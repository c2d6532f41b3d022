"""SiteNetRegressor among scikit-learn's tools: a pretrained start survives whatever they do with it."""

from __future__ import annotations

import copy

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.utils import get_tags

from skdim import SiteNetRegressor
from tests.small import bundled_points
from tests.test_regressor import N, energies, equal, pretrained, regressor, start, untrained


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


def test_tags_say_that_crystals_are_no_array_and_targets_may_be_several() -> None:
    tags = get_tags(SiteNetRegressor())
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.estimator_type == "regressor"
