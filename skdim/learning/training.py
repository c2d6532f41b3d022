"""Training through skorch, with targets and without, in one process or in those of a launcher."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping
from skorch.helper import predefined_split
from torch import nn

from skdim.exceptions import InputError, ProcessLostError
from skdim.learning.callbacks import EndOfTraining, KeepBest, LearningRate, ShowProgress, TellTasks, history_rows
from skdim.learning.loader import CrystalDataset, crystal_loader, hold_out
from skdim.network.noise import Noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from skdim.learning.presets import Run, TrainingConfig
    from skdim.learning.states import Epoch
    from skdim.network.batches import Batch
    from skdim.network.model import CrystalModel
    from skdim.points.pointsets import PointSets

_LOADERS = ("train", "valid")
# Share of the learning rate that the linear path of a head gets, which starts as a ridge regression. A step changes
# each of a thousand weights alike, and together they would change the prediction much more than those of the encoder
# do: the loss would rise before it falls.
_SLOW = 0.1
_MOST_WORKERS = 6
_BATCHES_A_WORKER = 25  # gathering them takes about as long as starting a worker
# What every launcher of torch sets: torchrun, and accelerate launch through it.
_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR")


class TrainingOutcome(NamedTuple):
    """What a training ended with, beside the weights, which are in the module."""

    history: list[Epoch]
    interrupted: bool  # by the user; the weights are those of the best epoch before that


class SumOfLosses(nn.Module):
    """Criterion of a model that computes its own losses."""

    def forward(self, losses: dict[str, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return torch.stack(list(losses.values())).sum()


class InfoMaxNet(NeuralNet):
    """skorch's training loop around a model that returns its losses by name."""

    interrupted_ = False

    def __init__(self, *args: Any, config: TrainingConfig, run: Run, **kwargs: Any) -> None:
        self.config, self.run = config, run
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
        self.noise_ = Noise.of_epoch(self.run.seed, epoch, training, self.run.rank)
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> InfoMaxNet:
        """Train; unlike skorch's own, remember an interrupt by the user, and pass it on where nothing was learned."""
        self.notify("on_train_begin", X=X, y=y)
        try:
            with suppress(EndOfTraining):
                self.fit_loop(X, y, epochs=self.config.max_epochs - len(self.history))
        except KeyboardInterrupt:
            self.interrupted_ = True
        self.notify("on_train_end", X=X, y=y)
        if self.interrupted_ and self.kept.weights_ is None:
            raise KeyboardInterrupt
        return self

    @property
    def kept(self) -> KeepBest:
        """The callback that keeps the best weights."""
        keeper: KeepBest = dict(self.callbacks_)["keep_best"]
        return keeper


class _StoppedByLauncher(BaseException):
    """SIGTERM, by which a launcher ends the other processes as soon as it sees that one is lost."""


