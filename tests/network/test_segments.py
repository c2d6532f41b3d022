"""Ragged sums, softmaxes, moments and k-softmax against loops over plain lists."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skdim.network.segments import (
    mean_and_covariance,
    reaches_kth,
    runs_of,
    segment_logsumexp,
    segment_max,
    segment_softmax,
    segment_sum,
    weighted_moments,
)
from tests.small import random

ragged = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def index_of(sizes: list[int]) -> torch.Tensor:
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


@given(ragged, st.integers(1, 3), st.integers(0, 50))
@settings(max_examples=25)
def test_sums_maxima_and_softmaxes_are_those_of_loops(sizes: list[int], columns: int, seed: int) -> None:
    index = index_of(sizes)
    values = 5 * random(len(index), columns, seed=seed)
    total, top = segment_sum(values, index, len(sizes)), segment_max(values, index, len(sizes))
    share, log_partition = segment_softmax(values, index, len(sizes))
    for s in range(len(sizes)):
        own = [k for k in range(len(index)) if int(index[k]) == s]
        for c in range(columns):
            raised = [math.exp(float(values[k, c])) for k in own]
            assert float(total[s, c]) == pytest.approx(math.fsum(float(values[k, c]) for k in own), abs=1e-12)
            assert float(top[s, c]) == max(float(values[k, c]) for k in own)
            assert float(log_partition[s, c]) == pytest.approx(math.log(sum(raised)))
            assert [float(share[k, c]) for k in own] == pytest.approx([r / sum(raised) for r in raised])


def test_softmax_bears_large_logits_and_leaves_closed_ones_out() -> None:
    logits = torch.tensor([[1e4], [1e4 - 1.0], [-math.inf], [-1e4], [-1e4]])
    share, log_partition = segment_softmax(logits, torch.tensor([0, 0, 0, 1, 1]), 2)
    first = 1 / (1 + math.exp(-1))
    assert share[:, 0].tolist() == pytest.approx([first, 1 - first, 0.0, 0.5, 0.5])
    assert log_partition[1, 0].item() == pytest.approx(-1e4 + math.log(2))


def test_the_gradient_of_the_log_partition_is_the_softmax() -> None:
    index = index_of([3, 1, 4])
    values = random(len(index)).requires_grad_()
    (gradient,) = torch.autograd.grad(segment_logsumexp(values, index, 3).sum(), values)
    assert torch.allclose(gradient, segment_softmax(values.detach()[:, None], index, 3)[0][:, 0])


def kept_by_sorting(logits: list[float], counts: list[int], k: int) -> list[bool]:
    """Write every copy out, keep the k largest, and all that tie with the last of them."""
    copies = sorted((v for v, n in zip(logits, counts, strict=True) for _ in range(n)), reverse=True)
    return [v >= copies[min(k, len(copies)) - 1] for v in logits]


@given(ragged, st.integers(1, 12), st.integers(0, 50))
@settings(max_examples=40)
def test_the_k_largest_are_counted_with_their_copies_and_keep_their_ties(sizes: list[int], k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = index_of(sizes)
    # Few distinct values, so that there are ties.
    logits = torch.from_numpy(rng.integers(-3, 4, (len(index), 2)) * 0.37)
    counts = torch.from_numpy(rng.integers(1, 4, len(index)))
    kept = reaches_kth(logits, counts, index, len(sizes), k)
    for s in range(len(sizes)):
        own = index == s
        for c in range(2):
            assert kept[own, c].tolist() == kept_by_sorting(logits[own, c].tolist(), counts[own].tolist(), k)


def test_keeping_more_than_there_are_keeps_all() -> None:
    index = index_of([2, 5])
    assert reaches_kth(random(7, 3), torch.ones(7), index, 2, 100).all()


@given(ragged, st.integers(0, 50))
@settings(max_examples=25)
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
@settings(max_examples=25)
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
