"""Inputs of simulation codes: the .cell of CASTEP, and pw.x inputs of Quantum Espresso through ASE."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import IStructure

from skdim.crystals.limits import check_size
from skdim.crystals.records import structure_from_dict

__all__ = ["is_code_input", "structure_from_code_input"]

_BLOCK = re.compile(r"^\s*%block\s+(\w+)[^\n]*\n(.*?)^\s*%endblock\s+\1\b", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_CASTEP = re.compile(r"^\s*%block\s+lattice_(?:cart|abc)\b", re.IGNORECASE | re.MULTILINE)
_ESPRESSO = re.compile(r"^\s*&system\b", re.IGNORECASE | re.MULTILINE)
_COMMENT = re.compile(r"[#!;].*")
_BOHR = 0.529177210903  # Angstrom
_UNITS = {"ang": 1.0, "bohr": _BOHR, "a0": _BOHR, "nm": 10.0, "pm": 0.01, "m": 1e10, "cm": 1e8}


def is_code_input(text: str) -> bool:
    r"""Tell a .cell of CASTEP and an input of pw.x by what they must have.

    Examples
    --------
    >>> is_code_input("%BLOCK LATTICE_ABC\n4 4 4\n90 90 90\n%ENDBLOCK LATTICE_ABC\n"), is_code_input("data_x\n")
    (True, False)
    """
    if "%" not in text and "&" not in text:
        return False
    head = text[:200_000]
    if _CASTEP.search(head):
        return True
    return _ESPRESSO.search(head) is not None and "ATOMIC_POSITIONS" in head.upper()


def structure_from_code_input(text: str) -> IStructure:
    """Read the crystal of an input.

    Parameters
    ----------
    text : str
        For which `is_code_input` holds.

    Returns
    -------
    pymatgen Structure

    Raises
    ------
    ValueError
        If a block is missing, or the lattice of pw.x is given by ``ibrav``.
    ImportError
        If ASE is needed and not installed.
    """
    check_size(len(text))
    return _castep(text) if _CASTEP.search(text[:200_000]) else _espresso(text)


def _espresso(text: str) -> IStructure:
    """Read an input of pw.x."""
    try:
        from ase.io.espresso import read_espresso_in
    except ImportError as error:
        raise ImportError('inputs of Quantum Espresso need ASE: pip install "skdim-crystals[ase]"') from error
    atoms: Any = read_espresso_in(io.StringIO(text))
    return structure_from_dict(
        {"numbers": atoms.numbers, "positions": atoms.positions, "cell": np.array(atoms.cell), "pbc": [True] * 3}
    )


def _castep(text: str) -> IStructure:
    """Read a .cell; ASE would start CASTEP to learn its keywords."""
    blocks: dict[str, list[list[str]]] = {}
    for name, body in _BLOCK.findall(text):
        lines = [_COMMENT.sub("", line).split() for line in body.splitlines()]
        blocks[name.lower()] = [words for words in lines if words]
    if "lattice_cart" in blocks:
        unit, rows = _unit(blocks["lattice_cart"])
        matrix = np.array([[float(word) for word in row[:3]] for row in rows], dtype=np.float64) * unit
    elif "lattice_abc" in blocks:
        unit, rows = _unit(blocks["lattice_abc"])
        lengths, angles = ([float(word) for word in row[:3]] for row in rows[:2])
        matrix = np.array(Lattice.from_parameters(*(unit * length for length in lengths), *angles).matrix)
    else:
        raise ValueError("the block LATTICE_CART or LATTICE_ABC has no end (%ENDBLOCK)")
    if "positions_frac" in blocks:
        unit, rows = 1.0, blocks["positions_frac"]
    elif "positions_abs" in blocks:
        unit, rows = _unit(blocks["positions_abs"])
    else:
        raise ValueError("a .cell of CASTEP without POSITIONS_FRAC or POSITIONS_ABS")
    if any("mixture" in word.lower() for row in rows for word in row[4:]):
        raise ValueError("a .cell of CASTEP with MIXTURE of atoms, which is not read; a CIF is needed")
    names = [row[0].partition(":")[0] for row in rows]
    coords = np.array([[float(word) for word in row[1:4]] for row in rows], dtype=np.float64).reshape(-1, 3)
    if "positions_frac" not in blocks:
        coords = coords * unit @ np.linalg.inv(matrix)
    species = [int(name) if name.isdigit() else name for name in names]
    return structure_from_dict({"lattice": matrix, "species": species, "frac_coords": coords})


def _unit(rows: list[list[str]]) -> tuple[float, list[list[str]]]:
    """Take the line of the unit off, where there is one; Angstrom where there is none."""
    if len(rows[0]) > 1:
        return 1.0, rows
    word = rows[0][0].lower()
    if word not in _UNITS:
        raise ValueError(f"the unit must be one of {', '.join(_UNITS)}, got {word!r}")
    return _UNITS[word], rows[1:]
