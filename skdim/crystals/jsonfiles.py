"""The crystals of a JSON file one after the other, without the whole file in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from skdim.crystals.jsonrecords import holds_crystal, record_source, why_not
from skdim.crystals.jsonvalues import Values
from skdim.crystals.limits import check_values
from skdim.crystals.sources import Source, own_id
from skdim.crystals.streams import READ_ERRORS, Bounded, as_text_file, text_lines
from skdim.crystals.textformats import mistaken_for

__all__ = ["sources_of_json", "sources_of_json_lines"]

_LISTS = frozenset(
    ("entries", "data", "structures", "materials", "documents", "docs", "results", "response", "crystals")
)
"""Fields of a dict that hold many crystals: Alexandria, OPTIMADE, answers of other servers."""
_WRAPPERS = frozenset(("structure", "atoms", "attributes", "cif", "data", "entry", "crystal", "lattice"))
"""Fields by which a dict is one crystal with data beside it, not many crystals by their ids."""
_ERRORS = frozenset(("error", "errors", "detail"))
"""Fields of the answer of a server that failed."""
_ACCEPTED = "accepted are one, a list, or a dict by ids"
_PATIENCE = 1000  # values without a crystal that are looked at before a list is given up
_OTHER_RESOURCES = frozenset(("info", "links", "references", "calculations", "files", "trajectories"))  # of OPTIMADE


def sources_of_json(
    # One crystal or record with a crystal among its fields, a list of them, a dict of them by their ids, a dict with
    # such a list as "entries" or "data", a table in pandas' "split" form, or several such values one after the other.
    file: Bounded,
    name: str,  # of the file; it is the id of a single crystal, and the beginning of the ids of those that have none
    column: str | None = None,  # the fields that hold the crystal and its id
    id_field: str | None = None,
) -> Iterator[Source]:
    """Yield the crystals of a JSON file; where reading cannot go on, the last one is a problem."""
    reader = _Reader(Values(as_text_file(file)), name, column, id_field)
    try:
        yield from reader.read()
    except _HopelessError:
        pass
    except _OtherFileError as error:
        yield Source(name, problem=str(error))
        return
    except (*READ_ERRORS, MemoryError) as error:
        how = " any further" if reader.n_crystals else ""
        yield Source(name, problem=f"JSON that cannot be read{how}: {error}")
        return
    if not reader.n_crystals:
        yield Source(name, problem=f"JSON without crystals: {reader.seen}{reader.first_problem()}; {_ACCEPTED}")


class _HopelessError(Exception):
    """A long list without any crystal."""


class _OtherFileError(ValueError):
    """No JSON at all, but something that is known."""


class _Reader:
    """What is known while a file is read."""

    def __init__(self, values: Values, name: str, column: str | None, id_field: str | None) -> None:
        self.values, self.name, self.column, self.id_field = values, name, column, id_field
        self.n_crystals = 0  # yielded, damaged ones included
        self.n_values = 0  # of the list or file that is read
        self.seen = "nothing"  # what the file holds, for the message that it holds no crystals
        self._waiting: list[
            Source
        ] = []  # values without crystal, which are rows if there is a crystal among the others

    def read(self) -> Iterator[Source]:
        """Yield the crystals of all values of the file."""
        if not self.values.peek():
            raise _OtherFileError("an empty file")
        if mistaken := mistaken_for(self.values.start()):
            raise _OtherFileError(mistaken)
        while mark := self.values.peek():
            if mark == "[":
                self.seen = "a list"
                yield from self._list(self.values.elements())
            elif mark == "{":
                yield from self._dict()
            else:
                value = self.values.value()
                self.seen = f"a {type(value).__name__}"
                if holds_crystal(value, self.column):
                    yield from self._single(value)

    def first_problem(self) -> str:
        """Say why the first record is no crystal, where there are records."""
        return f", the first of which is no crystal: {self._waiting[0].problem}" if self._waiting else ""

    def _single(self, value: Any) -> Iterator[Source]:
        """Yield a crystal that stands in no list. Where more follow, these are JSON lines and each has a number."""
        alone = not self.n_values and not self.values.peek()
        fallback = f"{self.name}/{self.n_values}"
        self.n_crystals += 1
        self.n_values += 1
        yield record_source(self.name if alone else None, fallback, value, self.column, self.id_field)

    def _list(self, elements: Iterator[Any]) -> Iterator[Source]:
        """Yield the crystals of a list."""
        for value in elements:
            if isinstance(value, Mapping) and value.get("type") in _OTHER_RESOURCES and "attributes" in value:
                continue
            yield from self._row(None, f"{self.name}/{self.n_values}", value)

    def _row(self, key: str | None, fallback: str, value: Any) -> Iterator[Source]:
        """Yield a value of a collection; one without crystal waits until there is a crystal."""
        source = record_source(key, fallback, value, self.column, self.id_field)
        self.n_values += 1
        if not self.n_crystals and not holds_crystal(value, self.column):
            self._waiting.append(Source(source.id, problem=source.problem or why_not(value)))
            if len(self._waiting) > _PATIENCE:
                raise _HopelessError
            return
        yield from self._waiting
        self.n_crystals += 1 + len(self._waiting)
        self._waiting = []
        yield source

    def _dict(self) -> Iterator[Source]:
        """Yield the crystal that a dict is, or those that it has by their ids or in a list."""
        fields: dict[str, Any] = {}
        before, start, by_ids = self.n_values, self.values.place(), False
        for key in self.values.keys():  # noqa: SIM118 - no mapping
            if key in _LISTS and not by_ids and self.values.peek() == "[":
                yield from self._field(key, fields)
                continue
            value = self.values.value()
            if not by_ids and self._is_first_of_many(key, value, fields):
                by_ids = True
                for earlier, other in fields.items():
                    yield from self._keyed(earlier, other)
            if by_ids:
                yield from self._keyed(key, value)
            else:
                fields[key] = value
                self.values.check_taken_since(start)
        if by_ids or self.n_values > before:  # what else it has describes the list
            return
        self.seen = f"a dict with the keys {', '.join(repr(key[:40]) for key in list(fields)[:8]) or '(none)'}"
        if empty := next((key for key, value in fields.items() if key in _LISTS and value == []), None):
            self.seen += f", of which {empty!r} is an empty list"
        elif failed := next((key for key in fields if key in _ERRORS), None):
            self.seen += f", the answer of a server that failed: {str(fields[failed])[:200]}"
        if _is_table(fields, self.column):
            yield from self._columns(fields)
        elif holds_crystal(fields, self.column):
            yield from self._single(fields)
        elif self.n_values:
            yield from self._row(None, f"{self.name}/{self.n_values}", fields)

    def _columns(self, columns: Mapping[str, Mapping[str, Any]]) -> Iterator[Source]:
        """Yield the rows of a table in pandas' "columns" form: for each column a dict by row."""
        for key in next(iter(columns.values())):
            record = {name: values.get(key) for name, values in columns.items()}
            yield from self._row(None if key.isdigit() else key, f"{self.name}/{key}", record)

    def _is_first_of_many(self, key: str, value: Any, fields: Mapping[str, Any]) -> bool:
        """Tell whether a value is the first of many crystals by their ids, not a field of one crystal."""
        if key == self.column or key in _WRAPPERS or not _WRAPPERS.isdisjoint(fields):
            return False
        return holds_crystal(value, self.column)

    def _keyed(self, key: str, value: Any) -> Iterator[Source]:
        """Yield a crystal that is known by its id."""
        if isinstance(value, Mapping) and key.isdigit() and {"numbers", "positions"} <= value.keys():
            yield from self._row(None, f"{self.name}/{key}", value)  # a database of ASE, which counts its rows
        elif key not in ("ids", "nextid"):  # which such a database has beside them
            if self._are_frames(value):  # a relaxation or trajectory in the Materials Project (MPtrj)
                for frame, one in value.items():
                    yield from self._row(frame if frame.startswith(key) else f"{key}/{frame}", frame, one)
                return
            # Numbers are places, as pandas writes them, where the records have ids of their own.
            own = own_id(value) if key.isdigit() and isinstance(value, Mapping) else None
            yield from self._row(own or key, key, value)

    def _are_frames(self, value: Any) -> bool:
        """Tell several crystals of one id, by ids of their own, from fields of one record: ids have digits."""
        return (
            self.column is None
            and isinstance(value, Mapping)
            and bool(value)
            and all(any(map(str.isdigit, key)) and isinstance(one, Mapping) for key, one in value.items())
            and all(map(holds_crystal, value.values()))
        )

    def _field(self, key: str, fields: dict[str, Any]) -> Iterator[Source]:
        """Yield the crystals of a field that is a list of records, or keep a field that is not."""
        if key == "data" and isinstance(fields.get("columns"), list):
            yield from self._split(fields["columns"], fields.get("index"))
            return
        elements, start = self.values.elements(), self.values.place()
        first = next(elements, None)
        if isinstance(first, Mapping) or holds_crystal(first, self.column):
            self.seen = f"a dict with a list as {key!r}"
            yield from self._list(_chained(first, elements))
            return
        fields[key] = kept = [] if first is None else [first]
        for value in elements:
            kept.append(value)
            self.values.check_taken_since(start)

    def _split(self, columns: list[Any], labels: Any) -> Iterator[Source]:
        """Yield the rows of a table in pandas' "split" form: columns, perhaps labels, then rows."""
        self.seen = f"a table with the columns {', '.join(map(repr, columns[:8]))}"
        for number, row in enumerate(self.values.elements()):
            record = dict(zip(columns, row, strict=False)) if isinstance(row, list) else row
            label = labels[number] if isinstance(labels, list) and number < len(labels) else None
            # Rows that pandas has only numbered have no names.
            yield from self._row(label if isinstance(label, str) else None, f"{self.name}/{number}", record)


