"""Fine-tuning as one of the regressors that are chosen from, with intervals from what it says of held-out labels."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skdim.evaluation._intervals import check_coverage, mean_and_doubt
from skdim.evaluation._slopes import Slopes
from skdim.learning.embedding import resolve_device
from skdim.learning.statefile import saved_bytes
from skdim.regressor import SiteNetRegressor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.evaluation._intervals import CrossConformalRegressor
    from skdim.points.pointsets import PointSets

NAME = "fine-tuning"
START = "ridge"
"""The regressor on frozen vectors that fine-tuning starts from."""

# Of a fit with the deep preset: seconds for each visit of a pair of sites; passes over the labels, in all folds and at
# the end; and the most visits, see `skdim._sitenet`.
_SECONDS, _PASSES, _MOST = 5.5e-6, 150, 16e6


@dataclass(frozen=True)
class Linear:
    """A linear regression on vectors, which can be explained column by column."""

    weight: NDArray[np.float64]  # (d,)
    bias: float

    def predict(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """Predict rows (m, d)."""
        predicted: NDArray[np.float64] = X.astype(np.float64) @ self.weight + self.bias
        return predicted

    def slopes(self, X: NDArray[np.floating], start: NDArray[np.floating]) -> Slopes:
        """Say what each column adds to predictions, see `skdim.evaluation._slopes`."""
        return Slopes(np.broadcast_to(self.weight, X.shape), np.zeros(X.shape))


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned encoder, beside the regressor on vectors that it started from."""

    model: SiteNetRegressor  # fitted, on the scale on which the target is learned
    # The ridge, with the scores and the held-out predictions of the fine-tuned model; the doubt is its own.
    beside: CrossConformalRegressor

    @classmethod
    def of(
        cls,
        untuned: SiteNetRegressor,  # a clone of it is fitted
        labelled: PointSets,  # all labelled crystals
        rows: NDArray[np.int64],  # (n,) those that this target is known of
        # Fitted on the same rows. The fine-tuning keeps each of its folds together, and may join several to one of its.
        ridge: CrossConformalRegressor,
        vectors: NDArray[np.float64],  # (n, d)
        targets: NDArray[np.float64],  # (n,) on their scale
        weights: NDArray[np.float64],  # (n,)
    ) -> FineTuned:
        """Fine-tune on labelled crystals."""
        model = clone(untuned).fit(labelled[rows], targets, weights, groups=ridge.fold_)
        doubt = np.empty(len(targets))
        for number, regressor in enumerate(ridge.fold_regressors_):
            held = ridge.fold_ == number
            doubt[held] = mean_and_doubt(regressor, vectors[held])[1]
        beside = copy.copy(ridge)
        beside.held_out_ = np.where(np.isfinite(model.held_out_), model.held_out_, ridge.held_out_)
        beside.errors_ = np.abs(beside.held_out_ - targets)
        beside.scores_ = (beside.errors_ / (doubt + ridge.floor_))[ridge.scored_]
        return cls(model, beside)

    @property
    def moved(self) -> bool:
        """Whether it is, as fitted here, more than the ridge it started from."""
        return bool(self.model.part_strength_ or self.model.strength_)

    @property
    def linear(self) -> Linear:
        """The regression on vectors that the training goes on from."""
        state = self.model.state_
        assert state.anchor is not None  # it is fitted with folds
        ridge, scale = state.anchor.ridge, state.target_scale
        weight = ridge.weight[0].astype(np.float64) * scale.scale[0]
        return Linear(weight, float(ridge.bias[0] * scale.scale[0] + scale.center[0]))

    def predict(self, points: PointSets, vectors: Any, device: str) -> NDArray[np.float64]:
        """Predict crystals (m,) with these vectors, on the scale on which the target is learned."""
        return self.model.ensemble_.predict(points, resolve_device(device), vectors=vectors)[:, 0]

    def interval(self, mean: NDArray[np.float64], vectors: Any, coverage: float) -> NDArray[np.float64]:
        """Lower and upper ends (m, 2): as far from the prediction as held-out ones were from their labels."""
        scores = np.sort(self.beside.scores_)
        check_coverage(coverage, len(scores))
        doubt = mean_and_doubt(self.beside.regressor_, vectors)[1] + self.beside.floor_
        away = scores[math.ceil(coverage * (len(scores) + 1)) - 1] * doubt
        return np.stack([mean - away, mean + away], 1)

    def to_array(self) -> NDArray[np.uint8]:
        """The file of the fine-tuned model, as bytes: its own format, with all that it checks."""
        return np.frombuffer(saved_bytes(self.model), np.uint8)

    @classmethod
    def of_array(cls, content: NDArray[np.uint8], beside: CrossConformalRegressor) -> FineTuned:
        """Take back what `to_array` gave."""
        return cls(SiteNetRegressor.load(content.astype(np.uint8).tobytes()), beside)


def seconds(points: PointSets) -> float:
    """Tell about how many seconds a fit on these crystals takes on one processor."""
    return _SECONDS * min(_PASSES * float(points.n_pairs.sum()), _MOST)
