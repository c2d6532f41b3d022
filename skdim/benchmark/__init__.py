"""Feature sets and targets in, errors with few labels out: label-efficiency curves and what to compare them with.

Examples
--------
>>> from skdim.benchmark import HEADS
>>> sorted(HEADS)[:3]
['extra_trees', 'extra_trees_cv', 'kernel_ridge']
"""

from skdim.benchmark.features import magpie_statistics
from skdim.benchmark.heads import HEADS
from skdim.benchmark.kernel_ridge import KernelRidgeCV
from skdim.benchmark.protocol import label_efficiency
from skdim.benchmark.records import Ratio, best_head, compare, format_table, summarise

__all__ = [
    "HEADS",
    "KernelRidgeCV",
    "Ratio",
    "best_head",
    "compare",
    "format_table",
    "label_efficiency",
    "magpie_statistics",
    "summarise",
]
