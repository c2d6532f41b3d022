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
from skdim._parameters import ON_ERROR, check
from skdim.learning.seeding import without_drawing
from skdim.learning.seen import Seen
from skdim.network.config import ModelConfig
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.points.chunks import Work, work_with
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.points.featurizer import CrystalPointSetTransformer

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
        from skdim.points.featurizer import CrystalPointSetTransformer  # with scikit-learn, which takes half a second

        return CrystalPointSetTransformer(**{name: getattr(self, name) for name in self.__dataclass_fields__})

    def work(self) -> Work:
        """The work of such a featurizer on each chunk of crystals."""
        check("on_error", self.on_error, ON_ERROR)
        return work_with(**{name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class TrainingRecord:
    """How a training went."""

    history: tuple[Epoch, ...] = ()  # for each epoch ``epoch``, ``train_loss``, ``valid_loss`` and ``dur``
    # Rows that were given, and how many of them were no usable crystals; None where it is not known.
    rows: int | None = None
    failed: int | None = None
    versions: Mapping[str, str] = field(  # of what trains here
        default_factory=lambda: {
            "skdim": skdim.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        }
    )


@dataclass(frozen=True)
class EmbedderState:
    """A trained model and the scale of its vectors."""

    config: ModelConfig  # shape of the model
    weights: Weights  # its weights and buffers by name
    center: NDArray[np.float32]  # (D,) mean and standard deviation of each column over the pretraining set
    scale: NDArray[np.float32]  # (D,)
    columns: tuple[str, ...]  # names of the d columns of the vector
    settings: Mapping[str, Any]  # settings of the point sets it was trained on
    featurizer: FeaturizerSettings  # of the featurizer that made the point sets
    # (d, D) principal axes the standardised columns are projected on, where a shorter vector was asked for, and the
    # projection of their mean.
    components: NDArray[np.float32] | None = None
    offset: NDArray[np.float32] | None = None  # (d,)
    # Those of the embedder's constructor that say what it is, JSON-able.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    record: TrainingRecord = field(default_factory=TrainingRecord)  # how the training went
    seen: Seen | None = None  # what the pretraining has seen; None in files written before this was kept

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
class Ridge:
    """A ridge regression of T standardised targets on vectors of d columns, from n labelled crystals."""

    weight: NDArray[np.float32]  # (T, d) of the prediction
    bias: NDArray[np.float32]  # (T,)
    center: NDArray[np.float32]  # (d,) mean of the labelled vectors
    # (d, min(n, d)) F with F F^T = C (C + penalty)^-1, where C is the scatter of the labelled vectors.
    factor: NDArray[np.float32]
    penalty: float  # of the regression

    def predict(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict standardised targets (N, T) from vectors (N, d)."""
        predicted: NDArray[np.float64] = vectors.astype(np.float64) @ self.weight.T + self.bias
        return predicted

    def towards(self, other: Ridge, share: NDArray[np.float64]) -> Ridge:
        """Go a share (T,) of the way to the prediction of another."""
        weight = self.weight + share[:, None] * (other.weight - self.weight)
        bias = self.bias + share * (other.bias - self.bias)
        return replace(self, weight=weight.astype(np.float32), bias=bias.astype(np.float32))

    def doubt(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Variance (N,) of a prediction for vectors (N, d) in units of that of a label, the label's own included.

        It is 1 + v^T (C + penalty)^-1 v, with v the vector less the mean of the labelled ones: what a Gaussian process
        with a linear kernel says.
        """
        away = vectors.astype(np.float64) - self.center
        unknown = np.einsum("ij,ij->i", away, away) - ((away @ self.factor) ** 2).sum(1)
        doubt: NDArray[np.float64] = 1.0 + np.maximum(unknown, 0.0) / self.penalty
        return doubt


@dataclass(frozen=True)
class Anchor:
    """What holds a fine-tuning to a linear regression on the vectors of its start."""

    # The ridge regression, with the prediction towards one that weighs the parts of the vector where that was better.
    ridge: Ridge
    # (T,) how far predictions go from there (0) to the mean of the members (1), as held-out labels preferred.
    strength: NDArray[np.float64]
    # (T,) deviation of a label that makes the deviations of predictions those of the held-out errors, standardised.
    noise: NDArray[np.float64]


@dataclass(frozen=True)
class Classes:
    """Classes that the targets of a fine-tuning are indicators of, and what makes probabilities of predictions."""

    names: tuple[Any, ...]  # the K classes, sorted
    shares: NDArray[np.float64]  # (K,) of the classes among the labels
    slopes: NDArray[np.float64]  # (T, K) from predictions to exponents of the classes
    offsets: NDArray[np.float64]  # (K,)


@dataclass(frozen=True)
class RegressorState:
    """What a fine-tuning has learned."""

    start: EmbedderState  # the encoder that every member started from; its scale of the vectors is theirs
    members: tuple[Member, ...]  # the ensemble; none where held-out labels preferred the ridge
    target_scale: TargetScale  # of the labels of the first fit
    head_width: int  # hidden units of the heads; 0 where they are linear
    # Those of the regressor's constructor that say what it is, JSON-able; ``embedder`` is whether there was one.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # How the training went; its history names the ``member``.
    record: TrainingRecord = field(default_factory=TrainingRecord)
    anchor: Anchor | None = None  # None where predictions are those of the members alone
    classes: Classes | None = None  # of a classifier

    def encoder(self) -> EmbedderState:
        """The encoder of the first member, or of the start where there is none, as the state of an embedder."""
        weights = self.members[0].encoder if self.members else self.start.weights
        return replace(self.start, weights=weights, record=TrainingRecord(), seen=None)


def plain_parameters(estimator: Any) -> dict[str, Any]:
    """Parameters of an estimator as JSON-able values, without those that say where and how to run.

    A featurizer becomes its settings, an embedder whether there is one, a random state that is no integer None.
    """
    from skdim.points.featurizer import CrystalPointSetTransformer

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
