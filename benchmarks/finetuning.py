"""What fine-tuning is worth beside the ridge it starts from, for every bundled task, number of labels and kind of fold.

    python benchmarks/finetuning.py [--repeats 10] [--first 0] [--model NAME] [--report]
        [--out benchmarks/finetuning.json]

Labels are drawn from the training fold and the test fold is predicted ("random"); or a quarter of the prototypes is
held out, labels are drawn from the others, and the groups are given to ``fit`` ("grouped"). Beside the ridge it starts
from: the ridge and the Laplacian kernel ridge of `skdim.evaluation`, and the fine-tuned model without a choice of how
far to go. The vectors are those of a model that comes with the package; "bundled" has seen the structures, but no
label.

Each draw is written to a file of lines beside ``--out`` as soon as it is done, and a run that was stopped goes on from
there; ``--report`` measures nothing more. Ratios are those of mean absolute errors averaged over the draws; their
standard error is that of the mean of paired differences.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import record

SIZES = (50, 100, 250)
SPLITS = ("random", "grouped")
TASKS = {
    "formation energy (eV/atom)": "load_formation_energy",
    "band gap (eV)": "load_band_gap",
    "log10 bulk modulus": "load_elastic_moduli",
    "piezoelectric modulus (C/m2)": "load_piezoelectric",
}
MOST_TESTED = 250
Z = 1.6448536269514722  # of intervals that hold 90%


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Fine-tuning beside the ridge it starts from.")
    parser.add_argument("--repeats", type=int, default=10, help="draws of labels (default: 10)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first draw (default: 0)")
    parser.add_argument("--report", action="store_true", help="report the draws on file, and measure no more")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/finetuning.json"), help="JSON file to write")
    record.add_model(parser)
    options = parser.parse_args(arguments)
    lines = options.out.with_suffix(".jsonl")
    model = options.model
    draws = on_file(lines, model) if options.report else measured(options.repeats, options.first, model, lines)
    rows = summary(draws)
    settings = {"seeds": sorted({draw["seed"] for draw in draws}), "tested": MOST_TESTED, "model": model}
    report = {**record.surroundings(), "settings": settings, "rows": rows, "means": means(rows), "draws": draws}
    head = (
        f"{'task':30} labels {'fold':8} draws {'fine-tuned / ridge':>20} {'all the way':>11} {'Laplacian':>9} strength"
    )
    print(head + "  CPU s")
    for row in rows:
        error = "" if row["ratio_error"] is None else f"+- {row['ratio_error']:.3f}"
        print(
            f"{row['task']:30} {row['labels']:6} {row['split']:8} {row['draws']:5} {row['ratio']:11.3f} {error:8} "
            f"{row['all_the_way']:11.3f} {row['laplacian']:9.3f} {row['strength']:8.2f} {row['seconds']:6.0f}"
        )
    print(json.dumps(report["means"]))
    for file in record.write(report, options.out, "finetuning"):
        print(f"Written to {file}")


def measured(repeats: int, first: int, model: str, lines: Path) -> list[dict[str, Any]]:
    """Draws of every cell, those on file first."""
    from skdim import datasets, load_pretrained
    from skdim.evaluation import composition_groups

    done = on_file(lines, model)
    known = {(d["task"], d["labels"], d["split"], d["seed"]) for d in done}
    embedder = load_pretrained(model)
    sets: dict[str, tuple[Any, Any, Any, Any]] = {}
    for seed, labels, task, split in itertools.product(range(first, first + repeats), SIZES, TASKS, SPLITS):
        if (task, labels, split, seed) in known:
            continue
        if task not in sets:
            bunch = getattr(datasets, TASKS[task])()
            groups = composition_groups(bunch.data, by="prototype").astype(str)
            sets[task] = (embedder.featurizer_.transform(bunch.data), bunch.target, bunch.test_mask, groups)
        found = one_draw(embedder, *sets[task], labels, split, seed)
        done.append({"model": model, "task": task, "labels": labels, "split": split, "seed": seed, **found})
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[-1]) + "\n")
    wanted = range(first, first + repeats)
    return [draw for draw in done if draw["seed"] in wanted]


def on_file(lines: Path, model: str) -> list[dict[str, Any]]:
    """Draws that were measured before, with this model."""
    draws = [json.loads(line) for line in lines.read_text("utf-8").splitlines()] if lines.exists() else []
    return [draw for draw in draws if draw.get("model") == model]


def one_draw(
    embedder: Any,
    points: Any,
    target: np.ndarray,
    test: np.ndarray,
    groups: np.ndarray,
    n_labels: int,
    split: str,
    seed: int,
) -> dict[str, Any]:
    """Errors on the test fold, strength, coverage and time of one draw of labels."""
    from skdim import SiteNetRegressor
    from skdim.evaluation import LaplacianKernelRidge
    from skdim.evaluation._kernel_ridge import KernelRidgeCV

    rng = np.random.default_rng(seed)
    if split == "grouped":
        names = rng.permutation(np.unique(groups))
        test = np.isin(groups, names[: len(names) // 4])
    rows = rng.choice(np.flatnonzero(~test), n_labels, replace=False)
    tested = rng.permutation(np.flatnonzero(test))[:MOST_TESTED]
    y, truth = target[rows], target[tested]
    started, began = time.process_time(), time.perf_counter()
    model = SiteNetRegressor(embedder, random_state=seed)
    model.fit(points[rows], y, groups=groups[rows] if split == "grouped" else None)
    seconds, wall = time.process_time() - started, time.perf_counter() - began
    predicted, deviation = model.predict(points[tested], return_std=True)
    vectors, new = (embedder.transform(points[chosen]).astype(np.float64) for chosen in (rows, tested))
    state = model.state_
    ridge = state.anchor.ridge.predict(new)[:, 0] * state.target_scale.scale + state.target_scale.center
    errors = {
        "fine_tuned": predicted,
        "ridge": ridge,
        "ridge_cv": KernelRidgeCV().fit(vectors, y).predict(new),
        "laplacian": LaplacianKernelRidge().fit(vectors, y).predict(new),
    }
    if model.strength_:
        errors["all_the_way"] = ridge + (predicted - ridge) / model.strength_
    found = {name: float(np.abs(truth - guess).mean()) for name, guess in errors.items()}
    found.setdefault("all_the_way", found["ridge"])
    held = float((np.abs(truth - predicted) <= Z * deviation).mean())
    return {**found, "strength": model.strength_, "held": held, "seconds": seconds, "wall": wall}


def summary(draws: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ratios to the ridge of each cell."""
    rows = []
    for split, task, labels in itertools.product(SPLITS, TASKS, SIZES):
        own = [d for d in draws if (d["split"], d["task"], d["labels"]) == (split, task, labels)]
        if not own:
            continue
        mean = {name: float(np.mean([d[name] for d in own])) for name in own[0] if isinstance(own[0][name], float)}
        away = np.array([d["fine_tuned"] - d["ridge"] for d in own]) / mean["ridge"]
        ratios = {name: mean[name] / mean["ridge"] for name in ("all_the_way", "laplacian", "ridge_cv")}
        rows.append(
            {
                "split": split,
                "task": task,
                "labels": labels,
                "draws": len(own),
                "ridge": mean["ridge"],
                "ratio": mean["fine_tuned"] / mean["ridge"],
                "ratio_error": float(away.std(ddof=1) / np.sqrt(len(own))) if len(own) > 1 else None,
                **ratios,
                **{name: mean[name] for name in ("strength", "held", "seconds", "wall")},
            }
        )
    return rows


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
