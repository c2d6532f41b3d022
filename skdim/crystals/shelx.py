"""Structures of SHELX (.res, .ins), the files of single-crystal refinement, and those of AIRSS in the same form.

pymatgen and ASE read those that list each atom of the cell; neither applies symmetry, occupancies or free variables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from textwrap import dedent

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.cif import crystal_of_rows
from skdim.crystals.cifcell import vectors_of
from skdim.crystals.cifformula import atoms_of
from skdim.crystals.crystal import Crystal
from skdim.crystals.expansion import Images, expand
from skdim.crystals.formula import compare
from skdim.crystals.labels import element_of_type
from skdim.crystals.limits import current_limits
from skdim.crystals.notes import Note
from skdim.crystals.occupancies import FULL, ROUNDED_UP_TO
from skdim.crystals.operations import Operations, fits_cell, listed_operations
from skdim.crystals.sharing import Rows
from skdim.crystals.species import symbol_of
from skdim.exceptions import first_few

__all__ = ["is_shelx", "read_shelx"]

_HEAD = 200  # lines before the cell, of a title and remarks
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?")
_OF_AIRSS = re.compile(r"TITL(?:[ \t]+\S+){6}[ \t]+(\d{1,9})[ \t]+\(", re.IGNORECASE)
_PEAK = re.compile(r"Q\d*", re.IGNORECASE)  # of the remaining electron density
_CENTERINGS = {
    1: (),
    2: ("x+1/2,y+1/2,z+1/2",),
    3: ("x+2/3,y+1/3,z+1/3", "x+1/3,y+2/3,z+2/3"),
    4: ("x,y+1/2,z+1/2", "x+1/2,y,z+1/2", "x+1/2,y+1/2,z"),
    5: ("x,y+1/2,z+1/2",),
    6: ("x+1/2,y,z+1/2",),
    7: ("x+1/2,y+1/2,z",),
}
"""Translations by the number of LATT: P, I, R (obverse), F, A, B, C."""
_WORDS = """
ABIN ACTA AFIX ANIS ANSC ANSR BASF BEDE BIND BLOC BOND BUMP CELL CGLS CHIV CONF CONN DAMP DANG DEFS DELU DFIX
DISP DSUL EADP EGEN END EQIV ESEL EXTI EXYZ FEND FLAT FMAP FRAG FREE FRES FVAR GRID HFIX HKLF HOPE HTAB ILSF
INIT IONS ISOR L.S. LATT LAUE LIST LONE MERG MOLE MORE MOVE MPLA NCSY NEUT NTPR OMIT PART PATS PATT PHAN PHAS
PLAN PRIG PSEE REM RENU RESI RIGU RTAB SADI SAME SEED SFAC SHEL SIMU SIZE SPEC SPIN STIR SUBS SUMP SWAT SYMM
TANG TEMP TEXP TIME TITL TREF TRNS TWIN TWST UNIT VECT WGHT WIGL WPDB XNPD ZERR
"""
_INSTRUCTIONS = frozenset(_WORDS.split())
_LEFT_OUT = {
    "HFIX": "hydrogens without positions are left out",
    "ABIN": "solvent without positions is left out",
    "SWAT": "solvent without positions is left out",
}
"""What instructions stand for that add atoms to a crystal, or electrons instead of them."""
_OCCUPANCY = {"PART": 1, "AFIX": 2}  # place of the occupancy that they give to the atoms behind them
_MANY = 9  # decimals of a coordinate that is not rounded


@dataclass
class _Listed:
    """What the lines of a file say."""

    cell: list[float] = field(default_factory=list)
    latt: int | None = None
    symm: list[str] = field(default_factory=list)
    elements: list[int] = field(default_factory=list)  # of SFAC, in its order
    unit: list[float] = field(default_factory=list)
    variables: list[float] = field(default_factory=list)
    # Words of the atoms, with what PART and AFIX say instead of their occupancies.
    atoms: list[tuple[list[str], str | None]] = field(default_factory=list)
    n_atoms: int | None = None  # as files of AIRSS say in their title
    peaks: list[str] = field(default_factory=list)
    notes: dict[str, Note] = field(default_factory=dict)  # by what they say


def is_shelx(text: str) -> bool:
    r"""Tell a file of SHELX by its cell, which comes behind the title.

    Examples
    --------
    >>> is_shelx("TITL salt in Fm-3m\nCELL 0.71 5.64 5.64 5.64 90 90 90\n"), is_shelx("data_x\n")
    (True, False)
    """
    if text[:100_000].lstrip("\ufeff \t\r\n")[:4].upper() not in ("TITL", "REM ", "CELL"):
        return False
    for line in text[:100_000].replace("\r", "\n").split("\n", _HEAD)[:_HEAD]:
        word = line.strip("\ufeff \t")[:4].upper().strip()
        if word == "CELL" or (word and word not in _INSTRUCTIONS and not line[0].isspace()):
            return word == "CELL" and len(line.split()) > 1  # alone it begins a block of another format
    return False


def read_shelx(text: str) -> Crystal:
    r"""Read the crystal of a file, a text for which `is_shelx` holds.

    Examples
    --------
    >>> head = "TITL x\nCELL 0.71 4 4 4 90 90 90\nLATT -1\nSFAC Cs Cl\nUNIT 1 1\n"
    >>> crystal = read_shelx(head + "Cs1 1 0 0 0 11\nCl1 2 0.5 0.5 0.5 10.9\nHKLF 4\nEND\n")
    >>> crystal.species
    (((55, 1.0),), ((17, 0.9),))

    References
    ----------
    G. M. Sheldrick, Acta Cryst. C71 (2015) 3, and the manual of SHELXL.
    """
    listed = _listed(text)
    if not listed.atoms:
        raise ValueError("a SHELX file without atoms: the structure is not solved yet; a .res or CIF of it is needed")
    if len(listed.atoms) > (most := current_limits().rows):
        raise ValueError(f"a SHELX file of {len(listed.atoms)} atoms; up to {most} are read (limit rows)")
    if len(listed.cell) != 6:
        raise ValueError("CELL is not a wavelength, three lengths and three angles")
    lattice = vectors_of(listed.cell)
    operations = _operations(listed)
    if not fits_cell(operations, lattice):
        raise ValueError("the cell lengths and angles do not have the symmetry of LATT and SYMM")
    notes = list(listed.notes.values())
    rows, rounding = _rows(listed, notes)
    if len(rows.labels) * len(operations) > (most := current_limits().images):
        raise ValueError(
            f"{len(rows.labels)} atoms times their symmetry operations; {most} images are read (limit images)"
        )
    images = expand(rows.frac, operations, lattice, rows.decimals)
    crystal = crystal_of_rows(_occupied(rows, rounding, images, operations, notes), operations, lattice)
    if listed.n_atoms is not None and listed.n_atoms != len(crystal):
        raise ValueError(f"the title says that it holds {listed.n_atoms} atoms, and {len(crystal)} can be read")
    if listed.unit:
        _check_unit(listed, crystal, notes)
    if listed.peaks:
        notes.append(Note("peaks of the remaining electron density are left out", first_few(listed.peaks, 6)))
    return replace(crystal, notes=(*crystal.notes, *notes))


def _lines(text: str) -> Iterator[str]:
    """Give the lines up to the end of the structure, continued ones as one, without comments."""
    pending = ""
    for line in dedent(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")).split("\n"):
        if pending:
            line, pending = f"{pending} {line.strip()}", ""
        elif not line.strip() or line[:4].upper().rstrip() == "REM":
            continue
        elif line[0].isspace():
            if _is_atom(line.split()):
                raise ValueError(
                    f"the line {line.strip()[:60]!r} begins with a blank, so that it is a comment to SHELX; take the "
                    "blank away"
                )
            continue
        if line[:4].upper() != "TITL":
            line, continued, _ = line.partition("!")[0].partition("=")
            if continued:
                pending = line
                continue
        if line.split():
            yield line.strip()


def _listed(text: str) -> _Listed:
    """Sort what the lines say."""
    found = _Listed()
    instead: dict[str, str] = {}  # of occupancies of the atoms' own
    fragment = False
    lines = _lines(text)
    for line in lines:
        word = line[:4].upper()
        if word in _INSTRUCTIONS and line[4:5].strip():  # the first four characters count: "HKLF4", "SADI_1"
            line = f"{word} {line[4:]}"
        words = line.split()
        word = words[0].upper().partition("_")[0]
        values = words[1:]
        if fragment or word in ("FRAG", "FEND"):
            fragment = word != "FEND"
        elif word in ("END", "HKLF"):
            break
        elif line.startswith("+"):
            raise ValueError(f"the line {line[:60]!r} includes another file, which is not opened; put its lines here")
        elif word == "TITL":
            airss = _OF_AIRSS.match(line)
            found.n_atoms = int(airss[1]) if airss else None
        elif word == "CELL":
            found.cell = [_number(value.partition("(")[0], line) for value in values[1:7]]
        elif word == "LATT":
            found.latt = int(_number(values[0], line)) if values else 1
        elif word == "SYMM":
            found.symm.append("".join(values))
        elif word == "SFAC":
            found.elements += _elements(values)
        elif word == "UNIT":
            found.unit += [_number(value, line) for value in values]
        elif word == "FVAR":
            found.variables += [_number(value, line) for value in values]
        elif word in _OCCUPANCY:
            instead.pop(word, None)
            if len(values) > _OCCUPANCY[word]:
                instead[word] = values[_OCCUPANCY[word]]
        elif word == "MOVE" and values:
            raise ValueError("MOVE, which is not read; SHELXL writes a .res with the atoms moved")
        elif word in _INSTRUCTIONS:
            if note := _LEFT_OUT.get(word):
                found.notes[note] = Note(note, line[:40])
        elif _PEAK.fullmatch(word) and _is_atom(words):
            found.peaks.append(words[0])
        elif _is_atom(words):
            found.atoms.append((words, instead.get("PART", instead.get("AFIX"))))
        else:
            raise ValueError(f"the line {line[:60]!r} is neither an instruction of SHELXL nor an atom")
    if any(line[:4].upper() == "CELL" for line in _rest(lines)):
        found.notes["several"] = Note("a file with several crystals, of which the first is taken")
    return found


def _rest(lines: Iterator[str]) -> Iterator[str]:
    """Give the lines behind the structure; what is wrong there does not matter."""
    try:
        yield from lines
    except ValueError:
        return


def _is_atom(words: Sequence[str]) -> bool:
    """Tell whether words are a name, a number of SFAC and three coordinates."""
    return (
        len(words) > 4
        and words[0][0].isalpha()
        and words[1].lstrip("-").isdigit()
        and all(_NUMBER.fullmatch(word) for word in words[2:5])
    )


def _number(word: str, line: str) -> float:
    """Read a number."""
    if not _NUMBER.fullmatch(word) or not math.isfinite(value := float(word)):
        raise ValueError(f"{word[:20]!r} in the line {line[:60]!r}; a number is needed")
    return value


def _elements(values: Sequence[str]) -> list[int]:
    """Read the elements of SFAC: a list, or one with the numbers of its scattering factor."""
    if len(values) > 1 and _NUMBER.fullmatch(values[1]):
        values = values[:1]
    numbers = []
    for value in values:
        named = element_of_type(value.lstrip("$"))
        if named is None or named.hydrogens:
            raise ValueError(f"SFAC names {value[:20]!r}, which is no element")
        numbers.append(named.number)
    return numbers


def _operations(listed: _Listed) -> Operations:
    """Make the space group of LATT and SYMM, which leave out the identity, the centre and the centring."""
    latt = listed.latt
    if latt is None:
        if listed.n_atoms is None:
            raise ValueError("LATT is missing; LATT -1 says that all atoms of a cell without symmetry are listed")
        latt = -1
    if abs(latt) not in _CENTERINGS:
        raise ValueError(f"LATT {latt}, which is no lattice; 1 to 7 are accepted, with a minus sign without a centre")
    words = ["x,y,z", *listed.symm]
    if latt > 0:
        words += [_inverted(word) for word in words]
    return listed_operations(tuple(words), ("x,y,z", *_CENTERINGS[abs(latt)]))


def _inverted(word: str) -> str:
    """Write the operation that follows one by the inversion."""
    parts = (part if part.startswith(("+", "-")) else f"+{part}" for part in word.split(","))
    return ",".join(part.translate({ord("+"): "-", ord("-"): "+"}) for part in parts)


def _rows(listed: _Listed, notes: list[Note]) -> tuple[Rows, NDArray[np.float64]]:
    """Read the atoms, with occupancies as they are written, NaN where none is, and by how much those are rounded."""
    labels, numbers, coords, occupancy, decimals, rounding = [], [], [], [], [], []
    empty = []
    for words, instead in listed.atoms:
        line = " ".join(words)
        if not 1 <= (place := int(words[1])) <= len(listed.elements):
            raise ValueError(f"atom {words[0]} is of element {place} of SFAC, which names {len(listed.elements)}")
        word = instead or (words[5] if len(words) > 5 else "")
        share = _value(word, listed.variables, line) if word else math.nan
        if share < 0:
            raise ValueError(f"atom {words[0]} has the occupancy {share:g}; 0 to 1 is accepted")
        if share == 0:
            empty.append(words[0])
            continue
        labels.append(words[0])
        numbers.append(listed.elements[place - 1])
        coords.append([_value(word, listed.variables, line) for word in words[2:5]])
        occupancy.append(share)
        decimals.append(max(map(_decimals, words[2:5])))
        rounding.append(0.5001 * 10.0 ** -max(_decimals(word), 3))
    if empty:
        notes.append(Note("sites with the occupancy 0 hold no atom", first_few(empty, 6)))
    if not labels:
        raise ValueError("no atom row holds an atom: all occupancies are 0")
    # All different: atoms in one place add up, as hydrogens of a methyl group on an axis, images of each other, do.
    species = [str(k) for k in range(len(labels))]
    exact = [count if count > 1 else _MANY for count in decimals]  # 0 and 0.5 are exact
    return Rows(labels, species, numbers, np.array(coords), occupancy, exact), np.array(rounding)


def _decimals(word: str) -> int:
    """Count the decimals of a number."""
    return len(word.partition(".")[2])


def _value(word: str, variables: Sequence[float], line: str) -> float:
    """Read a parameter: p, 10 + p where it is fixed at p, 10 m + p for p times a free variable, and its complement."""
    number = _number(word, line)
    kind = round(number / 10)
    value = number - 10 * kind
    if kind in (0, 1):
        return value
    if kind == -1 or abs(kind) > len(variables):
        said = "which has no meaning" if kind == -1 else f"and FVAR has {len(variables)} variables"
        raise ValueError(f"{word} in the line {line[:60]!r} stands for free variable {abs(kind)}, {said}")
    return value * variables[kind - 1] if kind > 0 else value * (variables[-kind - 1] - 1)


def _occupied(
    rows: Rows, rounding: NDArray[np.float64], images: Images, operations: Operations, notes: list[Note]
) -> Rows:
    """Multiply occupancies by how many operations leave the atom where it is; without one, the atom is there.

    Programs other than SHELX write 1 on special positions too, which would be more than one atom.
    """
    fixing = len(operations) / np.bincount(images.row, minlength=len(rows.labels))
    written = np.array(rows.occupancy)
    given = np.isfinite(written)
    special = given & (fixing > 1)
    if special.any() and (written[special] == 1).all():
        names = first_few((rows.labels[k] for k in np.flatnonzero(special).tolist()), 6)
        notes.append(Note("occupancies of 1 on special positions are taken as whole atoms", names))
        fixing = np.ones(len(fixing))
    share = np.where(given, written * fixing, 1.0)
    share[np.abs(share - 1) <= np.maximum(FULL - 1, rounding * fixing)] = 1.0  # a sixth that is written as 0.1667
    for k in np.flatnonzero(share > ROUNDED_UP_TO).tolist():
        raise ValueError(
            f"atom {rows.labels[k]} has the occupancy {share[k]:.4g}, which is {written[k]:.4g} (of itself, PART, AFIX "
            f"or FVAR) times the {fixing[k]:g} operations that leave it where it is; at most 1 is accepted"
        )
    return replace(rows, occupancy=share.tolist())


def _check_unit(listed: _Listed, crystal: Crystal, notes: list[Note]) -> None:
    """Compare the crystal with what UNIT says that the cell holds.

    It is written by hand before the structure is known, so that another proportion is noted, but atoms of an element
    that are missing are not.
    """
    if len(listed.unit) != len(listed.elements):
        raise ValueError(f"UNIT has {len(listed.unit)} numbers for the {len(listed.elements)} elements of SFAC")
    formula: dict[int, float] = {}
    for number, amount in zip(listed.elements, listed.unit, strict=True):
        if amount > 0:
            formula[number] = formula.get(number, 0.0) + amount
    atoms = atoms_of(crystal)
    difference = compare(atoms, formula, None) if formula else None
    if difference is None:
        return
    if missing := [number for number in formula if number not in atoms and number != 1]:
        names = ", ".join(symbol_of(number) for number in missing)
        raise ValueError(
            f"UNIT says that the cell holds {names}, of which there is no atom; correct the one that is wrong"
        )
    notes.append(Note("UNIT says that the cell holds something else than the crystal", difference.words))
