"""Estimators of crystals behind a door for arrays, so that scikit-learn's own checks can be run on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim import (
    CrystalClassifier,
    CrystalPointSetTransformer,
    CrystalRegressor,
    DeepInfoMaxEmbedder,
    LabelMaskingClassifier,
    LabelMaskingRegressor,
    SiteNetClassifier,
    SiteNetRegressor,
)


def crystals(X: np.ndarray) -> list[Structure]:
    return [crystal(row) for row in X]


def crystal(row: np.ndarray) -> Structure:
    """Every third number of the row stretches one edge of the cell by up to a quarter."""
    stretch = [np.arctan(row[k::3]).mean() / 6 if len(row) > k else 0.0 for k in range(3)]
    positions = [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return Structure(Lattice.orthorhombic(*(4.0 + np.array(stretch))), ["Sr", "Ti", "O", "O", "O"], positions)


class Door:
    """The door: the numbers of a row stretch the cell of a cubic perovskite."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        # All rows make one and the same crystal, stretched: less is seen of a row than a good score takes.
        for own in (tags.regressor_tags, tags.classifier_tags):
            if own is not None:
                own.poor_score = True
        return tags

    def opened(self, X: Any, **given: Any) -> list[Structure]:
        """Crystals of an array; those that one method hands to another stay as they are."""
        if isinstance(X, list) and isinstance(X[0], Structure):
            return X
        return crystals(validate_data(self, X, dtype=np.float64, **given))


class Rows(Door):
    """The same with the methods of all that predict."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        return super().fit(self.opened(X, ensure_min_samples=2), y, sample_weight=sample_weight)

    def predict(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict(self.opened(X, reset=False))


class ClassRows(Rows):
    """The same for classifiers."""

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict_proba(self.opened(X, reset=False))


class RowsEmbedder(Door, DeepInfoMaxEmbedder):
    def fit(self, X: Any, y: Any = None) -> Any:
        return DeepInfoMaxEmbedder.fit(self, self.opened(X, ensure_min_samples=2))

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        return self.fit(X).transform(X)

    def transform(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().transform(self.opened(X, reset=False))


class RowsSiteNetRegressor(Rows, SiteNetRegressor):
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        return super().partial_fit(self.opened(X, reset=not hasattr(self, "state_")), y, sample_weight)


class RowsSiteNetClassifier(ClassRows, SiteNetClassifier):
    pass


class RowsMaskingRegressor(Rows, LabelMaskingRegressor):
    pass


class RowsMaskingClassifier(ClassRows, LabelMaskingClassifier):
    pass


class RowsCrystalRegressor(Rows, CrystalRegressor):
    pass


class RowsCrystalClassifier(ClassRows, CrystalClassifier):
    def fit(self, X: Any, y: Any) -> Any:
        return CrystalClassifier.fit(self, self.opened(X, ensure_min_samples=2), y)


def embedder(kind: type[DeepInfoMaxEmbedder] = DeepInfoMaxEmbedder, max_epochs: int = 0) -> DeepInfoMaxEmbedder:
    featurizer = CrystalPointSetTransformer(site_features="paper", n_neighbors=6)
    return kind(featurizer, encoder_params={"width": 4}, max_epochs=max_epochs, random_state=0)


def estimators() -> list[Any]:
    """One of each kind, small."""
    tuned = {"head_width": 4, "cv": 2, "random_state": 0}
    learned = {"regressors": ("ridge",), "cv": 2, "random_state": 0}
    return [
        embedder(RowsEmbedder, max_epochs=1),
        RowsSiteNetRegressor(max_epochs=1, **tuned),
        RowsSiteNetClassifier(max_epochs=0, **tuned),
        RowsMaskingRegressor(embedder(), Ridge(1.0), random_state=0),
        RowsMaskingClassifier(embedder(), LogisticRegression(), random_state=0),
        RowsCrystalRegressor(embedder(), **learned),
        RowsCrystalClassifier(embedder(), **learned),
    ]
