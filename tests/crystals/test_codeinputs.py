"""Inputs of CASTEP and Quantum Espresso, written by ASE, give the crystal."""

import io

import numpy as np
import pytest
from ase.io.espresso import write_espresso_in
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
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
        (("SPIN=1.0", "MIXTURE:(1 0.5)"), "not at one place"),
        (("Sr ", "Qq "), "which is no element"),
        (("LATTICE_CART\n", "LATTICE_CART\nmiles\n"), "got 'miles'"),
    ],
)
def test_what_is_wrong_is_said(change, reason):
    assert reason in try_structure(castep(perovskite()).replace(*change))[1]


def test_atoms_of_a_mixture_are_one_site():
    text = "%block lattice_abc\n4 4 4\n90 90 90\n%endblock lattice_abc\n%block positions_frac\n"
    text += "Na 0 0 0 MIXTURE:( 1 0.25)\nK 1 0 0 MIXTURE=(1, 0.5) SPIN=0\nCl .5 .5 .5\n%endblock positions_frac\n"
    mixed, chlorine = coerce_structure(text)
    assert mixed.species.get_el_amt_dict() == {"Na": 0.25, "K": 0.5}
    assert chlorine.specie.symbol == "Cl"
    assert "MIXTURE:(number weight)" in try_structure(text.replace("=(1, 0.5)", ""))[1]


CENTRED = {
    "P": [],
    "A": [[0, 0.5, 0.5]],
    "B": [[0.5, 0, 0.5]],
    "C": [[0.5, 0.5, 0]],
    "I": [[0.5, 0.5, 0.5]],
    "F": [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
}
# ibrav, centring, a, b, c, alpha, beta, gamma of the conventional cell
LATTICES = [
    *[(1, "P", 3, 3, 3, 90, 90, 90), (2, "F", 4, 4, 4, 90, 90, 90), (3, "I", 3, 3, 3, 90, 90, 90)],
    *[(-3, "I", 3, 3, 3, 90, 90, 90), (4, "P", 3, 3, 5, 90, 90, 120), (5, "P", 4, 4, 4, 70, 70, 70)],
    *[(-5, "P", 4, 4, 4, 70, 70, 70), (6, "P", 3, 3, 5, 90, 90, 90), (7, "I", 3, 3, 5, 90, 90, 90)],
    *[(8, "P", 3, 4, 5, 90, 90, 90), (9, "C", 4, 5, 6, 90, 90, 90), (-9, "C", 4, 5, 6, 90, 90, 90)],
    *[(91, "A", 4, 5, 6, 90, 90, 90), (10, "F", 4, 5, 6, 90, 90, 90), (11, "I", 4, 5, 6, 90, 90, 90)],
    *[(12, "P", 3, 4, 5, 90, 90, 100), (-12, "P", 3, 4, 5, 90, 100, 90), (13, "B", 4, 4, 5, 90, 90, 100)],
    *[(-13, "C", 4, 5, 6, 90, 100, 90), (14, "P", 3, 4, 5, 80, 95, 100)],
]


@pytest.mark.parametrize("by_celldm", [True, False])
@pytest.mark.parametrize("lattice", LATTICES, ids=lambda lattice: f"ibrav {lattice[0]}")
def test_lattices_by_ibrav_are_those_of_their_conventional_cells(lattice, by_celldm):
    number, centring, *parameters = lattice
    a, b, c = parameters[:3]
    bc, ac, ab = np.cos(np.radians(parameters[3:]))
    if by_celldm:
        cosines = {14: (bc, ac, ab), -12: (0, ac, 0), -13: (0, ac, 0)}.get(number, (ab, 0, 0))
        values = dict(zip(range(1, 7), (a / 0.529177210903, b / a, c / a, *cosines), strict=True))
        settings = ", ".join(f"celldm({k}) = {value:.12f}" for k, value in values.items())
    else:
        settings = f"A={a}, B={b}d0\n C={c}\n cosAB={ab:.12f}, cosAC={ac:.12f}, cosBC={bc:.12f}"
    text = f"&control\n/\n&SYSTEM\n ibrav={number}, nat=1, ntyp=1 ! a comment\n {settings}\n/\n&electrons /\n"
    kind = "bohr" if number == -13 else "crystal"
    text += f"ATOMIC_SPECIES\nPo1 209 Po.UPF\nATOMIC_POSITIONS {kind}\nPo1 0.1 1/5 0.3 0 0 0\nK_POINTS gamma\n"
    whole = Structure(Lattice.from_parameters(*parameters), ["Po"], [[0, 0, 0]])
    for shift in CENTRED[centring]:
        whole.append("Po", shift)
    assert StructureMatcher(scale=False, ltol=1e-3, stol=1e-3, angle_tol=0.01).fit(coerce_structure(text), whole)


def test_crystal_coordinates_of_an_ibrav_that_changed_its_meaning_are_refused():
    text = "&SYSTEM ibrav=-13, nat=1, A=4, B=5, C=6, cosAC=-0.1 /\nATOMIC_POSITIONS crystal\nPo 0 0 0\n"
    assert "version 6.4.1 changed; give them in angstrom, or write it with ibrav=0" in try_structure(text)[1]
    assert len(coerce_structure(text.replace("crystal", "angstrom"))) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("ibrav            = 0", "ibrav            = 15"), "write it with ibrav=0 and CELL_PARAMETERS"),
        (("ibrav            = 0", "ibrav            = 2"), "without celldm(1) or A"),
        (("nat              = 8", "nat              = 9"), "nat=9 and 8 lines"),
        (("&SYSTEM", "&SYSTEM\n space_group = 225"), "by space_group, which is not read"),
        (("ATOMIC_POSITIONS angstrom", "ATOMIC_POSITIONS crystal_sg"), "in 'crystal_sg'"),
        (("CELL_PARAMETERS", "#"), "without CELL_PARAMETERS"),
    ],
)
def test_what_is_not_read_of_pw_is_said_with_the_cure(change, reason):
    text = espresso(salt())
    assert change[0] in text
    assert reason in try_structure(text.replace(*change))[1]


