"""`DeepInfoMaxEmbedder`: vectors of crystals, pretrained without labels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from skdim._estimators import CallbackSupportMixin, LearnedTable, fit_tasks, pass_on, with_callbacks
from skdim._parameters import FLAG, RUNNING, check_parameters, integer, optional, seed_of
from skdim.crystals.rows import keep_labels
from skdim.exceptions import InputError
from skdim.learning.checkpoints import checkpoint_file
from skdim.learning.embedding import Encoder, on_device, resolve_device, run_with
from skdim.learning.presets import Preset, Run, resolve_preset
from skdim.learning.pretraining import pretrain
from skdim.learning.statefile import parameters_of, read_embedder_state, write_state
from skdim.learning.states import EmbedderState, FeaturizerSettings, plain_parameters
from skdim.network.threads import use_one_thread_after_fork
from skdim.points.featurizer import CrystalPointSetTransformer, maker_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets

_ACCEPTED = RUNNING | {"embedding_dim": optional(integer(1)), "warm_start": FLAG}


class DeepInfoMaxEmbedder(LearnedTable, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Vectors of crystals from a Site-Net encoder pretrained by Deep InfoMax.

    ``fit`` needs structures only: it maximises the mutual information between parts of a crystal [1]_ [2]_.
    ``transform`` gives one row of float32 a crystal, in standard deviations of the pretraining set and bounded by
    three of them, so that a ridge or a forest on 50 labels can use it as it is.

    Parameters
    ----------
    featurizer : CrystalPointSetTransformer or None, default=None
        Makes point sets of structures; a clone of it is used. None takes the preset's own, or, in a `fit` on point
        sets, one with the settings that they were made with.
    preset : {"default", "deep", "paper"}, default="default"
        "default": the best configuration measured. A first encoder, whose attention decays with distance, stays as it
        is initialised unless the local or global objective is given a weight; a second one, which never sees the
        centre, learns which element sits there. The vector holds statistics over sites. "deep": an encoder of several
        hops, which learns to restore masked elements and disturbed distances, takes the place of the first one;
        slower, and meant for many crystals, see the method page. "paper": the published configuration.
    encoder_params : dict or None, default=None
        Fields of `skdim.network.config.EncoderConfig` that replace the preset's: heads, blocks, width, ...
    objective_params : dict or None, default=None
        Fields of `skdim.network.config.ObjectiveConfig` that replace the preset's: local, global, context,
        masked, noise (weights), estimator ("jsd", "infonce", "dv"), jitter, strain.
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
        Negatives of the global objective: any of "crystal", "species", "distances", "neighbors".
    readout : {"moments", "network"} or None, default=None
        How the vector is made of the environments.
    validation_fraction : float or None, default=None
        Share of the crystals held out; training stops when their loss has not fallen for ``patience`` epochs, and
        the weights of the best epoch are kept. No label is involved.
    patience : int or None, default=None
        See ``validation_fraction``.
    warm_start : bool, default=False
        Whether a further ``fit`` goes on from the weights of the last. A layer that has learned properties, as the
        models that come with the package have, stays as it is, and so does the deep encoder that it reads.
    checkpoint_dir : str, path or None, default=None
        Folder of a checkpoint that is written after each epoch; a ``fit`` that was stopped goes on from there and
        ends as if it had not been. Needs an integer ``random_state``.
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
        What was learned, as arrays and plain values.
    history_ : list of dict
        For each epoch ``epoch``, ``train_loss``, ``valid_loss`` and ``dur`` (seconds).

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If a parameter is not accepted, or too few crystals are left to train on.
    FloatingPointError
        If the training diverges; the message says what to change.
    KeyboardInterrupt
        If the user interrupts ``fit``. Once an epoch is complete, the embedder is fitted with the weights of the best
        one so far, and a warning says so.

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

    _loaded = False  # whether it, or what it was cloned from, comes from a file and was not fitted since

    state_: EmbedderState
    featurizer_: CrystalPointSetTransformer
    history_: list[dict[str, float]]

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

    def fit(self, X: Any, y: Any = None) -> Self:
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
        self._pretrain(X)
        return self

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
        points = self._pretrain(X)
        vectors: NDArray[np.float32] = keep_labels(self.encoder_.embed(points), X, self)
        return vectors

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
        encoder = self.encoder_
        vectors: NDArray[np.float32] = keep_labels(encoder.embed(encoder.featurize(X)), X, self)
        return vectors

    def featurize(self, X: Any) -> PointSets:
        """Make the point sets that `fit` and `transform` work on, also before the embedder is fitted.

        Parameters
        ----------
        X : collection of crystals of length C, or PointSets
            As for `fit`; point sets are returned as they are.

        Returns
        -------
        PointSets
            C crystals in the order of the rows; those that failed with on_error="nan" have no sites.
        """
        if hasattr(self, "state_"):
            return self.encoder_.featurize(X)
        return self.make_featurizer().transform(X)

    def make_featurizer(self) -> CrystalPointSetTransformer:
        """Make the featurizer that the next `fit` would use.

        Returns
        -------
        CrystalPointSetTransformer
            Fitted: a clone of the parameter, or the preset's.
        """
        return self._fresh_featurizer(self._preset())

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted embedder to one file at exactly this path.

        Parameters
        ----------
        path : str or path
            The file: safetensors, with parameters, history and versions as JSON in its header, and a digest of all of
            it. No pickle. What says where and how to run is left out: ``checkpoint_dir``, ``device``, ``n_jobs``,
            ``verbose`` and a featurizer's ``cache_dir``.
        """
        check_is_fitted(self, "state_")
        write_state(path, replace(self.state_, parameters=plain_parameters(self)))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | bytes) -> Self:
        """Read an embedder that `save` wrote, ready to transform.

        Parameters
        ----------
        path : str, path or bytes
            The file, or its content.

        Returns
        -------
        DeepInfoMaxEmbedder
            Fitted. Parameters that say where and how to run have their defaults. A further ``fit``, also of a clone,
            trains a new encoder, with a warning; scikit-learn's ``FrozenEstimator`` keeps this one.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ModelFileError
            If it is no saved embedder, is damaged, or comes from a later version.
        """
        state = read_embedder_state(path)
        with parameters_of(path):
            embedder = cls.from_state(state)
        embedder._loaded = True
        return embedder

    @classmethod
    def from_state(cls, state: EmbedderState) -> Self:
        """Build the fitted embedder that a state describes.

        Parameters
        ----------
        state : EmbedderState
            As ``state_`` of a fitted embedder.

        Returns
        -------
        DeepInfoMaxEmbedder
            Fitted.
        """
        params = dict(state.parameters)
        if params.get("featurizer") is not None:
            params["featurizer"] = FeaturizerSettings.of_json(params["featurizer"]).build()
        if params.get("negatives") is not None:
            params["negatives"] = tuple(params["negatives"])
        embedder = cls(**params)
        embedder.make_featurizer()  # which looks at all of them
        embedder._take(state, state.featurizer.build().fit())
        return embedder

    @property
    def encoder_(self) -> Encoder:
        """The trained model at work, as ``device``, ``on_error``, ``n_jobs`` and ``verbose`` are now."""
        check_is_fitted(self, "state_")
        # Of one fit, also where another one ends in the meantime.
        held = vars(self).copy()
        state, featurizer, device = held["state_"], held["featurizer_"], resolve_device(self.device)
        if self.featurizer is None:
            featurizer = run_with(featurizer, on_error=self.on_error, n_jobs=self.n_jobs, verbose=self.verbose)
        use_one_thread_after_fork()
        if "_model" not in held:  # of a pickle or a copy
            held["_model"] = self._model = state.model()
        return Encoder(state, on_device(held["_model"], device), featurizer, device)

    def __sklearn_tags__(self) -> Any:
        """Vectors are of single precision, whatever the crystals are."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def __sklearn_clone__(self) -> Self:
        """Clones of a loaded embedder are unfitted, as all clones are, but know that there was something to lose."""
        copy: Self = super().__sklearn_clone__()
        copy._loaded = self._loaded
        return copy

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out: the arrays of the state rebuild it, on whatever device is there."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_model", None)
        return state

    def _learned(self) -> dict[str, str]:
        """What a notebook shows of a fitted one."""
        if not hasattr(self, "state_"):
            return {}
        rows, epochs = self.state_.record.rows, len(self.history_)
        learned = {"columns": f"{len(self.state_.columns):,}", "epochs": f"{epochs}" if epochs else "0, untrained"}
        return {"crystals": f"{rows:,}", **learned} if rows is not None else learned

    @property
    def _n_features_out(self) -> int:
        """Columns of the vector."""
        return len(self.state_.columns)

    @with_callbacks
    def _pretrain(self, X: Any) -> PointSets:
        """Check the parameters, featurize, train, and take over what was learned; return the point sets."""
        preset, device, seed = self._preset(), resolve_device(self.device), seed_of(self.random_state)
        checkpoint = checkpoint_file(self.checkpoint_dir, self.random_state)
        self._warn_if_loaded()
        featurizer = self._fresh_featurizer(preset)
        if self.featurizer is None:
            featurizer = maker_of(X, featurizer)
        points = featurizer.transform(X)
        usable, need = int(points.valid.sum()), 2 if preset.training.max_epochs else 1
        if usable < need:
            raise InputError(f"X holds {usable} usable crystals of {len(points)} rows; at least {need} are needed.")
        tasks = fit_tasks(self, X)
        state, interrupted, scaled_by = pretrain(
            points,
            preset,
            Run(seed, device, progress=bool(self.verbose), tasks=tasks),
            featurizer=FeaturizerSettings.of(featurizer),
            embedding_dim=self.embedding_dim,
            start=getattr(self, "state_", None) if self.warm_start else None,
            checkpoint=checkpoint,
        )
        # Only now, so that a fit that fails leaves an earlier one whole.
        self._take(replace(state, parameters=plain_parameters(self)), featurizer)
        self._loaded = False
        if interrupted:
            scale = "" if scaled_by is None else f", and a scale of its vectors from {scaled_by:,} crystals"
            pass_on(f" after {len(self.history_)} epochs: the embedder has the weights of the best{scale}.", 3)
        if tasks is not None:
            tasks.end()
        return points

    def _warn_if_loaded(self) -> None:
        """Warn where a fit makes no use of a model that was loaded: in a pipeline this is rarely meant."""
        if self._loaded and not (self.warm_start and hasattr(self, "state_")):
            warnings.warn(
                "fit trains a new encoder and makes no use of what the loaded embedder has learned. To use it, wrap "
                "the loaded one before it is cloned or fitted: sklearn.frozen.FrozenEstimator(embedder). To go on "
                "from its weights, fit it with warm_start=True.",
                UserWarning,
                stacklevel=5,
            )

    def _preset(self) -> Preset:
        """Check the parameters and resolve the preset."""
        check_parameters(self, _ACCEPTED)
        training = ("max_epochs", "batch_pairs", "learning_rate", "validation_fraction", "patience")
        return resolve_preset(
            self.preset,
            self.encoder_params,
            self.objective_params,
            {name: getattr(self, name) for name in training},
            kl_weight=self.kl_weight,
            negatives=self.negatives,
            readout=self.readout,
        )

    def _fresh_featurizer(self, preset: Preset) -> CrystalPointSetTransformer:
        """Make the featurizer of a fit: a clone of the given one, or the preset's."""
        if self.featurizer is None:
            run: dict[str, Any] = {"on_error": self.on_error, "n_jobs": self.n_jobs, "verbose": self.verbose}
            return CrystalPointSetTransformer(**preset.featurizer, **run).fit()
        if not isinstance(self.featurizer, CrystalPointSetTransformer):
            raise InputError(f"featurizer must be None or a CrystalPointSetTransformer, got {self.featurizer!r}.")
        fresh: CrystalPointSetTransformer = clone(self.featurizer)
        return fresh.fit()

    def _take(self, state: EmbedderState, featurizer: CrystalPointSetTransformer) -> None:
        """Take over what was learned."""
        # The network too, and not when it is first needed: transform changes no attribute. All at once, for others.
        learned = {"_model": state.model(), "history_": [dict(epoch) for epoch in state.record.history]}
        self.__dict__.update(state_=state, featurizer_=featurizer, **learned)
