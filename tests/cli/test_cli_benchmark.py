"""The command `skdim benchmark`: what it passes on, what it writes, what it says, and what it refuses."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest

from skdim.cli import build_parser, main
from skdim.cli.benchmark import QUICK, _settings
from skdim.datasets import load_band_gap

WORDS = shlex.split("--quick --dataset band_gap --labels 20 --features 'default untrained' magpie --heads median ridge")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_quick_study_writes_everything_and_says_what_it_does_not_show(here, capsys):
    words = ["benchmark", *WORDS, "--out", "new/out", "--cache", "kept", "--seed", "5"]
    assert main(words) == 0
    out, log = capsys.readouterr()
    assert out == ""
    assert log.count("--quick shows that the machinery works, not what the vectors are worth") == 2
    assert "skdim: wrote new/out/report.html and report.md: 6 records, in results.parquet\n" in log
    names = {"report.html", "report.md", "results.parquet", "study.json", "models", "parts"}
    assert names <= {path.name for path in Path("new/out").iterdir()}
    assert list(Path("kept").iterdir())
    about = json.loads(Path("new/out/study.json").read_text())
    assert shlex.split(about["command"]) == ["skdim", *words]
    assert about["quick"]
    assert about["seed"] == 5
    assert about["tasks"]["band gap"]["crystals"] == QUICK["crystals"]
    records = pd.read_parquet("new/out/results.parquet")
    assert set(records["regressor"]) == {"median", "ridge"}
    page = Path("new/out/report.html").read_text()
    assert all(word in page for word in ("band gap", "magpie", "skdim benchmark"))


def test_nothing_is_said_that_was_not_asked_for(here, capfd):
    words = ["benchmark", *WORDS[:-3], "--heads", "ridge", "--draws", "1", "--out", "out", "--quiet"]
    assert main(words) == 0
    assert capfd.readouterr() == ("", "")


def settings(*words):
    return _settings(build_parser().parse_args(["benchmark", "--out", "x", *words]))


def test_what_is_not_given_is_left_to_run_study():
    assert settings() == {"transductive": False, "random_state": 0}


def test_arguments_go_before_those_of_quick():
    given = settings("--quick", "--draws", "7", "--fewer-draws", "mlp=2", "ridge=3", "--jobs", "-1", "--transductive")
    assert given["draws"] == 7
    assert given["fewer_repeats"] == {"mlp": 2, "ridge": 3}
    assert given["n_jobs"] == -1
    assert given["transductive"]
    assert given["heads"] == QUICK["heads"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "gap"], "there is no data set 'gap'; accepted are formation_energy, band_gap, elastic_moduli"),
        (["--features", "majpie"], "there is no feature set 'majpie'"),
        (["--heads", "forest"], "accepted are different ones of"),
        (["--dataset", "band_gap", "--labels", "50", "900"], "to 823, the rows outside the test fold; not [900]"),
        (["--features", "magpie", "--baseline", "ofm"], "baseline='ofm' is not among"),
        (["--heads", "ridge", "--fewer-draws", "mlp=2"], "fewer_draws names ['mlp']"),
        (["--jobs", "0"], "n_jobs=0"),
        (["--matbench", "steels"], "is a task on compositions"),
        (["--matbench", "mp_is_metal"], "accepted are those whose target is a number"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(here, capsys, words, message):
    assert main(["benchmark", "--out", "new/out", "--heads", "ridge", *words]) == 2
    log = capsys.readouterr().err
    assert log.startswith("skdim: error: ")
    assert message in log
    assert not list(here.iterdir())


def test_the_numbers_of_crystals_and_pools_are_those_of_the_data(capsys):
    gaps = load_band_gap()
    with pytest.raises(SystemExit):
        main(["benchmark", "--help"])
    assert f"band_gap           {len(gaps.target)} crystals" in capsys.readouterr().out
    assert (~gaps.test_mask).sum() == 823


def test_a_file_is_no_folder(here, capsys):
    Path("file").write_text("")
    assert main(["benchmark", "--out", "file"]) == 2
    assert "'file' is a file; the name of a folder is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--out", "x", "--draws", "0"],
        ["--out", "x", "--labels", "1"],
        ["--out", "x", "--fewer-draws", "mlp"],
        ["--out", "x", "--matbench", "jdft2d", "--dataset", "band_gap"],
    ],
)
def test_words_that_are_not_understood_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["benchmark", *words])
    assert caught.value.code == 2
    assert "usage: skdim benchmark" in capsys.readouterr().err
