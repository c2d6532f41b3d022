"""Targets as a user has them: some of them not known, some of them bounds only, and whether there are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._crystalmodel import LEAST
from skdim._labels import read_targets, read_weights
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def partly_known(
    y: Any, sample_weight: Any, n: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Read targets that may be missing, and weights: (C, T), (C,), and whether y has one dimension."""
    targets = read_targets(y, n)
    return targets.reshape(len(targets), -1), read_weights(sample_weight, len(targets)), targets.ndim == 1


def names_of_targets(y: Any, n: int) -> list[str]:
    """Columns of a DataFrame, or numbers."""
    columns = getattr(y, "columns", None)
    return [str(name) for name in (range(n) if columns is None else columns)]


def read_sides(censored: Any, table: NDArray[np.float64]) -> NDArray[np.int64]:
    """Check which labels are bounds, and in which direction."""
    if censored is None:
        return np.zeros(table.shape, np.int64)
    given = np.asarray(censored)
    if given.size != table.size:
        raise InputError(f"censored must have the shape of y, with {table.size} entries, got shape {given.shape}.")
    if len(wrong := given[~np.isin(given, (-1, 0, 1))]):
        raise InputError(f"censored must hold -1, 0 and 1 only, got {wrong.flat[0]!r}.")
    return given.reshape(table.shape).astype(np.int64)


def check_enough(labels: NDArray[np.float64], sides: NDArray[np.int64], column: int, single: bool) -> None:
    """Refuse targets of which too little is known to choose and to test."""
    known = labels[np.isfinite(labels) & (sides == 0)]
    which = "y" if single else f"target {column} of y"
    if len(known) < LEAST:
        bounds = int((np.isfinite(labels) & (sides != 0)).sum())
        beside = f" beside {bounds} that are bounds only" if bounds else ""
        raise InputError(
            f"{which} has {len(known)} labelled usable rows{beside}; at least {LEAST} are needed to choose a regressor "
            "and to test it by cross-validation. Below that, take the median of the labels."
        )
    if (known == known[0]).all():
        raise InputError(
            f"{which} is {known[0]:g} in all {len(known)} labelled rows; labels of at least two different values are "
            "needed."
        )
