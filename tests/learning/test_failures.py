"""Trainings that are stopped, fail or meet odd numbers: what was learned before stays, and what to do is said."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge, Ridge

from skdim import CrystalClassifier, CrystalRegressor, DeepInfoMaxEmbedder, LabelMaskingRegressor, SiteNetRegressor
from skdim.learning import finetuning
from tests.handmade import salt
from tests.learning.test_training import Stopped, stop
from tests.small import bundled, bundled_points

N = 24
SMALL: dict[str, Any] = {"encoder_params": {"width": 8}, "random_state": 0, "batch_pairs": 300}


def embedder(**params: Any) -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 1, **params})


def regressor(**params: Any) -> SiteNetRegressor:
    start = embedder().fit(bundled_points(N))
    return SiteNetRegressor(start, **{"max_epochs": 3, "batch_pairs": 300, "cv": None, "random_state": 0, **params})


def labels() -> np.ndarray:
    return bundled(N)[1]


def answers(model: Any) -> np.ndarray:
    points = bundled_points(N)
    return np.asarray(model.transform(points) if hasattr(model, "transform") else model.predict(points))


def test_an_embedder_whose_next_fit_fails_is_as_it_was() -> None:
    model = embedder().fit(bundled_points(N))
    before, featurizer = answers(model), model.featurizer_
    for wrong in ({"max_epochs": 3, "learning_rate": 1e30}, {"embedding_dim": 10**6}, {"preset": "best"}):
        other = copy.copy(model).set_params(**wrong)
        with pytest.raises((ValueError, FloatingPointError)):
            other.fit(bundled_points(N))
        assert other.featurizer_ is featurizer
        assert np.array_equal(answers(other.set_params(**{name: getattr(model, name) for name in wrong})), before)


def test_a_regressor_whose_next_fit_fails_is_as_it_was() -> None:
    model = regressor().fit(bundled_points(N), labels())
    before = answers(model)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        model.set_params(learning_rate=1e30).fit(bundled_points(N), labels())
    assert np.array_equal(answers(model), before)
    with pytest.raises(ValueError, match="at least two different"):
        model.fit(bundled_points(N), np.ones(N))
    assert np.array_equal(answers(model), before)


def test_a_masking_regressor_whose_next_fit_fails_is_as_it_was() -> None:
    model = LabelMaskingRegressor(embedder(), Ridge(10.0)).fit(bundled_points(N), labels())
    before = answers(model)
    with pytest.raises(FloatingPointError):
        model.set_params(embedder__learning_rate=1e30).fit(bundled_points(N)[:12], labels()[:12])
    with pytest.raises(ValueError, match="alpha"):
        model.set_params(embedder__learning_rate=None, regressor__alpha=-1).fit(bundled_points(N)[:12], labels()[:12])
    assert np.array_equal(answers(model), before)
    assert len(model.labelled_) == N


def interrupt_once(patch: pytest.MonkeyPatch, name: str, call: int = 1) -> None:
    """Interrupt one of the calls of a function, and let the later ones be."""
    calls, module, function = iter(range(1, 10**6)), *name.rsplit(".", 1)
    before = getattr(importlib.import_module(module), function)

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise KeyboardInterrupt
        return before(*args, **kwargs)

    patch.setattr(name, interrupted)


@pytest.mark.parametrize("where", ["raw_vectors", "column_scale", "_shortened", "look_back"])
@pytest.mark.parametrize(("few", "scaled_by"), [(4, 7), (1000, N)])
def test_an_interrupt_while_vectors_are_scaled_keeps_the_weights(
    where: str, few: int, scaled_by: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"embedding_dim": 6, "max_epochs": 2}
    whole, model = (embedder(**given).fit(bundled_points(N)) for _ in range(2))
    interrupt_once(monkeypatch, f"skdim.learning.pretraining.{where}")
    monkeypatch.setattr("skdim.learning.pretraining._SEEN_IN_HASTE", few)
    said = f"after 2 epochs: the embedder has the weights of the best, and a scale of its vectors from {scaled_by} cry"
    with pytest.warns(UserWarning, match=said), pytest.raises(KeyboardInterrupt):
        model.fit(bundled_points(N))
    kept, meant = model.state_, whole.state_
    assert all(np.array_equal(kept.weights[name], meant.weights[name]) for name in meant.weights)
    assert np.array_equal(kept.scale, meant.scale) == (scaled_by == N)
    assert np.isfinite(answers(model)).all()
    assert kept.seen is not None
    assert kept.seen.crystals == N


def test_an_interrupt_while_vectors_are_scaled_leaves_the_earlier_fit_where_nothing_was_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = embedder().fit(bundled_points(N))
    before = answers(model)
    interrupt_once(monkeypatch, "skdim.learning.pretraining.raw_vectors")
    with pytest.raises(KeyboardInterrupt):
        model.set_params(max_epochs=0).fit(bundled_points(N))
    assert np.array_equal(answers(model), before)


def test_an_interrupt_of_a_fine_tuning_keeps_the_members_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    model = regressor(n_ensemble=3)
    whole = copy.deepcopy(model).fit(bundled_points(N), labels())
    stop(monkeypatch, KeyboardInterrupt, epoch=3, batch=1)
    with (
        pytest.warns(UserWarning, match="1 of 3 members, and the last one has the weights of the best of 2 epochs"),
        pytest.raises(KeyboardInterrupt),
    ):
        model.fit(bundled_points(N), labels())
    assert [row["train_loss"] for row in model.history_] == [row["train_loss"] for row in whole.history_[:2]]
    assert np.isfinite(answers(model)).all()


def test_an_interrupt_of_the_choice_leaves_what_the_training_starts_from(monkeypatch: pytest.MonkeyPatch) -> None:
    # Steps that change nothing gain nothing, and so this one stays at its start.
    model, start = regressor(cv=3), regressor(cv=3, learning_rate=1e-12).fit(bundled_points(N), labels())
    assert not start.state_.members
    stop(monkeypatch, KeyboardInterrupt, epoch=3, batch=1)
    left = "it is the linear regression on the vectors"
    with pytest.warns(UserWarning, match=left), pytest.raises(KeyboardInterrupt):
        model.fit(bundled_points(N), labels())
    assert np.array_equal(answers(model), answers(start))


@pytest.mark.parametrize(("name", "call"), [("predict", 1), ("_train", 2), ("_train", 4)])
def test_an_interrupt_between_trainings_leaves_what_they_start_from(
    name: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While held-out rows are predicted, and before the first epoch that goes on from every label."""
    model, start = regressor(cv=3), regressor(cv=3, learning_rate=1e-12).fit(bundled_points(N), labels())
    chosen = finetuning.choose_strength

    def all_the_way(*given: Any, **how: Any) -> np.ndarray:
        """Of the trained step; the linear one, which is in favour of nothing, is left to what it is."""
        return chosen(*given, **how) if "in_favour" in how else np.ones(1)

    monkeypatch.setattr(finetuning, "choose_strength", all_the_way)
    interrupt_once(monkeypatch, f"skdim.learning.finetuning.{name}", call)
    with pytest.warns(UserWarning, match="it is the linear regression"), pytest.raises(KeyboardInterrupt):
        model.fit(bundled_points(N), labels())
    assert not model.state_.members
    assert np.array_equal(answers(model), answers(start))
    assert np.isfinite(model.predict(bundled_points(N), return_std=True)[1]).all()


