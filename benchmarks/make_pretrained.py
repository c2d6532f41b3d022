"""Train the small model that comes with the package, and write its card and the record of its vectors for the tests.

``python benchmarks/make_pretrained.py`` trains on every distinct bundled crystal and writes
``skdim/pretrained/bundled.safetensors`` and ``bundled.json``, and ``tests/data/pretrained_vectors_bundled.json``. One
thread, so that the same versions write the same file again.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shlex
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import skdim
from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim._files import file_digest
from skdim.datasets import load_band_gap, load_elastic_moduli, load_formation_energy, load_unlabelled
from skdim.evaluation import label_efficiency

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "skdim" / "pretrained" / "bundled.safetensors"
VECTORS = ROOT / "tests" / "data" / "pretrained_vectors_bundled.json"
MOST_BYTES = 2_000_000
PACKAGES = ("matminer", "moyopy", "numpy", "pymatgen", "safetensors", "scikit-learn", "skorch", "torch", "vesin")
# Rows of load_formation_energy whose vectors are recorded: few, but of many sizes.
RECORDED = (0, 1000, 2000, 3000, 3500)
TASKS = {
    "formation energy": (load_formation_energy, {}, "eV/atom"),
    "band gap": (load_band_gap, {}, "eV"),
    "log10 K": (load_elastic_moduli, {"target": "log10(K_VRH)"}, "log10 GPa"),
}
LIMITS = [
    "It has seen every bundled structure, those of the test folds included, though no property of any: scores on the "
    "bundled tasks are transductive, and the benchmark tables of this package use models trained on training folds.",
    "The bundled crystals are ordered inorganic compounds computed by density functional theory, mostly of fewer than "
    "50 sites. Disordered, molecular and amorphous materials, surfaces and high pressures were not among them.",
    "Elements that the crystals do not hold are known by their properties only; surprise says nothing of them.",
    "Vectors of this model cannot be compared with those of another one, nor with those of another file of it.",
]


def main() -> None:
    """Train, write, and score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the training (default: 0)")
    parser.add_argument("--max-epochs", type=int, default=None, help="for a trial; the preset's by default")
    parser.add_argument("--repeats", type=int, default=5, help="random choices of labels for the scores (default: 5)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    crystals = load_unlabelled().data
    points = CrystalPointSetTransformer().fit_transform(crystals)
    began = time.perf_counter()
    embedder = DeepInfoMaxEmbedder(random_state=args.seed, max_epochs=args.max_epochs, verbose=1).fit(points)
    seconds = time.perf_counter() - began
    embedder.set_params(verbose=0, max_epochs=None)
    digest = write_model(embedder)
    print(f"{MODEL.stat().st_size:,} bytes, sha256 {digest}, {seconds:.0f} s")
    # From the file, as users have it.
    loaded = DeepInfoMaxEmbedder.load(MODEL)
    card = {
        "name": "bundled",
        "sha256": digest,
        "bytes": MODEL.stat().st_size,
        "what": "DeepInfoMaxEmbedder, preset='default', pretrained without labels",
        "data": {"crystals": len(points), "source": "skdim.datasets.load_unlabelled(): all distinct bundled crystals"},
        "command": shlex.join(["python", "benchmarks/make_pretrained.py", *sys.argv[1:]]),
        "seed": args.seed,
        "versions": {"skdim": skdim.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "training": {
            "epochs": len(embedder.history_),
            "valid_loss": [round(row["valid_loss"], 4) for row in embedder.history_],
            "seconds": round(seconds, 1),
            "threads": 1,
        },
        "scores": scores(loaded, args.repeats),
        "limits": LIMITS,
    }
    MODEL.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    record(loaded)


def write_model(embedder: DeepInfoMaxEmbedder) -> str:
    """Save the embedder, and return the digest of the file."""
    # How long the epochs took would make another file of the same training.
    history = tuple({**row, "dur": math.nan} for row in embedder.state_.record.history)
    embedder.state_ = replace(embedder.state_, record=replace(embedder.state_.record, history=history))
    embedder.save(MODEL)
    if MODEL.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{MODEL} has {MODEL.stat().st_size:,} bytes; at most {MOST_BYTES:,} are to be shipped")
    return file_digest(MODEL)


def scores(embedder: DeepInfoMaxEmbedder, repeats: int) -> dict[str, Any]:
    """Errors of simple regressors on the vectors, on the test folds, whose structures the model has seen."""
    told: dict[str, Any] = {
        "repeats": repeats,
        "transductive": "the structures of the test folds were in the pretraining",
    }
    for task, (load, given, unit) in TASKS.items():
        bunch = load(**given)
        records = label_efficiency(
            {"bundled": embedder.transform(bunch.data)},
            bunch.target,
            bunch.test_mask,
            label_counts=(100, 500),
            regressors=("median", "ridge", "kernel_ridge"),
            n_repeats=repeats,
            task=task,
        )
        means = records.groupby(["regressor", "labels"])["mae"].mean()
        told[task] = {"unit": unit, "error": "mean absolute"}
        told[task] |= {f"{name}, {labels} labels": round(float(mae), 4) for (name, labels), mae in means.items()}
        print(task, told[task])
    return told


def record(embedder: DeepInfoMaxEmbedder) -> None:
    """Write the vectors of a few crystals, against which the tests hold the shipped file."""
    bunch = load_formation_energy()
    vectors = embedder.transform([bunch.data[row] for row in RECORDED])
    rows = {str(row): np.round(vector.astype(float), 6).tolist() for row, vector in zip(RECORDED, vectors, strict=True)}
    VECTORS.write_text(json.dumps({"set": "load_formation_energy", "rows": rows}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
