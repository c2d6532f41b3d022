"""Files of SHELX: symmetry, occupancies and free variables as a refinement writes them; settings against gemmi."""

import gzip

import gemmi
import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from skdim import read_crystals
from skdim.crystals.notes import Note
from skdim.crystals.structures import coerce_crystal, coerce_structure, try_crystal
from skdim.exceptions import InputError

CENTRINGS = {
    1: {(0, 0, 0)},
    2: {(0, 0, 0), (12, 12, 12)},
    3: {(0, 0, 0), (16, 8, 8), (8, 16, 16)},
    4: {(0, 0, 0), (0, 12, 12), (12, 0, 12), (12, 12, 0)},
    5: {(0, 0, 0), (0, 12, 12)},
    6: {(0, 0, 0), (12, 0, 12)},
    7: {(0, 0, 0), (12, 12, 0)},
}
CELLS = {
    "triclinic": (5.1, 6.2, 7.3, 81, 77, 69),
    "monoclinic": (5.1, 6.2, 7.3, 90, 97, 90),
    "orthorhombic": (5.1, 6.2, 7.3, 90, 90, 90),
    "tetragonal": (5.1, 5.1, 7.3, 90, 90, 90),
    "trigonal": (5.1, 5.1, 7.3, 90, 90, 120),
    "hexagonal": (5.1, 5.1, 7.3, 90, 90, 120),
    "cubic": (7.1, 7.1, 7.1, 90, 90, 90),
}
INVERSION = gemmi.Op("-x,-y,-z")


def settings():
    """The groups of gemmi's table that LATT and SYMM can say, on the cell of their crystal system."""
    for group in gemmi.spacegroup_table():
        ops = group.operations()
        centring = {tuple(v % 24 for v in shift) for shift in ops.cen_ops}
        latt = next((k for k, shifts in CENTRINGS.items() if shifts == centring), None)
        cell = CELLS[group.crystal_system_str()]
        if group.ext == "R":
            cell = (5.1, 5.1, 5.1, 77, 77, 77)
        elif group.crystal_system_str() == "monoclinic":
            cell = {"a": (5.1, 6.2, 7.3, 97, 90, 90), "c": (5.1, 6.2, 7.3, 90, 90, 97)}.get(
                group.monoclinic_unique_axis(), cell
            )
        if latt is not None:
            yield pytest.param(group, latt, cell, id=group.xhm())


def symmetry_of(group, latt: int) -> str:
    """LATT and SYMM: without the identity, and with a centre in the origin one of each pair."""
    ops = [op for op in group.operations().sym_ops if op != gemmi.Op("x,y,z")]
    full = {op.wrap() for op in group.operations()}
    if INVERSION not in full:
        return f"LATT -{latt}\n" + "".join(f"SYMM {op.triplet()}\n" for op in ops)
    left, kept = ops, []
    centred = [gemmi.Op(f"x+{a}/24,y+{b}/24,z+{c}/24") for a, b, c in CENTRINGS[latt]]
    seen = {(move * INVERSION).wrap() for move in centred}
    for op in left:
        if op.wrap() not in seen:
            kept.append(op)
            seen |= {(move * op).wrap() for move in centred} | {(move * op * INVERSION).wrap() for move in centred}
    return f"LATT {latt}\n" + "".join(f"SYMM {op.triplet().upper()}\n" for op in kept)


def images(group, place) -> np.ndarray:
    """The different images of a place."""
    every = np.array([op.apply_to_xyz(list(place)) for op in group.operations()]) % 1
    return np.unique(every.round(6) % 1, axis=0)


EVERY = list(settings())


