"""Work on batches in, results in order out: how batches share the processors."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Given = TypeVar("Given")
Made = TypeVar("Made")

# Of `one_torch_thread`: a mark for each use, and the number of threads before the first of them.
_LOCK, _INSIDE, _FOUND = threading.Lock(), list[None](), list[int]()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute in one thread: the same sums, to the last bit, whatever else the process does.

    Uses of several threads may overlap; the last to end puts back what the first one found.
    """
    with _LOCK:
        if not _FOUND:
            _FOUND.append(torch.get_num_threads())
        _INSIDE.append(None)
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                torch.set_num_threads(_FOUND.pop())


def concurrently(function: Callable[[Given], Made], items: Iterable[Given], n_threads: int) -> Iterator[Made]:
    """Map a function over items in threads, each of which computes in one thread of torch.

    The steps of a batch are too small to be shared by several threads; batches are not.

    Parameters
    ----------
    function : callable
        Of one item; may run at the same time for several.
    items : iterable
        Taken as they are needed: few more than ``n_threads`` results wait at a time.
    n_threads : int
        1 works in this thread. That is one thread of torch too: processes that were forked lack the others.

    Yields
    ------
    object
        Results in the order of the items.

    Examples
    --------
    >>> list(concurrently(lambda x: x**2, range(5), n_threads=2))
    [0, 1, 4, 9, 16]
    """
    if n_threads == 1:
        with one_torch_thread():
            yield from map(function, items)
        return
    waiting: deque[Future[Made]] = deque()
    with one_torch_thread(), ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
