"""Fine-tuning: the ridge is where it starts, it learns, and what was learned is kept."""

from __future__ import annotations

import io
import pickle
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.exceptions import ModelFileError
from skdim.learning.finetuning import Ensemble
from skdim.learning.tensorfile import read_tensors, write_tensors
from tests.small import bundled, bundled_points

N = 30


@cache
def pretrained() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=2, random_state=0).fit(bundled_points(N))


@cache
def untrained() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=0, random_state=5).fit(bundled_points(N))


def energies() -> np.ndarray:
    return bundled(N)[1]


def regressor(embedder: Any = None, **params: Any) -> SiteNetRegressor:
    given = {"max_epochs": 2, "learning_rate": 1e-3, "cv": None, "random_state": 0, **params}
    return SiteNetRegressor(pretrained() if embedder is None else embedder, **given)


def weights(model: SiteNetRegressor) -> dict[str, np.ndarray]:
    """Of the fine-tuned encoder."""
    return dict(model.state_.members[0].encoder)


def start(model: SiteNetRegressor) -> dict[str, np.ndarray]:
    """Weights of the encoder that the training began with."""
    return dict(model.state_.start.weights)


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def moved(model: SiteNetRegressor) -> set[str]:
    """Names of the parts of the encoder that a training has changed."""
    before, after = start(model), weights(model)
    return {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}


def test_without_epochs_it_is_the_ridge_on_the_embedder_s_vectors() -> None:
    y = energies()
    vectors = pretrained().transform(bundled_points(N)).astype(float)
    ridge = RidgeCV(np.logspace(1.5, 6, 19)).fit(vectors, y)
    model = regressor(max_epochs=0).fit(bundled_points(N), y)
    assert np.allclose(model.predict(bundled_points(N)), ridge.predict(vectors), atol=1e-4)
    assert model.history_ == []


def test_every_way_to_give_an_embedder_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "embedder.safetensors"
    pretrained().save(path)
    wanted = regressor().fit(bundled_points(N), energies()).predict(bundled_points(N))
    for embedder in (path, str(path), FrozenEstimator(pretrained())):
        model = clone(regressor(embedder)).fit(bundled_points(N), energies())
        assert np.array_equal(model.predict(bundled_points(N)), wanted)


def test_structures_point_sets_and_a_pipeline_give_the_same() -> None:
    structures, y = bundled(N)
    wanted = regressor().fit(bundled_points(N), y).predict(bundled_points(N))
    assert np.allclose(regressor().fit(structures, y).predict(structures), wanted, atol=1e-5)
    pipeline = make_pipeline(CrystalPointSetTransformer(), regressor())
    assert np.allclose(pipeline.fit(structures, y).predict(structures), wanted, atol=1e-5)
    assert cross_val_predict(pipeline, structures, y, cv=2).shape == (N,)


def test_training_lowers_the_loss_and_the_best_epoch_is_kept() -> None:
    model = regressor(max_epochs=12, learning_rate=3e-3, validation_fraction=0, patience=12)
    model.fit(bundled_points(N), energies())
    losses = [row["train_loss"] for row in model.history_]
    assert losses[-1] < 0.8 * losses[0]
    held = regressor(max_epochs=2, learning_rate=3.0, loss="mse", validation_fraction=0.3).fit(
        bundled_points(N), energies()
    )
    # At this rate every epoch is worse than the start, so the start is what is kept.
    assert moved(held) == set()
    assert all(np.isfinite(row["valid_loss"]) for row in held.history_)


@pytest.mark.parametrize(
    ("freeze", "expected"), [("none", {"encoder", "context"}), ("local", set()), ("global", {"encoder", "context"})]
)
def test_what_is_frozen_stays_as_it_is(freeze: str, expected: set[str]) -> None:
    model = regressor(freeze=freeze, validation_fraction=0).fit(bundled_points(N), energies())
    assert moved(model) == expected


