"""CrystalRegressor and CrystalClassifier pass scikit-learn's checks, on crystals made of array rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pymatgen.core import Structure
from sklearn.base import clone
from sklearn.model_selection import cross_validate
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim import CrystalClassifier, CrystalPointSetTransformer, CrystalRegressor, DeepInfoMaxEmbedder
from tests.test_sklearn_contract import ROUNDING, WITHOUT_X, crystals

pytestmark = pytest.mark.slow


class Door:
    """What makes crystals of rows, before the methods of an estimator."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        # Rows stretch the cell of one and the same crystal: less is seen of a row than a good score takes.
        for own in (tags.regressor_tags, tags.classifier_tags):
            if own is not None:
                own.poor_score = True
        return tags

    def fit(self, X: Any, y: Any, **given: Any) -> Any:
        return super().fit(self.crystals(X, ensure_min_samples=2), y, **given)

    def predict(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict(self.crystals(X, reset=False))

    def crystals(self, X: Any, **given: Any) -> list[Structure]:
        return crystals(validate_data(self, X, dtype=np.float64, **given))


class ToyRegressor(Door, CrystalRegressor):
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        return super().fit(X, y, sample_weight=sample_weight, groups=groups)


class ToyClassifier(Door, CrystalClassifier):
    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict_proba(self.crystals(X, reset=False))


def toy(kind: type) -> Any:
    featurizer = CrystalPointSetTransformer(site_features="paper", n_neighbors=6)
    embedder = DeepInfoMaxEmbedder(featurizer, encoder_params={"width": 4}, max_epochs=0, random_state=0)
    return kind(embedder, regressors=("ridge",), cv=2, random_state=0)


FOLDS = "folds are drawn of rows: a row that is repeated has its copy on the other side, or not"
REASONS = {
    ToyRegressor: {**ROUNDING, "check_sample_weight_equivalence_on_dense_data": FOLDS},
    ToyClassifier: {**ROUNDING, "check_class_weight_classifiers": "class_weight is 'balanced' or None"},
}


@pytest.mark.parametrize("kind", REASONS)
def test_scikit_learn_s_checks_pass_but_for_those_with_a_reason(kind: type) -> None:
    expected = REASONS[kind]
    results = estimator_checks.check_estimator(toy(kind), expected_failed_checks=expected, on_skip=None, on_fail=None)
    assert [(r["check_name"], repr(r["exception"])) for r in results if r["status"] == "failed"] == []
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {*expected, "check_array_api_input"}
    assert sum(r["status"] == "passed" for r in results) >= 45


@pytest.mark.parametrize("name", WITHOUT_X)
@pytest.mark.parametrize("kind", [CrystalRegressor, CrystalClassifier])
def test_checks_that_need_no_x_pass(kind: type, name: str) -> None:
    getattr(estimator_checks, name)(kind.__name__, kind())


@pytest.mark.parametrize("kind", [CrystalRegressor, CrystalClassifier])
def test_no_parameter_is_taken_for_a_method(kind: type) -> None:
    for method in ("transform", "fit_transform", "decision_function", "inverse_transform"):
        assert not hasattr(kind(), method)


def test_weights_and_groups_are_routed() -> None:
    from sklearn import config_context

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 3)), rng.normal(size=24)
    seen: list[Any] = []

    class Asked(ToyRegressor):
        def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
            seen.append((sample_weight, groups))
            return super().fit(X, y, sample_weight=sample_weight, groups=groups)

    with config_context(enable_metadata_routing=True):
        asked = clone(toy(Asked).set_fit_request(sample_weight=True, groups=True).set_score_request(sample_weight=True))
        given = {"sample_weight": np.arange(1.0, 25.0), "groups": np.arange(24) % 4}
        cross_validate(asked, X, y, cv=2, params=given)
    assert [len(weights) for weights, _ in seen] == [12, 12]
    assert sorted(np.concatenate([weights for weights, _ in seen])) == list(range(1, 25))
    assert all(set(groups) <= {0, 1, 2, 3} for _, groups in seen)
