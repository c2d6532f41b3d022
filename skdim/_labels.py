"""Targets and sample weights as a user has them in, checked arrays out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Labels(NamedTuple):
    """Checked targets of C rows."""

    values: NDArray[np.float64]  # (C, T)
    weights: NDArray[np.float64]  # (C,)
    single: bool  # whether y has one dimension


def check_labels(y: Any, sample_weight: Any = None) -> Labels:
    """Check targets and weights.

    Parameters
    ----------
    y : array-like of shape (C,) or (C, T)
        Finite numbers.
    sample_weight : array-like of shape (C,) or None
        Finite, at least 0.

    Returns
    -------
    Labels

    Raises
    ------
    ValueError
        Naming rows and values that are not accepted.

    Examples
    --------
    >>> check_labels([1, 2]).values.shape
    (2, 1)
    >>> check_labels([1.0, float("nan")])
    Traceback (most recent call last):
    ...
    ValueError: y has nan at row 1; accepted are finite numbers. Leave rows without a label out, or use
    LabelMaskingRegressor, which learns from their crystals too.
    """
    if y is None:
        raise ValueError("y=None: the regressor requires y to be passed, but the target y is None.")
    values = _numbers("y", y)
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise ValueError(f"y has shape {values.shape}; accepted are (C,) and (C, T): one number for each row, or T.")
    table = values.reshape(len(values), -1)
    unlabelled = ". Leave rows without a label out, or use LabelMaskingRegressor, which learns from their crystals too"
    _refuse("y", table, ~np.isfinite(table), "finite numbers" + unlabelled * bool(np.isnan(table).any()))
    weights = np.ones(len(table)) if sample_weight is None else _numbers("sample_weight", sample_weight)
    if weights.shape != (len(table),):
        raise ValueError(f"sample_weight has shape {weights.shape}; accepted is one for each row: ({len(table)},).")
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    _refuse("sample_weight", weights[:, None], wrong[:, None], "finite numbers of at least 0")
    if not weights.any():
        raise ValueError(
            f"sample_weight is zero in all {len(table)} rows; accepted are weights of which some are above."
        )
    return Labels(table, weights, values.ndim == 1)


def check_varied(values: NDArray[np.float64]) -> None:
    """Refuse labels that are all the same, from which nothing can be learned.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, T)
        Of the labelled rows. One row alone is no reason, nor is a constant target beside others that vary.

    Raises
    ------
    ValueError
        Naming the value.

    Examples
    --------
    >>> check_varied(np.array([3.5, 3.5, 3.5]))
    Traceback (most recent call last):
    ...
    ValueError: y is 3.5 in all 3 labelled rows; accepted are targets with at least two different values.
    """
    if len(values) > 1 and (values == values[0]).all():
        value = ", ".join(f"{v + 0.0:g}" for v in np.atleast_1d(values[0]))
        raise ValueError(
            f"y is {value} in all {len(values)} labelled rows; accepted are targets with at least two different values."
        )


def _numbers(name: str, given: Any) -> NDArray[np.float64]:
    """As an array of double precision; missing values of pandas become NaN."""
    try:
        if hasattr(given, "to_numpy"):
            given = given.to_numpy(dtype=np.float64, na_value=np.nan)
        array = np.asarray(given)
        if array.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of numbers: {error}") from error


def _refuse(name: str, table: NDArray[np.float64], wrong: NDArray[np.bool_], accepted: str) -> None:
    """Raise, if any value is wrong, naming the first rows."""
    rows = np.flatnonzero(wrong.any(1))
    if not len(rows):
        return
    value = table[rows[0]][wrong[rows[0]]][0]
    more = "" if len(rows) <= 10 else f" and {len(rows) - 10} more"
    named = f"row {rows[0]}" if len(rows) == 1 else f"rows {', '.join(map(str, rows[:10]))}{more}"
    named = f"all {len(rows)} rows" if len(rows) == len(table) > 1 else named
    raise ValueError(f"{name} has {value} at {named}; accepted are {accepted}.")
