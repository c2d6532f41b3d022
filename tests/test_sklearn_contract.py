"""scikit-learn's own checks: those that need no X on the estimators, all others on toy crystals made of array rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_validate
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from skdim import (
    CrystalClassifier,
    CrystalPointSetTransformer,
    CrystalRegressor,
    DeepInfoMaxEmbedder,
    LabelMaskingClassifier,
    LabelMaskingRegressor,
    SiteNetClassifier,
    SiteNetRegressor,
)
from tests.array_rows import RowsEmbedder, crystal, embedder, estimators
from tests.daily import slow

WITHOUT_X = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)
# What single precision cannot keep: a vector does depend on the crystals beside it, in its last bits.
ROUNDING = {
    "check_methods_sample_order_invariance": "equal to 1e-9 is asked for, float32 is given",
    "check_methods_subset_invariance": "equal to 1e-7 is asked for, float32 is given",
}
WEIGHTS, CLASS_WEIGHT = "check_sample_weight_equivalence_on_dense_data", "check_class_weight_classifiers"
NO_DICT = "class_weight is 'balanced' or None: probabilities are calibrated to the shares among the labels"
PRETRAINED = "crystals of weight zero are pretrained on all the same"
FOLDS = "a row that is repeated is drawn into other batches and folds, and has its copy on the other side of them"
REASONS = {
    "RowsEmbedder": {},
    "RowsSiteNetRegressor": {WEIGHTS: FOLDS},
    "RowsSiteNetClassifier": {WEIGHTS: FOLDS, CLASS_WEIGHT: NO_DICT},
    "RowsMaskingRegressor": {WEIGHTS: PRETRAINED},
    "RowsMaskingClassifier": {WEIGHTS: PRETRAINED},
    "RowsCrystalRegressor": {WEIGHTS: FOLDS},
    "RowsCrystalClassifier": {CLASS_WEIGHT: NO_DICT},
}
BARE = [
    CrystalPointSetTransformer(),
    DeepInfoMaxEmbedder(),
    SiteNetRegressor(),
    SiteNetClassifier(),
    LabelMaskingRegressor(DeepInfoMaxEmbedder(), Ridge()),
    LabelMaskingClassifier(DeepInfoMaxEmbedder(), LogisticRegression()),
    CrystalRegressor(),
    CrystalClassifier(),
]


def named(value: Any) -> str:
    return value if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize("name", WITHOUT_X)
@pytest.mark.parametrize("estimator", BARE, ids=named)
def test_checks_that_need_no_x_pass(estimator: BaseEstimator, name: str) -> None:
    if name.endswith("default_constructible") and isinstance(estimator, LabelMaskingRegressor | LabelMaskingClassifier):
        pytest.skip("what it is made of is to be chosen: there is no default")
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", estimators(), ids=named)
def test_all_other_checks_pass_on_crystals_made_of_rows_or_have_a_reason(estimator: BaseEstimator) -> None:
    reasons = REASONS[type(estimator).__name__]
    results = estimator_checks.check_estimator(
        estimator, expected_failed_checks=ROUNDING | reasons, on_skip=None, on_fail=None
    )
    named = {status: [r["check_name"] for r in results if r["status"] == status] for status in ("passed", "xfail")}
    assert [(r["check_name"], repr(r["exception"])) for r in results if r["status"] == "failed"] == []
    # array_api_compat is not installed.
    others = {r["check_name"] for r in results} - {*named["passed"], *named["xfail"]}
    assert others <= {"check_array_api_input"}
    assert set(reasons) <= set(named["xfail"])  # none is given that is not needed
    assert len(named["passed"]) >= 41
    assert set(WITHOUT_X) <= {*named["passed"], "check_parameters_default_constructible"}


def test_a_vector_depends_on_the_rows_beside_it_in_its_last_bits_only() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    fitted = embedder(RowsEmbedder, max_epochs=1).fit(X)
    together, order = fitted.transform(X), np.random.default_rng(1).permutation(20)
    assert np.allclose(fitted.transform(X[order]), together[order], atol=1e-3)
    assert np.allclose(np.concatenate([fitted.transform(row[None]) for row in X]), together, atol=1e-3)


def test_tags_say_that_crystals_are_no_two_dimensional_array() -> None:
    for estimator, requires_fit in ((CrystalPointSetTransformer(), False), (DeepInfoMaxEmbedder(), True)):
        tags = get_tags(estimator)
        assert not tags.input_tags.two_d_array
        assert not tags.target_tags.required
        assert tags.requires_fit is requires_fit
        assert tags.transformer_tags.preserves_dtype == []


@pytest.mark.parametrize("estimator", [CrystalPointSetTransformer(), DeepInfoMaxEmbedder(max_epochs=0)])
def test_a_two_dimensional_array_and_a_bare_structure_are_refused(estimator: Any) -> None:
    with pytest.raises(ValueError, match=r"X is an array of shape \(5, 3\)"):
        estimator.fit_transform(np.zeros((5, 3)))
    with pytest.raises(TypeError, match=r"X is a single Structure; put it in a list: \[X\]"):
        estimator.fit_transform(crystal(np.zeros(3)))


@pytest.mark.parametrize("estimator", [CrystalPointSetTransformer(), DeepInfoMaxEmbedder(max_epochs=0)])
def test_there_is_no_number_of_input_features(estimator: Any) -> None:
    estimator.fit([crystal(np.zeros(3))])
    assert not hasattr(estimator, "n_features_in_")


@pytest.mark.parametrize("kind", [CrystalRegressor, CrystalClassifier])
def test_no_parameter_is_taken_for_a_method(kind: type) -> None:
    for method in ("transform", "fit_transform", "decision_function", "inverse_transform"):
        assert not hasattr(kind(), method)


@pytest.mark.parametrize("estimator", [estimators()[1], *slow(*estimators()[2:-1])], ids=named)
def test_weights_are_routed(estimator: Any) -> None:
    weights, seen = np.arange(1.0, 25.0), {"fit": [], "score": []}

    class Watched(type(estimator)):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            seen["fit"].extend(sample_weight)
            return super().fit(X, y, sample_weight)

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            seen["score"].extend(sample_weight)
            return super().score(X, y, sample_weight)

    X, y = np.random.default_rng(0).normal(size=(24, 3)), np.arange(24) % 2
    watched = Watched(**estimator.get_params(deep=False))
    with config_context(enable_metadata_routing=True):
        watched.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        cross_validate(clone(watched), X, y, cv=2, params={"sample_weight": weights})
    assert sorted(seen["fit"]) == sorted(seen["score"]) == weights.tolist()


@pytest.mark.parametrize("kind", [CrystalRegressor, CrystalClassifier, SiteNetRegressor, SiteNetClassifier])
def test_groups_are_routed_and_asked_for_in_a_clone_too(kind: type) -> None:
    with config_context(enable_metadata_routing=True):
        asked = clone(kind().set_fit_request(groups=True))
        assert get_routing_for_object(asked).consumes("fit", ["groups", "sample_weight"]) == {"groups"}


@pytest.mark.parametrize("estimator", estimators()[3:5], ids=named)
def test_a_weight_stands_for_so_many_equal_labels_of_crystals_that_are_embedded_alike(estimator: Any) -> None:
    # Vectors of single precision differ in their last bits between batches, and predictions by as much.
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(24, 3)), rng.integers(1, 4, 24)
    y, copies = X[:, 0] > 0, np.repeat(np.arange(24), weights)
    frozen = FrozenEstimator(embedder().fit([crystal(row) for row in X]))
    ask = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
    given = clone(estimator).set_params(embedder=frozen)
    weighted = clone(given).fit(X, y.astype(int), weights)
    repeated = clone(given).fit(X[copies], y[copies].astype(int))
    assert np.allclose(getattr(weighted, ask)(X), getattr(repeated, ask)(X), atol=1e-4)
