"""Maps of crystals: points of a plane, coloured by a property."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.plotting._axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        Where each crystal is, such as `project` gives. They have no unit, so the axes have no ticks.
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
            f"coordinates and values must have shapes (n, 2) and (n,), got {points.shape} and {colours.shape}."
        )
    ax = new_axes() if ax is None else ax
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
