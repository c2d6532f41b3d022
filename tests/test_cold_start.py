"""What a fresh process imports before it gives the first vector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skdim import DeepInfoMaxEmbedder
from tests.small import bundled

SCRIPT = """
import json, sys
import torch, sklearn
base = set(sys.modules)
from skdim import DeepInfoMaxEmbedder
vectors = DeepInfoMaxEmbedder.load(sys.argv[1]).transform([sys.argv[2]])
print(json.dumps({"modules": sorted(set(sys.modules) - base), "vector": vectors[0].tolist()}))
"""


def python(*arguments: str) -> Any:
    """What a fresh interpreter prints as JSON."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, np.ndarray]:
    """A saved model, a crystal in a file, and its vector."""
    folder, crystals = tmp_path_factory.mktemp("cold"), bundled(10)[0]
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(crystals)
    embedder.save(folder / "model.safetensors")
    (folder / "POSCAR").write_text(crystals[0].to(fmt="poscar"))
    vector = embedder.transform([folder / "POSCAR"])[0]
    return str(folder / "model.safetensors"), str(folder / "POSCAR"), vector


def test_importing_skdim_imports_no_library() -> None:
    modules = python("-c", "import json, sys; old = set(sys.modules); import skdim; "
                     "print(json.dumps(sorted(set(sys.modules) - old)))")  # fmt: skip
    own = {"skdim", "json", "importlib", "typing"}
    assert {name.split(".")[0] for name in modules} & {"torch", "numpy", "sklearn", "pymatgen", "pandas"} == set()
    assert len([name for name in modules if name.split(".")[0] not in own]) < 20


def test_a_first_vector_needs_neither_skorch_nor_matplotlib_nor_the_launcher(
    saved: tuple[str, str, np.ndarray],
) -> None:
    report = python("-c", SCRIPT, *saved[:2])
    np.testing.assert_allclose(report["vector"], saved[2], atol=1e-5)
    unwanted = {"skorch", "matplotlib", "accelerate", "dask", "distributed", "IPython", "plotly", "sphinx", "pytest"}
    assert unwanted & set(report["modules"]) == set()
    for own in ("learning.training", "learning.callbacks", "benchmark", "plotting", "matminer", "demo", "cli"):
        assert f"skdim.{own}" not in report["modules"]


def test_the_command_line_embeds_without_what_only_training_needs(
    saved: tuple[str, str, np.ndarray], tmp_path: Path
) -> None:
    command = ["-X", "importtime", "-m", "skdim.cli", "embed", saved[0], saved[1], "--out", str(tmp_path / "v.npy")]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "torch" in imported
    assert {"skorch", "matplotlib.pyplot", "accelerate"} & imported == set()
    np.testing.assert_allclose(np.load(tmp_path / "v.npy")[0], saved[2], atol=1e-5)
