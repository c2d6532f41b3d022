"""Tables about crystals, matched with them by names: whole ids, paths within folders and archives, or file stems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from skdim.cli.messages import one_line
from skdim.crystals.paths import ARCHIVES
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".contcar", ".json", ".xyz", ".res", ".gz", ".bz2", ".xz")
_LISTED = 10


def read_table(path: Path, option: str) -> pd.DataFrame:
    """Read a table as text, cell by cell.

    Parameters
    ----------
    path : Path
        .csv, .tsv or .txt (comma, semicolon or tab, whichever the first line has most of), or .parquet.
    option : str
        The argument that named it, for messages.

    Returns
    -------
    DataFrame of str

    Raises
    ------
    InputError
        If there is no such file, or it is no table.
    """
    import pandas as pd

    if not path.is_file():
        raise InputError(f"{option} {str(path)!r} is not a file; a table with one row for each crystal is needed")
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path).astype(str)
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = file.readline()
        mark = max(",;\t", key=first.count)
        return pd.read_csv(
            path, sep=mark, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, ValueError) as error:
        raise InputError(f"{option} {str(path)!r} cannot be read as a table: {error}") from error


def stem(name: str) -> str:
    """Return the name of a file without folders and suffixes.

    Parameters
    ----------
    name : str
        An id, or what a table has in its place.

    Returns
    -------
    str

    Examples
    --------
    >>> stem("cifs.zip/measured/jqc.cif.gz"), stem("jqc"), stem("Li7La3Zr2O12.v2")
    ('jqc', 'jqc', 'Li7La3Zr2O12.v2')
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    while last.lower().endswith((*_SUFFIXES, *ARCHIVES)):
        last = last[: last.rindex(".")]
    return last or name


@dataclass(frozen=True)
class Matches:
    """Which crystals the rows of a table name.

    Attributes
    ----------
    rows : dict of int to list of int
        For each crystal that is named, by its place, the rows that name it.
    missing, unclear : list of str
        Names that fit no crystal, and names that would fit several.
    """

    rows: dict[int, list[int]]
    missing: list[str]
    unclear: list[str]


def match_names(names: Sequence[str], ids: Sequence[str]) -> Matches:
    """Find the crystals that names mean.

    A name means the crystal whose id it is; or else the one crystal whose id ends with it after a slash; or else the
    one crystal whose file name, without its suffixes, is that name without its suffixes.

    Parameters
    ----------
    names : sequence of str
        Of the rows of a table, or of other crystals.
    ids : sequence of str
        Of the crystals.

    Returns
    -------
    Matches

    Examples
    --------
    >>> match_names(["b", "cifs/a.cif", "c"], ["cifs/a.cif", "cifs/b.cif"])
    Matches(rows={1: [0], 0: [1]}, missing=['c'], unclear=[])
    """
    by_id = {name: place for place, name in enumerate(ids)}
    by_end, by_stem = defaultdict(set), defaultdict(set)
    for place, name in enumerate(ids):
        parts = PurePosixPath(name).parts
        for start in range(1, len(parts)):
            by_end["/".join(parts[start:])].add(place)
        by_stem[stem(name)].add(place)
    found: dict[int, list[int]] = defaultdict(list)
    missing: list[str] = []
    unclear: list[str] = []
    for row, name in enumerate(names):
        fits = {by_id[name]} if name in by_id else by_end.get(name.removeprefix("./")) or by_stem.get(stem(name), set())
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
    shown = ", ".join(one_line(name) for name in names[:_LISTED])
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
