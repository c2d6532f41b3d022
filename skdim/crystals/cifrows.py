"""The atom rows of a CIF: labels, elements, coordinates, occupancies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from gemmi import cif
from numpy.typing import NDArray

from skdim.crystals.ciftags import Tags, number
from skdim.crystals.formula import parse_formula
from skdim.crystals.labels import CLASSES, NamedElement, element_of_label, element_of_type
from skdim.crystals.limits import current_limits
from skdim.crystals.notes import Note
from skdim.crystals.sharing import Rows
from skdim.crystals.species import symbol_of
from skdim.exceptions import first_few

__all__ = ["rows_of"]


_COORDINATES = ("fract_x", "fract_y", "fract_z")
_MANY = 9  # decimals of a coordinate that is not rounded


def rows_of(tags: Tags, lattice: NDArray[np.float64]) -> tuple[Rows, list[Note]]:
    """Read the atom rows."""
    labels = [cif.as_string(word) for word in tags.column("_atom_site_label")]
    types = tags.column("_atom_site_type_symbol")
    n = len(labels or types)
    if n == 0:
        raise ValueError("no atom rows (_atom_site_label with coordinates)")
    if n > (most := current_limits().rows):
        raise ValueError(f"{n} atom rows; up to {most} are read (limit rows)")
    labels = labels or [f"{cif.as_string(word)} (row {k + 1})" for k, word in enumerate(types)]
    given = list(range(n))
    if flags := _full(tags.column("_atom_site_calc_flag"), n, "_atom_site_calc_flag"):
        given = [k for k in given if cif.as_string(flags[k]).lower() != "dum"]
    frac, decimals = _coordinates(tags, labels, given, lattice)
    occupancy = _occupancies(tags, labels, given)
    named, notes = _elements(tags, labels, types, given)
    empty = [k for k, amount in zip(given, occupancy, strict=True) if amount == 0]
    if empty:
        notes.append(Note("sites with the occupancy 0 hold no atom", _some(labels[k] for k in empty)))
    kept = [place for place, amount in enumerate(occupancy) if amount > 0]
    if not kept:
        raise ValueError("no atom row holds an atom")
    species = types or labels
    rows = Rows(
        [labels[given[p]] for p in kept],
        [species[given[p]] for p in kept],
        [named[p] for p in kept],
        frac[kept],
        [occupancy[p] for p in kept],
        [decimals[p] for p in kept],
    )
    return rows, notes


def _full(column: list[str], n: int, tag: str) -> list[str]:
    """Return a column that must be as long as that of the labels, or that is not there."""
    if column and len(column) != n:
        raise ValueError(f"{tag} has {len(column)} values for {n} atom rows: they are not in one loop")
    return column


def _coordinates(
    tags: Tags, labels: Sequence[str], given: Sequence[int], lattice: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[int]]:
    """Read fractional coordinates, shape (r, 3), or make them of Cartesian ones whose axes are given.

    Beside them, the most decimals that each row has: the exact 0.5 says nothing, two thirds as 0.67 do.
    """
    names = [f"_atom_site_{name}" for name in _COORDINATES]
    columns = [_full(tags.column(name), len(labels), name) for name in names]
    if not any(columns):
        return _from_cartesian(tags, labels, given, lattice), [_MANY] * len(given)
    for name, column in zip(names, columns, strict=True):
        if not column:
            raise ValueError(f"{name} is missing; three coordinates are needed")
    words = [column[k] for column in columns for k in given]
    values = [cif.as_number(word) for word in words]
    frac = np.array(values).reshape(3, -1).T.copy()
    for place, axis in np.argwhere(~np.isfinite(frac)).tolist():
        row = given[place]
        frac[place, axis] = number(columns[axis][row], f"atom row {labels[row]}: {names[axis]}")
    x, y, z = columns
    most = [max(_decimals(x[k]), _decimals(y[k]), _decimals(z[k])) for k in given]
    return frac, [count if count > 1 else _MANY for count in most]  # 0 and 0.5 are exact


def _decimals(word: str) -> int:
    """Count the decimals of a number as written; many for one that is a fraction or has an exponent."""
    whole, _, decimals = word.partition("(")[0].strip("'\"").partition(".")
    return len(decimals) if ((decimals or "0").isdigit() and whole.lstrip("+-").isdigit()) or not whole else _MANY


def _from_cartesian(
    tags: Tags, labels: Sequence[str], given: Sequence[int], lattice: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Make fractional coordinates of Cartesian ones by the matrix that the file gives for it."""
    names = [f"_atom_site_cartn_{axis}" for axis in "xyz"]
    columns = [_full(tags.column(name), len(labels), name) for name in names]
    if not all(columns):
        raise ValueError("the atoms have no coordinates (_atom_site_fract_x, _y and _z)")
    cart = np.array(
        [
            [number(column[k], f"atom row {labels[k]}: {name}") for name, column in zip(names, columns, strict=True)]
            for k in given
        ]
    )
    for prefix, inverse in (("_atom_sites_fract_tran", False), ("_atom_sites_cartn_tran", True)):
        matrix = [[tags.text(f"{prefix}_matrix_{i}{j}") for j in "123"] for i in "123"]
        if all(all(row) for row in matrix):
            m = np.array([[number(word, f"{prefix}_matrix") for word in row] for row in matrix])
            v = np.array([number(tags.text(f"{prefix}_vector_{i}") or "0", f"{prefix}_vector") for i in "123"])
            try:
                m = np.linalg.inv(m) if inverse else m
            except np.linalg.LinAlgError as error:
                raise ValueError(f"{prefix}_matrix is singular") from error
            frac = (cart - v) @ m.T if inverse else cart @ m.T + v
            vectors = np.linalg.inv(m).T
            if not np.allclose(
                vectors @ vectors.T,
                lattice @ lattice.T,
                rtol=0.01,
                atol=0.01 * float(np.abs(lattice @ lattice.T).max()),
            ):
                raise ValueError(f"{prefix}_matrix and the cell contradict one another")
            return np.asarray(frac)
    raise ValueError(
        "the atoms have Cartesian coordinates, and the file does not say how their axes lie in the cell "
        "(_atom_sites_Cartn_tran_matrix_11 and so on); fractional ones are needed"
    )


