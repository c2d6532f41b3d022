"""Work in several processes, which end with the one that started them, and the memory that a process keeps."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky import ProcessPoolExecutor
from joblib.parallel import get_active_backend
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from skdim._cluster import cluster_results
from skdim._jobs import Job
from skdim.exceptions import WorkerError

_SECONDS = 0.5  # between two looks for the parent
_AHEAD = 64  # jobs that are given out before the result of the first is taken
# As Ray says it, which tries some times on other workers first.
_DEATHS = (("ray.exceptions", "RayActorError"), ("ray.exceptions", "WorkerCrashedError"))
_KEPT = 31 * 2**20  # bytes; below the 32 MiB above which glibc never changes its mind
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


def run_jobs(jobs: Iterable[Job], n_jobs: int | None, **options: Any) -> list[Any]:
    """Do jobs through joblib, in this process or in several.

    Parameters
    ----------
    jobs : iterable of Job
        They are taken when workers are free.
    n_jobs : int or None
        As joblib has it; 1 is this process.
    **options
        Of `joblib.Parallel`; a dask cluster goes without.

    Returns
    -------
    list
        What the functions returned, in the order of the jobs.

    Raises
    ------
    WorkerError
        If a worker process died, with the rows that were in work.
    """
    if n_jobs == 1:
        return [job.function(*job.arguments) for job in jobs]
    backend, _ = get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        return list(cluster_results(backend, jobs, 8 * backend.effective_n_jobs(n_jobs or -1)))
    with tempfile.TemporaryDirectory(prefix="skdim-", ignore_cleanup_errors=True) as folder:
        calls = (delayed(_work)(job.function, job.arguments, _note(job.rows), folder) for job in jobs)
        try:
            return list(Parallel(n_jobs=n_jobs, **options, **_keeper())(calls))
        except _deaths() as error:
            raise _dead_worker(folder, error) from error


def _deaths() -> tuple[type[BaseException], ...]:
    """The errors by which joblib's backends say that a worker died; a backend that is not in use raises none."""
    modules = ((sys.modules.get(module), name) for module, name in _DEATHS)
    return (BrokenProcessPool, *(getattr(module, name) for module, name in modules if hasattr(module, name)))


class Workers:
    """Processes that do jobs in order: this one, and others that start at once, while this one does something else.

    Where this process may be forked (see `_can_fork`), it imports what they need, once for all of them, and they are
    forked off. Elsewhere they start anew. Whenever this process would wait for the next result, it does a job itself.

    Parameters
    ----------
    n_jobs : int
        As joblib has it, this process included; with 1 it does each job when its result is taken.
    modules : sequence of str
        What jobs need.
    most : int, optional
        More processes are of no use.

    Examples
    --------
    >>> from skdim._jobs import Job
    >>> with Workers(1) as workers:
    ...     print(list(workers.results(Job(abs, (k,), range(k, k + 1)) for k in (-1, -2))))
    [1, 2]
    """

    def __init__(self, n_jobs: int, modules: Sequence[str] = (), most: int | None = None) -> None:
        n = effective_n_jobs(n_jobs)
        self.n = n if most is None else max(1, min(n, most))
        self._executor: ProcessPoolExecutor | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if self.n > 1:
            self._folder = tempfile.TemporaryDirectory(prefix="skdim-", ignore_cleanup_errors=True)
            context, start = None, (os.getpid(), tuple(modules), self._folder.name)
            if _can_fork():
                context = multiprocessing.get_context("fork")
                _import(modules)
            self._executor = ProcessPoolExecutor(
                self.n - 1, context=context, initializer=_start, initargs=start, env=_ONE_THREAD
            )
            self._executor.submit(_nothing)  # which starts all of them

    def __enter__(self) -> Self:
        """Return the processes."""
        return self

    def __exit__(self, *error: object) -> None:
        """End them, whatever they are doing."""
        if self._executor is not None:
            self._executor.shutdown(kill_workers=True)
        if self._folder is not None:
            self._folder.cleanup()

    def results(self, jobs: Iterable[Job]) -> Iterator[Any]:
        """Give the first jobs out at once, the others as results are taken.

        Parameters
        ----------
        jobs : iterable of Job
            Up to 64 of them are given out and not taken, so memory does not grow with their number.

        Returns
        -------
        iterator
            What the functions returned, in the order of the jobs. It raises `WorkerError` if a process died.
        """
        if self._executor is None or self._folder is None:
            return (job.function(*job.arguments) for job in jobs)
        rest, folder = iter(jobs), self._folder.name
        waiting = deque(_Given(self._executor, job, folder) for job in islice(rest, _AHEAD))
        return _taken(self._executor, rest, waiting, folder)


