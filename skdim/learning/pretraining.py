"""Pretraining without labels: from point sets and a preset to the state of a trained model."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from skdim.exceptions import InputError
from skdim.learning.checkpoints import Checkpoint, fingerprint
from skdim.learning.embedding import projected, raw_vectors, standardise_in_place
from skdim.learning.presets import Preset, Run, model_config
from skdim.learning.seeding import drawing_from
from skdim.learning.seen import Seen, look_back
from skdim.learning.states import EmbedderState, FeaturizerSettings, TrainingRecord, weights_of, with_weights
from skdim.network.config import EncoderConfig
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.network.readout import column_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from skdim.network.config import ModelConfig
    from skdim.points.pointsets import PointSets

# Crystals whose vectors give the mean and deviation of each column: of more a random choice, for a third of a percent
# in the deviations is not worth the memory.
_SEEN = 65_536
# The same where the user has interrupted that: a moment's work, and the deviations are right within two percent.
_SEEN_IN_HASTE = 1_024
_BLOCK = 65_536  # crystals whose sites are counted at once


class PretrainingOutcome(NamedTuple):
    """What a pretraining ended with."""

    state: EmbedderState
    interrupted: bool  # by the user; the weights are those of the best epoch before that
    # Crystals that the scale of the vectors is made of, where the user has interrupted that; else None.
    scaled_by: int | None = None


def site_statistics(points: PointSets) -> SiteStatistics:
    """Mean and deviation of the site features, the elements' shares; each valid crystal counts the same.

    Sites are weighted by multiplicity and occupancy; the scale of a feature that does not vary is one. Crystals are
    read in blocks, so that sets larger than memory do.
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
    points: PointSets,  # the crystals, at least one of them valid. They may be larger than memory, see `PointSets.load`
    preset: Preset,  # all choices
    run: Run,  # seed, device and progress bar; the global generators are not touched
    *,
    featurizer: FeaturizerSettings,  # of the featurizer that made the point sets, for the state
    embedding_dim: int | None = None,  # width of the vectors; None leaves it to the preset
    start: EmbedderState | None = None,  # weights to continue from
    checkpoint: Path | None = None,  # file of the training's checkpoint
) -> PretrainingOutcome:
    """Train a model on crystals without labels."""
    valid = np.flatnonzero(points.valid)
    model = _initialised(points, preset, run.seed, embedding_dim, start)
    _check_dimension(embedding_dim, len(valid), len(column_names(model.config)))
    if checkpoint is not None:
        choices = [model.config.as_dict(), asdict(preset), run.seed]
        run = replace(run, checkpoint=Checkpoint(checkpoint, fingerprint(choices, points, *weights_of(model).values())))
    history = () if start is None else start.record.history  # where nothing more is learned
    record, interrupted = TrainingRecord(history, rows=len(points), failed=len(points) - len(valid)), False
    if preset.training.max_epochs:
        from skdim.learning.training import train  # and with it skorch, which embedding does without

        epochs, interrupted = train(model, points, preset.training, run, valid)
        record = replace(record, history=tuple(epochs))
    model = model.to(run.device).eval()
    before = None if start is None else start.seen
    kept = {"settings": dict(points.settings), "featurizer": featurizer, "record": record}
    finished = partial(_with_scale, model, points, valid, run, embedding_dim, before, kept)
    try:
        return PretrainingOutcome(finished(_SEEN), interrupted)
    except KeyboardInterrupt:
        if not preset.training.max_epochs:  # nothing was learned that could be lost
            raise
    most = min(len(valid), max(_SEEN_IN_HASTE, (embedding_dim or 0) + 1))
    return PretrainingOutcome(finished(most), True, most)


def _with_scale(
    model: CrystalModel,
    points: PointSets,
    valid: NDArray[np.int64],
    run: Run,
    embedding_dim: int | None,
    before: Seen | None,  # what the pretraining has seen that this one continues
    kept: Mapping[str, Any],  # other fields of the state
    most: int,  # crystals that the scale is made of
) -> EmbedderState:
    """The state of a trained model, with the scale of its vectors and what it has seen."""
    raw, columns = some_raw_vectors(model, points, valid, run, most), tuple(column_names(model.config))
    center, scale = column_scale(raw)
    state = EmbedderState(model.config, weights_of(model), center, scale, columns, **kept)
    standardise_in_place(raw, state)
    if embedding_dim is not None and embedding_dim != len(columns):
        state = _shortened(state, raw, embedding_dim)
        raw = projected(raw, state)
    return replace(state, seen=look_back(points, raw, before))


def some_raw_vectors(
    model: CrystalModel, points: PointSets, valid: NDArray[np.int64], run: Run, most: int = _SEEN
) -> NDArray[np.float32]:
    """Vectors as the readout gives them, of as many of the valid crystals as say enough of all."""
    chosen = valid
    if len(valid) > most:
        chosen = np.sort(np.random.default_rng(run.seed).choice(valid, most, replace=False))
    # One array from the start: they are many.
    raw, start = np.empty((len(chosen), len(column_names(model.config))), np.float32), 0
    for crystals, vectors in raw_vectors(model, points, chosen, run.device):
        raw[start : start + len(crystals)] = vectors
        start += len(crystals)
    return raw