@pytest.mark.parametrize("freeze", ["none", "local", "global", "both"])
def test_levels_of_the_paper_s_network_can_be_frozen(freeze: str) -> None:
    structures, y = bundled(12)
    embedder = DeepInfoMaxEmbedder(preset="paper", encoder_params={"width": 8}, max_epochs=0, random_state=0)
    model = regressor(embedder.fit(structures), freeze=freeze, validation_fraction=0).fit(structures, y)
    before, after = start(model), weights(model)
    changed = {k for k in before if not np.array_equal(before[k], after[k])}
    local = {k for k in changed if k.startswith(("encoder.", "two_level.local."))}
    assert bool(local) == (freeze in ("none", "global"))
    assert bool(changed - local) == (freeze in ("none", "local"))
    assert all(k.startswith(("two_level.before", "two_level.after", "two_level.global_.")) for k in changed - local)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_units_of_the_target_do_not_matter(loss: str) -> None:
    y = energies()
    one = regressor(loss=loss).fit(bundled_points(N), y).predict(bundled_points(N))
    other = regressor(loss=loss).fit(bundled_points(N), 1000 * y - 7).predict(bundled_points(N))
    assert np.allclose(other, 1000 * one - 7, rtol=1e-3, atol=1)


def test_several_targets_at_once_and_a_constant_one() -> None:
    y = energies()
    table = np.stack([y, np.full(N, 3.5)], 1)
    predicted = regressor().fit(bundled_points(N), table).predict(bundled_points(N))
    assert predicted.shape == (N, 2)
    assert np.allclose(predicted[:, 1], 3.5, atol=0.1)
    assert np.corrcoef(predicted[:, 0], y)[0, 1] > 0.5


def test_rows_of_no_weight_are_as_good_as_absent() -> None:
    y, weight = energies().copy(), np.ones(N)
    weight[20:] = 0
    one = regressor().fit(bundled_points(N)[:20], y[:20])
    y[20:] = 1e6
    other = regressor().fit(bundled_points(N), y, sample_weight=weight)
    assert np.allclose(one.predict(bundled_points(N)), other.predict(bundled_points(N)), atol=1e-5)
    doubled = regressor().fit(bundled_points(N)[:20], y[:20], sample_weight=np.full(20, 2.0))
    assert np.allclose(one.predict(bundled_points(N)), doubled.predict(bundled_points(N)), atol=1e-5)


def test_predictions_that_are_no_numbers_are_an_error_that_names_rows(tmp_path: Path) -> None:
    model = regressor(pretrained(), max_epochs=0).fit(bundled_points(N), energies())
    model.save(tmp_path / "m")
    header, arrays = read_tensors(tmp_path / "m")
    del header["sha256"]
    header["regressor"]["targets"].update(center=[1.7e308], scale=[1.7e308])
    write_tensors(tmp_path / "m", header, arrays)
    with pytest.raises(FloatingPointError, match=r"predictions of \d+ crystals are not finite \(rows "):
        SiteNetRegressor.load(tmp_path / "m").predict(bundled_points(N))


def test_an_ensemble_is_averaged() -> None:
    model = regressor(n_ensemble=3, max_epochs=1).fit(bundled_points(N), energies())
    assert [row["member"] for row in model.history_] == [0, 1, 2]
    each = [regressor(max_epochs=1).fit(bundled_points(N), energies()).predict(bundled_points(N))]
    assert not np.array_equal(model.predict(bundled_points(N)), each[0])


def test_deviations_are_those_of_a_gaussian_process_and_as_large_as_the_held_out_errors() -> None:
    y = energies()
    model = regressor(max_epochs=0, cv=5).fit(bundled_points(N), y)
    mean, deviation = model.predict(bundled_points(N + 20), return_std=True)
    assert np.array_equal(mean, model.predict(bundled_points(N + 20)))
    # The slow twin: the variance of a Gaussian process with a linear kernel, from the inverse of all.
    vectors = pretrained().transform(bundled_points(N + 20)).astype(float)
    ridge = model.state_.anchor.ridge
    center = vectors[:N].mean(0)
    scatter = (vectors[:N] - center).T @ (vectors[:N] - center)
    inverse = np.linalg.inv(scatter + ridge.penalty * np.eye(len(center)))
    variance = 1 + np.einsum("ij,jk,ik->i", vectors - center, inverse, vectors - center)
    assert np.allclose((deviation / deviation[0]) ** 2, variance / variance[0], rtol=1e-3)
    assert deviation[:N].mean() < deviation[N:].mean()
    errors = model.held_out_ - y
    assert deviation[:N].mean() == pytest.approx(np.sqrt((errors**2).mean()), rel=0.5)
    with pytest.raises(ValueError, match=r"cv must be an integer >= 2, .* got cv=None"):
        regressor(max_epochs=0).fit(bundled_points(N), y).predict(bundled_points(N), return_std=True)


