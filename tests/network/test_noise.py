"""Noise that is drawn for a crystal and not for a batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from skdim.network.batches import Batch, collate
from skdim.network.noise import Noise, crystal_noise, pair_noise
from tests.small import bundled_points, noise

WORD = 2**64 - 1


def splitmix(value: int) -> int:
    """The finalizer as published, in whole numbers without a bound."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & WORD
    return value ^ value >> 31


def twin(key: int, crystal: int, number: int | None) -> float:
    """One number from the formulas: hash, then Box and Muller."""
    step = 0x9E3779B97F4A7C15
    bits = splitmix(splitmix(crystal * step + key & WORD) + key & WORD)
    if number is not None:
        bits = splitmix(bits + (number + 1) * step & WORD)
    radius = math.sqrt(-2 * math.log(((bits >> 32) + 0.5) / 2**32))
    return radius * math.cos(2 * math.pi * (bits & 2**32 - 1) / 2**32)


@pytest.mark.parametrize("key", [0, 1 << 8, (1 << 31) + 5, 2**32 - 1])
def test_noise_is_the_published_hash_of_key_crystal_and_pair(key: int) -> None:
    crystals = np.array([7, 2, 31])
    batch, drawn = collate(bundled_points(40), crystals), noise(key)
    expected = [twin(key, c, None) for c in crystals.tolist()]
    np.testing.assert_allclose(crystal_noise(batch, drawn), expected, atol=2e-4)
    n_pairs = bundled_points(40).n_pairs[crystals].tolist()
    pairs = [twin(key, c, k) for c, n in zip(crystals.tolist(), n_pairs, strict=True) for k in range(n)]
    np.testing.assert_allclose(pair_noise(batch, drawn), pairs, atol=2e-4)


def test_a_crystal_has_its_noise_in_any_batch() -> None:
    points, drawn = bundled_points(40), noise(8)
    every, some = collate(points, np.arange(40)), collate(points, np.array([30, 4, 11]))
    of_every, of_some = (torch.split(pair_noise(b, drawn), sizes_of(b)) for b in (every, some))
    for place, crystal in enumerate((30, 4, 11)):
        assert torch.equal(of_some[place], of_every[crystal])
        assert crystal_noise(some, drawn)[place] == crystal_noise(every, drawn)[crystal]


def sizes_of(batch: Batch) -> list[int]:
    sizes: list[int] = torch.bincount(batch.crystal[batch.row], minlength=len(batch)).tolist()
    return sizes


def test_noise_is_normal_and_independent_between_keys_crystals_and_pairs() -> None:
    batch = collate(bundled_points(200), np.arange(200))
    one, other = (pair_noise(batch, noise(key)).numpy() for key in (1, 2))
    assert len(one) > 5000
    assert kstest(one, "norm").pvalue > 0.01
    assert kstest(crystal_noise(batch, noise(1)).numpy(), "norm").pvalue > 0.01
    for a, b in ((one, other), (one[1:], one[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(len(a))
    assert len(np.unique(one)) > 0.99 * len(one)


def test_noise_of_crystals_leaves_the_generator_as_it_was() -> None:
    batch, drawn = collate(bundled_points(40), np.arange(3)), noise(5)
    before = drawn.generator.get_state()
    pair_noise(batch, drawn)
    assert torch.equal(drawn.generator.get_state(), before)


def test_epochs_have_noise_of_their_own_and_processes_share_that_of_crystals() -> None:
    epochs = [
        Noise.of_epoch(seed, epoch, training) for seed in (0, 1) for epoch in (0, 1) for training in (False, True)
    ]
    assert len({one.key for one in epochs}) == len({one.generator.initial_seed() for one in epochs}) == 8
    processes = [Noise.of_epoch(3, 2, True, rank) for rank in range(4)]
    assert len({one.key for one in processes}) == 1
    assert len({one.generator.initial_seed() for one in processes}) == 4
