"""Initial weights from a generator of one's own: nothing is drawn from torch's global one, whatever thread asks."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_MAKE = {torch.rand, torch.randn}
_FILL = {
    *(torch.Tensor.uniform_, torch.Tensor.normal_),
    # What these call is out of a mode's sight.
    *(torch.nn.init.uniform_, torch.nn.init.normal_, torch.nn.init.kaiming_uniform_),
}
_DRAWS = {*_MAKE, *_FILL, torch.randint, torch.randperm}


class drawing_from(TorchFunctionMode):
    """Within the block, let torch's modules draw their initial weights from a generator.

    ``torch.nn.init`` knows only the global generator unless it is told, and ``torch.nn.Linear`` does not tell it. The
    mode holds for the thread that opened it alone, so trainings in several threads do not draw from each other.

    Examples
    --------
    >>> with drawing_from(torch.Generator().manual_seed(0)):
    ...     one = torch.nn.Linear(2, 2)
    >>> with drawing_from(torch.Generator().manual_seed(0)):
    ...     same = torch.nn.Linear(2, 2)
    >>> torch.equal(one.weight, same.weight)
    True
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch; those that draw get the generator."""
        given = {"generator": self._generator} if func in _DRAWS else {}
        return func(*args, **{**(kwargs or {}), **given})


class without_drawing(TorchFunctionMode):
    """Within the block, let torch's modules leave their initial weights at whatever they are, zeros or not.

    For modules whose weights are loaded at once, or of which only the shapes are wanted.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with without_drawing():
    ...     linear = torch.nn.Linear(2, 2)
    >>> torch.equal(before, torch.get_rng_state())
    True
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, but for those that draw."""
        kwargs = kwargs or {}
        if func in _FILL:
            return args[0] if args else kwargs["tensor"]
        return torch.zeros(*args, **kwargs) if func in _MAKE else func(*args, **kwargs)
