"""The page of results: every number is that of the records, and what was not measured says so."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdim.evaluation import choose_features, compare
from skdim.study.blocks import markdown
from skdim.study.recording import Recording, read_recording
from tests.study.recorded import write_study

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def results():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import results

        yield results


def constructed(levels, regressors=("ridge", "kernel_ridge"), seed=0):
    """Records of two tasks in which each feature set has errors of its own level."""
    rng, rows = np.random.default_rng(seed), []
    for task in ("formation energy", "band gap"):
        for labels in (50, 100, 250, 1000):
            for repeat in range(4):
                for features, level in levels.items():
                    for regressor in regressors:
                        error = level * labels**-0.3 * rng.uniform(0.9, 1.1)
                        rows.append((task, features, regressor, labels, repeat, error * rng.uniform(0.8, 1.2), error))
                for start, level in (("default", 1.0), ("default untrained", 1.2)):
                    rows.append((task, start, "fine_tuned", labels, repeat, math.nan, level * labels**-0.3))
    records = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "cv_mae", "mae"])
    return Recording(records, {"seed": 3})


LEVELS = {"default": 0.8, "default untrained": 0.9, "paper": 1.5, "paper untrained": 1.6, "magpie": 1.0, "ofm": 1.4}


@pytest.fixture(scope="module")
def recording():
    return constructed({**LEVELS, "cfid": 1.2, "xrd": 1.9})


def row_of(text, first):
    """Cells of the row of a table that begins with some text."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return next(row for row in rows if row[0] == first)


def test_targets_are_measured_against_the_best_of_several_sets(results, recording):
    target = next(target for target in results.TARGETS if "," in target.baseline)
    names = ["magpie", "ofm", "cfid", "xrd"]
    pooled = choose_features(recording.records, names, name="references", regressors=recording.regressors)
    both = pd.concat([recording.records, pooled])
    ratio = compare(both, "default", "references", regressors=recording.regressors)
    assert results.measure(recording, target) == ratio
    cells = row_of(
        markdown(results.targets(recording)), "default / the best of magpie, ofm, cfid and xrd, best regressor"
    )
    assert cells[1] == str(ratio)
    assert cells[2].startswith(f"{max(ratio.cells.values()):.3f} (")
    assert cells[3] == "0.82"


def test_regressors_with_fewer_draws_are_chosen_from_on_the_draws_they_have(results, recording):
    assert results.on_fewer_repeats(recording) is None
    names = ("ridge", "kernel_ridge", "forest", "mlp")
    whole = constructed({**LEVELS, "cfid": 1.2, "xrd": 1.9}, regressors=names)
    few = whole.records["regressor"].map({"forest": 3, "mlp": 2}).fillna(4)
    short = whole.records[whole.records["repeat"] < few]
    fewer = results.on_fewer_repeats(Recording(short, whole.study))
    assert fewer.regressors == ["ridge", "kernel_ridge", "forest"]
    assert sorted(set(fewer.records["repeat"])) == [0, 1, 2]
    text = markdown(results.targets(Recording(short, whole.study)))
    assert "In the first 3 repeats, with forest among the regressors:" in text
    assert text.count("| default / magpie, ridge ") == 1


def test_fine_tuning_counts_the_numbers_of_labels_of_the_target(results, recording):
    target = next(target for target in results.TARGETS if target.regressor == "fine_tuned")
    ratio = results.measure(recording, target)
    assert ratio.ratio == pytest.approx(1 / 1.2)
    assert {labels for _, labels in ratio.cells} == {50, 100, 250}


def test_what_was_not_measured_is_not_made_up(results, recording):
    text = markdown(results.targets(recording))
    assert row_of(text, "default / chgnet, best regressor")[1:3] == ["not measured", ""]
    without = constructed(LEVELS)
    assert results.measure(without, results.TARGETS[0]) is None
    assert results.measure(without, results.Target("default", "magpie", "ridge", 1.0)) is not None
    assert "was not measured" in markdown(results.published_preset(constructed({"default": 1.0})))


