"""The report of a study: every number is that of the records, one file is enough, and broken folders are named."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from skdim.evaluation import choose_regressor, comparable_regressors, compare, paired_tests, summarise
from skdim.study.blocks import Table
from skdim.study.recording import read_recording
from skdim.study.report import write_report
from skdim.study.tables import comparable_features, error_table, paired_table, ratio_table
from tests.study.recorded import LABELS, REPEATS, write_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def page(folder):
    write_report(folder)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def recording(folder):
    return read_recording(folder)


class Reader(HTMLParser):
    """Notes tags and whether each is closed in turn."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_the_page_is_well_formed_and_every_entry_of_its_contents_leads_somewhere(read):
    assert read.open == []
    links = [attrs["href"] for tag, attrs in read.tags if tag == "a"]
    anchors = {attrs["id"] for _, attrs in read.tags if "id" in attrs}
    assert len(links) == 7
    assert {link.removeprefix("#") for link in links} == anchors


def test_the_page_needs_nothing_from_elsewhere(page, read):
    tags = {tag for tag, _ in read.tags}
    assert not tags & {"script", "link", "iframe", "object"}
    sources = [attrs["src"] for tag, attrs in read.tags if tag == "img"]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(base64.b64decode(source.split(",")[1])[:4] == b"\x89PNG" for source in sources)
    assert "url(" not in page
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_pictures_have_words_for_those_who_cannot_see_them(read):
    words = [attrs["alt"] for tag, attrs in read.tags if tag == "img"]
    assert words
    assert min(map(len, words)) > 20


def test_the_page_follows_light_and_dark(page):
    assert "prefers-color-scheme: dark" in page
    assert '<meta name="color-scheme" content="light dark">' in page


def test_captions_name_data_split_draws_and_seed(recording, read):
    text = " ".join("".join(read.text).split())
    facts = recording.of_task("band gap")
    assert f"on the fixed test fold of {facts['test_fold']} crystals" in text
    assert f"the {facts['training_fold']} crystals of the training fold; {REPEATS} repeats" in text
    assert "seed 0" in text
    assert "Mean ± standard error" in text
    assert "95% intervals" in text


def test_the_page_says_how_it_was_made(read):
    text = "".join(read.text)
    assert "skdim benchmark --dataset band_gap --out <here> & 'there'" in text
    assert {"0.1.0", "magpie", "1.5", "features: magpie"} <= set(read.text)


def test_means_and_errors_are_those_of_the_records_and_the_lowest_is_bold(recording):
    table = error_table(recording, "band gap", digits=5)
    summary = summarise(recording.records)
    shown = {row[:2]: row[2:] for row in table.rows}
    for _, row in summary[summary["regressor"] == "ridge"].iterrows():
        cell = shown[row["features"], "ridge"][LABELS.index(row["labels"])]
        assert cell == f"{row['mean']:.5f} ± {row['standard_error']:.5f}"
    means = np.array([[float(cell.split()[0]) if cell else np.inf for cell in row[2:]] for row in table.rows])
    assert {(r, c - 2) for r, c in table.bold} == {(int(means[:, c].argmin()), c) for c in range(len(LABELS))}


def test_the_best_regressor_is_chosen_among_those_that_can_be(recording):
    assert recording.regressors == comparable_regressors(recording.records) == ["ridge", "kernel_ridge"]
    assert recording.other_regressors == ["fine_tuned"]
    own = recording.records[recording.records["features"] == "magpie"]
    means = choose_regressor(own, recording.regressors).groupby("labels")["mae"].mean()
    row = next(row for row in error_table(recording, "band gap", ["best"]).rows if row[0] == "magpie")
    assert [float(cell.split()[0]) for cell in row[2:]] == pytest.approx(list(means), abs=5e-4)


def test_paired_cells_are_those_of_the_tests(recording):
    tests = paired_tests(
        recording.records, "default", "magpie", regressor="ridge", pool_sizes=recording.pool_sizes
    ).set_index("labels")
    row = next(row for row in paired_table(recording, "band gap", "magpie", "ridge").rows if row[0] == "default")
    for cell, labels in zip(row[1:], LABELS, strict=True):
        expected = tests.loc[labels]
        first, second, third = cell.split("\n")
        assert first == f"{expected['ratio']:.3f} ({expected['low']:.3f} to {expected['high']:.3f})"
        assert second == f"{expected['difference']:+.3f}"
        assert third == (f"p = {expected['p_holm']:.3f}" if expected["p_holm"] >= 0.001 else "p < 0.001")


