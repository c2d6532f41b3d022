"""Workers: they end with their parent, and a dead one is reported with its rows."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import pytest

from skdim._jobs import Job
from skdim._workers import Workers, _remove, run_jobs
from skdim.exceptions import JobError, WorkerError


def square(number):
    return number**2


def die_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_are_in_the_order_of_the_jobs(n_jobs):
    jobs = (Job(square, (k,), range(k, k + 1)) for k in range(20))
    assert run_jobs(jobs, n_jobs) == [k**2 for k in range(20)]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_dead_worker_is_reported_with_its_rows():
    with pytest.raises(WorkerError, match=r"SIGKILL.* 30 to 39") as caught:
        run_jobs((Job(die_at_three, (k,), range(10 * k, 10 * k + 10)) for k in range(8)), 2, batch_size=1)
    assert range(30, 40) in caught.value.rows
    assert run_jobs([Job(square, (k,), range(k, k + 1)) for k in range(4)], 2) == [0, 1, 4, 9]  # the next call works


def meet(folder):
    """Wait until two processes are here."""
    Path(folder, str(os.getpid())).touch()
    end = time.monotonic() + 60
    while len(os.listdir(folder)) < 2 and time.monotonic() < end:
        time.sleep(0.01)


def facts(folder):
    meet(folder)
    heavy = [name for name in ("torch", "sklearn", "pandas", "matminer") if name in sys.modules]
    return os.getpid(), heavy, os.environ.get("OMP_NUM_THREADS"), signal.getsignal(signal.SIGINT)


def die_elsewhere(folder, caller):
    meet(folder)
    if os.getpid() != caller:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_give_results_in_order_and_take_jobs_as_they_are_wanted(n_jobs):
    given = []

    def jobs():
        for k in range(300):
            given.append(k)
            yield Job(square, (k,), range(k, k + 1))

    with Workers(n_jobs) as workers:
        results = workers.results(jobs())
        assert next(results) == 0
        assert len(given) == {1: 1, 2: 65}[n_jobs]
        assert list(results) == [k**2 for k in range(1, 300)]


def test_one_of_two_workers_is_the_caller_and_the_other_loads_nothing_heavy_and_leaves_interrupts_to_it(tmp_path):
    with Workers(2, ("skdim.points.parts",)) as workers:
        found = list(workers.results(Job(facts, (tmp_path,), range(k, k + 1)) for k in range(8)))
    assert os.getpid() in {process for process, *_ in found}
    (other,) = {(process, *map(str, rest)) for process, *rest in found if process != os.getpid()}
    assert other[1:] == ("[]", "1", str(signal.SIG_IGN))


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_dead_worker_is_reported_with_its_rows_while_results_are_taken(tmp_path):
    jobs = (Job(die_elsewhere, (tmp_path, os.getpid()), range(10 * k, 10 * k + 10)) for k in range(8))
    with Workers(2) as workers, pytest.raises(WorkerError, match=r"SIGKILL") as caught:
        list(workers.results(jobs))
    assert [len(rows) for rows in caught.value.rows] == [10]  # the one that it was at


@pytest.mark.parametrize("result", [ValueError("no sites"), FileNotFoundError(2, "No such file", "a.cif")])
def test_an_error_of_another_process_is_raised_here_with_the_place_where_it_came_from(tmp_path, result):
    jobs = (Job(end_elsewhere, (tmp_path, os.getpid(), result), range(k, k + 1)) for k in range(8))
    with Workers(2) as workers, pytest.raises(type(result)) as caught:
        list(workers.results(jobs))
    assert str(caught.value) == str(result)
    assert "in end_elsewhere" in caught.value.__notes__[0]


def end_elsewhere(folder, caller, error):
    meet(folder)
    if os.getpid() != caller:
        raise error


class NeedsTwoError(Exception):
    """Which is pickled by its message alone, and cannot be made of that."""

    def __init__(self, what, count):
        super().__init__(f"{count} {what}")


class ChangesError(Exception):
    """Which says something else once it was pickled."""

    def __init__(self, what):
        super().__init__(f"no {what}")


def holding(value):
    """An error that holds what cannot be pickled."""
    error = ValueError("it holds a lock")
    error.value = value
    return error


UNSENDABLE = {
    "NeedsTwoError": (lambda: NeedsTwoError("sites", 3), "3 sites"),
    "ChangesError": (lambda: ChangesError("sites"), "no sites"),
    "ValueError": (lambda: holding(threading.Lock()), "it holds a lock"),
}


def fail_elsewhere(folder, caller, kind):
    meet(folder)
    if os.getpid() != caller:
        raise UNSENDABLE[kind][0]()


@pytest.mark.parametrize("kind", UNSENDABLE)
def test_an_error_that_cannot_be_sent_is_told_with_its_rows(tmp_path, kind):
    jobs = [Job(fail_elsewhere, (tmp_path, os.getpid(), kind), range(10 * k, 10 * k + 10)) for k in range(8)]
    message = UNSENDABLE[kind][1]
    with Workers(2) as workers, pytest.raises(JobError, match=f"{kind} in a worker .* rows .*: {message}") as caught:
        list(workers.results(jobs))
    assert len(caught.value.rows) == 10
    assert "in fail_elsewhere" in caught.value.__notes__[0]
    with pytest.raises(JobError, match=message):  # through joblib
        run_jobs(jobs[3:5], 2)


def test_what_cannot_be_sent_is_an_error_too(tmp_path):
    jobs = (Job(unsendable, (tmp_path,), range(k, k + 1)) for k in range(8))
    with Workers(2) as workers, pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        list(workers.results(jobs))


def unsendable(folder):
    meet(folder)
    return lambda: None


FORKED = """
import gc, os, signal, sys, tempfile
from skdim._jobs import Job
from skdim._workers import Workers
from skdim.exceptions import WorkerError
from tests.test_workers import die_elsewhere, meet

