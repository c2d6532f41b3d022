"""The script that pretrains on a table given by path: a small table in, a model that embeds out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skdim import DeepInfoMaxEmbedder
from tests.small import bundled

ROOT = Path(__file__).parent.parent.parent


def test_a_table_becomes_a_model_without_the_rows_that_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    structures, _ = bundled(12)
    columns = {
        "cell": [s.lattice.parameters for s in structures],
        "numbers": [list(s.atomic_numbers) for s in structures],
        "frac_coords": [s.frac_coords.ravel().tolist() for s in structures],
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    np.save(tmp_path / "out.npy", np.arange(12) < 2)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import pretrain_large

    model = tmp_path / "model.safetensors"
    options = ["--out", model, "--leave-out", tmp_path / "out.npy", "--max-epochs", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["pretrain_large.py", *map(str, [tmp_path / "table.parquet", *options])])
    pretrain_large.main()
    assert "10 crystals" in capsys.readouterr().out
    embedder = DeepInfoMaxEmbedder.load(model)
    names = embedder.get_feature_names_out()
    assert embedder.transform(structures[:3]).shape == (3, len(names))
    assert sum(name.startswith("dim_hop") for name in names) == 3 * 128 * 2
