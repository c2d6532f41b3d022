"""Labels as a user has them: one reader of targets, weights and groups, which rows are labelled, and rows put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing

from skdim._parameters import check, integer, optional
from skdim.exceptions import InputError, first_few

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Known",
    "Labels",
    "as_said",
    "check_held_out_once",
    "check_labels",
    "check_lengths",
    "check_n_labels",
    "check_varied",
    "cut_into_folds",
    "known_rows",
    "names_of_targets",
    "partly_known",
    "read_groups",
    "read_sides",
    "read_targets",
    "read_weights",
    "spread_out",
    "where_known",
]


class Labels(NamedTuple):
    """Targets of C rows, none of them unknown, and weights."""

    values: NDArray[np.float64]  # (C, T)
    weights: NDArray[np.float64]  # (C,)
    single: bool  # whether y has one dimension


class Known(NamedTuple):
    """The rows whose targets are known."""

    X: Any
    y: NDArray[np.float64]  # (n,) or (n, T)
    weights: NDArray[np.float64] | None  # (n,)
    rows: NDArray[np.intp]  # (n,) their numbers among all rows


def read_targets(y: Any, n_rows: int | None = None) -> NDArray[np.float64]:
    """Read targets (C,) or (C, T), some of which may be unknown: NaN, None or pandas' NA become NaN.

    It is a ValueError if y holds no numbers, infinite ones, or another number of rows than X.

    Examples
    --------
    >>> read_targets([1, None, 3])
    array([ 1., nan,  3.])
    """
    if y is None:
        raise InputError("y must be an array of numbers: the model requires y to be passed, but the target y is None.")
    targets = _numbers("y", y)
    if targets.ndim not in (1, 2) or 0 in targets.shape[1:]:
        raise InputError(f"y must have the shape (rows,) or (rows, targets), got {targets.shape}.")
    if n_rows is not None:
        check_lengths(n_rows, len(targets))
    if not len(targets):
        raise InputError("y must have at least one row, got none.")
    _refuse("y", targets, np.isinf(targets), "finite")
    return targets


def read_weights(sample_weight: Any, n_rows: int) -> NDArray[np.float64]:
    """Read sample weights (C,), finite and >= 0, some above 0; None gives every row the weight 1."""
    weights = np.ones(n_rows) if sample_weight is None else _numbers("sample_weight", sample_weight)
    if weights.shape != (n_rows,):
        raise InputError(f"sample_weight must be one number for each of {n_rows} rows, got the shape {weights.shape}.")
    _refuse("sample_weight", weights, ~(np.isfinite(weights) & (weights >= 0)), "finite and >= 0")
    if n_rows and not weights.any():
        raise InputError(f"sample_weight must be > 0 in at least one row, got zero in all {n_rows} rows.")
    return weights


def check_labels(y: Any, sample_weight: Any = None) -> Labels:
    """Read targets (C,) or (C, T) that must all be known, and weights (C,).

    Examples
    --------
    >>> check_labels([1, 2]).values.shape
    (2, 1)
    >>> check_labels([1.0, float("nan")])
    Traceback (most recent call last):
    ...
    skdim.exceptions.InputError: y must be finite, got nan at row 1. Leave rows without a label out, or use
    LabelMaskingRegressor, which learns from their crystals too.
    """
    targets = read_targets(y)
    cure = "Leave rows without a label out, or use LabelMaskingRegressor, which learns from their crystals too."
    _refuse("y", targets, np.isnan(targets), "finite", cure)
    return Labels(targets.reshape(len(targets), -1), read_weights(sample_weight, len(targets)), targets.ndim == 1)


def check_varied(values: NDArray[np.float64]) -> None:
    """Refuse labels (n,) or (n, T) that are all the same, from which nothing can be learned.

    One row alone is accepted, and so is a constant target beside others that vary.

    Examples
    --------
    >>> check_varied(np.array([3.5, 3.5, 3.5]))
    Traceback (most recent call last):
    ...
    skdim.exceptions.InputError: y must have at least two different values, got 3.5 in all 3 labelled rows.
    """
    if len(values) > 1 and (values == values[0]).all():
        value = ", ".join(f"{v + 0.0:g}" for v in np.atleast_1d(values[0]))
        raise InputError(f"y must have at least two different values, got {value} in all {len(values)} labelled rows.")


def known_rows(targets: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which rows (C,) of targets (C,) or (C, T) are labelled: those where every target is known."""
    unknown = np.isnan(targets.reshape(len(targets), -1)).any(1)
    return np.asarray(~unknown, bool)


