"""joblib's backend of Ray carries featurizing to the processes of a local Ray."""

from __future__ import annotations

from collections.abc import Iterator

import joblib
import pytest

from skdim import CrystalPointSetTransformer
from skdim._jobs import Job
from skdim._workers import run_jobs
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


def test_ray_gives_the_point_sets_of_one_process_and_names_rows_that_fail_or_whose_worker_died() -> None:
    crystals = [*sample(70), "no_such_file.cif"]
    with pytest.warns(UserWarning, match="row 70: "):
        serial = CrystalPointSetTransformer(on_error="nan").transform(crystals)
    with joblib.parallel_config(backend="ray", n_jobs=2), pytest.warns(UserWarning, match="row 70: "):
        spread = CrystalPointSetTransformer(on_error="nan").transform(crystals)
    assert spread.valid.sum() == 70
    assert spread.equals(serial)

    # That this process survives a worker that dies shows that the work is done by others. In one test, as it takes long
    # to start Ray.
    jobs = (Job(die_at_three, (k,), range(10 * k, 10 * k + 10)) for k in range(8))
    with joblib.parallel_config(backend="ray", n_jobs=2), pytest.raises(WorkerError, match="30 to 39") as caught:
        run_jobs(jobs, 2, batch_size=1)
    assert range(30, 40) in caught.value.rows
