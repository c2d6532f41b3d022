"""Encoders, objectives and readout put together: losses in training, and crystal vectors afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from skdim.network.encoder import SiteNetEncoder
from skdim.network.infomax import ContextObjective, surprise
from skdim.network.layers import Perceptron
from skdim.network.noise import crystal_noise, pair_noise
from skdim.network.properties import PropertyLayer
from skdim.network.readout import pool_sites, site_shares
from skdim.network.restoration import DeepTower
from skdim.network.threads import use_one_thread_after_fork
from skdim.network.two_level import TwoLevelObjective

if TYPE_CHECKING:
    from skdim.network.batches import Batch
    from skdim.network.config import EncoderConfig, ModelConfig, ObjectiveConfig
    from skdim.network.encoder import Geometry
    from skdim.network.noise import Noise


class SiteStatistics(NamedTuple):
    """What a model knows of the sites of its pretraining set; F site features."""

    mean: torch.Tensor  # (F,)
    scale: torch.Tensor  # (F,)
    share: torch.Tensor  # (119,) of the sites, by atomic number


class ContextTower(nn.Module):
    """The encoder that never sees the centre, and what it learns to tell of it."""

    def __init__(
        self,
        n_features: int,  # site features
        n_extra: int,  # interaction features beside the distance
        config: EncoderConfig,  # of one block
        element_share: torch.Tensor,  # (119,) share of the pretraining set's sites by atomic number
    ) -> None:
        super().__init__()
        self.encoder = SiteNetEncoder(n_features, n_extra, config, hide_centre=True)
        width = self.encoder.out_width
        self.head = Perceptron(width, width, activation=config.activation)
        self.objective = ContextObjective(width, element_share)

    def forward(
        self, batch: Batch, features: torch.Tensor, distance: torch.Tensor, geometry: Geometry | None = None
    ) -> torch.Tensor:
        """Context environments (S, width)."""
        context: torch.Tensor = self.head(self.encoder(batch, features, distance, geometry).vector)
        return context


class CrystalModel(nn.Module):
    """Encoders, readout and objectives of one configuration."""

    feature_mean: torch.Tensor
    feature_scale: torch.Tensor

    def __init__(self, config: ModelConfig, statistics: SiteStatistics) -> None:
        use_one_thread_after_fork()
        super().__init__()
        self.config = config
        self.register_buffer("feature_mean", statistics.mean)
        self.register_buffer("feature_scale", statistics.scale)
        n_features, n_extra = len(statistics.mean), len(config.interaction_names) - 1
        self.encoder = SiteNetEncoder(n_features, n_extra, config.encoder)
        self.context: ContextTower | None = None
        if config.context_encoder is not None:
            self.context = ContextTower(n_features, n_extra, config.context_encoder, statistics.share)
        self.deep = DeepTower(n_features, config.encoder) if config.encoder.hops else None
        self.properties: PropertyLayer | None = None
        if config.property_width:
            self.properties = PropertyLayer(config.encoder, config.property_width, len(config.property_names))
        self.two_level = TwoLevelObjective(config, self.encoder.out_width, n_features) if config.has_gaussians else None

    def features(self, batch: Batch) -> torch.Tensor:
        """Standardised and bounded site features (K, F)."""
        return ((batch.features - self.feature_mean) / self.feature_scale).clamp(-4.0, 4.0)

    def _sizes(self) -> torch.Tensor:
        """How large each site feature is in the pretraining set (F,): the root of its mean square."""
        return torch.hypot(self.feature_mean, self.feature_scale)

    def losses(self, batch: Batch, noise: Noise) -> dict[str, torch.Tensor]:
        """Return each objective's weighted loss; their sum trains the model. Negatives need two crystals or more."""
        features, objective = self.features(batch), self.config.objective
        losses: dict[str, torch.Tensor] = {}
        if self.context is not None and objective.context > 0:
            context = self.context(batch, features, disturbed(batch, objective, noise))
            losses["context"] = objective.context * self.context.objective(batch, context)
        if self.deep is not None and objective.restored > 0:
            losses.update(self.deep.losses(batch, features, disturbed(batch, objective, noise), objective, noise))
        if self.two_level is not None:
            losses.update(self.two_level.losses(batch, features, self.encoder, noise.generator))
        return losses

    def site_parts(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return what the readout pools, by name, each with one row a site (S, ...)."""
        features = self.features(batch)
        geometry = self.encoder.geometry(batch, batch.distance)
        parts = {"raw": features.index_select(0, batch.site_type)}
        if not self.config.reads_averages:
            return parts | {"density": self.encoder.surroundings(batch, geometry)}
        if self.config.environments:
            environments = self.encoder(batch, features, batch.distance, geometry)
            parts["density"] = self.encoder.surroundings(batch, geometry, environments)
            parts["environment"] = environments.vector
        else:
            parts["density"] = self.encoder.surroundings(batch, geometry)
        if self.context is not None:
            shared = geometry if self.context.encoder.same_geometry(self.encoder) else None
            context = self.context(batch, features, batch.distance, shared)
            parts["context"] = context[:, : self.config.context_width]
            parts["surprise"] = surprise(batch, self.context.objective.log_probabilities(context)).unsqueeze(1)
        if self.deep is not None:
            parts.update({f"hop{k}": state for k, state in enumerate(self.hops(batch), 1)})
        return parts

    def hops(self, batch: Batch) -> list[torch.Tensor]:
        """States (S, w) of the deep encoder after each hop."""
        encoder = self.deep.encoder  # type: ignore[union-attr]
        # What a site is before it has heard of others is a function of its features, which are read themselves.
        states: list[torch.Tensor] = encoder(batch, self.features(batch), encoder.near(batch, batch.distance))
        return states[1:]

    def forward(self, batch: Batch, noise: Noise | None = None) -> Any:
        """Return the losses when given noise, else the crystal vectors.

        Both go through here because tools that wrap a module for several processes see only this method.
        """
        return self.vectors(batch) if noise is None else self.losses(batch, noise)

    def vectors(self, batch: Batch) -> torch.Tensor:
        """Crystal vectors (B, D), before they are standardised."""
        if self.config.readout == "network" and self.two_level is not None:
            return self.two_level.vectors(batch, self.encoder(batch, self.features(batch), batch.distance).vector)
        parts = self.site_parts(batch)
        pooled = pool_sites(batch, parts, self.config, self._sizes())
        if self.properties is None:
            return pooled
        return torch.cat([pooled, self.properties(batch, self._states(batch, parts))], 1)

    def site_shares(self, batch: Batch) -> torch.Tensor:
        """What each site (S) gives to the columns of `vectors`, of a model that pools sites; a crystal's sum to it."""
        parts = self.site_parts(batch)
        shares = site_shares(batch, parts, self.config, self._sizes())
        if self.properties is None:
            return shares
        return torch.cat([shares, self.properties.shares(batch, self._states(batch, parts))], 1)

    def _states(self, batch: Batch, parts: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """States after each hop, which are among the parts where they are read as averages."""
        return [parts[name] for name in parts if name.startswith("hop")] or self.hops(batch)


def disturbed(batch: Batch, objective: ObjectiveConfig, noise: Noise) -> torch.Tensor:
    """Distances (P,) with noise on each and a strain on each crystal, drawn for the crystal and not for the batch."""
    strain = objective.strain * crystal_noise(batch, noise)
    logarithm = objective.jitter * pair_noise(batch, noise)
    logarithm += strain.index_select(0, batch.crystal).index_select(0, batch.row)
    return batch.distance * logarithm.exp_()
