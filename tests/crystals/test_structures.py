"""Crystals of every kind in one list become structures, and all that fail are told at once."""

import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import DummySpecies, IStructure, Lattice, Molecule, Structure

from skdim.crystals.crystal import site_species
from skdim.crystals.structures import coerce_structure, load_structures, try_structure
from skdim.exceptions import StructureError
from tests.handmade import DATA, FILES, as_an_ordinary_user, flat, iron, perovskite, salt, silicon


def kinds():
    """Rock salt, written in every way that is accepted."""
    structure = salt()
    return {
        "Structure": structure,
        "IStructure": IStructure.from_sites(structure),
        "path": str(DATA / "nacl.cif"),
        "Path": DATA / "nacl.cif",
        "numpy string": np.array([str(DATA / "nacl.cif")])[0],
        "CIF": (DATA / "nacl.cif").read_text(),
        "CIF with CRLF": (DATA / "nacl.cif").read_text().replace("\n", "\r\n"),
        "POSCAR": structure.to(fmt="poscar"),
        "JSON": structure.to_json(),
        "dict": structure.as_dict(),
        "flat dict": flat(structure),
        "entry": SimpleNamespace(energy=-1.0, structure=structure),
    }


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_is_the_same_crystal(kind):
    structure = coerce_structure(kinds()[kind])
    assert isinstance(structure, IStructure)
    assert sorted(site_species(structure)) == [((11, 1.0),)] * 4 + [((17, 1.0),)] * 4
    assert salt().matches(structure)


def test_structures_are_not_copied():
    structure = salt()
    assert coerce_structure(structure) is structure
    assert load_structures([structure])[0][0] is structure


def test_kinds_are_mixed_in_one_list():
    rows = [*kinds().values(), silicon(), iron(), *(DATA / name for name in FILES)]
    structures, failures = load_structures(rows)
    assert failures == []
    assert [len(structure) for structure in structures] == [8] * len(kinds()) + [8, 1, 8, 11, 5, 2]


def test_a_frame_of_files_is_loaded():
    frame = pd.DataFrame({"path": [str(DATA / name) for name in FILES], "id": list("abcd")})
    structures, _ = load_structures(frame)
    assert [structure.formula for structure in structures] == list(FILES.values())


# ---------------------------------------------------------------- ASE


def test_ase_atoms_are_taken():
    build = pytest.importorskip("ase.build")
    atoms = build.bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    assert coerce_structure(atoms).matches(salt())
    assert load_structures([atoms, salt()])[1] == []


def test_ase_occupancies_are_kept():
    io = pytest.importorskip("ase.io")
    path = DATA / "li_la_ti_o3_split.cif"
    atoms = io.read(path, index=-1, format="cif")
    ours, theirs = coerce_structure(path), coerce_structure(atoms)
    assert sorted(site_species(ours)) == sorted(site_species(theirs))
    atoms.symbols[:] = "Fe"
    with pytest.raises(ValueError, match=r"info\['occupancy'\] and symbols contradict"):
        coerce_structure(atoms)


def test_ase_atoms_that_are_no_crystal_are_refused():
    ase = pytest.importorskip("ase")
    assert "without a cell" in try_structure(ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))[1]
    boxed = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], cell=[5, 5, 5])
    assert "pbc=[False, False, False]" in try_structure(boxed)[1]
    boxed.pbc = True
    assert try_structure(boxed)[1] is None
    ghost = ase.Atoms("X", [[0, 0, 0]], cell=[5, 5, 5], pbc=True)
    assert "dummy" in try_structure(ghost)[1]


def test_neither_ase_nor_pandas_nor_torch_is_imported():
    load = "import sys, skdim.crystals.structures as s; s.load_structures([sys.argv[1]])"
    code = f"{load}; print({{'ase', 'pandas', 'torch'}} & set(sys.modules))"
    command = [sys.executable, "-c", code, str(DATA / "si.json")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root, timeout=60)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------- failures

CUBE = Lattice.cubic(4.0)
BAD = {
    "no such file": ("nowhere.cif", r"file 'nowhere.cif': No such file"),
    "no such path": (Path("nowhere.cif"), "No such file"),
    "a formula": ("NaCl", r"file 'NaCl': No such file"),
    "a folder": (DATA, "Is a directory"),
    "long text": ("x" * 5000, "File name too long"),
    "text": ("some\nwords", "neither CIF nor POSCAR nor JSON"),
    "broken JSON": ('{"lattice": ', "Expecting value"),
    "missing": (None, "a missing value"),
    "NaN": (float("nan"), "a missing value"),
    "pandas NA": (pd.NA, "a missing value"),
    "a number": (3.5, r"3.5 of type float is no crystal; accepted are a pymatgen Structure"),
    "a list": ([salt()], "of type list is no crystal"),
    "a site": (salt()[0], "a single site"),
    "a molecule": (Molecule("H", [[0, 0, 0]]), "a Molecule, which has no lattice"),
    "no element": ({"lattice": CUBE, "species": ["Fx"], "frac_coords": [[0, 0, 0]]}, "Fx"),
    "beyond the table": ({"lattice": CUBE, "species": [119], "frac_coords": [[0, 0, 0]]}, "119"),
    "unlike lengths": ({"lattice": CUBE, "species": ["H", "H"], "frac_coords": [[0, 0, 0]]}, "2 species with coord"),
    "over-full": (
        {"lattice": CUBE, "species": [{"H": 2}], "frac_coords": [[0, 0, 0]]},
        "occupancies that add to 2; at most 1 is",
    ),
    "words for numbers": ({"lattice": CUBE, "species": ["H"], "frac_coords": [["a", 0, 0]]}, r"\['a', 0, 0\] in row 0"),
    "None for numbers": (
        {"lattice": None, "species": ["H"], "frac_coords": [[0, 0, 0]]},
        "the field 'lattice' is empty",
    ),
    "damaged dict": ({"lattice": {}, "sites": []}, "'a' is missing"),
    "no sites": (Structure(CUBE, [], []), "no sites"),
    "dummy": (Structure(CUBE, [DummySpecies("X")], [[0, 0, 0]]), "dummy"),
    "overlap": (Structure(CUBE, ["H", "H"], [[0, 0, 0], [0.99, 0, 0]]), "overlap"),
    "NaN coordinates": (Structure(CUBE, ["H"], [[0, 0, float("nan")]]), "nan"),
    "singular": (Structure(np.ones((3, 3)), ["H"], [[0, 0, 0]]), "singular"),
    "many sites": (perovskite() * [3, 3, 1], "45 sites; max_sites=44"),
    "heavy": (Structure(CUBE, ["Og"], [[0, 0, 0]]), "element 118"),
}


