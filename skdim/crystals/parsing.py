"""CIF, POSCAR or JSON text, a file or a dict in, one pymatgen structure out."""

from __future__ import annotations

import lzma
import os
import re
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from monty.io import zopen
from pymatgen.core.composition import CompositionError
from pymatgen.core.structure import IStructure, Structure
from pymatgen.core.structure import StructureError as PymatgenStructureError

from skdim.crystals.records import structure_from_dict, unwrap
from skdim.crystals.textformats import TextFormat, load_json, load_yaml, mistaken_for, text_format

__all__ = [
    "PARSER_ERRORS",
    "structure_from_dict",
    "structure_from_file",
    "structure_from_record",
    "structure_from_text",
    "text_format",
]

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

# Occupancies of one place that add to a little more than one are rounded ones; pymatgen scales them and says so.
_OCCUPANCY_TOLERANCE = 1.015
_CIF_BLOCK = re.compile(r"^\s*(?=data_)", re.IGNORECASE | re.MULTILINE)


def structure_from_text(text: str, kind: TextFormat | None = None, name: str | None = None) -> IStructure:
    r"""Read a structure from the text of a CIF, a POSCAR or a JSON file.

    Parameters
    ----------
    text : str
        The content of the file. The cell of a CIF is taken as it is.
    kind : {"cif", "json", "poscar"}, optional
        By default found from the text.
    name : str or None, default=None
        What warnings call a CIF; None calls it by its data block.

    Returns
    -------
    pymatgen Structure

    Raises
    ------
    ValueError
        If the text is none of these. Damaged text raises any of ``PARSER_ERRORS``.

    Examples
    --------
    >>> structure_from_text("Fe\n1\n2.87 0 0\n0 2.87 0\n0 0 2.87\nFe\n2\ndirect\n0 0 0\n.5 .5 .5").formula
    'Fe2'
    """
    readers: dict[str | None, Callable[[str], IStructure]] = {
        "cif": lambda text: _from_cif(text, name or _block_name(text)),
        "json": _from_json,
        "poscar": _from_poscar,
    }
    if mistaken := mistaken_for(text):
        raise ValueError(mistaken)
    kind = kind or text_format(text)
    if kind not in readers:
        raise ValueError(f"text that is neither CIF nor POSCAR nor JSON: it begins with {text[:40]!r}")
    return readers[kind](text)


def structure_from_file(path: str | os.PathLike[str]) -> IStructure:
    """Read a structure from a file: CIF, POSCAR, JSON (plain or compressed), or what else pymatgen reads.

    Parameters
    ----------
    path : str or PathLike
        CIF, POSCAR and JSON are told by their content; the name counts where that is not clear.

    Returns
    -------
    pymatgen Structure

    Raises
    ------
    OSError
        If the file cannot be read. A damaged file raises any of ``PARSER_ERRORS``.
    """
    path = os.path.expanduser(os.fspath(path))
    # As pymatgen does: comments and names of authors in old files are in any encoding.
    with zopen(path, mode="rt", encoding="utf-8", errors="replace") as file:
        text = str(file.read())
    if not text.strip():
        raise ValueError("an empty file")
    if mistaken := mistaken_for(text):
        raise ValueError(mistaken)
    kind = text_format(text) or _format_of_name(os.path.basename(path))
    if kind is not None:
        return structure_from_text(text, kind, f"the CIF {path!r}")
    if path.lower().endswith((".yaml", ".yml")):  # not by pymatgen, which imports the classes that such a file names
        return structure_from_record(load_yaml(text))
    return Structure.from_file(path)


def _format_of_name(name: str) -> TextFormat | None:
    """Guess from a file's name what it was meant to be, so that the right parser says what is wrong with it."""
    name = name.lower()
    if ".cif" in name or ".mcif" in name:
        return "cif"
    if ".json" in name:
        return "json"
    return "poscar" if "poscar" in name or "contcar" in name or name.endswith(".vasp") else None


def _from_json(text: str) -> IStructure:
    """Read JSON that holds one crystal."""
    record = load_json(text)
    if not isinstance(record, dict):
        raise ValueError(f"JSON that holds a {type(record).__name__}; one crystal, a dict, is accepted")
    return structure_from_record(record)


def structure_from_record(record: Mapping[str, Any]) -> IStructure:
    r"""Read a structure from a dict that is a crystal, or that has one among its fields.

    Parameters
    ----------
    record : mapping
        As for `skdim.crystals.records.unwrap`. A crystal among the fields may be a dict or text.

    Returns
    -------
    pymatgen Structure

    Raises
    ------
    ValueError
        If no field, or more than one, is a crystal. Damaged ones raise any of ``PARSER_ERRORS``.

    Examples
    --------
    >>> entry = {"energy": -1.0, "structure": "Fe\n1\n2.87 0 0\n0 2.87 0\n0 0 2.87\nFe\n1\ndirect\n0 0 0"}
    >>> structure_from_record(entry).formula
    'Fe1'
    """
    crystal = unwrap(record)
    return structure_from_text(crystal) if isinstance(crystal, str) else structure_from_dict(crystal)


def _block_name(text: str) -> str:
    """Call a CIF that has no path by its first data block, which often is an id or a formula."""
    found = re.search(r"^\s*data_(\S+)", text, re.IGNORECASE | re.MULTILINE)
    return f"the CIF data_{found[1][:100]}" if found else "a CIF"


def _from_cif(text: str, name: str) -> IStructure:
    """Read the first crystal of a CIF, its sites as refined, split positions apart and shared ones mixed."""
    from pymatgen.io.cif import CifParser

    # Blocks without atoms, as publications have, would only make the parser warn of what they lack.
    blocks = [block for block in _CIF_BLOCK.split(text) if "_atom_site_fract_x" in block]
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        parser: Any = CifParser.from_str("".join(blocks) or text, occupancy_tolerance=_OCCUPANCY_TOLERANCE)
        try:
            # "ignore" does not ignore: without any structure it is an error, and what matters is a warning of its own.
            # Left out is the summary of all notes, every coordinate that was set to a third among them.
            structures = parser.parse_structures(primitive=False, on_error="ignore")
        except ValueError as error:
            raise ValueError("; ".join(parser.warnings) or str(error)) from error
    for note in noted:  # at the end of the text, so that filters of the parser's own words find them
        warnings.warn(f"{note.message} (in {name})", note.category, stacklevel=2)
    if any("implicit hydrogens" in note for note in parser.warnings):
        warnings.warn(f"{name} whose hydrogens have no positions: they are left out", stacklevel=2)
    if len(structures) > 1:
        warnings.warn(f"{name} with {len(structures)} crystals: only the first is taken", stacklevel=2)
    first: IStructure = structures[0]
    return first


def _from_poscar(text: str) -> IStructure:
    """Read a POSCAR that names its elements."""
    from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

    try:
        poscar = Poscar.from_str(text, read_velocities=False)
    except BadPoscarWarning as error:  # raised as an error for a line that has no three coordinates
        raise ValueError(str(error)) from error
    if not poscar.true_names:
        # pymatgen calls them H, He, Li...: another crystal than the one that was meant.
        raise ValueError("a POSCAR that does not name its elements; they belong in the line above the numbers of atoms")
    return poscar.structure
