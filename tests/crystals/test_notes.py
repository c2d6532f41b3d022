"""What was decided in reading is told once a call, with counts and the first names, the same through processes."""

import warnings

import pandas as pd
import pytest

from skdim import CrystalPointSetTransformer, load_pretrained, matminer
from skdim.cli import main
from skdim.crystals.notes import Note, describe_notes
from skdim.crystals.structures import coerce_structure, load_structures
from tests.handmade import DATA, salt

SALT = (DATA / "nacl.cif").read_text()
HYDRATED = SALT.replace("'Na4 Cl4'", "'Na4 Cl4 H2'")


@pytest.fixture
def folder(tmp_path):
    for k in range(40):
        (tmp_path / f"{k:02d}.cif").write_text(HYDRATED)
    return sorted(tmp_path.glob("*.cif"))


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_one_warning_for_all_rows_of_a_call(folder, n_jobs, capfd):
    with pytest.warns(UserWarning, match=r"(?s)40 structures were read with notes:.*hydrogen.*00\.cif") as told:
        CrystalPointSetTransformer(n_jobs=n_jobs).fit_transform(folder)
    assert len(told) == 1
    assert "and 37 more" in str(told[0].message)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_filters_of_the_caller_count(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="with notes"):
            CrystalPointSetTransformer(n_jobs=2).fit_transform(folder)
        warnings.simplefilter("ignore")
        CrystalPointSetTransformer(n_jobs=2).fit_transform(folder)


def test_rows_have_their_labels():
    rows = pd.Series([salt(), HYDRATED], index=["mp-1", "mp-2"])
    with pytest.warns(UserWarning, match=r"1 structure was read with notes:\n.* row 1 \(mp-2\)"):
        load_structures(rows)
    with pytest.warns(UserWarning, match="row 0"):
        coerce_structure(HYDRATED)


def test_each_kind_has_its_line_and_count():
    notes = [(f"row {k}", Note("one kind", f"O{k}")) for k in range(5)] + [("row 9", Note("another"))]
    lines = describe_notes(notes).split("\n")
    assert lines[0] == "6 structures were read with notes:"
    assert lines[1] == "  one kind (5 structures): row 0: O0; row 1: O1; row 2: O2; and 2 more"
    assert lines[2] == "  another (1 structure): row 9"


def test_the_matminer_featurizer_warns_once_with_the_numbers_of_the_rows(folder, monkeypatch):
    monkeypatch.setattr(matminer, "_CHUNK", 15)
    with pytest.warns(UserWarning, match="read with notes") as told:
        matminer.EmbeddingFeaturizer(load_pretrained()).featurize_many([SALT, *folder], pbar=False)
    assert len(told) == 1
    assert "40 structures were read with notes" in str(told[0].message)
    assert "row 1 (" in str(told[0].message)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_commands_warn_once_of_all_their_crystals(folder, jobs, tmp_path):
    words = ["embed", "bundled", *map(str, folder), "--out", str(tmp_path / "v.npy"), "--batch", "15", "--quiet"]
    with pytest.warns(UserWarning, match=r"(?s)40 structures were read with notes.*00\.cif.*and 37 more") as told:
        assert main([*words, "--jobs", jobs]) == 0
    assert len(told) == 1
