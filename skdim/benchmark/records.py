"""Records of a benchmark in; their means, best heads and paired ratios out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

BEST = "best"
_CELL = ["task", "features", "head", "labels"]


def best_head(records: pd.DataFrame) -> pd.DataFrame:
    """Take, for each feature set and draw, the head with the lowest cross-validated error on the given labels.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`; every ``cv_mae`` known.

    Returns
    -------
    DataFrame
        One row for each task, features, labels and draw; ``head`` is "best", the choice is in ``chosen``.

    Raises
    ------
    ValueError
        If a ``cv_mae`` is NaN.
    """
    unknown = sorted(set(records.loc[records["cv_mae"].isna(), "head"]))
    if unknown:
        raise ValueError(f"cv_mae of heads {unknown} is NaN: measure them with cv=5 in label_efficiency.")
    best = records.groupby(["task", "features", "labels", "draw"], sort=False)["cv_mae"].idxmin()
    chosen = records.loc[best]
    return chosen.assign(chosen=chosen["head"], head=BEST).reset_index(drop=True)


def summarise(records: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """Mean over the draws, with its standard error.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency` or `best_head`.
    metric : str, default="mae"
        Column to average.

    Returns
    -------
    DataFrame
        One row for each ``task``, ``features``, ``head`` and ``labels``, with ``draws``, ``mean`` and
        ``standard_error`` (NaN for a single draw).
    """
    _check_metric(records, metric)
    table = records.groupby(_CELL, sort=False)[metric].agg(draws="count", mean="mean", standard_error="sem")
    return table.reset_index()


def format_table(records: pd.DataFrame, metric: str = "mae", digits: int = 3) -> str:
    """Write means and their standard errors as a table, a column for each number of labels.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency` or `best_head`.
    metric : str, default="mae"
        Column to average.
    digits : int, default=3
        After the decimal point.

    Returns
    -------
    str
        In Markdown.
    """
    summary = summarise(records, metric)
    names = [name for name in ("task", "features", "head") if name != "task" or summary["task"].nunique() > 1]
    counts = sorted(summary["labels"].unique())
    lines = [[*names, *(f"{count} labels" for count in counts)]]
    for key, rows in summary.groupby(names, sort=False):
        cells = {
            count: _cell(mean, error, digits)
            for count, mean, error in zip(rows["labels"], rows["mean"], rows["standard_error"], strict=True)
        }
        lines.append([*map(str, key), *(cells.get(count, "") for count in counts)])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [lines[0], rule, *lines[1:]]
    )


def _cell(mean: float, error: float, digits: int) -> str:
    """Write a mean with its standard error."""
    return f"{mean:.{digits}f}" if np.isnan(error) else f"{mean:.{digits}f} ± {error:.{digits}f}"


@dataclass(frozen=True)
class Ratio:
    """How the errors of two feature sets compare.

    Attributes
    ----------
    ratio : float
        Geometric mean over the cells (task and number of labels) of the ratio of mean errors; below one if the first
        is better.
    low, high : float
        Interval of 95% from resampling draws, the same ones for both.
    cells : dict
        Ratio of each (task, labels).
    """

    ratio: float
    low: float
    high: float
    cells: dict[tuple[str, int], float]

    def __str__(self) -> str:
        """Write the ratio with its interval."""
        return f"{self.ratio:.3f} (95%: {self.low:.3f} to {self.high:.3f})"


def compare(
    records: pd.DataFrame,
    features: str,
    baseline: str,
    *,
    head: str = BEST,
    baseline_head: str | None = None,
    metric: str = "mae",
    n_resamples: int = 2000,
    random_state: Any = 0,
) -> Ratio:
    """Compare the errors of two feature sets, draw by draw.

    The interval is that of the label draws: it says nothing of other test folds or other pretrainings.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`, possibly of several tasks one below the other.
    features, baseline : str
        Names of the feature sets.
    head, baseline_head : str
        Their heads; "best" takes what `best_head` does. The baseline's is by default the same.
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
        If a feature set or head is not in the records, or the two were not measured on the same draws.

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

    theirs = _errors(records, baseline, head if baseline_head is None else baseline_head, metric)
    ours = _errors(records, features, head, metric)
    if ours.keys() != theirs.keys():
        raise ValueError(f"features={features!r} and baseline={baseline!r} were not measured on the same draws.")
    rng, resampled = check_random_state(random_state), np.zeros(n_resamples)
    cells: dict[tuple[str, int], float] = {}
    for cell in dict.fromkeys(key[:2] for key in ours):
        pairs = np.array([(ours[key], theirs[key]) for key in ours if key[:2] == cell])  # (draws, 2)
        a, b = pairs.mean(0)
        cells[cell] = float(a / b)
        again = pairs[rng.randint(len(pairs), size=(n_resamples, len(pairs)))].mean(1)  # (n_resamples, 2)
        resampled += np.log(again[:, 0] / again[:, 1])
    low, high = np.exp(np.percentile(resampled / len(cells), [2.5, 97.5]))
    return Ratio(float(np.exp(np.mean(np.log(list(cells.values()))))), float(low), float(high), cells)


def _errors(records: pd.DataFrame, features: str, head: str, metric: str) -> dict[tuple[str, int, int], float]:
    """Errors of one feature set with one head, by task, labels and draw."""
    _check_metric(records, metric)
    own = records[records["features"] == features]
    if own.empty:
        raise ValueError(f"features={features!r} is not in the records; there are {sorted(set(records['features']))}.")
    own = best_head(own) if head == BEST else own[own["head"] == head]
    if own.empty:
        raise ValueError(f"head={head!r} is not in the records; there are {sorted(set(records['head']))} and 'best'.")
    return {
        (str(task), int(labels), int(draw)): float(error)
        for task, labels, draw, error in zip(own["task"], own["labels"], own["draw"], own[metric], strict=True)
    }


def _check_metric(records: pd.DataFrame, metric: str) -> None:
    """Refuse columns that are not there."""
    if metric not in records:
        raise ValueError(f"metric={metric!r} is no column of the records; there are {list(records.columns)}.")
