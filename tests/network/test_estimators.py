"""The three estimators and the divergence against loops over the formulas, and what their optima must be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from skdim.network.estimators import ESTIMATORS, Scores, donsker_varadhan, gaussian_kl, info_nce, jensen_shannon
from tests.daily import examples
from tests.small import random

ragged = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5)

# Probabilities of five things among the true samples and among the false ones.
P = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1], dtype=torch.float64)
N = torch.tensor([0.1, 0.2, 0.3, 0.2, 0.2], dtype=torch.float64)


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def slow_jsd(true: list[tuple[float, float]], false: list[tuple[float, float]], n_false: float) -> float:
    return sum(w * softplus(-t) for t, w in true) + sum(w * softplus(t) for t, w in false)


def slow_dv(true: list[tuple[float, float]], false: list[tuple[float, float]], n_false: float) -> float:
    return math.log(sum(w * math.exp(t) for t, w in false)) - sum(w * t for t, w in true)


def slow_infonce(true: list[tuple[float, float]], false: list[tuple[float, float]], n_false: float) -> float:
    crowd = n_false * sum(w * math.exp(t) for t, w in false)
    return -sum(w * (t - math.log(crowd + math.exp(t))) for t, w in true)


SLOW = {"jsd": slow_jsd, "dv": slow_dv, "infonce": slow_infonce}


def scores_of(sizes: list[int], seed: int) -> Scores:
    anchor = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    weight = random(len(anchor), seed=seed).exp()
    total = torch.zeros(len(sizes), dtype=torch.float64).index_add(0, anchor, weight)
    return Scores(3 * random(len(anchor), seed=seed + 1), weight / total[anchor], anchor)


def of_anchor(scores: Scores, a: int) -> list[tuple[float, float]]:
    own = [k for k in range(len(scores.anchor)) if int(scores.anchor[k]) == a]
    return [(float(scores.value[k]), float(scores.weight[k])) for k in own]


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
@given(sizes=ragged, seed=st.integers(0, 99))
@examples(25)
def test_each_estimator_is_its_formula(name: str, sizes: list[tuple[int, int]], seed: int) -> None:
    true, false = scores_of([n for n, _ in sizes], seed), scores_of([n for _, n in sizes], seed + 7)
    n_false = random(len(sizes), seed=seed).exp()
    loss = ESTIMATORS[name](true, false, len(sizes), n_false)
    slow = [SLOW[name](of_anchor(true, a), of_anchor(false, a), float(n_false[a])) for a in range(len(sizes))]
    assert loss.tolist() == pytest.approx(slow)


def among(critic: torch.Tensor, name: str, n_false: float = 1.0) -> torch.Tensor:
    """Loss of a critic of the five things."""
    anchor = torch.zeros(5, dtype=torch.long)
    crowd = torch.tensor([n_false], dtype=torch.float64)
    return ESTIMATORS[name](Scores(critic, P, anchor), Scores(critic, N, anchor), 1, crowd)[0]


def test_the_jensen_shannon_critic_is_best_at_the_log_density_ratio() -> None:
    best = (P / N).log().requires_grad_()
    loss = among(best, "jsd")
    (gradient,) = torch.autograd.grad(loss, best)
    assert gradient.abs().max() < 1e-12
    middle = (P + N) / 2
    divergence = 0.5 * (P * (P / middle).log()).sum() + 0.5 * (N * (N / middle).log()).sum()
    assert loss.item() == pytest.approx(2 * math.log(2) - 2 * divergence.item())
    assert all(among(best + 0.1 * random(5, seed=k), "jsd") > loss for k in range(10))


def test_the_donsker_varadhan_bound_reaches_the_divergence_up_to_any_constant() -> None:
    divergence = (P * (P / N).log()).sum().item()
    for constant in (-3.0, 0.0, 5.0):
        assert -among((P / N).log() + constant, "dv").item() == pytest.approx(divergence)
    assert all(-among((P / N).log() + 0.1 * random(5, seed=k), "dv") < divergence for k in range(10))


def test_infonce_cannot_say_more_than_the_logarithm_of_its_samples() -> None:
    assert among(torch.full((5,), 2.0, dtype=torch.float64), "infonce", 7.0).item() == pytest.approx(math.log(8.0))
    critic = random(5)
    assert among(critic, "infonce", 7.0).item() == pytest.approx(among(critic + 4.0, "infonce", 7.0).item())
    anchor = torch.zeros(1, dtype=torch.long)
    sure = Scores(torch.tensor([50.0]), torch.ones(1), anchor)
    assert info_nce(sure, Scores(torch.tensor([-50.0]), torch.ones(1), anchor), 1, torch.tensor([9.0])).item() < 1e-6


@pytest.mark.parametrize("estimator", [jensen_shannon, donsker_varadhan, info_nce])
def test_two_samples_of_half_the_weight_are_one_sample(estimator: object) -> None:
    one = Scores(torch.tensor([0.3, -1.0]), torch.tensor([0.6, 0.4]), torch.tensor([0, 0]))
    two = Scores(torch.tensor([0.3, 0.3, -1.0]), torch.tensor([0.2, 0.4, 0.4]), torch.tensor([0, 0, 0]))
    n_false = torch.tensor([3.0])
    assert estimator(one, one, 1, n_false) == pytest.approx(estimator(two, two, 1, n_false))  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_large_scores_stay_finite(name: str) -> None:
    for size in (1e3, -1e3):
        critic = torch.full((5,), size, dtype=torch.float64).requires_grad_()
        loss = among(critic, name)
        (gradient,) = torch.autograd.grad(loss, critic)
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_the_divergence_is_zero_at_the_unit_gaussian_and_that_of_torch_elsewhere() -> None:
    assert gaussian_kl(torch.zeros(3, 4), torch.zeros(3, 4)).tolist() == [0.0, 0.0, 0.0]
    mean, log_variance = random(3, 4), random(3, 4, seed=1)
    unit = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    slow = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), unit).mean(1)
    assert torch.allclose(gaussian_kl(mean, log_variance), slow)
    assert (gaussian_kl(mean, log_variance) > 0).all()
