"""What the trainings that go on from a deep model share: parameters, the model they begin with, the state they save.

`pretrain_labelled.py` and `pretrain_electrons.py` use it; it is no script.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from skdim.learning.checkpoints import Checkpoint, fingerprint
from skdim.learning.embedding import standardise_in_place
from skdim.learning.presets import Run, TrainingConfig
from skdim.learning.pretraining import column_scale, some_raw_vectors
from skdim.learning.seeding import drawing_from
from skdim.learning.seen import look_back
from skdim.learning.states import weights_of
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.network.readout import column_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim import PointSets
    from skdim.learning.states import EmbedderState
    from skdim.network.config import ModelConfig


def add_training(parser: argparse.ArgumentParser, max_epochs: int) -> None:
    """Parameters of a training that goes on from a deep model."""
    parser.add_argument("--start", type=Path, required=True, help="file of a deep model")
    parser.add_argument("--points", type=Path, required=True, help="point sets of every row")
    parser.add_argument("--out", type=Path, required=True, help="file of the model")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--max-epochs", type=int, default=max_epochs)
    parser.add_argument("--batch-pairs", type=int, default=24_000)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, help="folder to continue from and to write to after each epoch")
    parser.add_argument("--rows", type=int, help="some of the rows alone, for a trial")


def config_of(options: argparse.Namespace) -> TrainingConfig:
    """How to train."""
    epochs = options.max_epochs
    rate = options.learning_rate
    patience = max(1, epochs)
    return TrainingConfig(max_epochs=epochs, patience=patience, batch_pairs=options.batch_pairs, learning_rate=rate)


def run_of(
    options: argparse.Namespace, title: str, model: CrystalModel, points: PointSets, targets: NDArray[np.float32]
) -> Run:
    """Circumstances of the training; only the same one goes on from a checkpoint."""
    run = Run(options.seed, progress=True, title=title)
    if options.checkpoint is None:
        return run
    said = [vars(options) | {"checkpoint": None}, model.config.as_dict()]
    mark = fingerprint([str(said)], points, targets, *weights_of(model).values())
    return replace(run, checkpoint=Checkpoint(options.checkpoint / "labels.checkpoint", mark))


def parts_of(seed: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Crystals to learn from, and the twentieth that says which epoch is best."""
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[n // 20 :]), np.sort(order[: n // 20])


def state_of(start: EmbedderState, model: CrystalModel, points: PointSets, seed: int) -> EmbedderState:
    """What is saved of a trained model; some of the crystals set the scale of its columns."""
    raw = some_raw_vectors(model.eval(), points, np.arange(len(points)), Run(seed))
    center, scale = column_scale(raw)
    columns = tuple(column_names(model.config))
    state = replace(start, config=model.config, weights=weights_of(model), center=center, scale=scale, columns=columns)
    # A fit of a clone is to train as its preset does, and not as the last step of the start did.
    usual = dict.fromkeys(("max_epochs", "batch_pairs", "learning_rate"))
    state = replace(state, parameters={**state.parameters, **usual})
    standardise_in_place(raw, state)
    return replace(state, seen=look_back(points, raw, start.seen))


def with_drawn_layer(start: EmbedderState, config: ModelConfig, seed: int) -> CrystalModel:
    """A model of the configuration, with the weights of the state but for a property layer, which is drawn.

    A layer that tells something else would be a worse start than a drawn one.
    """
    kept = {name: value for name, value in start.weights.items() if not name.startswith("properties.")}
    weights = {name: torch.from_numpy(np.array(value)) for name, value in kept.items()}
    statistics = SiteStatistics(weights["feature_mean"], weights["feature_scale"], torch.ones(119))
    with drawing_from(torch.Generator().manual_seed(seed)):
        model = CrystalModel(config, statistics).float()
    missing, surplus = model.load_state_dict(weights, strict=False)
    others = [name for name in [*missing, *surplus] if not name.startswith("properties.")]
    if others:
        raise SystemExit(f"the start is no model that this one goes on from: {others}")
    return model
