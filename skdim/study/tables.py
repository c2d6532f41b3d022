"""Tables of a study: means, ratios, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from skdim.evaluation import ErrorRatio, choose_regressor, compare, paired_tests, summarise
from skdim.evaluation._records import BEST, NO_FEATURES, format_cell
from skdim.evaluation._significance import LEVEL
from skdim.study.blocks import Table, readable

if TYPE_CHECKING:
    import pandas as pd

    from skdim.study.recording import Recording


def with_best(recording: Recording, task: str) -> pd.DataFrame:
    """Return the records of a task, followed by those of the best regressor."""
    import pandas as pd

    own = recording.records[recording.records["task"] == task]
    sighted = own[(own["features"] != NO_FEATURES) & own["regressor"].isin(recording.regressors)]
    return pd.concat([own, choose_regressor(sighted)], ignore_index=True) if len(sighted) else own


def error_table(
    recording: Recording,
    task: str,
    regressors: Sequence[str] | None = None,  # what to show, "best" where it is wanted; by default all
    digits: int = 3,  # after the decimal point
) -> Table:
    """Put means and standard errors side by side, a column for each number of labels; the lowest of each is bold.

    Rows are ordered by regressor, then as the feature sets are in the records.
    """
    summary = summarise(with_best(recording, task))
    shown = list(dict.fromkeys([BEST, *summary["regressor"]])) if regressors is None else list(regressors)
    summary = summary[summary["regressor"].isin(shown)]
    order = {name: k for k, name in enumerate([*recording.features, NO_FEATURES])}
    pairs = sorted(
        set(zip(summary["regressor"], summary["features"], strict=True)), key=lambda p: (shown.index(p[0]), order[p[1]])
    )
    counts = recording.label_counts(task)
    keys = zip(summary["regressor"], summary["features"], summary["labels"], strict=True)
    means = dict(zip(keys, zip(summary["mean"], summary["standard_error"], strict=True), strict=True))
    rows, lowest = [], dict.fromkeys(range(len(counts)), (np.inf, 0))
    for r, (regressor, name) in enumerate(pairs):
        found = [means.get((regressor, name, count)) for count in counts]
        rows.append((name, readable(regressor), *("" if f is None else format_cell(*f, digits) for f in found)))
        for c, cell in enumerate(found):
            lowest[c] = lowest[c] if cell is None else min(lowest[c], (cell[0], r))
    bold = frozenset((r, c + 2) for c, (mean, r) in lowest.items() if np.isfinite(mean))
    return Table(("features", "regressor", *(f"{count} labels" for count in counts)), tuple(rows), bold)


def comparable_features(recording: Recording, baseline: str, regressor: str) -> list[str]:
    """Name the other feature sets that were measured with a regressor (or "best") in the repeats of the baseline."""
    own = recording.records
    own = own[own["regressor"].isin(recording.regressors if regressor == BEST else [regressor])]
    repeats = {
        str(name): set(zip(rows["task"], rows["labels"], rows["repeat"], strict=True))
        for name, rows in own.groupby("features", sort=False)
    }
    return [name for name in repeats if name != baseline and repeats[name] == repeats.get(baseline)]


def paired_table(recording: Recording, task: str, baseline: str, regressor: str) -> Table:
    """Compare each feature set with the baseline, number of labels by number of labels.

    A cell holds the ratio of errors with its 95% interval, the mean difference, and the p-value of `paired_tests`,
    adjusted for the cells of all tasks; it is bold where that is below 0.05.
    """
    counts, bold = recording.label_counts(task), set()
    rows: list[tuple[str, ...]] = []
    for features in comparable_features(recording, baseline, regressor):
        tests = paired_tests(
            recording.records,
            features,
            baseline,
            regressor=regressor,
            regressors=recording.regressors,
            pool_sizes=recording.pool_sizes,
        )
        cells = {int(row["labels"]): row for _, row in tests[tests["task"] == task].iterrows()}
        bold |= {(len(rows), c + 1) for c, n in enumerate(counts) if n in cells and cells[n]["p_holm"] < LEVEL}
        rows.append((features, *(_paired_cell(cells[n]) if n in cells else "" for n in counts)))
    return Table(("features", *(f"{count} labels" for count in counts)), tuple(rows), frozenset(bold))


def _paired_cell(row: pd.Series[float]) -> str:
    """Write one comparison in three lines."""
    p = row["p_holm"]
    chance = "p not known" if np.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    interval = "" if np.isnan(row["low"]) else f" ({row['low']:.3f} to {row['high']:.3f})"
    return f"{row['ratio']:.3f}{interval}\n{row['difference']:+.3f}\n{chance}"


def ratio_table(recording: Recording, baseline: str, regressors: Sequence[str]) -> Table:
    """Compare each feature set with the baseline over all cells: the ratios of `compare`, and the highest cell."""
    found: dict[str, dict[str, ErrorRatio]] = {}
    for one in regressors:
        for name in comparable_features(recording, baseline, one):
            ratio = compare(recording.records, name, baseline, regressor=one, regressors=recording.regressors)
            found.setdefault(name, {})[one] = ratio
    header = ["features"]
    for one in regressors:
        header += [f"{readable(one)}: ratio (95%)", f"{readable(one)}: highest cell"]
    rows = [
        (name, *(cell for one in regressors for cell in _ratio_cells(ratios.get(one))))
        for name, ratios in found.items()
    ]
    return Table(tuple(header), tuple(rows))


def _ratio_cells(ratio: ErrorRatio | None) -> tuple[str, str]:
    """Write a ratio with its interval, and its highest cell."""
    if ratio is None:
        return "", ""
    interval = "" if np.isnan(ratio.low) else f" ({ratio.low:.3f} to {ratio.high:.3f})"
    return f"{ratio.ratio:.3f}{interval}", highest_cell(ratio)


def highest_cell(ratio: ErrorRatio) -> str:
    """Write the highest ratio of all cells, and which it is."""
    (task, labels), value = max(ratio.cells.items(), key=lambda cell: cell[1])
    return f"{value:.3f} ({task}, {labels})"
