"""The crystals of a table in Parquet or Arrow (Feather), a row at a time.

In a few bytes both can state values that would fill all memory: as one value that many rows share, or by compression.
So sizes are looked at before anything is unpacked or made an object of Python.
"""

from __future__ import annotations

import itertools
import math
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from skdim.crystals.columns import LOOKED_AT, choose_column, choose_ids
from skdim.crystals.limits import current_limits, megabytes
from skdim.crystals.parquetfooter import chunks_of
from skdim.crystals.sources import Source
from skdim.crystals.streams import check_regular
from skdim.crystals.tables import TABLE_ERRORS, source_of_row
from skdim.crystals.textformats import mistaken_for

__all__ = ["sources_of_arrow"]

_BATCH = 64  # rows that are in memory at once
_ROWS_A_BYTE, _MANY_ROWS = 2, 100_000  # up to so many rows may share values as they like
_RATIO = 200  # bytes unpacked for each in the file, of what is larger than a crystal

Batches = Iterator[tuple[Sequence[int], list[list[Any]]]]
"""Places of columns, and the values of each for some rows."""


def sources_of_arrow(path: str, name: str, column: str | None = None, id_column: str | None = None) -> Iterator[Source]:
    """Yield the crystals of a Parquet or Arrow file, a row each; see `skdim.crystals.tables.sources_of_csv`."""
    number = 0
    try:
        check_regular(path)
        for source in _rows(path, name, column, id_column):
            yield source
            number += 1
    except (*TABLE_ERRORS, struct.error) as error:  # those of pyarrow are ValueError, OSError, KeyError, ...
        words = " ".join(str(error).split())[:300]
        yield Source(name, problem=f"a table that cannot be read{' any further' if number else ''}: {words}")
    else:
        if not number:
            yield Source(name, problem="a table without rows")


def _rows(path: str, name: str, column: str | None, id_column: str | None) -> Iterator[Source]:
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
    some = batches([place for place, field in enumerate(schema) if _may_hold_crystals(field.type)], LOOKED_AT)
    samples: dict[int, list[Any]] = {}
    for batch_places, values in itertools.islice(some, 1):
        samples = dict(zip(batch_places, values, strict=True))
    places, id_place = choose_column(names, samples, column), choose_ids(names, id_column)
    wanted = list(dict.fromkeys([*places, *([] if id_place is None else [id_place])]))
    numbers = itertools.count()
    for batch_places, values in batches(wanted, _BATCH):
        for row in zip(*values, strict=True):
            record = dict(zip(batch_places, row, strict=True))
            yield source_of_row(f"{name}/{next(numbers)}", names, record, places, id_place, id_column)


def _may_hold_crystals(kind: Any) -> bool:
    """Tell columns of text, bytes or dicts from numbers."""
    from pyarrow import types

    return _is_text(kind) or types.is_struct(kind) or types.is_dictionary(kind)


def _is_text(kind: Any) -> bool:
    """Tell text and bytes."""
    from pyarrow import types

    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in tests) or str(kind) in ("string_view", "binary_view")


def _open_parquet(path: str) -> tuple[Any, Any]:
    """Return the schema of a Parquet file, and what reads some of its columns in batches."""
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    schema = file.schema_arrow
    _check_rows(file.metadata.num_rows, path)

    def batches(places: Sequence[int], size: int) -> Batches:
        names = [schema.names[place] for place in places]
        # What many rows share stays one value.
        shared = _check_chunks(path, set(names))
        reader = parquet.ParquetFile(path, metadata=file.metadata, read_dictionary=shared) if shared else file
        # Of threads each would hold a row group.
        for batch in reader.iter_batches(size, columns=names, use_threads=False):
            batch.validate(full=True)
            found = {name: place for place, name in enumerate(batch.schema.names)}
            yield from ((places, values) for values in _values([batch.column(found[name]) for name in names]))

    return schema, batches


def _check_rows(n_rows: int, path: str) -> None:
    """Refuse many more rows than bytes, which are all empty; rows that share few values take some bits each."""
    if n_rows > max(_MANY_ROWS, _ROWS_A_BYTE * (size := os.stat(path).st_size)):
        raise ValueError(f"it states {n_rows} rows in {size} bytes")


def _check_chunks(path: str, names: set[str]) -> list[str]:
    """List columns with values that rows share; refuse those that unpack to more than sound ones do."""
    most, shared = current_limits().n_bytes, []
    for chunk in chunks_of(path):
        if chunk.path.split(".")[0] not in names:
            continue
        if chunk.unpacked > most and chunk.unpacked > _RATIO * chunk.packed:
            raise ValueError(f"the column {chunk.path!r} unpacks to {_RATIO} times its size")
        if chunk.has_shared_texts and chunk.unpacked > most // _BATCH:
            shared.append(chunk.path)
    return list(dict.fromkeys(shared))


