"""What the electrons of crystals would do in a tight-binding model with universal parameters: targets without labels.

    python benchmarks/tight_binding.py materials_project.parquet --out electrons.parquet [--left-out]
        [--crystals N] [--most-orbitals 200] [--jobs 2]

Everything is computed from a crystal itself. Valence levels are those of the free atoms, as in
`skdim.network.levels`; what couples two neighbours goes with a power of their distance and with numbers that are the
same for all elements, but for the extent of d shells [1]_ [2]_; the 3d levels of the two spins are apart by 1 eV for
each unpaired electron of the free atom, as exchange integrals of that shell are of this size. Nothing is iterated:
atoms stay neutral in what they do to each other's levels. Where couplings fade out, and how finely the reciprocal cell
is sampled, was chosen by errors of gaps on development folds. The electrons fill the bands from below.

The crystals are drawn from those that do not judge a model (see `materials_project.py`), or with ``--left-out`` from
those that do. Finished parts are kept in the folder ``OUT.parts``, and a run that was interrupted goes on from them.

References
----------
.. [1] Harrison, "Electronic Structure and the Properties of Solids" (Freeman, 1980), for d shells, and "Elementary
   Electronic Structure" (World Scientific, 1999), for s and p.
.. [2] Slater and Koster, "Simplified LCAO method for the periodic potential problem", Physical Review 94 (1954) 1498.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

PART = 1024
HARTREE = 27.2114  # eV
H2M = 7.62  # eV Angstrom^2, the square of Planck's reduced constant over the mass of the electron
# Bonds end, smoothly, at this many sums of covalent radii; the universal couplings are those of nearest neighbours.

BOND, SOFTNESS, NO_BOND = 1.2, 0.12, 1.9
EXCHANGE = 1.0  # eV for each unpaired electron
REACH, REACH_OF_LARGE, LARGE = 16.0, 8.0, 120  # Angstrom sampled by points of the reciprocal cell; orbitals
WINDOWS = (0.01, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 0.7, 1.0)  # electrons an atom around the last one
EDGES = (0.1, 0.5)  # electrons an atom whose character is told
SHELLS = "spd"
# Angstrom; after Harrison's solid-state table (1980), continued along the rows to Zn, Cd, Hg and Lu. Lanthanides and
# actinides bond by such d shells; their f electrons stay at the atom.
_EXTENT = {
    **{"Sc": 1.24, "Ti": 1.08, "V": 0.98, "Cr": 0.90, "Mn": 0.86, "Fe": 0.80, "Co": 0.76, "Ni": 0.71, "Cu": 0.67},
    **{"Zn": 0.60, "Y": 1.58, "Zr": 1.41, "Nb": 1.28, "Mo": 1.20, "Tc": 1.11, "Ru": 1.05, "Rh": 0.99, "Pd": 0.94},
    **{"Ag": 0.89, "Cd": 0.82, "Lu": 1.58, "Hf": 1.44, "Ta": 1.34, "W": 1.27, "Re": 1.20, "Os": 1.13, "Ir": 1.08},
    **{"Pt": 1.04, "Au": 1.01, "Hg": 0.95},
}
_WIDE = 1.75  # Angstrom, of d shells that are not listed
_FILLS_F = range(57, 72)
_DIVALENT = (63, 70)
_ACTINIDES, _LAST_IN_TABLE = 89, 92
_EMPTY_D = -3.8  # eV, that of lanthanum, for lanthanides whose free atom has no d electron
_COUPLINGS = {  # by shells: numbers for m = 0, 1, 2, and how the coupling goes with distance and extents
    (0, 0): (-1.32,),
    (0, 1): (1.42,),
    (1, 1): (2.22, -0.63),
    (0, 2): (-3.16,),
    (1, 2): (-2.95, 1.36),
    (2, 2): (-16.2, 8.75, 0.0),
}


class Atom(NamedTuple):
    """What an element brings."""

    levels: dict[int, float]  # eV by angular momentum
    electrons: float
    extent: float  # Angstrom, of its d shell
    unpaired: float  # electrons of a 3d shell


class Orbitals(NamedTuple):
    """The orbitals of a cell, atom by atom; entries are for each orbital."""

    site: Ints
    shell: Ints
    energy: Floats  # eV
    splitting: Floats  # eV, by which the two spins differ
    first: Ints  # (n, 3) number of the first orbital of each atom and shell, -1 where it has none
    electrons: Floats  # (n,) of each atom


class Bands(NamedTuple):
    """States of all points of the reciprocal cell, of one or two spins."""

    energy: Floats  # (K, N) eV
    states: NDArray[np.complex128]  # (K, N, N), a column a state
    room: Floats  # (K, N) electrons a cell that each holds
    coupling: NDArray[np.complex128]  # (K, N, N) of the matrices what is not the energy of an orbital, in eV


@lru_cache(maxsize=128)
def atom(number: int) -> Atom:
    """Valence shells of an element, from the table of free atoms.

    Shells of earlier rows stay with the core: p below the outermost s, and d where a p shell is filled after it.
    """
    table = list(json.loads((files("skdim.network") / "atomic_levels.json").read_text(encoding="utf-8")).items())
    symbol, shells = table[min(number, _LAST_IN_TABLE) - 1]
    outer: dict[str, tuple[int, float, float]] = {}
    for name, (energy, electrons) in shells.items():
        if name[-1] not in outer or int(name[0]) > outer[name[-1]][0]:
            outer[name[-1]] = (int(name[0]), energy * HARTREE, electrons)
    kept = {"s"} & outer.keys()
    if "p" in outer and (not kept or outer["p"][0] >= outer["s"][0]):
        kept.add("p")
    elif "d" in outer:
        kept.add("d")
    levels = {SHELLS.index(name): outer[name][1] for name in kept}
    electrons = float(sum(outer[name][2] for name in kept))
    unpaired = 0.0
    if "d" in kept and outer["d"][0] == 3:
        unpaired = float(min(outer["d"][2], 10 - outer["d"][2]))
    if number in _FILLS_F or number >= _ACTINIDES:
        levels.setdefault(2, _EMPTY_D)
        electrons = 3.0 - (number in _DIVALENT)
        if number >= _ACTINIDES:
            electrons = min(float(sum(outer[name][2] for name in kept | {"f"} & outer.keys())), 6.0)
    return Atom(levels, electrons, _EXTENT.get(symbol, _WIDE), unpaired)


def orbitals_of(numbers: Sequence[int]) -> Orbitals:
    """List the orbitals of a cell."""
    first = np.full((len(numbers), 3), -1)
    rows: list[tuple[int, int, float, float]] = []
    for site, number in enumerate(numbers):
        one = atom(int(number))
        for shell, energy in sorted(one.levels.items()):
            first[site, shell] = len(rows)
            splitting = EXCHANGE * one.unpaired * (shell == 2)
            rows += [(site, shell, energy, splitting)] * (2 * shell + 1)
    columns = np.array(rows)
    sites, shells = columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64)
    electrons = np.array([atom(int(number)).electrons for number in numbers])
    return Orbitals(sites, shells, columns[:, 2], columns[:, 3], first, electrons)


def _d_tensors() -> Floats:
    """The five d orbitals as symmetric tensors without trace; in the frame of a bond m = 0, 1, 1, 2, 2."""
    half = np.sqrt(0.5)
    tensors = np.zeros((5, 3, 3))
    tensors[0] = np.diag([-1.0, -1.0, 2.0]) / np.sqrt(6.0)
    for k, (a, b) in enumerate(((0, 2), (1, 2)), 1):
        tensors[k, a, b] = tensors[k, b, a] = half
    tensors[3] = np.diag([1.0, -1.0, 0.0]) * half
    tensors[4, 0, 1] = tensors[4, 1, 0] = half
    return tensors


_D = _d_tensors()


def bond_frames(direction: Floats) -> tuple[Floats, Floats, Floats]:
    """Orbitals of each shell, in the axes of the crystal (rows), along bonds (columns), for unit vectors (B, 3).

    The frame is mirrored so that z falls on the bond; what is told by |m| alone does not notice.
    """
    apart = direction - np.array([0.0, 0.0, 1.0])
    square = (apart**2).sum(1)[:, None, None]
    mirror = np.eye(3) - 2.0 * apart[:, :, None] * apart[:, None, :] / np.where(square > 1e-12, square, 1.0)
    d = np.einsum("mij,bik,bjl,nkl->bmn", _D, mirror, mirror, _D, optimize=True)
    return np.ones((len(direction), 1, 1)), mirror[:, :, [2, 0, 1]], d


def couplings(shells: tuple[int, int], distance: Floats, extents: tuple[Floats, Floats]) -> Floats:
    """Coupling in eV of two shells for each bond (B, m), by the orbital's m in the frame of the bond."""
    low, high = sorted(shells)
    power = 2.0 + 1.5 * ((low == 2) + (high == 2))
    strength = H2M / distance**power
    for shell, extent in zip(shells, extents, strict=True):
        if shell == 2:
            strength = strength * extent**1.5
    by_m = np.repeat(_COUPLINGS[low, high], [1] + [2] * low)
    sign = -1.0 if shells[0] > shells[1] and (low + high) % 2 else 1.0
    return sign * strength[:, None] * by_m


