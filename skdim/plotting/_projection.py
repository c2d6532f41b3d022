"""Places of vectors in a plane, and the nearest neighbours of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def project(vectors: NDArray[Any], method: str = "pca", random_state: int = 0) -> NDArray[np.float32]:
    """Place vectors in a plane, similar ones close to each other.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        At least four rows, without NaN.
    method : {"pca", "tsne", "umap"}, default="pca"
        "pca": the first two principal components; "tsne" and "umap" work on the first 50 of them. "umap" needs
        umap-learn (the extra ``umap``).
    random_state : int, default=0
        Of the method.

    Returns
    -------
    ndarray of float32, shape (n, 2)

    Raises
    ------
    ValueError
        If the method is not known or there are fewer than four rows.
    ImportError
        If umap-learn is not installed.

    Examples
    --------
    >>> project(np.random.default_rng(0).normal(size=(9, 5))).shape
    (9, 2)
    """
    from sklearn.decomposition import PCA

    if method not in ("pca", "tsne", "umap"):
        raise ValueError(f"method must be 'pca', 'tsne' or 'umap', got {method!r}.")
    if len(vectors) < 4:
        raise ValueError(f"a map needs at least 4 crystals, got {len(vectors)}.")
    short = PCA(min(2 if method == "pca" else 50, *vectors.shape), random_state=random_state).fit_transform(vectors)
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(vectors) - 1) / 3)
        short = TSNE(init="pca", perplexity=perplexity, random_state=random_state).fit_transform(short)
    elif method == "umap":
        try:
            from umap import UMAP  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise ImportError("method='umap' needs umap-learn: pip install 'skdim-crystals[umap]'") from error
        # With a seed it works in one thread, and warns unless it is told so.
        neighbors = min(15, len(vectors) - 1)
        short = UMAP(n_neighbors=neighbors, random_state=random_state, n_jobs=1).fit_transform(short)
    places: NDArray[np.float32] = np.asarray(short[:, :2], np.float32)
    return places


def nearest_rows(vectors: NDArray[Any], k: int = 8, random_state: int = 0) -> NDArray[np.int32]:
    """Find the nearest other rows of each row, by Euclidean distance of the first 50 principal components.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        Without NaN.
    k : int, default=8
        Neighbours of each.
    random_state : int, default=0
        Of the principal components.

    Returns
    -------
    ndarray of int32, shape (n, min(k, n - 1))
        The nearest first.

    Examples
    --------
    >>> nearest_rows(np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]]), k=1).ravel().tolist()
    [1, 0, 1]
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    k = min(k, len(vectors) - 1)
    short = PCA(min(50, *vectors.shape), random_state=random_state).fit_transform(vectors)
    found = NearestNeighbors(n_neighbors=k + 1).fit(short).kneighbors(short, return_distance=False)
    # Of equal vectors any may come first, and a row may be missing among its own neighbours: then the last one goes.
    itself = found == np.arange(len(found))[:, None]
    itself[~itself.any(1), -1] = True
    others: NDArray[np.int32] = found[~itself].reshape(len(found), k).astype(np.int32)
    return others
