"""Prechecks: what sites hold, and every reason why a structure cannot be used."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymatgen.core import Composition, DummySpecies, Lattice, PeriodicSite, Species, Structure

from skdim.crystals.crystal import site_species
from tests.counted import calls_in
from tests.daily import examples
from tests.handmade import iron, perovskite, reason_against, salt, silicon

NAN, INF = float("nan"), float("inf")
CUBE = Lattice.cubic(4.0)


def pair(distance, first="Na", second="Cl", lattice=CUBE):
    """Two sites at a distance in Angstrom, across the border of the cell."""
    coords = [[-distance / 3, 0.1, 0.1], [distance * 2 / 3, 0.1, 0.1]]
    return Structure(lattice, [first, second], coords, coords_are_cartesian=True)


# ---------------------------------------------------------------- contents


def test_contents_of_ordered_sites():
    assert site_species(perovskite()) == [((38, 1.0),), ((22, 1.0),), *[((8, 1.0),)] * 3]


def test_oxidation_states_isotopes_and_order_do_not_matter():
    first = Structure(CUBE, [{"Fe2+": 0.5, "Fe3+": 0.25, "D": 0.1, "T": 0.1}], [[0, 0, 0]])
    second = Structure(CUBE, [{"H+": 0.2, "Fe": 0.75}], [[0, 0, 0]])
    assert site_species(first) == site_species(second) == [((1, 0.2), (26, 0.75))]
    assert site_species(Structure(CUBE, ["O2-"], [[0, 0, 0]])) == [((8, 1.0),)]
    assert len({*site_species(first), *site_species(second)}) == 1


def test_three_ways_to_add_up_a_mixture_are_one_content():
    shares = {"Fe2+": 0.1, "Fe3+": 0.2, "Fe4+": 0.4, "Fe": 0.05}
    mixtures = [dict(order) for order in itertools.permutations(shares.items())]
    assert len({site_species(Structure(CUBE, [mixture], [[0, 0, 0]]))[0] for mixture in mixtures}) == 1


# ---------------------------------------------------------------- what is accepted


@pytest.mark.parametrize("make", [salt, silicon, perovskite, iron])
def test_ordinary_crystals_are_accepted(make):
    assert reason_against(make()) is None
    assert reason_against(make().get_primitive_structure()) is None
    assert reason_against(make() * [3, 3, 3]) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"Li": 0.5}, {"Li": 0.5}),
        ({"Li+": 0.3}, {"Na+": 0.7}),
        ({"Li": 0.1}, {"Li": 0.2, "Na": 0.3}),
        ({"H": 0.334}, {"H": 0.667}),
    ],
)
@pytest.mark.parametrize("distance", [0.0, 0.2, 0.45])
def test_split_positions_are_no_overlap(first, second, distance):
    assert reason_against(pair(distance, first, second)) is None


def test_only_mutually_close_positions_share_one_atom():
    # The first and the third are 0.8 Angstrom apart, so each pair, not all three, must add to at most one.
    row = [[0, 0, 0], [0.4, 0, 0], [0.8, 0, 0]]
    shares = [{"Li": 0.6}, {"Li": 0.4}, {"Li": 0.6}]
    assert reason_against(Structure(CUBE, shares, row, coords_are_cartesian=True)) is None
    triangle = [[0, 0, 0], [0.4, 0, 0], [0.2, 0.3, 0]]
    reason = reason_against(Structure(CUBE, [{"Li": 0.55}] * 3, triangle, coords_are_cartesian=True))
    assert "overlap" in reason
    assert "1.65" in reason


def test_split_positions_meet_across_the_border_of_the_cell():
    corners = [[0.02, 0.02, 0.02], [0.98, 0.98, 0.98], [5.02, -0.98, 3.0], [0.5, 0.5, 0.5]]
    assert reason_against(Structure(CUBE, [{"Li": 0.3}] * 3 + ["O"], corners)) is None
    assert "overlap" in reason_against(Structure(CUBE, [{"Li": 0.51}] * 3 + ["O"], corners))


# ---------------------------------------------------------------- what is refused


def with_site(species, **kwargs):
    """A cell with one site of any species, past pymatgen's own checks."""
    site = PeriodicSite(Composition(species, **kwargs), np.zeros(3), CUBE, skip_checks=True)
    structure = Structure(CUBE, ["H"], [[0, 0, 0]])
    structure.sites = [site]
    return structure


def crowded(structure):
    """Put an atom 0.3 Angstrom from the eighth."""
    return structure.append("H", structure[7].coords + np.array([0, 0, 0.3]), coords_are_cartesian=True)


