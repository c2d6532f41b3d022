"""joblib's dask backend carries featurizing, embedding and the benchmark to processes of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator

import joblib
import numpy as np
import pytest

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim._jobs import Job
from skdim._workers import run_jobs
from skdim.exceptions import WorkerError
from tests.bundled import sample
from tests.test_workers import die_at_three


@pytest.fixture(scope="module")
def client() -> Iterator[object]:
    """Two worker processes on this machine, which share nothing with this one but the files."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_cluster_gives_the_point_sets_of_one_process(client: object) -> None:
    crystals = sample(150)
    serial = CrystalPointSetTransformer().transform(crystals)
    with joblib.parallel_config(backend="dask"):
        assert joblib.effective_n_jobs() == 2
        spread = CrystalPointSetTransformer().transform(crystals)
    assert spread.equals(serial)


def test_a_cluster_gives_the_vectors_of_one_process(client: object) -> None:
    crystals = sample(150)
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(crystals[:50])
    serial = embedder.transform(crystals)
    with joblib.parallel_config(backend="dask"):
        spread = embedder.set_params(n_jobs=2).transform(crystals)
    assert np.array_equal(spread, serial)


@pytest.mark.filterwarnings("ignore:.*apply_async:DeprecationWarning")  # of joblib 1.5.0, by its own backend
def test_the_work_is_done_by_the_workers(client: object) -> None:
    with joblib.parallel_config(backend="dask"):
        done = joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(40))
    assert os.getpid() not in done
    assert len(set(done)) == 2


def test_rows_that_fail_on_a_cluster_are_named(client: object) -> None:
    crystals = [*sample(70), "no_such_file.cif"]
    with joblib.parallel_config(backend="dask"), pytest.warns(UserWarning, match="row 70: "):
        points = CrystalPointSetTransformer(on_error="nan").transform(crystals)
    assert points.valid.sum() == 70


def test_a_dead_worker_of_a_cluster_is_reported_with_its_rows(client: object) -> None:
    """The backend of joblib for dask waits forever then."""
    jobs = (Job(die_at_three, (k,), range(10 * k, 10 * k + 10)) for k in range(8))
    with joblib.parallel_config(backend="dask"), pytest.raises(WorkerError, match=r"KilledWorker.* 30 to 39") as caught:
        run_jobs(jobs, 2)
    assert range(30, 40) in caught.value.rows
    with joblib.parallel_config(backend="dask"):  # the next call works
        assert run_jobs((Job(abs, (-k,), range(k, k + 1)) for k in range(40)), 2) == list(range(40))
