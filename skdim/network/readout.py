"""The readout without weights: what is pooled over the sites of a crystal, how, and what the columns are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from skdim.network.levels import LEVEL_COLUMNS, filled_levels
from skdim.network.segments import (
    MOMENTS,
    SIGNED_MOMENTS,
    mean_and_covariance,
    run_sum,
    runs_of,
    segment_max,
    segment_sum,
    weighted_moments,
    weighted_sum,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skdim.network.batches import Batch
    from skdim.network.config import ModelConfig
    from skdim.network.segments import Runs

# Parts of a site whose spread and extremes over the crystal are read: few numbers that each mean something. Of the wide
# environments the mean is read, and which way they change from the electropositive to the electronegative sites.
_ALL_MOMENTS = ("raw", "density", "surprise")
_POLAR = "Electronegativity"
_SAME = 1e-5  # relative; equivalent sites differ by rounding
# Powers of a spacing of atoms by which site features are divided.
_DENSITIES = {"per_volume": 3, "per_length": 1}
_LOG_POWERS = (1, 2, 3, 4, 5, 6)
# Share of a feature's size in the pretraining set that is added before a logarithm, so that there is one of nothing.
_LITTLE = 0.03


def part_columns(config: ModelConfig) -> dict[str, tuple[str, ...]]:
    """Names of the columns of each part of a site, in the order in which they are pooled."""
    encoder = config.encoder
    widths = {"density": encoder.heads}
    # What was learned without labels says less than a layer that has learned labels, and a few columns are found with
    # fewer labels.
    if config.reads_averages:
        if config.environments:
            widths["environment"] = encoder.blocks * encoder.width
        if config.context_encoder is not None:
            widths |= {"context": config.context_width, "surprise": 1}
        widths |= {f"hop{k}": encoder.hop_width for k in range(1, encoder.hops + 1)}
    numbered = {part: tuple(map(str, range(width))) for part, width in widths.items()}
    return {"raw": config.feature_names, **numbered}


def column_names(config: ModelConfig) -> list[str]:
    """Names of the columns of a model's vectors, before a projection.

    Examples
    --------
    >>> from skdim.network.config import ModelConfig, ObjectiveConfig
    >>> column_names(ModelConfig(("Row",), objective=ObjectiveConfig(context=0.0), readout="network", global_dim=2))
    ['global_0', 'global_1']
    """
    if config.readout == "network":
        return [f"global_{k}" for k in range(config.global_dim)]
    parts = part_columns(config)
    few = [f"{part}_{k}" for part, columns in parts.items() if part in _ALL_MOMENTS for k in columns]
    wide = {part: columns for part, columns in parts.items() if part not in _ALL_MOMENTS}
    names = [f"{name}_{moment}" for moment in MOMENTS for name in few]
    names += [f"{part}_{k}_{moment}" for part, columns in wide.items() for moment in SIGNED_MOMENTS for k in columns]
    spacings = ["", *(f"_{spacing}" for spacing in _spacings(config))]
    amounts = [f"{density}{spacing}" for spacing in spacings for density in _powers(config)]
    names += [f"{name}_{amount}" for amount in amounts for name in config.feature_names]
    if config.log_densities:
        amounts = [f"per_length{power}{spacing}" for spacing in spacings for power in _LOG_POWERS]
        names += [f"log_{name}_{amount}" for amount in amounts for name in config.feature_names]
    names += [f"level_{column}" for column in LEVEL_COLUMNS if config.levels]
    names += [f"property_{k}" for k in range(config.property_width)]
    return names + [f"told_{name}" for name in config.property_names]


KINDS = ("composition", "density", "environment", "context", "electrons")
"""What the columns of a vector tell of: which elements there are; how densely they are packed; how they surround each
other; what each one's surroundings, seen without it, let expect; and, where a model has learned it, what the electrons
do: a layer over the whole crystal, and what that tells of them."""


def column_kinds(config: ModelConfig) -> list[str]:
    """Say of each of `column_names` which of `KINDS` it tells of; the model has to read moments."""
    by_part = dict.fromkeys(("raw", "level"), "composition") | dict.fromkeys(("context", "surprise"), "context")
    by_part |= {"density": "density"} | dict.fromkeys(("property", "told"), "electrons")
    # An amount per volume or length does not begin with a part.
    return [
        "density"
        if any(f"_{density}" in name for density in _DENSITIES)
        else by_part.get(name.partition("_")[0], "environment")
        for name in column_names(config)
    ]


def pool_sites(
    batch: Batch,  # B crystals, S rows
    parts: Mapping[str, torch.Tensor],  # (S, ...) the parts of `part_columns`, in its order
    config: ModelConfig,
    sizes: torch.Tensor,  # (F,) how large each site feature is in the pretraining set
) -> torch.Tensor:
    """Pool what is known of the sites over each crystal, weighted by the atoms that the sites stand for.

    It gives the columns of `column_names` (B, D), without those of properties.
    """
    sites, weight = runs_of(batch.crystal, len(batch)), batch.site_weight
    few = torch.cat([values for part, values in parts.items() if part in _ALL_MOMENTS], 1)
    wide = [values for part, values in parts.items() if part not in _ALL_MOMENTS]
    polarity = parts["raw"][:, _polar_column(config)]
    features = batch.features.index_select(0, batch.site_type)
    return torch.cat(
        [
            *weighted_moments(few, weight, sites),
            *mean_and_covariance(wide, polarity, weight, sites),
            *(weighted_sum(features, w, sites) for w in _density_weights(batch, parts["density"], config)),
            *([_log_densities(batch, parts["density"], config, sizes, sites)] if config.log_densities else []),
            *([filled_levels(batch)] if config.levels else []),
        ],
        1,
    )


def site_shares(
    batch: Batch, parts: Mapping[str, torch.Tensor], config: ModelConfig, sizes: torch.Tensor
) -> torch.Tensor:
    """Split what `pool_sites` gives among the sites (S, D): rows of a crystal sum to its vector, column by column.

    Means are sums over sites as they are, and so are deviations and covariances, as means of what each site departs by.
    A minimum or maximum is that of the sites that have it, in proportion to the atoms they stand for. Levels, and
    logarithms of amounts, are of the crystal as a whole: every atom has the same part in them.
    """
    crystal, weight, n = batch.crystal, batch.site_weight.unsqueeze(1), len(batch)

    def over_sites(values: torch.Tensor) -> torch.Tensor:
        """Sum over the sites of each crystal (S, D), seen from each of its sites."""
        return segment_sum(values, crystal, n).index_select(0, crystal)

    few = torch.cat([values for part, values in parts.items() if part in _ALL_MOMENTS], 1)
    shares = [few * weight, (few - over_sites(few * weight)).abs() * weight]
    for sign in (-1.0, 1.0):
        largest = segment_max(sign * few, crystal, n).index_select(0, crystal)
        here = weight * (sign * few >= largest - _SAME * largest.abs().clamp_min(1.0))
        shares.append(sign * largest * here / over_sites(here))
    polarity = parts["raw"][:, _polar_column(config), None]
    departure = (polarity - over_sites(polarity * weight)) * weight
    for values in (values for part, values in parts.items() if part not in _ALL_MOMENTS):
        shares += [values * weight, (values - over_sites(values * weight)) * departure]
    features = batch.features.index_select(0, batch.site_type)
    shares += [features * w.unsqueeze(1) for w in _density_weights(batch, parts["density"], config)]
    rows = runs_of(crystal, n)
    of_crystals = [_log_densities(batch, parts["density"], config, sizes, rows)] if config.log_densities else []
    of_crystals += [filled_levels(batch)] if config.levels else []
    shares += [values.index_select(0, crystal) * weight for values in of_crystals]
    return torch.cat(shares, 1)


def _polar_column(config: ModelConfig) -> int:
    """Site feature that tells electropositive from electronegative sites; without electronegativity the first."""
    return config.feature_names.index(_POLAR) if _POLAR in config.feature_names else 0


def _spacings(config: ModelConfig) -> dict[str, tuple[int, float]]:
    """Name, head and exponent of the spacings that a site sees: all for logarithms, else gentlest and steepest."""
    usable = sorted((power, head) for head, power in enumerate(config.encoder.decay or ()) if power >= 1)
    chosen = usable if config.log_densities else usable[:1] + usable[1:][-1:]
    return {f"d{power:g}": (head, power) for power, head in chosen}


def _powers(config: ModelConfig) -> dict[str, int]:
    """Name and power of the spacing of each density that is read; logarithms, where they are read, hold the others."""
    return {"per_volume": 3} if config.log_densities else _DENSITIES


def _inverse_spacings(batch: Batch, log_sums: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
    """One over each spacing (S,): that of the cell, then those that each site sees; see `_density_weights`."""
    by_crystal = batch.volume.pow(-1.0 / 3.0).index_select(0, batch.crystal)
    return [by_crystal, *((log_sums[:, head] / power).exp() for head, power in _spacings(config).values())]


def _density_weights(
    batch: Batch,  # B crystals, S rows
    log_sums: torch.Tensor,  # (S, H) logarithm of the sum over a site's pairs of d^-p, by head
    config: ModelConfig,  # decides on the spacings that a site sees, and on the powers
) -> list[torch.Tensor]:
    """Weights of the sites (S,) in sums of site features, in their own units, per volume and length.

    Stiffness, polarisation and electrostatic energy go with what an element brings per volume or per distance, such as
    its valence electrons, rather than per atom. The volume is that of the cell per atom and, for each spacing, that of
    a cube as wide as the site's distance to its neighbours: the generalised mean (sum over j of d_ij^-p)^(-1/p).

    First come the weights for each power of the spacing of the cell, then those for each spacing that a site sees.
    """
    inverse = _inverse_spacings(batch, log_sums, config)
    return [batch.site_weight * i**power for i in inverse for power in _powers(config).values()]


def _log_densities(
    batch: Batch,  # B crystals, S rows, F site features
    log_sums: torch.Tensor,  # (S, H) as in `_density_weights`
    config: ModelConfig,
    sizes: torch.Tensor,  # (F,) how large each site feature is in the pretraining set
    sites: Runs,  # rows of each crystal
) -> torch.Tensor:
    """Logarithms of the amounts of site features per powers of the spacings, (B, N * F) of N powers of spacings.

    Moduli are products of powers of densities and distances, which logarithms make sums, and a regression with few
    labels can only sum. An amount is the mean of the feature's size over the sites, weighted by the power of one over
    the spacing, times the mean of that power; a little is added to the former, so that there is a logarithm of nothing.
    """
    weights = torch.stack(
        [batch.site_weight * i**p for i in _inverse_spacings(batch, log_sums, config) for p in _LOG_POWERS], 1
    )  # (S, N)
    features = batch.features.abs().index_select(0, batch.site_type)
    per_power = run_sum(weights, sites).unsqueeze(2)  # (B, N, 1)
    amounts = run_sum(weights.unsqueeze(2) * features.unsqueeze(1), sites)  # (B, N, F)
    return ((amounts / per_power + _LITTLE * sizes).log() + per_power.log()).flatten(1)
