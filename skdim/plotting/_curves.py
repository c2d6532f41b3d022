"""Learning curves: the error against the number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.plotting._axes import check_records, format_error_axis, format_label_axis, new_axes
from skdim.plotting._styles import COLOURS, GREY, LINES, MARKERS, NO_FEATURES, feature_styles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_FONT = 9.0  # points, of the labels beside the curves


def plot_label_efficiency(
    records: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str = "mae",
    unit: str | None = None,
    labels: bool = True,
    features: Sequence[str] | None = None,
) -> Axes:
    """Draw the error against the number of labels, one curve for each feature set and regressor.

    Each curve is the mean over the repeats, with its 95% interval (Student's t) as a band; both axes are
    logarithmic. The curves carry their names at their right ends.

    Parameters
    ----------
    records : DataFrame
        Tidy, one row a repeat: columns ``task`` (of one task), ``features``, ``regressor``, ``labels`` and the metric,
        as `skdim.evaluation.label_efficiency` gives them. Features "none", of regressors that ignore the features, are
        dashed and grey.
    ax : Axes, optional
        Where to draw; by default new axes of pyplot.
    metric : str, default="mae"
        Column to draw.
    unit : str, optional
        Unit of the targets, such as "eV/atom".
    labels : bool, default=True
        Whether to write the names beside the curves.
    features : sequence of str, optional
        All names that have to have colours of their own, for several pictures alike: see `feature_styles`. By default
        those in the records.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the records are of several tasks.

    Examples
    --------
    >>> import matplotlib
    >>> import pandas as pd
    >>> matplotlib.use("Agg")
    >>> rows = [("", "vectors", "ridge", n, d, (1 + 0.1 * d) * n**-0.3) for n in (50, 100, 250) for d in range(5)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"])
    >>> plot_label_efficiency(records, unit="eV/atom").get_ylabel()
    'MAE on the test fold (eV/atom)'
    """
    check_records(records, metric)
    ax = new_axes() if ax is None else ax
    cells = records.groupby(["features", "regressor", "labels"], sort=False)[metric]
    summary = cells.agg(repeats="count", mean="mean", standard_error="sem").reset_index()
    styles = _styles(summary, features)
    ends = []
    for (name, regressor), style in styles.items():
        rows = summary[(summary["features"] == name) & (summary["regressor"] == regressor)].sort_values("labels")
        _draw_curve(ax, rows, style)
        ends.append((float(rows["labels"].iloc[-1]), float(rows["mean"].iloc[-1]), style["name"], style["color"]))
    format_label_axis(ax, sorted(summary["labels"].unique()))
    format_error_axis(ax, metric, unit)
    if labels:
        _write_names(ax, ends)
    return ax


def _styles(summary: pd.DataFrame, features: Sequence[str] | None) -> dict[tuple[str, str], dict[str, Any]]:
    """Choose for each curve a colour by its features, a marker and a line by its regressor, and a name."""
    curves = list(dict.fromkeys(zip(summary["features"], summary["regressor"], strict=True)))
    names = feature_styles([*(features or ()), *(name for name, _ in curves if name != NO_FEATURES)])
    regressors = list(dict.fromkeys(regressor for name, regressor in curves if name != NO_FEATURES))
    styles: dict[tuple[str, str], dict[str, Any]] = {}
    for name, regressor in curves:
        readable = regressor.replace("_", " ")
        if name == NO_FEATURES:
            styles[name, regressor] = {"name": readable, "color": GREY, "marker": "", "linestyle": (0, (4, 2))}
            continue
        own, k = names[name], regressors.index(regressor)
        styles[name, regressor] = {
            "name": name if len(regressors) == 1 else f"{name}, {readable}",
            "color": own.color,
            "marker": own.marker if len(regressors) == 1 else MARKERS[k % len(MARKERS)],
            "linestyle": LINES[k % len(LINES)] if len(regressors) > 1 else own.line if own.plain else "--",
            "markerfacecolor": own.color if own.plain else "white",
        }
    return styles


def _draw_curve(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> None:
    """Draw means and their intervals."""
    from scipy.stats import t

    look = {key: value for key, value in style.items() if key != "name"}
    ax.plot(rows["labels"], rows["mean"], label=style["name"], linewidth=1.6, markersize=4.5, **look)
    several = rows[rows["repeats"] > 1]
    half = several["standard_error"] * t.ppf(0.975, several["repeats"] - 1)
    # The wide interval of few repeats can reach zero, which a logarithmic axis cannot show.
    low = np.maximum(several["mean"] - half, several["mean"] / 10)
    ax.fill_between(several["labels"], low, several["mean"] + half, color=style["color"], alpha=0.15, linewidth=0)


def _write_names(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each name to the right of the end of its curve, moved up or down where names would overlap."""
    from matplotlib.transforms import ScaledTranslation

    ax.get_ylim()  # the limits follow the curves only when they are asked for
    point = ax.figure.dpi / 72  # in pixels
    heights = np.array([ax.transData.transform((x, y))[1] for x, y, _, _ in ends])
    places = spread(heights, 1.25 * _FONT * point)
    right = max(x for x, _, _, _ in ends)
    for (x, y, name, color), height, place in zip(ends, heights, places, strict=True):
        # From the right end of the axes on, also where a curve ends before.
        inches = 14 / 72, (place - height) / ax.figure.dpi
        beside = ax.transData + ScaledTranslation(*inches, ax.figure.dpi_scale_trans)
        ax.annotate(
            name,
            xy=(x, y),
            xytext=(right, y),
            textcoords=beside,
            color=color,
            fontsize=_FONT,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": color,
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


def spread(places: Any, step: float) -> NDArray[np.float64]:
    """Move numbers apart, as little as least squares allow, until each is a step from the next; their order stays.

    >>> spread([0.0, 0.0, 10.0], 2.0)
    array([-1.,  1., 10.])
    """
    from sklearn.isotonic import isotonic_regression

    wanted = np.asarray(places, np.float64)
    order = np.argsort(wanted, kind="stable")
    # Without the steps, places that have to be a step apart have to ascend: isotonic regression.
    steps = step * np.arange(len(wanted))
    moved = np.empty(len(wanted))
    moved[order] = isotonic_regression(wanted[order] - steps) + steps
    return moved


def plot_learning_curve(
    counts: Sequence[int],
    errors: Sequence[float],
    *,
    expected: tuple[int, float] | None = None,
    unit: str = "",
    guess: float | None = None,
    measure: str = "mean absolute error",
    of_guess: str = "guess of the median",
    ax: Axes | None = None,
) -> Axes:
    """Plot the error by cross-validation against the number of labels, and where it is expected to go.

    Parameters
    ----------
    counts : sequence of int
        Numbers of labels.
    errors : sequence of float
        Error with so many.
    expected : (int, float) or None, default=None
        A larger number, and the error that is expected there.
    unit : str, default=""
        Of the errors.
    guess : float or None, default=None
        Error of a guess.
    measure : str, default="mean absolute error"
        What the errors are.
    of_guess : str, default="guess of the median"
        What the guess is.
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
    ax = new_axes(4.6, 4.2) if ax is None else ax
    ax.plot(counts, errors, color=COLOURS[0], marker="o", markersize=5, linewidth=1.6)
    if expected is not None:
        ends = [counts[-1], expected[0]], [errors[-1], expected[1]]
        ax.plot(*ends, color=COLOURS[0], linestyle="--", linewidth=1.2, zorder=1)
        ax.plot(*expected, color=COLOURS[0], marker="o", markersize=5, markerfacecolor="white")
    if guess is not None:
        ax.axhline(guess, color=COLOURS[1], linestyle=":", linewidth=1.4)
        ax.annotate(
            of_guess,
            (1, guess),
            (0, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8,
            color=COLOURS[1],
        )
    ax.set_ylim(bottom=0)
    ax.set_xlabel("labels")
    ax.set_ylabel(measure + (f" ({unit})" if unit else ""))
    ax.spines[["top", "right"]].set_visible(False)
    return ax
