"""The command `skdim` on real files: rows, ids, exit codes, messages."""

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

import skdim
from skdim import DeepInfoMaxEmbedder, pretrained
from skdim._targetmodel import TRANSFORMS
from skdim.cli import main, program
from skdim.cli.command import Command
from skdim.cli.exits import (
    BAD_INPUT,
    EXIT_CODES,
    FAULT,
    INTERRUPTED,
    OK,
    PIPE_CLOSED,
    SOME_FAILED,
    TERMINATED,
    exit_codes_text,
)
from skdim.cli.modelfile import as_text, facts_of
from skdim.cli.names import BUNDLED, MODELS
from skdim.cli.program import build_parser
from skdim.datasets import _bundled
from skdim.evaluation import _suggestion
from skdim.exceptions import InputError, StructureError
from skdim.learning.presets import PRESETS
from tests.handmade import DATA, FILES, flat, iron, perovskite, salt, silicon
from tests.learning.test_training import stop

BROKEN = "data_x\n_cell_length_a 5\nnothing else\n"


def skdim_command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "skdim", *words], cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of real files of every kind, and beside it a model pretrained on them by the real command."""
    place = tmp_path_factory.mktemp("cli")
    (place / "in" / "deep").mkdir(parents=True)
    for name in FILES:
        shutil.copy(DATA / name, place / "in" / ("deep" if name == "si.json" else "") / name)
    (place / "in" / "notes.txt").write_text("no crystal")
    (place / "bad.cif").write_text(BROKEN)
    records = {"iron": flat(iron()), "perovskite": perovskite().as_dict(), "salt": flat(salt()), "si": flat(silicon())}
    (place / "some.json.gz").write_bytes(gzip.compress(json.dumps(records).encode()))
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        archive.write(DATA / "nacl.cif", "x/nacl.cif")
    with tarfile.open(place / "b.tar.gz", "w:gz") as archive:
        archive.add(DATA / "POSCAR_SrTiO3", "POSCAR_SrTiO3")
    words = ("pretrain", "in", "some.json.gz", "a.zip", "b.tar.gz", "--out", "m.safetensors", "--max-epochs", "2")
    place.joinpath("log").write_text(skdim_command(*words, "--seed", "7", cwd=place).stderr)
    return place


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


IN = ["in/POSCAR_SrTiO3", "in/deep/si.json", "in/li_la_ti_o3_split.cif", "in/nacl.cif"]
ALL = [*IN, "iron", "perovskite", "salt", "si", "a.zip/x/nacl.cif", "b.tar.gz/POSCAR_SrTiO3"]


def test_pretrain_writes_a_model_that_python_loads(here):
    embedder = DeepInfoMaxEmbedder.load("m.safetensors")
    assert [row["epoch"] for row in embedder.history_] == [1, 2]
    assert (embedder.random_state, embedder.max_epochs) == (7, 2)
    log = Path("log").read_text()
    assert "skipped in folders, by their names or as links to folders: 1 (in/notes.txt)" in log
    assert "skdim: wrote m.safetensors: 10 crystals, 2 epochs" in log
    assert "Traceback" not in log


def test_embed_writes_a_row_for_each_input_broken_ones_too(here):
    words = ("embed", "m.safetensors", "in", "some.json.gz", "bad.cif", "a.zip", "b.tar.gz", "--out", "v.parquet")
    done = skdim_command(*words, "--on-error", "nan", cwd=here)
    assert done.returncode == SOME_FAILED, done.stderr
    assert done.stdout == ""
    assert "skdim: 1 of 11 crystals cannot be used\n  bad.cif: " in done.stderr
    assert done.stderr.count("bad.cif") == 1
    assert "Their rows are NaN." in done.stderr
    frame = pd.read_parquet("v.parquet")
    assert frame["id"].tolist() == [*ALL[:8], "bad.cif", *ALL[8:]]
    vectors = frame.drop(columns="id")
    assert vectors.isna().all(axis=1).tolist() == [name == "bad.cif" for name in frame["id"]]
    embedder = DeepInfoMaxEmbedder.load("m.safetensors")
    assert list(vectors) == embedder.get_feature_names_out().tolist()
    expected = embedder.transform([*IN, iron(), perovskite(), salt(), silicon()])
    np.testing.assert_allclose(vectors.to_numpy()[:8], expected, atol=1e-5)


def test_broken_crystals_are_an_error_that_names_all_and_writes_nothing(here):
    Path("worse.cif").write_text(BROKEN)
    done = skdim_command("embed", "m.safetensors", "bad.cif", "in", "worse.cif", "--out", "no.csv", "--quiet", cwd=here)
    assert done.returncode == 2
    assert "skdim: error: 2 of 6 crystals cannot be used\n  bad.cif: " in done.stderr
    assert "\n  worse.cif: " in done.stderr
    assert "--on-error nan" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(here.glob("no.csv*"))


def test_an_interrupt_ends_at_once_and_leaves_a_checkpoint(tmp_path):
    source = Path(skdim.__file__).parent / "datasets/data/dielectric_band_gap.json.gz"
    words = ["pretrain", str(source), "--out", "m", "--checkpoint", "state", "--max-epochs", "500"]
    # Shells let what they start in the background ignore interrupts, and children inherit that.
    command = ["import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"]
    command += ["from skdim.cli import main; sys.exit(main(sys.argv[1:]))"]
    with subprocess.Popen(
        [sys.executable, "-c", "; ".join(command), *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as run:
        end = time.monotonic() + 100
        while not list(tmp_path.glob("state/*.safetensors")) and run.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        _, log = run.communicate(timeout=60)
    assert run.returncode == 130, log
    assert "skdim: interrupted\n" in log
    assert "Traceback" not in log
    assert not (tmp_path / "m").exists()


def test_an_interrupted_pretraining_writes_its_best_weights_beside_the_file_of_a_whole_one(here, monkeypatch, capsys):
    words = ["pretrain", "in", "some.json.gz", "--out", "new/whole.st", "--max-epochs", "9"]
    for number, epoch in enumerate((1, 2, 2)):  # nothing is kept of the first
        with (
            monkeypatch.context() as patch,
            pytest.warns(UserWarning, match="was interrupted") if epoch > 1 else nullcontext(),
        ):
            stop(patch, KeyboardInterrupt, epoch=epoch, batch=1)
            assert main([*words, "--quiet"]) == INTERRUPTED
        assert len(list(here.glob("new/*"))) == number
    assert "skdim: wrote new/whole.interrupted.st: the weights of the best of 1 epoch\n" in capsys.readouterr().err
    assert sorted(path.name for path in here.glob("new/*")) == [
        "whole.interrupted.interrupted.st",
        "whole.interrupted.st",
    ]
    assert len(DeepInfoMaxEmbedder.load("new/whole.interrupted.st").history_) == 1


IMPORTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupting:
    def find_spec(self, name, *rest):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
            if name == "numpy":
                try:
                    for _ in range(1000):
                        pass
                except KeyboardInterrupt:
                    raise ImportError("IMPORTANT: PLEASE READ THIS") from None

sys.meta_path.insert(0, Interrupting())
from skdim.cli import main
sys.exit(main(["embed", "bundled", "x.cif", "--out", "v.npy"]))
"""


