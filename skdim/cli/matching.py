"""Tables about crystals, matched with them by names: whole ids, paths within folders and archives, or file stems."""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from skdim.cli.messages import one_line
from skdim.crystals.paths import ARCHIVES
from skdim.exceptions import InputError, first_few

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".contcar", ".json", ".xyz", ".res", ".gz", ".bz2", ".xz")
_WORKBOOKS = (".xls", ".xlsx", ".xlsm", ".ods", ".numbers")
_UNIT = re.compile(r"\s*(\([^()]*\)|\[[^][]*\])$")
_PLAIN = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*")


def read_table(path: Path, option: str) -> pd.DataFrame:
    """Read a table as text, cell by cell; ``option`` is the argument that named it, for messages.

    Files are .parquet, or .csv, .tsv and .txt: comma, semicolon or tab, whichever the first line has most of; UTF-8,
    UTF-16 or Windows; lines with # at the head come before the names of the columns. The table's attrs say in "decimal"
    whether numbers are written with a comma, as they are between semicolons.
    """
    import pandas as pd

    if not path.is_file():
        raise InputError(f"{option} {str(path)!r} is not a file; a table with one row for each crystal is needed")
    if path.suffix.lower() in _WORKBOOKS:
        raise InputError(f"{option} {str(path)!r} is a workbook; save its sheet as .csv")
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path).astype(str)
        lines = _without_remarks(_decoded(path.read_bytes()).splitlines(keepends=True))
        mark = max(",;\t", key=(lines or [""])[0].count)
        table = pd.read_csv(StringIO("".join(lines)), sep=mark, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, ValueError) as error:
        raise InputError(f"{option} {str(path)!r} cannot be read as a table: {error}") from error
    table.columns = table.columns.str.strip()
    table.attrs["decimal"] = "," if mark == ";" else "."
    return table


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
        raise ValueError("it is no text; save the table as .csv or .parquet.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def column_named(name: str, columns: Sequence[str]) -> str | None:
    """Find a column by its name, with or without the unit behind it in brackets; None if none or several have it.

    Where no column has the name as it is given, capital letters do not count.

    Examples
    --------
    >>> column_named("Tc", ["id", "Tc (K)"]), column_named("Tc", ["Tc [K]", "Tc (mK)"])
    ('Tc (K)', None)
    >>> column_named("bulk modulus", ["Sample", "Bulk modulus (GPa)"])
    'Bulk modulus (GPa)'
    """
    if name in columns:
        return name
    bare = [column for column in columns if header_without_unit(column) == name]
    if not bare:
        folded = name.casefold()
        bare = [column for column in columns if folded in (column.casefold(), header_without_unit(column).casefold())]
    return bare[0] if len(bare) == 1 else None


def header_without_unit(header: str) -> str:
    """Leave out the unit that stands in brackets behind the name of a column.

    Examples
    --------
    >>> header_without_unit("Tc [K]"), header_without_unit("gap")
    ('Tc', 'gap')
    """
    return _UNIT.sub("", header)


def stem(name: str) -> str:
    """Return the name of a file without folders and suffixes.

    Examples
    --------
    >>> stem("cifs.zip/measured/jqc.cif.gz"), stem("two.cif#alpha"), stem("Li7La3Zr2O12.v2")
    ('jqc', 'two#alpha', 'Li7La3Zr2O12.v2')
    """
    name, hash_, block = name.partition("#")
    return _file_stem(name) + hash_ + block


def _file_stem(name: str) -> str:
    """Stem of the name of a file."""
    last = PurePosixPath(name.replace("\\", "/")).name
    while last.lower().endswith((*_SUFFIXES, *ARCHIVES)):
        last = last[: last.rindex(".")]
    return last or name


@dataclass(frozen=True)
class Matches:
    """Which crystals the rows of a table name."""

    rows: dict[int, list[int]]  # for each crystal that is named, by its place, the rows that name it
    missing: list[str]  # names that fit no crystal
    unclear: list[str]  # names that would fit several


def match_names(names: Sequence[str], ids: Sequence[str]) -> Matches:
    """Find the crystal that each name means, by the first of these rules that fits any.

    The name is its id; its id ends with a slash and the name; its file has the name, both without suffixes; the name is
    that of its block within a file. A name that fits several crystals by that rule is unclear.

    Examples
    --------
    >>> match_names(["b", "cifs/a.cif", "c"], ["cifs/a.cif", "cifs/b.cif"])
    Matches(rows={1: [0], 0: [1]}, missing=['c'], unclear=[])
    """
    by_id = {name: place for place, name in enumerate(ids)}
    by_end, by_stem, by_block = (defaultdict[str, set[int]](set) for _ in range(3))
    for place, name in enumerate(ids):
        parts = PurePosixPath(name).parts
        for start in range(1, len(parts)):
            by_end["/".join(parts[start:])].add(place)
        by_stem[stem(name)].add(place)
        if "#" in name:
            by_block[name.rpartition("#")[2]].add(place)
    found: dict[int, list[int]] = defaultdict(list)
    missing: list[str] = []
    unclear: list[str] = []
    for row, name in enumerate(names):
        end = name.replace("\\", "/").removeprefix("./")
        fits = (
            {by_id[name]} if name in by_id else by_end.get(end) or by_stem.get(stem(name)) or by_block.get(name, set())
        )
        if len(fits) == 1:
            found[next(iter(fits))].append(row)
        else:
            (unclear if fits else missing).append(name)
    return Matches(dict(found), missing, unclear)


def counted(found: Sequence[object], noun: str) -> str:
    """Count things, with their noun in the right number.

    Examples
    --------
    >>> counted([1], "row"), counted([], "row")
    ('1 row', '0 rows')
    """
    return f"{len(found)} {noun}{'s' * (len(found) != 1)}"


def some_of(names: Sequence[str]) -> str:
    """Name the first few of some crystals."""
    return first_few(map(one_line, names))