def _occupancies(tags: Tags, labels: Sequence[str], given: Sequence[int]) -> list[float]:
    """Read occupancies; 1 where none is given."""
    column = _full(tags.column("_atom_site_occupancy"), len(labels), "_atom_site_occupancy")
    if not column:
        return [1.0] * len(given)
    values = []
    for k in given:
        word = column[k]
        amount = cif.as_number(word)
        if math.isnan(amount):
            amount = 1.0 if cif.is_null(word) else number(word, f"atom row {labels[k]}: the occupancy")
        if amount < 0:
            raise ValueError(f"atom row {labels[k]} has the occupancy {amount:g}; 0 to 1 is accepted")
        values.append(amount)
    return values


def _elements(
    tags: Tags, labels: Sequence[str], types: Sequence[str], given: Sequence[int]
) -> tuple[list[int], list[Note]]:
    """Find the element of each row, by its type symbol or else by its label."""
    _full(list(types), len(labels), "_atom_site_type_symbol")
    known: frozenset[int] | None = None
    numbers, guessed, groups = [], [], []
    for k in given:
        word = types[k] if types else "?"
        named: NamedElement | None
        if not cif.is_null(word):
            symbol = cif.as_string(word).strip()
            named = element_of_type(symbol)
            if named is None and symbol.rstrip("0123456789+-") in CLASSES:
                named = element_of_label(symbol, _known_elements(tags))
            if named is None:
                why = "in capitals stands for several elements" if element_of_type(symbol.title()) else "is no element"
                raise ValueError(f"atom row {labels[k]} has the type symbol {symbol[:20]!r}, which {why}")
        else:
            known = _known_elements(tags) if known is None else known
            named = element_of_label(labels[k], known)
            if named is None:
                alone = element_of_label(labels[k])
                why = (
                    f"names {symbol_of(alone.number)}, which the formula and the list of atom types do not hold"
                    if alone and alone.number not in known
                    else "does not say which element it is"
                )
                raise ValueError(f"atom row {labels[k]} {why}; a column _atom_site_type_symbol would say which it is")
        numbers.append(named.number)
        if named.guessed:
            guessed.append(labels[k])
        if named.hydrogens:
            groups.append(labels[k])
    if attached := _full(tags.column("_atom_site_attached_hydrogens"), len(labels), "_atom_site_attached_hydrogens"):
        groups += [labels[k] for k in given if not cif.is_null(attached[k]) and cif.as_number(attached[k]) != 0]
    notes = []
    if groups:
        notes.append(Note("hydrogens without positions are left out", _some(groups)))
    if guessed:
        notes.append(Note("labels in capitals are read as elements of two letters", _some(guessed)))
    return numbers, notes


def _some(names: Iterable[str]) -> str:
    """Name the first few, each once."""
    return first_few(dict.fromkeys(names), 6)


def _known_elements(tags: Tags) -> frozenset[int]:
    """Elements that a file names beside its atoms: in its formula, or in its list of atom types."""
    formula = parse_formula(tags.text("_chemical_formula_sum")) or {}
    types = [element_of_type(cif.as_string(word)) for word in tags.column("_atom_type_symbol")]
    return frozenset(formula) | {one.number for one in types if one is not None}
