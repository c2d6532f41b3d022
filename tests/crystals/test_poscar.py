"""POSCAR: what pymatgen reads, or what is wrong in which line; and nothing is made before it is known to be there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Poscar

from skdim.crystals.poscar import read_poscar
from skdim.crystals.structures import try_crystal
from tests.daily import examples
from tests.handmade import DATA

TEXT = (DATA / "POSCAR_SrTiO3").read_text()


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["1.0", "1.5", "-90"]), st.booleans())
@examples(20)
def test_the_crystal_that_pymatgen_reads(seed, cartesian, scale, selective):
    random = np.random.default_rng(seed)
    elements = sorted(random.choice(["Na", "Cl", "O", "Ti"], 6))
    lattice = Lattice.from_parameters(*random.uniform(3, 9, 3), *random.uniform(70, 110, 3))
    flags = {"selective_dynamics": [[True, False, True]] * 6} if selective else {}
    structure = Structure(lattice, elements, random.random((6, 3)), site_properties=flags)
    lines = Poscar(structure).get_str(direct=not cartesian).split("\n")
    text = "\n".join([lines[0], scale, *lines[2:]])
    twin = Poscar.from_str(text).structure
    crystal = read_poscar(text)
    assert np.allclose(crystal.lattice, twin.lattice.matrix)
    assert np.allclose(crystal.frac, structure.frac_coords)
    if not (cartesian and scale == "-90"):  # where pymatgen multiplies coordinates by minus the volume
        assert np.allclose(crystal.frac, twin.frac_coords)
    assert [crystal.species_on(k)[0][0] for k in range(6)] == [site.specie.Z for site in twin]


def test_names_behind_coordinates_and_of_potentials():
    old = "salt\n1\n4 0 0\n0 4 0\n0 0 4\n1 1\nDirect\n0 0 0 Cs\n.5 .5 .5 T T F Cl\n"
    assert read_poscar(old).species == (((55, 1.0),), ((17, 1.0),))
    new = "salt\n1\n4 0 0\n0 4 0\n0 0 4\nCs_sv/4f2a Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
    assert read_poscar(new).species == (((55, 1.0),), ((17, 1.0),))


REFUSED = {
    "no names": (TEXT.replace("Sr Ti O\n", ""), "does not name its elements"),
    "many atoms": ("x\n1\n1 0 0\n0 1 0\n0 0 1\nO\n300000000\nd\n0 0 0", "300000000 atoms; up to 200000"),
    "more digits": ("x\n1\n1 0 0\n0 1 0\n0 0 1\nO\n" + "9" * 400 + "\nd\n0 0 0", "numbers of atoms are needed"),
    "cut off": ("\n".join(TEXT.split("\n")[:9]), "it is cut off"),
    "no element": (TEXT.replace("Sr Ti O", "Sr Ti Q"), "names 'Q', which is no element"),
    "fewer elements": (TEXT.replace("Sr Ti O", "Sr Ti"), "names 2 elements and has 3 numbers"),
    "words": (TEXT.replace("0.5 0.5 0.5", "a b c"), "line 10 .* three coordinates"),
    "an alloy": (TEXT.replace("Sr Ti O", "Sr/Ca Ti O"), "names 'Sr/Ca', which is no element"),
    "an alloy, underlined": (TEXT.replace("Sr Ti O", "Sr_Ca Ti O"), "names 'Sr_Ca', which is no element"),
    "two factors": ("\n".join([TEXT.split("\n")[0], "1.0 2.0", *TEXT.split("\n")[2:]]), "one factor, or three"),
    "more atoms than counted": (
        TEXT.rstrip() + "\n0.1 0.2 0.3 Sr\n",
        "of 5 atoms that lists more",
    ),
    "no mode": (TEXT.replace("irect", "").replace("\nd\n", "\n\n").replace("\nD\n", "\n\n"), "'Direct' or 'Cartesian'"),
    "not a number": (TEXT.replace("0.5 0.5 0.5", "nan 0 0"), "line 10 .* three coordinates"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_line(case):
    text, pattern = REFUSED[case]
    with pytest.raises(ValueError, match=pattern):
        read_poscar(text)


PLAIN = "salt\n1\n4 0 0\n0 4 0\n0 0 4\nCs Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"


@pytest.mark.parametrize(
    "change",
    [("4 0 0", "4.0D0 0 0"), ("Cs Cl", "Cs Cl ! a comment"), ("0 0 0\n.5 .5 .5", "0 0 0 Cs\n.5 .5 .5 Cl")],
)
def test_other_spellings_of_the_same(change):
    crystal = try_crystal(PLAIN.replace(*change))[0]
    assert crystal.species == (((55, 1.0),), ((17, 1.0),))
    assert np.allclose(crystal.lattice, 4 * np.eye(3))


def test_heavy_hydrogen_is_hydrogen():
    assert read_poscar(PLAIN.replace("Cs", "D")).species[0] == ((1, 1.0),)


def test_elements_behind_the_coordinates_do_not_contradict_those_above():
    with pytest.raises(ValueError, match="other elements in its line 6"):
        read_poscar(PLAIN.replace("0 0 0\n.5 .5 .5", "0 0 0 K\n.5 .5 .5 Cl"))


def test_of_a_trajectory_it_is_said_that_one_frame_is_taken():
    frame = "Direct configuration=     1\n0 0 0\n.5 .5 .5\n"
    text = PLAIN[: PLAIN.index("Direct")] + frame + frame.replace("1", "2", 1)
    assert "the first frame" in read_poscar(text).notes[0].kind
    assert not read_poscar(PLAIN).notes


def test_of_several_one_below_the_other_it_is_said_that_one_is_taken():
    for between in ("", "\n"):
        (note,) = read_poscar(TEXT.rstrip("\n") + "\n" + between + TEXT).notes
        assert note.kind == "a file with several crystals, of which the first is taken"
    velocities = "\n" + "0 0 0\n" * 5 + "\n1\n1.0\n0 0 0 0\n" + "0 0 0\n" * 15
    assert read_poscar(TEXT.rstrip("\n") + "\n" + velocities).notes == ()
