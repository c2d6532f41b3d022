"""Jobs through the client of a dask cluster, which says of a worker that died; joblib's backend waits forever then."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from skdim._jobs import Job, done
from skdim.exceptions import WorkerError


def cluster_results(
    backend: Any,  # joblib's for dask, with its client and what it was told of submitting
    jobs: Iterable[Job],
    ahead: int,  # jobs that are given out before the result of the first is taken
) -> Iterator[Any]:
    """Yield what the functions of jobs return on a dask cluster, in order.

    A worker that died is a `WorkerError` with the rows that it had; dask tries some times on other workers first.
    """
    from distributed.scheduler import KilledWorker

    rest, client = iter(jobs), backend.client
    waiting: deque[tuple[range, Any]] = deque()

    def give(count: int) -> None:
        for job in islice(rest, count):
            future = client.submit(done, job, pure=False, **backend.submit_kwargs)
            waiting.append((job.rows, future))

    give(ahead)
    try:
        while waiting:
            try:
                result = waiting[0][1].result()
            except KilledWorker as error:
                rows = [rows for rows, future in waiting if future.status == "error"]
                raise WorkerError(rows, type(error).__name__) from error
            waiting.popleft()
            give(1)
            yield result
    finally:
        client.cancel([future for _, future in waiting])
