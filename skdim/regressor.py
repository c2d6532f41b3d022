"""Crystals and properties in, predicted properties out: `SiteNetRegressor`, Site-Net fine-tuned on labels."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skdim._labels import check_labels
from skdim.learning.embedding import check_same_kind
from skdim.learning.finetuning import predict
from skdim.learning.targets import Known
from skdim.persistence import resolve_device
from skdim.scoring import r2_of_predicted
from skdim.supervised import FineTunedMixin


class SiteNetRegressor(RegressorMixin, FineTunedMixin):
    """Properties of crystals from a Site-Net encoder with a regression head, trained together on few labels.

    The head starts as the ridge regression on the encoder's vectors (``max_epochs=0`` leaves it at that) and has a
    second, curved path that starts at zero. From there encoder and head are trained together. Targets are standardised
    inside.

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
    loss : {"mse", "mae", "huber"}, default="mse"
        Of standardised targets.
    max_epochs : int, default=30
        Most passes over the labels.
    batch_pairs : int, default=4000
        Most pairs of sites in a batch.
    learning_rate : float, default=1e-3
        Highest learning rate of AdamW, which warms up and cools down.
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
    n_ensemble : int, default=1
        Models that are averaged. With more than one, each has a seed, held-out labels and random weights of the labels
        of its own (Bayesian bootstrap [2]_), so that their spread shows what the labels leave open.
    preset : {"default", "paper"}, default="default"
        What ``embedder=None`` builds, as for `DeepInfoMaxEmbedder`.
    warm_start : bool, default=False
        Whether a further ``fit`` goes on from the weights of the last.
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
    state_ : EmbedderState
        Weights of the start and of each member as arrays.
    history_ : list of dict
        For each epoch ``epoch``, ``train_loss``, ``valid_loss``, ``dur`` (seconds) and ``member``.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If a parameter is not accepted, fewer than 2 rows are labelled, a target is not finite, or all are the same. A
        constant target beside others that vary is accepted, and predicted.

    References
    ----------
    .. [1] Moran, Gusev, Gaultois, Antypov, Rosseinsky, "Establishing Deep InfoMax as an effective self-supervised
       learning methodology in materials informatics", arXiv 2407.00671.
    .. [2] D. B. Rubin, "The Bayesian bootstrap", Ann. Statist. 9 (1981) 130.

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
        loss: str = "mse",
        max_epochs: int = 30,
        batch_pairs: int = 4_000,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        validation_fraction: float = 0.0,
        patience: int = 10,
        clamp: float | None = None,
        n_ensemble: int = 1,
        preset: str = "default",
        warm_start: bool = False,
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
        self.n_ensemble = n_ensemble
        self.preset = preset
        self.warm_start = warm_start
        self.device = device
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on labelled crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures of any accepted kind, or point sets, which are used as they come.
        y : array-like of shape (C,) or (C, T)
            One or several properties, finite.
        sample_weight : array-like of shape (C,) or None
            Of the rows in the loss; rows of weight 0 are left out.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, self.warm_start and hasattr(self, "state_"))

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
        return self._fit(X, y, sample_weight, hasattr(self, "state_"), one_epoch=True)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the properties of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        return_std : bool, default=False
            Whether to return the standard deviation over the ensemble too.

        Returns
        -------
        ndarray of shape (C,) or (C, T), or a pair of them
            In the units of y; NaN for rows that failed with on_error="nan".
        """
        check_is_fitted(self, "state_")
        facts = self.state_.extra["regressor"]
        if return_std and facts["n_ensemble"] < 2:
            raise ValueError(
                f"return_std=True, but n_ensemble was {facts['n_ensemble']} in fit; accepted is that with at least 2."
            )
        points = self._set_up(self.featurizer_).transform(X)
        check_same_kind(self.state_, points)
        center, scale = self._known_scale()
        each = predict(self.state_, points, self._shape(), resolve_device(self.device)) * scale + center
        if self.clamp is not None:
            each = np.maximum(each, self.clamp)
        each = each[:, :, 0] if facts["single"] else each
        return (each.mean(0), each.std(0, ddof=1)) if return_std else each.mean(0)

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
        if len(predicted) != len(labels.values):
            raise ValueError(
                f"X has {len(predicted)} rows and y has {len(labels.values)}; accepted is one label for each row."
            )
        weights = None if sample_weight is None else labels.weights
        return r2_of_predicted(predicted, Known(X, labels.values, weights, np.arange(len(labels.values))))

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array, and few epochs on few labels may fit poorly."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        return tags
