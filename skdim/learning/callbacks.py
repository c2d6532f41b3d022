"""What watches a training: the learning rate, the best weights with their checkpoints, and the progress.

skorch has callbacks for all of these, and none of them keeps what the package promises:

- ``EarlyStopping`` forgets what it has seen when a training begins, so a resumed one would not end as if it had never
  stopped; and it ends a training by a ``KeyboardInterrupt``, which hides the user's own.
- ``Checkpoint`` writes several files one after the other, so a kill between two of them leaves a state that never was.
- ``LRScheduler`` counts steps. Batches are filled up to a number of pairs, so epochs differ in their steps, and the
  schedule would not end with the training.
- ``ProgressBar`` shows one bar an epoch, without the time that the training still takes, and bars in log files.
"""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from skdim._parameters import as_json
from skdim._progress import Progress
from skdim.exceptions import InputError
from skdim.learning.checkpoints import TrainingState
from skdim.learning.presets import Run, TrainingConfig

_TURN, _LOWEST = 0.3, 0.04
"""Share of the training after which the learning rate falls, and the lowest rate as a share of the highest."""
_DIVERGED = 1_000.0
"""A training whose lowest loss is this many times that of the first step (or 1, if that is more) has diverged."""


class EndOfTraining(Exception):
    """Raised by a callback that has seen enough."""


def history_rows(history: Any) -> list[dict[str, float]]:
    """Each finished epoch of a skorch history as a plain dict."""
    return [
        {
            "epoch": row["epoch"],
            "train_loss": float(row["train_loss"]),
            "valid_loss": float(row.get("valid_loss", math.nan)),
            "dur": float(row["dur"]),
        }
        for row in history
        if "dur" in row  # which an interrupted epoch lacks
    ]


class _Callback(Callback):
    """A skorch callback that knows the training."""

    def __init__(self, config: TrainingConfig, run: Run) -> None:
        self.config, self.run = config, run


class LearningRate(_Callback):
    """Warm up over the first three tenths of the training, then cool down along a cosine."""

    def on_train_begin(self, net: NeuralNet, X: Any = None, **kwargs: Any) -> None:
        """Count the batches of an epoch; groups of weights without a highest rate of their own have that of all."""
        for group in net.optimizer_.param_groups:
            group.setdefault("peak", self.config.learning_rate)
        pairs = int(X.points.n_pairs[X.crystals].sum())
        self.n_batches_ = math.ceil(pairs / (self.config.batch_pairs * self.run.processes))

    def on_batch_begin(self, net: NeuralNet, training: bool = True, **kwargs: Any) -> None:
        """Set the rate of this step."""
        if not training or self.config.schedule == "constant":
            return
        n_done = len(net.history[-1]["batches"]) - 1  # the one that begins is in the history
        epoch = len(net.history) - 1 + min(n_done / self.n_batches_, 1.0)
        share = one_cycle(epoch / self.config.max_epochs)
        for group in net.optimizer_.param_groups:
            group["lr"] = group["peak"] * share


def one_cycle(done: float) -> float:
    """Share of the highest learning rate when this share of the training is done: lowest at both ends.

    Examples
    --------
    >>> one_cycle(0.0), one_cycle(0.3), round(one_cycle(1.0), 6)
    (0.04, 1.0, 0.04)
    """
    part = 1 - done / _TURN if done < _TURN else (done - _TURN) / (1 - _TURN)
    return _LOWEST + (1 - _LOWEST) * 0.5 * (1 + math.cos(math.pi * part))


