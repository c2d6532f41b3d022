"""Records of a study in, tables of text out; tables in, Markdown, HTML and reStructuredText out."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skdim.benchmark.comparison import Ratio, compare
from skdim.benchmark.records import BEST, NO_FEATURES, best_head, format_cell, summarise
from skdim.benchmark.significance import LEVEL, paired_tests

if TYPE_CHECKING:
    import pandas as pd

    from skdim.benchmark.recording import Recording


@dataclass(frozen=True)
class Table:
    """Cells of text.

    Attributes
    ----------
    header : tuple of str
        Names of the columns.
    rows : tuple of tuple of str
        Cells; a line break within one is kept in HTML and is a comma elsewhere.
    bold : frozenset of (int, int)
        Row and column of cells that stand out.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()

    def _marked(self, mark: str) -> list[list[str]]:
        """Cells in one line each, with a mark around those that stand out."""
        lines = [[cell.replace("\n", ", ") for cell in row] for row in self.rows]
        for row, column in self.bold:
            lines[row][column] = f"{mark}{lines[row][column]}{mark}"
        return lines

    def markdown(self) -> str:
        """Write as a table of Markdown."""
        lines = [list(self.header), *self._marked("**")]
        lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.header))]
        lines.insert(1, ["-" * width for width in widths])
        return "\n".join(
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        )

    def html(self) -> str:
        """Write as a table of HTML, which can be scrolled sideways where the screen is narrow."""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        body = []
        for r, row in enumerate(self.rows):
            cells = [html.escape(cell).replace("\n", "<br>") for cell in row]
            cells = [f"<strong>{cell}</strong>" if (r, c) in self.bold else cell for c, cell in enumerate(cells)]
            first, *others = cells
            body.append(f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>")
        rows = "\n".join(body)
        return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'

    def rst(self) -> str:
        """Write as a list-table of reStructuredText."""
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
        for row in [list(self.header), *self._marked("**")]:
            lines += [f"   {'  -' if c else '* -'} {cell}".rstrip() for c, cell in enumerate(row)]
        return "\n".join(lines)


def with_best(recording: Recording, task: str) -> pd.DataFrame:
    """Give the records of a task, with those of the best head below.

    Parameters
    ----------
    recording : Recording
        Of the study.
    task : str
        One of its tasks.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    own = recording.records[recording.records["task"] == task]
    sighted = own[(own["features"] != NO_FEATURES) & own["head"].isin(recording.heads)]
    return pd.concat([own, best_head(sighted)], ignore_index=True) if len(sighted) else own


def error_table(recording: Recording, task: str, heads: Sequence[str] | None = None, digits: int = 3) -> Table:
    """Put means and standard errors side by side, a column for each number of labels; the lowest of each is bold.

    Parameters
    ----------
    recording : Recording
        Of the study.
    task : str
        One of its tasks.
    heads : sequence of str, optional
        Heads to show, "best" among them where it is wanted; by default all.
    digits : int, default=3
        After the decimal point.

    Returns
    -------
    Table
        Rows ordered by head, then as the feature sets are in the records.
    """
    summary = summarise(with_best(recording, task))
    shown = list(dict.fromkeys([BEST, *summary["head"]])) if heads is None else list(heads)
    summary = summary[summary["head"].isin(shown)]
    order = {name: k for k, name in enumerate([*recording.features, NO_FEATURES])}
    pairs = sorted(
        set(zip(summary["head"], summary["features"], strict=True)), key=lambda p: (shown.index(p[0]), order[p[1]])
    )
    counts = recording.cells(task)
    keys = zip(summary["head"], summary["features"], summary["labels"], strict=True)
    means = dict(zip(keys, zip(summary["mean"], summary["standard_error"], strict=True), strict=True))
    rows, lowest = [], dict.fromkeys(range(len(counts)), (np.inf, 0))
    for r, (head, features) in enumerate(pairs):
        found = [means.get((head, features, count)) for count in counts]
        rows.append((features, readable(head), *("" if f is None else format_cell(*f, digits) for f in found)))
        for c, cell in enumerate(found):
            lowest[c] = lowest[c] if cell is None else min(lowest[c], (cell[0], r))
    bold = frozenset((r, c + 2) for c, (mean, r) in lowest.items() if np.isfinite(mean))
    return Table(("features", "head", *(f"{count} labels" for count in counts)), tuple(rows), bold)


def comparable_features(recording: Recording, baseline: str, head: str) -> list[str]:
    """Name the feature sets that were measured with a head on the same draws as the baseline.

    Parameters
    ----------
    recording : Recording
        Of the study.
    baseline : str
        A feature set.
    head : str
        A head, or "best".

    Returns
    -------
    list of str
        Without the baseline; empty if it has no such head.
    """
    own = recording.records
    own = own[own["head"].isin(recording.heads if head == BEST else [head])]
    draws = {
        str(name): set(zip(rows["task"], rows["labels"], rows["draw"], strict=True))
        for name, rows in own.groupby("features", sort=False)
    }
    return [name for name in draws if name != baseline and draws[name] == draws.get(baseline)]


def paired_table(recording: Recording, task: str, baseline: str, head: str) -> Table:
    """Compare each feature set with the baseline, number of labels by number of labels.

    Parameters
    ----------
    recording : Recording
        Of the study.
    task : str
        One of its tasks.
    baseline : str
        Feature set to compare with.
    head : str
        A head, or "best".

    Returns
    -------
    Table
        In a cell the ratio of errors with its 95% interval, the mean difference, and the p-value of `paired_tests`,
        adjusted for the cells of all tasks; bold where it is below 0.05.
    """
    counts, bold = recording.cells(task), set()
    rows: list[tuple[str, ...]] = []
    for features in comparable_features(recording, baseline, head):
        tests = paired_tests(
            recording.records,
            features,
            baseline,
            head=head,
            heads=recording.heads,
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


def ratio_table(recording: Recording, baseline: str, heads: Sequence[str]) -> Table:
    """Compare each feature set with the baseline over all cells.

    Parameters
    ----------
    recording : Recording
        Of the study.
    baseline : str
        Feature set to compare with.
    heads : sequence of str
        Heads, "best" among them where it is wanted.

    Returns
    -------
    Table
        Geometric means with 95% intervals of `compare`, and the highest cell.
    """
    found: dict[str, dict[str, Ratio]] = {}
    for head in heads:
        for name in comparable_features(recording, baseline, head):
            ratio = compare(recording.records, name, baseline, head=head, heads=recording.heads)
            found.setdefault(name, {})[head] = ratio
    header = ["features"]
    for head in heads:
        header += [f"{readable(head)}: ratio (95%)", f"{readable(head)}: highest cell"]
    rows = [
        (name, *(cell for head in heads for cell in _ratio_cells(ratios.get(head)))) for name, ratios in found.items()
    ]
    return Table(tuple(header), tuple(rows))


def _ratio_cells(ratio: Ratio | None) -> tuple[str, str]:
    """Write a ratio with its interval, and its highest cell."""
    if ratio is None:
        return "", ""
    return f"{ratio.ratio:.3f} ({ratio.low:.3f} to {ratio.high:.3f})", highest_cell(ratio)


def highest_cell(ratio: Ratio) -> str:
    """Write the highest ratio of all cells, and which it is.

    Parameters
    ----------
    ratio : Ratio
        Of `compare`.

    Returns
    -------
    str
    """
    (task, labels), value = max(ratio.cells.items(), key=lambda cell: cell[1])
    return f"{value:.3f} ({task}, {labels})"


def readable(head: str) -> str:
    """Write the name of a head in words.

    Parameters
    ----------
    head : str
        As in the records.

    Returns
    -------
    str
    """
    return "best head" if head == BEST else head.replace("_", " ")


def listed(values: Iterable[object]) -> str:
    """Write values as an enumeration.

    Parameters
    ----------
    values : iterable
        At least one.

    Returns
    -------
    str
    """
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
