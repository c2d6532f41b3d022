"""Labelled crystals and an encoder to start from in, the fitted state of a regressor out; saving, loading, cloning."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdim._labels import Labels, check_labels, check_varied
from skdim._parameters import check_choice, check_effort, check_number, seed_of
from skdim.crystals.rows import as_structures
from skdim.crystals.structures import check_on_error
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.learning.callbacks import TrainingPlan
from skdim.learning.embedding import check_same_kind
from skdim.learning.finetuning import FREEZE, LOSSES, FineTuning, encoder_of, fine_tune, member, packed, unpacked
from skdim.learning.presets import resolve_preset
from skdim.learning.pretraining import pretrain
from skdim.learning.state import EmbedderState, read_state, write_state
from skdim.persistence import featurizer_of, is_available, plain_parameters, resolve_device
from skdim.points.featurizer import CrystalPointSetTransformer
from skdim.points.pointsets import PointSets

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ACCEPTED = (
    "accepted are a fitted DeepInfoMaxEmbedder or SiteNetRegressor, the path of a saved one, and None for an "
    "untrained start"
)


class FineTunedMixin(BaseEstimator):
    """Fitting, saving, loading and cloning of a regressor whose learned state is a packed `EmbedderState`."""

    embedder: Any
    freeze: str
    head_width: int
    loss: str
    max_epochs: int
    batch_pairs: int
    learning_rate: float
    weight_decay: float
    validation_fraction: float
    patience: int
    clamp: float | None
    n_ensemble: int
    preset: str
    device: str
    on_error: str
    n_jobs: int | None
    random_state: Any
    verbose: int
    state_: EmbedderState
    history_: list[dict[str, float]]
    featurizer_: CrystalPointSetTransformer

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted regressor to one file at exactly this path.

        Parameters
        ----------
        path : str or path
            The file: safetensors, with parameters, history and versions as JSON in its header. No pickle.
        """
        check_is_fitted(self, "state_")
        params = self.get_params(deep=False)
        params["embedder"] = self.embedder is not None
        params["random_state"] = int(self.random_state) if isinstance(self.random_state, Integral) else None
        featurizer, features = plain_parameters(self.featurizer_), self.featurizer_.site_features
        if featurizer["site_features"] is None:
            raise ValueError(f"site_features={features!r} is an object, which only pickle could keep: save cannot.")
        extra = {**self.state_.extra, "parameters": params, "featurizer": featurizer, "history": self.history_}
        write_state(path, replace(self.state_, extra=extra))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a regressor that `save` wrote, ready to predict, or to be fitted again from the same start.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        SiteNetRegressor
            Fitted. Where the device it was trained on is missing, its device is "auto".

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no saved regressor, or one of a later version.
        """
        state = read_state(path)
        if "regressor" not in state.extra:
            raise ValueError(f"{os.fspath(path)!r} is no saved SiteNetRegressor; DeepInfoMaxEmbedder.load may read it.")
        params = dict(state.extra["parameters"])
        if not is_available(params["device"]):
            params["device"] = "auto"
        started = params.pop("embedder")
        start = encoder_of(state, "start/", state.extra["embedder"])
        regressor = cls(**params, embedder=DeepInfoMaxEmbedder._of_state(start) if started else None)
        regressor.featurizer_ = featurizer_of(state.extra["featurizer"]).fit()
        regressor.state_, regressor.history_ = state, list(state.extra["history"])
        try:
            for number in range(regressor._shape()[0]):
                member(state, number, regressor._shape())
        except (RuntimeError, KeyError) as error:
            raise ValueError(f"{os.fspath(path)!r} does not fit together, or it is damaged: {error}") from error
        return regressor

    def __sklearn_clone__(self) -> Self:
        """Clone the parameters but for a fitted embedder, of which a copy shares the weights."""
        bare = copy.copy(self)
        bare.embedder = None
        fresh: Self = BaseEstimator.__sklearn_clone__(bare)
        fresh.embedder = (
            copy.copy(self.embedder) if hasattr(self.embedder, "state_") else clone(self.embedder, safe=False)
        )
        return fresh

    def _checked(self) -> FineTuning:
        """Check the parameters that no other function checks."""
        check_effort(self.n_jobs, self.verbose)
        check_choice("freeze", self.freeze, FREEZE)
        check_choice("loss", self.loss, sorted(LOSSES))
        check_number("head_width", self.head_width, "whole numbers of at least 0", whole=True, least=0)
        check_number("n_ensemble", self.n_ensemble, "whole numbers of at least 1", whole=True, least=1)
        check_number("weight_decay", self.weight_decay, "finite numbers of at least 0", least=0)
        fraction = self.validation_fraction
        check_number("validation_fraction", fraction, "shares from 0 to below 0.9", least=0, below=0.9)
        if self.clamp is not None:
            check_number("clamp", self.clamp, "None and finite numbers")
        check_on_error(self.on_error)
        return FineTuning(self.freeze, int(self.head_width), self.loss, fraction)

    def _plan(self, seed: int) -> TrainingPlan:
        """The training part of the parameters."""
        names = ("max_epochs", "patience", "batch_pairs", "learning_rate", "weight_decay")
        chosen: dict[str, Any] = {name: getattr(self, name) for name in names}
        device, progress = resolve_device(self.device), bool(self.verbose)
        return TrainingPlan(
            **chosen,
            amsgrad=False,
            schedule="one_cycle",
            seed=seed,
            device=device,
            progress=progress,
            title="fine-tuning",
        )

    def _fit(self, X: Any, y: Any, sample_weight: Any, goes_on: bool, one_epoch: bool = False) -> Self:
        """Train each member, from the start or from where it is."""
        choices, seed = self._checked(), seed_of(self.random_state)
        plan, labels = self._plan(seed), check_labels(y, sample_weight)
        if one_epoch:
            plan = replace(plan, max_epochs=1, schedule="constant")
            choices = replace(choices, validation_fraction=0.0)
        start, featurizer = self._continued(labels) if goes_on else self._start()
        points, labels = self._usable(X, featurizer, labels)
        if not goes_on:  # which has a scale already
            check_varied(labels.values)
        if start is None:
            start = pretrain(points, replace(resolve_preset(self.preset, None, None, {}), max_epochs=0), seed)
        check_same_kind(start, points)
        center, scale = self._known_scale() if goes_on else _scale(labels)
        labels = labels._replace(values=(labels.values - center) / scale)
        members, history = self._members(start, points, labels, plan, choices, goes_on)
        facts = {"n_ensemble": len(members), "head_width": choices.head_width, "single": labels.single}
        facts |= {"center": center.tolist(), "scale": scale.tolist()}
        extra = {"regressor": facts, "embedder": {**start.extra, "history": []}}
        self.state_ = packed(start, members, extra)
        self.featurizer_, self.history_ = featurizer, history
        return self

    def _members(
        self,
        start: EmbedderState,
        points: PointSets,
        labels: Labels,
        plan: TrainingPlan,
        choices: FineTuning,
        goes_on: bool,
    ) -> tuple[list[dict[str, NDArray[Any]]], list[dict[str, float]]]:
        """Train the members on standardised labels; give their weights and histories."""
        targets = labels.values.astype(np.float32)
        members: list[dict[str, NDArray[Any]]] = []
        history: list[dict[str, float]] = []
        for number in range(self.n_ensemble):
            seed, other = (int(s) for s in np.random.SeedSequence([plan.seed, number]).generate_state(2))
            weights = labels.weights
            if self.n_ensemble > 1:
                weights = weights * np.random.default_rng(other).exponential(size=len(weights))
            scaled = (weights / weights.mean()).astype(np.float32)
            before = unpacked(self.state_, f"{number}/") if goes_on else None
            own = replace(plan, seed=seed)
            trained, epochs = fine_tune(start, points, targets, scaled, own, choices, before)
            members.append(trained)
            history += [{**row, "member": number} for row in epochs]
        return members, history

    def _usable(self, X: Any, featurizer: CrystalPointSetTransformer, labels: Labels) -> tuple[PointSets, Labels]:
        """Featurize, and leave out the rows that failed or weigh nothing."""
        X = list(X) if isinstance(X, Iterator) else X
        n_labels, n_rows = len(labels.values), len(X if isinstance(X, PointSets) else as_structures(X))
        if n_rows != n_labels:  # before anything is featurized
            raise ValueError(f"X has {n_rows} rows and y has {n_labels}; accepted is one label for each row.")
        points = featurizer.transform(X)
        use = points.valid & (labels.weights > 0)
        if use.sum() < 2:
            raise ValueError(f"X holds {use.sum()} usable labelled crystals of {len(use)} rows; at least 2 are needed.")
        kept = Labels(labels.values[use], labels.weights[use], labels.single)
        return points if use.all() else points[use], kept

    def _continued(self, labels: Labels) -> tuple[EmbedderState, CrystalPointSetTransformer]:
        """The encoder the last fit started from, if this one can go on from where that ended."""
        facts = self.state_.extra["regressor"]
        now = {"n_ensemble": self.n_ensemble, "head_width": self.head_width, "targets": labels.values.shape[1]}
        for name, value in now.items():
            then = len(facts["center"]) if name == "targets" else facts[name]
            if value != then:
                raise ValueError(
                    f"{name}={value}, but the last fit had {then}; accepted is the same, to go on from it."
                )
        return encoder_of(self.state_, "start/", self.state_.extra["embedder"]), self.featurizer_

    def _shape(self) -> tuple[int, int, int]:
        """Members, targets, and hidden units of the head, as they were fitted."""
        facts = self.state_.extra["regressor"]
        return facts["n_ensemble"], len(facts["center"]), facts["head_width"]

    def _known_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of the targets of the first fit."""
        facts = self.state_.extra["regressor"]
        return np.array(facts["center"]), np.array(facts["scale"])

    def _start(self) -> tuple[EmbedderState | None, CrystalPointSetTransformer]:
        """The encoder to start from, None for an untrained one, and the featurizer."""
        given = self.embedder
        if isinstance(given, FrozenEstimator):
            given = given.estimator
        if isinstance(given, str | os.PathLike):
            saved: type[Any] = FineTunedMixin if "regressor" in read_state(given).extra else DeepInfoMaxEmbedder
            given = type(self).load(given) if saved is FineTunedMixin else saved.load(given)
        if given is None:
            featurizer = CrystalPointSetTransformer(**resolve_preset(self.preset, None, None, {}).featurizer)
            return None, self._set_up(featurizer)
        if not isinstance(given, DeepInfoMaxEmbedder | FineTunedMixin):
            raise ValueError(f"embedder={given!r}; {_ACCEPTED}.")
        if not hasattr(given, "state_"):
            raise ValueError(f"embedder={given!r} is not fitted; {_ACCEPTED}.")
        state = given.state_ if isinstance(given, DeepInfoMaxEmbedder) else given._encoder()
        return state, self._set_up(given.featurizer_)

    def _set_up(self, featurizer: CrystalPointSetTransformer) -> CrystalPointSetTransformer:
        """A copy of a featurizer that treats failing rows and processes as the parameters say now."""
        fresh: CrystalPointSetTransformer = clone(featurizer)
        n_jobs = fresh.n_jobs if self.n_jobs is None else self.n_jobs
        fresh.set_params(on_error=self.on_error, n_jobs=n_jobs, verbose=self.verbose)
        return fresh.fit()

    def _encoder(self) -> EmbedderState:
        """The fine-tuned encoder of the first member, as an embedder's state."""
        extra = {"parameters": DeepInfoMaxEmbedder()._parameters(), "history": []}
        extra["featurizer"] = plain_parameters(self.featurizer_)
        return encoder_of(self.state_, "0/model.", extra)


def _scale(labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and deviation of each target; a constant target has scale one."""
    center = np.average(labels.values, 0, labels.weights)
    scale = np.sqrt(np.average((labels.values - center) ** 2, 0, labels.weights))
    scale[scale <= 1e-10 * np.abs(center)] = 1.0
    return center, scale
