"""Studies that were stopped or are asked for more: only what is missing is computed, and the end is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from skdim import SiteNetRegressor
from skdim.benchmark import HEADS
from skdim.benchmark.store import Parts, digest
from tests.benchmark.test_study import study

KILLED = """
import sys
from tests.benchmark.test_study import study
from tests.benchmark.test_study_resumption import KILLABLE
study(sys.argv[1], **KILLABLE)
"""
FOREST = HEADS["random_forest"]().set_params(n_estimators=10)
KILLABLE = {"heads": {"ridge": HEADS["ridge"](), "forest": FOREST}, "draws": 8, "label_counts": [20, 40]}


def test_more_draws_heads_and_labels_compute_only_what_is_missing(tmp_path, capsys):
    few = study(tmp_path, verbose=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("parts/*")}
    assert "magpie: band gap: 2 trainings\n" in capsys.readouterr().err
    more = study(tmp_path, draws=3, heads=["ridge", "kernel_ridge"], label_counts=[10, 20], verbose=1)
    assert "magpie: band gap: 10 trainings, 2 of 12 known\n" in capsys.readouterr().err
    numbers = np.array([10, 20])  # of numpy's own kind, and yet the same
    again = study(tmp_path, draws=3, heads=["ridge", "kernel_ridge"], label_counts=numbers, verbose=1)
    assert "magpie: band gap: 0 trainings, 12 of 12 known\n" in (log := capsys.readouterr().err)
    assert "scales of" not in log
    pd.testing.assert_frame_equal(more, again)
    fresh = study(tmp_path / "fresh", draws=3, heads=["ridge", "kernel_ridge"], label_counts=[10, 20])
    pd.testing.assert_frame_equal(more.drop(columns="seconds"), fresh.drop(columns="seconds"))
    pd.testing.assert_frame_equal(study(tmp_path), few)
    assert set(before) < set(tmp_path.glob("parts/*"))


def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(tmp_path):
    broken = tmp_path / "broken"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(broken)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as run:
        end = time.monotonic() + 60
        while len(finished(broken)) < 5 and run.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    kept = finished(broken)
    n_kept = sum(len(rows) for rows in kept.values())
    assert 5 <= n_kept < 2 * 2 * 2 * 8
    records = study(broken, **KILLABLE)
    # What was there is there still, down to the seconds it took.
    again = finished(broken)
    assert all(row in again[name] for name, rows in kept.items() for row in rows)
    unbroken = study(tmp_path / "unbroken", **KILLABLE)
    pd.testing.assert_frame_equal(records.drop(columns="seconds"), unbroken.drop(columns="seconds"), rtol=1e-4)


def finished(out):
    """Records of each part that is on disk."""
    return {path.name: json.loads(path.read_text()) for path in Path(out).glob("parts/*.json")}


def test_jobs_and_backends_change_nothing(tmp_path):
    heads = {"ridge": HEADS["ridge"](), "trees": HEADS["random_forest"]().set_params(n_estimators=5)}
    heads["fine_tuned"] = SiteNetRegressor(max_epochs=1)
    one = study(tmp_path / "one", heads=heads, features=["magpie"], fine_tuning_draws=2)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        two = study(tmp_path / "two", heads=heads, features=["magpie"], fine_tuning_draws=2)
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"))


def test_a_part_that_is_damaged_is_computed_again(tmp_path):
    first = study(tmp_path)
    part = min(tmp_path.glob("parts/*.json"))
    part.write_text("")
    pd.testing.assert_frame_equal(study(tmp_path).drop(columns="seconds"), first.drop(columns="seconds"))
    assert part.read_text()


def test_parts_give_back_what_they_were_given(tmp_path):
    record = {
        "task": "a",
        "features": "b",
        "head": "c",
        "labels": 5,
        "draw": 1,
        "cv_mae": float("nan"),
        "mae": 0.1 + 0.2,
    }
    Parts(tmp_path).add("key", record)
    Parts(tmp_path).add("key", {**record, "draw": 0, "cv_mae": 1e-17})
    found = Parts(tmp_path).records("key")
    assert sorted(found) == [0, 1]
    assert found[1]["mae"] == record["mae"]
    assert np.isnan(found[1]["cv_mae"])
    assert found[0]["cv_mae"] == 1e-17
    assert Parts(tmp_path).records("other") == {}
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]


def test_a_digest_sees_values_types_and_parameters():
    things = [np.zeros(2), np.zeros(2, np.float32), np.zeros((2, 1)), 0, "0", HEADS["ridge"](), HEADS["kernel_ridge"]()]
    assert len({digest(thing) for thing in things}) == len(things)
    assert digest(HEADS["random_forest_cv"]()) == digest(HEADS["random_forest_cv"]())
    assert digest("a", "b") != digest("ab", "")
