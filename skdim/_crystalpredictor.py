"""What `CrystalRegressor` and `CrystalClassifier` share: embedder, labelled crystals, one file for all of it."""

from __future__ import annotations

import copy
import json
import os
import platform
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

import skdim
from skdim._estimators import KeepsEmbedder, LearnedTable, nothing_kept
from skdim._fields import ANY, COUNT, FLAG, TEXT, VERSIONS, OrNone, Schema, check_fields
from skdim._files import digest, replacing
from skdim._labels import spread_out
from skdim._parameters import (
    RUNNING,
    Accepted,
    as_json,
    check,
    check_parameters,
    choice,
    integer,
    optional,
    seed_of,
    shown,
)
from skdim.crystals.reading import CrystalRow
from skdim.crystals.rows import listed, row_labels
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.evaluation._applicability import N_NEAREST, BesidePretraining, Domain, embedder_meant, joined
from skdim.evaluation._readouts import READOUTS
from skdim.exceptions import InputError, ModelFileError, StructureError, describe_failures, shortened
from skdim.learning.statefile import saved_bytes
from skdim.learning.states import BOUND
from skdim.points.makeup import Makeup
from skdim.points.pointsets import PointSets
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEAST = 10
"""Labels that are needed at least: what is chosen among so few by cross-validation is hardly better than a guess."""

FORMAT = 1
_KEY = "skdim.model"
_RUN_TIME = ("device", "n_jobs", "on_error", "verbose")
_KIND = Accepted(
    "the name of a class", lambda value: isinstance(value, str) and value.isidentifier() and len(value) <= 100
)
_HEADER: dict[str, Schema] = {
    "format": ANY,
    "kind": _KIND,
    "parameters": {"*": ANY},
    "domain": {"sites": COUNT, "disordered": FLAG},
    "ids": OrNone([TEXT]),
    "versions": VERSIONS,
}
_LARGEST = 1e100  # of what is learned, which labels are scaled for
_WHOLE = ("block", "feature", "fold", "labelled", "left", "right", "rows")  # arrays of places in others
_FLAT = ("block", "exact", "fold", "labelled", "missed", "rows", "scored", "scores")  # arrays of one dimension


_Fit = TypeVar("_Fit", bound=Callable[..., Any])


def whole_or_not_at_all(fit: _Fit) -> _Fit:
    """Decorate ``fit``: one that fails or is interrupted leaves an earlier one as it was."""

    @wraps(fit)
    def fitted(self: Any, *args: Any, **kwargs: Any) -> Any:
        trial = copy.copy(self)
        with nothing_kept():  # what an embedder has learned by then is not kept either
            fit(trial, *args, **kwargs)
        vars(self).update(vars(trial))  # at once
        return self

    return cast(_Fit, fitted)


