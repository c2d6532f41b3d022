"""No command writes over what it reads."""

import shutil

import pytest

from skdim.cli import main
from tests.handmade import DATA


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cifs").mkdir()
    shutil.copy(DATA / "nacl.cif", "cifs")
    for name in ("y.csv", "in.csv", "v.ids.csv", "v.parquet"):
        (tmp_path / name).write_text("id,y\nnacl,1\n")


CASES = {
    "the table of labels": "fit cifs --labels y.csv --target y --out y.csv",
    "a crystal of a folder": "fit cifs --labels y.csv --target y --out cifs/nacl.cif",
    "the report over the labels": "fit cifs --labels y.csv --target y --out m.skdim --report ./y.csv",
    "the table of crystals": "embed bundled in.csv --out in.csv",
    "one of a glob": "embed bundled i*.csv --out in.csv",
    "ids beside an array": "embed bundled v.ids.csv --out v.npy",
    "vectors": "map v.parquet --out v.parquet",
    "explanations over predictions": "predict m.skdim cifs --out p.csv --explain p.csv",
}


@pytest.mark.parametrize("case", CASES)
def test_an_output_that_is_an_input_is_refused(case, tmp_path, capsys):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(CASES[case].split()) == 2
    said = capsys.readouterr().err
    assert "would replace" in said or "are the same file" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_link_to_an_input_is_replaced_and_the_input_stays(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "cifs" / "nacl.cif")
    before = (tmp_path / "cifs" / "nacl.cif").read_bytes()
    assert main(["embed", "bundled", "cifs", "--out", "link.csv", "--quiet"]) == 0
    assert (tmp_path / "cifs" / "nacl.cif").read_bytes() == before
    assert (tmp_path / "link.csv").read_text().startswith("id,")
