"""Paths, folders and globs in, the files to read out, in a fixed order."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from skdim.exceptions import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
COMPRESSIONS = (".gz", ".bz2", ".xz")
_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".json")
_VASP_NAMES = ("poscar", "contcar")


@dataclass(frozen=True)
class Found:
    """What a list of paths stands for.

    Attributes
    ----------
    files : list of str
        Files and archives, in the order they are read; a path object takes several times the memory of its name.
    skipped : list of str
        Files in the folders that are neither, by their names.
    """

    files: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def find_files(paths: Iterable[str | os.PathLike[str]]) -> Found:
    """Resolve files, folders and globs, without reading any file.

    Parameters
    ----------
    paths : iterable of str or path
        Files are taken whatever their name, and those that a glob matches too. Folders are searched, with the folders
        in them, for files whose names are those of a CIF, POSCAR or JSON file or of an archive, in sorted order;
        hidden ones are left out.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        If a path does not exist, a glob matches nothing, or a folder holds no crystals; all of them are named.

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
                problems.append(f"the folder {str(place)!r} holds no CIF, POSCAR or JSON file and no archive")
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
    if given.exists():
        return [given]
    return [Path(match) for match in sorted(glob.glob(str(given), recursive=True))]


def _search(folder: Path, found: Found) -> bool:
    """Add the files of a folder, and say whether there were any to read."""
    before = len(found.files)
    for file in _walk(str(folder)):
        name = os.path.basename(file)
        known = is_crystal_name(name) or name.lower().endswith(ARCHIVES)
        (found.files if known else found.skipped).append(file)
    return len(found.files) > before


def _walk(folder: str) -> Iterator[str]:
    """Files of a folder and of those in it, sorted part by part; as names, as in `Found`."""
    _, folders, files = next(os.walk(folder, onerror=_give_up))
    inner = set(folders)
    for name in sorted(name for name in (*folders, *files) if not is_hidden(name)):
        path = name if folder == "." else os.path.join(folder, name)
        if name not in inner:
            yield path
        elif not os.path.islink(path):
            yield from _walk(path)


def _give_up(error: OSError) -> None:
    """Raise what would silently leave out a folder that may not be read."""
    raise error


def is_hidden(name: str) -> bool:
    """Tell files and folders that systems keep for themselves."""
    return name.startswith(".") or name == "__MACOSX"


def is_crystal_name(name: str) -> bool:
    """Tell whether a file's name is one of CIF, POSCAR or JSON, compressed or not.

    Examples
    --------
    >>> is_crystal_name("a/NaCl.cif.gz"), is_crystal_name("POSCAR_SrTiO3"), is_crystal_name("notes.txt")
    (True, True, False)
    """
    name = PurePosixPath(name).name.lower()
    plain = name.removesuffix(compression(name))
    return plain.endswith(_SUFFIXES) or any(word in plain for word in _VASP_NAMES)


def compression(name: str) -> str:
    """Suffix of a compressed file, "" for others."""
    suffix = PurePosixPath(name.lower()).suffix
    return suffix if suffix in COMPRESSIONS else ""


def holds_many(name: str) -> bool:
    """Tell archives and JSON files, which may hold any number of crystals, by their names."""
    name = name.lower()
    return name.endswith(ARCHIVES) or is_json(name)


def is_json(name: str) -> bool:
    """Tell JSON files, compressed or not, by their names."""
    name = name.lower()
    return name.removesuffix(compression(name)).endswith(".json")
