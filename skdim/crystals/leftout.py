"""What pymatgen passes over in files of other programs: such files are refused, as a part of a crystal is another."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatch

__all__ = ["check_complete", "check_plain"]

_SETTING = re.compile(r"SPGR\s*=\s*(\d+)", re.IGNORECASE)
_EXPONENT = re.compile(r"\s-?\d*\.\d*[eEdD][+-]?\d")
_NOT_BULK = re.compile(r"^\s*(SLAB|POLYMER|MOLECULE)\b", re.IGNORECASE | re.MULTILINE)
_COUNT = r"[ \t]*(\d{1,9})\b"
_N_ATOMS = {
    "*.cssr*": re.compile(rf"(?:.*\n){{2}}{_COUNT}"),
    "*.xsf*": re.compile(rf"^\s*PRIMCOORD[^\n]*\n{_COUNT}", re.IGNORECASE | re.MULTILINE),
    "*.config*": re.compile(_COUNT),
    "*.pwmat*": re.compile(_COUNT),
}
"""Where files of a name say how many atoms they hold."""


def check_plain(
    name: str,  # of the file, in small letters
    text: str,  # its content
) -> None:
    """Refuse a file that says of its atoms what pymatgen does not look at, naming that and the cure."""
    for pattern, passed_over in _PASSED_OVER.items():
        if fnmatch(name, pattern) and (reason := passed_over(text)):
            raise ValueError(f"{reason}; write the crystal as CIF, with its symmetry or with all atoms of the cell")


def check_complete(
    name: str,  # of the file, in small letters
    text: str,  # its content
    n_sites: int,  # that were read
) -> None:
    """Refuse a crystal of another number of atoms than its file says, naming both."""
    found = next((where.search(text) for pattern, where in _N_ATOMS.items() if fnmatch(name, pattern)), None)
    if found is not None and 0 < int(found[1]) != n_sites:
        raise ValueError(f"the file says that it holds {found[1]} atoms, and {n_sites} can be read: it is cut off")


def _of_cssr(text: str) -> str:
    """Tell symmetry and Cartesian coordinates of a CSSR file."""
    lines = text.split("\n", 3)
    found = _SETTING.search(lines[1]) if len(lines) > 3 else None
    if found and int(found[1]) > 1:
        return f"a CSSR file of space group {found[1]}, whose symmetry is not applied"
    flags = lines[2].split() if len(lines) > 3 else []
    if flags[1:2] == ["1"]:
        return "a CSSR file with Cartesian coordinates, which are not read"
    return "a CSSR file with exponents in its numbers, which are not read" if _EXPONENT.search(text) else ""


def _of_xsf(text: str) -> str:
    """Tell what is not periodic in all three directions of an XSF file."""
    found = _NOT_BULK.search(text)
    return f"an XSF file of a {found[1].lower()}, which is not periodic in all three directions" if found else ""


_PASSED_OVER: dict[str, Callable[[str], str]] = {"*.cssr*": _of_cssr, "*.xsf*": _of_xsf}
