"""What suggested measurements are worth against random ones, on the bundled tasks.

    python benchmarks/suggestion.py [--repeats 20] [--jobs 1] [--model NAME] [--out benchmarks/suggestion.json]

From 20 random labels on, ten more are measured at a time, up to 100, out of a pool of 1000 crystals of the training
fold (all of them where there are fewer): chosen by `skdim.evaluation.suggest`, or at random. Measured are the error of
a Gaussian process on the test fold; how many labels it takes to reach the error that random choice
has at 100; and the best value found after 50, as the share of the pool that is better. The vectors are those of a
model that comes with the package. Means over the draws, with the standard error of the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import record
from intervals import TASKS

START, BATCH, END, POOL, FOUND_AT = 20, 10, 100, 1000, 50
WAYS = ("random", "information", "best", "both")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Suggested measurements against random ones.")
    parser.add_argument("--repeats", type=int, default=20, help="draws (default: 20)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/suggestion.json"), help="JSON file to write")
    record.add_model(parser)
    options = parser.parse_args(arguments)
    rows = measured(options.repeats, options.jobs, options.model)
    settings = {"repeats": options.repeats, "start": START, "batch": BATCH, "end": END, "pool": POOL}
    settings["model"] = options.model
    print(f"{'task':30} {'chosen by':12} {'MAE at 50':>10} {'MAE at 100':>10} {'labels':>13} {'better left':>14}")
    for row in rows:
        labels = f"{row['labels']:.0f} +- {row['labels_error']:.0f}"
        left = f"{row['left']:.2%} +- {row['left_error']:.2%}"
        print(f"{row['task']:30} {row['way']:12} {row['mae_50']:10.4g} {row['mae_100']:10.4g} {labels:>13} {left:>14}")
    for file in record.write({**record.surroundings(), "settings": settings, "rows": rows}, options.out, "suggestion"):
        print(f"Written to {file}")
    options.out.with_suffix(".csv").write_text(table_of(rows), encoding="utf-8")


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """Write the rows as the table of the documentation."""
    labels, left = "Labels to the error of random choice at 100", "Of the pool better than the best found at 50"
    lines = [f'"Task","Chosen by","MAE at 50","MAE at 100","{labels}","{left}"']
    for row in rows:
        labels = f"{row['labels']:.0f} ± {row['labels_error']:.0f}"
        left = f"{row['left']:.2%} ± {row['left_error']:.2%}"
        lines.append(f'"{row["task"]}","{row["way"]}",{row["mae_50"]:.3g},{row["mae_100"]:.3g},"{labels}","{left}"')
    return "\n".join(lines) + "\n"


def measured(repeats: int, jobs: int, model: str) -> list[dict[str, Any]]:
    """Errors, labels needed and values found, for each task and way of choosing."""
    from joblib import Parallel, delayed

    from skdim import datasets, load_pretrained

    embedder = load_pretrained(model)
    rows = []
    for task, loader in TASKS.items():
        bunch = getattr(datasets, loader)()
        vectors = embedder.transform(embedder.featurizer_.transform(bunch.data)).astype(np.float64)
        draws = Parallel(n_jobs=jobs)(
            delayed(one_draw)(vectors, bunch.target, bunch.test_mask, seed) for seed in range(repeats)
        )
        for way in WAYS:
            errors = np.array([draw[way][0] for draw in draws])  # (repeats, steps)
            needed = np.array([labels_to(draw[way][0], draw["random"][0][-1]) for draw in draws])
            left = np.array([draw[way][1] for draw in draws])
            rows.append(
                {
                    "task": task,
                    "way": way,
                    "mae_50": float(errors[:, (50 - START) // BATCH].mean()),
                    "mae_100": float(errors[:, -1].mean()),
                    "labels": float(needed.mean()),
                    "labels_error": spread(needed),
                    "left": float(left.mean()),
                    "left_error": spread(left),
                    "wins_mae_100": float(np.mean(errors[:, -1] < [draw["random"][0][-1] for draw in draws])),
                    "wins_left": float(np.mean(left < [draw["random"][1] for draw in draws])),
                }
            )
    return rows


def one_draw(
    vectors: np.ndarray, target: np.ndarray, test: np.ndarray, seed: int
) -> dict[str, tuple[list[float], float]]:
    """Errors at each number of labels, and the share of the pool better than the best value found."""
    from skdim.evaluation import KernelRidgeCV, suggest

    rng = np.random.default_rng(seed)
    train = np.flatnonzero(~test)
    pool = rng.choice(train, min(POOL, len(train)), replace=False)
    V, y = vectors[pool], target[pool]
    start, order = np.arange(START), START + rng.permutation(len(pool) - START)
    found = {}
    for way in WAYS:
        known, errors, left = start, [], 1.0
        while True:
            model = KernelRidgeCV("matern", cv=None, choice="likelihood").fit(V[known], y[known])
            errors.append(float(np.abs(model.predict(vectors[test]) - target[test]).mean()))
            if len(known) == FOUND_AT:
                left = float(np.mean(y > y[known].max()))
            if len(known) >= END:
                break
            rest = np.setdiff1d(np.arange(len(pool)), known)
            if way == "random":
                more = order[len(known) - START :][:BATCH]
            else:
                more = rest[suggest(V[known], y[known], V[rest], BATCH, way)]
            known = np.concatenate([known, more])
        found[way] = (errors, left)
    return found


def labels_to(errors: Sequence[float], goal: float) -> float:
    """Labels at which the error falls to a goal and stays there, between steps by a line; END + BATCH if never."""
    counts = START + BATCH * np.arange(len(errors))
    above = np.flatnonzero(np.array(errors) > goal)
    if not len(above):
        return float(START)
    if above[-1] == len(errors) - 1:
        return float(END + BATCH)
    last = above[-1]
    share = (errors[last] - goal) / (errors[last] - errors[last + 1])
    return float(counts[last] + BATCH * share)


def spread(values: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
