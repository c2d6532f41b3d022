"""Axes to draw on, and the ticks and labels of axes of labels and of errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def new_axes(width: float = 6.4, height: float = 4.4) -> Axes:
    """Make axes of pyplot, so many inches wide and high."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def check_records(records: pd.DataFrame, metric: str) -> None:
    """Refuse records without the column to draw, or of several tasks."""
    if metric not in records:
        raise ValueError(f"metric must be a column of the records, {list(records.columns)}, got {metric!r}.")
    tasks = list(records["task"].unique())
    if len(tasks) != 1:
        raise ValueError(f"records must be of one task, got {tasks}; draw one at a time.")


def format_label_axis(ax: Axes, counts: Sequence[int]) -> None:
    """Make the horizontal axis one of numbers of labels, logarithmic, with a tick at each."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([float(n) for n in counts]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    ax.xaxis.set_minor_locator(NullLocator())


def format_error_axis(ax: Axes, metric: str, unit: str | None) -> None:
    """Make the vertical axis one of errors, logarithmic, and name both axes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    wide, narrow = high > 15 * low, high < 4 * low
    ticks = (1, 2, 5) if wide else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8) if narrow else (1, 1.5, 2, 3, 4, 5, 7)
    ax.yaxis.set_major_locator(LogLocator(subs=ticks))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("number of labels")
    ax.set_ylabel(f"{metric.upper()} on the test fold" + (f" ({unit})" if unit else ""))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
