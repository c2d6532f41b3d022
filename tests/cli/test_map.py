"""skdim map: from a table of vectors to a page."""

import numpy as np
import pandas as pd
import pytest

from skdim.cli import main
from tests.plotting.test_map_page import SALT, floats, page_data


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Six crystals as CIF files, their vectors, and a table of properties by stem."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cifs").mkdir()
    rng = np.random.default_rng(0)
    for k in range(6):
        SALT.copy().scale_lattice(170 + 5 * k).to(filename=f"cifs/c{k}.cif")
    frame = pd.DataFrame(rng.normal(size=(6, 5)).astype(np.float32), columns=[f"dim_{k}" for k in range(5)])
    frame.insert(0, "id", [f"cifs/c{k}.cif" for k in range(6)])
    frame.to_parquet("v.parquet")
    frame.to_csv("v.csv", index=False)
    np.save("v.npy", frame.iloc[:, 1:].to_numpy())
    frame[["id"]].to_csv("v.ids.csv", index=False)
    pd.DataFrame({"id": ["c1", "c3", "zz"], "gap": [0.5, 2.5, 9.0]}).to_csv("gaps.csv", index=False)
    return tmp_path


def test_a_page_with_structures_and_properties(folder, capsys):
    words = ["map", "v.parquet", "--structures", "cifs", "--table", "gaps.csv", "--color", "gap", "--out", "m.html"]
    assert main(words) == 0
    data = page_data(folder / "m.html")
    assert data["formula"] == ["NaCl"] * 6
    assert sorted(data["structures"]) == [str(k) for k in range(6)]
    assert data["color"] == "gap"
    assert "1 row of gaps.csv without a vector: zz" in capsys.readouterr().err
    assert main(["info", "m.html"]) == 0
    assert "page\n" in capsys.readouterr().out


def test_the_table_is_read_as_fit_reads_it(folder, capsys):
    rows = ["Sample;Gap (eV);phase", "c0;0,5;2H", "c1;<1,5;4H", "c2;2,0;2H", "c3;n/a;6H", "c4;1,0;2H", "c5;3,5;2H"]
    (folder / "own.csv").write_text("\n".join(rows))
    words = ["map", "v.parquet", "--table", "own.csv", "--color", "Gap", "--out", "m.html"]
    assert main(words) == 0
    data = page_data(folder / "m.html")
    assert data["color"] == "Gap (eV)"
    gap, phase = data["columns"]
    np.testing.assert_array_equal(floats(gap["numbers"]), np.array([0.5, 1.5, 2.0, np.nan, 1.0, 3.5], np.float32))
    assert phase["texts"] == ["2H", "4H", "2H", "6H", "2H", "2H"]
    assert main([*words, "--id", "phase"]) == 2
    assert "its column 'phase' has '2H'" in capsys.readouterr().err


def test_rows_that_are_matched_loosely_or_twice_are_told(folder, capsys):
    (folder / "own.csv").write_text("id,gap\nC0,1.0\nc1,0.5\nc1,0.7\n")
    words = ["map", "v.parquet", "--table", "own.csv", "--out", "m.html"]
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "1 row of own.csv matched but for case, blanks or zeros in front: C0 is cifs/c0.cif" in told
    assert "1 crystal with several rows in own.csv, of which the first is shown: cifs/c1.cif" in told
    assert main([*words, "--quiet"]) == 0
    assert not capsys.readouterr().err


def test_a_cell_in_another_unit_is_left_blank_and_named(folder, capsys):
    rows = ["id,gap", "c0,0.5", "c1,400 meV", "c2,2.0", "c3,0.1", "c4,1.0", "c5,3.5"]
    (folder / "own.csv").write_text("\n".join(rows))
    assert main(["map", "v.parquet", "--table", "own.csv", "--out", "m.html"]) == 0
    (gap,) = page_data(folder / "m.html")["columns"]
    np.testing.assert_array_equal(floats(gap["numbers"]), np.array([0.5, np.nan, 2.0, 0.1, 1.0, 3.5], np.float32))
    assert "1 cell of 'gap' left blank, as no number in the unit of the others: 400 meV" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["v.csv", "v.npy"])
def test_other_formats_give_the_same_page(folder, name):
    assert main(["map", "v.parquet", "--out", "a.html", "--quiet"]) == 0
    assert main(["map", name, "--out", "b.html", "--quiet"]) == 0
    assert page_data(folder / "a.html") == page_data(folder / "b.html")


def test_rows_of_nan_are_left_out_and_counted(folder, capsys):
    frame = pd.read_parquet("v.parquet")
    frame.iloc[2, 1:] = np.nan
    frame.to_parquet("v.parquet")
    assert main(["map", "v.parquet", "--out", "m.html"]) == 0
    assert page_data(folder / "m.html")["id"] == [f"cifs/c{k}.cif" for k in (0, 1, 3, 4, 5)]
    assert "left out: 1 row of NaN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.parquet"], "'missing.parquet' is not a file"),
        (["gaps.csv"], "at least 4 crystals"),
        (["v.parquet", "--color", "K"], "--color must be a column"),
        (["v.parquet", "--table", "v.npy"], "cannot be read as a table"),
        (["cifs/c0.cif"], "cifs/c0.cif"),
    ],
)
def test_what_cannot_be_used_is_named(folder, words, message, capsys):
    assert main(["map", *words, "--out", "m.html"]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "m.html").exists()
