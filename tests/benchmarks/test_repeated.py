"""Measurements made of repeats: stopped ones go on, no record mixes two models, pages name the model."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ("intervals", "applicability", "suggestion", "grouped", "finetuning", "starts")


@pytest.fixture
def script(script, monkeypatch: pytest.MonkeyPatch):
    """Import a script of the benchmarks or an extension of the documentation."""
    pytest.importorskip("docutils", reason="of the extra docs, which the extensions need")
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return script


@pytest.fixture
def repeats(script) -> ModuleType:
    return script("repeats")


def double(seed: int, task: str) -> dict[str, float]:
    """Stand in for a measurement."""
    return {"length": 2.0 * seed + len(task)}


def options(repeats: ModuleType, out: Path, *words: str):
    return repeats.options_of("", "none", 3).parse_args(["--out", str(out), *words])


def test_what_is_on_file_is_not_measured_again_and_a_line_that_was_cut_off_is(
    repeats: ModuleType, tmp_path: Path
) -> None:
    given = options(repeats, tmp_path / "none.json", "--tasks", "2", "--model", "bundled")
    wanted, asked = repeats.keys(given), []

    def arguments(key):
        asked.append(key)
        return key["seed"], key["task"]

    first = repeats.measured(given, wanted[:4], double, arguments)
    lines = tmp_path / "none.jsonl"
    lines.write_text("\n".join(lines.read_text().splitlines())[:-5])  # the last line is not whole
    asked.clear()
    all_of_them = repeats.measured(given, wanted, double, arguments)
    assert asked == wanted[3:]
    assert all_of_them[:4] == first
    assert [repeat["length"] for repeat in all_of_them] == [2.0 * key["seed"] + len(key["task"]) for key in wanted]


def test_repeats_of_another_model_are_left_out(repeats: ModuleType, tmp_path: Path) -> None:
    for name in ("bundled", "materials_project_held_out"):
        given = options(repeats, tmp_path / "none.json", "--tasks", "1", "--model", name)
        repeats.measured(given, repeats.keys(given)[:2], double, lambda key: (key["seed"], key["task"]))
    found = repeats.measured(
        options(repeats, given.out, "--report", "--model", "bundled"), repeats.keys(given), double, tuple
    )
    assert [repeat["model"] for repeat in found] == ["bundled"] * 2
    repeats.write(given, "none", found[:1], rows=[])
    settings = json.loads(given.out.read_text())["settings"]
    assert settings["model"] == "materials_project_held_out"
    assert settings["sha256"] != found[0]["sha256"]


def test_cells_of_the_record_stay_and_only_the_others_are_measured(
    script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    intervals, repeats = script("intervals"), script("repeats")
    asked = []

    def one_repeat(task: str, labels: int, seed: int, regressors: str):
        asked.append((task, labels, regressors))
        return {"methods": dict.fromkeys(intervals.METHODS[regressors], (0.9, float(labels), 0.1))}

    def at_once(options, wanted, call, given):
        return [{**key, "commit": "new", **one_repeat(**key)} for key in wanted]

    monkeypatch.setattr(repeats, "measured", at_once)
    out = tmp_path / "intervals.json"
    words = ["--repeats", "2", "--tasks", "2", "--model", "bundled", "--out", str(out)]
    intervals.main(words)
    whole = json.loads(out.read_text())
    cells = [(row["task"], row["labels"], row["method"]) for row in whole["rows"]]
    methods = [method for both in intervals.METHODS.values() for method in both]
    assert cells == [(*cell, method) for cell in wanted(intervals, repeats) for method in methods]

    part = {**whole, "rows": whole["rows"][1:-1], "settings": {**whole["settings"], "commits": ["old"]}}
    out.write_text(json.dumps(part))
    asked.clear()
    intervals.main([*words, "--missing"])
    assert set(asked) == {(*cells[0][:2], "chosen"), (*cells[-1][:2], "forest")}
    again = json.loads(out.read_text())
    assert again["rows"] == whole["rows"]
    assert again["settings"]["commits"] == ["new", "old"]

    asked.clear()
    intervals.main([*words, "--missing"])
    assert not asked
    assert json.loads(out.read_text())["rows"] == whole["rows"]
    for other in (["--repeats", "3"], ["--model", "materials_project_held_out"]):  # nothing of the record fits
        out.write_text(json.dumps(part))
        asked.clear()
        intervals.main([*words, "--missing", *other])
        assert len(set(asked)) == 2 * len(wanted(intervals, repeats))

    asked.clear()
    out.write_text(json.dumps(whole))
    intervals.main([*words, "--missing", "--anew", "chosen"])
    assert set(asked) == {(*cell, "chosen") for cell in wanted(intervals, repeats)}
    assert json.loads(out.read_text())["rows"] == whole["rows"]


def wanted(intervals, repeats) -> list[tuple[str, int]]:
    """The first two tasks with their numbers of labels."""
    return [(task, size) for task in list(repeats.TASKS)[:2] for size in intervals.SIZES[task]]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_has_the_same_options(script, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script(name).main(["--help"])
    said = capsys.readouterr().out
    assert all(option in said for option in ("--repeats", "--jobs", "--model", "--report", "--out"))


def test_one_repeat_of_each_gives_what_is_summed_up(script) -> None:
    rng = np.random.default_rng(0)
    vectors, test = rng.normal(size=(150, 5)), np.arange(150) >= 120
    target = vectors[:, 0] + 0.1 * rng.normal(size=150)
    key = {"task": "band gap (eV)", "labels": 50, "seed": 0, "folds": "random"}
    intervals, applicability, suggestion = map(script, ("intervals", "applicability", "suggestion"))

    found = [
        {**key, "regressors": name, **intervals.one_repeat(vectors, target, test, 50, 0, name)}
        for name in intervals.METHODS
    ]
    for row in intervals.summary(found):
        assert 0.5 < row["coverage"] <= 1
        assert row["mae"] < target.std()

    row = applicability.summary([{**key, **applicability.one_repeat(None, vectors, target, None, 0)}])[0]
    assert len(row["errors"]) == len(row["held"]) == 5

    rows = {row["way"]: row for row in suggestion.summary([{**key, **suggestion.one_repeat(vectors, target, test, 0)}])}
    assert rows["best"]["left"] <= rows["random"]["left"]
    assert rows["random"]["labels"] == 100 or rows["random"]["labels"] < 100


def test_ratios_are_those_of_mean_errors(script) -> None:
    finetuning = script("finetuning")
    names = ("linear", "all_the_way", "laplacian", "ridge_cv", "strength", "held", "seconds", "wall")
    key = {"task": "band gap (eV)", "labels": 50, "split": "random", **dict.fromkeys(names, 1.0)}
    repeats = [{**key, "seed": 0, "fine_tuned": 0.8, "ridge": 1.0}, {**key, "seed": 1, "fine_tuned": 3.0, "ridge": 3.0}]
    (row,) = finetuning.summary(repeats)
    assert row["ratio"] == pytest.approx(0.95)
    assert row["ratio_error"] == pytest.approx(0.05)  # half the difference of -0.1 and 0
    assert finetuning.means([row]) == {"random": {"mean": row["ratio"], "highest": row["ratio"], "cells": 1}}


def test_starts_are_compared_cell_by_cell(script) -> None:
    cell = {"split": "random", "task": "a", "labels": 50, "repeats": 3}
    trained = [{**cell, "ratio": 0.9, "ridge": 2.0}, {**cell, "split": "grouped", "ratio": 1.0, "ridge": 9.0}]
    untrained = [{**cell, "ratio": 1.0, "ridge": 3.0}, {**cell, "labels": 100, "ratio": 1.0, "ridge": 1.0}]
    (row,) = script("starts").compared(trained, untrained)
    assert row == {**cell, "trained": 1.8, "untrained": 3.0, "ratio": pytest.approx(0.6)}


def test_grouped_errors_are_means_over_repeats(script) -> None:
    grouped = script("grouped")
    one = {by: dict.fromkeys(grouped.FEATURES, 1.0) for by in grouped.FOLDS}
    two = {by: dict.fromkeys(grouped.FEATURES, 3.0) for by in grouped.FOLDS}
    rows = grouped.summary([{"task": "band gap (eV)", "seed": seed, **own} for seed, own in enumerate((one, two))])
    assert [row["folds"] for row in rows] == list(grouped.FOLDS)
    assert all((row["vectors"], row["vectors_error"]) == (2.0, 1.0) for row in rows)


@pytest.mark.parametrize("name", ["intervals", "applicability", "suggestion"])
def test_pages_name_the_model_of_the_record(script, name: str) -> None:
    page = script("from_decisions")
    record = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())
    assert f"the model `{record['settings']['model']}`" in page.source(record, name)
    table, words = page.TABLES[name]
    shown = list(table(record["rows"]))
    assert len({len(row) for row in shown}) == 1
    assert len(shown) > len(tasks_of(record))
    assert words(record["rows"]).endswith(".")


def tasks_of(record) -> set[str]:
    return {row["task"] for row in record["rows"]}


def test_what_follows_from_suggestions_is_counted(script) -> None:
    page = script("from_decisions")
    values = {
        "random": (100, 0.02, 0.5),
        "information": (60, 0.02, 0.4),
        "best": (110, 0.01, 0.6),
        "both": (90, 0.0, 0.5),
    }
    rows = [
        {"task": t, "way": w, "labels": n, "left": x, "mae_100": e} for t in "ab" for w, (n, x, e) in values.items()
    ]
    said = page.suggestion_words(rows)
    assert "60 labels do what takes 100 at random; that is fewer in 2 of 2 tasks" in said
    assert "higher than at random in 2." in said
    assert said.endswith("higher than at random in 0.")