def check_n_labels(n_labels: Any, known: NDArray[np.bool_], what: str) -> None:
    """Refuse a number of labels that there are not: ``known`` (C,) are the rows that have ``what``."""
    n_known = int(known.sum())
    if not n_known:
        raise InputError(f"y must be a number, not NaN, in at least one row: none of {len(known)} rows has {what}.")
    check("n_labels", n_labels, optional(integer(1, n_known, f"the rows of {len(known)} that have {what}")))


def where_known(X: Any, y: Any, sample_weight: Any = None) -> Known:
    """Pick the rows of X, y and weights whose targets are known; X is what scikit-learn can index, or an iterator.

    It is a ValueError if there is none.
    """
    targets = read_targets(y)
    rows = np.flatnonzero(known_rows(targets))
    if not len(rows):
        raise InputError(
            f"y must be known in at least one row to be scored: y is NaN in all {len(targets)} rows. Use fewer folds, "
            "or folds that all have known rows."
        )
    weights = None if sample_weight is None else read_weights(sample_weight, len(targets))[rows]
    return Known(_safe_indexing(list(X) if isinstance(X, Iterator) else X, rows), targets[rows], weights, rows)


def partly_known(
    y: Any, sample_weight: Any, n: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Read targets that may be missing, and weights: (C, T), (C,), and whether y has one dimension."""
    targets = read_targets(y, n)
    return targets.reshape(len(targets), -1), read_weights(sample_weight, len(targets)), targets.ndim == 1


def names_of_targets(y: Any, n: int) -> list[str]:
    """Columns of a DataFrame, the name of a Series, or numbers."""
    name = getattr(y, "name", None)
    columns = getattr(y, "columns", range(n) if name is None else [name])
    return [str(column) for column in columns]


def as_said(y: Any) -> str:
    """What errors call y: by the name of a Series, where it has one."""
    name = getattr(y, "name", None)
    return "y" if name is None else repr(str(name))


def read_sides(censored: Any, table: NDArray[np.float64]) -> NDArray[np.int64]:
    """Check which labels are bounds, and in which direction."""
    if censored is None:
        return np.zeros(table.shape, np.int64)
    given = np.asarray(censored)
    if given.size != table.size:
        raise InputError(f"censored must have the shape of y, with {table.size} entries, got shape {given.shape}.")
    if len(wrong := given[~np.isin(given, (-1, 0, 1))]):
        raise InputError(f"censored must hold -1, 0 and 1 only, got {wrong.flat[0]!r}.")
    return given.reshape(table.shape).astype(np.int64)


def read_groups(groups: Any, n: int) -> NDArray[np.object_]:
    """Read groups of n rows as texts; a row without one stands alone."""
    given = list(groups)
    if len(given) != n:
        raise InputError(f"groups must have one group for each of the {n} rows, got {len(given)}.")
    alone = [group is None or group != group or str(group) in ("", "<NA>") for group in given]
    texts = [f"row {row}, alone" if alone[row] else str(group) for row, group in enumerate(given)]
    return np.array(texts, dtype=object)


def cut_into_folds(
    n: int,  # rows
    most: int,  # folds
    seed: int,  # of the shuffle
    groups: Any = None,  # (n,) that stay together
    strata: Any = None,  # (n,) of each of which a fold has its share
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Cut labelled rows into folds, as pairs of rows to learn from and to hold out.

    Examples
    --------
    >>> [held.tolist() for _, held in cut_into_folds(4, 10, 0, groups=["a", "b", "b", "a"])]
    [[1, 2], [0, 3]]
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    what, units = ("rows", n) if groups is None else ("groups", len(np.unique(np.asarray(groups, dtype=str))))
    if units < 2:
        raise InputError(f"{n} labelled rows are of {units} {what[:-1]}; at least 2 {what} are needed to hold one out.")
    if strata is None:
        splitter = KFold if groups is None else GroupKFold
    else:
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    found: Iterator[Any] = splitter(min(most, units), shuffle=True, random_state=seed).split(
        np.empty(n), strata, groups
    )
    return found


def check_held_out_once(cv: Any, folds: Sequence[NDArray[np.int64]], n: int) -> None:
    """Refuse folds, made by what was given as ``cv``, that do not hold out each of n rows once."""
    if not np.array_equal(np.sort(np.concatenate(folds)), np.arange(n)):
        raise InputError(f"cv must hold out every row exactly once, as KFold and GroupKFold do, got {cv!r}.")


def check_lengths(n_rows: int, n_labels: int) -> None:
    """Refuse labels that are not one for each row."""
    if n_rows != n_labels:
        raise InputError(f"y must have one label for each row of X: X has {n_rows} rows and y has {n_labels}.")


def spread_out(values: Any, usable: NDArray[np.bool_], missing: Any = np.nan) -> NDArray[Any]:
    """Put rows of usable crystals back among all (C,); the others are NaN, or what stands for a missing object.

    Examples
    --------
    >>> spread_out([1.0, 3.0], np.array([True, False, True])).tolist()
    [1.0, nan, 3.0]
    >>> spread_out(["metal"], np.array([False, True]), None).tolist()
    [None, 'metal']
    """
    given = np.asarray(values)
    if usable.all():
        return given
    rows = np.full((len(usable), *given.shape[1:]), missing, dtype=float if isinstance(missing, float) else object)
    rows[usable] = given
    return rows


def _numbers(name: str, given: Any) -> NDArray[np.float64]:
    """Numbers in double precision; None and missing values of pandas become NaN."""
    try:
        if hasattr(given, "iloc"):  # of pandas, whose NA numpy does not know
            given = given.to_numpy(dtype=np.float64, na_value=np.nan)
        array = np.asarray(given)
        if array.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers{_first_word(given) or f': {error}'}.") from error


def _first_word(given: Any) -> str:
    """Say which entry is the first that is no number, and what is to be done with it; empty if that is not clear."""
    try:
        rows = np.asarray(given, dtype=object)
    except ValueError:  # rows of different lengths
        return ""
    for row, entry in enumerate(rows):
        for value in np.atleast_1d(entry):
            if not isinstance(value, str):
                continue
            try:
                float(value)
            except ValueError:
                bound = value.strip()[:1] in ("<", ">", "\u2264", "\u2265")
                cure = ". A bound is given as its value, with -1 (upper) or 1 (lower) in censored" if bound else ""
                return f", got {value[:40]!r} at row {row}{cure}"
    return ""


def _refuse(name: str, values: NDArray[np.float64], wrong: NDArray[np.bool_], accepted: str, cure: str = "") -> None:
    """Raise, if any value is wrong, naming the first rows."""
    table, wrong = values.reshape(len(values), -1), wrong.reshape(len(wrong), -1)
    rows = np.flatnonzero(wrong.any(1))
    if not len(rows):
        return
    value = table[rows[0]][wrong[rows[0]]][0]
    named = f"row {rows[0]}" if len(rows) == 1 else f"rows {first_few(rows)}"
    named = f"all {len(rows)} rows" if len(rows) == len(table) > 1 else named
    raise InputError(f"{name} must be {accepted}, got {value} at {named}.{cure and f' {cure}'}")
