"""Classes: how often they occur beside their predicted probabilities, and which are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.plotting._axes import new_axes
from skdim.plotting._styles import COLOURS, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BIN = 10  # probabilities in a bin at least
_MOST_BINS = 10
_DARK = 0.5  # share of a row from which on its number is white


def plot_calibration(probabilities: Any, happened: Any, *, what: str = "a class", ax: Axes | None = None) -> Axes:
    """Plot how often something happened against its predicted probability, in bins of as many predictions each.

    Parameters
    ----------
    probabilities : array-like of shape (n,)
        Predicted.
    happened : array-like of bool, shape (n,)
        Whether it did.
    what : str, default="a class"
        Whose probability it is.
    ax : Axes or None, default=None
        Where to plot; None makes new axes.

    Returns
    -------
    Axes
        With Wilson's 95% intervals as bars.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> shares = np.linspace(0, 1, 40)
    >>> plot_calibration(shares, shares > 0.5).get_ylabel()
    'observed frequency'
    """
    from scipy.stats import binomtest

    ax = new_axes(4.6, 4.6) if ax is None else ax
    given, truth = np.asarray(probabilities, np.float64), np.asarray(happened, np.float64)
    n_bins = max(1, min(_MOST_BINS, len(given) // _BIN))
    bins = np.array_split(np.argsort(given, kind="stable"), n_bins)
    x, y = (np.array([values[rows].mean() for rows in bins]) for values in (given, truth))
    lower, upper = zip(
        *(binomtest(int(truth[rows].sum()), len(rows)).proportion_ci(method="wilson") for rows in bins), strict=True
    )
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    ax.vlines(x, lower, upper, color=COLOURS[0], linewidth=1.2, zorder=2)
    ax.plot(x, y, color=COLOURS[0], marker="o", markersize=5, linewidth=1.2, zorder=3)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="observed frequency")
    ax.set_xlabel(f"held-out probability of {what}", parse_math=False)
    ax.set_aspect("equal")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_confusion(counts: Any, names: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Plot a confusion matrix: numbers on greys that are shares of the rows.

    Parameters
    ----------
    counts : array-like of int, shape (K, K)
        Rows of each class (first axis) that are predicted to be of each (second).
    names : sequence of str, of length K
        Of the classes.
    ax : Axes or None, default=None
        Where to plot; None makes new axes.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> [text.get_text() for text in plot_confusion([[8, 2], [1, 9]], ["hard", "soft"]).texts]
    ['8', '2', '1', '9']
    """
    ax = new_axes(4.6, 4.6) if ax is None else ax
    table = np.asarray(counts)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    ax.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    size = float(np.clip(60 / len(table), 4, 12))
    for (row, column), n in np.ndenumerate(table):
        colour = "white" if shares[row, column] > _DARK else "black"
        ax.text(column, row, str(n), ha="center", va="center", color=colour, fontsize=size)
    places = range(len(table))
    turn = 90 if max(map(len, names)) * len(names) > 24 else 0  # names would run into each other
    ax.set_xticks(places, names, rotation=turn, fontsize=max(6, size - 2), parse_math=False)
    ax.set_yticks(places, names, fontsize=max(6, size - 2), parse_math=False)
    ax.set(xlabel="held-out prediction", ylabel="label")
    return ax
