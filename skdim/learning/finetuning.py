"""Fine-tuning on labels: encoders with regression heads, trained from one start, and their predictions.

A head starts as the ridge regression on the encoder's vectors, and from there everything that is not frozen is trained
together. Several members, each with weights and held-out labels of its own, share one start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from skdim.learning.checkpoints import Checkpoint, fingerprint
from skdim.learning.embedding import embed, on_device
from skdim.learning.loader import CrystalDataset
from skdim.learning.regression import RegressionModel, WeightedLoss
from skdim.learning.states import weights_of
from skdim.network.batches import collate, pair_budget_batches
from skdim.network.threads import use_one_thread_after_fork

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from skdim.learning.presets import Run, TrainingConfig
    from skdim.learning.states import EmbedderState, Epoch, Member, RegressorState
    from skdim.points.pointsets import PointSets

# Pairs of a batch of predictions: what a head adds is small, and batches of this size keep the pair states of any
# encoder in the processor's cache. Sums over other batches would differ in their last bits.
_PREDICT_PAIRS = 5_000
# Of fewer labels the share that would be held out says nothing.
FEW = 20


@dataclass(frozen=True)
class FineTuning:
    """Choices of a fine-tuning beside those of the training.

    Attributes
    ----------
    freeze : str
        One of `FREEZE`.
    head_width : int
        Hidden units of the head; 0 leaves it linear.
    loss : str
        One of `LOSSES`, of standardised targets.
    """

    freeze: str
    head_width: int
    loss: str


class LabelledPoints(NamedTuple):
    """Crystals with labels to train on, all valid."""

    points: PointSets  # N
    targets: NDArray[np.float32]  # (N, T), standardised
    weights: NDArray[np.float32]  # (N,), positive, one on average


class FineTuned(NamedTuple):
    """What the fine-tuning of one member ended with."""

    member: Member
    history: list[Epoch]
    interrupted: bool


def fine_tune(
    start: EmbedderState,
    labelled: LabelledPoints,
    choices: FineTuning,
    config: TrainingConfig,
    run: Run,
    previous: Member | None = None,
    checkpoint: Path | None = None,
) -> FineTuned:
    """Train one encoder with its head.

    Parameters
    ----------
    start : EmbedderState
        Encoder to start from.
    labelled : LabelledPoints
        Crystals and labels.
    choices : FineTuning
        What is trained.
    config : TrainingConfig
        How to train.
    run : Run
        Its seed also draws the held-out labels.
    previous : Member or None
        Weights to go on from, in place of the encoder's and a ridge.
    checkpoint : Path or None
        File of the training's checkpoint.

    Returns
    -------
    FineTuned
    """
    points, targets, weights = labelled
    held_out, learned = _split(len(points), config, run.seed)
    module = RegressionModel(start, targets.shape[1], choices.head_width, run.seed)
    if previous is None:
        vectors = embed(start, module.model.to(run.device), points, run.device)
        module.head.start_as_ridge(vectors[learned], targets[learned], weights[learned])
    else:
        module.load(previous)
    module.freeze(choices.freeze)
    if not config.max_epochs:
        return FineTuned(module.weights(), [], False)
    from skdim.learning.training import train_supervised  # and with it skorch, which prediction does without

    # A ridge that passes through its few labels has no training loss to lower: that is no reason to stop.
    config = config if len(held_out) else replace(config, patience=config.max_epochs)
    if checkpoint is not None:
        said = [asdict(choices), asdict(config), run.seed]
        initial = weights_of(module).values()
        run = replace(run, checkpoint=Checkpoint(checkpoint, fingerprint(said, points, targets, weights, *initial)))
    sets = [CrystalDataset(points, rows, targets[rows], weights[rows]) for rows in (learned, held_out)]
    outcome = train_supervised(
        module, WeightedLoss(choices.loss), config, run, sets[0], sets[1] if len(held_out) else None
    )
    return FineTuned(module.weights(), *outcome)


def _split(n: int, config: TrainingConfig, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Held-out and learned rows; nothing is held out of few labels, or where nothing is trained."""
    order = np.random.default_rng(seed).permutation(n)
    n_held_out = round(config.validation_fraction * n) if n >= FEW and config.max_epochs else 0
    return np.sort(order[:n_held_out]), np.sort(order[n_held_out:])


def build_members(state: RegressorState) -> list[RegressionModel]:
    """Build the modules of an ensemble, ready to predict."""
    shape = len(state.target_scale.center), state.head_width
    return [RegressionModel(state.start, *shape).load(member).eval() for member in state.members]


def predict(modules: Sequence[RegressionModel], points: PointSets, n_targets: int, device: str) -> NDArray[np.float64]:
    """Predict standardised targets.

    Parameters
    ----------
    modules : sequence of RegressionModel
        M members; they are moved to the device.
    points : PointSets
        C crystals; those without sites get NaN.
    n_targets : int
        T.
    device : str
        Where to compute.

    Returns
    -------
    ndarray of shape (M, C, T)
    """
    use_one_thread_after_fork()
    valid = np.flatnonzero(points.valid)
    predicted = np.full((len(modules), len(points), n_targets), np.nan)
    for number, module in enumerate(modules):
        on_device(module, device)
        with torch.inference_mode():
            for crystals in pair_budget_batches(points.n_pairs, _PREDICT_PAIRS, valid):
                predicted[number, crystals] = module(collate(points, crystals).to(device)).cpu().numpy()
    return predicted
