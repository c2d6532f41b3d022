"""The .cell of CASTEP: blocks of a lattice and of positions. ASE would start CASTEP to learn its keywords."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import IStructure

from skdim.crystals.limits import current_limits
from skdim.crystals.records import structure_from_dict

__all__ = ["is_castep", "structure_from_castep"]

_START = re.compile(r"^[ \t]*%block[ \t]+lattice_(?:cart|abc)\b", re.IGNORECASE | re.MULTILINE)
_COMMENT = re.compile(r"[#!;].*")
_MIXTURE = re.compile(r"mixture\s*[:=]?\s*\(\s*(\d{1,6})[\s,]+(\d*\.?\d+)\s*\)", re.IGNORECASE)
_BOHR = 0.529177210903  # Angstrom
_UNITS = {"ang": 1.0, "bohr": _BOHR, "a0": _BOHR, "nm": 10.0, "pm": 0.01, "m": 1e10, "cm": 1e8}
_SAME = 1e-4  # fractional; the place of atoms that are a mixture

Lines = list[list[str]]
"""Words of the lines of a block, without comments and empty lines."""


def is_castep(text: str) -> bool:
    r"""Tell a .cell by the block that it must have.

    Examples
    --------
    >>> is_castep("%BLOCK LATTICE_ABC\n4 4 4\n90 90 90\n%ENDBLOCK LATTICE_ABC\n"), is_castep("data_x\n")
    (True, False)
    """
    return "%" in text[:200_000] and _START.search(text, 0, 200_000) is not None


def structure_from_castep(text: str) -> IStructure:
    """Read the crystal of a .cell, a text for which `is_castep` holds.

    Atoms with MIXTURE and the same number are one site, with the weights as occupancies.
    """
    blocks = _blocks(text)
    matrix = _lattice(blocks)
    if "positions_frac" in blocks:
        unit, rows = 1.0, blocks["positions_frac"]
    elif "positions_abs" in blocks:
        unit, rows = _unit(blocks["positions_abs"])
    else:
        raise ValueError("a .cell of CASTEP without POSITIONS_FRAC or POSITIONS_ABS")
    if len(rows) > (most := current_limits().rows):
        raise ValueError(f"a .cell of {len(rows)} atoms; up to {most} are read (limit rows)")
    coords = np.array([_numbers(row[1:4], row, 3) for row in rows]).reshape(-1, 3)
    if "positions_frac" not in blocks:
        coords = coords * unit @ np.linalg.inv(matrix)
    species, kept = _species(rows, coords)
    return structure_from_dict({"lattice": matrix, "species": species, "frac_coords": coords[kept]})


def _blocks(text: str) -> dict[str, Lines]:
    """Read the blocks by their names in small letters; one without an end is left out."""
    blocks: dict[str, Lines] = {}
    name = ""
    lines: Lines = []
    for line in text.splitlines():
        words = _COMMENT.sub("", line).split()
        first = words[0].lower() if words else ""
        if first == "%block" and len(words) > 1:
            name, lines = words[1].lower(), []
        elif first == "%endblock":
            blocks[name] = lines
            name, lines = "", []
        elif words:
            lines.append(words)
    return blocks


def _lattice(blocks: dict[str, Lines]) -> NDArray[np.float64]:
    """Read the lattice vectors in Angstrom."""
    if "lattice_cart" in blocks:
        unit, rows = _unit(blocks["lattice_cart"])
        if len(rows) != 3:
            raise ValueError(f"LATTICE_CART has {len(rows)} vectors; three are needed")
        return np.array([_numbers(row[:3], row, 3) for row in rows]) * unit
    if "lattice_abc" in blocks:
        unit, rows = _unit(blocks["lattice_abc"])
        if len(rows) != 2:
            raise ValueError(f"LATTICE_ABC has {len(rows)} lines; one of lengths and one of angles are needed")
        lengths, angles = (_numbers(row[:3], row, 3) for row in rows)
        return np.array(Lattice.from_parameters(*(unit * length for length in lengths), *angles).matrix)
    raise ValueError("the block LATTICE_CART or LATTICE_ABC has no end (%ENDBLOCK)")


def _unit(rows: Lines) -> tuple[float, Lines]:
    """Take off the line of the unit; without one, the unit is Angstrom."""
    if not rows or len(rows[0]) > 1:
        return 1.0, rows
    word = rows[0][0].lower()
    if word not in _UNITS:
        raise ValueError(f"the unit must be one of {', '.join(_UNITS)}, got {word!r}")
    return _UNITS[word], rows[1:]


def _numbers(words: Sequence[str], row: Sequence[str], count: int) -> list[float]:
    """Read a given number of numbers from a line."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count:
        raise ValueError(f"the line {' '.join(row)[:60]!r} of the .cell: {count} numbers are needed")
    return values


def _species(rows: Lines, coords: NDArray[np.float64]) -> tuple[list[int | str | dict[str, float]], list[int]]:
    """Read what each site holds, and which rows are sites: of a mixture the first."""
    species: list[int | str | dict[str, float]] = []
    kept: list[int] = []
    mixtures: dict[int, tuple[int, dict[str, float]]] = {}
    for k, row in enumerate(rows):
        name = row[0].partition(":")[0]
        options = " ".join(row[4:])
        if "mixture" not in options.lower():
            species.append(int(name) if name.isdigit() and len(name) < 4 else name)
            kept.append(k)
            continue
        found = _MIXTURE.search(options)
        if found is None:
            raise ValueError(f"the line {' '.join(row)[:60]!r} of the .cell: MIXTURE:(number weight) is needed")
        first, held = mixtures.setdefault(int(found[1]), (k, {}))
        if not held:
            species.append(held)
            kept.append(k)
        apart = coords[k] - coords[first]
        if np.abs(apart - np.rint(apart)).max() > _SAME:
            raise ValueError(f"the atoms of mixture {found[1]} are not at one place")
        held[name] = held.get(name, 0.0) + float(found[2])
    return species, kept
