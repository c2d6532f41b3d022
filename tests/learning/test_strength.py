"""How far to go from one prediction to another: limits, an obvious twin, and that noise is not taken for a gain."""

import numpy as np
import pytest

from skdim.learning.finetuning import choose_strength


def obvious(targets, base, tuned, weights, power, sure) -> float:
    """Try every step of one target, each with loops."""
    shares, best = weights / weights.sum(), (0.0, 0.0)
    before = sum(w * abs(t - b) ** power for w, t, b in zip(shares, targets, base, strict=True))
    for step in np.linspace(0, 1, 21):
        gains = [
            abs(t - b) ** power - abs(t - b - step * (f - b)) ** power
            for t, b, f in zip(targets, base, tuned, strict=True)
        ]
        gain = sum(w * g for w, g in zip(shares, gains, strict=True))
        doubt = sum((w * (g - gain)) ** 2 for w, g in zip(shares, gains, strict=True)) ** 0.5
        worth = gain - sure * doubt + 0.04 * step * (1 - step) * before
        if worth > best[0] + 1e-15:
            best = (worth, step)
    return best[1]


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("sure", [0.0, 1.0])
def test_it_is_what_trying_every_step_gives(power: int, sure: float) -> None:
    rng = np.random.default_rng(power)
    targets, weights = rng.normal(size=(30, 4)), rng.uniform(0.5, 2, 30)
    base = targets + rng.normal(size=(30, 4))
    tuned = base + (targets - base) * [0.1, 0.5, 1.0, -0.2] + 0.3 * rng.normal(size=(30, 4))
    found = choose_strength(targets, base, tuned, weights, power, sure)
    assert len(set(found)) > 2
    for column in range(4):
        each = (table[:, column] for table in (targets, base, tuned))
        assert found[column] == pytest.approx(obvious(*each, weights, power, sure))


def test_a_sure_gain_is_taken_whole_and_none_leaves_the_base() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(100, 3))
    base = targets + 1
    tuned = np.stack([targets[:, 0], base[:, 1], targets[:, 2] + 2], 1)  # perfect, the same, worse
    assert choose_strength(targets, base, tuned, np.ones(100)).tolist() == [1, 0, 0]


def test_noise_is_rarely_taken_for_a_gain_and_costs_little() -> None:
    # The tuned prediction departs from the base by noise alone: whatever is chosen can only lose.
    rng = np.random.default_rng(0)
    lost = {sure: [] for sure in (0.0, 1.0)}
    for _ in range(200):
        residual, noise = rng.normal(size=(2, 50, 1))
        for sure, losses in lost.items():
            strength = choose_strength(residual, np.zeros((50, 1)), 0.4 * noise, np.ones(50), 1, sure)[0]
            losses.append(np.sqrt(1 + (0.4 * strength) ** 2) - 1)  # of the expected error, as all is normal
    assert np.mean(lost[1.0]) < 0.006
    assert np.mean(lost[1.0]) < 0.6 * np.mean(lost[0.0])
