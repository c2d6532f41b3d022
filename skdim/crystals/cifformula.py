"""Whether a crystal agrees with the formula in its file."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from gemmi import cif

from skdim.crystals.ciftags import Tags
from skdim.crystals.crystal import Crystal
from skdim.crystals.disorder import without_crowding
from skdim.crystals.formula import compare, parse_formula
from skdim.crystals.notes import Note

__all__ = ["agrees", "atoms_of", "formula_notes", "is_confirmed"]


def atoms_of(crystal: Crystal) -> dict[int, float]:
    """Count the atoms in the cell by atomic number."""
    atoms: dict[int, float] = {}
    for content, count in zip(crystal.species, np.bincount(crystal.site_type).tolist(), strict=True):
        for number, amount in content:
            atoms[number] = atoms.get(number, 0.0) + amount * count
    return atoms


def _units(tags: Tags) -> float | None:
    """Read the number of formula units in the cell."""
    value = cif.as_number(tags.text("_cell_formula_units_z") or "?")
    return value if math.isfinite(value) and value > 0 else None


def _cell_formula(tags: Tags) -> tuple[Mapping[int, float], float | None] | None:
    """Return the formula of a file and how often the cell has it; None if it gives none."""
    formula, units = parse_formula(tags.text("_chemical_formula_sum")), _units(tags)
    if formula is None:
        return None
    # pymatgen writes the formula of the whole cell, and Z of the formula that it calls structural.
    structural = parse_formula(tags.text("_chemical_formula_structural"))
    if structural and units and compare(formula, structural, units) is None:
        return formula, 1.0
    return formula, units


def is_confirmed(crystal: Crystal, tags: Tags) -> bool:
    """Tell whether the file's formula and Z say that the cell holds just what was read."""
    given = _cell_formula(tags)
    return given is not None and given[1] is not None and compare(atoms_of(crystal), *given) is None


def agrees(crystal: Crystal, tags: Tags) -> bool | None:
    """Tell whether a crystal agrees with the formula in its file, in hydrogen too; None if it gives none."""
    given = _cell_formula(tags)
    return None if given is None else compare(atoms_of(crystal), *given) is None


def _fits_when_scaled(crystal: Crystal, given: tuple[Mapping[int, float], float | None]) -> bool:
    """Tell whether a crystal agrees with its formula once split positions that add to more than one are scaled."""
    if crystal.apart:
        return False
    try:
        scaled = without_crowding(crystal)
    except ValueError:  # the check of the crystal will say more of it
        return False
    return scaled is not crystal and compare(atoms_of(scaled), *given) is None


def formula_notes(crystal: Crystal, tags: Tags) -> list[Note]:
    """Compare a crystal with the formula in its file: a difference is an error, one in hydrogen alone is noted."""
    given = _cell_formula(tags)
    if given is None:
        return []
    difference = compare(atoms_of(crystal), *given)
    if difference is None or _fits_when_scaled(crystal, given):
        return []
    if not difference.hydrogen_only:
        raise ValueError(
            f"the atoms do not agree with the formula in the file (_chemical_formula_sum, _cell_formula_units_Z): "
            f"{difference.words}"
        )
    return [Note("the formula in the file has more or less hydrogen than the crystal", difference.words)]