def of_one_fit(method: _Fit) -> _Fit:
    """Decorate a method that predicts: what it gives is of one fit, also where another one ends in the meantime."""

    @wraps(method)
    def answered(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(copy.copy(self), *args, **kwargs)

    return cast(_Fit, answered)


class CrystalPredictor(LearnedTable, KeepsEmbedder, BaseEstimator):
    """Base of `CrystalRegressor` and `CrystalClassifier`: all but what is learned from the labels."""

    regressors: Sequence[str]
    device: str
    on_error: str
    n_jobs: int | None
    random_state: Any
    verbose: int
    embedder_: DeepInfoMaxEmbedder
    domain_: Domain
    labelled_: NDArray[np.int64]
    ids_: list[str] | None

    _facts: ClassVar[dict[str, Schema]]  # what `_state` gives, as JSON

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model, with its embedder and the vectors of the labelled crystals, to one file.

        Parameters
        ----------
        path : str or path
            The file: safetensors, with parameters as JSON in its header and one sha256 over everything. No pickle. A
            splitter given as ``cv`` cannot be kept, which a warning says.

        Raises
        ------
        ModelFileError
            If `load` would refuse the file, such as one with numbers beyond what can be computed with.
        """
        check_is_fitted(self, "embedder_")
        from safetensors.numpy import save

        facts, arrays = self._state()
        arrays |= {"embedder": np.frombuffer(saved_bytes(self.embedder_), np.uint8), "vectors": self.domain_.vectors}
        arrays |= {"labelled": self.labelled_, "elements": self.domain_.elements}
        arrays = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
        header = {
            "format": FORMAT,
            "kind": type(self).__name__,
            "parameters": self._plain_parameters(),
            "domain": {"sites": self.domain_.sites, "disordered": self.domain_.disordered},
            "ids": self.ids_,
            "facts": facts,
            "versions": {"skdim": skdim.__version__, "python": platform.python_version()},
        }
        text = as_json(header)
        with _fitting_together("this model cannot be saved, as it could not be loaded again"):
            self._of_state(json.loads(text), arrays)
        with replacing(path) as draft:
            draft.write_bytes(save(arrays, {_KEY: text, "sha256": _digest(text, arrays)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote, ready to predict.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        estimator
            Fitted. How it runs (device, processes, what becomes of unusable crystals, messages) is as by default.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no saved model of this class, is damaged, or was written by a later version.
        """
        header, arrays = read_model(path)
        if header["kind"] != cls.__name__:
            raise ModelFileError(f"{os.fspath(path)!r} is a saved {header['kind']}; {header['kind']}.load reads it.")
        with _fitting_together(f"{os.fspath(path)!r} does not fit together"):
            return cls._of_state(header, arrays)

    @classmethod
    def _of_state(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Build the fitted estimator that a file describes."""
        check_fields("", header, {**_HEADER, "facts": {"own_embedder": FLAG, **cls._facts}})
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in header["parameters"].items()}
        if foreign := sorted({"embedder", *_RUN_TIME} & set(given)):  # how and from where to run is not a file's to say
            raise KeyError(f"parameters that no file keeps: {', '.join(foreign)}")
        if "transform" in given:  # as the parameter was called first: scikit-learn took it for a method
            given["scale"] = given.pop("transform")
        _check_arrays(header, arrays)
        model = cls(**given)
        model._check()
        check("random_state", model.random_state, optional(integer(0)))
        model.embedder_ = _embedder_of(arrays["embedder"])
        model.embedder = model.embedder_ if header["facts"]["own_embedder"] else None
        vectors = arrays["vectors"]
        if vectors.shape[1:] != (len(model.embedder_.get_feature_names_out()),) or np.abs(vectors).max() > BOUND:
            raise KeyError("vectors that are not those of the embedder")
        nothing = Makeup(np.zeros((1, N_ATOMIC_NUMBERS), np.bool_), np.ones(1, np.int64), np.zeros(1, np.bool_))
        spacing = Domain.of(vectors, nothing).spacing
        known = header["domain"]
        model.domain_ = Domain(vectors, spacing, arrays["elements"] > 0, known["sites"], known["disordered"])
        model.labelled_, model.ids_ = arrays["labelled"], header["ids"]
        model._restore(header["facts"], arrays)
        return model

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned from the labels, as JSON-able facts and arrays."""

    @abstractmethod
    def _restore(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take back what `_state` gave."""

    @abstractmethod
    def _check(self) -> None:
        """Check the parameters that no other function checks."""

    def _plain_parameters(self) -> dict[str, Any]:
        """The constructor's parameters that a file keeps; how the model runs is left to the one who loads it."""
        params: dict[str, Any] = self.get_params(deep=False)
        for name in ("embedder", *_RUN_TIME):
            params.pop(name)
        params["regressors"] = list(self.regressors)
        params["random_state"] = int(self.random_state) if isinstance(self.random_state, Integral) else None
        if hasattr(params["cv"], "split"):
            warnings.warn(f"cv={params['cv']!r} is not kept in the file; a loaded model has cv=10.", stacklevel=3)
            params["cv"] = 10  # a splitter could only be kept by pickle
        return params

    def _check_regressors(self, known: Iterable[str]) -> None:
        """Refuse regressors that are not among these, and a text in place of a list."""
        given, accepted = self.regressors, list(known)
        if not isinstance(given, list | tuple) or not given or any(name not in accepted for name in given):
            raise InputError(f"regressors must be a list of some of {accepted}, got {shown(given)}.")

    def candidates(self, seed: int) -> dict[str, Any]:
        """Return the regressors on vectors to choose from, by name, not fitted.

        Parameters
        ----------
        seed : int
            Of those that draw at random.
        """
        made = {name: clone(READOUTS[name]) for name in self.regressors if name in READOUTS}
        for regressor in made.values():
            if "random_state" in regressor.get_params():
                regressor.set_params(random_state=seed, n_jobs=self.n_jobs)
        return made

    def _start(self, X: Any) -> tuple[PointSets, NDArray[np.bool_]]:
        """Set up the embedder, pretrained here if it is not fitted; return point sets, and which rows are usable."""
        check_parameters(self, RUNNING)
        given = embedder_meant(self.embedder)
        if hasattr(given, "state_"):
            self.embedder_ = copy.copy(given)
            self.embedder_.set_params(device=self.device)
            points = self._featurize(X)
        else:
            self.embedder_ = clone(given).set_params(device=self.device, verbose=self.verbose)
            if given.random_state is None:
                self.embedder_.set_params(random_state=seed_of(self.random_state))
            self.embedder_.featurizer_ = self.embedder_.make_featurizer()
            points = self._featurize(X)
            self.embedder_.fit(points[points.valid])
        return points, np.asarray(points.valid)

    def _featurize(self, X: Any, stacklevel: int = 5) -> PointSets:
        """Make point sets; rows that fail are an error or, with on_error="nan", a warning.

        It is given where the caller of a decorated method calls it, as `stacklevel` counts.
        """
        if isinstance(X, PointSets):
            return X
        X = listed(X)
        featurizer = clone(self.embedder_.featurizer_).set_params(n_jobs=self.n_jobs, verbose=self.verbose)
        points: PointSets
        points, failures = featurizer.try_transform(X)
        if failures:
            labels = row_labels(X, [row for row, _ in failures])
            if self.on_error == "raise":
                raise StructureError(failures, labels)
            said = f"{describe_failures(failures, labels)}\nThey are left out of fit, and predicted NaN."
            warnings.warn(said, UserWarning, stacklevel=stacklevel)
        return points

    def _remember(self, X: Any, labelled: PointSets) -> NDArray[np.float32]:
        """Keep where the labelled crystals lie and what they are called, and return their vectors."""
        vectors = self.embedder_.transform(labelled)
        self.domain_ = Domain.of(vectors, Makeup.of(labelled))
        names = names_of(X)
        self.ids_ = None if names is None else [str(names[row]) for row in self.labelled_]
        return vectors

    def _usable(self, X: Any) -> NDArray[np.int64]:
        """Rows that are usable crystals."""
        return np.flatnonzero(self._featurize(X).valid)

    def _embed(self, X: Any, stacklevel: int = 5) -> tuple[NDArray[np.float32], PointSets, NDArray[np.bool_]]:
        """Vectors of the usable crystals, their point sets, and which of the rows they are."""
        points = self._featurize(X, stacklevel)
        valid = np.asarray(points.valid)
        points = points if valid.all() else points[valid]
        return self.embedder_.transform(points), points, valid

    def _trust_frame(
        self,
        columns: dict[str, Any],
        vectors: NDArray[np.float32],
        points: PointSets,
        valid: NDArray[np.bool_],
        X: Any,
        said: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Put behind columns of predictions how usable crystals compare with labelled ones; ``said`` are more flags."""
        import pandas as pd

        makeup = Makeup.of(points)
        found = self.domain_.assess(vectors, makeup)
        beside = BesidePretraining.of(self.embedder_.state_.seen, vectors, makeup)
        columns["distance"] = spread_out(found.distance, valid)
        columns["percentile"] = spread_out(found.percentile, valid)
        names = np.array(self.ids_ if self.ids_ is not None else self.labelled_.tolist(), dtype=object)
        for rank in range(N_NEAREST):
            there = rank < found.nearest.shape[1]
            own = names[found.nearest[:, rank]] if there else np.full(len(vectors), None, dtype=object)
            columns[f"nearest_{rank + 1}"] = spread_out(own, valid, None)
        columns["pretraining_percentile"] = spread_out(beside.percentile, valid)
        flags = joined(found.flags(), beside.flags)
        flags = flags if said is None else joined(said, flags)
        columns["flags"] = spread_out(np.array(flags, dtype=object), valid, "no usable crystal")
        return pd.DataFrame(columns, index=X.index if isinstance(X, pd.Series | pd.DataFrame) else names_of(X))


def names_of(X: Any) -> list[Any] | None:
    """Names of crystals: the index of pandas, or the ids of what `skdim.read_crystals` reads; None of others."""
    import pandas as pd

    if isinstance(X, pd.Series | pd.DataFrame):
        return list(X.index)
    if isinstance(X, list | tuple) and len(X) and all(isinstance(row, CrystalRow) for row in X):
        return [row.id for row in X]
    return None


def as_part(own: Mapping[str, NDArray[Any]], number: int) -> dict[str, NDArray[Any]]:
    """Put the number of a part before the names of its arrays."""
    return {f"{number}/{name}": array for name, array in own.items()}


def part_of(arrays: Mapping[str, NDArray[Any]], number: int) -> dict[str, NDArray[Any]]:
    """The arrays of a part, by their names."""
    head = f"{number}/"
    return {name.removeprefix(head): array for name, array in arrays.items() if name.startswith(head)}


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read header and arrays of what `CrystalPredictor.save` wrote; a ModelFileError says what is wrong with them."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"{os.fspath(path)!r} is not a file; what `skdim fit` or `save` wrote is needed.")
    try:
        with safe_open(os.fspath(path), "np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        text, written = metadata[_KEY], metadata["sha256"]
        header: dict[str, Any] = json.loads(text)
        check_fields("", header, {"*": ANY, "kind": _KIND, "versions": {"skdim": TEXT, "*": TEXT}})
        version, writer = header["format"], header["versions"]["skdim"]
    except (SafetensorError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{os.fspath(path)!r} is no model that `skdim fit` or `save` wrote, or it is damaged: "
            f"{type(error).__name__} {error}"
        ) from error
    if not choice(FORMAT).test(version):
        raise ModelFileError(
            f"{os.fspath(path)!r} has format {shown(version)} (skdim {writer[:40]}); this version of skdim, "
            f"{skdim.__version__}, reads format {FORMAT}. Fit it again, or use that version."
        )
    if _digest(text, arrays) != written:
        raise ModelFileError(
            f"{os.fspath(path)!r} is damaged: its content does not have the sha256 it was written with."
        )
    return header, arrays


@contextmanager
def _fitting_together(said: str) -> Iterator[None]:
    """Raise one kind of error for all that a header and arrays lead to which do not belong together."""
    try:
        yield
    except InputError as error:
        raise ModelFileError(f"{said}: {shortened(error)} Fit it again.") from error
    except (ArithmeticError, KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise ModelFileError(f"{said}: {type(error).__name__} {shortened(error)}. Fit it again.") from error


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """One sha256 over the header and every array with its name."""
    return digest(text, *(part for name in sorted(arrays) for part in (name, arrays[name])))


def _check_arrays(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse numbers that are not finite, and arrays that do not have one entry for each labelled crystal."""
    for name, array in arrays.items():
        # Of crystals without a label nothing is held out.
        if array.dtype.kind == "f" and name.rpartition("/")[2] != "held_out" and not np.isfinite(array).all():
            raise KeyError(f"{name} must be finite, got NaN or infinity")
        if array.dtype.kind == "f" and float(np.abs(array).max(initial=0.0)) > _LARGEST:
            raise KeyError(f"{name} must hold numbers up to {_LARGEST:g}")
        if name.rpartition("/")[2] in _WHOLE and array.dtype.kind not in "iu":
            raise KeyError(f"{name} must hold integers, got {array.dtype}")
        if name.rpartition("/")[2] in _FLAT and array.ndim != 1:
            raise KeyError(f"{name} must have one dimension, got shape {array.shape}")
    n, ids = len(arrays["labelled"]), header["ids"]
    if len(arrays["vectors"]) != n or not (ids is None or len(ids) == n):
        raise KeyError(f"vectors and ids must be as many as labelled crystals, {n}")
    if arrays["elements"].shape != (N_ATOMIC_NUMBERS,):
        raise KeyError(f"elements must have shape ({N_ATOMIC_NUMBERS},), got {arrays['elements'].shape}")


def _embedder_of(content: NDArray[np.uint8]) -> DeepInfoMaxEmbedder:
    """The embedder of the bytes of a file."""
    embedder = DeepInfoMaxEmbedder.load(content.astype(np.uint8).tobytes())
    embedder.set_params(n_jobs=None, verbose=0, device="auto")
    return embedder