def test_ratios_over_all_cells_are_those_of_compare(recording):
    ratio = compare(recording.records, "default", "magpie", regressors=recording.regressors)
    row = next(row for row in ratio_table(recording, "magpie", ["best", "ridge"]).rows if row[0] == "default")
    assert row[1] == f"{ratio.ratio:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"
    assert row[2].startswith(f"{max(ratio.cells.values()):.3f} (band gap, ")


def test_what_was_not_measured_on_the_same_draws_is_not_compared(recording):
    assert comparable_features(recording, "magpie", "ridge") == ["default", "default untrained"]
    assert comparable_features(recording, "magpie", "fine_tuned") == []
    assert comparable_features(recording, "default untrained", "fine_tuned") == ["default"]


def test_the_short_text_has_ratios_a_table_of_each_task_and_the_command(folder, page):
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Errors divided by those of magpie" in text
    assert "### band gap" in text
    assert "skdim benchmark --dataset band_gap" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    assert "kernel ridge |" not in text  # best regressor, ridge and fine-tuning only


def test_a_report_is_replaced_and_the_baseline_can_be_chosen(copy):
    (copy / "report.html").write_text("an earlier one")
    page, short = write_report(copy, baseline="default untrained")
    assert (page, short) == (copy / "report.html", copy / "report.md")
    assert "Compared with default untrained" in page.read_text()
    with pytest.raises(
        ValueError, match=r"baseline must be a feature set of the records, default, .*magpie, got 'ofm'"
    ):
        write_report(copy, baseline="ofm")


def test_little_is_enough(copy):
    records = pd.read_parquet(copy / "results.parquet")
    records[(records["features"] == "magpie") & (records["repeat"] == 0)].to_parquet(copy / "results.parquet")
    (copy / "study.json").write_text("{}")
    (copy / "maps.parquet").unlink()
    page, short = write_report(copy)
    assert "nothing to compare" in page.read_text()
    assert "Maps" not in page.read_text()
    assert "band gap" in short.read_text()


def test_a_trial_and_an_unfinished_run_say_so(copy):
    facts = json.loads((copy / "study.json").read_text())
    (copy / "study.json").write_text(json.dumps({**facts, "quick": True, "finished": False}))
    page, short = write_report(copy)
    for text in (page.read_text(), short.read_text()):
        assert "its numbers mean nothing" in text
        assert "not finished" in text


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("results.parquet", None, FileNotFoundError, r"there is no .*results\.parquet"),
        ("results.parquet", b"PAR1 but not really", ValueError, r"results\.parquet cannot be read as parquet"),
        ("study.json", None, FileNotFoundError, r"there is no .*study\.json"),
        ("study.json", b"{'command'", ValueError, r"study\.json cannot be read as JSON"),
        ("study.json", b"[1]", ValueError, r"study\.json must hold an object.* got a list"),
        ("maps.parquet", b"", ValueError, r"maps\.parquet cannot be read"),
    ],
)
def test_broken_folders_are_named(copy, name, content, error, message):
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(error, match=message):
        write_report(copy)


def test_records_that_cannot_be_right_are_named(copy, tmp_path):
    records = pd.read_parquet(copy / "results.parquet")
    for wrong, message in (
        (records.drop(columns="mae"), r"no columns \['mae'\]"),
        (records.iloc[:0], "has no rows"),
        (pd.concat([records, records.tail(1)]), r"has \['band gap', .* twice"),
    ):
        wrong.to_parquet(copy / "results.parquet", index=False)
        with pytest.raises(ValueError, match=message):
            write_report(copy)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        write_report(tmp_path / "nowhere")


def test_records_of_earlier_studies_are_read_with_todays_names(copy):
    records = pd.read_parquet(copy / "results.parquet")
    records.rename(columns={"regressor": "head", "repeat": "draw"}).to_parquet(copy / "results.parquet", index=False)
    pd.testing.assert_frame_equal(read_recording(copy).records, records)


def test_tables_keep_their_shape_and_markup_is_escaped(copy):
    table = Table(("a|b", "c"), (("x", "1\n2"), ("<y>", "")), frozenset({(0, 1)}))
    assert table.markdown().splitlines()[2] == "| x    | **1, 2** |"
    assert "a\\|b" in table.markdown()
    records = pd.read_parquet(copy / "results.parquet")
    records["features"] = records["features"].replace("default", "<script>default</script>")
    records.to_parquet(copy / "results.parquet", index=False)
    page = write_report(copy)[0].read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;default" in page