@pytest.mark.parametrize("module", ["argparse", "skdim.cli.program", "skdim.crystals.limits", "numpy", "torch"])
def test_an_interrupt_while_something_is_imported_shows_no_traceback(module, tmp_path):
    """Of which numpy makes an ImportError."""
    (tmp_path / "x.cif").write_text(salt().to(fmt="cif"))
    command = [sys.executable, "-c", IMPORTED, module]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == "skdim: interrupted\n"
    assert done.returncode in (130, -signal.SIGINT)  # which a shell calls 130 too


def test_chunks_and_formats_do_not_matter(here, capsys):
    tables = {}
    for name, batch in (("v.csv", "3"), ("v.npy", "1000"), ("w.parquet", "4")):
        assert main(["embed", "m.safetensors", "in", "some.json.gz", "--out", name, "--batch", batch]) == 0
        assert f"wrote {name}: 8 rows" in capsys.readouterr().err
        frame = None if name == "v.npy" else pd.read_csv(name) if name == "v.csv" else pd.read_parquet(name)
        tables[name] = np.load(name) if frame is None else frame.drop(columns="id").to_numpy(np.float32)
        names = pd.read_csv("v.ids.csv")["id"] if frame is None else frame["id"]
        assert names.tolist() == ALL[:8]
    # Columns of small deviation, among few crystals, magnify how sums over other batches are rounded.
    np.testing.assert_allclose(tables["v.csv"], tables["v.npy"], atol=1e-4)
    np.testing.assert_allclose(tables["v.csv"], tables["w.parquet"], atol=1e-4)
    assert parquet.ParquetFile("w.parquet").num_row_groups == 1
    made_by = json.loads(parquet.read_schema("w.parquet").metadata[b"skdim"])
    assert made_by["sha256"] == hashlib.sha256(Path("m.safetensors").read_bytes()).hexdigest()