def _open_arrow(path: str) -> tuple[Any, Any]:
    """Return the schema of an Arrow file, and what reads some of its columns in batches."""
    from pyarrow import ipc

    reader = ipc.open_file(path)
    _check_messages(path)

    def batches(places: Sequence[int], size: int) -> Batches:
        n_rows = 0
        for k in range(reader.num_record_batches):
            batch = reader.get_batch(k)
            batch.validate(full=True)  # damaged offsets would lead out of its memory
            n_rows += batch.num_rows
            _check_rows(n_rows, path)
            for start in range(0, batch.num_rows, size):
                part = batch.slice(start, size)
                yield from ((places, values) for values in _values([part.column(place) for place in places]))

    return reader.schema, batches


def _check_messages(path: str) -> None:
    """Refuse batches that unpack to more than sound ones do: a batch is unpacked whole.

    References
    ----------
    https://arrow.apache.org/docs/format/Columnar.html and the files File.fbs and Message.fbs of Arrow
    """
    import pyarrow as pa
    from pyarrow import ipc

    with pa.memory_map(path) as file:
        length = int.from_bytes(file.read_at(4, file.size() - 10), "little")
        footer = _FlatBuffer(file.read_at(length, file.size() - 10 - length))
        for in_dictionary, position in ((True, 2), (False, 3)):
            for offset, _, _ in footer.structs(footer.root, position, "<qi4xq"):
                file.seek(offset)
                message = ipc.read_message(file)
                unpacked = _unpacked(message.metadata.to_pybytes(), message.body, in_dictionary)
                if unpacked > max(current_limits().n_bytes, _RATIO * message.body.size):
                    raise ValueError(f"a batch of rows unpacks to {megabytes(unpacked)}, {_RATIO} times its size")


def _unpacked(metadata: bytes, body: Any, in_dictionary: bool) -> int:
    """Bytes that the buffers of a message unpack to, as they state before their content; 0 if none is compressed."""
    message = _FlatBuffer(metadata)
    batch = message.table(message.root, 2)
    if in_dictionary:
        batch = message.table(batch, 1)
    if not message.field(batch, 3):
        return 0
    stated = (offset for offset, length in message.structs(batch, 2, "<qq") if length)
    # -1 is for one that is not compressed.
    return sum(max(0, struct.unpack_from("<q", body, offset)[0]) for offset in stated)


class _FlatBuffer:
    """Tables by the positions of their fields; each table begins with how far back the places of its fields are."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.root = self._number("I", 0)

    def _number(self, kind: str, place: int) -> int:
        return int(struct.unpack_from(f"<{kind}", self._data, place)[0])

    def field(self, table: int, position: int) -> int:
        """Where a field is; 0 if it is not given."""
        places = table - self._number("i", table)
        at = 4 + 2 * position
        offset = self._number("H", places + at) if at < self._number("H", places) else 0
        return table + offset if offset else 0

    def table(self, table: int, position: int) -> int:
        """Where the table or list is that a field refers to."""
        place = self.field(table, position)
        return place + self._number("I", place)

    def structs(self, table: int, position: int, layout: str) -> Iterator[tuple[int, ...]]:
        """Yield the entries of a list of numbers of this layout; none if it is not given."""
        if not self.field(table, position):
            return
        place = self.table(table, position)
        for k in range(self._number("I", place)):
            yield struct.unpack_from(layout, self._data, place + 4 + struct.calcsize(layout) * k)


def _values(columns: list[Any]) -> Iterator[list[list[Any]]]:
    """Yield the values of columns, all rows at once where they are small, and else one after the other."""
    if not columns or not len(columns[0]):
        return
    if sum(map(_size, columns)) <= (most := current_limits().n_bytes):
        yield [column.to_pylist() for column in columns]
        return
    for k in range(len(columns[0])):
        row = [column.slice(k, 1) for column in columns]
        if sum(map(_size, row)) > most:
            raise ValueError(f"row {k} of a batch takes more than {megabytes(most)} (limit n_bytes)")
        yield [value.to_pylist() for value in row]


def _size(column: Any) -> float:
    """Bytes of the values of a column once each is an object of its own."""
    import pyarrow as pa
    from pyarrow import compute, types

    kind = column.type
    if types.is_struct(kind) or types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        parts = column.flatten()
        return sum(map(_size, parts if types.is_struct(kind) else [parts]))
    if types.is_dictionary(kind):
        if not _is_text(kind.value_type):
            return _size(column.dictionary) * len(column)
        lengths = compute.binary_length(column.dictionary).take(column.indices)
        return float(compute.sum(lengths).as_py() or 0)
    if not _is_text(kind):
        return float(column.nbytes)
    if str(kind).endswith("view"):  # whose length pyarrow does not tell; views may share what they show
        if len(column) > 1:
            return math.inf
        column = column.cast(pa.large_binary())
    return float(compute.sum(compute.binary_length(column)).as_py() or 0)
