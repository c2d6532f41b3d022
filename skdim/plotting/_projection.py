"""Places of vectors in a plane: similar vectors close to each other."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROJECTIONS = ("t-SNE", "UMAP", "PCA")
_COMPONENTS = 50


def project(vectors: Any, method: str = "t-SNE", random_state: int = 0) -> NDArray[np.float64]:
    """Place vectors in a plane, by their first fifty principal components.

    Parameters
    ----------
    vectors : array-like of shape (n, d)
        At least four rows without NaN.
    method : {"t-SNE", "UMAP", "PCA"}, default="t-SNE"
        "UMAP" needs the package umap-learn, which the extra ``umap`` installs. "PCA" takes the first two components.
    random_state : int, default=0
        For all of them.

    Returns
    -------
    ndarray of shape (n, 2)

    Raises
    ------
    ValueError
        If the method is unknown, or there are fewer than four rows.
    ImportError
        If the package for "UMAP" is missing.

    Examples
    --------
    >>> project(np.random.default_rng(0).normal(size=(20, 100)), "PCA").shape
    (20, 2)
    """
    from sklearn.decomposition import PCA

    array = np.asarray(vectors)
    if method not in PROJECTIONS:
        raise ValueError(f"method must be among {', '.join(map(repr, PROJECTIONS))}, got {method!r}.")
    if array.ndim != 2 or len(array) < 4:
        raise ValueError(f"vectors must have shape (n, d) with n >= 4, got {array.shape}.")
    components = PCA(min(_COMPONENTS, *array.shape), random_state=random_state).fit_transform(array)
    places = components[:, :2] if method == "PCA" else _PLACED[method](components, random_state)
    return np.asarray(places, np.float64)


def _tsne(components: NDArray[Any], random_state: int) -> NDArray[Any]:
    """Place by t-SNE."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(components) - 1) / 3)
    places: NDArray[Any] = TSNE(init="pca", perplexity=perplexity, random_state=random_state).fit_transform(components)
    return places


def _umap(components: NDArray[Any], random_state: int) -> NDArray[Any]:
    """Place by UMAP."""
    if importlib.util.find_spec("umap") is None:
        raise ImportError("method='UMAP' needs its package: pip install 'skdim-crystals[umap]'", name="umap")
    from umap import UMAP  # type: ignore[import-not-found,unused-ignore]

    neighbors = min(15, len(components) - 1)
    # With a seed it works in one thread, and warns unless that is said.
    places: NDArray[Any] = UMAP(n_neighbors=neighbors, random_state=random_state, n_jobs=1).fit_transform(components)
    return places


_PLACED = {"t-SNE": _tsne, "UMAP": _umap}
