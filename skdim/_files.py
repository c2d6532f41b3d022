"""Files written whole or not at all, and digests of files and values: the one way the package does either."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import skdim

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# No space, a file larger than the system or a quota allows, a disk that fails.
_DISK_ERRORS = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)


def generator() -> str:
    """What is written into pages and pictures as their maker, by which `skdim info` knows them.

    Examples
    --------
    >>> generator().split(" ")[0]
    'skdim'
    """
    return f"skdim {skdim.__version__}"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a draft beside a file to write to; the draft replaces the file when the block ends well.

    The draft is in the same folder, with the suffix of the file, and no other writer has its name. An error, an
    interrupt or a full disk in the block removes it and leaves an earlier file as it was; an error of the system names
    the file rather than the draft, and how much was written. Drafts of processes that were killed are removed by the
    next writer of the same file. Of a path that is itself a draft, the path is given: so functions that write one file
    each can together write all or none.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "facts.txt"
    >>> with replacing(file) as draft:
    ...     _ = draft.write_text("all of it")
    >>> file.read_text()
    'all of it'
    """
    if _is_draft(Path(path)):
        yield Path(path)
        return
    with replacing_together(path) as (draft,):
        yield draft


@contextmanager
def replacing_together(*paths: str | os.PathLike[str]) -> Iterator[list[Path]]:
    """Do what `replacing` does for files of one folder: two writers never leave a mixture of theirs."""
    finals = [Path(path) for path in paths]
    for final in finals:
        check_writable(final)
        _remove_abandoned(final)
    drafts = [final.with_name(f"{_draft_start(final)}{secrets.token_hex(4)}.part{final.suffix}") for final in finals]
    try:
        yield drafts
        with _folder_lock(finals[0].parent, needed=len(finals) > 1):
            for draft, final in zip(drafts, finals, strict=True):
                os.replace(draft, final)
    except OSError as error:
        culprit = _culprit(error, drafts)
        if culprit is None or error.errno is None:
            raise
        written = _size(drafts[culprit])
        reason = f"cannot write the file: {os.strerror(error.errno)}, after {written}"
        raise type(error)(error.errno, reason, str(finals[culprit])) from error
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def _culprit(error: OSError, drafts: list[Path]) -> int | None:
    """Which draft an error of the system is about, or None; a full disk without a name is taken for the first."""
    if error.filename is None:
        return 0 if error.errno in _DISK_ERRORS else None
    named = Path(os.fsdecode(error.filename))
    return drafts.index(named) if named in drafts else None


def _size(*drafts: Path) -> str:
    """How much of a draft there is, in words."""
    n = sum(draft.stat().st_size for draft in drafts if draft.is_file())
    return f"{n / 1e6:.1f} MB" if n >= 100_000 else f"{n:,} bytes"


@contextmanager
def _folder_lock(folder: Path, *, needed: bool) -> Iterator[None]:
    """Keep other writers out of a folder for a moment, where the system can lock folders (not on Windows)."""
    if not needed or fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # file systems that know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _draft_start(final: Path) -> str:
    """Begin the name of a draft: its file, and the machine and process that write it."""
    return f".{final.stem}.{_machine()}-{os.getpid()}-"


@contextmanager
def scratch_folder(final: Path) -> Iterator[Path]:
    """Give an empty folder beside a file or folder that is to be written; it goes when the block ends.

    Those of processes that were killed are removed by the next who writes the same. An error of the system about what
    is in it names ``final``.
    """
    _remove_abandoned(final)
    folder = final.with_name(f"{_draft_start(final)}{secrets.token_hex(4)}.part{final.suffix}")
    folder.mkdir()
    try:
        yield folder
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        if named is None or folder not in (named, *named.parents) or error.errno is None:
            raise
        reason = f"cannot be written: {os.strerror(error.errno)}, after {_size(*folder.rglob('*'))}"
        if str(error.strerror).startswith("cannot be written"):  # said of a folder in this one, which is gone
            reason = str(error.strerror)
        raise type(error)(error.errno, reason, str(final)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # mapped files cannot be removed on Windows


def is_full(error: OSError) -> bool:
    """Whether an error is that of a disk without room, or of one that fails."""
    return error.errno in _DISK_ERRORS


def _is_draft(path: Path) -> bool:
    """Whether a path is a draft that this process writes."""
    return f".{_machine()}-{os.getpid()}-" in path.name and path.stem.endswith(".part")


@cache
def _machine() -> str:
    """Tag of the machine, and of the container where process numbers are its own."""
    namespace = Path("/proc/self/ns/pid")
    space = os.readlink(namespace) if namespace.is_symlink() else ""
    return digest(platform.node(), space)[:8]


def _remove_abandoned(final: Path) -> None:
    """Remove drafts of a file whose process, on this machine, has been killed."""
    start = f".{final.stem}.{_machine()}-"
    for draft in final.parent.glob(f"{glob.escape(start)}*.part{glob.escape(final.suffix)}"):
        number = draft.name.removeprefix(start).partition("-")[0]
        if number.isdigit() and not _is_running(int(number)):
            if draft.is_dir():
                shutil.rmtree(draft, ignore_errors=True)
            else:
                draft.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Tell whether there is a process of a number; where that cannot be asked safely (Windows), say yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to: a folder, or one in a folder that does not exist."""
    folder = Path(path).parent
    if Path(path).is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; the path of a file to write is needed.")
    if not folder.is_dir():
        raise FileNotFoundError(f"{os.fspath(path)!r} cannot be written: there is no folder {os.fspath(folder)!r}.")


def sha256(content: bytes) -> str:
    """Return the sha256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file, in hexadecimal; it is read in parts."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """Return one sha256 of any number of texts, bytes and arrays, in hexadecimal.

    Each part goes in with its kind and length (arrays with their dtype and shape), so no two lists of parts run
    together to the same bytes.

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
