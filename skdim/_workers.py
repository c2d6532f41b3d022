"""Work in several processes, which end with the one that started them, and the memory that a process keeps."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from skdim._cluster import cluster_results
from skdim._jobfolder import JobFolder
from skdim._jobs import Job, done
from skdim.exceptions import WorkerError

_SECONDS = 0.5  # between two looks for the parent
_PAUSE = 0.005  # seconds between two looks for a job or a result
_HELD = (signal.SIGINT, signal.SIGTERM)
_AHEAD = 64  # jobs that are given out before the result of the first is taken
# As Ray says it, which tries some times on other workers first.
_DEATHS = (("ray.exceptions", "RayActorError"), ("ray.exceptions", "WorkerCrashedError"))
_KEPT = 31 * 2**20  # bytes; below the 32 MiB above which glibc never changes its mind
_FOLDERS: set[str] = set()  # of jobs, that this worker has seen; their parents remove them, unless they are killed
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


def run_jobs(
    jobs: Iterable[Job],  # they are taken when workers are free
    n_jobs: int | None,  # as joblib has it; 1 is this process
    **options: Any,  # of `joblib.Parallel`; a dask cluster goes without
) -> list[Any]:  # what the functions returned, in the order of the jobs
    """Do jobs through joblib, in this process or in several.

    If a worker dies, a `WorkerError` names the rows that were in work. Errors of jobs are raised as they are, or as a
    `JobError` where they cannot be sent.
    """
    if n_jobs == 1:
        return [job.function(*job.arguments) for job in jobs]
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        return list(cluster_results(backend, jobs, 8 * backend.effective_n_jobs(n_jobs or -1)))
    with tempfile.TemporaryDirectory(prefix="skdim-", ignore_cleanup_errors=True) as folder:
        calls = (delayed(_work)(job, folder) for job in jobs)
        try:
            return list(Parallel(n_jobs=n_jobs, **options, **_keeper())(calls))
        except _deaths() as error:
            raise _dead_worker(folder, error) from error


def _deaths() -> tuple[type[BaseException], ...]:
    """The errors by which joblib's backends say that a worker died; a backend that is not in use raises none."""
    from concurrent.futures.process import BrokenProcessPool

    modules = ((sys.modules.get(module), name) for module, name in _DEATHS)
    return (BrokenProcessPool, *(getattr(module, name) for module, name in modules if hasattr(module, name)))


