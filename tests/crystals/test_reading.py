"""Files, folders, globs and archives to crystals with ids; rows to Parquet, CSV and NPY."""

import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from skdim.cli.inputs import read_crystals
from skdim.cli.outputs import check_place, check_suffix, vector_writer
from skdim.cli.paths import find_files
from skdim.crystals.structures import coerce_structure, try_structure
from tests.handmade import DATA, as_an_ordinary_user, flat, iron, perovskite, salt, silicon

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
    return list(read_crystals(find_files(paths).files))


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
        assert "neither CIF nor POSCAR nor JSON" in try_structure(crystal.content)[1]
    assert z.id == "z"
    assert try_structure(z.content)[1] is None


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
    assert "wrongly compressed" in found["bad.json.gz"]
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
    assert all(try_structure(crystal.content)[1] is None for crystal in read("f.json", "f.json.gz"))


@pytest.mark.parametrize("content", [[], {}, 3, [1, 2], {"a": [1.0]}, "text", None])
def test_json_without_crystals_is_one_row(content):
    write("f.json", json.dumps(content))
    (row,) = read("f.json")
    assert row.id == "f.json"
    assert "JSON without crystals" in row.problem


def test_a_bad_record_among_good_ones_keeps_its_row():
    write("f.json", json.dumps({"a": flat(salt()), "b": None}))
    good, bad = read("f.json")
    assert try_structure(good.content)[1] is None
    assert "missing value" in try_structure(bad.content)[1]


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
        pytest.skip("this file system takes no such names")
    (name,) = ids("*.cif")
    assert name.encode()


VECTORS = np.array([[0.1, np.nan, 1e-9], [1 / 3, 3, -2.5], [7, 8, 9]], np.float32)
NAMES = ["a,b", 'say "x"', "line\nbreak"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npy", ".CSV"])
def test_rows_come_back_from_each_format(suffix):
    path = Path(f"v{suffix}")
    with vector_writer(path, ["x", "y", "z"], {"model": "m"}) as writer:
        writer.write(NAMES[:2], VECTORS[:2])
        assert not path.exists()
        writer.write(NAMES[2:], VECTORS[2:])
    if suffix == ".npy":
        table, names = np.load(path), pd.read_csv("v.ids.csv")["id"]
    else:
        frame = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
        assert list(frame) == ["id", "x", "y", "z"]
        table, names = frame.iloc[:, 1:].to_numpy(np.float32), frame["id"]
    assert list(names) == NAMES
    np.testing.assert_array_equal(table, VECTORS)
    assert not list(Path().glob("*.part"))


def test_row_groups_of_parquet_hold_many_chunks(monkeypatch):
    """What the footer says of each column of each group is kept in memory until the end."""
    monkeypatch.setattr("skdim.cli.outputs._GROUP", 10)
    rows = np.arange(75, dtype=np.float32).reshape(25, 3)
    with vector_writer(Path("v.parquet"), ["x", "y", "z"], {}) as writer:
        for k in range(0, 25, 4):
            writer.write([str(i) for i in range(k, min(k + 4, 25))], rows[k : k + 4])
    metadata = pq.read_metadata("v.parquet")
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [12, 12, 1]
    frame = pd.read_parquet("v.parquet")
    assert list(frame["id"]) == [str(i) for i in range(25)]
    np.testing.assert_array_equal(frame.iloc[:, 1:].to_numpy(np.float32), rows)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npy"])
def test_what_goes_wrong_leaves_the_old_file(suffix):
    path = Path(f"v{suffix}")
    path.write_text("old")

    def write_half():
        with vector_writer(path, ["x", "y", "z"], {}) as writer:
            writer.write(NAMES, VECTORS)
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert [p.name for p in Path().iterdir()] == [path.name]


def test_names_that_cannot_be_written_are_refused():
    write("file", "x")
    Path("folder.csv").mkdir()
    for name, message in (("v.xlsx", r"suffix '.xlsx'; accepted are .parquet, .csv, .npy"), ("v", "has no suffix")):
        with pytest.raises(ValueError, match=message):
            check_suffix(Path(name))
    for name, message in (("folder.csv", "is a folder"), ("file/v.csv", "file' is a file, not a folder")):
        with pytest.raises(ValueError, match=message):
            check_place(Path(name))
    check_place(Path("new/deep/v.csv"))
    assert not Path("new").exists()
