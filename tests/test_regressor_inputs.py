"""SiteNetRegressor: rows that fail, and what is refused by name and value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, SiteNetRegressor
from tests.handmade import salt
from tests.small import bundled, bundled_points
from tests.test_regressor import N, energies, regressor


def test_rows_that_fail_are_left_out_and_predicted_nan() -> None:
    structures, y = bundled(N)
    spoiled = [*structures[:20], "no crystal"]
    with pytest.warns(UserWarning, match="row 20: file 'no crystal'"):
        model = regressor(on_error="nan").fit(spoiled, y[:21])
    with pytest.warns(UserWarning, match="row 20"):
        predicted = model.predict(spoiled)
    assert np.isnan(predicted[20])
    assert np.isfinite(predicted[:20]).all()


def test_a_score_leaves_out_rows_that_fail_and_names_them() -> None:
    structures, y = bundled(N)
    model = regressor(on_error="nan", max_epochs=0).fit(bundled_points(N), y)
    wanted = model.score(structures, y)
    assert wanted == pytest.approx(r2_score(y, model.predict(bundled_points(N))), abs=1e-5)
    spoiled, energy = [*structures[:20], None, *structures[20:]], np.insert(y, 20, 7.0)
    with pytest.warns(UserWarning, match="row 20"), pytest.warns(UserWarning, match="left out of the score: rows 20"):
        assert model.score(spoiled, energy) == pytest.approx(wanted, abs=1e-5)
    weight = np.arange(1.0, N + 2)
    with pytest.warns(UserWarning, match="cannot be used"), pytest.warns(UserWarning, match="left out of the score"):
        weighted = model.score(spoiled, energy, sample_weight=weight)
    assert weighted == pytest.approx(model.score(structures, y, sample_weight=np.delete(weight, 20)), abs=1e-5)
    with (
        pytest.warns(UserWarning, match="cannot be used"),
        pytest.raises(ValueError, match=r"none of the 2 rows to be scored has a prediction.* rows 0, 1"),
    ):
        model.score([None, None], [1.0, 2.0])
    with pytest.raises(ValueError, match="y must be finite, got nan at row 3"):
        model.score(structures, spoiled_at(y, 3))
    with pytest.raises(ValueError, match="X has 30 rows and y has 29"):
        model.score(structures, y[1:])


def spoiled_at(y: np.ndarray, row: int) -> np.ndarray:
    y = y.copy()
    y[row] = np.nan
    return y


def test_a_single_crystal_is_not_taken_for_rows() -> None:
    for X in ("NaCl", salt()):
        with pytest.raises(TypeError, match="X is a single"):
            regressor().fit(X, [1.0] * 8)
    structures, y = bundled(N)
    wanted = regressor(max_epochs=0).fit(structures, y).predict(structures)
    assert np.array_equal(regressor(max_epochs=0).fit(iter(structures), y).predict(iter(structures)), wanted)


def test_a_constant_batch_is_no_reason_to_stop_a_training_that_goes_on() -> None:
    model = regressor().partial_fit(bundled_points(N), energies())
    assert len(model.partial_fit(bundled_points(N)[:3], np.ones(3)).history_) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"freeze": "all"}, "freeze must be 'none', 'local', 'global' or 'both', got 'all'"),
        ({"loss": "l2"}, "loss must be 'huber', 'mae' or 'mse', got 'l2'"),
        ({"head_width": -1}, "head_width must be an integer >= 0, got -1"),
        ({"n_ensemble": 0}, "n_ensemble must be an integer >= 1, got 0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be a number >= 0 and < 0.9, got 1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0, got -1.0"),
        ({"n_jobs": 0}, "n_jobs must be None or an integer other than 0 .*, got 0"),
        ({"verbose": -1}, "verbose must be a boolean or an integer >= 0, got -1"),
        ({"clamp": np.nan}, "clamp must be None or a finite number, got nan"),
        ({"device": "abacus"}, "device must be .*, got 'abacus'"),
        (
            {"embedder": DeepInfoMaxEmbedder()},
            r"embedder must be a fitted .*, got DeepInfoMaxEmbedder\(\), not fitted",
        ),
        ({"embedder": RidgeCV()}, r"embedder must be .*, got RidgeCV\(\)\."),
    ],
)
def test_parameters_that_are_not_accepted_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regressor().set_params(**params).fit(bundled_points(N), energies())


def spoiled(value: float) -> np.ndarray:
    y = energies().copy()
    y[[3, 7]] = value
    return y


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        (spoiled(np.nan), None, "y must be finite, got nan at rows 3, 7"),
        (spoiled(np.inf), None, "y must be finite, got inf at rows 3, 7"),
        (energies()[:-1], None, "y must have one label for each row of X: X has 30 rows and y has 29"),
        (np.full(N, np.nan), None, "y must be finite, got nan at all 30 rows.* use LabelMaskingRegressor"),
        (np.full(N, 3.5), None, "y must have at least two different values, got 3.5 in all 30 labelled rows"),
        (np.full((N, 2), [1, 0]), None, "got 1, 0 in all 30 labelled rows"),
        (["a"] * N, None, "y must be an array of numbers"),
        (energies().reshape(2, 3, 5), None, r"y must have the shape .*, got \(2, 3, 5\)"),
        (energies(), np.full(N, -1.0), "sample_weight must be finite and >= 0, got -1.0 at all 30 rows"),
        (energies(), np.eye(N)[0], "X holds 1 usable labelled crystals of 30 rows; at least 2 are needed"),
        (energies(), np.zeros(N), "sample_weight must be > 0 in at least one row, got zero in all 30 rows"),
        (energies(), np.ones(3), r"sample_weight must be one number for each of 30 rows, got the shape \(3,\)"),
    ],
)
def test_labels_that_cannot_be_used_are_named(y: Any, weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regressor().fit(bundled_points(N), y, sample_weight=weight)


def test_an_untrained_start_takes_over_how_point_sets_were_made(tmp_path: Path) -> None:
    structures, y = bundled(N)
    points = CrystalPointSetTransformer(site_features="paper", n_neighbors=20).transform(structures)
    model = SiteNetRegressor(max_epochs=0, random_state=0).fit(points, y)
    model.save(tmp_path / "model")
    for one in (model, SiteNetRegressor.load(tmp_path / "model")):
        np.testing.assert_array_equal(one.predict(structures), model.predict(points))


def test_point_sets_of_another_kind_than_the_embedder_s_are_refused() -> None:
    other = CrystalPointSetTransformer(site_features="paper").fit_transform([salt()] * 3)
    with pytest.raises(ValueError, match="this embedder was trained on"):
        regressor().fit(other, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="this embedder was trained on"):
        regressor(max_epochs=0).fit(bundled_points(N), energies()).predict(other)


def test_a_saved_embedder_of_other_features_is_refused_with_both_named(tmp_path: Path) -> None:
    path = tmp_path / "paper.safetensors"
    featurizer = CrystalPointSetTransformer(site_features="paper")
    DeepInfoMaxEmbedder(featurizer, max_epochs=0, random_state=0).fit(bundled(4)[0]).save(path)
    with pytest.raises(ValueError, match=r"site features .*'Polarizability'.* trained on .*'Density'"):
        regressor(path).fit(bundled_points(N), energies())
