"""The demo, at its small size: what it says, what it writes, and that its files are of use."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from skdim import CrystalRegressor, DeepInfoMaxEmbedder
from skdim.datasets import load_formation_energy
from skdim.demo import FULL, QUICK, run_demo
from skdim.evaluation import summarise

PICTURES = {"label_efficiency.png", "embedding_map.png"}
FILES = {"model.safetensors", "vectors.parquet", "results.csv", "energies.skdim", "predictions.csv"} | PICTURES


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder of a small demo, and what it printed."""
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    code = f"import sys; from skdim.demo import run_demo; run_demo({str(out)!r}, quick=True)"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert run.stderr == ""
    return out, run.stdout


def test_it_writes_every_file_and_names_it(demo):
    out, text = demo
    assert {path.name for path in out.iterdir()} == FILES
    assert all(name in text for name in FILES)
    assert all((out / name).read_bytes()[:4] == b"\x89PNG" for name in FILES if name.endswith(".png"))


def test_it_says_each_step_and_prints_the_table(demo):
    _, text = demo
    titles = ["Crystals", "Point sets", "Pretraining", "Vectors", "Few labels", "Pictures", "Predictions"]
    assert [f"\n{number}. {title}\n" in text for number, title in enumerate(titles, 1)] == [True] * 7
    assert text.count(" s]\n") == 7
    rows = [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in text.splitlines() if line.startswith("| ")]
    regressors = ("ridge", "kernel_ridge", "extra_trees")
    assert rows[2:] == [("none", "median"), *((f, r) for f in ("trained", "untrained", "Magpie") for r in regressors)]
    assert "eV/atom" in text
    assert "1 epoch on 300 crystals says nothing about what\nthe pretraining is worth" in text
    assert all(len(line) <= 120 for line in text.splitlines() if str(demo[0]) not in line)


def test_the_table_is_that_of_the_records(demo):
    out, text = demo
    records = pd.read_csv(out / "results.csv", keep_default_na=False, na_values=[""])
    for row in summarise(records).itertuples():
        line = next(line for line in text.splitlines() if line.startswith(f"| {row.features:9} | {row.regressor:12} |"))
        assert f"{row.mean:.3f} ± {row.standard_error:.3f}" in line


def test_the_model_makes_the_vectors_that_were_written(demo):
    out, _ = demo
    table = pd.read_parquet(out / "vectors.parquet").set_index("material_id")
    crystals = load_formation_energy()
    rows = {material_id: row for row, material_id in enumerate(crystals.material_id)}
    embedder = DeepInfoMaxEmbedder.load(out / "model.safetensors")
    some = table.iloc[:20]
    anew = embedder.transform([crystals.data[rows[material_id]] for material_id in some.index])
    assert list(table.columns) == ["fold", *embedder.get_feature_names_out()]
    assert anew == pytest.approx(some.drop(columns="fold").to_numpy(), abs=1e-4)
    test = crystals.test_mask[[rows[material_id] for material_id in table.index]]
    assert (table["fold"] == np.where(test, "test", "train")).all()


def test_the_kept_model_gives_the_predictions_that_were_written(demo):
    out, _ = demo
    table = pd.read_csv(out / "predictions.csv", index_col="material_id")
    crystals = load_formation_energy()
    rows = {material_id: row for row, material_id in enumerate(crystals.material_id)}
    some = table.iloc[:10]
    assert some["formation_energy"].to_numpy() == pytest.approx(crystals.target[[rows[name] for name in some.index]])
    model = CrystalRegressor.load(out / "energies.skdim")
    anew = model.predict_frame([crystals.data[rows[name]] for name in some.index])
    for column in ("prediction", "lower", "upper"):
        assert anew[column].to_numpy() == pytest.approx(some[column].to_numpy(), abs=1e-3)
    test = {crystals.material_id[row] for row in np.flatnonzero(crystals.test_mask)}
    assert set(table.index) <= test
    assert not set(table["nearest_1"]) & test


def test_it_repeats_and_can_be_silent(demo, tmp_path, capfd):
    run_demo(tmp_path, quick=True, verbose=0)
    assert capfd.readouterr() == ("", "")
    again, first = (pd.read_csv(path / "results.csv").drop(columns="seconds") for path in (tmp_path, demo[0]))
    assert (
        again[["features", "regressor", "labels", "repeat"]] == first[["features", "regressor", "labels", "repeat"]]
    ).all(axis=None)
    # Another process may use another number of threads, which moves last digits.
    assert again["mae"].to_numpy() == pytest.approx(first["mae"].to_numpy(), rel=0.05)


def test_the_full_size_is_that_of_the_protocol():
    assert set(FULL.repeats) == {50, 100, 250, 1000}
    assert FULL.crystals is None
    assert FULL.max_epochs is None
    assert QUICK.max_epochs == 1
