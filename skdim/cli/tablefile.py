"""Reading a table about crystals as text, cell by cell, as spreadsheets and people write it."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.crystals.tablehead import head_of, header_row
from skdim.crystals.tables import long_fields
from skdim.crystals.textformats import mistaken_for
from skdim.exceptions import InputError, first_few

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table"]

_WORKBOOKS = (".xls", ".xlsx", ".xlsm", ".ods", ".numbers")


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
    mark, lines = head_of(text.splitlines(keepends=True))
    with long_fields():
        rows = [
            row for row in csv.reader(lines, delimiter=mark, skipinitialspace=True, strict=True) if any(_filled(row))
        ]
    start = header_row(rows)
    if not rows:
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
