"""A table of labels, matched with the crystals it speaks of: names, values, bounds, and what fits nothing."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.cli.messages import one_line
from skdim.crystals.paths import ARCHIVES
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

ID_COLUMNS = ("id", "material_id", "entry_id", "name", "file", "filename", "path", "cif")
_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".contcar", ".json", ".xyz", ".res", ".gz", ".bz2", ".xz")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# A bound, a number, and what some tables put behind it: its uncertainty in brackets or after a sign.
_VALUE = re.compile(rf"\s*(<=|>=|<|>|≤|≥)?\s*({_NUMBER})\s*(?:\(\d+\)|(?:±|\+/-)\s*{_NUMBER})?\s*")
_BOUND = {"<": -1, "<=": -1, "≤": -1, ">": 1, ">=": 1, "≥": 1, None: 0}
_MISSING = ("", "nan", "na", "n/a", "none", "null", "-", "?")
_LISTED = 10


@dataclass
class Labels:
    """What a table says of C crystals.

    Attributes
    ----------
    values : ndarray of shape (C,), or list of C texts
        NaN, or an empty text, where nothing is known.
    sides : ndarray of int, shape (C,)
        -1 where the value is an upper bound of the true one, 1 where it is a lower bound, else 0.
    groups : list of C texts or None
        Of the column of groups; crystals without a row are groups of their own.
    notes : list of str
        What was noticed, in sentences, each with the names it is about.
    """

    values: Any
    sides: NDArray[np.int64]
    groups: list[str] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def n_labelled(self) -> int:
        """Crystals that have a label."""
        if isinstance(self.values, list):
            return sum(bool(value) for value in self.values)
        return int(np.isfinite(self.values).sum())


def read_table(path: Path) -> pd.DataFrame:
    """Read a table as text, cell by cell.

    Parameters
    ----------
    path : Path
        .csv, .tsv or .txt (comma, semicolon or tab, whichever the first line has most of), or .parquet.

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
        raise InputError(
            f"--labels {str(path)!r} is not a file; a table with one row for each labelled crystal is needed"
        )
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
        raise InputError(f"--labels {str(path)!r} cannot be read as a table: {error}") from error


def read_labels(
    path: Path, target: str, ids: Sequence[str], *, key: str | None, groups: str | None, classes: bool = False
) -> Labels:
    """Read the labels of crystals from a table.

    A row belongs to the crystal whose id it names; or else to the one crystal whose id ends with that name after a
    slash; or else to the one crystal whose file name, without its suffixes, is that name without its suffixes.

    Parameters
    ----------
    path : Path
        See `read_table`.
    target : str
        Column of the labels.
    ids : sequence of C str
        Of the crystals.
    key : str or None
        Column of the names; None takes the first of `ID_COLUMNS` that is there, or else the first column.
    groups : str or None
        Column of the groups.
    classes : bool, default=False
        Whether labels are names of classes rather than numbers.

    Returns
    -------
    Labels

    Raises
    ------
    InputError
        If a column is missing, or no row fits a crystal.
    """
    table = read_table(path)
    names = [str(name) for name in table.columns]
    for flag, column in (("--target", target), ("--id", key), ("--groups", groups)):
        if column is not None and column not in names:
            raise InputError(f"{flag} {column!r} is no column of {str(path)!r}; its columns are {', '.join(names)}")
    key = key or next((name for name in ID_COLUMNS if name in names and name != target), names[0])
    if key == target:
        raise InputError(f"{str(path)!r} has no column of ids beside {target!r}; --id names it")
    rows_of, notes = _match([str(name).strip() for name in table[key]], ids)
    if not rows_of:
        seen = ", ".join(map(repr, table[key][:3]))
        raise InputError(
            f"no row of {str(path)!r} fits a crystal: its column {key!r} has {seen}, and the crystals are "
            f"{', '.join(map(repr, ids[:3]))}. A full path, the path within an archive, or the name of the file "
            "without its suffix is needed; --id names another column"
        )
    taken = _classes(table[target], rows_of, len(ids)) if classes else _numbers(table[target], rows_of, len(ids))
    taken.notes = [*notes, *taken.notes]
    if groups is not None:
        own = [f"no row {place}" for place in range(len(ids))]
        for place, rows in rows_of.items():
            own[place] = str(table[groups].iloc[rows[0]]).strip() or own[place]
        taken.groups = own
    return taken


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


