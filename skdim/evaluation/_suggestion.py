"""What to measure next: batches that teach most, by a Gaussian process on vectors, or that may hold the best value.

skmatter has farthest point sampling and scikit-activeml many strategies; neither is used, since the first admits no
scikit-learn from 1.9 on and the second would raise the least versions of numpy, scipy and matplotlib, for what is a
rank-one update of a covariance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.stats import norm
from sklearn.metrics.pairwise import euclidean_distances

from skdim._parameters import check, choice, integer
from skdim.evaluation._intervals import ENTRIES
from skdim.evaluation._kernel_ridge import KernelRidgeCV
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOALS = ("information", "best", "both")
_MOST = 3000  # of a pool, whose covariance is kept
_PROMISING = {"information": 0.0, "both": 0.5, "best": 1.0}
"""Share of these that promise the best values, of a larger pool; the others are drawn from it, to stand for all."""


def suggest(
    vectors: Any,
    labels: Any,
    pool: Any,
    n: int = 10,
    goal: str = "information",
    maximize: bool = True,
    predicted: Any = None,
) -> NDArray[np.int64]:
    r"""Choose crystals of a pool to be measured next, as one batch.

    A Gaussian process (Matérn kernel, its strength by likelihood) is fitted to the labels. One crystal is chosen after
    the other; after each the variances are what they will be when it has been measured, whatever its value.

    With ``predicted``, the values that are expected are those of another model; the process says how far off they may
    be.

    Of a pool of more than 3000 rows it is these that are looked at: for the best value those that promise most, for
    information a random sample, always the same, whose variances stand for those of the pool; for both half and half.

    Parameters
    ----------
    vectors : array-like of shape (k, d)
        Of the labelled crystals.
    labels : array-like of shape (k,)
        Their values, on a scale on which differences count alike, such as a logarithm.
    pool : array-like of shape (m, d)
        Vectors of the crystals to choose from.
    n : int, default=10
        Crystals in the batch.
    goal : {"information", "best", "both"}, default="information"
        - "information": the crystal whose measurement lowers the variances of the whole pool by most in sum.
        - "best": the crystal of the highest expected improvement over the best value, where what was chosen before is
          taken to have the value that is expected of it. With ``predicted``, crystals whose interval ends before the
          best label come after all others.
        - "both": by turns, the first for the best value.
    maximize : bool, default=True
        Whether the best value is the largest.
    predicted : array-like of shape (m, 3) or None, default=None
        Of each crystal in the pool the value that a model predicts and the ends of its interval of 90%, lower and
        upper, on the scale of the labels.

    Returns
    -------
    ndarray of int64, shape (n,)
        Rows of the pool, in the order in which they were chosen.

    Raises
    ------
    InputError
        If a parameter is not accepted, or the pool has fewer rows than n.

    References
    ----------
    .. [1] D. A. Cohn, Z. Ghahramani, M. I. Jordan, "Active learning with statistical models", J. Artif. Intell. Res. 4
       (1996) 129.
    .. [2] D. Ginsbourger, R. Le Riche, L. Carraro, "Kriging is well-suited to parallelize optimization", in
       Computational Intelligence in Expensive Optimization Problems (2010) 131.

    Examples
    --------
    >>> known = np.array([[0.0], [0.1], [0.2], [0.9]])
    >>> pool = np.array([[0.05], [0.55], [1.0]])
    >>> suggest(known, [0.0, 0.1, 0.2, 0.9], pool, n=1).tolist()
    [1]
    >>> suggest(known, [0.0, 0.1, 0.2, 0.9], pool, n=1, goal="best").tolist()
    [2]
    """
    check("goal", goal, choice(*GOALS))
    check("n", n, integer(1))
    known, y = np.asarray(vectors, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    rest = np.asarray(pool)
    if n > len(rest):
        raise InputError(f"n must be at most {len(rest)}, the number of crystals in the pool, got {n}.")
    given = None if predicted is None else np.asarray(predicted, dtype=np.float64)
    if given is not None and given.shape != (len(rest), 3):
        raise InputError(
            f"predicted must have a row of a value and two ends for each of the {len(rest)} crystals in the pool, "
            f"shape ({len(rest)}, 3), got {given.shape}."
        )
    shortlist, rows = Shortlist(known, y, n, goal, maximize), np.empty(0, np.int64)
    for block in np.array_split(np.arange(len(rest)), max(1, len(known) * len(rest) // ENTRIES)):
        stays = shortlist.add(rest[block], None if given is None else given[block])
        rows = np.concatenate([rows, block])[stays]
    found: NDArray[np.int64] = rows[shortlist.choose()]
    return found


class Shortlist:
    """The crystals of a pool from which a batch is chosen, see `suggest`.

    The pool is given a part at a time, so that it may be larger than memory.
    """

    def __init__(
        self,
        known: NDArray[np.float64],  # (k, d)
        labels: NDArray[np.float64],  # (k,)
        n: int,  # this and the next as for `suggest`
        goal: str,
        maximize: bool,
    ) -> None:
        self.n, self.goal, self.maximize = n, goal, maximize
        self.sign = 1.0 if maximize else -1.0
        self.model = KernelRidgeCV("matern", cv=None, choice="likelihood").fit(known, self.sign * labels)
        self.best = float(self.model.predict(known).max())
        self.best_label = float((self.sign * labels).max())
        self.pool = np.empty((0, known.shape[1]))
        # Of each that is held: what is expected of it, how sure that is, and whether it cannot be better than the best.
        self.mean, self.std, self.hopeless = np.empty(0), np.empty(0), np.empty(0, np.bool_)
        self.lot, self._rng = np.empty(0), np.random.default_rng(0)  # the lowest are drawn

    def add(self, pool: NDArray[Any], predicted: NDArray[np.float64] | None) -> NDArray[np.int64]:
        """Look at more crystals, (m, d), and hold those that may be chosen of them and of those held before.

        Returns
        -------
        ndarray of int64
            Which they are, in the order of their coming: first those that were held before, then the new ones.
        """
        mean, std = self.model.predict(pool, return_std=True)
        hopeless = np.zeros(len(pool), np.bool_)
        if predicted is not None:
            mean = self.sign * predicted[:, 0]
            hopeless = self.sign * predicted[:, 2 if self.maximize else 1] <= self.best_label
        self.mean, self.std = np.concatenate([self.mean, mean]), np.concatenate([self.std, std])
        self.hopeless = np.concatenate([self.hopeless, hopeless])
        self.lot = np.concatenate([self.lot, self._rng.random(len(pool))])
        self.pool = np.concatenate([self.pool, pool])
        stays = self._staying()
        for name in ("pool", "mean", "std", "hopeless", "lot"):
            setattr(self, name, getattr(self, name)[stays])
        return stays

    def _staying(self) -> NDArray[np.int64]:
        """Rows of those that are held which stay: never one that left before would have stayed in its place."""
        most = max(_MOST, self.n)
        if len(self.mean) <= most:
            return np.arange(len(self.mean))
        order = np.lexsort((-self.mean - 2 * self.std, self.hopeless))  # of equal ones the first
        promising, others = np.split(order, [round(_PROMISING[self.goal] * most)])
        drawn = others[np.argsort(self.lot[others])][: most - len(promising)]
        stays: NDArray[np.int64] = np.sort(np.concatenate([promising, drawn]))
        return stays

    def choose(self) -> list[int]:
        """Choose n of those that are held, by their places among them, or all where there are fewer."""
        covariance = _covariance(self.model, self.pool)
        n = min(self.n, len(self.pool))
        return _greedy(covariance, self.mean, self.hopeless, self.best, self.model, n, self.goal)


def _covariance(model: KernelRidgeCV, pool: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of the values of a pool, given the labels, without their noise, (m, m)."""
    rows = np.asarray(model.rows_)
    lower = np.linalg.cholesky(_matern(rows, rows, model.gamma_) + np.diag(model.alpha_ / model.weights_))
    known = solve_triangular(lower, _matern(rows, pool, model.gamma_), lower=True, check_finite=False)
    covariance: NDArray[np.float64] = _matern(pool, pool, model.gamma_) - known.T @ known
    return model.scale_**2 * covariance


