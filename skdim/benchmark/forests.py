"""Labelled rows in, a forest out that chose its columns a split and its rows a leaf by a few trees of each kind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_TREES = 5000  # rows times trees
_TREES = (10, 50)

Choice = dict[str, float | int]


class ForestCV(RegressorMixin, BaseEstimator):
    r"""Forest of randomised trees, its columns a split and rows a leaf chosen by cross-validation with few trees.

    The error of a forest of T trees is larger than that of a forest of many. As trees are independent given the
    labels, the mean squared error falls from T to N trees by :math:`V (1/T - 1/N)`, with V the variance of the
    predictions among trees; the mean absolute error is taken to fall with its root. So few trees tell what many would
    do, and the choice does not favour the forests whose trees differ least.

    Parameters
    ----------
    forest : RandomForestRegressor or ExtraTreesRegressor
        Not fitted; its number of trees is that of the result.
    max_features : sequence of float, default=(0.1, 1/3)
        Shares of the columns to choose from.
    min_samples_leaf : sequence of int, default=(1,)
        Least rows of a leaf to choose from.
    cv : int or cross-validation splitter, default=5
        Folds; an int cuts the rows in their order.
    n_trees : int or None, default=None
        Trees of a forest that is tried. None: 5000 divided by the rows, but 10 at least and 50 at most, since the
        error on few rows is the noisier one.

    Attributes
    ----------
    forest_ : RandomForestRegressor or ExtraTreesRegressor
        The result, trained on every row.
    choice_ : dict
        Its parameters.
    cv_error_ : float
        Mean absolute error over the folds, for as many trees as the result has.

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

    def fit(self, X: Any, y: Any) -> ForestCV:
        """Choose by cross-validation and train on every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Targets.

        Returns
        -------
        self
        """
        # Single precision is what trees are made of: converted once, not in each of the fits.
        X, y = check_array(X, dtype=np.float32), column_or_1d(y).astype(np.float64)
        check_consistent_length(X, y)
        self.n_features_in_ = X.shape[1]
        folds = list(check_cv(self.cv).split(X))
        tried = [(self._cv_error(choice, X, y, folds), choice) for choice in self._choices()]
        self.cv_error_, self.choice_ = min(tried, key=lambda t: t[0])
        self.forest_ = clone(self.forest).set_params(**self.choice_).fit(X, y)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows.

        Returns
        -------
        ndarray of shape (m,)
        """
        check_is_fitted(self, "forest_")
        predicted: NDArray[np.float64] = self.forest_.predict(X)
        return predicted

    def _choices(self) -> list[Choice]:
        """Every pair of parameters; of those that mean the same, the first."""
        for name in ("max_features", "min_samples_leaf"):
            values = getattr(self, name)
            if not len(values) or not all(v > 0 for v in values):
                raise ValueError(f"{name}={values!r}; accepted is a sequence of positive numbers.")
        if self.n_trees is not None and (not isinstance(self.n_trees, int | np.integer) or self.n_trees < 2):
            raise ValueError(f"n_trees={self.n_trees!r}; accepted are whole numbers of at least 2 and None.")
        pairs = itertools.product(self.max_features, self.min_samples_leaf)
        return [{"max_features": share, "min_samples_leaf": rows} for share, rows in pairs]

    def _n_trees(self, n_rows: int) -> int:
        """Trees of a forest that is tried."""
        number = int(np.clip(_ROWS_TREES // n_rows, *_TREES)) if self.n_trees is None else self.n_trees
        return min(number, int(self.forest.n_estimators))

    def _cv_error(self, choice: Choice, X: Any, y: NDArray[np.float64], folds: Any) -> float:
        """Mean absolute error over the folds that as many trees as asked for would have."""
        few = self._n_trees(len(y))
        forest = clone(self.forest).set_params(n_estimators=few, **choice)
        of_tree = np.empty((few, len(y)))
        for train, held_out in folds:
            forest.fit(X[train], y[train])
            of_tree[:, held_out] = [tree.predict(X[held_out], check_input=False) for tree in forest.estimators_]
        residuals = of_tree.mean(0) - y
        squared = float((residuals**2).mean())
        gain = float(of_tree.var(0, ddof=1).mean()) * (1 / few - 1 / self.forest.n_estimators) if few > 1 else 0.0
        # Where the trees disagree more than they err, as on a handful of rows, the estimate says nothing.
        share = max(1 - gain / squared, 0.25) if squared > 0 else 1.0
        return float(np.abs(residuals).mean()) * float(np.sqrt(share))
