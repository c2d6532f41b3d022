"""Point sets and a preset in, the state of a trained model out."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skdim._parameters import as_json
from skdim.learning.embedding import bounded, raw_vectors
from skdim.learning.presets import Preset, model_config
from skdim.learning.state import EmbedderState, weights_of
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.network.readout import column_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.learning.callbacks import TrainingPlan
    from skdim.points.pointsets import PointSets

# Crystals whose vectors give the mean and deviation of each column: of more a random choice, for a third of a percent
# in the deviations is not worth the memory.
_SEEN = 65_536
_BLOCK = 65_536  # crystals whose sites are counted at once


def site_statistics(points: PointSets) -> SiteStatistics:
    """Mean and deviation of the site features, the elements' shares; each crystal counts the same.

    Parameters
    ----------
    points : PointSets
        At least one crystal that is valid; the others do not count. They are read in blocks, so that sets larger
        than memory do.

    Returns
    -------
    SiteStatistics
        Weighted by multiplicity and occupancy; the scale of a feature that does not vary is one.
    """
    by_site_type = np.zeros(len(points.site_types))
    for start in range(0, len(points), _BLOCK):
        by_site_type += _site_type_shares(points[start : start + _BLOCK])
    by_site_type /= points.valid.sum()
    features = points.site_types.features
    mean = by_site_type @ features
    scale = np.sqrt(by_site_type @ (features - mean) ** 2)
    scale[scale <= 1e-6 * np.abs(mean) + 1e-12] = 1.0
    fractions = points.site_types.fractions / points.site_types.fractions.sum(1, keepdims=True)
    return SiteStatistics(*(torch.from_numpy(v.astype(np.float32)) for v in (mean, scale, by_site_type @ fractions)))


def _site_type_shares(points: PointSets) -> NDArray[np.float64]:
    """Share of each site type among the atoms of a crystal, summed over crystals."""
    crystal = np.repeat(np.arange(len(points)), points.n_sites)
    atoms = points.multiplicity * points.site_types.fractions.sum(1, dtype=np.float64)[points.site_type]
    weight = atoms / np.bincount(crystal, atoms)[crystal]
    return np.bincount(points.site_type, weight, minlength=len(points.site_types)).astype(np.float64, copy=False)


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
        The crystals, at least one of them valid; the others are left out. They may be larger than memory, see
        `PointSets.load`.
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
    valid = np.flatnonzero(points.valid)
    model = _initialised(points, preset, seed, embedding_dim, start)
    columns = tuple(column_names(model.config))
    _check_dimension(embedding_dim, len(valid), len(columns))
    fingerprint = "" if checkpoint is None else _fingerprint(points, model, preset, seed)
    history: list[dict[str, float]] = []
    if preset.max_epochs:
        from skdim.learning.training import train  # and with it skorch, which embedding does without

        plan = _plan(preset, seed, device, checkpoint, progress, fingerprint)
        history = train(model, points, plan, preset.validation_fraction, valid)
    raw = _all_raw(model.to(device).eval(), points, _some(valid, seed), device, len(columns))
    state = _standardised(model, raw, points, columns, history)
    if embedding_dim is None or embedding_dim == len(columns):
        return state
    return _shortened(state, bounded(raw, state), embedding_dim)


def _all_raw(
    model: CrystalModel, points: PointSets, chosen: NDArray[np.int64], device: str, n_columns: int
) -> NDArray[np.float32]:
    """Vectors of the chosen crystals as the readout gives them, in one array from the start: they are many."""
    raw, start = np.empty((len(chosen), n_columns), np.float32), 0
    for crystals, vectors in raw_vectors(model, points, chosen, device):
        raw[start : start + len(crystals)] = vectors
        start += len(crystals)
    return raw


def _moments(raw: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, in double precision without a copy of the rows in it."""
    center, squares = raw.mean(0, dtype=np.float64), np.zeros(raw.shape[1])
    for start in range(0, len(raw), 1024):
        squares += ((raw[start : start + 1024] - center) ** 2).sum(0)
    return center, np.sqrt(squares / len(raw))


