"""Tests of paired differences over repeats that share rows, and their adjustment for several tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.05  # of the tests; the intervals are of 1 - LEVEL


def corrected_t_test(differences: ArrayLike, overlap: float = 0.0) -> dict[str, float]:
    """Test whether paired differences over random repeats have mean zero, although the repeats share rows.

    Repeats choose rows from one pool and so overlap: their mean is known no better than the pool allows, however many
    they are. With a correlation r between two repeats, the variance of the mean of J differences is
    ``(1 / J + r / (1 - r)) s^2``, where s^2 is the variance among them: the corrected resampled t-test of Nadeau and
    Bengio, with J - 1 degrees of freedom. Their r is the share of test rows, since they draw test rows anew each time.
    Here the test fold is fixed and the labels are drawn, so r is the share of rows that two repeats have in common on
    average: the number of labels over the size of the pool. This is exact for statistics that are means over the
    labels.

    Parameters
    ----------
    differences : array-like of shape (J,)
        One for each repeat.
    overlap : float, default=0.0
        Correlation r between repeats, in [0, 1). 0 is the plain paired t-test.

    Returns
    -------
    dict
        ``mean``, ``low`` and ``high`` (95% interval), ``t`` and ``p`` (two-sided). For a single repeat all but the mean
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
        raise ValueError(f"differences must be a list of at least one finite number, got {differences!r}.")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be a correlation in [0, 1), got {overlap!r}.")
    mean, free = float(values.mean()), len(values) - 1
    if not free:
        return {"mean": mean, "low": math.nan, "high": math.nan, "t": math.nan, "p": math.nan}
    error = math.sqrt((1 / len(values) + overlap / (1 - overlap)) * values.var(ddof=1))
    # Equal up to rounding: no spread to compare the mean with.
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
        NaN marks a test that was not made: it stays NaN and does not count.

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
