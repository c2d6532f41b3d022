"""Read one crystal of a text or a file, whatever its format."""

from __future__ import annotations

import lzma
import os
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pymatgen.core.composition import CompositionError
from pymatgen.core.structure import IStructure
from pymatgen.core.structure import StructureError as PymatgenStructureError

from skdim.crystals.aims import is_aims, structure_from_aims
from skdim.crystals.blocks import block_of
from skdim.crystals.castep import is_castep, structure_from_castep
from skdim.crystals.cif import read_cif
from skdim.crystals.crystal import Crystal, crystal_of
from skdim.crystals.espresso import is_espresso, structure_from_espresso
from skdim.crystals.leftout import check_complete
from skdim.crystals.limits import check_size, read_bounded
from skdim.crystals.notes import Note
from skdim.crystals.otherfiles import (
    UNKNOWN,
    check_readable,
    is_alloy,
    is_vasprun,
    is_yaml,
    structure_by_pymatgen,
    structure_from_vasprun,
)
from skdim.crystals.poscar import read_poscar
from skdim.crystals.records import structure_from_dict, unwrap
from skdim.crystals.shelx import is_shelx, read_shelx
from skdim.crystals.textformats import TextFormat, load_json, load_yaml, mistaken_for, text_format
from skdim.crystals.uploads import decoded

__all__ = [
    "PARSER_ERRORS",
    "Opened",
    "crystal_from_file",
    "crystal_from_opened",
    "crystal_from_record",
    "crystal_from_text",
    "noted",
    "read_text",
]

_OF_CIF = ("data_", "#\\#CIF", "# generated using pymatgen\ndata_")  # what most of them begin with
# What the parsers of pymatgen and the standard library raise for files that are damaged or not what they seem.
PARSER_ERRORS = (
    ValueError,  # most; also undecodable text, invalid JSON, a singular matrix, a species that is no element
    LookupError,  # a tag, key or line that is missing
    TypeError,  # a value of the wrong kind, None for a number
    AttributeError,  # the same, of Python objects handed in
    ArithmeticError,  # a division by a zero length or volume
    AssertionError,
    RuntimeError,  # also NotImplementedError: incommensurate and disordered magnetic CIF
    OSError,  # missing, unreadable or wrongly compressed files
    EOFError,  # truncated gzip
    zlib.error,
    lzma.LZMAError,
    SyntaxError,  # also malformed XML, in vasprun.xml
    CompositionError,  # pymatgen's own, derived from Exception
    PymatgenStructureError,  # likewise: as many species as coordinates are needed
    ImportError,  # a format for which pymatgen needs a package that is not installed
    MemoryError,  # of one crystal; the others go on
)

_PROGRAMS: tuple[tuple[Callable[[str], bool], Callable[[str], IStructure]], ...] = (
    (is_castep, structure_from_castep),
    (is_espresso, structure_from_espresso),
    (is_vasprun, structure_from_vasprun),
    (is_aims, structure_from_aims),
)


def crystal_from_text(
    text: str,  # the content of the file. The cell of a CIF is taken as it is
    kind: TextFormat | None = None,  # by default found from the text
    block: str | None = None,  # the data block of a CIF; by default the first with a crystal
) -> Crystal:
    r"""Read a crystal from the text of a CIF, a POSCAR or a JSON file; any other text is a ValueError.

    Damaged POSCAR and JSON raises any of ``PARSER_ERRORS``.

    Examples
    --------
    >>> crystal_from_text("Fe\n1\n2.87 0 0\n0 2.87 0\n0 0 2.87\nFe\n2\ndirect\n0 0 0\n.5 .5 .5").frac.tolist()
    [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
    """
    check_size(len(text))
    if kind is None and is_shelx(text):
        return read_shelx(text)
    if kind is None and (program := _program_of(text)):
        return noted(program, text)
    kind = kind or text_format(text)
    if mistaken := mistaken_for(text):
        raise ValueError(mistaken)
    if kind == "cif":
        return read_cif(text, block)
    if kind == "json":
        return _from_json(text)
    if kind == "poscar":
        return read_poscar(text)
    raise ValueError(f"text that is neither CIF nor POSCAR nor JSON: it begins with {text[:40]!r}")


def _program_of(text: str) -> Callable[[str], IStructure] | None:
    """Return the reader of a text that a program other than those of diffraction reads or writes."""
    return next((read for tells, read in _PROGRAMS if tells(text)), None)


