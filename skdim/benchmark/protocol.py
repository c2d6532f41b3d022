"""Features, targets and a test fold in, one record for each head trained on each draw of labels out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from skdim.benchmark.draws import Draw, draw_labels
from skdim.benchmark.features import compute_features, standardise
from skdim.benchmark.heads import Head, resolve_heads
from skdim.benchmark.kernel_ridge import mean_distances

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

DEFAULT_HEADS = ("median", "ridge", "kernel_ridge", "random_forest", "extra_trees")
COLUMNS = ("task", "features", "head", "labels", "draw", "cv_mae", "mae", "rmse", "r2", "seconds")
NO_FEATURES = "none"
_ROWS = 256  # of a block of distances


@dataclass(frozen=True)
class Task:
    """What the heads have to predict.

    Attributes
    ----------
    name : str
        In the records.
    y : ndarray of shape (n,)
        Targets.
    pool, held_out : ndarray of int
        Rows that may be learned from, and rows of the test fold.
    """

    name: str
    y: NDArray[np.float64]
    pool: NDArray[np.int64]
    held_out: NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """One feature set as the heads take it.

    Attributes
    ----------
    name : str
        In the records.
    columns : ndarray of shape (n, d)
        Standardised.
    distances : ndarray of shape (n, l), or None
        Mean absolute differences between rows and those that are ever labelled; filled for the latter and the test
        fold.
    place : ndarray of int, shape (n,), or None
        Column of ``distances`` of a row.
    """

    name: str
    columns: NDArray[np.float64]
    distances: NDArray[np.float32] | None = None
    place: NDArray[np.int64] | None = None

    def of(self, head: Head, rows: NDArray[np.int64], labelled: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what a head takes of some rows: the rows themselves, or their distances from the labelled ones."""
        if not head.pairwise or self.distances is None or self.place is None:
            return self.columns[rows]
        return self.distances[np.ix_(rows, self.place[labelled])].astype(np.float64)


