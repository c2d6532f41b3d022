"""Files of other programs: the vasprun.xml of VASP, and what pymatgen reads of formats that it tells by their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatch
from xml.etree import ElementTree

from pymatgen.core.structure import IStructure, Structure

from skdim.crystals.leftout import check_plain
from skdim.crystals.records import structure_from_dict

__all__ = [
    "UNKNOWN",
    "check_readable",
    "is_alloy",
    "is_vasprun",
    "is_yaml",
    "structure_by_pymatgen",
    "structure_from_vasprun",
]

_ALLOYS = ("*rndstr.in*", "*lat.in*", "*bestsqs*")
# JSON and YAML are not among them: pymatgen would import the classes that such a file names.
_NAMES = (
    *(*_ALLOYS, "*.cssr*", "*.xsf*", "ctrl*", "inp_*", "*.in*"),
    *("input*.xml", "inp*.xml", "*.config*", "*.pwmat*", "*prismatic*"),
)
UNKNOWN = (
    "neither CIF nor POSCAR nor JSON, and not of a format that its name tells; `ase convert FILE crystal.extxyz` makes "
    "one that is read of many others"
)
"""What is said of a file of no format that is read."""
_BINARY = "*.nc"
_LINES, _CHARACTERS = 20_000, 1 << 20  # of what pymatgen reads line by line
_GRID = "BEGIN_BLOCK_DATAGRID"  # of an XSF file, behind the crystal
_CUT_OFF = {"X": "Xe", "r": "Zr"}  # elements as some versions of VASP write them


def is_yaml(name: str) -> bool:
    """Tell YAML by the name of a file, also with another suffix behind.

    Examples
    --------
    >>> is_yaml("crystal.yml.old"), is_yaml("crystal.xsf")
    (True, False)
    """
    return ".yaml" in name.lower() or ".yml" in name.lower()


def check_readable(path: str, text: str) -> None:
    """Refuse a file of no format that pymatgen is trusted with, and one that it would read for longer than seconds."""
    name = os.path.basename(path).lower()
    if fnmatch(name, _BINARY):
        return
    if not any(fnmatch(name, known) for known in _NAMES):
        raise ValueError(UNKNOWN)
    crystal = text.partition(_GRID)[0]
    if len(crystal) > _CHARACTERS or crystal.count("\n") > _LINES:
        raise ValueError(
            f"a file of this format with more than {_LINES} lines or {_CHARACTERS >> 20} MiB; write the crystal as CIF "
            "or extxyz"
        )
    check_plain(name, crystal)


def structure_by_pymatgen(path: str, text: str) -> IStructure:
    """Read a file that is readable in the sense of `check_readable`."""
    crystal, grid, _ = text.partition(_GRID)
    return Structure.from_str(crystal, "xsf") if grid else Structure.from_file(path)


def is_alloy(name: str) -> bool:
    """Tell by its name a lattice or a cell of ATAT, whose first lines look like those of a POSCAR.

    Examples
    --------
    >>> is_alloy("bestsqs.out"), is_alloy("POSCAR")
    (True, False)
    """
    return any(fnmatch(name.lower(), known) for known in _ALLOYS)


def is_vasprun(text: str) -> bool:
    r"""Tell a vasprun.xml by how it begins.

    Examples
    --------
    >>> is_vasprun('<?xml version="1.0"?>\n<modeling>\n'), is_vasprun("data_x\n")
    (True, False)
    """
    return text[:2000].lstrip("\ufeff \t\r\n").startswith("<") and "<modeling>" in text[:2000]


def structure_from_vasprun(text: str) -> IStructure:
    """Read the last crystal of a calculation that came to its end; what else is in the file is not looked at."""
    atoms = _part(text, '<array name="atoms"', "</array>")
    last = _part(text, '<structure name="finalpos"', "</structure>")
    names = [(row.findtext("c") or "").strip() for row in atoms.iter("rc")]
    return structure_from_dict(
        {
            "lattice": _vectors(last, "crystal/varray[@name='basis']"),
            "species": [_CUT_OFF.get(name, name) for name in names],
            "frac_coords": _vectors(last, "varray[@name='positions']"),
        }
    )


def _part(text: str, begin: str, end: str) -> ElementTree.Element:
    """Parse the last part of a text between two tags; declarations, by which XML can grow, are before both."""
    start = text.rfind(begin)
    stop = text.find(end, start)
    if start < 0 or stop < 0:
        raise ValueError(f"a vasprun.xml without {begin[1:]}: cut off, or of a calculation that did not end")
    return ElementTree.fromstring(text[start : stop + len(end)])


def _vectors(part: ElementTree.Element, place: str) -> Sequence[Sequence[float]]:
    """Read the vectors of an array."""
    return [[float(word) for word in (row.text or "").split()] for row in part.iterfind(f"{place}/v")]
