"""How much one site may hold, and which occupancies above one are scaled to one: rounded ones, and split positions."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["FULL", "MOST_SHARED", "ROUNDED", "ROUNDED_UP_TO", "SPLIT", "excess"]

FULL = 1 + 1.0001e-3
"""Occupancies are printed with three decimals, so thirds may add to 1.001."""
MOST_SHARED = 1.5
"""What partly occupied positions of one element, in one place or closer than 0.5 Angstrom, may add to."""
SPLIT = f"split positions of one element that add to more than 1 (up to {MOST_SHARED}) are scaled to 1"
ROUNDED = "occupancies that add to a little more than 1 are scaled to 1"
ROUNDED_UP_TO = 1.015
"""Up to here, a sum of occupancies above one is one of rounded numbers."""


def excess(total: float, n_elements: int, parts: Sequence[float]) -> str | None:
    """Say why occupancies of one site that add to more than one are scaled to one; None where the site is refused.

    They are scaled where they are rounded numbers, or partly occupied positions of one element in one place.
    """
    if total <= ROUNDED_UP_TO:
        return ROUNDED
    split = len(parts) > 1 and n_elements == 1 and max(parts) < 1 and total <= MOST_SHARED
    return SPLIT if split else None
