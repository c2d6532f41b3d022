"""`SiteNetRegressor`: properties of crystals from Site-Net, fine-tuned on labels."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdim._doclink import DocumentationLink
from skdim._labels import Known, Labels, check_labels, check_varied
from skdim._parameters import (
    FLAG,
    N_JOBS,
    ON_ERROR,
    VERBOSE,
    Accepted,
    check_parameters,
    choice,
    integer,
    number,
    optional,
    seed_of,
)
from skdim.crystals.rows import as_structures
from skdim.embedder import DeepInfoMaxEmbedder
from skdim.exceptions import InputError, ModelFileError
from skdim.learning.checkpoints import checkpoint_file
from skdim.learning.embedding import check_same_kind, resolve_device, run_with
from skdim.learning.finetuning import FineTuning, LabelledPoints, build_members, fine_tune, predict
from skdim.learning.presets import Run, TrainingConfig, resolve_preset
from skdim.learning.pretraining import pretrain
from skdim.learning.regression import FREEZE, LOSSES, RegressionModel
from skdim.learning.statefile import read_state, write_state
from skdim.learning.states import (
    EmbedderState,
    Epoch,
    FeaturizerSettings,
    Member,
    RegressorState,
    TargetScale,
    TrainingRecord,
    plain_parameters,
)
from skdim.points.featurizer import CrystalPointSetTransformer
from skdim.points.pointsets import PointSets
from skdim.scoring import r2_of_predicted

if TYPE_CHECKING:
    pass

_STARTS = "a fitted DeepInfoMaxEmbedder or SiteNetRegressor, the path of a saved one, or None for an untrained start"


@dataclass(frozen=True)
class _Start:
    """Where a fit begins."""

    state: EmbedderState | None  # None for an encoder that is still to be initialised
    featurizer: CrystalPointSetTransformer
    members: tuple[Member, ...] = ()  # weights to go on from
    target_scale: TargetScale | None = None  # that of the labels they were trained on


class SiteNetRegressor(DocumentationLink, RegressorMixin, BaseEstimator):
    """Properties of crystals from a Site-Net encoder with a regression head, trained together on few labels.

    The head starts as the ridge regression on the encoder's vectors (``max_epochs=0`` leaves it at that) and has a
    second, curved path that starts at zero. From there encoder and head are trained together. Targets are standardised
    inside.

    Parameters
    ----------
    embedder : fitted DeepInfoMaxEmbedder or SiteNetRegressor, path of a saved one, or None, default=None
        Encoder to start from, also within scikit-learn's ``FrozenEstimator``. `clone` keeps it fitted, so that
        cross-validation and grid searches start from its weights in every fold. A regressor that was fitted to
        another property hands on its encoder. None starts from the untrained encoder of ``preset``.
    freeze : {"none", "local", "global", "both"}, default="none"
        What the training leaves as it is: the encoders of environments ("local"), the readout of the paper's preset
        ("global"; pooling by moments has nothing to train), or all but the head ("both").
    head_width : int, default=64
        Hidden units of the head's curved path; 0 leaves the head linear.
    loss : {"mse", "mae", "huber"}, default="mse"
        Of standardised targets.
    max_epochs : int, default=30
        Most passes over the labels.
    batch_pairs : int, default=4000
        Most pairs of sites in a batch.
    learning_rate : float, default=1e-3
        Highest learning rate of AdamW, which warms up and cools down.
    weight_decay : float, default=1e-2
        Of AdamW.
    validation_fraction : float, default=0.0
        Share of the labels held out. With some, training stops early and keeps the weights of the lowest held-out
        loss, those of the start included. With none, it takes ``max_epochs`` and keeps those of the lowest training
        loss. The default is what measured better at 100 and 250 labels, where each label counts; of fewer than 20
        none is ever held out.
    patience : int, default=10
        Epochs without a lower held-out loss that end the training.
    clamp : float or None, default=None
        Lowest prediction, such as 0 for band gaps.
    n_ensemble : int, default=1
        Models that are averaged. With more than one, each has a seed, held-out labels and random weights of the labels
        of its own (Bayesian bootstrap [2]_), so that their spread shows what the labels leave open.
    preset : {"default", "deep", "paper"}, default="default"
        What ``embedder=None`` builds, as for `DeepInfoMaxEmbedder`.
    warm_start : bool, default=False
        Whether a further ``fit`` goes on from the weights of the last.
    checkpoint_dir : str, path or None, default=None
        Folder of checkpoints, one for each member, that are written after each epoch; a ``fit`` that was stopped goes
        on from there and ends as if it had not been. Needs an integer ``random_state``.
    device : str, default="auto"
        Where to compute; "auto" is a GPU if torch finds one, else the processor.
    on_error : {"raise", "nan"}, default="raise"
        What becomes of rows that are no usable crystals: with "nan", they are left out of ``fit`` and predicted NaN.
    n_jobs : int or None, default=None
        Processes for featurizing; None leaves it to the embedder's featurizer.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches and held-out labels.
    verbose : int, default=0
        1 shows progress bars.

    Attributes
    ----------
    featurizer_ : CrystalPointSetTransformer
        The featurizer in use.
    state_ : RegressorState
        What was learned, as arrays and plain values: the start, the members, the scale of the targets.
    history_ : list of dict
        For each epoch ``epoch``, ``train_loss``, ``valid_loss``, ``dur`` (seconds) and ``member``.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If a parameter is not accepted, fewer than 2 rows are labelled, a target is not finite, or all are the same. A
        constant target beside others that vary is accepted, and predicted.
    FloatingPointError
        If the training diverges; the message says what to change.
    KeyboardInterrupt
        If the user interrupts ``fit``. Once an epoch is complete, the regressor is fitted with the weights of the best
        one so far and the members trained so far, and a warning says so.

    References
    ----------
    .. [1] Moran, Gusev, Gaultois, Antypov, Rosseinsky, "Establishing Deep InfoMax as an effective self-supervised
       learning methodology in materials informatics", arXiv 2407.00671.
    .. [2] D. B. Rubin, "The Bayesian bootstrap", Ann. Statist. 9 (1981) 130.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
    >>> from skdim.datasets import load_band_gap
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(structures[:60])
    >>> regressor = SiteNetRegressor(embedder, max_epochs=2, clamp=0, random_state=0)
    >>> regressor.fit(structures[:40], gaps[:40]).predict(structures[60:62]).shape
    (2,)
    """

    def __init__(
        self,
        embedder: Any = None,
        freeze: str = "none",
        head_width: int = 64,
        loss: str = "mse",
        max_epochs: int = 30,
        batch_pairs: int = 4_000,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        validation_fraction: float = 0.0,
        patience: int = 10,
        clamp: float | None = None,
        n_ensemble: int = 1,
        preset: str = "default",
        warm_start: bool = False,
        checkpoint_dir: Any = None,
        device: str = "auto",
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.freeze = freeze
        self.head_width = head_width
        self.loss = loss
        self.max_epochs = max_epochs
        self.batch_pairs = batch_pairs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.clamp = clamp
        self.n_ensemble = n_ensemble
        self.preset = preset
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.device = device
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on labelled crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures of any accepted kind, or point sets, which are used as they come.
        y : array-like of shape (C,) or (C, T)
            One or several properties, finite.
        sample_weight : array-like of shape (C,) or None
            Of the rows in the loss; rows of weight 0 are left out.

        Returns
        -------
        self
        """
        config = self._checked()
        checkpoint = checkpoint_file(self.checkpoint_dir, self.random_state, "member")
        labels = check_labels(y, sample_weight)
        goes_on = self.warm_start and hasattr(self, "state_")
        start = self._where_it_ended(labels) if goes_on else self._start()
        return self._fine_tune(X, labels, start, config, checkpoint)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch at a constant learning rate, on these rows; the first call starts as `fit` does.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; no label is held out, and the scale of the targets stays that of the first call.

        Returns
        -------
        self
        """
        config = replace(self._checked(), max_epochs=1, schedule="constant", validation_fraction=0.0)
        labels = check_labels(y, sample_weight)
        start = self._where_it_ended(labels) if hasattr(self, "state_") else self._start()
        return self._fine_tune(X, labels, start, config)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the properties of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        return_std : bool, default=False
            Whether to return the standard deviation over the ensemble too. It says what the labels leave open; it is no
            calibrated error bar.

        Returns
        -------
        ndarray of shape (C,) or (C, T), or a pair of them
            In the units of y; NaN for rows that failed with on_error="nan".
        """
        check_is_fitted(self, "state_")
        n_members, scale = len(self.state_.members), self.state_.target_scale
        if return_std and n_members < 2:
            raise InputError(f"return_std=True needs an ensemble: n_ensemble must be an integer >= 2, got {n_members}.")
        points = run_with(self.featurizer_, **self._running()).transform(X)
        check_same_kind(self.state_.start, points)
        standardised = predict(self._modules(), points, len(scale.center), resolve_device(self.device))
        each = standardised * scale.scale + scale.center
        if self.clamp is not None:
            each = np.maximum(each, self.clamp)
        each = each[:, :, 0] if scale.single else each
        return (each.mean(0), each.std(0, ddof=1)) if return_std else each.mean(0)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give R2; rows that failed under on_error="nan" are left out with a warning.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        float
            Mean over the targets.
        """
        labels = check_labels(y, sample_weight)
        predicted = self.predict(X)
        _check_lengths(len(predicted), len(labels.values))
        weights = None if sample_weight is None else labels.weights
        return r2_of_predicted(predicted, Known(X, labels.values, weights, np.arange(len(labels.values))))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted regressor to one file at exactly this path.

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
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a regressor that `save` wrote, ready to predict, or to be fitted again from the same start.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        SiteNetRegressor
            Fitted. Parameters that say where and how to run have their defaults.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no saved regressor, is damaged, or comes from a later version.
        """
        state = read_state(path)
        if isinstance(state, EmbedderState):
            raise ModelFileError(f"{os.fspath(path)!r} is a saved embedder; DeepInfoMaxEmbedder.load reads it.")
        params = dict(state.parameters)
        try:
            embedder = DeepInfoMaxEmbedder.from_state(state.start) if params.pop("embedder") else None
            regressor = cls(embedder, **params)
            regressor._take(state, run_with(state.start.featurizer.build().fit(), **regressor._running()))
        except (AttributeError, InputError, KeyError, TypeError) as error:
            raise ModelFileError(f"{os.fspath(path)!r}: parameters: {error}.") from error
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

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array, and few epochs on few labels may fit poorly."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Leave the networks out: the arrays of the state rebuild them, on whatever device is there."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_members", None)
        return state

    _accepted: ClassVar[dict[str, Accepted]] = {
        "freeze": choice(*FREEZE),
        "head_width": integer(0),
        "loss": choice(*sorted(LOSSES)),
        "validation_fraction": number(least=0, below=0.9),
        "clamp": optional(number()),
        "n_ensemble": integer(1),
        "warm_start": FLAG,
        "on_error": ON_ERROR,
        "n_jobs": N_JOBS,
        "verbose": VERBOSE,
    }

    def _checked(self) -> TrainingConfig:
        """Check the parameters, and return those of the training."""
        check_parameters(self, self._accepted)
        return TrainingConfig(
            max_epochs=self.max_epochs,
            patience=self.patience,
            batch_pairs=self.batch_pairs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            validation_fraction=self.validation_fraction,
        )

    def _running(self) -> dict[str, Any]:
        """How a featurizer is to treat failing rows and processes."""
        return {"on_error": self.on_error, "n_jobs": self.n_jobs, "verbose": self.verbose}

    def _start(self) -> _Start:
        """Begin from what ``embedder`` is."""
        given = self.embedder.estimator if isinstance(self.embedder, FrozenEstimator) else self.embedder
        if given is None:
            featurizer = CrystalPointSetTransformer(**resolve_preset(self.preset).featurizer, **self._running())
            return _Start(None, featurizer.fit())
        if isinstance(given, str | os.PathLike):
            state = read_state(given)
            featurizer = (state if isinstance(state, EmbedderState) else state.start).featurizer.build().fit()
        elif isinstance(given, DeepInfoMaxEmbedder | SiteNetRegressor) and hasattr(given, "state_"):
            state, featurizer = given.state_, given.featurizer_
        else:
            fitted = " not fitted" * isinstance(given, DeepInfoMaxEmbedder | SiteNetRegressor)
            raise InputError(f"embedder must be {_STARTS}, got {given!r}{fitted and ','}{fitted}.")
        encoder = state if isinstance(state, EmbedderState) else state.encoder()
        n_jobs = featurizer.n_jobs if self.n_jobs is None else self.n_jobs
        return _Start(encoder, run_with(featurizer, **{**self._running(), "n_jobs": n_jobs}))

    def _where_it_ended(self, labels: Labels) -> _Start:
        """Begin from where the last fit ended, if this one can go on from there."""
        state = self.state_
        fits = {
            "n_ensemble": (self.n_ensemble, len(state.members)),
            "head_width": (self.head_width, state.head_width),
            "the number of targets": (labels.values.shape[1], len(state.target_scale.center)),
        }
        for name, (now, then) in fits.items():
            if now != then:
                raise InputError(f"{name} must be {then}, as in the fit to go on from, got {now}.")
        return _Start(state.start, run_with(self.featurizer_, **self._running()), state.members, state.target_scale)

    def _fine_tune(self, X: Any, labels: Labels, start: _Start, config: TrainingConfig, checkpoint: Any = None) -> Self:
        """Featurize, train each member, and take over what was learned."""
        run = Run(seed_of(self.random_state), resolve_device(self.device), None, bool(self.verbose), "fine-tuning")
        points, labels = _usable(X, start.featurizer, labels)
        if start.target_scale is None:
            check_varied(labels.values)
        encoder = start.state or self._untrained(points, start.featurizer, run)
        check_same_kind(encoder, points)
        scale = start.target_scale or _scale_of(labels)
        members: list[Member] = []
        history: list[Epoch] = []
        interrupted = False
        for place in range(self.n_ensemble):
            labelled, own = self._labels_of_member(place, points, labels, scale, run)
            file = None if checkpoint is None else checkpoint.with_stem(f"{checkpoint.stem}_{place}")
            before = start.members[place] if start.members else None
            choices = FineTuning(self.freeze, int(self.head_width), self.loss)
            member, epochs, interrupted = fine_tune(encoder, labelled, choices, config, own, before, file)
            members.append(member)
            history += [{**epoch, "member": place} for epoch in epochs]
            if interrupted:
                break
        record = TrainingRecord(tuple(history), len(points), 0)
        state = RegressorState(encoder, tuple(members), scale, int(self.head_width), plain_parameters(self), record)
        # Only now, so that a fit that fails leaves an earlier one whole.
        self._take(state, start.featurizer)
        if interrupted:
            warnings.warn(
                f"fit was interrupted: the regressor has {len(members)} of {self.n_ensemble} members, and the last one "
                f"has the weights of the best of {len(epochs)} epochs.",
                UserWarning,
                stacklevel=3,
            )
            raise KeyboardInterrupt
        return self

    def _untrained(self, points: PointSets, featurizer: CrystalPointSetTransformer, run: Run) -> EmbedderState:
        """The encoder of the preset as it is initialised, with the scale of its vectors on these crystals."""
        preset = resolve_preset(self.preset, training={"max_epochs": 0})
        bare = DeepInfoMaxEmbedder(preset=self.preset, max_epochs=0)
        state = pretrain(points, preset, replace(run, device="cpu"), featurizer=FeaturizerSettings.of(featurizer)).state
        return replace(state, parameters=plain_parameters(bare))

    def _labels_of_member(
        self, place: int, points: PointSets, labels: Labels, scale: TargetScale, run: Run
    ) -> tuple[LabelledPoints, Run]:
        """Standardised labels with the weights of a member, and the run with its seed."""
        seed, of_weights = (int(s) for s in np.random.SeedSequence([run.seed, place]).generate_state(2))
        weights = labels.weights
        if self.n_ensemble > 1:
            weights = weights * np.random.default_rng(of_weights).exponential(size=len(weights))
        targets = ((labels.values - scale.center) / scale.scale).astype(np.float32)
        scaled = (weights / weights.mean()).astype(np.float32)
        return LabelledPoints(points, targets, scaled), replace(run, seed=seed)

    def _take(self, state: RegressorState, featurizer: CrystalPointSetTransformer) -> None:
        """Take over what was learned."""
        # The networks at once, and not when they are first needed: predict changes no attribute.
        self._members = build_members(state)
        self.state_, self.featurizer_ = state, featurizer
        self.history_ = [dict(epoch) for epoch in state.record.history]

    def _modules(self) -> list[RegressionModel]:
        """The networks of the members; of a pickle or a copy they are built now."""
        if "_members" not in self.__dict__:
            self._members = build_members(self.state_)
        return self._members


