"""Files, folders, globs and archives of every kind give every crystal, with its id, or a reason."""

import bz2
import gzip
import io
import json
import lzma
import os
import sqlite3
import subprocess
import tarfile
import tracemalloc
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from ase.db import connect
from ase.io import read as ase_read
from ase.io import write as ase_write
from pyarrow import feather, parquet
from pymatgen.io.ase import AseAtomsAdaptor

from skdim import CrystalPointSetTransformer, read_crystals
from skdim.crystals.paths import find_files
from skdim.crystals.structures import coerce_structure, try_structure
from skdim.exceptions import InputError, StructureError
from tests.daily import crossed
from tests.handmade import DATA, as_an_ordinary_user, entry, flat, iron, perovskite, salt, silicon

CIF = (DATA / "nacl.cif").read_text()
POSCAR = (DATA / "POSCAR_SrTiO3").read_text()


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in an empty folder, so that ids are short."""
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str | bytes) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def read(*paths: str):
    return list(read_crystals(paths))


def ids(*paths: str) -> list[str]:
    return [crystal.id for crystal in read(*paths)]


def formulas(*paths: str) -> list[str]:
    return [coerce_structure(crystal.content).reduced_formula for crystal in read(*paths)]


def test_folders_are_searched_deep_in_sorted_order_and_say_what_they_skip():
    for name in ("f/b.cif", "f/a/POSCAR", "f/a/z.cif.gz", "f/.hidden.cif", "f/.git/x.cif", "f/c.vasp"):
        write(name, gzip.compress(CIF.encode()) if name.endswith("gz") else POSCAR if "cif" not in name else CIF)
    write("f/notes.txt", "hello")
    assert ids("f") == ["f/a/POSCAR", "f/a/z.cif.gz", "f/b.cif", "f/c.vasp"]
    assert formulas("f") == ["SrTiO3", "NaCl", "NaCl", "SrTiO3"]
    assert find_files(["f"]).skipped == ["f/notes.txt"]


def test_files_come_in_the_order_of_their_parts_and_linked_folders_are_left_out():
    names = ["a.cif", "a/b.cif", "a-b/c.cif", "a/a/z.cif", "b.cif", "B/é.cif", "a b/1.cif", "a/10.cif", "a/9.cif"]
    for name in names:
        write(f"f/{name}", CIF)
    write("f/.hidden/x.cif", CIF)
    Path("f/link").symlink_to("a", target_is_directory=True)
    want = [str(path) for path in sorted(Path("f", name) for name in names)]
    assert find_files(["f"]).files == want
    os.chdir("f")
    assert find_files(["."]).files == [path.removeprefix("f/") for path in want]


def test_globs_are_sorted_and_a_file_named_like_one_is_itself():
    for name in ("r/2/CONTCAR", "r/1/CONTCAR", "x[1].cif"):
        write(name, POSCAR)
    assert ids("r/**/CONTCAR", "x[1].cif") == ["r/1/CONTCAR", "r/2/CONTCAR", "x[1].cif"]


def test_all_paths_that_stand_for_nothing_are_named_at_once():
    Path("empty").mkdir()
    message = r"'a.cif' does not exist\n'b\*' matches no file\nthe folder 'empty' holds no CIF"
    with pytest.raises(ValueError, match=message):
        find_files(["a.cif", "b*", "empty"])


def test_a_formula_is_told_from_a_missing_path():
    with pytest.raises(ValueError, match="'NaCl' does not exist; a formula is not enough"):
        find_files(["NaCl"])


def test_a_folder_that_may_not_be_read_is_an_error():
    write("f/x/a.cif", CIF)
    Path("f/x").chmod(0)
    Path.cwd().chmod(0o755)
    with as_an_ordinary_user(), pytest.raises(PermissionError):
        find_files(["f"])


def members() -> dict[str, bytes]:
    return {
        "top.cif": CIF.encode(),
        "in/POSCAR_2": POSCAR.encode(),
        "in/z.cif.gz": gzip.compress(CIF.encode()),
        "in/two.json": json.dumps({"iron": flat(iron()), "salt": salt().as_dict()}).encode(),
        "readme.md": b"no crystal",
        "__MACOSX/._top.cif": b"\0",
    }


def archive(name: str) -> str:
    if name.endswith("zip"):
        with zipfile.ZipFile(name, "w") as file:
            for member, data in members().items():
                file.writestr(member, data)
        return name
    with tarfile.open(name, "w:gz" if "gz" in name else "w") as file:
        for member, data in members().items():
            entry = tarfile.TarInfo(f"./{member}")
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return name


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
def test_archives_are_read_as_folders_in_their_own_order(name):
    archive(name)
    assert ids(name) == [f"{name}/top.cif", f"{name}/in/POSCAR_2", f"{name}/in/z.cif.gz", "iron", "salt"]
    assert formulas(name) == ["NaCl", "SrTiO3", "NaCl", "Fe", "NaCl"]


def test_an_archive_cannot_lead_to_other_files():
    write("secret.cif", CIF)
    with zipfile.ZipFile("a.zip", "w") as file:
        file.writestr("x.cif", str(Path("secret.cif").absolute()))
        file.writestr("y.json", json.dumps({"y": str(Path("secret.cif").absolute()), "z": CIF}))
    x, y, z = read("a.zip")
    for crystal in (x, y):
        assert "neither CIF nor POSCAR nor JSON" in try_structure(crystal)[1]
    assert z.id == "z"
    assert try_structure(z)[1] is None


def test_damaged_files_are_rows_with_a_problem():
    write("none.zip", b"PK no zip")
    write("none.tgz", b"no tar")
    data = Path(archive("half.tar.gz")).read_bytes()
    write("half.tar.gz", data[: len(data) // 2])
    write("bad.json", "{")
    write("bad.json.gz", b"no gzip")
    write("empty.json", " ")
    with zipfile.ZipFile("other.zip", "w") as file:
        file.writestr("readme", "nothing here")
    found = {c.id: c.problem for c in read(*(str(p) for p in sorted(Path().iterdir()))) if c.problem}
    assert set(found) == {p.name for p in Path().iterdir()}
    assert "cannot be read: File is not a zip file" in found["none.zip"]
    assert "JSON that cannot be read" in found["bad.json"]
    assert "JSON that cannot be read: Expecting value at character 0 ('no gzip')" in found["bad.json.gz"]
    assert found["empty.json"] == "an empty file"
    assert "without CIF, POSCAR or JSON" in found["other.zip"]


RECORD = {"material_id": "mp-1", **flat(iron()), "label": 3}
COLLECTIONS = {
    "one": (flat(salt()), ["f.json"]),
    "as_dict": (salt().as_dict(), ["f.json"]),
    "list": ([salt().as_dict(), flat(silicon())], ["f.json/0", "f.json/1"]),
    "records": ([RECORD, {**RECORD, "material_id": 7}], ["mp-1", "7"]),
    "by id": ({"a": perovskite().as_dict(), "b": flat(salt()), "c": CIF}, ["a", "b", "c"]),
    "documents": ([{"entry_id": "e", "structure": flat(salt())}], ["e"]),
    "split": ({"index": ["m-1"], "columns": ["structure", "y"], "data": [[salt().as_dict(), 1.0]]}, ["m-1"]),
    "numbered": ({"index": [5], "columns": ["structure"], "data": [[salt().as_dict()]]}, ["f.json/0"]),
}


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_json_holds_one_or_many(kind):
    content, expected = COLLECTIONS[kind]
    write("f.json", json.dumps(content))
    write("f.json.gz", gzip.compress(json.dumps(content).encode()))
    assert ids("f.json") == expected
    assert all(try_structure(crystal)[1] is None for crystal in read("f.json", "f.json.gz"))


@pytest.mark.parametrize("content", [[], {}, 3, [1, 2], {"a": [1.0]}, "text", None])
def test_json_without_crystals_is_one_row(content):
    write("f.json", json.dumps(content))
    (row,) = read("f.json")
    assert row.id == "f.json"
    assert "JSON without crystals" in row.problem


def test_a_bad_record_among_good_ones_keeps_its_row():
    write("f.json", json.dumps({"a": flat(salt()), "b": None}))
    good, bad = read("f.json")
    assert try_structure(good)[1] is None
    assert "missing value" in try_structure(bad)[1]


def test_ids_are_unique_whatever_the_input():
    write("a.cif", CIF)
    write("a.cif#2", CIF)
    write("l.json", json.dumps([RECORD, RECORD, RECORD]))
    found = ids("a.cif", "a.cif", "a.cif#2", "l.json", "*.cif")
    assert found == ["a.cif", "a.cif#2", "a.cif#2#2", "mp-1", "mp-1#2", "mp-1#3", "a.cif#3"]


def test_names_that_are_no_utf8_can_be_written():
    try:
        Path(os.fsdecode(b"\xff.cif")).write_text(CIF)
    except OSError:
        # Some file systems keep names as UTF-8 only; what is tested cannot happen there.
        pytest.skip("this file system takes no such names")
    (name,) = ids("*.cif")
    assert name.encode()


# ---------------------------------------------------------------- JSON in all its forms


def jarvis(structure) -> dict:
    elements = [site.specie.symbol for site in structure]
    coords = structure.frac_coords.tolist()
    return {
        "lattice_mat": structure.lattice.matrix.tolist(),
        "coords": coords,
        "elements": elements,
        "cartesian": False,
    }


def optimade(structure) -> dict:
    names = [site.specie.symbol for site in structure]
    return {
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "species_at_sites": names,
        "species": [
            {"name": name, "chemical_symbols": [name], "concentration": [1.0]} for name in dict.fromkeys(names)
        ],
        "nperiodic_dimensions": 3,
    }


def resource(structure, name: str) -> dict:
    return {"id": name, "type": "structures", "attributes": optimade(structure)}


def ase_json(structures) -> dict:
    with connect("made.json", append=False) as database:
        for structure in structures:
            database.write(AseAtomsAdaptor.get_atoms(structure, msonable=False), gap=1.0)
    return json.loads(Path("made.json").read_text())


DIALECTS = {
    "alexandria": (lambda: {"entries": [entry(salt(), mat_id="agm1"), entry(iron(), mat_id="agm2")]}, ["agm1", "agm2"]),
    "response": (lambda: {"response": [entry(salt(), mat_id="a")], "valid_response": True}, ["a"]),
    "entries": (lambda: [entry(salt(), mat_id="a"), entry(iron(), mat_id="b")], ["a", "b"]),
    "optimade response": (
        lambda: {
            "links": {"next": None},
            "meta": {"data_returned": 2, "more_data_available": False},
            "data": [
                resource(salt(), "o1"),
                {"id": "r", "type": "references", "attributes": {}},
                resource(iron(), "o2"),
            ],
            "included": [],
        },
        ["o1", "o2"],
    ),
    "optimade single": (lambda: {"data": resource(salt(), "o1"), "meta": {}}, ["f.json"]),
    "optimade, data first": (lambda: {"data": [resource(salt(), "o1")], "meta": {}}, ["o1"]),
    "jarvis": (
        lambda: [{"jid": "JVASP-1", "atoms": jarvis(salt()), "gap": 1}, {"jid": "JVASP-2", "atoms": jarvis(iron())}],
        ["JVASP-1", "JVASP-2"],
    ),
    "jarvis alone": (lambda: jarvis(salt()), ["f.json"]),
    "materials project": (
        lambda: {"data": [{"material_id": "mp-1", "structure": salt().as_dict(), "symmetry": {"number": 225}}]},
        ["mp-1"],
    ),
    "document": (lambda: {"energy": 1.0, "material_id": "mp-1", "structure": salt().as_dict()}, ["f.json"]),
    "ase database": (lambda: ase_json([salt(), iron()]), ["f.json/1", "f.json/2"]),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_json_of_each_dialect_is_read_with_its_ids(dialect):
    make, expected = DIALECTS[dialect]
    write("f.json", json.dumps(make()))
    rows = read("f.json")
    assert [row.id for row in rows] == expected
    assert [row.structure.reduced_formula for row in rows] == ["NaCl", "Fe"][: len(expected)]
    assert rows[0].structure.matches(salt())


@pytest.mark.parametrize(("size", "dialect"), crossed([7, 1, 64, 10**6], [*DIALECTS, *COLLECTIONS]))
def test_json_does_not_depend_on_the_parts_it_is_read_in(dialect, size, monkeypatch):
    content = DIALECTS[dialect][0]() if dialect in DIALECTS else COLLECTIONS[dialect][0]
    write("f.json", json.dumps(content, indent=1))
    whole = [(row.id, row.structure) for row in read("f.json")]
    monkeypatch.setattr("skdim.crystals.jsonvalues._STEP", size)
    assert [(row.id, row.structure) for row in read("f.json")] == whole


def test_json_lines_with_headers_of_optimade_and_bad_lines():
    lines = [
        json.dumps({"x-optimade": {"meta": {"api_version": "1.1.0"}}}),
        json.dumps({"type": "info", "id": "structures", "properties": {}}),
        json.dumps(resource(salt(), "o1")),
        "",
        json.dumps({"id": "r1", "type": "references", "attributes": {}}),
        "{broken",
        json.dumps({"gap": 1.0, "structure": iron().as_dict()}),
        "[" * 100_000,
        "null",
    ]
    write("f.jsonl", "\n".join(lines))
    write("f.jsonl.gz", gzip.compress("\r\n".join(lines).encode()))
    for name in ("f.jsonl", "f.jsonl.gz"):
        good, broken, unnamed, nested, null = read(name)
        assert [good.id, unnamed.id] == ["o1", f"{name}/5"]
        assert good.structure.matches(salt())
        assert unnamed.structure.matches(iron())
        assert "JSON that cannot be read" in broken.problem
        assert "nested too deeply" in nested.problem
        assert "missing value" in null.problem


def test_frames_of_a_relaxation_by_the_id_of_their_material():
    salts = [{"structure": salt().as_dict(), "energy": k} for k in range(2)]
    write("f.json", json.dumps({"mp-1": {"mp-1-0-0": salts[0], "mp-1-0-1": salts[1]}, "mp-2": {"mp-9-1": salts[0]}}))
    rows = read("f.json")
    assert [row.id for row in rows] == ["mp-1-0-0", "mp-1-0-1", "mp-2/mp-9-1"]
    assert all(row.structure == salt() for row in rows)
    write("f.json", json.dumps({"mp-1": {"input": salts[0], "output": salts[1]}}))
    (row,) = read("f.json")
    assert "crystals in the fields 'input', 'output'; say which to take" in row.problem


def test_json_lines_in_a_file_called_json():
    write("f.json", "\n".join(json.dumps(flat(make())) for make in (salt, iron, perovskite)))
    assert ids("f.json") == ["f.json/0", "f.json/1", "f.json/2"]
    assert formulas("f.json") == ["NaCl", "Fe", "SrTiO3"]


def test_damage_within_json_keeps_what_came_before():
    text = json.dumps([flat(salt()), flat(iron())])
    write("f.json", text[:-40])
    first, damage = read("f.json")
    assert first.structure.matches(salt())
    assert "cannot be read any further" in damage.problem
    write("f.json", text[:-1] + ", ]")
    *_, damage = read("f.json")
    assert "a comma stands before the end" in damage.problem


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!DOCTYPE html><html>", "a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS pointer"),
        ("{'lattice': 1}", "Python dict printed as text"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[1" + ",1" * 10_000 + "]", "without crystals: a list"),
        (
            '{"data": [], "meta": {}}',
            "of which 'data' is an empty list",
        ),
        (
            '{"errors": [{"detail": "no such filter"}]}',
            "the answer of a server that failed: [{'detail': 'no such filter'",
        ),
        ('[{"y": 1}]', "a list, the first of which is no crystal: a dict with the keys 'y'"),
        (
            '{"data": [{"attributes": {"lattice_vectors": [], "cartesian_site_positions": null}}]}',
            "the first of which is no crystal: the field 'cartesian_site_positions' is empty",
        ),
        pytest.param('"' + "a" * (65 << 20) + '"', "more than 64 MiB", marks=pytest.mark.slow),
        ('{"a": 1' + "0" * 5000 + "}", "cannot be read"),
    ],
)
def test_what_is_no_json_of_crystals_has_a_reason(text, reason):
    write("f.json", text)
    (row,) = read("f.json")
    assert reason in row.problem


def test_the_field_of_the_crystal_and_of_its_id_can_be_named():
    records = [{"a": salt().as_dict(), "b": flat(iron()), "name": "x"}, {"a": None, "b": flat(iron()), "name": ""}]
    write("f.json", json.dumps(records))
    assert "a dict with crystals in the fields 'a', 'b'" in read("f.json")[0].problem
    one, two = read_crystals("f.json", column="a", id_column="name")
    assert (one.id, one.structure.reduced_formula) == ("x", "NaCl")
    assert two.problem == "the id field 'name' is missing or empty"


# ---------------------------------------------------------------- tables

SALTS = [salt(), iron(), perovskite()]
CELLS = {
    "cif": lambda structure: structure.to(fmt="cif"),
    "poscar": lambda structure: structure.to(fmt="poscar"),
    "pymatgen JSON": lambda structure: structure.to_json(),
    "flat JSON": lambda structure: json.dumps(flat(structure)),
    "entry JSON": lambda structure: json.dumps(entry(structure, mat_id="x")),
    "optimade JSON": lambda structure: json.dumps(optimade(structure)),
}
DICTS = {"flat": flat, "jarvis": jarvis, "optimade": optimade}
NAMES = ["mp-1", "mp-2", "mp-3"]


def columns(cell) -> dict:
    made = [cell(structure) for structure in SALTS]
    return {"formula": ["NaCl", "Fe", "SrTiO3"], "gap": [1.0, None, 3.0], "relaxed": made, "material_id": NAMES}


def write_table(name: str, data: dict) -> str:
    if name.endswith(".parquet"):
        parquet.write_table(pa.table(data), name)
    elif name.endswith(".feather"):
        feather.write_feather(pa.table(data), name)
    else:
        separator = "\t" if ".tsv" in name else ";" if "semicolon" in name else ","
        pd.DataFrame(data).to_csv(name, index=False, sep=separator)
    return name


@pytest.mark.parametrize(
    ("name", "cell"), crossed(["t.csv", "t.csv.gz", "t.tsv", "semicolon.csv", "t.parquet", "t.feather"], CELLS)
)
def test_tables_with_a_column_of_text(name, cell):
    write_table(name, columns(CELLS[cell]))
    rows = read(name)
    assert [row.id for row in rows] == NAMES
    assert all(row.structure.matches(structure) for row, structure in zip(rows, SALTS, strict=True))
    unnamed = read_crystals(name, column="relaxed", id_column="formula")
    assert [row.id for row in unnamed] == ["NaCl", "Fe", "SrTiO3"]


@pytest.mark.parametrize("cell", DICTS)
@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_tables_with_a_column_of_dicts(name, cell):
    write_table(name, columns(DICTS[cell]))
    assert [row.structure.reduced_formula for row in read(name)] == ["NaCl", "Fe", "SrTiO3"]
    assert ids(name) == NAMES


@pytest.mark.parametrize("cell", DICTS)
def test_columns_that_make_a_crystal_together(cell):
    """As LeMat and others write OPTIMADE as Parquet."""
    made = [DICTS[cell](structure) for structure in SALTS]
    data = {key: [record[key] for record in made] for key in made[0]} | {
        "immutable_id": NAMES,
        "energy": [1.0, 2.0, 3.0],
    }
    write_table("t.parquet", data)
    rows = read("t.parquet")
    assert [row.id for row in rows] == NAMES
    assert all(row.structure.matches(structure) for row, structure in zip(rows, SALTS, strict=True))


def test_rows_without_an_id_have_the_path_and_their_number():
    data = columns(CELLS["cif"])
    del data["material_id"]
    for name in ("t.csv", "t.parquet"):
        write_table(name, data)
        assert ids(name) == [f"{name}/{k}" for k in range(3)]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_two_columns_of_crystals_are_listed_and_structure_is_preferred(name):
    data = columns(CELLS["cif"])
    data["measured"] = data["relaxed"]
    write_table(name, data)
    (row,) = read(name)
    assert "columns 'relaxed', 'measured' hold crystals; name the one to take" in row.problem
    assert len(list(read_crystals(name, column="measured"))) == 3
    write_table(name, {**data, "structure": data["relaxed"]})
    assert ids(name) == NAMES


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_tables_without_crystals_list_their_columns(name):
    write_table(name, {"formula": ["NaCl"], "gap": [1.0], "elements": ['["Na", "Cl"]']})
    (row,) = read(name)
    assert "no column holds crystals" in row.problem
    assert "'formula', 'gap', 'elements'" in row.problem
    for wrong in ({"column": "cif"}, {"column": "formula", "id_column": "name"}):
        (row,) = read_crystals(name, **wrong)
        assert "there is no column" in row.problem


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["{'lattice_mat': [], 'coords': []}"], "'atoms' holds a Python dict printed as text"),
        (["", "cifs/a.cif"], "'atoms' holds names of files, which are not followed"),
    ],
)
def test_a_column_that_nearly_holds_crystals_is_named(cells, words):
    write_table("t.csv", {"jid": [str(k) for k in range(len(cells))], "atoms": cells})
    (row,) = read("t.csv")
    assert words in row.problem


def test_bad_cells_are_rows_with_a_reason():
    cells = [CIF, "", "NaCl", "/etc/passwd", "{'lattice': 1}", "Full Formula (Na4 Cl4)\nReduced Formula: NaCl", "{"]
    write_table("t.csv", {"cif": cells})
    rows = read("t.csv")
    assert [row.id for row in rows] == [f"t.csv/{k}" for k in range(7)]
    reasons = [try_structure(row)[1] for row in rows]
    expected = [
        None,
        "missing value",
        "neither CIF",
        "neither CIF",
        "Python dict",
        "printed pymatgen",
        "cannot be read",
    ]
    for found, want in zip(reasons, expected, strict=True):
        assert (found is None) if want is None else (want in found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty file"),
        ("<html><body>", "a web page"),
        ("cif,id\n", "no column holds crystals"),
        ('cif\n"data_x\n_cell_length_a 1', "cannot be read"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\0\0\0\0\n\0", "neither CIF"),
    ],
)
def test_what_is_no_table_has_a_reason(content, reason):
    write("t.csv", content)
    (row,) = read("t.csv")
    assert reason in try_structure(row)[1]
    write("t.parquet", content or b"PAR1")
    (row,) = read("t.parquet")
    assert "table that cannot be read" in row.problem


QUOTED = '"' + CIF.replace('"', '""') + '"'


@pytest.mark.parametrize(
    "text",
    [
        f"sep=;\nid;cif\na;{QUOTED}\n",
        f"\ufeffid,cif\na,{QUOTED}\n",
        f"Crystals of the group,,\n,,\nid,cif,\na,{QUOTED},\n",
        f"# made by a program\n# in 2026\nid\tcif\na\t{QUOTED}\n",
        f"id,cif\na,{QUOTED},\n",
        f",id,cif\n0,a,{QUOTED}\n",
    ],
)
def test_what_people_and_programs_put_around_a_table(text):
    write("t.csv", text)
    (row,) = read("t.csv")
    assert row.id == "a"
    assert row.structure.matches(salt())


def test_a_table_without_names_of_columns_loses_no_row():
    write("t.csv", f"a,{QUOTED}\nb,{QUOTED}\n")
    (row,) = read("t.csv")
    assert "a table without names of columns" in row.problem


def test_numbered_records_have_their_own_ids_where_they_have_some():
    record = {"material_id": "mp-1", "structure": salt().as_dict()}
    write("a.json", json.dumps({"0": record}))
    write("b.json", json.dumps({"7": {"structure": salt().as_dict()}, "8": salt().as_dict()}))
    write("c.json", json.dumps({"name": record}))
    assert ids("a.json", "b.json", "c.json") == ["mp-1", "7", "8", "name"]


def test_a_row_of_another_length_is_named():
    write("t.csv", f'id,cif\na,"{CIF}"\nb\nc,"{CIF}",3\n')
    first, second, third = read("t.csv")
    assert first.structure.matches(salt())
    assert second.problem == "a row of 1 fields under a header of 2"
    assert third.problem == "a row of 3 fields under a header of 2"


FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "record batch": lambda data: pa.table(data).to_batches()[0],
}


@pytest.mark.parametrize(("kind", "cell"), crossed(FRAMES, [*CELLS, *DICTS]))
def test_data_frames_are_read_and_transformed(kind, cell):
    if (kind, cell) == ("polars", "flat"):
        cell = "jarvis"  # polars keeps of occupancies by symbol the symbols of the first row alone
    frame = FRAMES[kind](columns((CELLS | DICTS)[cell]))
    rows = list(read_crystals(frame))
    assert [row.id for row in rows] == NAMES
    points = CrystalPointSetTransformer().transform(frame)
    want = CrystalPointSetTransformer().transform(SALTS)
    for k in range(3):
        assert rows[k].structure.matches(SALTS[k])
        np.testing.assert_allclose(points[k].distance, want[k].distance, atol=1e-4)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series,
        pl.Series,
        pa.array,
        lambda values: pa.chunked_array([values[:1], values[1:]]),
        pa.StructArray.from_pandas,
    ],
)
def test_columns_are_rows(column):
    values = [jarvis(structure) for structure in SALTS]
    points = CrystalPointSetTransformer().transform(column(values))
    assert len(points) == 3
    assert len(points[1].distance) > 0


def test_structures_in_a_polars_column_of_objects():
    frame = pl.DataFrame({"structure": pl.Series(SALTS, dtype=pl.Object), "y": [1, 2, 3]})
    assert len(CrystalPointSetTransformer().transform(frame)) == 3
    assert len(CrystalPointSetTransformer().transform(frame["structure"])) == 3


def test_failures_name_the_ids_of_frames_and_rows():
    for frame in (pd.DataFrame, pl.DataFrame, pa.table):
        with pytest.raises(StructureError, match=r"row 1 \(mp-2\): ") as caught:
            CrystalPointSetTransformer().transform(frame({"material_id": NAMES[:2], "cif": [CIF, "data_x\nloop_\n"]}))
        assert caught.value.labels == ["mp-2"]
    write("a.cif", CIF)
    write("b.json", "{}")
    with pytest.raises(StructureError, match=r"row 1 \(b.json\): JSON without crystals"):
        CrystalPointSetTransformer().transform(list(read_crystals(["a.cif", "b.json"])))


def test_a_lazy_frame_is_asked_to_collect():
    with pytest.raises(TypeError, match=r"frame\.collect\(\)"):
        CrystalPointSetTransformer().transform(pl.LazyFrame({"cif": [CIF]}))


# ---------------------------------------------------------------- what simulations hand out


def atoms(structure):
    return AseAtomsAdaptor.get_atoms(structure, msonable=False)


WRITERS = {
    "f.extxyz": lambda name, frames: ase_write(name, frames, format="extxyz"),
    "f.xyz": lambda name, frames: ase_write(name, frames, format="extxyz"),
    "f.traj": lambda name, frames: ase_write(name, frames, format="traj"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_frames_of_ase_are_read_one_and_many(name):
    WRITERS[name](name, [atoms(structure) for structure in SALTS])
    rows = read(name)
    assert [row.id for row in rows] == [f"{name}/{k}" for k in range(3)]
    for row, structure, twin in zip(rows, SALTS, ase_read(name, ":"), strict=True):
        assert row.structure.matches(structure)
        np.testing.assert_allclose(row.structure.cart_coords, twin.positions)
    WRITERS[name](name, [atoms(salt())])
    (row,) = read(name)
    assert row.id == name
    assert row.structure.matches(salt())


@pytest.mark.parametrize("name", WRITERS)
def test_a_trajectory_of_one_compound_shares_its_header(name):
    first = atoms(salt())
    second = first.copy()
    second.positions[0] += 0.1
    second.set_cell(second.cell * 1.01, scale_atoms=True)
    WRITERS[name](name, [first, second])
    for row, twin in zip(read(name), (first, second), strict=True):
        np.testing.assert_allclose(row.structure.cart_coords, twin.positions, atol=1e-6)
        np.testing.assert_allclose(row.structure.lattice.matrix, twin.cell.array, atol=1e-6)


def test_rows_of_a_database_of_ase():
    with connect("f.db", append=False) as database:
        database.write(atoms(salt()), gap=1.0)
        database.write(atoms(iron()), key_value_pairs={"material_id": "mp-13"}, data={"x": np.arange(3)})
        gone = database.write(atoms(iron()))
        database.write(atoms(perovskite()))
        database.delete([gone])
    rows = read("f.db")
    assert [row.id for row in rows] == ["f.db/1", "mp-13", "f.db/4"]
    assert all(row.structure.matches(structure) for row, structure in zip(rows, SALTS, strict=True))


def test_disorder_that_ase_keeps_beside_the_atoms_is_not_lost():
    mixed = atoms(salt())
    mixed.info["occupancy"] = {"0": {"Na": 0.5, "K": 0.5}, "1": {"Cl": 1.0}}
    mixed.arrays["spacegroup_kinds"] = (mixed.numbers == 17).astype(int)
    ase_write("f.extxyz", mixed, format="extxyz")
    (row,) = read("f.extxyz")
    assert row.structure.composition.reduced_formula == "KNaCl2"
    ase_write("f.traj", mixed, format="traj")
    (row,) = read("f.traj")
    reason = try_structure(row)[1]
    assert reason is None or "spacegroup_kinds" in reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("2\nmolecule\nH 0 0 0\nH 0 0 1\n", "no Lattice"),
        ('3\nLattice="4 0 0 0 4 0 0 0 4"\nCs 0 0 0\nCl 2 2 2\n', "it ends after 2 of 3 atoms"),
        ('1\nLattice="4 0 0 0 4 0 0 0"\nCs 0 0 0\n', "Lattice has 8 numbers"),
        ('1\nLattice="4 0 0 0 4 0 0 0 4"\nCs 0 0\n', "the line of atom 0 has 3 of 4 columns"),
        ('1\nLattice="4 0 0 0 4 0 0 0 4" pbc="T T F"\nCs 0 0 0\n', "only crystals periodic in all three"),
        ('1\nLattice="4 0 0 0 4 0 0 0 4"\nQq 0 0 0\n', "'Qq', which is no element"),
        ("999999999\n\n", "up to 200000 are read"),
        (
            '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:occupancy:R:1\nCs 0 0 0 .5\n',
            "a column 'occupancy' with other values than 1",
        ),
        ("Cs 0 0 0\n", "the number of atoms is needed"),
        ("", "an empty file"),
    ],
)
def test_what_is_no_crystal_in_xyz_has_a_reason(content, reason):
    write("f.extxyz", content)
    (row,) = read("f.extxyz")
    assert reason in try_structure(row)[1]


@pytest.mark.parametrize("name", ["f.db", "f.traj"])
@pytest.mark.parametrize("content", [b"", b"nothing", b"- of Ulm" + bytes(100), b"SQLite format 3\0" + bytes(200)])
def test_damaged_databases_have_a_reason(name, content):
    write(name, content)
    (row,) = read(name)
    assert "cannot be read" in row.problem


def test_a_database_whose_table_is_code_is_refused():
    """A view may compute for ever."""
    with closing(sqlite3.connect("f.db")) as connection:
        connection.execute(
            "CREATE VIEW systems AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
            "SELECT id, '' AS numbers, '' AS positions, '' AS cell, 7 AS pbc, '{}' AS key_value_pairs FROM n"
        )
    (row,) = read("f.db")
    assert "there is no table 'systems'" in row.problem


# ---------------------------------------------------------------- CIF of several blocks

OTHER = (DATA / "li_la_ti_o3_split.cif").read_text()
PUBLICATION = "data_global\n_journal_name 'Acta'\n_publ_section_abstract\n;\ndata_nothing\n loop_\n;\n"


def test_every_crystal_of_a_cif_has_the_name_of_its_block():
    write("f/all.cif", PUBLICATION + CIF + OTHER + CIF)
    name, other = "NaCl", "LLTO"
    expected = [f"f/all.cif#{name}", f"f/all.cif#{other}", f"f/all.cif#{name}#2"]
    for path in ("f", "f/all.cif", "f/*.cif"):
        rows = read(path)
        assert [row.id for row in rows] == expected
    assert [row.structure.formula for row in rows] == ["Na4 Cl4", "Li0.33 La0.56 Ti1 O3", "Na4 Cl4"]
    with zipfile.ZipFile("a.zip", "w") as file:
        file.writestr("x.cif", CIF + OTHER)
    assert ids("a.zip") == [f"a.zip/x.cif#{name}", f"a.zip/x.cif#{other}"]


def test_a_block_may_be_asked_for_by_its_name():
    write("all.cif", PUBLICATION + CIF + OTHER)
    (row,) = read("all.cif#LLTO")
    assert row.id == "all.cif#LLTO"
    assert row.structure.formula == coerce_structure("all.cif#LLTO").formula == "Li0.33 La0.56 Ti1 O3"
    assert "no data blocks are called 'Po'; those with crystals are NaCl, LLTO" in try_structure("all.cif#Po")[1]
    write("odd#name.cif", CIF)
    assert formulas("odd#name.cif") == ["NaCl"]


def test_crystals_in_memory_are_told_to_need_no_reading():
    with pytest.raises(InputError, match=r"paths holds a Structure; .* transform takes them as they are"):
        read_crystals([salt()])


def test_a_column_of_ids_in_other_letters_is_found():
    for name in ("ID", "Material_ID", "Material ID"):
        (row,) = read_crystals(pd.DataFrame({name: ["x"], "structure": [salt()]}))
        assert row.id == "x"


def test_a_file_that_begins_like_a_poscar_is_told_by_its_name():
    ase_write("x.xsf", AseAtomsAdaptor.get_atoms(salt(), msonable=False))
    assert formulas("x.xsf") == ["NaCl"]


def test_one_crystal_among_blocks_without_atoms_is_called_by_the_file():
    write("one.cif", PUBLICATION + CIF)
    write("one.cif.gz", gzip.compress((CIF + PUBLICATION).encode()))
    assert ids("one.cif", "one.cif.gz") == ["one.cif", "one.cif.gz"]
    assert formulas("one.cif", "one.cif.gz") == ["NaCl", "NaCl"]


# ---------------------------------------------------------------- nothing is lost in archives, nothing leads out


def tar_of(*entries: tarfile.TarInfo, name: str = "a.tar") -> str:
    with tarfile.open(name, "w:gz" if name.endswith("gz") else "w") as file:
        for entry in entries:
            file.addfile(entry, io.BytesIO(CIF.encode()) if entry.isreg() else None)
    return name


def tar_entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    entry.size = len(CIF.encode()) if kind == tarfile.REGTYPE else 0
    return entry


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_links_and_devices_in_a_tar_are_rows_with_a_reason(name):
    kinds = {
        "hard.cif": tarfile.LNKTYPE,
        "soft.cif": tarfile.SYMTYPE,
        "POSCAR": tarfile.FIFOTYPE,
        "d.cif": tarfile.CHRTYPE,
    }
    tar_of(tar_entry("a.cif"), *(tar_entry(key, kind, "a.cif") for key, kind in kinds.items()), name=name)
    first, *others = read(name)
    assert first.structure.matches(salt())
    assert [row.id for row in others] == [f"{name}/{key}" for key in kinds]
    assert ["links are not followed" in row.problem for row in others] == [True, True, False, False]
    assert ["pipe or device" in row.problem for row in others] == [False, False, True, True]


def test_members_that_lead_out_and_archives_in_archives_are_rows_with_a_reason():
    with zipfile.ZipFile("a.zip", "w") as file:
        for name in ("../x.cif", "y/../../x.cif", "inner.zip", "good.cif"):
            file.writestr(name, CIF)
        link = zipfile.ZipInfo("link.cif")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "good.cif")
    rows = read("a.zip")
    assert [row.id for row in rows] == [
        f"a.zip/{name}" for name in ("../x.cif", "y/../../x.cif", "inner.zip", "good.cif", "link.cif")
    ]
    assert ["leads out" in (row.problem or "") for row in rows] == [True, True, False, False, False]
    assert "archive in an archive" in rows[2].problem
    assert rows[3].structure.matches(salt())
    assert "links are not followed" in rows[4].problem
    tar_of(tar_entry("../x.cif"), tar_entry("ok.cif"))
    bad, good = read("a.tar")
    assert "leads out" in bad.problem
    assert good.problem is None


def test_ids_with_line_ends_and_other_characters_are_kept():
    names = ["a\rb.cif", "a\nb.cif", "=cmd.cif", "a\x1b[31m.cif"]
    tar_of(*(tar_entry(name) for name in names))
    assert ids("a.tar") == [f"a.tar/{name}" for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_bombs_are_refused_before_they_take_memory(name):
    """A member that unpacks to 66 MiB."""
    big = b"\0" * (66 << 20)
    if name.endswith("zip"):
        with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.cif", big)
            file.writestr("b.cif", CIF)
    else:
        with tarfile.open(name, f"w:{name.rpartition('.')[2]}") as file:
            entry = tarfile.TarInfo("a.cif")
            entry.size = len(big)
            file.addfile(entry, io.BytesIO(big))
    del big
    tracemalloc.start()
    rows = read(name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "a member of 66 MiB; up to 64 MiB are read" in rows[0].problem
    assert peak < 50 << 20
    if name.endswith("zip"):
        assert rows[1].structure.matches(salt())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.json.gz", "a.csv.gz", "a.jsonl.xz", "a.extxyz.bz2", "a.cif.gz"])
def test_compressed_files_that_unpack_without_end_are_refused(name):
    opener = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open}[name.rpartition(".")[2]]
    with opener(name, "wb") as file:
        for _ in range(70 if ".cif" in name else 260):
            file.write(b" " * (1 << 20))
    tracemalloc.start()
    (row,) = read(name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "MiB" in row.problem
    assert peak < 300 << 20


def test_pipes_and_devices_are_named_not_read():
    os.mkfifo("pipe.cif")
    Path("zero.cif").symlink_to("/dev/zero")
    Path("zero.json").symlink_to("/dev/zero")
    write("a.cif", CIF)
    found = {row.id: row.problem for row in read(".")}
    assert found == {
        "a.cif": None,
        "pipe.cif": "a pipe, not a file",
        "zero.cif": "a device, not a file",
        "zero.json": "a device, not a file",
    }


def test_folders_nested_deeply_are_searched():
    here = Path.cwd()
    try:
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        write("a.cif", CIF)
        os.chdir(here)
        (row,) = read("d")
        assert row.id.endswith("d/a.cif")
    finally:  # pytest cannot remove so deep a folder
        os.chdir(here)
        subprocess.run(["rm", "-rf", "d"], check=True)


@pytest.mark.slow
def test_memory_is_flat():
    """Of a table, an archive and lists of many crystals one is in memory at a time."""
    record = json.dumps(flat(perovskite()))
    n = 2000
    write("l.json", f"[{','.join([record] * n)}]")
    write("e.json", f'{{"entries": [{",".join([record] * n)}]}}')
    write("l.jsonl", "\n".join([record] * n))
    write_table("t.csv", {"structure": [record] * n})
    write_table("t.parquet", {"structure": [f"{record} " + " " * (k % 7) for k in range(n)]})
    with tarfile.open("t.tar", "w") as file:
        for k in range(n):
            entry = tarfile.TarInfo(f"{k}.json")
            entry.size = len(record)
            file.addfile(entry, io.BytesIO(record.encode()))
    for name in ("l.json", "e.json", "l.jsonl", "t.csv", "t.parquet", "t.tar"):
        tracemalloc.start()
        assert sum(row.problem is None for row in read_crystals(name)) == n
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20, name


def test_a_table_of_pandas_by_columns_is_read():
    frame = pd.DataFrame({"structure": [flat(iron()), flat(salt())], "id": ["a", "b"]})
    write("t.json", frame.to_json())
    assert ids("t.json") == ["a", "b"]
    write("labelled.json", frame[["structure"]].set_axis(["p", "q"]).to_json())
    assert ids("labelled.json") == ["p", "q"]
    assert formulas("t.json") == formulas("labelled.json")


def test_json_that_is_cut_off_says_so():
    write("t.json", json.dumps([flat(iron()), flat(salt())])[:-30])
    first, rest = read("t.json")
    assert first.problem is None
    assert "cut off" in rest.problem


def test_an_open_file_is_one_crystal_and_no_list():
    with open(write("a.cif", CIF)) as file, pytest.raises(TypeError, match=r"put it in a list: \[X\]"):
        CrystalPointSetTransformer().fit_transform(file)
