"""POSCAR and CONTCAR of VASP: a lattice, counts of atoms with their elements, and coordinates."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.crystal import WHOLE, Crystal
from skdim.crystals.limits import current_limits
from skdim.crystals.notes import Note
from skdim.crystals.species import ELEMENTS
from skdim.crystals.textformats import fortran

__all__ = ["read_poscar"]

# A name of VASP's potentials: "Ti", "Ti_sv_GW", "Ti_pv/4f2a8c". "Ti/Zr" and "Ti_Zr" are none.
_NAME = re.compile(r"([A-Z][a-z]?)(?:_(?![A-Z][a-z])\w*)?(?:/[0-9a-f]*)?")
_COMMENT = re.compile(r"[!#].*")
_NO_NAMES = "a POSCAR that does not name its elements; they belong in the line above the numbers of atoms"


def read_poscar(text: str) -> Crystal:
    r"""Read a POSCAR that names its elements; velocities and what else follows the coordinates is left alone.

    Examples
    --------
    >>> read_poscar("Fe\n1\n2.87 0 0\n0 2.87 0\n0 0 2.87\nFe\n2\ndirect\n0 0 0\n.5 .5 .5").frac.tolist()
    [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n", 3 * current_limits().rows)  # of a text of line ends alone each would take memory
    if len(lines) < 8:
        raise ValueError(
            f"a POSCAR of {len(lines)} lines; lattice, elements, numbers of atoms and coordinates are needed"
        )
    scale = _numbers(lines[1], 2, "one factor or three")
    two = len(set(words := lines[1].split())) == len(words) == 2 and all(map(_is_number, words))
    if two or 0 in scale or (len(scale) == 3 and min(scale) < 0):
        raise ValueError(f"line 2 ({lines[1].strip()[:40]!r}) of the POSCAR: one factor, or three above 0, is needed")
    lattice = np.array([_numbers(lines[k], k + 1, "three numbers of a lattice vector", 3) for k in (2, 3, 4)])
    factor = np.array(scale)
    if scale[0] < 0:  # the volume of the cell
        volume = abs(float(np.linalg.det(lattice)))
        if not volume > 0:
            raise ValueError("the lattice vectors of the POSCAR span no volume")
        factor = np.array([(-scale[0] / volume) ** (1 / 3)])
    lattice = lattice * factor
    names, counts, start = _contents(lines)
    n_sites = sum(counts)
    if n_sites > (most := current_limits().rows):
        raise ValueError(f"a POSCAR of {n_sites} atoms; up to {most} are read (limit rows)")
    mode, start = _mode(lines, start)
    if len(lines) - start < n_sites or not all(map(str.strip, lines[start : start + n_sites])):
        raise ValueError(f"a POSCAR of {n_sites} atoms with too few lines of coordinates: it is cut off")
    if _is_row(lines[start + n_sites : start + n_sites + 1]):  # velocities stand behind an empty line
        raise ValueError(f"a POSCAR of {n_sites} atoms that lists more: its numbers of atoms are too small")
    rows = range(start, start + n_sites)
    coords = np.array([_numbers(lines[k], k + 1, "three coordinates", 3) for k in rows]).reshape(-1, 3)
    behind = _names_behind(lines[start : start + n_sites])
    if names is None:
        if behind is None:
            raise ValueError(_NO_NAMES)
        names, counts = behind, [1] * n_sites
    elif behind and behind != [name for name, count in zip(names, counts, strict=True) for _ in range(count)]:
        raise ValueError("the POSCAR names other elements in its line 6 than behind the coordinates")
    if mode in "ck":
        try:
            coords = (coords * factor) @ np.linalg.inv(lattice)
        except np.linalg.LinAlgError as error:
            raise ValueError("the lattice vectors of the POSCAR span no volume") from error
    crystal = _crystal(lattice, coords, names, counts)
    if mode == "d" and text.count("irect configuration") > 1:
        return replace(crystal, notes=(Note("a trajectory (XDATCAR), of which the first frame is taken"),))
    if _begins_another(lines[start + n_sites : start + n_sites + 12]):
        return replace(crystal, notes=(Note("a file with several crystals, of which the first is taken"),))
    return crystal


def _is_row(lines: Sequence[str]) -> bool:
    """Tell a line of coordinates, if there is one."""
    words = lines[0].split()[:3] if lines else []
    return len(words) == 3 and all(map(_is_number, words))


def _begins_another(lines: Sequence[str]) -> bool:
    """Tell another POSCAR, as programs that search for structures write one below the other, from velocities."""
    rows = [line.split() for line in lines if line.strip()]
    for start in range(len(rows) - 4):
        scale, *vectors, names = rows[start : start + 5]
        if len(scale) == 1 and all(map(_is_number, scale)) and [len(vector) for vector in vectors] == [3, 3, 3]:
            found = [_NAME.fullmatch(name) for name in names]
            if all(match is not None and match[1] in ELEMENTS for match in found):
                return True
    return False


def _crystal(
    lattice: NDArray[np.float64], frac: NDArray[np.float64], names: Sequence[str], counts: Sequence[int]
) -> Crystal:
    """Make the crystal of elements and the number of atoms of each."""
    symbols = list(dict.fromkeys(names))
    every = np.repeat([symbols.index(name) for name in names], counts)
    used, kind = np.unique(every, return_inverse=True)  # not those of which there are 0 atoms
    species = tuple(WHOLE[ELEMENTS[symbols[k]]] for k in used.tolist())
    return Crystal(lattice, frac, species, kind.astype(np.int32))


def _numbers(line: str, number: int, what: str, count: int | None = None) -> list[float]:
    """Read the numbers at the beginning of a line: all, or a given number of them."""
    words = line.split()[: count or 3]
    try:
        values = [fortran(word) for word in words]
    except ValueError:
        # Behind one factor there may be a comment.
        values = [fortran(words[0])] if count is None and words and _is_number(words[0]) else []
    if len(values) < (count or 1) or not all(map(math.isfinite, values)):
        raise ValueError(f"line {number} ({line.strip()[:40]!r}) of the POSCAR: {what} are needed")
    return values if count or len(values) == 3 else values[:1]


def _is_number(word: str) -> bool:
    """Tell whether a word is a number."""
    try:
        fortran(word)
    except ValueError:
        return False
    return True


def _contents(lines: Sequence[str]) -> tuple[list[str] | None, list[int], int]:
    """Read elements and numbers of atoms; of files of old versions of VASP the numbers alone."""
    names = _COMMENT.sub("", lines[5]).split()
    if names and names[0].isdigit():
        return None, _counts(lines[5], 6), 6
    counts = _counts(lines[6], 7)
    found = [_NAME.fullmatch(name) for name in names]
    symbols = [match[1] for match in found if match is not None and match[1] in ELEMENTS]
    if len(symbols) < len(names) or not names:
        wrong = next((n for n, m in zip(names, found, strict=True) if m is None or m[1] not in ELEMENTS), "")
        raise ValueError(f"line 6 of the POSCAR names {wrong[:20]!r}, which is no element")
    if len(symbols) != len(counts):
        raise ValueError(f"the POSCAR names {len(symbols)} elements and has {len(counts)} numbers of atoms")
    return symbols, counts, 7


def _counts(line: str, number: int) -> list[int]:
    """Read numbers of atoms, up to what is a comment."""
    counts: list[int] = []
    for word in line.split():
        if not word.isdigit() or len(word) > 12:
            if len(word) > 12 or not counts:
                raise ValueError(f"line {number} ({line.strip()[:40]!r}) of the POSCAR: numbers of atoms are needed")
            break
        counts.append(int(word))
    if not counts:
        raise ValueError(f"line {number} of the POSCAR is empty: numbers of atoms are needed")
    return counts


def _mode(lines: Sequence[str], start: int) -> tuple[str, int]:
    """Tell Cartesian coordinates ("c" or "k") from others, and return where they begin."""
    first = lines[start].strip()[:1].lower() if start < len(lines) else ""
    if first == "s":  # selective dynamics
        start += 1
        first = lines[start].strip()[:1].lower() if start < len(lines) else ""
    if not first.isalpha():
        raise ValueError(f"line {start + 1} of the POSCAR: 'Direct' or 'Cartesian' is needed")
    return first, start + 1


def _names_behind(lines: Sequence[str]) -> list[str] | None:
    """Read the elements that some programs write behind the coordinates; None if not every line has one."""
    names = []
    for line in lines:
        words = [word for word in line.split()[3:] if word not in {"T", "F", ".TRUE.", ".FALSE."}]
        found = _NAME.fullmatch(words[0]) if words else None
        if found is None or found[1] not in ELEMENTS:
            return None
        names.append(found[1])
    return names
