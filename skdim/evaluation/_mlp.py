"""A small neural network trained for a fixed number of steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNLIMITED = 10**9
_FEWEST = 3  # passes; scikit-learn never counts the first as one without progress


class FixedStepsMLP(RegressorMixin, BaseEstimator):
    """Neural network of one hidden layer, trained by Adam for a fixed number of steps.

    With few labels, training until the loss stops falling overfits. The number of steps regularises as the penalty
    does; it is the same for any number of rows, and reaching it raises no ConvergenceWarning.

    Parameters
    ----------
    hidden_units : int, default=64
        Of the hidden layer.
    alpha : float, default=4.0
        Penalty on the squared weights, divided by the rows of a batch.
    steps : int, default=250
        Optimiser steps; the last pass over the rows is completed.
    batch_size : int, default=64
        Rows per step; all rows, if there are fewer.
    learning_rate : float, default=3e-3
        Of Adam.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights and the order of the rows.

    Attributes
    ----------
    network_ : MLPRegressor
        The trained network.
    n_features_in_ : int
        Number of columns seen in `fit`.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> model = FixedStepsMLP(alpha=1e-3, random_state=0).fit(X, X[:, 0])
    >>> bool(abs(model.predict([[0.5]])[0] - 0.5) < 0.1)
    True
    """

    def __init__(
        self,
        hidden_units: int = 64,
        alpha: float = 4.0,
        steps: int = 250,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        random_state: Any = None,
    ) -> None:
        self.hidden_units = hidden_units
        self.alpha = alpha
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> FixedStepsMLP:
        """Train.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, standardised.
        y : array-like of shape (n_samples,)
            Targets, standardised.

        Returns
        -------
        self
        """
        # Single precision: twice as fast, and the random order of the rows matters more than rounding.
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True, ensure_min_samples=2)
        y = y.astype(np.float32)
        size = min(self.batch_size, len(X))
        passes = max(math.ceil(self.steps / math.ceil(len(X) / size)), _FEWEST)
        self.network_ = MLPRegressor(
            hidden_layer_sizes=(self.hidden_units,),
            alpha=self.alpha,
            batch_size=size,
            learning_rate_init=self.learning_rate,
            # No pass counts as progress, so that training stops after as many, and not before.
            tol=_UNLIMITED,
            n_iter_no_change=passes - 2,
            max_iter=_UNLIMITED,
            random_state=self.random_state,
        ).fit(X, y)
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
        check_is_fitted(self, "network_")
        # Double precision: in single, what is predicted for a row depends on how many rows are predicted with it.
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.network_.predict(X))
