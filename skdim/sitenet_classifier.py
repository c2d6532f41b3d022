"""`SiteNetClassifier`: classes of crystals from Site-Net, fine-tuned on labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassifierMixin

from skdim._classes import calibrator, indicators, rare, read_classes, softmax, softmax_form
from skdim._estimators import fit_tasks, with_callbacks
from skdim._labels import Labels, read_weights, spread_out
from skdim._parameters import check_are_numbers, check_parameters, choice, integer
from skdim._sitenet import ACCEPTED, EPOCHS, SiteNetModel
from skdim.exceptions import InputError, first_few
from skdim.learning.checkpoints import checkpoint_file
from skdim.learning.embedding import resolve_device
from skdim.learning.finetuning import FineTuning
from skdim.learning.presets import TrainingConfig
from skdim.learning.states import Classes
from skdim.scoring import accuracy_of_predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.learning.states import RegressorState
    from skdim.points.featurizer import CrystalPointSetTransformer

_ACCEPTED = ACCEPTED | {"cv": integer(2), "class_weight": choice("balanced", None)}
_LEAST_OF_A_CLASS = 2


class SiteNetClassifier(ClassifierMixin, SiteNetModel):
    """Classes of crystals from a Site-Net encoder with a head, trained together on few labels.

    The targets are indicators of the classes, the loss is the squared error [2]_, and the training is that of
    `SiteNetRegressor`: it starts at the ridge on the encoder's vectors, weighs their parts, trains encoder and head,
    and goes as far from the ridge as held-out labels say. Held-out predictions also make probabilities of predictions,
    by logistic regression (Platt scaling, for several classes at once).

    Parameters
    ----------
    embedder : fitted DeepInfoMaxEmbedder or SiteNetRegressor, path of a saved one, or None, default=None
        Encoder to start from, as for `SiteNetRegressor`.
    freeze : {"none", "local", "global", "both"}, default="none"
        What the training leaves as it is, as for `SiteNetRegressor`.
    head_width : int, default=64
        Hidden units of the head's curved path; 0 leaves the head linear.
    max_epochs : int or None, default=None
        Most passes over the labels, as for `SiteNetRegressor`.
    batch_pairs, learning_rate, weight_decay, n_ensemble, preset
        As for `SiteNetRegressor`.
    cv : int, default=5
        Most folds of the labels, over which each class is spread.
    class_weight : {"balanced"} or None, default="balanced"
        "balanced": classes count alike in training, and ``predict`` gives the class whose probability exceeds its share
        among the labels by most, so that rare classes are found. None: rows count alike, and ``predict`` gives the most
        probable class. Probabilities are calibrated to the shares among the labels in both cases.
    checkpoint_dir, device, on_error, n_jobs, random_state, verbose
        As for `SiteNetRegressor`.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        The classes, sorted.
    featurizer_ : CrystalPointSetTransformer
        The featurizer in use.
    state_ : RegressorState
        What was learned, as arrays and plain values.
    history_ : list of dict
        As of `SiteNetRegressor`.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If a parameter is not accepted, there is but one class, or a class has fewer than 2 labels.
    FloatingPointError
        If the training diverges; the message says what to change.
    KeyboardInterrupt
        If the user interrupts ``fit``, as for `SiteNetRegressor`.

    References
    ----------
    .. [1] Moran, Gusev, Gaultois, Antypov, Rosseinsky, "Establishing Deep InfoMax as an effective self-supervised
       learning methodology in materials informatics", arXiv 2407.00671.
    .. [2] L. Hui, M. Belkin, "Evaluation of neural architectures trained with square loss vs cross-entropy in
       classification tasks", arXiv 2006.07322.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetClassifier
    >>> from skdim.datasets import load_band_gap
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> classes = ["wide" if gap > 3 else "narrow" for gap in gaps]
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(structures[:60])
    >>> classifier = SiteNetClassifier(embedder, max_epochs=1, random_state=0).fit(structures[:40], classes[:40])
    >>> classifier.classes_.tolist(), classifier.predict_proba(structures[60:62]).shape
    (['narrow', 'wide'], (2, 2))
    """

    _of_classes = True

    def __init__(
        self,
        embedder: Any = None,
        freeze: str = "none",
        head_width: int = 64,
        max_epochs: int | None = None,
        batch_pairs: int = 4_000,
        learning_rate: float = 3e-4,
        weight_decay: float = 1e-2,
        cv: int = 5,
        class_weight: str | None = "balanced",
        n_ensemble: int = 1,
        preset: str = "default",
        checkpoint_dir: Any = None,
        device: str = "auto",
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.freeze = freeze
        self.head_width = head_width
        self.max_epochs = max_epochs
        self.batch_pairs = batch_pairs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.cv = cv
        self.class_weight = class_weight
        self.n_ensemble = n_ensemble
        self.preset = preset
        self.checkpoint_dir = checkpoint_dir
        self.device = device
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train on labelled crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures of any accepted kind, or point sets, which are used as they come.
        y : array-like of shape (C,)
            Class of each: texts, integers or booleans.
        sample_weight : array-like of shape (C,) or None
            Of the rows in the loss; rows of weight 0 are left out.
        groups : array-like of shape (C,) or None
            Rows of one group are held out together.

        Returns
        -------
        self
        """
        config = self._checked()
        checkpoint = checkpoint_file(self.checkpoint_dir, self.random_state, "member")
        given, start = _known_classes(y), self._start(X)
        weights = read_weights(sample_weight, len(given))
        names, target = np.unique(given, return_inverse=True)
        whole = Labels(indicators(target, len(names)), weights, False)
        labelled = self._labelled(X, whole, groups, start)
        target = target[labelled.rows]
        counts = np.bincount(target, minlength=len(names))
        _check_counts(names, counts)
        if self.class_weight:
            own = labelled.labels
            shares = np.bincount(target, own.weights)
            labelled = labelled._replace(labels=own._replace(weights=own.weights / shares[target]))
        choices = FineTuning(self.freeze, int(self.head_width), "mse", int(self.n_ensemble), self.max_epochs != 0)
        tasks = fit_tasks(self, X, y)
        state, found = self._fine_tune(labelled, start, choices, config, checkpoint, target, tasks=tasks)
        assert found.held_out is not None  # there are two labels of two classes at least
        held = found.held_out * state.target_scale.scale + state.target_scale.center
        slopes, offsets = softmax_form(calibrator(held, target))
        classes = Classes(tuple(names.tolist()), counts / counts.sum(), slopes, offsets)
        # Only now, so that a fit that fails leaves an earlier one whole.
        self._take(replace(state, classes=classes), start.featurizer)
        self._end(found, tasks)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        ndarray of shape (C, K)
            In the order of ``classes_``; NaN for rows that failed with on_error="nan".
        """
        return self._probabilities(X)[0]

    def _probabilities(self, X: Any) -> tuple[NDArray[np.float64], Classes]:
        """Probabilities of the classes, and these."""
        points, ensemble = self._points(X), self.ensemble_
        classes = ensemble.state.classes
        assert classes is not None  # fit and load have seen to it
        scores = ensemble.predict(points, resolve_device(self.device))
        with np.errstate(over="ignore", invalid="ignore"):  # which the check tells
            shares = scores @ classes.slopes + classes.offsets
        check_are_numbers("probabilities", shares[points.valid], np.flatnonzero(points.valid))
        return softmax(shares), classes

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the classes of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        ndarray of shape (C,)
            None for rows that failed with on_error="nan".
        """
        shares, classes = self._probabilities(X)
        valid = np.asarray(~np.isnan(shares).any(1))
        known = shares[valid] / classes.shares if self.class_weight else shares[valid]
        return spread_out(np.array(classes.names)[known.argmax(1)], valid, None)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the accuracy; with class_weight="balanced" the mean over the classes.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; rows that failed under on_error="nan" are left out with a warning.

        Returns
        -------
        float
        """
        classes = _known_classes(y)
        known = np.ones(len(classes), np.bool_)
        return accuracy_of_predicted(self.predict(X), classes, known, sample_weight, bool(self.class_weight))

    def _checked(self) -> TrainingConfig:
        """Check the parameters, and return those of the training."""
        check_parameters(self, _ACCEPTED)
        return self._training(patience=EPOCHS, validation_fraction=0.0)

    def _take(self, state: RegressorState, featurizer: CrystalPointSetTransformer, **more: Any) -> None:
        """Take over what was learned, and the classes."""
        assert state.classes is not None
        super()._take(state, featurizer, classes_=np.array(state.classes.names), **more)


def _known_classes(y: Any) -> NDArray[Any]:
    """Classes of rows, none of which may be unknown."""
    classes, known = read_classes(y)
    unknown = np.flatnonzero(~known)
    if len(unknown):
        raise InputError(
            f"y must be a class in every row, got NaN, None or an empty text at rows {first_few(unknown)}. Leave these "
            "rows out."
        )
    return np.array(classes.tolist())


def _check_counts(names: NDArray[Any], counts: NDArray[np.int64]) -> None:
    """Refuse labels of one class, and classes of which none could be held out."""
    if len(names) < 2:
        raise InputError(f"y is '{names[0]}' in all {counts.sum()} labelled rows; at least two classes are needed.")
    if few := rare(names, counts, _LEAST_OF_A_CLASS):
        raise InputError(
            f"y must have {_LEAST_OF_A_CLASS} labels of each class at least, got fewer of {few}. Leave "
            "these rows out, or join classes."
        )
