"""CIF: each atom row is in the crystal, or the file is refused with what is wrong in it."""

import re
from collections import Counter

import numpy as np
import pytest
from pymatgen.core import Element

from skdim.crystals.blocks import split_blocks
from skdim.crystals.cif import read_cif
from skdim.crystals.ciftags import document, is_crystal
from skdim.crystals.formula import parse_formula
from skdim.crystals.labels import element_of_label, element_of_type
from skdim.crystals.structures import check_crystal

P1 = "_symmetry_equiv_pos_as_xyz 'x,y,z'"
INVERSION = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'"
FULL, BARE = "label type_symbol fract_x fract_y fract_z occupancy", "label fract_x fract_y fract_z"
CUBE = (5, 5, 5, 90, 90, 90)


def cell(a, b, c, alpha, beta, gamma):
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = zip(names, (a, b, c, alpha, beta, gamma), strict=True)
    return "".join(f"_cell_{name} {value}\n" for name, value in values)


def cif(*rows, columns=FULL, symmetry=P1, head=CUBE, name="X", more=""):
    """A data block with atom rows."""
    loop = "\n".join(["loop_", *(f"_atom_site_{column}" for column in columns.split()), *rows])
    return f"data_{name}\n{cell(*head)}{more}\n{symmetry}\n{loop}\n"


def atoms(text):
    """Atoms in the cell by symbol, of a usable crystal."""
    crystal = check_crystal(read_cif(text))
    found = Counter()
    for kind in crystal.site_type:
        for number, amount in crystal.species[kind]:
            found[Element.from_Z(number).symbol] += amount
    return {symbol: round(amount, 6) for symbol, amount in found.items()}


def kinds_of_notes(text):
    return " | ".join(note.kind for note in read_cif(text).notes)


# ---------------------------------------------------------------- each row is in the crystal


SALT = ("Cs1 Cs 0 0 0 1", "Cl1 Cl .5 .5 .5 1")


@pytest.mark.parametrize("word", [".", "?", "1", "1.0(2)", "'1'", "1.000"])
def test_an_occupancy_that_is_not_given_is_one(word):
    assert atoms(cif("Cs1 Cs 0 0 0 1", f"Cl1 Cl .5 .5 .5 {word}")) == {"Cs": 1, "Cl": 1}


def test_hydrogen_beside_another_element_stays():
    text = cif("Ce1 Ce 0 0 0 1", "O1 O .5 .5 .5 .1", "H1 H .5 .5 .5 .9")
    assert atoms(text) == {"Ce": 1, "O": 0.1, "H": 0.9}
    assert len(read_cif(text)) == 2


def test_deuterium_and_tritium_are_hydrogen_and_add_up():
    text = cif("Ce1 Ce 0 0 0 1", "D1 D .5 .5 .5 .3", "H1 H .5 .5 .5 .5", "T1 T .5 .5 .5 .2")
    assert atoms(text) == {"Ce": 1, "H": 1}
    assert len(read_cif(text)) == 2


def test_charges_are_dropped_after_adding():
    text = cif("Fe1 Fe2+ 0 0 0 .5", "Fe2 Fe3+ 0 0 0 .25", "O1 O2- .5 .5 .5 1")
    assert read_cif(text).species == (((26, 0.75),), ((8, 1.0),))


def test_dummy_sites_are_left_out_whatever_stands_in_them():
    rows = ("Cs1 Cs 0 0 0 1 d", "Cl1 Cl .5 .5 .5 1 calc", "CG1 X ? ? ? . dum")
    assert atoms(cif(*rows, columns=FULL + " calc_flag")) == {"Cs": 1, "Cl": 1}


def test_empty_sites_are_told():
    text = cif(*SALT, "Li1 Li .25 .25 .25 0")
    assert atoms(text) == {"Cs": 1, "Cl": 1}
    assert "occupancy 0" in kinds_of_notes(text)


def test_columns_of_any_order_and_displacements_before_atoms():
    aniso = "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\nCs1 0.1\nCl1 0.2\n"
    columns = "occupancy fract_z fract_x type_symbol fract_y label"
    assert atoms(cif("1 0 0 Cs 0 Cs1", "1 .5 .5 Cl .5 Cl1", columns=columns, more=aniso)) == {"Cs": 1, "Cl": 1}


def test_an_atom_without_a_loop():
    lines = "_atom_site_label Po1\n_atom_site_fract_x 0\n_atom_site_fract_y 0\n_atom_site_fract_z 0\n"
    assert atoms(f"data_x\n{cell(*CUBE)}{P1}\n{lines}") == {"Po": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("_cell_length", "_CELL_Length").replace("loop_", "LOOP_").replace("data_", "DATA_"),
        lambda text: text.replace("_atom_site_", "_atom_site.").replace("_cell_", "_cell."),
        lambda text: "\ufeff# M\u00fcller\n" + text,
        lambda text: text.replace("Cl .5 .5 .5", "Cl 0.500(3) 5.0e-1 +.5"),
        lambda text: text.replace("Cl .5 .5 .5", "'Cl' '.5' \"0.5\" 1/2"),
        lambda text: text.replace("Cl .5 .5 .5", "Cl \u22120.5 \u20130.5 .5"),
        lambda text: text.replace("'x,y,z'", "'+X, +Y, +Z'"),
        lambda text: text.replace("'x,y,z'", "\n;\n x,y,z\n;"),
        lambda text: text.replace("data_X\n", ""),
        lambda text: "data_global\n_journal_year 2026\n" + text,
        lambda text: text + "data_pattern\nloop_\n_pd_meas_counts\n1 2 3\n",
    ],
)
def test_ways_to_write_the_same(change):
    assert atoms(change(cif(*SALT))) == {"Cs": 1, "Cl": 1}


