"""How a model is trained: presets, the choices that a user puts in place of theirs, and the circumstances of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from skdim._parameters import FLAG, Accepted, check, check_parameters, choice, integer, number, optional, shown
from skdim.exceptions import InputError
from skdim.network.config import (
    NEGATIVES,
    EncoderConfig,
    ModelConfig,
    ObjectiveConfig,
    encoder_config,
)

if TYPE_CHECKING:
    from skdim._estimators import FitTasks
    from skdim.learning.checkpoints import Checkpoint

SCHEDULES = ("one_cycle", "constant")


@dataclass(frozen=True)
class TrainingConfig:
    """Choices of a training."""

    max_epochs: int
    patience: int  # epochs without a lower held-out loss that end the training
    batch_pairs: int  # most pairs in a batch
    learning_rate: float  # of AdamW
    weight_decay: float = 1e-4  # of AdamW
    amsgrad: bool = False  # AdamW's variant with a running maximum
    schedule: str = "one_cycle"  # "one_cycle" warms up and cools down over max_epochs; "constant" does neither
    validation_fraction: float = 0.05  # share of the crystals held out
    gradient_norm: float | None = None  # to which longer gradients are shortened; None leaves them as they are

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
    """Circumstances of one training."""

    seed: int  # of weights, batches, noise and held-out crystals
    device: str = "cpu"
    checkpoint: Checkpoint | None = None  # what is written after each epoch, and continued from if it is there
    progress: bool = False  # whether to show how far it is
    title: str = "pretraining"  # of the progress
    rank: int = 0  # which of the processes this is; the first one alone writes checkpoints and shows progress
    processes: int = 1
    tasks: FitTasks | None = None  # for scikit-learn's callbacks, where an estimator has any


@dataclass(frozen=True)
class Preset:
    """Every choice a preset makes."""

    featurizer: dict[str, Any]  # parameters of `CrystalPointSetTransformer`
    encoder: EncoderConfig  # of the encoder that sees the centre; the one that does not takes the same, with one block
    objective: ObjectiveConfig
    training: TrainingConfig
    # All others as in `ModelConfig`.
    readout: str
    negatives: tuple[str, ...] = NEGATIVES
    kl_weight: float = 0.1
    environments: bool = True
    levels: bool = False
    log_densities: bool = False
    context_read: int = 0

    def checked(self) -> Preset:
        """Return the preset, if it can be built and trained."""
        if isinstance(self.negatives, str) or not isinstance(self.negatives, Sequence):
            raise InputError(f"negatives must be a sequence of {', '.join(NEGATIVES)}, got {self.negatives!r}.")
        if self.training.max_epochs and not self.objective.total:
            raise InputError(
                "objective_params gives every objective the weight 0: there is nothing to learn. Give "
                "one of them a weight > 0, or set max_epochs=0."
            )
        model_config(self, (), ("distance",))
        return self


PRESETS = {
    "default": Preset(
        featurizer={},
        encoder=EncoderConfig(),
        objective=ObjectiveConfig(),
        training=TrainingConfig(max_epochs=15, patience=5, batch_pairs=8_000, learning_rate=2e-3),
        readout="moments",
    ),
    "deep": Preset(
        featurizer={},
        encoder=EncoderConfig(hops=3),
        objective=ObjectiveConfig(masked=0.3, noise=1.0),
        training=TrainingConfig(max_epochs=15, patience=5, batch_pairs=16_000, learning_rate=2e-3, gradient_norm=5.0),
        readout="moments",
        environments=False,
        levels=True,
        log_densities=True,
        context_read=96,
    ),
    "paper": Preset(
        featurizer={"neighborhood": "supercell", "site_features": "paper"},
        encoder=EncoderConfig(width=64, heads=1, block="sitenet", decay=None, difference=False, activation="mish"),
        objective=ObjectiveConfig(local=1.0, global_=1.0, context=0.0),
        training=TrainingConfig(
            max_epochs=100,
            patience=10,
            # 1200 sites of 50 neighbours are 60,000 pairs, of which the reduction leaves about a quarter.
            batch_pairs=15_000,
            learning_rate=1e-4,
            amsgrad=True,
            schedule="constant",
        ),
        readout="network",
    ),
}


def resolve_preset(
    name: str,
    encoder_params: Mapping[str, Any] | None = None,  # fields of `EncoderConfig`
    objective_params: Mapping[str, Any] | None = None,  # of `ObjectiveConfig`; "global" may be written for ``global_``
    training: Mapping[str, Any] | None = None,  # of `TrainingConfig`; None stays the preset's, here and below
    **model: Any,  # readout, negatives and kl_weight
) -> Preset:
    """Return the preset with the given choices in place of its own.

    Examples
    --------
    >>> resolve_preset("paper", {"width": 32}, None, {"max_epochs": 3}, readout=None).encoder.width
    32
    """
    check("preset", name, choice(*sorted(PRESETS)))
    preset = PRESETS[name]
    encoder = _checked_names("encoder_params", encoder_params, EncoderConfig)
    objective = {
        f"{k}_" if k == "global" else k: v
        for k, v in _checked_names("objective_params", objective_params, ObjectiveConfig).items()
    }
    return replace(
        preset,
        encoder=encoder_config({**asdict(preset.encoder), **encoder}),
        objective=replace(preset.objective, **objective),
        training=replace(preset.training, **_given(training or {})),
        **_given(model),
    ).checked()


def _given(choices: Mapping[str, Any]) -> dict[str, Any]:
    """The choices that are made: those that are not None."""
    return {name: value for name, value in choices.items() if value is not None}


def _checked_names(parameter: str, given: Mapping[str, Any] | None, config: type) -> dict[str, Any]:
    """The given fields of a configuration; names that are no fields are refused."""
    if given is None:
        return {}
    names = [f.name.rstrip("_") for f in fields(config)]
    if not isinstance(given, Mapping):
        raise InputError(f"{parameter} must be None or a dict of {', '.join(names)}, got {shown(given)}.")
    unknown = [name for name in given if name not in (*names, "global_")]
    if unknown:
        raise InputError(f"{parameter} must be a dict of {', '.join(names)}, got the unknown names {unknown}.")
    return dict(given)


def model_config(
    preset: Preset,
    feature_names: tuple[str, ...],
    interaction_names: tuple[str, ...],
    embedding_dim: int | None = None,
) -> ModelConfig:
    """Return the model that a preset builds on point sets with these features."""
    context = replace(preset.encoder, blocks=1, hops=0) if preset.readout == "moments" else None
    dim: dict[str, Any] = (
        {} if embedding_dim is None or preset.readout != "network" else {"global_dim": int(embedding_dim)}
    )
    return ModelConfig(
        feature_names=feature_names,
        interaction_names=interaction_names,
        encoder=preset.encoder,
        context_encoder=context,
        objective=preset.objective,
        readout=preset.readout,
        negatives=tuple(preset.negatives),
        kl_weight=preset.kl_weight,
        # Where they are learned they are read.
        environments=preset.environments or preset.objective.local + preset.objective.global_ > 0,
        levels=preset.levels,
        log_densities=preset.log_densities,
        context_read=preset.context_read,
        **dim,
    )
