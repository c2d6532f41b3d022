"""One vector per crystal: whatever describes it, and with no jump when its atoms move a little."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from skdim import DeepInfoMaxEmbedder
from tests.bundled import OTHERWISE, formation_energy, jolted, rebuilt, sample
from tests.handmade import perovskite, salt
from tests.small import mixture

# Epochs for which the deep encoder is there too, beside those of the default.
DEEP = (1,)
EPOCHS = [*DEEP, pytest.param(0, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]


@cache
def embedder(max_epochs: int) -> DeepInfoMaxEmbedder:
    """Return the default embedder, untrained or trained a little, on crystals of the training fold."""
    structures, in_test_fold = formation_energy()
    train = [s for s, test in zip(structures, in_test_fold, strict=True) if not test][:500]
    preset = "deep" if max_epochs in DEEP else "default"
    return DeepInfoMaxEmbedder(preset=preset, max_epochs=max_epochs, random_state=0).fit(train)


@cache
def vectors(max_epochs: int) -> np.ndarray:
    return embedder(max_epochs).transform(sample(200))


def changes(max_epochs: int, moved: list[Structure]) -> np.ndarray:
    """Return the norm of what changes in the vectors of the sample, in units of their norms."""
    before, after = vectors(max_epochs), embedder(max_epochs).transform(moved)
    assert np.isfinite(after).all()
    return np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)


@pytest.mark.parametrize("max_epochs", EPOCHS)
def test_other_crystals_have_other_vectors(max_epochs: int) -> None:
    """A vector that never changes would pass all that follows."""
    assert np.quantile(changes(max_epochs, sample(200)[::-1]), 0.1) > 0.5
    strained = [rebuilt(s, 1.01 * s.lattice.matrix, s.frac_coords) for s in sample(200)]
    assert np.quantile(changes(max_epochs, strained), 0.1) > 3e-3


@pytest.mark.parametrize("max_epochs", EPOCHS)
@pytest.mark.parametrize("way", OTHERWISE)
def test_the_description_of_a_crystal_does_not_matter(way: str, max_epochs: int) -> None:
    rng = np.random.default_rng(11)
    assert changes(max_epochs, [OTHERWISE[way](crystal, rng) for crystal in sample(200)]).max() < 1e-3


@cache
def standardised() -> list[Structure]:
    return [SpacegroupAnalyzer(s, symprec=0.01).get_conventional_standard_structure() for s in sample(200)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # of spglib to pymatgen
@pytest.mark.parametrize("max_epochs", EPOCHS)
def test_the_conventional_cell_moves_atoms_and_the_vector_hardly(max_epochs: int) -> None:
    assert np.quantile(changes(max_epochs, standardised()), 0.95) < 1e-2


@pytest.mark.parametrize("max_epochs", EPOCHS)
@pytest.mark.parametrize("seed", range(3))
def test_a_thousandth_of_an_angstrom_changes_less_than_one_percent(seed: int, max_epochs: int) -> None:
    rng = np.random.default_rng(seed)
    assert changes(max_epochs, [jolted(crystal, rng) for crystal in sample(200)]).max() < 1e-2


def octahedra(step: float) -> Structure:
    """Turn the octahedra of a perovskite, doubled: one class of oxygen becomes two, and shells of all kinds split."""
    crystal = perovskite() * (2, 2, 1)
    oxygen = [k for k, site in enumerate(crystal) if site.species_string == "O"]
    move = np.zeros((len(crystal), 3))
    for k in oxygen:
        x, y, _ = np.rint(crystal.frac_coords[k] * 4)
        move[k] = [step * (-1) ** (x // 2 + y // 2) * (x % 2 == 0), 0, 0]
    return rebuilt(crystal, crystal.lattice.matrix, crystal.frac_coords + move @ np.linalg.inv(crystal.lattice.matrix))


def bain(step: float) -> Structure:
    """Stretch a body-centred cubic crystal towards a face-centred one: the shells of 8 and 6 become one of 12."""
    a, c = 3.0 - 0.3 * step, 3.0 + step
    return Structure(Lattice.tetragonal(a, c), ["Fe", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def layers(step: float) -> Structure:
    """Pull layers apart: neighbours leave the last shell one plane after the other."""
    return Structure(
        Lattice.hexagonal(3.2, 6 + 3 * step), ["Mo", "S", "S"], [[1 / 3, 2 / 3, 0.5], [0, 0, 0.38], [0, 0, 0.62]]
    )


@pytest.mark.slow
@pytest.mark.parametrize("max_epochs", EPOCHS)
@pytest.mark.parametrize("path", [octahedra, bain, layers])
def test_no_step_along_a_path_is_a_jump(path, max_epochs: int) -> None:
    # Steps in which no atom moves by more than 0.001 Angstrom within the neighbourhood, the symmetric start included.
    steps = np.concatenate([[0.0, 1e-6, 1e-4], np.arange(1, 400) * 3e-4])
    found = embedder(max_epochs).transform([path(step) for step in steps])
    change = np.linalg.norm(np.diff(found, axis=0), axis=1) / np.linalg.norm(found[1:], axis=1)
    assert change.max() < 3e-3
    assert np.linalg.norm(found[-1] - found[0]) > 10 * change.max() * np.linalg.norm(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("max_epochs", EPOCHS)
def test_split_positions_become_neighbours_without_a_jump(max_epochs: int) -> None:
    """From alternatives of one site, 0.4 Angstrom apart, to sites of their own."""
    rest = ["O", "O", "Ti"], [[0.33, 0.1, 0.1], [0.7, 0.2, 0.35], [0.5, 0.5, 0.5]]
    apart = np.arange(0.4, 1.3, 1e-3)
    crystals = [
        Structure(Lattice.cubic(6.2), [{"Li": 0.3}, {"Li": 0.3}, *rest[0]], [[0, 0, 0], [d / 6.2, 0, 0], *rest[1]])
        for d in apart
    ]
    found = embedder(max_epochs).transform(crystals)
    change = np.linalg.norm(np.diff(found, axis=0), axis=1) / np.linalg.norm(found[1:], axis=1)
    assert change.max() < 1e-2


@pytest.mark.parametrize("way", OTHERWISE)
def test_disordered_crystals_have_one_vector_too(way: str) -> None:
    rng = np.random.default_rng(3)
    crystals = [mixture(), salt()]
    crystals[1].replace(0, {"Na": 0.5, "K": 0.25})
    before = embedder(1).transform(crystals)
    after = embedder(1).transform([OTHERWISE[way](crystal, rng) for crystal in crystals])
    np.testing.assert_allclose(after, before, atol=1e-4)
