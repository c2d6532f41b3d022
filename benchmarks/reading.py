"""Time to embed a folder of CIF files, beside the time that pymatgen needs to parse it; and `skdim embed` as a whole.

    python benchmarks/reading.py --out benchmarks/reading.json [--files 10000] [--model materials_project]

The files are those of the bundled crystals, each once as listed (P1) and once with its symmetry. Times of reading are
those of the processor, in one thread: the least of a few runs over parts of the folder, so that other work matters
little. The command is measured by the clock, its start included, with one and two processes for a quarter of the files,
half of them, and all: `seconds` are the least of five runs, `cpu_s` what all its processes took of the processor,
`caller_cpu_s` what the calling one took, `peak_mib` the most memory of all together. Its modules are compiled before,
as pip leaves them. The clock says something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from skdim import load_pretrained
from skdim.crystals.structures import try_crystal
from skdim.datasets import load_band_gap, load_elastic_moduli, load_formation_energy
from skdim.pretrained import MODELS

_RUNS = 5
_WATCHED = 0.2  # seconds between two looks at the memory: each takes a little of a processor that is measured


def write_files(folder: Path, count: int) -> list[Path]:
    """Write CIF files of bundled crystals, half of them with their symmetry."""
    crystals = [
        s for load in (load_band_gap, load_elastic_moduli, load_formation_energy) for s in load(return_X_y=True)[0]
    ]
    files = []
    for k in range(count):
        structure = crystals[(k // 2) * 7 % len(crystals)]
        text = str(CifWriter(structure, symprec=0.01 if k % 2 else None))
        files.append(folder / f"{k:06d}.cif")
        files[-1].write_text(text)
    return files


def large_file(folder: Path, n_sites: int = 20_000) -> Path:
    """Write a CIF of many sites."""
    n = round((n_sites / 2) ** (1 / 3))
    grid = np.indices((n, n, n)).reshape(3, -1).T / n
    rows = [f"{e} {x:.6f} {y:.6f} {z:.6f}" for e, s in (("Cs", 0), ("Cl", 0.5 / n)) for x, y, z in grid + s]
    sides = "".join(f"_cell_length_{axis} {4.1 * n:.4f}\n" for axis in "abc")
    angles = "".join(f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma"))
    columns = "".join(f"_atom_site_{name}\n" for name in ("type_symbol", "fract_x", "fract_y", "fract_z"))
    file = folder / "large.cif"
    operations = "_space_group_symop_operation_xyz x,y,z\n"
    file.write_text(f"data_large\n{sides}{angles}{operations}loop_\n{columns}" + "\n".join(rows) + "\n")
    return file


def timed(work: Callable[[list[Path]], object], files: list[Path], parts: int) -> float:
    """Milliseconds of processor time a file: the sum over parts, each the lesser of two runs."""
    total = 0.0
    for k in range(parts):
        runs = []
        for _ in range(2):
            start = time.process_time()
            work(files[k::parts])
            runs.append(time.process_time() - start)
        total += min(runs)
    return 1000 * total / len(files)


def descendants(process: int) -> list[int]:
    """List a process and those that it started; the process alone where /proc does not tell."""
    found = [process]
    for one in found:
        for file in Path("/proc").glob(f"{one}/task/*/children"):
            try:
                found += map(int, file.read_text().split())
            except OSError:  # it has just ended
                continue
    return found


def state(process: int) -> tuple[float, float]:
    """Memory of a process in MiB, and seconds of the processor that it took; zeros if it has ended."""
    try:
        resident = int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0, 0.0
    return resident / 2**20, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def run_command(model: str, folder: Path, out: Path, jobs: int) -> dict[str, float]:
    """Run `skdim embed` over a folder."""
    compiled = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(out.parent / "compiled")}
    words = ["-m", "skdim", "embed", model, str(folder), "--out", str(out), "--jobs", str(jobs), "--quiet"]
    before, peaks = resource.getrusage(resource.RUSAGE_CHILDREN), [0.0]

    def watch(process: int) -> None:
        while run.returncode is None:
            peaks.append(sum(state(one)[0] for one in descendants(process)))
            time.sleep(_WATCHED)

    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *words], env=compiled) as run:
        watching = threading.Thread(target=watch, args=(run.pid,))
        watching.start()
        os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)  # the system tells at once, and keeps what it took
        seconds, own = time.perf_counter() - start, state(run.pid)[1]
        run.wait()
        watching.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode:
        raise SystemExit(run.returncode)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_s": cpu, "caller_cpu_s": own, "peak_mib": max(peaks)}


def measure_command(model: str, files: list[Path], place: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Run `skdim embed` over the first so many files, in one process and in two by turns, some times each."""
    found = {}
    for count in (len(files) // 4, len(files) // 2, len(files)):
        folder = place / f"first-{count}"
        folder.mkdir()
        for file in files[:count]:
            os.link(file, folder / file.name)
        runs = [
            {jobs: run_command(model, folder, place / f"{jobs}.npy", jobs) for jobs in (1, 2)} for _ in range(_RUNS)
        ]
        if not np.array_equal(*(np.load(place / f"{jobs}.npy") for jobs in (1, 2)), equal_nan=True):
            raise SystemExit("the vectors differ with the number of processes")
        found[str(count)] = {
            f"jobs {jobs}": {name: round(min(run[jobs][name] for run in runs), 2) for name in runs[0][jobs]}
            for jobs in (1, 2)
        }
    return found


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    model = load_pretrained(options.model)
    with tempfile.TemporaryDirectory() as name:
        files = write_files(Path(name), options.files)
        model.transform(files[:50])
        parts = max(1, len(files) // 500)
        torch.set_num_threads(1)  # as the command does; others would count while they wait
        command = measure_command(options.model, files, Path(name))
        of_all = command[str(len(files))]
        record = {
            "files": len(files),
            "embed_ms": timed(model.transform, files, parts),
            "read_ms": timed(lambda some: [try_crystal(file) for file in some], files, parts),
            "pymatgen_parse_ms": timed(lambda some: [Structure.from_file(file) for file in some], files, parts),
        }
        record["two_processes_faster"] = of_all["jobs 1"]["seconds"] / of_all["jobs 2"]["seconds"]
        record["embed_over_parse"] = record["embed_ms"] / record["pymatgen_parse_ms"]
        large = large_file(Path(name))
        start = time.process_time()
        crystal, reason = try_crystal(large, max_sites=10**6)
        record["large_sites"] = 0 if crystal is None else len(crystal)
        record["large_s"] = time.process_time() - start
        if reason:
            raise SystemExit(reason)
    rounded = {key: round(value, 4) for key, value in record.items()}
    options.out.write_text(json.dumps({"model": options.model, **rounded, "command": command}, indent=1) + "\n")
    print(options.out.read_text())


if __name__ == "__main__":
    main()