def aims(structure, fractional: bool = True) -> str:
    lines = ["# a comment", *(f"lattice_vector {x!r} {y!r} {z!r}" for x, y, z in structure.lattice.matrix.tolist())]
    for k, site in enumerate(structure):
        place = (site.frac_coords if fractional or k % 2 else site.coords).tolist()
        word = "ATOM_FRAC" if fractional or k % 2 else "atom"  # both may stand in one file
        lines += [f"  {word} {' '.join(map(repr, place))} {site.specie.symbol}{k % 3}", "    initial_moment 1.0"]
    return "\n".join([*lines, "symmetry_n_params 0 0 0", ""])


@pytest.mark.parametrize("make", [salt, iron, perovskite])
@pytest.mark.parametrize("fractional", [True, False])
def test_geometries_of_fhi_aims_give_the_crystal(fractional, make, tmp_path):
    path = tmp_path / "geometry.in"
    path.write_text(aims(make(), fractional))
    (row,) = read_crystals(path)
    for crystal in (row, path, path.read_text(), path.read_bytes()):
        found = coerce_structure(crystal)
        np.testing.assert_allclose(found.lattice.matrix, make().lattice.matrix, atol=1e-6)
        assert found.matches(make())


CELL = "lattice_vector 4 0 0\nlattice_vector 0 4 0\nlattice_vector 0 0 4D0\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CELL.replace("lattice_vector 4 0 0\n", "") + "atom 0 0 0 Po\n", "2 lattice vectors"),
        (CELL.replace("4 0 0\n", "4 0\n") + "atom 0 0 0 Po\n", "'lattice_vector 4 0' of the geometry: three numbers"),
        (CELL + "atom 0 0 0\n", "no three numbers and a species"),
        (CELL + "atom 0 0 nan Po\n", "three numbers are needed"),
        (CELL + "atom 0 0 0 ghost\n", "'ghost', which is no element"),
        (CELL.replace("0 4 0", "8 0 0") + "atom 0 0 0 Po\n", "singular lattice"),
    ],
)
def test_geometries_that_say_no_crystal_are_refused(text, reason):
    structure, problem = try_structure(text)
    assert structure is None
    assert reason in problem


def test_basis_functions_without_an_atom_are_left_out():
    with pytest.warns(UserWarning, match="places without an atom are left out: empty"):
        assert coerce_structure(CELL + "atom 0 0 0 Po\nempty 2 2 2 Po\n").formula == "Po1"
