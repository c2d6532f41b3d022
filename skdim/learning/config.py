"""How a model is trained: the choices that shape the result, and the circumstances of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from skdim._parameters import FLAG, Accepted, check_parameters, choice, integer, number, optional

if TYPE_CHECKING:
    from skdim._fittasks import FitTasks
    from skdim.learning.checkpoints import Checkpoint

SCHEDULES = ("one_cycle", "constant")


@dataclass(frozen=True)
class TrainingConfig:
    """Choices of a training.

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
    validation_fraction : float
        Share of the crystals held out.
    gradient_norm : float or None
        Gradients longer than this are shortened to it; None leaves them as they are.
    """

    max_epochs: int
    patience: int
    batch_pairs: int
    learning_rate: float
    weight_decay: float = 1e-4
    amsgrad: bool = False
    schedule: str = "one_cycle"
    validation_fraction: float = 0.05
    gradient_norm: float | None = None

    ACCEPTED: ClassVar[dict[str, Accepted]] = {
        "max_epochs": integer(0),
        "patience": integer(1),
        "batch_pairs": integer(1),
        "learning_rate": number(above=0),
        "weight_decay": number(least=0),
        "amsgrad": FLAG,
        "schedule": choice(*SCHEDULES),
        "validation_fraction": number(least=0, below=1),
        "gradient_norm": optional(number(above=0)),
    }

    def __post_init__(self) -> None:
        """Refuse a training that cannot be carried out."""
        check_parameters(self, self.ACCEPTED)


@dataclass(frozen=True)
class Run:
    """Circumstances of one training.

    Attributes
    ----------
    seed : int
        Of weights, batches, noise and held-out crystals.
    device : str
        Where to train.
    checkpoint : Checkpoint or None
        What is written after each epoch, and continued from if it is there.
    progress : bool
        Whether to show how far it is.
    title : str
        What to say is going on.
    rank, processes : int
        Which of how many processes this is; the first one alone writes checkpoints and shows progress.
    tasks : FitTasks or None
        For scikit-learn's callbacks, where an estimator has any.
    """

    seed: int
    device: str = "cpu"
    checkpoint: Checkpoint | None = None
    progress: bool = False
    title: str = "pretraining"
    rank: int = 0
    processes: int = 1
    tasks: FitTasks | None = None
