"""Names that have moved are forwarded for one release, each with one warning."""

import importlib

import pytest

import skdim.benchmark

FORMER = [
    "BASELINES",
    "HEADS",
    "KernelRidgeCV",
    "Ratio",
    "Recording",
    "StudyTask",
    "baseline_features",
    "best_head",
    "best_of",
    "comparable_heads",
    "compare",
    "corrected_t_test",
    "format_table",
    "holm",
    "label_efficiency",
    "magpie_statistics",
    "paired_tests",
    "read_recording",
    "run_study",
    "summarise",
    "write_report",
]


@pytest.mark.parametrize("name", FORMER)
def test_each_former_name_is_the_new_object_and_warns_once(name):
    with pytest.warns(DeprecationWarning, match=rf"skdim\.benchmark\.{name} is deprecated; use skdim\.") as caught:
        former = getattr(skdim.benchmark, name)
    assert [warning.filename for warning in caught] == [__file__]
    place, _, new = str(caught[0].message).removesuffix(".").rpartition(" use ")[2].rpartition(".")
    assert former is getattr(importlib.import_module(place), new)


def test_former_names_are_listed_and_others_are_refused():
    assert dir(skdim.benchmark) == FORMER
    with pytest.raises(AttributeError, match="no attribute 'results_page'"):
        _ = skdim.benchmark.results_page
