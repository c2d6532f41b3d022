"""How often intervals hold the true value, and how wide they are, for every bundled task and number of labels.

    python benchmarks/intervals.py [--repeats 20] [--jobs 1] [--model NAME] [--missing] [--anew chosen|forest]
        [--report] [--out benchmarks/intervals.json]

Labels are drawn from the training fold, and the test fold is predicted with intervals that are to hold 90%: by what
`CrystalRegressor` chooses, by a Gaussian process and a random forest with the same treatment, and by the two as they
come (mean plus and minus 1.645 standard deviations). The vectors are those of a model that comes with the package;
"bundled" has seen the structures, but no label. Means over the repeats, with the standard error of the mean.

A run that was stopped goes on where it was; ``--report`` reports the repeats on file and measures nothing. With
``--missing`` the cells that the record has of the same model and as many repeats stay as they are, but for those of
the regressors that ``--anew`` names: "chosen" is that of `CrystalRegressor` and the Gaussian process beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import repeats

COVERAGE = 0.9
SIZES = dict.fromkeys(repeats.TASKS, (50, 100, 250, 500)) | {"formation energy (eV/atom)": (50, 100, 250, 1000)}

METHODS = {
    "chosen": ("CrystalRegressor", "Gaussian process, CV+", "Gaussian process, as it comes"),
    "forest": ("forest, CV+", "forest, as it comes"),
}
"""Rows of the table, by the regressors that are fitted for them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = repeats.options_of("Coverage and width of intervals.", "intervals", 20)
    parser.add_argument("--missing", action="store_true", help="keep the cells of the record, and measure the others")
    parser.add_argument("--anew", choices=list(METHODS), help="with --missing: measure all cells of these regressors")
    options = parser.parse_args(arguments)
    kept, commits = repeats.recorded(options) if options.missing else ([], [])
    kept = [row for row in kept if options.anew is None or row["method"] not in METHODS[options.anew]]
    wanted = [
        key
        for key in repeats.keys(options, labels=sorted(set().union(*SIZES.values())), regressors=METHODS)
        if key["labels"] in SIZES[key["task"]] and not cell(key) <= {place(row) for row in kept}
    ]
    kept = [row for row in kept if not any(place(row) in cell(key) for key in wanted)]

    def given(key: repeats.Repeat) -> tuple[Any, ...]:
        task = repeats.load(key["task"], options.model)
        return task.vectors, task.target, task.test, key["labels"], key["seed"], key["regressors"]

    found = repeats.measured(options, wanted, one_repeat, given)
    order = [method for methods in METHODS.values() for method in methods]
    rows = sorted(
        [*kept, *summary(found)],
        key=lambda row: (list(SIZES).index(row["task"]), row["labels"], order.index(row["method"])),
    )
    print(f"{'task':30} labels {'intervals of':32} {'held':>14} {'mean width':>11} {'MAE':>7}")
    for row in rows:
        held = f"{row['coverage']:.1%} +- {row['coverage_error']:.1%}"
        print(
            f"{row['task']:30} {row['labels']:6} {row['method']:32} {held:>14} {row['width']:11.3f} {row['mae']:7.3f}"
        )
    settings = {"coverage": COVERAGE, "repeats": max(row["repeats"] for row in rows)}  # those of the record among them
    repeats.write(options, "intervals", found, settings=settings, rows=rows, commits=commits)


def place(row: dict[str, Any]) -> tuple[str, int, str]:
    """Where a row of the record stands."""
    return row["task"], row["labels"], row["method"]


def cell(key: repeats.Repeat) -> set[tuple[str, int, str]]:
    """Rows that a repeat is part of."""
    return {(key["task"], key["labels"], method) for method in METHODS[key["regressors"]]}


def summary(found: Sequence[repeats.Repeat]) -> list[dict[str, Any]]:
    """Coverage, width and error of each method, for each task and number of labels."""
    rows = []
    for (task, labels, _), own in repeats.cells(found, "task", "labels", "regressors").items():
        for method in own[0]["methods"]:
            held, width, error = np.array([repeat["methods"][method] for repeat in own]).T
            rows.append(
                {
                    "task": task,
                    "labels": labels,
                    "method": method,
                    "repeats": len(own),
                    "coverage": float(held.mean()),
                    "coverage_error": repeats.spread(held),
                    "width": float(width.mean()),
                    "mae": float(error.mean()),
                }
            )
    return rows


def one_repeat(
    vectors: np.ndarray, target: np.ndarray, test: np.ndarray, n_labels: int, seed: int, regressors: str
) -> repeats.Repeat:
    """Coverage, mean width and error on the test fold, of the methods of these regressors."""
    from sklearn.ensemble import RandomForestRegressor

    from skdim.evaluation import CrossConformalRegressor
    from skdim.evaluation._intervals import mean_and_doubt
    from skdim.evaluation._readouts import READOUTS

    rows = np.random.default_rng(seed).choice(np.flatnonzero(~test), n_labels, replace=False)
    X, y, new, truth = vectors[rows], target[rows], vectors[test], target[test]
    looked_at = round(3 * X.shape[1] ** 0.5)
    forest = RandomForestRegressor(100, max_features=looked_at, random_state=seed)
    fitted = {}
    for name, regressor in ({"forest": forest} if regressors == "forest" else READOUTS).items():
        if "random_state" in regressor.get_params():
            regressor = regressor.set_params(random_state=seed)
        fitted[name] = CrossConformalRegressor(regressor, random_state=seed).fit(X, y)

    def conformal(name: str) -> tuple[float, float, float]:
        return scores(truth, fitted[name].predict(new), *fitted[name].predict_interval(new, COVERAGE).T)

    def alone(name: str) -> tuple[float, float, float]:
        mean, std = mean_and_doubt(fitted[name].regressor_, new)
        return scores(truth, mean, mean - repeats.Z * std, mean + repeats.Z * std)

    if regressors == "forest":
        found = [conformal("forest"), alone("forest")]
    else:
        chosen = min(fitted, key=lambda name: np.abs(fitted[name].held_out_ - y).mean())
        found = [conformal(chosen), conformal("gaussian"), alone("gaussian")]
    return {"methods": dict(zip(METHODS[regressors], found, strict=True))}


def scores(truth: np.ndarray, mean: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[float, float, float]:
    """Share of true values inside, mean width, mean absolute error."""
    held = (truth >= lower) & (truth <= upper)
    return float(held.mean()), float((upper - lower).mean()), float(np.abs(truth - mean).mean())


if __name__ == "__main__":
    main()
