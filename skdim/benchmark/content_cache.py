"""Crystals and what describes them in, the rows of features once computed out: kept in one SQLite file."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.crystals.prechecks import SiteSpecies

# To be raised when entries get another layout.
_FORMAT = 1
_FILE = "baselines.sqlite"
_WAIT = 60.0  # seconds for other processes to finish their writing
_AT_ONCE = 500  # keys of a query: SQLite limits them
_DIGITS = 6
_ROW, _REASON = b"r", b"f"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class BareCrystal:
    """What a crystal is, without labels, charges or whatever else a structure may carry.

    Attributes
    ----------
    matrix : ndarray of shape (3, 3)
        Lattice vectors in Angstrom.
    places : ndarray of shape (n, 3)
        Fractional coordinates.
    contents : sequence of SiteSpecies
        Atomic numbers and occupancies of each site.
    """

    matrix: NDArray[np.float64]
    places: NDArray[np.float64]
    contents: Sequence[SiteSpecies]

    def digest(self, scope: str) -> bytes:
        """Return a digest of the crystal, to six decimals, in the order of its sites, and of what describes it.

        Parameters
        ----------
        scope : str
            What describes it, with all settings and versions that matter.

        Returns
        -------
        bytes
        """
        contents = repr([[(z, round(share, _DIGITS)) for z, share in content] for content in self.contents])
        digest = hashlib.blake2b(f"{_FORMAT} {scope} {contents}".encode(), digest_size=20)
        for array in (self.matrix, self.places):
            # The sum makes one of the two zeros.
            digest.update((np.round(array, _DIGITS) + 0.0).astype("<f8").tobytes())
        return digest.digest()


class ContentCache:
    """Rows of features by the digest of their crystals, in a folder or nowhere.

    Several processes may use one folder at a time. What is damaged is noted and computed again.

    Parameters
    ----------
    folder : path-like or None
        Made if need be; None keeps nothing.

    Attributes
    ----------
    notes : list of str
        What was wrong with the file.

    Raises
    ------
    OSError
        If there can be no such folder or file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = ContentCache(folder)
    ...     cache.store({b"one": np.array([1.5]), b"two": "no such element"})
    ...     ContentCache(folder).load([b"one", b"two", b"three"])
    {b'one': array([1.5]), b'two': 'no such element'}
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self.notes: list[str] = []
        self.path: Path | None = None
        if folder is not None:
            place = Path(folder).expanduser()
            place.mkdir(parents=True, exist_ok=True)
            self.path = place / _FILE

    def load(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float64] | str]:
        """Return what is kept under keys; those that are not there are left out.

        Parameters
        ----------
        keys : sequence of bytes
            From `BareCrystal.digest`.

        Returns
        -------
        dict of bytes to (ndarray of shape (d,) or str)
            The features of a crystal, or the reason why it has none.
        """
        entries: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = list(keys[start : start + _AT_ONCE])
            entries.update(self._transaction(partial(_select, keys=some)) or [])
        found = {key: unpack(entries[key]) for key in keys if key in entries}
        damaged = sum(outcome is None for outcome in found.values())
        if damaged:
            self.notes.append(f"{damaged} entries of {self.path} are damaged; they are computed again")
        return {key: outcome for key, outcome in found.items() if outcome is not None}

    def store(self, outcomes: Mapping[bytes, NDArray[np.float64] | str]) -> None:
        """Keep rows or reasons, all of them or none.

        Parameters
        ----------
        outcomes : mapping of bytes to (ndarray of shape (d,) or str)
            By key.
        """
        self._transaction(partial(_insert, entries=[(key, pack(outcome)) for key, outcome in outcomes.items()]))

    def _transaction(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do something with the file, or a new one, whole or not at all; None where nothing is kept or can be."""
        if self.path is None:
            return None
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT)) as connection, connection:
                # Not to wait for the disk: a process that dies leaves the file whole, and damage is noticed.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL)")
                return action(connection)
        except sqlite3.DatabaseError as error:
            self.notes.append(f"{self.path} cannot be used ({error}); if it is damaged, delete it")
            self.path = None
        return None


def _select(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Read entries."""
    query = f"SELECT key, value FROM entries WHERE key IN ({','.join('?' * len(keys))})"
    return connection.execute(query, list(keys)).fetchall()


def _insert(connection: sqlite3.Connection, entries: Sequence[tuple[bytes, bytes]]) -> None:
    """Write entries."""
    connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", entries)


def pack(outcome: NDArray[np.float64] | str) -> bytes:
    """Write the features of a crystal, or the reason why it has none, as bytes with a checksum.

    Parameters
    ----------
    outcome : ndarray of shape (d,) or str
        Features or reason.

    Returns
    -------
    bytes
    """
    if isinstance(outcome, str):
        content = _REASON + outcome.encode()
    else:
        content = _ROW + zlib.compress(np.asarray(outcome, "<f8").tobytes(), 1)
    return zlib.crc32(content).to_bytes(4, "little") + content


def unpack(blob: bytes) -> NDArray[np.float64] | str | None:
    """Read what `pack` wrote.

    Parameters
    ----------
    blob : bytes
        From `pack`.

    Returns
    -------
    ndarray of shape (d,), str or None
        None, if the bytes are damaged.

    Examples
    --------
    >>> unpack(pack(np.array([1.0, 2.0])))
    array([1., 2.])
    >>> unpack(b"damaged") is None
    True
    """
    content = blob[4:]
    if zlib.crc32(content).to_bytes(4, "little") != blob[:4] or content[:1] not in (_ROW, _REASON):
        return None
    if content[:1] == _REASON:
        return content[1:].decode()
    return np.frombuffer(zlib.decompress(content[1:]), "<f8").astype(np.float64)
