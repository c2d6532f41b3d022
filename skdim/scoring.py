"""Scores of the rows whose target is known and whose crystal could be used."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score, get_scorer, r2_score
from sklearn.utils import _safe_indexing

from skdim._labels import Known, check_lengths, read_weights, where_known
from skdim.exceptions import InputError, first_few

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["accuracy_of_predicted", "masked_scorer", "r2_of_predicted"]


def masked_scorer(scoring: str | Callable[..., float]) -> Callable[..., float]:
    """Make a scorer that scores only rows whose y is known, for cross-validation of a partly labelled y.

    Parameters
    ----------
    scoring : str or callable
        A name that scikit-learn knows, such as "neg_mean_absolute_error", or a scorer.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``, for ``scoring`` of cross_val_score, GridSearchCV and the like. It is a ValueError
        if no y is known; then use fewer folds, or folds that are drawn such that each has known ones.

    Raises
    ------
    ValueError
        If there is no scorer of that name.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyRegressor
    >>> from skdim import masked_scorer
    >>> model = DummyRegressor().fit(np.zeros((2, 1)), [1.0, 3.0])
    >>> masked_scorer("neg_mean_absolute_error")(model, np.zeros((3, 1)), [2.5, np.nan, 1.0])
    -0.75
    """
    return _MaskedScorer(get_scorer(scoring))


class _MaskedScorer:
    """A scorer behind a mask; a class, so that it can be pickled."""

    def __init__(self, scorer: Callable[..., float]) -> None:
        self._scorer = scorer

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score the rows whose y is known."""
        known = where_known(X, y, sample_weight)
        try:
            return self._score(estimator, known)
        except ValueError:
            # Metrics refuse NaN and cannot say whose crystals failed.
            predicted = np.asarray(estimator.predict(known.X)) if hasattr(estimator, "predict") else np.zeros(1)
            if not np.isnan(predicted).any():
                raise
        use = np.flatnonzero(have_prediction(predicted, known.rows))
        weights = None if known.weights is None else known.weights[use]
        return self._score(estimator, Known(_safe_indexing(known.X, use), known.y[use], weights, known.rows[use]))

    def _score(self, estimator: Any, known: Known) -> float:
        """Score these rows."""
        given = {} if known.weights is None else {"sample_weight": known.weights}
        return self._scorer(estimator, known.X, known.y, **given)

    def __repr__(self) -> str:
        return f"masked_scorer({self._scorer!r})"


def have_prediction(
    predicted: NDArray[np.floating],  # (n,) or (n, T) NaN for crystals that failed under on_error="nan"
    rows: NDArray[np.intp],  # (n,) what the warning calls them
) -> NDArray[np.bool_]:
    """Tell which rows have a prediction, and warn of those that have none; that none has is a ValueError."""
    missing: NDArray[np.bool_] = np.isnan(predicted.reshape(len(rows), -1)).any(1)
    failed = rows[missing]
    if len(failed):
        named = first_few(failed)
        if missing.all():
            raise InputError(
                f"none of the {len(rows)} rows to be scored has a prediction, as their crystals failed: rows {named}. "
                "At least one must be a usable crystal."
            )
        warnings.warn(
            f"{len(failed)} of {len(rows)} rows have no prediction, as their crystals failed, and are left out of the "
            f"score: rows {named}",
            UserWarning,
            stacklevel=4,
        )
    return ~missing


def r2_of_predicted(predicted: NDArray[np.floating], known: Known) -> float:
    """R2, mean over the targets, of the rows that have a prediction; a warning names the others."""
    use = have_prediction(predicted, known.rows)
    weights = None if known.weights is None else known.weights[use]
    return float(r2_score(known.y[use], predicted[use], sample_weight=weights))


def accuracy_of_predicted(
    predicted: NDArray[Any],  # (C,) classes, None for crystals that failed under on_error="nan"
    labels: NDArray[Any],  # (C,) the true ones
    known: NDArray[np.bool_],  # (C,) where these are known
    sample_weight: Any = None,  # of all rows
    balanced: bool = False,  # whether to take the mean over the classes
) -> float:
    """Accuracy over the rows whose class is known and that have a prediction; a warning names those that have none."""
    check_lengths(len(predicted), len(labels))
    rows = np.flatnonzero(known)
    if not len(rows):
        raise InputError(f"y must be known in at least one row to be scored: it is unknown in all {len(labels)} rows.")
    use = rows[have_prediction(np.array([np.nan if predicted[row] is None else 0.0 for row in rows]), rows)]
    weights = None if sample_weight is None else read_weights(sample_weight, len(labels))[use]
    measure = balanced_accuracy_score if balanced else accuracy_score
    return float(measure(labels[use].astype(str), predicted[use].astype(str), sample_weight=weights))
