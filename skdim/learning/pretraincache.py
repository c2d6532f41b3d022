"""Fitted embedders, found again where the same was fitted on the same crystals before."""

from __future__ import annotations

import copy
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.utils.validation import check_memory

import skdim
from skdim._files import digest
from skdim._parameters import as_json
from skdim.crystals.rows import as_structures
from skdim.points.pointchecks import LAYOUT
from skdim.points.pointsets import PointSets

__all__ = ["fit_once", "pretraining_key"]


def fit_once(
    embedder: Any,
    X: Any,
    memory: Any = None,
    within: AbstractContextManager[Any] | None = None,  # entered around a fit, and left before its result is kept
) -> Any:
    """Fit an embedder on crystals, or find the result of an earlier such fit in a path or joblib.Memory."""
    store = check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)
    within = nullcontext() if within is None else within
    if memory is None:
        return _fit("", embedder, X, within)
    return store.cache(_fit, ignore=["embedder", "X", "within"])(pretraining_key(embedder, X), embedder, X, within)


def _fit(key: str, embedder: Any, X: Any, within: AbstractContextManager[Any]) -> Any:
    """Fit an embedder; the key stands for it and the crystals where the result is kept."""
    with within:
        return embedder.fit(X)


def pretraining_key(embedder: Any, X: Any) -> str:
    """Digest of an embedder's class and parameters and of the content of crystals, in their order.

    Of paths the content of the files counts. Point sets of the same crystals have one key, whatever larger set they
    were cut out of.
    """
    if isinstance(X, PointSets):
        parts = _parts_of_points(X)
    elif getattr(X, "ndim", 1) == 1:
        parts = [joblib.hash([_content(row) for row in as_structures(X)])]
    else:
        parts = [joblib.hash(X)]
    watched = copy.copy(embedder)
    vars(watched).pop("_skl_callbacks", None)  # who watches a fit changes nothing
    return digest(skdim.__version__, joblib.hash(watched), *parts)


def _content(row: Any) -> Any:
    """The content of a file, for a path; else the crystal itself."""
    named = isinstance(row, str | os.PathLike) and os.path.isfile(row)
    return Path(row).read_bytes() if named else row


def _parts_of_points(points: PointSets) -> list[Any]:
    """Parts of a digest of point sets; site types are numbered as they appear, whatever other crystals there were."""
    names = as_json([points.feature_names, points.interaction_names, dict(points.settings)])
    used, first, place = np.unique(points.site_type, return_index=True, return_inverse=True)
    order = np.argsort(first)
    columns = {name: getattr(points, name) for name in LAYOUT} | {"site_type": np.argsort(order)[place]}
    return [names, *columns.values(), points.site_types.features[used[order]], points.site_types.fractions[used[order]]]
