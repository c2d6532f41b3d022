"""What each column of a vector adds to a prediction, on the straight way to it from another vector.

The change of the prediction is split into steps along the way, and each step among the columns that change it, as
integrated gradients do; but with finite steps whose parts sum exactly. They are close to Shapley values, which SHAP
gives, as the tests see on few columns; of a thousand those can only be drawn at random, and sum within a tolerance.

References
----------
M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, arXiv 1703.01365.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 8
# A column that moves less than this, in standard deviations, gets little of a slope: a tree's threshold in so short a
# way says nothing of what moved it.
_SHORT = 0.25
_LEAST = 1e-7  # change of a squared distance, below which its derivative is more exact than a quotient


@dataclass(frozen=True)
class Slopes:
    """How m predictions differ from that at the start.

    The difference is the sum over the columns of slope times the way in the column, plus rest.
    """

    slope: NDArray[np.float64]  # (m, d)
    rest: NDArray[np.float64]  # (m, d) zero but for trees


def kernel_slopes(
    X: NDArray[np.float64],  # (m, d) ends of the ways
    start: NDArray[np.float64],  # (d,) where they begin
    rows: NDArray[np.float64],  # (n, d) training rows
    dual: NDArray[np.float64],  # (n,) their weights
    kernel: str,  # as for `skdim.evaluation.KernelRidgeCV`
    gamma: float,
) -> Slopes:
    """Slopes of a kernel regressor.

    A kernel is a function of a sum over the columns: of products, of distances or of squared distances. Its change in a
    step is split in proportion to the changes of what is summed.
    """
    if kernel == "linear":
        slope = np.broadcast_to(dual @ rows / rows.shape[1], X.shape)
        return Slopes(slope, np.zeros(X.shape))
    slope = np.zeros(X.shape)
    step = _step_of_distances if kernel == "laplacian" else _step_of_squares
    for number, x in enumerate(X):
        way, here = (x - start) / STEPS, start - rows
        for _ in range(STEPS):
            secant, column = step(here, here + way, way, gamma)
            slope[number] += (secant * dual) @ column / STEPS
            here = here + way
    return Slopes(slope, np.zeros(X.shape))


def _step_of_distances(
    here: NDArray[np.float64], there: NDArray[np.float64], way: NDArray[np.float64], gamma: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Change of the Laplacian kernel for each change of distance, (n,), and of distances on the way, (n, d)."""
    from_here, from_there = np.abs(here), np.abs(there)
    longer = (from_there - from_here).mean(1)
    falls = np.divide(np.expm1(-gamma * longer), longer, out=np.full(len(here), -gamma), where=longer != 0)
    column = np.divide(from_there - from_here, way, out=np.sign(here), where=way != 0)
    return np.exp(-gamma * from_here.mean(1)) * falls / here.shape[1], column


def _step_of_squares(
    here: NDArray[np.float64], there: NDArray[np.float64], way: NDArray[np.float64], gamma: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Change of the Matern kernel for each change of squared distance, (n,), and of squares on the way, (n, d)."""
    first, last = (gamma * np.sqrt((away**2).mean(1)) for away in (here, there))
    change, middle = last**2 - first**2, (first + last) / 2
    grown = (1 + last) * np.exp(-last) - (1 + first) * np.exp(-first)
    secant = np.divide(grown, change, out=-np.exp(-middle) / 2, where=np.abs(change) > _LEAST * (1 + middle))
    return secant * gamma**2 / here.shape[1], here + there


def tree_slopes(
    X: NDArray[np.float32],  # (m, d) ends of the ways
    start: NDArray[np.float32],  # (d,) where they begin
    # (T, N) feature, threshold, left, right and value of `skdim.evaluation._readouts.TreesRegressor`.
    trees: Mapping[str, NDArray[Any]],
) -> Slopes:
    """Slopes of a forest: each jump of the prediction on the way belongs to the column whose threshold is passed."""
    jumps = np.zeros(X.shape)
    value, event, column = _leaf(X, start, np.full((len(trees["left"]), len(X)), -1.0), trees)
    while (going := column >= 0).any():
        reached, event, following = _leaf(X, start, event, trees)
        tree, row = np.nonzero(going)
        np.add.at(jumps, (row, column[tree, row]), (reached - value)[tree, row] / len(value))
        value, column = reached, following
    way = X.astype(np.float64) - start
    slope = jumps * way / (way**2 + _SHORT**2)
    return Slopes(slope, jumps - slope * way)


def _leaf(
    X: NDArray[np.float32], start: NDArray[np.float32], time: NDArray[np.float64], trees: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Go down each tree (T) with each row (m) at a time on its way, which begins at 0 and ends at 1.

    Returns the value of the leaf, when the next threshold on the way down is passed (infinite where none is), and in
    which column (-1), each (T, m).
    """
    tree, row = np.arange(len(time))[:, None], np.arange(len(X))
    node = np.zeros(time.shape, np.int64)
    event, column = np.full(time.shape, np.inf), np.full(time.shape, -1)
    while (inner := trees["left"][tree, node] >= 0).any():
        asked, threshold = np.maximum(trees["feature"][tree, node], 0), trees["threshold"][tree, node]
        first, last = start[asked], X[row, asked]
        turns = inner & ((first <= threshold) != (last <= threshold))
        way = last.astype(np.float64) - first
        passed = np.divide(threshold - first, way, out=np.full(way.shape, np.inf), where=turns)
        ahead = turns & (passed > time) & (passed < event)
        event, column = np.where(ahead, passed, event), np.where(ahead, asked, column)
        left = np.where(turns & (passed <= time), last, first) <= threshold
        node = np.where(inner, np.where(left, trees["left"][tree, node], trees["right"][tree, node]), node)
    return trees["value"][tree, node], event, column
