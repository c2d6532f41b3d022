"""scikit-learn's own checks: those that need no X on the estimators, all others on toy crystals made of array rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder

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


class ToyEmbedder(DeepInfoMaxEmbedder):
    """The embedder behind a door for arrays: the numbers of a row stretch the cell of a cubic perovskite."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags

    def fit(self, X: Any, y: Any = None) -> ToyEmbedder:
        super().fit(crystals(validate_data(self, X, dtype=np.float64, ensure_min_samples=2)))
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        return self.fit(X).transform(X)

    def transform(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().transform(crystals(validate_data(self, X, reset=False, dtype=np.float64)))


def crystals(X: np.ndarray) -> list[Structure]:
    return [crystal(row) for row in X]


def crystal(row: np.ndarray) -> Structure:
    """Every third number of the row stretches one edge of the cell by up to a quarter."""
    stretch = [np.arctan(row[k::3]).mean() / 6 if len(row) > k else 0.0 for k in range(3)]
    positions = [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return Structure(Lattice.orthorhombic(*(4.0 + np.array(stretch))), ["Sr", "Ti", "O", "O", "O"], positions)


def toy() -> ToyEmbedder:
    featurizer = CrystalPointSetTransformer(site_features="paper", n_neighbors=6)
    return ToyEmbedder(featurizer, encoder_params={"width": 4}, max_epochs=1, random_state=0)


@pytest.mark.parametrize("name", WITHOUT_X)
@pytest.mark.parametrize("estimator", [CrystalPointSetTransformer(), DeepInfoMaxEmbedder()], ids=lambda e: str(e))
def test_checks_that_need_no_x_pass(estimator: BaseEstimator, name: str) -> None:
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


def test_all_other_checks_pass_on_crystals_made_of_rows() -> None:
    results = estimator_checks.check_estimator(toy(), expected_failed_checks=ROUNDING, on_skip=None, on_fail=None)
    failed = [(r["check_name"], repr(r["exception"])) for r in results if r["status"] == "failed"]
    assert not failed
    ran = [r["check_name"] for r in results if r["status"] == "passed"]
    left = {r["check_name"] for r in results if r["status"] != "passed"}
    # Skipped where array_api_compat is not installed.
    assert left <= {*ROUNDING, "check_array_api_input"}
    assert len(ran) >= 41
    assert set(WITHOUT_X) <= {r["check_name"] for r in results}


def test_a_vector_depends_on_the_rows_beside_it_in_its_last_bits_only() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    embedder = toy().fit(X)
    together, order = embedder.transform(X), np.random.default_rng(1).permutation(20)
    assert np.allclose(embedder.transform(X[order]), together[order], atol=1e-3)
    assert np.allclose(np.concatenate([embedder.transform(row[None]) for row in X]), together, atol=1e-3)


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
