"""`SiteNetRegressor`: properties of crystals from Site-Net, fine-tuned on labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skdim._estimators import FitTasks, fit_tasks, with_callbacks
from skdim._labels import Known, Labels, check_labels, check_lengths, check_varied
from skdim._parameters import FLAG, check_parameters, choice, number, optional
from skdim._sitenet import ACCEPTED, SiteNetModel, Start
from skdim.exceptions import InputError
from skdim.learning.checkpoints import checkpoint_file
from skdim.learning.embedding import resolve_device, run_with
from skdim.learning.finetuning import FineTuning
from skdim.learning.presets import TrainingConfig
from skdim.learning.regression import LOSSES
from skdim.scoring import r2_of_predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.learning.states import TargetScale

_ACCEPTED = ACCEPTED | {
    "loss": choice(*sorted(LOSSES)),
    "validation_fraction": number(least=0, below=0.9),
    "clamp": optional(number()),
    "warm_start": FLAG,
}


class SiteNetRegressor(RegressorMixin, SiteNetModel):
    """Properties of crystals from a Site-Net encoder with a regression head, trained together on few labels.

    It begins with the ridge regression on the encoder's vectors (``max_epochs=0`` leaves it at that) and goes on in two
    steps. The first leads to a linear regression on the same vectors that penalises their parts (composition, density,
    environment, context, electrons) differently, as the likelihood of the labels says [2]_, and in which outlying
    labels count less, as with Huber's loss. The head starts as that regression, beside a curved path that starts at
    zero, and the second step trains encoder and head together.

    Errors on held-out labels decide how far predictions go in each step: to where the gain, less its standard error,
    is largest. In the second step 1% of the error before is added to the gain at half way, as the models that are kept
    have seen more labels than those that were tested; so a gain is likely, but not promised. Where no step gains
    anything, the ridge remains. Targets are standardised inside; with ``loss="mse"`` outlying labels count as others
    do. With more than 1000 labels the first step is left out.

    Parameters
    ----------
    embedder : fitted DeepInfoMaxEmbedder or SiteNetRegressor, path of a saved one, or None, default=None
        Encoder to start from, also within scikit-learn's ``FrozenEstimator``. `clone` keeps it fitted, so that
        cross-validation and grid searches start from its weights in every fold. A regressor that was fitted to
        another property hands on its encoder. None starts from the untrained encoder of ``preset``.
    freeze : {"none", "local", "global", "both"}, default="none"
        What the training leaves as it is: the encoders of environments ("local"), the readout of the paper's preset
        ("global"; pooling by moments has nothing to train), or all but the head ("both").
    head_width : int, default=64
        Hidden units of the head's curved path; 0 leaves the head linear.
    loss : {"mse", "mae", "huber"}, default="mae"
        Of standardised targets.
    max_epochs : int or None, default=None
        Most passes over the labels. None takes 30, and fewer where crystals have so many sites that a fit would take
        more than about a minute on two processors; where not even two could be taken, the ridge remains.
    batch_pairs : int, default=4000
        Most pairs of sites in a batch.
    learning_rate : float, default=3e-4
        Highest learning rate of AdamW, which warms up and cools down. The linear path of the head has a tenth of it.
    weight_decay : float, default=1e-2
        Of AdamW.
    validation_fraction : float, default=0.0
        Share of the labels held out. With some, training stops early and keeps the weights of the lowest held-out
        loss, those of the start included. With none, it takes ``max_epochs`` and keeps those of the lowest training
        loss. The default is what measured better at 100 and 250 labels, where each label counts; of fewer than 20
        none is ever held out.
    patience : int, default=10
        Epochs without a lower held-out loss that end the training.
    clamp : float or None, default=None
        Lowest prediction, such as 0 for band gaps.
    cv : int or None, default=5
        Most folds of the labels; near-duplicates are in one. Each fold is predicted by a model trained without it, and
        these predictions decide how far to go from the ridge. Fewer than 20 labels cannot tell, and the ridge remains.
        None trains from the ridge and goes all the way, as published.
    n_ensemble : int, default=1
        Models that are averaged, each with a seed and, if any, held-out labels of its own.
    preset : {"default", "deep", "paper"}, default="default"
        What ``embedder=None`` builds, as for `DeepInfoMaxEmbedder`.
    warm_start : bool, default=False
        Whether a further ``fit`` goes on from the weights of the last.
    checkpoint_dir : str, path or None, default=None
        Folder of checkpoints, one for each member, that are written after each epoch; a ``fit`` that was stopped goes
        on from there and ends as if it had not been. Needs an integer ``random_state``.
    device : str, default="auto"
        Where to compute; "auto" is a GPU if torch finds one, else the processor.
    on_error : {"raise", "nan"}, default="raise"
        What becomes of rows that are no usable crystals: with "nan", they are left out of ``fit`` and predicted NaN.
    n_jobs : int or None, default=None
        Processes for featurizing; None leaves it to the embedder's featurizer.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches and held-out labels.
    verbose : int, default=0
        1 shows progress bars.

    Attributes
    ----------
    featurizer_ : CrystalPointSetTransformer
        The featurizer in use.
    state_ : RegressorState
        What was learned, as arrays and plain values: the start, the members, the scale of the targets.
    history_ : list of dict
        For each epoch ``epoch``, ``train_loss``, ``valid_loss``, ``dur`` (seconds) and ``member``.
    strength_ : float or ndarray of shape (T,)
        How far predictions go from the linear regression (0) to the trained model (1), for each target.
    part_strength_ : float or ndarray of shape (T,)
        How far the linear regression is from the ridge (0) to the one that weighs the parts of the vector (1), for each
        target. Saved files do not have it.
    held_out_ : ndarray of shape (C,) or (C, T)
        Predictions of the rows of ``fit`` by models that have not seen them, at this strength; NaN for rows that were
        left out and where nothing was held out. Saved files do not have them.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If a parameter is not accepted, fewer than 2 rows are labelled, a target is not finite, or all are the same. A
        constant target beside others that vary is accepted, and predicted.
    FloatingPointError
        If the training diverges; the message says what to change.
    KeyboardInterrupt
        If the user interrupts ``fit``. Once an epoch is complete, the regressor is fitted with the weights of the best
        one so far and the members trained so far, and a warning says so.

    References
    ----------
    .. [1] Moran, Gusev, Gaultois, Antypov, Rosseinsky, "Establishing Deep InfoMax as an effective self-supervised
       learning methodology in materials informatics", arXiv 2407.00671.
    .. [2] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press (2006), chapter 5.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
    >>> from skdim.datasets import load_band_gap
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(structures[:60])
    >>> regressor = SiteNetRegressor(embedder, max_epochs=2, clamp=0, random_state=0)
    >>> regressor.fit(structures[:40], gaps[:40]).predict(structures[60:62]).shape
    (2,)
    """

    def __init__(
        self,
        embedder: Any = None,
        freeze: str = "none",
        head_width: int = 64,
        loss: str = "mae",
        max_epochs: int | None = None,
        batch_pairs: int = 4_000,
        learning_rate: float = 3e-4,
        weight_decay: float = 1e-2,
        validation_fraction: float = 0.0,
        patience: int = 10,
        clamp: float | None = None,
        cv: int | None = 5,
        n_ensemble: int = 1,
        preset: str = "default",
        warm_start: bool = False,
        checkpoint_dir: Any = None,
        device: str = "auto",
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.freeze = freeze
        self.head_width = head_width
        self.loss = loss
        self.max_epochs = max_epochs
        self.batch_pairs = batch_pairs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.clamp = clamp
        self.cv = cv
        self.n_ensemble = n_ensemble
        self.preset = preset
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.device = device
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train on labelled crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures of any accepted kind, or point sets, which are used as they come.
        y : array-like of shape (C,) or (C, T)
            One or several properties, finite.
        sample_weight : array-like of shape (C,) or None
            Of the rows in the loss; rows of weight 0 are left out.
        groups : array-like of shape (C,) or None
            Rows of one group are held out together, so that what is chosen suits crystals of other groups.

        Returns
        -------
        self
        """
        config = self._checked()
        checkpoint = checkpoint_file(self.checkpoint_dir, self.random_state, "member")
        labels = check_labels(y, sample_weight)
        goes_on = self.warm_start and hasattr(self, "state_")
        start = self._where_it_ended(labels) if goes_on else self._start(X)
        return self._learn(X, labels, groups, start, config, checkpoint, tasks=fit_tasks(self, X, y))

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch at a constant learning rate, on these rows; the first call starts as `fit` does.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; no label is held out, and the scale of the targets stays that of the first call.

        Returns
        -------
        self
        """
        config = replace(self._checked(), max_epochs=1, schedule="constant", validation_fraction=0.0)
        labels = check_labels(y, sample_weight)
        start = self._where_it_ended(labels) if hasattr(self, "state_") else self._start(X)
        return self._learn(X, labels, None, start, config, once=True, tasks=fit_tasks(self, X, y))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the properties of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        return_std : bool, default=False
            Whether to return standard deviations too: they grow with the distance from the labelled crystals, as those
            of a Gaussian process do, and are as large as the held-out errors were. ``cv`` must not be None.

        Returns
        -------
        ndarray of shape (C,) or (C, T), or a pair of them
            In the units of y; NaN for rows that failed with on_error="nan".
        """
        points = self._points(X)
        device, ensemble = resolve_device(self.device), self.ensemble_
        single = ensemble.state.target_scale.single
        if return_std and ensemble.state.anchor is None:
            raise InputError(
                "return_std=True needs held-out labels: cv must be an integer >= 2, and at least 4 rows labelled, "
                f"in fit, got cv={self.cv!r}."
            )
        least = -np.inf if self.clamp is None else self.clamp
        found = [ensemble.predict(points, device, least)]
        if return_std:
            found.append(ensemble.deviation(points, device))
        mean, *std = [values[:, 0] if single else values for values in found]
        return (mean, *std) if return_std else mean

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give R2; rows that failed under on_error="nan" are left out with a warning.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        float
            Mean over the targets.
        """
        labels = check_labels(y, sample_weight)
        predicted = self.predict(X)
        check_lengths(len(predicted), len(labels.values))
        weights = None if sample_weight is None else labels.weights
        return r2_of_predicted(predicted, Known(X, labels.values, weights, np.arange(len(labels.values))))

    def __sklearn_tags__(self) -> Any:
        """There may be several targets, and few epochs on few labels may fit poorly."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        return tags

    @property
    def strength_(self) -> Any:
        """How far predictions go from the linear regression to the trained model."""
        check_is_fitted(self, "state_")
        scale, anchor = self.state_.target_scale, self.state_.anchor
        strength = np.ones(len(scale.center)) if anchor is None else anchor.strength
        return float(strength[0]) if scale.single else strength

    def _checked(self) -> TrainingConfig:
        """Check the parameters, and return those of the training."""
        check_parameters(self, _ACCEPTED)
        return self._training(self.patience, self.validation_fraction)

    def _where_it_ended(self, labels: Labels) -> Start:
        """Start where the last fit ended, if this one can continue from there."""
        state = self.state_
        fits = {
            "n_ensemble": (self.n_ensemble, len(state.members) or self.n_ensemble),
            "head_width": (self.head_width, state.head_width),
            "the number of targets": (labels.values.shape[1], len(state.target_scale.center)),
        }
        for name, (now, then) in fits.items():
            if now != then:
                raise InputError(f"{name} must be {then}, as in the fit to continue, got {now}.")
        featurizer = run_with(self.featurizer_, **self._running())
        return Start(state.start, featurizer, state.members, state.target_scale, state.anchor)

    def _learn(
        self,
        X: Any,
        labels: Labels,
        groups: Any,
        start: Start,
        config: TrainingConfig,
        checkpoint: Any = None,
        once: bool = False,
        tasks: FitTasks | None = None,
    ) -> Self:
        """Train on the usable rows; ``once``, nothing is chosen."""
        labelled = self._labelled(X, labels, groups, start)
        if start.target_scale is None:
            check_varied(labelled.labels.values)
        choices = FineTuning(self.freeze, int(self.head_width), self.loss, int(self.n_ensemble), self.max_epochs != 0)
        state, found = self._fine_tune(labelled, start, choices, config, checkpoint, once=once, tasks=tasks)
        held_out = self._in_rows(found.held_out, labelled.rows, labels, state.target_scale)
        share = float(found.share[0]) if labels.single else found.share
        # Only now, so that a fit that fails leaves an earlier one whole.
        self._take(state, start.featurizer, held_out_=held_out, part_strength_=share)
        self._end(found, tasks)
        return self

    def _in_rows(
        self, held_out: Any, rows: NDArray[np.int64], labels: Labels, scale: TargetScale
    ) -> NDArray[np.float64]:
        """Held-out predictions in units of y and the rows of fit."""
        spread = np.full(labels.values.shape, np.nan)
        if held_out is not None:
            spread[rows] = np.maximum(
                held_out * scale.scale + scale.center, -np.inf if self.clamp is None else self.clamp
            )
        return spread[:, 0] if labels.single else spread
