"""A model, point sets and perhaps targets in, the trained model and its history out: the module that knows skorch."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from skdim.batches import Batch, collate, pair_budget_batches, shuffled
from skdim.callbacks import EndOfTraining, KeepBest, LearningRate, Progress, TrainingPlan, history_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from skdim.model import CrystalModel
    from skdim.pointsets import PointSets


class CrystalDataset(Dataset[Any]):
    """Crystals of point sets, served a batch at a time.

    skorch and the loader see crystals by position; a list of positions becomes one `Batch` in one gather, so no
    crystal is ever an object of its own. Targets (n, T) and weights (n,) of the crystals, where there are any, travel
    with them. Noise is drawn from their ``numbers`` (n,); those of the rows, unless given.
    """

    def __init__(
        self,
        points: PointSets,
        crystals: NDArray[np.int64],
        targets: NDArray[np.float32] | None = None,
        weights: NDArray[np.float32] | None = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        self.points, self.crystals, self.targets, self.weights = points, crystals, targets, weights
        self.numbers = crystals if numbers is None else numbers

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.crystals)

    def __getitem__(self, position: int) -> tuple[Batch, Any]:
        """Return one crystal as a batch."""
        return self.__getitems__([position])

    def __getitems__(self, positions: list[int]) -> tuple[Batch, Any]:
        """Return some crystals as one batch, and their targets and weights; zeros where there are none."""
        chosen, targets = np.array(positions), torch.zeros(len(positions))
        batch = collate(self.points, self.crystals[chosen], self.numbers[chosen])
        if self.targets is None:
            return batch, targets
        weights = torch.ones(len(positions)) if self.weights is None else torch.from_numpy(self.weights[positions])
        return batch, (torch.from_numpy(self.targets[positions]), weights)


class PairBudgetSampler(Sampler[list[int]]):
    """Positions of each batch; the order of an epoch depends on the seed and the epoch alone."""

    def __init__(self, n_pairs: NDArray[np.int64], budget: int, seed: int | None) -> None:
        self.n_pairs, self.budget, self.seed, self.epoch = n_pairs, budget, seed, 0

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of the next epoch; in order where there is no seed."""
        order = np.arange(len(self.n_pairs))
        if self.seed is not None:
            order = shuffled(len(order), np.random.default_rng([self.seed, self.epoch]))
        self.epoch += 1
        yield from (b.tolist() for b in pair_budget_batches(self.n_pairs, self.budget, order, at_least=2))


def crystal_loader(dataset: CrystalDataset, batch_size: int, budget: int, seed: int | None = None) -> DataLoader[Any]:
    """Loader of batches within a pair budget; skorch's batch_size, a number of crystals, is not used."""
    n_pairs = dataset.points.n_pairs[dataset.crystals]
    sampler = PairBudgetSampler(n_pairs, budget, seed)
    # A loader without a generator of its own draws from the global one.
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=_as_is, generator=torch.Generator())


def _as_is(batch: Any) -> Any:
    """Pass on what is a batch already."""
    return batch


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

    def initialize(self) -> InfoMaxNet:
        """Initialize skorch, and the noise."""
        super().initialize()
        self.noise_ = torch.Generator()
        return self

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
        words = np.random.SeedSequence([self.plan.seed, epoch, int(training)]).generate_state(2, np.uint32)
        self.noise_.manual_seed(int(words[0]) << 32 | int(words[1]))
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> InfoMaxNet:
        """Train; unlike skorch's own, an interrupt by the user is passed on rather than taken for an end."""
        self.notify("on_train_begin", X=X, y=y)
        with suppress(EndOfTraining):
            self.fit_loop(X, y, epochs=self.plan.max_epochs - len(self.history))
        self.notify("on_train_end", X=X, y=y)
        return self


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
    net = _net(InfoMaxNet, model, SumOfLosses(), plan, validation).initialize()
    keep = dict(net.callbacks_)["keep_best"]
    done = keep.resume(net)
    if done < plan.max_epochs:
        net.partial_fit(CrystalDataset(points, crystals[learned], numbers=learned))
    else:
        keep.on_train_end(net)
    return history_rows(net.history)


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
    kind: type[InfoMaxNet], module: nn.Module, criterion: nn.Module, plan: TrainingPlan, held_out: CrystalDataset | None
) -> InfoMaxNet:
    """The net of one training."""
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
    )
