"""What estimators have in common that pretrain on every crystal and train a part on those whose label is known."""

from __future__ import annotations

import copy
import os
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter

from skdim._estimators import (
    CallbackSupportMixin,
    CrystalEstimator,
    fit_tasks,
    part_of,
    pass_on,
    thawed,
    with_callbacks,
)
from skdim._labels import check_n_labels, read_weights
from skdim._maskingfile import SavedMasking, read_masking, write_masking
from skdim._parameters import FOLDER, check, seed_of
from skdim.crystals.rows import listed
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.exceptions import InputError
from skdim.learning.pretraincache import fit_once
from skdim.points.featurizer import n_rows
from skdim.points.pointsets import PointSets

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LabelMasking(CrystalEstimator, CallbackSupportMixin, BaseEstimator):
    """Base of estimators that train a part, named ``_part``, on the vectors of the labelled rows.

    Their constructors have the parameters ``embedder``, the part, ``n_labels``, ``random_state``, ``memory`` and
    ``checkpoint_dir``.
    """

    _part: ClassVar[str]
    embedder_: Any
    labelled_: NDArray[np.intp]
    _target_shape: tuple[int, ...]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file at exactly this path.

        Parameters
        ----------
        path : str or path
            The file: a zip archive of JSON and of the files of its parts. A DeepInfoMaxEmbedder, a SiteNetRegressor and
            a SiteNetClassifier have files of their own, any other part is kept by skops. ``memory`` and
            ``checkpoint_dir`` are left out.
        """
        check_is_fitted(self, "labelled_")
        random_state = int(self.random_state) if isinstance(self.random_state, Integral) else None
        saved = SavedMasking(
            kind=self._part,
            embedder=thawed(self.embedder_),
            part=self._fitted(),
            frozen=isinstance(self.embedder, FrozenEstimator),
            n_labels=None if self.n_labels is None else int(self.n_labels),
            random_state=random_state,
            labelled=self.labelled_,
            target_shape=self._target_shape,
        )
        write_masking(path, saved)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, trusted: bool = False) -> Self:
        """Read an estimator that `save` wrote, ready to predict or to be fitted again.

        Parameters
        ----------
        path : str or path
            The file.
        trusted : bool, default=False
            Whether to build parts of types that skops does not know to be safe, and to read the pickles in files of
            earlier versions. Both can run any code: allow it only for a file from someone you trust.

        Returns
        -------
        estimator
            Fitted. Parameters that say where and how to run have their defaults.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no such estimator, is damaged, comes from a later version, or holds parts that are not trusted.
        """
        saved = read_masking(path, cls.__name__, cls._part, trusted)
        part = clone(saved.part)
        part.set_params(**dict.fromkeys(_slots(part)))
        # Made of its parameters and not of the loaded one: the fit pretrained it, so another may, without a warning.
        unfitted = clone(type(saved.embedder)(**saved.embedder.get_params(deep=False)))
        template = FrozenEstimator(saved.embedder) if saved.frozen else unfitted
        model = cls(template, part, n_labels=saved.n_labels, random_state=saved.random_state)
        model._take(FrozenEstimator(saved.embedder) if saved.frozen else saved.embedder, saved.part, saved.labelled)
        model._target_shape = saved.target_shape
        return model

    def _fitted(self) -> Any:
        """The fitted part."""
        return getattr(self, f"{self._part}_")

    def _take(self, embedder: Any, part: Any, labelled: NDArray[np.intp]) -> None:
        """Take over what was learned."""
        self.__dict__.update({"embedder_": embedder, "labelled_": labelled, f"{self._part}_": part})

    @with_callbacks
    def _fit_labelled(
        self, X: Any, targets: NDArray[Any], known: NDArray[np.bool_], sample_weight: Any, embedder: Any, part: Any
    ) -> None:
        """Pretrain on all rows, and fit the part on those drawn from the known ones."""
        weights = self._weights(sample_weight, len(targets))
        seed = seed_of(self.random_state)
        check_n_labels(self.n_labels, known, "a known y")  # before any work is done
        self._check_targets(targets[known])
        rows = featurized(embedder, X)
        known = known & usable(rows)
        check_n_labels(self.n_labels, known, "a known y and a usable crystal")
        # The first n_labels in one random order of the known rows: fewer labels are a part of more.
        drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known))[: self.n_labels]
        labelled = np.sort(drawn)
        interrupted, tasks = False, fit_tasks(self, X, targets)
        if isinstance(embedder, FrozenEstimator):
            check_is_fitted(embedder)
        else:
            try:
                embedder = fit_once(embedder, rows, self.memory, part_of(tasks, "pretrain", embedder))
            except KeyboardInterrupt:
                interrupted = _keeps_something(embedder)
                # It starts elsewhere than in a fit that continues, which could not use a checkpoint of it.
                self._with_checkpoints(part, None)
        # Frozen, so that it also survives the cloning of a search within the part.
        part.set_params(**dict.fromkeys(_slots(part), FrozenEstimator(thawed(embedder))))
        given = {} if weights is None else {"sample_weight": weights[labelled]}
        try:
            inputs = _inputs(embedder, part, _safe_indexing(rows, labelled))
            with part_of(tasks, f"fit-{self._part}", part):
                part.fit(inputs, targets[labelled], **given)
        except ValueError as error:
            mine = f"{self._part}={getattr(self, self._part)!r}"
            error.add_note(f"Raised by {mine}, given the {len(labelled)} labelled rows to use.")
            self._explain(error, targets[labelled])
            raise
        except KeyboardInterrupt:
            interrupted = _keeps_something(part)
        # Only now, so that a fit that fails leaves an earlier one whole.
        self._take(embedder, part, labelled)
        self._target_shape = targets.shape[1:]
        if interrupted:
            pass_on(": the model has what its parts had learned by then, and can predict.", 3)
        if tasks is not None:
            tasks.end()

    def _explain(self, error: ValueError, targets: NDArray[Any]) -> None:
        """Add to an error of the part what it cannot know."""

    def _check_targets(self, targets: NDArray[Any]) -> None:
        """Refuse known targets from which nothing can be learned."""

    def _ask(self, X: Any, method: str, **given: Any) -> tuple[Any, NDArray[np.bool_]]:
        """Call a method of the part on the usable rows, and tell which these are; None if there is none."""
        check_is_fitted(self, "labelled_")
        self = copy.copy(self)  # of one fit, also where another one ends in the meantime
        rows = featurized(self.embedder_, listed(X))
        use, part = usable(rows), self._fitted()
        if not use.any():
            return None, use
        inputs = _inputs(self.embedder_, part, rows if use.all() else rows[use])
        return getattr(part, method)(inputs, **given), use

    def _fresh(self) -> tuple[Any, Any]:
        """Clone the embedder and the part; an embedder of the part's own would be replaced, so it must have none."""
        check("checkpoint_dir", self.checkpoint_dir, FOLDER)
        embedder = self._with_checkpoints(_clone("embedder", self.embedder, "transform"), "embedder")
        part = _clone(self._part, getattr(self, self._part), "predict")
        for name in _slots(part):
            if part.get_params()[name] is not None:
                raise InputError(
                    f"{name} of the {self._part} must be None, since it starts from the embedder pretrained in this "
                    f"fit, got {part.get_params()[name]!r}."
                )
        return embedder, self._with_checkpoints(part, self._part)

    def _with_checkpoints(self, part: Any, name: str | None) -> Any:
        """Give a part of the model a folder for its checkpoints, or none, if it writes any."""
        if self.checkpoint_dir is not None and "checkpoint_dir" in part.get_params(deep=False):
            part.set_params(checkpoint_dir=None if name is None else Path(self.checkpoint_dir) / name)
        return part

    def _weights(self, sample_weight: Any, n_rows: int) -> NDArray[np.float64] | None:
        """Check the weights of the rows."""
        if sample_weight is None:
            return None
        part = getattr(self, self._part)
        if not has_fit_parameter(part, "sample_weight"):
            raise InputError(f"sample_weight must be None, as {self._part}={part!r} does not accept it.")
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


def _slots(part: Any) -> list[str]:
    """Name the parameters of a part that take an embedder; only those of crystals have any."""
    return [name for name in part.get_params() if name == "embedder" or name.endswith("__embedder")]


def row_count(embedder: Any, X: Any) -> int:
    """Count the rows, without looking into the crystals."""
    of_crystals = isinstance(X, PointSets) or isinstance(thawed(embedder), DeepInfoMaxEmbedder)
    return n_rows(X) if of_crystals else int(_num_samples(X))


def featurized(embedder: Any, X: Any) -> Any:
    """Point sets, where the embedder is made of such, so that crystals are featurized once; else X as it is."""
    inner = thawed(embedder)
    return inner.featurize(X) if isinstance(inner, DeepInfoMaxEmbedder) else X


def _inputs(embedder: Any, part: Any, rows: Any) -> Any:
    """What a part takes: crystals where it embeds them itself, vectors where not."""
    return rows if _slots(part) else np.asarray(embedder.transform(rows))


def usable(rows: Any) -> NDArray[np.bool_]:
    """Tell which crystals did not fail."""
    return rows.valid if isinstance(rows, PointSets) else np.ones(_num_samples(rows), bool)
