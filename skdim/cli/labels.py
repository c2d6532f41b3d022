"""A table of labels, matched with the crystals: names, values, bounds, and rows that fit no crystal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.cli.cells import LabelCell, NumberStyle, is_missing, number_style, same_unit, unit_of
from skdim.cli.matching import Matches, column_named, counted, match_names, some_of
from skdim.cli.tablefile import read_table
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

ID_COLUMNS = ("id", "material_id", "entry_id", "name", "file", "filename", "path", "cif")
_ONE_COMMA = re.compile(r"\D*\d{1,3},\d{3}")
_UNNAMED = "column 1"  # of numbers of rows, as some programs write them
WIDE = 100  # factor that positive labels span which are learned as logarithms, as `skdim._targetmodel` has it
_UNIT_ROW = frozenset({"", "-", "unit", "units", "[unit]", "(unit)", "einheit", "unité"})  # ids in a row of units


@dataclass
class LabelTable:
    """The labels that a table has for C crystals."""

    values: Any  # (C,) NaN, or an empty text, where nothing is known
    # (C,) -1 where the value is an upper bound of the true one, 1 where it is a lower bound, else 0.
    sides: NDArray[np.int64]
    groups: list[str] | None = None  # of the column of groups; crystals without a row are groups of their own
    unit: str = ""  # of the values, where the table tells it
    notes: list[str] = field(default_factory=list)  # what was noticed, in sentences, each with the names it is about
    unmatched: list[str] = field(default_factory=list)  # names of all rows that label no crystal

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
    groups = None if groups is None else find_column("--groups", groups, names, path)
    key, matches = _matched(table, ids, path, None if key is None else find_column("--id", key, names, path), target)
    below = _row_of_units(table, key, target, matches, classes)
    unit = "" if classes or below is None or is_missing(below[target]) else below[target].strip("()[]")
    notes, rows_of = _unmatched(matches, ids, with_units=below is not None), matches.rows
    if below is not None:
        cells = ", ".join(cell or "(blank)" for cell in below.values())
        notes.append(f"the first row of the table is taken as one of units, not of a crystal: {cells}")
    if key != names[0] and key not in ID_COLUMNS:
        notes.append(f"the column {key!r} names the crystals")
    column = table[target]
    if classes:
        taken = _classes(column, rows_of, ids)
    else:
        style = number_style(map(str, column), semicolons=bool(table.attrs.get("semicolons")))
        taken = _numbers(column, rows_of, ids, style, unit)
    taken.notes = [*notes, *taken.notes]
    taken.unmatched = [name for name in (*matches.missing, *matches.unclear) if not is_missing(name)]
    if groups is not None:
        taken.groups, told = _groups(table[groups], rows_of, ids)
        taken.notes += told
    return taken


def _matched(table: pd.DataFrame, ids: Sequence[str], path: Path, key: str | None, target: str) -> tuple[str, Matches]:
    """Find the column of ids, and which row is of which crystal.

    Where no column is named and the one that is called so, or the first, fits no crystal, it is that which fits most.
    """
    names = [str(name) for name in table.columns if str(name) != target]
    if not names or key == target:
        raise InputError(f"{str(path)!r} has no column of ids beside {target!r}; --id names it")
    first = key or id_column(names)
    found = {first: match_names([str(name).strip() for name in table[first]], ids)}
    if key is None and (not found[first].sure or first == _UNNAMED):
        found |= {name: match_names([str(cell).strip() for cell in table[name]], ids) for name in names}
    best = max(found, key=lambda name: (found[name].sure, len(found[name].rows), (name == first) != (name == _UNNAMED)))
    if found[best].rows:
        return best, found[best]
    seen = ", ".join(map(repr, table[first][:3])) or "no rows"
    raise InputError(
        f"no row of {str(path)!r} fits a crystal: its column {first!r} has {seen}, and the crystals are "
        f"{', '.join(map(repr, ids[:3]))}. A full path, the path within an archive, or the name of the file "
        "without its suffix is needed; --id names another column"
    )


def _row_of_units(table: pd.DataFrame, key: str, target: str, matches: Matches, classes: bool) -> dict[str, str] | None:
    """Return the cells of a row of units below the names of the columns; None if there is no such row.

    It names no crystal, and where the target is, there is no label: no number, or no class of another row.
    """
    named = {row for rows in matches.rows.values() for row in rows}
    if not len(table) or 0 in named or str(table[key].iloc[0]).strip().lower() not in _UNIT_ROW:
        return None
    first = {str(name): str(cell).strip() for name, cell in table.iloc[0].items()}
    of_target = first[target]
    if classes:
        label = not is_missing(of_target) and of_target in {str(cell).strip() for cell in table[target].iloc[1:]}
    else:
        label = LabelCell.read(of_target.strip("()[]")) is not None
    others = [cell for name, cell in first.items() if name != key and not is_missing(cell)]
    return None if label or not others or any(LabelCell.read(cell) for cell in others) else first


def _unmatched(matches: Matches, ids: Sequence[str], *, with_units: bool) -> list[str]:
    """Say which rows fit no crystal or several, which were guessed, and which crystals have no row."""
    notes, lost = [], matches.missing[with_units:]  # a row of units comes first
    if missing := [name for name in lost if not is_missing(name)]:
        notes.append(f"{counted(missing, 'row')} of the table without a crystal: {some_of(missing)}")
    if empty := [name for name in lost if is_missing(name)]:
        notes.append(f"{counted(empty, 'row')} of the table without an id")
    if unclear := matches.unclear:
        rows = counted(unclear, "row")
        notes.append(f"{rows} of the table that would fit several crystals, and label none: {some_of(unclear)}")
    if matches.guessed:
        notes.append(matches.loosely("the table"))
    if alone := [name for place, name in enumerate(ids) if place not in matches.rows]:
        notes.append(f"{counted(alone, 'crystal')} without a row in the table: {some_of(alone)}")
    return notes


def id_column(names: Sequence[str]) -> str:
    """Find the column of ids where none is named: the first of `ID_COLUMNS` that is there, else the first column.

    Examples
    --------
    >>> id_column(["gap", "Material ID"]), id_column(["Sample", "gap"])
    ('Material ID', 'Sample')
    """
    spelled = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    return next((name if name in names else spelled[name] for name in ID_COLUMNS if name in spelled), names[0])


def find_column(flag: str, given: str, names: Sequence[str], path: Path) -> str:
    """Find the column that an argument names, with or without its unit."""
    found = column_named(given, names)
    if found is None:
        columns = ", ".join(name if "," not in name else repr(name) for name in names)
        raise InputError(f"{flag} {given!r} is no column of {str(path)!r}; its columns are {columns}")
    if f"{found} #2" in names:
        raise InputError(f"{flag} {given!r} is the name of several columns of {str(path)!r}; rename them")
    return found


@dataclass
class _Noticed:
    """What is to be told of the cells of a column: cells as they are written, and crystals."""

    unread: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # in another unit
    about: list[str] = field(default_factory=list)  # approximate
    several: list[str] = field(default_factory=list)  # crystals with different labels
    torn: list[str] = field(default_factory=list)  # crystals with bounds that exclude each other
    n_same: int = 0  # crystals with one label in several rows

    def notes(self, column: str, unit: str) -> Iterator[str]:
        """Tell it in sentences."""
        if self.unread:
            commas = any(map(_ONE_COMMA.fullmatch, self.unread))
            cure = "; a comma may be decimal or set thousands apart, write 1.234 or 1234" if commas else ""
            unread = f"{counted(self.unread, 'label')} that cannot be read as a number"
            yield f"{unread}, taken as missing: {some_of(self.unread)}{cure}"
        if self.foreign:
            meant = f"not in {unit}" if unit else "with a unit where most have none"
            cure = "" if unit else f"; rename the column to '{column} (UNIT)' if all are in that unit"
            yield f"{counted(self.foreign, 'label')} {meant}, taken as missing: {some_of(self.foreign)}{cure}"
        if self.about:
            yield f"{counted(self.about, 'approximate label')}, taken as written: {some_of(self.about)}"
        if self.several:
            some = some_of(self.several)
            yield f"{counted(self.several, 'crystal')} with several labels, of which the median is used: {some}"
        if self.torn:
            crystals = counted(self.torn, "crystal")
            yield f"{crystals} with bounds that exclude each other, taken as missing: {some_of(self.torn)}"
        if self.n_same:
            yield f"{self.n_same} crystal{'s' * (self.n_same > 1)} with the same label in several rows"


def _numbers(
    column: pd.Series[str], rows_of: dict[int, list[int]], ids: Sequence[str], style: NumberStyle, unit: str
) -> LabelTable:
    """Read numbers and bounds; of several rows for one crystal the median."""
    taken, noticed = LabelTable(np.full(len(ids), np.nan), np.zeros(len(ids), np.int64)), _Noticed()
    cells = [LabelCell.read(str(text), style) for text in column]
    usual, stated = (unit, False) if unit else unit_of(str(column.name), [c.unit for c in cells if c is not None])
    taken.unit = usual
    for place, rows in rows_of.items():
        read: list[LabelCell] = []
        for row in rows:
            text, cell = str(column.iloc[row]).strip(), cells[row]
            if cell is not None and (not cell.unit or same_unit(cell.unit, usual)):
                read.append(cell)
                noticed.about += [text] * cell.about
            elif cell is not None:
                noticed.foreign.append(text)
            elif not is_missing(text):
                noticed.unread.append(text)
        if not read:
            continue
        value, side = _together([(cell.value, cell.side) for cell in read])
        distinct = list(dict.fromkeys((cell.value, cell.side) for cell in read))
        noticed.n_same += len(read) > len(distinct) == 1
        taken.values[place], taken.sides[place] = value, side
        if len(distinct) > 1:
            said = ", ".join(f"{'>' if s > 0 else '<' if s < 0 else ''}{v:g}" for v, s in distinct[:4])
            (noticed.torn if np.isnan(value) else noticed.several).append(f"{ids[place]} ({said})")
    if stated:
        taken.notes.append(f"numbers are taken to be in {usual}, as half of them or more say")
    taken.notes += [*noticed.notes(str(column.name), usual), *_of_bounds(taken.sides), *_of_zeros(taken.values)]
    return taken


def _of_bounds(sides: NDArray[np.int64]) -> Iterator[str]:
    """Tell how bounds are used, if there are any."""
    numbers = {"upper": int((sides < 0).sum()), "lower": int((sides > 0).sum())}
    if any(numbers.values()):
        said = " and ".join(f"{n} {side} bound{'s' * (n > 1)}" for side, n in numbers.items() if n)
        yield (
            f"{said} (such as <1E-10): learned as the bound or, where a model that has not seen the crystal "
            "predicts a value beyond it, as that value; they take no part in errors and intervals"
        )


def _of_zeros(values: NDArray[np.float64]) -> Iterator[str]:
    """Tell zeros among labels that would be learned as logarithms without them."""
    known = values[np.isfinite(values)]
    above = known[known > 0]
    if len(above) < len(known) and (known >= 0).all() and len(above) and above.max() >= WIDE * above.min():
        zeros = len(known) - len(above)
        yield (
            f"{zeros} label{'s are' if zeros > 1 else ' is'} 0, so that the others, which span "
            f"{np.log10(above.max() / above.min()):.1f} decades, are not learned as logarithms. Where 0 means below "
            "what can be measured, write that as a bound, such as <1E-10. Where it is a value of its own kind, as the "
            "band gap of a metal, leave it, or tell such crystals first: by --task classification, with a column that "
            "names the kind; and fit the others alone"
        )


def _together(read: Sequence[tuple[float, int]]) -> tuple[float, int]:
    """Make one label of those of a crystal: the median, as a bound says nothing beside a value.

    Of several bounds on one side it is the tightest, of bounds on both sides the middle, as a value; NaN where they
    exclude each other.
    """
    exact = [value for value, side in read if side == 0]
    if exact:
        return float(np.median(exact)), 0
    upper = [value for value, side in read if side < 0]
    lower = [value for value, side in read if side > 0]
    if upper and lower:
        return (float(np.mean([min(upper), max(lower)])) if max(lower) <= min(upper) else np.nan), 0
    return (min(upper), -1) if upper else (max(lower), 1)


def _classes(column: pd.Series[str], rows_of: dict[int, list[int]], ids: Sequence[str]) -> LabelTable:
    """Read names of classes; rows of one crystal that disagree leave it without a label."""
    taken = LabelTable([""] * len(ids), np.zeros(len(ids), np.int64))
    names, taken.notes = _spelled_alike((column.iloc[row] for rows in rows_of.values() for row in rows), "classes")
    torn = []
    for place, rows in rows_of.items():
        read = {names[str(column.iloc[row])] for row in rows} - {""}
        if len(read) == 1:
            taken.values[place] = read.pop()
        elif read:
            torn.append(f"{ids[place]} ({' and '.join(sorted(read))})")
    if torn:
        taken.notes.append(
            f"{counted(torn, 'crystal')} with rows of different classes, taken as missing: {some_of(torn)}"
        )
    return taken


def _groups(column: pd.Series[str], rows_of: dict[int, list[int]], ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Read groups; a crystal without one stands alone, and of several the first is taken."""
    names, notes = _spelled_alike((column.iloc[row] for rows in rows_of.values() for row in rows), "groups")
    own, torn = [f"no row {place}" for place in range(len(ids))], []
    for place, rows in rows_of.items():
        read = list(dict.fromkeys(name for row in rows if (name := names[str(column.iloc[row])])))
        own[place] = read[0] if read else own[place]
        if len(read) > 1:
            torn.append(f"{ids[place]} ({', '.join(read)})")
    if torn:
        notes.append(f"{counted(torn, 'crystal')} in several groups, of which the first is taken: {some_of(torn)}")
    return own, notes


def _spelled_alike(texts: Iterable[object], what: str) -> tuple[dict[str, str], list[str]]:
    """Give each text the name that it is meant for: the commonest spelling, without case, blanks and "1.0" for "1".

    What stands for nothing known is an empty name.
    """
    count = Counter(map(str, texts))
    names: dict[str, str] = {}
    alike: dict[str, Counter[str]] = {}
    for text, n in count.items():
        name = " ".join(text.split())
        key = name.removesuffix(".0") if name.removesuffix(".0").isdigit() else name.casefold()
        names[text] = "" if is_missing(name) else key
        if names[text]:
            alike.setdefault(key, Counter())[name] += n
    common = {key: spellings.most_common(1)[0][0] for key, spellings in alike.items()}
    told = [" and ".join(map(repr, spellings)) for spellings in alike.values() if len(spellings) > 1]
    notes = [f"{what} that differ in case or form alone are taken as one: {'; '.join(told[:5])}"] if told else []
    return {text: common[key] if key else "" for text, key in names.items()}, notes
