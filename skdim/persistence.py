"""A fitted embedder in, one file out, and back; its network, built from arrays when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skdim.learning.state import EmbedderState, read_state, write_state
from skdim.network.model import CrystalModel
from skdim.network.threads import use_one_thread_after_fork
from skdim.points.featurizer import CrystalPointSetTransformer


class SavedMixin(BaseEstimator):
    """Saving, loading and pickling of an estimator whose learned state is an `EmbedderState`."""

    state_: EmbedderState
    history_: list[dict[str, float]]
    featurizer: CrystalPointSetTransformer | None
    featurizer_: CrystalPointSetTransformer
    device: str
    random_state: Any
    checkpoint_dir: Any
    negatives: Sequence[str] | None
    _model: CrystalModel

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted embedder to one file at exactly this path.

        Parameters
        ----------
        path : str or path
            The file: safetensors, with parameters, history and versions as JSON in its header. No pickle.
        """
        check_is_fitted(self, "state_")
        features = self.featurizer_.site_features
        if not isinstance(features, str | Sequence):
            raise ValueError(f"site_features={features!r} is an object, which only pickle could keep: save cannot.")
        write_state(path, self.state_)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an embedder that `save` wrote, ready to transform.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        estimator
            Fitted. Where the device it was trained on is missing, its device is "auto".

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no saved embedder, or one of a later version.
        """
        state = read_state(path)
        if "regressor" in state.extra:
            raise ValueError(f"{os.fspath(path)!r} is a saved SiteNetRegressor; SiteNetRegressor.load reads it.")
        try:
            return cls._of_state(state)
        except RuntimeError as error:
            raise ValueError(f"{os.fspath(path)!r} does not fit together, or it is damaged: {error}") from error

    @classmethod
    def _of_state(cls, state: EmbedderState) -> Self:
        """Build the fitted estimator that a state, with its parameters and featurizer among the extras, describes."""
        params = dict(state.extra["parameters"])
        given = params.pop("featurizer")
        if not is_available(params["device"]):
            params["device"] = "auto"
        params["negatives"] = None if params["negatives"] is None else tuple(params["negatives"])
        embedder = cls(**params, featurizer=None if given is None else featurizer_of(given))
        embedder.featurizer_ = featurizer_of(state.extra["featurizer"]).fit()
        embedder._restore(state)
        return embedder

    def _restore(self, state: EmbedderState) -> None:
        """Take a state as what was learned."""
        self.state_ = state
        self.history_ = list(state.extra["history"])
        # At once, and not when it is first needed: transform changes no attribute.
        self._model = state.model()

    def _device(self) -> str:
        """Resolve the parameter."""
        return resolve_device(self.device)

    def _network(self) -> CrystalModel:
        """Return the network where the device is now; pickles and copies build it when it is first needed."""
        use_one_thread_after_fork()
        if "_model" not in self.__dict__:
            self._model = self.state_.model()
        device = self._device()
        # To move a model that is there already looks at every weight, which shows in the time of a small batch.
        return self._model if self._model.feature_mean.device == torch.device(device) else self._model.to(device)

    def _parameters(self) -> dict[str, Any]:
        """Return the constructor's parameters as JSON-able values; what cannot be kept is left at its default."""
        params: dict[str, Any] = self.get_params(deep=False)
        params["featurizer"] = None if self.featurizer is None else plain_parameters(self.featurizer)
        params["random_state"] = int(self.random_state) if isinstance(self.random_state, Integral) else None
        params["checkpoint_dir"] = None if self.checkpoint_dir is None else str(self.checkpoint_dir)
        for name in ("encoder_params", "objective_params"):
            params[name] = None if params[name] is None else dict(params[name])
        params["negatives"] = None if self.negatives is None else list(self.negatives)
        return params

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out: the arrays of the state rebuild it, on whatever device is there."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_model", None)
        return state


def resolve_device(device: str) -> str:
    """Resolve "auto", and refuse what torch cannot use here."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not is_available(device):
        raise ValueError(f"device={device!r}; accepted are 'auto' and torch devices that are present here.")
    return device


def is_available(device: Any) -> bool:
    """Tell whether torch can put a tensor there."""
    if device == "auto":
        return True
    try:
        torch.empty(0, device=device if isinstance(device, str) else "")
    except (RuntimeError, AssertionError, NotImplementedError):
        # AssertionError: what a build of torch without CUDA raises.
        return False
    return True


def featurizer_of(params: dict[str, Any]) -> CrystalPointSetTransformer:
    """Build a featurizer of what `plain_parameters` gave; JSON has no tuples."""
    return CrystalPointSetTransformer(**{**params, "interaction_features": tuple(params["interaction_features"])})


def plain_parameters(featurizer: CrystalPointSetTransformer) -> dict[str, Any]:
    """Return a featurizer's parameters as JSON-able values."""
    params: dict[str, Any] = featurizer.get_params(deep=False)
    for name in ("site_features", "interaction_features"):
        if not isinstance(params[name], str):
            params[name] = list(params[name]) if isinstance(params[name], Sequence) else None
    params["cache_dir"] = None if params["cache_dir"] is None else str(params["cache_dir"])
    return params
