"""Judge features and regressors on data of your own, with few labels.

Examples
--------
>>> from skdim.evaluation import REGRESSORS
>>> sorted(REGRESSORS)[:3]
['extra_trees', 'extra_trees_cv', 'kernel_ridge']
"""

from skdim.evaluation._applicability import ApplicabilityDomain
from skdim.evaluation._forests import ForestCV
from skdim.evaluation._intervals import CrossConformalRegressor
from skdim.evaluation._kernel_ridge import KernelRidgeCV, LaplacianKernelRidge
from skdim.evaluation._mlp import FixedStepsMLP
from skdim.evaluation._regressors import REGRESSORS, BestRegressor
from skdim.evaluation._splitters import CompositionGroupKFold, LeaveElementOut, composition_groups, near_duplicates

__all__ = [
    "REGRESSORS",
    "ApplicabilityDomain",
    "BestRegressor",
    "CompositionGroupKFold",
    "CrossConformalRegressor",
    "FixedStepsMLP",
    "ForestCV",
    "KernelRidgeCV",
    "LaplacianKernelRidge",
    "LeaveElementOut",
    "composition_groups",
    "near_duplicates",
]
