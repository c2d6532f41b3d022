"""Offsets and indices of ragged rows: the arithmetic of `PointSets`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def offsets_from_lengths(lengths: NDArray[Any]) -> Ints:
    """Return int64 offsets (n+1,) of n consecutive runs of the given lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def gather_runs(offsets: Ints, runs: Ints) -> tuple[Ints, Ints]:
    """Return the offsets (len(runs)+1,) of the chosen runs laid end to end, and the flat positions they come from."""
    start = offsets[runs]
    fresh = offsets_from_lengths(offsets[runs + 1] - start)
    return fresh, np.repeat(start - fresh[:-1], np.diff(fresh)) + np.arange(fresh[-1])


def row_index(key: Any, n: int) -> slice | Ints:
    """Turn any one-axis index into a slice of step one, or into non-negative positions.

    Parameters
    ----------
    key : int, slice, sequence of int, or boolean mask of length n
        scikit-learn asks for ``X[key, ...]``: a pair of a key and an ellipsis means the key.
    n : int
        Number of rows.

    Returns
    -------
    slice or ndarray of int64

    Raises
    ------
    IndexError
        If the key is out of range, of another length, or nothing that selects rows.
    """
    if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
        key = key[0]
    if isinstance(key, slice):
        start, stop, step = key.indices(n)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step, dtype=np.int64)
    if key is Ellipsis:
        return slice(0, n)
    if key is None or isinstance(key, (str, bytes, bool, np.bool_, tuple)):
        raise _no_index(key)
    try:
        single = operator.index(key)
    except TypeError:
        return _positions(key, n)
    if not -n <= single < n:
        raise _out_of_range(single, n)
    return slice(single % n, single % n + 1)


def _positions(key: Any, n: int) -> slice | Ints:
    """Turn a sequence of integers or a mask into positions, or into a slice where they are consecutive."""
    array = np.asarray(key)
    if array.ndim != 1:
        raise _no_index(key)
    if array.dtype == bool:
        if len(array) != n:
            raise IndexError(f"the boolean mask has {len(array)} entries for {n} crystals.")
        return np.flatnonzero(array)
    if len(array) == 0:
        return slice(0, 0)
    if array.dtype.kind not in "iu":
        raise _no_index(key)
    low, high = int(array.min()), int(array.max())
    if low < -n or high >= n:
        raise _out_of_range(low if low < -n else high, n)
    positions = np.where(array < 0, array + n, array).astype(np.int64)
    # A run of consecutive rows (the test part of an unshuffled KFold) needs no copies.
    if np.all(np.diff(positions) == 1):
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _out_of_range(position: int, n: int) -> IndexError:
    """Return the error for a row that is not there."""
    return IndexError(f"row {position} is out of range for {n} crystals.")


def _no_index(key: Any) -> IndexError:
    """Return the error for something that selects no rows."""
    return IndexError(
        f"{key!r} does not select crystals: the index must be an integer, a slice, "
        "a one-dimensional sequence of integers, or a boolean mask."
    )
