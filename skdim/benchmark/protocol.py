"""Features, targets and a test fold in, one record for each head trained on each draw of labels out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.benchmark.draws import draw_labels
from skdim.benchmark.features import compute_features
from skdim.benchmark.records import COLUMNS, NO_FEATURES
from skdim.benchmark.trials import make_task, progress_bar, train_heads
from skdim.evaluation._regressors import NamedRegressor as Head
from skdim.evaluation._regressors import resolve_regressors as resolve_heads

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_HEADS = ("median", "ridge", "kernel_ridge", "random_forest", "extra_trees")


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
        Keys of `skdim.benchmark.HEADS`: "median", "linear", "ridge", "kernel_ridge", "mlp", "random_forest",
        "extra_trees", and the last two with "_cv"; or regressors by name. A pairwise regressor is given mean absolute
        column differences between rows.
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
        Processes, -1 for all cores; the records are the same for any number, ``seconds`` excepted.
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
        If lengths differ, y is not finite, there are fewer rows in the pool than labels asked for, a head is unknown,
        or a feature set is called "none".

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
    goal = make_task(task, y, test_mask)
    chosen = resolve_heads(heads)
    drawn = sorted(draw_labels(goal.pool, label_counts, draws, random_state, cv), key=lambda d: -d.labels)
    if NO_FEATURES in features:
        raise ValueError(
            f"features has the name {NO_FEATURES!r}, which the records keep for heads that ignore features."
        )
    arrays = compute_features(features, structures, goal.pool, len(goal.y))
    sighted = [head for head in chosen if not head.ignores_features]
    rounds: list[tuple[str, list[Head]]] = [(NO_FEATURES, [head for head in chosen if head.ignores_features])]
    rounds += [(name, sighted) for name in arrays]
    arrays[NO_FEATURES] = np.zeros((len(goal.y), 1))
    records: list[dict[str, Any]] = []
    with progress_bar(len(drawn) * sum(len(h) for _, h in rounds), verbose) as bar:
        for name, its_heads in rounds:
            wanted = [(head, draw) for draw in drawn for head in its_heads]
            for record in train_heads(name, arrays.pop(name), goal, wanted, cv=cv, n_jobs=n_jobs):
                records.append(record)
                bar.update()
    return _in_order(records, [name for name, _ in rounds], chosen, label_counts)


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
