"""Noise that is drawn for a crystal and not for a batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from skdim.network.batches import collate
from skdim.network.noise import crystal_noise, pair_noise
from tests.small import bundled_points, seeded

WORD = 2**64 - 1


def splitmix(value: int) -> int:
    """The finalizer as published, in whole numbers without a bound."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & WORD
    return value ^ value >> 31


def twin(seed: int, crystal: int, number: int | None) -> float:
    """One number from the formulas: hash, then Box and Muller."""
    half, step = (seed & WORD) >> 32, 0x9E3779B97F4A7C15
    bits = splitmix(splitmix(crystal * step + half & WORD) + half & WORD)
    if number is not None:
        bits = splitmix(bits + (number + 1) * step & WORD)
    radius = math.sqrt(-2 * math.log(((bits >> 32) + 0.5) / 2**32))
    return radius * math.cos(2 * math.pi * (bits & 2**32 - 1) / 2**32)


@pytest.mark.parametrize("seed", [0, 1 << 40, (1 << 63) + (5 << 32), WORD])
def test_noise_is_the_published_hash_of_seed_crystal_and_pair(seed: int) -> None:
    crystals = np.array([7, 2, 31])
    batch, generator = collate(bundled_points(40), crystals), seeded(seed)
    expected = [twin(seed, c, None) for c in crystals.tolist()]
    np.testing.assert_allclose(crystal_noise(batch, generator), expected, atol=2e-4)
    n_pairs = bundled_points(40).n_pairs[crystals].tolist()
    pairs = [twin(seed, c, k) for c, n in zip(crystals.tolist(), n_pairs, strict=True) for k in range(n)]
    np.testing.assert_allclose(pair_noise(batch, generator), pairs, atol=2e-4)


def test_a_crystal_has_its_noise_in_any_batch() -> None:
    points, generator = bundled_points(40), seeded(1 << 35)
    every, some = collate(points, np.arange(40)), collate(points, np.array([30, 4, 11]))
    of_every, of_some = (torch.split(pair_noise(b, generator), sizes_of(b)) for b in (every, some))
    for place, crystal in enumerate((30, 4, 11)):
        assert torch.equal(of_some[place], of_every[crystal])
        assert crystal_noise(some, generator)[place] == crystal_noise(every, generator)[crystal]


def sizes_of(batch: object) -> list[int]:
    return torch.bincount(batch.crystal[batch.row], minlength=len(batch)).tolist()  # type: ignore[attr-defined]


def test_noise_is_normal_and_independent_between_seeds_crystals_and_pairs() -> None:
    batch = collate(bundled_points(200), np.arange(200))
    one, other = (pair_noise(batch, seeded(seed << 32)).numpy() for seed in (1, 2))
    assert len(one) > 5000
    assert kstest(one, "norm").pvalue > 0.01
    assert kstest(crystal_noise(batch, seeded(1 << 32)).numpy(), "norm").pvalue > 0.01
    for a, b in ((one, other), (one[1:], one[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(len(a))
    assert len(np.unique(one)) > 0.99 * len(one)


def test_the_generator_is_not_used_up() -> None:
    batch, generator = collate(bundled_points(40), np.arange(3)), seeded(5)
    before = generator.get_state()
    pair_noise(batch, generator)
    assert torch.equal(generator.get_state(), before)