@pytest.mark.parametrize("n_ensemble", [1, 2])
def test_a_stopped_fine_tuning_goes_on_as_if_it_had_not_been(
    n_ensemble: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv = None if n_ensemble == 2 else 2
    given = {"n_ensemble": n_ensemble, "validation_fraction": 0.2, "learning_rate": 3e-3, "cv": cv}
    whole = regressor(**given).fit(bundled_points(N), labels())
    with monkeypatch.context() as patch:
        stop(patch, Stopped, epoch=2, batch=2)
        with pytest.raises(Stopped):
            regressor(checkpoint_dir=tmp_path, **given).fit(bundled_points(N), labels())
    resumed = regressor(checkpoint_dir=tmp_path, **given).fit(bundled_points(N), labels())
    assert np.array_equal(answers(resumed), answers(whole))
    assert [row["train_loss"] for row in resumed.history_] == [row["train_loss"] for row in whole.history_]
    with pytest.raises(ValueError, match="written by a training on other data"):
        regressor(checkpoint_dir=tmp_path, **given).fit(bundled_points(N), -labels())
    with pytest.raises(ValueError, match="random_state must be an integer where checkpoint_dir is given"):
        regressor(checkpoint_dir=tmp_path, random_state=None).fit(bundled_points(N), labels())


def test_a_masking_regressor_gives_both_of_its_parts_checkpoints(tmp_path: Path) -> None:
    tuned = SiteNetRegressor(max_epochs=1, cv=None, random_state=0)
    LabelMaskingRegressor(embedder(), tuned, checkpoint_dir=tmp_path).fit(bundled_points(N), labels())
    assert (tmp_path / "embedder" / "checkpoint.safetensors").is_file()
    assert (tmp_path / "regressor" / "member_0.safetensors").is_file()
    with pytest.raises(ValueError, match="checkpoint_dir must be None or the path of a folder, got 3"):
        LabelMaskingRegressor(embedder(), tuned, checkpoint_dir=3).fit(bundled_points(N), labels())


def test_a_training_that_ends_far_above_its_start_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match=r"the training diverged: the loss of the best .*lower learning_rate"):
        embedder(learning_rate=1e3, max_epochs=2, validation_fraction=0.0).fit(bundled_points(N))


