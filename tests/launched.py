"""Pretraining as a launcher of several processes starts it; run by test_distributed.py, also without a launcher.

    python tests/launched.py FOLDER SETTINGS

SETTINGS is JSON: a list of trainings, each fields of a TrainingConfig, and possibly the share "held_out". Each
training and process writes a file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

from skdim import DeepInfoMaxEmbedder
from skdim.learning.presets import Run, TrainingConfig, model_config, resolve_preset
from skdim.learning.pretraining import site_statistics
from skdim.learning.training import train
from skdim.network.model import CrystalModel
from tests.small import bundled_points


def main(folder: Path, settings: list[dict[str, float]]) -> None:
    torch.set_num_threads(1)
    rank, points = int(os.environ.get("RANK", "0")), bundled_points(40)
    preset = resolve_preset("default")
    for place, changes in enumerate(settings):
        torch.manual_seed(0)
        held_out = changes.pop("held_out", 0.25)
        config = model_config(preset, points.feature_names, points.interaction_names)
        model = CrystalModel(config, site_statistics(points))
        common = {"patience": 100, "learning_rate": 1e-3, "weight_decay": 0.0, "schedule": "constant"}
        chosen = TrainingConfig(**{**common, "validation_fraction": held_out, **changes})  # type: ignore[arg-type]
        history = train(model, points, chosen, Run(seed=0)).history
        # Those of the last step: they are forgotten only when another one begins.
        found = {f"gradient/{k}": p.grad.numpy() for k, p in model.named_parameters() if p.grad is not None}
        found |= {f"weight/{k}": v.numpy() for k, v in model.state_dict().items()}
        found["losses"] = np.array([[row["train_loss"], row["valid_loss"]] for row in history])
        np.savez(folder / f"{place}-{rank}.npz", **found)
    embedder = DeepInfoMaxEmbedder(max_epochs=2, random_state=0, checkpoint_dir=folder / "checkpoint", verbose=1)
    np.save(folder / f"vectors-{rank}.npy", embedder.fit_transform(points))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
