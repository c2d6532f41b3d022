"""What random folds hide: errors of each bundled task with relatives of the test rows among the labels, and without.

    python benchmarks/grouped.py [--repeats 5] [--jobs 1] [--model NAME] [--report] [--out benchmarks/grouped.json]

250 labels are drawn from all crystals of a task, and cut into five folds at random, or so that crystals of one formula,
composition system or prototype stay together; or all crystals with one element are left out, for each of the four
elements that most of them hold. Each label is predicted without its fold. Features: vectors of a model that comes
with the package ("bundled" has seen the structures, but no label), and Magpie statistics of the composition; regressor:
Laplacian kernel ridge regression, which chooses its strength inside the training labels; beside the median of these.
Mean absolute errors over the draws, with the standard error of the mean.

A run that was stopped goes on where it was; ``--report`` reports the draws on file and measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import draws
import numpy as np

LABELS = 250
FOLDS = ("random", "formula", "system", "prototype", "element")
FEATURES = ("vectors", "magpie", "median")
ELEMENTS = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    options = draws.options_of("Errors with random and grouped folds.", "grouped", 5).parse_args(arguments)

    def given(key: draws.Draw) -> tuple[Any, ...]:
        task = draws.load(key["task"], options.model)
        drawn = np.random.default_rng(key["seed"]).choice(len(task.target), LABELS, replace=False)
        return [task.data[row] for row in drawn], task.vectors[drawn], task.target[drawn], key["seed"]

    found = draws.measured(options, draws.keys(options), one_draw, given)
    rows = summary(found)
    for row in rows:
        errors = " ".join(f"{row[name]:8.3f} +- {row[f'{name}_error']:.3f}" for name in FEATURES)
        print(f"{row['task']:30} {row['folds']:10} {errors}")
    draws.write(options, "grouped", found, settings={"labels": LABELS}, rows=rows)


def summary(found: Sequence[draws.Draw]) -> list[dict[str, Any]]:
    """Errors of each task, for each way to cut the labels."""
    rows = []
    for (task,), own in draws.cells(found, "task").items():
        for by in FOLDS:
            row: dict[str, Any] = {"task": task, "folds": by, "draws": len(own)}
            for name in FEATURES:
                errors = [draw[by][name] for draw in own]
                row |= {name: float(np.mean(errors)), f"{name}_error": draws.spread(errors)}
            rows.append(row)
    return rows


def one_draw(crystals: list[Any], vectors: np.ndarray, target: np.ndarray, seed: int) -> draws.Draw:
    """Error of each kind of features, for each way to cut the labels."""
    tables = {"vectors": vectors, "magpie": magpie(crystals)}
    cuts = {by: splits(crystals, by, seed) for by in FOLDS}
    return {by: {name: error(tables.get(name), target, cut) for name in FEATURES} for by, cut in cuts.items()}


def magpie(crystals: list[Any]) -> np.ndarray:
    """Standardised statistics of compositions."""
    from matminer.featurizers.composition import ElementProperty

    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    table = np.array([featurizer.featurize(crystal.composition) for crystal in crystals], dtype=np.float64)
    spread = table.std(0)
    return (table - table.mean(0)) / np.where(spread > 0, spread, 1.0)


def splits(crystals: list[Any], by: str, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of each fold."""
    from sklearn.model_selection import KFold

    from skdim.evaluation import CompositionGroupKFold, LeaveElementOut

    if by == "random":
        return list(KFold(5, shuffle=True, random_state=seed).split(crystals))
    if by == "element":
        return list(LeaveElementOut(common_elements(crystals)).split(crystals))
    return list(CompositionGroupKFold(5, by=by, random_state=seed).split(crystals))


def common_elements(crystals: list[Any]) -> list[str]:
    """The elements that most crystals hold, but for those without which less than 100 crystals are left."""
    from collections import Counter

    counts = Counter(symbol for crystal in crystals for symbol in crystal.composition.element_composition.as_dict())
    usable = [symbol for symbol, n in counts.most_common() if len(crystals) - n >= 100]
    return usable[:ELEMENTS]


def error(table: np.ndarray | None, target: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean absolute error over the test rows of all folds; without a table that of the median."""
    return float(np.concatenate(list(_misses(table, target, folds))).mean())


def _misses(
    table: np.ndarray | None, target: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]
) -> Iterator[np.ndarray]:
    """Absolute errors of each fold."""
    from skdim.evaluation import KernelRidgeCV

    for train, test in folds:
        if table is None:
            guess = np.median(target[train])
        else:
            guess = KernelRidgeCV("laplacian", cv=None).fit(table[train], target[train]).predict(table[test])
        yield np.abs(guess - target[test])


if __name__ == "__main__":
    main()
