"""What is suggested: against refits with the crystals that were chosen, and in simple cases."""

import numpy as np
import pytest

from skdim.evaluation import KernelRidgeCV, suggest
from skdim.evaluation._suggestion import _covariance, expected_improvement
from skdim.exceptions import InputError

RNG = np.random.default_rng(0)
KNOWN = RNG.normal(size=(20, 3))
Y = KNOWN[:, 0] + 0.1 * RNG.normal(size=20)
POOL = RNG.normal(size=(30, 3))


def variances(rows: np.ndarray) -> np.ndarray:
    """Variances over the pool once some of it are measured, by a fit with the same strength."""
    model = KernelRidgeCV("matern", cv=None, choice="likelihood").fit(KNOWN, Y)
    more = KernelRidgeCV("matern")
    more.rows_ = np.concatenate([KNOWN, POOL[rows]])
    more.weights_, more.alpha_, more.gamma_ = np.ones(len(more.rows_)), model.alpha_, model.gamma_
    more.scale_ = model.scale_
    return np.diag(_covariance(more, POOL))


def test_each_pick_lowers_the_variances_of_the_pool_by_most() -> None:
    chosen = suggest(KNOWN, Y, POOL, n=3).tolist()
    for turn in range(3):
        before = chosen[:turn]
        sums = {row: variances(np.array([*before, row])).sum() for row in range(30) if row not in before}
        assert min(sums, key=sums.get) == chosen[turn]


def test_the_first_for_the_best_value_has_the_highest_expected_improvement() -> None:
    model = KernelRidgeCV("matern", cv=None, choice="likelihood").fit(KNOWN, Y)
    mean = model.predict(POOL)
    gain = expected_improvement(mean, np.sqrt(variances(np.array([], int))), model.predict(KNOWN).max())
    assert suggest(KNOWN, Y, POOL, n=1, goal="best")[0] == np.argmax(gain)


def test_expected_improvement_is_the_mean_of_what_exceeds_the_best() -> None:
    samples = np.random.default_rng(1).normal(0.3, 0.7, 400_000)
    expected = np.maximum(samples - 0.5, 0).mean()
    assert expected_improvement(np.array([0.3]), np.array([0.7]), 0.5)[0] == pytest.approx(expected, rel=0.01)


def test_the_smallest_is_sought_as_the_largest_of_the_negative() -> None:
    down = suggest(KNOWN, Y, POOL, n=5, goal="best", maximize=False)
    assert down.tolist() == suggest(KNOWN, -Y, POOL, n=5, goal="best").tolist()


@pytest.mark.parametrize("goal", ["information", "best", "both"])
def test_no_crystal_is_chosen_twice_and_the_whole_pool_can_be(goal: str) -> None:
    assert sorted(suggest(KNOWN, Y, POOL, n=30, goal=goal)) == list(range(30))


def test_a_copy_of_what_was_chosen_is_not_chosen_next() -> None:
    far = np.concatenate([np.full((2, 3), 4.0), POOL])
    chosen = suggest(KNOWN, Y, far, n=5).tolist()
    assert not {0, 1} <= set(chosen)


def test_what_is_not_accepted() -> None:
    with pytest.raises(InputError, match="n must be at most 30, the number of crystals in the pool, got 31"):
        suggest(KNOWN, Y, POOL, n=31)
    with pytest.raises(ValueError, match="goal"):
        suggest(KNOWN, Y, POOL, goal="luck")