def bonds_of(structure: Structure, orbitals: Orbitals) -> tuple[Ints, Ints, Floats, Floats]:
    """Couplings between orbitals: rows, columns, values in eV, and the cell that the second one is in (B, 3)."""
    from vesin import NeighborList

    numbers = np.array(structure.atomic_numbers)
    radius = np.array([covalent_radii()[number] for number in numbers])
    extent = np.array([atom(int(number)).extent for number in numbers])
    neighbors = NeighborList(cutoff=float(2.0 * NO_BOND * radius.max()), full_list=True)
    i, j, shift, distance, vector = neighbors.compute(
        structure.cart_coords, structure.lattice.matrix, True, quantities="ijSdD"
    )
    i, j = i.astype(np.int64), j.astype(np.int64)
    relative = distance / (radius[i] + radius[j])
    near = relative < NO_BOND
    i, j, shift, distance, vector, relative = (a[near] for a in (i, j, shift, distance, vector, relative))
    taper = (1.0 + np.exp((1.0 - BOND) / SOFTNESS)) / (1.0 + np.exp((relative - BOND) / SOFTNESS))
    # Atoms that nearly fall together would couple without bound.
    length = np.maximum(distance, 0.7 * (radius[i] + radius[j]))
    frames = bond_frames(vector / distance[:, None])
    found: list[tuple[Ints, Ints, Floats, Floats]] = []
    for a in range(3):
        for b in range(3):
            k = np.flatnonzero((orbitals.first[i, a] >= 0) & (orbitals.first[j, b] >= 0))
            value = couplings((a, b), length[k], (extent[i[k]], extent[j[k]])) * taper[k, None]
            m = value.shape[1]
            block = np.einsum("bim,bm,bjm->bij", frames[a][k][:, :, :m], value, frames[b][k][:, :, :m])
            row = orbitals.first[i[k], a][:, None, None] + np.arange(2 * a + 1)[:, None]
            column = orbitals.first[j[k], b][:, None, None] + np.arange(2 * b + 1)
            row, column = (np.broadcast_to(one, block.shape).ravel() for one in (row, column))
            found.append((row, column, block.ravel(), np.repeat(shift[k], block[0].size if len(k) else 1, 0)))
    rows, columns, values, shifts = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, columns, values, shifts


