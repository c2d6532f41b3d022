"""SiteNetClassifier: classes of any kind are learned, rare ones are found, and what was learned is kept."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.utils import get_tags

from skdim import DeepInfoMaxEmbedder, SiteNetClassifier, SiteNetRegressor
from tests.daily import slow
from tests.small import bundled, bundled_points
from tests.test_regressor import N, energies, pretrained


def classifier(**params: Any) -> SiteNetClassifier:
    return SiteNetClassifier(pretrained(), **{"max_epochs": 0, "cv": 3, "random_state": 0, **params})


def numbers() -> np.ndarray:
    """Mean electronegativity, which every vector has a column of, so that classes of it can be learned from few."""
    return np.array([np.mean([site.specie.X for site in structure]) for structure in bundled(N)[0]])


def classes() -> np.ndarray:
    return np.where(numbers() < np.median(numbers()), "high", "low")


@pytest.mark.parametrize("epochs", [2, *slow(0)])
def test_probabilities_sum_to_one_and_beat_the_shares(epochs: int) -> None:
    model = classifier(max_epochs=epochs).fit(bundled_points(N), classes())
    shares = model.predict_proba(bundled_points(N))
    assert model.classes_.tolist() == ["high", "low"]
    assert np.allclose(shares.sum(1), 1)
    assert log_loss(classes(), shares) < np.log(2)
    assert model.score(bundled_points(N), classes()) > 0.8
    assert np.array_equal(model.predict(bundled_points(N)), model.classes_[shares.argmax(1)])


@pytest.mark.parametrize("names", [("a", "b", "c"), *slow((3, 1, 2), (False, True))])
def test_classes_of_any_kind_come_back_as_they_were(names: tuple[Any, ...], tmp_path: Path) -> None:
    place = np.argsort(np.argsort(numbers())) * len(names) // N
    y = np.array(names)[place]
    model = classifier().fit(bundled_points(N), y)
    predicted = model.predict(bundled_points(N))
    assert predicted.dtype == y.dtype
    assert set(predicted) <= set(names)
    assert (predicted == y).mean() > 0.6
    model.save(tmp_path / "model")
    for again in (SiteNetClassifier.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(again.predict_proba(bundled_points(N)), model.predict_proba(bundled_points(N)))
        assert np.array_equal(again.predict(bundled_points(N)), predicted)
    assert clone(model).fit(bundled_points(N), y).classes_.tolist() == sorted(names)


def test_rare_classes_are_found_and_probabilities_are_calibrated_to_the_shares() -> None:
    y = np.where(numbers() < np.quantile(numbers(), 0.2), "rare", "usual")
    balanced, plain = (classifier(class_weight=w).fit(bundled_points(N), y) for w in ("balanced", None))
    found = [(model.predict(bundled_points(N)) == "rare").sum() for model in (balanced, plain)]
    assert found[0] >= found[1]
    assert balanced.predict_proba(bundled_points(N))[:, 0].mean() == pytest.approx(0.2, abs=0.1)


def test_rows_that_fail_are_predicted_none_and_unknown() -> None:
    structures = bundled(N)[0]
    model = classifier(on_error="nan").fit(structures, classes())
    with pytest.warns(UserWarning, match="row 1"):
        predicted = model.predict([structures[0], "no crystal"])
    assert predicted[1] is None
    assert predicted[0] in model.classes_
    with pytest.warns(UserWarning, match="row 1"):
        assert np.isnan(model.predict_proba([structures[0], "no crystal"])[1]).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * N, "y is 'a' in all 30 labelled rows; at least two classes are needed"),
        (["a"] * (N - 1) + ["b"], r"y must have 2 labels of each class at least, got fewer of 'b' \(1\)"),
        (["a"] * (N - 1) + [None], "y must be a class in every row, got .* at rows 29"),
        (np.linspace(0, 1, N), "y is continuous"),
        (["a", "b"], "X has 30 rows and y has 2"),
    ],
)
def test_labels_that_cannot_be_used_are_named(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classifier().fit(bundled_points(N), y)


def test_parameters_that_are_not_accepted_are_named() -> None:
    for params, message in (
        ({"cv": None}, "cv must be an integer >= 2, got None"),
        ({"class_weight": "even"}, "class_weight must be 'balanced' or None, got 'even'"),
    ):
        with pytest.raises(ValueError, match=message):
            classifier(**params).fit(bundled_points(N), classes())


def test_files_of_other_estimators_are_refused(tmp_path: Path) -> None:
    classifier().fit(bundled_points(N), classes()).save(tmp_path / "classifier")
    SiteNetRegressor(pretrained(), max_epochs=0).fit(bundled_points(N), energies()).save(tmp_path / "regressor")
    with pytest.raises(ValueError, match=r"is a saved SiteNetClassifier; SiteNetClassifier\.load reads it"):
        SiteNetRegressor.load(tmp_path / "classifier")
    with pytest.raises(ValueError, match=r"is a saved SiteNetRegressor; SiteNetRegressor\.load reads it"):
        SiteNetClassifier.load(tmp_path / "regressor")
    with pytest.raises(ValueError, match=r"SiteNetClassifier\.load reads it"):
        DeepInfoMaxEmbedder.load(tmp_path / "classifier")


def test_tags_say_that_crystals_are_no_array() -> None:
    tags = get_tags(SiteNetClassifier())
    assert not tags.input_tags.two_d_array
    assert tags.estimator_type == "classifier"
