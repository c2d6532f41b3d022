"""Whether the distance to the labelled crystals says when not to trust a prediction.

    python benchmarks/applicability.py [--repeats 10] [--jobs 1] [--model NAME] [--report]
        [--out benchmarks/applicability.json]

250 labels are drawn from all crystals of a task and cut into ten folds: at random, or so that composition systems or
prototypes stay together. Each label is predicted without its fold, with an interval of 90% that is made without it
too. Or all crystals with an element are predicted by those without it, for each of the four elements that most crystals
hold. The labels are sorted by the distance to the nearest crystal of the other folds, and told by fifths: mean absolute
error, and share inside the intervals. Regressor: Gaussian process, on the vectors of a model that comes
with the package. Means over the repeats.

A run that was stopped goes on where it was; ``--report`` reports the repeats on file and measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import repeats

LABELS = 250
GROUPINGS = ("random", "system", "prototype", "element")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = repeats.options_of("Error and coverage by distance from the labelled crystals.", "applicability", 10)
    options = parser.parse_args(arguments)

    def given(key: repeats.Repeat) -> tuple[Any, ...]:
        task, by = repeats.load(key["task"], options.model), key["folds"]
        drawn = np.random.default_rng(key["seed"]).choice(len(task.target), LABELS, replace=False)
        own = repeats.groups(key["task"], options.model, by)[drawn] if by in ("system", "prototype") else None
        crystals = [task.data[row] for row in drawn] if by == "element" else None
        return crystals, task.vectors[drawn].astype(np.float32), task.target[drawn], own, key["seed"]

    found = repeats.measured(options, repeats.keys(options, folds=GROUPINGS), one_repeat, given)
    rows = summary(found)
    for row in rows:
        errors = " ".join(f"{error:8.3g}" for error in row["errors"])
        held = " ".join(f"{share:6.1%}" for share in row["held"])
        print(f"{row['task']:30} {row['folds']:10} {errors}   {held}")
    repeats.write(options, "applicability", found, settings={"labels": LABELS}, rows=rows)


def summary(found: Sequence[repeats.Repeat]) -> list[dict[str, Any]]:
    """Error and coverage by fifths, for each task and way to cut the labels."""
    rows = []
    for (task, by), own in repeats.cells(found, "task", "folds").items():
        errors, held = (np.mean([repeat[name] for repeat in own], axis=0).tolist() for name in ("errors", "held"))
        rows.append({"task": task, "folds": by, "repeats": len(own), "errors": errors, "held": held})
    return rows


def one_repeat(
    crystals: list[Any] | None, vectors: np.ndarray, target: np.ndarray, groups: np.ndarray | None, seed: int
) -> repeats.Repeat:
    """Error and share inside intervals of each fifth; given the crystals, elements are left out."""
    if crystals is not None:
        errors, held = element_fifths(crystals, vectors, target, seed)
    else:
        errors, held = fifths(vectors, target, groups, seed)
    return {"errors": errors.tolist(), "held": held.tolist()}


def fifths(vectors: np.ndarray, target: np.ndarray, groups: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Error and share inside intervals of each fifth of the labels, by distance from those of other folds."""
    from skdim._targetmodel import choose
    from skdim.cli.fitreport import _by_distance
    from skdim.evaluation._readouts import READOUTS

    n = len(target)
    candidates = {"gaussian": READOUTS["gaussian"]}
    learned = choose(
        vectors, target, np.ones(n), groups, np.arange(n), np.zeros(n, np.int64), candidates, "none", 10, seed
    )
    found = np.array(_by_distance(learned, vectors, np.abs(learned.conformal.held_out_ - target)))
    return found[:, 1], found[:, 2]


def element_fifths(
    crystals: list[Any], vectors: np.ndarray, target: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same of crystals with an element, predicted by those without it."""
    from grouped import common_elements

    from skdim.evaluation import CrossConformalRegressor, LeaveElementOut
    from skdim.evaluation._applicability import nearest
    from skdim.evaluation._readouts import READOUTS

    told = []
    for train, test in LeaveElementOut(common_elements(crystals)).split(crystals):
        model = CrossConformalRegressor(READOUTS["gaussian"], cv=5, random_state=seed)
        model.fit(vectors[train], target[train])
        lower, upper = model.predict_interval(vectors[test], 0.9).T
        inside = (lower <= target[test]) & (target[test] <= upper)
        away = nearest(vectors[test], vectors[train], 1)[0][:, 0]
        told.append(np.stack([away, np.abs(model.predict(vectors[test]) - target[test]), inside]))
    away, errors, inside = np.concatenate(told, axis=1)
    fifth = np.argsort(np.argsort(away)) * 5 // len(away)
    errors, held = (np.array([values[fifth == k].mean() for k in range(5)]) for values in (errors, inside))
    return errors, held


if __name__ == "__main__":
    main()
