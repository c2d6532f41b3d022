"""Judge features and regressors on data of your own, with few labels.

Examples
--------
>>> from skdim.evaluation import REGRESSORS
>>> sorted(REGRESSORS)[:3]
['extra_trees', 'extra_trees_cv', 'kernel_ridge']
"""

from skdim.evaluation._applicability import ApplicabilityDomain
from skdim.evaluation._comparison import ErrorRatio, compare, paired_tests
from skdim.evaluation._forests import ForestCV
from skdim.evaluation._intervals import CrossConformalRegressor
from skdim.evaluation._kernel_ridge import KernelRidgeCV
from skdim.evaluation._label_efficiency import label_efficiency
from skdim.evaluation._laplacian import LaplacianKernelRidge
from skdim.evaluation._mlp import FixedStepsMLP
from skdim.evaluation._records import choose_features, choose_regressor, comparable_regressors, format_table, summarise
from skdim.evaluation._references import REFERENCE_FEATURES, magpie_statistics, reference_features
from skdim.evaluation._regressors import REGRESSORS, BestRegressor
from skdim.evaluation._significance import corrected_t_test, holm
from skdim.evaluation._splitters import CompositionGroupKFold, LeaveElementOut, composition_groups, near_duplicates
from skdim.evaluation._suggestion import suggest

__all__ = [
    "REFERENCE_FEATURES",
    "REGRESSORS",
    "ApplicabilityDomain",
    "BestRegressor",
    "CompositionGroupKFold",
    "CrossConformalRegressor",
    "ErrorRatio",
    "FixedStepsMLP",
    "ForestCV",
    "KernelRidgeCV",
    "LaplacianKernelRidge",
    "LeaveElementOut",
    "choose_features",
    "choose_regressor",
    "comparable_regressors",
    "compare",
    "composition_groups",
    "corrected_t_test",
    "format_table",
    "holm",
    "label_efficiency",
    "magpie_statistics",
    "near_duplicates",
    "paired_tests",
    "reference_features",
    "suggest",
    "summarise",
]
