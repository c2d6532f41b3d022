"""Files of other programs: nothing in them is imported, what is long is refused, and vasprun.xml is read."""

import gzip
import json
import sys

import pytest

from skdim.crystals.structures import coerce_structure, try_crystal
from tests.handmade import salt

BAIT = {"@module": "named_in_a_file", "@class": "Thing"}


def with_bait() -> dict:
    """A crystal of which a site has what pymatgen would import."""
    record = salt().as_dict()
    record["sites"][0]["properties"] = {"magmom": BAIT}
    return record


YAML = """lattice:
  matrix: [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
sites:
- species: [{element: Po, occu: 1}]
  abc: [0, 0, 0]
  properties: {a: {'@module': named_in_a_file, '@class': Thing}}
"""


@pytest.mark.parametrize("name", ["a.mson", "a.json.old", "a.mson.gz", "a.yaml.bak", "a.yml.gz", "a.yml.xsf"])
def test_nothing_is_imported_under_names_that_pymatgen_would_take_for_json_or_yaml(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "named_in_a_file.py").write_text("class Thing:\n    def __init__(self, **ignored): pass\n")
    text = YAML if ".y" in name else "\n" * 1500 + json.dumps(with_bait())  # which is not told by its beginning
    data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    (tmp_path / name).write_bytes(data)
    assert coerce_structure(tmp_path / name).formula == ("Po1" if ".y" in name else "Na4 Cl4")
    assert "named_in_a_file" not in sys.modules


LONG = {
    "a.cssr": " 4 4 4\n 90 90 90 SPGR =  1 P 1    OPT = 1\n1 0\n0 x\n" + "1 Na 0 0 0 \n" * 30_000,
    "a.yaml": "a: [" + "1," * 100_000 + "1]",
    "a.yml.1": "a:\n" + "- - - 1\n" * 20_000,
}


@pytest.mark.parametrize("name", LONG)
def test_what_is_parsed_slowly_is_refused_where_it_is_long(name, tmp_path):
    (tmp_path / name).write_text(LONG[name])
    assert "are read" in try_crystal(tmp_path / name)[1] or "20000 lines" in try_crystal(tmp_path / name)[1]


def test_an_xsf_file_is_read_without_its_grid(tmp_path):
    crystal = "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n1 1\nPo 0 0 0\n"
    (tmp_path / "a.xsf").write_text(crystal + "BEGIN_BLOCK_DATAGRID_3D\n" + "1.0\n" * 30_000)
    assert coerce_structure(tmp_path / "a.xsf").formula == "Po1"


XSF = "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n2 1\nCs 0 0 0\nCl 2 2 2\n"
CSSR = """ 4 4 4
 90 90 90 SPGR =   1 P 1    OPT = 1
2 0
0 CsCl
1 Cs1 0.0 0.0 0.0
2 Cl2 0.5 0.5 0.5
"""
PWMAT = "2\nLATTICE\n4 0 0\n0 4 0\n0 0 4\nPOSITION\n55 0 0 0 1 1 1\n17 .5 .5 .5 1 1 1\n"


