"""What tells scikit-learn's callbacks of the epochs of a training."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skdim._fittasks import FitTasks
from skdim.learning.callbacks import EndOfTraining


class EpochTasks(Callback):
    """Report epochs, and end the training before the next one where a callback asks for it.

    Parameters
    ----------
    tasks : FitTasks or None
        Of the fit; None where nobody wants to know.
    """

    def __init__(self, tasks: FitTasks | None) -> None:
        self.tasks = tasks
        self.stop_ = False

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Say so, unless it was the last one that was wanted."""
        if self.stop_:
            raise EndOfTraining
        if self.tasks is not None:
            self.tasks.begin_epoch()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Say so."""
        self.stop_ = self.tasks is not None and self.tasks.end_epoch()
