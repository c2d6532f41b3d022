"""`LabelMaskingRegressor`: pretrain on every crystal, train a regressor on those whose label is known."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter

from skdim._doclink import DocumentationLink
from skdim._labels import check_n_labels, check_varied, known_rows, read_targets, read_weights, where_known
from skdim._maskingfile import SavedMasking, read_masking, write_masking
from skdim._parameters import FOLDER, check, seed_of
from skdim.crystals.rows import as_structures
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.exceptions import InputError
from skdim.learning.pretraincache import fit_once
from skdim.points.pointsets import PointSets
from skdim.scoring import r2_of_predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LabelMaskingRegressor(DocumentationLink, RegressorMixin, BaseEstimator):
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
    checkpoint_dir : str, path or None, default=None
        Folder of checkpoints: embedder and regressor write theirs to the folders ``embedder`` and ``regressor`` in it,
        where they have a parameter of this name. A ``fit`` that was stopped goes on from there.

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
    KeyboardInterrupt
        If the user interrupts ``fit``. Once the embedder has completed an epoch, the regressor is fitted on what it has
        learned (a second interrupt stops that too), and a warning says so.

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
        self,
        embedder: Any,
        regressor: Any,
        n_labels: int | None = None,
        random_state: Any = None,
        memory: Any = None,
        checkpoint_dir: Any = None,
    ) -> None:
        self.embedder = embedder
        self.regressor = regressor
        self.n_labels = n_labels
        self.random_state = random_state
        self.memory = memory
        self.checkpoint_dir = checkpoint_dir

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
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
        embedder, regressor = self._fresh_embedder(), self._fresh_regressor()
        X = list(X) if isinstance(X, Iterator) else X
        targets = read_targets(y, _row_count(embedder, X))
        weights = self._weights(sample_weight, len(targets))
        seed = seed_of(self.random_state)
        known = known_rows(targets)
        check_n_labels(self.n_labels, known, "a known y")  # before any work is done
        check_varied(targets[known])
        rows = _featurized(embedder, X)
        known &= _usable(rows)
        check_n_labels(self.n_labels, known, "a known y and a usable crystal")
        # The first so many of one order of all rows: the draws are nested.
        drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known))[: self.n_labels]
        labelled = np.sort(drawn)
        interrupted = False
        if isinstance(embedder, FrozenEstimator):
            check_is_fitted(embedder)
        else:
            try:
                embedder = fit_once(embedder, rows, self.memory)
            except KeyboardInterrupt:
                interrupted = _keeps_something(embedder)
        # Frozen, so that it also survives the cloning of a search within the regressor.
        regressor.set_params(**dict.fromkeys(_slots(regressor), FrozenEstimator(_thawed(embedder))))
        given = {} if weights is None else {"sample_weight": weights[labelled]}
        try:
            regressor.fit(_inputs(embedder, regressor, _safe_indexing(rows, labelled)), targets[labelled], **given)
        except ValueError as error:
            error.add_note(f"Raised by regressor={self.regressor!r}, given the {len(labelled)} labelled rows to use.")
            if (largest := np.abs(targets[labelled]).max()) > np.finfo(np.float32).max:
                error.add_note(f"y has values of up to {largest:g}: give it in a larger unit.")
            raise
        except KeyboardInterrupt:
            interrupted = _keeps_something(regressor)
        # Only now, so that a fit that fails leaves an earlier one whole.
        self.embedder_, self.regressor_, self.labelled_ = embedder, regressor, labelled
        self._target_shape = targets.shape[1:]
        if interrupted:
            said = "fit was interrupted: the model has what its parts had learned by then, and can predict."
            warnings.warn(said, UserWarning, stacklevel=2)
            raise KeyboardInterrupt
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        return_std : bool, default=False
            Whether to return standard deviations too, as the regressor gives them: one whose ``predict`` knows
            ``return_std``, such as ``SiteNetRegressor(n_ensemble=5)``, ``BayesianRidge`` or
            ``GaussianProcessRegressor``.

        Returns
        -------
        ndarray of float64, shape (C,) or (C, n_targets), or a pair of them
            NaN for rows that failed under the embedder's on_error="nan".
        """
        check_is_fitted(self, "labelled_")
        if return_std and "return_std" not in inspect.signature(self.regressor_.predict).parameters:
            raise InputError(
                f"return_std=True needs a regressor whose predict knows return_std, such as "
                f"SiteNetRegressor(n_ensemble=5) or BayesianRidge(), got regressor={self.regressor!r}."
            )
        rows = _featurized(self.embedder_, list(X) if isinstance(X, Iterator) else X)
        usable = _usable(rows)
        if usable.any():
            given = {"return_std": True} if return_std else {}
            inputs = _inputs(self.embedder_, self.regressor_, rows if usable.all() else rows[usable])
            found = self.regressor_.predict(inputs, **given)
        else:
            found = np.empty((2, 0, *self._target_shape)) if return_std else np.empty((0, *self._target_shape))
        if return_std:
            return tuple(_spread_out(values, usable) for values in found)
        return _spread_out(found, usable)

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted regressor to one file at exactly this path.

        Parameters
        ----------
        path : str or path
            The file: a zip archive of JSON and of the files of its parts. A DeepInfoMaxEmbedder and a SiteNetRegressor
            have files of their own, any other embedder or regressor is kept by skops. ``memory`` and
            ``checkpoint_dir`` are left out.
        """
        check_is_fitted(self, "labelled_")
        random_state = int(self.random_state) if isinstance(self.random_state, Integral) else None
        saved = SavedMasking(
            embedder=_thawed(self.embedder_),
            regressor=_thawed(self.regressor_),
            frozen=isinstance(self.embedder, FrozenEstimator),
            n_labels=None if self.n_labels is None else int(self.n_labels),
            random_state=random_state,
            labelled=self.labelled_,
            target_shape=self._target_shape,
        )
        write_masking(path, saved)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, trusted: bool = False) -> Self:
        """Read a regressor that `save` wrote, ready to predict or to be fitted again.

        Parameters
        ----------
        path : str or path
            The file.
        trusted : bool, default=False
            Whether to build parts of types that skops does not know to be safe, and to read the pickles in files of
            earlier versions. Both can run any code: allow it only for a file from someone you trust.

        Returns
        -------
        LabelMaskingRegressor
            Fitted. Parameters that say where and how to run have their defaults.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no such regressor, is damaged, comes from a later version, or holds parts that are not trusted.
        """
        saved = read_masking(path, trusted)
        regressor = clone(saved.regressor)
        regressor.set_params(**dict.fromkeys(_slots(regressor)))
        template = FrozenEstimator(saved.embedder) if saved.frozen else clone(saved.embedder)
        model = cls(template, regressor, n_labels=saved.n_labels, random_state=saved.random_state)
        model.embedder_ = FrozenEstimator(saved.embedder) if saved.frozen else saved.embedder
        model.regressor_, model.labelled_ = saved.regressor, saved.labelled
        model._target_shape = saved.target_shape
        return model

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array; as many targets as the regressor takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        if hasattr(self.regressor, "__sklearn_tags__") and not isinstance(self.regressor, type):
            tags.target_tags.multi_output = get_tags(self.regressor).target_tags.multi_output
        return tags

    def _fresh_embedder(self) -> Any:
        """Clone the embedder."""
        check("checkpoint_dir", self.checkpoint_dir, FOLDER)
        return self._with_checkpoints(_clone("embedder", self.embedder, "transform"), "embedder")

    def _fresh_regressor(self) -> Any:
        """Clone the regressor; an embedder of its own would be replaced, so it must have none."""
        regressor = _clone("regressor", self.regressor, "predict")
        for name in _slots(regressor):
            if regressor.get_params()[name] is not None:
                raise InputError(
                    f"{name} of the regressor must be None, since it starts from the embedder pretrained in this fit, "
                    f"got {regressor.get_params()[name]!r}."
                )
        return self._with_checkpoints(regressor, "regressor")

    def _with_checkpoints(self, part: Any, name: str) -> Any:
        """Give a part of the model a folder for its checkpoints, if it writes any."""
        if self.checkpoint_dir is not None and "checkpoint_dir" in part.get_params(deep=False):
            part.set_params(checkpoint_dir=Path(self.checkpoint_dir) / name)
        return part

    def _weights(self, sample_weight: Any, n_rows: int) -> NDArray[np.float64] | None:
        """Check the weights of the rows."""
        if sample_weight is None:
            return None
        if not has_fit_parameter(self.regressor, "sample_weight"):
            raise InputError(f"sample_weight is given, but regressor={self.regressor!r} does not accept it.")
        return read_weights(sample_weight, n_rows)


def _clone(name: str, part: Any, method: str) -> Any:
    """Clone a part of the model, which must have some method."""
    if isinstance(part, type) or not (hasattr(part, "fit") and hasattr(part, method)):
        raise InputError(f"{name} must be an estimator with fit and {method}, got {part!r}.")
    return clone(part)


def _keeps_something(part: Any) -> bool:
    """Pass an interrupt on, unless the part that it hit is fitted with what it had learned by then."""
    try:
        check_is_fitted(part)
    except NotFittedError:
        raise KeyboardInterrupt from None
    return True


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


def _featurized(embedder: Any, X: Any) -> Any:
    """Point sets, where the embedder is made of such, so that crystals are featurized once; else X as it is."""
    inner = _thawed(embedder)
    return inner.featurize(X) if isinstance(inner, DeepInfoMaxEmbedder) else X


def _inputs(embedder: Any, regressor: Any, rows: Any) -> Any:
    """What a regressor takes: crystals where it embeds them itself, vectors where not."""
    return rows if _slots(regressor) else np.asarray(embedder.transform(rows))


def _spread_out(values: Any, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values of the usable rows among NaN for the others."""
    given = np.asarray(values, float)
    if usable.all():
        return given
    spread = np.full((len(usable), *given.shape[1:]), np.nan)
    spread[usable] = given
    return spread


def _usable(rows: Any) -> NDArray[np.bool_]:
    """Tell which crystals did not fail."""
    return rows.valid if isinstance(rows, PointSets) else np.ones(_num_samples(rows), bool)
