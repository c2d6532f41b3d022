"""The frozen, JSON-able description of a model, checked as a whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from skdim._parameters import FLAG, Accepted, check, check_parameters, choice, integer, number
from skdim.exceptions import InputError
from skdim.network.estimators import ESTIMATORS
from skdim.network.layers import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCKS = ("separable", "sitenet")
NEGATIVES = ("crystal", "species", "distances", "neighbors")
READOUTS = ("moments", "network")
_STEEPEST = 64  # exponent of a distance

# Fields that files of earlier versions have, of models that make no use of them.
_FORMER = ("radial", "cutoff", "top_k", "composition", "prior", "all_densities")


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of an encoder; every field can be set through ``encoder_params``.

    Attributes
    ----------
    width : int
        Width of pair and site states; a multiple of ``heads``.
    heads : int
        Attention heads. Each attends over its own slice of the value vector.
    blocks : int
        Attention blocks; the environments are read from all of them.
    block : {"separable", "sitenet"}
        "separable": a hidden layer of the two site types, multiplied by and added to functions of the distance.
        "sitenet": the published network, with embeddings of sites and distances, a layer each for attention, value and
        pair update, and one more after the sum.
    decay : tuple of float or None
        Each head starts at attention d^-p with its own exponent p, the self pair left out. None starts flat, as the
        published network does.
    difference : bool
        Whether the absolute difference of the two sites' features is among the inputs of a pair. The published network
        has none.
    activation : str
        One of "silu", "mish", "relu", "gelu".
    hops : int
        Rounds of message passing of the deep encoder, see `skdim.network.deep`; 0 leaves that encoder out.
    hop_width : int
        Width of its states; a multiple of the number of exponents in ``decay``.
    reach : float
        How far its messages come from, in spacings of atoms around a site; 6.5 is about the nearest sixteen.
    """

    width: int = 192
    heads: int = 4
    blocks: int = 1
    block: str = "separable"
    decay: tuple[float, ...] | None = (2.0, 4.0, 6.0, 8.0)
    difference: bool = True
    activation: str = "silu"
    hops: int = 0
    hop_width: int = 72
    reach: float = 6.0

    ACCEPTED: ClassVar[dict[str, Accepted]] = {
        "width": integer(1),
        "heads": integer(1),
        "blocks": integer(1),
        "block": choice(*BLOCKS),
        "difference": FLAG,
        "activation": choice(*ACTIVATIONS),
        "hops": integer(0),
        "hop_width": integer(1),
        "reach": number(least=1, most=100),
    }

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        check_parameters(self, self.ACCEPTED)
        if self.width % self.heads:
            raise InputError(f"width must be a multiple of heads={self.heads}, got {self.width}.")
        if self.decay is not None:
            self._check_decay()
        slices = len(self.decay or (0.0,))
        if self.hops and self.hop_width % slices:
            raise InputError(f"hop_width must be a multiple of the {slices} exponents of decay, got {self.hop_width}.")
        if self.block == "sitenet" and (self.decay is not None or self.difference):
            raise InputError(
                "block='sitenet' is the network as published, which has neither: give decay=None and difference=False "
                f"with it, got decay={self.decay!r} and difference={self.difference!r}."
            )

    def _check_decay(self) -> None:
        """Refuse what is not one exponent a head."""
        powers, heads = self.decay, self.heads
        accepted = number(least=-_STEEPEST, most=_STEEPEST)
        numbers = isinstance(powers, tuple) and all(map(accepted.test, powers))
        if not numbers or len(powers or ()) != heads:
            raise InputError(
                f"decay must be None or one exponent for each of heads={heads}, {_STEEPEST} at most, got {powers!r}."
            )

    @property
    def pair_states(self) -> str:
        """Pairs for which a state as wide as the network is computed, which takes most of the memory.

        "all" of them, the "near" ones that hops use, or "none".
        """
        if self.block == "sitenet" or self.blocks > 1:
            return "all"
        return "near" if self.hops else "none"


