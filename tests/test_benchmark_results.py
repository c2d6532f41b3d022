"""The page of results: every number is that of the records, and what was not measured says so."""

import math

import numpy as np
import pandas as pd
import pytest
from skdim.benchmark.published import STARTS, TRANSFER
from skdim.benchmark.results import GOALS, SECTIONS, Goal, measure, on_fewer_draws

from skdim.evaluation import Recording, choose_features, compare, results_page
from tests.study.recorded import write_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


def constructed(levels, regressors=("ridge", "kernel_ridge"), seed=0):
    """Records of two tasks in which each feature set has errors of its own level."""
    rng, rows = np.random.default_rng(seed), []
    for task in ("formation energy", "band gap"):
        for labels in (50, 100, 250, 1000):
            for draw in range(4):
                for features, level in levels.items():
                    for head in heads:
                        error = level * labels**-0.3 * rng.uniform(0.9, 1.1)
                        rows.append((task, features, head, labels, draw, error * rng.uniform(0.8, 1.2), error))
                for start, level in (("default", 1.0), ("default untrained", 1.2)):
                    rows.append((task, start, "fine_tuned", labels, draw, math.nan, level * labels**-0.3))
    records = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "cv_mae", "mae"])
    return Recording(records, {"seed": 3})


LEVELS = {"default": 0.8, "default untrained": 0.9, "paper": 1.5, "paper untrained": 1.6, "magpie": 1.0, "ofm": 1.4}


@pytest.fixture(scope="module")
def recording():
    return constructed({**LEVELS, "cfid": 1.2, "xrd": 1.9})


def row_of(text, first):
    """Cells of the row of a list-table that begins with some text."""
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if line == f"   * - {first}")
    cells = [first]
    for line in lines[start + 1 :]:
        if not line.startswith("     -"):
            return cells
        cells.append(line.removeprefix("     -").strip())
    return cells


def test_goals_are_measured_against_the_best_of_several_sets(recording):
    goal = next(goal for goal in GOALS if "," in goal.baseline)
    pooled = choose_features(
        recording.records, ["magpie", "ofm", "cfid", "xrd"], name="rivals", regressors=recording.heads
    )
    both = pd.concat([recording.records, pooled])
    ratio = compare(both, "default", "rivals", regressors=recording.heads)
    assert measure(recording, goal) == ratio
    cells = row_of(
        "\n".join(SECTIONS["goals"](recording)), "default / the best of magpie, ofm, cfid and xrd, best head"
    )
    assert cells[1] == str(ratio)
    assert cells[2].startswith(f"{max(ratio.cells.values()):.3f} (")
    assert cells[3] == "0.82"


def test_heads_with_fewer_draws_are_chosen_from_on_the_draws_they_have(recording):
    assert on_fewer_draws(recording) is None
    whole = constructed({**LEVELS, "cfid": 1.2, "xrd": 1.9}, regressors=("ridge", "kernel_ridge", "forest", "mlp"))
    records, few = whole.records, {"forest": 3, "mlp": 2}
    short = records[
        [draw < few.get(head, 4) for head, draw in zip(records["regressor"], records["repeat"], strict=True)]
    ]
    fewer = on_fewer_draws(Recording(short, whole.study))
    assert fewer.heads == ["ridge", "kernel_ridge", "forest"]
    assert sorted(set(fewer.records["repeat"])) == [0, 1, 2]
    text = "\n".join(SECTIONS["goals"](Recording(short, whole.study)))
    assert "On the first 3 draws, with forest among the heads:" in text
    assert text.count("   * - default / magpie, ridge") == 1


def test_fine_tuning_counts_the_numbers_of_labels_that_were_set_out_for(recording):
    goal = next(goal for goal in GOALS if goal.head == "fine_tuned")
    ratio = measure(recording, goal)
    assert ratio.ratio == pytest.approx(1 / 1.2)
    assert {labels for _, labels in ratio.cells} == {50, 100, 250}


def test_what_was_not_measured_is_not_made_up(recording):
    text = "\n".join(SECTIONS["goals"](recording))
    assert row_of(text, "default / chgnet, best head")[1:3] == ["not measured", ""]
    without = constructed(LEVELS)
    assert measure(without, GOALS[0]) is None
    assert measure(without, Goal("default", "magpie", "ridge", 1.0)) is not None
    assert "was not measured" in "\n".join(SECTIONS["published ordering"](constructed({"default": 1.0})))


def test_the_published_preset_stands_beside_its_controls(recording):
    text = "\n".join(SECTIONS["published ordering"](recording))
    for name in ("paper untrained", "ofm", "xrd"):
        ratio = compare(recording.records, "paper", name, regressors=recording.heads)
        assert row_of(text, f"paper / {name}")[1] == str(ratio)
    assert "magpie" not in text


def test_measured_and_published_errors_of_fine_tuning_are_side_by_side(recording):
    text = "\n".join(SECTIONS["fine-tuning"](recording))
    cells = row_of(text, "100")
    published = TRANSFER["formation energy"][100]
    assert cells[1::2] == [f"{1.2 * 100**-0.3:.3f} ± 0.000", f"{100**-0.3:.3f} ± 0.000", ""]
    assert cells[2::2] == [f"{published[start]:.3f}" for start in STARTS]
    assert "doi:10.1039/D4DD00202D" in text


def test_published_numbers_say_what_the_paper_claims():
    energy, gap = TRANSFER["formation energy"], TRANSFER["band gap"]
    assert all(energy[n]["default"] < energy[n]["default untrained"] for n in (50, 100, 250))
    assert energy[1000]["default"] > energy[1000]["default untrained"]
    assert all(row["other property"] > row["default untrained"] for row in energy.values())
    assert all(row["other property"] < row["default"] for row in gap.values())
    for task in TRANSFER.values():
        for start in STARTS:
            errors = [task[n][start] for n in sorted(task)]
            assert errors == sorted(errors, reverse=True)


def test_the_page_of_a_real_study_has_every_section(folder):
    page = results_page(folder)
    lines = page.splitlines()
    for name in SECTIONS:
        title = lines.index(name.capitalize())
        assert lines[title + 1] == "-" * len(name)
        assert results_page(folder, name) in page
    assert "skdim benchmark --dataset band_gap" in results_page(folder, "recorded")
    assert "Versions: skdim 0.1.0, python 3.11." in page
    assert "magpie 2 (band gap)" in page
    assert "3 of ridge" in page
    assert "2 of fine tuned" in page


def test_every_list_table_has_rows_of_one_length(folder, recording):
    texts = [results_page(folder), *("\n".join(write(recording)) for write in SECTIONS.values())]
    for text in texts:
        for table in text.split(".. list-table::")[1:]:
            body = [line for line in table.splitlines() if line.startswith(("   * -", "     -"))]
            starts = [k for k, line in enumerate(body) if line.startswith("   * -")]
            widths = {b - a for a, b in zip(starts, [*starts[1:], len(body)], strict=True)}
            assert len(widths) == 1


def test_a_section_that_is_not_there_is_refused(folder):
    with pytest.raises(ValueError, match=r"section='maps'; accepted are recorded, goals"):
        results_page(folder, "maps")