class _Given:
    """A job that is given out."""

    def __init__(self, executor: ProcessPoolExecutor, job: Job, folder: str) -> None:
        self.job, self.folder, self._own = job, folder, list[Any]()
        try:
            self.future: Future[str] = executor.submit(_work, _kept, (job, folder), _note(job.rows), folder)
        except BrokenProcessPool as error:
            raise _dead_worker(folder, error) from error

    def is_done(self) -> bool:
        """Whether there is a result, or a reason why there is none."""
        return bool(self._own) or self.future.done()

    def do_here(self) -> bool:
        """Do the job in this process, if no other one has begun with it or is about to."""
        if self._own or not self.future.cancel():
            return False
        self._own.append(self.job.function(*self.job.arguments))
        return True

    def result(self) -> Any:
        """Wait for the result; it can be taken once."""
        if self._own:
            return self._own.pop()
        try:
            file = Path(self.future.result())
        except BrokenProcessPool as error:
            raise _dead_worker(self.folder, error) from error
        result = pickle.loads(file.read_bytes())  # of this process's own workers, in a folder that is its alone
        file.unlink()
        return result


def _taken(executor: ProcessPoolExecutor, rest: Iterator[Job], waiting: deque[_Given], folder: str) -> Iterator[Any]:
    """Take results, and give out a job for each."""
    while waiting:
        while not waiting[0].is_done() and any(given.do_here() for given in waiting):
            pass
        result = waiting.popleft().result()
        waiting.extend(_Given(executor, job, folder) for job in islice(rest, 1))
        yield result


def _dead_worker(folder: str, error: BaseException) -> WorkerError:
    """Name the rows that were in work when a process died."""
    notes = (file.name for file in Path(folder).iterdir() if not file.suffix)
    rows = sorted(map(_rows, notes), key=lambda rows: rows.start)
    signals = re.search(r"\{.*\}", str(error))
    return WorkerError(rows, signals.group().strip("{}") if signals else type(error).__name__)


def _nothing() -> None:
    """Do nothing."""


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
    os.environ.update(_ONE_THREAD)
    threadpool_limits(1)
    if os.name == "posix":
        end_with_parent(parent, folder)
    _import(modules)


def _import(modules: Sequence[str]) -> None:
    """Import what jobs need."""
    _find_neighbours_without_torch()
    for module in modules:
        importlib.import_module(module)


def _work(function: Callable[..., Any], arguments: tuple[Any, ...], note: str, folder: str) -> Any:
    """Do one job in a worker; a file says which rows are in work as long as they are."""
    file = Path(folder, note) if os.path.isdir(folder) else None  # on another machine it is not there
    if file is not None:
        file.touch()
    try:
        return function(*arguments)
    finally:
        if file is not None:
            file.unlink(missing_ok=True)


def _kept(job: Job, folder: str) -> str:
    """Do one job in a worker, and write what it gave to a file.

    Through a pipe the worker would have to wait for the process that started it: while that one imports torch, it takes
    a hundredth of a second for every 64 kB.
    """
    file = Path(folder, f"{_note(job.rows)}.result")
    file.write_bytes(pickle.dumps(job.function(*job.arguments), pickle.HIGHEST_PROTOCOL))
    return str(file)


def _note(rows: range) -> str:
    """Name of the file for rows."""
    return f"{rows.start}-{rows.stop}"


def _rows(note: str) -> range:
    """Read `_note` back."""
    start, _, stop = note.partition("-")
    return range(int(start), int(stop))


def _keeper() -> dict[str, Any]:
    """Options that make loky's workers end with this process; dask and Ray look after theirs."""
    backend, _ = get_active_backend()
    if os.name != "posix" or type(backend).__name__ != "LokyBackend":
        return {}
    return {"initializer": prepare, "initargs": (os.getpid(),)}


def prepare(parent: int) -> None:
    """Let this worker end when its parent has ended, and find neighbours without torch.

    Parameters
    ----------
    parent : int
        Number of the process that started this one.
    """
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


def end_with_parent(parent: int, folder: str | None = None) -> None:
    """Let this process end when its parent has ended, however that happened.

    The system could do this too (``prctl`` on Linux), but would take the end of the thread that started the worker for
    the end of the parent.

    Parameters
    ----------
    parent : int
        Number of the process that started this one.
    folder : str, optional
        What the parent would have removed at its end.
    """
    threading.Thread(target=_watch, args=(parent, folder), daemon=True, name="skdim-end-with-parent").start()


def _watch(parent: int, folder: str | None) -> None:
    """End this process when it has been given to another parent."""
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to twice 31 MiB of what it frees.

    The allocator of glibc gives large blocks back to the system at once, and the next batch pays for every page of
    them. But it keeps blocks of the size of the largest one it has seen freed, and this one costs nothing, as nothing
    is ever written there. Elsewhere it does nothing.
    """
    np.empty(_KEPT, np.uint8)
