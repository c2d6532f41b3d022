"""Measure crystals per second of each stage, beside those of another implementation measured in the same run.

    python benchmarks/run.py [--yardstick SCRIPT] [--data CRYSTALS.json.gz] [--crystals 400] [--threads 2] [--repeats 3]

A yardstick is a script that is called as ``SCRIPT CRYSTALS.json.gz --crystals N --threads T``, takes the rows
``numpy.random.default_rng(0).permutation(len(rows))[:N]``, and prints JSON with ``featurise_per_s``, ``train_per_s``
and ``embed_per_s``. It and skdim are measured in turn, each time in a new process with the same number of threads, and
featurize in that one process. For skdim training is whole epochs, batches made anew in each; vectors are made from
point sets, batches included. Medians over the repeats count.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import record

STAGES = {"featurise_per_s": "featurize", "train_per_s": "train, an epoch", "embed_per_s": "embed"}
PRESETS = ("default", "deep", "paper")
SHIPPED = "materials_project"  # embeds; nobody trains it anew
EPOCHS = 4  # the first one warms up
PASSES = 5  # of embedding, which takes a fraction of a second


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write what was asked for."""
    options = parse(arguments)
    if options.measure:
        print(json.dumps(measure(options.data, options.crystals, options.threads, options.measure)))
        return
    runs = alternate(options)
    results = {name: summarise(rows) for name, rows in runs.items()}
    report = {
        **record.surroundings(),
        "settings": {
            "data": options.data.name.partition(".")[0],
            **{name: getattr(options, name) for name in ("crystals", "threads", "repeats")},
        },
        "medians": results,
        "ratios": ratios(results),
        "runs": runs,
    }
    print(table(results, report["ratios"], options))
    if options.out is not None:
        for file in record.write(report, options.out, "speed"):
            print(f"\nWritten to {file}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    bundled = files("skdim.datasets") / "data" / "flla_formation_energy.json.gz"
    parser = argparse.ArgumentParser(description="Speed of skdim, beside that of a yardstick if one is given.")
    parser.add_argument("--yardstick", type=Path, help="script of another implementation (form: see this file)")
    parser.add_argument("--data", type=Path, default=Path(str(bundled)), help="gzipped JSON rows; default: bundled")
    parser.add_argument("--crystals", type=int, default=400, help="how many to take (default: 400)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each process (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; their medians count (default: 3)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--measure", choices=(*PRESETS, SHIPPED), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name in ("yardstick", "data"):
        path = getattr(options, name)
        if path is not None and not path.is_file():
            parser.error(f"--{name} {path}: there is no such file")
    for name in ("crystals", "threads", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: at least 1 is needed")
    return options


def alternate(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Run each implementation in turn, as often as asked for."""
    common = ["--crystals", str(options.crystals), "--threads", str(options.threads)]
    commands = {
        f"skdim, {name}": [__file__, "--measure", name, "--data", str(options.data), *common]
        for name in (*PRESETS, SHIPPED)
    }
    if options.yardstick is not None:
        commands = {"yardstick": [str(options.yardstick), str(options.data), *common], **commands}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for repeat in range(options.repeats):
        for name, command in commands.items():
            print(f"{repeat + 1}/{options.repeats} {name} ...", file=sys.stderr, flush=True)
            runs[name].append(run(command, options.threads))
    return runs


def run(command: list[str], threads: int) -> dict[str, float]:
    """Run a Python script in a process of its own; return the JSON it prints, and its peak memory."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([sys.executable, *command], stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} ended with exit code {process.returncode}")
        output.seek(0)
        measured = json.loads(output.read().splitlines()[-1])
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return {**{stage: measured[stage] for stage in STAGES if stage in measured}, "peak_mib": kilobytes / 1024}


def measure(data: Path, crystals: int, threads: int, name: str) -> dict[str, float]:
    """Measure one preset of skdim, or the shipped model, in this process."""
    import torch

    from skdim import DeepInfoMaxEmbedder, load_pretrained

    torch.set_num_threads(threads)
    structures, seconds = load(data, crystals), {}
    if name == SHIPPED:
        embedder = load_pretrained(name)
        embedder.transform(structures[:2])
    else:
        embedder = DeepInfoMaxEmbedder(preset=name, max_epochs=EPOCHS, validation_fraction=0.0, random_state=0)
        # A training on two crystals first: imports and tables are set-up, here as in a yardstick.
        embedder.fit(structures[:2])
    start = time.perf_counter()
    points = embedder.featurizer_.transform(structures)
    seconds["featurise_per_s"] = time.perf_counter() - start
    if name != SHIPPED:
        embedder.fit(points)
        seconds["train_per_s"] = median(row["dur"] for row in embedder.history_[1:])
    passes = []
    for _ in range(PASSES):
        start = time.perf_counter()
        embedder.transform(points)
        passes.append(time.perf_counter() - start)
    seconds["embed_per_s"] = median(passes)
    return {stage: len(structures) / spent for stage, spent in seconds.items()}


def load(path: Path, crystals: int) -> list[Any]:
    """Load the crystals that a yardstick takes."""
    import numpy as np
    from pymatgen.core.structure import Structure

    with gzip.open(path, "rt") as handle:
        rows = json.load(handle)
    order = np.random.default_rng(0).permutation(len(rows))[:crystals]
    return [Structure(rows[k]["lattice"], rows[k]["species"], rows[k]["frac_coords"]) for k in order]


def summarise(rows: list[dict[str, float]]) -> dict[str, float]:
    """Take medians over the repeats; of memory the largest."""
    middle = {stage: median(row[stage] for row in rows) for stage in STAGES if stage in rows[0]}
    return {**middle, "peak_mib": max(row["peak_mib"] for row in rows)}


def ratios(results: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Divide each preset's crystals per second by the yardstick's."""
    if "yardstick" not in results:
        return {}
    base = results["yardstick"]
    return {
        name: {stage: row[stage] / base[stage] for stage in STAGES if stage in row}
        for name, row in results.items()
        if name != "yardstick"
    }


def table(
    results: dict[str, dict[str, float]], against: dict[str, dict[str, float]], options: argparse.Namespace
) -> str:
    """Write crystals per second and ratios as a Markdown table."""
    head = ["crystals/s", *STAGES.values(), "peak memory"]
    lines = [head, ["---"] * len(head)]
    for name, row in results.items():
        cells = []
        for stage in STAGES:
            if stage not in row:
                cells.append("")
                continue
            times = f" ({against[name][stage]:.1f}x)" if name in against else ""
            cells.append(f"{row[stage]:,.0f}{times}")
        lines.append([name, *cells, f"{row['peak_mib']:,.0f} MiB"])
    caption = f"{options.crystals} crystals, {options.threads} threads, medians of {options.repeats} runs in turn:"
    return "\n".join([caption, "", *("| " + " | ".join(line) + " |" for line in lines)])


if __name__ == "__main__":
    main()
