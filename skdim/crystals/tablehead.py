"""What stands at the head of a table as text: what separates cells, remarks, titles, the names of the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["LOOKED_AT", "Head", "head_of", "header_row"]

LOOKED_AT = 20
"""Lines among which the names of the columns are."""
_MARKS = ",;\t"
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # which Excel writes for itself
_PLAIN = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*")


class Head(NamedTuple):
    """The first lines of a table."""

    mark: str
    """What stands between cells."""
    lines: list[str]
    """Those that are not for programs or readers only."""


def head_of(lines: Sequence[str]) -> Head:
    r"""Tell what stands between cells, and leave out the remarks above a table.

    Parameters
    ----------
    lines : sequence of str
        The first lines of a file, or all.

    Returns
    -------
    Head
        What stands between cells is a comma, a semicolon or a tab, whichever the first line with several cells has most
        of, or what the file says itself.

    Examples
    --------
    >>> head_of(["sep=;\n", "id;gap\n"]), head_of(["# made by me\n", "id\tgap\n"])
    (Head(mark=';', lines=['id;gap\n']), Head(mark='\t', lines=['id\tgap\n']))
    """
    given = _SEPARATOR.fullmatch(lines[0].removeprefix("\ufeff")) if lines else None
    kept = _without_remarks(list(lines[1:] if given else lines))
    return Head(given[1] if given else _mark(kept), kept)


def _mark(lines: Sequence[str]) -> str:
    """Tell what stands between cells: not what is only in a title, but in the line below it too."""
    head = [line for line in lines[: LOOKED_AT + 1] if line.strip()]
    wide = {place: mark for place, line in enumerate(head) if _is_wide(line.split(mark := max(_MARKS, key=line.count)))}
    for place, mark in wide.items():
        if place + 1 == len(head) or mark in head[place + 1]:
            return mark
    return next(iter(wide.values()), ",")


def _is_wide(row: Sequence[str]) -> bool:
    """Tell whether a row has content behind its first cell."""
    return any(cell.strip() for cell in row[1:])


def header_row(rows: Sequence[Sequence[str]]) -> int:
    """Tell which row has the names of the columns: titles above have the first cell alone, or few cells of many.

    Examples
    --------
    >>> header_row([["Gaps of the group", ""], ["id", "gap"], ["a", "1"]]), header_row([["gap"], ["1"]])
    (1, 0)
    """
    filled = [sum(map(bool, map(str.strip, row))) for row in rows[:LOOKED_AT]]
    names = (k for k, n in enumerate(filled) if _is_wide(rows[k]) and 2 * n >= max(filled))
    return next(names, 0)


def _without_remarks(lines: list[str]) -> list[str]:
    """Leave out the lines with # at the head of a table, unless the last of them names the columns below it."""
    start = next((place for place, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    if 0 < start < len(lines):
        above, cells = lines[start - 1].lstrip("# "), re.split(r"[,;\t]", lines[start])
        if len(re.split(r"[,;\t]", above)) == len(cells) > 1 and any(_PLAIN.fullmatch(cell) for cell in cells):
            return [above, *lines[start:]]
    return lines[start:]
