"""Records of a benchmark and two feature sets in; the ratio of each cell, its interval and its test out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.benchmark.comparison import paired_errors
from skdim.benchmark.records import BEST

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.05  # of the tests; the intervals are of 1 - LEVEL


def corrected_t_test(differences: ArrayLike, overlap: float = 0.0) -> dict[str, float]:
    """Test whether paired differences over random draws have mean zero, although the draws share rows.

    The draws come from one pool, so they overlap, and the mean over any number of draws cannot be better known than
    the pool allows. With a correlation r between two draws, the variance of the mean of J differences is
    ``(1 / J + r / (1 - r)) s^2`` where s^2 is the variance among them: the corrected resampled t-test of Nadeau and
    Bengio, with J - 1 degrees of freedom. They put the share of test rows for r, as theirs are drawn anew each time.
    Here the test fold is fixed and the labels are drawn, so r is the share of rows that two draws have in common on
    average, the number of labels over the size of the pool; this is exact for statistics that are means over the
    labels.

    Parameters
    ----------
    differences : array-like of shape (J,)
        One for each draw.
    overlap : float, default=0.0
        Correlation r between draws, in [0, 1). 0 is the plain paired t-test.

    Returns
    -------
    dict
        ``mean``, ``low`` and ``high`` (95% interval), ``t`` and ``p`` (two-sided). For a single draw all but the mean
        are NaN. If all differences are equal, p is 1 where they are zero and 0 elsewhere.

    Raises
    ------
    ValueError
        If there is no difference, one is not finite, or the overlap is out of range.

    References
    ----------
    C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003) 239,
    doi:10.1023/A:1024068626366.

    Examples
    --------
    >>> result = corrected_t_test([1.0, 2.0, 3.0])  # mean 2, standard error 1 / sqrt(3)
    >>> print(f"t={result['t']:.3f} p={result['p']:.3f}")
    t=3.464 p=0.074
    """
    from scipy.stats import t as student

    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"differences={differences!r}; accepted is a list of at least one finite number.")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap={overlap!r}; accepted are correlations of at least 0 and below 1.")
    mean, free = float(values.mean()), len(values) - 1
    if not free:
        return {"mean": mean, "low": math.nan, "high": math.nan, "t": math.nan, "p": math.nan}
    error = math.sqrt((1 / len(values) + overlap / (1 - overlap)) * values.var(ddof=1))
    # Equal up to rounding: there is no spread to compare the mean with.
    if error <= 1e-12 * np.abs(values).max():
        return {"mean": mean, "low": mean, "high": mean, "t": math.copysign(math.inf, mean) if mean else 0.0} | {
            "p": float(not mean)
        }
    half = error * student.ppf(1 - LEVEL / 2, free)
    p = 2 * student.sf(abs(mean) / error, free)
    return {"mean": mean, "low": mean - half, "high": mean + half, "t": mean / error, "p": float(p)}


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values of several tests, so that the chance of any false rejection stays below the level.

    Parameters
    ----------
    p_values : array-like of shape (k,)
        NaN is a test that was not made: it stays NaN and does not count.

    Returns
    -------
    ndarray of shape (k,)
        The smallest levels at which Holm's procedure rejects each.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979) 65.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def paired_tests(
    records: pd.DataFrame,
    features: str,
    baseline: str,
    *,
    head: str = BEST,
    baseline_head: str | None = None,
    heads: Sequence[str] | None = None,
    metric: str = "mae",
    pool_sizes: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Compare the errors of two feature sets in each cell (task and number of labels), with a test.

    The test is `corrected_t_test` on the logarithm of the ratio of errors, draw by draw. It holds for the test fold at
    hand and for the vectors at hand: other test crystals and other pretrainings would add to the intervals.

    Parameters
    ----------
    records, features, baseline, head, baseline_head, heads, metric
        As in `compare`.
    pool_sizes : mapping of str to int, optional
        For each task, the number of rows from which labels were drawn. For a task that is not in it, the draws are
        taken for independent, which makes the intervals too narrow where the labels are many of the pool.

    Returns
    -------
    DataFrame
        One row for each cell: ``task``, ``labels``, ``draws``, ``difference`` (mean, in units of the target), ``ratio``
        (geometric mean over the draws) with its 95% interval ``low`` and ``high``, ``t``, ``p``, and ``p_holm``, which
        is adjusted for the number of cells.

    Raises
    ------
    ValueError
        As in `compare`; if the labels of a cell are more than its pool.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("", f, "ridge", 50, d, mae) for f, maes in {"a": (1.0, 2.0, 3.0), "b": (2.0, 4.4, 5.6)}.items()
    ...         for d, mae in enumerate(maes)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "head", "labels", "draw", "mae"])
    >>> paired_tests(records, "a", "b", head="ridge")[["difference", "ratio", "p_holm"]].round(3).values.tolist()
    [[-2.0, 0.496, 0.005]]
    """
    import pandas as pd

    paired = paired_errors(
        records, features, baseline, head=head, baseline_head=baseline_head, heads=heads, metric=metric
    )
    table = pd.DataFrame([_row(cell, pairs, pool_sizes or {}) for cell, pairs in paired.items()])
    return table.assign(p_holm=holm(table["p"]))


def _row(cell: tuple[str, int], pairs: NDArray[np.float64], pool_sizes: Mapping[str, int]) -> dict[str, Any]:
    """Test one cell."""
    task, labels = cell
    pool = pool_sizes.get(task, math.inf)
    if labels > pool:
        raise ValueError(f"pool_sizes[{task!r}]={pool}, but there are draws of {labels} labels.")
    # The share of a pool that was labelled whole is one; draws of it are all the same.
    result = corrected_t_test(np.log(pairs[:, 0] / pairs[:, 1]), min(labels / pool, 1 - 1e-9))
    logs = {"ratio": result.pop("mean"), "low": result.pop("low"), "high": result.pop("high")}
    ratios = {name: float(np.exp(value)) for name, value in logs.items()}
    difference = float((pairs[:, 0] - pairs[:, 1]).mean())
    return {"task": task, "labels": labels, "draws": len(pairs), "difference": difference, **ratios, **result}
