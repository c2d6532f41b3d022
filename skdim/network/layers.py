"""Tensors in, tensors out: the small layers that encoders and readouts are made of."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "mish": nn.Mish, "relu": nn.ReLU, "gelu": nn.GELU}


def activate(name: str, values: torch.Tensor) -> torch.Tensor:
    """Apply an activation; where no gradient is wanted, in place: fresh memory costs more than the function."""
    if torch.is_grad_enabled() or name == "gelu":
        return ACTIVATIONS[name]()(values)  # type: ignore[no-any-return]
    return {"silu": F.silu, "mish": F.mish, "relu": F.relu}[name](values, inplace=True)


def scale(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply values that nobody needs afterwards; where no gradient is wanted, in place."""
    return values * factors if torch.is_grad_enabled() else values.mul_(factors)


def perceptron(*widths: int, activation: str) -> nn.Sequential:
    """Linear layers, each followed by an activation and a layer norm."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), ACTIVATIONS[activation](), nn.LayerNorm(wide)]
    return nn.Sequential(*layers)


def radial_basis(distance: torch.Tensor) -> torch.Tensor:
    """Smooth functions of the distance in Angstrom (P,), of order one where atoms are bonded, giving (P, 4)."""
    logarithm = distance.log()
    return torch.stack(
        [logarithm - 1.0, 1.0 / distance, torch.exp(-((distance / 2.5) ** 2)), torch.sin(3.0 * logarithm)], 1
    )
