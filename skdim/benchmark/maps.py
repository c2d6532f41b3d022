"""Vectors in, places in a plane out: similar crystals close to each other."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_COMPONENTS = 50


def tsne(vectors: NDArray[Any], random_state: int = 0) -> NDArray[np.float32]:
    """Place vectors by t-SNE of their first principal components.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        At least four rows.
    random_state : int, default=0
        Of both.

    Returns
    -------
    ndarray of shape (n, 2)
    """
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 3)
    places: NDArray[np.float32] = TSNE(init="pca", perplexity=perplexity, random_state=random_state).fit_transform(
        _short(vectors, random_state)
    )
    return places


def umap(vectors: NDArray[Any], random_state: int = 0) -> NDArray[np.float32] | None:
    """Place vectors by UMAP of their first principal components, if the package umap-learn is installed.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        At least four rows.
    random_state : int, default=0
        Of both.

    Returns
    -------
    ndarray of shape (n, 2), or None
    """
    if importlib.util.find_spec("umap") is None:
        return None
    from umap import UMAP  # type: ignore[import-not-found,unused-ignore]

    neighbors = min(15, len(vectors) - 1)
    # With a seed it works in one thread, and warns unless it is told so.
    places: NDArray[np.float32] = UMAP(n_neighbors=neighbors, random_state=random_state, n_jobs=1).fit_transform(
        _short(vectors, random_state)
    )
    return places


def _short(vectors: NDArray[Any], random_state: int) -> NDArray[Any]:
    """First principal components."""
    from sklearn.decomposition import PCA

    short: NDArray[Any] = PCA(min(_COMPONENTS, *vectors.shape), random_state=random_state).fit_transform(vectors)
    return short


def map_table(
    task: str, features: str, vectors: NDArray[Any], target: NDArray[np.float64], random_state: int = 0
) -> pd.DataFrame:
    """Place crystals by each method that is there.

    Parameters
    ----------
    task, features : str
        For the columns of that name.
    vectors : ndarray of shape (n, d)
        Of n crystals; rows of NaN are left out.
    target : ndarray of shape (n,)
        Their targets.
    random_state : int, default=0
        Of the methods.

    Returns
    -------
    DataFrame
        Columns task, method ("t-SNE" or "UMAP"), x, y, target, features; n rows a method, none if n is below four.
    """
    import pandas as pd

    usable = np.isfinite(vectors).all(1)
    vectors, target = vectors[usable], target[usable]
    found = {}
    if len(vectors) >= 4:
        found = {"t-SNE": tsne(vectors, random_state), "UMAP": umap(vectors, random_state)}
    tables = [
        pd.DataFrame({"task": task, "method": method, "x": places[:, 0], "y": places[:, 1], "target": target})
        for method, places in found.items()
        if places is not None
    ]
    empty = pd.DataFrame(columns=["task", "method", "x", "y", "target"])
    return (pd.concat(tables, ignore_index=True) if tables else empty).assign(features=features)
