"""Small layers that encoders and readouts are made of.

Functions whose name ends in an underscore give up their first argument: where no gradient is wanted they write over
it, as fresh memory costs more than the arithmetic.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "mish": nn.Mish, "relu": nn.ReLU, "gelu": nn.GELU}


# Products that are summed at once where precision counts.
_SUMMED = 32


def activate_(name: str, values: torch.Tensor) -> torch.Tensor:
    """Apply an activation to values that nobody needs afterwards."""
    if torch.is_grad_enabled() or name == "gelu":
        return ACTIVATIONS[name]()(values)  # type: ignore[no-any-return]
    return {"silu": F.silu, "mish": F.mish, "relu": F.relu}[name](values, inplace=True)


def scale_(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply values that nobody needs afterwards."""
    return values * factors if torch.is_grad_enabled() else values.mul_(factors)


def in_double(values: torch.Tensor) -> torch.Tensor:
    """Values in double precision where what follows multiplies rounding errors; neither in training nor on Apple GPUs.

    Training is noisy and needs the time; Apple's GPUs have no such numbers.
    """
    return values if torch.is_grad_enabled() or values.device.type == "mps" else values.double()


def linear(values: torch.Tensor, weight: Any, bias: Any = None) -> torch.Tensor:
    """A linear map; outside of training its long sums are sums of shorter ones, which rounding harms less."""
    parts = weight.shape[1] // _SUMMED
    if torch.is_grad_enabled() or parts < 2:
        return F.linear(values, weight, bias)
    first, *others = zip(values.chunk(parts, 1), weight.chunk(parts, 1), strict=True)
    out = F.linear(*first, bias)
    for own, columns in others:
        out = torch.addmm(out, own, columns.T)
    return out


class Perceptron(nn.Sequential):
    """Linear layers, each followed by an activation and a layer norm."""

    def __init__(
        self,
        *widths: int,  # of the input and of each layer's output
        activation: str,  # one of `ACTIVATIONS`
    ) -> None:
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Linear(narrow, wide), ACTIVATIONS[activation](), nn.LayerNorm(wide)]
        super().__init__(*layers)
        self.activation = activation

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the output of the last layer."""
        layers = iter(self)
        for layer, _, norm in zip(layers, layers, layers, strict=True):
            # The activation is all that needs nothing of its input afterwards.
            values = norm(activate_(self.activation, linear(values, layer.weight, layer.bias)))
        return values
