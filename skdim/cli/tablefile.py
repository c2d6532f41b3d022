"""Reading a table about crystals as text, cell by cell, as spreadsheets and people write it."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.crystals.tables import long_fields
from skdim.crystals.textformats import mistaken_for
from skdim.exceptions import InputError, first_few

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table"]

_WORKBOOKS = (".xls", ".xlsx", ".xlsm", ".ods", ".numbers")
_MARKS = ",;\t"
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # which Excel writes for itself
_PLAIN = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*")
_LOOKED_AT = 20  # lines among which the names of the columns are


def read_table(path: Path, option: str) -> pd.DataFrame:
    """Read a table as text, cell by cell; ``option`` is the argument that named it, for messages.

    Files are .parquet, or .csv, .tsv and .txt: with commas, semicolons or tabs, whichever the names of the columns have
    most of; in UTF-8, UTF-16 or the coding of Windows. Lines with # at the head and titles may come before the names of
    the columns. Rows without content are left out, and a column of a name that is there before gets "#2" behind it. The
    table's attrs say in "semicolons" whether these stand between columns.
    """
    import pandas as pd

    if not path.is_file():
        raise InputError(f"{option} {str(path)!r} is not a file; a table with one row for each crystal is needed")
    if path.suffix.lower() in _WORKBOOKS:
        raise InputError(f"{option} {str(path)!r} is a workbook; save its sheet as .csv")
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
            named = [name for name in table.index.names if name is not None]
            return (table.reset_index() if named else table).astype(str)
        header, rows, mark = _parsed(_decoded(path.read_bytes()))
    except csv.Error as error:
        why = "a quoted cell is not closed, or goes on behind its quote"
        raise InputError(f"{option} {str(path)!r} cannot be read as a table: {why} ({error})") from error
    except (OSError, ValueError) as error:  # what pandas raises is a ValueError
        raise InputError(f"{option} {str(path)!r} cannot be read as a table: {error}") from error
    table = pd.DataFrame(rows, columns=header, dtype=object)
    table.attrs["semicolons"] = mark == ";"
    return table


def _parsed(text: str) -> tuple[list[str], list[list[str]], str]:
    """Read the names of the columns, the rows, and what stands between cells."""
    if text.strip() and (mistaken := mistaken_for(text)):
        raise ValueError(mistaken)
    lines = text.splitlines(keepends=True)
    given = _SEPARATOR.fullmatch(lines[0]) if lines else None
    lines = _without_remarks(lines[1:] if given else lines)
    mark = given[1] if given else _mark(lines)
    with long_fields():
        rows = [
            row for row in csv.reader(lines, delimiter=mark, skipinitialspace=True, strict=True) if any(_filled(row))
        ]
    start = _header(rows)
    if start == len(rows):
        raise ValueError("it is empty; names of columns and a row for each crystal are needed")
    header, below = rows[start], rows[start + 1 :]
    while (
        header and not header[-1].strip() and not any(row[len(header) - 1 :] and row[len(header) - 1] for row in below)
    ):
        header = header[:-1]
    return _names(header), _filled_up(below, len(header), mark), mark


def _filled(row: Sequence[str]) -> list[bool]:
    """Tell which cells of a row have content."""
    return [bool(cell.strip()) for cell in row]


def _mark(lines: Sequence[str]) -> str:
    """Tell what stands between cells, by the first line that has more than one."""
    for line in lines[:_LOOKED_AT]:
        mark = max(_MARKS, key=line.count)
        if any(_filled(line.split(mark)[1:])):
            return mark
    return ","


def _header(rows: Sequence[Sequence[str]]) -> int:
    """Tell which row has the names of the columns: titles above have the first cell alone."""
    wide = [any(_filled(row[1:])) for row in rows[:_LOOKED_AT]]
    return wide.index(True) if any(wide) else 0


def _names(header: Sequence[str]) -> list[str]:
    """Name the columns, each by a name of its own."""
    names: list[str] = []
    count = Counter[str]()
    for place, cell in enumerate(header, 1):
        name = " ".join(cell.split()) or f"column {place}"
        count[name] += 1
        names.append(name if count[name] == 1 else f"{name} #{count[name]}")
    return names


def _filled_up(rows: Sequence[list[str]], width: int, mark: str) -> list[list[str]]:
    """Give all rows as many cells as there are columns; more with content are an error."""
    wide = [(number, row) for number, row in enumerate(rows, 1) if any(_filled(row[width:]))]
    if wide:
        number, row = wide[0]
        others = f" (and {len(wide) - 1} more such rows)" if len(wide) > 1 else ""
        mark = {"\t": "tab"}.get(mark, mark)
        cells = first_few(map(repr, row), 6)
        raise ValueError(
            f"row {number} ({cells}) has {len(row)} cells under {width} names of columns{others}; "
            f"a cell with a {mark} in it needs quotes around it"
        )
    return [[*row[:width], *[""] * (width - len(row))] for row in rows]


def _without_remarks(lines: list[str]) -> list[str]:
    """Leave out the lines with # at the head of a table, unless the last of them names the columns below it."""
    start = next((place for place, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    if 0 < start < len(lines):
        above, cells = lines[start - 1].lstrip("# "), re.split(r"[,;\t]", lines[start])
        if len(re.split(r"[,;\t]", above)) == len(cells) > 1 and any(_PLAIN.fullmatch(cell) for cell in cells):
            return [above, *lines[start:]]
    return lines[start:]


def _decoded(content: bytes) -> str:
    """Decode a table: UTF-8, UTF-16, or else what spreadsheets on Windows write; binary content is a ValueError."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("it is no text; save the table as .csv or .parquet")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
