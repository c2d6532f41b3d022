"""Folders of .npy files with a meta.json: written whole or not at all, checked when read."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from skdim._fields import ANY, COUNT, TEXT, Schema, check_fields
from skdim._files import is_full, scratch_folder
from skdim._parameters import choice, shown
from skdim.exceptions import InputError, shortened

Array = NDArray[Any]
META = "meta.json"
_META: Schema = {"arrays": {"*": {"dtype": TEXT, "shape": [COUNT], "crc32": COUNT}}, "*": ANY}


class GrowingFolder:
    """Arrays that grow along their first axis, each in a file of its own; made by `growing_folder`.

    ``header`` holds JSON-able values to keep beside the arrays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.header: dict[str, Any] = {}
        self._files: dict[str, IO[bytes]] = {}
        self.entries: dict[str, dict[str, Any]] = {}

    def append(self, name: str, array: Array) -> None:
        """Add rows to an array; those of its first call decide the type and the other axes."""
        if array.dtype.hasobject:
            raise ValueError(
                f"{name} must hold numbers or text of one length, got objects, which only pickle could keep."
            )
        if name not in self._files:
            self._files[name] = (self.folder / f"{name}.npy").open("wb")
            self.entries[name] = {"dtype": array.dtype.str, "shape": [0, *array.shape[1:]], "crc32": 0}
            self._write_header(name)
        entry, rows = self.entries[name], np.ascontiguousarray(array)
        if rows.dtype.str != entry["dtype"] or list(rows.shape[1:]) != entry["shape"][1:]:
            raise ValueError(
                f"{name}: rows of {rows.dtype.str} {list(rows.shape[1:])} cannot be added to {entry['dtype']} "
                f"{entry['shape'][1:]}."
            )
        self._files[name].write(rows.data if rows.size else b"")
        entry["crc32"] = zlib.crc32(rows.data if rows.size else b"", entry["crc32"])
        entry["shape"][0] += len(rows)

    def _write_header(self, name: str) -> None:
        """Write numpy's header at the start of the file: numpy leaves room for the first axis to grow."""
        entry, file = self.entries[name], self._files[name]
        file.seek(0)
        facts = {"descr": entry["dtype"], "fortran_order": False, "shape": tuple(entry["shape"])}
        np.lib.format.write_array_header_1_0(file, facts)

    def close(self) -> None:
        """Write the final numbers of rows, and close the files."""
        for name, file in self._files.items():
            with file:
                self._write_header(name)


@contextmanager
def growing_folder(path: str | os.PathLike[str], kind: str, version: int) -> Iterator[GrowingFolder]:
    """Write arrays, whole or part by part, as a folder that appears under its name when the ``with`` block ends.

    The folder's ``append`` adds rows; its ``header`` is kept beside the arrays. An error in the block leaves nothing
    behind. A folder written before for the same kind is replaced; anything else is a FileExistsError.
    """
    with _replacing(Path(path), kind) as fresh:
        folder = GrowingFolder(fresh)
        try:
            yield folder
        finally:
            folder.close()
        meta = json.dumps({"format": kind, "version": version, "arrays": folder.entries, **folder.header}, indent=1)
        (fresh / META).write_text(meta, encoding="utf-8")


@contextmanager
def _replacing(target: Path, kind: str) -> Iterator[Path]:
    """Give a new folder to fill; it replaces the target when the block ends well."""
    _refuse_other_content(target, kind)
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target) as scratch:
        fresh = scratch / "new"
        fresh.mkdir()
        try:
            yield fresh
        except OSError as error:
            if error.filename is None and is_full(error):  # of a write
                error.filename = str(fresh)
            raise
        _swap(fresh, target, scratch / "old")


