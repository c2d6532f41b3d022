"""Primitive cells and supercells: against brute force, against pymatgen, and in any description of a crystal."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from skdim.crystals.crystal import site_species
from skdim.points.cells import PrimitiveCell, primitive_cell, supercell_matrix, supercell_pairs
from skdim.points.neighbors import CrowdedError
from tests.bundled import bundled_crystal, rows
from tests.daily import examples
from tests.handmade import face_centred, of_space_group

TRICLINIC = Lattice.from_parameters(3.1, 4.7, 6.2, 71, 84, 103)
CRYSTALS = {
    "polonium": Structure(Lattice.cubic(3.36), ["Po"], [[0, 0, 0]]),
    "aluminium": face_centred(4.05, ["Al"], [[0, 0, 0]]),
    "salt": face_centred(5.64, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "rutile": of_space_group("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
    "quartz": of_space_group(
        "P3_221", Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 2 / 3], [0.4133, 0.2672, 0.7855]]
    ),
    "calcite": of_space_group(
        "R-3c", Lattice.hexagonal(4.99, 17.06), ["Ca", "C", "O"], [[0, 0, 0], [0, 0, 0.25], [0.2568, 0, 0.25]]
    ),
    "alloy": face_centred(4.2, [{"Mg": 0.7, "Fe": 0.2}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "triclinic": Structure(TRICLINIC, ["K", "H", "O"], [[0.1, 0.2, 0.3], [0.45, 0.8, 0.7], [0.6, 0.32, 0.9]]),
}


@pytest.mark.parametrize(("n_sites", "size"), [(1, 10**30), (4, 10**9), (6000, 50)])
def test_supercells_of_more_pairs_than_fit_in_memory_are_refused_before_they_are_made(n_sites: int, size: int) -> None:
    frac = np.random.default_rng(0).random((n_sites, 3))
    with pytest.raises(CrowdedError, match=r"sees all atoms of its supercell.*limit pairs"):
        supercell_pairs(50.0 * np.eye(3), frac, size)


def primitive_arrays(structure: Structure) -> PrimitiveCell:
    """Return the primitive reduced cell of a structure: sites are alike if they hold the same species."""
    species = site_species(structure)
    numbers = {one: number for number, one in enumerate(dict.fromkeys(species))}
    site_type = np.array([numbers[one] for one in species])
    return primitive_cell(np.asarray(structure.lattice.matrix), np.asarray(structure.frac_coords), site_type)


def pairs_of(structure: Structure, size: int = 50) -> np.ndarray:
    """Return the sorted (content of i, content of j, distance), one row a pair of the supercell."""
    cell = primitive_arrays(structure)
    i, j, distance = supercell_pairs(cell.lattice, cell.frac, size)
    contents = site_species(structure)
    label = np.array([sum(z * z * occupancy for z, occupancy in contents[site]) for site in cell.site])
    rows = np.column_stack([label[i], label[j], distance])
    return rows[np.lexsort(rows.T[::-1])]


def describe_otherwise(structure: Structure, seed: int) -> Structure:
    """Return the same crystal, rotated, shifted, its sites permuted, in another basis, as a supercell."""
    rng = np.random.default_rng(seed)
    basis = np.eye(3, dtype=int)
    for _ in range(3):
        row, other = rng.choice(3, 2, replace=False)
        basis[row] += rng.integers(-1, 2) * basis[other]
    rotation = Rotation.from_rotvec(rng.normal(size=3)).as_matrix()
    order = rng.permutation(len(structure))
    moved = Structure(
        basis @ structure.lattice.matrix @ rotation,
        [structure[k].species for k in order],
        (structure.frac_coords[order] + rng.random(3)) @ np.linalg.inv(basis),
    )
    return moved * rng.permutation([1, 1, 2])


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("seed", range(3))
def test_every_description_of_a_crystal_gives_the_same_pairs(name: str, seed: int) -> None:
    crystal = CRYSTALS[name]
    np.testing.assert_allclose(pairs_of(describe_otherwise(crystal, seed)), pairs_of(crystal), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "n_sites"),
    [("polonium", 1), ("aluminium", 1), ("salt", 2), ("rutile", 6), ("quartz", 9), ("calcite", 10), ("alloy", 2)],
)
def test_primitive_cells_have_the_known_number_of_sites(name: str, n_sites: int) -> None:
    crystal = CRYSTALS[name]
    cell = primitive_arrays(crystal)
    assert cell.frac.shape == (n_sites, 3)
    volume = abs(np.linalg.det(cell.lattice)) / n_sites
    assert volume == pytest.approx(crystal.volume / len(crystal), rel=1e-6)
    lengths = np.linalg.norm(cell.lattice, axis=1)
    assert (np.diff(lengths) > -1e-6).all()
    np.testing.assert_allclose(lengths, crystal.get_primitive_structure().lattice.get_niggli_reduced_lattice().abc)


def test_the_sites_of_a_primitive_cell_hold_what_they_held() -> None:
    crystal = describe_otherwise(CRYSTALS["rutile"], 5)
    cell = primitive_arrays(crystal)
    rebuilt = Structure(cell.lattice, [crystal[int(k)].species for k in cell.site], cell.frac)
    assert rebuilt.composition.reduced_formula == "TiO2"
    assert StructureMatcher(primitive_cell=False, scale=False).fit(rebuilt, CRYSTALS["rutile"])


def test_sites_of_other_content_are_no_copies() -> None:
    chain = Structure(Lattice.orthorhombic(3, 4, 8), ["Li", "Li"], [[0, 0, 0], [0, 0, 0.5]])
    assert len(primitive_arrays(chain).frac) == 1
    chain.replace(1, {"Li": 0.5})
    assert len(primitive_arrays(chain).frac) == 2
    chain.replace(1, "Li+")
    assert len(primitive_arrays(chain).frac) == 1
    by_hand = primitive_cell(chain.lattice.matrix, chain.frac_coords, np.array([7, 3]))
    assert len(by_hand.frac) == 2


def test_where_no_symmetry_is_found_the_cell_is_only_reduced() -> None:
    lattice = np.array([[4.0, 0, 0], [4.0, 5.0, 0], [0, 0, 6.0]])
    cell = primitive_cell(lattice, np.array([[0.1, 0.2, 0.3]] * 2), np.array([0, 0]))
    assert cell.site.tolist() == [0, 1]
    np.testing.assert_allclose(np.linalg.norm(cell.lattice, axis=1), [4, 5, 6])
    np.testing.assert_allclose((cell.frac @ cell.lattice)[0], [0.1, 0.2, 0.3] @ lattice)


def test_conventional_cells_leave_no_message(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for crystal in CRYSTALS.values():
            primitive_arrays(crystal * (1, 1, 2))
        (moved,) = [k for k, row in enumerate(rows()) if {*row["species"]} == {"Bi", "Sm", "Ti", "O"}]
        primitive_arrays(bundled_crystal(moved))  # by 0.002 Angstrom
    assert caplog.records == []
    assert logging.getLogger("moyo").filters == logging.getLogger("moyo.symmetrize.symmetrization").filters == []


lengths = st.floats(2.0, 9.0)
angles = st.floats(50, 110)
lattices = st.builds(
    lambda a, b, c, alpha, beta, gamma: (a, b, c, alpha, beta, gamma), lengths, lengths, lengths, angles, angles, angles
).filter(lambda p: 2 * np.sqrt(max(0, gram_factor(*p[3:]))) > 0.3)
lattices = lattices.map(lambda p: np.array(Lattice.from_parameters(*p).matrix))


def gram_factor(alpha: float, beta: float, gamma: float) -> float:
    """Return the squared volume of a cell with unit edges."""
    x, y, z = np.cos(np.radians([alpha, beta, gamma]))
    return 1 + 2 * x * y * z - x * x - y * y - z * z


@given(lattices, st.integers(1, 60), st.integers(1, 120))
@examples(80)
def test_the_supercell_is_the_rounded_shear_of_the_rq_decomposition(lattice: np.ndarray, n: int, size: int) -> None:
    matrix = supercell_matrix(lattice, n, size)
    upper, _ = scipy.linalg.rq(lattice)
    inverse = np.linalg.inv(upper)
    shear = np.diag(1 / np.diag(inverse)) @ inverse
    repeats = np.diag(matrix)
    assert np.abs(matrix - np.diag(repeats) @ shear).max() <= 0.5 + 1e-5
    assert round(np.linalg.det(matrix)) == repeats.prod()
    assert n * repeats.prod() <= max(size, n)
    edges = repeats * np.linalg.norm(shear @ lattice, axis=1)
    one_more = repeats + (np.arange(3) == edges.argmin())
    assert n * one_more.prod() > size


def test_a_cubic_cell_becomes_a_cube() -> None:
    assert supercell_matrix(np.eye(3) * 3, 1, 27).tolist() == (np.eye(3) * 3).tolist()
    assert supercell_matrix(np.diag([2.0, 4.0, 8.0]), 1, 8).tolist() == np.diag([4, 2, 1]).tolist()


def test_a_supercell_of_an_oblique_cell_is_near_cubic() -> None:
    cell = primitive_arrays(CRYSTALS["aluminium"])
    big = Lattice(supercell_matrix(cell.lattice, 1, 50) @ cell.lattice)
    assert min(big.get_lll_reduced_lattice().abc) > 0.8 * big.volume ** (1 / 3)
    assert max(abs(np.array(big.angles) - 90)) < 20


@given(lattices, st.integers(1, 6), st.integers(0, 999), st.sampled_from([1, 8, 20]))
@examples(40)
def test_distances_are_those_of_all_images(lattice: np.ndarray, n: int, seed: int, size: int) -> None:
    frac = np.random.default_rng(seed).uniform(-1, 2, (n, 3))
    i, j, distance = supercell_pairs(lattice, frac, size)
    matrix = supercell_matrix(lattice, n, size)
    images = (np.indices((11, 11, 11)).reshape(3, -1).T - 5) @ Lattice(
        matrix @ lattice
    ).get_lll_reduced_lattice().matrix
    rows = iter(zip(i, j, distance, strict=True))
    for first in range(n):
        for point in np.ndindex(*np.diag(matrix)):
            for second in range(n):
                delta = (frac[second] + point - frac[first]) @ lattice
                nearest = Lattice(matrix @ lattice).get_lll_reduced_lattice()
                delta = nearest.get_cartesian_coords(nearest.get_fractional_coords(delta) % 1)
                expected = np.sqrt(((delta + images) ** 2).sum(axis=1).min())
                found = next(rows)
                assert found[:2] == (first, second)
                assert found[2] == pytest.approx(expected, abs=1e-9)
    assert next(rows, None) is None


@pytest.mark.parametrize("name", CRYSTALS)
def test_pairs_are_those_of_the_supercell_that_pymatgen_builds(name: str) -> None:
    cell = primitive_arrays(CRYSTALS[name])
    n = len(cell.frac)
    i, j, distance = supercell_pairs(cell.lattice, cell.frac)
    built = Structure(cell.lattice, ["H"] * n, cell.frac, site_properties={"copy_of": list(range(n))})
    built.make_supercell(supercell_matrix(cell.lattice, n))
    copies = np.array(built.site_properties["copy_of"])
    assert len(distance) == n * len(built)
    for a in range(n):
        row = built.distance_matrix[np.flatnonzero(copies == a)[0]]
        for b in range(n):
            ours = np.sort(distance[(i == a) & (j == b)])
            np.testing.assert_allclose(ours, np.sort(row[copies == b]), atol=1e-6)


@pytest.mark.parametrize("name", CRYSTALS)
def test_every_site_sees_every_site_equally_often_and_itself_once_at_zero(name: str) -> None:
    cell = primitive_arrays(CRYSTALS[name])
    i, j, distance = supercell_pairs(cell.lattice, cell.frac)
    n = len(cell.frac)
    counts = np.bincount(i * n + j, minlength=n * n)
    assert (counts == counts[0]).all()
    assert n * counts[0] <= 50
    assert (np.diff(i) >= 0).all()
    assert np.flatnonzero(distance == 0).size == n
    assert (i == j)[distance == 0].all()


def test_a_cell_larger_than_the_cap_is_taken_once() -> None:
    crystal = CRYSTALS["calcite"]
    cell = primitive_arrays(crystal)
    i, _, distance = supercell_pairs(cell.lattice, cell.frac, size=4)
    assert len(distance) == 100
    assert np.bincount(i).tolist() == [10] * 10


def test_many_sites_are_paired_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = primitive_arrays(CRYSTALS["quartz"])
    whole = supercell_pairs(cell.lattice, cell.frac)
    monkeypatch.setattr("skdim.points.cells._BLOCK", 10)
    for ours, expected in zip(supercell_pairs(cell.lattice, cell.frac), whole, strict=True):
        np.testing.assert_array_equal(ours, expected)
