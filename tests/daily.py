"""What `make check` takes of the whole run: fewer examples, and of combinations those that differ in one place."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
from hypothesis import settings


def examples(number: int) -> settings:
    """So many examples in the whole run, and daily a share as the profile in conftest.py has it."""
    return settings(max_examples=number * settings.default.max_examples // 100)


def crossed(*axes: Iterable[Any]) -> list[Any]:
    """All combinations; slow are those that differ from the first one in more than one place."""
    rows = product(*(enumerate(axis) for axis in axes))
    return [
        pytest.param(*(value for _, value in row), marks=[pytest.mark.slow] * (sum(k > 0 for k, _ in row) > 1))
        for row in rows
    ]


def slow(*values: Any) -> list[Any]:
    """Values of a parameter that are left to the whole run."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
