"""Measure how seconds and memory grow with the numbers of crystals and of sites.

    python benchmarks/scaling.py [--full] [--threads 2] [--folder FOLDER] [--out benchmarks/scaling.json]

Crystals are synthetic (`synthetic.py`). Each measurement is a process of its own, with the model loaded and used once
before the clock starts. What is measured:

files
    ``skdim embed`` of a folder of so many files, into a Parquet file.
store
    featurizing the same files into a store on disk a part at a time, one epoch of training from the store mapped into
    memory, and embedding out of it.
sites
    each stage for crystals of so many sites, all different, of as many sites together.

Memory above start: the most that the process had resident at once, less what it had before the clock started. For the
store it is the anonymous memory alone: pages of a mapped file are resident for as long as nobody else needs the room.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import record
import synthetic

_SIZES = {"small": (250, 500, 1_000, 2_000), "full": (1_000, 3_000, 10_000, 30_000, 100_000)}
_SITES = (6, 12, 24, 48, 96, 200)
_SITES_TOGETHER = {"small": 1_200, "full": 9_600}
_PART = 1024
_MEBI = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    options = parse(arguments)
    if options.measure:
        kind, number = options.measure
        print(json.dumps(MEASURES[kind](int(number), options)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        options.folder = options.folder or Path(scratch)
        report = {**record.surroundings(), "settings": {"threads": options.threads, "full": options.full}}
        report.update(measured(options))
    report["fits"] = fits(report)
    print(table(report))
    for file in record.write(report, options.out, "scaling"):
        print(f"Written to {file}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time and memory against the number of crystals and of sites.")
    parser.add_argument("--full", action="store_true", help="up to 100,000 crystals; without it up to 2,000")
    parser.add_argument("--threads", type=int, default=2, help="threads of each process (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="of the measurements against sites (default: 3)")
    parser.add_argument("--folder", type=Path, help="where to keep the crystals and the model between runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/scaling.json"), help="JSON file to write")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Make the crystals and a model, and run every measurement."""
    size = "full" if options.full else "small"
    make_model(options.folder)
    rows: dict[str, list[dict[str, float]]] = {"files": [], "store": [], "sites": []}
    for n in _SIZES[size]:
        synthetic.write_folder(options.folder / str(n), n)
        rows["files"].append(run("files", n, options))
        rows["store"].append(run("store", n, options))
    for sites in _SITES:
        rows["sites"] += [run("sites", sites, options) for _ in range(options.repeats)]
    return rows


def run(kind: str, number: int, options: argparse.Namespace) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    print(f"{kind}: {number:,} ...", file=sys.stderr, flush=True)
    command = [__file__, "--measure", kind, str(number), "--folder", str(options.folder)]
    command += ["--threads", str(options.threads), *(["--full"] if options.full else [])]
    return record.in_process(command, options.threads)


def make_model(folder: Path) -> None:
    """Save a model; what it has learned does not matter."""
    from skdim import DeepInfoMaxEmbedder

    folder.mkdir(parents=True, exist_ok=True)
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(list(synthetic.bundled())[:200])
    embedder.save(folder / "model.safetensors")


def embed_files(n: int, options: argparse.Namespace) -> dict[str, float]:
    """Measure ``skdim embed``."""
    from skdim.cli import main as skdim

    out = options.folder / "vectors.parquet"
    few = [str(options.folder / str(n) / "0000" / f"{k:07d}.vasp") for k in range(20)]
    command = ["embed", str(options.folder / "model.safetensors"), "--out", str(out), "--quiet"]
    skdim([*command, *few])
    with watched("VmRSS") as seen:
        code = skdim([*command, str(options.folder / str(n))])
    if code:
        raise SystemExit(f"skdim embed ended with exit code {code}")
    row = {"crystals": n, "seconds": seen["seconds"], "mebibytes": seen["mebibytes"]}
    return {**row, "bytes_written": out.stat().st_size}


