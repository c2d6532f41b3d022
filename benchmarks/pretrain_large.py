"""Pretrain on the structures of a large table given by path, and write a model: how the larger shipped model was made.

    python benchmarks/pretrain_large.py materials_project.parquet --out model.safetensors [--hold-out | --training-fold]
        [--checkpoint FOLDER] [--start model.safetensors] [--objective JSON] [--preset deep] [--max-epochs 4]
        [--batch-pairs 96000] [--device auto] [--jobs 1] [--seconds S]

``--hold-out`` leaves out the compositions that judge the model (see `materials_project.py`, which describes the table).
``--training-fold`` takes the labelled crystals outside the test fold of `skdim benchmark --data`, and writes their ids
beside the model, so that ``--pretrained`` of that command can check them.
With ``--seconds`` a first short training measures the rate, and as many epochs are trained as fit, two at least.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from materials_project import composition_keys, left_out, read_labels, read_structures

CHUNK = 2048


def main() -> None:
    """Featurize, train, write."""
    options = parse()
    began = time.perf_counter()
    points = featurized(options)
    print(f"{points!r} in {time.perf_counter() - began:.0f} s", flush=True)
    embedder = trained(options, points)
    embedder.save(options.out)
    print(f"wrote {options.out} after {time.perf_counter() - began:.0f} s in all", flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="parquet file")
    parser.add_argument("--out", type=Path, required=True, help="file of the model")
    parser.add_argument("--points", type=Path, help="folder to keep the point sets in, or to find them in")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--hold-out", action="store_true", help="leave out what judges, see materials_project.py")
    part.add_argument("--training-fold", action="store_true", help="that of `skdim benchmark --data` alone")
    parser.add_argument("--checkpoint", type=Path, help="folder to continue from and to write to after each epoch")
    parser.add_argument("--start", type=Path, help="file of a model of the same preset to go on from")
    parser.add_argument("--objective", type=json.loads, help="as objective_params, such as '{\"noise\": 0}'")
    parser.add_argument("--rows", type=int, help="first rows alone, for a trial")
    parser.add_argument("--preset", default="deep")
    parser.add_argument("--max-epochs", type=int, default=4)
    parser.add_argument("--batch-pairs", type=int, default=96_000)
    parser.add_argument("--learning-rate", type=float, help="the preset's by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=int, default=1, help="processes that featurize")
    parser.add_argument("--seconds", type=float, help="time for the training")
    return parser.parse_args()


def featurized(options: argparse.Namespace) -> Any:
    """Point sets of the rows that take part; those that are no usable crystals have no sites."""
    import pyarrow.parquet as pq

    from skdim import PointSets
    from skdim.points.pointstore import save_parts

    n = pq.ParquetFile(options.table).metadata.num_rows
    rows = training_fold(options) if options.training_fold else np.arange(n)
    rows = rows[: options.rows or n]
    with tempfile.TemporaryDirectory() as folder:
        kept = options.points or Path(folder) / "points"
        if not kept.exists():
            jobs = [(options.table, rows[k : k + CHUNK], options.preset) for k in range(0, len(rows), CHUNK)]
            if options.jobs == 1:
                save_parts(kept, map(some, jobs))
            else:
                with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
                    save_parts(kept, pool.map(some, jobs))
        points = PointSets.load(kept)
    if not options.hold_out:
        return points
    return points[~left_out(composition_keys(options.table))[: len(points)]]


def training_fold(options: argparse.Namespace) -> Any:
    """Rows of the labelled crystals outside the test fold of `skdim benchmark --data`; their ids are written."""
    import pyarrow.parquet as pq

    from skdim.datasets import in_test_fold
    from skdim.study.encoders import ids_file
    from skdim.study.tasks import TABLE_TEST_SHARE

    ids = pq.read_table(options.table, columns=["material_id"])["material_id"].to_numpy()
    labelled = np.any([np.isfinite(values) for values in read_labels(options.table).values()], axis=0)
    rows = np.flatnonzero(labelled & ~in_test_fold(ids.tolist(), share=TABLE_TEST_SHARE))
    rows = rows[: options.rows or len(rows)]
    ids_file(options.out).write_text("".join(f"{name}\n" for name in ids[rows]), encoding="utf-8")
    return rows


def some(job: tuple[Path, Any, str]) -> Any:
    """Point sets of some rows of the table, as a preset takes them."""
    import warnings

    from skdim import CrystalPointSetTransformer
    from skdim.learning.presets import PRESETS

    path, rows, preset = job
    structures = read_structures(path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return CrystalPointSetTransformer(**PRESETS[preset].featurizer, on_error="nan").fit_transform(structures)


def trained(options: argparse.Namespace, points: Any) -> Any:
    """Train for the epochs that were asked for, or that fit into the seconds."""
    epochs = options.max_epochs
    if options.seconds is not None:
        trial = points[np.random.default_rng(0).permutation(len(points))[: max(50, len(points) // 30)]]
        fit(options, trial, 1)  # what is only done once
        began = time.perf_counter()
        fit(options, trial, 1)
        rate = trial.n_pairs.sum() / (time.perf_counter() - began)
        epoch = points.n_pairs.sum() / rate
        epochs = int(np.clip(0.85 * (options.seconds - 3 * epoch / 30) / epoch, 2, options.max_epochs))
        print(f"{rate:,.0f} pairs/s, {epoch:.0f} s an epoch: {epochs} epochs", flush=True)
    began = time.perf_counter()
    embedder = fit(options, points, epochs)
    for row in embedder.history_:
        print({name: round(value, 3) for name, value in row.items()}, flush=True)
    if epochs:
        rate = len(points) * len(embedder.history_) / (time.perf_counter() - began)
        print(f"{rate:,.0f} crystals/s of training on {options.device}", flush=True)
    return embedder


def fit(options: argparse.Namespace, points: Any, epochs: int) -> Any:
    """Train an embedder on point sets."""
    from skdim import DeepInfoMaxEmbedder

    embedder = DeepInfoMaxEmbedder(
        preset=options.preset,
        objective_params=options.objective,
        max_epochs=epochs,
        learning_rate=options.learning_rate,
        batch_pairs=options.batch_pairs,
        random_state=options.seed,
        device=options.device,
        checkpoint_dir=options.checkpoint,
    )
    if options.start is not None:
        embedder.state_ = DeepInfoMaxEmbedder.load(options.start).state_
        embedder.set_params(warm_start=True)
    return embedder.fit(points).set_params(warm_start=False)


if __name__ == "__main__":
    main()
