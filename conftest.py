"""Hypothesis draws the same examples in every run; tests of whole trainings and processes are marked slow."""

import gc
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("whole", derandomize=True, deadline=None)
settings.register_profile("daily", settings.get_profile("whole"), max_examples=25)

# Folders and modules whose tests start processes, train models, read whole data sets or run pages. `make check` leaves
# them out, besides the tests that carry the marker themselves.
_SLOW = {
    "benchmarks",
    "browser",
    "interpretation",
    "test_bundled.py",
    "test_callbacks.py",
    "test_cli.py",
    "test_cli_benchmark.py",
    "test_cli_fit.py",
    "test_demo.py",
    "test_distributed.py",
    "test_docs.py",
    "test_explanation.py",
    "test_failures.py",
    "test_finetuned.py",
    "test_finetuning.py",
    "test_fitreport.py",
    "test_folds.py",
    "test_info.py",
    "test_map.py",
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
    "test_report.py",
    "test_resumption.py",
    "test_run.py",
    "test_scaling_dask.py",
    "test_scaling_ray.py",
    "test_scaling_devices.py",
    "test_scaling_stores.py",
    "test_tables.py",
    "test_workers.py",
    "test_cold_start.py",
}


# Modules of skdim whose examples do the same, or which import what takes seconds to import.
_SLOW_EXAMPLES = {
    "classifier.py",
    "datasets/_loaders.py",
    "embedder.py",
    "evaluation/_applicability.py",
    "evaluation/_cfid.py",
    "evaluation/_label_efficiency.py",
    "evaluation/_references.py",
    "evaluation/_splitters.py",
    "interpretation/_attention.py",
    "masking.py",
    "masking_classifier.py",
    "matminer.py",
    "plotting/_attention.py",
    "plotting/_crystals.py",
    "points/pointstore.py",
    "predictor.py",
    "pretrained/__init__.py",
    "regressor.py",
    "sitenet_classifier.py",
    "study/report.py",
    "study/run.py",
    "study/tasks.py",
}
_TESTS, _PACKAGE = (Path(__file__).parent / name for name in ("tests", "skdim"))


def _is_daily(config: pytest.Config) -> bool:
    """Whether this is a run of the tests that are not slow."""
    return config.option.markexpr == "not slow"


def pytest_configure(config: pytest.Config) -> None:
    """Draw a fourth of the examples daily; `tests.daily.examples` follows."""
    settings.load_profile("daily" if _is_daily(config) else "whole")


def _is_slow(path: Path) -> bool:
    """Whether a module or folder is among those that are slow."""
    if path.is_relative_to(_PACKAGE):
        return path.relative_to(_PACKAGE).as_posix() in _SLOW_EXAMPLES
    return path.is_relative_to(_TESTS) and not _SLOW.isdisjoint(path.relative_to(_TESTS).parts)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules unread of which no test would run: what they import and load takes seconds."""
    return True if _is_daily(config) and _is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by its place."""
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Keep what has been imported from the garbage collector, which walks through all of it at the end, for seconds."""
    gc.freeze()
