"""Work that is killed at random moments and begun again: it ends with the very bytes of work that was left alone.

The short form runs with the other tests; ``SKDIM_TRUST=long`` (``make trust``) kills each kind of work ten times.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tests.trust.killed import REPLACING, TASKS, carry_out, prepare

KILLS = 10 if os.environ.get("SKDIM_TRUST") == "long" else 2  # of each kind of work
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="SIGKILL, and processes forked off a server"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crystals and labels."""
    folder = tmp_path_factory.mktemp("data")
    prepare(folder)
    return folder


def begin(task: str, folder: Path, data: Path) -> multiprocessing.process.BaseProcess:
    """Start a task in a process of its own, and return when it is about to begin."""
    folder.mkdir(exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.trust.killed"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=carry_out, args=(task, folder, data, theirs))
    process.start()
    assert ours.recv()
    return process


def let_end(task: str, folder: Path, data: Path) -> float:
    """Let a task come to its end; return how long that took."""
    process = begin(task, folder, data)
    start = time.monotonic()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - start


def killed(process: multiprocessing.process.BaseProcess, wait: float) -> bool:
    """Kill a process after a while; tell whether that came before its end."""
    time.sleep(wait)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def result(folder: Path) -> bytes:
    """What the work ended with."""
    (file,) = folder.glob("end.*")
    return file.read_bytes()


@pytest.mark.parametrize("task", TASKS)
def test_killed_work_goes_on_and_ends_with_the_bytes_of_work_that_was_not(
    task: str, data: Path, tmp_path: Path
) -> None:
    seconds = let_end(task, tmp_path / "unbroken", data)
    unbroken, rng, kills = result(tmp_path / "unbroken"), np.random.default_rng(0), 0
    while kills < KILLS:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        while killed(begin(task, folder, data), rng.random() * seconds):
            kills += 1
            if task in REPLACING:
                assert result(folder) in (b"before", unbroken)
            if rng.random() < 0.5 or kills == KILLS:  # else it is killed again while it goes on
                let_end(task, folder, data)
                break
        else:
            seconds *= 0.7  # it had ended before: the next one is killed earlier
        assert result(folder) == unbroken
        assert not list(folder.rglob(".*.part*"))
    print(f"{task}: {kills} kills")
