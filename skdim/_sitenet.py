"""What estimators that fine-tune Site-Net have in common: where they start, how they train, what they keep."""

from __future__ import annotations

import os
from abc import abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skdim._estimators import CallbackSupportMixin, FitTasks, KeepsEmbedder, pass_on, thawed
from skdim._labels import Labels, check_lengths, cut_into_folds, read_groups
from skdim._parameters import FLAG, RUNNING, Accepted, check, choice, integer, optional, seed_of
from skdim.crystals.rows import listed
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.exceptions import InputError, ModelFileError
from skdim.learning.embedding import check_same_kind, embed, on_device, resolve_device, run_with
from skdim.learning.finetuning import Ensemble, FineTuning, FineTuningOutcome, LabelledPoints, fine_tune
from skdim.learning.presets import PRESETS, Run, TrainingConfig, resolve_preset
from skdim.learning.pretraining import pretrain
from skdim.learning.regression import FREEZE
from skdim.learning.statefile import parameters_of, read_state, source_name, write_state
from skdim.learning.states import (
    Anchor,
    EmbedderState,
    FeaturizerSettings,
    Member,
    RegressorState,
    TargetScale,
    TrainingRecord,
    plain_parameters,
)
from skdim.network.threads import one_torch_thread
from skdim.points.featurizer import CrystalPointSetTransformer, maker_of, n_rows
from skdim.points.pointsets import PointSets
from skdim.points.twins import together, twins

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STARTS = (
    "a fitted DeepInfoMaxEmbedder, SiteNetRegressor or SiteNetClassifier, the path of a saved one, or None for an "
    "untrained start"
)
EPOCHS = 30
# Pairs of sites that a fit visits at most, about, unless it is told how many epochs to take: less than a minute on two
# processors. Crystals of the bundled sets stay well below it.
_VISITS = 16_000_000
_LEAST_EPOCHS = 2
_SMALL = 10_000  # pairs of a batch
# Fewer labels give no held-out error.
_LEAST_LABELS = 4

ACCEPTED: dict[str, Accepted] = {
    "freeze": choice(*FREEZE),
    "head_width": integer(0),
    "max_epochs": optional(integer(0)),
    "cv": optional(integer(2)),
    "n_ensemble": integer(1),
    "preset": choice(*sorted(PRESETS)),
    **RUNNING,
}
"""What the parameters accept that all of these estimators have."""


@dataclass(frozen=True)
class Start:
    """Where a fit begins."""

    state: EmbedderState | None  # None for an encoder that is still to be initialised
    featurizer: CrystalPointSetTransformer
    members: tuple[Member, ...] = ()  # weights to continue from
    target_scale: TargetScale | None = None  # that of the labels they were trained on
    anchor: Anchor | None = None  # of the fit to continue


class Labelled(NamedTuple):
    """The usable rows of a fit."""

    points: PointSets  # N
    labels: Labels
    rows: NDArray[np.int64]  # (N,) among those given
    groups: NDArray[Any] | None  # (N,)


