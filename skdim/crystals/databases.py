"""Databases and trajectories of ASE, read from their bytes: what ASE would decode into objects is left as data."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.limits import current_limits
from skdim.crystals.sources import Source, own_id
from skdim.crystals.streams import READ_ERRORS, Bounded, check_regular, read_whole
from skdim.crystals.textformats import mistaken_for

__all__ = ["sources_of_database", "sources_of_trajectory"]

_SQLITE = b"SQLite format 3\0"
_STEPS = 50_000_000  # of SQLite's machine for one row; a sound row takes a hundred
_QUERY = "SELECT id, numbers, positions, cell, pbc, key_value_pairs FROM systems ORDER BY id"
_MOST_FRAMES = 10_000_000
_READ, _SMALL = 4, 1 << 20  # times that a trajectory is read; sound frames share the atomic numbers of the first
_DATABASE_ERRORS = (*READ_ERRORS, sqlite3.Error, TypeError, LookupError, OverflowError, MemoryError)


def sources_of_database(
    path: str,  # the file. It is opened for reading only
    # Of the file: a row is called by it and by ASE's number of the row, unless its key-value pairs have an id.
    name: str,
    id_field: str | None = None,  # the key of the id among the key-value pairs
) -> Iterator[Source]:
    """Yield the crystals of a database of ASE in SQLite; where reading cannot go on, the last one is a problem."""
    number = 0
    try:
        check_regular(path)
        with open(path, "rb") as file:
            head = file.read(200)
        if not head.startswith(_SQLITE):
            raise ValueError(mistaken_for(head.decode("utf-8", "replace")) or "no database of SQLite")
        for source in _rows(path, name, id_field):
            yield source
            number += 1
    except _DATABASE_ERRORS as error:
        how = " any further" if number else ""
        yield Source(name, problem=f"a database of ASE that cannot be read{how}: {error}")
    else:
        if not number:
            yield Source(name, problem="a database without rows")


def _rows(path: str, name: str, id_field: str | None) -> Iterator[Source]:
    """Yield the rows of a database."""
    # Without a log of changes beside it the file is complete, and SQLite needs to make no files of its own.
    immutable = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    uri = f"{Path(path).absolute().as_uri()}?mode=ro{immutable}"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        # Views and triggers in the file are code; without a bound a view could compute forever.
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA query_only=ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(current_limits().n_bytes, 2**31 - 1))
        kinds = [kind for (kind,) in connection.execute("SELECT type FROM sqlite_master WHERE name='systems'")]
        if kinds != ["table"]:
            raise ValueError("there is no table 'systems'")
        steps = _Steps()
        connection.set_progress_handler(steps, 1_000_000)
        for row in connection.execute(_QUERY):
            steps.left = _STEPS
            yield _row(row, name, id_field)


class _Steps:
    """Stops SQLite when one row takes too many steps."""

    def __init__(self) -> None:
        self.left = _STEPS

    def __call__(self) -> bool:
        """Count a million steps; True stops."""
        self.left -= 1_000_000
        return self.left < 0


def _row(row: tuple[Any, ...], name: str, id_field: str | None) -> Source:
    """Make the source of a row."""
    number, numbers, positions, cell, pbc, pairs = row
    fallback = f"{name}/{number}"
    try:
        named = json.loads(pairs) if isinstance(pairs, str) else {}
        key = own_id(named if isinstance(named, Mapping) else {}, id_field) or fallback
    except (ValueError, RecursionError) as error:
        return Source(fallback, problem=str(error))
    try:
        record = {
            "numbers": np.frombuffer(numbers, "<i4"),
            "positions": np.frombuffer(positions, "<f8").reshape(-1, 3),
            "cell": np.frombuffer(cell, "<f8").reshape(3, 3),
            "pbc": [bool(int(pbc) >> axis & 1) for axis in range(3)],
        }
    except (ValueError, TypeError) as error:
        return Source(key, problem=f"a row without atoms that can be read: {error}")
    return Source(key, record)


def sources_of_trajectory(file: Bounded, name: str) -> Iterator[Source]:
    """Yield the crystals of a trajectory of ASE (.traj); where reading cannot go on, the last one is a problem.

    The name of the file is the id of a single frame, and with their numbers from 0 that of many.
    """
    number = 0
    try:
        # Frames are read from their ends, and what is compressed could only go back by beginning anew.
        parts = _Parts(io.BytesIO(read_whole(file, "a compressed trajectory")) if file.is_compressed else file)
        offsets = _offsets(parts)
        header: dict[str, Any] = {}
        for number, offset in enumerate(offsets):
            item, little = _item(parts, int(offset))
            header = header or {key: item[key] for key in ("numbers.", "numbers", "pbc.", "pbc") if key in item}
            yield Source(f"{name}/{number}" if len(offsets) > 1 else name, _frame(parts, {**header, **item}, little))
    except (*READ_ERRORS, TypeError, LookupError, OverflowError, MemoryError, RecursionError) as error:
        how = f" from frame {number} on" if number else ""
        yield Source(name, problem=f"a trajectory of ASE that cannot be read{how}: {error}")


def _offsets(parts: _Parts) -> NDArray[np.int64]:
    """Read where the frames are."""
    head = parts.read(0, 48)
    if not head.startswith(b"- of Ulm") or head[8:24].rstrip() != b"ASE-Trajectory":
        raise ValueError(mistaken_for(head.decode("utf-8", "replace")) or "no trajectory of ASE-3.10 or newer")
    _, n_frames, place = np.frombuffer(head[24:48], "<i8")
    if not 0 < n_frames <= _MOST_FRAMES:
        raise ValueError(f"it states {n_frames} frames")
    return np.frombuffer(parts.read(int(place), 8 * int(n_frames)), "<i8")


def _item(parts: _Parts, offset: int) -> tuple[dict[str, Any], bool]:
    """Read what a frame holds: values, and where its arrays are; and whether those are little-endian."""
    (size,) = np.frombuffer(parts.read(offset, 8), "<i8")
    item = json.loads(parts.read(offset + 8, int(size)))
    if not isinstance(item, dict):
        raise ValueError("a frame that is no dict")
    return item, bool(item.get("_little_endian", True))


def _frame(parts: _Parts, item: Mapping[str, Any], little: bool) -> dict[str, Any]:
    """Read the atoms of a frame."""
    record = {key: _value(parts, item, key, little) for key in ("numbers", "positions", "cell", "pbc")}
    info = item.get("info")
    if isinstance(info, Mapping) and info.get("occupancy") is not None:
        # Only where it is needed: of a disordered crystal the atoms name the first element of each site.
        record["info"] = {"occupancy": info["occupancy"]}
        record["spacegroup_kinds"] = _value(parts, item, "spacegroup_kinds", little)
    return record


def _value(parts: _Parts, item: Mapping[str, Any], key: str, little: bool) -> Any:
    """Read a value, which may be an array elsewhere in the file."""
    stored = item.get(f"{key}.")
    if not isinstance(stored, Mapping) or "ndarray" not in stored:
        return item.get(key)
    shape, dtype, offset = stored["ndarray"]
    kind = np.dtype(str(dtype))
    if kind.kind not in "bif":
        raise ValueError(f"an array of type {dtype!r}")
    n_values = int(np.prod([int(length) for length in shape], dtype=object))
    data = parts.read(int(offset), n_values * kind.itemsize)
    return np.frombuffer(data, kind.newbyteorder("<" if little else ">")).reshape(shape)


class _Parts:
    """Reads parts of a file; one that is read over and over, as many frames in one place are, is a ValueError."""

    def __init__(self, file: BinaryIO | Bounded) -> None:
        self._file, self._end, self._n_read = file, 0, 0

    def read(self, offset: int, size: int) -> bytes:
        """Read a part."""
        if offset < 0 or size < 0:
            raise ValueError("a place before the beginning")
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise ValueError("it ends early")
        self._end = max(self._end, offset + size)
        self._n_read += size
        if self._n_read > _READ * self._end + _SMALL:
            raise ValueError("its frames overlap")
        return data
