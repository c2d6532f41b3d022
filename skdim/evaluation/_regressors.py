"""Named regressors for few labels, and the choice among them inside the labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, check_cv, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim.evaluation._forests import ForestCV
from skdim.evaluation._kernel_ridge import KernelRidgeCV
from skdim.evaluation._laplacian import LaplacianKernelRidge
from skdim.evaluation._mlp import FixedStepsMLP

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


REGRESSORS: dict[str, Callable[[], Any]] = {
    "median": lambda: DummyRegressor(strategy="median"),
    "linear": LinearRegression,
    "ridge": KernelRidgeCV,
    "kernel_ridge": LaplacianKernelRidge,
    "random_forest": lambda: RandomForestRegressor(_TREES, max_features=_THIRD),
    "extra_trees": lambda: ExtraTreesRegressor(_TREES, max_features=_THIRD),
    "random_forest_cv": lambda: ForestCV(RandomForestRegressor(_TREES)),
    "extra_trees_cv": lambda: ForestCV(ExtraTreesRegressor(_TREES)),
    "mlp": _tuned_network,
}
"""Makers of the named regressors. Each chooses its parameters by cross-validation on the labels it is given."""


class BestRegressor(RegressorMixin, BaseEstimator):
    """The regressor with the lowest cross-validated error on the labels, trained on all of them.

    With few labels the regressor matters as much as the features. All candidates are compared on the same folds of
    the training rows, and those with parameters to choose choose them on these folds.

    Parameters
    ----------
    regressors : sequence of str, or mapping of str to regressor
        Keys of `REGRESSORS`, or scikit-learn regressors by name.
    cv : int, cross-validation splitter or iterable of splits, default=5
        Folds, each row held out exactly once. An int takes consecutive rows for a fold: shuffle rows that have an
        order. For labels that come in groups pass GroupKFold and give the groups to `fit`.
    random_state : int or None, default=None
        Seeds each candidate that has no seed of its own.

    Attributes
    ----------
    best_name_ : str
        Name of the chosen regressor.
    best_regressor_ : regressor
        The chosen one, trained on every row.
    cv_errors_ : dict of str to float
        Mean absolute error over the folds of each candidate, in the units of y.
    cv_error_ : float
        The lowest of ``cv_errors_``, and so slightly optimistic.
    n_features_in_ : int
        Number of columns seen in `fit`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 4))
    >>> model = BestRegressor(["median", "ridge", "kernel_ridge"]).fit(X, X @ [1.0, 2.0, 0.0, -1.0])
    >>> model.best_name_
    'ridge'
    """

    def __init__(
        self,
        regressors: Sequence[str] | Mapping[str, Any] = ("ridge", "kernel_ridge", "extra_trees"),
        cv: Any = 5,
        random_state: int | None = None,
    ) -> None:
        self.regressors = regressors
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> BestRegressor:
        """Compare the candidates and train the best on every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        groups : array-like of shape (n_samples,), optional
            Labels of groups, for a splitter that keeps groups together.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a regressor is not known, or X or y is not finite.
        """
        candidates = resolve_regressors(self.regressors)
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        folds = list(check_cv(self.cv).split(X, y, groups))
        self.cv_errors_: dict[str, float] = {}
        found: dict[str, Any] = {}
        for candidate in candidates:
            regressor = seeded(candidate.regressor, self.random_state)
            if "cv" in regressor.get_params(deep=False):
                regressor.set_params(cv=folds)
            found[candidate.name] = regressor.fit(X, y)
            self.cv_errors_[candidate.name] = error_on_labels(regressor, X, y, folds)
        self.best_name_ = min(self.cv_errors_, key=lambda name: self.cv_errors_[name])
        self.best_regressor_, self.cv_error_ = found[self.best_name_], self.cv_errors_[self.best_name_]
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
        check_is_fitted(self, "best_regressor_")
        predicted: NDArray[np.float64] = self.best_regressor_.predict(validate_data(self, X, reset=False))
        return predicted


@dataclass(frozen=True)
class NamedRegressor:
    """A regressor by the name it has in the records."""

    name: str  # name in the records
    regressor: Any  # not fitted; a clone is

    @property
    def pairwise(self) -> bool:
        """Whether it takes distances between rows in place of rows."""
        return bool(get_tags(self.regressor).input_tags.pairwise)

    @property
    def ignores_features(self) -> bool:
        """Whether it predicts the same whatever the features, so that one feature set is enough."""
        return isinstance(self.regressor, DummyRegressor)

    def on_distances(self) -> NamedRegressor:
        """Return the same regressor on precomputed distances, where it has such a form."""
        if isinstance(self.regressor, KernelRidgeCV) and self.regressor.kernel == "laplacian":
            return NamedRegressor(self.name, clone(self.regressor).set_params(precomputed=True))
        return self

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
        """Train on labelled rows (n, d), or distances (n, n), and compare predictions with the truth on the test rows.

        ``seed`` is for each random_state of the regressor that is None. ``cv`` folds give the error estimated on the
        labels; None leaves it NaN unless the regressor has one anyway.
        """
        start = time.perf_counter()
        regressor = seeded(self.regressor, seed)
        predicted = regressor.fit(X, y).predict(X_test)
        cv_mae = error_on_labels(regressor, X, y, None if cv is None else KFold(cv))
        return {"cv_mae": cv_mae, **errors(y_test, predicted), "seconds": time.perf_counter() - start}


def errors(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    """Errors of predictions, as the records have them: ``mae``, ``rmse`` and ``r2``."""
    return {
        "mae": float(mean_absolute_error(y, predicted)),
        "rmse": float(root_mean_squared_error(y, predicted)),
        "r2": float(r2_score(y, predicted)),
    }


def seeded(regressor: Any, seed: int | None) -> Any:
    """Clone a regressor, with a seed wherever it has none."""
    fresh = clone(regressor)
    free = {
        name: seed
        for name, value in fresh.get_params().items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return fresh.set_params(**free)


def error_on_labels(fitted: Any, X: NDArray[np.float64], y: NDArray[np.float64], cv: Any) -> float:
    """Mean absolute error over folds of the labels: what the regressor found when it chose, or else that of refits."""
    if isinstance(fitted, KernelRidgeCV | ForestCV | BestRegressor):
        return float(fitted.cv_error_)
    if isinstance(fitted, GridSearchCV) and fitted.scoring == _MAE:
        return -float(fitted.best_score_)
    if cv is None:
        return float("nan")
    return float(np.abs(cross_val_predict(clone(fitted), X, y, cv=cv) - y).mean())


def resolve_regressors(regressors: Sequence[str] | Mapping[str, Any]) -> list[NamedRegressor]:
    """Make regressors from keys of `REGRESSORS`, or from a mapping of names to regressors.

    Examples
    --------
    >>> [one.name for one in resolve_regressors(["median", "ridge"])]
    ['median', 'ridge']
    """
    if isinstance(regressors, str):
        raise TypeError(f"regressors must be a list of names, got {regressors!r}; write [{regressors!r}].")
    accepted = f"names among {sorted(REGRESSORS)} or a mapping of names to regressors"
    if not len(regressors):
        raise ValueError(f"regressors must be {accepted}, got {regressors!r}.")
    if isinstance(regressors, Mapping):
        wrong = {name: one for name, one in regressors.items() if not hasattr(one, "predict") or isinstance(one, type)}
        if wrong:
            raise TypeError(f"regressors must map names to instances of scikit-learn regressors, got {wrong!r}.")
        return [NamedRegressor(name, one) for name, one in regressors.items()]
    unknown = [name for name in regressors if name not in REGRESSORS]
    if unknown or len(set(regressors)) < len(regressors):
        raise ValueError(f"regressors must be distinct {accepted}, got {list(regressors)!r}.")
    return [NamedRegressor(name, REGRESSORS[name]()) for name in regressors]
