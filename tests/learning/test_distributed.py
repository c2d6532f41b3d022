"""Pretraining in several processes that a launcher starts: the gradients, weights and files are those of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdim import DeepInfoMaxEmbedder
from skdim.learning.callbacks import ShowProgress
from skdim.learning.loader import CrystalDataset, crystal_loader, share_of
from skdim.learning.presets import Run, TrainingConfig
from skdim.learning.training import place_among_processes
from tests.small import bundled_points

ROOT = Path(__file__).parents[2]
LAUNCHER = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
LAUNCHER += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port"]
# One step on all crystals, some epochs of several steps, and one without held-out crystals. Of two processes each gets
# half of a batch.
SETTINGS: list[dict[str, int]] = [
    {"max_epochs": 1, "batch_pairs": 100_000},
    {"max_epochs": 2, "batch_pairs": 500},
    {"max_epochs": 1, "batch_pairs": 500, "held_out": 0},
]
HALVED = [{**one, "batch_pairs": one["batch_pairs"] // 2} for one in SETTINGS]


def run(folder: Path, launcher: list[str], settings: list[dict[str, int]]) -> None:
    """Start tests/launched.py in processes of its own."""
    folder.mkdir()
    done = started([*launcher, str(ROOT / "tests" / "launched.py"), str(folder), json.dumps(settings)])
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "stderr").write_text(done.stderr)


def started(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run Python with these words, in one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=300)


def launcher_of_two() -> list[str]:
    """The words that start two processes, with a port that is free."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return [*LAUNCHER, str(free.getsockname()[1])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process and two processes made of the same crystals."""
    folder = tmp_path_factory.mktemp("launched")
    run(folder / "one", [], SETTINGS)
    run(folder / "two", launcher_of_two(), HALVED)
    return folder


def outcome(folder: Path, place: int, rank: int) -> dict[str, np.ndarray]:
    with np.load(folder / f"{place}-{rank}.npz") as file:
        return dict(file)


def test_two_processes_have_the_gradient_of_one_with_the_doubled_batch(folder: Path) -> None:
    one, two = outcome(folder / "one", 0, 0), outcome(folder / "two", 0, 0)
    names = [name for name in one if name.startswith("gradient/")]
    assert len(names) > 10
    assert set(one) == set(two)
    for name in names:
        scale = np.linalg.norm(one[name])
        assert np.linalg.norm(two[name] - one[name]) <= 1e-5 * scale + 1e-7, name


@pytest.mark.parametrize("place", [0, 1, 2])
def test_two_processes_report_the_losses_of_one(folder: Path, place: int) -> None:
    one, two = outcome(folder / "one", place, 0), outcome(folder / "two", place, 0)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-3 if place else 1e-5)
    assert np.isfinite(two["losses"]).all(0).tolist() == [True, place < 2]  # of training and of held-out crystals


def test_all_processes_end_with_the_same_weights_losses_and_vectors(folder: Path) -> None:
    for place in (0, 1):
        first, second = (outcome(folder / "two", place, rank) for rank in (0, 1))
        assert all(np.array_equal(first[name], second[name]) for name in first)
    first, second = (np.load(folder / "two" / f"vectors-{rank}.npy") for rank in (0, 1))
    assert np.array_equal(first, second)
    np.testing.assert_allclose(first, np.load(folder / "one" / "vectors-0.npy"), atol=1e-3)


def test_one_process_alone_shows_progress() -> None:
    config = TrainingConfig(max_epochs=1, patience=1, batch_pairs=1, learning_rate=1.0)
    for rank in (0, 1):
        watch = ShowProgress(config, Run(0, progress=True, rank=rank, processes=2))
        watch.on_train_begin(SimpleNamespace(history=[]))
        assert watch.shown_.enabled == (rank == 0)


def test_a_checkpoint_of_two_processes_is_continued_by_one(folder: Path) -> None:
    checkpoint = folder / "two" / "checkpoint"
    assert sorted(path.name for path in checkpoint.iterdir()) == [
        "checkpoint.previous.safetensors",
        "checkpoint.safetensors",
    ]
    embedder = DeepInfoMaxEmbedder(max_epochs=2, random_state=0, checkpoint_dir=checkpoint)
    vectors = embedder.fit_transform(bundled_points(40))
    np.testing.assert_allclose(vectors, np.load(folder / "two" / "vectors-0.npy"), atol=1e-4)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_launch_that_loses_a_process_says_so_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    (broken / "lose").touch()
    lost = started([*launcher_of_two(), str(ROOT / "tests" / "lost.py"), str(broken)])
    assert lost.returncode != 0
    assert "ProcessLostError: another of the 2 processes that train together has ended" in lost.stderr
    assert f"the training goes on from {broken / 'checkpoint' / 'checkpoint.safetensors'}" in lost.stderr
    assert not list(broken.glob("vectors-*"))
    (broken / "lose").unlink()
    for folder in (broken, whole):
        done = started([*launcher_of_two(), str(ROOT / "tests" / "lost.py"), str(folder)])
        assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        vectors = [np.load(folder / f"vectors-{rank}.npy") for folder in (whole, broken)]
        assert np.array_equal(*vectors)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(1, 6))
def test_shares_of_a_batch_are_all_of_it_in_order(sizes: list[int], processes: int) -> None:
    n_pairs, batch = np.array(sizes), np.arange(len(sizes))[::-1]
    shares = [share_of(batch, n_pairs, rank, processes) for rank in range(processes)]
    assert np.array_equal(np.concatenate(shares), batch)
    if len(batch) >= 2 * processes:
        assert min(map(len, shares)) >= 2
    else:
        assert [len(share) for share in shares[1:]] == [0] * (processes - 1)


def test_shares_of_a_batch_have_about_as_many_pairs() -> None:
    n_pairs = np.random.default_rng(0).integers(1, 100, 1000)
    pairs = [n_pairs[share_of(np.arange(1000), n_pairs, rank, 4)].sum() for rank in range(4)]
    assert max(pairs) - min(pairs) < 2 * 100


def test_processes_share_every_batch_of_an_epoch() -> None:
    data = CrystalDataset(bundled_points(40), np.arange(40))
    whole = [batch.index.tolist() for batch, _ in crystal_loader(data, 0, 400, seed=0)]
    loaders = [crystal_loader(data, 0, 200, seed=0, rank=rank, processes=2) for rank in (0, 1)]
    halves = [[batch.index.tolist() for batch, _ in loader] for loader in loaders]
    assert [first + second for first, second in zip(*halves, strict=True)] == whole


def test_without_a_launcher_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    assert place_among_processes() == (0, 1)
    monkeypatch.setenv("WORLD_SIZE", "8")  # as batch systems set it, who are no launchers of torch
    assert place_among_processes() == (0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    assert place_among_processes() == (3, 8)


def test_a_launch_without_accelerate_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "RANK": "1"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"pip install 'skdim-crystals\[accelerate\]'"):
        DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(bundled_points(10))


def test_too_few_crystals_for_so_many_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"WORLD_SIZE": "8", "MASTER_ADDR": "localhost", "RANK": "0"}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ValueError, match="8 processes need 16 crystals to learn from; there are 10"):
        DeepInfoMaxEmbedder(max_epochs=1, random_state=0, validation_fraction=0.0).fit(bundled_points(10))
