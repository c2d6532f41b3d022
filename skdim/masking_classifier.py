"""`LabelMaskingClassifier`: pretrain on every crystal, train a classifier on those whose class is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from skdim._classes import read_classes
from skdim._labelmasking import LabelMasking, row_count
from skdim._labels import check_lengths, spread_out
from skdim.crystals.rows import listed
from skdim.exceptions import InputError
from skdim.scoring import accuracy_of_predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _has_probabilities(model: LabelMaskingClassifier) -> bool:
    """Whether the classifier gives probabilities."""
    return hasattr(getattr(model, "classifier_", model.classifier), "predict_proba")


class LabelMaskingClassifier(ClassifierMixin, LabelMasking):
    """Pretrain on every row, train a classifier on the few rows whose class is known.

    ``fit`` pretrains a clone of the embedder on all rows, then fits a clone of the classifier on the vectors of the
    labelled ones: those where y is not NaN, None or an empty text, and of those ``n_labels`` drawn at random [1]_.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder, another transformer of crystals, or FrozenEstimator of one
        As for `LabelMaskingRegressor`.
    classifier : classifier
        A clone of it is fitted on vectors and classes. One that has a parameter ``embedder`` itself, at any depth (such
        as SiteNetClassifier), gets the crystals instead, and starts from the embedder pretrained in that very fit; its
        own ``embedder`` must be None.
    n_labels : int or None, default=None
        How many of the labelled rows to use. None uses all.
    random_state, memory, checkpoint_dir
        As for `LabelMaskingRegressor`.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The classes, sorted.
    embedder_ : transformer
        Fitted on all rows.
    classifier_ : classifier
        Fitted on the labelled rows.
    labelled_ : ndarray of int, shape (n,)
        The rows the classifier was fitted on, in ascending order.

    Raises
    ------
    ValueError
        If a parameter is not accepted, if y holds numbers that are no classes, one class only or none, if lengths
        differ, or if fewer rows are labelled than ``n_labels``.

    References
    ----------
    .. [1] Moran et al., arXiv 2407.00671.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdim import DeepInfoMaxEmbedder, LabelMaskingClassifier
    >>> from skdim.datasets import load_band_gap
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> classes = ["wide" if gap > 3 else "narrow" for gap in gaps[:50]] + [None] * 50
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0)
    >>> model = LabelMaskingClassifier(embedder, LogisticRegression(C=0.01)).fit(structures[:100], classes)
    >>> len(model.labelled_), model.predict_proba(structures[100:102]).shape
    (50, (2, 2))
    """

    _part = "classifier"
    classifier_: Any

    def __init__(
        self,
        embedder: Any,
        classifier: Any,
        n_labels: int | None = None,
        random_state: Any = None,
        memory: Any = None,
        checkpoint_dir: Any = None,
    ) -> None:
        self.embedder = embedder
        self.classifier = classifier
        self.n_labels = n_labels
        self.random_state = random_state
        self.memory = memory
        self.checkpoint_dir = checkpoint_dir

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Pretrain on all rows and fit the classifier on the labelled ones.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            What the embedder takes. Rows that fail under its on_error="nan" count as not labelled.
        y : array-like of shape (C,)
            Texts, integers or booleans; NaN, None or an empty text where unknown.
        sample_weight : array-like of float, shape (C,), optional
            Handed to the classifier, which must accept it.

        Returns
        -------
        self
        """
        embedder, classifier = self._fresh()
        X = listed(X)
        classes, known = read_classes(y)
        check_lengths(row_count(embedder, X), len(classes))
        # Of one type again, which the unknown ones among them have hidden.
        plain = np.array(classes[known].tolist())
        targets = np.zeros(len(classes), plain.dtype)
        targets[known] = plain
        self._fit_labelled(X, targets, known, sample_weight, embedder, classifier)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the classes of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        ndarray of shape (C,)
            None for rows that failed under the embedder's on_error="nan".
        """
        found, usable = self._ask(X, "predict")
        return spread_out([] if found is None else found, usable, None)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probabilities of the classes, if the classifier does.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        ndarray of shape (C, K)
            In the order of ``classes_``; NaN for rows that failed under the embedder's on_error="nan".
        """
        found, usable = self._ask(X, "predict_proba")
        return spread_out(np.empty((0, len(self.classes_))) if found is None else found, usable)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the accuracy over the rows whose class is known; rows that failed are left out with a warning.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        float
        """
        classes, known = read_classes(y)
        return accuracy_of_predicted(self.predict(X), classes, known, sample_weight)

    def _check_targets(self, targets: NDArray[Any]) -> None:
        """Refuse labels of one class."""
        if len(targets) > 1 and len(np.unique(targets)) < 2:
            raise InputError(
                f"y is '{targets[0]}' in all {len(targets)} labelled rows; at least two classes are needed."
            )

    def _take(self, embedder: Any, part: Any, labelled: NDArray[np.intp]) -> None:
        """Take over what was learned, and the classes."""
        super()._take(embedder, part, labelled)
        self.classes_ = part.classes_