@lru_cache(maxsize=1)
def covalent_radii() -> Floats:
    """Covalent radii in Angstrom by atomic number (Cordero et al. 2008)."""
    from ase.data import covalent_radii as radii

    return np.asarray(radii, np.float64)


def sampled(lengths: Floats, reach: float) -> tuple[Floats, Floats]:
    """Points of the reciprocal cell (K, 3), of each pair k and -k one, and their weights, which sum to 1."""
    counts = np.maximum(1, np.ceil(reach / lengths)).astype(int)
    axes = [(np.arange(n) + 0.5) / n - 0.5 if n > 1 else np.zeros(1) for n in counts]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    codes = np.round(2 * points * counts).astype(int)
    leading = np.where(codes[:, 0] != 0, codes[:, 0], np.where(codes[:, 1] != 0, codes[:, 1], codes[:, 2]))
    kept = leading >= 0
    weights = np.where(leading[kept] > 0, 2.0, 1.0)
    return points[kept], weights / weights.sum()


def bands_of(structure: Structure, orbitals: Orbitals) -> Bands:
    """Diagonalise the matrices of all sampled points."""
    n = len(orbitals.energy)
    reach = REACH if n <= LARGE else REACH_OF_LARGE
    points, weights = sampled(np.array(structure.lattice.abc), reach)
    rows, columns, values, shifts = bonds_of(structure, orbitals)
    matrices = np.zeros((len(points), n, n), complex)
    for matrix, point in zip(matrices, points, strict=True):
        phased = values * np.exp(2j * np.pi * (shifts @ point))
        matrix += np.bincount(rows * n + columns, phased.real, n * n).reshape(n, n)
        matrix += 1j * np.bincount(rows * n + columns, phased.imag, n * n).reshape(n, n)
    matrices = (matrices + matrices.conj().transpose(0, 2, 1)) / 2.0
    signs = (-0.5, 0.5) if orbitals.splitting.any() else (0.0,)
    levels = np.concatenate([np.tile(orbitals.energy + sign * orbitals.splitting, (len(points), 1)) for sign in signs])
    coupling = np.tile(matrices, (len(signs), 1, 1))
    energy, states = np.linalg.eigh(coupling + levels[:, :, None] * np.eye(n))
    room = np.tile(2.0 * weights / len(signs), len(signs))[:, None] * np.ones(n)
    return Bands(energy, states, room, coupling)


