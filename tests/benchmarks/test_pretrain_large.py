"""The script that pretrains on a table given by path: a small table in, a model that embeds out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Element

from skdim import DeepInfoMaxEmbedder
from skdim.network.config import EncoderConfig
from skdim.study.tasks import load_table_tasks
from tests.small import bundled
from tests.study.tabled import write_cells

ROOT = Path(__file__).parent.parent.parent


def test_a_table_becomes_a_model_without_the_rows_that_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    structures = [structure.copy() for structure in bundled(12)[0]]
    # Compositions of the package judge models: all but two are made others, of lanthanides.
    for structure in structures[2:]:
        structure.replace_species({str(e): Element.from_Z(57 + e.Z % 15) for e in structure.composition.elements})
    columns = {
        "cell": [s.lattice.parameters for s in structures],
        "numbers": [list(s.atomic_numbers) for s in structures],
        "frac_coords": [s.frac_coords.ravel().tolist() for s in structures],
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import materials_project
    import pretrain_large

    left_out = materials_project.left_out(materials_project.composition_keys(tmp_path / "table.parquet"))
    assert left_out[:2].all()
    assert left_out.sum() < 5

    model = tmp_path / "model.safetensors"
    options = ["--out", model, "--hold-out", "--max-epochs", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["pretrain_large.py", *map(str, [tmp_path / "table.parquet", *options])])
    pretrain_large.main()
    assert f"{(~left_out).sum()} crystals" in capsys.readouterr().out
    embedder = DeepInfoMaxEmbedder.load(model)
    names = embedder.get_feature_names_out()
    assert embedder.transform(structures[:3]).shape == (3, len(names))
    assert sum(name.startswith("dim_hop") for name in names) == 3 * EncoderConfig().hop_width * 2


def test_a_model_goes_on_with_what_its_crystals_electrons_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_cells(tmp_path / "table.parquet", formation_energy_per_atom=[float(k) for k in range(60)])
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import materials_project
    import pretrain_electrons
    import pretrain_large
    import tight_binding

    def call(script: ModuleType, *options: object) -> None:
        """Run a script."""
        monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, options)])
        script.main()

    monkeypatch.setattr(materials_project, "bundled_keys", set)
    first, then, told = tmp_path / "first.safetensors", tmp_path / "then.safetensors", tmp_path / "told.parquet"
    call(pretrain_large, path, "--points", tmp_path / "points", "--out", first, "--max-epochs", 1, "--device", "cpu")
    call(tight_binding, path, "--out", told)
    rest = ["--start", first, "--points", tmp_path / "points", "--out", then, "--width", 8, "--max-epochs", 1]
    call(pretrain_electrons, told, *rest)
    before, after = (DeepInfoMaxEmbedder.load(file).get_feature_names_out().tolist() for file in (first, then))
    table = pd.read_parquet(told)
    assert after == [*before, *(f"dim_property_{k}" for k in range(8)), *(f"dim_told_{n}" for n in table.columns[:-1])]
    structures = materials_project.read_structures(path, table["row"].to_numpy()[:2])
    expected = pd.DataFrame([tight_binding.describe(structure) for structure in structures])
    pd.testing.assert_frame_equal(table.drop(columns="row").head(2).astype(float), expected, rtol=1e-5, atol=1e-5)

    # And again, with all crystals, of which the table tells some.
    table.iloc[::2].to_parquet(told)
    rest = ["--start", then, "--points", tmp_path / "points", "--out", tmp_path / "whole.safetensors", "--whole"]
    call(pretrain_electrons, told, *rest, "--max-epochs", 8, "--learning-rate", 5e-3)
    former, whole = (DeepInfoMaxEmbedder.load(file) for file in (then, tmp_path / "whole.safetensors"))
    assert whole.get_feature_names_out().tolist() == after
    assert whole.state_.seen is not None
    assert whole.state_.seen.crystals == len(pq.read_table(path)) > len(table.iloc[::2])
    for part in ("properties", "deep"):
        assert any(
            name.startswith(part) and not np.array_equal(value, former.state_.weights[name])
            for name, value in whole.state_.weights.items()
        )
    assert np.isfinite(whole.transform(structures)).all()


def test_the_training_fold_is_that_of_the_study_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    energies = [None if k % 7 == 0 else float(k) for k in range(60)]
    gaps = [None if k % 14 == 0 else float(k) for k in range(60)]
    path = write_cells(tmp_path / "table.parquet", formation_energy_per_atom=energies, band_gap=gaps)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import pretrain_large

    options = argparse.Namespace(table=path, out=tmp_path / "model.safetensors", rows=None)
    rows = pretrain_large.training_fold(options)
    energy, _ = load_table_tasks(path, ["formation_energy_per_atom", "band_gap"])
    expected = [name for name, test in zip(energy.material_id, energy.test_mask, strict=True) if not test]
    assert (tmp_path / "model.ids.txt").read_text().split() == expected
    assert len(rows) == len(expected)