def test_quiet_says_nothing_and_jobs_change_nothing(here, capfd):
    assert main(["embed", "m.safetensors", "in/*.cif", "--out", "one.csv", "--quiet"]) == 0
    assert main(["embed", "m.safetensors", "in/*.cif", "--out", "two.csv", "--quiet", "--jobs", "2"]) == 0
    assert capfd.readouterr().err == ""
    assert Path("one.csv").read_text() == Path("two.csv").read_text()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_progress_counts_the_crystals_of_files_that_hold_several(here, capfd, jobs):
    text = Path("in/nacl.cif").read_text()
    Path("two.cif").write_text(text + text)
    assert main(["embed", "m.safetensors", "two.cif", "in/nacl.cif", "--out", "v.csv", "--jobs", jobs]) == 0
    assert "reading crystals: 3 of 3 crystals in" in capfd.readouterr().err
    Path("two.cif").unlink()


@pytest.mark.filterwarnings("ignore:Possible issue in CIF", "ignore:No _symmetry_equiv_pos_as_xyz")
def test_pretrain_leaves_broken_crystals_out_if_told_so(here, capsys):
    words = ["pretrain", "in", "bad.cif", "some.json.gz", "--max-epochs", "0", "--embedding-dim", "3"]
    assert main([*words, "--out", "no"]) == 2
    assert "1 of 9 crystals cannot be used" in capsys.readouterr().err
    assert not Path("no").exists()
    assert main([*words, "--out", "new/x.safetensors", "--on-error", "nan"]) == SOME_FAILED
    assert "They are left out." in capsys.readouterr().err
    assert main(["info", "new/x.safetensors"]) == 0
    text = capsys.readouterr().out
    for line in ("crystals    8 (1 more could not be used)", "epochs      0: untrained", "vector      3 columns"):
        assert line in text
    assert "embedding_dim=3, max_epochs=0, random_state=0\n" in text


def test_the_same_seed_gives_the_same_model(here):
    for name in "xyz":
        words = ["pretrain", "in", "some.json.gz", "--out", name, "--max-epochs", "1", "--quiet"]
        assert main([*words, "--seed", "1" if name == "z" else "0"]) == 0
    x, y, z = (DeepInfoMaxEmbedder.load(name).transform([salt(), iron()]) for name in "xyz")
    np.testing.assert_array_equal(x, y)
    assert np.abs(x - z).max() > 1e-3


