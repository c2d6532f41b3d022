"""Learning curves of estimators, measured and drawn in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import mean_absolute_error
from sklearn.utils import check_random_state

from skdim.crystals.rows import as_structures
from skdim.plotting._curves import plot_label_efficiency
from skdim.points.pointsets import PointSets

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


class LabelEfficiencyDisplay:
    """The error against the number of labels.

    Make it with `from_results` or `from_estimator`.

    Parameters
    ----------
    results : DataFrame
        As for `plot_label_efficiency`.
    metric : str, default="mae"
        Column to draw.
    unit : str, optional
        Unit of the targets.

    Attributes
    ----------
    ax_ : Axes
        With the curves.
    figure_ : Figure
        Of the axes.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, results: pd.DataFrame, *, metric: str = "mae", unit: str | None = None) -> None:
        self.results = results
        self.metric = metric
        self.unit = unit

    @classmethod
    def from_results(
        cls, results: pd.DataFrame, *, metric: str = "mae", unit: str | None = None, ax: Axes | None = None
    ) -> LabelEfficiencyDisplay:
        """Draw errors that are known.

        Parameters
        ----------
        results : DataFrame
            Tidy, one row a repeat, as `skdim.evaluation.label_efficiency` gives them; of one task.
        metric : str, default="mae"
            Column to draw.
        unit : str, optional
            Unit of the targets.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        LabelEfficiencyDisplay
        """
        return cls(results, metric=metric, unit=unit).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        test_mask: Any,
        *,
        label_counts: Sequence[int] = (50, 100, 250),
        n_repeats: int = 10,
        unit: str | None = None,
        random_state: Any = 0,
        n_jobs: int | None = None,
        ax: Axes | None = None,
    ) -> LabelEfficiencyDisplay:
        """Train estimators on random choices of labels, and draw their errors on the test fold.

        Parameters
        ----------
        estimators : regressor, or mapping of str to regressor
            Not fitted; clones are fitted on the labelled rows alone, the same for all of them.
        X : collection of n rows
            Crystals of any accepted kind, PointSets, or an array or DataFrame of features.
        y : array-like of shape (n,)
            Targets.
        test_mask : array-like of bool, shape (n,)
            True for the rows of the test fold.
        label_counts : sequence of int, default=(50, 100, 250)
            Numbers of labels.
        n_repeats : int, default=10
            Random choices of labels, for each number of labels.
        unit : str, optional
            Unit of the targets.
        random_state : int, RandomState instance or None, default=0
            Decides which rows are labelled.
        n_jobs : int or None, default=None
            Processes.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        LabelEfficiencyDisplay
            Its ``results`` have a row for each estimator, number of labels and repeat.

        Raises
        ------
        ValueError
            If there are fewer rows outside the test fold than labels asked for.

        Examples
        --------
        >>> import matplotlib
        >>> from sklearn.linear_model import Ridge
        >>> matplotlib.use("Agg")
        >>> X = np.random.default_rng(0).normal(size=(90, 3))
        >>> display = LabelEfficiencyDisplay.from_estimator(
        ...     Ridge(), X, X @ [1.0, 2.0, 3.0], np.arange(90) % 3 == 0, label_counts=(10, 20), n_repeats=2, unit="eV")
        >>> len(display.results), display.ax_.get_ylabel()
        (4, 'MAE on the test fold (eV)')
        """
        import pandas as pd

        named = dict(estimators) if isinstance(estimators, Mapping) else {type(estimators).__name__: estimators}
        rows, targets, mask = _indexable(X), np.asarray(y, np.float64), np.asarray(test_mask, bool)
        pool, test = np.flatnonzero(~mask), np.flatnonzero(mask)
        if max(label_counts) > len(pool):
            raise ValueError(
                f"label_counts must be at most {len(pool)}, the rows outside the test fold, got {label_counts}."
            )
        rng = check_random_state(random_state)
        repeats = [(n, k, rng.permutation(pool)[:n]) for n in label_counts for k in range(n_repeats)]
        jobs = (
            delayed(_error)(estimator, rows[drawn], targets[drawn], rows[test], targets[test])
            for estimator in named.values()
            for _, _, drawn in repeats
        )
        keys = [("", name, "", n, k) for name in named for n, k, _ in repeats]
        results = pd.DataFrame(keys, columns=["task", "features", "regressor", "labels", "repeat"])
        return cls(results.assign(mae=Parallel(n_jobs=n_jobs)(jobs)), unit=unit).plot(ax)

    def plot(self, ax: Axes | None = None) -> LabelEfficiencyDisplay:
        """Draw, as `plot_label_efficiency` does.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        self
        """
        self.ax_ = plot_label_efficiency(self.results, ax, metric=self.metric, unit=self.unit)
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        return self


def _indexable(X: Any) -> Any:
    """Rows that an array of positions can index; crystals are never looked into."""
    if isinstance(X, PointSets):
        return X
    if hasattr(X, "iloc") and getattr(X, "ndim", 1) == 2:
        return X.to_numpy()
    if isinstance(X, np.ndarray) and X.dtype != object:
        return X
    crystals = as_structures(X)
    return np.fromiter(crystals, dtype=object, count=len(crystals))


def _error(estimator: Any, X: Any, y: NDArray[np.float64], X_test: Any, y_test: NDArray[np.float64]) -> float:
    """Mean absolute error of a clone trained on some rows."""
    return float(mean_absolute_error(y_test, clone(estimator).fit(X, y).predict(X_test)))
