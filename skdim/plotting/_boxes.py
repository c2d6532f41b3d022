"""Box plots of the errors over the repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from skdim.plotting._axes import check_records, format_error_axis, new_axes
from skdim.plotting._styles import GREY, NO_FEATURES, Style, feature_styles

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_GROUP = 0.86  # share of the way from one number of labels to the next that the boxes take
_FEW = 5  # repeats, too few for quartiles to say much


def plot_error_boxes(
    records: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str = "mae",
    unit: str | None = None,
    features: Sequence[str] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the spread of the errors over the repeats: for each number of labels, a box for each feature set.

    A box spans the quartiles, with a line at the median; whiskers reach to the last repeat within one and a half
    times the height of the box, and repeats beyond are dots. Where there are fewer than five repeats, each is a marker.
    Boxes of untrained controls are hatched. The error axis is logarithmic. Regressors that ignore the features are
    dashed grey lines at their medians.

    Parameters
    ----------
    records : DataFrame
        Tidy, one row a repeat: columns ``task`` (of one task), ``features``, ``regressor``, ``labels`` and the metric,
        as `skdim.evaluation.label_efficiency` gives them; for each feature set those of one regressor, such as
        `skdim.evaluation.choose_regressor` gives. Features "none" are of regressors that ignore the features.
    ax : Axes, optional
        Where to draw; by default new axes of pyplot.
    metric : str, default="mae"
        Column to draw.
    unit : str, optional
        Unit of the targets, such as "eV/atom".
    features : sequence of str, optional
        All names that have to have colours of their own, for several pictures alike: see `feature_styles`. By default
        those in the records.
    legend : bool, default=True
        Whether to name the feature sets, in the order of their boxes, right of the axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the records are of several tasks, or of several regressors for a feature set.

    References
    ----------
    The form of the figures in M. Moran et al., Digital Discovery (2025), doi:10.1039/D4DD00202D.

    Examples
    --------
    >>> import matplotlib
    >>> import pandas as pd
    >>> matplotlib.use("Agg")
    >>> rows = [("", f, "ridge", n, d, (1 + 0.1 * d) * n**-0.3) for f in "ab" for n in (50, 100) for d in range(5)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"])
    >>> ax = plot_error_boxes(records, unit="eV")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['a', 'b']
    """
    check_records(records, metric)
    own = records[records["features"] != NO_FEATURES]
    several = own.groupby("features", sort=False)["regressor"].unique()
    for name, regressors in several.items():
        if len(regressors) > 1:
            raise ValueError(
                f"records must be of one regressor for each feature set, got {list(regressors)} for {name!r}."
            )
    ax = new_axes(9.0) if ax is None else ax
    names, counts = list(dict.fromkeys(own["features"])), sorted(own["labels"].unique())
    styles = feature_styles([*(features or ()), *names])
    for k, name in enumerate(names):
        rows = own[own["features"] == name]
        values = [rows.loc[rows["labels"] == count, metric].to_numpy() for count in counts]
        places = [place + _GROUP * ((k + 0.5) / len(names) - 0.5) for place in range(len(counts))]
        _draw_boxes(ax, values, places, 0.82 * _GROUP / len(names), name, styles[name])
    _draw_guesses(ax, records[records["features"] == NO_FEATURES], counts, metric)
    ax.set_xticks(range(len(counts)), [str(count) for count in counts])
    ax.set_xlim(-0.55, len(counts) - 0.45)
    format_error_axis(ax, metric, unit)
    if legend:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9, handlelength=1.3)
    return ax


def _draw_boxes(
    ax: Axes, values: Sequence[NDArray[np.float64]], places: Sequence[float], width: float, name: str, style: Style
) -> None:
    """Draw the boxes of one feature set."""
    drawn = ax.boxplot(
        values,
        positions=places,
        widths=width,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": style.color, "edgecolor": "#222222", "linewidth": 0.7},
        medianprops={"color": "white", "linewidth": 1.6},
        whiskerprops={"color": "#444444", "linewidth": 0.8},
        capprops={"linewidth": 0},
        flierprops={"marker": ".", "markersize": 3.5, "markerfacecolor": style.color, "markeredgecolor": style.color},
    )
    for box in drawn["boxes"]:
        box.set_hatch(None if style.plain else "//////")
    drawn["boxes"][0].set_label(name)
    for place, errors in zip(places, values, strict=True):
        if len(errors) < _FEW:
            spot = [place] * len(errors)
            ax.scatter(spot, errors, s=26, zorder=3, c=style.color, marker=style.marker, edgecolors="#222222")


def _draw_guesses(ax: Axes, records: pd.DataFrame, counts: list[int], metric: str) -> None:
    """Draw, across each group of boxes, what regressors reach that ignore the features."""
    for regressor, rows in records.groupby("regressor", sort=False):
        medians = rows.groupby("labels")[metric].median().reindex(counts)
        left, right = ([place + side * _GROUP / 2 for place in range(len(counts))] for side in (-1, 1))
        name = str(regressor).replace("_", " ")
        ax.hlines(medians, left, right, color=GREY, linestyle=(0, (4, 2)), linewidth=1.3, label=name)
