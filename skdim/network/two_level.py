"""The published objective on two levels, sites and crystals, and the crystal vectors it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from skdim.network.estimators import gaussian_kl
from skdim.network.infomax import Gaussian, GlobalObjective, LocalObjective
from skdim.network.layers import Perceptron
from skdim.network.negatives import expand, other_crystals, permute_neighbors, replace_distances, replace_species
from skdim.network.segments import segment_sum

if TYPE_CHECKING:
    from collections.abc import Callable

    from skdim.network.batches import Batch
    from skdim.network.config import ModelConfig
    from skdim.network.encoder import SiteNetEncoder


class TwoLevelObjective(nn.Module):
    """Gaussian environments and crystal vectors with their objectives, as published.

    References
    ----------
    Moran et al., arXiv 2407.00671.
    """

    def __init__(
        self,
        config: ModelConfig,
        n_in: int,  # width of the encoder's environments
        n_features: int,  # site features F
    ) -> None:
        super().__init__()
        self.config = config
        objective, activation = config.objective, config.encoder.activation
        self.local = Gaussian(n_in, config.local_dim)
        self.before = Perceptron(config.local_dim, 64, 128, activation=activation)
        self.after = Perceptron(128, 64, activation=activation)
        self.global_ = Gaussian(64, config.global_dim)
        self.local_objective = LocalObjective(config.local_dim, n_features, objective.estimator)
        self.global_objective = GlobalObjective(config.global_dim, config.local_dim, objective.estimator)

    def pool(self, batch: Batch, local: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the crystal vectors (B, global_dim) from environments (S, local_dim)."""
        hidden = self.before(local) * batch.site_weight.unsqueeze(1)
        mean, log_variance = self.global_(self.after(segment_sum(hidden, batch.crystal, len(batch))))
        return mean, log_variance

    def vectors(self, batch: Batch, environments: torch.Tensor) -> torch.Tensor:
        """Crystal vectors: the means, without noise."""
        return self.pool(batch, self.local(environments)[0])[0]

    def losses(
        self, batch: Batch, features: torch.Tensor, encoder: SiteNetEncoder, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Local, global and divergence losses, weighted."""
        objective, losses = self.config.objective, {}
        partner = other_crystals(len(batch), generator).to(batch.crystal.device)
        local = self.local(encoder(batch, features, batch.distance).vector)
        divergence = batch.site_weight @ gaussian_kl(*local) / len(batch)
        drawn = Gaussian.draw(local[0], local[1], generator)
        losses["local"] = objective.local * self.local_objective(batch, features, drawn, partner, generator)
        # The gradient stops between the levels, so the sum of the losses trains both as if alone.
        fixed = local[0].detach()
        vector = self.pool(batch, fixed)
        divergence = divergence + gaussian_kl(*vector).mean()
        drawn = Gaussian.draw(vector[0], vector[1], generator)
        negatives = self._negatives(batch, features, encoder, fixed, partner, generator)
        losses["global"] = objective.global_ * self.global_objective(batch, drawn, fixed, negatives)
        losses["kl"] = self.config.kl_weight * divergence
        return losses

    def _negatives(
        self,
        batch: Batch,
        features: torch.Tensor,
        encoder: SiteNetEncoder,
        local: torch.Tensor,
        partner: torch.Tensor,
        generator: torch.Generator,
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Environments of each kind of negative, and the crystals they are compared with."""
        negatives = []
        if "crystal" in self.config.negatives:
            negatives.append((local, partner[batch.crystal]))
        apart = expand(batch) if {"distances", "neighbors"} & set(self.config.negatives) else batch
        disturb: dict[str, Callable[[], Batch]] = {
            "species": lambda: replace_species(batch, partner, generator),
            "distances": lambda: replace_distances(apart, partner, generator),
            "neighbors": lambda: permute_neighbors(apart, generator),
        }
        with torch.no_grad():
            for name in (n for n in disturb if n in self.config.negatives):
                wrong = disturb[name]()
                negatives.append((self.local(encoder(wrong, features, wrong.distance).vector)[0], batch.crystal))
        return negatives
