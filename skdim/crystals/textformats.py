"""Telling formats apart by what a text begins with, and loading JSON and YAML as plain data."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal

from skdim.crystals.limits import check_values

__all__ = ["TextFormat", "fortran", "is_crystal_text", "load_json", "load_yaml", "mistaken_for", "text_format"]

TextFormat = Literal["cif", "json", "poscar"]

# Of blanks no line end: each of many empty lines would be searched to the last of them.
_CIF = re.compile(r"^[ \t]*(?:data_|loop_\s|_cell_length_a\s)", re.IGNORECASE | re.MULTILINE)
_WEB_PAGE = ("<!doctype html", "<html", "<head", "<body", "<error")
_YAML_BYTES, _YAML_VALUES = 1 << 20, 50_000  # its parser takes seconds for more
_YAML_MARKS = (",", "[", "{", ":", "\n", "- ")  # of which each value has one
_PRINTED_DICT = re.compile(r"\s*\{\s*'")
_OTHERS = {
    "version https://git-lfs.github.com/spec/": (
        "a Git LFS pointer, not the file it stands for; `git lfs pull` in the repository fetches that"
    ),
    "/annex/objects/": "a git-annex pointer, not the file it stands for; `git annex get` fetches that",
    "outs:\n- md5:": "a DVC pointer, not the file it stands for; `dvc pull` fetches that",
    "%PDF-": "a PDF, not data; a CIF is needed",
    "PK\3\4": "a zip archive (or a spreadsheet); an archive is read under a name that ends in .zip",
    "(\xb5/\xfd": "compressed by Zstandard, which is not read; decompress it",
    "\u2030PNG": "an image, not data; a CIF is needed",  # the first byte as Western Windows has it
    "\xff\xd8\xff": "an image, not data; a CIF is needed",
    "GIF8": "an image, not data; a CIF is needed",
    "\xd0\xcf\x11\xe0": "a document of Word or Excel, not data; the CIF itself is needed, saved as text",
    "{\\rtf": "formatted text (RTF), not data; save it as plain text",
    "\u2030HDF": "an HDF5 file, which is not read; write its crystals as CIF, JSON or extxyz",
    "\u201cNUMPY": "an array of numpy, which says nothing of elements; write the crystals as CIF, JSON or extxyz",
    "SQLite format 3": "an SQLite database; one of ASE is read under a name that ends in .db",
    "404": "the message of a web server, not data; open the link it was downloaded from in a browser",
    "CRYST1": "a PDB file, which leaves out what a crystal needs; a CIF is needed",
    "HEADER ": "a PDB file, which leaves out what a crystal needs; a CIF is needed",
    "vasp.": "an OUTCAR of VASP; the CONTCAR or vasprun.xml of the same calculation is read",
    "LAMMPS data": "data for LAMMPS, whose types are no elements; write the crystal as CIF or extxyz",
    "Full Formula (": "a printed pymatgen Structure, with rounded numbers; write it as CIF or JSON (Structure.to)",
    "Structure Summary": "a printed pymatgen Structure, with rounded numbers; write it as CIF or JSON (Structure.to)",
}
"""What some texts begin with, and what they are."""
_PICKLE = re.compile("\u20ac[\2-\5]")  # the first byte as Western Windows has it


def text_format(text: str) -> TextFormat | None:
    r"""Tell CIF, JSON and POSCAR text apart by its content; None for everything else, a path for instance.

    Examples
    --------
    >>> text_format("data_NaCl\n_cell_length_a 5.6")
    'cif'
    >>> text_format("data_nacl.cif") is None
    True
    """
    if "\n" not in text[:100_000] and "\r" in text:  # line ends of the first Macintosh
        text = text.replace("\r", "\n")
    # POSCAR first: its comment line may begin like one of the others.
    if _is_poscar(text):
        return "poscar"
    if text[:1000].lstrip("\ufeff \t\r\n").startswith(("{", "[", '"{')):
        return "json"
    return "cif" if "\n" in text and _CIF.search(text) else None


def _is_poscar(text: str) -> bool:
    """Tell whether the second line begins with a number, and the third to the fifth hold three."""
    head = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text[:10_000] else text
    try:
        fortran(head.split("\n", 2)[1].split(maxsplit=1)[0])
        vectors = [[fortran(word) for word in line.split(maxsplit=3)[:3]] for line in head.split("\n", 5)[2:5]]
    except (ValueError, IndexError):
        return False
    return [len(vector) for vector in vectors] == [3, 3, 3]


def fortran(word: str) -> float:
    """Read a number, also with the exponent of double precision.

    Examples
    --------
    >>> fortran("5.0D-1"), fortran("2")
    (0.5, 2.0)
    """
    return float(word.replace("D", "e").replace("d", "e"))


def is_crystal_text(text: str) -> bool:
    """Tell the text of a crystal from other JSON and other words, by its beginning and what a crystal must name.

    Examples
    --------
    >>> is_crystal_text('{"lattice": {}, "sites": []}'), is_crystal_text('{"Na": 1}'), is_crystal_text("NaCl")
    (True, False, False)
    """
    kind = text_format(text)
    return kind is not None and (kind != "json" or '"lattice' in text or '"positions"' in text)


def mistaken_for(text: str) -> str | None:
    """Say by its beginning what a file that should hold crystals is instead, where that is a common mistake.

    Examples
    --------
    >>> print(mistaken_for("<!DOCTYPE html><html>"))
    a web page, not data; open the link it was downloaded from in a browser to see what it says
    """
    head = text[:5000].lstrip("\ufeff \t\r\n")
    if not head:
        return "nothing, where a crystal is needed"
    while head.startswith(("<!--", "<?xml")):  # comments before a page, and the first line of XML
        head = head.partition("-->" if head.startswith("<!--") else "?>")[2].lstrip()
    if head.lower().startswith(_WEB_PAGE):
        return "a web page, not data; open the link it was downloaded from in a browser to see what it says"
    if _PRINTED_DICT.match(head):
        return "a Python dict printed as text; write it as JSON (json.dumps), or the structure as CIF"
    if _PICKLE.match(head):
        return "a pickle, which is not opened as it may run code; write the crystals as JSON (Structure.to)"
    if "\n" not in head.strip() and "\\n" in head and text_format(head.replace("\\n", "\n")) in ("cif", "poscar"):
        return r"a crystal whose line ends are written as the two characters \n; write it with real ones"
    return next((what for start, what in _OTHERS.items() if head.startswith(start)), None)


def load_json(text: str) -> Any:
    """Load JSON, with or without a byte order mark, as plain data; of NaN the check of the structure speaks best.

    Examples
    --------
    >>> load_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: JSON that is nested too deeply
    """
    check_values(text)
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:  # Python's own bound, which its parser keeps before the stack is exhausted
        raise ValueError("JSON that is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"JSON that cannot be read: {error}") from error


def load_yaml(text: str) -> Any:
    """Load one document of YAML as plain data.

    Refused are tags that name classes, and more than 1 MiB or 50,000 values, also once references are followed.

    Examples
    --------
    >>> load_yaml("a: [1, 2]")
    {'a': [1, 2]}
    >>> load_yaml("!!python/object/apply:os.system ['ls']")
    Traceback (most recent call last):
    ValueError: YAML that cannot be read: could not determine a constructor for the tag ...
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > _YAML_BYTES:
        raise ValueError(f"YAML of {len(text) / 2**20:.0f} MiB; up to {_YAML_BYTES // 2**20} MiB are read")
    if (count := sum(map(text.count, _YAML_MARKS))) > _YAML_VALUES:
        raise ValueError(f"YAML of {count} values; up to {_YAML_VALUES} are read. JSON may have more")
    try:
        value = YAML(typ="safe").load(text)
        size = _unfolded(value, {})
    except (YAMLError, RecursionError) as error:
        raise ValueError(f"YAML that cannot be read: {' '.join(str(error).split())}") from error
    if size > _YAML_BYTES:
        raise ValueError("YAML whose references unfold to more than a crystal takes")
    return value


def _unfolded(value: Any, known: dict[int, float]) -> float:
    """Count the values in a value, those that are referred to each time; infinite where one contains itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_unfolded(part, known) for part in parts)
    return known[id(value)]
