"""Reading crystals from whatever they are kept in: files, folders, archives, tables, databases, data frames."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pymatgen.core.structure import IStructure

from skdim.crystals.archives import ARCHIVE_ERRORS, members
from skdim.crystals.arrowtables import sources_of_arrow
from skdim.crystals.blocks import block_of, split_blocks
from skdim.crystals.databases import sources_of_database, sources_of_trajectory
from skdim.crystals.extxyz import sources_of_extxyz
from skdim.crystals.frames import sources_of_frame
from skdim.crystals.given import is_frame
from skdim.crystals.jsonfiles import sources_of_json, sources_of_json_lines
from skdim.crystals.parsing import PARSER_ERRORS, read_text
from skdim.crystals.paths import find_files, format_of, is_archive, is_hidden, is_searched
from skdim.crystals.sources import Source, UniqueIds, as_text
from skdim.crystals.streams import READ_ERRORS, Bounded, bounded_bytes, check_regular, open_bounded, read_whole
from skdim.crystals.structures import coerce_structure
from skdim.crystals.tables import sources_of_csv
from skdim.crystals.uploads import decoded
from skdim.exceptions import InputError

__all__ = ["CrystalRow", "read_crystals", "read_files", "sources_of_file", "sources_of_piece"]

_BLOCK = re.compile(r"^[ \t]*data_", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class CrystalRow(Source):
    """A crystal that is not parsed yet, with its id.

    Wherever a list of crystals is taken, a list of these is taken too: a row with a problem fails with that as its
    reason, and messages name the ids.

    Attributes
    ----------
    id : str
        Unlike that of any other row of the same reading.
    content : object
        What is to be parsed: a path, text, or a dict.
    problem : str or None
        Why there is no content; None if there is.
    """

    @property
    def structure(self) -> IStructure:
        """The crystal, parsed anew each time.

        Raises
        ------
        ValueError
            Naming the reason, if it cannot be read.
        """
        return coerce_structure(self)


def read_crystals(paths: Any, *, column: str | None = None, id_column: str | None = None) -> Iterator[CrystalRow]:
    r"""Read crystals from files of any kind, one after the other, each with an id.

    The command line reads with this function too, so the ids are those of its tables.

    Parameters
    ----------
    paths : str, path, data frame, or iterable of them
        Files, folders (searched with the folders in them), globs and archives; CIF with any number of blocks, POSCAR,
        JSON and JSON lines in the dialects of pymatgen, OPTIMADE, JARVIS and ASE, tables as CSV, Parquet or Arrow,
        extended XYZ, databases and trajectories of ASE, and what else pymatgen reads. Or a data frame of pandas,
        polars or pyarrow.
    column : str, optional
        The column of tables, or field of JSON records, that holds the crystals. By default "structure", or the only
        one that does.
    id_column : str, optional
        The column or field that holds their ids. By default the first of "material_id", "id", "entry_id", "jid",
        "mat_id", "task_id" that is there.

    Yields
    ------
    CrystalRow
        In the order of the paths, in sorted order within folders. Nothing is held in memory but the row at hand and
        the ids so far.

    Raises
    ------
    InputError
        If it is no path, does not exist, a glob matches nothing, or a folder holds no crystals: before the first row.
        What cannot be read later is a row with a problem.

    See Also
    --------
    skdim.CrystalPointSetTransformer : Takes rows as it takes structures.

    Notes
    -----
    Nothing that a file names is imported, called or opened: a file is data.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> text = "Po\n1\n3.4 0 0\n0 3.4 0\n0 0 3.4\nPo\n1\ndirect\n0 0 0\n"
    >>> _ = (folder / "POSCAR").write_text(text)
    >>> _ = (folder / "POSCAR_2").write_text("nothing")
    >>> for row in read_crystals(folder):
    ...     print(pathlib.Path(row.id).name, row.problem)
    POSCAR None
    POSCAR_2 None
    >>> next(iter(read_crystals(folder))).structure.formula
    'Po1'
    """
    given = [paths] if isinstance(paths, str | os.PathLike) or is_frame(paths) else list(paths)
    # Found before the first row is asked for, so that a wrong path is an error at once.
    places: list[Any] = []
    for one in given:
        if not isinstance(one, str | os.PathLike) and not is_frame(one):
            raise InputError(
                f"paths holds a {type(one).__name__}; paths and data frames are read here. Crystals in memory need no "
                "reading: transform takes them as they are."
            )
        places += [one] if is_frame(one) else find_files([one]).files
    return _unique(_of_places(places, column, id_column))


def read_files(
    files: Iterable[str],  # what `skdim.crystals.paths.find_files` found
    *,
    column: str | None = None,  # as for `read_crystals`
    id_column: str | None = None,
) -> Iterator[CrystalRow]:
    """Read crystals from files that were found before."""
    return _unique(_of_places(files, column, id_column))


def _unique(sources: Iterable[tuple[str | None, Source]]) -> Iterator[CrystalRow]:
    """Give each crystal an id of its own."""
    ids = UniqueIds()
    for file, source in sources:
        # The name that is kept already, where it is the same: of many files names are all that takes memory.
        name = file if file is not None and source.id == file else source.id
        yield CrystalRow(ids.unique(name), source.content, source.problem)


def _of_places(places: Iterable[Any], column: str | None, id_column: str | None) -> Iterator[tuple[str | None, Source]]:
    """Yield what files and data frames hold, with the name of the file."""
    for place in places:
        if is_frame(place):
            yield from ((None, source) for source in sources_of_frame(place, column, id_column))
        else:
            yield from ((place, source) for source in sources_of_file(place, column, id_column))


def sources_of_piece(piece: str | Source) -> Iterator[Source]:
    """Yield the crystals of a file that `skdim.crystals.pieces.pieces_of` left closed, or a crystal that it found.

    Their content is the text of the file, which is read only once.
    """
    if isinstance(piece, Source):
        yield piece
        return
    name = PurePosixPath(piece).as_posix()
    try:
        opened = read_text(piece)
    except PARSER_ERRORS:
        yield Source(name, piece)  # reading it will say what is wrong
        return
    yield from _of_text(name, opened.text, opened)


def sources_of_file(file: str, column: str | None = None, id_column: str | None = None) -> Iterator[Source]:
    """Yield the crystals of one file or archive; what cannot be read is a problem.

    Nothing but names is held in memory of those that were yielded before.
    """
    name = PurePosixPath(file).as_posix()
    if block_of(file):
        yield Source(name, file)
        return
    kind = format_of(name)
    try:
        check_regular(file)
    except READ_ERRORS as error:
        yield Source(name, problem=_words(error))
        return
    if kind == "archive":
        yield from _of_archive(file, name, column, id_column)
    elif kind == "arrow":
        yield from sources_of_arrow(file, name, column, id_column)
    elif kind == "database":
        yield from sources_of_database(file, name, id_column)
    elif kind is not None:
        try:
            with open_bounded(file) as stream:
                yield from _of_stream(kind, stream, name, column, id_column)
        except READ_ERRORS as error:
            yield Source(name, problem=_words(error))
    else:
        yield from _of_text_file(file, name)


def _words(error: BaseException) -> str:
    """Say why a file cannot be read."""
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__


def _of_stream(kind: str, stream: Bounded, name: str, column: str | None, id_column: str | None) -> Iterator[Source]:
    """Yield the crystals of a file of a kind that holds many."""
    if kind == "json":
        yield from sources_of_json(stream, name, column, id_column)
    elif kind == "json lines":
        yield from sources_of_json_lines(stream, name, column, id_column)
    elif kind == "csv":
        yield from sources_of_csv(stream, name, column, id_column)
    elif kind == "extxyz":
        yield from sources_of_extxyz(stream, name, id_column)
    else:
        yield from sources_of_trajectory(stream, name)


def _of_text_file(file: str, name: str) -> Iterator[Source]:
    """Yield the crystals of a CIF, or of a file that holds one crystal, which is opened later."""
    if ".cif" not in name.lower() and ".mcif" not in name.lower():
        yield Source(name, file)
        return
    try:
        with open_bounded(file) as stream:
            data = read_whole(stream, "a CIF")
    except READ_ERRORS as error:
        yield Source(name, problem=_words(error))
    else:
        yield from _of_text(name, decoded(data), file)


def _of_text(name: str, text: str, whole: Any) -> Iterator[Source]:
    """Yield the crystals of a text: of a CIF of several blocks one by the file's name, more by their blocks' too."""
    blocks = split_blocks(text) if len(_BLOCK.findall(text)) > 1 else []
    if len(blocks) < 2:
        yield Source(name, whole)
        return
    for block in blocks:
        yield Source(f"{name}#{block.name}", as_text(block.text))


def _of_archive(file: str, name: str, column: str | None, id_column: str | None) -> Iterator[Source]:
    """Yield the crystals of the members of an archive; what is damaged beyond reading on is a problem of its own."""
    empty = True
    try:
        for member in members(file, _is_wanted):
            empty = False
            inner = f"{name}/{member.name}"
            if member.problem is not None:
                yield Source(inner, problem=member.problem)
            else:
                yield from _of_bytes(inner, member.data, column, id_column)
    except ARCHIVE_ERRORS as error:
        how = "" if empty else " any further"
        yield Source(name, problem=f"an archive that cannot be read{how}: {_words(error)}")
    else:
        if empty:
            yield Source(name, problem="an archive without CIF, POSCAR or JSON files")


def _is_wanted(member: str) -> bool:
    """Tell members that may hold crystals, by their names."""
    if any(is_hidden(part) for part in PurePosixPath(member).parts if part not in (".", "..")):
        return False
    return is_searched(member) or is_archive(member)


def _of_bytes(name: str, data: bytes, column: str | None, id_column: str | None) -> Iterator[Source]:
    """Yield the crystals in the content of a file."""
    kind = format_of(name)
    if kind is not None:
        with bounded_bytes(data) as stream:
            yield from _of_stream(kind, stream, name, column, id_column)
        return
    try:
        text = decoded(data)
    except ValueError as error:
        yield Source(name, problem=str(error))
        return
    if not text.strip():
        yield Source(name, problem="an empty file")
    else:
        yield from _of_text(name, text, as_text(text))
