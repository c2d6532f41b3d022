"""Feature sets and targets in, errors with few labels out: label-efficiency curves and what to compare them with.

Examples
--------
>>> from skdim.benchmark import HEADS
>>> sorted(HEADS)[:3]
['extra_trees', 'extra_trees_cv', 'kernel_ridge']
"""

from skdim.benchmark.baselines import BASELINES, baseline_features
from skdim.benchmark.comparison import Ratio, compare
from skdim.benchmark.magpie import magpie_statistics
from skdim.benchmark.protocol import label_efficiency
from skdim.benchmark.recording import Recording, read_recording
from skdim.benchmark.records import best_head, best_of, comparable_heads, format_table, summarise
from skdim.benchmark.report import write_report
from skdim.benchmark.results import results_page
from skdim.benchmark.significance import corrected_t_test, holm, paired_tests
from skdim.benchmark.study import run_study
from skdim.benchmark.tasks import StudyTask
from skdim.evaluation import REGRESSORS as HEADS
from skdim.evaluation import KernelRidgeCV

__all__ = [
    "BASELINES",
    "HEADS",
    "KernelRidgeCV",
    "Ratio",
    "Recording",
    "StudyTask",
    "baseline_features",
    "best_head",
    "best_of",
    "comparable_heads",
    "compare",
    "corrected_t_test",
    "format_table",
    "holm",
    "label_efficiency",
    "magpie_statistics",
    "paired_tests",
    "read_recording",
    "results_page",
    "run_study",
    "summarise",
    "write_report",
]
