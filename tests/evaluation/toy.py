"""A regression problem without crystals."""

import numpy as np


def toy(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + np.abs(X[:, 0]) + 3
