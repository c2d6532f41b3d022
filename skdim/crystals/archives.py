"""The files in an archive one after the other; nothing is unpacked to disk, and no link is followed."""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from skdim.crystals.limits import current_limits, megabytes
from skdim.crystals.streams import READ_ERRORS, open_bounded, read_whole, unpacked_at_most, unpacks_to_too_much

__all__ = ["ARCHIVE_ERRORS", "ArchiveMember", "members"]

ARCHIVE_ERRORS = (
    *READ_ERRORS,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    KeyError,
    MemoryError,
    AssertionError,
)
"""What reading of a damaged archive raises; RuntimeError if it is encrypted or compressed in an unknown way."""


class ArchiveMember(NamedTuple):
    """A file in an archive."""

    name: str
    """Its path in the archive."""
    data: bytes = b""
    """What it holds."""
    problem: str | None = None
    """Why there are no data."""


def members(
    path: str | os.PathLike[str],  # a zip file, by its name, or a tar file, compressed or not
    # Of the name of a member, whether it is to be read. Archives in the archive are members with a problem.
    wanted: Callable[[str], bool],
) -> Iterator[ArchiveMember]:
    """Yield the members of an archive whose names are wanted, in their order there.

    Links, members that lead out of the archive, and what is larger than a crystal or cannot be read are members with a
    problem: none that is wanted is left out in silence. Where the archive cannot be read any further, one of
    `ARCHIVE_ERRORS` is raised.
    """
    if os.fspath(path).lower().endswith(".zip"):
        yield from _zip_members(path, wanted)
    else:
        yield from _tar_members(path, wanted)


def _zip_members(path: str | os.PathLike[str], wanted: Callable[[str], bool]) -> Iterator[ArchiveMember]:
    """Yield the members of a zip file."""
    with zipfile.ZipFile(path) as archive:
        left = unpacked_at_most(os.stat(path).st_size)
        for entry in archive.infolist():
            name = entry.filename
            if entry.is_dir() or not wanted(name):
                continue
            if problem := _name_problem(name) or _size_problem(entry.file_size) or _zip_link_problem(entry):
                yield ArchiveMember(name, problem=problem)
                continue
            left -= entry.file_size  # reading it takes no more than it states
            if left < 0:  # also where many entries share one place in the file
                raise unpacks_to_too_much(os.stat(path).st_size)
            try:
                with archive.open(entry) as file:
                    member = ArchiveMember(name, read_whole(file, "a member"))
            except (*ARCHIVE_ERRORS, zlib.error, NotImplementedError) as error:
                member = ArchiveMember(name, problem=f"a member of the archive that cannot be read: {error}")
            yield member


def _tar_members(path: str | os.PathLike[str], wanted: Callable[[str], bool]) -> Iterator[ArchiveMember]:
    """Yield the members of a tar file."""
    with open_bounded(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        while (entry := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # which would keep a record of each: of an archive of any length one is in memory
            name = entry.name.removeprefix("./")
            if entry.isdir() or not wanted(name):
                continue
            if problem := _name_problem(name) or _kind_problem(entry) or _size_problem(entry.size):
                yield ArchiveMember(name, problem=problem)
            elif (content := archive.extractfile(entry)) is not None:
                yield ArchiveMember(name, read_whole(content, "a member"))


def _name_problem(name: str) -> str | None:
    """Say what is wrong with the name of a member."""
    if ".." in PurePosixPath(name.replace("\\", "/")).parts:
        return "a member whose name leads out of the archive ('..'); it is not read"
    if name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")):
        return "an archive in an archive; unpack it first"
    return None


def _size_problem(size: int) -> str | None:
    """Say that a member is too large for a crystal."""
    most = current_limits().n_bytes
    if size <= most:
        return None
    return f"a member of {megabytes(size)}; up to {megabytes(most)} are read of one file in an archive (limit n_bytes)"


def _zip_link_problem(entry: zipfile.ZipInfo) -> str | None:
    """Say that a member of a zip file is a link, which holds nothing but a path."""
    is_link = entry.external_attr >> 16 & 0o170000 == 0o120000
    return "a link in an archive; links are not followed, put the file itself in (zip without -y)" if is_link else None


def _kind_problem(entry: tarfile.TarInfo) -> str | None:
    """Say that a member of a tar file is no file."""
    if entry.issym() or entry.islnk():
        cure = "links are not followed, put the file itself in (tar -h --hard-dereference)"
        return f"a link to {entry.linkname[:100]!r} in an archive; {cure}"
    return None if entry.isfile() else "a pipe or device in an archive"
