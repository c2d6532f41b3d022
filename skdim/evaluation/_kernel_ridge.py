"""Kernel ridge regression whose penalty and length scale are chosen by exact cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim._parameters import check, choice
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHAS = tuple(float(f"{a:.3g}") for a in np.geomspace(1e-5, 1e2, 15))
GAMMAS = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0)


def check_positive(name: str, values: Sequence[float]) -> None:
    """Refuse what is no sequence of positive numbers.

    Parameters
    ----------
    name : str
        Name of the parameter.
    values : sequence of float
        Its value.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what is accepted.
    """
    if not len(values) or not all(value > 0 for value in values):
        raise ValueError(f"{name} must be a sequence of positive numbers, got {values!r}.")


def partition(cv: Any, X: NDArray[Any], y: NDArray[Any], groups: Any = None) -> list[NDArray[np.int64]]:
    """Cut rows into folds, each row in exactly one of them.

    Parameters
    ----------
    cv : int, cross-validation splitter or iterable of splits
        As scikit-learn takes it.
    X, y, groups : array-like of n rows
        For the splitter.

    Returns
    -------
    list of ndarray of int
        The held-out rows of each split.

    Raises
    ------
    ValueError
        If there are fewer rows than folds, or the held-out rows overlap or leave some out, as those of ShuffleSplit do.
    """
    if isinstance(cv, int | np.integer) and cv > len(y):
        raise InputError(f"cv={cv} needs at least {cv} rows, got {len(y)}: give more rows, or a smaller cv.")
    folds = [np.asarray(held_out) for _, held_out in check_cv(cv).split(X, y, groups)]
    if not np.array_equal(np.sort(np.concatenate(folds)), np.arange(len(y))):
        raise ValueError(f"cv must hold out every row exactly once, as KFold and GroupKFold do, got {cv!r}.")
    return folds


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


class Spectrum(NamedTuple):
    """Eigenvalues (n,) and eigenvectors, one a column (n, n), of a kernel."""

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]

    @classmethod
    def of(cls, kernel: NDArray[np.float64]) -> Spectrum:
        """Decompose a kernel; what rounding makes negative is zero."""
        values, vectors = np.linalg.eigh(kernel)
        return cls(np.maximum(values, 0.0), vectors)


def held_out_residuals(
    kernel: NDArray[np.float64] | Spectrum,
    y: NDArray[np.float64],
    alphas: Sequence[float],
    folds: Sequence[NDArray[np.int64]],
    ones: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    r"""Residuals of kernel ridge regression with an intercept, each row predicted without its fold.

    With :math:`G = (K + \alpha)^{-1}` and :math:`G' = G - G 1 1^T G / 1^T G 1`, training without the rows I leaves
    them the residuals :math:`[G'_{II}]^{-1} [G' y]_I`: one eigendecomposition serves every fold and every alpha.

    Parameters
    ----------
    kernel : ndarray of shape (n, n), or Spectrum
        Symmetric, positive semidefinite.
    y : ndarray of shape (n,)
        Targets.
    alphas : sequence of A floats
        Positive penalties.
    folds : sequence of ndarray
        Rows of each fold; every row is in one.
    ones : ndarray of shape (n,), optional
        What the intercept multiplies, by default ones. With sample weights w, all of kernel (on both sides), y and
        these are to be multiplied by their roots; so are the residuals.

    Returns
    -------
    ndarray of shape (A, n)
        Target minus prediction.

    References
    ----------
    O. Dubrule, "Cross validation of kriging in a unique neighborhood", J. Int. Assoc. Math. Geol. 15 (1983) 687.
    """
    values, vectors = kernel if isinstance(kernel, Spectrum) else Spectrum.of(kernel)
    ones = vectors.sum(0) if ones is None else vectors.T @ ones
    target = vectors.T @ y
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
    r"""Kernel ridge regression with an intercept; penalty and length scale are chosen by exact cross-validation.

    The choice has the lowest mean absolute error over the folds. One eigendecomposition for each length scale serves
    every fold and every penalty, so trying all of them costs little more than one fit.

    Parameters
    ----------
    kernel : {"linear", "laplacian"}, default="linear"
        "linear": the mean product over the columns, which is ridge regression with alpha divided by the number of
        columns. "laplacian": :math:`e^{-\gamma d}` with d the mean absolute difference over the columns.
    alphas : sequence of float
        Penalties to choose from.
    gammas : sequence of float
        Inverse length scales to choose from (laplacian only).
    cv : int, cross-validation splitter or iterable of splits, default=5
        Folds. An int takes consecutive rows for a fold: shuffle rows that have an order.
    precomputed : bool, default=False
        Whether X holds the distances d between the rows and the training rows instead (laplacian only).

    Attributes
    ----------
    alpha_ : float
        The chosen penalty.
    gamma_ : float or None
        The chosen inverse length scale; None for a linear kernel.
    cv_error_ : float
        Mean absolute error of the choice over the folds, in the units of y.
    dual_coef_ : ndarray of shape (n_samples,)
        Weight of each training row.
    intercept_ : float
        Constant.
    n_features_in_ : int
        Number of columns seen in `fit`.

    See Also
    --------
    LaplacianKernelRidge : The same with the Laplacian kernel, usually the best choice on crystal vectors.

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

    def fit(self, X: Any, y: Any, groups: Any = None) -> KernelRidgeCV:
        """Choose by cross-validation and train on every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or their distances, (n_samples, n_samples), if precomputed.
        y : array-like of shape (n_samples,)
            Targets.
        groups : array-like of shape (n_samples,), optional
            Labels of groups, for a splitter that keeps groups together.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is not accepted, X or y is not finite, or there are fewer rows than folds.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        y = y.astype(np.float64)
        if self.precomputed and X.shape[1] != len(X):
            raise ValueError(f"X must hold the distances of n rows from each other, shape (n, n), got {X.shape}.")
        self._rows = None if self.precomputed else X
        pairs = self._pairs(X)
        folds = partition(self.cv, X, y, groups)
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
        X : array-like of shape (m, n_features)
            Rows, or their distances from the training rows, (m, n_samples), if precomputed.

        Returns
        -------
        ndarray of shape (m,)
        """
        check_is_fitted(self, "dual_coef_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        predicted: NDArray[np.float64] = _kernel(self._pairs(X), self.gamma_) @ self.dual_coef_ + self.intercept_
        return predicted

    def __sklearn_tags__(self) -> Any:
        """Say that cross-validation has to take columns as well as rows of precomputed distances."""
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.precomputed
        return tags

    def _check_parameters(self) -> None:
        """Refuse what cannot be fitted."""
        check("kernel", self.kernel, choice("linear", "laplacian"))
        if self.precomputed and self.kernel == "linear":
            raise ValueError("precomputed=True needs kernel='laplacian'; a linear kernel is not made of distances.")
        check_positive("alphas", self.alphas)
        check_positive("gammas", self.gammas)

    def _pairs(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the kernel is made of: mean products with the training rows, or mean distances from them."""
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


class LaplacianKernelRidge(KernelRidgeCV):
    r"""Kernel ridge regression with the Laplacian kernel; penalty and length scale chosen by exact cross-validation.

    On vectors of crystals with some 50 to 1000 labels it is usually the best of the regressors here. The kernel is
    :math:`e^{-\gamma d}` with d the mean absolute difference over the columns, so columns should have comparable
    spreads. Those of `DeepInfoMaxEmbedder` have; put a StandardScaler before other features.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to choose from.
    gammas : sequence of float
        Inverse length scales to choose from.
    cv : int, cross-validation splitter or iterable of splits, default=5
        Folds. An int takes consecutive rows for a fold: shuffle rows that have an order.
    precomputed : bool, default=False
        Whether X holds the distances d between the rows and the training rows instead.

    Attributes
    ----------
    alpha_, gamma_ : float
        The chosen penalty and inverse length scale.
    cv_error_ : float
        Mean absolute error of the choice over the folds, in the units of y.
    dual_coef_ : ndarray of shape (n_samples,)
        Weight of each training row.
    intercept_ : float
        Constant.
    n_features_in_ : int
        Number of columns seen in `fit`.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(120, 3))
    >>> scores = cross_val_score(LaplacianKernelRidge(), X, np.abs(X).sum(1))
    >>> bool(scores.mean() > 0.9)
    True
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        gammas: Sequence[float] = GAMMAS,
        cv: Any = 5,
        precomputed: bool = False,
    ) -> None:
        super().__init__(kernel="laplacian", alphas=alphas, gammas=gammas, cv=cv, precomputed=precomputed)


def _kernel(pairs: NDArray[np.float64], gamma: float | None) -> NDArray[np.float64]:
    """Kernel of mean products, or of mean distances with an inverse length scale."""
    kernel: NDArray[np.float64] = pairs if gamma is None else np.exp(-gamma * pairs)
    return kernel
