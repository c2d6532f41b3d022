"""Compare a GPU with the processor: the vectors of the shipped models, and crystals per second of training.

    python benchmarks/cuda.py [--crystals 3000] [--repeats 3] [--out benchmarks/cuda.json]

Vectors are of the bundled formation energies' crystals. Training is whole epochs of each preset, batches made anew in
each; the first epochs, which load what is loaded once, are not counted. Medians over the repeats, all in one process.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import record

DEVICES = ("cpu", "cuda")
PRESETS = {"default": 16_000, "deep": 96_000, "paper": 30_000}  # most pairs in a batch
EPOCHS = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="A GPU beside the processor: vectors and the rate of training.")
    parser.add_argument("--crystals", type=int, default=3000, help="to train on (default: 3000)")
    parser.add_argument("--repeats", type=int, default=3, help="trainings of each; their medians count (default: 3)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    import torch

    if not torch.cuda.is_available():
        parser.error("torch finds no GPU here")
    vectors, training = differences(), rates(options.crystals, options.repeats)
    report: dict[str, Any] = {
        **record.surroundings(),
        "gpu": torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "settings": {"crystals": options.crystals, "repeats": options.repeats, "pairs": PRESETS},
        "largest_difference": vectors,
        "train_per_s": training,
    }
    print(f"{report['gpu']} beside {os.cpu_count()} processors")
    for name, difference in vectors.items():
        print(f"{name}: vectors differ by at most {difference:.1e}")
    for name, rate in training.items():
        print(f"{name}: {rate['cpu']:,.0f} and {rate['cuda']:,.0f} crystals/s, {rate['cuda'] / rate['cpu']:.1f} times")
    if options.out is not None:
        for file in record.write(report, options.out, "cuda"):
            print(f"Written to {file}")


def differences() -> dict[str, float]:
    """Largest difference of any column of any crystal, in standard deviations, of each shipped model."""
    from skdim import load_pretrained
    from skdim.datasets import load_formation_energy
    from skdim.pretrained import MODELS

    crystals, found = load_formation_energy().data, {}
    for name in MODELS:
        on_each = [load_pretrained(name).set_params(device=device).transform(crystals) for device in DEVICES]
        found[name] = float(np.abs(on_each[0] - on_each[1]).max())
    return found


def rates(n_crystals: int, repeats: int) -> dict[str, dict[str, float]]:
    """Crystals per second of training by preset and device."""
    from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
    from skdim.datasets import load_formation_energy
    from skdim.learning.presets import PRESETS as CHOICES

    crystals, measured = load_formation_energy(subset="train").data[:n_crystals], {}
    for preset, pairs in PRESETS.items():
        points = CrystalPointSetTransformer(**CHOICES[preset].featurizer).fit_transform(crystals)
        embedder = DeepInfoMaxEmbedder(
            preset=preset, max_epochs=EPOCHS, batch_pairs=pairs, validation_fraction=0, random_state=0
        )
        seconds: dict[str, list[float]] = {device: [] for device in DEVICES}
        for repeat in range(repeats + 1):
            for device in DEVICES:
                began = time.perf_counter()
                embedder.set_params(device=device).fit(points)
                if repeat:
                    seconds[device].append(time.perf_counter() - began)
        measured[preset] = {device: EPOCHS * len(points) / median(seconds[device]) for device in DEVICES}
    return measured


if __name__ == "__main__":
    main()
