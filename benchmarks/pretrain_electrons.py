"""Go on from a deep model with what a tight-binding model tells of crystals: how the shipped model was made.

    python benchmarks/pretrain_electrons.py electrons.parquet [more.parquet] --start model.safetensors --points POINTS
        --out electrons.safetensors [--whole] [--width 512] [--max-epochs 12] [--checkpoint FOLDER] [--rows N]

``electrons.parquet`` is what `tight_binding.py` wrote, which uses no labels; ``--points`` is the folder that
`pretrain_large.py --points` wrote: point sets of every row of the large table. The deep encoder goes on learning what
it did, masked elements and noise, while a hidden layer over the whole crystal learns to tell what the electrons do.
That layer, and what it tells, become columns of the vector beside those that it has.

With ``--whole`` the layer of the start is kept, and all crystals of the point sets are learned from: those of which the
tables tell nothing by masked elements and noise alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from continuing import add_training, config_of, parts_of, run_of, state_of, with_drawn_layer
from torch import nn

from skdim import DeepInfoMaxEmbedder, PointSets
from skdim.learning.loader import CrystalDataset
from skdim.learning.presets import PRESETS
from skdim.learning.training import InfoMaxNet, SupervisedNet, train_supervised
from skdim.network.noise import Noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.learning.states import EmbedderState
    from skdim.network.batches import Batch
    from skdim.network.model import CrystalModel

_OUTLIERS = 0.002  # share of the values on either side that are brought to where it begins
_WEIGHT = 10.0  # of what the electrons do, beside masked elements and noise


class ElectronModel(nn.Module):
    """A model that tells what the electrons do, and its own losses."""

    def __init__(self, model: CrystalModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, noise: Noise) -> tuple[torch.Tensor, torch.Tensor]:
        """What is told (B, T), and the sum of the losses."""
        layer = self.model.properties
        told = layer.told(layer.layer(batch, self.model.hops(batch)))  # type: ignore[union-attr, misc]
        return told, torch.stack(list(self.model.losses(batch, noise).values())).sum()


class ElectronLoss(nn.Module):
    """Mean Huber loss of standardised targets, beside the losses of the model; what is not known (NaN) adds none."""

    def forward(
        self, given: tuple[torch.Tensor, torch.Tensor], known: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """Loss of what is told (B, T)."""
        told, losses = given
        targets = torch.where(torch.isfinite(known[0]), known[0], told.detach())
        return losses + _WEIGHT * F.huber_loss(told, targets, delta=0.3) / 0.3


class ElectronNet(SupervisedNet):
    """The loop around a module that takes noise."""

    noise_ = Noise.of_epoch(0, 0, training=False)  # before the first epoch
    infer = InfoMaxNet.infer


def main() -> None:
    """Train, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("electrons", type=Path, nargs="+", help="parquet files of tight_binding.py")
    parser.add_argument("--whole", action="store_true", help="go on with the layer of the start, and with all crystals")
    add_training(parser, max_epochs=12)
    options = parser.parse_args()
    points, names, targets = read_targets(options)
    start = DeepInfoMaxEmbedder.load(options.start).state_
    if options.whole:
        # What has been seen is counted anew below, as the crystals of the start are among these. A start whose context
        # alone went on has no weight of the others.
        start = replace(start, seen=None, config=replace(start.config, objective=PRESETS["deep"].objective))
        model = start.model()
        model.config = replace(start.config, objective=replace(start.config.objective, context=0.0))
    else:
        model = with_electrons(start, options.width, names, options.seed)
    run = run_of(options, "learning what electrons do", model, points, targets)
    learned, held_out = (CrystalDataset(points, rows, targets[rows]) for rows in parts_of(options.seed, len(points)))
    module = ElectronModel(model)
    outcome = train_supervised(module, ElectronLoss(), config_of(options), run, learned, held_out, ElectronNet)
    for row in outcome.history:
        print({name: round(float(value), 4) for name, value in row.items()}, flush=True)
    model.config = replace(model.config, objective=start.config.objective)
    state = state_of(start, model, points, options.seed)
    DeepInfoMaxEmbedder.from_state(state).save(options.out)


def read_targets(options: argparse.Namespace) -> tuple[PointSets, tuple[str, ...], NDArray[np.float32]]:
    """Crystals, and names and standardised values (N, T) of what is told of them, NaN where nothing is."""
    table = pd.concat([pd.read_parquet(file) for file in options.electrons])
    table = table.drop_duplicates("row").sort_values("row").set_index("row")
    table = table[np.isfinite(table).all(axis=1)]
    points = PointSets.load(options.points, mmap_mode="r")
    if options.whole:
        table = table.reindex(np.arange(len(points)))
    rows = table.index.to_numpy()
    rows = rows[points.valid[rows]]
    if options.rows:
        rows = np.sort(np.random.default_rng(0).choice(rows, options.rows, replace=False))
    values = table.loc[rows].to_numpy(np.float64)
    values = np.clip(values, *np.nanquantile(values, [_OUTLIERS, 1.0 - _OUTLIERS], axis=0))
    values = (values - np.nanmean(values, 0)) / np.maximum(np.nanstd(values, 0), 1e-6)
    known = np.isfinite(values[:, 0]).sum()
    print(f"{len(rows):,} crystals, {values.shape[1]} properties of {known:,}", flush=True)
    return points[rows], tuple(table.columns), values.astype(np.float32)


def with_electrons(start: EmbedderState, width: int, names: tuple[str, ...], seed: int) -> CrystalModel:
    """The model of a state with a layer to be learned; what shares nothing with it rests."""
    objective = replace(start.config.objective, context=0.0)
    layer = {"property_width": width, "property_names": names, "property_beside": True}
    return with_drawn_layer(start, replace(start.config, objective=objective, **layer), seed)


if __name__ == "__main__":
    main()
