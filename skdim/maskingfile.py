"""A fitted label-masking regressor in, one file out, and back."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

import skdim
from skdim._parameters import as_json
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.learning.state import check_target
from skdim.regressor import SiteNetRegressor

_FORMAT = 1
_FACTS, _PICKLED = "model.json", "estimators.joblib"
# Parts that have a file format of their own, by the attribute that holds them.
_PLAIN: dict[str, type[Any]] = {"embedder_": DeepInfoMaxEmbedder, "regressor_": SiteNetRegressor}


class SavedMaskingMixin(BaseEstimator):
    """Saving and loading of a regressor with the parameters and attributes of `LabelMaskingRegressor`."""

    embedder: Any
    regressor: Any
    n_labels: int | None
    random_state: Any
    memory: Any
    embedder_: Any
    regressor_: Any
    labelled_: NDArray[np.intp]
    _target_shape: tuple[int, ...]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted regressor to one file at exactly this path.

        Parameters
        ----------
        path : str or path
            The file: a zip archive of JSON and, for a DeepInfoMaxEmbedder and a SiteNetRegressor, of the files these
            write. Any other embedder or regressor can only be kept as a pickle, which `load` reads if told to.
        """
        check_is_fitted(self, "labelled_")
        check_target(path)
        parts, pickled = self._parts()
        facts = {
            "format": _FORMAT,
            "versions": {"skdim": skdim.__version__},
            "pickled": {name: type(part).__name__ for name, part in pickled.items()},
            "frozen": isinstance(self.embedder, FrozenEstimator),
            "n_labels": self.n_labels,
            "random_state": int(self.random_state) if isinstance(self.random_state, Integral) else None,
            "memory": os.fspath(self.memory) if isinstance(self.memory, str | os.PathLike) else None,
            "labelled": self.labelled_.tolist(),
            "target_shape": list(self._target_shape),
        }
        draft = Path(f"{os.fspath(path)}.{os.getpid()}.part")
        try:
            with zipfile.ZipFile(draft, "w") as archive, tempfile.TemporaryDirectory() as folder:
                archive.writestr(_FACTS, as_json(facts))
                for name, part in parts.items():
                    part.save(Path(folder) / name)
                    archive.write(Path(folder) / name, name)
                if pickled:
                    kept = io.BytesIO()
                    joblib.dump(pickled, kept)
                    archive.writestr(_PICKLED, kept.getvalue())
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)  # of what cannot be pickled

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, trusted: bool = False) -> Self:
        """Read a regressor that `save` wrote, ready to predict or to be fitted again.

        Parameters
        ----------
        path : str or path
            The file.
        trusted : bool, default=False
            Whether to read parts that are kept as a pickle. Reading a pickle can run any code: allow it only for a
            file from someone you trust.

        Returns
        -------
        LabelMaskingRegressor
            Fitted.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no such regressor, one of a later version, or one with a pickle that is not trusted.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"{os.fspath(path)!r} is not a file; accepted is what LabelMaskingRegressor.save wrote."
            )
        try:
            with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
                facts = json.loads(archive.read(_FACTS))
                _check_readable(path, facts, trusted)
                found = joblib.load(io.BytesIO(archive.read(_PICKLED))) if facts["pickled"] else {}
                for name in sorted(set(_PLAIN) - set(found)):
                    found[name] = _PLAIN[name].load(archive.extract(name, folder))
        except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{os.fspath(path)!r} is not a LabelMaskingRegressor saved by skdim, or it is damaged: {error}"
            ) from error
        return cls._of_parts(facts, found)

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What has a file format of its own, and what must be pickled, by attribute."""
        held = {"embedder_": self.embedder_, "regressor_": self.regressor_}
        held = {k: v.estimator if isinstance(v, FrozenEstimator) else v for k, v in held.items()}
        parts = {name: part for name, part in held.items() if type(part) is _PLAIN[name]}
        return parts, {name: part for name, part in held.items() if name not in parts}

    @classmethod
    def _of_parts(cls, facts: dict[str, Any], found: dict[str, Any]) -> Self:
        """Put the fitted regressor together."""
        embedder, regressor = found["embedder_"], clone(found["regressor_"])
        for name in regressor.get_params():
            if name == "embedder" or name.endswith("__embedder"):
                regressor.set_params(**{name: None})
        template = FrozenEstimator(embedder) if facts["frozen"] else clone(embedder)
        chosen = {name: facts[name] for name in ("n_labels", "random_state", "memory")}
        model: Any = cls(embedder=template, regressor=regressor, **chosen)
        model.embedder_ = FrozenEstimator(embedder) if facts["frozen"] else embedder
        model.regressor_ = found["regressor_"]
        model.labelled_ = np.array(facts["labelled"], np.intp)
        model._target_shape = tuple(facts["target_shape"])
        restored: Self = model
        return restored


def _check_readable(path: str | os.PathLike[str], facts: dict[str, Any], trusted: bool) -> None:
    """Refuse what is none of these files, files of later versions, and pickles that are not trusted."""
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise ValueError(f"{os.fspath(path)!r} is not a LabelMaskingRegressor saved by skdim: it names no format.")
    if facts["format"] > _FORMAT:
        raise ValueError(
            f"{os.fspath(path)!r} has format {facts['format']} (skdim {facts['versions']['skdim']}); this version of "
            f"skdim, {skdim.__version__}, reads formats up to {_FORMAT}."
        )
    if facts["pickled"] and not trusted:
        kinds = ", ".join(sorted(facts["pickled"].values()))
        raise ValueError(
            f"{os.fspath(path)!r} keeps its {kinds} as a pickle, and reading a pickle can run any code; trusted=True "
            "is accepted for a file from someone you trust."
        )