def test_every_failing_row_is_told_at_once():
    rows = [row for bad, _ in BAD.values() for row in (bad, salt())]
    with pytest.raises(StructureError) as caught:
        load_structures(rows, max_sites=44, elements=range(97))
    assert [row for row, _ in caught.value.failures] == list(range(0, len(rows), 2))
    assert f"and {len(BAD) - 20} more" in str(caught.value)
    structures, failures = load_structures(rows, on_error="nan", max_sites=44, elements=range(97))
    assert failures == caught.value.failures
    assert [structure is None for structure in structures] == [True, False] * len(BAD)


@pytest.mark.parametrize("case", BAD)
def test_each_reason_says_what_is_wrong(case):
    bad, pattern = BAD[case]
    with pytest.raises(StructureError, match=pattern) as caught:
        load_structures([salt(), bad], max_sites=44, elements=range(97))
    assert [row for row, _ in caught.value.failures] == [1]
    assert "\n" not in caught.value.failures[0][1]


DAMAGED = {
    "truncated.cif.gz": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "wrongly compressed"),
    "not.cif.gz": (b"plain text", "a CIF begins with data_"),
    "broken.json.xz": (b"\xfd7zXZ\x00" + b"\x00" * 30, "wrongly compressed"),
    "binary.cssr": (bytes(range(256)), "could not convert"),
    "vasprun.xml": (b"<modeling><unclosed>", "did not end"),
    "broken.yaml": (b"a: [1, 2", "expected ',' or ']'"),
    "what.xyz": (b"1\n\nH 0 0 0\n", "not of a format that its name tells"),
    "empty.json": (b"", "an empty file"),
    "words.cif": (b"some\nwords", "a CIF begins with data_"),
    "words.json": (b"words", "Expecting value"),
    "POSCAR": (b"words", "a POSCAR of 1 lines"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told_with_its_name(name, tmp_path):
    content, words = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    _, failures = load_structures([salt(), tmp_path / name], on_error="nan")
    assert [row for row, _ in failures] == [1]
    assert f"{name}': " in failures[0][1]
    assert words in failures[0][1]


@pytest.mark.parametrize("formula", ["NaCl", "BaTiO3", "Mg(OH)2", "Li0.5CoO2"])
def test_a_formula_is_told_from_a_missing_file(formula, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="No such file or directory; a formula is not enough"):
        coerce_structure(formula)
    for other in ("Xy2", "missing.cif", "NaCl.cif", "()"):
        with pytest.raises(ValueError, match=r"No such file or directory$"):
            coerce_structure(other)


def test_ids_and_compositions_are_told_to_be_no_crystals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="'mp-149': No such file or directory; nothing is looked up by the id"):
        coerce_structure("mp-149")
    with pytest.raises(ValueError, match=r"the Composition 'Na1 Cl1' \(a formula is not enough, .*is no crystal"):
        coerce_structure(salt().composition.reduced_composition)


def test_a_folder_among_the_rows_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"Is a directory; pass the files in it, each a row"):
        coerce_structure(tmp_path)


def test_an_unreadable_file_is_told(tmp_path):
    path = tmp_path / "secret.cif"
    path.touch(mode=0o000)
    with as_an_ordinary_user():
        assert "Permission denied" in try_structure(path)[1]


def test_labels_of_a_series_are_told():
    with pytest.raises(StructureError, match=r"row 1 \(mp-2\): ") as caught:
        load_structures(pd.Series([salt(), None], index=["mp-1", "mp-2"]))
    assert caught.value.labels == ["mp-2"]


def test_loading_does_not_warn_of_failing_rows():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_structures([None], on_error="nan")[0] == [None]


@pytest.mark.parametrize("value", ["ignore", None, True])
def test_unknown_ways_to_meet_errors_are_refused(value):
    with pytest.raises(ValueError, match=rf"on_error must be 'raise' or 'nan', got {value!r}"):
        load_structures([salt()], on_error=value)


def test_no_rows_are_no_failure():
    assert load_structures([]) == ([], [])
