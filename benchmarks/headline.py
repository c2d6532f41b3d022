"""Print the table at the top of the README: how many labels the vectors save, and errors with 100 labels.

    python benchmarks/headline.py [--study benchmarks/results] [--shipped benchmarks/shipped]

The first folder holds the records of ``skdim benchmark``, the second those of ``benchmarks/shipped.py``. In every
column the regressor is the one with the lowest cross-validated error on the given labels, ridge or Laplacian kernel
ridge.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from skdim.evaluation import ErrorRatio, choose_regressor, compare
from skdim.evaluation._records import BEST, markdown_table
from skdim.study.recording import read_recording

_HERE = Path(__file__).parent
LABELS = 100
_FEW = (50, 100, 250)
_REGRESSORS = ("ridge", "kernel_ridge")
_SHOWN = {"log10 K": "bulk modulus (log10 GPa)"}  # tasks whose names would say little here


def mean_errors(records: pd.DataFrame, task: str, features: str) -> pd.Series:
    """Return the mean absolute error over the repeats by number of labels, of the best regressor."""
    own = records[(records["task"] == task) & (records["features"] == features)]
    chosen = choose_regressor(own, _REGRESSORS)
    return chosen.groupby("labels")["mae"].mean()


def labels_needed(errors: pd.Series, target: float) -> str:
    """Return where a learning curve reaches an error, between its points by a power law.

    Examples
    --------
    >>> import pandas as pd
    >>> labels_needed(pd.Series({50: 0.4, 200: 0.2}), 0.4 / 2**0.5)
    '100'
    >>> labels_needed(pd.Series({50: 0.4, 200: 0.3}), 0.2)
    'more than 200'
    """
    for (fewer, high), (more, low) in zip(list(errors.items())[:-1], list(errors.items())[1:], strict=True):
        if low <= target <= high:
            share = np.log(high / target) / np.log(high / low)
            return f"{round(float(np.exp(np.log(fewer) + share * np.log(more / fewer))), -1):.0f}"
    return f"more than {errors.index[-1]}" if target < errors.iloc[-1] else f"fewer than {errors.index[0]}"


def main(arguments: list[str] | None = None) -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description="Print the table at the top of the README.")
    parser.add_argument("--study", type=Path, default=_HERE / "results")
    parser.add_argument("--shipped", type=Path, default=_HERE / "shipped")
    options = parser.parse_args(arguments)
    study, shipped = read_recording(options.study), pd.read_parquet(options.shipped / "results.parquet")
    lines = [["property", "skdim", "structures alone", "Magpie", "labels Magpie needs", "SevenNet-0"]]
    for task in study.tasks:
        names = ("materials_project_labels", "materials_project_held_out", "magpie", "sevennet")
        labelled, alone, magpie, sevennet = (f"{mean_errors(shipped, task, name)[LABELS]:.3f}" for name in names)
        needed = labels_needed(mean_errors(study.records, task, "magpie"), float(labelled))
        shown = _SHOWN.get(task, f"{task} ({study.unit(task)})")
        lines.append([shown, labelled, alone, magpie, needed, sevennet])
    print(markdown_table(lines))
    bundled = shipped[shipped["task"].isin(study.tasks) & shipped["labels"].isin(_FEW)]
    for features in ("materials_project_labels", "materials_project_held_out"):
        for baseline in ("magpie", "sevennet"):
            print(f"\n{features} / {baseline}, 50 to 250 labels: {_ratio(bundled, features, baseline)}")
            for task in study.tasks:
                print(f"  {task}: {_ratio(bundled[bundled['task'] == task], features, baseline)}")


def _ratio(records: pd.DataFrame, features: str, baseline: str) -> ErrorRatio:
    """Errors of vectors divided by those of a baseline, each with its best regressor."""
    return compare(records, features, baseline, regressor=BEST, regressors=_REGRESSORS)


if __name__ == "__main__":
    main()
