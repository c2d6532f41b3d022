"""Bundled crystals, built where they are asked for, and other descriptions of a crystal, for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation
from sklearn.utils import Bunch

from skdim.datasets import load_formation_energy
from skdim.datasets._bundled import FORMATION_ENERGY, build_structures, read_rows


@cache
def rows() -> list[Mapping[str, Any]]:
    """Return the rows of the formation-energy set."""
    return read_rows(FORMATION_ENERGY)


@cache
def bundled_crystal(row: int) -> Structure:
    """Return the crystal of a row; those of all rows take seconds."""
    return build_structures([rows()[row]])[0]


@cache
def formation_energy_set() -> Bunch:
    """Return the whole set; only for tests that change nothing."""
    return load_formation_energy()


@cache
def formation_energy() -> tuple[list[Structure], np.ndarray]:
    """Return the crystals of the formation-energy set, and which of them are in the test fold."""
    bunch = formation_energy_set()
    return list(bunch.data), bunch.test_mask


@cache
def sample(n: int, seed: int = 0) -> list[Structure]:
    """Return a random choice of them."""
    return [bundled_crystal(k) for k in np.random.default_rng(seed).choice(len(rows()), n, replace=False)]


def rebuilt(structure: Structure, lattice: np.ndarray, frac: np.ndarray) -> Structure:
    """Put the same sites elsewhere."""
    return Structure(lattice, [site.species for site in structure], frac)


def rotated(structure: Structure, rng: np.random.Generator) -> Structure:
    turn = Rotation.from_rotvec(rng.normal(size=3) * 3).as_matrix()
    return rebuilt(structure, structure.lattice.matrix @ turn, structure.frac_coords)


def shifted(structure: Structure, rng: np.random.Generator) -> Structure:
    return rebuilt(structure, structure.lattice.matrix, structure.frac_coords + rng.uniform(-2, 2, 3))


def permuted(structure: Structure, rng: np.random.Generator) -> Structure:
    order = rng.permutation(len(structure))
    return Structure(structure.lattice, [structure[k].species for k in order], structure.frac_coords[order])


def in_another_basis(structure: Structure, rng: np.random.Generator) -> Structure:
    basis = np.eye(3, dtype=int)
    for _ in range(4):
        row, other = rng.choice(3, 2, replace=False)
        basis[row] += rng.integers(-2, 3) * basis[other]
    return rebuilt(structure, basis @ structure.lattice.matrix, structure.frac_coords @ np.linalg.inv(basis))


def niggli(structure: Structure, rng: np.random.Generator) -> Structure:
    return structure.get_reduced_structure("niggli")


def supercell(structure: Structure, rng: np.random.Generator) -> Structure:
    while True:
        matrix = rng.integers(-1, 2, (3, 3))
        if 2 <= abs(round(np.linalg.det(matrix))) <= 4:
            return structure.copy().make_supercell(matrix)


def jolted(structure: Structure, rng: np.random.Generator, length: float = 1e-3) -> Structure:
    """Move every atom by so many Angstrom, each in a direction of its own."""
    step = rng.normal(size=(len(structure), 3))
    step *= length / np.linalg.norm(step, axis=1, keepdims=True)
    moved = structure.lattice.get_fractional_coords(structure.cart_coords + step)
    return rebuilt(structure, structure.lattice.matrix, moved)


OTHERWISE = {
    "rotated": rotated,
    "shifted": shifted,
    "permuted": permuted,
    "in another basis": in_another_basis,
    "Niggli cell": niggli,
    "supercell": supercell,
}
