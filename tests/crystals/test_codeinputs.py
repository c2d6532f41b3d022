"""Inputs of CASTEP and Quantum Espresso, written by ASE, give the crystal."""

import io

import numpy as np
import pytest
from ase.io.espresso import write_espresso_in
from pymatgen.io.ase import AseAtomsAdaptor

from skdim import read_crystals
from skdim.crystals.structures import coerce_structure, try_structure
from tests.handmade import iron, perovskite, salt


def espresso(structure) -> str:
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    text = io.StringIO()
    names = {symbol: f"{symbol}.UPF" for symbol in set(atoms.get_chemical_symbols())}
    write_espresso_in(text, atoms, pseudopotentials=names)
    return text.getvalue()


def castep(structure, unit: str = "", fractional: bool = True) -> str:
    scale = {"": 1.0, "ang": 1.0, "bohr": 1 / 0.529177210903}[unit]
    lines = ["! a comment", "%BLOCK LATTICE_CART", *([unit] if unit else [])]
    lines += [" ".join(map(repr, row)) for row in (structure.lattice.matrix * scale).tolist()]
    kind = "FRAC" if fractional else "ABS"
    lines += ["%ENDBLOCK LATTICE_CART", "", f"%block positions_{kind.lower()}"]
    lines += [unit] if unit and not fractional else []
    coords = structure.frac_coords if fractional else structure.cart_coords * scale
    for site, place in zip(structure, coords.tolist(), strict=True):
        lines.append(f"{site.specie.symbol} {' '.join(map(repr, place))} SPIN=1.0 # moment")
    return "\n".join([*lines, f"%endblock positions_{kind.lower()}", "KPOINTS_MP_GRID 2 2 2", ""])


TEXTS = {
    "espresso": espresso,
    "castep": castep,
    "castep in Angstrom": lambda structure: castep(structure, "ang"),
    "castep in Bohr, Cartesian": lambda structure: castep(structure, "bohr", fractional=False),
}


@pytest.mark.parametrize("make", [salt, iron, perovskite])
@pytest.mark.parametrize("kind", TEXTS)
def test_inputs_give_the_crystal(kind, make, tmp_path):
    path = tmp_path / ("si.in" if kind == "espresso" else "x.cell")
    path.write_text(TEXTS[kind](make()))
    (row,) = read_crystals(path)
    for crystal in (row, path, path.read_text(), path.read_bytes()):
        found = coerce_structure(crystal)
        np.testing.assert_allclose(found.lattice.matrix, make().lattice.matrix, atol=1e-6)
        assert found.matches(make())


def test_lattice_by_lengths_and_angles():
    text = "%BLOCK LATTICE_ABC\n4 4 4\n90 90 90\n%ENDBLOCK LATTICE_ABC\n"
    text += "%BLOCK POSITIONS_FRAC\n55 0 0 0\nCl:2 .5 .5 .5\n%ENDBLOCK POSITIONS_FRAC\n"
    assert coerce_structure(text).reduced_formula == "CsCl"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("%endblock positions_frac", ""), "without POSITIONS_FRAC"),
        (("SPIN=1.0", "MIXTURE:(1 0.5)"), "MIXTURE"),
        (("Sr ", "Qq "), "which is no element"),
        (("LATTICE_CART\n", "LATTICE_CART\nmiles\n"), "got 'miles'"),
    ],
)
def test_what_is_wrong_is_said(change, reason):
    assert reason in try_structure(castep(perovskite()).replace(*change))[1]


def test_a_lattice_by_ibrav_is_refused():
    text = espresso(salt()).replace("ibrav            = 0", "ibrav            = 2")
    assert "ibrav" in try_structure(text)[1]
