"""Whether the distance to the labelled crystals says when not to trust a prediction.

    python benchmarks/applicability.py [--repeats 10] [--folds random system prototype]
        [--model NAME] [--out benchmarks/applicability.json]
    python benchmarks/applicability.py --folds element --repeats 5 --out benchmarks/applicability_element.json

250 labels are drawn from all crystals of a task and cut into ten folds: at random, or so that composition systems or
prototypes stay together. Each label is predicted without its fold, with an interval of 90% that is made without it
too. Or all crystals with an element are predicted by those without it, for each of the four elements that most crystals
hold. The labels are sorted by the distance to the nearest crystal of the other folds, and told by fifths: mean absolute
error, and share inside the intervals. Regressor: Gaussian process, on the vectors of a model that comes
with the package. Means over the draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import record
from intervals import TASKS

LABELS = 250
GROUPINGS = ("random", "system", "prototype", "element")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Error and coverage by distance from the labelled crystals.")
    parser.add_argument("--repeats", type=int, default=10, help="draws of labels (default: 10)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/applicability.json"), help="JSON file to write")
    parser.add_argument("--folds", nargs="+", choices=GROUPINGS, default=GROUPINGS[:3], help="how to cut the labels")
    record.add_model(parser)
    options = parser.parse_args(arguments)
    rows = measured(options.repeats, options.folds, options.model)
    for row in rows:
        errors = " ".join(f"{error:8.3g}" for error in row["errors"])
        held = " ".join(f"{share:6.1%}" for share in row["held"])
        print(f"{row['task']:30} {row['folds']:10} {errors}   {held}")
    settings = {"repeats": options.repeats, "labels": LABELS, "model": options.model}
    report = {**record.surroundings(), "settings": settings, "rows": rows}
    for file in record.write(report, options.out, "applicability"):
        print(f"Written to {file}")
    options.out.with_suffix(".csv").write_text(table_of(rows), encoding="utf-8")


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """Write the rows as the table of the documentation: error and share held of each fifth."""
    names = ("Nearest fifth", "Second", "Third", "Fourth", "Farthest fifth")
    lines = ['"Task","Folds",' + ",".join(f'"{name}"' for name in names)]
    for row in rows:
        cells = [f'"{e:.3g} / {h:.0%}"' for e, h in zip(row["errors"], row["held"], strict=True)]
        lines.append(f'"{row["task"]}","{row["folds"]}",' + ",".join(cells))
    return "\n".join(lines) + "\n"


def measured(repeats: int, groupings: Sequence[str], model: str) -> list[dict[str, Any]]:
    """Error and coverage by fifths, for each task and way to cut the labels."""
    from skdim import datasets, load_pretrained
    from skdim.evaluation import composition_groups

    embedder = load_pretrained(model)
    rows = []
    for task, loader in TASKS.items():
        bunch = getattr(datasets, loader)()
        vectors = embedder.transform(embedder.featurizer_.transform(bunch.data))
        groups = {by: composition_groups(bunch.data, by) for by in groupings if by in ("system", "prototype")}
        for by in groupings:
            found = []
            for seed in range(repeats):
                drawn = np.random.default_rng(seed).choice(len(vectors), LABELS, replace=False)
                own = groups[by][drawn] if by in groups else None
                if by == "element":
                    crystals = [bunch.data[row] for row in drawn]
                    found.append(element_fifths(crystals, vectors[drawn], bunch.target[drawn], seed))
                else:
                    found.append(fifths(vectors[drawn], bunch.target[drawn], own, seed))
            errors, held = np.mean(found, axis=0)
            rows.append({"task": task, "folds": by, "errors": errors.tolist(), "held": held.tolist()})
    return rows


def fifths(vectors: np.ndarray, target: np.ndarray, groups: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Error and share inside intervals of each fifth of the labels, by distance from those of other folds."""
    from skdim._targetmodel import choose
    from skdim.cli.fitreport import _by_distance
    from skdim.evaluation._readouts import READOUTS

    n = len(target)
    candidates = {"gaussian": READOUTS["gaussian"]}
    learned = choose(vectors, target, np.ones(n), groups, np.zeros(n, np.int64), candidates, "none", 10, seed)
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
    return tuple(np.array([values[fifth == k].mean() for k in range(5)]) for values in (errors, inside))


if __name__ == "__main__":
    main()
