"""The command `skdim benchmark`: what it passes on, what it writes, what it says, and what it refuses."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest

import skdim
from skdim.cli import main
from skdim.cli.benchmark import ABOUT, QUICK, _settings
from skdim.cli.program import build_parser
from skdim.evaluation import REFERENCE_FEATURES, REGRESSORS, label_efficiency, magpie_statistics
from skdim.study.encoders import PRETRAININGS
from skdim.study.finetuning import FINE_TUNED, OTHERS
from skdim.study.report import _TITLE
from skdim.study.tasks import DATASETS, load_table_tasks, load_task
from tests.study.tabled import write_cells

WORDS = shlex.split(
    "--quick --dataset band_gap --labels 20 --features 'default untrained' magpie --regressors median ridge"
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_quick_study_writes_everything_and_says_what_it_does_not_show(here, capsys):
    words = ["benchmark", *WORDS, "--out", "new/out", "--cache", "kept", "--seed", "5"]
    assert main(words) == 0
    out, log = capsys.readouterr()
    assert out == ""
    assert log.count("--quick only shows that everything runs") == 2
    assert "skdim: wrote new/out/report.html and report.md: 6 records, in results.parquet\n" in log
    names = {"report.html", "report.md", "results.parquet", "study.json", "models", "finished"}
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
    told = {}
    for name in ("", "study.json", "report.html", "report.md"):
        assert main(["info", f"new/out/{name}", "--json"]) == 0
        told[name] = json.loads(capsys.readouterr().out)
    assert [facts["kind"] for facts in told.values()] == [
        "folder of a benchmark", "settings of a benchmark", "page", "report",
    ]  # fmt: skip
    assert told[""]["records"] == 6
    assert told[""]["tasks"] == told["study.json"]["tasks"] == ["band gap"]
    assert told["report.html"]["title"] == told["report.md"]["title"] == _TITLE
    assert told["report.md"]["versions"] == told["report.html"]["versions"] == {"skdim": skdim.__version__}


def test_nothing_is_said_that_was_not_asked_for(here, capfd):
    words = ["benchmark", *WORDS[:-2], "ridge", "--repeats", "1", "--out", "out", "--quiet"]
    assert main(words) == 0
    assert capfd.readouterr() == ("", "")


def settings(*words):
    return _settings(build_parser().parse_args(["benchmark", "--out", "x", *words]))


def test_what_is_not_given_is_left_to_run_study():
    assert settings() == {"transductive": False, "random_state": 0}


def test_arguments_go_before_those_of_quick():
    given = settings(
        "--quick", "--repeats", "7", "--fewer-repeats", "mlp=2", "ridge=3", "--jobs", "-1", "--transductive"
    )
    assert given["n_repeats"] == 7
    assert given["fewer_repeats"] == {"mlp": 2, "ridge": 3}
    assert given["n_jobs"] == -1
    assert given["transductive"]
    assert given["regressors"] == QUICK["regressors"]


def test_names_have_blanks_or_commas_between():
    blanks = settings("--regressors", "ridge", "mlp", "--features", "default untrained", "magpie")
    assert settings("--regressors", "ridge,mlp", "--features", "default untrained, magpie") == blanks


def test_the_former_names_of_arguments_mean_the_same():
    former, today = (
        "--heads ridge --draws 7 --fine-tuning-draws 2 --fewer-draws mlp=2",
        "--regressors ridge --repeats 7 --fine-tuning-repeats 2 --fewer-repeats mlp=2",
    )
    assert settings(*former.split()) == settings(*today.split())


def test_a_table_of_ones_own_is_measured_from_the_crystals_to_the_report(here, capsys):
    write_cells("table.parquet", 120)
    words = shlex.split(
        "--data table.parquet --target energy --rows 100 --labels 20 --features 'default untrained' magpie "
        "--regressors ridge --repeats 2 --epochs paper=1 --device cpu --jobs 2 --out out"
    )
    assert main(["benchmark", *words]) == 0
    assert "wrote out/report.html and report.md: 4 records" in capsys.readouterr().err
    about = json.loads(Path("out/study.json").read_text())
    assert about["tasks"]["energy"]["crystals"] == 100
    assert about["settings"]["max_epochs"] == {"paper": 1}
    assert about["settings"]["device"] == "cpu"
    records = pd.read_parquet("out/results.parquet")
    (task,) = load_table_tasks("table.parquet", ["energy"], rows=100)
    features = {"magpie": magpie_statistics([one.content for one in task.structures])}
    settings = {"label_counts": [20], "regressors": ["ridge"], "n_repeats": 2}
    by_hand = label_efficiency(features, task.target, task.test_mask, **settings)
    own = records[records["features"] == "magpie"]
    assert own["mae"].tolist() == pytest.approx(by_hand["mae"].tolist())


def test_epochs_and_pretrained_encoders_are_read():
    given = settings("--epochs", "paper=3", "other=2", "--pretrained", "paper=a=b.safetensors", "--starts", "paper")
    assert given["max_epochs"] == {"paper": 3, "other property": 2}
    assert given["pretrained"] == {"paper": Path("a=b.safetensors")}
    assert given["starts"] == ["paper"]
    assert settings("--epochs", "4")["max_epochs"] == 4


def test_help_names_everything_that_there_is():
    words = set(ABOUT.replace(",", " ").replace('"', " ").split())
    for name in (*REGRESSORS, *REFERENCE_FEATURES, *DATASETS, FINE_TUNED):
        assert name in words
    for name in (*PRETRAININGS, *OTHERS):
        assert f'"{name}"' in ABOUT if " " in name else name in words
    for name, source in DATASETS.items():
        task = load_task(name)
        (line,) = (line for line in ABOUT.splitlines() if line.split()[:1] == [name])
        assert line.split()[1] == str(len(task))
        assert line.endswith(" ".join(map(str, source.labels)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--dataset", "gap"],
            "tasks must be among formation_energy, band_gap, elastic_moduli",
        ),
        (["--features", "majpie"], "got 'majpie'"),
        (["--regressors", "forest"], "got ['forest']"),
        (["--dataset", "band_gap", "--labels", "50", "900"], "to 823 (the rows outside the test fold), got [50, 900]"),
        (
            ["--features", "magpie", "--baseline", "ofm"],
            "a feature set of the study, magpie, got 'ofm'",
        ),
        (
            ["--regressors", "ridge", "--fewer-repeats", "mlp=2"],
            "regressors of the study, ridge, got ['mlp']",
        ),
        (["--jobs", "0"], "n_jobs"),
        (["--target", "gap"], "--target, --rows, --column and --id are for the table of --data"),
        (["--data", "missing.parquet"], "there is no file 'missing.parquet'"),
        (["--epochs", "3", "paper=2"], "--epochs must be one number, or each with a name"),
        (["--starts", "deep"], "starts must be distinct names among default"),
        (["--matbench", "steels"], "is a task on compositions"),
        (["--matbench", "mp_is_metal"], "must be a number; that of 'mp_is_metal' is a class"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(here, capsys, words, message):
    assert main(["benchmark", "--out", "new/out", "--regressors", "ridge", *words]) == 2
    log = capsys.readouterr().err
    assert log.startswith("skdim: error: ")
    assert message in log
    assert not list(here.iterdir())


def test_a_file_is_no_folder(here, capsys):
    Path("file").write_text("")
    assert main(["benchmark", "--out", "file"]) == 2
    assert "out must be a folder, got 'file'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--out", "x", "--repeats", "0"],
        ["--out", "x", "--labels", "1"],
        ["--out", "x", "--fewer-repeats", "mlp"],
        ["--out", "x", "--epochs", "deep=2"],
        ["--out", "x", "--pretrained", "paper"],
        ["--out", "x", "--data", "x.csv", "--dataset", "band_gap"],
        ["--out", "x", "--matbench", "jdft2d", "--dataset", "band_gap"],
    ],
)
def test_words_that_are_not_understood_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["benchmark", *words])
    assert caught.value.code == 2
    assert "usage: skdim benchmark" in capsys.readouterr().err
