"""Files written whole or not at all, and digests of files and values: the one way the package does either."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a draft beside a file to write to; the draft replaces the file when the block ends well.

    An error, an interrupt or a full disk in the block removes the draft and leaves an earlier file as it was.

    Parameters
    ----------
    path : str or path
        The file, in a folder that exists.

    Yields
    ------
    Path
        A new name in the same folder, unlike that of any other writer, with the suffix of the file.

    Raises
    ------
    IsADirectoryError
        If the path is a folder.
    FileNotFoundError
        If its folder does not exist.
    OSError
        If the file cannot be written. The error names the file rather than the draft.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "facts.txt"
    >>> with replacing(file) as draft:
    ...     _ = draft.write_text("all of it")
    >>> file.read_text()
    'all of it'
    """
    final = Path(path)
    check_writable(final)
    draft = final.with_name(f".{final.stem}.{os.getpid()}-{secrets.token_hex(4)}.part{final.suffix}")
    try:
        yield draft
        os.replace(draft, final)
    except OSError as error:
        if error.filename is None or Path(os.fspath(error.filename)) == draft:
            raise type(error)(error.errno, f"cannot write the file: {error.strerror}", str(final)) from error
        raise
    finally:
        draft.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to.

    Parameters
    ----------
    path : str or path
        The file.

    Raises
    ------
    IsADirectoryError
        If the path is a folder.
    FileNotFoundError
        If its folder does not exist.
    """
    folder = Path(path).parent
    if Path(path).is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; the path of a file to write is needed.")
    if not folder.is_dir():
        raise FileNotFoundError(f"{os.fspath(path)!r} cannot be written: there is no folder {os.fspath(folder)!r}.")


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file, in hexadecimal.

    Parameters
    ----------
    path : str or path
        The file; it is read in parts.

    Returns
    -------
    str
        64 characters.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """Return one sha256 of any number of texts, bytes and arrays, in hexadecimal.

    Each part goes in with its kind and length (arrays with their dtype and shape), so no two lists of parts run
    together to the same bytes.

    Parameters
    ----------
    *parts : str, bytes or ndarray
        In order.

    Returns
    -------
    str
        64 characters.

    Examples
    --------
    >>> digest("ab", "c") == digest("a", "bc")
    False
    >>> digest(np.zeros(2)) == digest(np.zeros(2, np.float32))
    False
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            array = np.ascontiguousarray(part)
            total.update(f"array {array.dtype.str} {array.shape} ".encode())
            total.update(array.data if array.size else b"")
            continue
        content = part.encode() if isinstance(part, str) else bytes(part)
        total.update(f"{type(part).__name__} {len(content)} ".encode())
        total.update(content)
    return total.hexdigest()
