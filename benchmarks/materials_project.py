"""The large set of structures that is given by path: its crystals, its labels, and which of them judge a model.

The table is parquet with a row a crystal: ``material_id``, ``cell`` (a, b, c in Angstrom, alpha, beta, gamma in
degrees), ``numbers`` (atomic numbers), ``frac_coords`` (flat), and for some ``formation_energy_per_atom`` (eV) and
``band_gap`` (eV). A composition is in one part only: polymorphs of a crystal that judges a model teach it nothing.

    python benchmarks/materials_project.py materials_project.parquet

prints how many crystals each part has.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

LABELS = {"formation_energy": "formation_energy_per_atom", "band_gap": "band_gap"}
_HELD_OUT = 50  # of a thousand compositions


def composition_key(numbers: Iterable[int]) -> str:
    """Atomic numbers and the smallest whole amounts of a composition, as text."""
    amounts = Counter(map(int, numbers))
    divisor = math.gcd(*amounts.values())
    return " ".join(f"{number}:{amounts[number] // divisor}" for number in sorted(amounts))


def composition_keys(table: Path) -> list[str]:
    """That of each row."""
    import pyarrow.parquet as pq

    return [composition_key(numbers) for numbers in pq.read_table(table, columns=["numbers"])["numbers"].to_pylist()]


def held_out(keys: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each composition is among the twentieth, chosen by its digest, that only judges."""
    return np.array([int(hashlib.sha256(key.encode()).hexdigest(), 16) % 1000 < _HELD_OUT for key in keys])


def bundled_keys() -> set[str]:
    """Compositions of every crystal that comes with the package."""
    from skdim.datasets import load_band_gap, load_elastic_moduli, load_formation_energy, load_piezoelectric

    loaders = (load_band_gap, load_elastic_moduli, load_formation_energy, load_piezoelectric)
    return {composition_key(crystal.atomic_numbers) for load in loaders for crystal in load().data}


def left_out(keys: Sequence[str]) -> NDArray[np.bool_]:
    """Whether a pretraining that is to be judged leaves a row out: it is held out, or comes with the package."""
    bundled = bundled_keys()
    return held_out(keys) | np.array([key in bundled for key in keys])


def read_labels(table: Path) -> dict[str, NDArray[np.float64]]:
    """Labels by name, NaN where there is none."""
    import pyarrow.parquet as pq

    columns = pq.read_table(table, columns=list(LABELS.values()))
    return {name: columns[column].to_numpy().astype(np.float64) for name, column in LABELS.items()}


def read_structures(table: Path, rows: slice | NDArray[np.int64]) -> list[Structure]:
    """Crystals of some rows."""
    import pyarrow.parquet as pq
    from pymatgen.core import Lattice, Structure

    read = pq.read_table(table, columns=["cell", "numbers", "frac_coords"], use_threads=False)
    read = read.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else read.take(rows)
    return [
        Structure(Lattice.from_parameters(*row["cell"]), row["numbers"], np.reshape(row["frac_coords"], (-1, 3)))
        for row in read.to_pylist()
    ]


def main() -> None:
    """Print how many crystals each part has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="parquet file")
    table = parser.parse_args().table
    keys = composition_keys(table)
    labels: dict[str, Any] = read_labels(table)
    both = np.all([np.isfinite(values) for values in labels.values()], axis=0)
    for name, part in (("all", np.ones(len(keys), bool)), ("held out", held_out(keys)), ("left out", left_out(keys))):
        print(f"{name}: {part.sum():,} crystals, {(part & both).sum():,} with both labels")


if __name__ == "__main__":
    main()
