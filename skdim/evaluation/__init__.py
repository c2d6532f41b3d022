"""Splits that keep relatives together, and what else it takes to judge a prediction honestly."""

from skdim.evaluation._applicability import ApplicabilityDomain
from skdim.evaluation._intervals import CrossConformalRegressor
from skdim.evaluation._splitters import CompositionGroupKFold, LeaveElementOut, composition_groups, near_duplicates

__all__ = [
    "ApplicabilityDomain",
    "CompositionGroupKFold",
    "CrossConformalRegressor",
    "LeaveElementOut",
    "composition_groups",
    "near_duplicates",
]