def read_folder(
    path: str | os.PathLike[str],
    kind: str,
    version: int,
    names: Sequence[str],
    # None reads every array and compares its checksum. "r" maps the files and reads nothing but their headers, so
    # content is not checked.
    mmap_mode: Literal["r"] | None = None,
    # Earlier versions that are read too, and the earlier name of each array that had another one.
    former: Mapping[int, Mapping[str, str]] | None = None,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read the named arrays of a folder, and what its meta.json says.

    A folder without meta.json is a FileNotFoundError; one of another kind or version, or damaged, is an InputError.
    """
    if mmap_mode not in (None, "r"):
        raise InputError(f"mmap_mode must be None or 'r', got {mmap_mode!r}.")
    folder = Path(path)
    versions: Mapping[int, Mapping[str, str]] = {version: {}, **(former or {})}
    meta = _read_meta(folder, kind, versions)
    stored = {name: versions[meta["version"]].get(name, name) for name in names}
    missing = [name for name in stored.values() if name not in meta["arrays"]]
    if missing:
        raise InputError(f"{folder / META} is damaged: it does not list {', '.join(missing)}.")
    arrays = {name: _read_array(folder, file, meta["arrays"][file], mmap_mode) for name, file in stored.items()}
    return arrays, meta


def _swap(fresh: Path, target: Path, aside: Path) -> None:
    """Put `fresh` in the place of `target`; when that fails the old content comes back."""
    if target.exists():
        target.rename(aside)
    try:
        fresh.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise


def _refuse_other_content(target: Path, kind: str) -> None:
    """Raise FileExistsError unless `target` is absent, an empty folder, or a stored object of the same kind."""
    if not target.exists():
        return
    if target.is_dir():
        if not any(target.iterdir()):
            return
        meta = target / META
        if meta.is_file() and f'"format": "{kind}"' in meta.read_text(encoding="utf-8", errors="replace"):
            return
    raise FileExistsError(f"{target} exists and is not a saved {kind}, so it is not replaced. Choose another path.")


def _no_json(name: str) -> NoReturn:
    """Refuse NaN and infinities, which equal nothing or break what is computed from them."""
    raise ValueError(f"{name} is none")


def _read_meta(folder: Path, kind: str, versions: Collection[int]) -> dict[str, Any]:
    """Read meta.json and check that it announces what is asked for."""
    file = folder / META
    if not file.is_file():
        found = "has no meta.json" if folder.is_dir() else "is not a folder"
        raise FileNotFoundError(f"{folder} {found}: expected a folder written by {kind.rpartition('.')[2]}.save.")
    try:
        meta = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is damaged: not valid JSON ({error}).") from error
    if not isinstance(meta, dict) or meta.get("format") != kind:
        held = meta.get("format") if isinstance(meta, dict) else type(meta).__name__
        raise InputError(f"{folder} holds {shown(held)}, not {kind!r}.")
    if not choice(*versions).test(meta.get("version")):
        raise InputError(
            f"{folder} has layout version {shown(meta.get('version'))}; this version of skdim reads "
            f"{' and '.join(map(str, sorted(versions)))}. Featurize the structures again."
        )
    try:
        check_fields("", meta, _META)
    except InputError as error:
        raise InputError(f"{file} is damaged: {error}") from error
    return meta


def _read_array(folder: Path, name: str, entry: Mapping[str, Any], mmap_mode: Literal["r"] | None) -> Array:
    """Read or map one array and compare it with its entry in meta.json."""
    file = folder / f"{name}.npy"
    empty = 0 in entry["shape"]  # an empty array cannot be mapped
    try:
        loaded: Array = np.load(file, mmap_mode=None if empty else mmap_mode, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{folder} is incomplete: {file.name} is missing.") from error
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{file} is damaged: {error}") from error
    if loaded.dtype.str != entry["dtype"] or list(loaded.shape) != entry["shape"]:
        raise InputError(
            f"{file} is damaged: {loaded.dtype.str} {list(loaded.shape)} found, "
            f"{shortened(entry['dtype'])} {shortened(entry['shape'])} announced in {META}."
        )
    if mmap_mode is None and zlib.crc32(np.ascontiguousarray(loaded).data) != entry["crc32"]:
        raise InputError(f"{file} is damaged: its checksum differs from the one in {META}.")
    # A plain view of the mapping: it hashes and indexes as any array, and joblib still finds the file behind it.
    return loaded.view(np.ndarray)
