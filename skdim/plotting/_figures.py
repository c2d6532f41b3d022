"""Figures of several panels, and pictures as PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from skdim._files import generator
from skdim.plotting._curves import plot_label_efficiency
from skdim.plotting._styles import NO_FEATURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def new_figure(width: float = 6.4, height: float = 4.4) -> Figure:
    """Make a figure that pyplot does not know, so that it need not be closed.

    Parameters
    ----------
    width, height : float
        In inches.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def png(figure: Figure) -> bytes:
    r"""Return a figure as a PNG file.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    bytes

    Examples
    --------
    >>> png(new_figure())[:4]
    b'\x89PNG'
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Software": generator()})
    return file.getvalue()


def label_efficiency_figure(
    records: pd.DataFrame,
    *,
    regressors: Sequence[str] | None = None,
    unit: str | None = None,
    title: str = "",
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw learning curves in a panel for each regressor, in each of them the regressors that ignore the features.

    Parameters
    ----------
    records : DataFrame
        As for `plot_label_efficiency`.
    regressors : sequence of str, optional
        Which to draw; by default all.
    unit : str, optional
        Unit of the targets.
    title : str
        Above the panels.
    features : sequence of str, optional
        As for `plot_label_efficiency`.

    Returns
    -------
    Figure
    """
    import pandas as pd

    blind = records["features"] == NO_FEATURES
    shown = list(records.loc[~blind, "regressor"].unique() if regressors is None else regressors)
    figure = new_figure(4.6 * len(shown) + 0.2, 4.6)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    drawn = records[blind | records["regressor"].isin(shown)]
    means = drawn.groupby(["features", "regressor", "labels"])["mae"].mean()
    # Before drawing: the places of the names depend on it.
    panels[0].set_ylim(0.8 * means.min(), 1.25 * means.max())
    for ax, regressor in zip(panels, shown, strict=True):
        own = records[~blind & (records["regressor"] == regressor)]
        guesses = records[blind & records["labels"].isin(own["labels"])]
        plot_label_efficiency(pd.concat([guesses, own]), ax, unit=unit, features=features)
        ax.set_title("best regressor" if regressor == "best" else regressor.replace("_", " "))
        ax.label_outer()
    figure.suptitle(title)
    return figure
