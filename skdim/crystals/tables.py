"""The crystals of a table as text, CSV, a row at a time, and what a row of any table holds."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from skdim.crystals.columns import LOOKED_AT, choose_column, choose_ids
from skdim.crystals.limits import current_limits
from skdim.crystals.records import unwrap
from skdim.crystals.sources import Source, as_text
from skdim.crystals.streams import READ_ERRORS, Bounded, text_lines
from skdim.crystals.tablehead import LOOKED_AT as HEAD
from skdim.crystals.tablehead import head_of, header_row
from skdim.crystals.textformats import is_crystal_text, mistaken_for
from skdim.crystals.uploads import decoded

__all__ = ["TABLE_ERRORS", "crystal_of_cell", "long_fields", "source_of_row", "sources_of_csv"]

TABLE_ERRORS = (*READ_ERRORS, csv.Error, MemoryError, TypeError, KeyError, NotImplementedError)


def sources_of_csv(
    file: Bounded,  # separated by commas, semicolons or tabs; the header tells
    name: str,  # of the file: rows without an id get it with their number from 0
    column: str | None = None,  # the columns that hold the crystals and their ids; see `skdim.crystals.columns`
    id_column: str | None = None,
) -> Iterator[Source]:
    """Yield the crystals of a CSV file, a row each; where reading cannot go on, the last one is a problem."""
    number = 0
    try:
        with long_fields():
            for source in _rows_of_csv(text_lines(file), name, column, id_column):
                yield source
                number += 1
    except TABLE_ERRORS as error:
        yield Source(name, problem=f"a table that cannot be read{' any further' if number else ''}: {error}")
    else:
        if not number:
            yield Source(name, problem="a table without rows")


@contextmanager
def long_fields() -> Iterator[None]:
    """Let a field be as long as a crystal; the bound of the csv module is one for the whole process."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, current_limits().n_bytes))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _rows_of_csv(lines: Iterator[str], name: str, column: str | None, id_column: str | None) -> Iterator[Source]:
    """Yield the rows of a table, its first line being the header."""
    first = list(itertools.islice(lines, HEAD))
    if not any(line.strip() for line in first):
        raise ValueError("an empty file")
    if mistaken := mistaken_for(next(line for line in first if line.strip())):
        raise ValueError(mistaken)
    mark, first = head_of(first)
    rows = (row for row in csv.reader(itertools.chain(first, lines), delimiter=mark, strict=True) if row)
    head = list(itertools.islice(rows, LOOKED_AT + 1))
    start = header_row(head)
    names, head = [field.strip() for field in head[start]], head[start + 1 :]
    if any(map(is_crystal_text, names)):
        raise ValueError("a table without names of columns; the first line has to name them, as in id,cif")
    samples = {place: [row[place] for row in head if place < len(row)] for place in range(len(names))}
    places, id_place = choose_column(names, samples, column), choose_ids(names, id_column)
    for number, row in enumerate(itertools.chain(head, rows)):
        if len(row) < len(names) or any(row[len(names) :]):
            yield Source(f"{name}/{number}", problem=f"a row of {len(row)} fields under a header of {len(names)}")
        else:
            yield source_of_row(f"{name}/{number}", names, row, places, id_place, id_column)


def source_of_row(
    fallback: str,
    names: Sequence[str],
    row: Any,
    places: Sequence[int],
    id_place: int | None,
    id_column: str | None,
) -> Source:
    """Make the source of a row."""
    label = None if id_place is None else row[id_place]
    has_id = isinstance(label, str | int) and not isinstance(label, bool) and str(label).strip() != ""
    name = str(label) if has_id else fallback
    if id_column is not None and not has_id:
        return Source(name, problem=f"there is no id in the column {id_column!r}")
    value = row[places[0]] if len(places) == 1 else {names[place]: row[place] for place in places}
    try:
        return Source(name, crystal_of_cell(value))
    except ValueError as error:
        return Source(name, problem=str(error))


def crystal_of_cell(value: Any) -> Any:
    """Return what a table holds in one place as text or a dict, which are parsed later.

    Examples
    --------
    >>> crystal_of_cell("")
    Traceback (most recent call last):
    ValueError: a missing value
    """
    if isinstance(value, bytes):
        value = decoded(value)
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        raise ValueError("a missing value")
    if isinstance(value, dict):
        value = unwrap(value)
    elif not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]!r} of type {type(value).__name__}, where a crystal is needed")
    return as_text(value) if isinstance(value, str) else value
