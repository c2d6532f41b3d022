"""Intervals that hold for few labels: every row is predicted by a model that has not seen it, and its error counts.

MAPIE has the same method (``CrossConformalRegressor`` with ``StdConformityScore``), and the tests compare with it where
it is installed. It is not used here because its fitted objects can be kept by pickle only, fit one thing for the
intervals and another for the choice of a regressor, and take their folds without their errors; the method itself is
two sorted rows.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import indexable
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skdim._labels import check_held_out_once, check_labels, check_varied, cut_into_folds
from skdim._parameters import check, integer, number, seed_of
from skdim.evaluation._kernel_ridge import KernelRidgeCV
from skdim.evaluation._left_out import LeftOut
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Added to every standard deviation, in units of their median: what a model says of its own doubt is rough, and an
# interval of nothing, where it has none, would have to be paid for by wide ones everywhere.
FLOOR = 0.5
# Rows that a kernel regressor leaves out together. Single rows would make narrower intervals; but the regressor with
# the lowest of several errors is not as good as it looks, and with some 50 labels they would hold too few values.
BLOCK = 5
ENTRIES = 20_000_000
"""Numbers in a table of labels by rows that is made at once, as some more of its size are."""


class CrossConformalRegressor(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Any regressor on vectors, with intervals by cross-conformal prediction (CV+).

    The labelled rows are cut into folds. Row i is predicted by a model that was trained without its fold, and leaves
    an error :math:`e_i`, which is divided by how unsure that model was. A new row is predicted by each of these models;
    the interval runs from the lower quantile of :math:`\mu_{-k(i)}(x) - e_i s_{-k(i)}(x)` over the rows i to the upper
    one of the same sum. It holds on average, whatever the regressor, where new crystals are like the labelled ones
    (exchangeable); with `groups`, where they are like crystals of a new group.

    Models that miss a tenth of many labels are worse than the one that predicts, which makes intervals too wide. So of
    a kernel regressor (`KernelRidgeCV`) only some five rows, or a group, are left out at a time: such models follow by
    a formula. Penalty and length scale are those that were chosen without the whole fold, so that no label has a part
    in the model that predicts it. Where `cv` is a splitter, its folds are left out whole.

    How unsure a model is: ``predict(X, return_std=True)`` where it has that, the standard deviation among the trees of
    a forest, and else the same everywhere. Half its median over the rows is added.

    Parameters
    ----------
    regressor : scikit-learn regressor
        Not fitted.
    cv : int or cross-validation splitter, default=10
        Folds. An int shuffles, and takes at most that many; with groups, they stay together.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds.

    Attributes
    ----------
    regressor_ : regressor
        Trained on every row; makes the predictions.
    fold_regressors_ : list of regressor
        One for each fold, trained without it.
    fold_ : ndarray of int, shape (n,)
        Fold of each row.
    target_, weights_ : ndarray of shape (n,)
        Targets and weights; None are equal weights.
    held_out_ : ndarray of shape (n,)
        Prediction of each row by the model of its fold, which has not seen it.
    block_ : ndarray of int, shape (n,)
        Block of each row, whose rows are left out together for the intervals: its fold, or a part of that.
    errors_ : ndarray of shape (n,)
        Absolute error of each row, predicted without its block.
    scored_ : ndarray of bool, shape (n,)
        Rows whose errors count.
    scores_ : ndarray of shape (s,)
        Their errors, divided by how unsure the model was.

    References
    ----------
    R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani, "Predictive inference with the jackknife+", Ann. Statist.
    49 (2021) 486, doi:10.1214/20-AOS1965.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = X[:, 0] + rng.normal(size=200)
    >>> model = CrossConformalRegressor(Ridge(), random_state=0).fit(X[:100], y[:100])
    >>> lower, upper = model.predict_interval(X[100:], coverage=0.9).T
    >>> print(np.mean((y[100:] >= lower) & (y[100:] <= upper)))
    0.93
    """

    def __init__(self, regressor: Any, cv: Any = 10, random_state: Any = None) -> None:
        self.regressor = regressor
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, scored: Any = None) -> Self:
        """Train on every row, and once without each fold.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,) or None, default=None
            Handed to the regressor.
        groups : array-like of shape (n,) or None, default=None
            Rows of one group are in one fold, also in those of a regressor whose ``fit`` takes groups.
        scored : array-like of bool, shape (n,), or None, default=None
            Rows whose errors count; None counts all. Targets that are bounds only are trained on, but leave no error.

        Returns
        -------
        self
        """
        X, groups = indexable(np.asarray(X), groups)
        target = check_labels(y).values[:, 0]
        check_varied(target)
        splits = list(folds(self.cv, X, target, groups, self.random_state))
        check_held_out_once(self.cv, [held_out for _, held_out in splits], len(target))
        self.target_ = target
        self.weights_ = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self.scored_ = np.ones(len(target), np.bool_) if scored is None else np.asarray(scored, dtype=np.bool_)
        self.fold_ = np.empty(len(target), np.int64)
        for place, (_, test) in enumerate(splits):
            self.fold_[test] = place
        parts = [*(train for train, _ in splits), np.arange(len(target))]
        # A splitter may keep more rows from a fold's model than those of the fold.
        self._by_formula = _is_kernel(self.regressor) and all(len(both[0]) + len(both[1]) == len(X) for both in splits)
        if self._by_formula:
            self._fit_kernel(X, parts, groups)
        else:
            self._fit_any(X, parts, groups)
        return self

    def _fit_any(self, X: NDArray[Any], parts: Sequence[NDArray[np.int64]], groups: Any) -> None:
        """Train on each fold's rows and on all; errors are those of the folds' models."""
        models = [_trained(self.regressor, X, self.target_, self.weights_, groups, rows) for rows in parts]
        *self.fold_regressors_, self.regressor_ = models
        self.held_out_, doubt = np.empty(len(X)), np.empty(len(X))
        for place, model in enumerate(self.fold_regressors_):
            test = self.fold_ == place
            self.held_out_[test], doubt[test] = mean_and_doubt(model, X[test])
        self.block_ = self.fold_
        self._score(self.held_out_, doubt)

    def _fit_kernel(self, X: NDArray[Any], parts: Sequence[NDArray[np.int64]], groups: Any) -> None:
        """Train on each fold's rows and on all; errors are those of models that miss one block."""
        models, pairs = self.regressor.fit_parts(X, self.target_, parts, self.weights_, groups)
        *self.fold_regressors_, self.regressor_ = models
        self.held_out_ = np.empty(len(X))
        for place, model in enumerate(self.fold_regressors_):
            self.held_out_[self.fold_ == place] = model.predict(X[self.fold_ == place])
        self.block_ = self.fold_ if is_splitter(self.cv) else _blocks(self.fold_, groups)
        known = self._known
        self._left_out = self._without_blocks(pairs[np.ix_(known, known)])
        means, doubts = self._by_blocks(X, pairs[:, known])
        own = self.block_, np.arange(len(X))
        self._score(means[own], doubts[own])

    def _score(self, without: NDArray[np.float64], doubt: NDArray[np.float64]) -> None:
        """Keep the errors of predictions (n,) by models that have not seen the row, and how unsure they were."""
        self.errors_ = np.abs(without - self.target_)
        usual = float(np.median(doubt))
        self.floor_ = FLOOR * usual if usual > 0 else 1.0
        self.scores_ = (self.errors_ / (doubt + self.floor_))[self.scored_]

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the targets of rows with the model that was trained on all.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows.

        Returns
        -------
        ndarray of shape (m,)
        """
        check_is_fitted(self, "regressor_")
        predicted: NDArray[np.float64] = self.regressor_.predict(X)
        return predicted

    def predict_interval(self, X: Any, coverage: float = 0.9) -> NDArray[np.float64]:
        """Predict intervals that hold the targets of a given share of the rows.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows.
        coverage : float, default=0.9
            Share of the rows whose target is to be inside.

        Returns
        -------
        ndarray of shape (m, 2)
            Lower and upper ends.

        Raises
        ------
        ValueError
            If there are too few labels for this coverage: at least ``coverage / (1 - coverage)`` are needed.
        """
        check_is_fitted(self, "regressor_")
        ends: NDArray[np.float64] = self.predict_intervals(X, [coverage])[0]
        return ends

    def predict_intervals(self, X: Any, coverages: Any) -> NDArray[np.float64]:
        """Predict intervals of several coverages at once.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows.
        coverages : sequence of A floats
            As for `predict_interval`.

        Returns
        -------
        ndarray of shape (A, m, 2)
        """
        for coverage in coverages:
            check_coverage(coverage, len(self.scores_))
        ranks = [math.ceil(coverage * (len(self.scores_) + 1)) for coverage in coverages]
        X = np.asarray(X)
        blocks = np.array_split(X, max(1, len(self.scores_) * len(X) // ENTRIES))
        return np.concatenate([self._ends(block, ranks) for block in blocks], axis=1)

    def _ends(self, X: NDArray[Any], ranks: Sequence[int]) -> NDArray[np.float64]:
        """Ends (A, m, 2) of intervals that hold as many of the labels."""
        means, doubts = (table[self.block_[self.scored_]] for table in self._by_blocks(X))  # (s, m)
        away = self.scores_[:, None] * (doubts + self.floor_)
        lower, upper = np.sort(means - away, axis=0), np.sort(means + away, axis=0)
        return np.stack([np.stack([lower[-rank], upper[rank - 1]], axis=1) for rank in ranks])

    def _by_blocks(
        self, X: NDArray[Any], pairs: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is predicted of rows (m, d) without each block, and how unsure that is: twice (B, m)."""
        if not getattr(self, "_by_formula", _is_kernel(self.regressor_)):
            found = [mean_and_doubt(model, X) for model in self.fold_regressors_]
        else:
            if getattr(self, "_left_out", None) is None:  # of a model that was read from a file
                self._left_out = self._without_blocks(self.regressor_.pairs(self.regressor_.rows_))
            pairs = self.regressor_.pairs(X) if pairs is None else pairs
            found = [models.predict(X, pairs) for models in self._left_out]
        means, doubts = (np.vstack(part) for part in zip(*found, strict=True))
        return means, doubts

    @property
    def _known(self) -> NDArray[np.bool_]:
        """Rows that a kernel regressor keeps: those of some weight."""
        return np.ones(len(self.target_), np.bool_) if self.weights_ is None else self.weights_ > 0

    def _without_blocks(self, pairs: NDArray[np.float64]) -> list[LeftOut]:
        """Models without the blocks of each fold, with the strength of the fold's own; distances (n, n) are known."""
        known, found = self._known, []
        place = np.cumsum(known) - 1
        for fold, model in enumerate(self.fold_regressors_):
            numbers = np.unique(self.block_[self.fold_ == fold])
            blocks = [place[known & (self.block_ == number)] for number in numbers]
            found.append(LeftOut.of(self.regressor_.of_strength(model, self.target_[known], pairs), blocks))
        return found


