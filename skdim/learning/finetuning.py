"""Fine-tuning on labels: encoders with regression heads, trained from a regression on frozen vectors, and held to it.

It goes from the ridge regression on the encoder's vectors in two steps. The first is to a regression that weighs the
parts of the vector, see `skdim.learning.ridge`. The head starts as that regression, and the second step trains
everything that is not frozen. Held-out labels decide how far each step goes, so a step that gains nothing changes
nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from skdim._parameters import check_are_numbers
from skdim.learning.checkpoints import Checkpoint, fingerprint
from skdim.learning.embedding import embed, on_device
from skdim.learning.loader import CrystalDataset, hold_out
from skdim.learning.regression import RegressionModel, WeightedLoss
from skdim.learning.ridge import MOST, fit_by_part, fit_ridge
from skdim.learning.states import Anchor, weights_of
from skdim.network.batches import collate, pair_budget_batches
from skdim.network.readout import column_kinds
from skdim.network.threads import use_one_thread_after_fork

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from skdim.learning.presets import Run, TrainingConfig
    from skdim.learning.states import EmbedderState, Epoch, Member, RegressorState, Ridge
    from skdim.points.pointsets import PointSets

# Pairs of a batch of predictions: what a head adds is small, and batches of this size keep the pair states of any
# encoder in the processor's cache. Sums over other batches would differ in their last bits.
_PREDICT_PAIRS = 5_000
# Where there are fewer labels, held-out ones say nothing.
FEW = 20
# Standard errors that are taken off the gain of the first step: fewer than of a training, as nothing in it is random.
_SURE_OF_PARTS = 0.5
_STEPS = np.linspace(0.0, 1.0, 21)
# Standard errors of a gain on held-out labels that are taken off it: one that is within them may be a loss.
SURE = 1.0
# Models that have not seen a fold have seen fewer labels than those that are kept, from which training gains less. So
# half way, where the two predictions are averaged, is given so much of the base's error on top of its gain.
IN_FAVOUR = 0.01
_ROUNDING = 1e-5  # predictions that differ by less, in deviations of the targets, are the same, and the base remains


@dataclass(frozen=True)
class FineTuning:
    """Choices of a fine-tuning beside those of the training."""

    freeze: str  # one of `FREEZE`
    head_width: int  # hidden units of the head; 0 leaves it linear
    loss: str  # one of `LOSSES`, of standardised targets
    members: int = 1  # models that are averaged
    # Whether to start from a regression that weighs the parts of the vector, where held-out labels choose.
    by_part: bool = True

    @property
    def power(self) -> int:
        """Power of the error that decides how far to go: 1 for absolute, 2 for squared errors."""
        return 2 if self.loss == "mse" else 1


class LabelledPoints(NamedTuple):
    """Crystals with labels to train on, all valid."""

    points: PointSets  # N
    vectors: NDArray[np.float32]  # (N, d) of the encoder to start from
    targets: NDArray[np.float32]  # (N, T), standardised
    weights: NDArray[np.float32]  # (N,), positive, one on average
    alike: NDArray[np.int64]  # (N,) the same number for near-duplicates, see `skdim.points.twins`
    fold: NDArray[np.int64] | None = None  # (N,) in which each is held out; None where nothing is chosen

    def rows(self, rows: NDArray[np.int64]) -> LabelledPoints:
        """Some of them."""
        arrays = self.targets[rows], self.weights[rows], self.alike[rows]
        return LabelledPoints(self.points[rows], self.vectors[rows], *arrays)

    def ridge(self) -> Ridge:
        """The regression on their vectors."""
        return fit_ridge(self.vectors, self.targets, self.weights, self.alike)


class FineTuningOutcome(NamedTuple):
    """What a fine-tuning ended with."""

    members: tuple[Member, ...]
    history: tuple[Epoch, ...]  # of the members
    interrupted: bool
    anchor: Anchor | None
    held_out: NDArray[np.float64] | None  # (N, T) by models that have not seen the row, standardised
    share: NDArray[np.float64]  # (T,) how far the first step went


class _Trained(NamedTuple):
    """What the training of one member ended with."""

    module: RegressionModel
    history: list[Epoch]
    interrupted: bool


class _Members(NamedTuple):
    """The members that were trained, in the order of the fields of `FineTuningOutcome`."""

    members: tuple[Member, ...] = ()
    history: tuple[Epoch, ...] = ()
    interrupted: bool = False


class _Step(NamedTuple):
    """What rows that were held out say of the training."""

    held_out: NDArray[np.float64]  # (N, T) predictions by models that have not seen the row
    strength: NDArray[np.float64]  # (T,) how far to go


@dataclass(frozen=True)
class _Task:
    """All that the trainings of one fine-tuning have in common."""

    start: EmbedderState
    choices: FineTuning
    config: TrainingConfig
    run: Run
    checkpoint: Path | None
    parts: NDArray[np.int64] | None  # (d,) of the vector, that are weighed; None starts from the ridge

    def begin(self, labelled: LabelledPoints, ridge: Ridge | None = None) -> Ridge:
        """The regression that a head starts as; the plain ridge may be known already."""
        ridge = labelled.ridge() if ridge is None else ridge
        if self.parts is None:
            return ridge
        known = labelled.vectors, labelled.targets, labelled.weights
        return fit_by_part(ridge, *known, self.parts, robust=self.choices.power == 1)

    def of(self, kind: str, place: int) -> _Task:
        """The task of one of several trainings, with a seed and a checkpoint of its own."""
        key = [self.run.seed, place, *([] if kind == "member" else [1])]
        run = replace(self.run, seed=int(np.random.SeedSequence(key).generate_state(1)[0]))
        path = None if self.checkpoint is None else self.checkpoint.with_stem(f"{kind}_{place}")
        return replace(self, run=run, checkpoint=path)


class _Base(NamedTuple):
    """What the training goes on from."""

    ridge: Ridge  # on all labels, with the first step
    share: NDArray[np.float64]  # (T,) how far that went
    held_out: NDArray[np.float64]  # (N, T) predictions of rows by the same, not having seen them
    doubt: NDArray[np.float64]  # (N,) of these, as of `Ridge.doubt`
    starts: list[Ridge]  # what a head starts as, for each fold that is left out


def fine_tune(
    start: EmbedderState,
    labelled: LabelledPoints,
    choices: FineTuning,
    config: TrainingConfig,
    run: Run,  # its seed also draws the held-out labels of the members
    previous: Sequence[Member] = (),  # weights from which the members continue, in place of the encoder's and a ridge
    checkpoint: Path | None = None,  # in whose folder the checkpoints of the trainings are
) -> FineTuningOutcome:
    """Choose how far to go, and train the members on every label."""
    # Where nothing is held out, nothing would tell whether the parts are worth it.
    weighs = choices.by_part and labelled.fold is not None and FEW <= len(labelled.points) <= MOST
    task = _Task(start, choices, config, run, checkpoint, _parts(start) if weighs else None)
    if labelled.fold is None:
        trained = _train_members(task, labelled, previous)
        return FineTuningOutcome(*trained, None, None, np.zeros(labelled.targets.shape[1]))
    base, trained = _linear_step(task, labelled, labelled.fold), _Members()
    try:
        step = _trained_step(task, labelled, labelled.fold, base)
        if step.strength.any():
            trained = _train_members(task, labelled, ())
    except KeyboardInterrupt:  # before there is anything trained that is known to be better than the regression
        step, trained = _Step(base.held_out, np.zeros_like(base.share)), _Members(interrupted=True)
    held_out = base.held_out + step.strength * (step.held_out - base.held_out)
    # The deviation of a label with which deviations of predictions are those of the held-out errors.
    noise = np.sqrt(np.average((labelled.targets - held_out) ** 2 / base.doubt[:, None], 0, labelled.weights))
    return FineTuningOutcome(*trained, Anchor(base.ridge, step.strength, noise), held_out, base.share)


def _parts(start: EmbedderState) -> NDArray[np.int64]:
    """Number (d,) of the kind of each column; one for all where columns are mixtures of kinds."""
    if start.config.readout == "network" or start.components is not None:
        return np.zeros(len(start.columns), np.int64)
    numbers: NDArray[np.int64] = np.unique(column_kinds(start.config), return_inverse=True)[1]
    return numbers


def _linear_step(task: _Task, labelled: LabelledPoints, fold: NDArray[np.int64]) -> _Base:
    """Go from the ridge towards the regression that weighs the parts, as far as rows that were held out say."""
    targets, weights = labelled.targets, labelled.weights
    plain, other, doubt = np.empty(targets.shape), np.empty(targets.shape), np.empty(len(targets))
    starts = []
    for place in range(fold.max() + 1):
        held, known = fold == place, labelled.rows(np.flatnonzero(fold != place))
        ridge = known.ridge()
        starts.append(task.begin(known, ridge))
        vectors = labelled.vectors[held]
        plain[held], other[held] = ridge.predict(vectors), starts[-1].predict(vectors)
        doubt[held] = ridge.doubt(vectors)
    share = choose_strength(targets, plain, other, weights, task.choices.power, _SURE_OF_PARTS, in_favour=0.0)
    ridge = labelled.ridge()
    ridge = ridge.towards(task.begin(labelled, ridge), share) if share.any() else ridge
    return _Base(ridge, share, plain + share * (other - plain), doubt, starts)


def _trained_step(task: _Task, labelled: LabelledPoints, fold: NDArray[np.int64], base: _Base) -> _Step:
    """Predict rows by trained models that have not seen them; stop training once half of the rows show no gain.

    Where no model was trained, predictions are those of the base.
    """
    targets, weights, before, power = labelled.targets, labelled.weights, base.held_out, task.choices.power
    found, strength = np.full(targets.shape, np.nan), np.zeros(targets.shape[1])
    going = bool(task.config.max_epochs) and len(targets) >= FEW
    task = replace(task, config=replace(task.config, validation_fraction=0.0))
    for place, start in enumerate(base.starts):
        if not going:
            break
        held, learned = np.flatnonzero(fold == place), np.flatnonzero(fold != place)
        trained = _train(task.of("fold", place), labelled.rows(learned), start)
        if trained.interrupted:
            raise KeyboardInterrupt
        found[held] = predict([trained.module], labelled.points[held], targets.shape[1], task.run.device)[0]
        seen = np.isfinite(found).all(1)
        known = targets[seen], before[seen], found[seen], weights[seen], power
        strength, hoped = choose_strength(*known), choose_strength(*known, sure=0.0)
        going = bool(hoped.any() or 2 * seen.sum() < len(seen))
    return _Step(np.where(np.isnan(found), before, found), strength)


def _train_members(task: _Task, labelled: LabelledPoints, previous: Sequence[Member]) -> _Members:
    """Train the members; an interrupt leaves those so far."""
    done = _Members()
    start = None if previous else task.begin(labelled)
    for place in range(task.choices.members):
        before = previous[place] if previous else None
        try:
            trained = _train(task.of("member", place), labelled, start, before)
        except KeyboardInterrupt:  # before anything was learned of this one
            if not done.members:
                raise
            return done._replace(interrupted=True)
        epochs = tuple({**epoch, "member": place} for epoch in trained.history)
        done = _Members(
            (*done.members, trained.module.weights()), (*done.history, *epochs), interrupted=trained.interrupted
        )
        if done.interrupted:
            break
    return done


def _train(task: _Task, labelled: LabelledPoints, start: Ridge | None, previous: Member | None = None) -> _Trained:
    """Train one encoder with its head, from weights of its own or a regression on all of the labels."""
    points, targets, weights = labelled.points, labelled.targets, labelled.weights
    choices, config, run = task.choices, task.config, task.run
    # Nothing is held out of few labels, or where nothing is trained.
    n_held_out = round(config.validation_fraction * len(points)) if len(points) >= FEW and config.max_epochs else 0
    learned, held_out = hold_out(len(points), n_held_out, run.seed)
    module = RegressionModel(task.start, targets.shape[1], choices.head_width, run.seed)
    if previous is not None:
        module.load(previous)
    else:
        module.head.start_as(task.begin(labelled.rows(learned)) if start is None or len(held_out) else start)
    module.freeze(choices.freeze)
    if not config.max_epochs:
        return _Trained(module, [], False)
    from skdim.learning.training import train_supervised  # and with it skorch, which prediction does without

    # A ridge that passes through its few labels has no training loss to lower: that is no reason to stop.
    config = config if len(held_out) else replace(config, patience=config.max_epochs)
    if task.checkpoint is not None:
        said = [asdict(choices), asdict(config), run.seed]
        initial = weights_of(module).values()
        checkpoint = Checkpoint(task.checkpoint, fingerprint(said, points, targets, weights, *initial))
        run = replace(run, checkpoint=checkpoint)
    sets = [CrystalDataset(points, rows, targets[rows], weights[rows]) for rows in (learned, held_out)]
    outcome = train_supervised(
        module.to(run.device), WeightedLoss(choices.loss), config, run, sets[0], sets[1] if len(held_out) else None
    )
    return _Trained(module.eval(), *outcome)


class Ensemble:
    """The modules of a fine-tuned state, ready to predict."""

    def __init__(self, state: RegressorState) -> None:
        shape = len(state.target_scale.center), state.head_width
        self.state = state
        self.members = [RegressionModel(state.start, *shape).load(member).eval() for member in state.members]
        self.frozen = None if state.anchor is None else state.start.model()

    def predict(
        self,
        points: PointSets,  # C crystals; those without sites get NaN
        device: str,
        least: float = -np.inf,  # lower predictions are raised to this
        vectors: NDArray[np.float32] | None = None,  # (C, d) of the encoder to start from, where they are known already
    ) -> NDArray[np.float64]:
        """Predict targets (C, T) in their own units; a FloatingPointError if some are no numbers."""
        with np.errstate(over="ignore", invalid="ignore"):  # the check below tells of it
            predicted = self._predicted(points, device, least, vectors)
        check_are_numbers("predictions", predicted[points.valid], np.flatnonzero(points.valid))
        return predicted

    def _predicted(
        self, points: PointSets, device: str, least: float, vectors: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """What `predict` gives, numbers or not."""
        scale, anchor = self.state.target_scale, self.state.anchor
        each = predict(self.members, points, len(scale.center), device) * scale.scale + scale.center
        tuned: NDArray[np.float64] = np.maximum(each, least).mean(0) if self.members else each
        if anchor is None or (self.members and (anchor.strength == 1).all()):
            return tuned
        vectors = self._vectors(points, device) if vectors is None else vectors
        base = np.maximum(anchor.ridge.predict(vectors) * scale.scale + scale.center, least)
        return base if not self.members else base + anchor.strength * (tuned - base)

    def deviation(self, points: PointSets, device: str) -> NDArray[np.float64]:
        """Standard deviations (C, T) of predictions, in the units of the targets; there must be an anchor."""
        anchor = self.state.anchor
        assert anchor is not None  # the caller has looked
        with np.errstate(over="ignore", invalid="ignore"):  # the check below tells of it
            doubt = np.sqrt(anchor.ridge.doubt(self._vectors(points, device)))
            deviation: NDArray[np.float64] = doubt[:, None] * anchor.noise * self.state.target_scale.scale
        check_are_numbers("deviations", deviation[points.valid], np.flatnonzero(points.valid))
        return deviation

    def _vectors(self, points: PointSets, device: str) -> NDArray[np.float32]:
        """Vectors (C, d) of the encoder that the fine-tuning started from."""
        assert self.frozen is not None
        return embed(self.state.start, on_device(self.frozen, device), points, device)


def predict(modules: Sequence[RegressionModel], points: PointSets, n_targets: int, device: str) -> NDArray[np.float64]:
    """Predict standardised targets (M, C, T) by modules, moved to the device; NaN for crystals without sites."""
    use_one_thread_after_fork()
    valid = np.flatnonzero(points.valid)
    predicted = np.full((len(modules), len(points), n_targets), np.nan)
    for number, module in enumerate(modules):
        on_device(module, device)
        with torch.inference_mode():
            for crystals in pair_budget_batches(points.n_pairs, _PREDICT_PAIRS, valid):
                predicted[number, crystals] = module(collate(points, crystals).to(device)).cpu().numpy()
    return predicted


def choose_strength(
    targets: NDArray[np.floating],  # (n, T)
    base: NDArray[np.float64],  # (n, T) predictions to go from
    tuned: NDArray[np.float64],  # (n, T) predictions to go to
    weights: NDArray[np.floating],  # (n,)
    power: int = 1,  # of the error: 1 for absolute, 2 for squared errors
    sure: float = SURE,  # standard errors that are taken off a gain
    in_favour: float = IN_FAVOUR,  # share of the base's error that half way is given on top of its gain
) -> NDArray[np.float64]:  # (T,) from 0, which stays at the base, to 1
    """Choose for each target where between two predictions the held-out error is surely lower.

    Examples
    --------
    >>> truth = np.array([[1.0], [2.0], [3.0]])
    >>> choose_strength(truth, truth - 1, truth + 1, np.ones(3)), choose_strength(truth, truth, truth + 1, np.ones(3))
    (array([0.5]), array([0.]))
    """
    steps, shares = _STEPS[:, None], weights / weights.sum()
    moved = base + steps[..., None] * (tuned - base)  # (S, n, T)
    before = np.abs(targets - base) ** power
    gains = before - np.abs(targets - moved) ** power
    gain = shares @ gains  # (S, T)
    doubt = np.sqrt(shares**2 @ (gains - gain[:, None]) ** 2)
    worth = gain - sure * doubt + 4 * in_favour * steps * (1 - steps) * (shares @ before)
    moves: NDArray[np.bool_] = np.any(np.abs(tuned - base) > _ROUNDING, axis=0)
    return np.where(moves, _STEPS[worth.argmax(0)], 0.0)
