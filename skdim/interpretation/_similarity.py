"""The crystals whose vectors are nearest to those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._parameters import check, integer
from skdim.exceptions import InputError, first_few

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def nearest_neighbors(
    vectors: Any, queries: Any = None, *, n_neighbors: int = 5, metric: str = "euclidean", embedder: Any = None
) -> pd.DataFrame:
    """Find the crystals whose vectors are nearest to those of others.

    Parameters
    ----------
    vectors : array-like of shape (C, d), or collection of crystals of length C with an embedder
        Where to look. Rows of NaN, as of crystals that failed, are left out.
    queries : of the same kind, of length Q, or None, default=None
        Whose neighbours to find. None finds for each of the vectors its neighbours among the others.
    n_neighbors : int, default=5
        How many.
    metric : str, default="euclidean"
        What scikit-learn's ``NearestNeighbors`` takes.
    embedder : transformer or None, default=None
        Fitted; gives the vectors of crystals. With None the vectors are given.

    Returns
    -------
    DataFrame
        For each query, nearest first: ``query`` (its row), ``rank`` (from 1), ``row`` (of the neighbour) and
        ``distance``.

    Raises
    ------
    ValueError
        If there are fewer rows than neighbours, or a query is NaN.

    Examples
    --------
    >>> nearest_neighbors([[0.0], [1.0], [5.0]], [[0.9]], n_neighbors=2).round(2)
       query  rank  row  distance
    0      0     1    1       0.1
    1      0     2    0       0.9
    """
    import pandas as pd
    from sklearn.neighbors import NearestNeighbors

    table = _table("vectors", vectors, embedder)
    usable = np.flatnonzero(~np.isnan(table).any(1))
    asked = usable if queries is None else np.arange(len(queries))
    most = len(usable) - (queries is None)
    check("n_neighbors", n_neighbors, integer(1, most, f"{len(usable)} of {len(table)} rows have a vector"))
    search = NearestNeighbors(n_neighbors=n_neighbors, metric=metric).fit(table[usable])
    given = None if queries is None else _queries(queries, embedder, table.shape[1])
    distance, place = search.kneighbors(given)
    rank = np.tile(np.arange(1, n_neighbors + 1), len(asked))
    row = usable[place.reshape(-1)]
    columns = {"query": np.repeat(asked, n_neighbors), "rank": rank, "row": row, "distance": distance.reshape(-1)}
    return pd.DataFrame(columns)


def _table(name: str, given: Any, embedder: Any) -> NDArray[np.floating]:
    """Vectors as an array (n, d), made by the embedder where there is one."""
    table = np.asarray(given if embedder is None else embedder.transform(given))
    if table.ndim != 2 or table.dtype.kind not in "fiu":
        raise InputError(
            f"{name} must be numbers of shape (rows, columns), or crystals together with a fitted embedder, got the "
            f"shape {table.shape} and the dtype {table.dtype}."
        )
    return table.astype(np.float64)


def _queries(given: Any, embedder: Any, width: int) -> NDArray[np.floating]:
    """The vectors of the queries, none of which may be NaN."""
    table = _table("queries", given, embedder)
    if table.shape[1] != width:
        raise InputError(f"queries must have {width} columns, as vectors has, got {table.shape[1]}.")
    missing = np.flatnonzero(np.isnan(table).any(1))
    if len(missing):
        raise InputError(
            f"queries must be finite, got NaN at rows {first_few(missing)}: leave crystals that failed out."
        )
    return table
