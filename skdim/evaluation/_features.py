"""Feature sets of any kind as standardised columns, all treated alike."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skdim.crystals.rows import as_structures
from skdim.points.pointsets import PointSets

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BOUND = 3.0


def compute_features(
    features: Mapping[str, Any],
    structures: Any,  # n crystals, PointSets or None, for the transformers
    pool: NDArray[np.int64],  # rows that may be learned from
    n_rows: int,  # n, the number of targets
) -> dict[str, NDArray[np.float64]]:
    """Make an array (n, d) of each feature set: an array, or a transformer, which is cloned and fitted on the pool.

    A transformer in scikit-learn's FrozenEstimator is used as it is.
    """
    if not isinstance(features, Mapping):
        raise TypeError(
            f"features must map names to arrays or transformers, got a {type(features).__name__}; "
            "write {'mine': features}."
        )
    if not len(features):
        raise ValueError(f"features must have at least one array or transformer by name, got {features!r}.")
    rows = None if structures is None else _indexable(structures)
    if rows is not None and len(rows) != n_rows:
        raise ValueError(f"structures has {len(rows)} rows, but y has {n_rows}; they must match.")
    arrays = {}
    for name, given in features.items():
        if hasattr(given, "fit") and hasattr(given, "transform"):
            if rows is None:
                raise ValueError(f"features[{name!r}] is a transformer: pass the crystals as structures=.")
            given = clone(given).fit(rows[pool], None).transform(rows)
        arrays[name] = _checked(name, given, n_rows)
    return arrays


def _indexable(structures: Any) -> Any:
    """Put crystals in an array of objects, without looking into them; point sets can be indexed as they are."""
    if isinstance(structures, PointSets):
        return structures
    rows = as_structures(structures)
    return np.fromiter(rows, dtype=object, count=len(rows))


def _checked(name: str, given: Any, n_rows: int) -> NDArray[np.float64]:
    """Check the shape of a feature set; NaN may be in it, infinity may not."""
    array = np.asarray(given, np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"features[{name!r}] must have shape (rows, columns), got {array.shape}.")
    if len(array) != n_rows:
        raise ValueError(f"features[{name!r}] has {len(array)} rows, but y has {n_rows}; they must match.")
    infinite = np.flatnonzero(np.isinf(array).any(1))
    if len(infinite):
        raise ValueError(f"features[{name!r}] is infinite in rows {infinite[:5].tolist()} ({len(infinite)} in all).")
    return array


def standardise(name: str, columns: NDArray[np.float64], pool: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standardise columns (n, d) on the pool and clip them to three deviations.

    NaN is replaced by the column's mean, with one warning that counts the rows and names the feature set; a column that
    is NaN in the whole pool is a ValueError.
    """
    missing = np.isnan(columns)
    empty = np.flatnonzero(missing[pool].all(0))
    if len(empty):
        raise ValueError(f"features[{name!r}] is NaN in every row of the pool in columns {empty[:5].tolist()}.")
    mean, scale = np.nanmean(columns[pool], 0), np.nanstd(columns[pool], 0)
    # A column that varies by rounding only carries no information.
    scale[scale <= 1e-9 * np.abs(mean) + 1e-12] = np.inf
    standard: NDArray[np.float64] = np.clip((columns - mean) / scale, -_BOUND, _BOUND)
    if missing.any():
        failed = int(missing.any(1).sum())
        warnings.warn(f"features[{name!r}] is NaN in {failed} rows; column means are used instead.", stacklevel=5)
        standard[missing] = 0.0
    return standard
