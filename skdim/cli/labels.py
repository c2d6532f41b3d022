"""A table of labels, matched with the crystals: names, values, bounds, and rows that fit no crystal."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.cli.matching import Matches, column_named, counted, header_without_unit, match_names, read_table, some_of
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

ID_COLUMNS = ("id", "material_id", "entry_id", "name", "file", "filename", "path", "cif")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# A bound, a number, a power of ten, and what some tables put behind it: its uncertainty in brackets or after a sign,
# and its unit.
_POWER = r"\s*[×x·*]\s*10\s*\^?\s*([+-]?\d+)"
_WORD = r"[A-Za-zµμΩ°%Å/][^<>\s]*"
_VALUE = re.compile(
    rf"\s*(<=|>=|<|>|≤|≥)?\s*({_NUMBER})(?:{_POWER})?\s*(?:\(\d+\)|(?:±|\+/-)\s*{_NUMBER})?\s*({_WORD}(?:\s+{_WORD})*)?\s*"
)
# What only a decimal comma can be: not one that sets thousands apart.
_COMMA = re.compile(r"[\s<>≤≥=]*[+-]?(?:0,\d+|\d+,(?:\d{1,2}|\d{4,}))(?!\d).*")
_POINT = re.compile(r"\d\.\d")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
_BOUND = {"<": -1, "<=": -1, "≤": -1, ">": 1, ">=": 1, "≥": 1, None: 0}
MISSING = ("", "nan", "na", "n/a", "none", "null", "-", "?")


@dataclass
class LabelTable:
    """The labels that a table has for C crystals."""

    values: Any  # (C,) NaN, or an empty text, where nothing is known
    # (C,) -1 where the value is an upper bound of the true one, 1 where it is a lower bound, else 0.
    sides: NDArray[np.int64]
    groups: list[str] | None = None  # of the column of groups; crystals without a row are groups of their own
    unit: str = ""  # of the values, where the table tells it
    notes: list[str] = field(default_factory=list)  # what was noticed, in sentences, each with the names it is about

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which crystals have a label, (C,)."""
        there = [bool(text) for text in self.values] if isinstance(self.values, list) else np.isfinite(self.values)
        return np.array(there, np.bool_)


def read_labels(
    path: Path,  # see `skdim.cli.matching.read_table`
    target: str,  # column of the labels
    ids: Sequence[str],  # of the crystals
    *,
    # Column of the names; None takes the first of `ID_COLUMNS` that is there, or else the first column.
    key: str | None,
    groups: str | None,  # column of the groups
    classes: bool = False,  # whether labels are names of classes rather than numbers
) -> LabelTable:
    """Read the labels of crystals from a table; `skdim.cli.matching.match_names` says which row is of which."""
    table = read_table(path, "--labels")
    names = [str(name) for name in table.columns]
    target = find_column("--target", target, names, path)
    key = None if key is None else find_column("--id", key, names, path)
    groups = None if groups is None else find_column("--groups", groups, names, path)
    key = key or id_column([name for name in names if name != target] or names)
    if key == target:
        raise InputError(f"{str(path)!r} has no column of ids beside {target!r}; --id names it")
    matches = match_names([str(name).strip() for name in table[key]], ids)
    rows_of, notes = matches.rows, _unmatched(matches, ids)
    if not rows_of:
        seen = ", ".join(map(repr, table[key][:3]))
        raise InputError(
            f"no row of {str(path)!r} fits a crystal: its column {key!r} has {seen}, and the crystals are "
            f"{', '.join(map(repr, ids[:3]))}. A full path, the path within an archive, or the name of the file "
            "without its suffix is needed; --id names another column"
        )
    if classes:
        taken = _classes(table[target], rows_of, len(ids))
    else:
        comma = table.attrs.get("decimal") == "," or has_decimal_commas(table[target].tolist())
        taken = _numbers(table[target], rows_of, len(ids), comma=comma)
    taken.notes = [*notes, *taken.notes]
    if groups is not None:
        own = [f"no row {place}" for place in range(len(ids))]
        for place, rows in rows_of.items():
            own[place] = str(table[groups].iloc[rows[0]]).strip() or own[place]
        taken.groups = own
    return taken


def _unmatched(matches: Matches, ids: Sequence[str]) -> list[str]:
    """Say which rows fit no crystal or several, and which crystals have no row."""
    notes = []
    if matches.missing:
        notes.append(f"{counted(matches.missing, 'row')} of the table without a crystal: {some_of(matches.missing)}")
    if unclear := matches.unclear:
        rows = counted(unclear, "row")
        notes.append(f"{rows} of the table that would fit several crystals, and label none: {some_of(unclear)}")
    if alone := [name for place, name in enumerate(ids) if place not in matches.rows]:
        notes.append(f"{counted(alone, 'crystal')} without a row in the table: {some_of(alone)}")
    return notes


def id_column(names: Sequence[str]) -> str:
    """Find the column of ids where none is named: the first of `ID_COLUMNS` that is there, else the first column.

    Examples
    --------
    >>> id_column(["gap", "material_id"]), id_column(["Sample", "gap"])
    ('material_id', 'Sample')
    """
    return next((name for name in ID_COLUMNS if name in names), names[0])


