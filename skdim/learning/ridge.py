"""The ridge regression on the vectors of an encoder that stays as it is: where a fine-tuning starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skdim.learning.states import Ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Penalties a ridge on columns of unit variance chooses from. Smaller ones let it pass through a few labels, which
# leaves a training nothing to lower.
_PENALTIES = np.logspace(1.5, 6, 19)


def fit_ridge(
    vectors: NDArray[np.float32],  # (n, d) of the labelled crystals
    targets: NDArray[np.float32],  # (n, T) standardised
    weights: NDArray[np.float32],  # (n,) of the rows, positive
) -> Ridge:
    """Fit the ridge regression whose penalty leave-one-out cross-validation prefers."""
    from sklearn.linear_model import RidgeCV  # embedding imports modules that import this one, and does without

    found = RidgeCV(_PENALTIES).fit(vectors.astype(np.float64), targets.astype(np.float64), weights)
    center = np.average(vectors.astype(np.float64), 0, weights)
    rows = np.sqrt(weights)[:, None] * (vectors - center)
    values, axes = np.linalg.eigh(rows @ rows.T)
    factor = rows.T @ axes / np.sqrt(np.maximum(values, 0.0) + found.alpha_)
    return Ridge(
        weight=np.atleast_2d(found.coef_).astype(np.float32),
        bias=np.atleast_1d(found.intercept_).astype(np.float32),
        center=center.astype(np.float32),
        factor=factor.astype(np.float32),
        penalty=float(found.alpha_),
    )