class Workers:
    """Processes that do jobs in order: this one, and others that start at once, while this one does something else.

    Where this process may be forked (see `_can_fork`), it imports what they need, once for all of them, and they are
    forked off. Elsewhere they start anew. Whenever this process would wait for the next result, it does a job itself.

    Jobs and results go through a folder, see `skdim._jobfolder`.

    Examples
    --------
    >>> from skdim._jobs import Job
    >>> with Workers(1) as workers:
    ...     print(list(workers.results(Job(abs, (k,), range(k, k + 1)) for k in (-1, -2))))
    [1, 2]
    """

    def __init__(
        self,
        n_jobs: int,  # as joblib has it, this process included; with 1 it does each job when its result is taken
        modules: Sequence[str] = (),  # what jobs need
        most: int | None = None,  # more processes are of no use
    ) -> None:
        n = n_jobs if n_jobs > 0 else _of_all_processors(n_jobs)
        self.n = n if most is None else max(1, min(n, most))
        self._numbers = count()
        self._rows: dict[int, range] = {}  # of the jobs that are given out and not taken
        self._own: dict[int, Any] = {}  # what this process did, by the number of the job
        self._processes: list[subprocess.Popen[bytes] | _Forked] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if self.n > 1:
            try:
                self._start(modules)
            except BaseException:
                self._end()
                raise

    def _start(self, modules: Sequence[str]) -> None:
        """Start the other processes."""
        self._folder = tempfile.TemporaryDirectory(prefix="skdim-", ignore_cleanup_errors=True)
        fork = _can_fork()
        if fork:
            with importing():
                _import(modules)
        start = _Forked if fork else _started_anew
        for _ in range(self.n - 1):
            with _later_signals():
                self._processes.append(start(os.getpid(), self._folder.name, modules))

    def __enter__(self) -> Self:
        """Return the processes."""
        return self

    def __exit__(self, *error: object) -> None:
        """End them, whatever they are doing."""
        self._end()

    def _end(self) -> None:
        """Kill the processes, and remove what they had."""
        for process in self._processes:
            process.kill()
        while self._processes:
            self._processes.pop().wait()
        if self._folder is not None:
            self._folder.cleanup()

    def results(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """Give the first 64 jobs out at once, the others as results are taken, in the order of the jobs.

        The errors are those of `run_jobs`. Memory does not grow with the number of jobs.
        """
        if self._folder is None:
            return (job.function(*job.arguments) for job in jobs)
        rest, folder = iter(jobs), JobFolder(self._folder.name)
        waiting = deque(self._give(job, folder) for job in islice(rest, _AHEAD))
        return self._taken(rest, waiting, folder)

    def _give(self, job: Job, folder: JobFolder) -> int:
        """Give a job out; return its number."""
        number = next(self._numbers)
        self._rows[number] = job.rows
        folder.give(number, job)
        return number

    def _taken(self, rest: Iterator[Job], waiting: deque[int], folder: JobFolder) -> Iterator[Any]:
        """Take results, and give out a job for each."""
        while waiting:
            first = waiting[0]
            while first not in self._own and not folder.is_done(first):
                self._miss_none(folder)
                if not self._do_here(waiting, folder):
                    time.sleep(_PAUSE)
            waiting.popleft()
            del self._rows[first]
            result = self._own.pop(first) if first in self._own else folder.result(first)
            waiting.extend(self._give(job, folder) for job in islice(rest, 1))
            yield result

    def _do_here(self, numbers: Iterable[int], folder: JobFolder) -> bool:
        """Do the first job that no process has begun with; return whether there was one."""
        taken = folder.take(number for number in numbers if number not in self._own)
        if taken is None:
            return False
        taken.file.unlink()
        self._own[taken.number] = taken.job.function(*taken.job.arguments)
        return True

    def _miss_none(self, folder: JobFolder) -> None:
        """Name the rows that were in work if a process has died."""
        codes = {process.pid: code for process in self._processes if (code := process.poll()) is not None}
        if not codes:
            return
        rows = [self._rows[number] for number in folder.in_work(self._rows, codes)]
        raise WorkerError(rows, ", ".join(f"{_signal(code)}({code})" for code in codes.values()))


def _of_all_processors(n_jobs: int) -> int:
    """Number of processes that joblib means by a negative number."""
    from joblib import effective_n_jobs  # a tenth of the time in which `skdim embed` starts to read

    return int(effective_n_jobs(n_jobs))


class _Forked:
    """A worker that is forked off, as `subprocess.Popen` would have it."""

    def __init__(self, *arguments: Any) -> None:
        self._process = multiprocessing.get_context("fork").Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        self.pid, self.kill, self.wait = self._process.pid, self._process.kill, self._process.join

    def poll(self) -> int | None:
        """Return the exit code, if it has ended."""
        return self._process.exitcode


def _started_anew(parent: int, folder: str, modules: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a worker that shares nothing with this process but the places where modules are found."""
    call = f"serve({parent!r}, {folder!r}, {tuple(modules)!r})"
    code = f"import sys; sys.path[:] = {[*map(str, sys.path)]!r}; from skdim._workers import serve; {call}"
    # With -P no module is taken from the current folder before `sys.path` is that of this process.
    return subprocess.Popen([sys.executable, "-P", "-c", code], stdin=subprocess.DEVNULL, env=os.environ | _ONE_THREAD)


@contextmanager
def _later_signals() -> Iterator[None]:
    """Hold interrupts back while a worker starts, which inherits this until it says what it does with them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(parent: int, folder: str, modules: Sequence[str]) -> None:
    """Do the jobs of a folder in a worker, until it is killed or its parent has ended."""
    _start(parent, modules, folder)
    shared = JobFolder(folder)
    try:
        while True:
            taken = shared.take()
            if taken is None:
                time.sleep(_PAUSE)
            else:
                shared.finish(taken)
    except FileNotFoundError:
        if os.path.isdir(folder):  # otherwise the parent has ended, and another worker has removed it
            raise


def _signal(code: int) -> str:
    """Name the signal that ended a process."""
    return next((number.name for number in signal.Signals if number == -code), "EXIT")


def _dead_worker(folder: str, error: BaseException) -> WorkerError:
    """Name the rows that were in work when a process died."""
    notes = (file.name for file in Path(folder).iterdir() if not file.suffix)
    rows = sorted(map(_rows, notes), key=lambda rows: rows.start)
    signals = re.search(r"\{.*\}", str(error))
    return WorkerError(rows, signals.group().strip("{}") if signals else type(error).__name__)


def _can_fork() -> bool:
    """Whether this process is as good as new: of one thread, and without torch, whose threads are not forked.

    Linux alone: the libraries of macOS do not work in processes that are forked off, and Windows has none.
    """
    return sys.platform == "linux" and "torch" not in sys.modules and threading.active_count() == 1


def _start(parent: int, modules: Sequence[str], folder: str) -> None:
    """Prepare a worker: it ends with its parent, leaves interrupts to it, and has what it will need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a forked one has of its parent.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    os.environ.update(_ONE_THREAD)
    threadpool_limits(1)
    if os.name == "posix":
        end_with_parent(parent, folder)
    _import(modules)


@contextmanager
def importing() -> Iterator[None]:
    """Import without searching what is imported for garbage over and over, a sixth of the time that torch needs.

    It is not searched later either, so that processes that are forked off go on to share it. Once torch is there, the
    process is no new one, and nothing is done.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import(modules: Sequence[str]) -> None:
    """Import what jobs need."""
    _find_neighbours_without_torch()
    for module in modules:
        importlib.import_module(module)


def _work(job: Job, folder: str) -> Any:
    """Do one job in a worker; a file says which rows are in work as long as they are."""
    file = Path(folder, _note(job.rows)) if os.path.isdir(folder) else None  # on another machine it is not there
    if file is not None:
        _FOLDERS.add(folder)
        file.touch()
    try:
        return done(job)
    finally:
        if file is not None:
            file.unlink(missing_ok=True)


def _note(rows: range) -> str:
    """Name of the file for rows."""
    return f"{rows.start}-{rows.stop}"


def _rows(note: str) -> range:
    """Read `_note` back."""
    start, _, stop = note.partition("-")
    return range(int(start), int(stop))


def _keeper() -> dict[str, Any]:
    """Options that make loky's workers end with this process; dask and Ray look after theirs."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    if os.name != "posix" or type(backend).__name__ != "LokyBackend":
        return {}
    return {"initializer": prepare, "initargs": (os.getpid(),)}


def prepare(parent: int) -> None:
    """Let this worker end when its parent has ended, and find neighbours without torch."""
    if os.name == "posix":
        end_with_parent(parent)
    _find_neighbours_without_torch()


def _find_neighbours_without_torch() -> None:
    """Import vesin, which would import torch: a second and 200 MB for nothing."""
    if "torch" not in sys.modules:
        sys.modules["torch"] = None  # type: ignore[assignment]
        try:
            importlib.import_module("vesin")
        finally:
            del sys.modules["torch"]


def end_with_parent(
    parent: int,  # number of the process that started this one
    folder: str | None = None,  # that the parent would have removed at its end
) -> None:
    """Let this process end when its parent has ended, however that happened.

    The system could do this too (``prctl`` on Linux), but would take the end of the thread that started the worker for
    the end of the parent.
    """
    if folder is not None:
        _FOLDERS.add(folder)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="skdim-end-with-parent").start()


def _watch(parent: int) -> None:
    """End this process when it has been given to another parent."""
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    for folder in tuple(_FOLDERS):
        _remove(folder)
    os._exit(1)


def _remove(folder: str) -> None:
    """Remove a folder to which workers may write meanwhile: first its name, so that nothing more comes into it."""
    aside = f"{folder}.removed"
    try:
        os.rename(folder, aside)
    except OSError:  # mostly as another worker has it; this one has to end in any case
        return
    shutil.rmtree(aside, ignore_errors=True)


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to twice 31 MiB of what it frees.

    The allocator of glibc gives large blocks back to the system at once, and the next batch pays for every page of
    them. But it keeps blocks of the size of the largest one it has seen freed, and this one costs nothing, as nothing
    is ever written there. Elsewhere it does nothing.
    """
    np.empty(_KEPT, np.uint8)
