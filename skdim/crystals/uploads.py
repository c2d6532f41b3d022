"""Content that is already in memory or open: bytes, and objects with a ``read`` method, as web pages hand them out."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from skdim.crystals.limits import current_limits, megabytes

__all__ = ["decoded", "text_of"]

_OPENERS: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_BYTE_ORDERS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def text_of(obj: Any) -> str:
    """Read the text of bytes or of an open file; an open file is left at the place where it was.

    Nothing, or more than a crystal may take, is a ValueError.

    Examples
    --------
    >>> text_of(gzip.compress(b"data_NaCl"))
    'data_NaCl'
    """
    data = bytes(obj) if isinstance(obj, bytes | bytearray | memoryview) else _read(obj)
    text = data if isinstance(data, str) else decoded(data)
    if not text.strip():
        raise ValueError("empty: there is nothing to read (was an open file read to its end before?)")
    return text


def decoded(data: bytes) -> str:
    """Decompress and decode the content of a file: text in UTF-8 or UTF-16, or what gzip, bzip2 or xz made of it.

    What is no UTF-8 is taken for the encoding of Western Windows: names of authors in old files are in any.
    """
    opener = next((opener for magic, opener in _OPENERS.items() if data.startswith(magic)), None)
    if opener is not None:
        try:
            with opener(io.BytesIO(data)) as file:
                data = file.read(current_limits().n_bytes + 1)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"wrongly compressed: {error}") from error
    _check_size(data)
    if encoding := _BYTE_ORDERS.get(data[:4]) or _BYTE_ORDERS.get(data[:2]) or _without_mark(data[:64]):
        return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _without_mark(start: bytes) -> str | None:
    """Tell UTF-16 without a byte order mark: every other byte of its plain letters is zero."""
    for encoding, zeros, letters in (("utf-16-le", start[1::2], start[::2]), ("utf-16-be", start[::2], start[1::2])):
        if len(start) >= 4 and not any(zeros) and all(letters):
            return encoding
    return None


def _read(file: Any) -> str | bytes:
    """Read an open file and go back to where it was, so that it can be read again."""
    seekable = getattr(file, "seekable", None)
    start = file.tell() if callable(seekable) and seekable() else None
    data = file.read(current_limits().n_bytes + 1)
    if start is not None:
        file.seek(start)
    if not isinstance(data, str | bytes):
        raise ValueError(f"read() of a {type(file).__name__} gives a {type(data).__name__}; text or bytes are accepted")
    _check_size(data)
    return data


def _check_size(data: str | bytes) -> None:
    """Refuse more than a crystal may take."""
    if len(data) > (most := current_limits().n_bytes):
        raise ValueError(f"more than {megabytes(most)}; a crystal may take up to that (limit n_bytes)")
