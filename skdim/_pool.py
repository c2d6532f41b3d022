"""The crystals to choose from when a model suggests what to measure next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdim._parameters import check, choice, integer
from skdim.evaluation._applicability import nearest
from skdim.evaluation._suggestion import GOALS, Shortlist
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd

    from skdim.points.pointsets import PointSets

_COVERAGE = 0.9
_SAME = 1e-4  # distance of a crystal from itself, with the rounding of another description of its cell


class Pool:
    """Crystals to choose from, given a part at a time; see `CrystalRegressor.suggest`.

    Only those that may be chosen are held, so that there may be more of them than memory has room for.
    """

    def __init__(
        self,
        model: Any,  # a fitted `CrystalRegressor`
        n: int,
        goal: str,
        maximize: bool,
        target: Any,
    ) -> None:
        check_is_fitted(model, "targets_")
        check("n", n, integer(1))
        check("goal", goal, choice(*GOALS))
        if target is not None and str(target) not in model.target_names_:
            raise InputError(f"target must be one of {', '.join(model.target_names_)}, got {target!r}.")
        self.model, self.goal = model, goal
        self.learned = model.targets_[0 if target is None else model.target_names_.index(str(target))]
        self.known = model.domain_.vectors[self.learned.rows]
        self.shortlist = Shortlist(self.known.astype(np.float64), self.learned.exact, n, goal, maximize)
        self.ids: list[Any] = []
        self.held: list[PointSets] = []  # one at most

    def add(self, ids: Sequence[Any], points: PointSets) -> None:
        """Look at more crystals, of these names; unusable and labelled ones are left out."""
        usable = np.flatnonzero(points.valid)
        if not len(usable):
            return
        points = points[usable]
        vectors = self.model.embedder_.transform(points)
        free = np.flatnonzero(nearest(vectors, self.known, 1)[0][:, 0] > _SAME)
        if not len(free):
            return
        vectors, points, predicted = vectors[free], points[free], None
        if self.goal != "information":
            mean, ends = self.learned.on_scale(vectors, points, self.model.device, _COVERAGE)
            assert ends is not None  # a coverage is given
            predicted = np.column_stack([mean, ends])
        stays = self.shortlist.add(vectors, predicted)
        names = [*self.ids, *(ids[row] for row in usable[free])]
        self.ids = [names[row] for row in stays]
        self.held = [type(points).concatenate([*self.held, points])[stays]]

    def choose(self) -> pd.DataFrame:
        """Choose the batch."""
        if not self.held:
            raise InputError("X holds no usable crystal that is not labelled already; at least 1 is needed.")
        chosen = self.shortlist.choose()
        frame: pd.DataFrame = self.model.predict_frame(self.held[0][chosen])
        frame.insert(0, "id", [self.ids[row] for row in chosen])
        return frame
