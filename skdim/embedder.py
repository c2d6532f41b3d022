"""Crystals in, vectors out: `DeepInfoMaxEmbedder`, pretrained without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from skdim._parameters import check_effort, check_number, seed_of
from skdim.crystals.rows import keep_labels
from skdim.crystals.structures import check_on_error
from skdim.learning.checkpoints import checkpoint_file
from skdim.learning.embedding import check_same_kind, embed
from skdim.learning.presets import OVERRIDES, Preset, resolve_preset
from skdim.learning.pretraining import pretrain
from skdim.persistence import SavedMixin, plain_parameters
from skdim.points.featurizer import CrystalPointSetTransformer
from skdim.points.pointsets import PointSets


class DeepInfoMaxEmbedder(TransformerMixin, SavedMixin):
    """Vectors of crystals from a Site-Net encoder pretrained by Deep InfoMax.

    ``fit`` needs structures only: it maximises the mutual information between parts of a crystal [1]_ [2]_.
    ``transform`` gives one row of float32 a crystal, in standard deviations of the pretraining set and bounded by
    three of them, so that a ridge or a forest on 50 labels can use it as it is.

    Parameters
    ----------
    featurizer : CrystalPointSetTransformer or None, default=None
        Makes point sets of structures; a clone of it is used. None takes the preset's own.
    preset : {"default", "paper"}, default="default"
        "default": the best configuration measured. A first encoder, whose attention decays with distance, stays as it
        is initialised unless the local or global objective is given a weight; a second one, which never sees the
        centre, learns which element sits there; statistics over sites. "paper": the published configuration.
    encoder_params : dict or None, default=None
        Fields of `skdim.network.architecture.EncoderConfig` that replace the preset's: heads, blocks, width, ...
    objective_params : dict or None, default=None
        Fields of `skdim.network.config.ObjectiveConfig` that replace the preset's: local, global, context, prior
        (weights), estimator ("jsd", "infonce", "dv"), jitter, strain.
    embedding_dim : int or None, default=None
        Columns of the vector. None leaves them to the readout; a number gives the width of the paper's vector, or
        that many principal components of the moments.
    max_epochs : int or None, default=None
        Most passes over the crystals; None takes the preset's. 0 is the untrained control: the same network as it
        is initialised, its vectors standardised all the same.
    batch_pairs : int or None, default=None
        Most pairs of sites in a batch.
    learning_rate : float or None, default=None
        Highest learning rate of AdamW.
    kl_weight : float or None, default=None
        Weight of the divergence from the unit Gaussian (local and global objectives only).
    negatives : sequence of str or None, default=None
        False samples of the global objective: any of "crystal", "species", "distances", "neighbors".
    readout : {"moments", "network"} or None, default=None
        How the vector is made of the environments.
    validation_fraction : float or None, default=None
        Share of the crystals held out; training stops when their loss has not fallen for ``patience`` epochs, and
        the weights of the best epoch are kept. No label is involved.
    patience : int or None, default=None
        See ``validation_fraction``.
    warm_start : bool, default=False
        Whether a further ``fit`` goes on from the weights of the last.
    checkpoint_dir : str, path or None, default=None
        Folder of a checkpoint that is written after each epoch; a ``fit`` that was stopped goes on from there and
        ends as if it had not been.
    device : str, default="auto"
        Where to compute; "auto" is a GPU if torch finds one, else the processor.
    on_error : {"raise", "nan"}, default="raise"
        What becomes of rows that are no usable crystals, where the preset's featurizer is used.
    n_jobs : int or None, default=None
        Processes for featurizing, where the preset's featurizer is used.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the batches and the noise. An int makes vectors repeat bit by bit (same number of
        threads); global generators are neither used nor touched.
    verbose : int, default=0
        1 shows progress bars.

    Attributes
    ----------
    featurizer_ : CrystalPointSetTransformer
        The featurizer in use.
    state_ : EmbedderState
        Weights and scales as arrays.
    history_ : list of dict
        For each epoch ``epoch``, ``train_loss``, ``valid_loss`` and ``dur`` (seconds).

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If a parameter is not accepted, or too few crystals are left to train on.

    References
    ----------
    .. [1] Moran, Gusev, Gaultois, Antypov, Rosseinsky, "Establishing Deep InfoMax as an effective self-supervised
       learning methodology in materials informatics", arXiv 2407.00671.
    .. [2] Hjelm et al., arXiv 1808.06670.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeCV
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.datasets import load_band_gap
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(structures[:100])
    >>> regressor = RidgeCV([10, 100, 1000]).fit(embedder.transform(structures[:50]), gaps[:50])
    >>> regressor.predict(embedder.transform(structures[100:102])).shape
    (2,)
    """

    def __init__(
        self,
        featurizer: CrystalPointSetTransformer | None = None,
        preset: str = "default",
        encoder_params: Mapping[str, Any] | None = None,
        objective_params: Mapping[str, Any] | None = None,
        embedding_dim: int | None = None,
        max_epochs: int | None = None,
        batch_pairs: int | None = None,
        learning_rate: float | None = None,
        kl_weight: float | None = None,
        negatives: Sequence[str] | None = None,
        readout: str | None = None,
        validation_fraction: float | None = None,
        patience: int | None = None,
        warm_start: bool = False,
        checkpoint_dir: Any = None,
        device: str = "auto",
        on_error: str = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.featurizer = featurizer
        self.preset = preset
        self.encoder_params = encoder_params
        self.objective_params = objective_params
        self.embedding_dim = embedding_dim
        self.max_epochs = max_epochs
        self.batch_pairs = batch_pairs
        self.learning_rate = learning_rate
        self.kl_weight = kl_weight
        self.negatives = negatives
        self.readout = readout
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.device = device
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> DeepInfoMaxEmbedder:
        """Pretrain on crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            Structures of any accepted kind, or point sets, which are used as they come.
        y : ignored
            No label is looked at.

        Returns
        -------
        self
        """
        self._fit_points(X)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Give the vectors of crystals.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.

        Returns
        -------
        ndarray of float32, shape (C, d)
            One row for each row of X, in order; NaN for rows that failed with on_error="nan".
        """
        check_is_fitted(self, "state_")
        vectors: NDArray[np.float32] = keep_labels(self._embed(self._point_sets(X)), X, self)
        return vectors

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> NDArray[np.float32]:
        """Pretrain on crystals and give their vectors; they are featurized once.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`.
        y : ignored
            No label is looked at.

        Returns
        -------
        ndarray of float32, shape (C, d)
        """
        vectors: NDArray[np.float32] = keep_labels(self._embed(self._fit_points(X)), X, self)
        return vectors

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of the vector.

        Parameters
        ----------
        input_features : ignored
            Crystals have no feature names.

        Returns
        -------
        ndarray of str, shape (d,)
            ``dim_``, then what is pooled and how, such as "dim_raw_Electronegativity_mean".
        """
        check_is_fitted(self, "state_")
        return np.array([f"dim_{name}" for name in self.state_.columns], dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Crystals are no two-dimensional array."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        """Columns of the vector."""
        return len(self.state_.columns)

    def _preset(self) -> Preset:
        """Check the parameters and resolve the preset."""
        check_effort(self.n_jobs, self.verbose)
        overrides = {name: getattr(self, name) for name in OVERRIDES}
        if self.embedding_dim is not None:
            check_number(
                "embedding_dim", self.embedding_dim, "None and whole numbers of at least 1", whole=True, least=1
            )
        return resolve_preset(self.preset, self.encoder_params, self.objective_params, overrides)

    def _fit_points(self, X: Any) -> PointSets:
        """Pretrain, and return the point sets of the crystals."""
        preset, device, seed = self._preset(), self._device(), seed_of(self.random_state)
        checkpoint = checkpoint_file(self.checkpoint_dir, self.random_state)
        check_on_error(self.on_error)
        self.featurizer_ = self._featurizer(preset).fit()
        points = self.featurizer_.transform(X)
        usable = int(points.valid.sum())
        need = 2 if preset.max_epochs else 1
        if usable < need:
            raise ValueError(f"X holds {usable} usable crystals of {len(points)} rows; at least {need} are needed")
        state = pretrain(
            points,
            preset,
            seed,
            embedding_dim=self.embedding_dim,
            device=device,
            start=getattr(self, "state_", None) if self.warm_start else None,
            checkpoint=checkpoint,
            progress=bool(self.verbose),
        )
        state.extra.update(parameters=self._parameters(), featurizer=plain_parameters(self.featurizer_))
        state.extra["data"] = {"rows": len(points), "failed": len(points) - usable}
        self._restore(state)
        return points

    def _featurizer(self, preset: Preset) -> CrystalPointSetTransformer:
        """Make the featurizer: a clone of the given one, or the preset's."""
        if self.featurizer is not None:
            if not isinstance(self.featurizer, CrystalPointSetTransformer):
                raise ValueError(f"featurizer={self.featurizer!r}; accepted are None and CrystalPointSetTransformer.")
            fresh: CrystalPointSetTransformer = clone(self.featurizer)
            return fresh
        given = {**preset.featurizer, "on_error": self.on_error, "n_jobs": self.n_jobs, "verbose": self.verbose}
        return CrystalPointSetTransformer(**given)

    def _point_sets(self, X: Any) -> PointSets:
        """Featurize; what the parameters say of failing rows and processes counts as it is now, also after a load."""
        if isinstance(X, PointSets):
            return X  # the featurizer would not touch them either, but to clone it takes a while
        featurizer: CrystalPointSetTransformer = clone(self.featurizer_)
        if self.featurizer is None:
            featurizer.set_params(on_error=self.on_error, n_jobs=self.n_jobs, verbose=self.verbose)
        return featurizer.transform(X)

    def _embed(self, points: PointSets) -> NDArray[np.float32]:
        """Give the vectors of point sets, which must be of the kind the model was trained on."""
        check_same_kind(self.state_, points)
        return embed(self.state_, self._network(), points, self._device())
