"""Targets and rows as users have them, and those that are refused, where labels are masked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pymatgen.core import Structure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
from skdim._labels import read_targets
from tests.daily import slow
from tests.handmade import salt
from tests.masked import MAE, data, embedder, model
from tests.small import bundled, bundled_points

BAD = Structure(np.eye(3) * 4, ["Na", "Cl"], [[0, 0, 0], [0.01, 0, 0]])


def test_of_several_targets_all_must_be_known() -> None:
    points, y = data(20)
    targets = np.stack([y, 2 * y], axis=1)
    targets[3, 0] = targets[5, 1] = targets[7] = np.nan
    fitted = model().fit(points, targets)
    assert np.array_equal(fitted.labelled_, np.setdiff1d(np.arange(20), [3, 5, 7]))
    predicted = fitted.predict(points)
    assert predicted.shape == (20, 2)
    assert predicted[:, 1] == pytest.approx(2 * predicted[:, 0], abs=1e-3)
    assert np.isfinite(fitted.score(points, targets))


@pytest.mark.parametrize("form", ["nullable Series", *slow("list", "Series", "DataFrame")])
def test_unknown_labels_may_be_written_in_any_way(form: str) -> None:
    points, y = data(20, unknown=5)
    plain = [None if np.isnan(value) else float(value) for value in y]
    other: Any = {
        "list": plain,
        "Series": pd.Series(y, index=range(100, 120)),
        "nullable Series": pd.Series(plain, dtype="Float64"),
        "DataFrame": pd.DataFrame({"energy": y}),
    }[form]
    assert model().fit(points, other).predict(points).ravel() == pytest.approx(model().fit(points, y).predict(points))


def test_rows_that_fail_are_not_labelled_and_are_predicted_nan() -> None:
    structures, y = bundled(20)[0], data(20)[1]
    mixed = [*structures[:5], BAD, *structures[5:]]
    labels = np.insert(y, 5, 3.0)
    tolerant = model(embedder=embedder(on_error="nan"))
    with pytest.warns(UserWarning, match="row 5"):
        fitted = tolerant.fit(mixed, labels)
    with pytest.warns(UserWarning, match="row 5"):
        predicted = fitted.predict(mixed)
    assert np.array_equal(np.flatnonzero(np.isnan(predicted)), [5])
    assert 5 not in fitted.labelled_
    assert np.delete(predicted, 5) == pytest.approx(model().fit(structures, y).predict(structures), abs=1e-4)
    with (
        pytest.warns(UserWarning, match="row 5"),
        pytest.raises(ValueError, match=r"integer from 1 to 20 .* a usable crystal\), got 21"),
    ):
        clone(tolerant).set_params(n_labels=21).fit(mixed, labels)
    with pytest.warns(UserWarning, match="1 structure"):
        assert np.isnan(fitted.predict([BAD])).tolist() == [True]


def changed(y: np.ndarray, value: float, *rows: int) -> np.ndarray:
    y = y.copy()
    y[list(rows)] = value
    return y


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        (
            {"n_labels": 16},
            lambda y: changed(y, np.nan, *range(5)),
            r"n_labels must .* integer from 1 to 15 .*, got 16",
        ),
        ({"n_labels": 0}, lambda y: y, r"n_labels must be None or an integer from 1 to 20 .*, got 0"),
        ({"n_labels": -1}, lambda y: y, "n_labels must .*, got -1"),
        ({"n_labels": 2.5}, lambda y: y, "n_labels must .*, got 2.5"),
        ({"n_labels": True}, lambda y: y, "n_labels must .*, got True"),
        ({}, lambda y: y * np.nan, "y must be a number, not NaN, in at least one row: none of 20 rows has a known y"),
        ({}, lambda y: y * 0 + 2.5, "y must have at least two different values, got 2.5 in all 20 labelled rows"),
        ({}, lambda y: changed(y * 0, np.nan, *range(5)), "got 0 in all 15 labelled rows"),
        ({}, lambda y: changed(y, np.inf, 3, 8), "y must be finite, got inf at rows 3, 8"),
        ({}, lambda y: y[:-1], "X has 20 rows and y has 19"),
        ({}, lambda y: None, "y is None"),
        ({}, lambda y: ["high"] * 20, "y must be an array of numbers"),
        ({}, lambda y: y[:, None, None], r"y must have the shape .*, got \(20, 1, 1\)"),
        ({}, lambda y: y + 1j, "Complex data not supported"),
        ({"random_state": "seed"}, lambda y: y, "random_state must be .* got 'seed'"),
        ({"memory": 3}, lambda y: y, "memory"),
        ({"embedder": None}, lambda y: y, "embedder must be an estimator with fit and transform, got None"),
        ({"embedder": DeepInfoMaxEmbedder}, lambda y: y, "embedder must be .* got <class"),
        (
            {"regressor": StandardScaler()},
            lambda y: y,
            "regressor must be an estimator with fit and predict",
        ),
        (
            {"embedder": DeepInfoMaxEmbedder(preset="best")},
            lambda y: y,
            "preset must be .*, got 'best'",
        ),
    ],
)
def test_bad_input_is_named_before_any_training(params: dict[str, Any], change: Any, message: str) -> None:
    points, y = data(20)
    endless = embedder(max_epochs=10**9)
    with pytest.raises(ValueError, match=message):
        model(**{"embedder": endless, **params}).fit(points, change(y))


def test_what_is_no_collection_of_crystals_is_refused() -> None:
    with pytest.raises(TypeError, match="X is a single Structure"):
        model().fit(salt(), np.zeros(8))
    with pytest.raises(NotFittedError):
        model().predict([salt()])


@pytest.mark.slow
def test_structures_may_come_from_an_iterator_or_a_frame() -> None:
    structures, y = bundled(20)
    expected = model().fit(bundled_points(20), y).predict(bundled_points(20))
    frame = pd.DataFrame({"structure": structures, "energy": y}, index=range(50, 70))
    for give in (lambda: iter(structures), lambda: frame, lambda: frame["structure"]):
        assert model().fit(give(), y).predict(give()) == pytest.approx(expected, abs=1e-4)
    scores = cross_val_score(model(), frame, frame["energy"], cv=2, scoring=MAE, error_score="raise")
    assert np.isfinite(scores).all()


def test_a_score_leaves_out_rows_that_fail_and_names_them() -> None:
    structures, y = bundled(20)[0], data(20)[1]
    fitted = model(embedder=embedder(on_error="nan")).fit(bundled_points(20), y)
    wanted = fitted.score(structures, y), MAE(fitted, structures, y)
    mixed, labels = [*structures[:5], BAD, None, *structures[5:]], np.insert(y, 5, [3.0, np.nan])
    for score, value in zip((fitted.score, lambda X, y: MAE(fitted, X, y)), wanted, strict=True):
        with (
            pytest.warns(UserWarning, match="cannot be used"),
            pytest.warns(UserWarning, match="1 of 21 rows have no prediction.* left out of the score: rows 5$"),
        ):
            assert score(mixed, labels) == pytest.approx(value, abs=1e-4)
    with (
        pytest.warns(UserWarning, match="cannot be used"),
        pytest.raises(ValueError, match="none of the 1 rows to be scored has a prediction"),
    ):
        fitted.score([BAD], [1.0])


def test_a_regressor_that_needs_more_labels_is_named_with_how_many_there_are() -> None:
    points, y = data(20)
    few = model(regressor=GridSearchCV(Ridge(), {"alpha": [1, 10]}, cv=5), n_labels=3)
    with pytest.raises(ValueError, match="n_splits=5 greater than the number of samples: n_samples=3") as raised:
        few.fit(points, y)
    assert "GridSearchCV" in raised.value.__notes__[0]
    assert "given the 3 labelled rows" in raised.value.__notes__[0]
    one = model(regressor=SiteNetRegressor(), n_labels=1)
    with pytest.raises(ValueError, match="X holds 1 usable labelled crystals of 1 rows; at least 2 are needed"):
        one.fit(points, y)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            ["1", "<5"],
            r"got '<5' at row 1\. A bound is given as its value, with -1 \(upper\) or 1 \(lower\) in censored",
        ),
        (["1", "2,5"], r"got '2,5' at row 1\."),
        (np.array([[1.0, 2.0], [3.0, "a"]], dtype=object), r"got 'a' at row 1\."),
        (pd.DataFrame({"K": [1.0, 2.0], "G": ["1", "n/a"]}), r"got 'n/a' at row 1\."),
        ([1.0, [2.0, 3.0]], ": "),
    ],
)
def test_texts_among_labels_are_named_with_their_row(y: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"y must be an array of numbers.*{words}"):
        read_targets(y)


@pytest.mark.parametrize("kind", ["list", "pandas", "polars", "pyarrow", "chunked"])
def test_labels_of_any_library_are_numbers_and_what_they_miss_is_unknown(kind: str) -> None:
    values = [1.5, None, 3.0]
    given: Any = {
        "list": lambda: values,
        "pandas": lambda: pd.Series(values, dtype="Float64"),
        "polars": lambda: pytest.importorskip("polars").Series(values),
        "pyarrow": lambda: pa.array(values),
        "chunked": lambda: pa.chunked_array([values[:1], values[1:]]),
    }[kind]()
    np.testing.assert_array_equal(read_targets(given), [1.5, np.nan, 3.0])
