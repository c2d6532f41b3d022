"""The name of a preset and the parameters that override it in, one complete set of choices out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from skdim._parameters import check_choice, check_number
from skdim.network.architecture import FORMER_FIELDS, EncoderConfig, encoder_config
from skdim.network.config import NEGATIVES, ModelConfig, ObjectiveConfig

# What a parameter of an estimator can replace in a preset.
OVERRIDES = (
    "max_epochs",
    "batch_pairs",
    "learning_rate",
    "kl_weight",
    "negatives",
    "readout",
    "validation_fraction",
    "patience",
)


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

    def checked(self) -> Preset:
        """Return the preset, if it can be built and trained."""
        check_training(self)
        check_number("validation_fraction", self.validation_fraction, "shares from 0 to below 1", least=0, below=1)
        if isinstance(self.negatives, str) or not isinstance(self.negatives, Sequence):
            raise ValueError(f"negatives={self.negatives!r}; accepted are sequences of {', '.join(NEGATIVES)}.")
        if self.max_epochs and not self.objective.total:
            raise ValueError(
                "objective_params gives local, global, context and prior the weight 0: there is nothing to learn; "
                "accepted is that with max_epochs=0 only."
            )
        model_config(self, (), ("distance",))
        return self


def check_training(plan: Any) -> None:
    """Refuse numbers that no training can use.

    Parameters
    ----------
    plan : Preset or TrainingPlan
        Its fields max_epochs, patience, batch_pairs and learning_rate.

    Raises
    ------
    ValueError
        Naming parameter, value and what is accepted.
    """
    for name, least in (("max_epochs", 0), ("patience", 1), ("batch_pairs", 1)):
        check_number(name, getattr(plan, name), f"whole numbers of at least {least}", whole=True, least=least)
    check_number("learning_rate", plan.learning_rate, "finite numbers above 0", above=0)


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
        encoder=EncoderConfig(width=64, heads=1, block="sitenet", decay=None, difference=False, activation="mish"),
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
        The fields `OVERRIDES`; None keeps the preset's.

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
    check_choice("preset", name, sorted(PRESETS))
    preset = PRESETS[name]
    encoder = _checked_names("encoder_params", encoder_params, EncoderConfig)
    objective = {
        f"{k}_" if k == "global" else k: v
        for k, v in _checked_names("objective_params", objective_params, ObjectiveConfig).items()
    }
    given = {k: v for k, v in overrides.items() if v is not None}
    return replace(
        preset,
        encoder=encoder_config({**asdict(preset.encoder), **encoder}),
        objective=replace(preset.objective, **objective),
        **given,
    ).checked()


def _checked_names(parameter: str, given: Mapping[str, Any] | None, config: type) -> dict[str, Any]:
    """The given fields of a configuration; names that are no fields are refused."""
    if given is None:
        return {}
    accepted = [f.name.rstrip("_") for f in fields(config)]
    if not isinstance(given, Mapping):
        raise ValueError(f"{parameter}={given!r}; accepted are None and dicts of {', '.join(accepted)}.")
    # Former fields have messages of their own.
    unknown = [name for name in given if name not in (*accepted, "global_", *FORMER_FIELDS)]
    if unknown:
        raise ValueError(f"{parameter} has unknown names {unknown}; accepted are {', '.join(accepted)}.")
    return dict(given)


def model_config(
    preset: Preset,
    feature_names: tuple[str, ...],
    interaction_names: tuple[str, ...],
    embedding_dim: int | None = None,
) -> ModelConfig:
    """Return the model that a preset builds on point sets with these features."""
    context = replace(preset.encoder, blocks=1) if preset.readout == "moments" else None
    dim = {} if embedding_dim is None or preset.readout != "network" else {"global_dim": int(embedding_dim)}
    return ModelConfig(
        feature_names=feature_names,
        interaction_names=interaction_names,
        encoder=preset.encoder,
        context_encoder=context,
        objective=preset.objective,
        readout=preset.readout,
        negatives=tuple(preset.negatives),
        kl_weight=preset.kl_weight,
        **dim,
    )