def train_store(n: int, options: argparse.Namespace) -> dict[str, float]:
    """Measure featurizing into a store, an epoch of training from it, and embedding out of it."""
    from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets
    from skdim.points.pointstore import save_parts

    files = synthetic.write_folder(options.folder / str(n), n)
    store, featurizer = options.folder / "store", CrystalPointSetTransformer()
    featurizer.transform(files[:20])
    with watched("RssAnon") as featurize:
        save_parts(store, (featurizer.transform(files[k : k + _PART]) for k in range(0, n, _PART)))
    points = PointSets.load(store, mmap_mode="r")
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0, validation_fraction=0.0)
    embedder.fit(points[:20])
    with watched("RssAnon") as train:
        embedder.fit(points)
    with watched("RssAnon") as embed:
        for k in range(0, n, _PART):
            embedder.transform(points[k : k + _PART])
    stages = {"featurize": featurize, "fit": train, "embed": embed}
    row = {f"{name}_{unit}": seen[unit] for name, seen in stages.items() for unit in ("seconds", "mebibytes")}
    sizes = {"crystals": n, "pairs": len(points.neighbor), "site_rows": len(points.site_type)}
    stored = sum(file.stat().st_size for file in store.iterdir())
    return {**sizes, **row, "epoch_seconds": embedder.history_[0]["dur"], "bytes_stored": stored}


def against_sites(sites: int, options: argparse.Namespace) -> dict[str, float]:
    """Measure each stage on crystals of so many sites."""
    from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder

    n = _SITES_TOGETHER["full" if options.full else "small"] // sites
    crystals, featurizer = list(synthetic.of_size(sites, n)), CrystalPointSetTransformer()
    embedder = DeepInfoMaxEmbedder(max_epochs=3, random_state=0, validation_fraction=0.0)
    embedder.fit(featurizer.transform(crystals[:2]))
    with watched("RssAnon") as featurize:
        points = featurizer.transform(crystals)
    embedder.fit(points)
    with watched("RssAnon") as embed:
        embedder.transform(points)
    epoch = min(row["dur"] for row in embedder.history_)
    seconds = {"featurize": featurize["seconds"], "epoch": epoch, "embed": embed["seconds"]}
    return {"sites": sites, "pairs": len(points.neighbor) / n, **{f"{k}_seconds": v / n for k, v in seconds.items()}}


MEASURES: dict[str, Callable[[int, argparse.Namespace], dict[str, float]]] = {
    "files": embed_files,
    "store": train_store,
    "sites": against_sites,
}


@contextmanager
def watched(field: str, interval: float = 0.01) -> Iterator[dict[str, float]]:
    """Measure the seconds of the block, and how far a field of /proc/self/status rose above its start."""
    seen, over = {"mebibytes": 0.0}, threading.Event()
    start = resident(field)

    def look() -> None:
        seen["mebibytes"] = max(seen["mebibytes"], resident(field) - start)

    def watch() -> None:
        while not over.wait(interval):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    try:
        yield seen
    finally:
        seen["seconds"] = time.perf_counter() - begun
        over.set()
        watcher.join()
        # What a short block still holds when it ends may have come after the last look.
        look()


def resident(field: str) -> float:
    """Memory of this process in mebibytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{field}:")) * 1024 / _MEBI


def fits(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Exponents of time against crystals and sites."""
    curves = {
        "embed, from files": ("files", "crystals", "seconds"),
        "featurize": ("store", "crystals", "featurize_seconds"),
    }
    curves |= {"an epoch, from a store": ("store", "crystals", "epoch_seconds")}
    curves |= {"embed, from a store": ("store", "crystals", "embed_seconds")}
    curves |= {
        f"{stage}, against sites": ("sites", "sites", f"{stage}_seconds") for stage in ("featurize", "epoch", "embed")
    }
    return {
        name: slope(*([row[key] for row in report[rows]] for key in (x, y))) for name, (rows, x, y) in curves.items()
    }


def slope(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """Exponent of a power law by least squares on logarithms, with its 95 % interval by Student's t."""
    from scipy import stats

    line = stats.linregress([math.log(v) for v in x], [math.log(v) for v in y])
    half = float(stats.t.ppf(0.975, len(x) - 2) * line.stderr)
    return {"exponent": float(line.slope), "low": float(line.slope) - half, "high": float(line.slope) + half}


def table(report: dict[str, Any]) -> str:
    """Write all measurements and exponents as Markdown tables."""
    parts = []
    for name in ("files", "store", "sites"):
        columns = list(report[name][0])
        lines = [columns, ["---:"] * len(columns), *([f"{row[c]:,.4g}" for c in columns] for row in report[name])]
        parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
    rows = [f"| {k} | {v['exponent']:.3f} | {v['low']:.3f} to {v['high']:.3f} |" for k, v in report["fits"].items()]
    parts.append("\n".join(["| time of | exponent | 95 % interval |", "| --- | ---: | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
