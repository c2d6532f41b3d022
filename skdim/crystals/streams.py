"""Files opened for reading in parts, decompressed, with bounds on what they may unpack to."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from skdim.crystals.limits import current_limits, megabytes

__all__ = [
    "READ_ERRORS",
    "Bounded",
    "as_text_file",
    "bounded_bytes",
    "check_regular",
    "open_bounded",
    "read_whole",
    "text_lines",
    "unpacked_at_most",
    "unpacks_to_too_much",
]

_RATIO = 200  # bytes unpacked for each on disk, beyond what any file may; crystals as text are compressed by 5 to 30
_STEP = 1 << 20

READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
"""What reading of a damaged or wrongly compressed file raises."""

_OPENERS: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


class Bounded(io.BufferedIOBase):
    """A decompressed file that stops where it unpacks to more than any sound file does.

    Reading raises a ValueError if more is asked for at once than one crystal takes, or the whole unpacks to too much.
    """

    def __init__(
        self,
        file: Any,  # decompressed
        # Bytes on disk; None for a file that is not compressed, which is bounded by its size.
        packed: int | None = None,
    ) -> None:
        self._file = file
        self._packed = packed
        self._most = None if packed is None else unpacked_at_most(packed)

    @property
    def is_compressed(self) -> bool:
        """Whether it is decompressed while it is read."""
        return self._packed is not None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place in the decompressed file."""
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; forward by reading, so that the bound holds."""
        if whence == os.SEEK_CUR:
            offset += self.tell()
        elif whence != os.SEEK_SET:
            raise io.UnsupportedOperation("seeking from the end of a compressed file")
        if self._most is None or offset < self.tell():
            return int(self._file.seek(offset))
        while (left := offset - self.tell()) > 0 and self.read(min(left, _STEP)):
            pass
        return self.tell()

    def read(self, size: int | None = -1) -> bytes:
        """Read this number of bytes."""
        most = current_limits().n_bytes
        if size is None or size < 0 or size > most + 1:
            raise ValueError(f"a part of more than {megabytes(most)} (limit n_bytes)")
        data: bytes = self._file.read(size)
        if self._packed is not None and self._most is not None and self.tell() > self._most:
            raise unpacks_to_too_much(self._packed)
        return data

    def read1(self, size: int = -1) -> bytes:
        """Read up to this number of bytes."""
        return self.read(_STEP if size is None or size < 0 else min(size, _STEP))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def unpacked_at_most(packed: int) -> int:
    """Bytes that a compressed file of so many bytes may unpack to."""
    return max(current_limits().unpacked, _RATIO * packed)


def unpacks_to_too_much(packed: int) -> ValueError:
    """The error of a compressed file that unpacks to more."""
    most = megabytes(unpacked_at_most(packed))
    return ValueError(f"it unpacks to more than {most}, as no sound file of its size does (limit unpacked)")


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse pipes and devices, which may never end."""
    if kind := special_kind(os.stat(path).st_mode):
        raise ValueError(f"{kind}, not a file")


def special_kind(mode: int) -> str | None:
    """Name what is neither a file nor a folder, by its mode; None for those.

    Examples
    --------
    >>> special_kind(os.stat(os.devnull).st_mode), special_kind(os.stat(".").st_mode)
    ('a device', None)
    """
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device", stat.S_ISSOCK: "a socket"}
    return next((kind for test, kind in kinds.items() if test(mode)), None)


@contextmanager
def open_bounded(path: str | os.PathLike[str]) -> Iterator[Bounded]:
    """Open a regular file, decompressed if its first bytes are those of gzip, bzip2 or xz.

    Reading may raise any of `READ_ERRORS`.
    """
    check_regular(path)
    with open(path, "rb") as raw:
        head = raw.read(6)
        raw.seek(0)
        with _decompressed(raw, head, os.fstat(raw.fileno()).st_size) as file:
            yield file


def bounded_bytes(data: bytes) -> Bounded:
    """Open bytes as a binary file, decompressed if they are those of gzip, bzip2 or xz."""
    return _decompressed(io.BytesIO(data), data[:6], len(data))


def _decompressed(raw: Any, head: bytes, size: int) -> Bounded:
    """Put the decompression before a file of this beginning and size."""
    opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
    return Bounded(raw) if opener is None else Bounded(opener(raw), size)


def read_whole(file: Any, what: str) -> bytes:
    """Read a file that holds one crystal, and no more than one takes; ``what`` it is goes into the message."""
    parts, size, most = [], 0, current_limits().n_bytes
    while part := file.read(_STEP):  # asked for more, some files would take that much memory at once
        parts.append(part)
        size += len(part)
        if size > most:
            raise ValueError(
                f"{what} of more than {megabytes(most)}; up to that is read of one crystal (limit n_bytes)"
            )
    return b"".join(parts)


def text_lines(file: Bounded) -> Iterator[str]:
    """Yield the lines of a file (UTF-8 or UTF-16) with their ends; none may be longer than one crystal."""
    with as_text_file(file) as text:
        most = current_limits().n_bytes
        while line := text.readline(most + 1):
            if len(line) > most:
                raise ValueError(f"a line of more than {megabytes(most)} (limit n_bytes)")
            yield line


def as_text_file(file: Bounded) -> io.TextIOWrapper:
    """Decode a file from its beginning, with line ends as they are; what is no UTF-8 is replaced."""
    utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    file.seek(0)
    binary = cast(BinaryIO, file)
    return io.TextIOWrapper(binary, encoding="utf-16" if utf16 else "utf-8-sig", errors="replace", newline="")
