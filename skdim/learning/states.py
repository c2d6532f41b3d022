"""What was learned, as frozen records of numpy arrays and plain values; modules are built from them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

import skdim
from skdim.learning.seeding import without_drawing
from skdim.learning.seen import Seen
from skdim.network.config import ModelConfig
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.points.featurizer import CrystalPointSetTransformer
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Columns of the vector are bounded here, in standard deviations of the pretraining set: a ridge on 50 labels
# explodes on columns that hardly vary among the labels and do elsewhere.
BOUND = 3.0

Weights = Mapping[str, "NDArray[Any]"]
"""Weights and buffers of a module by name."""
M = TypeVar("M", bound=torch.nn.Module)
Epoch = dict[str, float]
"""A row of a history: epoch, train_loss, valid_loss (NaN without held-out crystals) and dur in seconds."""


RUN_TIME = frozenset({"cache_dir", "checkpoint_dir", "device", "memory", "n_jobs", "verbose"})
"""Parameters that say where and how to run: they are neither written to a file nor restored from one."""


@dataclass(frozen=True)
class FeaturizerSettings:
    """Parameters of a `CrystalPointSetTransformer` that decide what it makes, not where or how it runs."""

    neighborhood: str
    n_neighbors: int
    supercell_size: int
    site_features: Any
    interaction_features: tuple[str, ...]
    tolerance: float
    max_sites: int
    on_error: str

    @classmethod
    def of(cls, featurizer: CrystalPointSetTransformer) -> FeaturizerSettings:
        """Read them off a featurizer."""
        values = {name: getattr(featurizer, name) for name in cls.__dataclass_fields__}
        return cls(**{**values, "interaction_features": tuple(values["interaction_features"])})

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> FeaturizerSettings:
        """Read them out of JSON, which knows no tuples."""
        return cls(**{**values, "interaction_features": tuple(values["interaction_features"])})

    def build(self) -> CrystalPointSetTransformer:
        """Make a featurizer with these settings, not fitted."""
        return CrystalPointSetTransformer(**{name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class TrainingRecord:
    """How a training went.

    Attributes
    ----------
    history : tuple of dict
        For each epoch ``epoch``, ``train_loss``, ``valid_loss`` and ``dur``.
    rows, failed : int or None
        Rows that were given, and how many of them were no usable crystals; None where it is not known.
    versions : dict
        Of skdim, torch and Python.
    """

    history: tuple[Epoch, ...] = ()
    rows: int | None = None
    failed: int | None = None
    versions: Mapping[str, str] = field(default_factory=lambda: versions_now())


def versions_now() -> dict[str, str]:
    """Versions of what trains here."""
    return {"skdim": skdim.__version__, "torch": str(torch.__version__), "python": platform.python_version()}


@dataclass(frozen=True)
class EmbedderState:
    """A trained model and the scale of its vectors.

    Attributes
    ----------
    config : ModelConfig
        Shape of the model.
    weights : dict of ndarray
        Its weights and buffers by name.
    center, scale : ndarray of shape (D,)
        Mean and standard deviation of each column over the pretraining set.
    columns : tuple of str
        Names of the d columns of the vector.
    settings : dict
        Settings of the point sets it was trained on.
    components, offset : ndarray of shape (d, D) and (d,), or None
        Principal axes the standardised columns are projected on, where a shorter vector was asked for, and the
        projection of their mean.
    featurizer : FeaturizerSettings
        Of the featurizer that made the point sets.
    parameters : dict
        Those of the embedder's constructor that say what it is, JSON-able.
    record : TrainingRecord
        How the training went.
    seen : Seen or None
        What the pretraining has seen; None of a file that was written before this was kept.
    """

    config: ModelConfig
    weights: Weights
    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    columns: tuple[str, ...]
    settings: Mapping[str, Any]
    featurizer: FeaturizerSettings
    components: NDArray[np.float32] | None = None
    offset: NDArray[np.float32] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    record: TrainingRecord = field(default_factory=TrainingRecord)
    seen: Seen | None = None

    def model(self) -> CrystalModel:
        """Build the model, ready to embed."""
        return with_weights(bare_model(self.config), self.weights).eval()


@dataclass(frozen=True)
class Member:
    """Weights of one fine-tuned encoder and of its head."""

    encoder: Weights
    head: Weights


@dataclass(frozen=True)
class TargetScale:
    """Mean and deviation of T targets, and whether y had one dimension."""

    center: NDArray[np.float64]  # (T,)
    scale: NDArray[np.float64]  # (T,)
    single: bool


@dataclass(frozen=True)
class RegressorState:
    """What a fine-tuning has learned.

    Attributes
    ----------
    start : EmbedderState
        The encoder that every member started from; its scale of the vectors is theirs.
    members : tuple of Member
        The ensemble.
    target_scale : TargetScale
        Of the labels of the first fit.
    head_width : int
        Hidden units of the heads; 0 where they are linear.
    parameters : dict
        Those of the regressor's constructor that say what it is, JSON-able; ``embedder`` is whether there was one.
    record : TrainingRecord
        How the training went; its history names the ``member``.
    """

    start: EmbedderState
    members: tuple[Member, ...]
    target_scale: TargetScale
    head_width: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    record: TrainingRecord = field(default_factory=TrainingRecord)

    def encoder(self) -> EmbedderState:
        """The fine-tuned encoder of the first member, as the state of an embedder."""
        return replace(self.start, weights=self.members[0].encoder, record=TrainingRecord(), seen=None)


def plain_parameters(estimator: Any) -> dict[str, Any]:
    """Parameters of an estimator as JSON-able values, without those that say where and how to run.

    A featurizer becomes its settings, an embedder whether there is one, a random state that is no integer None.
    """
    params = {name: value for name, value in estimator.get_params(deep=False).items() if name not in RUN_TIME}
    params["random_state"] = int(params["random_state"]) if isinstance(params["random_state"], Integral) else None
    for name, value in params.items():
        if isinstance(value, CrystalPointSetTransformer):
            params[name] = asdict(FeaturizerSettings.of(value))
        elif isinstance(value, Mapping):
            params[name] = dict(value)
        elif name == "embedder":
            params[name] = value is not None
    return params


def bare_model(config: ModelConfig) -> CrystalModel:
    """Build a model whose weights are still to be loaded."""
    n_features = len(config.feature_names)
    statistics = SiteStatistics(torch.zeros(n_features), torch.ones(n_features), torch.ones(N_ATOMIC_NUMBERS))
    with without_drawing():
        return CrystalModel(config, statistics).float()  # whatever torch's default is


def with_weights(module: M, weights: Weights) -> M:
    """Load weights into a module, which is given back."""
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    return module


def weights_of(module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Copy the weights and buffers of a module to numpy."""
    return {name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}
