"""The crystals of a table in a file, CSV, Parquet or Arrow, a row at a time."""

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
from skdim.crystals.streams import READ_ERRORS, Bounded, check_regular, text_lines
from skdim.crystals.textformats import mistaken_for
from skdim.crystals.uploads import decoded

__all__ = ["sources_of_arrow", "sources_of_csv"]

_BATCH = 64  # rows of a Parquet file that are in memory at once
_TABLE_ERRORS = (*READ_ERRORS, csv.Error, MemoryError, TypeError, KeyError, NotImplementedError)


def sources_of_csv(
    file: Bounded,  # separated by commas, semicolons or tabs; the header tells
    name: str,  # of the file: rows without an id get it with their number from 0
    column: str | None = None,  # the columns that hold the crystals and their ids; see `skdim.crystals.columns`
    id_column: str | None = None,
) -> Iterator[Source]:
    """Yield the crystals of a CSV file, a row each; where reading cannot go on, the last one is a problem."""
    number = 0
    try:
        with _long_fields():
            for source in _rows_of_csv(text_lines(file), name, column, id_column):
                yield source
                number += 1
    except _TABLE_ERRORS as error:
        yield Source(name, problem=f"a table that cannot be read{' any further' if number else ''}: {error}")
    else:
        if not number:
            yield Source(name, problem="a table without rows")


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let a field be as long as a crystal; the csv module has one bound for all."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, current_limits().n_bytes))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _rows_of_csv(lines: Iterator[str], name: str, column: str | None, id_column: str | None) -> Iterator[Source]:
    """Yield the rows of a table, its first line being the header."""
    first = next(lines, "")
    if not first.strip():
        raise ValueError("an empty file")
    if mistaken := mistaken_for(first):
        raise ValueError(mistaken)
    separator = max("\t;,", key=first.count)
    rows = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=True)
    names = [field.strip() for field in next(rows)]
    head = list(itertools.islice(rows, LOOKED_AT))
    samples = {place: [row[place] for row in head if place < len(row)] for place in range(len(names))}
    places, id_place = choose_column(names, samples, column), choose_ids(names, id_column)
    filled = (row for row in itertools.chain(head, rows) if row)  # an empty line is no row
    for number, row in enumerate(filled):
        if len(row) != len(names):
            yield Source(f"{name}/{number}", problem=f"a row of {len(row)} fields under a header of {len(names)}")
        else:
            yield _source(f"{name}/{number}", names, row, places, id_place, id_column)


def sources_of_arrow(path: str, name: str, column: str | None = None, id_column: str | None = None) -> Iterator[Source]:
    """Yield the crystals of a Parquet or Arrow (Feather) file, a row each, as `sources_of_csv` does."""
    number = 0
    try:
        check_regular(path)
        for source in _rows_of_arrow(path, name, column, id_column):
            yield source
            number += 1
    except _TABLE_ERRORS as error:  # those of pyarrow are ValueError, OSError, KeyError, ...
        words = " ".join(str(error).split())[:300]
        yield Source(name, problem=f"a table that cannot be read{' any further' if number else ''}: {words}")
    else:
        if not number:
            yield Source(name, problem="a table without rows")


def _rows_of_arrow(path: str, name: str, column: str | None, id_column: str | None) -> Iterator[Source]:
    """Yield the rows of a file; only the columns that are needed are read."""
    with open(path, "rb") as file:
        head = file.read(200)
    if head.startswith(b"PAR1"):
        schema, batches = _open_parquet(path)
    elif head.startswith((b"ARROW1", b"FEA1")):
        schema, batches = _open_arrow(path)
    else:
        text = head.decode("utf-8", "replace")
        raise ValueError(mistaken_for(text) or f"neither Parquet nor Arrow: it begins with {text[:20]!r}")
    names = list(schema.names)
    rows = batches([place for place, field in enumerate(schema) if _may_hold_crystals(field)], LOOKED_AT)
    samples: dict[int, list[Any]] = {}
    for batch_places, values in itertools.islice(rows, 1):
        samples = dict(zip(batch_places, values, strict=True))
    places, id_place = choose_column(names, samples, column), choose_ids(names, id_column)
    wanted = list(dict.fromkeys([*places, *([] if id_place is None else [id_place])]))
    numbers = itertools.count()
    for batch_places, values in batches(wanted, _BATCH):
        for row in zip(*values, strict=True):
            record = dict(zip(batch_places, row, strict=True))
            yield _source(f"{name}/{next(numbers)}", names, record, places, id_place, id_column)


def _may_hold_crystals(field: Any) -> bool:
    """Tell columns of text, bytes or dicts from numbers."""
    from pyarrow import types

    kind = field.type
    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary, types.is_struct)
    return any(test(kind) for test in tests) or types.is_dictionary(kind) or str(kind) in ("string_view", "binary_view")


def _open_parquet(path: str) -> tuple[Any, Any]:
    """Return the schema of a Parquet file, and what reads some of its columns in batches."""
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    schema = file.schema_arrow

    def batches(places: Sequence[int], size: int) -> Iterator[tuple[Sequence[int], list[list[Any]]]]:
        _check_unpacked(file.metadata, {schema.names[place] for place in places})
        # Of threads each would hold a row group.
        found = file.iter_batches(size, columns=[schema.names[place] for place in places], use_threads=False)
        for batch in found:
            batch.validate(full=True)
            yield places, [batch.column(schema.names[place]).to_pylist() for place in places]

    return schema, batches


def _check_unpacked(metadata: Any, names: set[str]) -> None:
    """Refuse columns that unpack to more than sound ones do: a page is unpacked whole."""
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            large = chunk.total_uncompressed_size > current_limits().n_bytes
            if (
                large
                and chunk.total_uncompressed_size > 200 * chunk.total_compressed_size
                and (chunk.path_in_schema.split(".")[0] in names)
            ):
                raise ValueError(f"the column {chunk.path_in_schema!r} unpacks to 200 times its size")


def _open_arrow(path: str) -> tuple[Any, Any]:
    """Return the schema of an Arrow file, and what reads some of its columns in batches."""
    from pyarrow import ipc

    reader = ipc.open_file(path)

    def batches(places: Sequence[int], size: int) -> Iterator[tuple[Sequence[int], list[list[Any]]]]:
        for k in range(reader.num_record_batches):
            batch = reader.get_batch(k)
            batch.validate(full=True)  # damaged offsets would lead out of its memory
            for start in range(0, batch.num_rows, size):
                part = batch.slice(start, size)
                yield places, [part.column(place).to_pylist() for place in places]

    return reader.schema, batches


def _source(
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
