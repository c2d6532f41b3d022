"""A regression problem and records of errors, without crystals."""

import numpy as np
import pandas as pd


def toy(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + np.abs(X[:, 0]) + 3


def handmade(errors, labels=50, task="t"):
    """Records of one cell: {features: {regressor: [(cv_mae, mae) of each repeat]}}."""
    rows = [
        (task, features, regressor, labels, repeat, cv_mae, mae)
        for features, regressors in errors.items()
        for regressor, repeats in regressors.items()
        for repeat, (cv_mae, mae) in enumerate(repeats)
    ]
    return pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "cv_mae", "mae"])