@pytest.mark.parametrize("params", [{}, {"preset": "deep", "encoder_params": None}])
def test_a_step_that_ruins_the_weights_is_an_error_though_the_loss_before_it_was_low(params: dict[str, Any]) -> None:
    """All crystals are one batch, and so the loss of the first epoch is that of the start."""
    given = {"learning_rate": 1e3, "max_epochs": 3, "validation_fraction": 0.0, "batch_pairs": 10**6, **params}
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        embedder(**given).fit(bundled_points(N))
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        regressor(learning_rate=1e5, batch_pairs=10**6).fit(bundled_points(N), labels())


def test_equal_crystals_have_equal_finite_vectors_however_short_they_are() -> None:
    vectors = embedder(embedding_dim=4).fit_transform([salt()] * 6)
    assert np.isfinite(vectors).all()
    assert np.abs(vectors - vectors[0]).max() < 1e-3


@pytest.mark.parametrize("unit", [2.0**900, 2.0**-900])
def test_units_of_any_size_change_no_prediction_but_by_the_unit(unit: float) -> None:
    one = answers(regressor().fit(bundled_points(N), labels()))
    assert np.array_equal(answers(regressor().fit(bundled_points(N), unit * labels())), unit * one)


@pytest.fixture
def double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("params", [{}, {"preset": "paper", "encoder_params": {"width": 8}}])
def test_double_precision_as_torch_s_default_is_no_obstacle(params: dict[str, Any], tmp_path: Path) -> None:
    structures = bundled(N)[0]
    model = embedder(**params).fit(structures)
    vectors = model.transform(structures)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    model.save(tmp_path / "m")
    assert np.array_equal(DeepInfoMaxEmbedder.load(tmp_path / "m").transform(structures), vectors)
    tuned = SiteNetRegressor(model, max_epochs=1, random_state=0).fit(structures, labels())
    assert np.isfinite(tuned.predict(structures)).all()


def test_fits_in_several_threads_are_those_of_one_and_draw_from_no_global_generator() -> None:
    before, wanted = torch.get_rng_state(), answers(embedder(max_epochs=2).fit(bundled_points(N)))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: answers(embedder(max_epochs=2).fit(bundled_points(N))), range(8)))
    assert all(np.array_equal(one, wanted) for one in found)
    assert torch.equal(torch.get_rng_state(), before)


def test_deviations_come_from_a_regressor_that_has_them() -> None:
    points, y = bundled_points(N), labels()
    mean, spread = LabelMaskingRegressor(embedder(), BayesianRidge()).fit(points, y).predict(points, return_std=True)
    assert mean.shape == spread.shape == (N,)
    assert (spread > 0).all()
    tuned = SiteNetRegressor(max_epochs=0, n_ensemble=2, random_state=0)
    assert len(LabelMaskingRegressor(embedder(), tuned).fit(points, y).predict(points, return_std=True)) == 2
    with pytest.raises(ValueError, match=r"return_std=True needs a regressor whose predict .*Ridge\(\)"):
        LabelMaskingRegressor(embedder(), Ridge()).fit(points, y).predict(points, return_std=True)