@pytest.mark.parametrize(
    ("group", "latt", "cell"),
    [pytest.param(*one.values, id=one.id, marks=[pytest.mark.slow] if k % 8 else []) for k, one in enumerate(EVERY)],
)
def test_every_setting_gives_all_atoms(group, latt, cell):
    places = {"Fe": (0.137, 0.321, 0.389), "Cl": (0, 0, 0)}
    order, sites = len(list(group.operations())), {name: images(group, place) for name, place in places.items()}
    text = f"TITL x in {group.short_name()}\nCELL 0.71073 {' '.join(map(str, cell))}\nZERR 1 0 0 0 0 0 0\n"
    text += symmetry_of(group, latt) + "SFAC FE CL\nUNIT 1 1\nFVAR 0.2\n"
    text = text.replace("UNIT 1 1", f"UNIT {len(sites['Fe'])} {len(sites['Cl'])}")
    for k, (name, place) in enumerate(places.items(), 1):
        sof = 10 + len(sites[name]) / order
        text += f"{name}1 {k} {place[0]:.6f} {place[1]:.6f} {place[2]:.6f} {sof:.5f} 0.02 0.02 =\n 0.02 0 0 0\n"
    crystal = coerce_crystal(text + "HKLF 4\nEND\n")
    assert not crystal.notes
    expected = Structure(
        Lattice.from_parameters(*cell),
        [name for name, one in sites.items() for _ in one],
        np.concatenate(list(sites.values())),
    )
    assert len(crystal) == len(expected)
    for name, number in (("Fe", 26), ("Cl", 17)):
        own = np.array([crystal.species_on(site) == ((number, 1.0),) for site in range(len(crystal))])
        apart = (crystal.frac[own][:, None] - sites[name][None] + 0.5) % 1 - 0.5
        assert np.abs(apart).max(-1).min(1).max() < 1e-4
        assert own.sum() == len(sites[name])
    np.testing.assert_allclose(crystal.structure.lattice.parameters, cell, atol=1e-6)


# As a refinement leaves it: a split anion by a free variable, riding hydrogens, special positions, peaks.
HEAD = "TITL salt in P-1\nCELL 0.71073 6.0 7.0 8.0 107.7 103.2 95.8\nZERR 1 0.002 0.001 0.004 0.02 0.01 0.01\nLATT 1\n"
SPLIT = (
    HEAD
    + """SFAC C H S BR
UNIT 4 4 2 2
TEMP -123
SIZE 0.25 0.15 0.04
L.S. 5
HTAB
EADP BR2 BR3
DFIX 1.5 C2 C12 C3 C13
FMAP 2 ! difference
FVAR       0.70431   0.25
PART 2
BR2   4    0.210409    0.205854    0.090628    21.00000    0.01590    0.03384 =
         0.03235    0.00702   -0.00500   -0.00273
PART   1
br3   4    0.319774    0.727684    0.184240    -21.00000    0.01979
PART   0
S1    3    0.500000    0.500000    0.500000    10.50000    0.01668
S2    3    10.00000    0.500000    0.000000    10.50000    0.01668
 a comment
C2    1    0.470694    0.372115    0.231574  = garbage
  11.00000    0.01981
C3    1    0.516311    0.578190    0.867351    11.00000    0.01544
AFIX 43
H2  2    0.184843    0.141885    0.380774   11.00000   -1.50000
H3  2    0.569551    0.925107   0.600992   11.00000   -1.50000
AFIX   0
Q1    1   0.5622  0.2496  0.2006  11.00000  0.05    0.33
HKLF 4

REM  salt in P-1
END

WGHT      0.0536      0.2259
Q2    1   0.4189  0.2682  0.0749  11.00000  0.05    0.33
"""
)


def test_a_refinement_is_read_as_it_is_meant():
    crystal = coerce_crystal(SPLIT)
    assert crystal.structure.formula == "H4 C4 S2 Br2"
    assert {content for content in crystal.species if content[0][0] == 35} == {((35, 0.25),), ((35, 0.75),)}
    assert crystal.notes == (Note("peaks of the remaining electron density are left out", "Q1"),)
    place = crystal.frac[[crystal.site_name(site) for site in range(len(crystal))].index("S2")]
    assert place.tolist() == [0, 0.5, 0]


@pytest.mark.parametrize("name", ["a.res", "A.INS", "a.res.gz", "structure"])
def test_files_are_told_by_what_they_hold(name, tmp_path):
    text = SPLIT.replace("Q1 ", "REM")
    end, encoding = ("\r", "latin-1") if name == "structure" else ("\r\n", "utf-16" if name == "A.INS" else "utf-8")
    content = text.replace("\n", end).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (row,) = read_crystals(tmp_path / name)
    assert row.structure.formula == "H4 C4 S2 Br2"
    assert coerce_structure(content).formula == "H4 C4 S2 Br2"


