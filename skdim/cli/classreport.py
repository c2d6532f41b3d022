"""What a fit of classes has found: log loss beside a guess and Magpie, a learning curve, confusion, what to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skdim._classmodel import row_weights, try_regressor
from skdim.cli.fitreport import (
    LEAST_PART,
    PARTS,
    FitReport,
    extrapolated,
    folds_in_words,
    magpie_statistics,
    near_duplicates,
)
from skdim.cli.messages import one_line
from skdim.points.twins import twins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.classifier import CrystalClassifier
    from skdim.points.pointsets import PointSets

_SHOWN = 10  # surest mistakes
_LEAST_OF_A_CLASS = 2  # labels that are left beside a fold, for the learning curve
_LEAST_CALIBRATED = 20  # labels, for two bins of probabilities


@dataclass(kw_only=True)
class ClassReport(FitReport):
    """What was found; errors are log losses."""

    classes: list[str]
    truth: NDArray[np.int64] = field(repr=False)  # (n,) places of the labels in classes
    shares: NDArray[np.float64] = field(repr=False)  # (n, K) held-out probabilities
    decided: NDArray[np.int64] = field(repr=False)  # (n,) places of the held-out predictions in classes
    on_magpie: NDArray[np.int64] = field(repr=False)  # (n,) as ``decided``, of the regressor that is best on them
    left_out: list[str]  # parts of the report that are, with reasons
    mistakes: list[str]  # the surest
    raw_errors: ClassVar[dict[str, float]] = {}
    guess: ClassVar = "shares"
    of_guess: ClassVar = "guess of the shares of the classes"
    measure: ClassVar = "log loss by cross-validation"
    error_name: ClassVar = "log loss"

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Numbers (K, K) of labels of each class that are predicted to be of each."""
        from sklearn.metrics import confusion_matrix

        counts: NDArray[np.int64] = confusion_matrix(self.truth, self.decided, labels=range(len(self.classes)))
        return counts

    @property
    def is_calibrated(self) -> bool:
        """Whether there are labels enough to tell how often what is probable happens."""
        return len(self.truth) >= _LEAST_CALIBRATED

    @property
    def accuracies(self) -> dict[str, tuple[float, float]]:
        """Shares of predictions that are right, and their means over the classes, by what they are made of."""
        from sklearn.metrics import accuracy_score, balanced_accuracy_score

        made = {
            "held-out predictions": self.decided,
            "on Magpie statistics": self.on_magpie,
            "most frequent class": np.full(len(self.truth), np.bincount(self.truth).argmax()),
        }
        return {
            which: (accuracy_score(self.truth, decided), balanced_accuracy_score(self.truth, decided))
            for which, decided in made.items()
        }


def make_class_report(
    model: CrystalClassifier,  # fitted on these
    points: PointSets,  # C crystals
    ids: Sequence[str],  # their names
    labels: Sequence[str],  # of the crystals
    groups: NDArray[Any] | None,  # (C,) that were given to the fit
    *,
    target: str,  # its name
    source: str,  # where the vectors come from
    notes: Sequence[str],  # what was noticed in the table
    failures: Sequence[tuple[str, str]],  # crystals that cannot be used, with reasons
) -> ClassReport:
    """Look at a fitted classifier and its labels."""
    labelled, kinds = model.labelled_, [one_line(str(kind)) for kind in model.classes_]
    places = {str(kind): place for place, kind in enumerate(model.classes_)}
    truth = np.array([places[str(labels[row])] for row in labelled])
    shares, vectors = model.held_out_[labelled], model.domain_.vectors
    decided = model.decided(shares)
    weights, table = row_weights(truth, bool(model.class_weight)), magpie_statistics(points[labelled])
    candidates = model.candidates(model.seed_)
    magpie = {
        name: try_regressor(regressor, table, truth, weights, model.splits_, model.n_jobs)
        for name, regressor in candidates.items()
    }
    best = min(magpie.values(), key=lambda tried: tried.loss)
    learning, why_none = _smaller(model, vectors.astype(np.float64), truth, kinds)
    left_out = [f"no learning curve: {why_none}"] if len(learning) < 2 else []
    if len(truth) < _LEAST_CALIBRATED:
        left_out.append(f"no picture of calibration: it needs {_LEAST_CALIBRATED} labels, and there are {len(truth)}")
    alike, names = twins(points[labelled], vectors), [ids[row] for row in labelled]
    wrong, surety = np.flatnonzero(truth != decided), shares[np.arange(len(truth)), decided]
    return ClassReport(
        target=target,
        model=source,
        n_crystals=len(points),
        n_usable=int(points.valid.sum()),
        folds=folds_in_words(len(model.splits_), groups, labelled, alike),
        classes=kinds,
        truth=truth,
        shares=shares,
        decided=decided,
        chosen=model.chosen_,
        errors=model.losses_,
        magpie={name: tried.loss for name, tried in magpie.items()},
        on_magpie=model.decided(best.probabilities),
        learning=learning,
        expected=extrapolated(learning),
        left_out=left_out,
        mistakes=[
            f"{names[row]}: {kinds[truth[row]]}, predicted {kinds[decided[row]]} at {surety[row]:.0%}"
            for row in wrong[np.argsort(-surety[wrong], kind="stable")][:_SHOWN].tolist()
        ],
        twins=sorted(
            near_duplicates(names, [kinds[place] for place in truth], points[labelled], alike),
            key=lambda one: -len(set(one["labels"])),
        ),
        notes=list(notes),
        failures=[f"{name}: {reason}" for name, reason in failures],
    )


def _smaller(
    model: CrystalClassifier, vectors: NDArray[np.float64], truth: NDArray[np.int64], kinds: Sequence[str]
) -> tuple[list[tuple[int, float]], str]:
    """Log losses of the chosen regressor with parts of the labels, on the same folds; and why the largest is not."""
    rng, chosen = np.random.default_rng(model.seed_), model.candidates(model.seed_)[model.chosen_]
    weights = row_weights(truth, bool(model.class_weight))
    found, why_not = [], ""
    for part in PARTS:
        # Each class has its share; what is held out stays the same, so that the points of the curve are of one set.
        rows = [np.flatnonzero(truth == kind) for kind in range(len(kinds))]
        kept = np.concatenate([rng.choice(own, round(part * len(own)), replace=False) for own in rows])
        splits = [(np.intersect1d(train, kept), test) for train, test in model.splits_]
        least = np.min([np.bincount(truth[train], minlength=len(kinds)) for train, _ in splits], axis=0)
        if len(kept) < LEAST_PART:
            why_not = f"{part:.0%} of the labels are {len(kept)}, and it needs {LEAST_PART}"
        elif least.min() < _LEAST_OF_A_CLASS:
            why_not = (
                f"with {part:.0%} of the labels fewer than {_LEAST_OF_A_CLASS} of the class "
                f"{kinds[int(least.argmin())]!r} would be left to learn from"
            )
        else:
            found.append((len(kept), try_regressor(chosen, vectors, truth, weights, splits, model.n_jobs).loss))
    return [*found, (len(truth), model.losses_[model.chosen_])], why_not
