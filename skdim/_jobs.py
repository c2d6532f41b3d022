"""Calls that other processes make, the rows of the input that each is about, and how their errors come back."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skdim.exceptions import JobError


@dataclass(frozen=True)
class Job:
    """A call that a worker makes."""

    function: Callable[..., Any]  # found by its name in the worker
    arguments: tuple[Any, ...]
    rows: range  # the rows of the input that it works on, to name them if the worker dies


def done(job: Job) -> Any:
    """Do a job in a worker; an error that could not be sent as it is becomes a `JobError` that tells it."""
    try:
        return job.function(*job.arguments)
    except Exception as error:  # whatever the job meets is for the caller, who gets it as it is or as a `JobError`
        if _can_be_sent(error):
            raise
        told = JobError(type(error).__name__, str(error), job.rows)
        told.add_note(traceback.format_exc())
        raise told from None


def _can_be_sent(error: Exception) -> bool:
    """Tell whether an error says after pickling what it says here: one with an ``__init__`` of its own may not."""
    try:
        sent = pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the error's own code raises
        return False
    return type(sent) is type(error) and str(sent) == str(error)
