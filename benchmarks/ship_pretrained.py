"""Put a model of the large set into the package, with its card and the record of its vectors for the tests.

    python benchmarks/ship_pretrained.py FILE --name materials_project --log LOG [--records benchmarks/shipped]

``LOG`` is a text file with the commands that made it, a line each; the scores are those of `shipped.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import skdim
from skdim import DeepInfoMaxEmbedder, PointSets
from skdim._files import file_digest
from skdim.datasets import load_formation_energy
from skdim.evaluation import choose_regressor
from skdim.learning.seen import look_back

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "skdim" / "pretrained"
SEEN = 8192  # crystals whose places are kept
MOST_BYTES = 4_000_000
PACKAGES = ("moyopy", "numpy", "pymatgen", "safetensors", "skorch", "torch", "vesin")
# Rows of load_formation_energy whose vectors are recorded: few, but of many sizes.
RECORDED = (0, 1000, 2000, 3000, 3500)
WHAT = {
    "materials_project": (
        "DeepInfoMaxEmbedder, preset='deep', materials_project_held_out gone on with all crystals, without labels, and "
        "with what a tight-binding model with universal parameters tells of the electrons of many of them"
    ),
    "materials_project_held_out": (
        "DeepInfoMaxEmbedder, preset='deep', pretrained without labels, "
        "then with what a tight-binding model with universal parameters tells of the electrons of each crystal"
    ),
    "materials_project_labels": (
        "DeepInfoMaxEmbedder, preset='deep', pretrained without labels as materials_project_held_out, "
        "then trained on formation energies, PBE band gaps, and stiffness by a universal potential"
    ),
}
SOURCE = (
    "Structures: Materials Project, CC BY 4.0, as in the repository of doi 10.26434/chemrxiv-2024-gsk41. A. Jain "
    "et al., APL Materials 1 (2013) 011002."
)
LABELS = [
    "Formation energies and PBE band gaps of the 2018 release of the Materials Project, CC BY 4.0, as in the MEGNet "
    "set of the JARVIS leaderboard.",
    "Stiffness and magnetic moments of some of the crystals, computed with CHGNet 0.3.0, which was trained on "
    "energies, forces, stresses and magnetic moments of the Materials Project: B. Deng et al., Nature Machine "
    "Intelligence 5 (2023) 1031.",
]
LEFT_OUT = (
    "Left out of the training were all compositions of the bundled sets and a twentieth of all others, chosen by "
    "digest: scores are of compositions that it has not seen. Elements and structure types it has seen."
)
NONE_LEFT_OUT = (
    "It has seen all crystals of the set and so most of the bundled ones, though no label: on these its own scores are "
    "transductive. Scores on compositions that have not been seen are those of materials_project_held_out, from which "
    "it goes on."
)
LIMITS = [
    "The crystals are ordered inorganic compounds computed by density functional theory. Disordered, molecular and "
    "amorphous materials, surfaces and high pressures were not among them.",
    "Vectors of this model cannot be compared with those of another one, nor with those of another file of it.",
]
# Models that have seen what would judge them, and those that stand for them.
JUDGED = {"materials_project": "materials_project_held_out"}
OPENLY = (
    "It has learned from computed energies and gaps, and from a universal potential. Compare it with models that have "
    "learned from such labels, and not with those that learn from structures alone."
)


def main() -> None:
    """Write the file, its card and the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="model to ship")
    parser.add_argument("--name", choices=sorted(WHAT), required=True)
    parser.add_argument("--log", type=Path, required=True, help="commands that made it")
    parser.add_argument("--points", type=Path, help="point sets of its crystals, if it does not tell what it has seen")
    parser.add_argument("--records", type=Path, default=ROOT / "benchmarks" / "shipped")
    options = parser.parse_args()
    embedder = DeepInfoMaxEmbedder.load(options.file)
    # How long the epochs took would make another file of the same training.
    history = tuple({**row, "dur": math.nan} for row in embedder.state_.record.history)
    embedder.state_ = replace(embedder.state_, record=replace(embedder.state_.record, history=history))
    if embedder.state_.seen is None and options.points is not None:
        points = PointSets.load(options.points, mmap_mode="r")
        some = points[np.sort(np.random.default_rng(0).permutation(np.flatnonzero(points.valid))[:SEEN])]
        embedder.state_ = replace(embedder.state_, seen=look_back(points, embedder.transform(some)))
    target = PLACE / f"{options.name}.safetensors"
    embedder.save(target)
    if target.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{target} has {target.stat().st_size:,} bytes; at most {MOST_BYTES:,} are to be shipped")
    labelled = options.name.endswith("labels")
    card = {
        "name": options.name,
        "sha256": file_digest(target),
        "bytes": target.stat().st_size,
        "what": WHAT[options.name],
        "data": {
            "crystals": embedder.state_.record.rows,
            "source": SOURCE,
            **({"labels": LABELS} if labelled else {}),
        },
        "command": [line for line in options.log.read_text(encoding="utf-8").splitlines() if line],
        "seed": embedder.random_state,
        "versions": {"skdim": skdim.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "pretraining": {  # the first step; what it was told afterwards has its own command
            "epochs": len(history),
            "valid_loss": [round(row["valid_loss"], 4) for row in history],
        },
        "scores": scores(options.records, JUDGED.get(options.name, options.name)),
        **({"transductive scores": scores(options.records, options.name)} if options.name in JUDGED else {}),
        "limits": [
            NONE_LEFT_OUT if options.name in JUDGED else LEFT_OUT,
            *LIMITS,
            *([OPENLY] if labelled else []),
        ],
    }
    target.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    record(options.name)


def scores(folder: Path, name: str) -> dict[str, Any]:
    """Mean absolute errors of the better regressor by task and number of labels."""
    records = pd.read_parquet(folder / "results.parquet")
    best = choose_regressor(records, ("ridge", "kernel_ridge"))
    means = best[best["features"] == name].groupby(["task", "labels"], sort=False)["mae"].mean()
    told: dict[str, Any] = {"error": "mean absolute, of the better of ridge and kernel ridge, chosen inside the labels"}
    for (task, labels), mae in means.items():
        told.setdefault(task, {})[f"{labels} labels"] = round(float(mae), 4)
    return told


def record(name: str) -> None:
    """Write the vectors of a few crystals, against which the tests hold the shipped file."""
    bunch = load_formation_energy()
    vectors = skdim.load_pretrained(name).transform([bunch.data[row] for row in RECORDED])
    rows = {str(row): np.round(vector.astype(float), 6).tolist() for row, vector in zip(RECORDED, vectors, strict=True)}
    path = ROOT / "tests" / "data" / f"pretrained_vectors_{name}.json"
    path.write_text(json.dumps({"set": "load_formation_energy", "rows": rows}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
