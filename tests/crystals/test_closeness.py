"""Close sites are found in any cell, by whichever way is fastest."""

import numpy as np
import pytest

from skdim.crystals.closeness import _any_in_bins, any_closer, close_pairs


def cell(rng, distance):
    """A lattice, and 65 to 200 sites, of which two may be that close, through a face of the cell too."""
    lattice = rng.normal(size=(3, 3)) * rng.uniform(2, 12) + np.eye(3) * rng.uniform(5, 15)
    frac = rng.uniform(-1, 2, (int(rng.integers(65, 200)), 3))
    if rng.random() < 0.5:
        frac[3] = frac[7] + rng.integers(-2, 3, 3) + 0.6 * distance * rng.normal(size=3) @ np.linalg.inv(lattice)
    return frac, lattice


@pytest.mark.parametrize("distance", [0.02, 0.5, 1.0])
def test_bins_tell_what_the_tree_finds(distance):
    rng = np.random.default_rng(round(100 * distance))
    told = []
    for _ in range(40):
        frac, lattice = cell(rng, distance)
        found = len(close_pairs(frac, lattice, distance)[0]) > 0
        assert any_closer(frac, lattice, distance) == found
        told.append(found)
    assert 2 < sum(told) <= 40


def test_a_crowd_is_left_to_the_tree():
    rng = np.random.default_rng(0)
    frac = np.concatenate([rng.random((80, 3)), np.full((20, 3), 0.5)])
    assert _any_in_bins(frac, 40 * np.eye(3), 0.5) is None
    assert any_closer(frac, 40 * np.eye(3), 0.5)