def encoder_config(values: Mapping[str, Any]) -> EncoderConfig:
    """Make a configuration of its fields, as given by a user or read from JSON; lists become tuples."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return EncoderConfig(**fields)


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is learned; every field can be set through ``objective_params``.

    Attributes
    ----------
    local, global_, context, masked, noise : float
        Weights of the local, global and context objectives, and of what the deep encoder restores: masked elements and
        disturbed distances; 0 leaves one out.
    estimator : str
        "jsd", "infonce" or "dv", for the local and global objectives.
    jitter : float
        Standard deviation of the relative noise on each distance while the context objective is learned, or what the
        deep encoder restores.
    strain : float
        The same for all distances of a crystal at once.
    masked_share : float
        Probability with which an element of a crystal is hidden from the deep encoder while it learns.
    """

    local: float = 0.0
    global_: float = 0.0
    context: float = 1.0
    masked: float = 0.0
    noise: float = 0.0
    estimator: str = "jsd"
    jitter: float = 0.03
    strain: float = 0.05
    masked_share: float = 0.5

    ACCEPTED: ClassVar[dict[str, Accepted]] = {
        **dict.fromkeys(("local", "global_", "context", "masked", "noise", "jitter", "strain"), number(least=0)),
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
        return self.local + self.global_ + self.context + self.restored


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
    environments : bool
        Whether the environments of the encoder that sees the centre are read. Beside hops they add little, being random
        features unless the local or the global objective is learned.
    property_width : int
        Width of the hidden layer over a whole crystal that has learned to tell properties of other crystals, see
        `skdim.network.properties`; 0 leaves it out.
    property_names : tuple of str
        Properties that are read as the layer tells them, beside the layer itself.
    property_beside : bool
        Whether the layer is read beside environments, context and hops, rather than in their place.
    levels : bool
        Whether the levels that electrons fill are read, see `skdim.network.levels`.
    log_densities : bool
        Whether logarithms of amounts are read, per powers of every spacing of atoms, and amounts per volume of each,
        rather than amounts per volume and length of the widest and the tightest one. The more columns tell of
        something, the more it weighs in a regression, and these tell of stiffness.
    context_read : int
        Units of the context that are read; 0 reads all. They begin alike, so the first ones stand for the others.
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
    environments: bool = True
    property_width: int = 0
    property_names: tuple[str, ...] = ()
    property_beside: bool = False
    levels: bool = False
    log_densities: bool = False
    context_read: int = 0

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
                "objective_params gives masked or noise a weight, which the deep encoder learns: give "
                "encoder_params={'hops': 3} with them, or preset='deep'."
            )
        for name in ("environments", "levels", "log_densities", "property_beside"):
            check(name, getattr(self, name), FLAG)
        for name in ("property_width", "context_read"):
            check(name, getattr(self, name), integer(0))
        if self.property_width and not self.encoder.hops:
            raise InputError(f"property_width={self.property_width} needs hops, which it reads.")
        if self.property_names and not self.property_width:
            raise InputError("property_names needs a property_width of at least 1, as the layer tells them, got 0.")
        if self.encoder.hops and self.readout != "moments":
            raise InputError(f"hops={self.encoder.hops} needs readout='moments', got {self.readout!r}.")

    @property
    def reads_averages(self) -> bool:
        """Whether environments, context and hops are read, as means over sites."""
        return not self.property_width or self.property_beside

    @property
    def context_width(self) -> int:
        """Units of the context that are read; 0 without a context."""
        width = 0 if self.context_encoder is None else self.context_encoder.width
        return min(width, self.context_read or width)

    @property
    def has_gaussians(self) -> bool:
        """Whether the Gaussian environments and vectors of the two-level objective are needed."""
        return self.readout == "network" or self.objective.local + self.objective.global_ > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from what `as_dict` returned, perhaps after a round trip through JSON."""
        fields = _without_former(values)
        for name in ("feature_names", "interaction_names", "negatives", "property_names"):
            fields[name] = tuple(fields.get(name, ()))
        for name in ("encoder", "context_encoder"):
            if fields[name] is not None:
                fields[name] = encoder_config(_without_former(fields[name]))
        return cls(**{**fields, "objective": ObjectiveConfig(**_without_former(fields["objective"]))})


def _without_former(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out former fields; one that shaped a model is refused, as it cannot be built any more."""
    for name in _FORMER:
        if values.get(name):
            raise InputError(f"{name}={values[name]!r} was removed; a model without it has to be trained.")
    return {name: value for name, value in values.items() if name not in _FORMER}
