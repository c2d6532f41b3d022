"""Errors of regressors trained on each feature set with few labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from skdim._labels import check_labels
from skdim._progress import Progress
from skdim.evaluation._features import compute_features, standardise
from skdim.evaluation._kernel_ridge import mean_distances
from skdim.evaluation._records import COLUMNS, NO_FEATURES
from skdim.evaluation._regressors import NamedRegressor, resolve_regressors
from skdim.evaluation._repeats import Repeat, draw_repeats

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

DEFAULT_REGRESSORS = ("median", "ridge", "kernel_ridge", "random_forest", "extra_trees")
_ROWS = 256  # of a block of distances


@dataclass(frozen=True)
class Targets:
    """What the regressors have to predict."""

    name: str  # of the task, in the records
    y: NDArray[np.float64]  # (n,) targets
    pool: NDArray[np.int64]  # rows that may be learned from
    test: NDArray[np.int64]  # rows of the test fold


@dataclass(frozen=True)
class Inputs:
    """One feature set as the regressors take it: of the m rows that are ever labelled or in the test fold."""

    name: str  # in the records
    columns: NDArray[np.float64]  # (m, d) standardised
    where: NDArray[np.int64]  # (n,) row of ``columns`` that a crystal has
    # (m, l) mean absolute differences from the l rows that are ever labelled.
    distances: NDArray[np.float32] | None = None
    place: NDArray[np.int64] | None = None  # (n,) column of ``distances`` of a crystal

    def of(
        self, regressor: NamedRegressor, rows: NDArray[np.int64], labelled: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what a regressor takes: the rows themselves, or their distances from the labelled ones."""
        if not regressor.pairwise or self.distances is None or self.place is None:
            return self.columns[self.where[rows]]
        return self.distances[np.ix_(self.where[rows], self.place[labelled])].astype(np.float64)


