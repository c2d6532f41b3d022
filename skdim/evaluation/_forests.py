"""Forests that choose columns per split and rows per leaf by cross-validation with a few trees."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim._parameters import check, integer, optional
from skdim.evaluation._kernel_ridge import check_positive, partition

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_TREES = 5000  # rows times trees
_TREES = (10, 50)

Choice = dict[str, float | int]


class ForestCV(RegressorMixin, BaseEstimator):
    r"""Forest whose columns per split and rows per leaf are chosen by cross-validation with few trees.

    The error of a forest of T trees is larger than that of a forest of many. As trees are independent given the
    labels, the mean squared error falls from T to N trees by :math:`V (1/T - 1/N)`, with V the variance of the
    predictions among trees; the mean absolute error is taken to fall with its square root. So a few trees tell what
    many would do, and the choice does not favour forests whose trees differ least.

    Parameters
    ----------
    forest : RandomForestRegressor or ExtraTreesRegressor
        Not fitted; the result has its number of trees.
    max_features : sequence of float, default=(0.1, 1/3)
        Shares of the columns to choose from.
    min_samples_leaf : sequence of int, default=(1,)
        Smallest numbers of rows in a leaf to choose from.
    cv : int, cross-validation splitter or iterable of splits, default=5
        Folds. An int takes consecutive rows for a fold: shuffle rows that have an order.
    n_trees : int or None, default=None
        Trees of each forest that is tried. None: 5000 divided by the rows, but at least 10 and at most 50, since
        errors on few rows are noisier.

    Attributes
    ----------
    forest_ : RandomForestRegressor or ExtraTreesRegressor
        The result, trained on every row.
    choice_ : dict
        Its parameters.
    cv_error_ : float
        Mean absolute error over the folds, for as many trees as the result has.
    n_features_in_ : int
        Number of columns seen in `fit`.

    References
    ----------
    L. Breiman, "Random forests", Mach. Learn. 45 (2001) 5.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> X = np.random.default_rng(0).uniform(size=(80, 12))
    >>> model = ForestCV(ExtraTreesRegressor(50, random_state=0)).fit(X, X[:, 0] > 0.5)
    >>> model.choice_["max_features"], bool(model.cv_error_ < 0.25)
    (0.3333333333333333, True)
    """

    def __init__(
        self,
        forest: Any,
        max_features: Sequence[float] = (0.1, 1 / 3),
        min_samples_leaf: Sequence[int] = (1,),
        cv: Any = 5,
        n_trees: int | None = None,
    ) -> None:
        self.forest = forest
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf
        self.cv = cv
        self.n_trees = n_trees

    def fit(self, X: Any, y: Any, groups: Any = None) -> ForestCV:
        """Choose by cross-validation and train on every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        groups : array-like of shape (n_samples,), optional
            Labels of groups, for a splitter that keeps groups together.

        Returns
        -------
        self
        """
        # Trees work in single precision: converted once, not in each of the fits.
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True, ensure_min_samples=2)
        y = y.astype(np.float64)
        folds = partition(self.cv, X, y, groups)
        tried = [(self._cv_error(choice, X, y, folds), choice) for choice in self._choices()]
        self.cv_error_, self.choice_ = min(tried, key=lambda t: t[0])
        self.forest_ = clone(self.forest).set_params(**self.choice_).fit(X, y)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (m, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (m,)
        """
        check_is_fitted(self, "forest_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        predicted: NDArray[np.float64] = self.forest_.predict(X)
        return predicted

    def _choices(self) -> list[Choice]:
        """Every pair of parameters."""
        check_positive("max_features", self.max_features)
        check_positive("min_samples_leaf", self.min_samples_leaf)
        check("n_trees", self.n_trees, optional(integer(2)))
        pairs = itertools.product(self.max_features, self.min_samples_leaf)
        return [{"max_features": share, "min_samples_leaf": rows} for share, rows in pairs]

    def _n_trees(self, n_rows: int) -> int:
        """Trees of each forest that is tried."""
        number = int(np.clip(_ROWS_TREES // n_rows, *_TREES)) if self.n_trees is None else self.n_trees
        return min(number, int(self.forest.n_estimators))

    def _cv_error(self, choice: Choice, X: Any, y: NDArray[np.float64], folds: Any) -> float:
        """Mean absolute error over the folds that the full number of trees would have."""
        few = self._n_trees(len(y))
        forest = clone(self.forest).set_params(n_estimators=few, **choice)
        of_tree = np.empty((few, len(y)))
        for held_out in folds:
            train = np.delete(np.arange(len(y)), held_out)
            forest.fit(X[train], y[train])
            of_tree[:, held_out] = [tree.predict(X[held_out], check_input=False) for tree in forest.estimators_]
        residuals = of_tree.mean(0) - y
        squared = float((residuals**2).mean())
        gain = float(of_tree.var(0, ddof=1).mean()) * (1 / few - 1 / self.forest.n_estimators) if few > 1 else 0.0
        # Where the trees disagree more than they err, as on a handful of rows, the estimate is meaningless.
        share = max(1 - gain / squared, 0.25) if squared > 0 else 1.0
        return float(np.abs(residuals).mean()) * float(np.sqrt(share))