def test_a_training_from_which_nothing_is_gained_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    y = energies()
    ridge = regressor(max_epochs=0, cv=3).fit(bundled_points(N), y)
    # Nor does the regression that weighs the parts, if it is the ridge.
    monkeypatch.setattr("skdim.learning.finetuning.fit_by_part", lambda ridge, *_, **__: ridge)
    # At this rate no weight moves.
    model = regressor(cv=3, learning_rate=1e-12).fit(bundled_points(N), y)
    assert model.strength_ == 0
    assert model.history_ == []
    assert model.state_.members == ()
    for one, other in zip(*(m.predict(bundled_points(N), return_std=True) for m in (model, ridge)), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(model.held_out_, ridge.held_out_)


def test_of_too_few_labels_the_ridge_remains() -> None:
    y = energies()
    few = regressor(cv=3).fit(bundled_points(N)[:19], y[:19])
    assert few.strength_ == 0
    assert np.isfinite(few.held_out_).all()


def test_the_prediction_is_between_a_linear_and_the_trained_model(tmp_path: Path) -> None:
    y, points = energies(), bundled_points(N)
    given = {"max_epochs": 8, "learning_rate": 1e-2}
    model = regressor(cv=5, **given).fit(points, y)
    assert 0 < model.strength_ <= 1
    assert 0 < model.part_strength_ <= 1
    state = model.state_
    linear = state.anchor.ridge.predict(pretrained().transform(points))[:, 0]
    linear = linear * state.target_scale.scale + state.target_scale.center
    tuned = Ensemble(replace(state, anchor=None)).predict(points, "cpu")[:, 0]
    assert np.allclose(model.predict(points), linear + model.strength_ * (tuned - linear), atol=1e-4)
    model.save(tmp_path / "m")
    assert np.array_equal(SiteNetRegressor.load(tmp_path / "m").predict(points), model.predict(points))
    assert model.held_out_.shape == (N,)
    assert not np.allclose(model.held_out_, model.predict(points))


def test_rows_of_a_group_are_held_out_together() -> None:
    y, points = energies(), bundled_points(N)
    half = np.arange(N) % 2
    held = regressor(max_epochs=0, cv=5).fit(points, y, groups=half).held_out_
    for side in (0, 1):
        other = regressor(max_epochs=0).fit(points[half != side], y[half != side])
        np.testing.assert_allclose(held[half == side], other.predict(points[half == side]), atol=1e-4)
    twice = np.concatenate([np.arange(N // 2)] * 2)
    held = regressor(max_epochs=0, cv=5).fit(points[twice], y[twice]).held_out_
    # Twins, by a model that has seen neither.
    np.testing.assert_allclose(held[: N // 2], held[N // 2 :], rtol=1e-12)
    with pytest.raises(ValueError, match="30 labelled rows are of 1 group; at least 2 groups"):
        regressor(cv=5).fit(points, y, groups=["a"] * N)
    with pytest.raises(ValueError, match="groups must have one group for each of the 30 rows, got 2"):
        regressor(cv=5).fit(points, y, groups=["a"] * 2)


def test_large_crystals_get_fewer_epochs_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from skdim import _sitenet

    points, given = bundled_points(N), {"max_epochs": None, "cv": 3, "head_width": 0}
    epochs = []
    for visits in (3 * points.n_pairs.sum() * 4, 3 * points.n_pairs.sum()):
        monkeypatch.setattr(_sitenet, "_VISITS", visits)
        model = regressor(**given)
        config, folds = model._affordable(points, model._checked(), 3)
        epochs.append((config.max_epochs, folds))
    assert epochs == [(6, 2), (0, 3)]
    assert regressor(**given).fit(points, energies()).strength_ == 0


def test_clamp_bounds_the_prediction_from_below() -> None:
    model = regressor(clamp=-1.0).fit(bundled_points(N), energies())
    bounded = model.predict(bundled_points(N))
    assert bounded.min() == -1
    assert np.array_equal(bounded, np.maximum(model.set_params(clamp=None).predict(bundled_points(N)), -1))


def test_the_same_seed_gives_the_same_bits_and_global_generators_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global one is meant
    one, same, other = (
        regressor(random_state=k).fit(bundled_points(N), energies()).predict(bundled_points(N)) for k in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_training_goes_on_from_where_it_was() -> None:
    given = {"max_epochs": 1, "validation_fraction": 0, "warm_start": True}
    model = regressor(**given).fit(bundled_points(N), energies())
    first = weights(model)
    model.fit(bundled_points(N), energies())
    assert [row["epoch"] for row in model.history_] == [1]
    assert not equal(weights(model), first)
    model = regressor()
    losses = [model.partial_fit(bundled_points(N), energies()).history_[0]["train_loss"] for _ in range(6)]
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match="head_width must be 64, as in the fit to continue, got 3"):
        model.set_params(head_width=3).partial_fit(bundled_points(N), energies())


def test_another_property_is_a_start_in_one_line(tmp_path: Path) -> None:
    volumes = np.array([s.volume / len(s) for s in bundled(N)[0]])
    source = regressor(validation_fraction=0).fit(bundled_points(N), volumes)
    target = regressor(source).fit(bundled_points(N), energies())
    assert equal(start(target), weights(source))
    source.save(tmp_path / "source")
    again = clone(regressor(tmp_path / "source")).fit(bundled_points(N), energies())
    assert np.array_equal(again.predict(bundled_points(N)), target.predict(bundled_points(N)))
    target.save(tmp_path / "target")
    assert equal(SiteNetRegressor.load(tmp_path / "target").embedder.state_.weights, weights(source))


def test_saving_and_pickling_keep_every_bit_and_no_network(tmp_path: Path) -> None:
    model = regressor(n_ensemble=2, max_epochs=4, cv=3, learning_rate=3e-3).fit(bundled_points(N), energies())
    assert model.strength_ > 0
    wanted = model.predict(bundled_points(N), return_std=True)
    model.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    buffer = io.BytesIO()
    pickle.dump(model, buffer)
    assert not re.search(rb"torch\.\w", buffer.getvalue())
    for again in (SiteNetRegressor.load(tmp_path / "model"), pickle.loads(buffer.getvalue())):
        assert all(
            np.array_equal(a, b) for a, b in zip(again.predict(bundled_points(N), return_std=True), wanted, strict=True)
        )
    loaded = SiteNetRegressor.load(tmp_path / "model")
    assert str(loaded.history_) == str(model.history_)
    refit = loaded.fit(bundled_points(N), energies())
    assert np.array_equal(refit.predict(bundled_points(N)), wanted[0])


def test_files_of_the_other_estimator_are_refused(tmp_path: Path) -> None:
    pretrained().save(tmp_path / "embedder")
    regressor(max_epochs=0).fit(bundled_points(N), energies()).save(tmp_path / "regressor")
    with pytest.raises(ValueError, match=r"DeepInfoMaxEmbedder\.load reads it"):
        SiteNetRegressor.load(tmp_path / "embedder")
    with pytest.raises(ValueError, match=r"SiteNetRegressor\.load reads it"):
        DeepInfoMaxEmbedder.load(tmp_path / "regressor")


def test_a_file_whose_parts_do_not_fit_together_is_refused(tmp_path: Path) -> None:
    model = regressor(max_epochs=0).fit(bundled_points(N), energies())
    model.state_.members[0].head.pop("linear.bias")
    with pytest.raises(ModelFileError, match=r"cannot be saved.* tensor members/0/head/linear\.bias is missing"):
        model.save(tmp_path / "damaged")


def test_an_untrained_start_needs_no_embedder() -> None:
    structures, y = bundled(N)
    model = SiteNetRegressor(max_epochs=1, head_width=0, random_state=0).fit(structures[:20], y[:20])
    assert model.score(structures[:20], y[:20]) > 0