# ---------------------------------------------------------------- which element


@pytest.mark.parametrize(
    ("label", "symbol"),
    [
        *[("OW1", "O"), ("OH", "O"), ("OH2", "O"), ("Ow", "O"), ("Fe3+", "Fe"), ("Fe(1)", "Fe"), ("FE1A", "Fe")],
        *[("Cu2a", "Cu"), ("Ca1", "Ca"), ("C1", "C"), ("Cl", "Cl"), ("NaA", "Na"), ("D1", "H"), ("H1A", "H")],
        *[
            ("Ho1", "Ho"),
            ("U1", "U"),
            ("W1", "W"),
            ("O_1", "O"),
            ("O*", "O"),
            ("Fe(A)", "Fe"),
            ("Na(K)", "Na"),
            ("SI1", "Si"),
            ("cl1", "Cl"),
            ("Zn_oct", "Zn"),
            ("SiT1o", "Si"),
            ("AlT2m", "Al"),
            ("CaT", "Ca"),
        ],
    ],
)
def test_labels_that_name_an_element(label, symbol):
    assert atoms(cif("Xe1 0 0 0", f"{label} .5 .5 .5", columns=BARE)) == {"Xe": 1, symbol: 1}


@pytest.mark.parametrize(
    "label",
    [
        *[
            "T1",
            "M1",
            "A1",
            "X1",
            "Q",
            "Na/K",
            "Na,K",
            "Va",
            "Vac1",
            "CA1",
            "CO1",
            "HO1",
            "Wat",
            "Tet1",
            "Met",
            "AlSi1",
        ],
        *["NaK1", "1", "R2", "Cat", "Void", "OS1", "NB2", "Lig", "RE1", "TM", "H2O", "DOD", "HOH", "SO4", "NH4"],
        *["Ti(Zr)1", "Ca(Sr)", "Al(Si1)", "Fe[Mg]", "Fe1Mg1", "Al1/Si1", "Fe0.5Mg0.5"],
        *["REE", "REE1", "ALK", "No1", "Cg1", "Ct"],
    ],
)
def test_labels_that_name_none_or_several_fail_the_row(label):
    with pytest.raises(ValueError, match=f"atom row {re.escape(label)} does not say which element"):
        read_cif(cif("O1 0 0 0", f"{label} .5 .5 .5", columns=BARE))


@pytest.mark.parametrize(("formula", "symbol"), [("'Ca O'", "Ca"), ("'C O'", "C")])
def test_the_formula_decides_between_two_readings(formula, symbol):
    text = cif("O1 0 0 0", "CA1 .5 .5 .5", columns=BARE, more=f"_chemical_formula_sum {formula}")
    assert atoms(text) == {"O": 1, symbol: 1}


def test_the_type_goes_before_the_label():
    assert atoms(cif("Cs1 Rb 0 0 0 1", "T1 Si4+ .5 .5 .5 1")) == {"Rb": 1, "Si": 1}
    assert atoms(cif("Cs1 ? 0 0 0 1", "Si1 . .5 .5 .5 1")) == {"Cs": 1, "Si": 1}
    with pytest.raises(ValueError, match="atom row M1 has the type symbol 'M', which is no element"):
        read_cif(cif("Cs1 Cs 0 0 0 1", "M1 M .5 .5 .5 1"))
    for symbol in ("T1", "HW", "HC", "Na/K", "X", "Va"):
        with pytest.raises(ValueError, match="which is no element"):
            read_cif(cif("Cs1 Cs 0 0 0 1", f"Si1 {symbol} .5 .5 .5 1"))


@pytest.mark.parametrize(
    ("symbol", "number"),
    [
        *[("O2-", 8), ("O-2", 8), ("Fe+3", 26), ("FE", 26), ("fe3+", 26), ("Cval", 6), ("7Li", 3), ("OH", 8)],
        *[("NH4+", 7), ("'Fe 3+'", 26), ("Fe(III)", 26), ("Fe(3+)", 26), ("Fe^3+^", 26), ("(18)O", 8)],
    ],
)
def test_type_symbols(symbol, number):
    assert read_cif(cif(f"A1 {symbol} 0 0 0 1")).species == (((number, 1.0),),)


@pytest.mark.parametrize(("columns", "row"), [(FULL, "A1 RE .5 .5 .5 1"), (BARE, "RE1 .5 .5 .5")])
def test_a_class_of_elements_in_capitals_is_one_where_the_formula_says_so(columns, row):
    other = "O1 O 0 0 0 1" if columns == FULL else "O1 0 0 0"
    with pytest.raises(ValueError, match=r"stands for several elements|does not say which element"):
        read_cif(cif(other, row, columns=columns))
    assert atoms(cif(other, row, columns=columns, more="_chemical_formula_sum 'O Re'")) == {"O": 1, "Re": 1}


