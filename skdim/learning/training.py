"""A model, point sets and perhaps targets in, the trained model and its history out: the module that knows skorch."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch import nn

from skdim.learning.callbacks import EndOfTraining, KeepBest, LearningRate, Progress, TrainingPlan, history_rows
from skdim.learning.distributed import AcrossProcesses, make_accelerator, place_among_processes
from skdim.learning.loader import CrystalDataset, crystal_loader
from skdim.network.noise import Noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.network.batches import Batch
    from skdim.network.model import CrystalModel
    from skdim.points.pointsets import PointSets

_LOADERS = ("train", "valid")


class SumOfLosses(nn.Module):
    """Criterion of a model that computes its own losses."""

    def forward(self, losses: dict[str, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return torch.stack(list(losses.values())).sum()


class InfoMaxNet(NeuralNet):
    """skorch's training loop around a model that returns its losses by name."""

    def __init__(self, *args: Any, plan: TrainingPlan, **kwargs: Any) -> None:
        self.plan = plan
        super().__init__(*args, **kwargs)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the loader; a training that goes on goes on with the batches of its next epoch."""
        loader = super().get_iterator(dataset, training)
        if training:
            loader.batch_sampler.epoch = len(self.history)
        return loader

    def infer(self, x: Batch, **fit_params: Any) -> Any:
        """Return the losses of a batch."""
        return self.module_(x.to(self.device), self.noise_)

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Run an epoch with noise of its own, the same in every epoch for held-out crystals."""
        epoch = len(self.history) if training else 0
        self.noise_ = Noise.of_epoch(self.plan.seed, epoch, training, self.plan.rank)
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> InfoMaxNet:
        """Train; unlike skorch's own, an interrupt by the user is passed on rather than taken for an end."""
        self.notify("on_train_begin", X=X, y=y)
        with suppress(EndOfTraining):
            self.fit_loop(X, y, epochs=self.plan.max_epochs - len(self.history))
        self.notify("on_train_end", X=X, y=y)
        return self


class DistributedNet(AcrossProcesses, InfoMaxNet):
    """The same loop in one of several processes that train together."""


class SupervisedNet(InfoMaxNet):
    """The same loop around a module that predicts targets."""

    def infer(self, x: Batch, **fit_params: Any) -> Any:
        """Return the predictions for a batch."""
        return self.module_(x.to(self.device))

    def loss_of(self, dataset: CrystalDataset) -> float:
        """Return the mean loss over crystals as the module is now."""
        batches = self.get_iterator(dataset, training=False)
        total = sum(float(self.validation_step(batch)["loss"]) * len(batch[0]) for batch in batches)
        return total / len(dataset)


def train(
    model: CrystalModel,
    points: PointSets,
    plan: TrainingPlan,
    validation_fraction: float,
    crystals: NDArray[np.int64] | None = None,
) -> list[dict[str, float]]:
    """Train a model in place.

    Parameters
    ----------
    model : CrystalModel
        Ends with the weights of the epoch with the lowest held-out loss.
    points : PointSets
        Where the crystals are.
    plan : TrainingPlan
        How to train.
    validation_fraction : float
        Share of the crystals held out; where that is fewer than two, the training loss decides instead.
    crystals : ndarray of int64 or None
        Those to use, at least two, all valid; None takes all.

    Returns
    -------
    list of dict
        For each epoch ``epoch``, ``train_loss``, ``valid_loss`` (NaN without held-out crystals), ``dur`` in seconds.
    """
    crystals = np.arange(len(points)) if crystals is None else crystals
    learned, held_out = _split(len(crystals), plan, validation_fraction)
    validation = CrystalDataset(points, crystals[held_out], numbers=held_out) if len(held_out) else None
    net = _pretraining_net(model, plan, validation, len(learned)).initialize()
    keep = dict(net.callbacks_)["keep_best"]
    done = keep.resume(net)
    if done < plan.max_epochs:
        net.partial_fit(CrystalDataset(points, crystals[learned], numbers=learned))
    else:
        keep.on_train_end(net)
    return history_rows(net.history)


def _pretraining_net(
    model: CrystalModel, plan: TrainingPlan, held_out: CrystalDataset | None, n_learned: int
) -> InfoMaxNet:
    """The net of a pretraining, in one process or in those of a launcher."""
    rank, processes = place_among_processes()
    if processes == 1:
        return _net(InfoMaxNet, model, SumOfLosses(), plan, held_out)
    if n_learned < 2 * processes:
        raise ValueError(f"{processes} processes need {2 * processes} crystals to learn from; there are {n_learned}.")
    accelerator = make_accelerator(plan.device)
    plan = replace(plan, rank=rank, processes=processes, device=str(accelerator.device))
    return _net(DistributedNet, model, SumOfLosses(), plan, held_out, accelerator=accelerator)


def _split(n: int, plan: TrainingPlan, fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of n crystals to learn from and which to hold out, each in order."""
    n_valid = round(fraction * n)
    n_valid = n_valid if n_valid >= 2 else 0
    if n_valid > n - 2:
        raise ValueError(
            f"validation_fraction={fraction} leaves {n - n_valid} of {n} crystals to learn from; at least 2 are needed."
        )
    order = np.random.default_rng(plan.seed).permutation(n)
    return np.sort(order[n_valid:]), np.sort(order[:n_valid])


def train_supervised(
    module: nn.Module,
    criterion: nn.Module,
    plan: TrainingPlan,
    learned: CrystalDataset,
    held_out: CrystalDataset | None = None,
) -> list[dict[str, float]]:
    """Train a module on targets, in place.

    Parameters
    ----------
    module : Module
        Gives predictions (B, T) of a batch. Ends with the weights of the lowest held-out loss, those it came with
        included; without held-out crystals, with those of the lowest training loss.
    criterion : Module
        Loss of predictions and a pair of targets (B, T) and weights (B,).
    plan : TrainingPlan
        How to train.
    learned, held_out : CrystalDataset
        Crystals with targets.

    Returns
    -------
    list of dict
        As for `train`.
    """
    net = _net(SupervisedNet, module, criterion, plan, held_out).initialize()
    if held_out is not None:
        keep = dict(net.callbacks_)["keep_best"]
        keep.best_, keep.weights_ = net.loss_of(held_out), copy.deepcopy(module.state_dict())
    net.partial_fit(learned)
    return history_rows(net.history)


def _net(
    kind: type[InfoMaxNet],
    module: nn.Module,
    criterion: nn.Module,
    plan: TrainingPlan,
    held_out: CrystalDataset | None,
    **more: Any,
) -> InfoMaxNet:
    """The net of one training."""
    place = {f"iterator_{part}__{name}": getattr(plan, name) for part in _LOADERS for name in ("rank", "processes")}
    return kind(
        module,
        plan=plan,
        criterion=criterion,
        optimizer=torch.optim.AdamW,
        optimizer__lr=plan.learning_rate,
        optimizer__weight_decay=plan.weight_decay,
        optimizer__amsgrad=plan.amsgrad,
        max_epochs=plan.max_epochs,
        iterator_train=crystal_loader,
        iterator_train__budget=plan.batch_pairs,
        iterator_train__seed=plan.seed,
        iterator_valid=crystal_loader,
        iterator_valid__budget=plan.batch_pairs,
        train_split=None if held_out is None else predefined_split(held_out),
        callbacks=[("rate", LearningRate(plan)), ("keep_best", KeepBest(plan)), ("progress", Progress(plan))],
        callbacks__print_log=None,
        device=plan.device,
        verbose=0,
        **place,
        **more,
    )