def check_coverage(coverage: Any, n_labels: int) -> None:
    """Refuse what is no coverage, and a coverage for which there are too few labels.

    Examples
    --------
    >>> check_coverage(0.9, 8)
    Traceback (most recent call last):
    ...
    skdim.exceptions.InputError: coverage=0.9 needs at least 9 labels, got 8. Label more, or ask for at most 0.88.
    """
    check("coverage", coverage, number(above=0, below=1))
    least = math.ceil(coverage / (1 - coverage) - 1e-9)
    if n_labels < least:
        most = math.floor(100 * n_labels / (n_labels + 1)) / 100
        raise InputError(
            f"coverage={coverage} needs at least {least} labels, got {n_labels}. Label more, or ask for at most "
            f"{most:g}."
        )


def is_splitter(cv: Any) -> bool:
    """Whether this makes folds itself; a text has a method ``split`` too."""
    return hasattr(cv, "split") and not isinstance(cv, str)


def folds(
    cv: Any,  # a splitter, or an int: at most that many folds, of shuffled rows or groups
    X: Any,
    y: NDArray[np.float64],  # (n,)
    groups: Any,  # (n,) or None
    random_state: Any,  # seed of the shuffle
) -> Any:  # pairs of rows to train on and to hold out
    """Cut rows into folds; those of a group stay together."""
    if is_splitter(cv):
        return cv.split(X, y, groups)
    check("cv", cv, integer(2))
    return cut_into_folds(len(y), cv, seed_of(random_state), groups)


