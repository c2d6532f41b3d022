"""Kernel ridge regression that chooses its penalty and length scale, and tells how unsure it is."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim._labels import check_held_out_once, check_labels, cut_into_folds
from skdim._parameters import check, choice
from skdim.evaluation._slopes import Slopes, kernel_slopes
from skdim.exceptions import InputError
from skdim.learning.ridge import Spectrum, held_out_residuals, minus_log_likelihoods

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNELS = ("linear", "laplacian", "matern")
_FOLDS = 5
ALPHAS = tuple(float(f"{a:.3g}") for a in np.geomspace(1e-5, 1e2, 15))
GAMMAS = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0)


def check_positive(name: str, values: Sequence[float]) -> None:
    """Refuse a parameter that is no sequence of positive numbers."""
    if not len(values) or not all(value > 0 for value in values):
        raise ValueError(f"{name} must be a sequence of positive numbers, got {values!r}.")


def partition(cv: Any, X: NDArray[Any], y: NDArray[Any], groups: Any = None) -> list[NDArray[np.int64]]:
    """Cut rows into folds as scikit-learn's ``cv`` does, and return those of each, which must hold each row once."""
    if isinstance(cv, int | np.integer) and cv > len(y):
        raise InputError(f"cv={cv} needs at least {cv} rows, got {len(y)}: give more rows, or a smaller cv.")
    folds = [np.asarray(held_out) for _, held_out in check_cv(cv).split(X, y, groups)]
    check_held_out_once(cv, folds, len(y))
    return folds


def mean_distances(X: NDArray[Any], Y: NDArray[Any]) -> NDArray[np.float64]:
    """Mean absolute difference over the columns between rows (n, d) and (m, d): (n, m).

    Examples
    --------
    >>> mean_distances(np.array([[0.0, 0.0]]), np.array([[1.0, 3.0]]))
    array([[2.]])
    """
    distances: NDArray[np.float64] = cdist(X, Y, "cityblock") / X.shape[1]
    return distances


