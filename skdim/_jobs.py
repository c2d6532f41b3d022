"""Calls that other processes make, and the rows of the input that each is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """A call that a worker makes.

    Attributes
    ----------
    function : callable
        Found by its name in the worker.
    arguments : tuple
        What it is called with.
    rows : range
        The rows of the input that it works on, to name them if the worker dies.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    rows: range
