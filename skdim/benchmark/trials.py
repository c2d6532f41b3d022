"""One feature set, a task and heads on draws of labels in; the record of each training out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from skdim.benchmark.features import standardise
from skdim.evaluation._kernel_ridge import mean_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.benchmark.draws import Draw
    from skdim.evaluation._regressors import NamedRegressor as Head

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


def make_task(name: str, y: Any, test_mask: Any) -> Task:
    """Check the targets and the test fold.

    Parameters
    ----------
    name : str
        In the records.
    y : array-like of shape (n,)
        Targets.
    test_mask : array-like of bool, shape (n,)
        True for the rows of the test fold.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        If a target is not finite, or the mask does not leave rows on both sides.
    """
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


def train_heads(
    name: str,
    columns: NDArray[np.float64],
    task: Task,
    wanted: Sequence[tuple[Head, Draw]],
    *,
    cv: int | None,
    n_jobs: int | None,
) -> Iterator[dict[str, Any]]:
    """Train heads on draws of labels, each on one feature set.

    Parameters
    ----------
    name : str
        Of the feature set.
    columns : ndarray of shape (n, d)
        The feature set, not standardised.
    task : Task
        What to predict.
    wanted : sequence of (Head, Draw)
        Which head is trained on which labels.
    cv : int or None
        Folds of the error estimated on the labels.
    n_jobs : int or None
        Processes, unless joblib.parallel_config names another backend.

    Yields
    ------
    dict
        The record of each, in order, as soon as it and those before it are there.
    """
    wanted = [(head.on_distances(), draw) for head, draw in wanted]
    if not wanted:
        return
    # One thread a job for linear algebra: several jobs share the cores, and sums are the same for any number of jobs.
    with threadpool_limits(1, "blas"):
        inputs = _inputs(name, columns, task, [head for head, _ in wanted], [draw for _, draw in wanted], n_jobs)
        jobs = (delayed(_record)(inputs, head, draw, task, cv) for head, draw in wanted)
        # Not threads: the forests' own Parallel resets the filters of warnings, and in threads they stay so.
        yield from Parallel(n_jobs=n_jobs, return_as="generator")(jobs)


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
    with threadpool_limits(1, "blas"):  # again, for this may be another process
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


def progress_bar(total: int, verbose: int) -> Any:
    """Progress bar over so many trainings, on stderr."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc="training heads", unit="head", disable=not verbose)
