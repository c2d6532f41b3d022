"""The scripts that measure speed: their crystals, exponents and records, and that they run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from skdim.crystals.structures import coerce_structure

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def scaling(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("scaling")


def test_synthetic_crystals_repeat_with_their_seed_and_have_real_prototypes(scaling: ModuleType) -> None:
    synthetic = scaling.synthetic
    texts = [synthetic.poscar(number) for number in range(30)]
    assert texts == [synthetic.poscar(number) for number in range(30)]
    assert len({text.split("\n", 1)[1] for text in texts}) == 30
    assert texts[3] != synthetic.poscar(3, seed=1)
    shapes = {(len(crystal), len(crystal.composition)) for crystal in synthetic.bundled()}
    for text in texts:
        crystal = coerce_structure(text)
        assert (len(crystal), len(crystal.composition)) in shapes


@pytest.mark.parametrize("sites", [6, 12, 24, 48, 96, 200])
def test_crystals_of_a_size_have_that_many_sites_all_apart_and_all_different(scaling: ModuleType, sites: int) -> None:
    (crystal,) = scaling.synthetic.of_size(sites, 1)
    assert len(crystal) == sites
    distances = crystal.distance_matrix + 10 * np.eye(sites)
    assert distances.min() > 2.0
    assert crystal.volume / sites == pytest.approx(2 * 2.8**3 / 2)


def test_files_are_written_once(scaling: ModuleType, tmp_path: Path) -> None:
    files = scaling.synthetic.write_folder(tmp_path, 3)
    stamps = [file.stat().st_mtime_ns for file in files]
    assert scaling.synthetic.write_folder(tmp_path, 5)[:3] == files
    assert [file.stat().st_mtime_ns for file in files] == stamps
    assert len(list(tmp_path.rglob("*.vasp"))) == 5


def test_exponents_of_power_laws_are_found_within_their_intervals(scaling: ModuleType) -> None:
    x = [1e3, 3e3, 1e4, 3e4, 1e5]
    exact = scaling.slope(x, [2e-4 * v**1.3 for v in x])
    assert exact["exponent"] == pytest.approx(1.3)
    assert exact["high"] - exact["low"] < 1e-6
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        fit = scaling.slope(x, [v * np.exp(rng.normal(scale=0.1)) for v in x])
        inside += fit["low"] <= 1.0 <= fit["high"]
    assert 180 <= inside <= 199


def test_memory_above_start_is_seen(scaling: ModuleType) -> None:
    with scaling.watched("RssAnon") as seen:
        block = np.ones(2**23)  # 64 MiB
    assert block.all()
    assert 60 < seen["mebibytes"] < 100
    assert seen["seconds"] > 0


def test_a_record_names_commit_and_versions_and_goes_into_the_history(scaling: ModuleType, tmp_path: Path) -> None:
    record = scaling.record
    report = {**record.surroundings(), "fits": {}}
    assert {"torch", "numpy", "skdim-crystals"} <= set(report["versions"])
    out, past = record.write(report, tmp_path / "scaling.json", "scaling")
    assert json.loads(out.read_text()) == json.loads(past.read_text()) == report
    assert past.parent.name == "history"
    assert report["commit"] in past.name


@pytest.mark.slow
def test_one_measurement_runs_in_a_process_of_its_own(scaling: ModuleType, tmp_path: Path) -> None:
    scaling.make_model(tmp_path)
    scaling.synthetic.write_folder(tmp_path / "40", 40)
    command = [sys.executable, str(ROOT / "benchmarks" / "scaling.py"), "--folder", str(tmp_path), "--threads", "1"]
    rows = {}
    for kind in ("files", "store"):
        done = subprocess.run([*command, "--measure", kind, "40"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rows[kind] = json.loads(done.stdout.splitlines()[-1])
        assert rows[kind]["crystals"] == 40
    assert rows["store"]["pairs"] > 40
    assert rows["files"]["bytes_written"] > 0


@pytest.mark.slow
def test_cold_starts_and_second_processes_are_measured(tmp_path: Path) -> None:
    out = tmp_path / "processes.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "processes.py"), "--repeats", "1", "--crystals", "70"]
    subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
    report = json.loads(out.read_text())
    assert set(report["cold_start"]) == {"torch and scikit-learn", "skdim", "first vector"}
    assert all(value > 0 for value in [*report["cold_start"].values(), *report["featurize"].values()])
    assert report["settings"] == {"repeats": 1, "crystals": 70}


def test_alternatives_are_measured_for_both_steps(scaling: ModuleType) -> None:
    import alternatives

    rows = alternatives.measured(threads=1, passes=1, crystals=40, with_compile=False)
    names = {step: [row["alternative"] for row in rows if row["step"] == step] for step in ("embedding", "training")}
    assert names["embedding"] == names["training"]
    assert len(names["training"]) == 5
    assert all(row["ratio"] > 0 for row in rows)


def test_the_stages_of_each_step_add_to_all_of_it(scaling: ModuleType) -> None:
    import stages

    rows = stages.measured(threads=1, crystals=40)
    for step in ("training", "embedding"):
        own = [row for row in rows if row["step"] == step]
        assert sum(row["share"] for row in own) == pytest.approx(1)
        assert all(row["microseconds"] >= 0 for row in own)
