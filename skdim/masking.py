"""`LabelMaskingRegressor`: pretrain on every crystal, train a regressor on those whose label is known."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skdim._labelmasking import LabelMasking, row_count
from skdim._labels import check_varied, known_rows, read_targets, spread_out, where_known
from skdim.crystals.rows import listed
from skdim.exceptions import InputError
from skdim.scoring import r2_of_predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LabelMaskingRegressor(RegressorMixin, LabelMasking):
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
        Decides which labels are used, and nothing else: embedder and regressor have their own. With the same int and
        the same rows, fewer labels are a part of more labels.
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

    _part = "regressor"
    regressor_: Any

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
        embedder, regressor = self._fresh()
        X = listed(X)
        targets = read_targets(y, row_count(embedder, X))
        self._fit_labelled(X, targets, known_rows(targets), sample_weight, embedder, regressor)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        return_std : bool, default=False
            Whether to return standard deviations too, as the regressor gives them: one whose ``predict`` knows
            ``return_std``, such as ``SiteNetRegressor()``, ``BayesianRidge`` or
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
                f"SiteNetRegressor() or BayesianRidge(), got regressor={self.regressor!r}."
            )
        found, usable = self._ask(X, "predict", **({"return_std": True} if return_std else {}))
        if found is None:
            found = np.empty((2, 0, *self._target_shape)) if return_std else np.empty((0, *self._target_shape))
        if return_std:
            return tuple(spread_out(np.asarray(values, float), usable) for values in found)
        return spread_out(np.asarray(found, float), usable)

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
        """As many targets as the regressor takes."""
        tags = super().__sklearn_tags__()
        if hasattr(self.regressor, "__sklearn_tags__") and not isinstance(self.regressor, type):
            tags.target_tags.multi_output = get_tags(self.regressor).target_tags.multi_output
        return tags

    def _explain(self, error: ValueError, targets: NDArray[Any]) -> None:
        """Name labels that overflow in single precision."""
        if (largest := np.abs(targets).max()) > np.finfo(np.float32).max:
            error.add_note(f"y has values of up to {largest:g}: give it in a larger unit.")

    def _check_targets(self, targets: NDArray[Any]) -> None:
        """Refuse labels that are all the same."""
        check_varied(targets)
