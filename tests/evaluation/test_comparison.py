"""Records: the choice of regressors, ratios of errors and their intervals."""

import numpy as np
import pandas as pd
import pytest

from skdim.evaluation import choose_regressor, compare, format_table, summarise
from tests.evaluation.toy import handmade


def test_the_best_regressor_is_chosen_draw_by_draw_by_the_labels_not_by_the_test_fold():
    best = choose_regressor(handmade({"a": {"x": [(1.0, 9.0), (2.0, 8.0)], "y": [(2.0, 1.0), (1.0, 7.0)]}}))
    assert best[["regressor", "chosen", "mae"]].values.tolist() == [["best", "x", 9.0], ["best", "y", 7.0]]
    with pytest.raises(ValueError, match=r"regressors \['x'\] is NaN"):
        choose_regressor(handmade({"a": {"x": [(np.nan, 1.0)], "y": [(1.0, 1.0)]}}))


def test_rows_of_several_tables_may_be_numbered_alike():
    first = handmade({"a": {"x": [(1.0, 9.0)], "y": [(2.0, 1.0)]}, "b": {"x": [(1.0, 3.0)], "y": [(2.0, 1.0)]}})
    second = handmade({"a": {"x": [(2.0, 2.0)], "y": [(1.0, 8.0)]}, "b": {"x": [(2.0, 1.0)], "y": [(1.0, 4.0)]}})
    tables = [first, second.assign(task="u")]
    assert choose_regressor(pd.concat(tables))["mae"].tolist() == [9.0, 3.0, 8.0, 4.0]
    assert compare(pd.concat(tables), "a", "b").cells == {("t", 50): 3.0, ("u", 50): 2.0}


def test_repeats_of_two_tasks_without_names_are_not_taken_for_one():
    records = handmade({"a": {"x": [(1.0, 9.0)]}, "b": {"x": [(1.0, 3.0)]}})
    with pytest.raises(ValueError, match="'a' has repeat 0 with 50 labels for task 't' more than once; give each task"):
        compare(pd.concat([records, records]), "a", "b", regressor="x")


def test_summary_has_mean_and_standard_error():
    records = handmade({"a": {"x": [(1.0, 1.0), (1.0, 2.0), (1.0, 6.0)]}, "b": {"x": [(1.0, 4.0)]}})
    assert summarise(records)[["repeats", "mean"]].values.tolist() == [[3, 3.0], [1, 4.0]]
    assert summarise(records)["standard_error"][0] == pytest.approx(np.sqrt(7 / 3))
    assert "| a        | x         | 3.00 ± 1.53 |" in format_table(records, digits=2)
    assert "| b        | x         | 4.00        |" in format_table(records, digits=2)
    with pytest.raises(ValueError, match=r"metric must be a column.*'mape'"):
        summarise(records, "mape")


def test_a_set_compared_with_itself_is_one_and_turning_a_comparison_turns_its_interval():
    rng = np.random.default_rng(0)
    sets, shape = ("Magpie", "few columns"), (3, 2)  # each repeat with its error on the labels and on the test fold
    records = pd.concat(
        handmade({name: {"x": rng.uniform(1, 2, shape), "y": rng.uniform(1, 2, shape)} for name in sets}, n, "energy")
        for n in (30, 100)
    )
    same = compare(records, "Magpie", "Magpie")
    assert (same.ratio, same.low, same.high) == (1, 1, 1)
    ratio, turned = compare(records, "Magpie", "few columns"), compare(records, "few columns", "Magpie")
    assert ratio.low < ratio.ratio < ratio.high
    assert (turned.ratio, turned.low, turned.high) == pytest.approx((1 / ratio.ratio, 1 / ratio.high, 1 / ratio.low))
    assert list(ratio.cells) == [("energy", 30), ("energy", 100)]
    assert ratio.ratio == pytest.approx(np.sqrt(np.prod(list(ratio.cells.values()))))


def test_a_single_draw_has_no_interval():
    ratio = compare(handmade({"a": {"x": [(1.0, 1.0)]}, "b": {"x": [(1.0, 2.0)]}}), "a", "b")
    assert ratio.ratio == 0.5
    assert np.isnan([ratio.low, ratio.high]).all()
    assert str(ratio) == "0.500"


def test_pairing_removes_what_repeats_have_in_common():
    level = np.random.default_rng(0).uniform(1, 10, 12)
    records = handmade({"a": {"x": [(1, v) for v in 0.9 * level]}, "b": {"x": [(1, v) for v in level]}})
    ratio = compare(records, "a", "b", regressor="x")
    assert (ratio.low, ratio.high) == pytest.approx((0.9, 0.9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": "c", "baseline": "b"}, r"features must be among \['a', 'b'\], got 'c'"),
        ({"features": "a", "baseline": "b", "regressor": "z"}, "regressor must be 'best' or among"),
        ({"features": "a", "baseline": "b"}, "same repeats"),
    ],
)
def test_comparisons_that_cannot_be_made_are_refused(arguments, message):
    records = handmade({"a": {"x": [(1.0, 1.0)]}, "b": {"x": [(1.0, 1.0), (1.0, 1.0)]}})
    with pytest.raises(ValueError, match=message):
        compare(records, **arguments)
