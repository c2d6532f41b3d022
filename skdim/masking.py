"""Crystals and partly known labels in, predictions out: `LabelMaskingRegressor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted, has_fit_parameter

from skdim._labels import check_varied
from skdim._parameters import seed_of
from skdim.crystals.rows import as_structures
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.learning.pretraincache import fit_once
from skdim.learning.targets import as_targets, check_n_labels, known_rows, where_known
from skdim.maskingfile import SavedMaskingMixin
from skdim.points.pointsets import PointSets
from skdim.scoring import r2_of_predicted


class LabelMaskingRegressor(RegressorMixin, SavedMaskingMixin):
    """Pretrain on every row, train a regressor on the few rows whose label is known.

    ``fit`` pretrains a clone of the embedder on all rows, then fits a clone of the regressor on the vectors of the
    labelled ones: those where y is not NaN (of several targets: none is NaN), and of those ``n_labels`` drawn at
    random. So a user with 200 labels in 5000 crystals passes y with NaN, and one who asks how many labels are needed
    hides known ones by a search over ``n_labels`` [1]_.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder, another transformer of crystals, or FrozenEstimator of one
        A clone of it is fitted on the crystals of all rows, never on labels; what it had learned before is lost in
        cloning. A ``sklearn.frozen.FrozenEstimator`` of a fitted one is used as it is.
    regressor : regressor
        A clone of it is fitted on vectors and labels. One that has a parameter ``embedder`` itself, at any depth (such
        as SiteNetRegressor), gets the crystals instead, and starts from the embedder pretrained in that very fit; its
        own ``embedder`` must be None.
    n_labels : int or None, default=None
        How many of the labelled rows to use. None uses all.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw, and of nothing else: embedder and regressor have their own. Draws are nested: with the same
        int and the same rows, fewer labels are a part of more labels.
    memory : str, path, joblib.Memory or None, default=None
        Where to keep pretrained embedders. One is found again by the content of the crystals and the parameters of
        the embedder, so a search over ``n_labels``, ``random_state`` or the regressor pretrains once a fold. (Two
        processes that begin the same fold at the same time both pretrain.) An embedder without a random_state is
        drawn once and then found again as well.

    Attributes
    ----------
    embedder_ : transformer
        Fitted on all rows.
    regressor_ : regressor
        Fitted on the labelled rows.
    labelled_ : ndarray of int, shape (n,)
        The rows the regressor was fitted on, in ascending order.

    Raises
    ------
    ValueError
        If a parameter is not accepted, if y is infinite somewhere, the same in all labelled rows or known in none, if
        lengths differ, or if fewer rows are labelled than ``n_labels``.

    References
    ----------
    .. [1] Moran et al., arXiv 2407.00671.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skdim import DeepInfoMaxEmbedder, LabelMaskingRegressor
    >>> from skdim.datasets import load_band_gap
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> gaps[50:] = np.nan
    >>> model = LabelMaskingRegressor(DeepInfoMaxEmbedder(max_epochs=1, random_state=0), Ridge(100), n_labels=40)
    >>> model = model.fit(structures[:100], gaps[:100])
    >>> len(model.labelled_), model.predict(structures[100:102]).shape
    (40, (2,))
    """

    def __init__(
        self, embedder: Any, regressor: Any, n_labels: int | None = None, random_state: Any = None, memory: Any = None
    ) -> None:
        self.embedder = embedder
        self.regressor = regressor
        self.n_labels = n_labels
        self.random_state = random_state
        self.memory = memory

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LabelMaskingRegressor:
        """Pretrain on all rows and fit the regressor on the labelled ones.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            What the embedder takes. Rows that fail under its on_error="nan" count as not labelled.
        y : array-like of float, shape (C,) or (C, n_targets)
            NaN (or None) where unknown.
        sample_weight : array-like of float, shape (C,), optional
            Handed to the regressor, which must accept it.

        Returns
        -------
        self
        """
        embedder, regressor = _clone("embedder", self.embedder, "transform"), self._fresh_regressor()
        X = list(X) if isinstance(X, Iterator) else X
        targets = as_targets(y, _row_count(embedder, X))
        known = known_rows(targets)
        weights = None if sample_weight is None else self._weights(sample_weight, targets)
        seed = seed_of(self.random_state)
        check_n_labels(self.n_labels, known, "a known y")  # before any work is done
        check_varied(targets[known])
        rows = _crystals(embedder, X)
        known &= _usable(rows)
        check_n_labels(self.n_labels, known, "a known y and a usable crystal")
        # The first so many of one order of all rows: the draws are nested.
        drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known))[: self.n_labels]
        labelled = np.sort(drawn)
        self.embedder_ = self._pretrained(embedder, rows)
        # Frozen, so that it also survives the cloning of a search within the regressor.
        frozen = FrozenEstimator(_thawed(self.embedder_))
        for name in _slots(regressor):
            regressor.set_params(**{name: frozen})
        self.regressor_ = regressor
        given = {} if weights is None else {"sample_weight": weights[labelled]}
        try:
            regressor.fit(self._inputs(_safe_indexing(rows, labelled)), targets[labelled], **given)
        except ValueError as error:
            error.add_note(f"Raised by regressor={self.regressor!r}, given the {len(labelled)} labelled rows to use.")
            raise
        self.labelled_ = labelled
        self._target_shape = targets.shape[1:]
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the targets of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        ndarray of float64, shape (C,) or (C, n_targets)
            NaN for rows that failed under the embedder's on_error="nan".
        """
        check_is_fitted(self, "labelled_")
        rows = _crystals(self.embedder_, list(X) if isinstance(X, Iterator) else X)
        usable = _usable(rows)
        if len(usable) and usable.all():
            return np.asarray(self.regressor_.predict(self._inputs(rows)), float)
        predictions = np.full((len(usable), *self._target_shape), np.nan)
        if usable.any():
            predictions[usable] = self.regressor_.predict(self._inputs(rows[usable]))
        return predictions

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give R2 over the rows whose y is known; rows that failed under on_error="nan" are left out with a warning.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        y : array-like of float, shape (C,) or (C, n_targets)
            NaN where unknown.
        sample_weight : array-like of float, shape (C,), optional
            Weights of the rows.

        Returns
        -------
        float
        """
        known = where_known(X, y, sample_weight)
        return r2_of_predicted(self.predict(known.X), known)

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array; as many targets as the regressor takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        if hasattr(self.regressor, "__sklearn_tags__") and not isinstance(self.regressor, type):
            tags.target_tags.multi_output = get_tags(self.regressor).target_tags.multi_output
        return tags

    def _fresh_regressor(self) -> Any:
        """Clone the regressor; an embedder of its own would be replaced, so it must have none."""
        regressor = _clone("regressor", self.regressor, "predict")
        for name in _slots(regressor):
            if regressor.get_params()[name] is not None:
                raise ValueError(
                    f"regressor={regressor!r} has {name}={regressor.get_params()[name]!r}; accepted is None, since it "
                    "starts from the embedder pretrained in this fit."
                )
        return regressor

    def _weights(self, sample_weight: Any, targets: NDArray[np.float64]) -> NDArray[Any]:
        """Check the weights of the rows."""
        if not has_fit_parameter(self.regressor, "sample_weight"):
            raise ValueError(f"sample_weight is given, but regressor={self.regressor!r} does not accept it.")
        weights: NDArray[Any] = _check_sample_weight(sample_weight, targets)
        return weights

    def _pretrained(self, embedder: Any, rows: Any) -> Any:
        """Fit the embedder on all rows, or find it, unless it is frozen."""
        if isinstance(embedder, FrozenEstimator):
            check_is_fitted(embedder)
            return embedder
        return fit_once(embedder, rows, self.memory)

    def _inputs(self, rows: Any) -> Any:
        """What the regressor takes: crystals where it embeds them itself, vectors where not."""
        return rows if _slots(self.regressor_) else np.asarray(self.embedder_.transform(rows))


def _clone(name: str, part: Any, method: str) -> Any:
    """Clone a part of the model, which must have some method."""
    if isinstance(part, type) or not (hasattr(part, "fit") and hasattr(part, method)):
        raise ValueError(f"{name}={part!r}; accepted are estimators with fit and {method}.")
    return clone(part)


def _slots(regressor: Any) -> list[str]:
    """Name the parameters of a regressor that take an embedder; only regressors of crystals have any."""
    return [name for name in regressor.get_params() if name == "embedder" or name.endswith("__embedder")]


def _row_count(embedder: Any, X: Any) -> int:
    """Count the rows, without looking into the crystals."""
    if isinstance(X, PointSets):
        return len(X)
    return len(as_structures(X)) if isinstance(_thawed(embedder), DeepInfoMaxEmbedder) else int(_num_samples(X))


def _thawed(embedder: Any) -> Any:
    """The embedder itself, of a frozen one."""
    return embedder.estimator if isinstance(embedder, FrozenEstimator) else embedder


def _crystals(embedder: Any, X: Any) -> Any:
    """Point sets, where the embedder is made of such, so that crystals are featurized once; else X as it is."""
    inner = _thawed(embedder)
    if not isinstance(inner, DeepInfoMaxEmbedder):
        return X
    if hasattr(inner, "featurizer_"):
        return inner._point_sets(X)
    return inner._featurizer(inner._preset()).fit().transform(X)


def _usable(rows: Any) -> NDArray[np.bool_]:
    """Tell which crystals did not fail."""
    return rows.valid if isinstance(rows, PointSets) else np.ones(_num_samples(rows), bool)
