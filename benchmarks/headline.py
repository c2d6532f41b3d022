"""Print the table at the top of the README: how many labels the vectors save, and errors with 100 labels.

    python benchmarks/headline.py [--study benchmarks/results] [--rivals benchmarks/rivals]

Both folders hold records of ``skdim benchmark``; the second is that of the potentials. In every column the regressor is
the one with the lowest cross-validated error on the given labels, ridge or Laplacian kernel ridge.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skdim.evaluation import ErrorRatio, choose_regressor, compare
from skdim.evaluation._records import BEST, markdown_table
from skdim.study.recording import read_recording

if TYPE_CHECKING:
    import pandas as pd

_HERE = Path(__file__).parent
LABELS = 100
_REGRESSORS = ("ridge", "kernel_ridge")


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
    parser.add_argument("--rivals", type=Path, default=_HERE / "rivals")
    options = parser.parse_args(arguments)
    study, rivals = read_recording(options.study), read_recording(options.rivals)
    lines = [["property", "skdim", "Magpie", "labels Magpie needs", "SevenNet-0"]]
    for task in study.tasks:
        error = mean_errors(study.records, task, "default")[LABELS]
        magpie = mean_errors(study.records, task, "magpie")
        sevennet = mean_errors(rivals.records, task, "sevennet")[LABELS]
        name = f"{task} ({study.unit(task)})"
        lines.append([name, f"{error:.3f}", f"{magpie[LABELS]:.3f}", labels_needed(magpie, error), f"{sevennet:.3f}"])
    print(markdown_table(lines))
    for baseline in ("magpie", "sevennet", "default untrained"):
        print(f"\ndefault / {baseline}, 50 to 250 labels: {_ratio(rivals.records, baseline)}")
        for task in study.tasks:
            print(f"  {task}: {_ratio(rivals.records[rivals.records['task'] == task], baseline)}")


def _ratio(records: pd.DataFrame, baseline: str) -> ErrorRatio:
    """Errors of the default divided by those of a baseline, each with its best regressor."""
    return compare(records, "default", baseline, regressor=BEST, regressors=_REGRESSORS)


if __name__ == "__main__":
    main()
