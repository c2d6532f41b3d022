"""How much is read at most: bounds that are checked before the work they bound is done."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import IO

__all__ = ["LIMITS", "Limits", "check_size", "read_bounded"]


@dataclass(frozen=True)
class Limits:
    """The largest inputs that are read.

    Attributes
    ----------
    n_bytes : int
        Of one file or text, after decompression.
    rows : int
        Atom rows of one crystal.
    operations : int
        Symmetry operations; a space group in a cell of its own has 192 at most, magnetic and enlarged cells have more.
    images : int
        Atom rows times symmetry operations, before images that coincide are merged.
    word : int
        Characters of one symmetry operation, symbol or number.
    """

    n_bytes: int = 64 * 2**20
    rows: int = 200_000
    operations: int = 768
    images: int = 2_000_000
    word: int = 120


LIMITS = Limits()
"""The bounds in use."""


def check_size(n_bytes: int, limits: Limits = LIMITS) -> None:
    """Refuse a file or text that is too large to be one crystal.

    Raises
    ------
    ValueError
        Naming the bound.
    """
    if n_bytes > limits.n_bytes:
        raise ValueError(
            f"{n_bytes / 2**20:.0f} MiB; files and texts of up to {limits.n_bytes // 2**20} MiB are read. "
            "Take out what is no crystal structure, such as reflections"
        )


def read_bounded(path: str, limits: Limits = LIMITS) -> bytes:
    """Read a regular file, decompressed if its name ends as those of compressed files do, up to the bound.

    Parameters
    ----------
    path : str
        A file. Devices, pipes and folders are refused: they may never end.
    limits : Limits
        The bound on bytes.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If it is no regular file, larger than the bound, or not compressed as its name says.
    OSError
        If it cannot be read.
    """
    import lzma
    import zlib

    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(None, "Is a directory", path)
    if not stat.S_ISREG(mode):
        raise ValueError("a device or pipe; a regular file is needed")
    opened = _opener(path)
    try:
        with opened as file:
            data = file.read(limits.n_bytes + 1)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"compressed data that are damaged or cut off: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ValueError(f"not compressed as its name says: {error}") from error
    if len(data) > limits.n_bytes:
        raise ValueError(f"more than {limits.n_bytes // 2**20} MiB, the most that is read of one crystal")
    return data


def _opener(path: str) -> IO[bytes]:
    """Open a file for its bytes."""
    import bz2
    import gzip
    import lzma

    name = path.lower()
    if name.endswith((".gz", ".z")):
        return gzip.open(path)
    if name.endswith(".bz2"):
        return bz2.open(path)
    if name.endswith((".xz", ".lzma")):
        return lzma.open(path)
    return open(path, "rb")
