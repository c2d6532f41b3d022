"""How many threads torch computes with."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of `one_torch_thread`: a mark for each use, and the number of threads before the first of them.
_LOCK, _INSIDE, _FOUND = threading.Lock(), list[None](), list[int]()
# The process that has the threads which torch believes to have; forked ones find another number.
_OWNER = os.getpid()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute in one thread: the same sums, to the last bit, whatever else the process does.

    Uses of several threads may overlap; the last to end puts back what the first one found.
    """
    with torch_threads(1):
        yield


@contextmanager
def torch_threads(most: int) -> Iterator[None]:
    """Let torch compute in so many threads at most; several uses go together as those of `one_torch_thread`."""
    with _LOCK:
        if not _FOUND:
            _FOUND.append(torch.get_num_threads())
        _INSIDE.append(None)
        torch.set_num_threads(min(most, torch.get_num_threads()))
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                torch.set_num_threads(_FOUND.pop())


def use_one_thread_after_fork() -> None:
    """In a process that was forked off after this module was imported, let torch compute in one thread from here on.

    Threads are not forked, and torch would wait for them forever.
    """
    if os.getpid() != _OWNER:
        torch.set_num_threads(1)
