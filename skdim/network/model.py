"""A batch in; losses in training and crystal vectors afterwards: encoders, readout and objectives put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from skdim.network.encoder import SiteNetEncoder
from skdim.network.infomax import ContextObjective
from skdim.network.layers import perceptron
from skdim.network.noise import crystal_noise, pair_noise
from skdim.network.segments import MOMENTS, SIGNED_MOMENTS, mean_and_covariance, runs_of, weighted_moments, weighted_sum
from skdim.network.threads import use_one_thread_after_fork
from skdim.network.two_level import TwoLevelObjective

if TYPE_CHECKING:
    from skdim.network.architecture import EncoderConfig
    from skdim.network.batches import Batch
    from skdim.network.config import ModelConfig, ObjectiveConfig
    from skdim.network.encoder import Geometry
    from skdim.network.segments import Runs


# Parts of a site whose spread and extremes over the crystal are read: few numbers that each mean something. Of the wide
# environments the mean is read, and which way they change from the electropositive to the electronegative sites.
_ALL_MOMENTS = ("raw", "density", "surprise")
_POLAR = "Electronegativity"
# Powers of a spacing of atoms by which site features are divided.
_DENSITIES = {"per_volume": 3, "per_length": 1}


class SiteStatistics(NamedTuple):
    """What a model knows of the sites of its pretraining set; F site features."""

    mean: torch.Tensor  # (F,)
    scale: torch.Tensor  # (F,)
    share: torch.Tensor  # (119,) of the sites, by atomic number


class ContextTower(nn.Module):
    """The encoder that never sees the centre, and what it learns to tell of it.

    Parameters
    ----------
    n_features, n_extra : int
        Site features, and interaction features beside the distance.
    config : EncoderConfig
        Of one block.
    element_share : Tensor of shape (119,)
        Share of the pretraining set's sites by atomic number.
    """

    def __init__(self, n_features: int, n_extra: int, config: EncoderConfig, element_share: torch.Tensor) -> None:
        super().__init__()
        self.encoder = SiteNetEncoder(n_features, n_extra, config, hide_centre=True)
        width = self.encoder.out_width
        self.head = perceptron(width, width, activation=config.activation)
        self.objective = ContextObjective(width, element_share)

    def forward(
        self, batch: Batch, features: torch.Tensor, distance: torch.Tensor, geometry: Geometry | None = None
    ) -> torch.Tensor:
        """Context environments (S, width)."""
        context: torch.Tensor = self.head(self.encoder(batch, features, distance, geometry).vector)
        return context


class CrystalModel(nn.Module):
    """Encoders, readout and objectives of one configuration.

    Parameters
    ----------
    config : ModelConfig
        Shape of the model.
    statistics : SiteStatistics
        Of the pretraining set.
    """

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
        self.two_level = TwoLevelObjective(config, self.encoder.out_width, n_features) if config.has_gaussians else None

    def features(self, batch: Batch) -> torch.Tensor:
        """Standardised and bounded site features (K, F)."""
        return ((batch.features - self.feature_mean) / self.feature_scale).clamp(-4.0, 4.0)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Return each objective's weighted loss; their sum trains the model.

        Parameters
        ----------
        batch : Batch
            At least two crystals where false samples are needed.
        generator : torch.Generator
            Source of all noise.
        """
        features, objective = self.features(batch), self.config.objective
        losses: dict[str, torch.Tensor] = {}
        if self.context is not None and objective.context > 0:
            context = self.context(batch, features, disturbed(batch, objective, generator))
            losses["context"] = objective.context * self.context.objective(batch, context)
        if self.two_level is not None:
            losses.update(self.two_level.losses(batch, features, self.encoder, generator))
        return losses

    def site_parts(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return what the readout pools, by name, each with one row a site (S, ...)."""
        features = self.features(batch)
        geometry = self.encoder.geometry(batch, batch.distance)
        environments = self.encoder(batch, features, batch.distance, geometry)
        parts = {"raw": features.index_select(0, batch.site_type)}
        parts["density"] = self.encoder.surroundings(batch, geometry, environments)
        parts["environment"] = environments.vector
        if self.context is not None:
            shared = geometry if self.context.encoder.same_geometry(self.encoder) else None
            context = self.context(batch, features, batch.distance, shared)
            objective = self.context.objective
            parts["context"] = context
            parts["surprise"] = objective.surprise(batch, objective.log_probabilities(context)).unsqueeze(1)
        return parts

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Any:
        """Return the losses when given a source of noise, else the crystal vectors.

        Both go through here because tools that wrap a module for several processes see only this method.
        """
        return self.vectors(batch) if generator is None else self.losses(batch, generator)

    def vectors(self, batch: Batch) -> torch.Tensor:
        """Crystal vectors (B, D), before they are standardised."""
        if self.config.readout == "network" and self.two_level is not None:
            return self.two_level.vectors(batch, self.encoder(batch, self.features(batch), batch.distance).vector)
        parts = self.site_parts(batch)
        sites, weight = runs_of(batch.crystal, len(batch)), batch.site_weight
        few = torch.cat([v for k, v in parts.items() if k in _ALL_MOMENTS], 1)
        polarity = parts["raw"][:, self._polar_column]
        wide = mean_and_covariance([v for k, v in parts.items() if k not in _ALL_MOMENTS], polarity, weight, sites)
        amounts = densities(batch, parts["density"], self._spacings, sites)
        return torch.cat([*weighted_moments(few, weight, sites), *wide, *amounts], 1)

    @property
    def _polar_column(self) -> int:
        """Site feature that tells electropositive from electronegative sites; without electronegativity the first."""
        names = self.config.feature_names
        return names.index(_POLAR) if _POLAR in names else 0

    @property
    def _spacings(self) -> dict[str, tuple[int, float]]:
        """Name, head and exponent of the spacings that a site sees: of the gentlest and of the steepest decay."""
        powers = self.config.encoder.decay or ()
        usable = sorted((power, head) for head, power in enumerate(powers) if power >= 1)
        return {f"d{power:g}": (head, power) for power, head in usable[:1] + usable[1:][-1:]}

    def column_names(self, batch: Batch) -> list[str]:
        """Names of the columns of the vector, given any batch."""
        if self.config.readout == "network":
            return [f"global_{k}" for k in range(self.config.global_dim)]
        few: list[str] = []
        wide: list[str] = []
        for part, values in self.site_parts(batch).items():
            own = self.config.feature_names if part == "raw" else range(values.shape[1])
            if part in _ALL_MOMENTS:
                few += [f"{part}_{k}" for k in own]
            else:
                wide += [f"{part}_{k}_{moment}" for moment in SIGNED_MOMENTS for k in own]
        names = [f"{name}_{moment}" for moment in MOMENTS for name in few]
        kinds = [*_DENSITIES, *(f"{density}_{spacing}" for spacing in self._spacings for density in _DENSITIES)]
        return names + wide + [f"{name}_{kind}" for kind in kinds for name in self.config.feature_names]


def densities(
    batch: Batch, log_sums: torch.Tensor, spacings: dict[str, tuple[int, float]], sites: Runs
) -> list[torch.Tensor]:
    """Site features, in their own units, per volume and per length, averaged over the sites.

    Stiffness, polarisation and electrostatic energy go with what an element brings per volume or per distance, such as
    its valence electrons, rather than per atom. The volume is that of the cell per atom and, for each spacing, that of
    a cube as wide as the site's distance to its neighbours: the generalised mean (sum over j of d_ij^-p)^(-1/p).

    Parameters
    ----------
    batch : Batch
        B crystals, S rows, F site features.
    log_sums : Tensor of shape (S, H)
        Logarithm of the sum over a site's pairs of d^-p, by head.
    spacings : dict of str to (int, float)
        Head and exponent p of each of the N spacings that a site sees.
    sites : Runs
        Rows of each crystal.

    Returns
    -------
    list of Tensor of shape (B, F)
        Two for the volume of the cell and two for each spacing: per volume and per length.
    """
    features = batch.features.index_select(0, batch.site_type)
    by_crystal = batch.volume.pow(-1.0 / 3.0).index_select(0, batch.crystal)
    inverse = [by_crystal, *((log_sums[:, head] / power).exp() for head, power in spacings.values())]
    weights = [batch.site_weight * i**power for i in inverse for power in _DENSITIES.values()]
    return [weighted_sum(features, w, sites) for w in weights]


def disturbed(batch: Batch, objective: ObjectiveConfig, generator: torch.Generator) -> torch.Tensor:
    """Distances (P,) with noise on each and a strain on each crystal, drawn for the crystal and not for the batch."""
    strain = objective.strain * crystal_noise(batch, generator)
    logarithm = objective.jitter * pair_noise(batch, generator)
    logarithm += strain.index_select(0, batch.crystal).index_select(0, batch.row)
    return batch.distance * logarithm.exp_()