def mean_and_doubt(model: Any, X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predict rows (m, d), and say how unsure any regressor of scikit-learn's is of each: zero if it does not tell."""
    if "return_std" in inspect.signature(model.predict).parameters:
        mean, doubt = model.predict(X, return_std=True)
        return mean, doubt
    mean = model.predict(X)
    trees = getattr(model, "estimators_", None)
    if isinstance(trees, list):
        each = np.stack([tree.predict(np.asarray(X, dtype=np.float32)) for tree in trees])
        return mean, each.std(0, ddof=1)
    return mean, np.zeros(len(mean))


def _is_kernel(regressor: Any) -> bool:
    """Whether models without any block of rows follow from one by formula."""
    own = type(regressor)
    return (
        issubclass(own, KernelRidgeCV)
        and (own.fit, own.predict) == (KernelRidgeCV.fit, KernelRidgeCV.predict)
        and not regressor.precomputed
    )


def _blocks(fold: NDArray[np.int64], groups: Any) -> NDArray[np.int64]:
    """Number blocks (n,) of some `BLOCK` rows inside the folds, of whole groups; those of the first fold come first.

    Examples
    --------
    >>> _blocks(np.array([1] * 3 + [0] * 10), None)
    array([2, 2, 2, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    >>> _blocks(np.zeros(13, int), list("abbbbbbbbccca"))  # of two rows, eight and three
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0])
    """
    names = np.arange(len(fold)) if groups is None else np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    number = np.empty(len(fold), np.int64)
    for place in np.unique(fold):
        rows = np.flatnonzero(fold == place)
        _, own, sizes = np.unique(names[rows], return_inverse=True, return_counts=True)
        before = np.cumsum(sizes) - sizes
        number[rows] = (before * max(1, len(rows) // BLOCK) // len(rows))[own]
    numbered: NDArray[np.int64] = np.unique(fold * len(fold) + number, return_inverse=True)[1]
    return numbered


def are_parts(block: NDArray[np.integer], fold: NDArray[np.integer]) -> bool:
    """Whether blocks (n,) are numbered from 0 up, fold by fold, and none is in two folds.

    Examples
    --------
    >>> are_parts(np.array([0, 1, 2]), np.array([0, 0, 1])), are_parts(np.array([0, 1, 1]), np.array([0, 0, 1]))
    (True, False)
    """
    pairs = np.unique(np.stack([fold, block], 1), axis=0)
    return bool(np.array_equal(pairs[:, 1], np.arange(len(pairs))))


def _trained(
    regressor: Any,
    X: NDArray[Any],
    y: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    groups: Any,
    rows: NDArray[np.int64],
) -> Any:
    """Train a clone on some rows."""
    given = {} if weights is None else {"sample_weight": weights[rows]}
    if groups is not None and has_fit_parameter(regressor, "groups"):
        given["groups"] = np.asarray(groups)[rows]
    return clone(regressor).fit(X[rows], y[rows], **given)