def _usable(X: Any, featurizer: CrystalPointSetTransformer, labels: Labels) -> tuple[PointSets, Labels]:
    """Featurize, and leave out the rows that failed or weigh nothing."""
    X = list(X) if isinstance(X, Iterator) else X
    # Before anything is featurized.
    _check_lengths(len(X if isinstance(X, PointSets) else as_structures(X)), len(labels.values))
    points = featurizer.transform(X)
    use = points.valid & (labels.weights > 0)
    if use.sum() < 2:
        raise InputError(f"X holds {use.sum()} usable labelled crystals of {len(use)} rows; at least 2 are needed.")
    kept = Labels(labels.values[use], labels.weights[use], labels.single)
    return points if use.all() else points[use], kept


def _check_lengths(n_rows: int, n_labels: int) -> None:
    """Refuse labels that are not one for each row."""
    if n_rows != n_labels:
        raise InputError(f"y must have one label for each row of X: X has {n_rows} rows and y has {n_labels}.")


def _scale_of(labels: Labels) -> TargetScale:
    """Weighted mean and deviation of each target; a constant target has scale one."""
    # In units of a power of two near the largest value, which changes no bit but keeps squares from overflowing.
    _, exponent = np.frexp(np.abs(labels.values).max(0))
    values = np.ldexp(labels.values, -exponent)
    center = np.average(values, 0, labels.weights)
    scale = np.sqrt(np.average((values - center) ** 2, 0, labels.weights))
    center, scale = np.ldexp(center, exponent), np.ldexp(scale, exponent)
    scale[scale <= 1e-10 * np.abs(center)] = 1.0
    return TargetScale(center, scale, labels.single)