class KernelRidgeCV(RegressorMixin, BaseEstimator):
    r"""Kernel ridge regression with an intercept, sample weights and a standard deviation, which chooses its strength.

    The prediction is :math:`k(x)^T G (y - b)` with :math:`G = (K + \alpha W^{-1})^{-1}`, the variance
    :math:`\sigma^2 (\alpha + k(x, x) - k(x)^T G k(x))`: that of a Gaussian process with this kernel. One
    eigendecomposition for each length scale serves every fold and every penalty, so trying all of them costs little
    more than one fit.

    Parameters
    ----------
    kernel : {"linear", "laplacian", "matern"}, default="linear"
        "linear": the mean product over the columns, which is ridge regression with alpha divided by the number of
        columns. "laplacian": :math:`e^{-\gamma d}` with d the mean absolute difference over the columns. "matern":
        :math:`(1 + r) e^{-r}`, with r the root mean square difference over the columns times :math:`\gamma`; smoother.
    alphas : sequence of float
        Penalties to choose from.
    gammas : sequence of float
        Inverse length scales to choose from; a linear kernel has none.
    cv : int, cross-validation splitter, iterable of splits or None, default=5
        Folds. An int takes consecutive rows for a fold: shuffle rows that have an order. None shuffles them into five,
        and keeps groups together.
    precomputed : bool, default=False
        Whether X holds the distances d between the rows and the training rows instead (laplacian only).
    choice : {"error", "likelihood"}, default="error"
        How :math:`\alpha` and :math:`\gamma` are chosen: by the mean absolute error over the folds, or by the
        likelihood of the labels, as a Gaussian process does.

    Attributes
    ----------
    alpha_, gamma_ : float
        The chosen penalty and inverse length scale; the latter is 1 for a linear kernel.
    cv_error_ : float
        Mean absolute error of the choice over the folds, in the units of y; NaN if the likelihood has chosen.
    dual_coef_ : ndarray of shape (n,)
        Weight of each training row in a prediction.
    intercept_, scale_ : float
        Constant b and :math:`\sigma`.
    rows_ : ndarray of shape (n, d), or None
        Training rows, but for those of weight 0; None if precomputed.
    weights_ : ndarray of shape (n,)
        Sample weights, of mean 1.
    n_features_in_ : int
        Number of columns seen in `fit`.

    See Also
    --------
    LaplacianKernelRidge : The same with the Laplacian kernel, usually the best choice on crystal vectors.

    References
    ----------
    O. Dubrule, "Cross validation of kriging in a unique neighborhood", J. Int. Assoc. Math. Geol. 15 (1983) 687.

    Examples
    --------
    >>> X = np.linspace(0, 1, 40)[np.random.default_rng(0).permutation(40), None]
    >>> model = KernelRidgeCV("laplacian").fit(X, X[:, 0] ** 2)
    >>> mean, std = model.predict([[0.5], [5.0]], return_std=True)
    >>> bool(abs(mean[0] - 0.25) < 0.01), bool(std[1] > 3 * std[0])
    (True, True)
    """

    rows_: NDArray[np.float64] | None

    def __init__(
        self,
        kernel: str = "linear",
        alphas: Sequence[float] = ALPHAS,
        gammas: Sequence[float] = GAMMAS,
        cv: Any = 5,
        precomputed: bool = False,
        choice: str = "error",
    ) -> None:
        self.kernel = kernel
        self.alphas = alphas
        self.gammas = gammas
        self.cv = cv
        self.precomputed = precomputed
        self.choice = choice

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose the strength and train on every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, or their distances, (n, n), if precomputed.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,) or None, default=None
            Weight of each row; rows of weight 0 are left out.
        groups : array-like of shape (n,) or None, default=None
            Labels of groups, for ``cv=None`` or a splitter that keeps groups together.

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
        self._train([self], X, y[None], sample_weight, groups)
        return self

    def fit_each(self, X: Any, Y: Any, sample_weight: Any = None) -> list[Self]:
        """Train a clone on each of several targets, which share what takes most of the time.

        Parameters
        ----------
        X : array-like of shape (n, d)
            As for `fit`.
        Y : array-like of shape (n, T)
            Targets.
        sample_weight : array-like of shape (n,) or None, default=None
            As for `fit`.

        Returns
        -------
        list of T estimators
            Each as `fit` makes it of that target.
        """
        self._check_parameters()
        X, Y = validate_data(self, X, Y, dtype=np.float64, y_numeric=True, multi_output=True, ensure_min_samples=2)
        models = [clone(self) for _ in Y.T]
        for model in models:
            model.n_features_in_ = X.shape[1]
        self._train(models, X, Y.T, sample_weight, None)
        return models

    def fit_parts(
        self, X: Any, y: Any, parts: Sequence[NDArray[np.int64]], sample_weight: Any = None, groups: Any = None
    ) -> tuple[list[Self], NDArray[np.float64]]:
        """Train a clone on some of the rows each, which share the distances between these.

        Parameters
        ----------
        X, y, sample_weight, groups : array-like
            As for `fit`.
        parts : sequence of P ndarrays of int
            Rows that each is trained on.

        Returns
        -------
        list of P estimators
            Each as `fit` makes it of its rows. They make their factors anew when they are first asked how unsure they
            are, as those of all folds would fill the memory.
        ndarray of shape (n, n)
            What `pairs` gives of all rows.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        weights, pairs = check_labels(y, sample_weight).weights, self._pairs_of(X, X)
        names = None if groups is None else np.asarray(groups)
        models = [clone(self) for _ in parts]
        for model, rows in zip(models, parts, strict=True):
            model.n_features_in_ = X.shape[1]
            own = None if names is None else names[rows]
            model._train([model], X[rows], y[rows][None], weights[rows], own, pairs[np.ix_(rows, rows)])
            model._factored = None
        return models, pairs

    def of_strength(self, other: KernelRidgeCV, y: NDArray[np.float64], pairs: NDArray[np.float64]) -> Self:
        """Train on the same rows, of which this is what `pairs` gives, with the strength that another has chosen."""
        model = copy.copy(self)
        model.alpha_, model.gamma_, model.cv_error_ = other.alpha_, other.gamma_, np.nan
        model._solve(y, self.of_pairs(pairs, other.gamma_))
        return model

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows, or their distances from the training rows, (m, n), if precomputed.
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
        known = np.einsum("ij,ij->i", kernel, cho_solve(self.factor(), kernel.T, check_finite=False).T)
        return mean, self.scale_ * np.sqrt(self.alpha_ + np.maximum(self.prior(X) - known, 0.0))

    def slopes(self, X: NDArray[Any], start: NDArray[Any]) -> Slopes:
        """Say what columns add to predictions of rows (m, d) beside that of a row (d,); see `evaluation._slopes`."""
        if self.rows_ is None:
            raise InputError("a model on precomputed distances knows no columns.")
        ends, begin = np.asarray(X, np.float64), np.asarray(start, np.float64)
        return kernel_slopes(ends, begin, self.rows_, self.dual_coef_, self.kernel, self.gamma_)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned, but for the training rows."""
        numbers = np.array([self.alpha_, self.gamma_, self.intercept_, self.scale_])
        return {"dual": self.dual_coef_, "weights": self.weights_, "numbers": numbers}

    def restore(self, arrays: dict[str, NDArray[Any]], rows: NDArray[Any]) -> Self:
        """Take back what `to_arrays` gave, with the training rows (n, d); a ValueError if they do not fit together."""
        if any(arrays[name].shape != (len(rows),) for name in ("dual", "weights")) or arrays["numbers"].shape != (4,):
            raise ValueError("the arrays of a kernel regressor do not fit its training rows")
        if not all(np.isfinite(array).all() for array in arrays.values()) or not (arrays["weights"] > 0).all():
            raise ValueError("the arrays of a kernel regressor are not finite")
        numbers = dict(zip(("alpha", "gamma", "intercept", "scale"), arrays["numbers"].tolist(), strict=True))
        least = min(self.alphas) / 1e3  # with less the kernel may have no inverse
        if not (numbers["alpha"] >= least and numbers["gamma"] > 0 and numbers["scale"] >= 0):
            raise ValueError(
                f"of a kernel regressor alpha must be >= {least:g}, gamma > 0 and scale >= 0, got {numbers}"
            )
        self.alpha_, self.gamma_, self.intercept_, self.scale_ = (float(number) for number in arrays["numbers"])
        self.rows_, self.dual_coef_, self.weights_ = np.asarray(rows, np.float64), arrays["dual"], arrays["weights"]
        self.n_features_in_ = rows.shape[1]
        return self

    def __sklearn_tags__(self) -> Any:
        """Say that cross-validation has to take columns as well as rows of precomputed distances."""
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.precomputed
        return tags

    def _check_parameters(self) -> None:
        """Refuse what cannot be fitted."""
        check("kernel", self.kernel, choice(*KERNELS))
        check("choice", self.choice, choice("error", "likelihood"))
        if self.precomputed and self.kernel != "laplacian":
            raise ValueError(f"precomputed=True needs kernel='laplacian', got {self.kernel!r}.")
        check_positive("alphas", self.alphas)
        check_positive("gammas", self.gammas)

    def _train(
        self,
        models: Sequence[Self],
        X: NDArray[Any],
        targets: NDArray[Any],
        sample_weight: Any,
        groups: Any,
        pairs: NDArray[np.float64] | None = None,  # (n, n) as `pairs` gives them, where they are known
    ) -> None:
        """Train as many models as there are targets (T, n): an eigendecomposition serves all of them."""
        if self.precomputed and X.shape[1] != len(X):
            raise ValueError(f"X must hold the distances of n rows from each other, shape (n, n), got {X.shape}.")
        weights = check_labels(targets[0], sample_weight).weights
        used = weights > 0
        if self.precomputed and not used.all():
            raise InputError("sample_weight must be > 0 in every row if precomputed=True; leave the others out.")
        rows, known = X[used], targets[:, used].astype(np.float64)
        for model in models:
            model.rows_ = None if self.precomputed else rows
            model.weights_ = weights[used] / weights[used].mean()
        first, tried = models[0], []
        splits = self._folds(rows, known[0], None if groups is None else np.asarray(groups)[used])
        pairs, root = first.pairs(rows) if pairs is None else pairs[np.ix_(used, used)], np.sqrt(first.weights_)
        gammas = (1.0,) if self.kernel == "linear" else self.gammas
        for gamma in gammas:
            spectrum = Spectrum.of(root[:, None] * self.of_pairs(pairs, gamma) * root)
            if self.choice == "error":
                residuals = np.abs(held_out_residuals(spectrum, root * known, self.alphas, splits, root))
                tried.append(residuals @ root / len(root))
            else:
                tried.append([minus_log_likelihoods(spectrum, root, root * target, self.alphas) for target in known])
        losses = np.stack(tried, 1)  # (T, gammas, alphas)
        for model, own, target in zip(models, losses, known, strict=True):
            of_gamma, of_alpha = np.unravel_index(own.argmin(), own.shape)
            model.gamma_, model.alpha_ = gammas[of_gamma], self.alphas[of_alpha]
            model.cv_error_ = float(own.min()) if self.choice == "error" else np.nan
            model._solve(target, self.of_pairs(pairs, model.gamma_))

    def _folds(self, X: NDArray[np.float64], y: NDArray[np.float64], groups: Any) -> list[NDArray[np.int64]]:
        """Rows of each fold."""
        if self.cv is not None:
            return partition(self.cv, X, y, groups)
        names = None if groups is None else groups.astype(str)
        if names is not None and len(np.unique(names)) < 2:
            names = None  # one group cannot be held out
        return [held_out for _, held_out in cut_into_folds(len(y), _FOLDS, 0, names)]

    def _kernel(self, X: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
        """Compare rows with those of the training, (m, n)."""
        return self.of_pairs(self.pairs(X), gamma)

    def pairs(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the kernel is made of, (m, n): mean products with the training rows, or distances from them."""
        return X if self.rows_ is None else self._pairs_of(X, self.rows_)

    def of_pairs(self, pairs: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
        """Kernel of what it is made of."""
        if self.kernel == "linear":
            return pairs
        scaled = gamma * pairs
        kernel: NDArray[np.float64] = np.exp(-scaled)
        return kernel if self.kernel == "laplacian" else (1 + scaled) * kernel

    def prior(self, X: NDArray[np.float64]) -> Any:
        """Kernel of each row (m, d) with itself."""
        return np.einsum("ij,ij->i", X, X) / X.shape[1] if self.kernel == "linear" else 1.0

    def _pairs_of(self, X: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the kernel is made of between any rows (m, d) and (n, d)."""
        if self.precomputed:
            return X
        pairs: NDArray[np.float64]
        if self.kernel == "linear":
            pairs = X @ rows.T / X.shape[1]
        elif self.kernel == "laplacian":
            pairs = mean_distances(X, rows)
        else:
            pairs = cdist(X, rows) / np.sqrt(X.shape[1])
        return pairs

    def _solve(self, y: NDArray[np.float64], kernel: NDArray[np.float64]) -> None:
        """Train on every row, of which this is the kernel, with the chosen strength."""
        self._factored = self._factor_of(kernel)
        of_one, of_y = cho_solve(self._factored, np.stack([np.ones(len(y)), y], 1), check_finite=False).T
        self.intercept_ = float(of_y.sum() / of_one.sum())
        self.dual_coef_ = of_y - self.intercept_ * of_one
        self.scale_ = float(np.sqrt(max((y - self.intercept_) @ self.dual_coef_, 0.0) / len(y)))

    def _factor_of(self, kernel: NDArray[np.float64]) -> Any:
        """Cholesky factor of a kernel with its penalty."""
        return cho_factor(kernel + np.diag(self.alpha_ / self.weights_), check_finite=False)

    def factor(self) -> Any:
        """Cholesky factor of the training kernel; a restored or copied model makes it when it is first needed."""
        if getattr(self, "_factored", None) is None:
            if self.rows_ is None:
                raise InputError("a copy of a model on precomputed distances cannot tell deviations; fit it again.")
            self._factored = self._factor_of(self._kernel(self.rows_, self.gamma_))
        return self._factored

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again."""
        state: dict[str, Any] = dict(super().__getstate__())
        if not self.precomputed:
            state.pop("_factored", None)
        return state
