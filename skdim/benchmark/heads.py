"""Names of heads in, untrained regressors out; a regressor and labelled rows in, predictions and errors out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skdim.benchmark.forests import ForestCV
from skdim.benchmark.kernel_ridge import KernelRidgeCV
from skdim.benchmark.perceptron import FixedStepsMLP

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAE = "neg_mean_absolute_error"
# A third of the columns at each split: within 4% of the best of a tenth, a third and all, for learned vectors as well
# as for composition statistics, at 50 to 1000 labels.
_THIRD = 1 / 3
_TREES = 100
_ALPHAS = (1.0, 4.0, 16.0)


def _tuned_network() -> GridSearchCV:
    """Network that chooses its penalty on the labels it is given."""
    network = TransformedTargetRegressor(FixedStepsMLP(), transformer=StandardScaler())
    return GridSearchCV(network, {"regressor__alpha": _ALPHAS}, scoring=_MAE, cv=KFold(5))


HEADS: dict[str, Callable[[], Any]] = {
    "median": lambda: DummyRegressor(strategy="median"),
    "linear": LinearRegression,
    "ridge": lambda: KernelRidgeCV("linear"),
    "kernel_ridge": lambda: KernelRidgeCV("laplacian", precomputed=True),
    "random_forest": lambda: RandomForestRegressor(_TREES, max_features=_THIRD),
    "extra_trees": lambda: ExtraTreesRegressor(_TREES, max_features=_THIRD),
    "random_forest_cv": lambda: ForestCV(RandomForestRegressor(_TREES)),
    "extra_trees_cv": lambda: ForestCV(ExtraTreesRegressor(_TREES)),
    "mlp": _tuned_network,
}
"""Makers of the named heads. Every choice inside them is made by cross-validation on the labels they are given."""


@dataclass(frozen=True)
class Head:
    """A regressor on frozen vectors.

    Attributes
    ----------
    name : str
        Name in the records.
    regressor : scikit-learn regressor
        Not fitted; a clone is.
    """

    name: str
    regressor: Any

    @property
    def pairwise(self) -> bool:
        """Whether it takes distances between rows in place of rows."""
        return bool(get_tags(self.regressor).input_tags.pairwise)

    @property
    def ignores_features(self) -> bool:
        """Whether it predicts the same whatever the features, so that one feature set is enough."""
        return isinstance(self.regressor, DummyRegressor)

    def evaluate(
        self,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
        X_test: NDArray[np.float64],
        y_test: NDArray[np.float64],
        *,
        seed: int,
        cv: int | None,
    ) -> dict[str, float]:
        """Train on labelled rows and compare predictions with the truth on the test rows.

        Parameters
        ----------
        X, X_test : ndarray
            Rows (n, d) and (m, d), or distances from the labelled rows, (n, n) and (m, n), if pairwise.
        y, y_test : ndarray
            Targets (n,) and (m,).
        seed : int
            Of each random_state of the regressor that is None.
        cv : int or None
            Folds of the error estimated on the labels; None leaves it NaN unless the head comes by it anyway.

        Returns
        -------
        dict
            ``cv_mae``, ``mae``, ``rmse``, ``r2`` and ``seconds``.
        """
        start = time.perf_counter()
        regressor = seeded(self.regressor, seed)
        predicted = regressor.fit(X, y).predict(X_test)
        cv_mae = _cv_error(regressor, X, y, cv)
        return {
            "cv_mae": cv_mae,
            "mae": float(mean_absolute_error(y_test, predicted)),
            "rmse": float(root_mean_squared_error(y_test, predicted)),
            "r2": float(r2_score(y_test, predicted)),
            "seconds": time.perf_counter() - start,
        }


def seeded(regressor: Any, seed: int) -> Any:
    """Clone a regressor, with a seed wherever it has none."""
    fresh = clone(regressor)
    free = {
        name: seed
        for name, value in fresh.get_params().items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return fresh.set_params(**free)


def _cv_error(fitted: Any, X: NDArray[np.float64], y: NDArray[np.float64], cv: int | None) -> float:
    """Mean absolute error over folds of the labels: what the head found when it chose, or else of refits."""
    if isinstance(fitted, KernelRidgeCV | ForestCV):
        return float(fitted.cv_error_)
    if isinstance(fitted, GridSearchCV) and fitted.scoring == _MAE:
        return -float(fitted.best_score_)
    if cv is None:
        return float("nan")
    return float(np.abs(cross_val_predict(clone(fitted), X, y, cv=KFold(cv)) - y).mean())


def resolve_heads(heads: Sequence[str] | Mapping[str, Any]) -> list[Head]:
    """Make heads of names, or of a mapping from names to regressors.

    Parameters
    ----------
    heads : sequence of str, or mapping of str to regressor
        Keys of `HEADS`; or scikit-learn regressors by the name they have in the records.

    Returns
    -------
    list of Head

    Raises
    ------
    ValueError
        If there is none, or a name is not known.
    TypeError
        If something is no regressor.

    Examples
    --------
    >>> [head.name for head in resolve_heads(["median", "ridge"])]
    ['median', 'ridge']
    """
    if isinstance(heads, str):
        raise TypeError(f"heads={heads!r} is a single name; put it in a list: [{heads!r}].")
    if not len(heads):
        raise ValueError(f"heads={heads!r} is empty; accepted are {sorted(HEADS)} and mappings of names to regressors.")
    if isinstance(heads, Mapping):
        wrong = {name: head for name, head in heads.items() if not hasattr(head, "predict") or isinstance(head, type)}
        if wrong:
            raise TypeError(f"heads={wrong!r}: accepted are instances of scikit-learn regressors.")
        return [Head(name, head) for name, head in heads.items()]
    unknown = [name for name in heads if name not in HEADS]
    if unknown or len(set(heads)) < len(heads):
        raise ValueError(f"heads={list(heads)!r}; accepted are different ones of {sorted(HEADS)}.")
    return [Head(name, HEADS[name]()) for name in heads]