def _some(crystals: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """As many crystals as say enough of all."""
    if len(crystals) <= _SEEN:
        return crystals
    return np.sort(np.random.default_rng(seed).choice(crystals, _SEEN, replace=False))


def _initialised(
    points: PointSets, preset: Preset, seed: int, embedding_dim: int | None, start: EmbedderState | None
) -> CrystalModel:
    """The model before training: with weights drawn from the seed, or those to go on from."""
    config = model_config(preset, points.feature_names, points.interaction_names, embedding_dim)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = CrystalModel(config, site_statistics(points))
    if start is not None:
        if start.config != config:
            raise ValueError("warm_start cannot go on: features or parameters that shape the model have changed.")
        model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in start.weights.items()})
    return model


def _check_dimension(embedding_dim: int | None, n_crystals: int, n_columns: int) -> None:
    """Refuse, before the training, more columns than there can be."""
    most = min(n_crystals - 1, n_columns)
    if embedding_dim is not None and embedding_dim not in (n_columns, *range(1, most + 1)):
        raise ValueError(
            f"embedding_dim={embedding_dim}; accepted are 1 to {most}, with {n_crystals} crystals and the "
            f"{n_columns} columns of the readout."
        )


def _plan(
    preset: Preset, seed: int, device: str, checkpoint: str | None, progress: bool, fingerprint: str
) -> TrainingPlan:
    """The training part of a preset."""
    from skdim.learning.callbacks import TrainingPlan

    names = ("max_epochs", "patience", "batch_pairs", "learning_rate", "weight_decay", "amsgrad", "schedule")
    chosen: dict[str, Any] = {name: getattr(preset, name) for name in names}
    return TrainingPlan(
        **chosen, seed=seed, device=device, checkpoint=checkpoint, progress=progress, fingerprint=fingerprint
    )


def _fingerprint(points: PointSets, model: CrystalModel, preset: Preset, seed: int) -> str:
    """Digest of all that decides a training: choices, data and initial weights."""
    digest = hashlib.sha256(as_json([model.config.as_dict(), asdict(preset), seed]).encode())
    columns = [getattr(points, f.name) for f in fields(points)] + [
        points.site_types.features,
        points.site_types.fractions,
    ]
    for column in [*columns, *weights_of(model).values()]:
        if isinstance(column, np.ndarray):
            # A part at a time: what is mapped from a file may not fit in memory.
            flat = np.ascontiguousarray(column).reshape(-1)
            for begin, end in pairwise([*range(0, len(flat), _BLOCK), len(flat)]):
                digest.update(flat[begin:end].tobytes())
    return digest.hexdigest()


def _standardised(
    model: CrystalModel,
    raw: NDArray[np.float32],
    points: PointSets,
    columns: tuple[str, ...],
    history: list[dict[str, float]],
) -> EmbedderState:
    """The state of a trained model whose vectors have been seen."""
    center, scale = _moments(raw)
    # What only rounding moves says nothing: crystals that are nearly alike must not have it magnified to deviations.
    scale = np.maximum(scale, 0.01 * np.hypot(scale, center))
    scale[scale < 1e-4] = 1.0
    return EmbedderState(
        config=model.config,
        weights=weights_of(model),
        center=center.astype(np.float32),
        scale=scale.astype(np.float32),
        columns=columns,
        settings=dict(points.settings),
        extra={"history": history},
    )


def _shortened(state: EmbedderState, vectors: NDArray[np.float32], embedding_dim: int) -> EmbedderState:
    """The state with its vectors projected on their first principal axes, each again of unit deviation."""
    from sklearn.decomposition import PCA

    axes = PCA(embedding_dim, svd_solver="full").fit(vectors.astype(np.float64))
    # A sign that does not depend on the solver: the largest entry of each axis is positive.
    sign = np.sign(axes.components_[np.arange(embedding_dim), np.abs(axes.components_).argmax(1)])
    spread = np.sqrt(axes.explained_variance_)
    # Axes along which nothing but rounding is left stay as small as they are.
    spread[spread < 1e-4 * spread[0]] = 1.0
    components = axes.components_ * (sign / spread)[:, None]
    return replace(
        state,
        components=components.astype(np.float32),
        offset=(components @ axes.mean_).astype(np.float32),
        columns=tuple(f"component_{k}" for k in range(embedding_dim)),
    )
