"""The name of a preset and the parameters that override it in, one complete set of choices out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from skdim.config import NEGATIVES, ModelConfig, ObjectiveConfig, encoder_config
from skdim.encoder import EncoderConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skdim.pointsets import PointSets


@dataclass(frozen=True)
class Preset:
    """Every choice a preset makes.

    Attributes
    ----------
    featurizer : dict
        Parameters of `CrystalPointSetTransformer`.
    encoder : EncoderConfig
        Of the encoder that sees the centre; the one that does not takes the same, with one block.
    objective : ObjectiveConfig
        What is learned.
    readout, negatives, kl_weight
        As in `ModelConfig`.
    max_epochs, patience, batch_pairs, learning_rate, weight_decay, amsgrad, schedule
        As in `TrainingPlan`.
    validation_fraction : float
        Share of the crystals held out.
    """

    featurizer: dict[str, Any]
    encoder: EncoderConfig
    objective: ObjectiveConfig
    readout: str
    max_epochs: int
    patience: int
    batch_pairs: int
    learning_rate: float
    weight_decay: float = 1e-4
    amsgrad: bool = False
    schedule: str = "one_cycle"
    negatives: tuple[str, ...] = NEGATIVES
    kl_weight: float = 0.1
    validation_fraction: float = 0.05


PRESETS = {
    "default": Preset(
        featurizer={},
        encoder=EncoderConfig(),
        objective=ObjectiveConfig(),
        readout="moments",
        max_epochs=15,
        patience=5,
        batch_pairs=8_000,
        learning_rate=2e-3,
    ),
    "paper": Preset(
        featurizer={"neighborhood": "supercell", "site_features": "paper"},
        encoder=EncoderConfig(
            width=64, heads=1, depth=2, decay=None, difference=False, radial=False, activation="mish"
        ),
        objective=ObjectiveConfig(local=1.0, global_=1.0, context=0.0),
        readout="network",
        max_epochs=100,
        patience=10,
        # 1200 sites of 50 neighbours are 60,000 pairs, of which the reduction leaves about a quarter.
        batch_pairs=15_000,
        learning_rate=1e-4,
        amsgrad=True,
        schedule="constant",
    ),
}


def resolve_preset(
    name: str,
    encoder_params: Mapping[str, Any] | None,
    objective_params: Mapping[str, Any] | None,
    overrides: Mapping[str, Any],
) -> Preset:
    """Return the preset with the given parameters in place of its own.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    encoder_params : mapping or None
        Fields of `EncoderConfig`.
    objective_params : mapping or None
        Fields of `ObjectiveConfig`; "global" may be written for its field ``global_``.
    overrides : mapping
        Other fields of `Preset`; None keeps the preset's.

    Returns
    -------
    Preset

    Raises
    ------
    ValueError
        If a name is unknown or a value cannot be used.

    Examples
    --------
    >>> resolve_preset("paper", {"width": 32}, None, {"max_epochs": 3, "readout": None}).encoder.width
    32
    """
    if name not in PRESETS:
        raise ValueError(f"preset={name!r}; accepted are {sorted(PRESETS)}.")
    preset = PRESETS[name]
    objective = {("global_" if k == "global" else k): v for k, v in (objective_params or {}).items()}
    encoder = dict(encoder_params or {})
    _check_names("encoder_params", encoder, EncoderConfig)
    _check_names("objective_params", objective, ObjectiveConfig)
    given = {k: v for k, v in overrides.items() if v is not None}
    return replace(
        preset,
        encoder=encoder_config({**asdict(preset.encoder), **encoder}),
        objective=replace(preset.objective, **objective),
        **given,
    )


def _check_names(parameter: str, given: Mapping[str, Any], config: type) -> None:
    """Refuse names that are no fields."""
    accepted = [f.name for f in fields(config)]
    unknown = sorted(set(given) - set(accepted))
    if unknown:
        raise ValueError(f"{parameter} has unknown names {unknown}; accepted are {accepted}.")


def model_config(preset: Preset, points: PointSets, embedding_dim: int | None) -> ModelConfig:
    """Return the model that a preset builds on these point sets."""
    context = replace(preset.encoder, blocks=1) if preset.readout == "moments" else None
    if preset.objective.context > 0 and context is None:
        raise ValueError("objective_params={'context': ...} needs readout='moments', which reads the context.")
    dim = {} if embedding_dim is None or preset.readout != "network" else {"global_dim": embedding_dim}
    return ModelConfig(
        feature_names=points.feature_names,
        interaction_names=points.interaction_names,
        encoder=preset.encoder,
        context_encoder=context,
        objective=preset.objective,
        readout=preset.readout,
        negatives=tuple(preset.negatives),
        kl_weight=preset.kl_weight,
        **dim,
    )
