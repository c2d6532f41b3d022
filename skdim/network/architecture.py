"""Numbers and names in, the checked shape of an encoder out."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Real

from skdim._parameters import check_choice, check_number
from skdim.network.layers import ACTIVATIONS


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
    depth : int
        2 is the published network: embeddings of sites and distances, layers of their own for attention, value and
        pair update, one more after the sum. 1 is separable: a hidden layer of the two site types, multiplied by and
        added to functions of the distance; what is not separable is not worth its time (see the method page).
    decay : tuple of float or None
        Each head starts at attention d^-p with its own exponent p, the self pair left out. None starts flat.
    difference : bool
        Whether the absolute difference of the two sites' features is among the inputs of a pair.
    radial : bool
        False feeds the distance as it is, as the paper does; True expands it in a few smooth functions.
    activation : str
        One of "silu", "mish", "relu", "gelu".
    cutoff : float or None
        Distance in Angstrom beyond which pairs are ignored.
    top_k : int or None
        k-softmax: each head keeps its k largest logits.
    """

    width: int = 192
    heads: int = 4
    blocks: int = 1
    depth: int = 1
    decay: tuple[float, ...] | None = (2.0, 4.0, 6.0, 8.0)
    difference: bool = True
    radial: bool = False
    activation: str = "silu"
    cutoff: float | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        for name in ("width", "heads", "blocks"):
            check_number(name, getattr(self, name), "whole numbers of at least 1", whole=True, least=1)
        if self.width % self.heads:
            raise ValueError(f"width={self.width}; accepted are multiples of heads={self.heads}.")
        check_choice("depth", self.depth, (1, 2))
        for name in ("difference", "radial"):
            check_choice(name, getattr(self, name), (True, False))
        check_choice("activation", self.activation, ACTIVATIONS)
        if self.decay is not None:
            self._check_decay()
        if self.top_k is not None:
            check_number("top_k", self.top_k, "None and whole numbers of at least 1", whole=True, least=1)
        if self.cutoff is not None:
            check_number("cutoff", self.cutoff, "None and distances in Angstrom above 0", above=0)

    def _check_decay(self) -> None:
        """Refuse what is not one exponent a head."""
        powers, heads = self.decay, self.heads
        numbers = isinstance(powers, tuple) and all(isinstance(p, Real) and isfinite(p) for p in powers)
        if not numbers or len(powers or ()) != heads:
            raise ValueError(f"decay={powers!r}; accepted are None and one exponent for each of heads={heads}.")