def find_column(flag: str, given: str, names: Sequence[str], path: Path) -> str:
    """Find the column that an argument names, with or without its unit."""
    found = column_named(given, names)
    if found is None:
        raise InputError(f"{flag} {given!r} is no column of {str(path)!r}; its columns are {', '.join(names)}")
    return found


def _unit_of(header: str, units: Sequence[str]) -> tuple[str, bool]:
    """Tell the unit of a column: that of its header, or that of most cells; and whether the cells tell it."""
    bare = header_without_unit(header)
    if bare != header:
        return header[len(bare) :].strip(" ()[]"), False
    found, n = next(iter(Counter(unit for unit in units if unit).most_common(1)), ("", 0))
    return (found, True) if n and 2 * n >= len(units) else ("", False)


def has_decimal_commas(texts: Sequence[str]) -> bool:
    """Tell whether numbers are written with decimal commas, as spreadsheets write them in many languages.

    Examples
    --------
    >>> has_decimal_commas(["1,250", "0,3", "n.d."]), has_decimal_commas(["1,250"]), has_decimal_commas(["1,25", "1.5"])
    (True, False, False)
    """
    return any(map(_COMMA.fullmatch, texts)) and not any(map(_POINT.search, texts))


@dataclass(frozen=True)
class Cell:
    """A cell of the labels: its value, whether that is a bound and on which side, and the unit behind it."""

    value: float
    side: int
    unit: str

    @classmethod
    def read(cls, text: str, *, comma: bool) -> Cell | None:
        """Read a cell, with decimal commas where these are usual; None where it holds no number.

        Examples
        --------
        >>> Cell.read("<1.2×10^-4 S/cm", comma=False)
        Cell(value=0.00012, side=-1, unit='S/cm')
        """
        plain = text.translate(_RAISED)
        match = _VALUE.fullmatch(plain.replace(",", ".") if comma and "." not in plain else plain)
        if match is None:
            return None
        value = float(f"{match[2]}e{match[3]}") if match[3] and "e" not in match[2].lower() else float(match[2])
        return cls(value, _BOUND[match[1]], (match[4] or "").strip()) if math.isfinite(value) else None


def _numbers(column: pd.Series[str], rows_of: dict[int, list[int]], n: int, *, comma: bool = False) -> LabelTable:
    """Read numbers and bounds; of several rows for one crystal the median."""
    taken = LabelTable(np.full(n, np.nan), np.zeros(n, np.int64))
    cells = [Cell.read(str(text), comma=comma) for text in column]
    usual, stated = _unit_of(str(column.name), [cell.unit for cell in cells if cell is not None])
    taken.unit = usual
    unread: list[str] = []
    foreign: list[str] = []
    several: list[int] = []
    for place, rows in rows_of.items():
        read = []
        for row in rows:
            text, cell = str(column.iloc[row]).strip(), cells[row]
            if cell is not None and cell.unit in ("", usual):
                read.append((cell.value, cell.side))
            elif cell is not None:
                foreign.append(text)
            elif text.lower() not in MISSING:
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
    if stated:
        taken.notes.append(f"numbers are taken to be in {usual}, as half of them or more say")
    if unread:
        taken.notes.append(
            f"{counted(unread, 'label')} that cannot be read as a number, taken as missing: {some_of(unread)}"
        )
    if foreign:
        meant = f"not in {usual}" if usual else "with a unit where most have none"
        cure = "" if usual else f"; rename the column to '{column.name} (UNIT)' if all are in that unit"
        taken.notes.append(f"{counted(foreign, 'label')} {meant}, taken as missing: {some_of(foreign)}{cure}")
    if several:
        taken.notes.append(f"{counted(several, 'crystal')} with several labels, of which the median is used")
    if taken.sides.any():
        numbers = {"upper": int((taken.sides < 0).sum()), "lower": int((taken.sides > 0).sum())}
        said = " and ".join(f"{n} {side} bound{'s' * (n > 1)}" for side, n in numbers.items() if n)
        taken.notes.append(
            f"{said} (such as <1E-10): learned as the bound or, where a model that has not seen the crystal "
            "predicts a value beyond it, as that value; they take no part in errors and intervals"
        )
    return taken


def _classes(column: pd.Series[str], rows_of: dict[int, list[int]], n: int) -> LabelTable:
    """Read names of classes; rows of one crystal that disagree leave it without a label."""
    taken = LabelTable([""] * n, np.zeros(n, np.int64))
    torn = []
    for place, rows in rows_of.items():
        read = {str(column.iloc[row]).strip() for row in rows}
        read = {text for text in read if text.lower() not in MISSING}
        if len(read) == 1:
            taken.values[place] = read.pop()
        elif read:
            torn.append(" and ".join(sorted(read)))
    if torn:
        taken.notes.append(
            f"{counted(torn, 'crystal')} with rows of different classes, taken as missing: {some_of(torn)}"
        )
    return taken