def test_info_as_json_holds_everything(here, capsys):
    assert main(["info", "m.safetensors", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["preset"] == "default"
    assert facts["changed"]["max_epochs"] == 2
    assert facts["data"] == {"rows": 10, "failed": 0}
    assert facts["epochs"] == len(facts["history"]) == 2
    assert facts["best_epoch"] in facts["history"]
    assert facts["sha256"] == hashlib.sha256(Path("m.safetensors").read_bytes()).hexdigest()
    assert facts["versions"]["skdim"] == skdim.__version__
    assert facts["columns"] == DeepInfoMaxEmbedder.load("m.safetensors").get_feature_names_out().tolist()


def test_info_knows_models_that_python_saved(here, capsys):
    DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit([salt(), iron()]).save("py")
    assert main(["info", "py"]) == 0
    assert "crystals    2\n" in capsys.readouterr().out
    assert "crystals    not recorded\n" in as_text({**facts_of("py"), "data": None})


WRONG = {
    "no such path": (
        ["embed", "m.safetensors", "nowhere", "no*pe", "--out", "v.csv"],
        "'nowhere' does not exist\n'no*pe' matches",
    ),
    "suffix": (["embed", "nowhere", "nowhere", "--out", "v.xlsx"], "must end in .parquet, .csv or .npy"),
    "folder as table": (["embed", "m.safetensors", "in", "--out", "dir.csv"], "'dir.csv' is a folder"),
    "folder as model": (["pretrain", "in", "--out", "in"], "'in' is a folder"),
    "no such model": (
        ["embed", "nowhere", "in", "--out", "v.csv"],
        "'nowhere' is not a file; models that come with the package are materials_project",
    ),
    "no model": (["info", "in/nacl.cif"], "is not a file that skdim writes"),
    "device": (
        ["embed", "m.safetensors", "in", "--out", "v.csv", "--device", "abacus"],
        "--device must be auto or a device",
    ),
    "too few": (
        ["pretrain", "in/nacl.cif", "--out", "few/m", "--max-epochs", "1"],
        "1 of 1 crystals can be used; at least 2",
    ),
    "bundled set": (
        ["embed", "materials_project", "bundled:bandgap", "--out", "v.csv"],
        "'bundled:bandgap' is unknown; bundled sets are bundled:formation_energy, bundled:band_gap",
    ),
    "start and preset": (
        ["pretrain", "in", "--out", "m", "--start", "default", "--preset", "paper"],
        "--preset cannot be combined with --start",
    ),
    "demo": (["demo", "--out", "bad.cif"], "'bad.cif' is a file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_done_is_said_in_one_message(here, capsys, case):
    words, message = WRONG[case]
    (here / "dir.csv").mkdir(exist_ok=True)
    assert main(words) == 2
    out, log = capsys.readouterr()
    assert "skdim: error: " in log
    assert message in log
    assert out == ""
    assert not Path("few").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["pretrain", "x"],
        ["pretrain", "x", "--out", "m", "--max-epochs", "-1"],
        ["embed", "m", "--out", "v"],
        ["embed", "m", "in", "--out", "v.csv", "--jobs", "0"],
    ],
)
def test_words_that_are_not_understood_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: skdim" in capsys.readouterr().err


def test_help_teaches_and_costs_nothing():
    heavy = ["torch", "numpy", "pandas", "pymatgen", "sklearn", "matminer"]
    code = (
        "import sys; from skdim.cli import main\n"
        "try: main(sys.argv[1:])\n"
        f"finally: print('loaded', *sorted(set({heavy}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert done.stderr == "loaded\n"
    assert all(f"\n    {name}" in done.stdout for name in ("demo", "pretrain", "embed", "info", "benchmark"))
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert alone.stdout == done.stdout


@pytest.mark.parametrize("name", ["demo", "pretrain", "embed", "info", "benchmark"])
def test_each_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert text.count(f"\n  skdim {name}") >= 2
    assert max(map(len, text.splitlines())) <= 120


def test_the_presets_offered_are_those_there_are():
    with pytest.raises(SystemExit):
        main(["pretrain", "x", "--out", "m", "--preset", "none"])
    for preset in PRESETS:
        assert build_parser().parse_args(["pretrain", "x", "--out", "m", "--preset", preset]).preset == preset


def test_the_goals_and_scales_offered_are_those_there_are():
    for goal in _suggestion.GOALS:
        assert build_parser().parse_args(["suggest", "m", "x", "--goal", goal]).goal == goal
    for scale in TRANSFORMS:
        words = ["fit", "x", "--labels", "t.csv", "--target", "y", "--out", "m", "--transform", scale]
        assert build_parser().parse_args(words).transform == scale


def test_a_reader_that_leaves_is_no_success(here):
    words = f"'{sys.executable}' -m skdim info m.safetensors --json; echo $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({words}) | true"], cwd=here, capture_output=True, text=True, env={**os.environ}
    )
    assert done.stderr == "141\n"


def test_names_are_those_of_what_comes_with_the_package():
    assert pretrained.MODELS == MODELS
    assert sorted(file.name for file in _bundled.ALL_FILES) == sorted(BUNDLED.values())


def test_what_comes_with_the_package_is_used_by_name(here, capsys):
    assert main(["embed", "materials_project", "in/nacl.cif", "--out", "shipped.csv", "--quiet"]) == OK
    expected = pretrained.load_pretrained().transform(["in/nacl.cif"])
    np.testing.assert_allclose(pd.read_csv("shipped.csv").drop(columns="id"), expected, rtol=1e-6)
    words = ["pretrain", "bundled:piezoelectric", "in", "--max-epochs", "0", "--out", "bundled.safetensors"]
    assert main(words) == OK
    n = len(_bundled.read_rows(_bundled.PIEZOELECTRIC)) + len(IN)
    assert f"wrote bundled.safetensors: {n} crystals" in capsys.readouterr().err


def test_a_pretraining_continues_from_a_model(here, capsys):
    words = ["pretrain", "in", "some.json.gz", "--quiet", "--start", "m.safetensors", "--out"]
    assert main([*words, "same.safetensors", "--max-epochs", "0"]) == OK
    assert main([*words, "more.safetensors", "--max-epochs", "1"]) == OK
    names = ("m.safetensors", "same.safetensors", "more.safetensors")
    first, same, more = (DeepInfoMaxEmbedder.load(name).state_.weights for name in names)
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert any(not np.array_equal(first[name], more[name]) for name in first)


@pytest.mark.parametrize("name", pretrained.MODELS)
def test_a_shipped_model_goes_on_training_also_without_a_number_of_epochs(here, name):
    shipped = pretrained.load_pretrained(name).state_.weights
    assert main(["pretrain", "in", "--quiet", "--start", name, "--out", "own.safetensors"]) == OK
    own = DeepInfoMaxEmbedder.load("own.safetensors").state_.weights
    assert any(not np.array_equal(shipped[name], own[name]) for name in shipped)


WAIT = """
import sys, time
from skdim._files import replacing
from skdim.cli import main, program
from skdim.cli.command import Command

def run(args):
    with replacing("v") as draft:
        draft.touch()
        print("ready", flush=True)
        time.sleep(60)

program.COMMANDS = (Command("wait", "", "", "", lambda parser: None, run),)
sys.exit(main(["wait"]))
"""


def test_sigterm_removes_drafts_and_has_a_code_of_its_own(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WAIT], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == TERMINATED
    assert list(tmp_path.iterdir()) == []


CRASH = """
import os, sys
from skdim.cli import main, program
from skdim.cli.command import Command

program.COMMANDS = (Command("crash", "", "", "", lambda parser: None, lambda args: {end}),)
sys.exit(main(["crash"]))
"""


@pytest.mark.parametrize("end", ["os._exit(1)", "os.abort()", "os.kill(os.getpid(), 9)"])
def test_a_crash_has_none_of_our_codes(end):
    done = subprocess.run([sys.executable, "-c", CRASH.format(end=end)], timeout=60, capture_output=True)
    assert done.returncode not in [row.code for row in EXIT_CODES]


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_work_whose_reader_has_left_is_no_success(stream):
    reader, writer = os.pipe()
    os.close(reader)
    speak = f"print('x', file=sys.{stream}, flush=True)"
    words = [sys.executable, "-c", CRASH.format(end=speak)]
    done = subprocess.run(words, timeout=60, check=False, **{"stdout": subprocess.PIPE, stream: writer})
    os.close(writer)
    assert done.returncode == PIPE_CLOSED


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is full")
def test_a_full_disk_behind_stdout_is_said_and_no_fault():
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-c", CRASH.format(end="print('x')")]
        done = subprocess.run(words, timeout=60, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (BAD_INPUT, "skdim: error: stdout: No space left on device\n")


def test_the_help_lists_every_exit_code():
    assert all(f"\n  {row.code:<6}{row.meaning[:20]}" in exit_codes_text() for row in EXIT_CODES)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("a"), BAD_INPUT),
        (StructureError([(0, "b")]), BAD_INPUT),
        (FileNotFoundError(2, "No such file", "c"), BAD_INPUT),
        (OSError("a message of our own"), BAD_INPUT),
        (FloatingPointError("diverged"), BAD_INPUT),
        (OSError(9, "Bad file descriptor"), FAULT),
        (ValueError("d"), FAULT),
        (ZeroDivisionError("e"), FAULT),
        (MemoryError(), FAULT),
    ],
)
def test_only_errors_about_the_input_are_bad_input(monkeypatch, capsys, error, code):
    def fail(args):
        raise error

    monkeypatch.setattr(program, "COMMANDS", (Command("fail", "", "", "", lambda parser: None, fail),))
    assert main(["fail"]) == code
    assert ("Traceback" in capsys.readouterr().err) == (code == FAULT)


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--target", "bulk", "shear"], "shear; .*commas between, see skdim fit"),
        (["--x"], "--x; see skdim fit"),
    ],
)
def test_words_that_belong_to_no_option_are_told_with_what_to_do(capsys, words, cure):
    with pytest.raises(SystemExit) as ended:
        main(["fit", "c", "--labels", "t.csv", "--target", "x", "--out", "m", *words])
    assert ended.value.code == BAD_INPUT
    assert re.search(f"unrecognized arguments: {cure} --help", capsys.readouterr().err)


def test_every_command_has_its_place_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert [c.name for c in program.COMMANDS if f"<!-- made: help {c.name} -->" not in page] == []


def test_the_former_name_of_the_small_model_embeds_and_is_told_of_once(here):
    with pytest.warns(FutureWarning, match="'default' is now called 'bundled'") as told:
        assert main(["embed", "default", "in/nacl.cif", "--out", "former.csv", "--quiet"]) == OK
    assert sum(warning.category is FutureWarning for warning in told) == 1
    assert main(["embed", "bundled", "in/nacl.cif", "--out", "now.csv", "--quiet"]) == OK
    assert Path("former.csv").read_bytes() == Path("now.csv").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["embed", "m", "c", "--out", "v.csv"],
        ["pretrain", "c", "--out", "m"],
        ["fit", "c", "--labels", "t.csv", "--target", "x", "--out", "m"],
        ["predict", "m", "c", "--out", "t.csv"],
        ["suggest", "m", "c"],
    ],
    ids=lambda words: words[0],
)
def test_each_command_that_reads_crystals_reads_larger_ones_when_told(words: list[str]) -> None:
    assert dict(build_parser().parse_args([*words, "--limit", "rows=7"]).limit) == {"rows": 7}
