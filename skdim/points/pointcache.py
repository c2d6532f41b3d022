"""A cache of point sets, by crystal and settings, in one SQLite file."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np

import skdim
from skdim._files import digest
from skdim.crystals.crystal import Crystal
from skdim.points.assembly import PointSetConfig
from skdim.points.features import ElementTable, SiteFeaturizer
from skdim.points.pointsets import PointSets, offsets_from_lengths
from skdim.points.sitetypes import N_ATOMIC_NUMBERS, SiteTypes

# To be raised when the same crystal and settings give another point set, or entries another layout.
_FORMAT = 2
_FILE = "pointsets.sqlite"
_WAIT = 60.0  # seconds for other processes to finish their writing
# What reads, measures or reduces crystals beside this package.
_PACKAGES = ("gemmi", "matminer", "moyopy", "numpy", "pymatgen", "vesin")
_COUNTS = 5  # site rows, pairs, site_types, site features, extra interaction features
# Widest first, so that all columns are aligned.
_LAYOUT = {
    "features": "<f8",
    "fractions": "<f4",
    "site_type": "<i4",
    "multiplicity": "<i4",
    "n_pairs": "<i4",
    "neighbor": "<i4",
    "distance": "<f4",
    "count": "<i4",
    "weight": "<f4",
    "extra": "<f4",
    "volume": "<f4",
}


@dataclass(frozen=True)
class Cache:
    """Where point sets made with the same settings are kept; it is sent to worker processes."""

    path: str
    scope: str  # digest of all settings that change a point set
    config: PointSetConfig  # names and settings that the point sets share
    # Whether a site's features are those of its elements; if not, all that a structure says of it may matter.
    by_element: bool

    @contextmanager
    def open(self) -> Iterator[Entries]:
        """Open the file, or a new one; what is wrong with it shows when it is read."""
        try:
            connection = sqlite3.connect(self.path, timeout=_WAIT)
        except sqlite3.OperationalError as error:
            raise OSError(f"cache_dir: {self.path} cannot be opened ({error})") from error
        with closing(connection):
            yield Entries(self, connection)


def open_cache(
    folder: str | os.PathLike[str], config: PointSetConfig, features: ElementTable | SiteFeaturizer
) -> Cache:
    """Make the folder if need be, and digest the settings."""
    place = Path(folder).expanduser()
    place.mkdir(parents=True, exist_ok=True)
    by_element = isinstance(features, ElementTable)
    source = features.values if isinstance(features, ElementTable) else _content(features.featurizer)
    versions = [skdim.__version__, *map(version, _PACKAGES)]
    facts = [_FORMAT, versions, config.settings, config.interaction_features, config.feature_names]
    scope = digest(json.dumps(facts, sort_keys=True), source)
    return Cache(str(place / _FILE), scope, config, by_element)


class Entries:
    """The entries of an open cache; ``notes`` says what was wrong with the file."""

    def __init__(self, cache: Cache, connection: sqlite3.Connection) -> None:
        self.cache = cache
        self.connection = connection
        self.notes: list[str] = []
        self._usable = True

    def source_keys(self, rows: Sequence[object], max_sites: int) -> dict[int, str]:
        """Return the keys of the rows that are files or texts, by row: these need not be read to be known."""
        limit = str(max_sites)  # which is checked on reading
        sources = {row: _source(obj) for row, obj in enumerate(rows) if isinstance(obj, str | os.PathLike)}
        return {row: digest(self.cache.scope, "source", limit, *source) for row, source in sources.items()}

    def crystal_key(self, crystal: Crystal) -> str:
        """Return the key of a crystal: of its lattice, coordinates and site species."""
        if not self.cache.by_element:
            return digest(self.cache.scope, "structure", _content(crystal.structure.as_dict()))
        species = repr([crystal.species[k] for k in crystal.site_type.tolist()])
        arrays = (np.asarray(array, np.float64) for array in (crystal.lattice, crystal.frac))
        return digest(self.cache.scope, "crystal", species, *arrays)

    def load(self, keys: Mapping[int, str]) -> dict[int, PointSets]:
        """Return the point sets, each of one crystal, that are kept under the keys, by row."""
        if not keys or not self._usable:
            return {}
        marks = ",".join("?" * len(set(keys.values())))
        try:
            self._make_table()
            query = f"SELECT key, value FROM entries WHERE key IN ({marks})"
            found = dict(self.connection.execute(query, list(set(keys.values()))))
        except sqlite3.DatabaseError as error:
            self._note(error)
            return {}
        points = {key: unpack(blob, self.cache.config) for key, blob in found.items()}
        if any(one is None for one in points.values()):
            self.notes.append(f"entries of {self.cache.path} are damaged; they are made again")
        return {row: one for row, key in keys.items() if (one := points.get(key)) is not None}

    def store(self, keys: Mapping[int, str], points: PointSets) -> dict[int, PointSets]:
        """Keep point sets, one for each key; return them by row, each with its own site types only."""
        single = {row: _with_own_site_types(one) for row, one in zip(keys, points, strict=True)}
        if not keys or not self._usable:
            return single
        entries = [(keys[row], pack(one)) for row, one in single.items()]
        try:
            with self.connection:
                self.connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", entries)
        except sqlite3.DatabaseError as error:
            self._note(error)
        return single

    def _make_table(self) -> None:
        """Make the table in a new file."""
        # Without waiting for the disk: a process that dies leaves the file whole, and damage by a power cut is noticed.
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL)")

    def _note(self, error: sqlite3.DatabaseError) -> None:
        """Note that the file cannot be used, and leave it alone."""
        self._usable = False
        self.notes.append(f"{self.cache.path} cannot be used ({error}); if it is damaged, delete it")


def pack(points: PointSets) -> bytes:
    """Write the point set of one crystal, with its own site types alone, as bytes: a checksum, counts, columns."""
    columns = {name: getattr(points, name) for name in _LAYOUT if hasattr(points, name)}
    columns |= {"features": points.site_types.features, "fractions": points.site_types.fractions}
    columns["n_pairs"] = np.diff(points.pair_offsets)
    counts = (len(points.site_type), len(points.neighbor), len(points.site_types), len(points.feature_names))
    content = np.array([*counts, len(points.interaction_names) - 1], "<i4").tobytes()
    content += b"".join(np.ascontiguousarray(columns[name], dtype).tobytes() for name, dtype in _LAYOUT.items())
    return zlib.crc32(content).to_bytes(4, "little") + content


def unpack(blob: bytes, config: PointSetConfig) -> PointSets | None:
    """Read what `pack` wrote; None if the bytes are damaged."""
    start = 4 * (1 + _COUNTS)
    if len(blob) < start or zlib.crc32(memoryview(blob)[4:]) != int.from_bytes(blob[:4], "little"):
        return None
    s, p, k, f, e = counts = np.frombuffer(blob, "<i4", _COUNTS, 4).tolist()
    sizes = {"features": k * f, "fractions": k * N_ATOMIC_NUMBERS, "extra": p * e, "volume": 1}
    sizes |= dict.fromkeys(("site_type", "multiplicity", "n_pairs"), s)
    n_bytes = sum(sizes.get(name, p) * np.dtype(dtype).itemsize for name, dtype in _LAYOUT.items())
    if min(counts) < 0 or start + n_bytes != len(blob):
        return None
    columns = {}
    for name, dtype in _LAYOUT.items():
        columns[name] = np.frombuffer(blob, dtype, sizes.get(name, p), start)
        start += columns[name].nbytes
    site_types = SiteTypes(columns.pop("features").reshape(k, f), columns.pop("fractions").reshape(k, N_ATOMIC_NUMBERS))
    return PointSets(
        site_offsets=np.array([0, s]),
        pair_offsets=offsets_from_lengths(columns.pop("n_pairs")),
        extra=columns.pop("extra").reshape(p, e),
        site_types=site_types,
        feature_names=config.feature_names,
        interaction_names=config.interaction_features,
        settings=config.settings,
        **columns,
    )


def _with_own_site_types(points: PointSets) -> PointSets:
    """The same crystal with a table of only those site types that it uses."""
    used, site_type = np.unique(points.site_type, return_inverse=True)
    site_types = SiteTypes(points.site_types.features[used], points.site_types.fractions[used])
    return replace(points, site_type=site_type.astype(np.int32), site_types=site_types)


def _source(obj: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """The name and content of a file, or a text, or what names no file that can be read."""
    try:
        path = Path(obj).expanduser()
        return path.name.encode(errors="replace"), path.read_bytes()
    except (OSError, ValueError, RuntimeError):  # a text may be no path at all: too long, with a NUL, or begin with ~
        return (os.fspath(obj).encode(errors="replace"),)


def _content(obj: object) -> str:
    """Digest of any object by what it holds."""
    return str(joblib.hash(obj))
