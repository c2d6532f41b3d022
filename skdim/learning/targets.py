"""Partly known targets of any form in, an array of them with NaN where unknown out, and which rows are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from skdim._parameters import check_number

__all__ = ["Known", "as_targets", "check_n_labels", "known_rows", "where_known"]


def as_targets(y: Any, n_rows: int | None = None) -> NDArray[np.float64]:
    """Read targets, some of which may be unknown.

    Parameters
    ----------
    y : array-like of float, shape (C,) or (C, n_targets)
        NaN, None or pandas' NA where unknown.
    n_rows : int or None, default=None
        C, if it is known.

    Returns
    -------
    ndarray of float64, shape (C,) or (C, n_targets)
        NaN where unknown.

    Raises
    ------
    ValueError
        If y holds no numbers, infinite ones, or another number of them.

    Examples
    --------
    >>> as_targets([1, None, 3])
    array([ 1., nan,  3.])
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None; accepted are numbers, NaN where unknown.")
    targets = _numbers(y)
    if targets.ndim not in (1, 2) or 0 in targets.shape[1:]:
        raise ValueError(f"y has the shape {targets.shape}; accepted are (rows,) and (rows, targets).")
    if n_rows is not None and len(targets) != n_rows:
        raise ValueError(f"X has {n_rows} rows and y has {len(targets)}; accepted are as many of one as of the other.")
    if len(infinite := np.unique(np.nonzero(np.isinf(targets))[0])):
        shown = ", ".join(map(str, infinite[:10])) + (" ..." if len(infinite) > 10 else "")
        raise ValueError(
            f"y is inf or -inf in {len(infinite)} of {len(targets)} rows ({shown}); accepted are finite numbers, and "
            "NaN where unknown."
        )
    return targets


def _numbers(y: Any) -> NDArray[np.float64]:
    """Read numbers, with NaN where there is none."""
    try:
        pandas = hasattr(y, "to_numpy")
        values: Any = y if pandas else np.asarray(y)
        if np.iscomplexobj(values):
            raise ValueError("Complex data not supported")
        # numpy alone makes no NaN of the missing values of pandas.
        numbers: NDArray[np.float64] = values.to_numpy(float, na_value=np.nan) if pandas else values.astype(float)
        return numbers
    except (TypeError, ValueError) as error:
        raise ValueError(f"y cannot be read as numbers ({error}); accepted are numbers, NaN where unknown.") from error


def known_rows(targets: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which rows are labelled: those where every target is known.

    Parameters
    ----------
    targets : ndarray of float, shape (C,) or (C, n_targets)
        NaN where unknown.

    Returns
    -------
    ndarray of bool, shape (C,)
    """
    missing = np.isnan(targets)
    unknown: NDArray[np.bool_] = np.asarray(missing if targets.ndim == 1 else missing.any(axis=1), bool)
    return ~unknown


def check_n_labels(n_labels: Any, known: NDArray[np.bool_], what: str) -> None:
    """Refuse a number of labels that there are not.

    Parameters
    ----------
    n_labels : int or None
        Value of the parameter.
    known : ndarray of bool, shape (C,)
        Which rows are labelled.
    what : str
        What such rows have, for the message.

    Raises
    ------
    ValueError
        If no row is labelled, or n_labels is not among 1 to the number of labelled rows.
    """
    n_known = int(known.sum())
    if not n_known:
        raise ValueError(f"none of {len(known)} rows has {what}; y must be a number, not NaN, in at least one.")
    if n_labels is not None:
        accepted = f"None and whole numbers from 1 to {n_known}, since so many of {len(known)} rows have {what}"
        check_number("n_labels", n_labels, accepted, whole=True, least=1, below=n_known + 1)


class Known(NamedTuple):
    """The rows whose targets are known."""

    X: Any
    y: NDArray[np.float64]
    weights: NDArray[Any] | None
    rows: NDArray[np.intp]  # their numbers among all


def where_known(X: Any, y: Any, sample_weight: Any = None) -> Known:
    """Pick the rows whose targets are known.

    Parameters
    ----------
    X : collection of length C
        Anything that scikit-learn can index, or an iterator.
    y : array-like of float, shape (C,) or (C, n_targets)
        NaN where unknown.
    sample_weight : array-like of shape (C,) or None
        Weights of the rows.

    Returns
    -------
    Known
        X, y and weights of the labelled rows, and their numbers.

    Raises
    ------
    ValueError
        If there is none.
    """
    targets = as_targets(y)
    rows = np.flatnonzero(known_rows(targets))
    if not len(rows):
        raise ValueError(
            f"y is NaN in all {len(targets)} rows that are to be scored; at least one must be known. Use fewer folds, "
            "or folds that all have known rows."
        )
    weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
    return Known(_safe_indexing(list(X) if isinstance(X, Iterator) else X, rows), targets[rows], weights, rows)
