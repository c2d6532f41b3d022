"""Point sets and a preset in, the state of a trained model out; a state and point sets in, vectors out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skdim.batches import collate, pair_budget_batches
from skdim.callbacks import TrainingPlan
from skdim.model import CrystalModel
from skdim.presets import Preset, model_config
from skdim.state import EmbedderState, weights_of
from skdim.training import train

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.pointsets import PointSets

# Columns of the vector are bounded here, in standard deviations of the pretraining set: a ridge on 50 labels
# explodes on columns that hardly vary among the labels and do elsewhere.
BOUND = 3.0
_EMBED_PAIRS = 40_000


def site_statistics(points: PointSets) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and deviation of the site features, and the elements' shares, each crystal counting the same.

    Parameters
    ----------
    points : PointSets
        At least one crystal, all valid.

    Returns
    -------
    mean, scale : Tensor of shape (F,)
        Over sites, weighted by multiplicity; the scale of a feature that does not vary is one.
    share : Tensor of shape (119,)
        Share of the sites by atomic number.
    """
    crystal = np.repeat(np.arange(len(points)), points.n_sites)
    weight = points.multiplicity / np.bincount(crystal, points.multiplicity)[crystal] / len(points)
    by_kind = np.bincount(points.kind, weight, minlength=len(points.kinds))
    features = points.kinds.features
    mean = by_kind @ features
    scale = np.sqrt(by_kind @ (features - mean) ** 2)
    scale[scale <= 1e-6 * np.abs(mean) + 1e-12] = 1.0
    fractions = points.kinds.fractions / points.kinds.fractions.sum(1, keepdims=True)
    return tuple(torch.from_numpy(v.astype(np.float32)) for v in (mean, scale, by_kind @ fractions))  # type: ignore[return-value]


def pretrain(
    points: PointSets,
    preset: Preset,
    seed: int,
    *,
    embedding_dim: int | None = None,
    device: str = "cpu",
    start: EmbedderState | None = None,
    checkpoint: str | None = None,
    progress: bool = False,
) -> EmbedderState:
    """Train a model on crystals without labels.

    Parameters
    ----------
    points : PointSets
        The crystals, all valid.
    preset : Preset
        All choices.
    seed : int
        Of weights, batches and noise; the global generators are not touched.
    embedding_dim : int or None
        Width of the vectors; None leaves it to the preset.
    device : str
        Where to train.
    start : EmbedderState or None
        Weights to go on from.
    checkpoint : str or None
        File of the training's checkpoint.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    EmbedderState
    """
    config = model_config(preset, points, embedding_dim)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CrystalModel(config, *site_statistics(points))
    if start is not None:
        if start.config != config:
            raise ValueError("warm_start cannot go on: features or parameters that shape the model have changed.")
        model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in start.weights.items()})
    plan = _plan(preset, seed, device, checkpoint, progress, _fingerprint(points, config, preset, seed))
    history = train(model, points, plan, preset.validation_fraction) if preset.max_epochs else []
    raw = _raw_vectors(model.to(device).eval(), points, device)
    return _standardised(config, model, raw, points, embedding_dim, history)


def _plan(
    preset: Preset, seed: int, device: str, checkpoint: str | None, progress: bool, fingerprint: str
) -> TrainingPlan:
    """The training part of a preset."""
    names = ("max_epochs", "patience", "batch_pairs", "learning_rate", "weight_decay", "amsgrad", "schedule")
    chosen: dict[str, Any] = {name: getattr(preset, name) for name in names}
    return TrainingPlan(
        **chosen, seed=seed, device=device, checkpoint=checkpoint, progress=progress, fingerprint=fingerprint
    )


def _fingerprint(points: PointSets, config: Any, preset: Preset, seed: int) -> str:
    """Digest of all that decides a training."""
    digest = hashlib.sha256(json.dumps([config.as_dict(), asdict(preset), seed], sort_keys=True).encode())
    for column in (points.site_offsets, points.kind, points.neighbor, points.distance, points.kinds.features):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _standardised(
    config: Any,
    model: CrystalModel,
    raw: NDArray[np.float32],
    points: PointSets,
    embedding_dim: int | None,
    history: list[dict[str, float]],
) -> EmbedderState:
    """The state of a trained model whose vectors have been seen."""
    center, scale = raw.mean(0, dtype=np.float64), raw.std(0, dtype=np.float64)
    # What only rounding moves says nothing.
    scale[scale < 1e-4] = 1.0
    names = tuple(model.column_names(collate(points, np.arange(1))))
    state = EmbedderState(
        config=config,
        weights=weights_of(model),
        center=center.astype(np.float32),
        scale=scale.astype(np.float32),
        columns=names,
        settings=dict(points.settings),
        extra={"history": history},
    )
    if embedding_dim is None or embedding_dim == len(names):
        return state
    return _shortened(state, _bounded(raw, state), embedding_dim)


def _shortened(state: EmbedderState, vectors: NDArray[np.float32], embedding_dim: int) -> EmbedderState:
    """The state with its vectors projected on their first principal axes, each again of unit deviation."""
    from sklearn.decomposition import PCA

    most = min(vectors.shape)
    if not 1 <= embedding_dim <= most:
        raise ValueError(
            f"embedding_dim={embedding_dim}; accepted are 1 to {most}, the smaller of the number of crystals and the "
            f"{vectors.shape[1]} columns of the readout."
        )
    axes = PCA(embedding_dim, svd_solver="full").fit(vectors)
    # A sign that does not depend on the solver: the largest entry of each axis is positive.
    sign = np.sign(axes.components_[np.arange(embedding_dim), np.abs(axes.components_).argmax(1)])
    components = axes.components_ * (sign / np.sqrt(axes.explained_variance_ + 1e-12))[:, None]
    columns = tuple(f"component_{k}" for k in range(embedding_dim))
    return replace(state, components=components.astype(np.float32), columns=columns)


def _bounded(raw: NDArray[np.float32], state: EmbedderState) -> NDArray[np.float32]:
    """Columns in standard deviations of the pretraining set, bounded."""
    bounded: NDArray[np.float32] = np.clip((raw - state.center) / state.scale, -BOUND, BOUND)
    return bounded


def _raw_vectors(model: CrystalModel, points: PointSets, device: str) -> NDArray[np.float32]:
    """Vectors as the readout gives them, all crystals valid."""
    done = []
    with torch.inference_mode():
        for crystals in pair_budget_batches(points.n_pairs, _EMBED_PAIRS, np.arange(len(points))):
            done.append(model.vectors(collate(points, crystals).to(device)).cpu().numpy())
    return np.concatenate(done)


def embed(state: EmbedderState, model: CrystalModel, points: PointSets, device: str = "cpu") -> NDArray[np.float32]:
    """Vectors of crystals.

    Parameters
    ----------
    state : EmbedderState
        Of the model.
    model : CrystalModel
        Built from the state.
    points : PointSets
        C crystals; those without sites get rows of NaN.
    device : str
        Where the model is.

    Returns
    -------
    ndarray of float32, shape (C, d)
        Bounded by 3 standard deviations of the pretraining set.
    """
    vectors = np.full((len(points), len(state.columns)), np.nan, np.float32)
    valid = np.flatnonzero(points.valid)
    if len(valid):
        short = _bounded(_raw_vectors(model, points if len(valid) == len(points) else points[valid], device), state)
        if state.components is not None:
            short = np.clip(short @ state.components.T, -BOUND, BOUND)
        vectors[valid] = short
    return vectors
