"""Time to embed a folder of CIF files, beside the time that pymatgen needs only to parse it; one process each.

    python benchmarks/reading.py --out benchmarks/reading.json [--files 10000]

The files are those of the bundled crystals, each once as listed (P1) and once with its symmetry. Times are those of the
processor; the least of a few runs over parts of the folder, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from skdim import load_pretrained
from skdim.crystals.structures import try_crystal
from skdim.datasets import load_band_gap, load_elastic_moduli, load_formation_energy


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


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=10_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    model = load_pretrained()
    with tempfile.TemporaryDirectory() as name:
        files = write_files(Path(name), options.files)
        model.transform(files[:50])
        parts = max(1, len(files) // 500)
        record = {
            "files": len(files),
            "embed_ms": timed(model.transform, files, parts),
            "read_ms": timed(lambda some: [try_crystal(file) for file in some], files, parts),
            "pymatgen_parse_ms": timed(lambda some: [Structure.from_file(file) for file in some], files, parts),
        }
        record["embed_over_parse"] = record["embed_ms"] / record["pymatgen_parse_ms"]
        large = large_file(Path(name))
        start = time.process_time()
        crystal, reason = try_crystal(large, max_sites=10**6)
        record["large_sites"] = 0 if crystal is None else len(crystal)
        record["large_s"] = time.process_time() - start
        if reason:
            raise SystemExit(reason)
    options.out.write_text(json.dumps({key: round(value, 4) for key, value in record.items()}, indent=1) + "\n")
    print(options.out.read_text())


if __name__ == "__main__":
    main()