@contextmanager
def _termination_as_error() -> Iterator[None]:
    """Let SIGTERM raise `_StoppedByLauncher`, as it often comes before the loss is seen here; only the main thread may.

    Once another process is missed, a first SIGTERM is let pass, so that this can be told before the process ends.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def terminate(*_: Any) -> None:
        raise _StoppedByLauncher

    def let_pass(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, terminate)
    after: Any = signal.SIG_DFL
    try:
        yield
    except RuntimeError:
        after = let_pass
        raise
    finally:
        signal.signal(signal.SIGTERM, after)


class DistributedNet(InfoMaxNet):
    """The same loop in one of several processes that train together.

    A global batch is cut into one share a process. Each process backpropagates its own share, and the gradients are
    averaged (Hugging Face Accelerate, torch's DistributedDataParallel), weighted so that they are those of the batch.
    """

    optimizer_: Any

    def __init__(self, *args: Any, accelerator: Any, **kwargs: Any) -> None:
        self.accelerator = accelerator
        super().__init__(*args, **kwargs)

    def initialize(self) -> Any:
        """Initialize the net, and let Accelerate wrap module and optimiser."""
        super().initialize()
        # Beside the module, whose weights are read and written without a wrapper; for skorch it is no second module.
        self.__dict__["wrapped_"] = self.accelerator.prepare(self.module_)
        self.optimizer_ = self.accelerator.prepare(self.optimizer_)
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Train; where another process is lost, say what to do."""
        try:
            with _termination_as_error():
                return super().fit_loop(X, y, epochs, **fit_params)
        except (RuntimeError, _StoppedByLauncher) as error:
            if not (isinstance(error, torch.distributed.DistError | _StoppedByLauncher) or "gloo" in str(error)):
                raise
            kept = self.run.checkpoint
            cure = "with checkpoint_dir a training that is started again goes on where it was"
            if kept is not None:
                cure = f"start all of them again, and the training goes on from {kept.path}"
            raise ProcessLostError(
                f"another of the {self.run.processes} processes that train together has ended or cannot be reached "
                f"(epoch {len(self.history)}): {cure}."
            ) from error

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Return the losses of this process's share of a batch."""
        # The wrapper ties the processes together, and in validation they do not take the same number of steps.
        module = self.wrapped_ if torch.is_grad_enabled() else self.module_
        return module(x.to(self.device), self.noise_)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Backpropagate the share's mean loss times the share: averaged over the processes that is the batch's."""
        self._set_training(True)
        with self.accelerator.autocast():
            losses = self.infer(batch[0], **fit_params)
            loss = self.get_loss(losses, batch[1], training=True)
        own = torch.tensor(float(len(batch[0])), device=self.device)
        share = own / self.accelerator.reduce(own, "mean")
        self.accelerator.backward(loss * share)
        return {"loss": loss, "y_pred": losses}

    def _step_optimizer(self, step_fn: Any) -> None:
        """Compute gradients, then step: with mixed precision the optimiser takes no closure."""
        step_fn()
        self.optimizer_.step()

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Run an epoch; its loss is the mean over the crystals of all processes, the same number in each."""
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if iterator is None:  # nothing is held out
            return
        names = (f"{prefix}_loss", f"{prefix}_batch_size")
        rows = [[row.pop(name, 0.0) for name in names] for row in self.history[-1]["batches"]]
        sums = [sum(loss * size for loss, size in rows), sum(size for _, size in rows)]
        total = self.accelerator.reduce(torch.tensor(sums, dtype=torch.float64, device=self.device), "sum")
        self.history.new_batch()
        for name, value in zip(names, (float(total[0] / total[1]), int(total[1])), strict=True):
            self.history.record_batch(name, value)


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
    model: CrystalModel,  # to be trained
    points: PointSets,  # where the crystals are
    # How to train. Where fewer than two crystals would be held out, none is, and the training loss decides instead.
    config: TrainingConfig,
    run: Run,  # seed, device, checkpoint and progress bar
    crystals: NDArray[np.int64] | None = None,  # those to use, at least two, all valid; None takes all
) -> TrainingOutcome:
    """Train a model in place; it ends with the weights of the epoch with the lowest held-out loss."""
    crystals = np.arange(len(points)) if crystals is None else crystals
    learned, held_out = hold_out(len(crystals), _n_held_out(len(crystals), config.validation_fraction), run.seed)
    validation = CrystalDataset(points, crystals[held_out], numbers=held_out) if len(held_out) else None
    dataset = CrystalDataset(points, crystals[learned], numbers=learned)
    net = _pretraining_net(model, config, run, dataset, validation).initialize()
    return _carried_out(net, dataset)


def train_supervised(
    module: nn.Module,  # gives predictions (B, T) of a batch
    criterion: nn.Module,  # loss of predictions and a pair of targets (B, T) and weights (B,)
    config: TrainingConfig,
    run: Run,
    learned: CrystalDataset,  # crystals with targets
    held_out: CrystalDataset | None = None,
    loop: type[SupervisedNet] = SupervisedNet,
) -> TrainingOutcome:
    """Train a module on targets, in place.

    It ends with the weights of the lowest held-out loss, those it came with included; without held-out crystals, with
    those of the lowest training loss.
    """
    rate = _SLOW * config.learning_rate
    slow = [("head.linear.*", {"lr": rate, "peak": rate})]
    net: Any = _net(loop, module, criterion, config, run, learned, held_out, optimizer__param_groups=slow).initialize()
    if held_out is not None:
        net.kept.start_from(net.loss_of(held_out), net)
    return _carried_out(net, learned)


def _carried_out(net: InfoMaxNet, learned: CrystalDataset) -> TrainingOutcome:
    """Train from the checkpoint if there is one, else from the start."""
    if net.kept.resume(net):
        net.kept.on_train_end(net)
    else:
        net.partial_fit(learned)
    return TrainingOutcome(history_rows(net.history), net.interrupted_)