def test_hydrogens_without_positions_are_said():
    for label in ("O-H", "O(H)", "O1(H2)"):
        assert "hydrogens without positions" in kinds_of_notes(cif("Na1 0 0 0", f"{label} .5 .5 .5", columns=BARE))
    assert "hydrogens without positions" in kinds_of_notes(cif("Na1 0 0 0", "OH .5 .5 .5", columns=BARE))
    text = cif("Na1 Na 0 0 0 1 0", "O1 O .5 .5 .5 1 2", columns=FULL + " attached_hydrogens")
    assert "hydrogens without positions" in kinds_of_notes(text)


# ---------------------------------------------------------------- one site or several


HEXAGONAL = (8, 8, 5, 90, 90, 120)


def test_images_of_a_rounded_special_position_are_one_site():
    text = cif("Na1 Na .1547 .3092 .25 .4", symmetry="_space_group_IT_number 194", head=HEXAGONAL)
    assert atoms(text) == {"Na": 2.4}
    text = cif("Na1 Na .3333 .6667 .25 1", symmetry="_space_group_IT_number 194", head=HEXAGONAL)
    crystal = read_cif(text)
    assert len(crystal) == 2
    assert np.allclose(np.sort(crystal.frac % 1, axis=0)[:, :2], [[1 / 3, 1 / 3], [2 / 3, 2 / 3]])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("1/3", "2/3"),
        ("0.33", "0.67"),
        (".333", ".667"),
        ("0.3333", "0.6667"),
        ("0.333(1)", "0.667(1)"),
        ("-0.67", ".67"),
    ],
)
def test_thirds_of_any_number_of_decimals_are_special(x, y):
    text = cif(f"Na1 Na {x} {y} .25 .4", symmetry="_space_group_IT_number 194", head=HEXAGONAL)
    assert atoms(text) == {"Na": 0.8}


@pytest.mark.parametrize(("x", "n"), [("0.003", 2), ("0.01", 2), ("0.1", 2), ("0.001", 1), ("0.49", 2), ("0.496", 2)])
def test_what_is_refined_beside_a_special_position_stays_there(x, n):
    assert len(read_cif(cif(f"Li1 Li {x} 0 0 .4", symmetry=INVERSION))) == n


def test_positions_split_about_an_axis_stay_apart():
    assert len(read_cif(cif("Li1 Li .03 0 0 .5", symmetry=INVERSION))) == 2
    assert len(read_cif(cif("Li1 Li .0015 0 0 .5", symmetry=INVERSION))) == 1


