"""Training: the same run gives the same bits, also after a stop; nothing outside is touched; what fails says why."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from pymatgen.core import Structure

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets
from skdim.learning.callbacks import ShowProgress, one_cycle
from skdim.learning.loader import PairBudgetSampler
from skdim.learning.presets import Run, TrainingConfig, model_config, resolve_preset
from skdim.learning.pretraining import site_statistics
from skdim.learning.training import train
from skdim.network.model import CrystalModel
from tests.daily import slow
from tests.handmade import face_centred, iron, salt
from tests.small import bundled, bundled_points, handful_points

SMALL = {"encoder_params": {"width": 16}}
# Alkali halides of the rock salt type: metal, halogen, lattice constant in Angstrom.
HALIDES = [
    *(("Li", "F", 4.03), ("Li", "Cl", 5.14), ("Li", "Br", 5.50), ("Li", "I", 6.00)),
    *(("Na", "F", 4.63), ("Na", "Cl", 5.64), ("Na", "Br", 5.97), ("Na", "I", 6.47)),
    *(("K", "F", 5.34), ("K", "Cl", 6.29), ("K", "Br", 6.60), ("K", "I", 7.07)),
    *(("Rb", "F", 5.65), ("Rb", "Cl", 6.58), ("Rb", "Br", 6.89), ("Rb", "I", 7.35)),
]
PUBLISHED = {**SMALL, "objective_params": {"local": 1.0, "global": 1.0, "context": 1.0}}


def fit(points: PointSets, **params: Any) -> DeepInfoMaxEmbedder:
    given = {**SMALL, "max_epochs": 3, "batch_pairs": 300, "random_state": 0, **params}
    return DeepInfoMaxEmbedder(**given).fit(points)


def halide(metal: str, halogen: str, edge: float) -> Structure:
    return face_centred(edge, [metal, halogen], [[0, 0, 0], [0.5, 0.5, 0.5]])


def same_weights(one: DeepInfoMaxEmbedder, other: DeepInfoMaxEmbedder) -> bool:
    ours, theirs = one.state_.weights, other.state_.weights
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[k], theirs[k]) for k in ours)


def losses(embedder: DeepInfoMaxEmbedder) -> list[tuple[float, ...]]:
    return [(row["epoch"], row["train_loss"], row["valid_loss"]) for row in embedder.history_]


@pytest.mark.slow
@pytest.mark.parametrize("params", [{}, PUBLISHED, {"preset": "paper", "encoder_params": {"width": 8}}])
def test_the_same_random_state_gives_the_same_bits_and_another_does_not(params: dict[str, Any]) -> None:
    points = bundled_points(40) if params.get("preset") is None else bundled(40)[0]
    one, same, other = (fit(points, **{**params, "random_state": seed}) for seed in (0, 0, 1))
    assert same_weights(one, same)
    assert losses(one) == losses(same)
    vectors = one.transform(points)
    assert np.array_equal(vectors, same.transform(points))
    assert not np.allclose(vectors, other.transform(points), atol=0.1)


def test_a_random_state_object_is_drawn_from_and_an_int_is_not_worn_out() -> None:
    points = bundled_points(10)
    source = np.random.RandomState(3)
    one, other = (fit(points, max_epochs=0, random_state=source) for _ in range(2))
    assert not same_weights(one, other)
    assert same_weights(one, fit(points, max_epochs=0, random_state=np.random.RandomState(3)))
    assert not same_weights(*(fit(points, max_epochs=0, random_state=None) for _ in range(2)))


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize(
    "params", [{}, pytest.param({"preset": "paper", "encoder_params": {"width": 8}}, marks=pytest.mark.slow)]
)
def test_global_generators_are_neither_used_nor_touched(random_state: int | None, params: dict[str, Any]) -> None:
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 - the global one is meant
    fit(bundled(20)[0], random_state=random_state, verbose=0, **params).transform(bundled(5)[0])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1], strict=True))  # noqa: NPY002
    assert random.getstate() == before[2]


@pytest.mark.slow
def test_training_learns_what_it_is_asked_to() -> None:
    """In rock salts of sixteen alkali halides: who sees a halogen is one of four metals, and the distance says more."""
    points = CrystalPointSetTransformer().fit_transform([halide(*h) for h in HALIDES])
    history = fit(points, max_epochs=40, validation_fraction=0.0, batch_pairs=60, learning_rate=0.01).history_
    assert history[0]["train_loss"] > math.log(8) - 0.1
    assert history[-1]["train_loss"] < math.log(4) - 0.2


def test_the_history_has_one_row_an_epoch() -> None:
    history = fit(bundled_points(40), validation_fraction=0.1).history_
    assert [set(row) for row in history] == [{"epoch", "train_loss", "valid_loss", "dur"}] * 3
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(math.isfinite(value) for row in history for value in row.values())


@pytest.mark.slow
def test_held_out_crystals_meet_the_same_noise_in_every_epoch() -> None:
    """So that losses of two epochs differ by what was learned between them, which is nothing here."""
    objective = {"local": 1.0, "global": 1.0, "context": 1.0, "jitter": 0.2}
    embedder = fit(bundled_points(40), validation_fraction=0.3, learning_rate=1e-30, objective_params=objective)
    held_out, learned = ([row[f"{k}_loss"] for row in embedder.history_] for k in ("valid", "train"))
    assert held_out[0] == held_out[1] == held_out[2]
    assert max(learned) - min(learned) > 1e-3


def test_without_held_out_crystals_the_training_loss_decides() -> None:
    history = fit(bundled_points(20), validation_fraction=0.0, max_epochs=4).history_
    assert all(math.isnan(row["valid_loss"]) for row in history)
    assert len(history) == 4


@pytest.mark.parametrize("fraction", [0.95, 0.999])
def test_a_share_that_leaves_nothing_to_learn_from_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=f"validation_fraction={fraction} leaves . of 20 crystals"):
        fit(bundled_points(20), validation_fraction=fraction)


def config(fraction: float, **changes: Any) -> TrainingConfig:
    usual = {"max_epochs": 30, "schedule": "constant", "patience": 3, "batch_pairs": 300, "learning_rate": 0.05}
    return TrainingConfig(**{**usual, "weight_decay": 0.0, "validation_fraction": fraction, **changes})


def fresh(points: PointSets) -> CrystalModel:
    preset = resolve_preset("default", {"width": 16})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CrystalModel(
            model_config(preset, points.feature_names, points.interaction_names), site_statistics(points)
        )


@pytest.mark.parametrize(("fraction", "rate"), [(0.2, 0.1), pytest.param(0.0, 0.1, marks=pytest.mark.slow)])
def test_training_stops_after_its_patience_with_the_weights_of_the_best_epoch(fraction: float, rate: float) -> None:
    points = bundled_points(40)
    stopped, short = fresh(points), fresh(points)
    history = train(stopped, points, config(fraction, learning_rate=rate), Run(0)).history
    watched = [row["valid_loss" if fraction else "train_loss"] for row in history]
    best = int(np.argmin(watched)) + 1
    assert 1 < best == len(history) - 3
    # The same training cut off there ends with just these weights.
    train(short, points, config(fraction, max_epochs=best, learning_rate=rate), Run(0))
    for name, value in stopped.state_dict().items():
        assert torch.equal(value, short.state_dict()[name]), name


def test_the_rate_warms_up_and_cools_down() -> None:
    rates = [one_cycle(done) for done in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert top == 30
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert rates[top] == pytest.approx(1.0)
    assert rates[0] == pytest.approx(rates[-1]) == pytest.approx(0.04)


class Stopped(Exception):
    """What a test stops a training with."""


def stop(monkeypatch: pytest.MonkeyPatch, error: type[BaseException], epoch: int, batch: int | None) -> None:
    """Let the progress bar raise at the end of an epoch, or in the middle of one."""

    class Stopping(ShowProgress):
        def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
            self.batches_ = 0

        def on_batch_end(self, net: Any, training: bool = True, **kwargs: Any) -> None:
            self.batches_ += 1
            if len(net.history) == epoch and self.batches_ == batch:
                raise error

        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            if len(net.history) == epoch and batch is None:
                raise error

    monkeypatch.setattr("skdim.learning.training.ShowProgress", Stopping)


@pytest.mark.parametrize(("error", "epoch"), [(KeyboardInterrupt, 1), (Stopped, 1), (Stopped, 2)])
def test_a_stop_is_passed_on(error: type[BaseException], epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stop(monkeypatch, error, epoch=epoch, batch=1)
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=3, random_state=0)
    with pytest.raises(error):
        embedder.fit(bundled_points(20))
    assert not hasattr(embedder, "state_")


@pytest.mark.slow
def test_an_interrupt_keeps_the_best_epoch_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    points = bundled_points(40)
    embedder, whole = fit(points, max_epochs=1), fit(points, max_epochs=3)
    stop(monkeypatch, KeyboardInterrupt, epoch=3, batch=1)
    with pytest.warns(UserWarning, match="interrupted after 2 epochs"), pytest.raises(KeyboardInterrupt):
        embedder.set_params(max_epochs=3).fit(points)
    assert losses(embedder) == losses(whole)[:2]
    assert np.isfinite(embedder.transform(points)).all()


def test_a_loss_that_is_no_number_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match=r"_loss is .* in epoch 1: lower learning_rate, which is 1e\+30"):
        fit(bundled_points(40), learning_rate=1e30)


@pytest.mark.slow
def test_a_warm_start_goes_on_and_a_cold_one_begins_anew() -> None:
    points = bundled_points(30)
    embedder = fit(points, max_epochs=4, warm_start=True, validation_fraction=0.0)
    learned = copy.deepcopy(embedder)
    assert same_weights(embedder.set_params(max_epochs=0).fit(points), learned)
    went_on = embedder.set_params(max_epochs=4).fit(points)
    assert went_on.history_[0]["train_loss"] < learned.history_[0]["train_loss"] - 0.1
    assert same_weights(went_on.set_params(warm_start=False).fit(points), learned)


def test_other_objectives_may_follow_in_a_warm_start() -> None:
    points = bundled_points(20)
    first = {"noise": 1.0, "masked": 0.0, "local": 0.0}
    embedder = fit(points, preset="deep", max_epochs=0, warm_start=True, objective_params=first)
    began = embedder.state_.weights
    embedder.set_params(objective_params={"noise": 0.0, "local": 1.0}).fit(points)
    went_on = embedder.state_
    assert went_on.config.objective.noise == 0.0 < went_on.config.objective.local
    assert all(np.array_equal(began[name], went_on.weights[name]) for name in began)
    added = set(went_on.weights) - set(began)
    assert added
    assert all(name.startswith("two_level") for name in added)


def test_a_warm_start_with_another_shape_is_refused() -> None:
    embedder = fit(bundled_points(20), max_epochs=0, warm_start=True)
    with pytest.raises(ValueError, match="warm_start=True needs the features and parameters"):
        embedder.set_params(encoder_params={"width": 8}).fit(bundled_points(20))
    with pytest.raises(ValueError, match="warm_start=True needs the features and parameters"):
        embedder.set_params(**SMALL).fit(handful_points())


def structures(n: int) -> list[Structure]:
    return [iron(), salt()][:n]


@pytest.mark.parametrize("params", [{}, PUBLISHED])
def test_two_crystals_are_enough(params: dict[str, Any]) -> None:
    vectors = fit(structures(2), **params).transform(structures(2))  # type: ignore[arg-type]
    assert np.isfinite(vectors).all()
    assert not np.allclose(vectors[0], vectors[1])


def test_one_crystal_is_not_enough_to_train_but_is_without_training() -> None:
    with pytest.raises(ValueError, match="X holds 1 usable crystals of 1 rows; at least 2 are needed"):
        fit(structures(1))  # type: ignore[arg-type]
    assert (fit(structures(1), max_epochs=0).transform(structures(1)) == 0).all()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X holds 0 usable crystals"):
        fit([], max_epochs=0)  # type: ignore[arg-type]


def batches(sampler: PairBudgetSampler) -> Iterator[list[int]]:
    return iter(sampler)


def test_every_epoch_serves_every_crystal_once_in_an_order_of_its_own() -> None:
    n_pairs = np.random.default_rng(0).integers(1, 40, 50)
    sampler = PairBudgetSampler(n_pairs, 60, seed=3)
    first, second = ([k for b in batches(sampler) for k in b] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    again = PairBudgetSampler(n_pairs, 60, seed=3)
    again.epoch = 1
    assert [k for b in batches(again) for k in b] == second
    for batch in batches(sampler):
        assert len(batch) >= 2
        assert n_pairs[batch].sum() <= 60 or len(batch) <= 3


@pytest.mark.parametrize("params", [{}, *slow(PUBLISHED)])
def test_a_crystal_beyond_the_budget_of_pairs_is_trained_on_beside_others(params: dict[str, Any]) -> None:
    points = bundled_points(12)
    embedder = fit(points, batch_pairs=1, **params)
    assert all(math.isfinite(row["train_loss"]) for row in embedder.history_)
    assert np.isfinite(embedder.transform(points)).all()
