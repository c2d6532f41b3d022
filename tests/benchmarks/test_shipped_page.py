"""The page of the shipped models: its numbers are those of the records, and cells that were not measured stay empty."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdim.evaluation import compare
from skdim.study.blocks import markdown

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def shipped_page(script):
    return script("shipped_page")


def constructed(levels, tasks=("formation energy", "band gap", "log10 K", "band gap, large set"), seed=0):
    """Records in which each feature set has errors of its own level; SevenNet-0 has none on the large set."""
    rng, rows = np.random.default_rng(seed), []
    for task in tasks:
        for labels in (50, 100, 250, 1000):
            for repeat in range(3):
                for features, level in levels.items():
                    if features == "sevennet" and (task.endswith("large set") or labels > 250):
                        continue
                    for regressor in ("ridge", "kernel_ridge"):
                        error = level * labels**-0.3 * rng.uniform(0.9, 1.1)
                        rows.append((task, features, regressor, labels, repeat, error * rng.uniform(0.8, 1.2), error))
    return pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "cv_mae", "mae"])


OTHERS = ("log10 of shear modulus (GPa)", "energy above hull (eV/atom)")
LEVELS = {
    "materials_project": 0.69,
    "materials_project_held_out": 0.7,
    "materials_project_labels": 0.5,
    "bundled": 0.9,
    "untrained": 0.95,
    "magpie": 1.0,
    "ofm": 1.3,
    "cfid": 0.8,
    "xrd": 2.0,
    "sevennet": 0.75,
}


def table_after(text, heading):
    """Rows of the first table after a heading, by their first cell."""
    lines = text[text.index(f"{heading}\n") :].split("\n\n")[1].splitlines()
    return {cells[0]: cells[1:] for cells in ([c.strip() for c in line.split("|")[1:-1]] for line in lines)}


def test_ratios_are_those_of_the_cells_that_the_row_names(shipped_page):
    records = constructed(LEVELS)
    page = shipped_page.page(records, constructed(LEVELS, OTHERS), "picture.svg")
    rows = table_after(page, "### Divided by sevennet")
    assert "band gap, large set" not in rows
    few = records[records["labels"].isin((50, 100, 250)) & (records["task"] == "band gap")]
    found = compare(few, "materials_project_held_out", "sevennet", regressors=("ridge", "kernel_ridge"))
    assert rows["band gap"][:2] == ["50 to 250", f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"]
    of_magpie = table_after(page, "### Divided by magpie")
    assert of_magpie["band gap, large set"][0] == "50 to 1000"
    # CFID is the lowest of the four throughout.
    three = records[~records["task"].str.endswith("large set")]
    found = compare(three, "bundled", "cfid", regressors=("ridge", "kernel_ridge"))
    best = table_after(page, "### Divided by best of four")["all three"]
    assert best[0] == "50 to 1000"
    assert best[-1].startswith(f"{found.ratio:.3f} ")


def test_other_properties_are_told_one_by_one_and_together_with_few_labels(shipped_page):
    others = constructed(LEVELS, OTHERS)
    page = shipped_page.page(constructed(LEVELS), others, "picture.svg")
    rows = table_after(page[page.index("## Properties on which") :], "shear included.")
    few = others[others["labels"] <= 250]
    found = compare(few, "materials_project_held_out", "magpie", regressors=("ridge", "kernel_ridge"))
    assert rows["all 2"][0] == f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"


def test_the_lowest_error_of_each_column_is_bold_and_what_was_not_measured_is_empty(shipped_page):
    rows = table_after(
        shipped_page.page(constructed(LEVELS), constructed(LEVELS, OTHERS), "picture.svg"), "### band gap (eV)"
    )
    assert all(cell.startswith("**") for cell in rows["`materials_project_labels`"])
    assert sum(cell.startswith("**") for cells in rows.values() for cell in cells) == 4
    assert rows["sevennet"][-1] == ""
    assert rows["magpie"][-1] != ""


def test_the_summary_takes_records_without_a_large_set(shipped_page):
    records = constructed(LEVELS, tasks=("formation energy", "band gap", "log10 K"))
    text = markdown(shipped_page.summary(records, "picture.svg"))
    assert text.count("| all three ") == 2
    assert "| band gap, large set" not in text


def test_the_page_of_the_documentation_is_that_of_the_records(shipped_page):
    records, others = (
        shipped_page.read(ROOT / "benchmarks" / "shipped", name) for name in ("results", "other_properties")
    )
    assert shipped_page.page(records, others, "images/shipped.svg") == (ROOT / "docs" / "shipped.md").read_text("utf-8")


def test_the_picture_has_a_panel_for_each_task_and_every_curve(shipped_page, tmp_path):
    shipped_page.draw(constructed(LEVELS), tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text("utf-8")
    assert text.count('id="axes_') == 3
    for name in shipped_page.DRAWN.values():
        assert f"<!-- {name} -->" in text
