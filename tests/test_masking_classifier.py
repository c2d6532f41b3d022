"""LabelMaskingClassifier: classes of the rows that have one, and of these as many as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV

from skdim import LabelMaskingClassifier, LabelMaskingRegressor, SiteNetClassifier
from tests.masked import data, embedder
from tests.masked import model as regressor
from tests.small import bundled

N = 40


def model(**params: Any) -> LabelMaskingClassifier:
    given = {"embedder": embedder(), "classifier": LogisticRegression(C=0.1), "random_state": 0}
    return LabelMaskingClassifier(**{**given, **params})


def classes(unknown: int = 0) -> list[Any]:
    y = bundled(N)[1]
    found = np.where(y < np.median(y), "bound", "loose").tolist()
    for place, row in enumerate(range(1, 2 * unknown, 2)):
        found[row] = (None, np.nan, "")[place % 3]
    return found


def test_it_is_the_classifier_on_the_labelled_rows_of_an_embedder_of_all() -> None:
    points, _ = data(N)
    found = model().fit(points, classes(unknown=10))
    assert found.labelled_.tolist() == [row for row in range(N) if row % 2 == 0 or row >= 20]
    vectors = embedder().fit(points).transform(points)
    alone = LogisticRegression(C=0.1).fit(vectors[found.labelled_], np.array(classes())[found.labelled_])
    assert np.array_equal(found.predict(points), alone.predict(vectors))
    assert np.allclose(found.predict_proba(points), alone.predict_proba(vectors), atol=1e-4)
    assert found.classes_.tolist() == ["bound", "loose"]
    hidden = found.score(points, classes(unknown=10))
    assert hidden == alone.score(vectors[found.labelled_], np.array(classes())[found.labelled_])


@pytest.mark.slow
def test_a_search_over_the_number_of_labels_hides_classes() -> None:
    points, _ = data(N)
    frozen = FrozenEstimator(embedder().fit(points))
    search = GridSearchCV(model(embedder=frozen), {"n_labels": [6, 15]}, cv=2).fit(points, np.array(classes()))
    assert len(search.best_estimator_.labelled_) == search.best_params_["n_labels"]


@pytest.mark.slow
def test_a_fine_tuned_classifier_starts_from_the_embedder_of_the_fit(tmp_path: Path) -> None:
    points, _ = data(N)
    tuned = SiteNetClassifier(max_epochs=0, cv=2, random_state=0)
    found = model(classifier=tuned).fit(points, classes(unknown=5))
    assert np.allclose(found.predict_proba(points).sum(1), 1)
    found.save(tmp_path / "model")
    back = LabelMaskingClassifier.load(tmp_path / "model")
    assert np.array_equal(back.predict(points), found.predict(points))
    assert np.array_equal(back.predict_proba(points), found.predict_proba(points))
    assert clone(back).fit(points, classes()).classes_.tolist() == ["bound", "loose"]


@pytest.mark.slow
def test_files_tell_classifiers_from_regressors(tmp_path: Path) -> None:
    points, y = data(N)
    model().fit(points, classes()).save(tmp_path / "classifier")
    regressor().fit(points, y).save(tmp_path / "regressor")
    back = LabelMaskingClassifier.load(tmp_path / "classifier")
    assert back.predict(points).tolist() == model().fit(points, classes()).predict(points).tolist()
    with pytest.raises(ValueError, match="is not a LabelMaskingRegressor saved by skdim"):
        LabelMaskingRegressor.load(tmp_path / "classifier")
    with pytest.raises(ValueError, match="is not a LabelMaskingClassifier saved by skdim"):
        LabelMaskingClassifier.load(tmp_path / "regressor")


def test_probabilities_are_there_where_the_classifier_has_them() -> None:
    assert hasattr(model(), "predict_proba")
    assert not hasattr(model(classifier=RidgeClassifier()), "predict_proba")


def test_rows_that_fail_have_no_class() -> None:
    structures = bundled(N)[0]
    lenient = model(embedder=embedder(on_error="nan"))
    with pytest.warns(UserWarning, match="row 3"):
        found = lenient.fit([*structures[:3], "no crystal", *structures[4:]], classes())
    assert 3 not in found.labelled_
    with pytest.warns(UserWarning, match="row 0"):
        predicted, shares = found.predict(["no", structures[0]]), found.predict_proba(["no", structures[0]])
    assert predicted[0] is None
    assert predicted[1] in found.classes_
    assert np.isnan(shares[0]).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * N, "y is 'a' in all 40 labelled rows; at least two classes are needed"),
        ([None] * N, "in at least one row"),
        (["a", "b"], "X has 40 rows and y has 2"),
        (np.linspace(0, 1, N), "y is continuous"),
    ],
)
def test_labels_that_cannot_be_used_are_named(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model().fit(data(N)[0], y)
