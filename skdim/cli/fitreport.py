"""What a fit has found: errors beside a guess and Magpie, a learning curve, coverage, what to look at.

Errors are told on the scale on which the target is learned, where the regressor is chosen: decades of labels that are
learned as logarithms. In the unit of such labels the largest values decide alone, and a good fit looks like a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from skdim._finetuned import START
from skdim._targetmodel import UNITS, Scale, TargetModel, choose
from skdim.evaluation._applicability import nearest
from skdim.evaluation._readouts import READOUTS
from skdim.points.twins import together, twins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets
    from skdim.predictor import CrystalRegressor

COVERAGES = (0.5, 0.8, 0.9)
_GUESS = 0.95  # share of the error of a guess from which on a model is hardly better
HARDEST = 10
PARTS = (0.25, 0.5)  # of the labels, for the learning curve
LEAST_PART = 10


@dataclass(kw_only=True)
class FitReport:
    """What the reports on numbers and on classes share: the errors of what was tried, and what speaks against it."""

    target: str  # column of the labels
    model: str  # where the vectors come from
    n_crystals: int  # that were read
    n_usable: int
    folds: str  # how the labels were cut
    chosen: str  # regressor
    errors: dict[str, float]  # by cross-validation of each regressor, and of the guess
    magpie: dict[str, float]  # the same on Magpie statistics
    # Numbers of labels, and errors: of the chosen regressor or, of a fine-tuned one, of its ridge.
    learning: list[tuple[int, float]]
    expected: tuple[int, float] | None  # twice the labels, and what is expected of them; None where errors do not fall
    twins: list[dict[str, Any]]  # near-duplicates among labelled crystals, those whose labels differ most first
    notes: list[str]  # what was noticed in the table
    failures: list[str]  # crystals that could not be used, with reasons
    guess: ClassVar = "median"  # its name among the errors
    of_guess: ClassVar = "guess of the median"
    measure: ClassVar = "mean absolute error"
    error_name: ClassVar = "error"

    @property
    def error(self) -> float:
        """Of the chosen regressor."""
        return self.errors[self.chosen]

    @property
    def unit(self) -> str:
        """Of the errors; empty where it is that of the target."""
        return ""

    @property
    def error_unit(self) -> str:
        """Of the errors; empty where the table does not tell it."""
        return ""

    def told(self, error: float) -> str:
        """Write an error with its unit."""
        return f"{error:.3g} {self.error_unit}".rstrip()

    @property
    def of_ridge(self) -> str:
        """Say of which regressor the learning curve is, where that is not the chosen one."""
        return " (of the ridge, from which fine-tuning starts)" if self.chosen not in self.magpie else ""

    @property
    def cautions(self) -> list[str]:
        """What speaks against relying on the model, in sentences."""
        found, share = [], self.error / self.errors[self.guess]
        if share > _GUESS:
            found.append(
                f"{self.chosen} is {'hardly' if share < 1 else 'no'} better than a {self.of_guess}, so its "
                "predictions say little: the labels are too few or too noisy, or they depend on what the structures do "
                "not hold"
            )
        if self.best_magpie < min(self.error, _GUESS * self.errors[self.guess]):
            found.append(
                f"on Magpie statistics of the composition the same choice of regressors has a lower {self.error_name}, "
                f"{self.told(self.best_magpie)}"
            )
        return found

    @property
    def best_magpie(self) -> float:
        """Of the regressor that is best on Magpie statistics."""
        return min(error for name, error in self.magpie.items() if name != self.guess)


@dataclass(kw_only=True)
class Report(FitReport):
    """What was found; errors and R2 are on the scale of learning, in `unit`, unless said otherwise."""

    n_labelled: int  # with a value
    n_bounds: int  # labelled with a bound
    scale: str
    raw_errors: dict[str, float]  # as ``errors``, in the unit of the target
    r2: float  # of the held-out predictions
    coverage: list[tuple[float, float]]  # share of values that intervals are to hold, and share that they held
    # Labelled crystals by their distance from the others: mean absolute error and coverage of each fifth.
    fifths: list[tuple[float, float, float]]
    hardest: list[dict[str, Any]]  # id, value and predicted in the unit of the target, error, nearest
    label_unit: str = ""  # of the labels, where the table tells it
    measured: Any = field(default=None, repr=False)
    predicted: Any = field(default=None, repr=False)

    @property
    def unit(self) -> str:
        """Of the errors; empty where it is that of the target."""
        return UNITS[self.scale]

    @property
    def bounds(self) -> str:
        """How many labels are bounds, in words."""
        return f"{self.n_bounds} bound{'s' * (self.n_bounds != 1)}"

    @property
    def error_unit(self) -> str:
        """Of the errors; empty where the table does not tell it."""
        return self.unit or self.label_unit

    def told(self, error: float) -> str:
        """Write an error with its unit, one in decades as a factor too."""
        factor = f" (a factor of {10.0**error:.3g})" if self.scale == "log10" else ""
        return super().told(error) + factor


def make_report(
    model: CrystalRegressor,  # fitted on these
    points: PointSets,  # C crystals
    ids: Sequence[str],  # their names
    values: NDArray[np.float64],  # (C,) labels, NaN where there is none
    sides: NDArray[np.int64],  # (C,) whether they are bounds
    groups: NDArray[Any] | None,  # (C,) that were given to the fit
    *,
    number: int = 0,  # of the target, where there are several
    target: str,  # its name
    source: str,  # where the vectors come from
    notes: Sequence[str],  # what was noticed in the table
    failures: Sequence[tuple[str, str]],  # crystals that cannot be used, with reasons
    unit: str = "",  # of the labels
) -> Report:
    """Look at a fitted model and its labels."""
    learned = model.targets_[number]
    labelled, vectors = model.labelled_[learned.rows], model.domain_.vectors[learned.rows]
    y, side = values[labelled], sides[labelled]
    held, exact = learned.conformal.held_out_, side == 0
    missed = np.abs(_told(learned.scale, held - learned.exact))
    spread = _told(learned.scale, learned.exact[exact] - learned.exact[exact].mean())
    errors, _ = learned.told
    alike = twins(points[labelled], vectors)
    own = together(None if groups is None else groups[labelled], alike)
    magpie = _on_magpie(points[labelled], y, own, alike, side, model)
    learning = _smaller(learned, model, vectors, exact, own)
    if learned.tuned is None:
        learning.append((int(exact.sum()), errors[learned.name]))
    names = [ids[row] for row in labelled]
    return Report(
        target=target,
        model=source,
        n_crystals=len(points),
        n_usable=int(points.valid.sum()),
        n_labelled=int(exact.sum()),
        n_bounds=int((~exact).sum()),
        folds=folds_in_words(len(learned.conformal.fold_regressors_), groups, labelled, alike),
        chosen=learned.name,
        scale=learned.scale.kind,
        errors=errors,
        magpie=magpie,
        raw_errors=learned.errors,
        r2=1 - float(np.sum(missed[exact] ** 2) / np.sum(spread**2)),
        coverage=[(share, held_share(learned, share)) for share in COVERAGES],
        fifths=_by_distance(learned, vectors, missed),
        learning=learning,
        expected=extrapolated(learning),
        hardest=_hardest(names, y, missed, exact, learned, vectors),
        twins=sorted(
            near_duplicates(names, y.tolist(), points[labelled], alike),
            key=lambda one: min(one["labels"]) - max(one["labels"]),
        ),
        notes=[*notes, *_below_zero(y[exact], learned.scale.inverse(held)[exact])],
        failures=[f"{name}: {reason}" for name, reason in failures],
        label_unit=unit,
        measured=np.where(exact, y, np.nan),
        predicted=learned.scale.inverse(held),
    )


def _below_zero(values: NDArray[np.float64], predicted: NDArray[np.float64]) -> list[str]:
    """Tell predictions below zero where no label is, and what reading them as zero would change."""
    below, as_zero = int((predicted < 0).sum()), np.maximum(predicted, 0.0)
    if not below or (values < 0).any():
        return []
    now, then = (float(np.abs(guess - values).mean()) for guess in (predicted, as_zero))
    return [
        f"held-out predictions below 0, where no label is: {below} of {len(values)}. A regressor knows no bounds; "
        "where values cannot be negative, read such predictions and ends of intervals as 0: no error grows by that "
        f"(their mean is {then:.3g} instead of {now:.3g}), and intervals hold as often. skdim predict flags them"
    ]


def _told(scale: Scale, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put values of the scale of learning in the unit of errors: that of the target, where none is transformed."""
    return scale.inverse(values) if scale.kind == "none" else values


