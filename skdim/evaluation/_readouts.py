"""Regressors on vectors that tell how unsure they are and can be written as plain arrays: kernels and trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim._labels import check_labels
from skdim._parameters import check, choice
from skdim.evaluation._kernel_ridge import ALPHAS, GAMMAS, Spectrum, held_out_residuals, mean_distances
from skdim.evaluation._slopes import Slopes, kernel_slopes, tree_slopes

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNELS = ("linear", "laplacian", "matern")
_FOLDS = 5
_TREES = 100
# Columns that are looked at in each split, in roots of their number: as good as a third of them, in less time.
_SPLIT = 3


class KernelRegressor(RegressorMixin, BaseEstimator):
    r"""Kernel regression with an intercept, sample weights and a standard deviation, which chooses its own strength.

    The prediction is :math:`k(x)^T G (y - b)` with :math:`G = (K + \alpha W^{-1})^{-1}`, the variance
    :math:`\sigma^2 (\alpha + k(x, x) - k(x)^T G k(x))`: that of a Gaussian process with this kernel.

    Parameters
    ----------
    kernel : {"linear", "laplacian", "matern"}, default="laplacian"
        "linear": the mean product over the columns, which makes a ridge regression. "laplacian": :math:`e^{-\gamma d}`
        with d the mean absolute difference over the columns. "matern": :math:`(1 + r) e^{-r}`, with r the root mean
        square difference over the columns times :math:`\gamma`; smoother.
    choice : {"error", "likelihood"}, default="error"
        How :math:`\alpha` and :math:`\gamma` are chosen: by the mean absolute error over five folds, which one
        eigendecomposition gives exactly, or by the likelihood of the labels, as a Gaussian process does.

    Attributes
    ----------
    alpha_, gamma_ : float
        The choice; ``gamma_`` is 1 for a linear kernel.
    intercept_, scale_ : float
        Constant b and :math:`\sigma`.
    rows_ : ndarray of shape (n, d)
        Training rows.
    dual_coef_ : ndarray of shape (n,)
        Weight of each in a prediction.
    weights_ : ndarray of shape (n,)
        Sample weights, of mean 1.

    References
    ----------
    O. Dubrule, "Cross validation of kriging in a unique neighborhood", J. Int. Assoc. Math. Geol. 15 (1983) 687.

    Examples
    --------
    >>> X = np.linspace(0, 1, 40)[:, None]
    >>> model = KernelRegressor().fit(X, X[:, 0] ** 2)
    >>> mean, std = model.predict([[0.5], [5.0]], return_std=True)
    >>> bool(abs(mean[0] - 0.25) < 0.01), bool(std[1] > 3 * std[0])
    (True, True)
    """

    def __init__(self, kernel: str = "laplacian", choice: str = "error") -> None:
        self.kernel = kernel
        self.choice = choice

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the strength and train on every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,) or None, default=None
            Weight of each row; rows of weight 0 are left out.

        Returns
        -------
        self
        """
        check("kernel", self.kernel, choice(*KERNELS))
        check("choice", self.choice, choice("error", "likelihood"))
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = check_labels(y, sample_weight).weights
        used = weights > 0
        self.rows_, target = X[used], y[used]
        self.weights_ = weights[used] / weights[used].mean()
        root = np.sqrt(self.weights_)
        n = len(target)
        folds = [held for _, held in KFold(min(_FOLDS, n), shuffle=True, random_state=0).split(target)]
        tried = []
        for gamma in (1.0,) if self.kernel == "linear" else GAMMAS:
            spectrum = Spectrum.of(root[:, None] * self._kernel(self.rows_, gamma) * root)
            if self.choice == "error":
                losses = np.abs(held_out_residuals(spectrum, root * target, ALPHAS, folds, root)) @ root
            else:
                losses = _likelihoods(spectrum, root, root * target)
            tried += [(loss, gamma, alpha) for loss, alpha in zip(losses, ALPHAS, strict=True)]
        _, self.gamma_, self.alpha_ = min(tried, key=lambda one: one[0])
        self._solve(target)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        ndarray of shape (m,), or a pair of them
        """
        check_is_fitted(self, "dual_coef_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        kernel = self._kernel(X, self.gamma_)
        mean = kernel @ self.dual_coef_ + self.intercept_
        if not return_std:
            return mean
        own = np.einsum("ij,ij->i", X, X) / X.shape[1] if self.kernel == "linear" else 1.0
        known = np.einsum("ij,ij->i", kernel, cho_solve(self._factor(), kernel.T, check_finite=False).T)
        return mean, self.scale_ * np.sqrt(self.alpha_ + np.maximum(own - known, 0.0))

    def slopes(self, X: NDArray[Any], start: NDArray[Any]) -> Slopes:
        """Say what each column adds to predictions, see `skdim.evaluation._slopes`.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Rows.
        start : ndarray of shape (d,)
            A row to compare them with.

        Returns
        -------
        Slopes
        """
        ends, begin = np.asarray(X, np.float64), np.asarray(start, np.float64)
        return kernel_slopes(ends, begin, self.rows_, self.dual_coef_, self.kernel, self.gamma_)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned, but for the training rows."""
        numbers = np.array([self.alpha_, self.gamma_, self.intercept_, self.scale_])
        return {"dual": self.dual_coef_, "weights": self.weights_, "numbers": numbers}

    def restore(self, arrays: dict[str, NDArray[Any]], rows: NDArray[Any]) -> Self:
        """Take back what `to_arrays` gave, with the training rows.

        Parameters
        ----------
        arrays : dict of ndarray
            By name.
        rows : ndarray of shape (n, d)
            Training rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If they do not fit together.
        """
        if any(arrays[name].shape != (len(rows),) for name in ("dual", "weights")) or arrays["numbers"].shape != (4,):
            raise ValueError("the arrays of a kernel regressor do not fit its training rows")
        if not all(np.isfinite(array).all() for array in arrays.values()) or not (arrays["weights"] > 0).all():
            raise ValueError("the arrays of a kernel regressor are not finite")
        self.alpha_, self.gamma_, self.intercept_, self.scale_ = (float(number) for number in arrays["numbers"])
        self.rows_, self.dual_coef_, self.weights_ = np.asarray(rows, np.float64), arrays["dual"], arrays["weights"]
        self.n_features_in_ = rows.shape[1]
        return self

    def _kernel(self, X: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
        """Compare rows with those of the training, (m, n)."""
        kernel: NDArray[np.float64]
        if self.kernel == "linear":
            kernel = X @ self.rows_.T / X.shape[1]
        elif self.kernel == "laplacian":
            kernel = np.exp(-gamma * mean_distances(X, self.rows_))
        else:
            r = gamma * cdist(X, self.rows_) / np.sqrt(X.shape[1])
            kernel = (1 + r) * np.exp(-r)
        return kernel

    def _solve(self, y: NDArray[np.float64]) -> None:
        """Train on every row with the chosen strength."""
        self._factored = None
        of_one, of_y = cho_solve(self._factor(), np.stack([np.ones(len(y)), y], 1), check_finite=False).T
        self.intercept_ = float(of_y.sum() / of_one.sum())
        self.dual_coef_ = of_y - self.intercept_ * of_one
        self.scale_ = float(np.sqrt(max((y - self.intercept_) @ self.dual_coef_, 0.0) / len(y)))

    def _factor(self) -> Any:
        """Cholesky factor of the training kernel; a restored or copied model makes it when it is first needed."""
        if getattr(self, "_factored", None) is None:
            ridge = np.diag(self.alpha_ / self.weights_)
            self._factored = cho_factor(self._kernel(self.rows_, self.gamma_) + ridge, check_finite=False)
        return self._factored

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_factored", None)
        return state


def _likelihoods(spectrum: Spectrum, root: NDArray[np.float64], target: NDArray[np.float64]) -> list[float]:
    """Minus two log likelihoods of the labels for each penalty, less constants, intercept and amplitude at their best.

    ``root`` (n,) are the roots of the sample weights; the spectrum is that of the weighted kernel, and the target
    (n,) is multiplied by the roots.
    """
    one, y, found = spectrum.vectors.T @ root, spectrum.vectors.T @ target, []
    for alpha in ALPHAS:
        inverse = 1 / (spectrum.values + alpha)
        rest = y - one * (one @ (inverse * y)) / (one @ (inverse * one))
        variance = max(float(rest @ (inverse * rest)) / len(y), 1e-300)
        found.append(len(y) * np.log(variance) + float(np.log(spectrum.values + alpha).sum()))
    return found


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
        """Grow the trees.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,) or None, default=None
            Weight of each row.

        Returns
        -------
        self
        """
        from sklearn.ensemble import ExtraTreesRegressor

        # Single precision is what trees are made of.
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True)
        looked_at = min(X.shape[1], round(_SPLIT * X.shape[1] ** 0.5))
        forest = ExtraTreesRegressor(_TREES, max_features=looked_at, random_state=self.random_state, n_jobs=self.n_jobs)
        trees = [tree.tree_ for tree in forest.fit(X, y, sample_weight).estimators_]
        width = max(tree.node_count for tree in trees)
        self.feature_ = _table([tree.feature for tree in trees], width, np.int32)
        self.left_ = _table([tree.children_left for tree in trees], width, np.int32)
        self.right_ = _table([tree.children_right for tree in trees], width, np.int32)
        self.threshold_ = _table([tree.threshold for tree in trees], width, np.float64)
        self.value_ = _table([tree.value[:, 0, 0] for tree in trees], width, np.float64)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows.
        return_std : bool, default=False
            Whether to return the standard deviation among trees too.

        Returns
        -------
        ndarray of shape (m,), or a pair of them
        """
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
        """Say what each column adds to predictions, see `skdim.evaluation._slopes`.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Rows.
        start : ndarray of shape (d,)
            A row to compare them with.

        Returns
        -------
        Slopes
        """
        return tree_slopes(np.asarray(X, np.float32), np.asarray(start, np.float32), self.to_arrays())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned."""
        return {name: getattr(self, f"{name}_") for name in ("feature", "left", "right", "threshold", "value")}

    def restore(self, arrays: dict[str, NDArray[Any]], rows: NDArray[Any]) -> Self:
        """Take back what `to_arrays` gave.

        Parameters
        ----------
        arrays : dict of ndarray
            By name.
        rows : ndarray of shape (n, d)
            Training rows; only their columns count.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If they do not fit together.
        """
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
        for name, array in arrays.items():
            setattr(self, f"{name}_", array)
        self.n_features_in_ = columns
        return self


READOUTS: dict[str, Any] = {
    "ridge": KernelRegressor("linear"),
    "laplacian": KernelRegressor("laplacian"),
    "gaussian": KernelRegressor("matern", "likelihood"),
    "trees": TreesRegressor(),
}
"""Regressors that a model chooses from, by name, not fitted."""


def _table(rows: Sequence[NDArray[Any]], width: int, dtype: Any) -> NDArray[Any]:
    """Put rows of different lengths into one array, filled up with -1."""
    table = np.full((len(rows), width), -1, dtype)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table
