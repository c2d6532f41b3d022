"""An embedder and crystals in, the fitted embedder out: found again where the same was fitted on the same before."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.utils.validation import check_memory

import skdim
from skdim._parameters import as_json
from skdim.crystals.rows import as_structures
from skdim.points.pointchecks import LAYOUT
from skdim.points.pointsets import PointSets

__all__ = ["fit_once", "pretraining_key"]


def fit_once(embedder: Any, X: Any, memory: Any = None) -> Any:
    """Fit an embedder on crystals, or find the result of an earlier such fit.

    Parameters
    ----------
    embedder : transformer
        Not fitted.
    X : PointSets, or collection of crystals
        What it takes.
    memory : str, path, joblib.Memory or None, default=None
        Where results are kept. None keeps nothing.

    Returns
    -------
    transformer
        Fitted.

    Raises
    ------
    ValueError
        If memory is none of these.
    """
    store = check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)
    if memory is None:
        return embedder.fit(X)
    return store.cache(_fit, ignore=["embedder", "X"])(pretraining_key(embedder, X), embedder, X)


def _fit(key: str, embedder: Any, X: Any) -> Any:
    """Fit an embedder; the key stands for it and the crystals where the result is kept."""
    return embedder.fit(X)


def pretraining_key(embedder: Any, X: Any) -> str:
    """Digest of an embedder's class and parameters and of the content of crystals, in their order.

    Parameters
    ----------
    embedder : transformer
        Not fitted.
    X : PointSets, or collection of crystals
        Of paths the content of the files counts. Point sets of the same crystals have one key, whatever larger set
        they were cut out of.

    Returns
    -------
    str
    """
    digest = hashlib.sha256(f"{skdim.__version__} {joblib.hash(embedder)}".encode())
    if isinstance(X, PointSets):
        _add_points(digest, X)
    elif getattr(X, "ndim", 1) == 1:
        digest.update(joblib.hash([_content(row) for row in as_structures(X)]).encode())
    else:
        digest.update(joblib.hash(X).encode())
    return digest.hexdigest()


def _content(row: Any) -> Any:
    """The content of a file, for a path; else the crystal itself."""
    named = isinstance(row, str | os.PathLike) and os.path.isfile(row)
    return Path(row).read_bytes() if named else row


def _add_points(digest: Any, points: PointSets) -> None:
    """Add point sets to a digest; site types are numbered as they appear, so those of other crystals do not matter."""
    names = [points.feature_names, points.interaction_names, dict(points.settings)]
    digest.update(as_json(names).encode())
    used, first, place = np.unique(points.site_type, return_index=True, return_inverse=True)
    order = np.argsort(first)
    columns = {name: getattr(points, name) for name in LAYOUT} | {"site_type": np.argsort(order)[place]}
    tables = (points.site_types.features[used[order]], points.site_types.fractions[used[order]])
    for column in (*columns.values(), *tables):
        digest.update(np.ascontiguousarray(column).tobytes())
