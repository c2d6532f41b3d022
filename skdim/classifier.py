"""From crystals labelled with classes to calibrated probabilities: `CrystalClassifier`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from skdim._classes import calibrator, indicators, rare, read_classes, softmax, softmax_form
from skdim._classmodel import guess_loss, row_weights, try_regressor
from skdim._crystalpredictor import LEAST, CrystalPredictor, as_part, of_one_fit, part_of, whole_or_not_at_all
from skdim._fields import CLASSES, ERROR
from skdim._labels import as_said, check_lengths, cut_into_folds, read_groups, spread_out
from skdim._parameters import check, check_are_numbers, choice, integer, seed_of
from skdim.crystals.rows import listed
from skdim.evaluation._readouts import READOUTS
from skdim.exceptions import InputError
from skdim.points.featurizer import n_rows
from skdim.points.twins import together, twins
from skdim.scoring import accuracy_of_predicted

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_LEAST_OF_A_CLASS = 3


class CrystalClassifier(ClassifierMixin, CrystalPredictor):
    """Classes of crystals from few labels, with calibrated probabilities.

    Regressors on the vectors of an embedder learn for each class whether a crystal belongs to it. What models say of
    rows that they have not seen is turned into probabilities by logistic regression (Platt scaling, for several classes
    at once), and the regressor with the lowest log loss is kept.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder, path of a saved one, name of a pretrained one, or None, default=None
        As for `CrystalRegressor`.
    regressors : sequence of str, default=("ridge", "laplacian", "trees")
        What to choose from: any of "ridge", "laplacian", "gaussian" and "trees".
    class_weight : {"balanced"} or None, default="balanced"
        "balanced": classes count alike in training, and ``predict`` gives the class whose probability exceeds its share
        among the labels by most, so that rare classes are found. None: rows count alike, and ``predict`` gives the most
        probable class. Probabilities are calibrated to the shares among the labels in both cases.
    cv : int, default=10
        Most folds inside the labels; each class is spread over them, groups and near-duplicates are kept together.
    n_jobs : int or None, default=None
        Processes that featurize, and threads in which the folds run. None is 1, -1 all processors.
    device, on_error, random_state, verbose
        As for `CrystalRegressor`.

    Attributes
    ----------
    classes_ : ndarray
        The classes, sorted.
    chosen_ : str
        The regressor that was chosen.
    losses_ : dict of str to float
        Log loss of each by cross-validation; "shares" is that of the shares of the classes.
    held_out_ : ndarray of shape (C, K)
        Probabilities of each labelled row of ``fit``; neither the model nor its calibration has seen the label. NaN
        elsewhere.
    labelled_ : ndarray of int
        Rows of ``fit`` that have a label.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    InputError
        If a parameter is not accepted, fewer than 10 rows are labelled, there is but one class, a class has fewer than
        3 labels, or all rows are of one group.

    Examples
    --------
    >>> from skdim import CrystalClassifier
    >>> from skdim.datasets import load_band_gap
    >>> crystals, gaps = load_band_gap(return_X_y=True)
    >>> classes = ["wide" if gap > 3 else "narrow" for gap in gaps]
    >>> model = CrystalClassifier(regressors=["ridge"], random_state=0).fit(crystals[:80], classes[:80])
    >>> model.classes_.tolist(), model.predict_proba(crystals[80:82]).shape
    (['narrow', 'wide'], (2, 2))
    """

    _facts: ClassVar = {"classes": CLASSES, "chosen": choice(*READOUTS), "losses": {"*": ERROR}}

    def __init__(
        self,
        embedder: Any = None,
        regressors: Sequence[str] = ("ridge", "laplacian", "trees"),
        class_weight: str | None = "balanced",
        cv: int = 10,
        device: str = "auto",
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.regressors = regressors
        self.class_weight = class_weight
        self.cv = cv
        self.device = device
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @whole_or_not_at_all
    def fit(self, X: Any, y: Any, groups: Any = None) -> CrystalClassifier:
        """Choose a regressor and train it on the labelled crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures of any accepted kind.
        y : array-like of shape (C,)
            Class of each: texts, numbers or booleans; None, NaN or an empty text where it is not known.
        groups : array-like of shape (C,) or None, default=None
            Rows of one group are never on both sides of a fold.

        Returns
        -------
        self
        """
        self._check()
        X = listed(X)
        labels, known = read_classes(y)
        check_lengths(n_rows(X), len(labels))
        own = None if groups is None else read_groups(groups, len(labels))
        points, valid = self._start(X)
        self.labelled_ = np.flatnonzero(valid & known)
        classes = labels[self.labelled_]
        _check_enough(classes, as_said(y))
        self.classes_, target = np.unique(np.array(classes.tolist()), return_inverse=True)
        labelled = points[self.labelled_]
        vectors = self._remember(X, labelled)
        own = together(None if own is None else own[self.labelled_], twins(labelled, vectors))
        self._choose(vectors.astype(np.float64), target, own)
        held = np.full((len(labels), len(self.classes_)), np.nan)
        held[self.labelled_] = self._held_out
        self.held_out_ = held
        return self

    @of_one_fit
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
        check_is_fitted(self, "classes_")
        vectors, _, valid = self._embed(X)
        return spread_out(self._probabilities(vectors), valid)

    @of_one_fit
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
        check_is_fitted(self, "classes_")
        vectors, _, valid = self._embed(X)
        return spread_out(self.classes_[self.decided(self._probabilities(vectors))], valid, None)

    @of_one_fit
    def predict_frame(self, X: Any, coverage: float = 0.9) -> pd.DataFrame:
        """Predict crystals, and say how far to trust each prediction.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        coverage : ignored
            Probabilities need none.

        Returns
        -------
        DataFrame of C rows
            ``prediction``, ``probability_`` of each class, then ``distance`` to ``flags`` as of `CrystalRegressor`.
        """
        check_is_fitted(self, "classes_")
        X = listed(X)
        vectors, points, valid = self._embed(X)
        shares = self._probabilities(vectors)
        decided = self.classes_[self.decided(shares)].astype(object)
        columns: dict[str, Any] = {"prediction": spread_out(decided, valid, None)}
        table = spread_out(shares, valid)
        columns |= {f"probability_{kind}": table[:, k] for k, kind in enumerate(self.classes_)}
        return self._trust_frame(columns, vectors, points, valid, X)

    @of_one_fit
    def explain(self, X: Any) -> pd.DataFrame:
        """Take log-odds of the classes apart: what kinds of column, elements and sites add to them.

        What is explained is how much more probable a class is than the others: the logarithm of its probability, less
        the mean of those of the others. Of two classes these are the log-odds. It begins with that for the mean of the
        labelled vectors; see `CrystalRegressor.explain`, also for the errors.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        DataFrame
            For each usable crystal and class one line for each part, with the columns ``crystal``, ``class``, ``part``,
            ``name``, ``share`` and ``contribution``: start and all kinds make the sum, and so do start and all
            elements, and start and all sites.

        Examples
        --------
        >>> from skdim import CrystalClassifier
        >>> from skdim.datasets import load_band_gap
        >>> crystals, gaps = load_band_gap(return_X_y=True)
        >>> classes = ["wide" if gap > 3 else "narrow" for gap in gaps]
        >>> model = CrystalClassifier(regressors=["ridge"], random_state=0).fit(crystals[:80], classes[:80])
        >>> table = model.explain(crystals[80:81])
        >>> table["class"].unique().tolist(), table["part"].unique().tolist()
        (['narrow', 'wide'], ['start', 'kind', 'element', 'site', 'sum'])
        """
        from skdim._explanation import Mixture, explanation

        check_is_fitted(self, "classes_")
        X = listed(X)
        start, n = self.domain_.vectors.astype(np.float64).mean(0), len(self.classes_)
        against = (n * np.eye(n) - 1) / (n - 1)  # each class, less the mean of the others
        slopes, offsets = self.slopes_ @ against, self.offsets_ @ against
        learned = [(Mixture(self.models_, slopes[:, k], float(offsets[k])), start) for k in range(n)]
        return explanation(self.embedder_, X, self._usable(X), learned, self.classes_.tolist(), "class")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the accuracy; with class_weight="balanced" the mean over the classes. Rows without a label do not count.

        Parameters
        ----------
        X, y
            As for `fit`.
        sample_weight : array-like of shape (C,) or None, default=None
            Of the rows.

        Returns
        -------
        float
        """
        labels, known = read_classes(y)
        return accuracy_of_predicted(self.predict(X), labels, known, sample_weight, bool(self.class_weight))

    def _check(self) -> None:
        """Check the parameters that no other function checks."""
        check("class_weight", self.class_weight, choice("balanced", None))
        check("cv", self.cv, integer(2))
        self._check_regressors(READOUTS)

    def _choose(self, V: NDArray[np.float64], target: NDArray[np.int64], groups: NDArray[Any] | None) -> None:
        """Try every regressor by cross-validation, and keep the one with the lowest log loss."""
        seed, counts = seed_of(self.random_state), np.bincount(target)
        self.shares_ = counts / counts.sum()
        splits = list(cut_into_folds(len(target), min(self.cv, int(counts.min())), seed, groups, target))
        self.splits_, self.seed_ = splits, seed
        for train, _ in splits:
            absent = np.setdiff1d(np.arange(len(counts)), target[train])
            if len(absent):
                raise InputError(
                    f"without one fold of groups no label of the class '{self.classes_[absent[0]]}' is left to learn "
                    "from; each class must be in several groups, and not in near-duplicates of one crystal only. Leave "
                    "these rows out, or use smaller groups."
                )
        weights = row_weights(target, bool(self.class_weight))
        candidates = self.candidates(seed)
        tried = {
            name: try_regressor(regressor, V, target, weights, splits, self.n_jobs)
            for name, regressor in candidates.items()
        }
        self.losses_ = {"shares": guess_loss(target)} | {name: one.loss for name, one in tried.items()}
        self.chosen_ = min(self.regressors, key=lambda name: self.losses_[name])
        self._held_out = tried[self.chosen_].probabilities
        self.slopes_, self.offsets_ = softmax_form(calibrator(tried[self.chosen_].held_out, target))
        table = indicators(target, len(counts))
        self.models_ = candidates[self.chosen_].fit_each(V, table, weights)

    def _probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities, (m, K)."""
        if not len(vectors):
            return np.empty((0, len(self.classes_)))
        with np.errstate(over="ignore", invalid="ignore"):  # which the check tells
            scores = np.stack([model.predict(vectors) for model in self.models_], 1) @ self.slopes_ + self.offsets_
        check_are_numbers("probabilities", scores, np.arange(len(scores)))
        return softmax(scores)

    def decided(self, shares: NDArray[np.float64]) -> NDArray[np.int64]:
        """Decide for classes by their probabilities.

        Parameters
        ----------
        shares : ndarray of shape (m, K)
            Probabilities.

        Returns
        -------
        ndarray of int64, shape (m,)
            Place of each class in ``classes_``.
        """
        decided: NDArray[np.int64] = np.argmax(shares / self.shares_ if self.class_weight else shares, axis=1)
        return decided

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned, as facts and arrays."""
        facts = {
            "own_embedder": self.embedder is not None,
            "classes": self.classes_.tolist(),
            "chosen": self.chosen_,
            "losses": self.losses_,
        }
        arrays = {"slopes": self.slopes_, "offsets": self.offsets_, "shares": self.shares_, "held_out": self.held_out_}
        for number, model in enumerate(self.models_):
            arrays |= as_part(model.to_arrays(), number)
        return facts, arrays

    def _restore(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Build the regressors of their arrays."""
        self.classes_, self.chosen_, self.losses_ = np.array(facts["classes"]), facts["chosen"], facts["losses"]
        self.slopes_, self.offsets_ = arrays["slopes"], arrays["offsets"]
        self.shares_, self.held_out_ = arrays["shares"], arrays["held_out"]
        n_classes, used = len(self.classes_), self.slopes_.shape[0]
        shapes = self.slopes_.shape, self.offsets_.shape, self.shares_.shape
        if used < 1 or shapes != ((used, n_classes), (n_classes,), (n_classes,)):
            raise KeyError("calibration of another shape")
        bare, vectors = READOUTS[self.chosen_], self.domain_.vectors
        self.models_ = [clone(bare).restore(part_of(arrays, number), vectors) for number in range(used)]


def _check_enough(classes: NDArray[Any], which: str) -> None:
    """Refuse labels from which nothing can be chosen and tested."""
    names, counts = np.unique(classes.astype(str), return_counts=True)
    if len(classes) < LEAST:
        raise InputError(f"{which} has {len(classes)} labelled usable rows; at least {LEAST} are needed.")
    if len(names) < 2:
        raise InputError(
            f"{which} is '{names[0]}' in all {len(classes)} labelled rows; at least two classes are needed."
        )
    if few := rare(names, counts, _LEAST_OF_A_CLASS):
        raise InputError(
            f"{which} has fewer than {_LEAST_OF_A_CLASS} labels of {few}; each class needs that many. Leave "
            "these rows out, or join classes."
        )
