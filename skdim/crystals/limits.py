"""How much is read at most, in one place: bounds that are checked before the work they bound is done."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

from skdim.exceptions import InputError

__all__ = [
    "Limits",
    "applied",
    "check_size",
    "check_values",
    "current_limits",
    "megabytes",
    "read_bounded",
    "reading_limits",
]


@dataclass(frozen=True)
class Limits:
    """The largest crystals and files that are read; see `reading_limits`.

    Parameters
    ----------
    n_bytes : int, default=64 MiB
        Bytes of one crystal as text, record, row of a table or member of an archive, unpacked; also of a file that
        holds a single crystal.
    unpacked : int, default=256 MiB
        Bytes that a compressed file of many crystals may unpack to; 200 times its size on the disk, if that is more.
    values : int, default=3,000,000
        Values of one crystal in JSON or in the loop of its atoms. Each takes up to a hundred bytes of memory.
    rows : int, default=200,000
        Atom rows of one crystal; ``max_sites`` of a featurizer, 5000, bounds the sites of its cell.
    operations : int, default=768
        Symmetry operations; a space group in a cell of its own has 192 at most, magnetic and enlarged cells have more.
    images : int, default=250,000
        Atom rows times symmetry operations, before images that coincide are merged.
    word : int, default=120
        Characters of one symmetry operation, symbol or number.
    steps : int, default=2000
        Steps of the search for disordered positions that exclude one another; each looks at up to 64 positions, in a
        millisecond at the most.
    pairs : int, default=8,000,000
        Pairs of sites that are compared in one search for neighbours; an evenly filled crystal of 5000 sites has a
        million. One with crowds of sites beside empty space may have more: each million takes up to a tenth of a second
        and 60 MB. Supercells of ``neighborhood="supercell"`` may have four times as many.

    Notes
    -----
    The last two bound the only work of which the time could grow faster than a crystal. They are counts, not seconds,
    so that a crystal is accepted or refused on every machine alike.

    Beside these, a dict in JSON may be nested as deeply as Python's recursion limit allows, YAML may have 1 MiB and
    50,000 values, and files that pymatgen reads line by line may have 1 MiB and 20,000 lines.
    """

    n_bytes: int = 64 << 20
    unpacked: int = 256 << 20
    values: int = 3_000_000
    rows: int = 200_000
    operations: int = 768
    images: int = 250_000
    word: int = 120
    steps: int = 2000
    pairs: int = 8_000_000

    def __post_init__(self) -> None:
        """Refuse what is no bound."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{field.name} must be an integer >= 1, got {value!r}.")


_DEFAULT = Limits()
_CURRENT: ContextVar[Limits] = ContextVar("skdim_limits", default=_DEFAULT)


def current_limits() -> Limits:
    """Return the bounds in use.

    Examples
    --------
    >>> current_limits().rows
    200000
    """
    return _CURRENT.get()


@contextmanager
def reading_limits(**bounds: int) -> Iterator[Limits]:
    """Read larger crystals, or only smaller ones, within a ``with`` statement.

    Parameters
    ----------
    **bounds : int
        Fields of `Limits` with new values; the others stay as they are.

    Yields
    ------
    Limits
        All bounds in use.

    Raises
    ------
    InputError
        If a bound is unknown, or no integer of at least 1.

    Notes
    -----
    It holds for everything that is read within the statement in this thread, and for the worker processes that it
    gives work to: in `skdim.read_crystals` and in all estimators. On the command line the option is ``--limit``.

    Examples
    --------
    >>> import skdim
    >>> with skdim.reading_limits(n_bytes=1 << 30, rows=1_000_000) as limits:
    ...     limits.operations
    768
    """
    known = [field.name for field in fields(Limits)]
    for name in bounds:
        if name not in known:
            raise InputError(f"{name!r} is no bound; those of reading are {', '.join(known)}.")
    with applied(replace(current_limits(), **bounds)) as limits:
        yield limits


@contextmanager
def applied(limits: Limits) -> Iterator[Limits]:
    """Use these bounds within a ``with`` statement."""
    token = _CURRENT.set(limits)
    try:
        yield limits
    finally:
        _CURRENT.reset(token)


def megabytes(n_bytes: int) -> str:
    """Write a number of bytes in MiB.

    Examples
    --------
    >>> megabytes(64 << 20), megabytes(300_000)
    ('64 MiB', '0.286 MiB')
    """
    return f"{n_bytes / 2**20:.3g} MiB"


def check_size(n_bytes: int) -> None:
    """Refuse a file or text that is too large to be one crystal."""
    most = current_limits().n_bytes
    if n_bytes > most:
        raise ValueError(
            f"{megabytes(n_bytes)}; files and texts of up to {megabytes(most)} are read. Take out what is no crystal "
            "structure, such as reflections, or raise the limit n_bytes"
        )


def read_bounded(path: str) -> bytes:
    """Read a regular file up to the bound. Devices, pipes and folders are refused: they may never end."""
    # Looked at before it is opened: opening a pipe waits for someone to write.
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a device or pipe; a regular file is needed")
    check_size(status.st_size)
    with open(path, "rb") as file:
        # Room for as much as is asked for is made at once.
        data = file.read(status.st_size + 1)
        if len(data) > status.st_size:  # it has grown, or belongs to a system that does not tell
            data += file.read(current_limits().n_bytes + 1 - len(data))
    check_size(len(data))
    return data


def check_values(text: str) -> None:
    """Refuse JSON with more values than a crystal has, before they take memory."""
    most = current_limits().values
    if len(text) > most and (count := text.count(",") + text.count("{") + text.count("[")) > most:
        raise ValueError(f"JSON of {count} values; up to {most} are read of one crystal (limit values)")
