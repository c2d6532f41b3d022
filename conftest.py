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
    "interpretation",
    "study",
    "test_bundled.py",
    "test_callbacks.py",
    "test_demo.py",
    "test_distributed.py",
    "test_docs.py",
    "test_explanation.py",
    "test_failures.py",
    "test_finetuned.py",
    "test_folds.py",
    "test_masking.py",
    "test_maskingfile.py",
    "test_invariances.py",
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


# Modules of skdim whose examples do the same, or which import what takes seconds to import.
_SLOW_EXAMPLES = {
    "classifier.py",
    "datasets/_loaders.py",
    "evaluation/_cfid.py",
    "evaluation/_label_efficiency.py",
    "evaluation/_references.py",
    "evaluation/_splitters.py",
    "masking.py",
    "masking_classifier.py",
    "matminer.py",
    "plotting/_crystals.py",
    "points/pointstore.py",
    "predictor.py",
    "regressor.py",
    "sitenet_classifier.py",
    "study/report.py",
    "study/run.py",
    "study/tasks.py",
}
_TESTS, _PACKAGE = (Path(__file__).parent / name for name in ("tests", "skdim"))


def _is_slow(path: Path) -> bool:
    """Whether a module or folder is among those that are slow."""
    if path.is_relative_to(_PACKAGE):
        return path.relative_to(_PACKAGE).as_posix() in _SLOW_EXAMPLES
    return path.is_relative_to(_TESTS) and not _SLOW.isdisjoint(path.relative_to(_TESTS).parts)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules unread of which no test would run: what they import and load takes seconds."""
    return True if config.option.markexpr == "not slow" and _is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by its place."""
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)
