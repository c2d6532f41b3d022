"""Make as many crystals as wanted: the bundled ones with other elements and another volume, or displaced atoms.

The symmetry of the bundled crystals is kept, since how many pairs a crystal has depends on it: all lengths change by
one factor, and every element is replaced by another one throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from pymatgen.core.structure import Structure

from skdim.datasets import load_formation_energy

_PER_FOLDER = 1000


@cache
def bundled() -> tuple[Structure, ...]:
    """The crystals of the formation-energy set."""
    crystals, _ = load_formation_energy(return_X_y=True)
    return tuple(crystals)


@cache
def symbols() -> tuple[str, ...]:
    """The elements in them."""
    return tuple(sorted({element.symbol for crystal in bundled() for element in crystal.composition.elements}))


def poscar(number: int, seed: int = 0) -> str:
    """Text of one crystal; it depends on its number and the seed alone."""
    rng = np.random.default_rng([seed, number])
    crystal = bundled()[rng.integers(len(bundled()))]
    old = [element.symbol for element in crystal.composition.elements]
    new = dict(zip(old, rng.choice(symbols(), len(old), replace=False), strict=True))
    lattice = crystal.lattice.matrix * np.exp(rng.normal(scale=0.03))
    sites = sorted((new[site.specie.symbol], tuple(site.frac_coords)) for site in crystal)
    names = [name for name, _ in sites]
    kinds = list(dict.fromkeys(names))
    lines = [f"synthetic {number}", "1.0", *(" ".join(f"{x:.10f}" for x in row) for row in lattice)]
    lines += [" ".join(kinds), " ".join(str(names.count(kind)) for kind in kinds), "Direct"]
    return "\n".join([*lines, *(" ".join(f"{x:.10f}" for x in place) for _, place in sites)]) + "\n"


def write_folder(folder: Path, n: int, seed: int = 0) -> list[Path]:
    """Write n crystals as files, a thousand in a subfolder; return the files. Those that are there are left alone."""
    files = [folder / f"{k // _PER_FOLDER:04d}" / f"{k:07d}.vasp" for k in range(n)]
    for number, file in enumerate(files):
        if number % _PER_FOLDER == 0:
            file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text(poscar(number, seed))
    return files


def of_size(sites: int, n: int, seed: int = 0) -> Iterator[Structure]:
    """Yield n crystals of so many sites: rock salt, every atom moved by some 0.05 Angstrom, so none is like another."""
    lattice = 2.8 * (1 - np.eye(3))
    for number in range(n):
        rng = np.random.default_rng([seed, sites, number])
        salt = Structure(lattice, rng.choice(symbols(), 2, replace=False), [[0, 0, 0], [0.5, 0.5, 0.5]])
        crystal = salt.make_supercell(_factors(sites))
        moved = crystal.cart_coords + rng.normal(scale=0.05, size=(sites, 3))
        yield Structure(crystal.lattice, crystal.species, moved, coords_are_cartesian=True)


def _factors(sites: int) -> tuple[int, int, int]:
    """Edges of the supercell of two-atom cells that is nearest to a cube."""
    cells = sites // 2
    found = [
        (a, b, cells // (a * b))
        for a in range(1, cells + 1)
        for b in range(a, cells + 1)
        if cells % (a * b) == 0 and cells // (a * b) >= b
    ]
    return min(found, key=lambda edges: edges[2] - edges[0])
