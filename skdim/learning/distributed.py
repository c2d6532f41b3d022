"""Training in several processes that a launcher has started.

A global batch is cut into one share a process. Each process backpropagates its own share, and the gradients are
averaged (Hugging Face Accelerate, torch's DistributedDataParallel), weighted so that they are those of the batch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch

from skdim.exceptions import ProcessLostError

if TYPE_CHECKING:
    from skdim.learning.config import Run

# What every launcher of torch sets: torchrun, and accelerate launch through it.
_LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR")


def place_among_processes() -> tuple[int, int]:
    """Return which process this is, and how many a launcher has started; 0 and 1 without a launcher."""
    if not all(name in os.environ for name in _LAUNCHED):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def make_accelerator(device: str) -> Any:
    """Make the Accelerator of this process.

    Parameters
    ----------
    device : str
        "cpu" keeps it off the GPUs; else it takes the one that the launcher gave this process.

    Returns
    -------
    accelerate.Accelerator

    Raises
    ------
    ImportError
        If Accelerate is not installed.
    """
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


class AcrossProcesses:
    """Mixin for a skorch net: training in step with the nets of the other processes."""

    module_: torch.nn.Module
    wrapped_: torch.nn.Module
    optimizer_: Any
    history: Any
    device: Any
    run: Run

    def __init__(self, *args: Any, accelerator: Any, **kwargs: Any) -> None:
        self.accelerator = accelerator
        super().__init__(*args, **kwargs)

    def initialize(self) -> Any:
        """Initialize the net, and let Accelerate wrap module and optimiser."""
        super().initialize()  # type: ignore[misc]
        # Beside the module, whose weights are read and written without a wrapper; for skorch it is no second module.
        self.__dict__["wrapped_"] = self.accelerator.prepare(self.module_)
        self.optimizer_ = self.accelerator.prepare(self.optimizer_)
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Train; where another process is lost, say what to do."""
        try:
            return super().fit_loop(X, y, epochs, **fit_params)  # type: ignore[misc]
        except RuntimeError as error:
            if not (isinstance(error, torch.distributed.DistError) or "gloo" in str(error)):
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
        return module(x.to(self.device), self.noise_)  # type: ignore[attr-defined]

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Backpropagate the share's mean loss times the share: averaged over the processes that is the batch's."""
        self._set_training(True)  # type: ignore[attr-defined]
        with self.accelerator.autocast():
            losses = self.infer(batch[0], **fit_params)
            loss = self.get_loss(losses, batch[1], training=True)  # type: ignore[attr-defined]
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
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)  # type: ignore[misc]
        if iterator is None:  # nothing is held out
            return
        names = (f"{prefix}_loss", f"{prefix}_batch_size")
        rows = [[row.pop(name, 0.0) for name in names] for row in self.history[-1]["batches"]]
        sums = [sum(loss * size for loss, size in rows), sum(size for _, size in rows)]
        total = self.accelerator.reduce(torch.tensor(sums, dtype=torch.float64, device=self.device), "sum")
        self.history.new_batch()
        for name, value in zip(names, (float(total[0] / total[1]), int(total[1])), strict=True):
            self.history.record_batch(name, value)
