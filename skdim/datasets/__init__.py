"""Real crystals with real labels: sets that come with the package, Matbench's tasks, databases on the web.

Importing this module reads nothing and imports neither pandas nor matminer nor torch.
"""

from skdim.datasets._folds import in_test_fold
from skdim.datasets._loaders import (
    load_band_gap,
    load_elastic_moduli,
    load_formation_energy,
    load_piezoelectric,
    load_unlabelled,
)
from skdim.datasets._matbench import fetch_matbench
from skdim.datasets._optimade import fetch_optimade

__all__ = [
    "fetch_matbench",
    "fetch_optimade",
    "in_test_fold",
    "load_band_gap",
    "load_elastic_moduli",
    "load_formation_energy",
    "load_piezoelectric",
    "load_unlabelled",
]