REFUSED = {
    "no sites": (lambda: Structure(CUBE, [], []), "no sites"),
    "overlap": (lambda: pair(0.2), r"sites 0 \(Na\) and 1 \(Cl\) overlap: 0.2 Angstrom.*at most 1, not to 2"),
    "same place": (lambda: pair(0.0), "overlap: 0 Angstrom"),
    "overlap of split positions": (lambda: pair(0.3, {"Li": 0.6}, {"Na": 0.6}), "at most 1, not to 1.2"),
    "overlap in a large cell": (lambda: crowded(salt() * [4, 4, 4]), "sites 7 .* and 512 .H. overlap: 0.3 Angstrom"),
    "own image": (lambda: Structure(Lattice.from_parameters(9, 9, 9, 90, 90, 2), ["H"], [[0, 0, 0]]), "own image"),
    "short": (lambda: Structure(Lattice.orthorhombic(0.4, 9, 9), ["H"], [[0, 0, 0]]), "lengths 0.4, 9, 9 Angstrom"),
    "long": (lambda: Structure(Lattice.orthorhombic(9, 9, 1e4), ["H"], [[0, 0, 0]]), "lengths 9, 9, 10000"),
    "zero": (lambda: Structure(np.zeros((3, 3)), ["H"], [[0, 0, 0]]), "lengths 0, 0, 0 Angstrom"),
    "NaN lattice": (lambda: Structure([[NAN, 0, 0], [0, 3, 0], [0, 0, 3]], ["H"], [[0, 0, 0]]), "lengths nan, 3, 3"),
    "infinite lattice": (lambda: Structure([[INF, 0, 0], [0, 3, 0], [0, 0, 3]], ["H"], [[0, 0, 0]]), "lengths inf"),
    "singular": (lambda: Structure([[3, 0, 0], [3, 0, 0], [0, 0, 3]], ["H"], [[0, 0, 0]]), "singular lattice: 0 cubic"),
    "flat": (lambda: Structure(Lattice.from_parameters(3, 3, 3, 60, 60, 119.9999), ["H"], [[0, 0, 0]]), "singular"),
    "crammed": (lambda: Structure(Lattice.cubic(1), ["H"] * 20, np.random.default_rng(0).random((20, 3))), "absurd"),
    "empty": (
        lambda: Structure(Lattice.cubic(90), ["H"], [[0, 0, 0]]),
        "absurd lattice: 7.29e.05 cubic Angstrom for 1",
    ),
    "NaN": (lambda: Structure(CUBE, ["Na", "Cl"], [[0, 0, 0], [0.5, NAN, 0]]), r"site 1 .*\[0.5, nan, 0.0\]"),
    "infinite": (lambda: Structure(CUBE, ["Na", "Cl"], [[-INF, 0, 0], [0.5, 0, 0]]), r"site 0 .*\[-inf, 0.0, 0.0\]"),
    "far off": (lambda: Structure(CUBE, ["Na"], [[1e9, 0, 0]]), "finite ones up to 1e6"),
    "dummy": (lambda: Structure(CUBE, ["Na", DummySpecies("X")], [[0, 0, 0], [0.5, 0, 0]]), "site 1 .*dummy"),
    "vacancy": (lambda: Structure(CUBE, [{"Na": 0.5, DummySpecies("X"): 0.5}], [[0, 0, 0]]), "dummy"),
    "unoccupied": (lambda: with_site({}), "no occupancy"),
    "negative": (lambda: with_site({"Na": -1}, allow_negative=True), "occupancy -1"),
    "partly negative": (lambda: with_site({"Na": 1.5, "K": -0.5}, allow_negative=True), "occupancy -0.5"),
    "over-full": (lambda: with_site({"Na": 0.7, "K": 0.6}), "add to 1.3; more than 0 and at most 1"),
    "film": (lambda: Structure(Lattice.cubic(9, pbc=(True, True, False)), ["H"], [[0, 0, 0]]), "True, True, False"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_value_at_fault(case):
    make, pattern = REFUSED[case]
    assert re.search(pattern, reason_against(make()) or "accepted")


def test_more_sites_than_accepted():
    assert reason_against(salt(), max_sites=8) is None
    assert reason_against(salt(), max_sites=7) == "8 sites; max_sites=7 are accepted"


@pytest.mark.parametrize("accepted", [range(1, 56), {17, 55}, frozenset({17, 55})])
def test_elements_beyond_the_table(accepted):
    assert reason_against(pair(2.0, "Cs+"), elements=accepted) is None
    reason = reason_against(pair(2.0, Species("Cf", 3)), elements=accepted)
    assert re.search(r"site 0 \(Cf3\+\) holds element 98, .* up to number 55", reason)
    assert reason_against(pair(2.0, "Og")) is None


def test_an_element_missing_within_the_table():
    assert "element 17" in reason_against(pair(2.0), elements={11, 92})


# ---------------------------------------------------------------- any cell setting

LENGTHS = st.floats(3, 8)
SHEARS = st.floats(-3, 3)
INTEGERS = st.integers(-4, 4)


@st.composite
def cells(draw):
    """A lattice with planes 3 Angstrom apart or more, seen in a skewed basis; the basis change; distinct sites."""
    a, b, c = draw(LENGTHS), draw(LENGTHS), draw(LENGTHS)
    matrix = np.array([[a, 0, 0], [draw(SHEARS), b, 0], [draw(SHEARS), draw(SHEARS), c]])
    lower = np.array([[1, 0, 0], [draw(INTEGERS), 1, 0], [draw(INTEGERS), draw(INTEGERS), 1]])
    upper = np.array([[1, draw(INTEGERS), draw(INTEGERS)], [0, 1, draw(INTEGERS)], [0, 0, 1]])
    places = st.tuples(*[st.integers(0, 2)] * 3)
    # On a grid of a third of the cell, so 1 Angstrom apart at least.
    grid = np.array(draw(st.lists(places, min_size=1, max_size=8, unique=True))) / 3
    origin = np.array([draw(st.floats(-2, 2)) for _ in range(3)])
    return lower @ upper @ matrix, (grid + origin) @ matrix


@given(cells(), st.integers(0, 2**32 - 1))
@examples(60)
def test_an_atom_put_close_to_another_is_found_in_any_setting(cell, seed):
    matrix, places = cell
    random = np.random.default_rng(seed)
    good = Structure(matrix, ["Si"] * len(places), list(places), coords_are_cartesian=True)
    assert reason_against(good) is None
    direction = random.normal(size=3)
    image = random.integers(-3, 4, size=3) @ matrix
    close = random.choice(places) + image + 0.2 * direction / np.linalg.norm(direction)
    bad = Structure(matrix, ["Si"] * len(places) + ["H"], [*places, close], coords_are_cartesian=True)
    assert re.search(rf"and {len(places)} \(H\) overlap: 0.2 Angstrom", reason_against(bad))
    assert reason_against(split_in_two(good)) is None


def split_in_two(structure):
    """Put a second position 0.2 Angstrom from each, and half of the atom on either."""
    places = [place + shift for place in structure.cart_coords for shift in (np.zeros(3), [0.2, 0, 0])]
    return Structure(structure.lattice, [{"Si": 0.5}] * len(places), places, coords_are_cartesian=True)


def shortest_distance(structure):
    """Shortest distance of two sites, looking at all images that may matter one by one."""
    spacing = 1 / np.linalg.norm(np.linalg.inv(structure.lattice.matrix), axis=0)
    reach = [range(-k, k + 1) for k in np.ceil(0.5 / spacing).astype(int) + 1]
    coords = structure.frac_coords % 1
    return min(
        np.linalg.norm((coords[i] - coords[j] + image) @ structure.lattice.matrix)
        for i, j in itertools.combinations_with_replacement(range(len(coords)), 2)
        for image in itertools.product(*reach)
        if i != j or any(image)
    )


@given(st.lists(st.floats(-2, 2), min_size=9, max_size=9), st.integers(1, 4), st.integers(0, 2**32 - 1))
@examples(60)
def test_overlap_agrees_with_looking_at_all_images(entries, n_sites, seed):
    matrix = np.array(entries).reshape(3, 3)
    lengths = np.linalg.norm(matrix, axis=1)
    with np.errstate(all="ignore"):  # of numbers near the smallest
        assume(abs(np.linalg.det(matrix)) >= 0.3 * n_sites and lengths.min() >= 0.5)
    structure = Structure(matrix, ["Si"] * n_sites, np.random.default_rng(seed).normal(size=(n_sites, 3)))
    nearest = shortest_distance(structure)
    assume(abs(nearest - 0.5) > 1e-6)
    assert (reason_against(structure) is None) == (nearest > 0.5)


@given(st.integers(1, 7), st.floats(0.2, 1), st.integers(0, 2**32 - 1))
@examples(60)
def test_split_groups_agree_with_looking_at_all_subsets(n_sites, spread, seed):
    random = np.random.default_rng(seed)
    places, shares = random.random((n_sites, 3)) * spread, random.uniform(0.05, 0.8, n_sites)
    structure = Structure(CUBE, [{"Li": share} for share in shares], places, coords_are_cartesian=True)
    heaviest = 0.0
    for size in range(1, n_sites + 1):
        for group in itertools.combinations(range(n_sites), size):
            if all(np.linalg.norm(places[i] - places[j]) < 0.5 for i, j in itertools.combinations(group, 2)):
                heaviest = max(heaviest, shares[list(group)].sum())
    assert (reason_against(structure) is None) == (heaviest <= 1.5)


@given(st.lists(st.floats(width=32), min_size=12, max_size=12))
@examples(100)
def test_any_numbers_get_a_verdict(numbers):
    with np.errstate(all="ignore"):
        structure = Structure(np.array(numbers[:9]).reshape(3, 3), ["Si"], [numbers[9:]])
        assert isinstance(reason_against(structure), str | None)


def test_thousands_of_atoms_in_one_place_get_a_verdict():
    heap = Structure(Lattice.cubic(30.0), ["Si"] * 5000, np.zeros((5000, 3)))
    assert reason_against(heap) == "site 0 overlaps with more than 256 others, in one place"


def test_checking_an_ordinary_crystal_costs_little():
    """Thousands of crystals a second must not wait for it; a search in a tree alone would call more functions."""
    crystal = perovskite() * [1, 1, 2]
    assert calls_in(lambda: reason_against(crystal)) < 600
