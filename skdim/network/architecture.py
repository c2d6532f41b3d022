"""The shape of an encoder, checked, and how the fields of earlier versions are read."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any, ClassVar

from skdim._parameters import FLAG, Accepted, check_parameters, choice, integer, number
from skdim.exceptions import InputError
from skdim.network.layers import ACTIVATIONS

BLOCKS = ("separable", "sitenet")

# Fields that this version no longer has: the only value of each that still means what this version computes, and what
# to do about any other.
_REMOVED: dict[str, tuple[Any, str]] = {
    "radial": (False, "the distance enters as it is, which was measured to be better"),
    "cutoff": (None, "n_neighbors of the featurizer limits what a site sees"),
    "top_k": (None, "every pair takes part in the attention"),
}
FORMER_FIELDS = (*_REMOVED, "depth")


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
    hop_width: int = 96
    reach: float = 6.5

    ACCEPTED: ClassVar[dict[str, Accepted]] = {
        "width": integer(1),
        "heads": integer(1),
        "blocks": integer(1),
        "block": choice(*BLOCKS),
        "difference": FLAG,
        "activation": choice(*ACTIVATIONS),
        "hops": integer(0),
        "hop_width": integer(1),
        "reach": number(above=0),
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
        numbers = isinstance(powers, tuple) and all(isinstance(p, Real) and isfinite(p) for p in powers)
        if not numbers or len(powers or ()) != heads:
            raise InputError(f"decay must be None or one exponent for each of heads={heads}, got {powers!r}.")

    @property
    def has_pair_states(self) -> bool:
        """Whether a state as wide as the network is computed for every pair, which takes most of the memory."""
        return self.block == "sitenet" or self.blocks > 1 or self.hops > 0


def encoder_config(values: dict[str, Any]) -> EncoderConfig:
    """Make a configuration of its fields, as given by a user or read from JSON.

    Parameters
    ----------
    values : dict
        Fields by name; lists become tuples. Fields of earlier versions are accepted with the one value that this
        version computes: ``radial=False``, ``cutoff=None``, ``top_k=None``, ``depth=1`` and, for the published
        network, ``depth=2``.

    Returns
    -------
    EncoderConfig

    Raises
    ------
    ValueError
        If a value cannot be used, or belongs to an option that was removed.

    Examples
    --------
    >>> encoder_config({"width": 64, "heads": 1, "depth": 2, "decay": None, "difference": False}).block
    'sitenet'
    >>> encoder_config({"radial": True})
    Traceback (most recent call last):
    ...
    skdim.exceptions.InputError: radial=True was removed: the distance enters as it is, which was measured to be better.
    """
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    for name, (kept, instead) in _REMOVED.items():
        value = fields.pop(name, kept)
        if value is not kept:
            raise InputError(f"{name}={value!r} was removed: {instead}.")
    if "depth" in fields:
        fields |= _block_of_depth(fields.pop("depth"), fields)
    return EncoderConfig(**fields)


def _block_of_depth(depth: Any, others: dict[str, Any]) -> dict[str, str]:
    """Name the block that a former depth stands for."""
    if depth not in (1, 2) or isinstance(depth, bool):
        raise InputError(f"depth={depth!r} was removed: give block='separable' or block='sitenet'.")
    default = EncoderConfig()
    plain = others.get("decay", default.decay) is None and not others.get("difference", default.difference)
    if depth == 2 and not plain:
        raise InputError(
            "depth=2 with decay or difference was removed, as it was measured to be no better: leave depth out, or "
            "give block='sitenet', decay=None and difference=False for the published network."
        )
    return {"block": BLOCKS[depth - 1]}
