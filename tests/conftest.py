"""Hypothesis draws the same examples in every run; tests of whole trainings and processes are marked slow."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("skdim", derandomize=True, deadline=None)
settings.load_profile("skdim")

# Folders and modules whose tests start processes, train models, read whole data sets or run pages. `make check` leaves
# them out, besides the tests that carry the marker themselves.
_SLOW = {
    "benchmarks",
    "browser",
    "cli",
    "study",
    "test_bundled.py",
    "test_callbacks.py",
    "test_demo.py",
    "test_distributed.py",
    "test_docs.py",
    "test_failures.py",
    "test_finetuned.py",
    "test_folds.py",
    "test_masking.py",
    "test_maskingfile.py",
    "test_label_efficiency.py",
    "test_matminer.py",
    "test_predictor.py",
    "test_references.py",
    "test_regressor.py",
    "test_regressor_in_sklearn.py",
    "test_regressor_inputs.py",
    "test_scaling_dask.py",
    "test_scaling_ray.py",
    "test_scaling_devices.py",
    "test_scaling_stores.py",
    "test_workers.py",
    "test_cold_start.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by its place."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and _SLOW & set(item.path.relative_to(here).parts):
            item.add_marker(pytest.mark.slow)
