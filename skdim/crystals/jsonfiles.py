"""The crystals of a JSON file one after the other, without the whole file in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from skdim.crystals.limits import check_values, current_limits, megabytes
from skdim.crystals.records import is_record, structure_from_dict, unwrap
from skdim.crystals.sources import Source, as_text, own_id
from skdim.crystals.streams import READ_ERRORS, Bounded, as_text_file, text_lines
from skdim.crystals.textformats import is_crystal_text, mistaken_for

__all__ = ["record_source", "sources_of_json", "sources_of_json_lines"]

_LISTS = frozenset(("entries", "data", "structures", "materials", "documents", "docs", "results", "crystals"))
"""Fields of a dict that hold many crystals: Alexandria, OPTIMADE, answers of other servers."""
_WRAPPERS = frozenset(("structure", "atoms", "attributes", "cif", "data", "entry", "crystal", "lattice"))
"""Fields by which a dict is one crystal with data beside it, not many crystals by their ids."""
_PATIENCE = 1000  # values without a crystal that are looked at before a list is given up
_IN_NUMBERS = frozenset(["", *"0123456789.eE+-"])
_WHITE = re.compile(r"[ \t\r\n]*")
_STEP = 1 << 16  # characters
_OTHER_RESOURCES = frozenset(("info", "links", "references", "calculations", "files", "trajectories"))  # of OPTIMADE


class _Values:
    """JSON read value by value."""

    def __init__(self, file: Any) -> None:
        self._file, self._text, self._at, self._ended, self._forgotten = file, "", 0, False, 0
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """Return the next character that is not white; empty at the end."""
        while True:
            self._at = _WHITE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it always matches
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_STEP):
                return ""

    def start(self) -> str:
        """Return what was read and not taken."""
        return self._text[self._at :]

    def place(self) -> int:
        """Return how many characters were taken."""
        return self._forgotten + self._at

    def check_taken_since(self, start: int) -> None:
        """Refuse to keep more than one crystal takes."""
        if self.place() - start > (most := current_limits().n_bytes):
            raise ValueError(f"more than {megabytes(most)} without a crystal (limit n_bytes)")

    def expect(self, marks: str) -> str:
        """Take one of some characters."""
        mark = self.peek()
        if not mark or mark not in marks:
            raise ValueError(f"{mark!r} where {' or '.join(map(repr, marks))} is needed" if mark else "it ends early")
        self._at += 1
        return mark

    def value(self) -> Any:
        """Take a whole value."""
        step = _STEP
        self.peek()
        while True:
            try:
                check_values(self._text)
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise ValueError("it is nested too deeply") from error
            except json.JSONDecodeError as error:
                # What is wrong far from the end of what was read will not be mended by reading on.
                cut = error.pos > len(self._text) - 20 or error.msg.startswith("Unterminated string")
                if cut and not self._text[self._at :].strip():
                    raise ValueError("it ends early") from error
                if not cut or not self._more(step):
                    if cut:
                        raise ValueError("it is cut off") from error
                    shown = self._text[error.pos : error.pos + 20]
                    where = f" at character {self._forgotten + error.pos}" + (f" ({shown!r})" if shown else "")
                    raise ValueError(f"{error.msg}{where}") from error
            else:
                # A number may go on behind the end of what was read.
                if self._text[end : end + 1] not in _IN_NUMBERS or not self._more(step):
                    self._at = end
                    return value
            step *= 2

    def elements(self) -> Iterator[Any]:
        """Take the values of a list, at its bracket."""
        self.expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self.expect(",]") == "]":
                return

    def keys(self) -> Iterator[str]:
        """Take the keys of an object, at its brace; after each the caller takes the value."""
        self.expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                self.expect('"')
            key = self.value()
            self.expect(":")
            yield key
            if self.expect(",}") == "}":
                return

    def _more(self, size: int) -> bool:
        """Read on, and forget what was taken."""
        if self._ended:
            return False
        if len(self._text) - self._at > (most := current_limits().n_bytes):
            raise ValueError(f"a value of more than {megabytes(most)} (limit n_bytes)")
        part = self._file.read(size)
        self._forgotten += self._at
        self._text, self._at = self._text[self._at :] + part, 0
        self._ended = not part
        return not self._ended


def sources_of_json(
    file: Bounded, name: str, column: str | None = None, id_field: str | None = None
) -> Iterator[Source]:
    """Yield the crystals of a JSON file.

    Parameters
    ----------
    file : Bounded
        One crystal or record with a crystal among its fields, a list of them, a dict of them by their ids, a dict with
        such a list as "entries" or "data", a table in pandas' "split" form, or several such values one after the other.
    name : str
        Of the file; it is the id of a single crystal, and the beginning of the ids of those that have none.
    column, id_field : str, optional
        The fields that hold the crystal and its id.

    Yields
    ------
    Source
        Where reading cannot go on, the last one is a problem with the file's name.
    """
    reader = _Reader(_Values(as_text_file(file)), name, column, id_field)
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
        yield Source(name, problem=f"JSON without crystals: {reader.seen}; accepted are one, a list, or a dict by ids")


class _HopelessError(Exception):
    """A long list without any crystal."""


class _OtherFileError(ValueError):
    """No JSON at all, but something that is known."""


class _Reader:
    """What is known while a file is read."""

    def __init__(self, values: _Values, name: str, column: str | None, id_field: str | None) -> None:
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
            self._waiting.append(Source(source.id, problem=source.problem or _why_not(value)))
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
            yield from self._row(key, key, value)

    def _field(self, key: str, fields: dict[str, Any]) -> Iterator[Source]:
        """Yield the crystals of a field that is a list of records, or keep the field if it is none."""
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
    file: Bounded, name: str, column: str | None = None, id_field: str | None = None
) -> Iterator[Source]:
    """Yield the crystals of a file with a JSON value on each line.

    Parameters
    ----------
    file : Bounded
        Lines as for `sources_of_json`: records. A line that cannot be read is a problem, and the next one is read.
        Header lines of OPTIMADE and its resources that are no structures are passed over.
    name, column, id_field
        As for `sources_of_json`. An id that a record does not have is the name and the number of its line among those
        that are not empty, from 0.

    Yields
    ------
    Source
    """
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


def record_source(
    key: str | None, fallback: str, value: Any, column: str | None = None, id_field: str | None = None
) -> Source:
    """Make the source of one record.

    Parameters
    ----------
    key : str or None
        The id that it has where it stands.
    fallback : str
        What it is called if it has no id of its own either.
    value : object
        A dict or text, or what is neither.
    column, id_field : str, optional
        The fields that hold the crystal and its id.

    Returns
    -------
    Source
        With a problem if there is no crystal in it, or no id in the field that was named.
    """
    name = key
    try:
        if isinstance(value, Mapping) and (key is None or id_field is not None):
            name = own_id(value, id_field)
        name = fallback if name is None else name
        return Source(name, _crystal(value, column))
    except ValueError as error:
        return Source(fallback if name is None else name, problem=str(error))


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


def _why_not(value: Any) -> str:
    """Say why text or a dict is no crystal."""
    if isinstance(value, str):
        return f"text that is neither CIF nor POSCAR nor JSON: it begins with {value[:40]!r}"
    try:
        structure_from_dict(value)
    except ValueError as error:
        return str(error)
    return "no crystal"


def _crystal(value: Any, column: str | None) -> Any:
    """Return the crystal of a record as what is parsed later."""
    if isinstance(value, Mapping):
        value = unwrap(value, column)
    elif value is None:
        raise ValueError("a missing value (null)")
    elif not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__}, where a crystal is needed")
    return as_text(value) if isinstance(value, str) else value


def holds_crystal(value: Any, column: str | None = None) -> bool:
    """Tell whether a value is a crystal or has one among its fields, damaged ones included.

    Parameters
    ----------
    value : object
        Any value.
    column : str, optional
        The field that must be there.

    Returns
    -------
    bool

    Examples
    --------
    >>> holds_crystal({"structure": {"lattice": {}}}), holds_crystal({"energy": 1})
    (True, False)
    """
    if isinstance(value, str):
        return is_crystal_text(value)
    if not isinstance(value, Mapping):
        return False
    if column is not None:
        return column in value
    try:
        found = unwrap(value)
    except ValueError:  # more than one
        return True
    return isinstance(found, str) or is_record(found) or isinstance(value.get("structure"), Mapping)
