"""How often intervals hold the true value, and how wide they are, for every bundled task and number of labels.

    python benchmarks/intervals.py [--repeats 20] [--jobs 1] [--model NAME] [--out benchmarks/intervals.json]

Labels are drawn from the training fold, and the test fold is predicted with intervals that are to hold 90%: by what
`CrystalRegressor` chooses, by a Gaussian process and a random forest with the same treatment (CV+), and by the two as
they come (mean plus and minus 1.645 standard deviations). The vectors are those of a model that comes with the package;
"bundled" has seen the structures, but no label. Means over the draws, with the standard error of the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import record

COVERAGE = 0.9
Z = 1.6448536269514722  # of 90%
SIZES = (50, 100, 250)
TASKS = {
    "formation energy (eV/atom)": "load_formation_energy",
    "band gap (eV)": "load_band_gap",
    "log10 bulk modulus": "load_elastic_moduli",
    "piezoelectric modulus (C/m2)": "load_piezoelectric",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Coverage and width of intervals.")
    parser.add_argument("--repeats", type=int, default=20, help="draws of labels (default: 20)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/intervals.json"), help="JSON file to write")
    record.add_model(parser)
    options = parser.parse_args(arguments)
    rows = measured(options.repeats, options.jobs, options.model)
    settings = {"repeats": options.repeats, "coverage": COVERAGE, "model": options.model}
    report = {**record.surroundings(), "settings": settings, "rows": rows}
    print(f"{'task':30} labels {'intervals of':32} {'held':>14} {'mean width':>11} {'MAE':>7}")
    for row in rows:
        held = f"{row['coverage']:.1%} +- {row['coverage_error']:.1%}"
        print(
            f"{row['task']:30} {row['labels']:6} {row['method']:32} {held:>14} {row['width']:11.3f} {row['mae']:7.3f}"
        )
    for file in record.write(report, options.out, "intervals"):
        print(f"Written to {file}")
    options.out.with_suffix(".csv").write_text(table_of(rows), encoding="utf-8")


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """Write the rows as the table of the documentation: share held and mean width of each method."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    lines = ['"Task","Labels",' + ",".join(f'"{method}"' for method in methods)]
    for task, labels in dict.fromkeys((row["task"], row["labels"]) for row in rows):
        cells = {
            r["method"]: f"{r['coverage']:.1%} / {r['width']:.3g}"
            for r in rows
            if (r["task"], r["labels"]) == (task, labels)
        }
        lines.append(f'"{task}",{labels},' + ",".join(f'"{cells[method]}"' for method in methods))
    return "\n".join(lines) + "\n"


def measured(repeats: int, jobs: int, model: str) -> list[dict[str, Any]]:
    """Coverage, width and error of each method, for each task and number of labels."""
    from joblib import Parallel, delayed

    from skdim import datasets, load_pretrained

    embedder = load_pretrained(model)
    rows = []
    for task, loader in TASKS.items():
        bunch = getattr(datasets, loader)()
        points = embedder.featurizer_.transform(bunch.data)
        vectors = embedder.transform(points).astype(np.float64)
        for n_labels in SIZES:
            draws = Parallel(n_jobs=jobs)(
                delayed(one_draw)(vectors, bunch.target, bunch.test_mask, n_labels, seed) for seed in range(repeats)
            )
            for method in draws[0]:
                held, width, error = np.array([draw[method] for draw in draws]).T
                rows.append(
                    {
                        "task": task,
                        "labels": n_labels,
                        "method": method,
                        "coverage": float(held.mean()),
                        "coverage_error": float(held.std(ddof=1) / np.sqrt(repeats)) if repeats > 1 else 0.0,
                        "width": float(width.mean()),
                        "mae": float(error.mean()),
                    }
                )
    return rows


def one_draw(
    vectors: np.ndarray, target: np.ndarray, test: np.ndarray, n_labels: int, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Coverage, mean width and error of each method on the test fold."""
    from sklearn.ensemble import RandomForestRegressor

    from skdim.evaluation import CrossConformalRegressor
    from skdim.evaluation._intervals import mean_and_doubt
    from skdim.evaluation._readouts import READOUTS

    rows = np.random.default_rng(seed).choice(np.flatnonzero(~test), n_labels, replace=False)
    X, y, new, truth = vectors[rows], target[rows], vectors[test], target[test]
    looked_at = round(3 * X.shape[1] ** 0.5)
    forest = RandomForestRegressor(100, max_features=looked_at, random_state=seed)
    fitted = {}
    for name, regressor in {**READOUTS, "forest": forest}.items():
        if "random_state" in regressor.get_params():
            regressor = regressor.set_params(random_state=seed)
        fitted[name] = CrossConformalRegressor(regressor, random_state=seed).fit(X, y)
    chosen = min(READOUTS, key=lambda name: np.abs(fitted[name].held_out_ - y).mean())
    found = {}
    for label, name in {
        "CrystalRegressor": chosen,
        "Gaussian process, CV+": "gaussian",
        "forest, CV+": "forest",
    }.items():
        found[label] = scores(truth, fitted[name].predict(new), *fitted[name].predict_interval(new, COVERAGE).T)
    for label, name in {"Gaussian process, as it comes": "gaussian", "forest, as it comes": "forest"}.items():
        mean, std = mean_and_doubt(fitted[name].regressor_, new)
        found[label] = scores(truth, mean, mean - Z * std, mean + Z * std)
    return found


def scores(truth: np.ndarray, mean: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[float, float, float]:
    """Share of true values inside, mean width, mean absolute error."""
    held = (truth >= lower) & (truth <= upper)
    return float(held.mean()), float((upper - lower).mean()), float(np.abs(truth - mean).mean())


if __name__ == "__main__":
    main()
