"""Telling objects of optional packages without importing these."""

from __future__ import annotations

import sys

__all__ = ["is_a"]


def is_a(obj: object, module: str, name: str) -> bool:
    """Tell whether an object is of a class of an optional package; it is not if the package was not even imported."""
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(obj, cls)
