"""Small layers that encoders and readouts are made of.

Functions whose name ends in an underscore give up their first argument: where no gradient is wanted they write over
it, as fresh memory costs more than the arithmetic.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "mish": nn.Mish, "relu": nn.ReLU, "gelu": nn.GELU}


def activate_(name: str, values: torch.Tensor) -> torch.Tensor:
    """Apply an activation to values that nobody needs afterwards."""
    if torch.is_grad_enabled() or name == "gelu":
        return ACTIVATIONS[name]()(values)  # type: ignore[no-any-return]
    return {"silu": F.silu, "mish": F.mish, "relu": F.relu}[name](values, inplace=True)


def scale_(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply values that nobody needs afterwards."""
    return values * factors if torch.is_grad_enabled() else values.mul_(factors)


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
        for number, layer in enumerate(self):
            # The activation is all that needs nothing of its input afterwards.
            values = activate_(self.activation, values) if number % 3 == 1 else layer(values)
        return values
