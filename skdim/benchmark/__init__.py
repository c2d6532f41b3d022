"""The former place of `skdim.evaluation` and of the study behind `skdim benchmark`; deprecated.

Its names forward to the new ones with a DeprecationWarning, and will be removed in the next release.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

_MOVED = {
    "BASELINES": "skdim.evaluation.REFERENCE_FEATURES",
    "HEADS": "skdim.evaluation.REGRESSORS",
    "KernelRidgeCV": "skdim.evaluation.KernelRidgeCV",
    "Ratio": "skdim.evaluation.ErrorRatio",
    "Recording": "skdim.study.recording.Recording",
    "StudyTask": "skdim.study.tasks.StudyTask",
    "baseline_features": "skdim.evaluation.reference_features",
    "best_head": "skdim.evaluation.choose_regressor",
    "best_of": "skdim.evaluation.choose_features",
    "comparable_heads": "skdim.evaluation.comparable_regressors",
    "compare": "skdim.evaluation.compare",
    "corrected_t_test": "skdim.evaluation.corrected_t_test",
    "format_table": "skdim.evaluation.format_table",
    "holm": "skdim.evaluation.holm",
    "label_efficiency": "skdim.evaluation.label_efficiency",
    "magpie_statistics": "skdim.evaluation.magpie_statistics",
    "paired_tests": "skdim.evaluation.paired_tests",
    "read_recording": "skdim.study.recording.read_recording",
    "run_study": "skdim.study.run.run_study",
    "summarise": "skdim.evaluation.summarise",
    "write_report": "skdim.study.report.write_report",
}


def __getattr__(name: str) -> Any:
    """Forward a former name."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place, _, new = _MOVED[name].rpartition(".")
    warnings.warn(f"skdim.benchmark.{name} is deprecated; use {_MOVED[name]}.", DeprecationWarning, stacklevel=2)
    return getattr(importlib.import_module(place), new)


def __dir__() -> list[str]:
    """List the former names."""
    return sorted(_MOVED)
