"""Records of `label_efficiency`: the choice inside the labels, means, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

BEST = "best"
COLUMNS = ("task", "features", "regressor", "labels", "repeat", "cv_mae", "mae", "rmse", "r2", "seconds")
NO_FEATURES = "none"  # of regressors that ignore them
_CELL = ["task", "features", "regressor", "labels"]


def choose_regressor(records: pd.DataFrame, regressors: Sequence[str] | None = None) -> pd.DataFrame:
    """Take, for each feature set and repeat, the regressor with the lowest cross-validated error on the given labels.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`, with a ``cv_mae`` for every regressor to choose from.
    regressors : sequence of str, optional
        Regressors to choose from, such as `comparable_regressors` gives; by default all in the records. Rows of earlier
        choices, whose regressor is "best", always take part.

    Returns
    -------
    DataFrame
        One row for each task, features, labels and repeat; ``regressor`` is "best", the choice is in ``chosen``.

    Raises
    ------
    ValueError
        If a ``cv_mae`` is NaN, or one of `regressors` is not in the records.
    """
    if regressors is not None:
        records = _of_regressors(records, regressors)
    unknown = sorted(set(records.loc[records["cv_mae"].isna(), "regressor"]))
    if unknown:
        raise ValueError(
            f"cv_mae of the regressors {unknown} is NaN: measure them with cv=5 in label_efficiency, or pass others as "
            "regressors=; comparable_regressors(records) names those that can be chosen."
        )
    # Concatenated tables may have the same index labels twice.
    records = records.reset_index(drop=True)
    best = records.groupby(["task", "features", "labels", "repeat"], sort=False)["cv_mae"].idxmin()
    chosen = records.loc[best]
    return chosen.assign(chosen=_choices(chosen), regressor=BEST).reset_index(drop=True)


def _of_regressors(records: pd.DataFrame, regressors: Sequence[str]) -> pd.DataFrame:
    """Rows of some regressors, and those that were chosen before."""
    if isinstance(regressors, str):
        raise TypeError(f"regressors must be a list of names, got {regressors!r}; write [{regressors!r}].")
    known = set(records["regressor"])
    strange = [name for name in regressors if name not in known]
    if BEST not in known and (strange or not len(regressors)):
        raise ValueError(f"regressors must be among {sorted(known)}, those of the records, got {list(regressors)}.")
    return records[records["regressor"].isin([*regressors, BEST])]


def _choices(chosen: pd.DataFrame) -> pd.Series[str]:
    """Names of the regressors that were chosen; of an earlier choice, what it chose."""
    names = chosen["regressor"]
    return names if "chosen" not in chosen else chosen["chosen"].where(names == BEST, names)


def choose_features(
    records: pd.DataFrame, names: Sequence[str], *, name: str | None = None, regressors: Sequence[str] | None = None
) -> pd.DataFrame:
    """Take, for each repeat, the feature set and regressor with the lowest cross-validated error on the given labels.

    This is the result of trying several feature sets with several regressors and keeping the best pair, without looking
    at the test fold. Appended to the records it is one more feature set:
    ``compare(pd.concat([records, choose_features(records, ["magpie", "ofm"], name="both")]), "default", "both")``.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency`.
    names : sequence of str
        The feature sets to choose from.
    name : str, optional
        Name of the choice in the column ``features``; by default "best of " and the names.
    regressors : sequence of str, optional
        As in `choose_regressor`.

    Returns
    -------
    DataFrame
        One row for each task, labels and repeat; ``features`` is `name`, ``regressor`` is "best", the choice is in
        ``chosen`` as "features, regressor".

    Raises
    ------
    ValueError
        If a feature set is not in the records, was not measured in every repeat of the others, or has a ``cv_mae`` that
        is NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("", f, "ridge", 50, d, cv, 1.0) for f, cvs in {"a": (1, 4), "b": (2, 3)}.items()
    ...         for d, cv in enumerate(cvs)]
    >>> records = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "cv_mae", "mae"])
    >>> list(choose_features(records, ["a", "b"])["chosen"])
    ['a, ridge', 'b, ridge']
    """
    if isinstance(names, str) or not len(names):
        raise ValueError(
            f"names must be a list of feature sets among {sorted(set(records['features']))}, got {names!r}."
        )
    each = [choose_regressor(of_features(records, feature_set), regressors) for feature_set in names]
    repeats = [set(zip(own["task"], own["labels"], own["repeat"], strict=True)) for own in each]
    fewer = [feature_set for feature_set, own in zip(names, repeats, strict=True) if own != set.union(*repeats)]
    if fewer:
        raise ValueError(f"names must have been measured in the same repeats, but {fewer} have fewer than the others.")
    import pandas as pd

    pooled = pd.concat(each, ignore_index=True)
    pooled["chosen"] = pooled["features"] + ", " + pooled["chosen"]
    return choose_regressor(pooled.assign(features="best of " + ", ".join(names) if name is None else name))


def of_features(records: pd.DataFrame, features: str) -> pd.DataFrame:
    """Rows of one feature set."""
    own = records[records["features"] == features]
    if own.empty:
        raise ValueError(f"features must be among {sorted(set(records['features']))}, got {features!r}.")
    return own


def comparable_regressors(records: pd.DataFrame) -> list[str]:
    """Name the regressors from which `choose_regressor` may choose for every feature set alike.

    Left out are regressors that ignore the features, those whose ``cv_mae`` is not known (as of a fine-tuned network),
    and those that were not measured with every feature set on every repeat: choosing from more regressors for one
    feature set than for another would not compare the feature sets.

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
    >>> records = pd.DataFrame(rows, columns=["features", "regressor", "cv_mae"]).assign(task="", labels=50, repeat=0)
    >>> comparable_regressors(records)
    ['ridge']
    """
    sighted = records[(records["features"] != NO_FEATURES) & (records["regressor"] != BEST)]
    unknown = sighted.loc[sighted["cv_mae"].isna(), "regressor"]
    known = sighted[~sighted["regressor"].isin(unknown)]
    whole = len(known[["task", "features", "labels", "repeat"]].drop_duplicates())
    return [str(name) for name, rows in known.groupby("regressor", sort=False) if len(rows) == whole]


def summarise(records: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """Mean over the repeats, with its standard error.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency` or `choose_regressor`.
    metric : str, default="mae"
        Column to average.

    Returns
    -------
    DataFrame
        One row for each ``task``, ``features``, ``regressor`` and ``labels``, with ``repeats``, ``mean`` and
        ``standard_error`` (NaN for a single repeat).
    """
    check_metric(records, metric)
    table = records.groupby(_CELL, sort=False)[metric].agg(repeats="count", mean="mean", standard_error="sem")
    return table.reset_index()


def format_table(records: pd.DataFrame, metric: str = "mae", digits: int = 3) -> str:
    """Write means and their standard errors as a table, a column for each number of labels.

    Parameters
    ----------
    records : DataFrame
        Of `label_efficiency` or `choose_regressor`.
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
    names = [name for name in ("task", "features", "regressor") if name != "task" or summary["task"].nunique() > 1]
    counts = sorted(summary["labels"].unique())
    lines = [[*names, *(f"{count} labels" for count in counts)]]
    for key, rows in summary.groupby(names, sort=False):
        cells = {
            count: format_cell(mean, error, digits)
            for count, mean, error in zip(rows["labels"], rows["mean"], rows["standard_error"], strict=True)
        }
        lines.append([*map(str, key), *(cells.get(count, "") for count in counts)])
    return markdown_table(lines)


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    r"""Write cells of text, the header first, as a table of Markdown with aligned columns.

    Examples
    --------
    >>> print(markdown_table([["features", "mae"], ["a|b", "1"]]))
    | features | mae |
    | -------- | --- |
    | a\|b     | 1   |
    """
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    )


def format_cell(mean: float, error: float, digits: int) -> str:
    """Write a mean with its standard error, which is left out where it is NaN."""
    return f"{mean:.{digits}f}" if np.isnan(error) else f"{mean:.{digits}f} ± {error:.{digits}f}"


def check_metric(records: pd.DataFrame, metric: str) -> None:
    """Refuse columns that are not there."""
    if metric not in records:
        raise ValueError(f"metric must be a column of the records, {list(records.columns)}, got {metric!r}.")
