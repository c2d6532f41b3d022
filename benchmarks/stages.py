"""Measure where the time of a training step and of embedding goes.

    python benchmarks/stages.py [--threads 2] [--crystals N] [--out benchmarks/stages.json]

Each stage of each batch is timed by itself, so what lies between them (progress, history, the data loader) is missing,
and the sum is a little less than a whole epoch takes. Medians over the passes of the whole set; the default preset.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import record

PASSES = 7
Seconds = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Where the time of a training step and of embedding goes.")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: 2)")
    parser.add_argument("--crystals", type=int, default=None, help="to train on and to embed (default: all)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/stages.json"), help="JSON file to write")
    options = parser.parse_args(arguments)
    stages = measured(options.threads, options.crystals)
    report = {**record.surroundings(), "settings": {"threads": options.threads, "passes": PASSES}, "stages": stages}
    for row in stages:
        print(f"{row['step']:9} {row['stage']:42} {row['microseconds']:8.1f} us a crystal {row['share']:7.1%}")
    for file in record.write(report, options.out, "stages"):
        print(f"Written to {file}")


def measured(threads: int, crystals: int | None) -> list[dict[str, str | float]]:
    """Microseconds of each stage for a crystal, and its share of the step."""
    import torch

    from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
    from skdim.datasets import load_formation_energy

    torch.set_num_threads(threads)
    points = CrystalPointSetTransformer().fit_transform(load_formation_energy(subset="train").data[:crystals])
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(points)
    model, rows = embedder.encoder_.model, []
    for step, stages_of in {"training": training, "embedding": embedding}.items():
        passes = [stages_of(model, points) for _ in range(PASSES + 1)][1:]
        middle = {stage: median(p[stage] for p in passes) for stage in passes[0]}
        for stage, seconds in middle.items():
            share = seconds / sum(middle.values())
            rows.append({"step": step, "stage": stage, "microseconds": 1e6 * seconds / len(points), "share": share})
    return rows


@contextmanager
def timed(seconds: Seconds, stage: str) -> Iterator[None]:
    """Add the time of the block to a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start


def training(model, points) -> Seconds:
    """One epoch, stage by stage."""
    import torch

    from skdim.learning.presets import PRESETS
    from skdim.network.batches import collate, pair_budget_batches
    from skdim.network.model import disturbed
    from skdim.network.noise import Noise

    seconds, objective, tower = {}, model.config.objective, model.context
    optimiser, noise = torch.optim.AdamW(model.parameters()), Noise.of_epoch(0, 0, training=True)
    order = np.random.default_rng(0).permutation(len(points))
    for crystals in pair_budget_batches(points.n_pairs, PRESETS["default"].training.batch_pairs, order, 2):
        with timed(seconds, "gather the batch"):
            batch = collate(points, crystals)
        with timed(seconds, "noise, functions of the distances"):
            geometry = tower.encoder.geometry(batch, distance := disturbed(batch, objective, noise))
        with timed(seconds, "context encoder, forward"):
            context = tower(batch, model.features(batch), distance, geometry)
        with timed(seconds, "objective, forward"):
            loss = tower.objective(batch, context)
        with timed(seconds, "backward"):
            optimiser.zero_grad()
            loss.backward()
        with timed(seconds, "optimiser"):
            optimiser.step()
    return seconds


def embedding(model, points) -> Seconds:
    """One pass over the crystals, stage by stage."""
    import torch

    from skdim.learning.embedding import PAIRS
    from skdim.network.batches import collate, pair_budget_batches

    seconds = {}
    for crystals in pair_budget_batches(points.n_pairs, PAIRS["none"], np.arange(len(points))):
        with timed(seconds, "gather the batch"):
            batch = collate(points, crystals)
        with torch.inference_mode():
            with timed(seconds, "functions of the distances"):
                geometry = model.encoder.geometry(batch, batch.distance)
            features = model.features(batch)
            with timed(seconds, "first encoder"):
                model.encoder(batch, features, batch.distance, geometry)
            with timed(seconds, "context encoder"):
                model.context(batch, features, batch.distance, geometry)
            with timed(seconds, "all of these again, and the readout"):
                model.vectors(batch)
    rest = sum(seconds[stage] for stage in ("functions of the distances", "first encoder", "context encoder"))
    seconds["objective and readout"] = max(seconds.pop("all of these again, and the readout") - rest, 0.0)
    return seconds


if __name__ == "__main__":
    main()
