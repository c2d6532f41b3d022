"""Tables of vectors: exact, whole or absent, harmless in a spreadsheet, never a mixture of two writers."""

import csv
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdim.cli.classreport import ClassReport
from skdim.cli.fitpage import write_classes_page
from skdim.cli.messages import one_line
from skdim.cli.outputs import vector_writer
from skdim.cli.predict import write_table

COLUMNS = ["a", "b", "c"]
NASTY = ["=HYPERLINK(1)", "+1+1", "-2", "@x", "a\rb", "a\nb", 'quo"te,comma', "\x1b[2Jclear", "plain.cif", "-3.5"]
NASTY += ["\t=1", "\uff1d1"]


def table(path, ids, value):
    with vector_writer(path, COLUMNS, {"model": "m"}) as writer:
        for name in ids:
            writer.write([name], np.full((1, 3), value, np.float32))


def read_ids(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path)["id"].tolist()
    with path.with_suffix(".ids.csv" if path.suffix == ".npy" else ".csv").open(newline="") as file:
        return [row[0] for row in csv.reader(file)][1:]


def test_parquet_keeps_ids_exactly(tmp_path):
    table(tmp_path / "v.parquet", NASTY, 1)
    assert read_ids(tmp_path / "v.parquet") == NASTY


@pytest.mark.parametrize("name", ["v.csv", "v.npy"])
def test_csv_shows_ids_and_runs_nothing(tmp_path, name):
    table(tmp_path / name, NASTY, 1)
    ids = read_ids(tmp_path / name)
    assert ids[:6] == ["'=HYPERLINK(1)", "'+1+1", "-2", "'@x", "a\rb", "a\nb"]
    assert ids[6:] == ['quo"te,comma', r"\x1b[2Jclear", "plain.cif", "-3.5", "'\t=1", "'\uff1d1"]
    text = (tmp_path / ("v.ids.csv" if name == "v.npy" else name)).read_bytes()
    assert b"\x1b" not in text
    table_of_ids = pd.read_csv(tmp_path / ("v.ids.csv" if name == "v.npy" else name), dtype={"id": str})
    assert table_of_ids["id"].tolist() == ids


@pytest.mark.parametrize("name", ["v.parquet", "v.csv", "v.npy"])
def test_two_writers_of_one_file_never_mix(tmp_path, name):
    path, barrier = tmp_path / name, threading.Barrier(2)

    def write(value, ids):
        with vector_writer(path, COLUMNS, {}) as writer:
            barrier.wait()
            for row in ids:
                writer.write([row], np.full((1, 3), value, np.float32))

    writers = [threading.Thread(target=write, args=(k, [f"{k}-{row}" for row in range(40 + k)])) for k in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    ids = read_ids(path)
    (own,) = {name.split("-")[0] for name in ids}
    assert len(ids) == 40 + int(own)
    frame = {".parquet": pd.read_parquet, ".csv": pd.read_csv}.get(path.suffix)
    values = np.load(path) if frame is None else frame(path)[COLUMNS].to_numpy()
    assert values.shape == (len(ids), 3)
    assert set(values.ravel()) == {float(own)}
    assert not list(tmp_path.glob("*.part*"))


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from skdim.cli import main, program
from skdim.cli.command import Command
from skdim.cli.fitpage import write_classes_page
from skdim.cli.messages import one_line
from skdim.cli.outputs import vector_writer
from skdim.cli.predict import write_table

def run(args):
    import pyarrow, pandas
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    with vector_writer(Path(sys.argv[1]), [f"c{k}" for k in range(100)], {}) as writer:
        for row in range(100):
            writer.write([f"{row}-{k}" for k in range(100)], np.random.default_rng(row).random((100, 100), np.float32))
    return 0

program.COMMANDS = (Command("fill", "", "", "", lambda parser: None, run),)
sys.exit(main(["fill"]))
"""


@pytest.mark.parametrize("name", ["v.parquet", "v.csv", "v.npy"])
def test_a_full_disk_names_the_file_and_leaves_the_earlier_one(tmp_path, name):
    pytest.importorskip("resource", reason="limits the size of files")
    path = tmp_path / name
    path.write_text("before")
    words = [sys.executable, "-c", FULL, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert str(path) in done.stderr
    assert "File too large, after" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == [name]
    assert Path(path).read_text() == "before"


@pytest.mark.slow
def test_names_of_targets_and_classes_are_harmless_in_headers_and_on_pages(tmp_path):
    table = pd.DataFrame({"id": ["a"], "=HYPERLINK(1)": [1.0], "probability_\x1b[31mred": [0.5]})
    write_table(table, tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == r"id,'=HYPERLINK(1),probability_\x1b[31mred"
    write_table(table, tmp_path / "p.parquet")
    assert pd.read_parquet(tmp_path / "p.parquet").columns.tolist() == table.columns.tolist()
    truth, named = np.array([0, 1, 1]), ["a", one_line("label\n\x1b[31mred")]
    report = ClassReport(
        target="\x1b[2J</script>", model="", n_crystals=3, n_usable=3, folds="", classes=named, truth=truth,
        shares=np.eye(2)[truth], decided=truth, chosen="ridge", errors={"ridge": 0.1, "shares": 0.7},
        magpie={"ridge": 0.2}, on_magpie=truth, learning=[], expected=None, left_out=[], mistakes=[], twins=[],
        notes=[], failures=["\x07.cif: none"],
    )  # fmt: skip
    write_classes_page(report, ["<i>"], tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert "<code>&lt;i&gt;</code>" in page
    assert not {"\x1b", "\x07"} & set(page)
    assert r"\x1b[2J&lt;/script&gt;" in page
    assert r"label\n\x1b[31mred" in page
