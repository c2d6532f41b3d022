"""What a Parquet file says of its columns, read here: pyarrow ends the process where one of them contradicts itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from skdim.crystals.limits import megabytes

__all__ = ["Chunk", "chunks_of"]

_MOST = 4 << 20  # bytes of a footer, which are looked at one by one
_DEEPEST = 32
_BYTE_ARRAY = 6
# By number, the fields of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData that are kept.
_KEPT: Mapping[int, Any] = {4: {1: {3: {1: None, 3: None, 6: None, 7: None, 11: None}}}}
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12


class Chunk(NamedTuple):
    """A column in a group of rows."""

    path: str  # its name, with those of parts behind dots
    unpacked: int  # bytes
    packed: int
    has_shared_texts: bool  # whether its values are texts of a dictionary


def chunks_of(path: str) -> Iterator[Chunk]:
    """Yield the columns of each group of rows of a Parquet file, as its footer states them.

    References
    ----------
    https://github.com/apache/parquet-format and the compact protocol of https://github.com/apache/thrift
    """
    with open(path, "rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        if length > _MOST:
            raise ValueError(f"its footer has {megabytes(length)}; up to {megabytes(_MOST)} are read")
        file.seek(-8 - length, os.SEEK_END)
        footer = _Compact(file.read(length)).struct(_KEPT)
    try:
        for group in footer.get(4, ()):
            for column in group[1]:
                facts = column[3]
                names = [part.decode("utf-8", "replace") for part in facts[3]]
                yield Chunk(".".join(names), int(facts[6]), int(facts[7]), facts[1] == _BYTE_ARRAY and 11 in facts)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"its footer does not describe columns: {type(error).__name__} {error}") from error


class _Compact:
    """Values one after the other, in the compact protocol of Thrift."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self, kept: Mapping[int, Any], depth: int = 0) -> dict[int, Any]:
        """Read fields up to the end of a struct; those that are not kept are passed over."""
        if depth > _DEEPEST:
            raise ValueError("its footer is nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            keeps = number in kept
            value = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, kept.get(number), keeps, depth)
            if keeps:
                found[number] = value
        return found

    def _value(self, kind: int, kept: Mapping[int, Any] | None, keeps: bool, depth: int) -> Any:
        """Read a value of a kind."""
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind < _DOUBLE:
            return self._signed()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._unsigned())
        if kind in (_LIST, _SET):
            return self._list(kept, keeps, depth)
        if kind == _MAP:
            return self._map(depth)
        if kind == _STRUCT:
            return self.struct(kept or {}, depth + 1)
        raise ValueError(f"its footer has a value of the unknown kind {kind}")

    def _list(self, kept: Mapping[int, Any] | None, keeps: bool, depth: int) -> list[Any]:
        """Read a list; of one that is not kept nothing is."""
        head = self._byte()
        size, kind = head >> 4 if head >> 4 < 15 else self._unsigned(), head & 15
        values = (self._value(kind, kept, keeps, depth + 1) for _ in range(size))
        if keeps:
            return list(values)
        for _ in values:
            pass
        return []

    def _map(self, depth: int) -> None:
        """Pass over a map."""
        if size := self._unsigned():
            kinds = self._byte()
            for _ in range(size):
                self._value(kinds >> 4, None, False, depth + 1)
                self._value(kinds & 15, None, False, depth + 1)

    def _byte(self) -> int:
        """Read a byte."""
        return self._bytes(1)[0]

    def _bytes(self, n: int) -> bytes:
        """Read n bytes."""
        found = self._data[self._at : self._at + n]
        if len(found) < n:
            raise ValueError("its footer ends too early")
        self._at += n
        return found

    def _unsigned(self) -> int:
        """Read an integer of up to 64 bits, seven in each byte, the lowest ones first."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("its footer has an integer of more than 64 bits")

    def _signed(self) -> int:
        """Read an integer whose lowest bit is its sign."""
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
