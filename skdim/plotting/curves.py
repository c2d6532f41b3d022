"""Records or vectors in, matplotlib Axes out. matplotlib is imported when something is drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# Okabe and Ito's colours, which people with any common colour blindness can tell apart; yellow is too pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_GREY = "#777777"
_MARKERS = "osD^vPX"
_FONT = 9.0  # points, of the labels beside the curves


def plot_label_efficiency(
    records: pd.DataFrame, ax: Axes | None = None, *, metric: str = "mae", unit: str | None = None, labels: bool = True
) -> Axes:
    """Draw the error against the number of labels, one curve for each feature set and head.

    Each curve is the mean over the draws of labels, with its 95% interval (Student's t) as a band; both axes are
    logarithmic. The curves carry their names at their right ends.

    Parameters
    ----------
    records : DataFrame
        Of `skdim.benchmark.label_efficiency` or `best_head`, of one task. What ignores the features is dashed and
        grey.
    ax : Axes, optional
        Where to draw; by default new axes of pyplot.
    metric : str, default="mae"
        Column to draw.
    unit : str, optional
        Unit of the targets, such as "eV/atom".
    labels : bool, default=True
        Whether to write the names beside the curves.

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
    >>> records = pd.DataFrame(rows, columns=["task", "features", "head", "labels", "draw", "mae"])
    >>> plot_label_efficiency(records, unit="eV/atom").get_ylabel()
    'MAE on the test fold (eV/atom)'
    """
    from skdim.benchmark.records import summarise

    tasks = records["task"].unique()
    if len(tasks) != 1:
        raise ValueError(f"records are of the tasks {list(tasks)}; draw one at a time.")
    ax = _new_axes() if ax is None else ax
    summary = summarise(records, metric)
    styles = _styles(summary)
    ends = []
    for (features, head), style in styles.items():
        rows = summary[(summary["features"] == features) & (summary["head"] == head)].sort_values("labels")
        _draw_curve(ax, rows, style)
        ends.append((float(rows["labels"].iloc[-1]), float(rows["mean"].iloc[-1]), style["name"], style["color"]))
    _dress(ax, sorted(summary["labels"].unique()), metric, unit)
    if labels:
        _write_names(ax, ends)
    return ax


def _new_axes() -> Axes:
    """Make axes of pyplot."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 4.4), layout="constrained")[1]


def _styles(summary: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """Choose for each curve a colour by its features, a marker and a line by its head, and a name."""
    curves = list(dict.fromkeys(zip(summary["features"], summary["head"], strict=True)))
    features = [f for f in dict.fromkeys(f for f, _ in curves) if f != "none"]
    heads = list(dict.fromkeys(h for f, h in curves if f != "none"))
    lines = ("-", "--", "-.", ":")
    styles = {}
    for name, head in curves:
        readable = head.replace("_", " ")
        if name == "none":
            styles[name, head] = {"name": readable, "color": _GREY, "marker": "", "linestyle": (0, (4, 2))}
            continue
        k, h = features.index(name), heads.index(head)
        styles[name, head] = {
            "name": name if len(heads) == 1 else f"{name}, {readable}",
            "color": COLOURS[k % len(COLOURS)],
            "marker": _MARKERS[(k if len(heads) == 1 else h) % len(_MARKERS)],
            "linestyle": lines[h % len(lines)],
        }
    return styles


def _draw_curve(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> None:
    """Draw means and their intervals."""
    from scipy.stats import t

    look = {key: style[key] for key in ("color", "marker", "linestyle")}
    ax.plot(rows["labels"], rows["mean"], label=style["name"], linewidth=1.8, markersize=4.5, **look)
    several = rows[rows["draws"] > 1]
    half = several["standard_error"] * t.ppf(0.975, several["draws"] - 1)
    # A logarithmic axis has no place for zero, which a wide interval of few draws can reach.
    low = np.maximum(several["mean"] - half, several["mean"] / 10)
    ax.fill_between(several["labels"], low, several["mean"] + half, color=style["color"], alpha=0.15, linewidth=0)


def _dress(ax: Axes, counts: Sequence[int], metric: str, unit: str | None) -> None:
    """Set scales, ticks and labels of the axes."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(FixedLocator([float(n) for n in counts]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("labels")
    ax.set_ylabel(f"{metric.upper()} on the test fold" + (f" ({unit})" if unit else ""))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def _write_names(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each name to the right of the end of its curve, moved up or down where names would overlap."""
    ax.get_ylim()  # the limits follow the curves only when they are asked for
    point = ax.figure.dpi / 72  # in pixels
    heights = np.array([ax.transData.transform((x, y))[1] for x, y, _, _ in ends])
    places = spread(heights, 1.25 * _FONT * point)
    right = max(x for x, _, _, _ in ends)
    for (_, y, name, color), height, place in zip(ends, heights, places, strict=True):
        ax.annotate(
            name,
            xy=(right, y),
            xytext=(14, (place - height) / point),
            textcoords="offset points",
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


def plot_embedding_map(
    coordinates: Any,
    values: Any,
    ax: Axes | None = None,
    *,
    label: str = "",
    cmap: str = "viridis",
) -> Axes:
    """Draw crystals as points of a plane, coloured by a property.

    Parameters
    ----------
    coordinates : array-like of shape (n, 2)
        Where each crystal is; of t-SNE or principal components. They have no unit, so the axes have no ticks.
    values : array-like of shape (n,)
        The property. The colours span its 1st to 99th percentile; NaN is grey.
    ax : Axes, optional
        Where to draw; by default new axes of pyplot.
    label : str
        Name and unit of the property, beside the colour bar.
    cmap : str, default="viridis"
        Colour map of matplotlib.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the shapes do not match.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> ax = plot_embedding_map(np.random.default_rng(0).normal(size=(9, 2)), np.arange(9), label="energy (eV/atom)")
    >>> ax.collections[1].colorbar.ax.get_ylabel()
    'energy (eV/atom)'
    """
    points, colours = np.asarray(coordinates, np.float64), np.asarray(values, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or colours.shape != points.shape[:1]:
        raise ValueError(
            f"coordinates and values have shapes {points.shape} and {colours.shape}; accepted are (n, 2) and (n,)."
        )
    ax = _new_axes() if ax is None else ax
    known = np.isfinite(colours)
    size = float(np.clip(20_000 / max(len(points), 1), 6, 36))
    ax.scatter(points[~known, 0], points[~known, 1], s=size, c="#cccccc", linewidths=0)
    low, high = np.percentile(colours[known], [1, 99]) if known.any() else (0.0, 1.0)
    # In random order, so that no end of the scale lies on top of the other.
    order = np.random.default_rng(0).permutation(np.flatnonzero(known))
    x, y = points[order].T
    drawn = ax.scatter(x, y, s=size, c=colours[order], cmap=cmap, vmin=low, vmax=high, linewidths=0)
    outside = colours[known].min(initial=low) < low, colours[known].max(initial=high) > high
    extend = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}[outside]
    bar = ax.figure.colorbar(drawn, ax=ax, label=label, extend=extend, shrink=0.9, aspect=30)
    bar.outline.set_visible(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def save_label_efficiency(
    records: pd.DataFrame, path: str | os.PathLike[str], *, unit: str | None = None, title: str = ""
) -> None:
    """Write a picture with a panel for each head, in each of them the heads that ignore the features.

    Parameters
    ----------
    records : DataFrame
        As for `plot_label_efficiency`.
    path : str or path
        The file; its suffix says what kind.
    unit : str, optional
        Unit of the targets.
    title : str
        Above the panels.
    """
    from matplotlib.figure import Figure

    blind = records["features"] == "none"
    heads = list(dict.fromkeys(records.loc[~blind, "head"]))
    figure = Figure((4.1 * len(heads) + 0.2, 4.4), layout="constrained")
    panels = figure.subplots(1, len(heads), sharey=True, squeeze=False)[0]
    # Before drawing: the places of the names depend on it.
    panels[0].set_ylim(0.85 * records["mae"].min(), 1.15 * records["mae"].max())
    for ax, head in zip(panels, heads, strict=True):
        plot_label_efficiency(records[blind | (records["head"] == head)], ax, unit=unit)
        ax.set_title(head.replace("_", " "))
        ax.label_outer()
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def save_embedding_map(
    coordinates: Any, values: Any, path: str | os.PathLike[str], *, label: str = "", title: str = ""
) -> None:
    """Write a picture of `plot_embedding_map`, which explains the parameters.

    Parameters
    ----------
    coordinates, values, label, path, title
        The file's suffix says what kind it is; the title stands above the map.
    """
    from matplotlib.figure import Figure

    figure = Figure((7.5, 5.5), layout="constrained")
    plot_embedding_map(coordinates, values, figure.subplots(), label=label).set_title(title)
    figure.savefig(path, dpi=150)
