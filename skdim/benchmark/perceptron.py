"""Labelled rows in, a small neural network out, trained for a fixed number of steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNLIMITED = 10**9
_FEWEST = 3  # passes, the first of which scikit-learn never counts as one without progress


class FixedStepsMLP(RegressorMixin, BaseEstimator):
    """Neural network of one hidden layer, trained by Adam for a fixed number of steps.

    With few labels it must not be trained until the loss stops falling; the number of steps is a choice as the penalty
    is, the same for any number of rows, and that training ends with it is nothing to warn of.

    Parameters
    ----------
    hidden_units : int, default=64
        Of the hidden layer.
    alpha : float, default=4.0
        Penalty on the squared weights, divided by the rows of a batch.
    steps : int, default=250
        Steps; the last pass over the rows is finished.
    batch_size : int, default=64
        Rows a step; all rows, if there are fewer.
    learning_rate : float, default=3e-3
        Of Adam.
    random_state : int, RandomState instance or None, default=None
        Of the first weights and of the order of the rows.

    Attributes
    ----------
    network_ : MLPRegressor
        The trained network.

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
        X : array-like of shape (n, d)
            Rows, standardised.
        y : array-like of shape (n,)
            Targets, standardised.

        Returns
        -------
        self
        """
        # Single precision: twice as fast, and noise of the order of the rows is larger than that of rounding.
        X, y = check_array(X, dtype=np.float32), column_or_1d(y).astype(np.float32)
        check_consistent_length(X, y)
        self.n_features_in_ = X.shape[1]
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
        X : array-like of shape (m, d)
            Rows.

        Returns
        -------
        ndarray of shape (m,)
        """
        check_is_fitted(self, "network_")
        return np.asarray(self.network_.predict(check_array(X, dtype=np.float32)), np.float64)