def test_the_published_preset_stands_beside_its_controls(results, recording):
    text = markdown(results.published_preset(recording))
    for name in ("paper untrained", "ofm", "xrd"):
        ratio = compare(recording.records, "paper", name, regressors=recording.regressors)
        assert row_of(text, f"paper / {name}")[1] == str(ratio)
    assert "magpie" not in text


def test_measured_and_published_errors_of_fine_tuning_are_side_by_side(results, recording):
    text = markdown(results.fine_tuning(recording))
    cells = row_of(text, "100")
    published = results.TRANSFER["formation energy"][100]
    assert cells[1::2] == [f"{1.2 * 100**-0.3:.3f} ± 0.000", f"{100**-0.3:.3f} ± 0.000", ""]
    assert cells[2::2] == [f"{published[start]:.3f}" for start in results.STARTS]
    assert "doi:10.1039/D4DD00202D" in text


def test_published_numbers_say_what_the_paper_claims(results):
    energy, gap = results.TRANSFER["formation energy"], results.TRANSFER["band gap"]
    assert all(energy[n]["default"] < energy[n]["default untrained"] for n in (50, 100, 250))
    assert energy[1000]["default"] > energy[1000]["default untrained"]
    assert all(row["other property"] > row["default untrained"] for row in energy.values())
    assert all(row["other property"] < row["default"] for row in gap.values())
    for task in results.TRANSFER.values():
        for start in results.STARTS:
            errors = [task[n][start] for n in sorted(task)]
            assert errors == sorted(errors, reverse=True)


def test_the_page_of_a_real_study_has_tables_of_one_width_and_shows_its_pictures(results, tmp_path):
    study = write_study(tmp_path / "study")
    results.main(["--study", str(study), "--out", str(tmp_path / "page.md"), "--pictures", str(tmp_path)])
    page = (tmp_path / "page.md").read_text()
    assert "skdim benchmark --dataset band_gap" in page
    assert "Versions: skdim 0.1.0, python 3.11." in page
    assert "magpie 2 (band gap)" in page
    assert "3 of ridge" in page
    assert "2 of fine tuned" in page
    for table in page.split("\n\n"):
        if table.startswith("|"):
            assert len({line.count(" | ") for line in table.splitlines()}) == 1
    for kind in ("curves", "boxes", "map"):
        assert f"(results_{kind}_band_gap.png)" in page
        assert (tmp_path / f"results_{kind}_band_gap.png").read_bytes()[:4] == b"\x89PNG"


def test_the_page_of_the_documentation_is_that_of_the_records(results):
    recording = read_recording(ROOT / "benchmarks" / "results")
    page = (ROOT / "docs" / "results.md").read_text()
    shown = {
        path.stem.removeprefix("results_"): f"images/{path.name}" for path in (ROOT / "docs/images").glob("results_*")
    }
    order = {name: shown[name] for name in results.names(recording)} | {"shipped": "images/shipped.svg"}
    assert results.page(recording, order) == page


def test_each_question_leads_to_a_section(results):
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert set(results.QUESTIONS.values()) <= set(titles)
    anchors = re.findall(r"\]\(#([^)]*)\)", page)
    assert len(anchors) == len(results.QUESTIONS)
    assert set(anchors) <= {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles}
    assert titles[0] == "The shipped models"


def test_further_rivals_are_taken_with_the_cells_they_have(results, tmp_path):
    study = json.loads((ROOT / "benchmarks" / "rivals" / "study.json").read_text("utf-8"))
    records = read_recording(ROOT / "benchmarks" / "rivals").records
    more = records[(records["features"] == "magpie") & (records["task"] == "band gap") & (records["repeat"] < 5)]
    pd.concat([records, more.assign(features="chgnet", mae=more["mae"] / 2)]).to_parquet(tmp_path / "results.parquet")
    (tmp_path / "study.json").write_text(json.dumps(study), "utf-8")
    text = markdown(results.rivals(tmp_path))
    rows = [line for line in text.splitlines() if line.startswith("| chgnet ")]
    assert len(rows) == 1
    assert rows[0].count("**") == 6
    assert (
        row_of(text, "sevennet")[1] == row_of(markdown(results.rivals(ROOT / "benchmarks" / "rivals")), "sevennet")[1]
    )
    assert "not recorded" in markdown(results.rivals(tmp_path / "nothing"))
