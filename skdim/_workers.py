"""Work in several processes, which end with the one that started them, and the memory that a process keeps."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend

from skdim.exceptions import WorkerError

_SECONDS = 0.5  # between two looks for the parent
# As dask and Ray say it; each tries some times on other workers first.
_DEATHS = (
    ("distributed.scheduler", "KilledWorker"),
    ("ray.exceptions", "RayActorError"),
    ("ray.exceptions", "WorkerCrashedError"),
)
_KEPT = 31 * 2**20  # bytes; below the 32 MiB above which glibc never changes its mind


@dataclass(frozen=True)
class Job:
    """A call that a worker makes.

    Attributes
    ----------
    function : callable
        Found by its name in the worker.
    arguments : tuple
        What it is called with.
    rows : range
        The rows of the input that it works on, to name them if the worker dies.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    rows: range


def run_jobs(jobs: Iterable[Job], n_jobs: int | None, **options: Any) -> list[Any]:
    """Do jobs through joblib, in this process or in several.

    Parameters
    ----------
    jobs : iterable of Job
        They are taken when workers are free.
    n_jobs : int or None
        As joblib has it; 1 is this process.
    **options
        Of `joblib.Parallel`.

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
    with tempfile.TemporaryDirectory(prefix="skdim-", ignore_cleanup_errors=True) as folder:
        calls = (delayed(_work)(job.function, job.arguments, _note(job.rows), folder) for job in jobs)
        try:
            return list(Parallel(n_jobs=n_jobs, **options, **_keeper())(calls))
        except _deaths() as error:
            rows = sorted((_rows(note.name) for note in Path(folder).iterdir()), key=lambda rows: rows.start)
            signals = re.search(r"\{.*\}", str(error))
            raise WorkerError(rows, signals.group().strip("{}") if signals else type(error).__name__) from error


def _deaths() -> tuple[type[BaseException], ...]:
    """The errors by which joblib's backends say that a worker died; a backend that is not in use raises none."""
    modules = ((sys.modules.get(module), name) for module, name in _DEATHS)
    return (BrokenProcessPool, *(getattr(module, name) for module, name in modules if hasattr(module, name)))


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
    return {"initializer": end_with_parent, "initargs": (os.getpid(),)}


def end_with_parent(parent: int) -> None:
    """Let this process end when its parent has ended, however that happened.

    The system could do this too (``prctl`` on Linux), but would take the end of the thread that started the worker for
    the end of the parent.

    Parameters
    ----------
    parent : int
        Number of the process that started this one.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="skdim-end-with-parent").start()


def _watch(parent: int) -> None:
    """End this process when it has been given to another parent."""
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os._exit(1)


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to twice 31 MiB of what it frees.

    The allocator of glibc gives large blocks back to the system at once, and the next batch pays for every page of
    them. But it keeps blocks of the size of the largest one it has seen freed, and this one costs nothing, as nothing
    is ever written there. Elsewhere it does nothing.
    """
    np.empty(_KEPT, np.uint8)
