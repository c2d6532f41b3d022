"""Predictions against measured values, and how the error falls with the number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"


def plot_parity(
    measured: Any,
    predicted: Any,
    *,
    intervals: Any = None,
    name: str = "",
    logarithmic: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Plot predicted against measured values, with the diagonal on which both are the same.

    Parameters
    ----------
    measured, predicted : array-like of shape (n,)
        Rows where either is NaN are left out.
    intervals : array-like of shape (n, 2) or None, default=None
        Ends of the intervals of the predictions.
    name : str, default=""
        Of the property, with its unit.
    logarithmic : bool, default=False
        Whether both axes are.
    ax : Axes or None, default=None
        Where to plot; None makes new axes.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> plot_parity([1.0, 2.0], [1.1, 1.8], name="gap (eV)").get_xlabel()
    'measured gap (eV)'
    """
    measured, predicted = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    shown = np.isfinite(measured) & np.isfinite(predicted)
    if logarithmic:
        shown &= (measured > 0) & (predicted > 0)
    ax = _axes() if ax is None else ax
    x, y = measured[shown], predicted[shown]
    if len(x):
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        ax.plot(ends, ends, color=_GREY, linewidth=1, zorder=1)
    if intervals is not None:
        lower, upper = np.asarray(intervals, dtype=np.float64)[shown].T
        if logarithmic:
            lower = np.maximum(lower, measured[shown].min() / 100)
        ax.vlines(x, lower, upper, color=_BLUE, alpha=0.15, linewidth=1.2, zorder=2)
    ax.scatter(x, y, s=12, color=_BLUE, alpha=0.75, linewidths=0, zorder=3)
    if logarithmic:
        ax.set_xscale("log")
        ax.set_yscale("log")
    ax.set_xlabel(f"measured {name}".strip())
    ax.set_ylabel(f"predicted {name}".strip())
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_learning_curve(
    counts: Sequence[int],
    errors: Sequence[float],
    *,
    expected: tuple[int, float] | None = None,
    unit: str = "",
    guess: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the error by cross-validation against the number of labels, and where it is expected to go.

    Parameters
    ----------
    counts : sequence of int
        Numbers of labels.
    errors : sequence of float
        Mean absolute error with so many.
    expected : (int, float) or None, default=None
        A larger number, and the error that is expected there.
    unit : str, default=""
        Of the errors.
    guess : float or None, default=None
        Error of a guess of the median.
    ax : Axes or None, default=None
        Where to plot; None makes new axes.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> plot_learning_curve([25, 50, 100], [0.9, 0.7, 0.6], expected=(200, 0.5)).get_xlabel()
    'labels'
    """
    ax = _axes() if ax is None else ax
    ax.plot(counts, errors, color=_BLUE, marker="o", markersize=5, linewidth=1.6)
    if expected is not None:
        ends = [counts[-1], expected[0]], [errors[-1], expected[1]]
        ax.plot(*ends, color=_BLUE, linestyle="--", linewidth=1.2, zorder=1)
        ax.plot(*expected, color=_BLUE, marker="o", markersize=5, markerfacecolor="white")
    if guess is not None:
        ax.axhline(guess, color=_ORANGE, linestyle=":", linewidth=1.4)
        ax.annotate(
            "guess of the median",
            (1, guess),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
            color=_ORANGE,
        )
    ax.set_ylim(bottom=0)
    ax.set_xlabel("labels")
    ax.set_ylabel("mean absolute error" + (f" ({unit})" if unit else ""))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _axes() -> Axes:
    """Make new axes of pyplot."""
    import matplotlib.pyplot as plt

    axes: Axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")[1]
    return axes