def _pretraining_net(
    model: CrystalModel, config: TrainingConfig, run: Run, learned: CrystalDataset, held_out: CrystalDataset | None
) -> InfoMaxNet:
    """The net of a pretraining, in one process or in those of a launcher."""
    rank, processes = place_among_processes()
    if processes == 1:
        return _net(InfoMaxNet, model, SumOfLosses(), config, run, learned, held_out)
    if len(learned) < 2 * processes:
        raise InputError(
            f"{processes} processes need {2 * processes} crystals to learn from; there are {len(learned)}."
        )
    accelerator = make_accelerator(run.device)
    run = replace(run, rank=rank, processes=processes, device=str(accelerator.device))
    return _net(DistributedNet, model, SumOfLosses(), config, run, learned, held_out, accelerator=accelerator)


def place_among_processes() -> tuple[int, int]:
    """Return which process this is, and how many a launcher has started; 0 and 1 without a launcher."""
    if not all(name in os.environ for name in _LAUNCHED):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def make_accelerator(device: str) -> Any:
    """Make the Accelerator of this process: off the GPUs for "cpu", else on the one that the launcher gave it."""
    try:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs
    except ImportError as error:
        raise ImportError(
            "RANK, WORLD_SIZE and MASTER_ADDR are set, as by a launcher of several processes: to pretrain in them "
            "accelerate is needed (pip install 'skdim-crystals[accelerate]'). Unset them to train in this process"
        ) from error
    # Parts of the default model are not trained.
    options = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(cpu=device == "cpu", kwargs_handlers=[options])


def _n_held_out(n: int, fraction: float) -> int:
    """How many of n crystals to hold out: a share of them that leaves two to learn from, and none in place of one."""
    n_valid = round(fraction * n)
    n_valid = n_valid if n_valid >= 2 else 0
    if n_valid > n - 2:
        raise InputError(
            f"validation_fraction={fraction} leaves {n - n_valid} of {n} crystals to learn from; at least 2 are needed."
        )
    return n_valid


def loader_workers(n_batches: int, processors: int) -> int:
    """Processes that gather batches: started anew in each epoch, they pay off where each gathers many.

    Examples
    --------
    >>> loader_workers(3, 16), loader_workers(100, 16), loader_workers(1000, 4)
    (0, 4, 3)
    """
    return min(_MOST_WORKERS, processors - 1, n_batches // _BATCHES_A_WORKER)


def _net(
    kind: type[Any],
    module: nn.Module,
    criterion: nn.Module,
    config: TrainingConfig,
    run: Run,
    learned: CrystalDataset,
    held_out: CrystalDataset | None,
    **more: Any,
) -> InfoMaxNet:
    """The net of one training."""
    place = {f"iterator_{part}__{name}": getattr(run, name) for part in _LOADERS for name in ("rank", "processes")}
    if run.device.startswith("cuda"):
        # They gather batches while the GPU works on the last ones; the processor would have nothing else to do itself.
        n_batches = int(learned.points.n_pairs[learned.crystals].sum()) // config.batch_pairs
        place["iterator_train__workers"] = loader_workers(n_batches, os.cpu_count() or 1)
    # The first one hears of every epoch: those behind KeepBest do not hear of the end of the last.
    watchers = {"tasks": TellTasks, "rate": LearningRate, "keep_best": KeepBest, "progress": ShowProgress}
    watching: list[tuple[str, Any]] = [(name, watch(config, run)) for name, watch in watchers.items()]
    if config.gradient_norm is not None:
        watching.append(("clipping", GradientNormClipping(config.gradient_norm)))
    net: InfoMaxNet = kind(
        module,
        config=config,
        run=run,
        criterion=criterion,
        optimizer=torch.optim.AdamW,
        optimizer__lr=config.learning_rate,
        optimizer__weight_decay=config.weight_decay,
        optimizer__amsgrad=config.amsgrad,
        max_epochs=config.max_epochs,
        iterator_train=crystal_loader,
        iterator_train__budget=config.batch_pairs,
        iterator_train__seed=run.seed,
        iterator_valid=crystal_loader,
        iterator_valid__budget=config.batch_pairs,
        train_split=None if held_out is None else predefined_split(held_out),
        callbacks=watching,
        callbacks__print_log=None,
        device=run.device,
        verbose=0,
        **place,
        **more,
    )
    return net
