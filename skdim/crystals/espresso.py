"""Inputs of pw.x of Quantum Espresso, also those whose lattice is given by ``ibrav``, which ASE does not read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.structure import IStructure

from skdim.crystals.limits import current_limits
from skdim.crystals.records import structure_from_dict
from skdim.crystals.species import element_of_name

__all__ = ["is_espresso", "structure_from_espresso"]

_START = re.compile(r"^[ \t]*&system\b", re.IGNORECASE | re.MULTILINE)
_SETTING = re.compile(r"([a-z_]\w{0,40}(?:\(\s*\d+\s*\))?)\s*=\s*('[^']*'|\"[^\"]*\"|[^\s,]+)", re.IGNORECASE)
_FRACTION = re.compile(r"([+-]?[\d.]{1,20})/(\d{1,20}(?:\.\d*)?)")
_CURE = "write it with ibrav=0 and CELL_PARAMETERS, which the output of pw.x has"
_BOHR = 0.529177210903  # Angstrom
_CARDS = frozenset(
    {"ATOMIC_SPECIES", "ATOMIC_POSITIONS", "K_POINTS", "CELL_PARAMETERS", "CONSTRAINTS", "OCCUPATIONS"}
    | {"ATOMIC_VELOCITIES", "ATOMIC_FORCES", "ADDITIONAL_K_POINTS", "SOLVENTS", "HUBBARD"}
)


def is_espresso(text: str) -> bool:
    r"""Tell an input of pw.x by what it must have.

    Examples
    --------
    >>> is_espresso("&SYSTEM\n ibrav=1\n/\nATOMIC_POSITIONS\n"), is_espresso("data_x\n")
    (True, False)
    """
    if "&" not in text[:200_000] or _START.search(text, 0, 200_000) is None:
        return False
    return re.search(r"^[ \t]*ATOMIC_POSITIONS\b", text, re.IGNORECASE | re.MULTILINE) is not None


def structure_from_espresso(text: str) -> IStructure:
    """Read the crystal of an input, a text for which `is_espresso` holds.

    References
    ----------
    https://www.quantum-espresso.org/Doc/INPUT_PW.html
    """
    settings, cards = _parts(text)
    if "space_group" in settings:
        raise ValueError("an input of pw.x by space_group, which is not read; its output or a CIF is needed")
    edge = _edge(settings)
    matrix = _lattice(settings, cards, edge)
    kind, rows = _card(cards, "ATOMIC_POSITIONS", "alat")
    if kind == "crystal" and settings.get("ibrav") == "-13":
        raise ValueError(
            "ibrav=-13 with ATOMIC_POSITIONS in crystal, whose axes version 6.4.1 changed; give them in angstrom, or "
            + _CURE
        )
    n = int(_number(settings.get("nat", str(len(rows))), "nat"))
    if n > (most := current_limits().rows):
        raise ValueError(f"an input of pw.x of {n} atoms; up to {most} are read (limit rows)")
    if len(rows) != n:
        raise ValueError(f"an input of pw.x with nat={n} and {len(rows)} lines of ATOMIC_POSITIONS")
    coords = np.array([_numbers(row[1:4], row) for row in rows]).reshape(-1, 3)
    if kind != "crystal":
        coords = coords * _scale(kind, edge, "ATOMIC_POSITIONS") @ np.linalg.inv(matrix)
    species = [element_of_name(row[0]) for row in rows]
    return structure_from_dict({"lattice": matrix, "species": species, "frac_coords": coords})


def _parts(text: str) -> tuple[dict[str, str], dict[str, list[list[str]]]]:
    """Read the settings of &SYSTEM, and the words of the lines of each card, that of its name first."""
    settings: dict[str, str] = {}
    cards: dict[str, list[list[str]]] = {}
    namelist, card = "", ""
    for line in text.splitlines():
        words = re.split("[!#]", line, maxsplit=1)[0].strip()
        if words.startswith("&"):
            namelist = words[1:].split()[0].lower() if words[1:].split() else ""
            namelist = "" if namelist == "end" else namelist
            words = words[1 + len(namelist) :]
        if namelist:
            if namelist == "system":
                settings |= {
                    re.sub(r"\s", "", key.lower()): value.strip("'\"") for key, value in _SETTING.findall(words[:2000])
                }
            if words.endswith("/") or words.lower().endswith("&end"):
                namelist = ""
        elif words:
            first = re.split(r"[\s({]", words, maxsplit=1)[0].upper()
            card = first if first in _CARDS else card
            cards.setdefault(card, []).append(words.split())
    return settings, cards


def _card(cards: dict[str, list[list[str]]], name: str, default: str) -> tuple[str, list[list[str]]]:
    """Return the option of a card in small letters, and its lines."""
    if name not in cards:
        raise ValueError(f"an input of pw.x without {name}")
    head, *rows = cards[name]
    option = " ".join(head)[len(name) :].strip(" \t(){}").lower()
    return option or default, rows


def _edge(settings: dict[str, str]) -> float | None:
    """Read the lattice parameter, in Angstrom; None if there is none."""
    if "celldm(1)" in settings:
        return _number(settings["celldm(1)"], "celldm(1)") * _BOHR
    return _number(settings["a"], "A") if "a" in settings else None


def _scale(kind: str, edge: float | None, card: str) -> float:
    """Return how many Angstrom a unit of a card has."""
    if kind == "alat" and edge is not None:
        return edge
    if kind not in ("bohr", "angstrom"):
        lacking = " without celldm(1) or A" if kind == "alat" else ""
        raise ValueError(f"{card} in {kind!r}{lacking}; alat, bohr and angstrom are read, and crystal for positions")
    return _BOHR if kind == "bohr" else 1.0


def _lattice(settings: dict[str, str], cards: dict[str, list[list[str]]], edge: float | None) -> NDArray[np.float64]:
    """Return the lattice vectors in Angstrom."""
    number = int(_number(settings.get("ibrav", "?"), "ibrav"))
    if number == 0:
        kind, rows = _card(cards, "CELL_PARAMETERS", "alat" if edge is not None else "bohr")
        if len(rows) != 3:
            raise ValueError(f"CELL_PARAMETERS has {len(rows)} vectors; three are needed")
        return np.array([_numbers(row[:3], row) for row in rows]) * _scale(kind, edge, "CELL_PARAMETERS")
    if number not in _LATTICES or edge is None:
        lacking = f"ibrav={number} without celldm(1) or A" if edge is None else f"ibrav={number} is not read"
        raise ValueError(f"{lacking}; {_CURE}")
    ratios = _ratios(settings, number)
    matrix = np.array(_LATTICES[number](*ratios)) * edge
    if not np.isfinite(matrix).all():
        raise ValueError(f"the lattice parameters of ibrav={number} are missing or contradict one another")
    return matrix


def _ratios(settings: dict[str, str], number: int) -> list[float]:
    """Return b/a, c/a and the cosines of celldm(4) to (6); NaN for what is not given."""
    if "celldm(1)" in settings:
        words = [settings.get(f"celldm({k})") for k in range(2, 7)]
        return [math.nan if word is None else _number(word, "celldm") for word in words]
    names = {"b": 0, "c": 1, "cosab": 2}
    if number == 14:
        names |= {"cosbc": 2, "cosac": 3, "cosab": 4}
    elif number in (-12, -13):
        names |= {"cosac": 3}
    values = [math.nan] * 5
    for name, place in names.items():
        if name in settings:
            values[place] = _number(settings[name], name)
    a = _number(settings["a"], "A")
    return [values[0] / a, values[1] / a, *values[2:]]


def _number(word: str, what: str) -> float:
    """Read a number of Fortran, or a fraction."""
    try:
        found = _FRACTION.fullmatch(word)
        value = float(found[1]) / float(found[2]) if found else float(word.lower().replace("d", "e"))
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{what} is {word[:30]!r}; a number is needed")
    return value


def _numbers(words: Sequence[str], row: Sequence[str]) -> list[float]:
    """Read three numbers of a line."""
    if len(words) != 3:
        raise ValueError(f"the line {' '.join(row)[:60]!r} of the input: three numbers are needed")
    return [_number(word, f"a number of the line {' '.join(row)[:60]!r}") for word in words]


# ---------------------------------------------------------------- the lattices of ibrav, in units of a

Vectors = list[tuple[float, float, float]]


def _root(value: float) -> float:
    """Square root; NaN of what has none."""
    return math.sqrt(value) if value >= 0 else math.nan


def _rhombohedral(b: float, c: float, cos: float, *_: float) -> Vectors:
    """Three-fold axis along z."""
    x, y, z = _root((1 - cos) / 2), _root((1 - cos) / 6), _root((1 + 2 * cos) / 3)
    return [(x, -y, z), (0, 2 * y, z), (-x, -y, z)]


def _rhombohedral_111(b: float, c: float, cos: float, *_: float) -> Vectors:
    """Three-fold axis along the diagonal."""
    y, z = _root((1 - cos) / 6), _root((1 + 2 * cos) / 3)
    u, v = (z - 2 * math.sqrt(2) * y) / math.sqrt(3), (z + math.sqrt(2) * y) / math.sqrt(3)
    return [(u, v, v), (v, u, v), (v, v, u)]


def _triclinic(b: float, c: float, cos_a: float, cos_b: float, cos_g: float) -> Vectors:
    """Of no symmetry."""
    sin_g = _root(1 - cos_g**2)
    height = _root(1 + 2 * cos_a * cos_b * cos_g - cos_a**2 - cos_b**2 - cos_g**2) / sin_g
    third = (c * cos_b, c * (cos_a - cos_b * cos_g) / sin_g, c * height)
    return [(1, 0, 0), (b * cos_g, b * sin_g, 0), third]


_HALF = 0.5
_LATTICES: dict[int, Callable[..., Vectors]] = {
    1: lambda *_: [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
    2: lambda *_: [(-_HALF, 0, _HALF), (0, _HALF, _HALF), (-_HALF, _HALF, 0)],
    3: lambda *_: [(_HALF, _HALF, _HALF), (-_HALF, _HALF, _HALF), (-_HALF, -_HALF, _HALF)],
    -3: lambda *_: [(-_HALF, _HALF, _HALF), (_HALF, -_HALF, _HALF), (_HALF, _HALF, -_HALF)],
    4: lambda b, c, *_: [(1, 0, 0), (-_HALF, math.sqrt(3) / 2, 0), (0, 0, c)],
    5: _rhombohedral,
    -5: _rhombohedral_111,
    6: lambda b, c, *_: [(1, 0, 0), (0, 1, 0), (0, 0, c)],
    7: lambda b, c, *_: [(_HALF, -_HALF, c / 2), (_HALF, _HALF, c / 2), (-_HALF, -_HALF, c / 2)],
    8: lambda b, c, *_: [(1, 0, 0), (0, b, 0), (0, 0, c)],
    9: lambda b, c, *_: [(_HALF, b / 2, 0), (-_HALF, b / 2, 0), (0, 0, c)],
    -9: lambda b, c, *_: [(_HALF, -b / 2, 0), (_HALF, b / 2, 0), (0, 0, c)],
    91: lambda b, c, *_: [(1, 0, 0), (0, b / 2, -c / 2), (0, b / 2, c / 2)],
    10: lambda b, c, *_: [(_HALF, 0, c / 2), (_HALF, b / 2, 0), (0, b / 2, c / 2)],
    11: lambda b, c, *_: [(_HALF, b / 2, c / 2), (-_HALF, b / 2, c / 2), (-_HALF, -b / 2, c / 2)],
    12: lambda b, c, g, *_: [(1, 0, 0), (b * g, b * _root(1 - g**2), 0), (0, 0, c)],
    -12: lambda b, c, _, cos_b, *__: [(1, 0, 0), (0, b, 0), (c * cos_b, 0, c * _root(1 - cos_b**2))],
    13: lambda b, c, g, *_: [(_HALF, 0, -c / 2), (b * g, b * _root(1 - g**2), 0), (_HALF, 0, c / 2)],
    # Version 6.4.1 changed the vectors, which span the lattice that they spanned before.
    -13: lambda b, c, _, cos_b, *__: [
        (_HALF, b / 2, 0),
        (-_HALF, b / 2, 0),
        (c * cos_b, 0, c * _root(1 - cos_b**2)),
    ],
    14: _triclinic,
}
"""Lattice vectors by ibrav, of b/a, c/a and cosines."""
