"""What is suggested: against refits with the crystals that were chosen, and in simple cases."""

import numpy as np
import pytest

from skdim.evaluation import KernelRidgeCV, suggest
from skdim.evaluation._suggestion import Shortlist, _covariance, expected_improvement
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


@pytest.mark.slow
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


def test_values_are_those_of_the_model_that_is_given_and_what_cannot_be_best_comes_last() -> None:
    values = -Y.max() + np.linspace(0, 1, 30)  # far below the best label
    ends = np.column_stack([values, values - 1, values + 1])
    can = np.array([3, 7, 11])
    ends[can, 2] = Y.max() + 0.1
    assert set(suggest(KNOWN, Y, POOL, n=3, goal="best", predicted=ends).tolist()) == set(can)
    down = ends[:, [0, 2, 1]] * -1
    assert set(suggest(KNOWN, -Y, POOL, n=3, goal="best", maximize=False, predicted=down).tolist()) == set(can)
    assert suggest(KNOWN, Y, POOL, n=4, goal="both", predicted=ends)[0] in can
    sure = np.column_stack([values] * 3)
    sure[20] = Y.max() + 5
    assert suggest(KNOWN, Y, POOL, n=1, goal="best", predicted=sure).tolist() == [20]


def test_of_a_large_pool_those_that_can_be_best_are_looked_at(monkeypatch) -> None:
    monkeypatch.setattr("skdim.evaluation._suggestion._MOST", 5)
    ends = np.tile([Y.max() - 0.5, Y.max() - 1, Y.max() - 0.1], (30, 1))
    ends[13] = [Y.max() - 2, Y.max() - 3, Y.max() + 0.1]
    assert suggest(KNOWN, Y, POOL, n=1, goal="best", predicted=ends).tolist() == [13]


def test_a_large_pool_is_predicted_in_blocks(monkeypatch) -> None:
    whole, rows, predict = suggest(KNOWN, Y, POOL, n=3), [], KernelRidgeCV.predict
    monkeypatch.setattr("skdim.evaluation._suggestion.ENTRIES", 100)
    monkeypatch.setattr(
        KernelRidgeCV, "predict", lambda self, X, *std, **k: rows.append(len(X)) or predict(self, X, *std, **k)
    )
    assert suggest(KNOWN, Y, POOL.astype(np.float32), n=3).tolist() == whole.tolist()
    assert rows == [20] + [5] * 6  # the first are the labelled ones


def test_for_information_a_sample_stands_for_a_large_pool(monkeypatch) -> None:
    monkeypatch.setattr("skdim.evaluation._suggestion._MOST", 100)
    rng = np.random.default_rng(0)
    few, many = rng.normal(9, 1, size=(20, 2)), rng.normal(3, 0.1, size=(980, 2))
    pool = np.concatenate([few, many])  # of the few far away, the process is least sure
    known, y = np.zeros((10, 2)) + rng.normal(size=(10, 2)) * 0.1, rng.normal(size=10)
    shortlist = Shortlist(known, y, 1, "information", True)
    rows = shortlist.add(pool, None)
    assert len(rows) == 100
    assert 0 <= (rows < 20).sum() <= 8  # a fiftieth of a pool is about a fiftieth of the sample
    assert shortlist.pool[shortlist.choose()][0, 0] < 4  # where most are
    promising = Shortlist(known, y, 1, "both", True)
    both = promising.add(pool, np.column_stack([pool[:, 1]] * 3))
    assert set(np.argsort(-pool[:, 1] - 2 * promising.model.predict(pool, return_std=True)[1])[:50]) <= set(both)


@pytest.mark.parametrize("goal", ["information", "best", "both"])
def test_a_pool_that_comes_in_parts_is_chosen_from_as_a_whole(goal: str, monkeypatch) -> None:
    monkeypatch.setattr("skdim.evaluation._suggestion._MOST", 7)
    values = np.random.default_rng(1).normal(size=30)
    ends = np.column_stack([values, values - 1, values + 1])
    whole = suggest(KNOWN, Y, POOL, n=4, goal=goal, predicted=ends).tolist()
    for size in (1, 4, 29):
        shortlist, rows = Shortlist(KNOWN, Y, 4, goal, True), np.empty(0, np.int64)
        for start in range(0, 30, size):
            part = np.arange(start, min(start + size, 30))
            rows = np.concatenate([rows, part])[shortlist.add(POOL[part], ends[part])]
            assert len(rows) == len(shortlist.pool) <= 7
            np.testing.assert_array_equal(shortlist.pool, POOL[rows])
        assert rows[shortlist.choose()].tolist() == whole


def test_what_is_not_accepted() -> None:
    with pytest.raises(InputError, match="n must be at most 30, the number of crystals in the pool, got 31"):
        suggest(KNOWN, Y, POOL, n=31)
    with pytest.raises(InputError, match=r"predicted must have .* shape \(30, 3\), got \(30,\)"):
        suggest(KNOWN, Y, POOL, predicted=np.zeros(30))
    with pytest.raises(ValueError, match="goal"):
        suggest(KNOWN, Y, POOL, goal="luck")
