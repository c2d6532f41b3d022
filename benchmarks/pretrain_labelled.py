"""Go on from a deep model with labels of a large set: how the shipped model that has learned from labels was made.

    python benchmarks/pretrain_labelled.py materials_project.parquet --start model.safetensors --points POINTS
        --stiffness stiffness.parquet --out labelled.safetensors [--width 512] [--max-epochs 4] [--checkpoint FOLDER]
        [--rows N]

``--points`` is the folder that `pretrain_large.py --points` wrote: point sets of every row. Compositions that judge the
model are left out (see `materials_project.py`). Energies and gaps are learned together, and whether there is a gap, and
for the crystals of ``--stiffness``, which `elastic_labels.py` writes, how they resist being deformed; the hidden layer
that tells all this becomes columns of the vector, in place of the averages over the hops' states.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from continuing import add_training, config_of, parts_of, run_of, state_of, with_drawn_layer
from materials_project import composition_keys, left_out, read_labels
from torch import nn

from skdim import DeepInfoMaxEmbedder, PointSets
from skdim.learning.loader import CrystalDataset
from skdim.learning.seeding import drawing_from
from skdim.learning.states import EmbedderState
from skdim.learning.training import train_supervised
from skdim.network.model import CrystalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.network.batches import Batch

_METAL = 0.05  # eV: no gap below it
# Of what is told in logarithms, as the potential makes some crystals too soft: GPa, GPa, eV/Angstrom^2.
_LEAST = {"volume": 3.0, "shear": 1.0, "force": 0.1}


class PropertyModel(nn.Module):
    """The deep encoder and the property layer of a model, and a linear step to the labels."""

    def __init__(self, model: CrystalModel, n_labels: int) -> None:
        super().__init__()
        self.model = model
        self.told = nn.Linear(model.config.property_width, n_labels)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Predict labels (B, T)."""
        layer = self.model.properties
        told: torch.Tensor = self.told(layer.layer(batch, self.model.hops(batch)))  # type: ignore[union-attr]
        return told


class PropertyLoss(nn.Module):
    """Huber losses of the standardised labels that are known, and the cross entropy of there being a gap."""

    def forward(self, told: torch.Tensor, known: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss of predictions (B, T), of which the first is whether there is a gap."""
        labels, _ = known
        given = torch.isfinite(labels)
        labels = torch.where(given, labels, told.detach())
        values = F.huber_loss(told[:, 1:], labels[:, 1:], delta=0.3, reduction="none") / 0.3
        return values.sum(1).mean() + 0.6 * F.binary_cross_entropy_with_logits(told[:, 0], labels[:, 0])


def main() -> None:
    """Train, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="parquet file")
    parser.add_argument("--stiffness", type=Path, help="parquet file of elastic_labels.py")
    add_training(parser, max_epochs=4)
    options = parser.parse_args()
    points, labels = labelled(options)
    start = DeepInfoMaxEmbedder.load(options.start).state_
    model = with_property_layer(start, options.width, options.seed)
    learn(options, model, points, labels)
    state = state_of(start, model, points, options.seed)
    DeepInfoMaxEmbedder.from_state(state).save(options.out)


def labelled(options: argparse.Namespace) -> tuple[PointSets, NDArray[np.float32]]:
    """Crystals that have both labels and do not judge, and their labels (N, T), NaN where one is not known."""
    found = read_labels(options.table)
    energy, gap = found["formation_energy"], found["band_gap"]
    points = PointSets.load(options.points, mmap_mode="r")
    usable = np.isfinite(energy) & np.isfinite(gap) & points.valid & ~left_out(composition_keys(options.table))
    rows = np.flatnonzero(usable)
    if options.rows:
        rows = np.sort(np.random.default_rng(0).choice(rows, options.rows, replace=False))
    values = {"energy": energy[rows], "root of the gap": np.sqrt(np.maximum(gap[rows], 0.0))}
    if options.stiffness is not None:
        table = pd.read_parquet(options.stiffness).set_index("row").reindex(rows)
        values |= {f"log {name}": np.log10(table[name].clip(lower=least)) for name, least in _LEAST.items()}
        values["root of the moment"] = np.sqrt(table["moment"])
    labels = np.stack([np.asarray(value, np.float64) for value in values.values()], 1)
    labels = (labels - np.nanmean(labels, 0)) / np.nanstd(labels, 0)
    print({name: int(n) for name, n in zip(values, np.isfinite(labels).sum(0), strict=True)}, flush=True)
    return points[rows], np.column_stack([gap[rows] > _METAL, labels]).astype(np.float32)


def with_property_layer(start: EmbedderState, width: int, seed: int) -> CrystalModel:
    """The model of a state with a property layer to be learned."""
    # Beside what is learned from labels few columns are read, as its share in the vector decides what it weighs.
    config = replace(
        start.config,
        property_width=width,
        property_names=(),
        property_beside=False,
        levels=False,
        log_densities=False,
        context_read=0,
    )
    return with_drawn_layer(start, config, seed)


def learn(options: argparse.Namespace, model: CrystalModel, points: PointSets, labels: NDArray[np.float32]) -> None:
    """Train the deep encoder and the property layer; a twentieth of the crystals says which epoch is best."""
    with drawing_from(torch.Generator().manual_seed(options.seed + 1)):
        module = PropertyModel(model, labels.shape[1]).float()
    run = run_of(options, "learning from labels", model, points, labels)
    parts = parts_of(options.seed, len(points))
    learned, held_out = (CrystalDataset(points, rows, labels[rows]) for rows in parts)
    outcome = train_supervised(module, PropertyLoss(), config_of(options), run, learned, held_out)
    for row in outcome.history:
        print({name: round(float(value), 4) for name, value in row.items()}, flush=True)
    errors(module.eval(), points, labels, parts[1])


def errors(module: PropertyModel, points: PointSets, labels: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
    """Print mean absolute errors on held-out crystals, in standard deviations."""
    told: list[Any] = []
    with torch.inference_mode():
        for some in np.array_split(rows, max(1, len(rows) // 64)):
            batch, _ = CrystalDataset(points, some).__getitems__(list(range(len(some))))
            told.append(module(batch).numpy())
    predicted, true = np.concatenate(told), labels[rows]
    right = ((predicted[:, 0] > 0) == (true[:, 0] > 0.5)).mean()
    deviations = np.nanmean(np.abs(predicted - true)[:, 1:], 0).round(3).tolist()
    print(f"held out: {deviations} deviations, gap or none {right:.3f} right")


if __name__ == "__main__":
    main()
