"""Text, files and dicts become structures: the crystal as written, or an error that says what is wrong."""

import gzip
import shutil

import pytest
from pymatgen.core import Structure

from skdim.crystals.crystal import site_species
from skdim.crystals.parsing import crystal_from_file, crystal_from_text
from skdim.crystals.textformats import text_format
from tests.handmade import DATA, FILES, perovskite, reason_against, told

SPLIT = (DATA / "li_la_ti_o3_split.cif").read_text()
SALT = (DATA / "nacl.cif").read_text()
POSCAR = (DATA / "POSCAR_SrTiO3").read_text()


def structure_from_file(path):
    return told(crystal_from_file(path), path)


def structure_from_text(text):
    return told(crystal_from_text(text))


@pytest.mark.parametrize("name", FILES)
def test_each_file_holds_the_crystal_it_is_named_for(name):
    structure = structure_from_file(DATA / name)
    assert structure.formula == FILES[name]
    assert reason_against(structure) is None
    assert structure_from_text((DATA / name).read_text()) == structure


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("renamed", ["crystal.txt", "data_1", "compressed.gz"])
def test_files_are_told_by_their_content(name, renamed, tmp_path):
    path = tmp_path / renamed
    if renamed.endswith(".gz"):
        path.write_bytes(gzip.compress((DATA / name).read_bytes()))
    else:
        shutil.copy(DATA / name, path)
    assert structure_from_file(path).formula == FILES[name]


def test_a_file_only_pymatgen_knows(tmp_path):
    perovskite().to(str(tmp_path / "crystal.cssr"))
    perovskite().to(str(tmp_path / "crystal.yaml"))
    assert structure_from_file(tmp_path / "crystal.cssr").formula == "Sr1 Ti1 O3"
    assert structure_from_file(tmp_path / "crystal.yaml").formula == "Sr1 Ti1 O3"


def test_a_path_may_start_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(DATA / "nacl.cif", tmp_path)
    assert structure_from_file("~/nacl.cif").formula == "Na4 Cl4"


def test_a_file_in_an_old_encoding_is_read(tmp_path):
    (tmp_path / "latin.cif").write_bytes(b"# measured by M\xfcller\n" + SALT.encode())
    assert structure_from_file(tmp_path / "latin.cif").formula == "Na4 Cl4"


# ---------------------------------------------------------------- disorder


def test_split_positions_closer_than_half_an_angstrom_stay_apart():
    structure = structure_from_text(SPLIT)
    contents = site_species(structure)
    assert contents.count(((3, 0.055),)) == 6
    assert contents.count(((57, 0.56),)) == 1
    assert reason_against(structure) is None


def test_split_positions_that_hold_too_much_are_refused():
    with pytest.raises(ValueError, match="do not agree with the formula"):
        structure_from_text(SPLIT.replace("0.055(5)", "0.08"))
    structure = structure_from_text(SPLIT.replace("0.055(5)", "0.08").replace("Li0.33", "Li0.48"))
    assert "overlap" in reason_against(structure)


def test_elements_that_share_a_place_are_one_mixed_site():
    shared = SALT.replace("'Na4 Cl4'", "'Na3.5 K0.3 Cl4'").replace("0   0   0   1", "0 0 0 0.5\nK1 K 0 0 0 0.3")
    assert ((11, 0.5), (19, 0.3)) in site_species(structure_from_text(shared))


@pytest.mark.filterwarnings("ignore:(?s).*scaled to 1")
def test_shares_rounded_to_two_decimals_are_scaled_and_larger_ones_refused():
    shared = SALT.replace("'Na4 Cl4'", "'Na3.34 K0.67 Cl4'").replace("0   0   0   1", "0 0 0 0.34\nK1 K 0 0 0 0.67")
    mixed = next(content for content in site_species(structure_from_text(shared)) if len(content) == 2)
    assert sum(share for _, share in mixed) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"the site of Na1, K1 has occupancies that add to 1.2; at most 1"):
        structure_from_text(shared.replace("0.34", "0.6").replace("0.67", "0.6"))


# ---------------------------------------------------------------- CIF and POSCAR in detail


