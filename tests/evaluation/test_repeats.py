"""Random choices of labels: paired, distinct, and refused where they cannot be made."""

import numpy as np
import pytest

from skdim.evaluation._repeats import draw_repeats


def test_a_draw_depends_on_the_seed_and_its_own_number_alone():
    pool = np.arange(0, 900, 3)
    some, more = draw_repeats(pool, [50], 2, 0), draw_repeats(pool, [20, 50, 100], {20: 1, 50: 4, 100: 1}, 0)
    again = [repeat for repeat in more if repeat.labels == 50][:2]
    assert all((a.rows == b.rows).all() and a.seed == b.seed for a, b in zip(some, again, strict=True))
    other = draw_repeats(pool, [50], 2, 1)
    assert (some[0].rows != other[0].rows).any()
    assert (some[0].rows != some[1].rows).any()


def test_repeats_are_distinct_rows_of_the_pool_and_every_row_is_drawn_as_often():
    pool = np.arange(100, 140)
    drawn = np.array([repeat.rows for repeat in draw_repeats(pool, [10], 400, 0)])
    assert all(len(set(rows)) == 10 for rows in drawn.tolist())
    counts = np.bincount(drawn.ravel() - 100, minlength=40)
    assert counts.sum() == 4000  # so none is from outside
    # Binomial with mean 100 and deviation 8.7: five deviations.
    assert np.abs(counts - 100).max() < 44


@pytest.mark.parametrize(
    ("counts", "n_repeats", "message"),
    [
        ([30, 500], 2, r"label_counts must be integers from 5 .*to 40 .*got \[30, 500\]"),
        ([4], 2, r"from 5 .*cv=5.*got \[4\]"),
        ([0.5], 2, r"got \[0.5\]"),
        ([], 2, r"got \[\]"),
        ([10, 20, 10], 2, r"label_counts must be distinct, got \[10, 20, 10\]"),
        ([10], 0, "n_repeats must be an integer >= 1.*got 0"),
        ([10, 20], {10: 3}, r"got \{10: 3\}"),
    ],
)
def test_repeats_refuse_what_cannot_be_drawn(counts, n_repeats, message):
    with pytest.raises(ValueError, match=message):
        draw_repeats(np.arange(40), counts, n_repeats, 0, cv=5)


@pytest.mark.parametrize("cv", [0, 1, 2.5])
def test_repeats_refuse_folds_that_nothing_can_be_cut_into(cv):
    with pytest.raises(ValueError, match=f"cv must be None or an integer >= 2, got {cv}"):
        draw_repeats(np.arange(40), [10], 1, 0, cv=cv)
