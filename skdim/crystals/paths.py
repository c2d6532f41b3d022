"""Finding the files that paths, folders and globs stand for, in a fixed order, and telling them by their names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from skdim.crystals.blocks import block_of
from skdim.exceptions import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
COMPRESSIONS = (".gz", ".bz2", ".xz")
_SEARCHED = (".cif", ".mcif", ".vasp", ".poscar", ".json", ".jsonl", ".ndjson", ".extxyz")
_FORMATS = {
    (".json",): "json",
    (".jsonl", ".ndjson"): "json lines",
    (".csv", ".tsv"): "csv",
    (".parquet", ".feather", ".arrow"): "arrow",
    (".extxyz", ".xyz"): "extxyz",
    (".db",): "database",
    (".traj",): "trajectory",
}
_MANY = tuple(suffix for suffixes in _FORMATS for suffix in suffixes)
_VASP_NAMES = ("poscar", "contcar")


@dataclass(frozen=True)
class Found:
    """What a list of paths stands for."""

    # Files and archives, in the order they are read; a path object takes several times the memory of its name.
    files: list[str] = field(default_factory=list)
    # What in the folders is passed over: files that are neither, by their names, and links to folders.
    skipped: list[str] = field(default_factory=list)
    column: str | None = None  # the columns of tables that hold the crystals and their ids; None to find them
    id_column: str | None = None


def find_files(paths: Iterable[str | os.PathLike[str]]) -> Found:
    """Resolve files, folders and globs, without reading any file.

    Files are taken whatever their name, and those that a glob matches too; of a CIF also one data block, as in
    "all.cif#NaCl". Folders are searched, with the folders in them, for files whose names are those of a CIF, POSCAR or
    JSON file or of an archive, in sorted order; hidden ones are left out.

    Examples
    --------
    >>> find_files(["no/such.cif"])
    Traceback (most recent call last):
    skdim.exceptions.InputError: 'no/such.cif' does not exist
    """
    found, problems = Found(), []
    for path in [os.fspath(path) for path in paths]:
        places = _expand(path)
        if not places:
            problems.append(f"{path!r} matches no file" if glob.has_magic(path) else _missing(path))
        for place in places:
            if not place.is_dir():
                found.files.append(str(place))
            elif not _search(place, found):
                problems.append(
                    f"the folder {str(place)!r} holds no CIF, POSCAR or JSON file and no archive; files of other kinds "
                    f"are read where they are named, as {str(place / '*.res')!r} does"
                )
    if problems:
        raise InputError("\n".join(problems))
    return found


def _missing(path: str) -> str:
    """Say that a path is not there, and what it was perhaps meant for."""
    from skdim.crystals.structures import meant_by_missing

    return f"{path!r} does not exist{meant_by_missing(path)}"


def _expand(path: str) -> list[Path]:
    """Places that a path stands for: itself if it exists, else what it matches as a glob."""
    given = Path(path).expanduser()
    if given.exists() or block_of(str(given)):
        return [given]
    return [Path(match) for match in sorted(glob.glob(str(given), recursive=True))]


def _search(folder: Path, found: Found) -> bool:
    """Add the files of a folder, and say whether there were any to read."""
    before = len(found.files)
    for file in _walk(str(folder)):
        name = os.path.basename(file)  # empty for a link to a folder
        known = is_searched(name) or is_archive(name)
        (found.files if known else found.skipped).append(file)
    return len(found.files) > before


def _walk(folder: str) -> Iterator[str]:
    """Files of a folder and of those in it, sorted part by part; as names, as in `Found`."""
    open_folders = [iter(_listing(folder))]  # no recursion: folders may be nested as deeply as they like
    while open_folders:
        for path, is_folder in open_folders[-1]:
            if not is_folder:
                yield path
            elif os.path.islink(path):  # which may lead round in a circle
                yield path + os.sep
            else:
                open_folders.append(iter(_listing(path)))
                break
        else:
            open_folders.pop()


def _listing(folder: str) -> list[tuple[str, bool]]:
    """What is in a folder, sorted: the path, and whether it is a folder."""
    _, folders, files = next(os.walk(folder, onerror=_give_up))
    inner = set(folders)
    names = sorted(name for name in (*folders, *files) if not is_hidden(name))
    return [(name if folder == "." else os.path.join(folder, name), name in inner) for name in names]


def _give_up(error: OSError) -> None:
    """Raise what would silently leave out a folder that may not be read."""
    raise error


def is_hidden(name: str) -> bool:
    """Tell files and folders that systems keep for themselves."""
    return name.startswith(".") or name == "__MACOSX"


def is_searched(name: str) -> bool:
    """Tell whether files of this name are read where a folder or an archive is searched.

    Tables, databases and trajectories are only read where they are named: folders of crystals have others beside them,
    with labels or results.

    Examples
    --------
    >>> is_searched("a/NaCl.cif.gz"), is_searched("POSCAR_SrTiO3"), is_searched("labels.csv")
    (True, True, False)
    """
    plain = _uncompressed(name).rsplit("/", 1)[-1]
    return plain.endswith(_SEARCHED) or any(word in plain for word in _VASP_NAMES)


def format_of(name: str) -> str | None:
    """Tell by its name the kind of a file that may hold many crystals, "archive" or "json lines" for instance.

    None is for files that are told by their content: CIF, POSCAR and what else pymatgen reads.

    Examples
    --------
    >>> format_of("mp.json.gz"), format_of("all.tar.gz"), format_of("a.parquet"), format_of("NaCl.cif")
    ('json', 'archive', 'arrow', None)
    """
    if is_archive(name):
        return "archive"
    plain = _uncompressed(name)
    return next((kind for suffixes, kind in _FORMATS.items() if plain.endswith(suffixes)), None)


def is_archive(name: str) -> bool:
    """Tell archives by their names."""
    return name.lower().endswith(ARCHIVES)


def compression(name: str) -> str:
    """Suffix of a compressed file, "" for others."""
    suffix = name[name.rfind(".") :].lower()
    return suffix if suffix in COMPRESSIONS else ""


def _uncompressed(name: str) -> str:
    """Name of what is compressed, and of any other file, in small letters."""
    return name.lower().removesuffix(compression(name))


def holds_many(name: str) -> bool:
    """Tell by its name a file that may hold more than one crystal, as `format_of` does."""
    return _uncompressed(name).endswith(_MANY) or is_archive(name)