@pytest.mark.parametrize(("name", "text"), [("a.xsf", XSF), ("a.cssr", CSSR), ("atom.config", PWMAT)])
def test_files_that_list_all_atoms_of_the_cell_are_read(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert coerce_structure(tmp_path / name).formula == "Cs1 Cl1"


PASSED_OVER = {
    "slab.xsf": (XSF.replace("CRYSTAL", "SLAB"), "of a slab, which is not periodic"),
    "cut.xsf": (XSF.replace("2 1\n", "3 1\n"), "holds 3 atoms, and 2 can be read"),
    "cubic.cssr": (CSSR.replace("  1 P 1", "225 F m -3 m"), "space group 225, whose symmetry is not applied"),
    "flag.cssr": (CSSR.replace("2 0\n", "2 1\n"), "Cartesian coordinates, which are not read"),
    "tiny.cssr": (CSSR.replace("0.5 0.5 0.5", "0.5 0.5 5.0E-01"), "exponents in its numbers"),
    "cut.config": (PWMAT.replace("2\n", "3\n", 1), ""),
}


@pytest.mark.parametrize("name", PASSED_OVER)
def test_files_of_which_a_part_would_be_passed_over_are_refused(name, tmp_path):
    text, reason = PASSED_OVER[name]
    (tmp_path / name).write_text(text)
    crystal, problem = try_crystal(tmp_path / name)
    assert crystal is None
    # Of the one that is cut off earlier versions of pymatgen find it by themselves.
    assert reason in problem or (name == "cut.xsf" and "cut off, or of a calculation" in problem)


@pytest.mark.parametrize(
    "lattice", ["4 4 4 90 90 90\n1 0 0\n0 1 0\n0 0 1\n", "4 0 0\n0 4 0\n0 0 4\n1 0 0\n0 1 0\n0 0 1\n"]
)
@pytest.mark.parametrize("name", ["rndstr.in", "lat.in", "bestsqs.out"])
def test_lattices_of_atat_are_no_poscars(name, lattice, tmp_path):
    (tmp_path / name).write_text(f"{lattice}0 0 0 Cs=0.5,K=0.5\n.5 .5 .5 Cl\n")
    assert coerce_structure(tmp_path / name).formula == "Cs0.5 K0.5 Cl1"


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp </i></generator>
 <atominfo>
  <atoms>       3 </atoms>
  <array name="atoms" ><dimension dim="1">ion</dimension><set>
    <rc><c>r </c><c>   1</c></rc><rc><c>O </c><c>   2</c></rc><rc><c>O </c><c>   2</c></rc>
  </set></array>
  <array name="atomtypes" ><set><rc><c>   1</c><c>r </c></rc></set></array>
 </atominfo>
 <structure name="initialpos" >%(earlier)s</structure>
 <structure name="finalpos" >%(last)s</structure>
</modeling>
"""
CRYSTAL = """<crystal>
   <varray name="basis" ><v> %s 0.0 0.0 </v><v> 0.0 5.0 0.0 </v><v> 0.0 0.0 5.0 </v></varray>
   <i name="volume">  125 </i>
   <varray name="rec_basis" ><v> 0.2 0.0 0.0 </v><v> 0.0 0.2 0.0 </v><v> 0.0 0.0 0.2 </v></varray>
  </crystal>
  <varray name="positions" ><v> 0 0 0 </v><v> 0.25 0.25 0.25 </v><v> 0.75 0.75 0.75 </v></varray>
  <varray name="selective" ><v type="logical" > T  T  T </v></varray>"""


def test_the_last_crystal_of_a_vasprun_is_read(tmp_path):
    text = VASPRUN % {"earlier": CRYSTAL % "9.0", "last": CRYSTAL % "5.0"}
    (tmp_path / "vasprun.xml.gz").write_bytes(gzip.compress(text.encode()))
    for given in (text, text.encode(), tmp_path / "vasprun.xml.gz"):
        structure = coerce_structure(given)
        assert structure.formula == "Zr1 O2"  # which versions of VASP write as "r"
        assert structure.lattice.abc == (5.0, 5.0, 5.0)
        assert structure[1].frac_coords.tolist() == [0.25, 0.25, 0.25]
    for cut in (text[: text.index('<structure name="finalpos"')], text[:-60]):
        assert "did not end" in try_crystal(cut)[1]


def test_entities_of_a_vasprun_are_not_unfolded():
    text = VASPRUN % {"earlier": "", "last": CRYSTAL % "&a;"}
    declared = text.replace("<modeling>", '<!DOCTYPE modeling [<!ENTITY a "5.0">]><modeling>')
    assert "undefined entity" in try_crystal(declared)[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cp2k.inp", "&FORCE_EVAL\n&SUBSYS\n&CELL\nABC 4 4 4\n&END\n"),
        ("salt.xtl", "TITLE salt\nCELL\n 4 4 4 90 90 90\nATOMS\nNAME X Y Z\nCs 0 0 0\nEOF\n"),
        ("salt.gen", "1 F\nCs\n1 1 0 0 0\n"),
    ],
)
def test_files_of_programs_that_are_not_read_are_told_how_to_become_such(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert "not of a format that its name tells; `ase convert" in try_crystal(tmp_path / name)[1]
