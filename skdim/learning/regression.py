"""The module that is fine-tuned: an encoder and a head on its vectors, which starts as a ridge regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from skdim.learning.seeding import drawing_from
from skdim.learning.states import BOUND, EmbedderState, Member, Ridge, weights_of, with_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from skdim.network.batches import Batch
    from skdim.network.model import CrystalModel

FREEZE = ("none", "local", "global", "both")
LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
    "huber": nn.functional.huber_loss,
}


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


class RegressionHead(nn.Module):
    """A linear path, and a curved one that starts at zero."""

    def __init__(
        self,
        n_columns: int,
        n_targets: int,
        width: int,  # hidden units of the curved path; 0 leaves it out
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(n_columns, n_targets)
        self.curved: nn.Sequential | None = None
        if width:
            last = nn.Linear(width, n_targets)
            self.curved = nn.Sequential(nn.Linear(n_columns, width), nn.SiLU(), last)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Predict standardised targets (B, T) from vectors (B, d)."""
        predicted: torch.Tensor = self.linear(vectors)
        return predicted if self.curved is None else predicted + self.curved(vectors)

    def start_as(self, ridge: Ridge) -> None:
        """Set the linear path to a ridge regression."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(ridge.weight))
            self.linear.bias.copy_(torch.from_numpy(ridge.bias))


class RegressionModel(nn.Module):
    """A crystal model, the scale of its vectors, and a head on them."""

    center: torch.Tensor
    scale: torch.Tensor
    components: torch.Tensor | None
    offset: torch.Tensor | None

    def __init__(
        self,
        state: EmbedderState,  # of the encoder
        n_targets: int,
        head_width: int,  # hidden units of the head's curved path; 0 leaves it out
        seed: int = 0,  # of the head's weights
    ) -> None:
        super().__init__()
        self.model: CrystalModel = state.model()
        for name in ("center", "scale", "components", "offset"):
            array = getattr(state, name)
            # Not among the weights: every member shares them.
            self.register_buffer(name, None if array is None else torch.from_numpy(np.array(array)), persistent=False)
        with drawing_from(torch.Generator().manual_seed(seed)):
            self.head = RegressionHead(len(state.columns), n_targets, head_width).float()

    def forward(self, batch: Batch) -> torch.Tensor:
        """Predict standardised targets (B, T) from crystal vectors as the embedder gives them, (B, d)."""
        vectors = ((self.model(batch) - self.center) / self.scale).clamp(-BOUND, BOUND)
        if self.components is not None and self.offset is not None:
            vectors = (vectors @ self.components.T - self.offset).clamp(-BOUND, BOUND)
        predicted: torch.Tensor = self.head(vectors)
        return predicted

    def freeze(self, what: str) -> None:
        """Leave out of the training what `FREEZE` names."""
        model = self.model
        levels = model.two_level
        parts: dict[str, list[nn.Module | None]] = {
            "none": [],
            "local": [model.encoder, model.context, model.deep, levels and levels.local],
            "global": [model.properties, levels and levels.before, levels and levels.after, levels and levels.global_],
            "both": [model],
        }
        for part in parts[what]:
            if part is not None:
                part.requires_grad_(False)

    def weights(self) -> Member:
        """Copy the weights to numpy."""
        return Member(weights_of(self.model), weights_of(self.head))

    def load(self, member: Member) -> RegressionModel:
        """Take over weights."""
        with_weights(self.model, member.encoder)
        with_weights(self.head, member.head)
        return self
