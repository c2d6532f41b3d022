"""Complete neighbour shells against a brute-force search over periodic images, in ordinary and absurd cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from vesin import NeighborList

from skdim import CrystalPointSetTransformer, reading_limits
from skdim.points.neighbors import (
    OVERLAP,
    TAPER,
    Cell,
    Pairs,
    both_directions,
    compact_lattices,
    compared_pairs,
    cut_shells,
    presence,
    shell_pairs,
)
from tests.bundled import in_another_basis, sample
from tests.daily import examples, slow
from tests.handmade import iron, perovskite, salt, silicon

SKEWED = np.array([[3.0, 0.0, 0.0], [41.0, 3.5, 0.0], [-77.0, 29.0, 4.0]])
CELLS = {
    "one atom": iron(),
    "one atom, skewed": Structure(SKEWED, ["Po"], [[0.3, 0.9, 0.1]]),
    "two atoms, skewed, far outside the cell": Structure(SKEWED, ["Cs", "Cl"], [[7.2, -3.1, 0.4], [-11.7, 5.9, 2.7]]),
    "needle": Structure(Lattice.orthorhombic(2.2, 19, 23), ["C", "C"], [[0, 0, 0], [0.5, 0.05, 0]]),
    "plate": Structure(Lattice.hexagonal(2.46, 30), ["C", "C"], [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]),
    "acute": Structure(
        Lattice.from_parameters(5, 6, 7, 21, 25, 31), ["K"] * 3, [[0, 0, 0], [0.3, 0.5, 0.1], [0.7] * 3]
    ),
    "salt": salt(),
    "silicon": silicon(),
    "perovskite": perovskite(),
}


def as_cell(structure: Structure) -> Cell:
    kind = np.unique(structure.atomic_numbers, return_inverse=True)[1].astype(np.int32)
    return Cell(structure.lattice.matrix, structure.frac_coords, kind, structure.volume, len(structure))


def shells(structure: Structure, n_neighbors: int) -> list[list[tuple[int, float, float]]]:
    """Return (neighbour, distance, weight) of each site, sorted, without any snapping."""
    pairs = both_directions(shell_pairs([as_cell(structure)], n_neighbors, margin=0.01)[0])
    kept, weight = cut_shells(len(structure), pairs.site, pairs.distance, n_neighbors)
    site, neighbor, distance = pairs.site[kept], pairs.neighbor[kept], pairs.distance[kept]
    assert (np.diff(site) >= 0).all()
    return [
        sorted(zip(neighbor[site == s].tolist(), distance[site == s], weight[site == s], strict=True))
        for s in range(len(structure))
    ]


def slow_shells(structure: Structure, n_neighbors: int) -> list[list[tuple[int, float, float]]]:
    """Return the same, from all images of all sites within a sphere that grows until there are enough."""
    found = []
    for s, site in enumerate(structure):
        reach = 2.0
        while True:
            others = structure.get_sites_in_sphere(site.coords, reach, include_index=True)
            near = sorted((n.nn_distance, n.index) for n in others if n.nn_distance > 1e-6 or n.index != s)
            if len(near) >= n_neighbors and near[n_neighbors - 1][0] * (1 + TAPER) < reach - 0.01:
                break
            reach *= 1.3
        radius = near[n_neighbors - 1][0]
        end = radius * (1 + TAPER)
        fade = [
            (j, d, 1.0 if d <= radius else (1 + np.cos(np.pi * (d - radius) / (end - radius))) / 2) for d, j in near
        ]
        found.append(sorted(entry for entry in fade if entry[1] < end))
    return found


def assert_same_shells(
    ours: list[list[tuple[int, float, float]]], theirs: list[list[tuple[int, float, float]]]
) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        # Where the last shell or the end of the taper is as far as another to the last digit, either may be taken.
        sure = [np.array([e for e in sorted(pairs) if e[2] > 1e-6]) for pairs in (mine, other)]
        np.testing.assert_allclose(sure[0], sure[1], atol=1e-6)


@pytest.mark.parametrize("n_neighbors", [1, 13, 48])
@pytest.mark.parametrize("name", CELLS)
def test_shells_are_those_of_a_brute_force_search(name: str, n_neighbors: int) -> None:
    assert_same_shells(shells(CELLS[name], n_neighbors), slow_shells(CELLS[name], n_neighbors))


@given(st.integers(0, 10**6), st.integers(1, 4), st.floats(1, 60))
@examples(40)
def test_shells_in_any_cell_are_those_of_a_brute_force_search(seed: int, n_sites: int, obliqueness: float) -> None:
    rng = np.random.default_rng(seed)
    lattice = np.diag(rng.uniform(2, 6, 3)) + obliqueness * np.tril(rng.normal(size=(3, 3)), -1)
    crystal = Structure(lattice, ["H"] * n_sites, rng.uniform(-2, 3, (n_sites, 3)))
    short = min(crystal.lattice.get_lll_reduced_lattice().abc)
    assume(min([short, *crystal.distance_matrix[np.triu_indices(n_sites, 1)]]) > 2 * OVERLAP)
    assert_same_shells(shells(crystal, 12), slow_shells(crystal, 12))


@pytest.mark.parametrize("seed", range(3))
def test_shells_do_not_depend_on_the_basis(seed: int) -> None:
    crystal = perovskite()
    other = in_another_basis(crystal, np.random.default_rng(seed))
    assert_same_shells(shells(other, 48), shells(crystal, 48))


@pytest.mark.parametrize("n_neighbors", [20, *slow(1, 100)])
def test_every_site_has_complete_shells(n_neighbors: int) -> None:
    crystals = [s for s in sample(30) if len(s) < 20]
    found = shell_pairs([as_cell(s) for s in crystals], n_neighbors, margin=2e-3)
    for crystal, half in zip(crystals, found, strict=True):
        pairs = both_directions(half)
        kept, weight = cut_shells(len(crystal), pairs.site, pairs.distance, n_neighbors)
        whole = kept[weight == 1]
        assert np.bincount(pairs.site[whole], minlength=len(crystal)).min() >= n_neighbors
        for s in range(len(crystal)):
            own = pairs.distance[pairs.site == s]
            radius = np.sort(own)[n_neighbors - 1]
            shell = (own <= radius).sum(), (own <= radius * (1 + 1e-6)).sum()
            assert shell[0] <= (pairs.site[whole] == s).sum() <= shell[1]
            # Nothing was left out that the taper would have reached.
            around = crystal.get_sites_in_sphere(crystal[s].coords, radius * (1 + TAPER) - 1e-6)
            assert len(around) - 1 == (own < radius * (1 + TAPER) - 1e-6).sum()


@given(st.lists(st.floats(1.0, 9.0), min_size=5, max_size=60), st.integers(1, 5))
def test_weights_are_one_up_to_the_last_shell_and_fall_to_zero(distances: list[float], n_neighbors: int) -> None:
    distance = np.array(distances)
    kept, weight = cut_shells(1, np.zeros(len(distance), int), distance, n_neighbors)
    radius = np.sort(distance)[n_neighbors - 1]
    own = distance[kept]
    assert (np.diff(own) >= -1e-9).all()
    np.testing.assert_array_equal(weight[own <= radius], 1.0)
    assert (weight > 0).all()
    assert (np.diff(weight) <= 1e-9).all()
    assert set(np.flatnonzero(distance < radius * (1 + 0.999 * TAPER))) <= set(kept.tolist())
    assert (own < radius * (1 + TAPER)).all()
    assert np.float32(weight).min() > 0


def test_the_taper_has_no_step_and_no_kink() -> None:
    distance = np.concatenate([[3.0], np.linspace(3.0, 3.2, 4001)])
    kept, weight = cut_shells(1, np.zeros(len(distance), int), distance, 1)
    assert distance[kept].max() == pytest.approx(3.0 * (1 + TAPER), abs=1e-4)
    assert weight[-1] < 1e-5
    assert np.abs(np.diff(weight)).max() < 1e-3
    assert np.abs(np.diff(weight, 2)).max() < 1e-5


def test_ordinary_cells_are_searched_as_they_are_and_skewed_ones_reduced() -> None:
    given = np.stack([salt().lattice.matrix, SKEWED])
    same, short = compact_lattices(given, np.abs(np.linalg.det(given)))
    np.testing.assert_array_equal(same, salt().lattice.matrix)
    change = short @ np.linalg.inv(SKEWED)
    np.testing.assert_allclose(change, np.rint(change), atol=1e-9)
    assert abs(np.linalg.det(change)) == pytest.approx(1)
    assert np.linalg.norm(short, axis=1).max() < 10


def test_alternatives_of_one_disordered_site_are_no_neighbours() -> None:
    split = Structure(Lattice.cubic(4), [{"Li": 0.5}, {"Li": 0.5}], [[0, 0, 0], [0.1, 0, 0]])
    kind = np.zeros(2, np.int32)
    pairs = shell_pairs([Cell(split.lattice.matrix, split.frac_coords, kind, split.volume, 2.0)], 6, margin=2e-3)[0]
    assert pairs.distance.min() == pytest.approx(3.6)
    assert min(split.distance_matrix[0, 1], OVERLAP) == pytest.approx(0.4)


def test_positions_that_exclude_one_another_fade_and_others_do_not() -> None:
    distance = np.linspace(OVERLAP, 1.5, 2001)
    half, full = (presence(distance, np.full(2001, occupancy)) for occupancy in (1.0, 1.1))
    assert (full == 1).all()
    assert (np.diff(half) >= 0).all()
    assert 0 < half[0] < 1e-9
    assert (half[distance >= 1.0] == 1).all()
    # Attention that falls with the eighth power of the distance still falls to nothing at OVERLAP, and slowly.
    logit = np.log(half) - 8 * np.log(distance / 2.0)
    assert logit[0] < -10
    assert np.abs(np.diff(logit)).max() < 0.05


def test_both_directions_mirror_the_pairs() -> None:
    pairs = both_directions(Pairs(np.array([0, 1]), np.array([2, 1]), np.array([3.0, 4.0])))
    assert sorted(zip(pairs.site, pairs.neighbor, pairs.distance, strict=True)) == [
        (0, 2, 3.0),
        (1, 1, 4.0),
        (1, 1, 4.0),
        (2, 0, 3.0),
    ]


def crowd(n: int, spacing: float) -> np.ndarray:
    """Places (n, 3) of a simple cubic lattice, the nearest to the origin."""
    places = (np.indices((13, 13, 13)).reshape(3, -1).T - 6.0) * spacing
    return places[np.argsort((places**2).sum(1), kind="stable")[:n]]


@pytest.mark.slow
def test_shells_of_a_crowd_in_a_vacuum_are_those_of_a_brute_force_search() -> None:
    """At first it has far fewer pairs than a sphere of the mean density, and at the end far more than are needed."""
    places = np.concatenate([crowd(900, 1.1), [[14.0, 0, 0]]]) + 20
    crystal = Structure(Lattice.cubic(40), ["H"] * 901, places, coords_are_cartesian=True)
    half = shell_pairs([as_cell(crystal)], 12, margin=0.01)[0]
    assert len(half.site) < 100 * 901
    some = [0, 450, 899, 900]
    slow = Structure.from_sites([crystal[s] for s in some])
    ours = shells(crystal, 12)
    for s, own in zip(some, slow, strict=True):
        apart = np.linalg.norm(places - own.coords, axis=1)
        radius = np.sort(apart)[12]
        assert sum(weight == 1 for _, _, weight in ours[s]) == (apart <= radius + 1e-9).sum() - 1


@pytest.mark.parametrize("place", ["a rod", *slow("a lonely atom")])
def test_crowds_whose_pairs_are_too_many_are_refused_before_they_are_compared(place: str) -> None:
    if place == "a lonely atom":
        places, lattice = np.concatenate([crowd(1500, 0.6), [[60.0, 0, 0]]]), Lattice.cubic(150)
    else:  # seven layers of it within a spacing of the mean density
        places, lattice = crowd(2000, 0.55) * [1, 1, 0.1], Lattice.orthorhombic(950, 950, 1.1)
    crystal = Structure(lattice, [{"H": 0.1}] * len(places), places, coords_are_cartesian=True)
    with reading_limits(pairs=500_000):
        points, failures = CrystalPointSetTransformer().try_transform([salt(), crystal, iron()])
    assert [row for row, _ in failures] == [1]
    assert "limit pairs" in failures[0][1]
    assert points.valid.tolist() == [True, False, True]


@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(0.5, 5), st.floats(0, 8))
@examples(100)
def test_pairs_are_no_more_than_are_told_before(seed: int, n: int, cutoff: float, obliqueness: float) -> None:
    rng = np.random.default_rng(seed)
    lattice = np.diag(rng.uniform(3, 12, 3)) + obliqueness * np.tril(rng.normal(size=(3, 3)), -1)
    crystal = Structure(lattice, ["H"] * n, rng.uniform(-2, 3, (n, 3)) ** 3)
    box = compact_lattices(lattice[None], np.array([crystal.volume]))[0]
    search = NeighborList(cutoff=cutoff, full_list=False, n_threads=1)
    (found,) = search.compute(points=crystal.cart_coords, box=box, periodic=True, quantities="d")
    assert len(found) <= compared_pairs(as_cell(crystal), box, cutoff)


def test_many_sites_in_a_flat_cell_do_not_end_the_process() -> None:
    """Of the grid that vesin would lay over this cell no bin is left along the short axis, by which it divides."""
    rng = np.random.default_rng(0)
    cell = Cell(np.diag([1000.0, 1000, 0.5]), rng.random((8000, 3)), np.zeros(8000, np.int32), 5e5, 8000.0)
    pairs = shell_pairs([cell], 1, margin=0.003)[0]
    assert np.bincount(np.concatenate([pairs.site, pairs.neighbor]), minlength=8000).min() >= 1
