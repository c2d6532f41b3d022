"""Records of a benchmark in; their best heads, means and tables out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

BEST = "best"
COLUMNS = ("task", "features", "head", "labels", "draw", "cv_mae", "mae", "rmse", "r2", "seconds")
NO_FEATURES = "none"  # of heads that ignore them
_CELL = ["task", "features", "head", "labels"]


def best_head(records: pd.DataFrame, heads: Sequence[str] | None = None) -> pd.DataFrame:
    """Take, for each feature set and draw, the head with the lowest cross-validated error on the given labels.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`; every ``cv_mae`` of the heads to choose from known.
    heads : sequence of str, optional
        Heads to choose from, such as `comparable_heads` gives; by default all in the records. Rows of earlier choices,
        whose head is "best", always take part.

    Returns
    -------
    DataFrame
        One row for each task, features, labels and draw; ``head`` is "best", the choice is in ``chosen``.

    Raises
    ------
    ValueError
        If a ``cv_mae`` is NaN, or one of `heads` is not in the records.
    """
    if heads is not None:
        records = _of_heads(records, heads)
    unknown = sorted(set(records.loc[records["cv_mae"].isna(), "head"]))
    if unknown:
        raise ValueError(
            f"cv_mae of heads {unknown} is NaN: measure them with cv=5 in label_efficiency, or name in heads= those to "
            "choose from; comparable_heads(records) gives the ones that can be."
        )
    # Tables of several tasks, one below the other, may number their rows alike.
    records = records.reset_index(drop=True)
    best = records.groupby(["task", "features", "labels", "draw"], sort=False)["cv_mae"].idxmin()
    chosen = records.loc[best]
    return chosen.assign(chosen=_choices(chosen), head=BEST).reset_index(drop=True)


def _of_heads(records: pd.DataFrame, heads: Sequence[str]) -> pd.DataFrame:
    """Rows of some heads, and those that were chosen before."""
    if isinstance(heads, str):
        raise TypeError(f"heads={heads!r} is a single name; put it in a list: [{heads!r}].")
    known = set(records["head"])
    strange = [head for head in heads if head not in known]
    if BEST not in known and (strange or not len(heads)):
        raise ValueError(f"heads={list(heads)}: {strange} are not in the records; there are {sorted(known)}.")
    return records[records["head"].isin([*heads, BEST])]


def _choices(chosen: pd.DataFrame) -> pd.Series[str]:
    """Names of the heads that were chosen; of an earlier choice, what it chose."""
    heads = chosen["head"]
    return heads if "chosen" not in chosen else chosen["chosen"].where(heads == BEST, heads)


def best_of(
    records: pd.DataFrame, names: Sequence[str], *, name: str | None = None, heads: Sequence[str] | None = None
) -> pd.DataFrame:
    """Take, for each draw, the feature set and head with the lowest cross-validated error on the given labels.

    It is what someone reports who tries several feature sets with several heads and keeps the best pair, without
    looking at the test fold. Put below the records it serves as one more feature set:
    ``compare(pd.concat([records, best_of(records, ["magpie", "ofm"], name="rivals")]), "default", "rivals")``.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`.
    names : sequence of str
        The feature sets to choose from.
    name : str, optional
        Name of the choice in the column ``features``; by default "best of " and the names.
    heads : sequence of str, optional
        As in `best_head`.

    Returns
    -------
    DataFrame
        One row for each task, labels and draw; ``features`` is `name`, ``head`` is "best", the choice is in
        ``chosen`` as "features, head".

    Raises
    ------
    ValueError
        If a feature set is not in the records, was not measured on every draw of the others, or has a ``cv_mae`` that
        is NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("", f, "ridge", 50, d, cv, 1.0) for f, cvs in {"a": (1, 4), "b": (2, 3)}.items()
    ...         for d, cv in enumerate(cvs)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "head", "labels", "draw", "cv_mae", "mae"])
    >>> list(best_of(records, ["a", "b"])["chosen"])
    ['a, ridge', 'b, ridge']
    """
    if isinstance(names, str) or not len(names):
        raise ValueError(f"names={names!r}; accepted is a list of feature sets: {sorted(set(records['features']))}.")
    each = [best_head(of_features(records, feature_set), heads) for feature_set in names]
    draws = [set(zip(own["task"], own["labels"], own["draw"], strict=True)) for own in each]
    fewer = [feature_set for feature_set, own in zip(names, draws, strict=True) if own != set.union(*draws)]
    if fewer:
        raise ValueError(f"names={list(names)}: {fewer} were not measured on all the draws of the others.")
    import pandas as pd

    pooled = pd.concat(each, ignore_index=True)
    pooled["chosen"] = pooled["features"] + ", " + pooled["chosen"]
    return best_head(pooled.assign(features="best of " + ", ".join(names) if name is None else name))


def of_features(records: pd.DataFrame, features: str) -> pd.DataFrame:
    """Rows of one feature set."""
    own = records[records["features"] == features]
    if own.empty:
        raise ValueError(f"features={features!r} is not in the records; there are {sorted(set(records['features']))}.")
    return own


def comparable_heads(records: pd.DataFrame) -> list[str]:
    """Name the heads from which `best_head` may choose for every feature set alike.

    Left out are heads that ignore the features, those whose ``cv_mae`` is not known (as of a fine-tuned network), and
    those that were not measured with every feature set on every draw: a choice from more heads here than there would
    not compare feature sets.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`.

    Returns
    -------
    list of str
        In the order of the records.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("a", "ridge", 0.1), ("a", "mlp", 0.1), ("b", "ridge", 0.2), ("b", "fine_tuned", float("nan"))]
    >>> records = pd.DataFrame(rows, columns=["features", "head", "cv_mae"]).assign(task="", labels=50, draw=0)
    >>> comparable_heads(records)
    ['ridge']
    """
    sighted = records[(records["features"] != NO_FEATURES) & (records["head"] != BEST)]
    known = sighted[sighted["cv_mae"].notna() & ~sighted["head"].isin(sighted.loc[sighted["cv_mae"].isna(), "head"])]
    whole = len(known[["task", "features", "labels", "draw"]].drop_duplicates())
    return [str(head) for head, rows in known.groupby("head", sort=False) if len(rows) == whole]


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
    check_metric(records, metric)
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
            count: format_cell(mean, error, digits)
            for count, mean, error in zip(rows["labels"], rows["mean"], rows["standard_error"], strict=True)
        }
        lines.append([*map(str, key), *(cells.get(count, "") for count in counts)])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [lines[0], rule, *lines[1:]]
    )


def format_cell(mean: float, error: float, digits: int) -> str:
    """Write a mean with its standard error.

    Parameters
    ----------
    mean, error : float
        The error is left out where it is NaN.
    digits : int
        After the decimal point.

    Returns
    -------
    str
    """
    return f"{mean:.{digits}f}" if np.isnan(error) else f"{mean:.{digits}f} ± {error:.{digits}f}"


def check_metric(records: pd.DataFrame, metric: str) -> None:
    """Refuse columns that are not there."""
    if metric not in records:
        raise ValueError(f"metric={metric!r} is no column of the records; there are {list(records.columns)}.")
