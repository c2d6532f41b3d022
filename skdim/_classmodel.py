"""How classes are learned from vectors: regressors on indicators, and probabilities calibrated without the row."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from skdim._classes import calibrator, indicators

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Splits = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class Tried:
    """What a regressor says of rows by models that have not seen them."""

    loss: float  # log loss
    held_out: NDArray[np.float64]  # (n, K or 1) predictions of the indicators
    probabilities: NDArray[np.float64]  # (n, K)


def row_weights(target: NDArray[np.int64], balanced: bool) -> NDArray[np.float64]:
    """Weights of rows in training, (n,): ones, or those with which classes count alike.

    Examples
    --------
    >>> row_weights(np.array([0, 0, 0, 1]), balanced=True).tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    counts = np.bincount(target)
    weights: NDArray[np.float64] = len(target) / (len(counts) * counts[target]) if balanced else np.ones(len(target))
    return weights


def guess_loss(target: NDArray[np.int64]) -> float:
    """Log loss of a guess of the shares of the classes."""
    shares = np.bincount(target) / len(target)
    return float(log_loss(target, np.tile(shares, (len(target), 1))))


def try_regressor(
    regressor: Any,  # of `skdim.evaluation._readouts`, not fitted
    V: NDArray[np.float64],  # (n, d)
    target: NDArray[np.int64],  # (n,) classes, from 0 to K - 1
    weights: NDArray[np.float64],  # (n,)
    splits: Splits,  # what to learn from, and what to predict
    n_jobs: int | None = None,  # threads
) -> Tried:
    """Try a regressor by cross-validation.

    A probability is also the work of a calibrator, and so of the predictions that this was trained on. Each of these
    comes from a model that has seen neither its own fold nor that of the probability, unless these are all there is.
    """
    n_classes, alone = int(target.max()) + 1, clone(regressor)
    if "n_jobs" in alone.get_params():
        alone.set_params(n_jobs=None)  # the folds run side by side
    table = indicators(target, n_classes)

    def predicted(train: NDArray[np.int64], *parts: NDArray[np.int64]) -> list[NDArray[np.float64]]:
        models = alone.fit_each(V[train], table[train], weights[train])
        return [np.stack([model.predict(V[rows]) for model in models], 1) for rows in parts]

    tests = [test for _, test in splits]
    jobs: list[tuple[NDArray[np.int64], ...]] = list(splits)
    pairs = []
    for first, second in itertools.combinations(range(len(splits)), 2):
        neither = np.intersect1d(splits[first][0], splits[second][0])
        if len(neither) > 1:
            pairs.append((first, second))
            jobs.append((neither, tests[first], tests[second]))
    with threadpool_limits(1, "blas"):
        done = Parallel(n_jobs=n_jobs, prefer="threads")(delayed(predicted)(*job) for job in jobs)

    held = np.empty((len(target), table.shape[1]))
    held[np.concatenate(tests)] = np.concatenate([own for (own,) in done[: len(splits)]])
    apart = [held.copy() for _ in splits]
    for (first, second), (of_first, of_second) in zip(pairs, done[len(splits) :], strict=True):
        apart[first][tests[second]], apart[second][tests[first]] = of_second, of_first
    shares = np.zeros((len(target), n_classes))
    for (train, test), known in zip(splits, apart, strict=True):
        part = calibrator(known[train], target[train])
        shares[np.ix_(test, part.classes_)] = part.predict_proba(held[test])
    return Tried(float(log_loss(target, shares, labels=np.arange(n_classes))), held, shares)
