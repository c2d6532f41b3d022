"""The folder through which jobs go to other processes and results come back: whoever renames a file has it.

So no process waits for another one, no lock is left behind by one that is killed, and nothing has to look after them.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from skdim._jobs import Job, done

_GIVEN, _DONE = ".given", ".done"  # ends of the names of jobs and results; one in work has the number of its process


class Taken(NamedTuple):
    """A job that this process has taken."""

    number: int
    file: Path
    job: Job


class JobFolder:
    """Jobs by their numbers, and what became of them."""

    def __init__(self, path: str) -> None:  # of a folder of these processes alone: what is in it is unpickled
        self.path = Path(path)

    def give(self, number: int, job: Job) -> None:
        """Put a job in."""
        draft = self.path / f"{number}.new"
        draft.write_bytes(pickle.dumps(job, pickle.HIGHEST_PROTOCOL))
        draft.rename(self._given(number))

    def take(self, numbers: Iterable[int] | None = None) -> Taken | None:
        """Take the first of some jobs, or of all, that no process has begun with."""
        given = sorted(self.path.glob(f"*{_GIVEN}"), key=_number) if numbers is None else map(self._given, numbers)
        file = next(filter(None, map(_renamed, given)), None)
        return None if file is None else Taken(_number(file), file, pickle.loads(file.read_bytes()))

    def finish(self, taken: Taken) -> None:
        """Do a job, and put what it gave, or its error, in its place."""
        try:
            content = pickle.dumps((True, done(taken.job)), pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # the process that takes the result raises it
            error.add_note(traceback.format_exc())
            content = pickle.dumps((False, error))
        taken.file.write_bytes(content)
        taken.file.rename(taken.file.with_suffix(_DONE))

    def is_done(self, number: int) -> bool:
        """Tell whether a job has a result."""
        return self._done(number).exists()

    def result(self, number: int) -> Any:
        """Return what a job gave, once, or raise its error."""
        good, result = pickle.loads(self._done(number).read_bytes())
        self._done(number).unlink()
        if not good:
            raise result
        return result

    def in_work(self, numbers: Iterable[int], processes: Iterable[int | None]) -> list[int]:
        """Which of some jobs are with some processes."""
        files = (self.path / f"{number}.{process}" for number in numbers for process in processes)
        return [_number(file) for file in files if file.exists()]

    def _given(self, number: int) -> Path:
        """File of a job that no process has begun with."""
        return self.path / f"{number}{_GIVEN}"

    def _done(self, number: int) -> Path:
        """File of a result."""
        return self.path / f"{number}{_DONE}"


def _number(file: Path) -> int:
    """Number of the job that a file is about."""
    return int(file.stem)


def _renamed(file: Path) -> Path | None:
    """Rename a job to the number of this process, unless another process has it."""
    try:
        return file.rename(file.with_suffix(f".{os.getpid()}"))
    except (FileNotFoundError, PermissionError):  # the second on Windows, when two are at it
        return None
