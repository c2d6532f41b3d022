"""Regressors that a model chooses from: they tell how unsure they are, and can be written as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim.evaluation._kernel_ridge import KernelRidgeCV
from skdim.evaluation._slopes import Slopes, tree_slopes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TREES = 100
# Columns that are looked at in each split, in roots of their number: as good as a third of them, in less time.
_SPLIT = 3


class TreesRegressor(RegressorMixin, BaseEstimator):
    """Extremely randomised trees, kept as arrays, with the standard deviation among them.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seed of the trees.
    n_jobs : int or None, default=None
        Processes of joblib.

    Attributes
    ----------
    feature_, left_, right_ : ndarray of int32, shape (T, N)
        Column that a node asks for and its two children; -1 at leaves and in the unused end of a row.
    threshold_, value_ : ndarray of float64, shape (T, N)
        Up to here rows go left; and the mean of the labels in the node.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(size=(80, 12))
    >>> model = TreesRegressor(random_state=0).fit(X, X[:, 0] > 0.5)
    >>> bool(model.score(X, X[:, 0] > 0.5) > 0.9)
    True
    """

    def __init__(self, random_state: Any = None, n_jobs: int | None = None) -> None:
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees."""
        # Single precision is what trees are made of.
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True)
        self._grow([self], X, y, sample_weight)
        return self

    def fit_each(self, X: Any, Y: Any, sample_weight: Any = None) -> list[Self]:
        """Grow trees whose splits serve all targets (n, T), and give a regressor for each of these."""
        X, Y = validate_data(self, X, Y, dtype=np.float32, y_numeric=True, multi_output=True)
        models = [clone(self) for _ in Y.T]
        for model in models:
            model.n_features_in_ = X.shape[1]
        self._grow(models, X, Y, sample_weight)
        return models

    def _grow(self, models: Sequence[Self], X: NDArray[Any], Y: NDArray[Any], sample_weight: Any) -> None:
        """Grow trees on targets (n,) or (n, T), and give each model one of these."""
        from sklearn.ensemble import ExtraTreesRegressor

        looked_at = min(X.shape[1], round(_SPLIT * X.shape[1] ** 0.5))
        forest = ExtraTreesRegressor(_TREES, max_features=looked_at, random_state=self.random_state, n_jobs=self.n_jobs)
        Y = Y[:, 0] if Y.ndim > 1 and Y.shape[1] == 1 else Y
        trees = [tree.tree_ for tree in forest.fit(X, Y, sample_weight).estimators_]
        width = max(tree.node_count for tree in trees)
        shared = {
            "feature_": _table([tree.feature for tree in trees], width, np.int32),
            "left_": _table([tree.children_left for tree in trees], width, np.int32),
            "right_": _table([tree.children_right for tree in trees], width, np.int32),
            "threshold_": _table([tree.threshold for tree in trees], width, np.float64),
        }
        for number, model in enumerate(models):
            model.__dict__ |= shared
            model.value_ = _table([tree.value[:, number, 0] for tree in trees], width, np.float64)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets (m,) of rows (m, d), and with ``return_std`` the standard deviations among the trees."""
        check_is_fitted(self, "value_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        trees, rows = np.arange(len(self.value_))[:, None], np.arange(len(X))
        node = np.zeros((len(self.value_), len(X)), np.int64)  # (T, m)
        while (inner := self.left_[trees, node] >= 0).any():
            asked = np.maximum(self.feature_[trees, node], 0)
            left = X[rows, asked] <= self.threshold_[trees, node]
            node = np.where(inner, np.where(left, self.left_[trees, node], self.right_[trees, node]), node)
        each = self.value_[trees, node]
        return (each.mean(0), each.std(0, ddof=1)) if return_std else each.mean(0)

    def slopes(self, X: NDArray[Any], start: NDArray[Any]) -> Slopes:
        """Say what columns add to predictions of rows (m, d) beside that of a row (d,); see `evaluation._slopes`."""
        return tree_slopes(np.asarray(X, np.float32), np.asarray(start, np.float32), self.to_arrays())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned."""
        return {name: getattr(self, f"{name}_") for name in ("feature", "left", "right", "threshold", "value")}

    def restore(self, arrays: dict[str, NDArray[Any]], rows: NDArray[Any]) -> Self:
        """Take back what `to_arrays` gave, for as many columns as these rows have; a ValueError if they do not fit."""
        left, right, columns = arrays["left"], arrays["right"], rows.shape[1]
        own = np.arange(left.shape[1])
        inner = left >= 0
        # Children come after their parents, so that every way down ends.
        ends = (left[inner] > np.broadcast_to(own, left.shape)[inner]).all() and (right[inner] > left[inner]).all()
        inside = (right[inner] < left.shape[1]).all() and (
            np.abs(arrays["feature"][inner] * 2 + 1 - columns) < columns
        ).all()
        if len({array.shape for array in arrays.values()}) > 1 or not ends or not inside:
            raise ValueError("the arrays of a forest do not fit together")
        if not np.isfinite(arrays["value"]).all():
            raise ValueError("the arrays of a forest are not finite")
        for name in ("feature", "left", "right", "threshold", "value"):
            setattr(self, f"{name}_", arrays[name])
        self.n_features_in_ = columns
        return self


READOUTS: dict[str, Any] = {
    "ridge": KernelRidgeCV("linear", cv=None),
    "laplacian": KernelRidgeCV("laplacian", cv=None),
    "gaussian": KernelRidgeCV("matern", cv=None, choice="likelihood"),
    "trees": TreesRegressor(),
}
"""Regressors that a model chooses from, by name, not fitted."""


def _table(rows: Sequence[NDArray[Any]], width: int, dtype: Any) -> NDArray[Any]:
    """Put rows of different lengths into one array, filled up with -1."""
    table = np.full((len(rows), width), -1, dtype)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table
