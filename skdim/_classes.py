"""Classes as a user has them, and probabilities of them: one reader, one calibration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import column_or_1d

from skdim.exceptions import InputError, first_few

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression


def read_classes(y: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return labels as objects, and which of them are known."""
    if y is None:
        raise InputError(
            "y must be a class for each row: the classifier requires y to be passed, but the target y is None."
        )
    if not isinstance(y, Iterable) or getattr(y, "ndim", 1) > 1:  # one column of a table is taken, with a warning
        y = column_or_1d(np.asarray(y), warn=True)
    values = list(y)
    known = np.array([not (v is None or v != v or str(v) in ("", "<NA>")) for v in values], dtype=np.bool_)
    labels = np.empty(len(values), dtype=object)
    labels[:] = values
    if len({isinstance(v, str) for v, use in zip(values, known, strict=True) if use}) > 1:
        raise InputError("y must hold texts only or no texts, got both.")
    kind = np.array([v for v, use in zip(values, known, strict=True) if use])
    if kind.dtype.kind == "f" and len(wrong := kind[~np.isfinite(kind) | (kind != np.round(kind))]):
        raise InputError(f"y is continuous, it has the value {wrong[0]:g}; classes are texts, integers or booleans.")
    return labels, known


def rare(names: NDArray[Any], counts: NDArray[np.int64], least: int) -> str:
    """Name the first classes that have fewer labels than needed; empty if none has.

    Examples
    --------
    >>> rare(np.array(["a", "b"]), np.array([5, 1]), 2)
    "'b' (1)"
    """
    return first_few((f"'{name}' ({n})" for name, n in zip(names, counts, strict=True) if n < least), 5)


def indicators(target: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Whether each row belongs to each class; of two classes to the second."""
    table: NDArray[np.float64] = (target[:, None] == np.arange(n)).astype(np.float64)
    return table[:, 1:] if n == 2 else table


def calibrator(held: NDArray[np.float64], target: NDArray[np.int64]) -> LogisticRegression:
    """Train what makes probabilities of held-out predictions (n, K or 1)."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10.0, max_iter=1000).fit(held, target)


def softmax_form(calibrator: LogisticRegression) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes and offsets of the exponents of the classes; of two classes the first has none."""
    slopes, offsets = calibrator.coef_.T, calibrator.intercept_
    if len(calibrator.classes_) == 2:
        return np.hstack([np.zeros_like(slopes), slopes]), np.r_[0.0, offsets]
    return slopes, offsets


def softmax(exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (n, K) of the classes, from their exponents."""
    grown = np.exp(exponents - exponents.max(1, keepdims=True))
    shares: NDArray[np.float64] = grown / grown.sum(1, keepdims=True)
    return shares
