"""Studies that were stopped or are asked for more: only what is missing is computed, and the end is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetRegressor
from skdim.evaluation import REGRESSORS
from skdim.study.finished import Finished, basis_of
from tests.study.test_run import study

KILLED = """
import sys
from tests.study.test_run import study
from tests.study.test_resumption import KILLABLE
study(sys.argv[1], **KILLABLE)
"""
FOREST = REGRESSORS["random_forest"]().set_params(n_estimators=10)
KILLABLE = {"regressors": {"ridge": REGRESSORS["ridge"](), "forest": FOREST}, "n_repeats": 8, "label_counts": [20, 40]}


def finished(out):
    """The files of finished trainings, with the time of their writing."""
    return {path: path.stat().st_mtime_ns for path in Path(out, "finished").rglob("output.pkl")}


@pytest.mark.slow
def test_more_draws_regressors_and_labels_compute_only_what_is_missing(tmp_path, capsys):
    few = study(tmp_path, verbose=1)
    before = finished(tmp_path)
    assert "magpie: band gap: 2 trainings\n" in capsys.readouterr().err
    more = study(tmp_path, n_repeats=3, regressors=["ridge", "kernel_ridge"], label_counts=[10, 20], verbose=1)
    assert "magpie: band gap: 10 trainings, 2 of 12 known\n" in capsys.readouterr().err
    numbers = np.array([10, 20])  # of numpy's own kind, and yet the same
    again = study(tmp_path, n_repeats=3, regressors=["ridge", "kernel_ridge"], label_counts=numbers, verbose=1)
    assert "magpie: band gap: 0 trainings, 12 of 12 known\n" in (log := capsys.readouterr().err)
    assert "scales of" not in log
    pd.testing.assert_frame_equal(more, again)
    fresh = study(tmp_path / "fresh", n_repeats=3, regressors=["ridge", "kernel_ridge"], label_counts=[10, 20])
    pd.testing.assert_frame_equal(more.drop(columns="seconds"), fresh.drop(columns="seconds"))
    pd.testing.assert_frame_equal(study(tmp_path), few)
    assert before.items() < finished(tmp_path).items()


@pytest.mark.slow
def test_a_killed_run_continues_where_it_was_and_ends_the_same(tmp_path):
    broken = tmp_path / "broken"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(broken)], env=environment) as run:
        while len(finished(broken)) < 5 and run.poll() is None:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    kept = finished(broken)
    assert 5 <= len(kept) < 2 * 2 * 2 * 8
    records = study(broken, **KILLABLE)
    assert kept.items() < finished(broken).items()
    unbroken = study(tmp_path / "unbroken", **KILLABLE)
    pd.testing.assert_frame_equal(records.drop(columns="seconds"), unbroken.drop(columns="seconds"), rtol=1e-4)


@pytest.mark.slow
def test_jobs_and_backends_change_nothing(tmp_path):
    regressors = {"ridge": REGRESSORS["ridge"](), "trees": REGRESSORS["random_forest"]().set_params(n_estimators=5)}
    regressors["fine_tuned"] = SiteNetRegressor(max_epochs=1)
    one = study(tmp_path / "one", regressors=regressors, features=["magpie"], fine_tuning_repeats=1)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        two = study(tmp_path / "two", regressors=regressors, features=["magpie"], fine_tuning_repeats=1)
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"))


def test_a_finished_training_that_is_damaged_is_done_again(tmp_path):
    first = study(tmp_path)
    file = min(finished(tmp_path))
    file.write_bytes(b"")
    pd.testing.assert_frame_equal(study(tmp_path).drop(columns="seconds"), first.drop(columns="seconds"))
    assert file.read_bytes()


class Repeat:
    """Which repeat, of how many labels."""

    labels, number = 50, 3


def train(value):
    return {"mae": value, "cv_mae": float("nan")}


def test_finished_trainings_are_found_by_what_decides_them_alone(tmp_path):
    ridge, kernel = REGRESSORS["ridge"](), REGRESSORS["kernel_ridge"]()
    trainings = Finished(tmp_path, "basis")
    assert trainings.find(ridge, Repeat) is None
    assert trainings.run(ridge, Repeat, train, (0.1 + 0.2,))["mae"] == 0.1 + 0.2
    found = Finished(tmp_path, "basis").find(ridge, Repeat)
    assert found["mae"] == 0.1 + 0.2
    assert np.isnan(found["cv_mae"])
    assert trainings.run(ridge, Repeat, train, (7.0,))["mae"] == 0.1 + 0.2
    assert Finished(tmp_path, "other").find(ridge, Repeat) is None
    assert trainings.find(kernel, Repeat) is None


def test_a_digest_sees_values_types_and_parameters():
    regressors = [REGRESSORS[name]() for name in ("ridge", "kernel_ridge")]
    things = [np.zeros(2), np.zeros(2, np.float32), np.zeros((2, 1)), 0, "0", *regressors]
    assert len({basis_of(thing) for thing in things}) == len(things)
    assert basis_of(REGRESSORS["random_forest_cv"]()) == basis_of(REGRESSORS["random_forest_cv"]())
    assert basis_of("a", "b") != basis_of("ab", "")