def small(*atoms: str, latt: str = "LATT 1", sfac: str = "SFAC C H O Fe", unit: str = "", more: str = "") -> str:
    cell = "CELL 0.71073 6 6 6 90 90 90\n"
    return f"TITL x\n{cell}{latt}\n{sfac}\n{unit}\n{more}\n" + "\n".join(atoms) + "\nHKLF 4\nEND\n"


AXIS = "LATT -1\nSYMM Y,Z,X\nSYMM Z,X,Y"
C1 = "C1 1 .1 .2 .3 11"
READ = {
    "no occupancy on a special position": (small("FE1 4 0 0 0", "O1 3 .2 .3 .4 11"), "Fe1 O2"),
    "a rounded third": (small("O1 3 .25 .25 .25 10.333", "C1 1 .1 .1 .1 10.33330", latt=AXIS), "C1 O1"),
    "a free variable and its complement on one site": (
        small("FE1 4 0 0 0 20.5", "C1 1 0 0 0 -20.5", more="FVAR 1\nFVAR 0.3"),
        "Fe0.3 C0.7",
    ),
    "a coordinate by a free variable": (small("C1 1 21.0 0.2 20.5 11", more="FVAR 1 0.4"), "C2"),
    "an occupancy by PART": (small(C1, "PART 1 10.4", "O1 3 .4 .4 .4 11", "PART 0"), "C2 O0.8"),
    "an occupancy by AFIX": (small(C1, "AFIX 3 0.98 10.5", "H1 2 .4 .4 .4 11", "AFIX 0"), "C2 H1"),
    "deuterium": (small("O1 3 .1 .2 .3 11", "D1 2 .4 .4 .4 11", sfac="SFAC C D O Fe"), "H2 O2"),
    "scattering factors": (
        small("O1 2 .1 .2 .3 11", sfac="SFAC C 2.3 20.8 =\n 1.58 .5\nSFAC $O 3.0 13.2 =\n 1 2"),
        "O2",
    ),
    "instructions without a blank": (
        small(C1).replace("HKLF 4", "HKLF4").replace("LATT 1", "LATT1"),
        "C2",
    ),
    "a fragment in another cell": (
        small("FRAG 17 1 1 1 90 90 90", "C9 1 .5 .5 .5", "FEND", C1),
        "C2",
    ),
    "a residue": (
        small("RESI 1 TOL", C1, "RESI 2 TOL", "C1 1 .4 .2 .3 11", more="SADI_TOL C1 C2"),
        "C4",
    ),
    "a methyl group on an axis": (
        small(
            *("C1 1 0 0 0 10.33333", "H1A 2 .2 .1 .05 10.33333"),
            *("H1B 2 .1 .05 .2 10.33333", "H1C 2 .05 .2 .1 10.33333"),
            latt=AXIS,
        ),
        "H3 C1",
    ),
    "all of it indented": ("\n".join("  " + line for line in small(C1).split("\n")), "C2"),
    "the cell in second place": (small(C1).replace("CELL", "ZERR 2 0 0 0 0 0 0\nCELL"), "C2"),
    "a remark first": ("REM solution 1\n" + small(C1), "C2"),
    "uncertainties of the cell": (small(C1).replace("6 6 6", "6.0(1) 6.0(1) 6.0(1)"), "C2"),
    "AIRSS": ("TITL x-1 0.0 64.0 -9.5 0 0 1 (P1) n - 1\n" + small("C 1 .1 .2 .3 1.0 0.5", latt="LATT -1")[7:], "C1"),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name):
    text, formula = READ[name]
    assert coerce_structure(text).composition.almost_equals(Composition(formula), rtol=3e-5)