def column_scale(raw: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean of each column, and the deviation to divide it by, in double precision without a copy of the rows in it."""
    center, squares = raw.mean(0, dtype=np.float64), np.zeros(raw.shape[1])
    for start in range(0, len(raw), 1024):
        squares += ((raw[start : start + 1024] - center) ** 2).sum(0)
    scale = np.sqrt(squares / len(raw))
    # What only rounding moves says nothing and must not be magnified to deviations.
    scale = np.maximum(scale, 0.01 * np.hypot(scale, center))
    return center.astype(np.float32), np.where(scale < 1e-4, 1.0, scale).astype(np.float32)


def _initialised(
    points: PointSets, preset: Preset, seed: int, embedding_dim: int | None, start: EmbedderState | None
) -> CrystalModel:
    """The model before training: with weights drawn from the seed, or those of the start."""
    config = model_config(preset, points.feature_names, points.interaction_names, embedding_dim)
    config = _with_properties_of(start, config, learns=preset.training.max_epochs > 0)
    with drawing_from(torch.Generator().manual_seed(seed)):
        model = CrystalModel(config, site_statistics(points)).float()
    if start is None:
        return model
    # Other objectives may follow, and what serves a new one alone starts anew; other columns may be read.
    own = weights_of(model)
    read = {name: getattr(config, name) for name in ("environments", "levels", "log_densities", "context_read")}
    followed = replace(start.config, objective=config.objective, **read)
    if _bare(followed) != _bare(config) or not set(start.weights) <= set(own):
        raise InputError(
            "warm_start=True needs the features and parameters that shape the model to be those of the last fit; they "
            "have changed. Set them back, or warm_start=False."
        )
    with_weights(model, {**own, **start.weights})
    if model.properties is not None and model.deep is not None:
        model.deep.requires_grad_(False)
        model.properties.requires_grad_(False)
    return model


def _bare(config: ModelConfig) -> ModelConfig:
    """The configuration without width and reach of hops in encoders that have none for them to shape."""
    usual = EncoderConfig()

    def bare(encoder: EncoderConfig) -> EncoderConfig:
        return encoder if encoder.hops else replace(encoder, hop_width=usual.hop_width, reach=usual.reach)

    context = config.context_encoder
    return replace(config, encoder=bare(config.encoder), context_encoder=None if context is None else bare(context))


def _with_properties_of(start: EmbedderState | None, config: ModelConfig, learns: bool) -> ModelConfig:
    """The configuration, with the property layer of a start.

    Nothing here teaches such a layer, and hops that moved on would leave it behind: with it the deep encoder stays as
    it is, and what that one learns is not among the objectives.
    """
    if start is None or not start.config.property_width:
        return config
    objective = replace(config.objective, masked=0.0, noise=0.0)
    if learns and not objective.total:
        raise InputError(
            "the model to continue has a layer that has learned properties, so its deep encoder stays as it is and "
            "masked and noise are not learned; objective_params gives the other objectives the weight 0. Give "
            "'context' one above 0."
        )
    kept = {name: getattr(start.config, name) for name in ("property_width", "property_names", "property_beside")}
    return replace(config, objective=objective, **kept)


def _check_dimension(embedding_dim: int | None, n_crystals: int, n_columns: int) -> None:
    """Refuse, before the training, more columns than there can be."""
    most = min(n_crystals - 1, n_columns)
    if embedding_dim is not None and embedding_dim not in (n_columns, *range(1, most + 1)):
        raise InputError(
            f"embedding_dim must be an integer from 1 to {most}, with {n_crystals} crystals and the {n_columns} "
            f"columns of the readout, got {embedding_dim}."
        )


def _shortened(state: EmbedderState, vectors: NDArray[np.float32], embedding_dim: int) -> EmbedderState:
    """The state with its vectors projected on their first principal axes, each again of unit deviation."""
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # it divides by the variance, which equal crystals have not
        axes = PCA(embedding_dim, svd_solver="full").fit(vectors.astype(np.float64))
    # A sign that does not depend on the solver: the largest entry of each axis is positive.
    sign = np.sign(axes.components_[np.arange(embedding_dim), np.abs(axes.components_).argmax(1)])
    spread = np.sqrt(axes.explained_variance_)
    # Axes along which nothing but rounding is left stay as small as they are; of equal crystals that is every axis.
    spread[spread <= max(1e-4 * spread[0], 1e-6)] = 1.0
    components = axes.components_ * (sign / spread)[:, None]
    return replace(
        state,
        components=components.astype(np.float32),
        offset=(components @ axes.mean_).astype(np.float32),
        columns=tuple(f"component_{k}" for k in range(embedding_dim)),
    )
