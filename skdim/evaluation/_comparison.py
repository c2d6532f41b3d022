"""Comparison of two feature sets by their errors in the same repeats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._notebook import html_table
from skdim.evaluation._records import BEST, check_metric, choose_regressor, of_features
from skdim.evaluation._significance import corrected_t_test, holm

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ErrorRatio:
    """How the errors of two feature sets compare.

    Attributes
    ----------
    ratio : float
        Geometric mean over the cells (task and number of labels) of the ratio of mean errors; below one if the first
        is better.
    low, high : float
        95% interval from resampling the repeats, the same ones for both; NaN where a cell has a single repeat.
    cells : dict
        Ratio of each (task, labels).
    """

    ratio: float
    low: float
    high: float
    cells: dict[tuple[str, int], float]

    def __str__(self) -> str:
        """Write the ratio with its interval, where there is one."""
        if math.isnan(self.low):
            return f"{self.ratio:.3f}"
        return f"{self.ratio:.3f} (95%: {self.low:.3f} to {self.high:.3f})"

    def _repr_html_(self) -> str:
        """Write the ratio and those of the cells as a table, for notebooks."""
        cells = {
            f"{task}, {labels} labels".lstrip(", "): f"{ratio:.3f}" for (task, labels), ratio in self.cells.items()
        }
        return html_table("Ratio of errors; below 1 the first is better", {"all": str(self), **cells})


def compare(
    records: pd.DataFrame,
    features: str,
    baseline: str,
    *,
    regressor: str = BEST,
    baseline_regressor: str | None = None,
    regressors: Sequence[str] | None = None,
    metric: str = "mae",
    n_resamples: int = 2000,
    random_state: Any = 0,
) -> ErrorRatio:
    """Compare the errors of two feature sets, repeat by repeat.

    The interval covers the random choice of labels, not other test folds or other pretrainings. It treats the repeats
    as independent; `paired_tests` allows for their overlap.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`, possibly of several tasks.
    features, baseline : str
        Names of the feature sets.
    regressor, baseline_regressor : str
        Their regressors; "best" chooses as `choose_regressor` does. The baseline's is by default the same.
    regressors : sequence of str, optional
        What "best" chooses from, as in `choose_regressor`; by default all.
    metric : str, default="mae"
        Error to compare.
    n_resamples : int, default=2000
        Bootstrap samples.
    random_state : int, RandomState instance or None, default=0
        For the bootstrap.

    Returns
    -------
    ErrorRatio

    Raises
    ------
    ValueError
        If a feature set or regressor is not in the records, a repeat is there more than once, or the two were not
        measured in the same repeats.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("", f, "ridge", 50, d, mae) for f, maes in {"a": (1.0, 2.0), "b": (2.0, 4.0)}.items()
    ...         for d, mae in enumerate(maes)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"])
    >>> print(compare(records, "a", "b", regressor="ridge"))
    0.500 (95%: 0.500 to 0.500)
    """
    from sklearn.utils import check_random_state

    paired = _paired(records, features, baseline, regressor, baseline_regressor, regressors, metric)
    rng, resampled = check_random_state(random_state), np.zeros(n_resamples)
    cells: dict[tuple[str, int], float] = {}
    for cell, pairs in paired.items():
        a, b = pairs.mean(0)
        cells[cell] = float(a / b)
        again = pairs[rng.randint(len(pairs), size=(n_resamples, len(pairs)))].mean(1)  # (n_resamples, 2)
        resampled += np.log(again[:, 0] / again[:, 1])
    low, high = np.exp(np.percentile(resampled / len(cells), [2.5, 97.5]))
    if min(map(len, paired.values())) < 2:  # which resampling finds no spread in
        low = high = math.nan
    return ErrorRatio(float(np.exp(np.mean(np.log(list(cells.values()))))), float(low), float(high), cells)


def paired_tests(
    records: pd.DataFrame,
    features: str,
    baseline: str,
    *,
    regressor: str = BEST,
    baseline_regressor: str | None = None,
    regressors: Sequence[str] | None = None,
    metric: str = "mae",
    pool_sizes: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Compare the errors of two feature sets in each cell (task and number of labels), with a test.

    The test is `corrected_t_test` on the logarithm of the ratio of errors, repeat by repeat. It holds for this test
    fold and these vectors: other test crystals and other pretrainings would widen the intervals.

    Parameters
    ----------
    records, features, baseline, regressor, baseline_regressor, regressors, metric
        As in `compare`.
    pool_sizes : mapping of str to int, optional
        For each task, the number of rows from which labels were drawn. For a task that is not in it, the repeats are
        treated as independent, which makes the intervals too narrow where the labels are a large part of the pool.

    Returns
    -------
    DataFrame
        One row for each cell: ``task``, ``labels``, ``repeats``, ``difference`` (mean, in units of the target),
        ``ratio`` (geometric mean over the repeats) with its 95% interval ``low`` and ``high``, ``t``, ``p``, and
        ``p_holm``, which is adjusted for the number of cells.

    Raises
    ------
    ValueError
        As in `compare`; if the labels of a cell are more than its pool.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("", f, "ridge", 50, d, mae) for f, maes in {"a": (1.0, 2.0, 3.0), "b": (2.0, 4.4, 5.6)}.items()
    ...         for d, mae in enumerate(maes)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"])
    >>> paired_tests(records, "a", "b", regressor="ridge")[["difference", "ratio", "p_holm"]].round(3).values.tolist()
    [[-2.0, 0.496, 0.005]]
    """
    import pandas as pd

    paired = _paired(records, features, baseline, regressor, baseline_regressor, regressors, metric)
    table = pd.DataFrame([_row(cell, pairs, pool_sizes or {}) for cell, pairs in paired.items()])
    return table.assign(p_holm=holm(table["p"]))


def _row(cell: tuple[str, int], pairs: NDArray[np.float64], pool_sizes: Mapping[str, int]) -> dict[str, Any]:
    """Test one cell."""
    task, labels = cell
    pool = pool_sizes.get(task, math.inf)
    if labels > pool:
        raise ValueError(f"pool_sizes[{task!r}]={pool}, but the records have repeats with {labels} labels.")
    # Repeats that label the whole pool are all the same.
    result = corrected_t_test(np.log(pairs[:, 0] / pairs[:, 1]), min(labels / pool, 1 - 1e-9))
    logs = {"ratio": result.pop("mean"), "low": result.pop("low"), "high": result.pop("high")}
    ratios = {name: float(np.exp(value)) for name, value in logs.items()}
    difference = float((pairs[:, 0] - pairs[:, 1]).mean())
    return {"task": task, "labels": labels, "repeats": len(pairs), "difference": difference, **ratios, **result}


def _paired(
    records: pd.DataFrame,
    features: str,
    baseline: str,
    regressor: str,
    baseline_regressor: str | None,
    regressors: Sequence[str] | None,
    metric: str,
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Errors (repeats, 2) of the features and of the baseline, in the same repeats, by task and number of labels."""
    ours = _errors(records, features, regressor, regressors, metric)
    theirs = _errors(records, baseline, baseline_regressor or regressor, regressors, metric)
    if ours.keys() != theirs.keys():
        raise ValueError(f"features={features!r} and baseline={baseline!r} were not measured in the same repeats.")
    cells = dict.fromkeys(key[:2] for key in ours)
    return {cell: np.array([(ours[key], theirs[key]) for key in ours if key[:2] == cell]) for cell in cells}


def _errors(
    records: pd.DataFrame, features: str, regressor: str, regressors: Sequence[str] | None, metric: str
) -> dict[tuple[str, int, int], float]:
    """Errors of one feature set with one regressor, by task, labels and repeat."""
    check_metric(records, metric)
    own = of_features(records, features)
    own = choose_regressor(own, regressors) if regressor == BEST else own[own["regressor"] == regressor]
    if own.empty:
        raise ValueError(f"regressor must be 'best' or among {sorted(set(records['regressor']))}, got {regressor!r}.")
    keys = ["task", "labels", "repeat"]
    twice = own.duplicated(keys)
    if twice.any():
        task, labels, repeat = own.loc[twice, keys].iloc[0]
        raise ValueError(
            f"features={features!r} has repeat {repeat} with {labels} labels for task {task!r} more than once; give "
            "each task a name of its own, with task= in label_efficiency."
        )
    columns = (own[name] for name in (*keys, metric))
    return {
        (str(task), int(labels), int(repeat)): float(error)
        for task, labels, repeat, error in zip(*columns, strict=True)
    }
