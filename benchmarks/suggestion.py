"""What suggested measurements are worth against random ones, on the bundled tasks.

    python benchmarks/suggestion.py [--repeats 20] [--jobs 1] [--model NAME] [--report]
        [--out benchmarks/suggestion.json]

From 20 random labels on, ten more are measured at a time, up to 100, out of a pool of 1000 crystals of the training
fold (all of them where there are fewer): chosen by `skdim.evaluation.suggest`, or at random. The best value is sought
as `skdim suggest` does, with values and intervals of the regressor that has the lowest error inside the labels, of a
ridge and two kernel regressors; trees, which take longer than all of these, are left out. Measured are the error of a
Gaussian process on the test fold; how many labels it takes to reach the error that random choice
has at 100; and the best value found after 50, as the share of the pool that is better. The vectors are those of a
model that comes with the package. Means over the repeats, with the standard error of the mean.

A run that was stopped goes on where it was; ``--report`` reports the repeats on file and measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import repeats

START, BATCH, END, POOL, FOUND_AT = 20, 10, 100, 1000, 50
REGRESSORS = ("ridge", "laplacian", "gaussian")
WAYS = ("random", "information", "best", "both")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = repeats.options_of("Suggested measurements against random ones.", "suggestion", 20)
    options = parser.parse_args(arguments)

    def given(key: repeats.Repeat) -> tuple[Any, ...]:
        task = repeats.load(key["task"], options.model)
        return task.vectors, task.target, task.test, key["seed"]

    found = repeats.measured(options, repeats.keys(options), one_repeat, given)
    rows = summary(found)
    print(f"{'task':30} {'chosen by':12} {'MAE at 50':>10} {'MAE at 100':>10} {'labels':>13} {'better left':>14}")
    for row in rows:
        labels = f"{row['labels']:.0f} +- {row['labels_error']:.0f}"
        left = f"{row['left']:.2%} +- {row['left_error']:.2%}"
        print(f"{row['task']:30} {row['way']:12} {row['mae_50']:10.4g} {row['mae_100']:10.4g} {labels:>13} {left:>14}")
    settings = {"start": START, "batch": BATCH, "end": END, "pool": POOL, "regressors": REGRESSORS}
    repeats.write(options, "suggestion", found, settings=settings, rows=rows)


def summary(found: Sequence[repeats.Repeat]) -> list[dict[str, Any]]:
    """Errors, labels needed and values found, for each task and way of choosing."""
    rows = []
    for (task,), own in repeats.cells(found, "task").items():
        at_end = np.array([repeat["errors"]["random"][-1] for repeat in own])
        for way in WAYS:
            errors = np.array([repeat["errors"][way] for repeat in own])  # (repeats, steps)
            needed = np.array([labels_to(repeat["errors"][way], repeat["errors"]["random"][-1]) for repeat in own])
            left = np.array([repeat["left"][way] for repeat in own])
            rows.append(
                {
                    "task": task,
                    "way": way,
                    "repeats": len(own),
                    "mae_50": float(errors[:, (50 - START) // BATCH].mean()),
                    "mae_100": float(errors[:, -1].mean()),
                    "labels": float(needed.mean()),
                    "labels_error": repeats.spread(needed),
                    "left": float(left.mean()),
                    "left_error": repeats.spread(left),
                    "wins_mae_100": float(np.mean(errors[:, -1] < at_end)),
                    "wins_left": float(np.mean(left < [repeat["left"]["random"] for repeat in own])),
                }
            )
    return rows


def one_repeat(vectors: np.ndarray, target: np.ndarray, test: np.ndarray, seed: int) -> repeats.Repeat:
    """Errors at each number of labels, and the share of the pool better than the best value found."""
    from skdim.evaluation import KernelRidgeCV, suggest

    rng = np.random.default_rng(seed)
    train = np.flatnonzero(~test)
    pool = rng.choice(train, min(POOL, len(train)), replace=False)
    V, y = vectors[pool], target[pool]
    start, order = np.arange(START), START + rng.permutation(len(pool) - START)
    all_errors, all_left = {}, {}
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
                predicted = None if way == "information" else predictions(V[known], y[known], V[rest])
                more = rest[suggest(V[known], y[known], V[rest], BATCH, way, predicted=predicted)]
            known = np.concatenate([known, more])
        all_errors[way], all_left[way] = errors, left
    return {"errors": all_errors, "left": all_left}


def predictions(known: np.ndarray, labels: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Values of a pool with the ends of their intervals, (m, 3), by the best regressor inside the labels."""
    from skdim.evaluation import CrossConformalRegressor
    from skdim.evaluation._readouts import READOUTS

    tried = [CrossConformalRegressor(READOUTS[name], random_state=0).fit(known, labels) for name in REGRESSORS]
    best = min(tried, key=lambda one: float(np.abs(one.held_out_ - labels).mean()))
    return np.column_stack([best.predict(pool), best.predict_interval(pool, 0.9)])


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


if __name__ == "__main__":
    main()
