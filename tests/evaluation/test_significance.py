"""Tests of paired differences: a hand calculation, scipy's twins, limits, and how often they are wrong."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_1samp

from skdim.evaluation import (
    choose_features,
    choose_regressor,
    comparable_regressors,
    compare,
    corrected_t_test,
    holm,
    paired_tests,
)
from tests.daily import examples
from tests.evaluation.toy import handmade

NUMBERS = st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=2, max_size=12)


def test_the_corrected_t_is_that_of_a_calculation_by_hand():
    # Mean 2, variance 1, three repeats, correlation 1/4: variance of the mean (1/3 + 1/3) * 1, so t = 2 / sqrt(2/3).
    result = corrected_t_test([1.0, 2.0, 3.0], overlap=0.25)
    assert result["t"] == pytest.approx(2 / np.sqrt(2 / 3))
    # Student's t with two degrees of freedom: P(|T| > t) = 1 - t / sqrt(2 + t^2), here t^2 = 6.
    assert result["p"] == pytest.approx(1 - np.sqrt(6 / 8))
    assert result["high"] - 2 == pytest.approx(4.302653 * np.sqrt(2 / 3), rel=1e-6)
    assert 2 - result["low"] == pytest.approx(result["high"] - 2)


@examples(40)
@given(NUMBERS)
def test_without_overlap_it_is_the_paired_t_test(values):
    if np.ptp(values) < 1e-3:
        values = [*values, values[0] + 1]
    result, twin = corrected_t_test(values), ttest_1samp(values, 0)
    interval = twin.confidence_interval(0.95)
    assert (result["t"], result["p"]) == pytest.approx((twin.statistic, twin.pvalue))
    assert (result["low"], result["high"]) == pytest.approx((interval.low, interval.high))


@examples(20)
@given(NUMBERS, st.floats(0.01, 0.9))
def test_overlap_widens_the_interval_and_turns_with_the_sign(values, overlap):
    plain, corrected = corrected_t_test(values), corrected_t_test(values, overlap)
    turned = corrected_t_test([-v for v in values], overlap)
    assert corrected["low"] <= plain["low"] <= plain["mean"] <= plain["high"] <= corrected["high"]
    assert corrected["p"] >= plain["p"]
    assert (turned["low"], turned["high"], turned["p"]) == (-corrected["high"], -corrected["low"], corrected["p"])


def test_equal_differences_decide_by_whether_they_are_zero_and_one_draw_decides_nothing():
    zero, other, single = corrected_t_test([0.0] * 4), corrected_t_test([0.2] * 4), corrected_t_test([0.2])
    assert (zero["p"], zero["low"], zero["high"]) == (1, 0, 0)
    assert (other["p"], other["low"], other["high"]) == (0, 0.2, 0.2)
    assert single["mean"] == 0.2
    assert np.isnan([single[name] for name in ("p", "t", "low", "high")]).all()


@pytest.mark.parametrize(
    ("values", "overlap", "message"),
    [
        ([], 0, "differences"),
        ([1.0, np.nan], 0, "finite"),
        ([1.0, 2.0], 1.0, "overlap must be .* got 1.0"),
        ([1.0], -0.1, "overlap"),
    ],
)
def test_what_cannot_be_tested_is_refused(values, overlap, message):
    with pytest.raises(ValueError, match=message):
        corrected_t_test(values, overlap)


def wrong_rejections(correct, n_pools=1000, pool=60, labels=30, n_repeats=15):
    """How often repeats from pools of mean zero are taken for those of another mean, at the level of 5%."""
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(n_pools):
        values = rng.normal(size=pool)
        means = [values[rng.permutation(pool)[:labels]].mean() for _ in range(n_repeats)]
        wrong += corrected_t_test(means, labels / pool if correct else 0.0)["p"] < 0.05
    return wrong / n_pools


@pytest.mark.slow
def test_repeats_from_one_pool_are_taken_for_independent_without_the_correction_and_not_with_it():
    # The standard error of the 5% is 0.7%.
    assert 0.03 < wrong_rejections(correct=True) < 0.07
    assert wrong_rejections(correct=False) > 0.4


def slow_holm(p):
    """Reject the smallest first; the adjusted value is the largest factor times value met so far."""
    order, adjusted, worst = sorted(range(len(p)), key=lambda k: p[k]), [0.0] * len(p), 0.0
    for rank, k in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[k]))
        adjusted[k] = worst
    return adjusted


@examples(40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_its_loop_and_lies_between_bonferroni_and_the_false_discovery_rate(p):
    adjusted = holm(p)
    assert adjusted == pytest.approx(slow_holm(p))
    assert (adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-12).all()
    assert (adjusted >= false_discovery_control(p) - 1e-12).all()


def test_holm_leaves_out_tests_that_were_not_made():
    assert holm([0.01, np.nan, 0.03]) == pytest.approx([0.02, np.nan, 0.03], nan_ok=True)


def test_identical_feature_sets_have_ratio_one_and_p_one():
    errors = [(1.0, 0.3), (1.0, 0.4), (1.0, 0.7)]
    records = pd.concat([handmade({"a": {"x": errors}, "b": {"x": errors}}, labels) for labels in (50, 100)])
    table = paired_tests(records, "a", "b", pool_sizes={"t": 300})
    assert table[["ratio", "low", "high", "p", "p_holm", "difference"]].values.tolist() == [[1, 1, 1, 1, 1, 0]] * 2


def test_paired_tests_use_the_share_of_the_pool_and_adjust_for_the_cells():
    rng = np.random.default_rng(3)
    cells = []
    for labels in (50, 100):
        errors = rng.uniform(0.5, 1, (6, 2))
        sets = {"a": {"x": [(1, e) for e in errors[:, 0]]}, "b": {"x": [(1, e) for e in errors[:, 1]]}}
        cells.append(handmade(sets, labels))
    table = paired_tests(pd.concat(cells), "a", "b", pool_sizes={"t": 200})
    by_hand = corrected_t_test(np.log(errors[:, 0] / errors[:, 1]), 100 / 200)
    row = table.iloc[1]
    assert (row["t"], row["p"]) == pytest.approx((by_hand["t"], by_hand["p"]))
    assert (row["ratio"], row["low"]) == pytest.approx((np.exp(by_hand["mean"]), np.exp(by_hand["low"])))
    assert row["difference"] == pytest.approx((errors[:, 0] - errors[:, 1]).mean())
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"]).tolist())
    assert table["repeats"].tolist() == [6, 6]
    with pytest.raises(ValueError, match=r"pool_sizes\['t'\]=60.*100 labels"):
        paired_tests(pd.concat(cells), "a", "b", pool_sizes={"t": 60})


def test_the_best_of_several_sets_is_chosen_draw_by_draw_by_the_labels():
    records = handmade(
        {
            "a": {"x": [(1.0, 0.9), (3.0, 0.8)], "y": [(2.0, 0.7), (4.0, 0.6)]},
            "b": {"x": [(1.5, 0.5), (3.5, 0.4)], "y": [(2.5, 0.3), (0.5, 0.2)]},
            "c": {"x": [(9.0, 1.8), (9.0, 0.4)]},
        }
    )
    best = choose_features(records, ["a", "b"])
    assert best[["features", "regressor", "chosen", "mae"]].values.tolist() == [
        ["best of a, b", "best", "a, x", 0.9],
        ["best of a, b", "best", "b, y", 0.2],
    ]
    assert (
        choose_features(records, ["a"], name="several")["mae"].tolist() == choose_regressor(records)["mae"].tolist()[:2]
    )
    assert choose_features(records, ["a", "b"], regressors=["x"])["chosen"].tolist() == ["a, x", "a, x"]
    both = pd.concat([records, best.assign(features="several")])
    assert compare(both, "c", "several").cells == {("t", 50): pytest.approx(2.2 / 1.1)}
    assert compare(both, "c", "several", regressors=["x"]).ratio == pytest.approx(2)


def test_sets_of_unequal_repeats_are_not_chosen_from():
    records = handmade({"a": {"x": [(1.0, 1.0)]}, "b": {"x": [(1.0, 1.0), (1.0, 1.0)]}})
    with pytest.raises(ValueError, match=r"the same repeats, but \['a'\] have fewer"):
        choose_features(records, ["a", "b"])
    with pytest.raises(ValueError, match=r"features must be among .*'z'"):
        choose_features(records, ["a", "z"])
    with pytest.raises(ValueError, match=r"names must be a list .*'a'"):
        choose_features(records, "a")


def test_regressors_that_cannot_be_chosen_from_are_left_out_when_the_others_are_named():
    nan = float("nan")
    records = handmade(
        {
            "a": {"x": [(1.0, 1.0), (1.0, 2.0)], "few": [(0.5, 0.1)], "fine_tuned": [(nan, 0.1), (nan, 0.1)]},
            "b": {"x": [(1.0, 1.0), (1.0, 2.0)]},
            "other property": {"fine_tuned": [(nan, 0.1), (nan, 0.1)]},
            "none": {"median": [(1.0, 1.0), (1.0, 2.0)]},
        }
    )
    assert comparable_regressors(records) == ["x"]
    assert choose_regressor(records[records["features"] == "a"], comparable_regressors(records))["mae"].tolist() == [
        1,
        2,
    ]
    assert compare(records, "a", "b", regressors=["x"]).ratio == 1
    with pytest.raises(ValueError, match=r"\['fine_tuned'\] is NaN.*regressors="):
        choose_regressor(records)
    with pytest.raises(ValueError, match=r"regressors must be among .* got \['z'\]"):
        choose_regressor(records, ["z"])
    with pytest.raises(TypeError, match=r"\['x'\]"):
        choose_regressor(records, "x")