def label_efficiency(
    features: Mapping[str, Any],
    y: Any,
    test_mask: Any,
    *,
    structures: Any = None,
    label_counts: Sequence[int] = (50, 100, 250, 1000),
    regressors: Sequence[str] | Mapping[str, Any] = DEFAULT_REGRESSORS,
    n_repeats: int | Mapping[int, int] = 20,
    cv: int | None = 5,
    task: str = "",
    random_state: Any = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Measure how well regressors predict from each feature set when few labels are known.

    Each repeat draws labels at random from the rows outside the test fold (the pool). Every regressor is trained on
    the labelled rows of every feature set, so all differences are paired. All feature sets are treated alike: their
    columns are standardised on the pool and clipped to three deviations. What a regressor chooses, it chooses by
    cross-validation on the labels it is given; the test fold serves only for the errors in the records.

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
    regressors : sequence of str, or mapping of str to regressor
        Keys of `skdim.evaluation.REGRESSORS`: "median", "linear", "ridge", "kernel_ridge", "mlp", "random_forest",
        "extra_trees", and the last two with "_cv"; or regressors by name. A pairwise regressor is given mean absolute
        column differences between rows.
    n_repeats : int or mapping of int to int, default=20
        Random choices of labels, for each number of labels or for all of them.
    cv : int or None, default=5
        Folds of the error that is estimated on the labels alone, by which `choose_regressor` chooses. None saves the
        refits of regressors that do not compute it anyway; it is NaN for them.
    task : str, default=""
        Name of the task in the records.
    random_state : int, RandomState instance or None, default=0
        Decides which rows are labelled and seeds the regressors. The records of a repeat depend on it, the number of
        labels and the number of the repeat, not on what else is measured.
    n_jobs : int or None, default=None
        Processes, -1 for all cores; the records are the same for any number, ``seconds`` excepted.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    DataFrame
        One row for each repeat, feature set and regressor: ``task``, ``features``, ``regressor``, ``labels``,
        ``repeat``, ``cv_mae`` (on the labels), ``mae``, ``rmse`` and ``r2`` (on the test fold, in the units of y),
        ``seconds``.
        Regressors that ignore the features appear once, with features "none".

    Raises
    ------
    ValueError, TypeError
        If lengths differ, y is not finite, there are fewer rows in the pool than labels asked for, a regressor is
        unknown, or a feature set is called "none".

    Examples
    --------
    >>> from skdim.evaluation import label_efficiency, magpie_statistics
    >>> from skdim.datasets import load_band_gap
    >>> gaps = load_band_gap()
    >>> records = label_efficiency(
    ...     {"Magpie": magpie_statistics(gaps.data[:100])}, gaps.target[:100], gaps.test_mask[:100],
    ...     label_counts=[50], regressors=["median", "ridge"], n_repeats=2,
    ... )
    >>> records[["features", "regressor", "labels", "repeat"]].values.tolist()
    [['none', 'median', 50, 0], ['none', 'median', 50, 1], ['Magpie', 'ridge', 50, 0], ['Magpie', 'ridge', 50, 1]]
    """
    import pandas as pd

    targets = check_targets(task, y, test_mask)
    chosen = resolve_regressors(regressors)
    repeats = sorted(draw_repeats(targets.pool, label_counts, n_repeats, random_state, cv), key=lambda r: -r.labels)
    check_feature_names(features)
    arrays = compute_features(features, structures, targets.pool, len(targets.y))
    rounds = {NO_FEATURES: [one for one in chosen if one.ignores_features]}
    rounds |= {name: [one for one in chosen if not one.ignores_features] for name in arrays}
    arrays[NO_FEATURES] = np.zeros((len(targets.y), 1))
    records: list[dict[str, Any]] = []
    with progress_bar(len(repeats) * sum(map(len, rounds.values())), verbose) as bar:
        for name, its_regressors in rounds.items():
            wanted = [(regressor, repeat) for repeat in repeats for regressor in its_regressors]
            for record in train(name, arrays.pop(name), targets, wanted, cv=cv, n_jobs=n_jobs):
                records.append(record)
                bar.update()
    # In the order in which things were asked for.
    place = {name: k for k, name in enumerate([*rounds, *(one.name for one in chosen)])}
    counts = [int(n) for n in label_counts]
    records.sort(key=lambda r: (place[r["features"]], place[r["regressor"]], counts.index(r["labels"]), r["repeat"]))
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def check_feature_names(features: Any) -> None:
    """Refuse the name that the records keep for regressors without features."""
    if NO_FEATURES in features:
        raise ValueError(
            f"features has the name {NO_FEATURES!r}, which the records keep for regressors that ignore features."
        )


def check_targets(name: str, y: Any, test_mask: Any) -> Targets:
    """Check the targets (n,) of a task and its test fold, a mask (n,) that leaves rows on both sides."""
    labels, mask = check_labels(y), np.asarray(test_mask)
    if not labels.single:
        raise ValueError(f"y must have one target a row, got shape {labels.values.shape}.")
    targets = labels.values[:, 0]
    if mask.dtype != bool or mask.shape != targets.shape:
        raise ValueError(
            f"test_mask must hold booleans in the shape of y, {targets.shape}, got {mask.dtype} of shape {mask.shape}."
        )
    pool, test = np.flatnonzero(~mask), np.flatnonzero(mask)
    if not len(pool) or len(test) < 2:
        raise ValueError(
            f"test_mask must leave at least two rows in the test fold and some outside, got {len(test)} of "
            f"{len(mask)} rows in the test fold."
        )
    return Targets(name, targets, pool, test)


def train(
    name: str,
    columns: NDArray[np.float64],
    targets: Targets,
    wanted: Sequence[tuple[NamedRegressor, Repeat]],
    *,
    cv: int | None,
    n_jobs: int | None,
    run: Callable[..., dict[str, Any]] | None = None,
) -> Iterator[dict[str, Any]]:
    """Train regressors in repeats, each on one feature set, columns (n, d) that are not standardised.

    The record of each is given in order, as soon as it and those before it are there. ``run`` carries out each training
    in its process: given the regressor, the repeat, a function and its arguments, it returns the record, which the
    function computes.
    """
    if not wanted:
        return
    wanted = [(regressor.on_distances(), repeat) for regressor, repeat in wanted]
    # One thread a job for linear algebra: several jobs share the cores, and sums are the same for any number of jobs.
    with threadpool_limits(1, "blas"):
        inputs = _inputs(name, columns, targets, wanted, n_jobs)
        jobs = (
            delayed(run)(regressor, repeat, _record, arguments) if run else delayed(_record)(*arguments)
            for regressor, repeat in wanted
            for arguments in [(inputs, regressor, repeat, targets, cv)]
        )
        # Processes: in threads, the forests' own Parallel would change the filters of warnings for good.
        yield from Parallel(n_jobs=n_jobs, return_as="generator")(jobs)


def _inputs(
    name: str,
    columns: NDArray[np.float64],
    targets: Targets,
    wanted: Sequence[tuple[NamedRegressor, Repeat]],
    n_jobs: int | None,
) -> Inputs:
    """Standardise a feature set, and compute distances if a regressor asks for them."""
    labelled = np.unique(np.concatenate([repeat.rows for _, repeat in wanted]))
    rows = np.union1d(labelled, targets.test)
    standard = standardise(name, columns, targets.pool, rows)
    where = _places(rows, len(columns))
    if not any(regressor.pairwise for regressor, _ in wanted):
        return Inputs(name, standard, where)
    paired = np.unique(np.concatenate([repeat.rows for regressor, repeat in wanted if regressor.pairwise]))
    blocks = np.array_split(np.arange(len(rows)), math.ceil(len(rows) / _ROWS))
    parts = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(mean_distances)(standard[block], standard[where[paired]]) for block in blocks
    )
    distances = np.empty((len(rows), len(paired)), np.float32)
    for block, part in zip(blocks, parts, strict=True):
        distances[block] = part
    return Inputs(name, standard, where, distances, _places(paired, len(columns)))


def _places(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Place of each of n rows among some; -1 for the others."""
    places = np.full(n, -1)
    places[rows] = np.arange(len(rows))
    return places


def _record(
    inputs: Inputs, regressor: NamedRegressor, repeat: Repeat, targets: Targets, cv: int | None
) -> dict[str, Any]:
    """Train one regressor in one repeat and record its errors."""
    with threadpool_limits(1, "blas"):  # again, for this may be another process
        scores = regressor.evaluate(
            inputs.of(regressor, repeat.rows, repeat.rows),
            targets.y[repeat.rows],
            inputs.of(regressor, targets.test, repeat.rows),
            targets.y[targets.test],
            seed=repeat.seed,
            cv=cv,
        )
    names = {"task": targets.name, "features": inputs.name, "regressor": regressor.name}
    return {**names, "labels": repeat.labels, "repeat": repeat.number, **scores}


def progress_bar(total: int, verbose: int) -> Progress:
    """Progress over the trainings, on stderr."""
    return Progress("training", "regressors", total, enabled=bool(verbose))
