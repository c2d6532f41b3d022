"""What random folds hide: errors of each bundled task with relatives of the test rows among the labels, and without.

    python benchmarks/grouped.py [--repeats 5] [--jobs 1] [--model NAME] [--report] [--out benchmarks/grouped.json]

250 labels are drawn from all crystals of a task, and cut into five folds at random, or so that crystals of one formula,
composition system or prototype stay together; or all crystals with one element are left out, for each of the four
elements that most of them hold. Each label is predicted without its fold. Features: vectors of a model that comes
with the package ("bundled" has seen the structures, but no label), and Magpie statistics of the composition; beside the
median of the training labels. Regressor: a ridge or Laplacian kernel ridge regression, whichever predicts better inside
the training labels, with the strength that does. What predicts better is judged as in the outer folds: by formulas,
systems or prototypes left out, or by the crystals of each other of the four elements. Mean absolute errors over the
repeats, with the standard error of the mean.

A run that was stopped goes on where it was; ``--report`` reports the repeats on file and measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import repeats

LABELS = 250
FOLDS = ("random", "formula", "system", "prototype", "element")
FEATURES = ("vectors", "magpie", "median")
ELEMENTS = 4
REGRESSORS = ["ridge", "kernel_ridge"]
Split = tuple[np.ndarray, np.ndarray]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    options = repeats.options_of("Errors with random and grouped folds.", "grouped", 5).parse_args(arguments)

    def given(key: repeats.Repeat) -> tuple[Any, ...]:
        task = repeats.load(key["task"], options.model)
        drawn = np.random.default_rng(key["seed"]).choice(len(task.target), LABELS, replace=False)
        return [task.data[row] for row in drawn], task.vectors[drawn], task.target[drawn], key["seed"]

    found = repeats.measured(options, repeats.keys(options), one_repeat, given)
    rows = summary(found)
    for row in rows:
        errors = " ".join(f"{row[name]:8.3f} +- {row[f'{name}_error']:.3f}" for name in FEATURES)
        print(f"{row['task']:30} {row['folds']:10} {errors}")
    repeats.write(
        options, "grouped", found, settings={"labels": LABELS, "regressors": ["ridge", "kernel_ridge"]}, rows=rows
    )


def summary(found: Sequence[repeats.Repeat]) -> list[dict[str, Any]]:
    """Errors of each task, for each way to cut the labels."""
    rows = []
    for (task,), own in repeats.cells(found, "task").items():
        for by in FOLDS:
            row: dict[str, Any] = {"task": task, "folds": by, "repeats": len(own)}
            for name in FEATURES:
                errors = [repeat[by][name] for repeat in own]
                row |= {name: float(np.mean(errors)), f"{name}_error": repeats.spread(errors)}
            rows.append(row)
    return rows


def one_repeat(crystals: list[Any], vectors: np.ndarray, target: np.ndarray, seed: int) -> repeats.Repeat:
    """Error of each kind of features, for each way to cut the labels."""
    tables = {"vectors": vectors, "magpie": magpie(crystals)}
    found: repeats.Repeat = {}
    for by in FOLDS:
        cuts = [(train, test, inner(crystals, train, by, seed)) for train, test in splits(crystals, by, seed)]
        found[by] = {name: error(tables.get(name), target, cuts) for name in FEATURES}
    return found


def magpie(crystals: list[Any]) -> np.ndarray:
    """Standardised statistics of compositions."""
    from matminer.featurizers.composition import ElementProperty

    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    table = np.array([featurizer.featurize(crystal.composition) for crystal in crystals], dtype=np.float64)
    spread = table.std(0)
    return (table - table.mean(0)) / np.where(spread > 0, spread, 1.0)


def splits(crystals: list[Any], by: str, seed: int, elements: list[str] | None = None) -> list[Split]:
    """Training and test rows of each fold."""
    from sklearn.model_selection import KFold

    from skdim.evaluation import CompositionGroupKFold, LeaveElementOut

    if by == "random":
        return list(KFold(5, shuffle=True, random_state=seed).split(crystals))
    if by == "element":
        return list(LeaveElementOut(elements or common_elements(crystals)).split(crystals))
    return list(CompositionGroupKFold(5, by=by, random_state=seed).split(crystals))


def inner(crystals: list[Any], train: np.ndarray, by: str, seed: int) -> list[np.ndarray]:
    """Rows among the training rows that are left out together to choose a regressor, as the test rows were."""
    own = [crystals[row] for row in train]
    held = {symbol for crystal in own for symbol in crystal.composition.element_composition.as_dict()}
    elements = [symbol for symbol in common_elements(crystals) if symbol in held]
    return [test for _, test in splits(own, by, seed, elements)]


def common_elements(crystals: list[Any]) -> list[str]:
    """The elements that most crystals hold, but for those without which less than 100 crystals are left."""
    from collections import Counter

    counts = Counter(symbol for crystal in crystals for symbol in crystal.composition.element_composition.as_dict())
    usable = [symbol for symbol, n in counts.most_common() if len(crystals) - n >= 100]
    return usable[:ELEMENTS]


def error(
    table: np.ndarray | None, target: np.ndarray, cuts: list[tuple[np.ndarray, np.ndarray, list[np.ndarray]]]
) -> float:
    """Mean absolute error over the test rows of all folds; without a table that of the median."""
    misses = []
    for train, test, held in cuts:
        if table is None:
            guess = np.median(target[train])
        else:
            guess = chosen(table[train], target[train], held).predict(table[test])
        misses.append(np.abs(guess - target[test]))
    return float(np.concatenate(misses).mean())


def chosen(table: np.ndarray, target: np.ndarray, held: list[np.ndarray]) -> Any:
    """The kernel regressor and strength with the lowest error on rows that are left out, trained on all of them."""
    from skdim.evaluation import KernelRidgeCV
    from skdim.evaluation._kernel_ridge import ALPHAS, GAMMAS, mean_distances
    from skdim.learning.ridge import Spectrum, held_out_residuals

    distances = mean_distances(table, table)
    kernels = {("linear", 1.0): table @ table.T / table.shape[1]}
    kernels |= {("laplacian", gamma): np.exp(-gamma * distances) for gamma in GAMMAS}
    tried = []
    for (kernel, gamma), similarity in kernels.items():
        spectrum = Spectrum.of(similarity)
        # Crystals with two of the elements are left out twice, so each fold is asked for by itself.
        each = [held_out_residuals(spectrum, target, ALPHAS, [rows])[:, rows] for rows in held]
        losses = np.abs(np.concatenate(each, axis=1)).mean(axis=1)
        tried += [(loss, kernel, gamma, alpha) for loss, alpha in zip(losses, ALPHAS, strict=True)]
    _, kernel, gamma, alpha = min(tried)
    return KernelRidgeCV(kernel, alphas=[alpha], gammas=[gamma]).fit(table, target)


if __name__ == "__main__":
    main()
