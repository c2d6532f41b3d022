"""Cells and names in; tables in Markdown, HTML and reStructuredText, and words, out."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

from skdim.benchmark.records import BEST


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
