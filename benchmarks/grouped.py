"""What random folds hide: errors of each bundled task with relatives of the test rows among the labels, and without.

    python benchmarks/grouped.py [--repeats 5] [--model NAME] [--out benchmarks/grouped.json]

250 labels are drawn from all crystals of a task, and cut into five folds at random, or so that crystals of one formula,
composition system or prototype stay together; or all crystals with one element are left out, for each of the four
elements that most of them hold. Each label is predicted without its fold. Features: vectors of a model that comes
with the package ("bundled" has seen the structures, but no label), and Magpie statistics of the composition; regressor:
Laplacian kernel ridge regression, which chooses its strength inside the training labels; beside the median of these.
Mean absolute errors over the draws, with the standard error of the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import record
from intervals import TASKS

LABELS = 250
FOLDS = ("random", "formula", "system", "prototype", "element")
FEATURES = ("vectors", "magpie", "median")
ELEMENTS = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Errors with random and grouped folds.")
    parser.add_argument("--repeats", type=int, default=5, help="draws of labels (default: 5)")
    parser.add_argument("--tasks", type=int, default=len(TASKS), help="the first of them, for a trial (default: all)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/grouped.json"), help="JSON file to write")
    record.add_model(parser)
    options = parser.parse_args(arguments)
    rows = [row for task in list(TASKS)[: options.tasks] for row in measured(task, options.repeats, options.model)]
    for row in rows:
        errors = " ".join(f"{row[name]:8.3f} +- {row[f'{name}_error']:.3f}" for name in FEATURES)
        print(f"{row['task']:30} {row['folds']:10} {errors}")
    settings = {"repeats": options.repeats, "labels": LABELS, "model": options.model}
    report = {**record.surroundings(), "settings": settings, "rows": rows}
    for file in record.write(report, options.out, "grouped"):
        print(f"Written to {file}")
    options.out.with_suffix(".csv").write_text(table_of(rows, options.repeats), encoding="utf-8")


def table_of(rows: Sequence[dict[str, Any]], repeats: int) -> str:
    """Write the rows as the table of the documentation, which names the number of draws."""
    names = {"vectors": "Vectors", "magpie": "Magpie statistics", "median": "Guess of the median"}
    lines = [f'"Task ({repeats} draws)","Folds",' + ",".join(f'"{name}"' for name in names.values())]
    for row in rows:
        cells = [f'"{row[name]:.3f} ± {row[f"{name}_error"]:.3f}"' for name in names]
        lines.append(f'"{row["task"]}","{row["folds"]}",' + ",".join(cells))
    return "\n".join(lines) + "\n"


def measured(task: str, repeats: int, model: str) -> list[dict[str, Any]]:
    """Errors of a task, for each way to cut the labels."""
    from skdim import datasets

    bunch = getattr(datasets, TASKS[task])()
    found: dict[str, list[list[float]]] = {by: [] for by in FOLDS}
    for seed in range(repeats):
        drawn = np.random.default_rng(seed).choice(len(bunch.target), LABELS, replace=False)
        crystals, target = [bunch.data[row] for row in drawn], bunch.target[drawn]
        tables = features(crystals, model)
        for by in FOLDS:
            found[by].append([error(tables.get(name), target, splits(crystals, by, seed)) for name in FEATURES])
    rows = []
    for by, draws in found.items():
        means, errors = np.mean(draws, axis=0), np.std(draws, axis=0, ddof=1) / repeats**0.5
        row = {"task": task, "folds": by}
        row |= {name: float(mean) for name, mean in zip(FEATURES, means, strict=True)}
        rows.append(row | {f"{name}_error": float(e) for name, e in zip(FEATURES, errors, strict=True)})
    return rows


def features(crystals: list[Any], model: str) -> dict[str, np.ndarray]:
    """Vectors of crystals, and standardised statistics of their compositions."""
    from matminer.featurizers.composition import ElementProperty

    from skdim import load_pretrained

    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    magpie = np.array([featurizer.featurize(crystal.composition) for crystal in crystals], dtype=np.float64)
    spread = magpie.std(0)
    magpie = (magpie - magpie.mean(0)) / np.where(spread > 0, spread, 1.0)
    return {"vectors": load_pretrained(model).transform(crystals).astype(np.float64), "magpie": magpie}


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
