"""skorch's events in; the plan of a training and what watches it: rate, best weights, checkpoints, progress."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from skdim._parameters import check_choice
from skdim.learning.checkpoints import read_checkpoint, write_checkpoint
from skdim.learning.presets import check_training

_SCHEDULES = ("one_cycle", "constant")


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes
    ----------
    max_epochs, patience : int
        Most epochs, and how many without a lower held-out loss end the training.
    batch_pairs : int
        Most pairs in a batch.
    learning_rate, weight_decay : float
        Of AdamW.
    amsgrad : bool
        AdamW's variant with a running maximum.
    schedule : str
        "one_cycle" warms up and cools down over max_epochs; "constant" does neither.
    seed : int
        Of batches and noise.
    device : str
        Where to train.
    checkpoint : str or None
        File that is written after each epoch, and continued from if it is there.
    fingerprint : str
        What a checkpoint must match to be continued: data, configuration and seed.
    progress : bool
        Whether to show a progress bar.
    title : str
        What the bar says is going on.
    rank, processes : int
        Which of how many processes this is; the first one alone writes checkpoints and shows a bar.
    """

    max_epochs: int
    patience: int
    batch_pairs: int
    learning_rate: float
    weight_decay: float
    amsgrad: bool
    schedule: str
    seed: int
    device: str
    checkpoint: str | None = None
    fingerprint: str = ""
    progress: bool = False
    title: str = "pretraining"
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        """Refuse plans that cannot be carried out."""
        check_choice("schedule", self.schedule, _SCHEDULES)
        check_training(self)


class EndOfTraining(Exception):
    """Raised by a callback that has seen enough."""


def history_rows(history: Any) -> list[dict[str, float]]:
    """Each epoch of a skorch history as a plain dict."""
    return [
        {
            "epoch": row["epoch"],
            "train_loss": float(row["train_loss"]),
            "valid_loss": float(row.get("valid_loss", math.nan)),
            "dur": float(row["dur"]),
        }
        for row in history
    ]


class _Callback(Callback):
    """A skorch callback that knows the plan."""

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan = plan


class LearningRate(_Callback):
    """Warm up over the first three tenths of the training, then cool down along a cosine."""

    def on_train_begin(self, net: NeuralNet, X: Any = None, **kwargs: Any) -> None:
        """Count the batches of an epoch."""
        pairs = int(X.points.n_pairs[X.crystals].sum())
        self.n_batches_ = math.ceil(pairs / (self.plan.batch_pairs * self.plan.processes))

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin to count."""
        self.batch_ = 0

    def on_batch_begin(self, net: NeuralNet, training: bool = True, **kwargs: Any) -> None:
        """Set the rate of this step."""
        if not training or self.plan.schedule == "constant":
            return
        epoch = len(net.history) - 1 + min(self.batch_ / self.n_batches_, 1.0)
        self.batch_ += 1
        rate = self.plan.learning_rate * one_cycle(epoch / self.plan.max_epochs)
        for group in net.optimizer_.param_groups:
            group["lr"] = rate


def one_cycle(done: float, turn: float = 0.3, low: float = 0.04) -> float:
    """Share of the highest learning rate when this share of the training is done.

    Examples
    --------
    >>> one_cycle(0.0), one_cycle(0.3), round(one_cycle(1.0), 6)
    (0.04, 1.0, 0.04)
    """
    part = 1 - done / turn if done < turn else (done - turn) / (1 - turn)
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * part))


class KeepBest(_Callback):
    """Stop when the held-out loss has not fallen for some epochs, restore the best weights, write checkpoints."""

    def initialize(self) -> KeepBest:
        """Nothing seen yet."""
        self.best_, self.misses_ = math.inf, 0
        self.weights_: dict[str, torch.Tensor] | None = None
        return self

    def resume(self, net: NeuralNet) -> int:
        """Continue from the plan's checkpoint if there is one, and return how many epochs it has behind it."""
        if self.plan.checkpoint is None or not Path(self.plan.checkpoint).exists():
            return 0
        state = read_checkpoint(self.plan.checkpoint, self.plan.fingerprint)
        net.module_.load_state_dict(state.weights)
        net.optimizer_.load_state_dict(state.optimizer)
        self.weights_, self.best_, self.misses_ = state.best_weights, state.best, state.misses
        for row in state.history:
            net.history.new_epoch()
            for name, value in row.items():
                net.history.record(name, value)
        return self.plan.max_epochs if self.misses_ >= self.plan.patience else len(state.history)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Compare this epoch's loss with the best."""
        row = history_rows(net.history)[-1]
        watched = ["train_loss"] if net.train_split is None else ["train_loss", "valid_loss"]
        for name in watched:
            if not math.isfinite(row[name]):
                raise FloatingPointError(
                    f"{name} became {row[name]} in epoch {row['epoch']}: lower learning_rate={self.plan.learning_rate}."
                )
        loss = row[watched[-1]]
        self.misses_ += 1
        if loss < self.best_:
            self.best_, self.misses_ = loss, 0
            self.weights_ = copy.deepcopy(net.module_.state_dict())
        if self.plan.checkpoint is not None and self.plan.rank == 0:
            write_checkpoint(self.plan.checkpoint, self.plan.fingerprint, net, self, history_rows(net.history))
        if self.misses_ >= self.plan.patience:
            raise EndOfTraining

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the best weights."""
        if self.weights_ is not None:
            net.module_.load_state_dict(self.weights_)


class Progress(_Callback):
    """A bar with the losses of the last epoch and the time left."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        from tqdm.auto import tqdm

        self.bar_ = tqdm(
            total=self.plan.max_epochs,
            initial=len(net.history),
            desc=self.plan.title,
            unit="epoch",
            disable=not self.plan.progress or self.plan.rank > 0,
        )

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Move the bar on."""
        row = history_rows(net.history)[-1]
        losses = {"train": row["train_loss"], "valid": row["valid_loss"]}
        shown = {name: f"{loss:.3f}" for name, loss in losses.items() if not math.isnan(loss)}
        self.bar_.set_postfix(shown, refresh=False)
        self.bar_.update()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