class Filling:
    """States in the order of their energies, to be filled from below."""

    def __init__(self, energy: Floats, room: Floats) -> None:
        self.shape, self.order = energy.shape, np.argsort(energy, axis=None)
        self.energy, self.room = energy.ravel()[self.order], room.ravel()[self.order]
        self.ends = np.concatenate([[0.0], np.cumsum(self.room)])
        self.sums = np.concatenate([[0.0], np.cumsum(self.room * self.energy)])

    def total(self, electrons: Floats) -> Floats:
        """Energy in eV of so many electrons."""
        count = np.clip(electrons, 0.0, self.ends[-1])
        level = np.clip(np.searchsorted(self.ends, count, side="right") - 1, 0, len(self.energy) - 1)
        filled: Floats = self.sums[level] + (count - self.ends[level]) * self.energy[level]
        return filled

    def held(self, least: float, most: float) -> Floats:
        """Electrons in each state, of those numbered from least to most; shaped as the energies."""
        held = np.empty(len(self.order))
        held[self.order] = np.clip(np.minimum(self.ends[1:], most) - np.maximum(self.ends[:-1], least), 0.0, None)
        return held.reshape(self.shape)


def describe(structure: Structure) -> dict[str, float]:
    """What is told of a crystal: energies in eV, and per volume in eV/Angstrom^3.

    ``below``, ``above`` and ``gap`` are the mean energies of the last electrons, of the next ones, and their
    difference, for `WINDOWS`. ``bond`` is what the atoms gain by coupling over only exchanging electrons; ``cov`` parts
    of the covalent energy by shells, ``held`` the electrons of each shell, ``charge`` those that atoms gained,
    ``site`` the energies of atoms, ``edge`` the character of the states next to the last electron.
    """
    orbitals = orbitals_of(structure.atomic_numbers)
    bands = bands_of(structure, orbitals)
    n, count = len(structure), float(orbitals.electrons.sum())
    filling = Filling(bands.energy, bands.room)
    told = around_last_electron(filling, count, n)
    free = Filling(orbitals.energy, np.full(len(orbitals.energy), 2.0))
    told["bond"] = float(filling.total(np.array(count)) - free.total(np.array(count))) / n
    occupied = filling.held(0.0, count)
    for name, weight in (("all", bands.room), ("valence", occupied)):
        share = weight / max(weight.sum(), 1e-9)
        told[f"{name}_mean"] = mean = float((share * bands.energy).sum())
        told[f"{name}_width"] = float(np.sqrt((share * (bands.energy - mean) ** 2).sum()))
    told["bottom"] = float(bands.energy.min())
    return told | bonding(bands, orbitals, occupied, structure.volume) | edges(bands, orbitals, filling, count)


def around_last_electron(filling: Filling, count: float, n: int) -> dict[str, float]:
    """Mean energies of the last and the next electrons."""
    widths = n * np.array(WINDOWS)
    last = filling.total(np.array(count))
    below = (last - filling.total(count - widths)) / widths
    above = (filling.total(count + widths) - last) / widths
    sides = {"below": below, "above": above, "gap": above - below}
    return {
        f"{side}{width:g}": float(value)
        for side, values in sides.items()
        for width, value in zip(WINDOWS, values, strict=True)
    }