def _matern(first: NDArray[np.float64], second: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """The kernel of the model, by products of matrices: of a pool with itself that is many times faster."""
    r = gamma * euclidean_distances(first, second) / np.sqrt(first.shape[1])
    kernel: NDArray[np.float64] = (1 + r) * np.exp(-r)
    return kernel


def _greedy(
    covariance: NDArray[np.float64],  # (m, m), changed in place
    mean: NDArray[np.float64],  # (m,)
    hopeless: NDArray[np.bool_],  # (m,) which cannot be better than the best
    best: float,
    model: KernelRidgeCV,
    n: int,
    goal: str,
) -> list[int]:
    """Choose one row after the other, each measured with the noise of the labels."""
    noise = model.scale_**2 * model.alpha_
    chosen: list[int] = []
    for turn in range(n):
        variance = np.maximum(covariance.diagonal(), 0.0)
        if goal == "best" or (goal == "both" and turn % 2 == 0):
            score = expected_improvement(mean, np.sqrt(variance), best)
            score[hopeless] -= score.max() + 1.0
        else:
            score = np.einsum("ij,ij->i", covariance, covariance) / (variance + noise)
        score[chosen] = -np.inf
        row = int(np.argmax(score))
        chosen.append(row)
        best = max(best, float(mean[row]))
        column = covariance[:, row].copy()
        covariance -= np.outer(column, column / (variance[row] + noise))
    return chosen


def expected_improvement(
    mean: NDArray[np.float64],  # (m,) of the values
    std: NDArray[np.float64],  # (m,)
    best: float,  # the largest so far
) -> NDArray[np.float64]:
    """By how much normally distributed values are expected to exceed the best one, counting only those that do.

    Examples
    --------
    >>> expected_improvement(np.array([2.0, 1.0]), np.array([0.0, 1.0]), 1.0).round(4).tolist()
    [1.0, 0.3989]
    """
    ahead = mean - best
    away = np.clip(ahead / np.maximum(std, 1e-300), -30, 30)  # beyond that the densities are zero
    gain: NDArray[np.float64] = ahead * norm.cdf(away) + std * norm.pdf(away)
    return gain