def facts(folder):  # which only a process that is forked off can find here
    meet(folder)
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return os.getpid(), (os.getppid(), os.environ.get("OMP_NUM_THREADS"), signals, held)

signal.signal(signal.SIGTERM, lambda *_: None)
with Workers(2, ("skdim.points.parts",)) as workers, tempfile.TemporaryDirectory() as folder:
    assert "skdim.points.parts" in sys.modules
    assert gc.isenabled() and gc.get_freeze_count() > 10_000  # what is imported is no garbage, and stays shared
    found = list(workers.results(Job(facts, (folder,), range(k, k + 1)) for k in range(8)))
others = [rest for process, rest in found if process != os.getpid()]
expected = (os.getpid(), "1", [signal.SIG_IGN, signal.SIG_DFL], set())
assert others == [expected] * len(others) and 0 < len(others) < 8, found
assert "torch" not in sys.modules
try:
    with Workers(2) as workers, tempfile.TemporaryDirectory() as folder:
        list(workers.results(Job(die_elsewhere, (folder, os.getpid()), range(k, k + 1)) for k in range(8)))
except WorkerError as error:
    assert [len(rows) for rows in error.rows] == [1], error
else:
    raise SystemExit("a worker that died was not missed")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked")
def test_workers_of_a_process_without_torch_are_forked_with_what_it_has_imported():
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


def end_with(error):
    raise error


def test_a_ray_that_gives_a_worker_up_is_reported_as_one_that_died():
    """The error is that of Ray, whose workers take too long to die to be killed here."""
    error = pytest.importorskip("ray.exceptions", reason="needs ray").RayActorError()
    jobs = (Job(end_with, (error,), range(10 * k, 10 * k + 10)) for k in range(1))
    with joblib.parallel_config(backend="threading"), pytest.raises(WorkerError, match="RayActorError"):
        run_jobs(jobs, 2)


def test_the_error_names_rows_and_survives_pickling():
    error = WorkerError([range(0, 2)], "SIGKILL(-9)", ["a.cif", "b.cif"])
    assert "0 to 1 (a.cif to b.cif)" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


PARENT = """
import os, sys, time
from skdim._jobs import Job
from skdim._workers import run_jobs

def work(number):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once: two workers share the pipe
    time.sleep(60)

run_jobs([Job(work, (k,), range(1)) for k in range(2)], 2)
"""


READING_PARENT = """
import os, time
from skdim._jobs import Job
from skdim._workers import Workers

def work(caller):
    if os.getpid() != caller:
        time.sleep(60)

with Workers(2) as workers:
    results = workers.results(Job(work, (os.getpid(),), range(k, k + 1)) for k in range(3))
    print(workers._folder.name, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_the_folder_of_results_does_not_outlive_a_killed_parent():
    with subprocess.Popen([sys.executable, "-c", READING_PARENT], stdout=subprocess.PIPE, text=True) as parent:
        folder = parent.stdout.readline().strip()
        assert os.path.isdir(folder)
        parent.send_signal(signal.SIGKILL)
        parent.wait(30)
        end = time.monotonic() + 30
        while os.path.isdir(folder) and time.monotonic() < end:
            time.sleep(0.05)
        assert not os.path.exists(folder)


def test_a_folder_is_removed_though_results_are_still_written_to_it(tmp_path):
    folder = tmp_path / "folder"
    for _ in range(20):
        folder.mkdir()

        def write():
            try:
                for number in range(10**6):
                    (folder / f"{number % 50}.done").write_bytes(b"result")
            except FileNotFoundError:
                return

        with ThreadPoolExecutor(2) as writers:
            ended = [writers.submit(write) for _ in range(2)]
            _remove(str(folder))
        assert all(one.exception() is None for one in ended)
        assert not list(tmp_path.iterdir())


INTERRUPTED = """
import os, sys, time
if sys.argv[1] == "anew":
    sys.modules["torch"] = None  # which keeps this process from being forked
from skdim._jobs import Job
from skdim._workers import Workers
from tests.test_workers import nap_elsewhere

try:
    with Workers(3) as workers:
        for _ in workers.results(Job(nap_elsewhere, (os.getpid(),), range(k, k + 1)) for k in range(1000)):
            print(workers._folder.name, flush=True)
except KeyboardInterrupt:
    print("interrupted", os.path.exists(workers._folder.name))
"""


def nap_elsewhere(caller):
    """Sleep: long in another process, so that the caller has all of the jobs but one for each of the others."""
    time.sleep(0.01 if os.getpid() == caller else 0.1)


@pytest.mark.skipif(os.name != "posix", reason="SIGINT of a group of processes")
@pytest.mark.parametrize("start", ["fork", "anew"])
def test_an_interrupt_in_the_middle_of_the_work_leaves_no_process_no_folder_and_no_message(start):
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, start],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        parent.stdout.readline()
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        output, messages = parent.communicate(timeout=30)
    assert (output.splitlines()[-1], messages) == ("interrupted False", "")
    with pytest.raises(ProcessLookupError):  # nobody is left in the group
        os.killpg(parent.pid, 0)


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:  # a zombie that nobody has collected has ended
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes through /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(number, tmp_path):
    there = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=there) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(number)
        parent.wait(30)
        end = time.monotonic() + 30
        while any(map(is_running, workers)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(map(is_running, workers))
        assert not list(tmp_path.glob("skdim-*"))
