"""How much is read at most: bounds that are checked before the work they bound is done."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

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
    images: int = 250_000
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
    """Read a regular file up to the bound.

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
        If it is no regular file, or larger than the bound.
    OSError
        If it cannot be read.
    """
    # Looked at before it is opened: opening a pipe waits for someone to write.
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a device or pipe; a regular file is needed")
    check_size(status.st_size, limits)
    with open(path, "rb") as file:
        data = file.read(limits.n_bytes + 1)
    check_size(len(data), limits)
    return data
