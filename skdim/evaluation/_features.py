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
_COLUMNS = 64  # of a block


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


def standardise(
    name: str,
    columns: NDArray[np.float64],
    pool: NDArray[np.int64],
    rows: NDArray[np.int64] | None = None,  # to return; None returns all
) -> NDArray[np.float64]:
    """Standardise columns (n, d) on the pool and clip them to three deviations.

    NaN is replaced by the column's mean, with one warning that counts the rows and names the feature set; a column that
    is NaN in the whole pool is a ValueError.
    """
    mean, scale, empty = np.empty(columns.shape[1]), np.empty(columns.shape[1]), []
    # A few columns at a time: a copy of a large pool would be as large as the features.
    for start in range(0, columns.shape[1], _COLUMNS):
        part = columns[:, start : start + _COLUMNS][pool]
        missing = np.isnan(part).all(0)
        empty += (start + np.flatnonzero(missing)).tolist()
        place = np.flatnonzero(~missing)
        mean[start + place], scale[start + place] = np.nanmean(part[:, place], 0), np.nanstd(part[:, place], 0)
    if empty:
        raise ValueError(f"features[{name!r}] is NaN in every row of the pool in columns {empty[:5]}.")
    # A column that varies by rounding only carries no information.
    scale[scale <= 1e-9 * np.abs(mean) + 1e-12] = np.inf
    failed = int(np.isnan(columns).any(1).sum())
    standard: NDArray[np.float64] = np.subtract(columns if rows is None else columns[rows], mean)
    np.clip(np.divide(standard, scale, out=standard), -_BOUND, _BOUND, out=standard)
    if failed:
        warnings.warn(f"features[{name!r}] is NaN in {failed} rows; column means are used instead.", stacklevel=5)
        standard[np.isnan(standard)] = 0.0
    return standard