def test_an_interrupt_of_a_masking_regressor_keeps_what_its_parts_have_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    points, y = bundled_points(N), labels()
    model = LabelMaskingRegressor(embedder(max_epochs=4, validation_fraction=0.0), Ridge(10.0))
    with monkeypatch.context() as patch:
        stop(patch, KeyboardInterrupt, epoch=3, batch=1)
        with (
            pytest.warns(UserWarning, match="after 2 epochs: the embedder has the weights of the best"),
            pytest.warns(UserWarning, match="interrupted: the model has what"),
            pytest.raises(KeyboardInterrupt),
        ):
            model.fit(points, y)
    assert len(model.embedder_.history_) == 2
    assert np.array_equal(model.predict(points), Ridge(10.0).fit(v := model.embedder_.transform(points), y).predict(v))
    before = answers(model)
    with monkeypatch.context() as patch:  # nothing learned yet: the earlier fit stays
        stop(patch, KeyboardInterrupt, epoch=1, batch=1)
        with pytest.raises(KeyboardInterrupt):
            model.fit(points[:12], y[:12])
    assert np.array_equal(answers(model), before)


def test_a_masking_fit_that_was_interrupted_in_its_pretraining_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What the other part learned from the half-trained embedder is no start for what follows.
    points, y = bundled_points(N), labels()
    part = SiteNetRegressor(max_epochs=2, batch_pairs=300, cv=None, random_state=0)
    model = LabelMaskingRegressor(embedder(max_epochs=3), part, checkpoint_dir=tmp_path, random_state=0)
    with monkeypatch.context() as patch:
        stop(patch, KeyboardInterrupt, epoch=2, batch=1)
        with pytest.warns(UserWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
            model.fit(points, y)
    whole = clone(model).set_params(checkpoint_dir=None).fit(points, y)
    assert np.array_equal(answers(clone(model).fit(points, y)), answers(whole))


@pytest.mark.filterwarnings("error")  # no warning of what a part has kept, as nothing is kept
def test_an_interrupt_of_a_model_of_labelled_crystals_leaves_the_earlier_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    points, y = bundled_points(N), labels()
    start = embedder(max_epochs=0).fit(points)
    for params in ({"embedder": start, "regressors": ["fine-tuning"]}, {"embedder": embedder(max_epochs=4)}):
        model = CrystalRegressor(**{"regressors": ["ridge"], "cv": 3, "random_state": 0, **params})
        with monkeypatch.context() as patch:
            stop(patch, KeyboardInterrupt, epoch=2, batch=1)
            with pytest.raises(KeyboardInterrupt):
                model.fit(points, y)
            assert not hasattr(model, "targets_")


@pytest.mark.parametrize("kind", [CrystalRegressor, CrystalClassifier])
def test_a_model_of_labelled_crystals_whose_next_fit_fails_is_as_it_was(kind: Any) -> None:
    start = embedder(max_epochs=0).fit(bundled_points(N))
    y = labels() if kind is CrystalRegressor else labels() > np.median(labels())
    model = kind(start, regressors=("ridge",), cv=3, random_state=0).fit(bundled_points(N), y)
    before, state = model.predict_frame(bundled_points(N)), set(vars(model))
    for wrong, rows, words in (({}, 5, "at least"), ({"cv": "folds"}, N - 4, "cv"), ({"regressors": ()}, N, "regr")):
        other = copy.copy(model).set_params(**wrong)
        with pytest.raises((ValueError, TypeError), match=words):
            other.fit(bundled_points(N)[:rows], y[:rows])
        assert set(vars(other)) == state
        assert before.equals(other.predict_frame(bundled_points(N)))


@pytest.mark.parametrize("preset", ["default", "deep", "paper"])
def test_vectors_that_are_no_numbers_are_an_error_and_name_their_rows(preset: str) -> None:
    fitted = embedder(preset=preset, max_epochs=0).fit(bundled_points(N))
    state = fitted.state_
    huge = {name: np.full_like(w, 1e38) if w.ndim > 1 else w for name, w in state.weights.items()}
    with pytest.raises(FloatingPointError, match=r"crystals are not finite \(rows \d.*weights of the model"):
        DeepInfoMaxEmbedder.from_state(replace(state, weights=huge)).transform(bundled_points(N))
