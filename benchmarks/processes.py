"""Measure seconds until a fresh process has its first vector, and what a second featurizing process gains.

    python benchmarks/processes.py [--repeats 5] [--out benchmarks/processes.json]

A cold start is a new interpreter that imports torch and scikit-learn, then skdim, then loads the model that comes with
the package and embeds one crystal from a file; medians over the repeats, the first of which is left out because it
reads the libraries from disk. Featurizing is of all bundled formation-energy crystals, from structures in memory, by
one process and by two that are already there, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import record

SCRIPT = """
import json, sys, time
begin = time.perf_counter()
import torch, sklearn
base = time.perf_counter()
import skdim
named = time.perf_counter()
skdim.load_pretrained().transform([sys.argv[1]])
done = time.perf_counter()
print(json.dumps({"torch and scikit-learn": base - begin, "skdim": named - base, "first vector": done - base}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Cold start, and two featurizing processes against one.")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--crystals", type=int, default=None, help="to featurize (default: all)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/processes.json"), help="JSON file to write")
    options = parser.parse_args(arguments)
    from skdim.datasets import load_formation_energy

    crystals = load_formation_energy().data[: options.crystals]
    report = {
        **record.surroundings(),
        "settings": {"repeats": options.repeats, "crystals": len(crystals)},
        "cold_start": cold_start(crystals[0], options.repeats),
        "featurize": featurizing(crystals, options.repeats),
    }
    print(json.dumps({key: report[key] for key in ("cold_start", "featurize")}, indent=1))
    for file in record.write(report, options.out, "processes"):
        print(f"Written to {file}")


def cold_start(crystal: Any, repeats: int) -> dict[str, float]:
    """Median seconds of the steps of a fresh interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "POSCAR"
        file.write_text(crystal.to(fmt="poscar"))
        command = [sys.executable, "-c", SCRIPT, str(file)]
        runs = [
            json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(repeats + 1)
        ][1:]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def featurizing(crystals: Any, repeats: int) -> dict[str, float]:
    """Crystals a second of one and of two processes, and the median of the ratios."""
    from skdim import CrystalPointSetTransformer

    seconds: dict[int, list[float]] = {1: [], 2: []}
    for n_jobs in seconds:
        CrystalPointSetTransformer(n_jobs=n_jobs).fit_transform(crystals)
    for _ in range(repeats):
        for n_jobs, passes in seconds.items():
            start = time.perf_counter()
            CrystalPointSetTransformer(n_jobs=n_jobs).fit_transform(crystals)
            passes.append(time.perf_counter() - start)
    one, two = (len(crystals) / median(passes) for passes in seconds.values())
    ratio = median(a / b for a, b in zip(*seconds.values(), strict=True))
    return {"one process, a second": one, "two processes, a second": two, "ratio": ratio}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
