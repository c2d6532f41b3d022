"""Interrupts by the user: what is said of a fit that keeps what it had learned by then, and where nothing is said."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn

_UNTOLD: ContextVar[bool] = ContextVar("skdim_untold", default=False)


def pass_on(kept: str, stacklevel: int) -> NoReturn:
    """Warn that a fit was interrupted and what it has kept, then pass the interrupt on.

    ``stacklevel`` counts from the caller, as that of `warnings.warn` does.
    """
    if not _UNTOLD.get():
        warnings.warn(f"fit was interrupted{kept}", UserWarning, stacklevel=stacklevel + 1)
    raise KeyboardInterrupt


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Say nothing of what parts of a fit have kept, as the whole keeps nothing of it.

    In this thread alone: filters of warnings are those of the process, and fits in several threads would put back each
    other's.
    """
    token = _UNTOLD.set(True)
    try:
        yield
    finally:
        _UNTOLD.reset(token)
