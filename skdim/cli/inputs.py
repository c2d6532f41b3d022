"""Files and archives in, one crystal after the other with its id out."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from skdim.cli.paths import ARCHIVES, compression, is_crystal_name, is_hidden, is_json
from skdim.crystals.parsing import PARSER_ERRORS, text_format

_DECOMPRESS = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
_ID_KEYS = ("material_id", "id", "entry_id")
_ARCHIVE_ERRORS = (*PARSER_ERRORS, zipfile.BadZipFile, tarfile.TarError)


@dataclass(frozen=True)
class Crystal:
    """One row of the input.

    Attributes
    ----------
    id : str
        Path of its file; path of its archive and in that, as of one folder; or the id it has in a JSON file.
    content : object
        What `skdim.crystals.structures.coerce_structure` reads: the path of the file, its text, or a dict.
    problem : str or None
        Why there is no content; None if there is.
    """

    id: str
    content: Any = None
    problem: str | None = None


def read_crystals(files: Iterable[str | Path]) -> Iterator[Crystal]:
    """Read files and archives, one crystal at a time.

    A JSON file is read whole, of an archive one member at a time. CIF and POSCAR files are not opened here.

    Parameters
    ----------
    files : iterable of str or Path
        What `find_files` found.

    Yields
    ------
    Crystal
        Those of a file in their order there. An id that was given out before gets "#2", "#3", ... at its end. A file
        or a member that cannot be read is one crystal with a problem.
    """
    taken: Counter[str] = Counter()
    for file in files:
        for crystal in _of_file(Path(file)):
            # The name that is kept already, where it is the same: of many files names are all that takes memory.
            name = file if isinstance(file, str) and crystal.id == file else crystal.id
            # Names that are no UTF-8 could not be written to any table.
            name = unique = name if name.isascii() else name.encode("utf-8", "replace").decode()
            while taken[unique]:
                taken[name] += 1
                unique = f"{name}#{taken[name]}"
            taken[unique] += 1
            yield replace(crystal, id=unique)


def _of_file(file: Path) -> Iterator[Crystal]:
    """Crystals of one file or archive."""
    name = file.as_posix()
    if name.lower().endswith(".zip"):
        yield from _of_archive(name, _zip_members(file))
    elif name.lower().endswith(ARCHIVES):
        yield from _of_archive(name, _tar_members(file))
    elif is_json(name):
        try:
            data = file.read_bytes()
        except OSError as error:
            yield Crystal(name, problem=error.strerror or str(error))
        else:
            yield from _of_bytes(name, data)
    else:
        yield Crystal(name, file)


def _of_archive(name: str, members: Iterator[tuple[str, bytes | str]]) -> Iterator[Crystal]:
    """Crystals of the members of an archive; what is damaged beyond reading on is a crystal with a problem."""
    empty = True
    try:
        for member, data in members:
            empty = False
            member = f"{name}/{member}"
            yield from [Crystal(member, problem=data)] if isinstance(data, str) else _of_bytes(member, data)
    except _ARCHIVE_ERRORS as error:
        how = "" if empty else " any further"
        yield Crystal(name, problem=f"an archive that cannot be read{how}: {error}")
    else:
        if empty:
            yield Crystal(name, problem="an archive without CIF, POSCAR or JSON files")


def _is_wanted(member: str) -> bool:
    """Tell members that may hold crystals, by their names."""
    return is_crystal_name(member) and not any(is_hidden(part) for part in PurePosixPath(member).parts if part != ".")


def _zip_members(file: Path) -> Iterator[tuple[str, bytes | str]]:
    """Name and content of each member of a zip file, or the reason why it cannot be read."""
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if not member.is_dir() and _is_wanted(member.filename):
                try:
                    data: bytes | str = archive.read(member)
                except _ARCHIVE_ERRORS as error:
                    data = f"a member of the archive that cannot be read: {error}"
                yield member.filename, data


def _tar_members(file: Path) -> Iterator[tuple[str, bytes | str]]:
    """Name and content of each file in a tar archive; nothing is extracted to disk."""
    with tarfile.open(file, "r:*") as archive:
        for member in archive:
            if member.isfile() and _is_wanted(member.name) and (content := archive.extractfile(member)):
                yield member.name.removeprefix("./"), content.read()


def _of_bytes(name: str, data: bytes) -> Iterator[Crystal]:
    """Crystals in the content of a file."""
    suffix = compression(name)
    try:
        text = (_DECOMPRESS[suffix](data) if suffix else data).decode("utf-8", errors="replace")
    except PARSER_ERRORS as error:
        yield Crystal(name, problem=f"wrongly compressed: {error}")
        return
    if not text.strip():
        yield Crystal(name, problem="an empty file")
    elif is_json(name):
        yield from _of_json(name, text)
    else:
        yield Crystal(name, _as_text(text))


def _as_text(text: str) -> str:
    """Text that cannot be taken for a path: what an archive holds must not lead to other files."""
    return text + "\n"


def _of_json(name: str, text: str) -> Iterator[Crystal]:
    """Crystals of a JSON text: one, a list of them, a dict of them by id, or a table as pandas splits it."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield Crystal(name, problem=f"JSON that cannot be read: {error}")
        return
    if _is_record(data):
        yield Crystal(name, _content(data))
        return
    records = list(_records(name, data))
    if not any(_is_record(record) for _, record in records):
        kind = type(data).__name__
        yield Crystal(name, problem=f"JSON without crystals: a {kind}; accepted are one, a list, or a dict by ids")
        return
    yield from (Crystal(key, _content(record)) for key, record in records)


def _records(name: str, data: Any) -> Iterator[tuple[str, Any]]:
    """Each entry of a JSON collection with its id."""
    names: Sequence[Any] = ()
    if isinstance(data, Mapping) and {"columns", "index", "data"} <= data.keys():  # pandas' "split", as matminer's sets
        names = data["index"]
        data = [dict(zip(data["columns"], row, strict=False)) for row in data["data"]]
    if isinstance(data, Mapping):
        yield from ((str(key), record) for key, record in data.items())
    elif isinstance(data, Sequence) and not isinstance(data, str):
        for number, record in enumerate(data):
            own = [record.get(key) for key in _ID_KEYS] if isinstance(record, Mapping) else []
            # Rows that pandas has only numbered are no names.
            own += [label for label in names[number : number + 1] if isinstance(label, str)]
            own = [key for key in own if isinstance(key, str | int)]
            yield (str(own[0]) if own else f"{name}/{number}"), record


def _is_record(record: Any) -> bool:
    """Tell what may be one crystal."""
    if isinstance(record, str):
        return text_format(record) is not None
    return isinstance(record, Mapping) and ("lattice" in record or isinstance(record.get("structure"), Mapping))


def _content(record: Any) -> Any:
    """Return the crystal of a record, which may be one of its fields."""
    if isinstance(record, Mapping) and "lattice" not in record and isinstance(record.get("structure"), Mapping):
        return record["structure"]
    return _as_text(record) if isinstance(record, str) else record
