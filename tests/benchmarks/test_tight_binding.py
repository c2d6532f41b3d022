"""The tight-binding model that tells electrons without labels: published elements, invariances, known crystals."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from tests.handmade import face_centred


@pytest.fixture
def model(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("tight_binding")


def primitive(length: float, species: list[str], sites: list[list[float]]) -> Structure:
    return face_centred(length, species, sites).get_primitive_structure()


def skewed() -> Structure:
    """A crystal without symmetry, so that no states are degenerate."""
    lattice = Lattice.from_parameters(4.1, 4.6, 5.2, 82, 95, 101)
    return Structure(lattice, ["Ti", "O", "O"], [[0.03, 0.01, 0.02], [0.42, 0.11, 0.47], [0.55, 0.6, 0.08]])


def test_elements_are_those_of_slater_and_koster(model: ModuleType) -> None:
    direction = np.array([[0.36, 0.48, 0.8]])
    x, y, z = direction[0]
    frames = model.bond_frames(direction)

    def element(low: int, high: int, by_m: list[float]) -> np.ndarray:
        width = 2 * low + 1
        return frames[low][0][:, :width] * np.array(by_m) @ frames[high][0][:, :width].T

    sigma, pi, delta = 1.3, -0.4, 0.2
    np.testing.assert_allclose(element(0, 1, [sigma])[0], sigma * direction[0], atol=1e-12)
    np.testing.assert_allclose(element(0, 2, [sigma])[0, 4], np.sqrt(3) * x * y * sigma, atol=1e-12)
    pp = element(1, 1, [sigma, pi, pi])
    np.testing.assert_allclose(pp[0, 0], x**2 * sigma + (1 - x**2) * pi, atol=1e-12)
    np.testing.assert_allclose(pp[0, 1], x * y * (sigma - pi), atol=1e-12)
    pd = element(1, 2, [sigma, pi, pi])
    np.testing.assert_allclose(pd[0, 4], np.sqrt(3) * x**2 * y * sigma + y * (1 - 2 * x**2) * pi, atol=1e-12)
    dd = element(2, 2, [sigma, pi, pi, delta, delta])
    expected = 3 * x**2 * y**2 * sigma + (x**2 + y**2 - 4 * x**2 * y**2) * pi + (z**2 + x**2 * y**2) * delta
    np.testing.assert_allclose(dd[4, 4], expected, atol=1e-12)


def test_couplings_have_the_universal_strengths_and_do_not_depend_on_which_atom_comes_first(model: ModuleType) -> None:
    distance, extents = np.array([2.35]), (np.array([0.0]), np.array([1.1]))
    assert model.couplings((0, 0), distance, extents)[0, 0] == pytest.approx(-1.32 * 7.62 / 2.35**2)
    assert model.couplings((1, 2), distance, extents)[0, 1] == pytest.approx(1.36 * 7.62 * 1.1**1.5 / 2.35**3.5)
    sp, ps = model.couplings((0, 1), distance, extents), model.couplings((1, 0), distance, extents)
    np.testing.assert_array_equal(sp, -ps)


def test_what_is_told_does_not_depend_on_orientation_origin_or_order(model: ModuleType) -> None:
    crystal = skewed()
    told = model.describe(crystal)
    turn = Rotation.random(random_state=0).as_matrix()
    turned = Structure(crystal.lattice.matrix @ turn.T, crystal.species, crystal.frac_coords)
    moved = Structure(crystal.lattice, crystal.species[::-1], crystal.frac_coords[::-1] + 0.37)
    for other in (turned, moved):
        again = model.describe(other)
        assert list(again) == list(told)
        np.testing.assert_allclose(list(again.values()), list(told.values()), atol=1e-6)


def test_bonds_of_an_atom_with_its_own_images_do_not_depend_on_orientation(model: ModuleType) -> None:
    crystal = primitive(4.05, ["Al"], [[0, 0, 0]])
    turn = Rotation.random(random_state=1).as_matrix()
    turned = Structure(crystal.lattice.matrix @ turn.T, crystal.species, crystal.frac_coords)
    told, again = model.describe(crystal), model.describe(turned)
    for name in ("levels", "cov", "cov_sp", "cov_pp", "bond"):
        assert again[name] == pytest.approx(told[name], abs=1e-3)
    assert told["cov_pp"] < -0.5


def test_a_larger_cell_tells_the_same(model: ModuleType) -> None:
    crystal = skewed()
    told, larger = model.describe(crystal), model.describe(crystal.make_supercell((2, 1, 1), in_place=False))
    # Four points along a, and two along 2 a, are the same ones.
    assert np.ceil(model.REACH / crystal.lattice.a) == 4
    np.testing.assert_allclose(list(larger.values()), list(told.values()), atol=1e-6)


@pytest.mark.parametrize(
    ("crystal", "least", "most"),
    [
        (primitive(5.64, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]), 3.0, 9.0),
        (primitive(4.21, ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]), 3.0, 9.0),
        (primitive(3.57, ["C", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]]), 3.0, 9.0),
        (primitive(5.43, ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]]), 0.1, 3.0),
        (primitive(4.05, ["Al"], [[0, 0, 0]]), 0.0, 0.1),
        (primitive(3.61, ["Cu"], [[0, 0, 0]]), 0.0, 0.1),
    ],
    ids=["NaCl", "MgO", "diamond", "Si", "Al", "Cu"],
)
def test_insulators_have_a_gap_and_metals_have_none(
    model: ModuleType, crystal: Structure, least: float, most: float
) -> None:
    assert least <= round(model.describe(crystal)["gap0.01"], 6) <= most


def test_electrons_are_kept_and_go_to_the_electronegative_atom(model: ModuleType) -> None:
    crystal = skewed()
    told = model.describe(crystal)
    held = sum(told[f"held_{shell}"] for shell in "spd")
    assert held == pytest.approx(sum(model.atom(number).electrons for number in crystal.atomic_numbers) / 3)
    assert told["charge_least"] < -0.5 < 0.2 < told["charge_most"]
    assert told["bond"] < 0
    parts = sum(told[f"cov_{pair}"] for pair in ("ss", "sp", "sd", "pp", "pd", "dd"))
    assert parts == pytest.approx(told["cov"])


def test_filling_is_that_of_a_loop_over_states(model: ModuleType) -> None:
    generator = np.random.default_rng(0)
    energy, room = generator.standard_normal((3, 4)), generator.uniform(0.1, 1.0, (3, 4))
    filling = model.Filling(energy, room)
    for electrons in (0.0, 0.3, 2.2, room.sum()):
        left, total, held = electrons, 0.0, np.zeros((3, 4))
        for place in np.argsort(energy, axis=None):
            here = min(left, room.flat[place])
            held.flat[place], total, left = here, total + here * energy.flat[place], left - here
        assert filling.total(np.array(electrons)) == pytest.approx(total)
        np.testing.assert_allclose(filling.held(0.0, electrons), held, atol=1e-12)


def test_points_of_the_reciprocal_cell_are_half_of_a_grid_with_the_other_half_in_their_weights(
    model: ModuleType,
) -> None:
    points, weights = model.sampled(np.array([4.0, 5.0, 20.0]), 16.0)
    assert weights.sum() == pytest.approx(1.0)
    whole = {tuple(np.round(point, 9)) for point in np.concatenate([points, -points])}
    assert len(whole) == 4 * 4 * 1
    assert len(points) < len(whole)
