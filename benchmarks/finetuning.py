"""What fine-tuning is worth beside the ridge it starts from, for every bundled task, number of labels and kind of fold.

    python benchmarks/finetuning.py [--repeats 3] [--jobs 1] [--model NAME] [--report]
        [--out benchmarks/finetuning.json]

Labels are drawn from the training fold and the test fold is predicted ("random"); or a quarter of the prototypes is
held out, labels are drawn from the others, and the groups are given to ``fit`` ("grouped"). Beside the ridge it starts
from: the linear regression that weighs the parts of the vector, as far as held-out labels go there (the first step),
the fine-tuned model with its second step, the training, taken all the way, and the ridge and the Laplacian kernel ridge
of `skdim.evaluation`. The vectors are those of a model that comes with the package; "bundled" has seen the structures,
but no label. Ratios are those of mean absolute errors averaged over the repeats; their standard error is that of the
mean of paired differences. Every repeat is measured in one thread; seconds are those of a fit.

A run that was stopped goes on where it was; ``--report`` reports the repeats on file and measures nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import repeats

SIZES = (50, 100, 250)
SPLITS = ("random", "grouped")
MOST_TESTED = 250


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = repeats.options_of("Fine-tuning beside the ridge it starts from.", "finetuning", 3)
    options = parser.parse_args(arguments)
    wanted = repeats.keys(options, labels=SIZES, split=SPLITS)
    found = repeats.measured(options, wanted, one_repeat, lambda key: given(key, options.model))
    rows = summary(found)
    head = (
        f"{'task':30} labels {'fold':8} repeats {'fine-tuned / ridge':>20} {'first step':>10} {'all the way':>11} "
        f"{'Laplacian':>9} strength"
    )
    print(head + "  CPU s")
    for row in rows:
        print(
            f"{row['task']:30} {row['labels']:6} {row['split']:8} {row['repeats']:7} "
            f"{row['ratio']:11.3f} +- {row['ratio_error']:.3f} "
            f"{row['linear']:10.3f} {row['all_the_way']:11.3f} {row['laplacian']:9.3f} {row['strength']:8.2f} "
            f"{row['seconds']:6.0f}"
        )
    print(json.dumps(means(rows)))
    repeats.write(options, "finetuning", found, settings={"tested": MOST_TESTED}, rows=rows, means=means(rows))


def given(key: repeats.Repeat, model: str) -> tuple[Any, ...]:
    """The labelled crystals of a repeat and those to be tested, with their labels and groups."""
    task = repeats.load(key["task"], model)
    groups, test = repeats.groups(key["task"], model, "prototype"), task.test
    rng = np.random.default_rng(key["seed"])
    if key["split"] == "grouped":
        names = rng.permutation(np.unique(groups))
        test = np.isin(groups, names[: len(names) // 4])
    rows = rng.choice(np.flatnonzero(~test), key["labels"], replace=False)
    tested = rng.permutation(np.flatnonzero(test))[:MOST_TESTED]
    own = groups[rows] if key["split"] == "grouped" else None
    labelled, new = ((task.points[chosen], task.target[chosen]) for chosen in (rows, tested))
    return model, labelled, new, own, key["seed"]


def one_repeat(
    name: str, labelled: tuple[Any, np.ndarray], new: tuple[Any, np.ndarray], groups: np.ndarray | None, seed: int
) -> repeats.Repeat:
    """Errors on the test fold, strength, coverage and time of one repeat."""
    from skdim import SiteNetRegressor
    from skdim.evaluation import LaplacianKernelRidge
    from skdim.evaluation._kernel_ridge import KernelRidgeCV
    from skdim.network.threads import one_torch_thread

    embedder, (points, y), (tested, truth) = repeats.embedder(name), labelled, new
    with one_torch_thread():
        started, began = time.process_time(), time.perf_counter()
        model = SiteNetRegressor(embedder, random_state=seed).fit(points, y, groups=groups)
        seconds, wall = time.process_time() - started, time.perf_counter() - began
        predicted, deviation = model.predict(tested, return_std=True)
        vectors, others = (embedder.transform(chosen).astype(np.float64) for chosen in (points, tested))
    state = model.state_
    linear = state.anchor.ridge.predict(others)[:, 0] * state.target_scale.scale + state.target_scale.center
    errors = {
        "fine_tuned": predicted,
        "ridge": SiteNetRegressor(embedder, max_epochs=0).fit(points, y).predict(tested),
        "linear": linear,
        "ridge_cv": KernelRidgeCV().fit(vectors, y).predict(others),
        "laplacian": LaplacianKernelRidge().fit(vectors, y).predict(others),
    }
    if model.strength_:
        errors["all_the_way"] = linear + (predicted - linear) / model.strength_
    found = {kind: float(np.abs(truth - guess).mean()) for kind, guess in errors.items()}
    found.setdefault("all_the_way", found["linear"])
    held = float((np.abs(truth - predicted) <= repeats.Z * deviation).mean())
    return {**found, "strength": model.strength_, "held": held, "seconds": seconds, "wall": wall}


def summary(found: Sequence[repeats.Repeat]) -> list[dict[str, Any]]:
    """Ratios to the ridge of each cell, those of random folds first."""
    rows = []
    for (split, task, labels), own in repeats.cells(found, "split", "task", "labels").items():
        against = ("linear", "all_the_way", "laplacian", "ridge_cv")
        names = ("fine_tuned", "ridge", *against, "strength", "held", "seconds", "wall")
        mean = {name: float(np.mean([repeat[name] for repeat in own])) for name in names}
        away = np.array([repeat["fine_tuned"] - repeat["ridge"] for repeat in own]) / mean["ridge"]
        rows.append(
            {
                "split": split,
                "task": task,
                "labels": labels,
                "repeats": len(own),
                "ridge": mean["ridge"],
                "ratio": mean["fine_tuned"] / mean["ridge"],
                "ratio_error": repeats.spread(away),
                **{name: mean[name] / mean["ridge"] for name in against},
                **{name: mean[name] for name in ("strength", "held", "seconds", "wall")},
            }
        )
    return sorted(rows, key=lambda row: SPLITS.index(row["split"]))


def means(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and highest ratio over the cells of each kind of fold."""
    found = {}
    for split in SPLITS:
        ratios = [row["ratio"] for row in rows if row["split"] == split]
        if ratios:
            found[split] = {"mean": float(np.mean(ratios)), "highest": max(ratios), "cells": len(ratios)}
    return found


if __name__ == "__main__":
    main()
