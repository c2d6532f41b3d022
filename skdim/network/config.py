"""The frozen, JSON-able description of a model, checked as a whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from skdim._parameters import Accepted, check, check_parameters, choice, integer, number
from skdim.exceptions import InputError
from skdim.network.architecture import EncoderConfig, encoder_config
from skdim.network.estimators import ESTIMATORS

NEGATIVES = ("crystal", "species", "distances", "neighbors")
READOUTS = ("moments", "network")


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is learned; every field can be set through ``objective_params``.

    Attributes
    ----------
    local, global_, context, prior, masked, noise : float
        Weights of the local, global and context objectives, of adversarial prior matching, and of what the deep encoder
        restores: masked elements and disturbed distances; 0 leaves one out.
    estimator : str
        "jsd", "infonce" or "dv", for the local and global objectives.
    jitter : float
        Standard deviation of the relative noise on each distance while the context objective is learned, or what the
        deep encoder restores.
    strain : float
        The same for all distances of a crystal at once.
    masked_share : float
        Share of the sites that are hidden from the deep encoder while it learns.
    """

    local: float = 0.0
    global_: float = 0.0
    context: float = 1.0
    prior: float = 0.0
    masked: float = 0.0
    noise: float = 0.0
    estimator: str = "jsd"
    jitter: float = 0.03
    strain: float = 0.05
    masked_share: float = 0.2

    ACCEPTED: ClassVar[dict[str, Accepted]] = {
        **dict.fromkeys(
            ("local", "global_", "context", "prior", "masked", "noise", "jitter", "strain"), number(least=0)
        ),
        "estimator": choice(*ESTIMATORS),
        "masked_share": number(above=0, below=1),
    }

    def __post_init__(self) -> None:
        """Refuse what cannot be learned."""
        check_parameters(self, self.ACCEPTED)
        if self.noise > 0 and self.jitter == self.strain == 0:
            raise InputError(f"jitter or strain must be > 0 where noise={self.noise} has to be told.")

    @property
    def restored(self) -> float:
        """Sum of the weights of what the deep encoder learns."""
        return self.masked + self.noise

    @property
    def total(self) -> float:
        """Sum of the weights; zero leaves nothing to learn."""
        return self.local + self.global_ + self.context + self.prior + self.restored


@dataclass(frozen=True)
class ModelConfig:
    """Everything that shapes a model; JSON-able through `as_dict`.

    Attributes
    ----------
    feature_names, interaction_names : tuple of str
        Columns of the site features, and of the pairs ("distance" first).
    encoder, context_encoder : EncoderConfig or None
        The encoder that sees the centre, and the one that does not; None leaves the latter out.
    objective : ObjectiveConfig
        What is learned.
    readout : str
        "moments": statistics over the sites of raw features and environments, and densities of the former.
        "network": the paper's pre-pool layers, mean over sites, post-pool layers.
    negatives : tuple of str
        Kinds of negatives of the global objective.
    kl_weight : float
        Weight of the divergence of environments and vectors from the unit Gaussian.
    local_dim, global_dim : int
        Widths of the environment and crystal vectors that the local and global objectives use.
    property_width : int
        Width of the hidden layer over a whole crystal that was learned from labels of other crystals, and is read in
        place of the hops' own columns, see `skdim.network.properties`; 0 where no labels were used.
    """

    feature_names: tuple[str, ...]
    interaction_names: tuple[str, ...] = ("distance",)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    context_encoder: EncoderConfig | None = None
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    readout: str = "moments"
    negatives: tuple[str, ...] = NEGATIVES
    kl_weight: float = 0.1
    local_dim: int = 32
    global_dim: int = 64
    property_width: int = 0

    def __post_init__(self) -> None:
        """Refuse combinations that cannot work."""
        unknown = [n for n in self.negatives if n not in NEGATIVES]
        if unknown or not self.negatives or len(set(self.negatives)) < len(self.negatives):
            raise InputError(f"negatives must be one or more of {', '.join(NEGATIVES)}, got {self.negatives!r}.")
        check("readout", self.readout, choice(*READOUTS))
        check("kl_weight", self.kl_weight, number(least=0))
        if self.objective.context > 0 and self.context_encoder is None:
            raise InputError(
                f"objective_params={{'context': {self.objective.context}}} needs readout='moments', which alone reads "
                f"the context; with readout={self.readout!r} it must be 0, and 'local' or 'global' above 0."
            )
        if self.objective.restored > 0 and not self.encoder.hops:
            raise InputError(
                f"objective_params gives masked={self.objective.masked} and noise={self.objective.noise}, which the "
                "deep encoder learns: give encoder_params={'hops': 3} with them, or preset='deep'."
            )
        check("property_width", self.property_width, integer(0))
        if self.property_width and not self.encoder.hops:
            raise InputError(f"property_width={self.property_width} needs hops, which it reads.")
        if self.encoder.hops and self.readout != "moments":
            raise InputError(f"hops={self.encoder.hops} needs readout='moments', got {self.readout!r}.")

    @property
    def has_gaussians(self) -> bool:
        """Whether the Gaussian environments and vectors of the two-level objective are needed."""
        return self.readout == "network" or self.objective.local + self.objective.global_ + self.objective.prior > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Build from what `as_dict` returned, perhaps after a round trip through JSON."""
        values = dict(values)
        for name in ("feature_names", "interaction_names", "negatives"):
            values[name] = tuple(values[name])
        for name in ("encoder", "context_encoder"):
            if values[name] is not None:
                values[name] = encoder_config(values[name])
        return cls(**{**values, "objective": ObjectiveConfig(**values["objective"])})
