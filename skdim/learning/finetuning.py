"""An encoder's state and labelled point sets in, encoders with regression heads out; such a state in, predictions out.

A head starts as the ridge regression on the encoder's vectors, and from there everything that is not frozen is trained
together. Several members, each with weights and held-out labels of its own, share one state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import nn

from skdim.learning.embedding import BOUND, embed
from skdim.learning.loader import CrystalDataset
from skdim.learning.state import EmbedderState
from skdim.learning.training import train_supervised
from skdim.network.batches import collate, pair_budget_batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skdim.learning.callbacks import TrainingPlan
    from skdim.network.batches import Batch
    from skdim.network.model import CrystalModel
    from skdim.points.pointsets import PointSets

FREEZE = ("none", "local", "global", "both")
LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
    "huber": nn.functional.huber_loss,
}
# Penalties a ridge on columns of unit variance chooses from. Smaller ones let it pass through a few labels, which
# leaves the training nothing to lower.
_ALPHAS = np.logspace(1.5, 6, 19)
_PREDICT_PAIRS = 5_000
# Of fewer labels the share that would be held out says nothing.
FEW = 20


@dataclass(frozen=True)
class FineTuning:
    """Choices beside those of the `TrainingPlan`.

    Attributes
    ----------
    freeze : str
        One of `FREEZE`.
    head_width : int
        Hidden units of the head; 0 leaves it linear.
    loss : str
        One of `LOSSES`, of standardised targets.
    validation_fraction : float
        Share of the labels held out.
    """

    freeze: str
    head_width: int
    loss: str
    validation_fraction: float


class WeightedLoss(nn.Module):
    """Mean over crystals of a weight times the mean loss over targets."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.loss: Callable[..., torch.Tensor] = LOSSES[name]

    def forward(self, predicted: torch.Tensor, known: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the loss of predictions (B, T), given targets (B, T) and weights (B,)."""
        targets, weights = known
        each = self.loss(predicted, targets, reduction="none")
        return (weights * each.mean(1)).mean()


class RegressionModel(nn.Module):
    """A crystal model, the scale of its vectors, and a head on them.

    Parameters
    ----------
    state : EmbedderState
        Of the encoder.
    n_targets : int
        Targets T.
    head_width : int
        Hidden units of the head's second path, which starts at zero; 0 leaves it out.
    seed : int
        Of the head's weights.
    """

    center: torch.Tensor
    scale: torch.Tensor
    components: torch.Tensor | None
    offset: torch.Tensor | None

    def __init__(self, state: EmbedderState, n_targets: int, head_width: int, seed: int) -> None:
        super().__init__()
        self.model: CrystalModel = state.model()
        for name in ("center", "scale", "components", "offset"):
            array = getattr(state, name)
            # Not among the weights: every member shares them.
            self.register_buffer(name, None if array is None else torch.from_numpy(np.array(array)), persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.linear = nn.Linear(len(state.columns), n_targets)
            self.curved: nn.Sequential | None = None
            if head_width:
                last = nn.Linear(head_width, n_targets)
                self.curved = nn.Sequential(nn.Linear(len(state.columns), head_width), nn.SiLU(), last)
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def vectors(self, batch: Batch) -> torch.Tensor:
        """Crystal vectors as the embedder gives them, (B, d)."""
        vectors: torch.Tensor = ((self.model(batch) - self.center) / self.scale).clamp(-BOUND, BOUND)
        if self.components is None or self.offset is None:
            return vectors
        return (vectors @ self.components.T - self.offset).clamp(-BOUND, BOUND)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Predict standardised targets (B, T)."""
        vectors = self.vectors(batch)
        predicted: torch.Tensor = self.linear(vectors)
        return predicted if self.curved is None else predicted + self.curved(vectors)

    def start_as_ridge(
        self, vectors: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float32]
    ) -> None:
        """Set the linear head to the ridge regression whose penalty leave-one-out cross-validation prefers."""
        ridge = RidgeCV(_ALPHAS).fit(vectors.astype(np.float64), targets.astype(np.float64), weights)
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(np.atleast_2d(ridge.coef_)))
            self.linear.bias.copy_(torch.from_numpy(np.atleast_1d(ridge.intercept_)))

    def freeze(self, what: str) -> None:
        """Leave out of the training what `FREEZE` names."""
        model = self.model
        levels = model.two_level
        parts: dict[str, list[nn.Module | None]] = {
            "none": [],
            "local": [model.encoder, model.context, levels and levels.local],
            "global": [levels and levels.before, levels and levels.after, levels and levels.global_],
            "both": [model],
        }
        for part in parts[what]:
            if part is not None:
                part.requires_grad_(False)


