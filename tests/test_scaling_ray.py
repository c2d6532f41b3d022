"""joblib's backend of Ray carries featurizing and embedding to the processes of a local Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator

import joblib
import numpy as np
import pytest

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim._workers import Job, run_jobs
from skdim.exceptions import WorkerError
from tests.bundled import sample
from tests.test_workers import die_at_three

ray = pytest.importorskip("ray", reason="needs the extra ray")


@pytest.fixture(scope="module", autouse=True)
def _two_workers() -> Iterator[None]:
    from ray.util.joblib import register_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONWARNINGS", "ignore")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
        register_ray()
        yield
        ray.shutdown()


pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


def test_ray_gives_the_point_sets_and_vectors_of_one_process() -> None:
    crystals = sample(150)
    serial = CrystalPointSetTransformer().transform(crystals)
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(crystals[:20])
    vectors = embedder.transform(crystals)
    with joblib.parallel_config(backend="ray"):
        assert joblib.effective_n_jobs() == 2
        spread = CrystalPointSetTransformer().transform(crystals)
        assert np.array_equal(embedder.set_params(n_jobs=2).transform(crystals), vectors)
        done = joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(8))
    assert spread.equals(serial)
    assert os.getpid() not in done


def test_rows_that_fail_under_ray_are_named() -> None:
    crystals = [*sample(70), "no_such_file.cif"]
    with joblib.parallel_config(backend="ray"), pytest.warns(UserWarning, match="row 70: "):
        points = CrystalPointSetTransformer(on_error="nan").transform(crystals)
    assert points.valid.sum() == 70


def test_a_dead_worker_of_ray_is_reported_with_its_rows() -> None:
    jobs = (Job(die_at_three, (k,), range(10 * k, 10 * k + 10)) for k in range(8))
    with joblib.parallel_config(backend="ray"), pytest.raises(WorkerError, match="30 to 39") as caught:
        run_jobs(jobs, 2, batch_size=1)
    assert range(30, 40) in caught.value.rows