def test_symmetry_is_expanded_from_the_space_group():
    text = SALT.replace("'P 1'", "'F m -3 m'").replace("loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n", "")
    text = "\n".join(
        line for line in text.splitlines() if line[:3] not in {f"{ion}{k}" for ion in ("Na", "Cl") for k in (2, 3, 4)}
    )
    assert structure_from_text(text).formula == "Na4 Cl4"


def test_of_several_crystals_the_first_is_taken_and_told():
    second = SALT.replace("data_NaCl", "data_other").replace("5.6402(2)", "6")
    with pytest.warns(UserWarning, match="several crystals, of which the first is taken .*data_NaCl of 2"):
        structure = structure_from_text(SALT + second)
    assert structure.lattice.a == pytest.approx(5.6402)


def test_hydrogens_without_positions_are_told():
    text = SALT.replace("_atom_site_occupancy\n", "_atom_site_occupancy\n_atom_site_attached_hydrogens\n")
    text = "\n".join(f"{line} 1" if line[:2] in {"Na", "Cl"} else line for line in text.splitlines())
    with pytest.warns(UserWarning, match="hydrogens"):
        assert structure_from_text(text).formula == "Na4 Cl4"


def test_a_poscar_may_begin_like_something_else():
    for comment in ["[SrTiO3]", '{"a": 1}', "data_SrTiO3"]:
        assert structure_from_text(POSCAR.replace("SrTiO3, cubic", comment)).formula == "Sr1 Ti1 O3"


def test_a_poscar_with_selective_dynamics_and_negative_scale():
    lines = POSCAR.replace("1.0\n", "-60\n", 1).splitlines()
    flagged = [*lines[:7], "Selective dynamics", "direct", *(f"{line} T T F" for line in lines[8:])]
    text = "\n".join(flagged)
    assert structure_from_text(text).volume == pytest.approx(60)


def test_a_poscar_without_names_is_refused_rather_than_called_hydrogen():
    with pytest.raises(ValueError, match="does not name its elements"):
        structure_from_text(POSCAR.replace("Sr Ti O\n", ""))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("neither\nfish\nnor fowl", r"neither CIF nor POSCAR nor JSON.*'neither\\nfish"),
        ("[1, 2]", "JSON that holds a list"),
        ('{"lattice": 1}', "a dict with the keys 'lattice'; a crystal has 'lattice' and 'sites'"),
        ("{}", r"keys \(none\)"),
        ('{"lattice": [[1, 2], [3, 4]], "species": [], "frac_coords": []}', r"shape \(2, 2\)"),
        (
            SALT.replace("Na1 Na 0   0   0", "Na1 Na 0   ?   0"),
            "atom row Na1: _atom_site_fract_y is .; a number",
        ),
        (POSCAR.replace("0.5 0.5 0.5", "0.5 0.5"), r"line 10 \(.0.5 0.5.\) of the POSCAR: three coordinates"),
    ],
)
def test_refused_with_what_is_wrong(text, pattern):
    with pytest.raises(ValueError, match=pattern):
        structure_from_text(text)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.cif").write_text("\n")
    with pytest.raises(ValueError, match="empty file"):
        structure_from_file(tmp_path / "empty.cif")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SALT, "cif"),
        (SPLIT, "cif"),
        (POSCAR, "poscar"),
        ('{"lattice": 1}', "json"),
        ("NaCl", None),
        ("loop_1/data_2.cif", None),
        ("", None),
        ("a note\nof two lines", None),
    ],
)
def test_formats_are_told_apart(text, kind):
    assert text_format(text) == kind


def test_a_structure_survives_each_format(tmp_path):
    structure = perovskite()
    for name in ["a.cif", "POSCAR", "a.json"]:
        structure.to(str(tmp_path / name))
        assert structure_from_file(tmp_path / name).matches(structure)
    assert isinstance(structure_from_file(tmp_path / "POSCAR"), Structure)


def test_the_file_of_several_crystals_is_named(tmp_path):
    path = tmp_path / "two.cif"
    path.write_text(SALT + SALT.replace("data_NaCl", "data_other"))
    with pytest.warns(UserWarning, match=r"(?s)several crystals, .*two\.cif: data_NaCl of 2"):
        structure_from_file(path)
