"""How one target is learned from vectors: its scale, the choice of a regressor, and labels that are bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skdim._crystalpredictor import LEAST, as_part, part_of
from skdim._fields import ANY, ERROR, Schema
from skdim._finetuned import NAME, START, FineTuned
from skdim._parameters import check, check_are_numbers, choice, integer, number
from skdim.evaluation._intervals import CrossConformalRegressor, are_parts, folds, is_splitter
from skdim.evaluation._kernel_ridge import KernelRidgeCV
from skdim.evaluation._readouts import READOUTS
from skdim.exceptions import InputError, ModelFileError
from skdim.points.twins import together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets

    FineTune = Callable[..., FineTuned]

TRANSFORMS = ("auto", "none", "log10", "yeo-johnson")
UNITS = {"none": "", "log10": "decades", "yeo-johnson": "Yeo-Johnson units"}
"""Of errors on each scale; empty where it is that of the target."""
_DECADES = 2
# Powers of two within which squares and sums of squares of labels are numbers of full precision.
_PLAIN = range(-100, 100)
# The same for the power transformation, which adds one to values.
_NEAR_ONE = range(-20, 100)
_MOST_EXPONENT = 1100  # of a double
_ROUNDING = 1e-6
TARGET: Schema = {
    "name": choice(*READOUTS, NAME),
    "scale": [ANY],
    "errors": {"median": ERROR, "*": ERROR},
    "losses?": {"median": ERROR, "*": ERROR},
    "floor": number(above=0),
    "folds": integer(1),
}
"""What `TargetModel.to_arrays` gives as JSON."""


@dataclass(frozen=True)
class Scale:
    """The scale on which a target is learned."""

    kind: str  # "none", "log10" or "yeo-johnson"
    power: float = 1.0  # parameter of the last
    exponent: int = 0  # values are taken in units of 2 to this power first; 0 unless they are huge or tiny

    @classmethod
    def of(cls, kind: str, values: NDArray[np.float64]) -> Scale:
        """Choose the scale of labels; "auto" is log10 where all are positive and span two decades."""
        positive = bool((values > 0).all())
        if kind == "auto":
            wide = positive and values.max() >= 10**_DECADES * values.min()
            return cls.of("log10" if wide else "none", values)
        if kind == "log10" and not positive:
            raise InputError(
                f"y must be positive with scale='log10', got {values.min():g}. Leave the row out, or "
                "use scale='yeo-johnson' (skdim fit: --transform yeo-johnson)."
            )
        if kind == "yeo-johnson":
            from sklearn.preprocessing import PowerTransformer

            exponent = _exponent(values, _NEAR_ONE)
            inside = np.ldexp(values, -exponent)[:, None]
            return cls(kind, float(PowerTransformer(standardize=False).fit(inside).lambdas_[0]), exponent)
        return cls(kind, exponent=_exponent(values, _PLAIN) if kind == "none" else 0)

    @classmethod
    def of_json(cls, said: list[Any]) -> Scale:
        """Read it out of JSON; files of the first versions do not have the exponent."""
        fields = {
            "scale": choice(*TRANSFORMS[1:]),
            "power": number(),
            "exponent": integer(-_MOST_EXPONENT, _MOST_EXPONENT),
        }
        kind, power, exponent = said if len(said) == 3 else (*said, 0)
        for (name, accepted), value in zip(fields.items(), (kind, power, exponent), strict=True):
            check(name, value, accepted)
        return cls(kind, float(power), exponent)

    def forward(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Put values of the target on the scale."""
        if self.exponent:
            values = np.ldexp(values, -self.exponent)
        if self.kind == "none":
            return values
        scaled: NDArray[np.float64] = (
            np.log10(values) if self.kind == "log10" else self._power().transform(values[:, None])
        )
        return scaled.reshape(-1)

    def inverse(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take values off the scale; it grows steadily, so the ends of intervals can be taken as they are."""
        if self.exponent:
            return np.ldexp(Scale(self.kind, self.power).inverse(values), self.exponent)
        if self.kind == "none":
            return values
        if self.kind == "log10":
            with np.errstate(over="ignore"):
                return np.asarray(10.0**values)
        # Beyond its ends the scale stands for no value: the last one is meant.
        low = -1 / (2 - self.power) if self.power > 2 else -np.inf
        high = -1 / self.power if self.power < 0 else np.inf
        inside = np.clip(values, low * (1 - 1e-9), high * (1 - 1e-9)).reshape(-1, 1)
        return np.asarray(self._power().inverse_transform(inside)).reshape(values.shape)

    def _power(self) -> Any:
        """Return scikit-learn's transformer with the parameter of this scale."""
        from sklearn.preprocessing import PowerTransformer

        transformer = PowerTransformer(standardize=False)
        transformer.lambdas_, transformer.n_features_in_ = np.array([self.power]), 1
        return transformer


def _exponent(values: NDArray[np.float64], plain: range) -> int:
    """Power of two near the largest value, or 0 if that is an everyday one."""
    exponent = int(np.frexp(np.abs(values).max())[1])
    return 0 if exponent in plain or not values.any() else exponent


@dataclass(frozen=True)
class TargetModel:
    """What was learned of one target."""

    name: str  # of the regressor that was chosen
    scale: Scale  # that it was trained on
    rows: NDArray[np.int64]  # (n,) its labelled crystals, as rows of the vectors of all labelled ones
    conformal: CrossConformalRegressor  # trained on all of them and without each fold
    # Mean absolute error of every regressor by cross-validation, in units of the target; and of a median guess.
    errors: dict[str, float]
    # (n,) the labels; where they are bounds, what was put in their place.
    exact: NDArray[np.float64] = field(repr=False)
    # Where fine-tuning was chosen. Then ``conformal`` is the ridge that it started from, with the held-out predictions
    # and scores of the fine-tuned model.
    tuned: FineTuned | None = None
    # As ``errors``, on the scale, where the choice is made. Files of earlier versions do not have them.
    losses: dict[str, float] = field(default_factory=dict)

    @property
    def told(self) -> tuple[dict[str, float], str]:
        """Errors to show and their unit: those the choice was made by, where they are known; empty is the target's."""
        on_scale = self.scale.kind != "none" and bool(self.losses)
        return (self.losses, UNITS[self.scale.kind]) if on_scale else (self.errors, "")

    def predict(
        self, vectors: NDArray[np.floating], points: PointSets, device: str, coverage: float | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Predict crystals (m,), and with a coverage the ends (m, 2) of intervals that hold this share of values."""
        mean, ends = self.on_scale(vectors, points, device, coverage)
        return self.scale.inverse(mean), None if ends is None else self.scale.inverse(ends)

    def on_scale(
        self, vectors: NDArray[np.floating], points: PointSets, device: str, coverage: float | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Predict as `predict` does, on the scale on which the target is learned."""
        if self.tuned is None:
            mean = self.conformal.predict(vectors)
            ends = None if coverage is None else self.conformal.predict_interval(vectors, coverage)
        else:
            mean = self.tuned.predict(points, vectors, device)
            ends = None if coverage is None else self.tuned.interval(mean, vectors, coverage)
        check_are_numbers("predictions", mean, np.arange(len(mean)))
        return mean, ends

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what was learned, as JSON-able facts and arrays."""
        conformal = self.conformal
        arrays: dict[str, NDArray[Any]] = {
            "rows": self.rows,
            "exact": self.exact,
            "fold": conformal.fold_,
            "scores": conformal.scores_,
            "held_out": conformal.held_out_,
            "scored": conformal.scored_,
            "block": conformal.block_,
            "missed": conformal.errors_,
        }
        for place, model in enumerate([conformal.regressor_, *conformal.fold_regressors_]):
            arrays |= as_part(model.to_arrays(), place)
        if self.tuned is not None:
            arrays["tuned"] = self.tuned.to_array()
        facts = {
            "name": self.name,
            "scale": [self.scale.kind, self.scale.power, self.scale.exponent],
            "errors": self.errors,
            **({"losses": self.losses} if self.losses else {}),
            "floor": conformal.floor_,
            "folds": len(conformal.fold_regressors_),
        }
        return facts, arrays

    @classmethod
    def of_arrays(cls, said: dict[str, Any], own: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> TargetModel:
        """Take back what `to_arrays` gave, with the vectors of all labelled crystals."""
        rows, fold, folds = own["rows"], own["fold"], said["folds"]
        if folds > len(fold) or not np.array_equal(np.unique(fold), np.arange(folds)):
            raise KeyError(f"folds {folds}")
        readout = READOUTS[START if said["name"] == NAME else said["name"]]
        conformal = CrossConformalRegressor(clone(readout))
        conformal.fold_, conformal.held_out_, conformal.scored_ = fold, own["held_out"], own["scored"].astype(np.bool_)
        conformal.scores_, conformal.floor_ = own["scores"], float(said["floor"])
        conformal.target_, conformal.weights_ = own["exact"], None
        # Files of earlier versions leave whole folds out for the intervals.
        conformal.block_ = own.get("block", fold)
        conformal.errors_ = own.get("missed", np.abs(conformal.held_out_ - conformal.target_))
        arrays = (own["rows"], fold, conformal.held_out_, own["scored"], own["exact"])
        if len({len(array) for array in (*arrays, conformal.block_, conformal.errors_)}) > 1:
            raise KeyError("arrays of different lengths")
        if not are_parts(conformal.block_, fold):
            raise KeyError("blocks that are no parts of the folds")
        if int(conformal.scored_.sum()) != len(conformal.scores_):
            raise KeyError("scores that are not those of the rows")
        # A score is an error by a doubt that the floor is added to.
        errors = conformal.errors_[conformal.scored_]
        with np.errstate(over="ignore"):
            if not (conformal.scores_ * conformal.floor_ <= errors * (1 + _ROUNDING)).all():
                raise ModelFileError(f"floor must fit the scores, got {conformal.floor_:g}.")
        models = []
        for place in range(folds + 1):
            trained = vectors[rows if place == 0 else rows[fold != place - 1]]
            models.append(clone(readout).restore(part_of(own, place), trained))
        conformal.regressor_, conformal.fold_regressors_ = models[0], models[1:]
        tuned = FineTuned.of_array(own["tuned"], conformal) if said["name"] == NAME else None
        scale = Scale.of_json(said["scale"])
        return cls(said["name"], scale, rows, conformal, said["errors"], own["exact"], tuned, said.get("losses", {}))


def choose(
    vectors: NDArray[np.floating],  # (n, d)
    labels: NDArray[np.float64],  # (n,) NaN where there is none
    weights: NDArray[np.float64],  # (n,)
    groups: NDArray[Any] | None,  # (n,) that stay together
    alike: NDArray[np.int64],  # (n,) the same number for near-duplicates, which stay together too
    sides: NDArray[np.int64],  # (n,) -1, 0 or 1 as `censored` of `CrystalRegressor.fit`
    candidates: Mapping[str, Any],  # regressors to choose from
    scale: str,  # this and the next as for `CrystalRegressor`
    cv: Any,
    seed: int,  # of the folds
    # `FineTuned.of` but for its first two arguments: fine-tunes on these rows, as one more regressor.
    fine_tune: FineTune | None = None,
) -> TargetModel:
    """Try regressors on one target by cross-validation, and keep the one with the lowest error on its scale."""
    rows = np.flatnonzero(np.isfinite(labels))
    V, y, w, side = vectors[rows].astype(np.float64), labels[rows], weights[rows], sides[rows]
    own = together(None if groups is None else groups[rows], alike[rows])
    on = Scale.of(scale, y)
    splits = list(folds(cv, V, y, own, seed))
    z, exact = _beyond_bounds(V, on.forward(y), w, side, own, splits), side == 0

    # Of a splitter every regressor has the same folds, whether or not it makes others each time.
    same = _Given(splits) if is_splitter(cv) else cv

    def trained(regressor: Any) -> CrossConformalRegressor:
        return CrossConformalRegressor(regressor, same, seed).fit(V, z, w, own, exact)

    def missed(guess: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
        return float(np.average(np.abs(guess - truth)[exact], weights=w[exact]))

    tried, tuned = {name: trained(regressor) for name, regressor in candidates.items()}, None
    if fine_tune is not None:
        tuned = fine_tune(rows, tried.get(START) or trained(clone(READOUTS[START])), V, z, w)
        tried[NAME] = tuned.beside
    errors = {"median": _median_error(y, exact, w, splits)}
    errors |= {name: missed(on.inverse(one.held_out_), y) for name, one in tried.items()}
    losses = {"median": _median_error(z, exact, w, splits)}
    losses |= {name: missed(one.held_out_, z) for name, one in tried.items()}
    if tuned is not None and not tuned.moved and len(tried) > 1:
        del tried[NAME]  # it is a ridge
    best = min(tried, key=lambda name: losses[name])
    return TargetModel(best, on, rows, tried[best], errors, z, tuned if best == NAME else None, losses)


def check_enough(labels: NDArray[np.float64], sides: NDArray[np.int64], which: str) -> None:
    """Refuse a target of which too little is known to choose and to test."""
    known = labels[np.isfinite(labels) & (sides == 0)]
    if len(known) < LEAST:
        bounds = int((np.isfinite(labels) & (sides != 0)).sum())
        beside = f" beside {bounds} that are bounds only" if bounds else ""
        raise InputError(
            f"{which} has {len(known)} labelled usable rows{beside}; at least {LEAST} are needed to choose a regressor "
            "and to test it by cross-validation. Below that, take the median of the labels."
        )
    if (known == known[0]).all():
        raise InputError(
            f"{which} is {known[0]:g} in all {len(known)} labelled rows; labels of at least two different values are "
            "needed."
        )


class _Given:
    """Folds that were made already."""

    def __init__(self, splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> None:
        self.splits = splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Give the folds."""
        return self.splits


def _beyond_bounds(
    V: NDArray[np.float64],
    z: NDArray[np.float64],
    weights: NDArray[np.float64],
    sides: NDArray[np.int64],
    groups: NDArray[Any] | None,
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> NDArray[np.float64]:
    """Put predictions by models that have not seen the row in place of bounds, where they lie beyond them."""
    if not sides.any():
        return z
    filled, known = z, sides == 0
    for _ in range(2):  # the second round learns from the bounds too, as the first has filled them in
        guess = z.copy()
        for train, test in ((rows[known[rows]], test) for rows, test in splits if known[rows].any()):
            own = None if groups is None else groups[train]
            model = KernelRidgeCV("laplacian", cv=None).fit(V[train], filled[train], weights[train], own)
            guess[test] = model.predict(V[test])
        filled = np.where(sides < 0, np.minimum(z, guess), np.where(sides > 0, np.maximum(z, guess), z))
        known = np.ones(len(z), np.bool_)
    return filled


def _median_error(
    y: NDArray[np.float64],
    exact: NDArray[np.bool_],
    weights: NDArray[np.float64],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> float:
    """Mean absolute error of the median of the other folds."""
    guess = np.empty(len(y))
    for train, test in splits:
        guess[test] = np.median(y[train])
    return float(np.average(np.abs(guess - y)[exact], weights=weights[exact]))
