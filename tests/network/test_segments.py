"""Ragged sums, softmaxes and moments against loops over plain lists."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdim.network.segments import (
    mean_and_covariance,
    run_max,
    run_sum,
    runs_of,
    segment_exp,
    segment_logsumexp,
    segment_max,
    segment_softmax,
    segment_sum,
    weighted_moments,
    weighted_sum,
)
from tests.daily import examples
from tests.small import random

ragged = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def index_of(sizes: list[int]) -> torch.Tensor:
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


@given(ragged, st.integers(1, 3), st.integers(0, 50))
@examples(25)
def test_sums_maxima_and_softmaxes_are_those_of_loops(sizes: list[int], columns: int, seed: int) -> None:
    index = index_of(sizes)
    values = 5 * random(len(index), columns, seed=seed)
    total, top = segment_sum(values, index, len(sizes)), segment_max(values, index, len(sizes))
    share, log_partition = segment_softmax(values, index, len(sizes))
    assert torch.equal(run_max(values, index, len(sizes)), top)
    for s in range(len(sizes)):
        own = [k for k in range(len(index)) if int(index[k]) == s]
        for c in range(columns):
            raised = [math.exp(float(values[k, c])) for k in own]
            assert float(total[s, c]) == pytest.approx(math.fsum(float(values[k, c]) for k in own), abs=1e-12)
            assert float(top[s, c]) == max(float(values[k, c]) for k in own)
            assert float(log_partition[s, c]) == pytest.approx(math.log(sum(raised)))
            assert [float(share[k, c]) for k in own] == pytest.approx([r / sum(raised) for r in raised])


def test_softmax_holds_for_large_logits_and_leaves_closed_ones_out() -> None:
    logits = torch.tensor([[1e4], [1e4 - 1.0], [-math.inf], [-1e4], [-1e4]])
    share, log_partition = segment_softmax(logits, torch.tensor([0, 0, 0, 1, 1]), 2)
    first = 1 / (1 + math.exp(-1))
    assert share[:, 0].tolist() == pytest.approx([first, 1 - first, 0.0, 0.5, 0.5])
    assert log_partition[1, 0].item() == pytest.approx(-1e4 + math.log(2))


@pytest.mark.parametrize("moderate", [False, True])
def test_large_logits_of_one_segment_change_no_other_segment(moderate: bool) -> None:
    """Whether exponentials are lowered is decided by segment, so that no result depends on its company."""
    values, index = random(5, 2).float(), index_of([3, 2])
    alone = segment_softmax(values[:3], index[:3], 1)
    company = values if moderate else torch.cat([values[:3], 1e3 * values[3:]])
    together = segment_softmax(company, index, 2)
    assert torch.equal(together[0][:3], alone[0])
    assert torch.equal(together[1][:1], alone[1])


@pytest.mark.parametrize("level", [-55.0, 0.0, 55.0])
def test_gradients_of_a_softmax_do_not_depend_on_the_level_of_its_logits(level: float) -> None:
    """Where all neighbours have tiny weights, single precision cannot hold the square of their sum."""
    values, index, weight = random(4).float()[:, None], index_of([3, 1]), random(4, seed=1).float()[:, None]

    def gradient(moved: float) -> torch.Tensor:
        logits = (values + moved).requires_grad_()
        raised, top = segment_exp(logits, index, 2)
        total = segment_sum(raised, index, 2)
        shares = (raised * weight) * total.reciprocal().index_select(0, index)
        return torch.autograd.grad(shares.sum() + (total.log() + top).sum(), logits)[0]

    assert torch.allclose(gradient(level), gradient(0.0), atol=1e-5)


@given(ragged, st.integers(0, 50))
@examples(25)
def test_the_logarithm_of_sums_takes_values_in_any_order(sizes: list[int], seed: int) -> None:
    index = index_of(sizes)
    values = 40 * random(len(index), seed=seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(index)))
    slow = torch.stack([torch.logsumexp(values[index == s], 0) for s in range(len(sizes))])
    assert torch.allclose(segment_logsumexp(values[order], index[order], len(sizes)), slow)


def test_the_gradient_of_the_log_partition_is_the_softmax() -> None:
    index = index_of([3, 1, 4])
    values = random(len(index)).requires_grad_()
    (gradient,) = torch.autograd.grad(segment_logsumexp(values, index, 3).sum(), values)
    assert torch.allclose(gradient, segment_softmax(values.detach()[:, None], index, 3)[0][:, 0])


@given(ragged, st.integers(0, 50))
@examples(25)
def test_moments_are_those_of_the_sites_written_out(sizes: list[int], seed: int) -> None:
    index = index_of(sizes)
    values = random(len(index), 2, seed=seed)
    copies = torch.from_numpy(np.random.default_rng(seed).integers(1, 5, len(index)))
    weight = copies.double() / segment_sum(copies, index, len(sizes))[index]
    moments = torch.cat(weighted_moments(values, weight, runs_of(index, len(sizes))), 1)
    for s in range(len(sizes)):
        sites = values[index == s].repeat_interleave(copies[index == s], 0).numpy()
        mean = sites.mean(0)
        slow = np.concatenate([mean, np.abs(sites - mean).mean(0), sites.min(0), sites.max(0)])
        assert moments[s].numpy() == pytest.approx(slow, abs=1e-12)


@given(ragged, st.integers(0, 50))
@examples(25)
def test_the_covariance_is_that_of_the_sites_written_out(sizes: list[int], seed: int) -> None:
    index = index_of(sizes)
    values, other = random(len(index), 2, seed=seed), random(len(index), seed=seed + 1)
    copies = torch.from_numpy(np.random.default_rng(seed).integers(1, 5, len(index)))
    weight = copies.double() / segment_sum(copies, index, len(sizes))[index]
    moments = torch.cat(mean_and_covariance([values], other, weight, runs_of(index, len(sizes))), 1)
    for s in range(len(sizes)):
        own = index == s
        sites = torch.cat([values, other.unsqueeze(1)], 1)[own].repeat_interleave(copies[own], 0).numpy()
        slow = np.concatenate([sites[:, :2].mean(0), np.cov(sites.T, bias=True)[:2, 2]])
        assert moments[s].numpy() == pytest.approx(slow, abs=1e-12)


def test_sums_of_long_segments_keep_their_digits_and_short_ones_beside_them_their_bits() -> None:
    sizes = [3, 5000, 0, 64, 65, 1]
    index = index_of(sizes)
    values, weight = random(len(index), 3).abs(), random(len(index), seed=1).abs()
    runs = runs_of(index, len(sizes))
    exact = segment_sum(values * weight[:, None], index, len(sizes))
    for found in (run_sum(values * weight[:, None], runs), weighted_sum(values, weight, runs)):
        assert torch.allclose(found, exact, rtol=1e-13)
    values, weight = values.float(), weight.float()
    exact = segment_sum(values.double() * weight.double()[:, None], index, len(sizes))
    for found in (run_sum(values * weight[:, None], runs), weighted_sum(values, weight, runs)):
        assert torch.allclose(found.double(), exact, rtol=1e-6)
    first = index == 0
    alone = weighted_sum(values[first], weight[first], runs_of(index[first], 1))
    assert torch.equal(weighted_sum(values, weight, runs)[:1], alone)