def label_efficiency(
    features: Mapping[str, Any],
    y: Any,
    test_mask: Any,
    *,
    structures: Any = None,
    label_counts: Sequence[int] = (50, 100, 250, 1000),
    heads: Sequence[str] | Mapping[str, Any] = DEFAULT_HEADS,
    draws: int | Mapping[int, int] = 20,
    cv: int | None = 5,
    task: str = "",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Measure how well heads predict from each feature set, given few labels.

    Each draw takes labels at random from the rows outside the test fold (the pool). Every head is trained on
    the labelled rows of every feature set, so that all differences are paired. Every feature set is treated alike: its
    columns are standardised on the pool and clipped to three deviations. What a head chooses, it chooses by
    cross-validation on the labels it is given; the test fold serves only the errors recorded.

    Parameters
    ----------
    features : mapping of str to array-like of shape (n, d) or transformer
        Feature sets by name. A transformer, such as a `DeepInfoMaxEmbedder`, is cloned and fitted on the structures of
        the pool; one in scikit-learn's FrozenEstimator is used as it is. NaN becomes the column's mean, with a warning.
    y : array-like of shape (n,)
        Targets.
    test_mask : array-like of bool, shape (n,)
        True for the rows of the test fold.
    structures : collection of n crystals or PointSets, optional
        What transformers take.
    label_counts : sequence of int, default=(50, 100, 250, 1000)
        Numbers of labels.
    heads : sequence of str, or mapping of str to regressor
        Any of "median", "ridge", "kernel_ridge", "random_forest", "extra_trees", "random_forest_cv" and
        "extra_trees_cv" (see `skdim.benchmark.HEADS`), or regressors by name. A pairwise regressor is given mean
        absolute column differences between rows.
    draws : int or mapping of int to int, default=20
        Draws for each number of labels, or for all of them.
    cv : int or None, default=5
        Folds of the error that is estimated on the labels alone, by which `best_head` chooses. None saves the refits
        of those heads that do not come by it anyway; it is NaN for them.
    task : str, default=""
        Name of the task in the records.
    random_state : int, RandomState instance or None, default=0
        Decides the draws and seeds the heads. The records of a draw depend on it, the number of labels and the number
        of the draw, not on what else is measured.
    n_jobs : int or None, default=None
        Threads; the records are the same for any number, ``seconds`` excepted.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    DataFrame
        One row for each draw, feature set and head: ``task``, ``features``, ``head``, ``labels``, ``draw``, ``cv_mae``
        (on the labels), ``mae``, ``rmse`` and ``r2`` (on the test fold, in the units of y), ``seconds``. Heads that
        ignore the features appear once, with features "none".

    Raises
    ------
    ValueError, TypeError
        If lengths differ, y is not finite, there are fewer rows in the pool than labels asked for, or a head is
        unknown.

    Examples
    --------
    >>> from skdim.benchmark import label_efficiency, magpie_statistics
    >>> from skdim.datasets import load_band_gap
    >>> gaps = load_band_gap()
    >>> records = label_efficiency(
    ...     {"Magpie": magpie_statistics(gaps.data[:200])}, gaps.target[:200], gaps.test_mask[:200],
    ...     label_counts=[50], heads=["median", "ridge"], draws=2,
    ... )
    >>> records[["features", "head", "labels", "draw"]].values.tolist()
    [['none', 'median', 50, 0], ['none', 'median', 50, 1], ['Magpie', 'ridge', 50, 0], ['Magpie', 'ridge', 50, 1]]
    """
    goal = _task(task, y, test_mask)
    chosen = resolve_heads(heads)
    drawn = sorted(draw_labels(goal.pool, label_counts, draws, random_state, cv), key=lambda d: -d.labels)
    arrays = compute_features(features, structures, goal.pool, len(goal.y))
    sighted = [head for head in chosen if not head.ignores_features]
    rounds: list[tuple[str, list[Head]]] = [(NO_FEATURES, [head for head in chosen if head.ignores_features])]
    rounds += [(name, sighted) for name in arrays]
    arrays[NO_FEATURES] = np.zeros((len(goal.y), 1))
    records: list[dict[str, Any]] = []
    # One thread a job for linear algebra: several jobs share the cores, and sums are the same for any number of jobs.
    with threadpool_limits(1, "blas"), _bar(len(drawn) * sum(len(h) for _, h in rounds), verbose) as bar:
        for name, its_heads in rounds:
            inputs = _inputs(name, arrays.pop(name), goal, its_heads, drawn, n_jobs)
            jobs = [delayed(_record)(inputs, head, draw, goal, cv) for draw in drawn for head in its_heads]
            for record in Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs):
                records.append(record)
                bar.update()
    return _in_order(records, [name for name, _ in rounds], chosen, label_counts)


def _task(name: str, y: Any, test_mask: Any) -> Task:
    """Check the targets and the test fold."""
    targets, mask = np.asarray(y, np.float64), np.asarray(test_mask)
    if targets.ndim != 1:
        raise ValueError(f"y has shape {targets.shape}; accepted is one target a row.")
    bad = np.flatnonzero(~np.isfinite(targets))
    if len(bad):
        raise ValueError(
            f"y is {targets[bad[0]]} in row {bad[0]} and not finite in {len(bad)} rows; pass the labelled rows only."
        )
    if mask.dtype != bool or mask.shape != targets.shape:
        raise ValueError(
            f"test_mask has dtype {mask.dtype} and shape {mask.shape}; accepted are booleans of shape {targets.shape}, "
            "that of y."
        )
    pool, held_out = np.flatnonzero(~mask), np.flatnonzero(mask)
    if not len(pool) or len(held_out) < 2:
        raise ValueError(
            f"test_mask puts {len(held_out)} of {len(mask)} rows in the test fold; at least two have to be in it and "
            "some outside."
        )
    return Task(name, targets, pool, held_out)


def _inputs(
    name: str,
    columns: NDArray[np.float64],
    task: Task,
    heads: Sequence[Head],
    draws: Sequence[Draw],
    n_jobs: int | None,
) -> Inputs:
    """Standardise a feature set, and compute distances if a head asks for them."""
    standard = standardise(name, columns, task.pool)
    if not any(head.pairwise for head in heads):
        return Inputs(name, standard)
    labelled = np.unique(np.concatenate([draw.rows for draw in draws]))
    rows = np.union1d(labelled, task.held_out)
    blocks = np.array_split(rows, math.ceil(len(rows) / _ROWS))
    parts = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(mean_distances)(standard[block], standard[labelled]) for block in blocks
    )
    distances, place = np.empty((len(standard), len(labelled)), np.float32), np.full(len(standard), -1)
    for block, part in zip(blocks, parts, strict=True):
        distances[block] = part
    place[labelled] = np.arange(len(labelled))
    return Inputs(name, standard, distances, place)


def _record(inputs: Inputs, head: Head, draw: Draw, task: Task, cv: int | None) -> dict[str, Any]:
    """Train one head on one draw and record its errors."""
    scores = head.evaluate(
        inputs.of(head, draw.rows, draw.rows),
        task.y[draw.rows],
        inputs.of(head, task.held_out, draw.rows),
        task.y[task.held_out],
        seed=draw.seed,
        cv=cv,
    )
    names = {"task": task.name, "features": inputs.name, "head": head.name}
    return {**names, "labels": draw.labels, "draw": draw.number, **scores}


def _in_order(
    records: list[dict[str, Any]], features: list[str], heads: list[Head], label_counts: Sequence[int]
) -> pd.DataFrame:
    """Put the records in the order in which things were asked for."""
    import pandas as pd

    place = {name: k for k, name in enumerate([*features, *(head.name for head in heads)])}
    counts = [int(n) for n in label_counts]
    records = sorted(
        records, key=lambda r: (place[r["features"]], place[r["head"]], counts.index(r["labels"]), r["draw"])
    )
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _bar(total: int, verbose: int) -> Any:
    """Progress bar over the trainings."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="training heads", unit="head", disable=not verbose)
