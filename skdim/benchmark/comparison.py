"""Records of a benchmark and names of two feature sets in; the ratio of their errors, draw by draw, out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.benchmark.records import BEST, best_head, check_metric, of_features

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ratio:
    """How the errors of two feature sets compare.

    Attributes
    ----------
    ratio : float
        Geometric mean over the cells (task and number of labels) of the ratio of mean errors; below one if the first
        is better.
    low, high : float
        Interval of 95% from resampling draws, the same ones for both; NaN where a cell has a single draw.
    cells : dict
        Ratio of each (task, labels).
    """

    ratio: float
    low: float
    high: float
    cells: dict[tuple[str, int], float]

    def __str__(self) -> str:
        """Write the ratio with its interval, where there is one."""
        if math.isnan(self.low):
            return f"{self.ratio:.3f}"
        return f"{self.ratio:.3f} (95%: {self.low:.3f} to {self.high:.3f})"


def compare(
    records: pd.DataFrame,
    features: str,
    baseline: str,
    *,
    head: str = BEST,
    baseline_head: str | None = None,
    heads: Sequence[str] | None = None,
    metric: str = "mae",
    n_resamples: int = 2000,
    random_state: Any = 0,
) -> Ratio:
    """Compare the errors of two feature sets, draw by draw.

    The interval is that of the label draws: it says nothing of other test folds or other pretrainings. It takes draws
    for independent; see `paired_tests` for a test that allows for their overlap.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`, possibly of several tasks one below the other.
    features, baseline : str
        Names of the feature sets.
    head, baseline_head : str
        Their heads; "best" takes what `best_head` does. The baseline's is by default the same.
    heads : sequence of str, optional
        What "best" chooses from, as in `best_head`; by default all heads.
    metric : str, default="mae"
        Error to compare.
    n_resamples : int, default=2000
        Bootstrap samples.
    random_state : int, RandomState instance or None, default=0
        Of the bootstrap.

    Returns
    -------
    Ratio

    Raises
    ------
    ValueError
        If a feature set or head is not in the records, a draw is there more than once, or the two were not measured on
        the same draws.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("", f, "ridge", 50, d, mae) for f, maes in {"a": (1.0, 2.0), "b": (2.0, 4.0)}.items()
    ...         for d, mae in enumerate(maes)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "head", "labels", "draw", "mae"])
    >>> print(compare(records, "a", "b", head="ridge"))
    0.500 (95%: 0.500 to 0.500)
    """
    from sklearn.utils import check_random_state

    paired = paired_errors(
        records, features, baseline, head=head, baseline_head=baseline_head, heads=heads, metric=metric
    )
    rng, resampled = check_random_state(random_state), np.zeros(n_resamples)
    cells: dict[tuple[str, int], float] = {}
    for cell, pairs in paired.items():
        a, b = pairs.mean(0)
        cells[cell] = float(a / b)
        again = pairs[rng.randint(len(pairs), size=(n_resamples, len(pairs)))].mean(1)  # (n_resamples, 2)
        resampled += np.log(again[:, 0] / again[:, 1])
    low, high = np.exp(np.percentile(resampled / len(cells), [2.5, 97.5]))
    if min(map(len, paired.values())) < 2:  # which resampling finds no spread in
        low = high = math.nan
    return Ratio(float(np.exp(np.mean(np.log(list(cells.values()))))), float(low), float(high), cells)


def paired_errors(
    records: pd.DataFrame,
    features: str,
    baseline: str,
    *,
    head: str = BEST,
    baseline_head: str | None = None,
    heads: Sequence[str] | None = None,
    metric: str = "mae",
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Put the errors of two feature sets side by side.

    Parameters
    ----------
    records, features, baseline, head, baseline_head, heads, metric
        As in `compare`.

    Returns
    -------
    dict of (task, labels) to ndarray of shape (draws, 2)
        Errors of the features and of the baseline, on the same draws.

    Raises
    ------
    ValueError
        As in `compare`.
    """
    ours = _errors(records, features, head, heads, metric)
    theirs = _errors(records, baseline, head if baseline_head is None else baseline_head, heads, metric)
    if ours.keys() != theirs.keys():
        raise ValueError(f"features={features!r} and baseline={baseline!r} were not measured on the same draws.")
    cells = dict.fromkeys(key[:2] for key in ours)
    return {cell: np.array([(ours[key], theirs[key]) for key in ours if key[:2] == cell]) for cell in cells}


def _errors(
    records: pd.DataFrame, features: str, head: str, heads: Sequence[str] | None, metric: str
) -> dict[tuple[str, int, int], float]:
    """Errors of one feature set with one head, by task, labels and draw."""
    check_metric(records, metric)
    own = of_features(records, features)
    own = best_head(own, heads) if head == BEST else own[own["head"] == head]
    if own.empty:
        raise ValueError(f"head={head!r} is not in the records; there are {sorted(set(records['head']))} and 'best'.")
    twice = own.duplicated(["task", "labels", "draw"])
    if twice.any():
        task, labels, draw = own.loc[twice, ["task", "labels", "draw"]].iloc[0]
        raise ValueError(
            f"features={features!r} has draw {draw} of {labels} labels for task {task!r} more than once; give each "
            "task a name of its own, with task= in label_efficiency."
        )
    return {
        (str(task), int(labels), int(draw)): float(error)
        for task, labels, draw, error in zip(own["task"], own["labels"], own["draw"], own[metric], strict=True)
    }
