"""A small masking regressor and partly labelled crystals, for the tests of what masks labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from skdim import DeepInfoMaxEmbedder, LabelMaskingRegressor, PointSets, masked_scorer
from tests.small import bundled, bundled_points

SMALL: dict[str, Any] = {"encoder_params": {"width": 8}, "max_epochs": 1, "random_state": 0}
MAE = masked_scorer("neg_mean_absolute_error")


def embedder(**params: Any) -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(**{**SMALL, **params})


def model(**params: Any) -> LabelMaskingRegressor:
    return LabelMaskingRegressor(**{"embedder": embedder(), "regressor": Ridge(10.0), "random_state": 0, **params})


def data(n: int = 40, unknown: int = 0) -> tuple[PointSets, np.ndarray]:
    """Crystals and energies, of which every other one is hidden, as often as asked for."""
    y = bundled(n)[1].copy()
    y[1 : 2 * unknown : 2] = np.nan
    return bundled_points(n), y


def pretrainings(memory: Path) -> int:
    """Count the embedders that a cache keeps."""
    return len(list(memory.rglob("output.pkl")))
