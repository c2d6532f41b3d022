"""Maps of crystals: points of a plane, coloured by a property."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.plotting._axes import new_axes
from skdim.plotting._projection import project

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


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
    # Crosses: a grey dot would look like a value, in print and to the colour-blind.
    ax.scatter(points[~known, 0], points[~known, 1], s=0.8 * size, c="#a8a8a8", marker="x", linewidths=0.5)
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


class EmbeddingMapDisplay:
    """A map of crystals: points of a plane, similar vectors close to each other, coloured by a property.

    Make it with `from_vectors` or `from_estimator`.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
        Where each crystal is.
    values : ndarray of shape (n,)
        The property.
    label : str
        Name and unit of the property.

    Attributes
    ----------
    ax_ : Axes
        With the map.
    figure_ : Figure
        Of the axes.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, coordinates: NDArray[Any], values: NDArray[Any], *, label: str = "") -> None:
        self.coordinates = coordinates
        self.values = values
        self.label = label

    @classmethod
    def from_vectors(
        cls,
        vectors: Any,
        values: Any,
        *,
        method: str = "tsne",
        label: str = "",
        random_state: int = 0,
        ax: Axes | None = None,
    ) -> EmbeddingMapDisplay:
        """Place vectors in a plane, and draw them.

        Parameters
        ----------
        vectors : array-like of shape (n, d)
            Of the crystals; rows with NaN are left out.
        values : array-like of shape (n,)
            The property; NaN is grey.
        method : {"pca", "tsne", "umap"}, default="tsne"
            As for `project`.
        label : str
            Name and unit of the property.
        random_state : int, default=0
            Of the method.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        EmbeddingMapDisplay

        Raises
        ------
        ValueError
            If the lengths differ, or there are fewer than four vectors.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> vectors = np.random.default_rng(0).normal(size=(12, 5))
        >>> EmbeddingMapDisplay.from_vectors(vectors, vectors[:, 0], method="pca").coordinates.shape
        (12, 2)
        """
        rows, colours = np.asarray(vectors), np.asarray(values, np.float64)
        if len(rows) != len(colours):
            raise ValueError(f"vectors and values must have the same length, got {len(rows)} and {len(colours)}.")
        usable = np.isfinite(rows).all(1)
        places = project(rows[usable], method, random_state)
        return cls(places, colours[usable], label=label).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        values: Any,
        *,
        method: str = "tsne",
        label: str = "",
        random_state: int = 0,
        ax: Axes | None = None,
    ) -> EmbeddingMapDisplay:
        """Embed crystals, place their vectors in a plane, and draw them.

        Parameters
        ----------
        estimator : fitted transformer
            Such as a `DeepInfoMaxEmbedder`.
        X : collection of n crystals
            As the estimator takes them.
        values, method, label, random_state, ax
            As for `from_vectors`.

        Returns
        -------
        EmbeddingMapDisplay
        """
        vectors = estimator.transform(X)
        return cls.from_vectors(vectors, values, method=method, label=label, random_state=random_state, ax=ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "viridis") -> EmbeddingMapDisplay:
        """Draw, as `plot_embedding_map` does.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.
        cmap : str, default="viridis"
            Colour map of matplotlib; this one rises evenly in lightness, so it can be read in grey.

        Returns
        -------
        self
        """
        self.ax_ = plot_embedding_map(self.coordinates, self.values, ax, label=self.label, cmap=cmap)
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        return self
