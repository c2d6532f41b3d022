"""Labelled rows or their distances in, a kernel ridge regressor out, its parameters chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import check_cv
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHAS = tuple(float(f"{a:.3g}") for a in np.geomspace(1e-5, 1e2, 15))
GAMMAS = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0)


def mean_distances(X: NDArray[Any], Y: NDArray[Any]) -> NDArray[np.float64]:
    """Mean absolute difference over the columns, between rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    Y : ndarray of shape (m, d)
        Rows.

    Returns
    -------
    ndarray of shape (n, m)

    Examples
    --------
    >>> mean_distances(np.array([[0.0, 0.0]]), np.array([[1.0, 3.0]]))
    array([[2.]])
    """
    from scipy.spatial.distance import cdist

    distances: NDArray[np.float64] = cdist(X, Y, "cityblock") / X.shape[1]
    return distances


def held_out_residuals(
    kernel: NDArray[np.float64], y: NDArray[np.float64], alphas: Sequence[float], folds: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    r"""Residuals of kernel ridge regression with an intercept, each row predicted without its fold.

    With :math:`G = (K + \alpha)^{-1}` and :math:`G' = G - G 1 1^T G / 1^T G 1`, training without the rows I leaves
    them the residuals :math:`[G'_{II}]^{-1} [G' y]_I`: one eigendecomposition serves every fold and every alpha.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        Symmetric, positive semidefinite.
    y : ndarray of shape (n,)
        Targets.
    alphas : sequence of A floats
        Positive penalties.
    folds : sequence of ndarray
        Rows of each fold; every row is in one.

    Returns
    -------
    ndarray of shape (A, n)
        Target minus prediction.

    References
    ----------
    O. Dubrule, "Cross validation of kriging in a unique neighborhood", J. Int. Assoc. Math. Geol. 15 (1983) 687.
    """
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)  # what rounding made negative
    ones, target = vectors.sum(0), vectors.T @ y
    residuals = np.empty((len(alphas), len(y)))
    for row, alpha in zip(residuals, alphas, strict=True):
        inverse = 1 / (values + alpha)
        of_one = vectors @ (inverse * ones)
        total = ones @ (inverse * ones)
        dual = vectors @ (inverse * target) - of_one * (of_one @ y) / total
        for fold in folds:
            block = (vectors[fold] * inverse) @ vectors[fold].T - np.outer(of_one[fold], of_one[fold]) / total
            row[fold] = np.linalg.solve(block, dual[fold])
    return residuals


class KernelRidgeCV(RegressorMixin, BaseEstimator):
    r"""Kernel ridge regression with an intercept, its penalty and length scale chosen by exact cross-validation.

    The choice is the one with the lowest mean absolute error over the folds, at the price of one eigendecomposition
    for each length scale.

    Parameters
    ----------
    kernel : {"linear", "laplacian"}, default="linear"
        "linear": the mean product over the columns, which is ridge regression with alpha divided by the number of
        columns. "laplacian": :math:`e^{-\gamma d}` with d the mean absolute difference over the columns.
    alphas : sequence of float
        Penalties to choose from.
    gammas : sequence of float
        Inverse length scales to choose from (laplacian only).
    cv : int or cross-validation splitter, default=5
        Folds; an int cuts the rows in their order.
    precomputed : bool, default=False
        Whether X is a matrix of d between the rows and the training rows instead (laplacian only).

    Attributes
    ----------
    alpha_, gamma_ : float
        The choice; ``gamma_`` is None for a linear kernel.
    cv_error_ : float
        Its mean absolute error over the folds.
    dual_coef_ : ndarray of shape (n,)
        Weight of each training row.
    intercept_ : float
        Constant.

    Examples
    --------
    >>> X = np.linspace(0, 1, 40)[np.random.default_rng(0).permutation(40), None]
    >>> model = KernelRidgeCV("laplacian").fit(X, X[:, 0] ** 2)
    >>> bool(abs(model.predict([[0.5]])[0] - 0.25) < 0.01)
    True
    """

    def __init__(
        self,
        kernel: str = "linear",
        alphas: Sequence[float] = ALPHAS,
        gammas: Sequence[float] = GAMMAS,
        cv: Any = 5,
        precomputed: bool = False,
    ) -> None:
        self.kernel = kernel
        self.alphas = alphas
        self.gammas = gammas
        self.cv = cv
        self.precomputed = precomputed

    def fit(self, X: Any, y: Any) -> KernelRidgeCV:
        """Choose by cross-validation and train on every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, or their distances, (n, n), if precomputed.
        y : array-like of shape (n,)
            Targets.

        Returns
        -------
        self
        """
        self._check_parameters()
        X, y = check_array(X, dtype=np.float64), column_or_1d(y).astype(np.float64)
        check_consistent_length(X, y)
        assert_all_finite(y, input_name="y")
        if self.precomputed and X.shape[1] != len(X):
            raise ValueError(f"X has shape {X.shape}; accepted are distances of n rows from each other, (n, n).")
        self.n_features_in_ = X.shape[1]
        self._rows = None if self.precomputed else X
        pairs = self._pairs(X)
        folds = [held_out for _, held_out in check_cv(self.cv).split(X)]
        tried = [
            (np.abs(residuals).mean(), gamma, alpha)
            for gamma in (self.gammas if self.kernel == "laplacian" else (None,))
            for alpha, residuals in zip(
                self.alphas, held_out_residuals(_kernel(pairs, gamma), y, self.alphas, folds), strict=True
            )
        ]
        self.cv_error_, self.gamma_, self.alpha_ = min(tried, key=lambda t: t[0])
        self._solve(_kernel(pairs, self.gamma_), y)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows, or their distances from the n training rows, (m, n), if precomputed.

        Returns
        -------
        ndarray of shape (m,)
        """
        check_is_fitted(self, "dual_coef_")
        rows: NDArray[np.float64] = check_array(X, dtype=np.float64)
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(f"X has {rows.shape[1]} columns; this regressor was trained on {self.n_features_in_}.")
        predicted: NDArray[np.float64] = _kernel(self._pairs(rows), self.gamma_) @ self.dual_coef_ + self.intercept_
        return predicted

    def __sklearn_tags__(self) -> Any:
        """Say that cross-validation has to take columns as well as rows of precomputed distances."""
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.precomputed
        return tags

    def _check_parameters(self) -> None:
        """Refuse what cannot be fitted."""
        if self.kernel not in ("linear", "laplacian"):
            raise ValueError(f"kernel={self.kernel!r}; accepted are 'linear' and 'laplacian'.")
        if self.precomputed and self.kernel == "linear":
            raise ValueError("precomputed=True needs kernel='laplacian'; a linear kernel is not made of distances.")
        for name in ("alphas", "gammas"):
            values = getattr(self, name)
            if not len(values) or not all(v > 0 for v in values):
                raise ValueError(f"{name}={values!r}; accepted is a sequence of positive numbers.")

    def _pairs(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the kernel is made of: mean products or mean distances from the training rows."""
        if self._rows is None:
            return X
        if self.kernel == "linear":
            products: NDArray[np.float64] = X @ self._rows.T / X.shape[1]
            return products
        return mean_distances(X, self._rows)

    def _solve(self, kernel: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Train on every row with the chosen penalty."""
        from scipy.linalg import solve

        both = solve(
            kernel + self.alpha_ * np.eye(len(y)), np.stack([np.ones(len(y)), y], 1), assume_a="pos", check_finite=False
        )
        self.intercept_ = float(both[:, 1].sum() / both[:, 0].sum())
        self.dual_coef_ = both[:, 1] - self.intercept_ * both[:, 0]


def _kernel(pairs: NDArray[np.float64], gamma: float | None) -> NDArray[np.float64]:
    """Kernel of mean products, or of mean distances and an inverse length scale."""
    kernel: NDArray[np.float64] = pairs if gamma is None else np.exp(-gamma * pairs)
    return kernel