NOTED = {
    "whole atoms on special positions": (
        small("FE1 4 0 0 0 11"),
        "Fe1",
        "of 1 on special positions",
    ),
    "hydrogens to be made": (
        small(C1, more="HFIX 43 C1"),
        "C2",
        "hydrogens without positions",
    ),
    "masked solvent": (small(C1, more="ABIN"), "C2", "solvent without positions is left out: ABIN"),
    "another proportion": (small(C1, "O1 3 .4 .2 .3 11", unit="UNIT 2 0 4 0"), "C2 O2", "UNIT says"),
    "no atom": (small(C1, "O1 3 .4 .2 .3 10"), "C2", "sites with the occupancy 0 hold no atom: O1"),
    "two in one file": (
        small(C1) + small("O1 3 .1 .2 .3 11"),
        "C2",
        "several crystals",
    ),
}


@pytest.mark.parametrize("name", NOTED)
def test_what_is_noted(name):
    text, formula, note = NOTED[name]
    crystal = coerce_crystal(text)
    assert crystal.structure.composition == Composition(formula)
    assert any(note in f"{one.kind}: {one.detail}" for one in crystal.notes), crystal.notes


REFUSED = {
    "no atoms": (small(), "without atoms: the structure is not solved yet"),
    "peaks alone": (small("Q1 1 .1 .2 .3 11 0.05 3.2"), "without atoms"),
    "no LATT": (small(C1, latt=""), "LATT is missing"),
    "LATT of no lattice": (small(C1, latt="LATT 8"), "LATT 8, which is no lattice"),
    "no group": (small(C1, latt="LATT 1\nSYMM y,z,x"), "no group"),
    "no operation": (small(C1, latt="LATT 1\nSYMM P21/c"), "no symmetry operation"),
    "another cell": (
        small(C1, latt=AXIS).replace("6 6 6", "6 6 7"),
        "symmetry of LATT and SYMM",
    ),
    "no such element": (small("C1 5 .1 .2 .3 11"), "C1 is of element 5 of SFAC, which names 4"),
    "no element": (small(C1, sfac="SFAC C Xy"), "SFAC names 'Xy', which is no element"),
    "a free variable that is not there": (
        small("C1 1 .1 .2 .3 31", more="FVAR 1 .5"),
        "variable 3, and FVAR has 2",
    ),
    "a code without a meaning": (small("C1 1 .1 .2 .3 -11", more="FVAR 1 .5"), "which has no meaning"),
    "too much": (small("FE1 4 0 0 0 11", "O1 3 .5 .5 .5 10.5"), "FE1 has the occupancy 2, which is 1"),
    "less than nothing": (small("C1 1 .1 .2 .3 9.5"), "C1 has the occupancy -0.5"),
    "a broken atom": (small(C1, "C2 1 .1 .2"), "'C2 1 .1 .2' is neither an instruction of SHELXL nor an atom"),
    "an indented atom": (small(C1, " C2 1 .4 .2 .3 11"), "begins with a blank"),
    "an included file": (small(C1, "+more.ins"), "includes another file, which is not opened"),
    "moved atoms": (small("MOVE 1 1 1 -1", C1), "MOVE, which is not read"),
    "an element without atoms": (
        small(C1, unit="UNIT 2 0 4 0"),
        "UNIT says that the cell holds O, of which",
    ),
    "another number of elements": (small(C1, unit="UNIT 2 0"), "UNIT has 2 numbers for the 4 elements"),
    "no cell": (small(C1).replace("6 6 6", "6 6"), "CELL is not a wavelength, three lengths"),
    "a flat cell": (small(C1).replace("90 90 90", "90 90 180"), "impossible"),
    "cut off": (
        "TITL x 0 1 -9 0 0 2 (P1) n - 1\n" + small("C 1 .1 .2 .3 1.0", latt="LATT -1")[7:],
        "holds 2 atoms",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    text, reason = REFUSED[name]
    crystal, problem = try_crystal(text)
    assert crystal is None
    assert reason in problem


def test_a_folder_of_them_is_read_where_they_are_named(tmp_path):
    (tmp_path / "a.res").write_text(small(C1))
    with pytest.raises(InputError, match=r"files of other kinds are read where they are named, as '.*\*\.res' does"):
        list(read_crystals(tmp_path))
    (row,) = read_crystals(tmp_path / "*.res")
    assert row.structure.formula == "C2"
