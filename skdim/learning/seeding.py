"""Initial weights from a generator of one's own: nothing is drawn from torch's global one, whatever thread asks."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = {
    *(torch.rand, torch.randint, torch.randn, torch.randperm, torch.Tensor.uniform_, torch.Tensor.normal_),
    # What these call is out of the mode's sight.
    *(torch.nn.init.uniform_, torch.nn.init.normal_, torch.nn.init.kaiming_uniform_),
}


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