def bonding(bands: Bands, orbitals: Orbitals, occupied: Floats, volume: float) -> dict[str, float]:
    """Energies by shells and by atoms, and charges."""
    n = len(orbitals.electrons)
    weight = np.abs(bands.states) ** 2
    population = np.einsum("kb,kab->a", occupied, weight)
    density = (bands.states * occupied[:, None, :]) @ bands.states.conj().transpose(0, 2, 1)
    covalent = (density * bands.coupling.conj()).real.sum(0)
    told = {"levels": float((occupied * bands.energy).sum() - covalent.sum()) / n, "cov": float(covalent.sum()) / n}
    told["cov_volume"] = float(covalent.sum()) / volume
    for a in range(3):
        told[f"held_{SHELLS[a]}"] = float(population[orbitals.shell == a].sum()) / n
        for b in range(a, 3):
            both = covalent[np.ix_(orbitals.shell == a, orbitals.shell == b)].sum() * (1.0 if a == b else 2.0)
            told[f"cov_{SHELLS[a]}{SHELLS[b]}"] = float(both) / n
            told[f"cov_{SHELLS[a]}{SHELLS[b]}_volume"] = float(both) / volume
    charge = np.bincount(orbitals.site, population, n) - orbitals.electrons
    energy = np.bincount(orbitals.site, covalent.sum(1), n)
    told |= {"charge_mean": float(np.abs(charge).mean()), "charge_root": float(np.sqrt((charge**2).mean()))}
    told |= {"charge_most": float(charge.max()), "charge_least": float(charge.min())}
    told |= {"charge_volume": float((charge**2).sum()) / volume, "site_most": float(energy.max())}
    told |= {"site_least": float(energy.min()), "site_spread": float(np.abs(energy - energy.mean()).mean())}
    return told


def edges(bands: Bands, orbitals: Orbitals, filling: Filling, count: float) -> dict[str, float]:
    """Share of each shell in the states on both sides of the last electron, and how many atoms share them."""
    n = len(orbitals.electrons)
    weight = np.abs(bands.states) ** 2
    told = {}
    for width in EDGES:
        for side, ends in (("below", (count - width * n, count)), ("above", (count, count + width * n))):
            here = np.einsum("kb,kab->a", filling.held(*ends), weight) / (width * n)
            told |= {f"edge_{side}{width:g}_{SHELLS[a]}": float(here[orbitals.shell == a].sum()) for a in range(3)}
            told[f"edge_{side}{width:g}_local"] = float((np.bincount(orbitals.site, here, n) ** 2).sum()) * n
    return told


def main() -> None:
    """Draw the crystals, compute part by part, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="parquet file")
    parser.add_argument("--out", type=Path, required=True, help="parquet file of what is told")
    parser.add_argument("--crystals", type=int, help="of those that are drawn from; all of them by default")
    parser.add_argument("--left-out", action="store_true", help="draw from those that judge a model")
    parser.add_argument("--most-orbitals", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = drawn(options)
    parts = Path(f"{options.out}.parts")
    parts.mkdir(exist_ok=True)
    wanted = {parts / f"{start:06d}.parquet": rows[start : start + PART] for start in range(0, len(rows), PART)}
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        left = [(file, part) for file, part in wanted.items() if not file.exists()]
        for file in pool.imap_unordered(partial(write_part, options.table), left):
            print(file.stem, "of", len(rows), flush=True)
    pd.concat([pd.read_parquet(file) for file in wanted]).to_parquet(options.out)


def drawn(options: argparse.Namespace) -> Ints:
    """Rows of the crystals, in the order in which they are computed."""
    import pyarrow.parquet as pq
    from materials_project import composition_keys, left_out

    numbers = pq.read_table(options.table, columns=["numbers"])["numbers"].to_pylist()
    size = {number: sum(2 * shell + 1 for shell in atom(number).levels) for number in range(1, 119)}
    orbitals = np.array([sum(size[number] for number in each) for each in numbers])
    usable = (orbitals <= options.most_orbitals) & (left_out(composition_keys(options.table)) == options.left_out)
    return np.random.default_rng(options.seed).permutation(np.flatnonzero(usable))[: options.crystals]


def write_part(table: Path, part: tuple[Path, Ints]) -> Path:
    """Compute some rows."""
    from materials_project import read_structures

    from skdim._files import replacing

    file, rows = part
    told = pd.DataFrame([describe(structure) for structure in read_structures(table, rows)]).astype(np.float32)
    with replacing(file) as draft:
        told.assign(row=rows).to_parquet(draft)
    return file


if __name__ == "__main__":
    main()