def held_share(
    learned: TargetModel,
    share: float,  # what the intervals are to hold
    rows: NDArray[np.bool_] | None = None,  # (s,) scored labels to look at; None is all
) -> float:
    """Share of labels inside intervals that are made without their fold; NaN where too few labels are left."""
    conformal = learned.conformal
    scores, fold = conformal.scores_, conformal.fold_[conformal.scored_]
    inside = np.zeros(len(scores), np.bool_)
    for number in np.unique(fold):
        others = np.sort(scores[fold != number])
        rank = math.ceil(share * (len(others) + 1))
        if rank > len(others):
            return math.nan
        inside[fold == number] = scores[fold == number] <= others[rank - 1]
    return float(inside.mean() if rows is None else inside[rows].mean())


def compositions(points: PointSets) -> list[dict[str, float]]:
    """Amounts of the elements in each crystal, by symbol, as its point set has them."""
    from pymatgen.core.periodic_table import Element

    fractions = np.asarray(points.site_types.fractions, dtype=np.float64)
    amounts = fractions[points.site_type] * np.asarray(points.multiplicity)[:, None]
    totals = np.add.reduceat(amounts, np.asarray(points.site_offsets)[:-1], axis=0)
    return [{Element.from_Z(int(z)).symbol: float(row[z]) for z in np.flatnonzero(row)} for row in totals]