class SiteNetModel(KeepsEmbedder, CallbackSupportMixin, BaseEstimator):
    """Base of estimators that fine-tune Site-Net; their constructors have the parameters in `ACCEPTED`, and more."""

    state_: RegressorState
    featurizer_: CrystalPointSetTransformer
    history_: list[dict[str, float]]

    _of_classes: ClassVar[bool] = False

    @abstractmethod
    def _checked(self) -> TrainingConfig:
        """Check the parameters, and return those of the training."""

    def _training(self, patience: int, validation_fraction: float) -> TrainingConfig:
        """Those of the training, with the ones that not every estimator has."""
        return TrainingConfig(
            max_epochs=EPOCHS if self.max_epochs is None else self.max_epochs,
            patience=patience,
            batch_pairs=self.batch_pairs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            validation_fraction=validation_fraction,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file at exactly this path.

        Parameters
        ----------
        path : str or path
            The file: safetensors, with parameters, history and versions as JSON in its header, and a digest of all of
            it. No pickle. What says where and how to run is left out: ``checkpoint_dir``, ``device``, ``n_jobs`` and
            ``verbose``.
        """
        check_is_fitted(self, "state_")
        write_state(path, replace(self.state_, parameters=plain_parameters(self)))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | bytes) -> Self:
        """Read an estimator that `save` wrote, ready to predict, or to be fitted again from the same start.

        Parameters
        ----------
        path : str, path or bytes
            The file, or its content.

        Returns
        -------
        estimator
            Fitted. Parameters that say where and how to run have their defaults.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no saved estimator of this class, is damaged, or comes from a later version.
        """
        state = read_state(path)
        if isinstance(state, EmbedderState):
            raise ModelFileError(f"{source_name(path)} is a saved embedder; DeepInfoMaxEmbedder.load reads it.")
        if (state.classes is not None) != cls._of_classes:
            other = "SiteNetRegressor" if cls._of_classes else "SiteNetClassifier"
            raise ModelFileError(f"{source_name(path)} is a saved {other}; {other}.load reads it.")
        params = dict(state.parameters)
        with parameters_of(path):
            check("embedder", given := params.pop("embedder"), FLAG)
            embedder = DeepInfoMaxEmbedder.from_state(state.start)  # which looks at the parameters of the start
            estimator = cls(embedder if given else None, **params)
            estimator._checked()
            estimator._take(state, run_with(state.start.featurizer.build().fit(), **estimator._running()))
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Leave the networks out: the arrays of the state rebuild them, on whatever device is there."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_networks", None)
        return state

    def _running(self) -> dict[str, Any]:
        """How a featurizer is to treat failing rows and processes."""
        return {"on_error": self.on_error, "n_jobs": self.n_jobs, "verbose": self.verbose}

    def _start(self, X: Any) -> Start:
        """Begin from what ``embedder`` is; an untrained start takes the settings of point sets."""
        given = thawed(self.embedder)
        if given is None:
            usual = CrystalPointSetTransformer(**resolve_preset(self.preset).featurizer, **self._running()).fit()
            return Start(None, maker_of(X, usual))
        if isinstance(given, str | os.PathLike):
            state = read_state(given)
            featurizer = (state if isinstance(state, EmbedderState) else state.start).featurizer.build().fit()
        elif isinstance(given, DeepInfoMaxEmbedder | SiteNetModel) and hasattr(given, "state_"):
            state, featurizer = given.state_, given.featurizer_
        else:
            fitted = ", not fitted" if isinstance(given, DeepInfoMaxEmbedder | SiteNetModel) else ""
            raise InputError(f"embedder must be {_STARTS}, got {given!r}{fitted}.")
        encoder = state if isinstance(state, EmbedderState) else state.encoder()
        n_jobs = featurizer.n_jobs if self.n_jobs is None else self.n_jobs
        return Start(encoder, run_with(featurizer, **{**self._running(), "n_jobs": n_jobs}))

    def _labelled(self, X: Any, labels: Labels, groups: Any, start: Start) -> Labelled:
        """Featurize, and leave out the rows that failed or weigh nothing."""
        X = listed(X)
        # Before anything is featurized.
        check_lengths(n_rows(X), len(labels.values))
        of_group = None if groups is None else read_groups(groups, len(labels.values))
        points = start.featurizer.transform(X)
        use = points.valid & (labels.weights > 0)
        if use.sum() < 2:
            raise InputError(f"X holds {use.sum()} usable labelled crystals of {len(use)} rows; at least 2 are needed.")
        kept = Labels(labels.values[use], labels.weights[use], labels.single)
        own = None if of_group is None else of_group[use]
        return Labelled(points if use.all() else points[use], kept, np.flatnonzero(use), own)

    def _fine_tune(
        self,
        labelled: Labelled,
        start: Start,
        choices: FineTuning,
        config: TrainingConfig,
        checkpoint: Any = None,
        strata: NDArray[np.int64] | None = None,
        once: bool = False,
        tasks: FitTasks | None = None,
    ) -> tuple[RegressorState, FineTuningOutcome]:
        """Train; what is learned is not taken over yet.

        Each fold has its share of each of the ``strata`` (N,); ``once``, nothing is chosen.
        """
        seed, device = seed_of(self.random_state), resolve_device(self.device)
        run = Run(seed, device, progress=bool(self.verbose), title="fine-tuning", tasks=tasks)
        points, labels = labelled.points, labelled.labels
        encoder = start.state or self._untrained(points, start.featurizer, run)
        check_same_kind(encoder, points)
        scale = start.target_scale or scale_of(labels)
        chooses = self.cv is not None and not start.members and not once
        n_folds = self.cv if chooses else 0
        if self.max_epochs is None and not once:
            config, n_folds = self._affordable(points, config, n_folds)
        vectors = embed(encoder, on_device(encoder.model(), device), points, device)
        alike = twins(points, vectors)
        kept = labelled._replace(groups=together(labelled.groups, alike))
        fold = _folds(n_folds, kept, strata, run.seed) if chooses and len(points) >= _LEAST_LABELS else None
        if chooses and fold is None:
            config = replace(config, max_epochs=0)
        targets = ((labels.values - scale.center) / scale.scale).astype(np.float32)
        weights = (labels.weights / labels.weights.mean()).astype(np.float32)
        given = LabelledPoints(points, vectors, targets, weights, alike, fold)
        # Several threads would wait for one another about as long as they work on small batches, and many times longer
        # where another process computes.
        small = config.batch_pairs <= _SMALL and device == "cpu"
        with one_torch_thread() if small else nullcontext():
            found = fine_tune(encoder, given, choices, config, run, start.members, checkpoint)
        record = TrainingRecord(found.history, len(points), 0)
        parameters = plain_parameters(self)
        anchor = found.anchor or start.anchor
        return RegressorState(encoder, found.members, scale, int(self.head_width), parameters, record, anchor), found

    def _affordable(self, points: PointSets, config: TrainingConfig, folds: int) -> tuple[TrainingConfig, int]:
        """Epochs and folds, fewer where the crystals are so large that a fit would take long."""
        pairs = int(points.n_pairs.sum())
        # In each fold all the others are learned from.
        tried = [(k, _VISITS // (pairs * (max(k - 1, 0) + self.n_ensemble))) for k in sorted({folds, min(folds, 2)})]
        folds, epochs = max(tried, key=lambda one: (min(one[1], EPOCHS // 3), one[0]))
        return replace(config, max_epochs=min(EPOCHS, epochs) if epochs >= _LEAST_EPOCHS else 0), folds

    def _end(self, found: FineTuningOutcome, tasks: FitTasks | None) -> None:
        """End a fit, whose result is taken over; of an interrupted one, say what it has left, and pass it on."""
        if not found.interrupted:
            if tasks is not None:
                tasks.end()
            return
        if found.members:
            epochs = sum(row["member"] == len(found.members) - 1 for row in found.history)
            left = (
                f"it has {len(found.members)} of {self.n_ensemble} members, and the last one has the weights of the "
                f"best of {epochs} epochs"
            )
        else:
            left = "it is the linear regression on the vectors of the embedder"
        pass_on(f": {left}.", 4)

    def _untrained(self, points: PointSets, featurizer: CrystalPointSetTransformer, run: Run) -> EmbedderState:
        """The encoder of the preset as it is initialised, with the scale of its vectors on these crystals."""
        preset = resolve_preset(self.preset, training={"max_epochs": 0})
        bare = DeepInfoMaxEmbedder(preset=self.preset, max_epochs=0)
        state = pretrain(points, preset, replace(run, device="cpu"), featurizer=FeaturizerSettings.of(featurizer)).state
        return replace(state, parameters=plain_parameters(bare))

    def _take(self, state: RegressorState, featurizer: CrystalPointSetTransformer, **more: Any) -> None:
        """Take over what was learned, with more attributes."""
        # The networks too, and not when they are first needed: predict changes no attribute. All at once, for others.
        learned = {"_networks": Ensemble(state), "history_": [dict(epoch) for epoch in state.record.history]}
        self.__dict__.update(state_=state, featurizer_=featurizer, **learned, **more)

    @property
    def ensemble_(self) -> Ensemble:
        """The trained networks, ready to predict; of a pickle or a copy they are built now."""
        check_is_fitted(self, "state_")
        if "_networks" not in self.__dict__:
            self._networks = Ensemble(self.state_)
        return self._networks

    def _points(self, X: Any) -> PointSets:
        """Point sets to predict, of the kind that was trained on."""
        check_is_fitted(self, "state_")
        points = run_with(self.featurizer_, **self._running()).transform(X)
        check_same_kind(self.state_.start, points)
        return points


def scale_of(labels: Labels) -> TargetScale:
    """Weighted mean and deviation of each target; a constant target has scale one."""
    # In units of a power of two near the largest value, which changes no bit but keeps squares from overflowing.
    _, exponent = np.frexp(np.abs(labels.values).max(0))
    values = np.ldexp(labels.values, -exponent)
    center = np.average(values, 0, labels.weights)
    scale = np.sqrt(np.average((values - center) ** 2, 0, labels.weights))
    center, scale = np.ldexp(center, exponent), np.ldexp(scale, exponent)
    scale[scale <= 1e-10 * np.abs(center)] = 1.0
    return TargetScale(center, scale, labels.single)


def _folds(most: int, labelled: Labelled, strata: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """Fold (N,) in which each row is held out; groups stay together, and each fold has its share of each stratum."""
    if strata is not None:
        most = min(most, max(2, int(np.bincount(strata).min())))
    fold = np.empty(len(labelled.points), np.int64)
    for place, (_, held) in enumerate(cut_into_folds(len(fold), most, seed, labelled.groups, strata)):
        fold[held] = place
    return fold
