"""From point sets to vectors: the model of a fitted embedder at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from skdim._parameters import check_are_numbers
from skdim._workers import keep_freed_memory
from skdim.exceptions import InputError
from skdim.learning.states import BOUND
from skdim.network.batches import collate, pair_budget_batches
from skdim.network.threads import use_one_thread_after_fork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from skdim.learning.states import EmbedderState
    from skdim.network.batches import Batch
    from skdim.network.model import CrystalModel
    from skdim.points.featurizer import CrystalPointSetTransformer
    from skdim.points.pointsets import PointSets

# Pairs of a batch, by the pairs that have wide states, see `EncoderConfig.pair_states`. Such states have to fit the
# processor's cache; the fewer pairs have one, the more of them can share the cost of a step.
PAIRS = {"none": 120_000, "near": 64_000, "all": 16_000}
# Most crystals in a batch, about: their vectors are large where their point sets are small.
_CRYSTALS = 2048
M = TypeVar("M", bound=torch.nn.Module)


@dataclass(frozen=True)
class Encoder:
    """A fitted embedder at work on one device: all that interpretation, masking and scripts need of it."""

    state: EmbedderState  # what was learned
    model: CrystalModel  # built from the state, on the device, ready to embed
    featurizer: CrystalPointSetTransformer  # makes point sets of crystals
    device: str  # where the model is

    def featurize(self, X: Any) -> PointSets:
        """Make point sets of crystals; refuse point sets of another kind than the model was trained on."""
        points = self.featurizer.transform(X)
        check_same_kind(self.state, points)
        return points

    def batch(self, points: PointSets, crystals: NDArray[np.int64]) -> Batch:
        """Gather crystals of point sets into one batch on the device."""
        return collate(points, crystals).to(self.device)

    def embed(self, points: PointSets) -> NDArray[np.float32]:
        """Give the vectors of crystals, (C, d); those without sites get rows of NaN."""
        return embed(self.state, self.model, points, self.device)


def run_with(featurizer: CrystalPointSetTransformer, **choices: Any) -> CrystalPointSetTransformer:
    """Return a fitted featurizer with these settings of failing rows and processes: the given one, if it has them."""
    if all(getattr(featurizer, name) == value for name, value in choices.items()):
        return featurizer
    from sklearn.base import clone  # half a second, which the command line saves

    fresh: CrystalPointSetTransformer = clone(featurizer).set_params(**choices)
    return fresh.fit()


def embed(
    state: EmbedderState,
    model: CrystalModel,  # built from the state, on the device
    points: PointSets,  # C crystals; those without sites get rows of NaN
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Vectors of crystals (C, d), within 3 standard deviations of the pretraining set; numbers, or an error."""
    keep_freed_memory()
    vectors, valid = np.empty((len(points), len(state.columns)), np.float32), points.valid
    vectors[~valid] = np.nan
    for crystals, raw in raw_vectors(model, points, np.flatnonzero(valid), device):
        standardise_in_place(raw, state)
        if np.isnan(raw.sum()):  # they are bounded, so the sum is a number if all are
            check_are_numbers("vectors", raw, crystals)
        vectors[crystals] = projected(raw, state)
    return vectors


def projected(standard: NDArray[np.float32], state: EmbedderState) -> NDArray[np.float32]:
    """Project standardised columns (N, D) on the axes of a shorter vector, where one was asked for."""
    if state.components is None or state.offset is None:
        return standard
    short: NDArray[np.float32] = np.clip(standard @ state.components.T - state.offset, -BOUND, BOUND)
    return short


def raw_vectors(
    model: CrystalModel, points: PointSets, chosen: NDArray[np.int64], device: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the vectors (B, D) of some of the chosen crystals at a time, as the readout gives them, not standardised.

    The chosen crystals (N,) are valid; with each of their vectors come their numbers (B,).
    """
    use_one_thread_after_fork()
    most = PAIRS[model.config.encoder.pair_states]
    n_pairs = np.maximum(points.n_pairs, most // _CRYSTALS)
    for crystals in pair_budget_batches(n_pairs, most, chosen):
        with torch.inference_mode():
            vectors = model.vectors(collate(points, crystals).to(device))
        yield crystals, vectors.cpu().numpy()


def standardise_in_place(raw: NDArray[np.float32], state: EmbedderState) -> None:
    """Turn raw columns (N, D) into bounded ones in standard deviations of the pretraining set."""
    # By torch, whose threads share the columns of many crystals.
    center, scale = (torch.tensor(x, device="cpu") for x in (state.center, state.scale))
    torch.from_numpy(raw).sub_(center).div_(scale).clamp_(-BOUND, BOUND)


def check_same_kind(state: EmbedderState, points: PointSets) -> None:
    """Refuse point sets whose features or settings differ from those that a model was trained on."""
    trained = (state.config.feature_names, state.config.interaction_names, state.settings)
    given = (points.feature_names, points.interaction_names, dict(points.settings))
    for name, want, got in zip(("site features", "interaction features", "settings"), trained, given, strict=True):
        if want != got:
            raise InputError(f"the point sets have {name} {got}; this embedder was trained on {want}.")


def resolve_device(device: Any) -> str:
    """Return the device to compute on: "auto" is a GPU if torch finds one; what torch has not here is a ValueError."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device if isinstance(device, str) else "")
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # AssertionError: what a build of torch without CUDA raises.
        raise InputError(f"device must be 'auto' or a torch device that is present here, got {device!r}.") from error
    return str(device)


def on_device(module: M, device: str) -> M:
    """Move a module to a device, if it is not there."""
    # To move a module that is there already looks at every weight, which shows in the time of a small batch.
    there = next(module.parameters()).device == torch.device(device)
    return module if there else module.to(device)