def formula_of(amounts: dict[str, float]) -> str:
    """Write a composition as its reduced formula."""
    from pymatgen.core.composition import Composition

    return str(Composition(amounts).reduced_formula)


def magpie_statistics(points: PointSets) -> NDArray[np.float64]:
    """Magpie statistics of the compositions of crystals, each column with mean 0 and deviation 1."""
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core.composition import Composition

    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    table = np.array([featurizer.featurize(Composition(amounts)) for amounts in compositions(points)], dtype=np.float64)
    spread = table.std(0)
    scaled: NDArray[np.float64] = (table - table.mean(0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _on_magpie(
    points: PointSets,
    y: NDArray[np.float64],
    groups: NDArray[Any] | None,
    alike: NDArray[np.int64],
    sides: NDArray[np.int64],
    model: Any,
) -> dict[str, float]:
    """Errors of the same choice on Magpie statistics of the composition."""
    scaled = magpie_statistics(points)
    weights = np.ones(len(y))
    seed = model.seed_
    candidates = model.candidates(seed) or {START: clone(READOUTS[START])}
    return choose(scaled, y, weights, groups, alike, sides, candidates, model.scale, model.cv, seed).told[0]


def folds_in_words(n: int, groups: NDArray[Any] | None, labelled: NDArray[np.int64], alike: NDArray[np.int64]) -> str:
    """Say how the labels were cut into so many folds."""
    kept = ", near-duplicates together" * (len(set(alike)) < len(alike))
    cut = "at random" if groups is None else f"of whole groups ({len(set(groups[labelled]))} groups)"
    return f"{n} folds {cut}{kept}"


def _smaller(
    learned: TargetModel,
    model: CrystalRegressor,
    vectors: NDArray[np.float32],
    exact: NDArray[np.bool_],
    groups: NDArray[Any] | None,
) -> list[tuple[int, float]]:
    """Errors of the chosen regressor with parts of the labels, on the same folds; of a fine-tuned one its ridge's."""
    rng = np.random.default_rng(model.seed_)
    table = vectors.astype(np.float64)
    found = []
    for part in PARTS if learned.tuned is None else (*PARTS, 1.0):
        if part * exact.sum() < LEAST_PART:
            continue
        guess = np.empty(len(exact))
        for number in range(len(learned.conformal.fold_regressors_)):
            test = learned.conformal.fold_ == number
            train = np.flatnonzero(~test)
            fewer = np.sort(rng.choice(train, max(2, round(part * len(train))), replace=False))
            regressor = clone(learned.conformal.regressor)
            own = {"groups": groups[fewer]} if groups is not None and has_fit_parameter(regressor, "groups") else {}
            regressor.fit(table[fewer], learned.exact[fewer], **own)
            guess[test] = regressor.predict(table[test])
        missed = np.abs(_told(learned.scale, guess - learned.exact))[exact]
        found.append((round(part * int(exact.sum())), float(missed.mean())))
    return found


def extrapolated(learning: Sequence[tuple[int, float]]) -> tuple[int, float] | None:
    """Go on along a power law to twice the labels; None where errors have not fallen so far."""
    if len(learning) < 2:
        return None
    counts, errors = (np.array(column, dtype=np.float64) for column in zip(*learning, strict=True))
    slope = float(np.polyfit(np.log(counts), np.log(errors), 1)[0])
    if slope >= 0:
        return None
    return 2 * learning[-1][0], learning[-1][1] * 2.0**slope


def _by_distance(
    learned: TargetModel, vectors: NDArray[np.float32], errors: NDArray[np.float64]
) -> list[tuple[float, float, float]]:
    """Distance, error and coverage of each fifth of the labels, by the distance from those of other folds."""
    conformal = learned.conformal
    away = np.empty(len(vectors))
    for number in np.unique(conformal.fold_):
        here = conformal.fold_ == number
        away[here] = nearest(vectors[here], vectors[~here], 1)[0][:, 0]
    away, errors = away[conformal.scored_], errors[conformal.scored_]
    if len(away) < 25:
        return []
    fifth = np.argsort(np.argsort(away)) * 5 // len(away)
    return [
        (float(away[fifth == k].mean()), float(errors[fifth == k].mean()), held_share(learned, 0.9, fifth == k))
        for k in range(5)
    ]


def _hardest(
    names: Sequence[str],
    y: NDArray[np.float64],
    missed: NDArray[np.float64],
    exact: NDArray[np.bool_],
    learned: TargetModel,
    vectors: NDArray[np.float32],
) -> list[dict[str, Any]]:
    """The labels that models which have not seen them miss by most, on the scale they learn on."""
    held = learned.scale.inverse(learned.conformal.held_out_)
    order = np.argsort(-np.where(exact, missed, -1.0))[: min(HARDEST, int(exact.sum()))].tolist()
    _, others = nearest(vectors[order], vectors, min(2, len(vectors)))
    return [
        {
            "id": names[row],
            "value": float(y[row]),
            "predicted": float(held[row]),
            "error": float(missed[row]),
            "nearest": names[next((int(o) for o in other if o != row), row)],
        }
        for row, other in zip(order, others, strict=True)
    ]


def near_duplicates(
    names: Sequence[str], labels: Sequence[Any], points: PointSets, alike: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Near-duplicates among the labelled crystals: formula, ids and labels of each set."""
    amounts, found = compositions(points), []
    for number in np.flatnonzero(np.bincount(alike) > 1):
        rows: list[int] = np.flatnonzero(alike == number).tolist()
        own = {"ids": [names[row] for row in rows], "labels": [labels[row] for row in rows]}
        found.append({"formula": formula_of(amounts[rows[0]]), **own})
    return found
