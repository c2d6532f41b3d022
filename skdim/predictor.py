"""From labelled crystals to predictions with intervals that hold: `CrystalRegressor`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from skdim import _finetuned
from skdim._crystalpredictor import (
    CrystalPredictor,
    as_part,
    names_of,
    of_one_fit,
    part_of,
    whole_or_not_at_all,
)
from skdim._fields import FLAG, NAME
from skdim._finetuned import FineTuned
from skdim._labels import as_said, names_of_targets, partly_known, read_groups, read_sides, spread_out
from skdim._parameters import check, check_are_numbers, choice, integer, seed_of, shown
from skdim._targetmodel import TARGET, TRANSFORMS, TargetModel, check_enough, choose
from skdim.crystals.rows import listed
from skdim.evaluation._applicability import joined
from skdim.evaluation._intervals import check_coverage, is_splitter
from skdim.evaluation._readouts import READOUTS
from skdim.exceptions import InputError, ModelFileError
from skdim.points.featurizer import n_rows
from skdim.points.twins import twins
from skdim.regressor import SiteNetRegressor

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets

_ONE_SIGMA = 0.6827
_CHUNK = 1024  # crystals of a pool that are looked at together


class _Predicted(NamedTuple):
    """Predictions of the m usable crystals."""

    mean: NDArray[np.float64]  # (m, T)
    ends: NDArray[np.float64]  # (m, T, 2) of intervals; zeros where none were asked for
    vectors: NDArray[np.float32]  # (m, d)
    points: PointSets  # m
    valid: NDArray[np.bool_]  # (C,) which rows they are


class CrystalRegressor(RegressorMixin, CrystalPredictor):
    """Properties of crystals from few labels, with intervals that hold and a warning where they may not.

    ``fit`` takes the vectors of an embedder, tries several regressors on them by cross-validation inside the labels,
    and keeps the one with the lowest mean absolute error. What the folds have shown makes the intervals, by
    cross-conformal prediction, see `skdim.evaluation.CrossConformalRegressor`.

    Parameters
    ----------
    embedder : DeepInfoMaxEmbedder, path of a saved one, name of a pretrained one, or None, default=None
        Makes the vectors. Names are those of `skdim.load_pretrained`; None takes the first of these. One that is not
        fitted is pretrained on all crystals that ``fit`` is given, also those without a label. `clone` keeps one that
        is fitted as it is.
    regressors : sequence of str, default=("ridge", "laplacian", "gaussian", "trees")
        What to choose from: ridge regression, kernel ridge regression with the Laplacian kernel, a Gaussian process
        (Matérn kernel), extremely randomised trees. Each also chooses its own strength inside the labels. A further
        one is "fine-tuning", which trains the encoder too, see `SiteNetRegressor`: some 30 s for 250 labels, where
        the others take 15 s together.
    scale : {"auto", "none", "log10", "yeo-johnson"}, default="auto"
        Scale on which targets are learned. "auto" is log10 where all labels are positive and the largest is at least
        100 times the smallest. Predictions are taken back; on a curved scale they are medians rather than means.
    cv : int or cross-validation splitter, default=10
        Folds inside the labels. An int shuffles the rows and keeps groups together, where they are given, and
        near-duplicates, as one of them tells the label of the other.
    device : str, default="auto"
        Where to compute vectors; "auto" is a GPU if torch finds one, else the processor.
    on_error : {"raise", "nan"}, default="raise"
        How to treat unusable crystals: with "nan", they are left out of ``fit`` and predicted NaN.
    n_jobs : int or None, default=None
        Processes for featurizing and trees.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, the trees and a pretraining.
    verbose : int, default=0
        1 shows progress bars.

    Attributes
    ----------
    embedder_ : DeepInfoMaxEmbedder
        The embedder in use.
    chosen_ : list of str
        For each target the regressor that was chosen.
    errors_ : list of dict
        For each target the mean absolute error of each regressor by cross-validation, and of a guess of the median.
    losses_ : list of dict
        As ``errors_``, on the scale on which the target is learned: the regressor with the lowest is chosen.
        Fine-tuning is among them where it was tried, chosen or not. Files of earlier versions do not have them.
    held_out_ : ndarray of shape (C,) or (C, T)
        For each labelled row of ``fit`` the prediction of a model that has not seen it; NaN elsewhere.
    labelled_ : ndarray of int
        Rows of ``fit`` that have any label.
    target_names_ : list of str
        Columns of y, where it is a DataFrame, or the name of a Series; numbers otherwise.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If a parameter is not accepted, a target has fewer than 10 labels or only one value, or all rows are of one
        group.

    Examples
    --------
    >>> from skdim import CrystalRegressor
    >>> from skdim.datasets import load_elastic_moduli
    >>> crystals, moduli = load_elastic_moduli(target="K_VRH", return_X_y=True)
    >>> model = CrystalRegressor(regressors=["laplacian"], random_state=0).fit(crystals[:100], moduli[:100])
    >>> model.predict_interval(crystals[100:103], coverage=0.8).shape
    (3, 2)
    """

    _facts: ClassVar = {"single": FLAG, "names?": [NAME], "targets": [TARGET]}

    def __init__(
        self,
        embedder: Any = None,
        regressors: Sequence[str] = tuple(READOUTS),
        scale: str = "auto",
        cv: Any = 10,
        device: str = "auto",
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.regressors = regressors
        self.scale = scale
        self.cv = cv
        self.device = device
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @whole_or_not_at_all
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, censored: Any = None
    ) -> CrystalRegressor:
        """Choose a regressor for each target, and train it on the labelled crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures of any accepted kind. The index of a Series or DataFrame names crystals in `predict_frame`, and
            so do the ids of rows of `skdim.read_crystals`, which reads folders and archives.
        y : array-like of shape (C,) or (C, T)
            One or several properties; NaN where one is not known.
        sample_weight : array-like of shape (C,) or None, default=None
            Of the rows in training and choice; rows of weight 0 are left out.
        groups : array-like of shape (C,) or None, default=None
            Rows of one group are never on both sides of a fold; a row without a group (None, NaN) stands alone. Errors
            and intervals are then those of crystals of new groups. `skdim.evaluation.composition_groups` makes groups.
        censored : array-like of y's shape or None, default=None
            -1 where the true value is at most the one in y, 1 where it is at least that one, 0 where it is that one. A
            bound is learned as it stands or, where a model that has not seen it predicts a value beyond it, as that
            value; it takes no part in errors and intervals.

        Returns
        -------
        self
        """
        self._check()
        X = listed(X)
        table, weights, single = partly_known(y, sample_weight, n_rows(X))
        sides = read_sides(censored, table)
        groups = None if groups is None else read_groups(groups, len(table))
        points, valid = self._start(X)
        seed = seed_of(self.random_state)
        usable = valid & (weights > 0) & np.isfinite(table).any(1)
        self.target_names_ = names_of_targets(y, table.shape[1])
        for column, name in enumerate(self.target_names_):
            which = as_said(y) if single else f"target {name} of y"
            check_enough(table[usable, column], sides[usable, column], which)
        self.labelled_ = np.flatnonzero(usable)
        labelled = points[self.labelled_]
        vectors = self._remember(X, labelled)
        self.single_, self.seed_ = single, seed
        running: dict[str, Any] = {"device": self.device, "n_jobs": self.n_jobs, "verbose": self.verbose}
        untuned = SiteNetRegressor(self.embedder_, random_state=seed, **running)
        fine_tune = partial(FineTuned.of, untuned, labelled) if _finetuned.NAME in self.regressors else None
        own, alike = None if groups is None else groups[usable], twins(labelled, vectors)
        choices = (self.candidates(seed), self.scale, self.cv, seed, fine_tune)
        self.targets_ = [
            choose(vectors, table[usable, t], weights[usable], own, alike, sides[usable, t], *choices)
            for t in range(table.shape[1])
        ]
        held_out = np.full(table.shape, np.nan)
        for column, target in enumerate(self.targets_):
            held_out[self.labelled_[target.rows], column] = target.scale.inverse(target.conformal.held_out_)
        self.held_out_ = held_out[:, 0] if single else held_out
        return self

    @property
    def chosen_(self) -> list[str]:
        """Names of the regressors that were chosen."""
        return [target.name for target in self.targets_]

    @property
    def errors_(self) -> list[dict[str, float]]:
        """Errors by cross-validation, of each target by regressor."""
        return [dict(target.errors) for target in self.targets_]

    @property
    def losses_(self) -> list[dict[str, float]]:
        """Errors on the scale of learning, by which the regressor is chosen."""
        return [dict(target.losses) for target in self.targets_]

    @of_one_fit
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the properties of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        return_std : bool, default=False
            Whether to return standard deviations too: half the width of the interval that holds 68% of the values.

        Returns
        -------
        ndarray of shape (C,) or (C, T), or a pair of them
            In the units of y; NaN for rows that failed with on_error="nan".
        """
        found = self._predicted(X, _ONE_SIGMA if return_std else None)
        mean = self._shaped(found.mean, found.valid)
        half = (found.ends[..., 1] - found.ends[..., 0]) / 2
        return (mean, self._shaped(half, found.valid)) if return_std else mean

    @of_one_fit
    def predict_interval(self, X: Any, coverage: float = 0.9) -> NDArray[np.float64]:
        """Predict intervals that hold the true values of a given share of the crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        coverage : float, default=0.9
            Share of the crystals whose value is to be inside. It holds on average over crystals like the labelled ones
            or, where groups were given, like crystals of new groups.

        Returns
        -------
        ndarray of shape (C, 2) or (C, T, 2)
            Lower and upper ends in the units of y.

        Raises
        ------
        ValueError
            If there are too few labels for this coverage.
        """
        found = self._predicted(X, coverage)
        return self._shaped(found.ends, found.valid)

    @of_one_fit
    def predict_frame(self, X: Any, coverage: float = 0.9) -> pd.DataFrame:
        """Predict crystals with intervals, and say how far to trust each prediction.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        coverage : float, default=0.9
            Of the intervals.

        Returns
        -------
        DataFrame of C rows
            ``prediction``, ``lower``, ``upper`` (with the name or number of the target behind, if there are several);
            ``distance`` to the nearest labelled crystal; ``percentile`` of that distance among those between labelled
            crystals; ``nearest_1`` to ``nearest_3``, the nearest labelled crystals by their names in the index of
            ``fit`` or else by their rows; ``pretraining_percentile``, as ``percentile``, among the crystals that the
            embedder was pretrained on; ``flags``, predictions beyond all labels, what no labelled crystal has, and
            what none of the pretraining has. Indexed like X.
        """
        X = listed(X)
        found = self._predicted(X, coverage)
        table = np.concatenate([found.mean[..., None], found.ends], -1)  # (m, T, 3)
        columns: dict[str, Any] = {}
        for t, target in enumerate(self.target_names_):
            names = (name + ("" if self.single_ else f"_{target}") for name in ("prediction", "lower", "upper"))
            columns |= dict(zip(names, spread_out(table[:, t], found.valid).T, strict=True))
        said = self._beyond_labels(found.mean)
        return self._trust_frame(columns, found.vectors, found.points, found.valid, X, said)

    def _beyond_labels(self, mean: NDArray[np.float64]) -> list[str]:
        """Say which predictions, (m, T), are lower or higher than every label: no label speaks for them."""
        flags = [""] * len(mean)
        for t, (name, target) in enumerate(zip(self.target_names_, self.targets_, strict=True)):
            labels, of = target.scale.inverse(target.exact), "prediction" if self.single_ else f"prediction of {name}"
            low, high = labels.min(), labels.max()
            sides = ["below" if value < low else "above" if value > high else "" for value in mean[:, t]]
            flags = joined(flags, [f"{of} {side} all labels" if side else "" for side in sides])
        return flags

    @of_one_fit
    def explain(self, X: Any) -> pd.DataFrame:
        """Take predictions apart: what kinds of column, elements and sites add to them.

        Everything is on the scale on which the target is learned (decades, where that is log10), and begins with the
        prediction for the mean of the labelled vectors. What columns of the vector add to it is exact for a ridge;
        other regressors are followed on the straight way from that mean, as by integrated gradients. A column is split
        among sites as it is pooled from them, so what a site adds comes from the atom and from its surroundings; in a
        shared site it is split by occupancy. Of a fine-tuned model the linear regression from which its training goes
        on is taken apart; what the training adds stays one part of its own.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        DataFrame
            For each usable crystal and target one line for each part:

            - crystal : its name in the index of X, or its row
            - target : its name, or its number, where there are several
            - part : "start", "kind", "element", "site" or "sum"
            - name : of the part. Kinds are composition, density, environment (how elements surround each other),
              context (how expected they are there) and, of a model that has learned it, electrons (what they do,
              estimated from the whole crystal). Sites have their numbers in the structure before what they hold;
              of PointSets their rows, each of which may stand for several sites that symmetry makes alike.
            - share : of the crystal's atoms
            - contribution : start and all kinds make the sum, which is the prediction; so do start and all elements,
              and start and all sites

        Raises
        ------
        ValueError
            If the embedder has readout="network", as of preset="paper".

        References
        ----------
        M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, arXiv 1703.01365.

        Examples
        --------
        >>> from skdim import CrystalRegressor
        >>> from skdim.datasets import load_elastic_moduli
        >>> crystals, moduli = load_elastic_moduli(target="K_VRH", return_X_y=True)
        >>> model = CrystalRegressor(regressors=["ridge"], random_state=0).fit(crystals[:50], moduli[:50])
        >>> table = model.explain(crystals[50:52])
        >>> by_element = table[table["part"] == "element"].pivot(index="crystal", columns="name", values="contribution")
        >>> by_element.shape[0]
        2
        """
        from skdim._explanation import explanation

        check_is_fitted(self, "targets_")
        X = listed(X)
        known = self.domain_.vectors.astype(np.float64)
        own = [target.tuned.linear if target.tuned else target.conformal.regressor_ for target in self.targets_]
        learned = [(one, known[target.rows].mean(0)) for one, target in zip(own, self.targets_, strict=True)]
        vectors, points, valid = self._embed(X)
        beyond = {
            number: target.tuned.predict(points, vectors, self.device) - target.tuned.linear.predict(vectors)
            for number, target in enumerate(self.targets_)
            if target.tuned is not None
        }
        table = explanation(self.embedder_, X, np.flatnonzero(valid), learned, self.target_names_, "target", beyond)
        return table.drop(columns="target") if self.single_ else table

    @of_one_fit
    def suggest(
        self,
        X: Any,
        n: int = 10,
        goal: str = "information",
        maximize: bool = True,
        ids: Any = None,
        target: Any = None,
    ) -> pd.DataFrame:
        """Choose crystals to be measured next, as one batch; see `skdim.evaluation.suggest`.

        Values and intervals are those of `predict_frame`. For the best value, crystals whose interval does not reach
        beyond the best label are chosen only where there are no others.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            The pool. Crystals with the vector of a labelled one are left out.
        n : int, default=10
            Crystals in the batch; fewer, where the pool has fewer.
        goal : {"information", "best", "both"}, default="information"
            What they are for.
        maximize : bool, default=True
            Whether the best value is the largest.
        ids : sequence of C str or None, default=None
            Names of the crystals; None takes the index of a Series or DataFrame, or else the rows.
        target : str, int or None, default=None
            Which of several targets counts, by its name in ``target_names_``; None is the first.

        Returns
        -------
        DataFrame of n rows
            ``id``, and the columns of `predict_frame`, in the order in which they were chosen.
        """
        from skdim._pool import Pool

        pool = Pool(self, n, goal, maximize, target)
        X = listed(X)
        ids = names_of(X) if ids is None else ids
        ids = range(n_rows(X)) if ids is None else ids
        points = self._featurize(X, 4)
        for start in range(0, len(points), _CHUNK):
            part = points[start : start + _CHUNK]
            pool.add([ids[start + row] for row in range(len(part))], part)
        return pool.choose()

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give R2, of several targets the mean; labels that are NaN and rows that failed are left out.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        float
        """
        table, weights, _ = partly_known(y, sample_weight)
        predicted = np.asarray(self.predict(X)).reshape(len(table), -1)
        if predicted.shape != table.shape:
            raise InputError(f"y has {table.shape[1]} targets, but the model has {predicted.shape[1]}.")
        failed = ~np.isfinite(predicted).all(1)
        if failed.any():
            warnings.warn(f"{failed.sum()} of {len(failed)} rows failed and are left out of the score.", stacklevel=2)
        scores = []
        for known, guess in zip(table.T, predicted.T, strict=True):
            use = np.isfinite(known) & ~failed
            if use.sum() < 2:
                raise InputError(f"y must be known in at least 2 usable rows to be scored, got {use.sum()}.")
            scores.append(r2_score(known[use], guess[use], sample_weight=weights[use]))
        return float(np.mean(scores))

    def __sklearn_tags__(self) -> Any:
        """Several targets, some of them missing, are welcome."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check(self) -> None:
        """Check the parameters that no other function checks."""
        check("scale", self.scale, choice(*TRANSFORMS))
        if not is_splitter(self.cv):
            check("cv", self.cv, integer(2))
        self._check_regressors([*READOUTS, _finetuned.NAME])

    def _predicted(self, X: Any, coverage: float | None) -> _Predicted:
        """Predict crystals, with intervals if there is a coverage."""
        check_is_fitted(self, "targets_")
        vectors, points, valid = self._embed(X, 6)
        mean = np.empty((len(vectors), len(self.targets_)))
        ends = np.zeros((*mean.shape, 2))
        for number, target in enumerate(self.targets_):
            if coverage is not None:
                check_coverage(coverage, len(target.conformal.scores_))
            if len(vectors):
                with np.errstate(over="ignore", invalid="ignore"):  # which the checks tell
                    mean[:, number], found = target.predict(vectors, points, self.device, coverage)
                if found is not None:
                    ends[:, number] = found
        check_are_numbers("predictions", mean, np.arange(len(mean)))
        check_are_numbers("intervals", ends, np.arange(len(ends)))
        return _Predicted(mean, ends, vectors, points, valid)

    def _shaped(self, values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
        """One row for each crystal, and no axis of targets where y had none."""
        return spread_out(values[:, 0] if self.single_ else values, valid)

    def _learned(self) -> dict[str, str]:
        """What a notebook shows of a fitted one: each target with its regressor and errors by cross-validation."""
        alone, said = getattr(self, "single_", False), {}
        for name, target in zip(getattr(self, "target_names_", []), getattr(self, "targets_", []), strict=True):
            errors, unit = target.told
            own, guess = (f"{errors[one]:.3g} {unit}".rstrip() for one in (target.name, "median"))
            said["target" if alone else f"target {name}"] = (
                f"{len(target.rows)} labels; {target.name}, error {own}, guess of the median {guess}"
            )
        return said

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Every target with its regressors as arrays."""
        facts: dict[str, Any] = {"own_embedder": self.embedder is not None, "single": self.single_, "targets": []}
        facts["names"] = self.target_names_
        arrays: dict[str, NDArray[Any]] = {"held_out": self.held_out_}
        for number, target in enumerate(self.targets_):
            said, own = target.to_arrays()
            arrays |= as_part(own, number)
            facts["targets"].append(said)
        return facts, arrays

    def _restore(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Build the regressors of their arrays."""
        self.single_, self.held_out_, n = facts["single"], arrays["held_out"], len(facts["targets"])
        if not n or (self.single_ and n != 1):
            raise ModelFileError(f"targets must be one at least, and one alone where single is true, got {n}.")
        self.target_names_ = [str(name) for name in facts.get("names", range(n))]
        if len(self.target_names_) != n:
            raise ModelFileError(f"names must be those of the {n} targets, got {shown(self.target_names_)}.")
        self.targets_ = []
        for number, said in enumerate(facts["targets"]):
            self.targets_.append(TargetModel.of_arrays(said, part_of(arrays, number), self.domain_.vectors))
