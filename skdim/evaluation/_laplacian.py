"""Kernel ridge regression with the Laplacian kernel, under a name of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skdim.evaluation._kernel_ridge import ALPHAS, GAMMAS, KernelRidgeCV


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
    >>> import numpy as np
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