class KeepBest(_Callback):
    """Stop when the watched loss has not fallen for some epochs, restore the best weights, write checkpoints."""

    def initialize(self) -> KeepBest:
        """Nothing seen yet."""
        self.first_, self.best_, self.misses_ = math.nan, math.inf, 0
        self.weights_: dict[str, torch.Tensor] | None = None
        return self

    def start_from(self, loss: float, net: NeuralNet) -> None:
        """Count the weights of the start, with this watched loss, among those to choose from."""
        self.best_, self.weights_ = loss, copy.deepcopy(net.module_.state_dict())

    def resume(self, net: NeuralNet) -> bool:
        """Continue from the checkpoint if there is one, and tell whether the training had ended there."""
        checkpoint = self.run.checkpoint
        if checkpoint is None or (state := checkpoint.read()) is None:
            return self.config.max_epochs == 0
        try:
            _check_optimizer(net.optimizer_, state.optimizer)
            net.module_.load_state_dict(state.best_weights)  # which are only needed later, and have to fit then
            net.module_.load_state_dict(state.weights)
            net.optimizer_.load_state_dict(state.optimizer)
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise InputError(
                f"{checkpoint.path} or the one before it does not fit the model ({said}). Remove them, or choose "
                "another checkpoint_dir."
            ) from error
        self.weights_, self.first_, self.best_, self.misses_ = state.best_weights, state.first, state.best, state.misses
        for row in state.history:
            net.history.new_epoch()
            for name, value in row.items():
                net.history.record(name, value)
        return self.misses_ >= self.config.patience or len(state.history) >= self.config.max_epochs

    def on_batch_end(self, net: NeuralNet, batch: Any = None, training: bool = True, **kwargs: Any) -> None:
        """Remember the loss of the first step, which is that of the weights at the start."""
        if training and math.isnan(self.first_):
            self.first_ = float(kwargs["loss"].detach())

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Compare this epoch's loss with the best."""
        row = history_rows(net.history)[-1]
        watched = ["train_loss"] if net.train_split is None else ["train_loss", "valid_loss"]
        for name in watched:
            if not math.isfinite(row[name]):
                raise FloatingPointError(f"{name} is {row[name]} in epoch {row['epoch']}: {self._cure()}")
        loss = row[watched[-1]]
        self.misses_ += 1
        if loss < self.best_:
            self.weights_ = copy.deepcopy(net.module_.state_dict())  # first: an interrupt may come in between
            self.best_, self.misses_ = loss, 0
        if self.run.checkpoint is not None and self.run.rank == 0:
            self.run.checkpoint.write(self._state(net))
        if self.misses_ >= self.config.patience:
            raise EndOfTraining

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the best weights; those of a training that only diverged are an error."""
        if self.weights_ is None:
            return
        loss = self._loss_of_kept(net)
        if loss > _DIVERGED * max(1.0, self.first_):
            raise FloatingPointError(
                f"the training diverged: the loss of the best epoch is {loss:.3g}, that of the first step was "
                f"{self.first_:.3g}. {self._cure()}"
            )
        net.module_.load_state_dict(self.weights_)

    def _loss_of_kept(self, net: NeuralNet) -> float:
        """Loss of the weights that are kept.

        A loss of training is that of the weights before each step of an epoch: the next epoch tells what the last step
        has done.
        """
        if net.train_split is not None:
            return self.best_
        losses = [row["train_loss"] for row in history_rows(net.history)]
        return max([self.best_, *losses[losses.index(self.best_) + 1 :][:1]]) if self.best_ in losses else self.best_

    def _cure(self) -> str:
        """What to change when a training diverges."""
        return f"lower learning_rate, which is {self.config.learning_rate:g}."

    def _state(self, net: NeuralNet) -> TrainingState:
        """What a checkpoint keeps."""
        return TrainingState(
            weights=net.module_.state_dict(),
            best_weights=self.weights_ or {},
            optimizer=net.optimizer_.state_dict(),
            first=self.first_,
            best=self.best_,
            misses=self.misses_,
            history=history_rows(net.history),
        )


def _check_optimizer(optimizer: torch.optim.Optimizer, kept: dict[str, Any]) -> None:
    """Refuse the state of another optimizer with a ValueError: torch finds out when it takes a step."""
    rates = ("lr", "peak")  # which change
    own, given = (
        [{name: value for name, value in group.items() if name not in rates} for group in json.loads(as_json(groups))]
        for groups in (optimizer.state_dict()["param_groups"], kept["param_groups"])
    )
    if own != given:
        raise ValueError("param_groups are those of another optimizer")
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for place, slots in kept["state"].items():
        if any(value.numel() not in (1, weights[place].numel()) for value in slots.values()):
            raise ValueError(f"optimizer/{place} is not of the size of its weight")


class ShowProgress(_Callback):
    """Say how far the training is, what the losses are, and how long it still takes."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin."""
        self.shown_ = Progress(
            self.run.title,
            "epochs",
            self.config.max_epochs,
            enabled=self.run.progress and self.run.rank == 0,
            done=len(net.history),
            announce=True,
        )

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Count one more."""
        row = history_rows(net.history)[-1]
        losses = {"train": row["train_loss"], "valid": row["valid_loss"]}
        shown = {name: f"{loss:.3f}" for name, loss in losses.items() if not math.isnan(loss)}
        self.shown_.update(1, **shown)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """End."""
        self.shown_.close()


class TellTasks(_Callback):
    """Report epochs to scikit-learn's callbacks, and end the training before the next one where one asks for it."""

    def initialize(self) -> TellTasks:
        """No callback has asked to stop yet."""
        self.stop_ = False
        return self

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Report the start of an epoch, or end the training if a callback has asked for that."""
        if self.stop_:
            raise EndOfTraining
        if self.run.tasks is not None:
            self.run.tasks.begin_epoch()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Report the end of an epoch, and remember whether a callback asks to stop."""
        self.stop_ = self.run.tasks is not None and self.run.tasks.end_epoch()