def _chained(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    """Put a value back before those that follow."""
    yield first
    yield from others


def sources_of_json_lines(
    # Lines as for `sources_of_json`: records. A line that cannot be read is a problem, and the next one is read. Header
    # lines of OPTIMADE and its resources that are no structures are passed over.
    file: Bounded,
    # As for `sources_of_json`. An id that a record does not have is the name and the number of its line among those
    # that are not empty, from 0.
    name: str,
    column: str | None = None,
    id_field: str | None = None,
) -> Iterator[Source]:
    """Yield the crystals of a file with a JSON value on each line."""
    number = 0
    try:
        for line in text_lines(file):
            if not line.strip():
                continue
            if number == 0 and (mistaken := mistaken_for(line)):
                raise ValueError(mistaken)
            source = _of_line(line, f"{name}/{number}", column, id_field)
            if source is not None:
                yield source
            number += 1
    except (*READ_ERRORS, MemoryError) as error:
        yield Source(name, problem=f"JSON lines that cannot be read{' any further' if number else ''}: {error}")
    else:
        if number == 0:
            yield Source(name, problem="an empty file")


def _of_line(line: str, name: str, column: str | None, id_field: str | None) -> Source | None:
    """Return the crystal of a line; None for what stands beside the crystals in files of OPTIMADE."""
    try:
        check_values(line)
        value = json.loads(line)
    except RecursionError:
        return Source(name, problem="JSON that is nested too deeply")
    except ValueError as error:
        return Source(name, problem=f"JSON that cannot be read: {error}")
    if isinstance(value, Mapping) and ("x-optimade" in value or value.get("type") in _OTHER_RESOURCES):
        return None
    return record_source(None, name, value, column, id_field)


def _is_table(fields: Mapping[str, Any], column: str | None) -> bool:
    """Tell a table by columns, each a dict by row, from one crystal in fields."""
    columns = list(fields.values())
    if not columns or not all(isinstance(values, Mapping) and values for values in columns):
        return False
    rows = columns[0].keys()
    some = [values for name, values in fields.items() if column in (None, name)]
    return all(values.keys() == rows for values in columns) and any(
        holds_crystal(next(iter(values.values()))) for values in some
    )