def _match(names: list[str], ids: Sequence[str]) -> tuple[dict[int, list[int]], list[str]]:
    """Find the crystals that the rows of a table name: rows by crystal, and what fits nothing or too much."""
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
    notes = []
    if missing:
        notes.append(f"{_count(missing, 'row')} of the table without a crystal: {_some(missing)}")
    if unclear:
        notes.append(
            f"{_count(unclear, 'row')} of the table that would fit several crystals, and label none: {_some(unclear)}"
        )
    alone = [name for place, name in enumerate(ids) if place not in found]
    if alone:
        notes.append(f"{_count(alone, 'crystal')} without a row in the table: {_some(alone)}")
    return dict(found), notes


def _numbers(column: pd.Series[str], rows_of: dict[int, list[int]], n: int) -> Labels:
    """Read numbers and bounds; of several rows for one crystal the median."""
    taken = Labels(np.full(n, np.nan), np.zeros(n, np.int64))
    unread: list[str] = []
    several: list[int] = []
    for place, rows in rows_of.items():
        read = []
        for row in rows:
            text = str(column.iloc[row]).strip()
            match = _VALUE.fullmatch(text.replace("−", "-"))
            if match and math.isfinite(float(match[2])):
                read.append((float(match[2]), _BOUND[match[1]]))
            elif text.lower() not in _MISSING:
                unread.append(text)
        exact = [value for value, side in read if side == 0]
        if exact:  # a bound says nothing beside a value
            taken.values[place] = float(np.median(exact))
        elif read:
            # Of several bounds on one side the tightest; of bounds on both sides the middle, as a value.
            upper = [value for value, side in read if side < 0]
            lower = [value for value, side in read if side > 0]
            ends = [*([min(upper)] if upper else []), *([max(lower)] if lower else [])]
            taken.values[place] = float(np.mean(ends))
            taken.sides[place] = 0 if len(ends) > 1 else (-1 if upper else 1)
        several += [place] * (len(read) > 1)
    if unread:
        taken.notes.append(
            f"{_count(unread, 'label')} that cannot be read as a number, taken as missing: {_some(unread)}"
        )
    if several:
        taken.notes.append(f"{_count(several, 'crystal')} with several labels, of which the median is used")
    if taken.sides.any():
        said = f"{int((taken.sides < 0).sum())} upper and {int((taken.sides > 0).sum())} lower"
        taken.notes.append(
            f"{said} bounds (such as <1E-10): learned as the bound or, where a model that has not seen the crystal "
            "predicts a value beyond it, as that value; they take no part in errors and intervals"
        )
    return taken


def _classes(column: pd.Series[str], rows_of: dict[int, list[int]], n: int) -> Labels:
    """Read names of classes; rows of one crystal that disagree leave it without a label."""
    taken = Labels([""] * n, np.zeros(n, np.int64))
    torn = []
    for place, rows in rows_of.items():
        read = {str(column.iloc[row]).strip() for row in rows}
        read = {text for text in read if text.lower() not in _MISSING}
        if len(read) == 1:
            taken.values[place] = read.pop()
        elif read:
            torn.append(" and ".join(sorted(read)))
    if torn:
        taken.notes.append(f"{_count(torn, 'crystal')} with rows of different classes, taken as missing: {_some(torn)}")
    return taken


def _count(found: Sequence[object], noun: str) -> str:
    """Count some things."""
    return f"{len(found)} {noun}{'s' * (len(found) != 1)}"


def _some(names: Sequence[str]) -> str:
    """Name the first of some."""
    shown = ", ".join(one_line(name) for name in names[:_LISTED])
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