def crystal_from_file(path: str | os.PathLike[str]) -> Crystal:
    """Read a crystal from a file: CIF, POSCAR, JSON (plain or compressed), or what else pymatgen reads.

    CIF, POSCAR and JSON are told by their content; the name counts where that is not clear. A data block of a CIF may
    be named, as in "all.cif#NaCl". A damaged file raises any of ``PARSER_ERRORS``.
    """
    if named := block_of(os.path.expanduser(os.fspath(path))):
        file, block = named
        return crystal_from_text(read_text(file).text, "cif", block)
    return crystal_from_opened(read_text(path))


class Opened(NamedTuple):
    """A file that was read."""

    path: str
    text: str


def read_text(path: str | os.PathLike[str]) -> Opened:
    """Read the text of a file, decompressed and decoded; see `crystal_from_file` for the errors."""
    path = os.path.expanduser(os.fspath(path))
    return Opened(path, decoded(read_bounded(path)))


def crystal_from_opened(file: Opened) -> Crystal:
    """Read a crystal from a file that was read; see `crystal_from_file`."""
    path, text = file
    if not text.strip("\0 \t\r\n"):
        raise ValueError("an empty file")
    if text.startswith(_OF_CIF) and ".cif" in path.lower():  # most files, told at once
        return read_cif(text)
    if is_shelx(text) or _program_of(text):
        return crystal_from_text(text)
    name = os.path.basename(path)
    kind = None if is_alloy(name) else text_format(text) or _format_of_name(name)
    if kind is not None or mistaken_for(text):
        return crystal_from_text(text, kind)
    if is_yaml(name):
        return crystal_from_record(load_yaml(text))
    return noted(lambda opened: _by_pymatgen(*opened), file)


def _by_pymatgen(path: str, text: str) -> IStructure:
    """Read a file of a format that pymatgen knows by its name, with reasons of our own."""
    check_readable(path, text)
    try:
        structure = structure_by_pymatgen(path, text)
    except (OSError, MemoryError):
        raise
    except ImportError as error:
        if (error.name or "").startswith("pymatgen."):  # of a program that shares its suffix (.inp) with others
            raise ValueError(UNKNOWN) from error
        raise
    except (*PARSER_ERRORS, Warning) as error:  # a Warning is raised for lines of AIRSS that are not known
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"not what its name says, cut off, or of a calculation that did not end ({words})") from error
    check_complete(os.path.basename(path).lower(), text, len(structure))
    return structure


_LOCK = threading.RLock()


def noted(read: Callable[[Any], IStructure], content: Any) -> Crystal:
    """Read with a reader that warns, and keep its warnings as notes of the crystal."""
    # Python's list of warnings is one for all threads.
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        structure = read(content)
    return crystal_of(structure, [Note(" ".join(str(warning.message).split())[:300]) for warning in caught])


def _format_of_name(name: str) -> TextFormat | None:
    """Guess from a file's name what it was meant to be, so that the right parser says what is wrong with it."""
    name = name.lower()
    if ".cif" in name or ".mcif" in name:
        return "cif"
    if ".json" in name or ".mson" in name:
        return "json"
    return "poscar" if "poscar" in name or "contcar" in name or name.endswith(".vasp") else None


def _from_json(text: str) -> Crystal:
    """Read JSON that holds one crystal."""
    record = load_json(text)
    for _ in range(2):  # JSON in a text that was written as JSON again
        if isinstance(record, str) and text_format(record) == "json":
            record = load_json(record)
    if not isinstance(record, dict):
        raise ValueError(f"JSON that holds a {type(record).__name__}; one crystal, a dict, is accepted")
    return crystal_from_record(record)


def crystal_from_record(record: Mapping[str, Any]) -> Crystal:
    r"""Read a crystal from a dict that is one, or that has one, as a dict or text, in just one of its fields.

    Damaged ones raise any of ``PARSER_ERRORS``.

    Examples
    --------
    >>> entry = {"energy": -1.0, "structure": "Fe\n1\n2.87 0 0\n0 2.87 0\n0 0 2.87\nFe\n1\ndirect\n0 0 0"}
    >>> crystal_from_record(entry).species
    (((26, 1.0),),)
    """
    crystal = unwrap(record)
    return crystal_from_text(crystal) if isinstance(crystal, str) else noted(structure_from_dict, crystal)