def fine_tune(
    start: EmbedderState,
    points: PointSets,
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    plan: TrainingPlan,
    choices: FineTuning,
    previous: dict[str, NDArray[Any]] | None = None,
) -> tuple[dict[str, NDArray[Any]], list[dict[str, float]]]:
    """Train one encoder with its head.

    Parameters
    ----------
    start : EmbedderState
        Encoder to start from.
    points : PointSets
        N labelled crystals, all valid.
    targets : ndarray of shape (N, T)
        Standardised.
    weights : ndarray of shape (N,)
        Positive, one on average.
    plan : TrainingPlan
        How to train; its seed also draws the held-out labels.
    choices : FineTuning
        The rest.
    previous : dict of ndarray or None
        Weights to go on from, in place of the encoder's and a ridge.

    Returns
    -------
    weights : dict of ndarray
        Of the whole `RegressionModel`.
    history : list of dict
        As `skdim.learning.training.train` gives it; empty without epochs.
    """
    held_out, learned = _split(len(points), plan, choices.validation_fraction)
    module = RegressionModel(start, targets.shape[1], choices.head_width, plan.seed)
    if previous is None:
        vectors = embed(start, module.model.to(plan.device), points, plan.device)
        module.start_as_ridge(vectors[learned], targets[learned], weights[learned])
    else:
        module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in previous.items()})
    module.freeze(choices.freeze)
    history: list[dict[str, float]] = []
    if plan.max_epochs:
        # A ridge that passes through its few labels has no training loss to lower: that is no reason to stop.
        plan = plan if len(held_out) else replace(plan, patience=plan.max_epochs)
        sets = [CrystalDataset(points, rows, targets[rows], weights[rows]) for rows in (learned, held_out)]
        history = train_supervised(module, WeightedLoss(choices.loss), plan, sets[0], sets[1] if len(sets[1]) else None)
    return {k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}, history


def _split(n: int, plan: TrainingPlan, fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Held-out and learned rows; nothing is held out of few labels, or where nothing is trained."""
    order = np.random.default_rng(plan.seed).permutation(n)
    n_held_out = round(fraction * n) if n >= FEW and plan.max_epochs else 0
    return np.sort(order[:n_held_out]), np.sort(order[n_held_out:])


def packed(start: EmbedderState, members: list[dict[str, NDArray[Any]]], extra: dict[str, Any]) -> EmbedderState:
    """One state of an encoder's start and the weights of all members."""
    weights = {f"start/{k}": v for k, v in start.weights.items()}
    for number, member in enumerate(members):
        weights |= {f"{number}/{k}": v for k, v in member.items()}
    return replace(start, weights=weights, extra=extra)


def unpacked(state: EmbedderState, prefix: str) -> dict[str, NDArray[Any]]:
    """The weights under a prefix: "start/", or "0/" for all of the first member."""
    return {k.removeprefix(prefix): v for k, v in state.weights.items() if k.startswith(prefix)}


def encoder_of(state: EmbedderState, prefix: str, extra: dict[str, Any]) -> EmbedderState:
    """The state of an encoder alone: "start/", or "0/model." for that of the first member."""
    return replace(state, weights=unpacked(state, prefix), extra=extra)


def member(state: EmbedderState, number: int, shape: tuple[int, int, int]) -> RegressionModel:
    """Build a member from what `packed` made; ``shape`` as for `predict`."""
    module = RegressionModel(encoder_of(state, "start/", {}), shape[1], shape[2], 0)
    module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in unpacked(state, f"{number}/").items()})
    return module.eval()


def predict(state: EmbedderState, points: PointSets, shape: tuple[int, int, int], device: str) -> NDArray[np.float64]:
    """Predict standardised targets.

    Parameters
    ----------
    state : EmbedderState
        What `packed` made.
    points : PointSets
        C crystals; those without sites get NaN.
    shape : tuple of int
        Members M, targets T, and hidden units of the head.
    device : str
        Where to compute.

    Returns
    -------
    ndarray of shape (M, C, T)
    """
    valid = np.flatnonzero(points.valid)
    predicted = np.full((shape[0], len(points), shape[1]), np.nan)
    for number in range(shape[0]):
        module = member(state, number, shape).to(device)
        with torch.inference_mode():
            for crystals in pair_budget_batches(points.n_pairs, _PREDICT_PAIRS, valid):
                predicted[number, crystals] = module(collate(points, crystals).to(device)).cpu().numpy()
    return predicted