def test_copies_beside_the_operations_that_make_them_are_one_site():
    text = cif("Cs1 Cs .1 .2 .3 1", "Cs2 Cs .9 .8 .7 1", "Cl1 Cl .5 .5 .5 1", symmetry=INVERSION)
    assert atoms(text) == {"Cs": 2, "Cl": 1}
    assert "taken once" in kinds_of_notes(text)
    corners = [f"Po{x}{y}{z} Po {x} {y} {z} 1" for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    assert atoms(cif(*corners)) == {"Po": 1}
    # Each of two copies is shared by two elements.
    shared = [f"{e}{k} {e} {p} .5" for k, p in enumerate((".1 .2 .3", ".9 .8 .7")) for e in ("Fe", "Co")]
    assert atoms(cif(*shared, symmetry=INVERSION)) == {"Fe": 1, "Co": 1}


@pytest.mark.parametrize(
    ("label", "known", "number"),
    [
        ("OCo", "K Al Si O", 8),  # of a feldspar: the place C of the second half
        ("OCm", "K Al Si O", 8),
        ("OCo", "Co O", None),
        ("OCo", "", None),
        ("MgY", "Na Mg Al O", 12),  # of a tourmaline
        ("AlZ", "Na Mg Al O", 13),
        ("MgY", "Y Mg O", None),
        ("NaK", "Na K Cl", None),
        ("AlSi", "Al O", None),
    ],
)
def test_places_of_minerals_that_look_like_elements(label, known, number):
    named = element_of_label(label, {Element(symbol).Z for symbol in known.split()})
    assert (named and named.number) == number


def test_a_label_of_an_element_that_the_formula_lacks_is_named():
    rows = ("MgM1 0 0 0", "FeM1 .5 .5 .5")
    with pytest.raises(ValueError, match="FeM1 names Fe, which the formula and the list of atom types do not hold"):
        read_cif(cif(*rows, columns=BARE, more="_chemical_formula_sum Mg2"))


def test_partly_occupied_images_of_each_other_add_up_where_the_formula_says_so():
    axis = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'y,z,x'\n'z,x,y'"
    methyl = ["C1 C 0 0 0 1", *(f"H{k} H {at} .3333" for k, at in enumerate((".2 .1 0", ".1 0 .2", "0 .2 .1")))]
    text = cif(*methyl, symmetry=axis, more="_chemical_formula_sum 'C H3'\n_cell_formula_units_Z 1")
    assert atoms(text) == {"C": 1, "H": pytest.approx(3, abs=1e-3)}
    assert "add up, as the formula says" in kinds_of_notes(text)
    half = ("Na1 Na .1 .2 .3 .5", "Na2 Na .9 .8 .7 .5")
    for formula, n in (("Na2", 2), ("Na", 1)):
        more = f"_chemical_formula_sum {formula}\n_cell_formula_units_Z 1"
        assert atoms(cif(*half, symmetry=INVERSION, more=more)) == {"Na": n}
    assert atoms(cif(*half, symmetry=INVERSION)) == {"Na": 1}
    with pytest.raises(ValueError, match="do not agree with the formula"):
        read_cif(cif(*half, symmetry=INVERSION, more="_chemical_formula_sum Na3\n_cell_formula_units_Z 1"))


def test_an_unknown_value_may_be_in_quotes():
    more = "_symmetry_space_group_name_H-M '?'\n_chemical_formula_sum '?'"
    assert atoms(cif("Po1 Po 0 0 0 1", symmetry="_space_group_IT_number 221", more=more)) == {"Po": 1}


def test_two_atoms_in_one_place_are_refused():
    with pytest.raises(ValueError, match="the site of Cs1, Cs2 has occupancies that add to 2"):
        read_cif(cif("Cs1 Cs 0 0 0 1", "Cs2 Cs 0 0 0 1"))
    with pytest.raises(ValueError, match=r"site Cs1 has occupancies that add to 1\.2"):
        read_cif(cif("Cs1 Cs 0 0 0 1.2"))
    with pytest.raises(ValueError, match="the site of Na1, K1 has"):
        read_cif(cif("Na1 Na .1 .2 .3 .6", "K1 K .9 .8 .7 .6", symmetry=INVERSION))


@pytest.mark.parametrize(
    ("amounts", "usable"), [((0.54, 0.54), True), ((0.5, 0.5, 0.4), True), ((0.8, 0.8), False), ((1, 0.4), False)]
)
@pytest.mark.parametrize("apart", [0.0, 0.04])
def test_partly_occupied_positions_of_one_element_in_one_place_are_as_those_beside_it(amounts, usable, apart):
    rows = [f"Li{k} Li {k * apart} 0 0 {amount}" for k, amount in enumerate(amounts)]
    if usable:
        assert sum(atoms(cif("Cs1 Cs .5 .5 .5 1", *rows)).values()) == pytest.approx(2)
        crystal = check_crystal(read_cif(cif(*rows)))
        assert "split positions of one element" in crystal.notes[-1].kind
    else:
        with pytest.raises(ValueError, match=r"at most 1\b"):
            check_crystal(read_cif(cif(*rows)))


def test_rounded_shares_are_scaled_and_told():
    text = cif("Na1 Na 0 0 0 .34", "K1 K 0 0 0 .67")
    assert sum(atoms(text).values()) == pytest.approx(1)
    assert "scaled to 1" in kinds_of_notes(text)


# ---------------------------------------------------------------- symmetry


def test_operations_go_before_the_symbol_of_another_setting():
    operations = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,1/2+y,1/2-z\n-x,-y,-z\nx,.5-y,z+.5"
    named = operations + "\n_symmetry_space_group_name_H-M 'P 21/n'"
    crystal = read_cif(cif("Na1 Na .1 .2 .3 1", symmetry=named, head=(5, 6, 7, 90, 100, 90)))
    assert any(np.allclose(place % 1, [0.9, 0.7, 0.2]) for place in crystal.frac)


CONTRADICTIONS = {
    "operations and symbol": (
        INVERSION + "\n_symmetry_space_group_name_H-M 'P m -3 m'",
        "listed symmetry operations and",
    ),
    "operations and number": (P1 + "\n_space_group_IT_number 2", "number 2 contradict"),
    "operations and Hall symbol": (P1 + "\n_space_group_name_Hall '-P 1'", "Hall symbol '-P 1' contradict"),
    "symbol and number": ("_space_group_name_H-M_alt 'P m -3 m'\n_space_group_IT_number 225", "contradict"),
    "Hall symbol and number": ("_space_group_name_Hall '-P 1'\n_space_group_IT_number 225", "contradict"),
    "no centring": (
        "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,-z\n_symmetry_space_group_name_H-M 'I -1'",
        "contradict",
    ),
    "no group": ("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-y,x,z", "'-y,x,z' followed by '-y,x,z' is not among"),
    "no operation": ("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx,y", "three parts such as"),
    "no isometry": ("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx,y,0", "does not keep volumes"),
    "a cell of lower symmetry": ("_space_group_name_H-M_alt 'P 6'", "cell lengths and angles are not those of"),
    "an unknown symbol": ("_space_group_name_H-M_alt 'P 7'", "not known"),
    "a number too large": ("_space_group_IT_number 231", "1 to 230"),
    "nothing": ("", "neither symmetry operations nor a space group"),
    "two origins": ("_space_group_name_H-M_alt 'F d -3 m'", r"2 settings \(F d -3 m:1, F d -3 m:2\)"),
    "a number of several settings": ("_space_group_IT_number 227", "list the symmetry operations"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_symmetry_that_contradicts_itself_or_is_ambiguous_is_refused(case):
    symmetry, pattern = CONTRADICTIONS[case]
    with pytest.raises(ValueError, match=pattern):
        read_cif(cif("Na1 Na .1 .2 .3 1", symmetry=symmetry))


def test_the_cell_tells_rhombohedral_from_hexagonal_axes():
    symbol = "_symmetry_space_group_name_H-M 'R -3 m'"
    assert len(read_cif(cif("Bi1 Bi 0 0 .2 1", symmetry=symbol, head=(4.5, 4.5, 12, 90, 90, 120)))) == 6
    assert len(read_cif(cif("Bi1 Bi .2 .2 .2 1", symmetry=symbol, head=(4.7, 4.7, 4.7, 57, 57, 57)))) == 2


def test_formula_and_z_decide_between_origins():
    symbol = "_symmetry_space_group_name_H-M 'F d -3 m'\n_chemical_formula_sum Si\n_cell_formula_units_Z 8"
    text = cif("Si1 Si 0 0 0 1", symmetry=symbol)
    assert atoms(text) == {"Si": 8}
    assert "setting of the space group is not named" in kinds_of_notes(text)


@pytest.mark.parametrize("symbol", ["F d -3 m :2", "F d -3 m Z", "Fd-3m:2", "F d 3 m :2", "F 41/d -3 2/m :2", "Fd-3mZ"])
def test_names_of_a_setting(symbol):
    text = cif("Si1 Si .125 .125 .125 1", symmetry=f"_symmetry_space_group_name_H-M '{symbol}'")
    assert atoms(text) == {"Si": 8}


@pytest.mark.parametrize(
    ("symbol", "count"),
    [
        *[("P6_{3}/mmc", 2), ("P6_3/mmc", 2), ("P 63/m m c (194)", 2), ("P 63 / m m c (no. 194)", 2)],
        *[
            (r"$P\bar{3}m1$", 1),
            (r"P\overline{3}m1", 1),
            ("P6~3~/mmc", 2),
            ("P3\u0305m1", 1),
            ("P\u22123m1", 1),
            ("P -3 m 1 #164", 1),
        ],
    ],
)
def test_symbols_as_they_are_typeset(symbol, count):
    symmetry = f"_symmetry_space_group_name_H-M '{symbol}'"
    assert atoms(cif("Na1 Na 0 0 0 1", symmetry=symmetry, head=(5, 5, 8, 90, 90, 120))) == {"Na": count}


def test_a_number_behind_the_symbol_of_another_space_group_is_refused():
    with pytest.raises(ValueError, match="does not have the number that stands behind it"):
        read_cif(cif("Na1 Na 0 0 0 1", symmetry="_symmetry_space_group_name_H-M 'P m -3 m (225)'"))


@pytest.mark.parametrize(
    "symbol", ["P 21/c", "P2_1/c", "P21/c", "P2(1)/c", "P 21/c (14)", "P 21/c (no. 14)", "P21/c #14", "P 21/c Z"]
)
def test_a_short_symbol_that_spglib_and_databases_give_to_every_setting_is_refused(symbol):
    """What spglib calls short is "P2_1/c" of "P 1 2_1/n 1" too, so the cell choice is not said."""
    for symmetry in (f"_symmetry_space_group_name_H-M '{symbol}'", "_space_group_IT_number 14"):
        with pytest.raises(ValueError, match=r"3 settings \(P 1 21/c 1, P 1 21/n 1, P 1 21/a 1\).* name one of these"):
            read_cif(cif("Na1 Na .1 .2 .3 1", symmetry=symmetry, head=(5, 6, 7, 90, 100, 90)))


# ---------------------------------------------------------------- the formula of the file


@pytest.mark.parametrize(
    ("formula", "units", "agrees"),
    [
        ("'Cs Cl'", 1, True),
        ("'Cl Cs'", "?", True),
        ("CsCl", 1, True),
        ("'Cs2 Cl2'", "?", True),
        ("'Cs Cl'", 2, False),
        ("'Cs Cl2'", "?", False),
        ("'Cs Br'", 1, False),
        ("'Cs Cl O0.5'", "?", False),
        ("'Cs0.99 Cl1'", 1, True),
        ("?", 4, True),
        ("'see text'", 4, True),
    ],
)
def test_a_formula_that_disagrees_fails_the_row(formula, units, agrees):
    text = cif(*SALT, more=f"_chemical_formula_sum {formula}\n_cell_formula_units_Z {units}")
    if agrees:
        assert atoms(text) == {"Cs": 1, "Cl": 1}
    else:
        with pytest.raises(ValueError, match="do not agree with the formula"):
            read_cif(text)


def test_a_formula_with_more_hydrogen_is_told():
    text = cif("Na1 Na 0 0 0 1", "O1 O .5 .5 .5 1", more="_chemical_formula_sum 'H Na O'\n_cell_formula_units_Z 1")
    assert atoms(text) == {"Na": 1, "O": 1}
    assert "more or less hydrogen" in kinds_of_notes(text)


@pytest.mark.parametrize("amount", ["", "1.08"])
def test_split_positions_may_add_to_more_than_the_formula_says(amount):
    text = cif(
        "Li1 Li 0 0 0 .54", "Li2 Li .05 0 0 .54", "Cl1 Cl .5 .5 .5 1", more=f"_chemical_formula_sum 'Li{amount} Cl'"
    )
    assert atoms(text) == {"Li": 1, "Cl": 1}


# ---------------------------------------------------------------- blocks and kinds of file


def test_the_first_block_with_a_crystal_or_none():
    bad, good = cif("Cs1 Cs ? 0 0 1"), cif("K1 K 0 0 0 1", name="Y")
    with pytest.raises(ValueError, match=r"data_X: atom row Cs1: _atom_site_fract_x is \?; a number is needed"):
        read_cif(bad + good)
    with pytest.raises(ValueError, match="data_X: no atom rows"):
        read_cif(f"data_X\n{cell(*CUBE)}" + good)
    assert read_cif(bad + good, block="Y").species == (((19, 1.0),),)
    publication = "data_global\n_journal_year 2026\n" + bad + good
    assert [block.name for block in split_blocks(publication)] == ["X", "Y"]
    assert [block.name for block in document(publication) if is_crystal(block)] == ["X", "Y"]
    assert "several crystals" in kinds_of_notes(good + bad)
    with pytest.raises(ValueError, match="no data blocks are called 'Z'; those with crystals are X, Y"):
        read_cif(bad + good, block="Z")


def test_magnetic_structures_are_read_without_moments():
    symmetry = (
        "_space_group_magn.number_BNS '2.4'\nloop_\n_space_group_symop_magn_operation.id\n"
        "_space_group_symop_magn_operation.xyz\n1 x,y,z,+1\n2 -x,-y,-z,+1\n"
        "loop_\n_space_group_symop_magn_centering.id\n"
        "_space_group_symop_magn_centering.xyz\n1 x,y,z,+1\n2 x,y,z+1/2,-1"
    )
    text = cif("Fe1 Fe .1 .2 .1 1", symmetry=symmetry)
    assert atoms(text) == {"Fe": 4}
    assert "without their moments" in kinds_of_notes(text)


def test_a_modulation_of_no_dimension_is_none():
    assert atoms(cif(*SALT, more="_cell_modulation_dimension 0")) == {"Cs": 1, "Cl": 1}


REFUSED = {
    "modulated": (cif(*SALT, more="_cell_modulation_dimension 1"), "a modulated structure"),
    "with waves": (
        cif(*SALT, more="loop_\n_atom_site_displace_Fourier_atom_site_label\n_atom_site_displace_Fourier_axis\nCs1 x"),
        "a modulated structure",
    ),
    "with a step": (
        cif(*SALT, more="loop_\n_atom_site_occ_special_func.atom_site_label\nCs1"),
        "a modulated structure",
    ),
    "macromolecule": (cif("ATOM Cs 0 0 0", columns="group_PDB label fract_x fract_y fract_z"), "macromolecule"),
    "no angle": (cif(*SALT).replace("_cell_angle_beta 90\n", ""), "_cell_angle_beta is missing"),
    "unknown length": (cif(*SALT).replace("_cell_length_b 5", "_cell_length_b ?"), "_cell_length_b is missing"),
    "length of words": (
        cif(*SALT).replace("_cell_length_b 5", "_cell_length_b long"),
        "length_b is long; a number",
    ),
    "angle": (cif(*SALT, head=(5, 5, 5, 90, 90, 190)), "the cell 5, 5, 5, 90, 90, 190 is impossible"),
    "flat": (cif(*SALT, head=(5, 5, 5, 60, 60, 120)), "span no volume"),
    "cut off": (cif(*SALT)[:-4], r"the loop that begins at line \d+ has a number of values"),
    "no closing quote": (cif(*SALT).replace("'x,y,z'", "'x,y,z"), r"line \d+ .*no closing quote"),
    "no closing semicolon": (cif(*SALT) + "_note\n;text", "no closing semicolon"),
    "two words": (cif(*SALT, more="_author A B"), r"line \d+ .*a value with a space is not quoted"),
    "no coordinates": (cif("Cs1 Cs", columns="label type_symbol"), "no coordinates"),
    "two coordinates": (cif("Cs1 0 0", columns="label fract_x fract_y"), "_atom_site_fract_z is missing"),
    "unknown coordinate": (cif("Cs1 Cs 0 ? 0 1"), r"atom row Cs1: _atom_site_fract_y is \?"),
    "Cartesian": (cif("Cs1 0 0 0", columns="label Cartn_x Cartn_y Cartn_z"), "how their axes lie"),
    "a tag twice": (cif(*SALT, more="_cell_length_a 6"), "_cell_length_a is given twice, with different"),
    "negative occupancy": (cif("Cs1 Cs 0 0 0 -.5"), "atom row Cs1 has the occupancy -0.5"),
    "occupancy of words": (cif("Cs1 Cs 0 0 0 full"), "atom row Cs1: the occupancy is full"),
    "only empty": (cif("Cs1 Cs 0 0 0 0"), "no atom row holds an atom"),
    "columns apart": (
        cif("Cs1 0 0 0", "Cl1 .5 .5 .5", columns=BARE) + "loop_\n_atom_site_occupancy\n1\n",
        "_atom_site_occupancy has 1 values for 2 atom rows",
    ),
    "no atoms": ("data_x\n_journal_year 2026\n", "describes no crystal structure"),
    "words": ("some words", "begins with data_"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_the_terms_of_the_file(case):
    text, pattern = REFUSED[case]
    with pytest.raises(ValueError, match=pattern):
        read_cif(text)


def test_cartesian_coordinates_with_their_axes_are_read():
    matrix = "".join(f"_atom_sites_Cartn_tran_matrix_{i}{j} {5 * (i == j)}\n" for i in (1, 2, 3) for j in (1, 2, 3))
    text = cif("Cs1 0 0 0", "Cl1 2.5 2.5 2.5", columns="label Cartn_x Cartn_y Cartn_z", more=matrix)
    assert np.allclose(read_cif(text).frac, [[0, 0, 0], [0.5, 0.5, 0.5]])


# ---------------------------------------------------------------- bounds


def test_an_operation_of_many_digits_is_refused_at_once():
    with pytest.raises(ValueError, match="a symmetry operation of 1505 characters"):
        read_cif(cif(*SALT, symmetry=f"_symmetry_equiv_pos_as_xyz 'x,y,z{'1' * 1500}'"))


def test_too_many_operations_and_rows_are_refused():
    words = "\n".join(f"x,y,z+{k}/1000" for k in range(1000))
    with pytest.raises(ValueError, match="1000 symmetry operations; up to 768"):
        read_cif(cif(*SALT, symmetry=f"loop_\n_symmetry_equiv_pos_as_xyz\n{words}"))


def test_many_rows_under_all_operations_of_a_cubic_group():
    random = np.random.default_rng(0)
    rows = [f"O{k} O {x:.4f} {y:.4f} {z:.4f} 1" for k, (x, y, z) in enumerate(random.random((100, 3)))]
    text = cif(*rows, symmetry="_space_group_name_H-M_alt 'F m -3 m'", head=(90, 90, 90, 90, 90, 90))
    assert 18000 < len(read_cif(text)) <= 19200  # few are on special positions


@pytest.mark.parametrize(
    ("symbol", "plain", "head"),
    [
        ("P 2\u2081/n", "P 21/n", (5, 6, 7, 90, 95, 90)),
        ("P 3\u0305 m 1", "P -3 m 1", (5, 5, 7, 90, 90, 120)),
        ("P 3\u0304 m 1", "P -3 m 1", (5, 5, 7, 90, 90, 120)),
        ("I 4\u2081/a :2", "I 41/a :2", (5, 5, 7, 90, 90, 90)),
    ],
)
def test_symbols_as_printed_mean_what_they_mean_in_ascii(symbol, plain, head):
    row = "Fe1 Fe .1234 .2711 .3144 1"
    one, other = (
        read_cif(cif(row, symmetry=f"_space_group_name_H-M_alt '{name}'", head=head)) for name in (symbol, plain)
    )
    assert np.allclose(one.frac, other.frac)


def test_what_is_not_ascii_is_not_passed_over_in_symbols_of_space_groups_and_elements():
    with pytest.raises(ValueError, match="is not known"):
        read_cif(cif(*SALT, symmetry="_space_group_name_H-M_alt 'P 2\u2460/n'"))
    with pytest.raises(ValueError, match="is no element"):
        read_cif(cif("Fe1 Fe\u2460 0 0 0 1"))
    assert atoms(cif("Fe1 Fe\u00b3\u207a 0 0 0 1")) == {"Fe": 1}


# ---------------------------------------------------------------- words that are no elements, and formulas with water


@pytest.mark.parametrize("word", ["CN", "CN-", "NH", "HS", "Uiso", "Uani", "Cnt"])
def test_groups_and_other_columns_are_no_type_symbols(word):
    found = element_of_type(word)
    assert found is None or found.hydrogens  # "NH" is a nitrogen


@pytest.mark.parametrize("label", ["Du", "Du1", "DU", "Cn1", "Nh1", "Og2"])
def test_dummies_and_elements_that_make_no_crystals_are_no_labels(label):
    assert element_of_label(label) is None


def test_number_1_alone_means_the_cell_as_it_is():
    assert atoms(cif(*SALT, symmetry="_space_group_IT_number 1\n")) == {"Cs": 1, "Cl": 1}


@pytest.mark.parametrize("formula", ["Mg (O H)2", "Mg(OH)2", "Mg ( O H )2", "(Mg O2) H2"])
def test_spaces_before_brackets_are_no_part_of_a_formula(formula):
    assert dict(parse_formula(formula)) == {12: 1.0, 8: 2.0, 1: 2.0}
    with pytest.raises(ValueError, match="do not agree with the formula"):
        read_cif(cif("Mg1 Mg 0 0 0 1", "F1 F .5 .5 .5 1", more=f"_chemical_formula_sum '{formula}'"))


@pytest.mark.parametrize("label", ["Wat", "Wat2"])
def test_water_of_the_mineral_database_is_oxygen_where_the_formula_has_it(label):
    text = cif("Na1 0 0 0", f"{label} .5 .5 .5", columns=BARE, more="_chemical_formula_sum 'Na (H2 O)'")
    assert atoms(text) == {"Na": 1, "O": 1}
    assert "hydrogens without positions" in kinds_of_notes(text)


@pytest.mark.parametrize("formula", ["Cs Cl, 2H2 O", "CsCl * 2(H2O)", "Cs Cl . 2H2 O"])
def test_water_behind_a_salt_counts(formula):
    assert dict(parse_formula(formula)) == {55: 1.0, 17: 1.0, 1: 4.0, 8: 2.0}
    text = cif(*SALT) + f"_chemical_formula_sum '{formula}'\n_cell_formula_units_Z 1\n"
    with pytest.raises(ValueError, match="do not agree with the formula"):
        read_cif(text)


@pytest.mark.parametrize("formula", ["C  " * 300 + "!", "C11" * 300 + "!", "(" * 900, "C1" + "1" * 1500 + "!"])
def test_what_is_no_formula_is_soon_found_out(formula):
    assert parse_formula(formula) is None


@pytest.mark.parametrize("end", ["\x1a", "\0\0\0", "\n\x1a\0\n"])
def test_what_old_systems_put_at_the_end_is_left_out(end):
    assert atoms(cif(*SALT) + end) == {"Cs": 1, "Cl": 1}


# ---------------------------------------------------------------- CIF 2.0


@pytest.mark.parametrize(
    "item",
    [
        "_x.list [1 2 [3 'four ]' \"five ]\"]]",
        "_x.table {'a':1 \"b\":[2 3]\n'c':4}",
        "_x.text '''it's [ a note'''",
        '_x.text """two\nlines { here"""',
        "loop_\n_x.key\n_x.vector\na [1 2\n3]\nb []",
        "_x.list [\n;a text ]\n; 2]",
        "_x.word a[1] # [ a comment",
        "_x.field\n;\n[ { '''\n;",
    ],
)
def test_what_only_cif_2_has_says_nothing_of_the_crystal(item):
    text = "#\\#CIF_2.0\n" + cif(*SALT, more=item)
    assert atoms(text) == {"Cs": 1, "Cl": 1}
    assert atoms(text.replace("\n", "\r\n")) == {"Cs": 1, "Cl": 1}


def test_three_quotes_hold_what_is_read():
    with pytest.raises(ValueError, match="do not agree with the formula"):
        read_cif("#\\#CIF_2.0\n" + cif(*SALT, more="_chemical_formula_sum '''Cs2 Cl'''"))


def test_a_list_without_an_end_is_named():
    with pytest.raises(ValueError, match=r"line 3: a list or table of CIF 2\.0 has no closing bracket"):
        read_cif("#\\#CIF_2.0\ndata_x\n_x.list [1 2\n" + cif(*SALT))


# ---------------------------------------------------------------- files that say a thing twice, and cells of no size


def listed(*words, tag="_symmetry_equiv_pos_as_xyz"):
    return "\n".join(["loop_", tag, *map(repr, words)])


NEW = "_space_group_symop_operation_xyz"


def test_operations_under_both_tags_have_to_be_the_same():
    inverted = ("x,y,z", "-x,-y,-z")
    same = cif(*SALT, symmetry=f"{listed(*inverted)}\n{listed(*reversed(inverted), tag=NEW)}")
    assert atoms(same) == {"Cs": 1, "Cl": 1}
    with pytest.raises(ValueError, match="list different operations"):
        read_cif(cif(*SALT, symmetry=f"{listed('x,y,z')}\n{listed(*inverted, tag=NEW)}"))


@pytest.mark.parametrize("nothing", ["''", "?", ".", "'?'", "\n;\n;"])
@pytest.mark.parametrize("first", [True, False])
def test_an_empty_formula_beside_the_formula_contradicts_nothing(nothing, first):
    """Files of the American Mineralogist database have one."""
    tag = "_chemical_formula_sum"
    said, other = f"{tag} 'Cs Cl'", f"{tag} {nothing}"
    assert atoms(cif(*SALT, more=f"{other}\n{said}" if first else f"{said}\n{other}")) == {"Cs": 1, "Cl": 1}
    wrong = f"{tag} 'Cs2 Cl'"
    with pytest.raises(ValueError, match="do not agree with the formula"):
        read_cif(cif(*SALT, more=f"{other}\n{wrong}" if first else f"{wrong}\n{other}"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("_space_group_name_H-M_alt 'P 1'", "_symmetry_space_group_name_H-M 'P -1'"),
        ("_space_group_name_Hall 'P 1'", "_symmetry_space_group_name_Hall '-P 1'"),
        ("_space_group_IT_number 1", "_symmetry_Int_Tables_number 2"),
    ],
)
def test_two_space_groups_are_refused(one, other):
    with pytest.raises(ValueError, match="the file names two space groups"):
        read_cif(cif(*SALT, symmetry=f"{one}\n{other}"))


def test_two_spellings_of_a_space_group_are_none():
    words = "_space_group_name_H-M_alt 'P m -3 m'\n_symmetry_space_group_name_H-M 'Pm3m'\n"
    assert atoms(cif(*SALT, symmetry=words)) == {"Cs": 1, "Cl": 1}
    short = "_space_group_name_H-M_alt 'P 1 21/c 1'\n_symmetry_space_group_name_H-M 'P 21/c'\n"
    assert len(read_cif(cif("Cs1 Cs .1 .2 .3 1", symmetry=short, head=(5, 6, 7, 90, 95, 90)))) == 4


def test_another_volume_than_that_of_the_cell_is_told():
    assert kinds_of_notes(cif(*SALT, more="_cell_volume 125.0(3)")) == ""
    assert kinds_of_notes(cif(*SALT, more="_cell_volume ?")) == ""
    assert kinds_of_notes(cif(*SALT, more="_cell_volume 500")) == "the cell has another volume than its file says"


@pytest.mark.parametrize("length", ["4.12e-10", "1e-3", "0.412", "1e6"])
def test_cells_in_metres_are_refused_at_once(length):  # atoms would have images without end within half an Angstrom
    with pytest.raises(ValueError, match="absurd lattice: lengths"):
        read_cif(cif(*SALT, head=(length, length, length, 90, 90, 90)))
