"""Work that test_kills.py kills: each task ends with one file, which must not depend on how often it was begun."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skdim import DeepInfoMaxEmbedder, LabelMaskingRegressor, PointSets, SiteNetClassifier, SiteNetRegressor
from tests.small import bundled, bundled_points
from tests.study.test_resumption import KILLABLE
from tests.study.test_run import study

SMALL: dict[str, Any] = {"random_state": 0, "batch_pairs": 300}


def prepare(data: Path) -> None:
    """Write what the tasks work on."""
    bundled_points(24).save(data / "points")
    np.save(data / "labels.npy", bundled(24)[1])
    (data / "crystals").mkdir()
    for number, structure in enumerate(bundled(40)[0]):
        structure.to(str(data / "crystals" / f"{number:02}.cif"))


def pretrain(folder: Path, data: Path) -> None:
    """Pretrain with a checkpoint; keep vectors and losses."""
    points = PointSets.load(data / "points")
    embedder = DeepInfoMaxEmbedder(
        encoder_params={"width": 8}, max_epochs=8, validation_fraction=0.2, checkpoint_dir=folder / "run", **SMALL
    )
    vectors = embedder.fit_transform(points)
    _keep(folder, vectors, embedder.history_)


def fine_tune(folder: Path, data: Path) -> None:
    """Fine-tune an ensemble with checkpoints; keep predictions and losses."""
    points = PointSets.load(data / "points")
    start = DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=0, **SMALL).fit(points)
    regressor = SiteNetRegressor(start, max_epochs=4, n_ensemble=2, checkpoint_dir=folder / "run", **SMALL)
    regressor.fit(points, np.load(data / "labels.npy"))
    _keep(folder, regressor.predict(points), regressor.history_)


def classify(folder: Path, data: Path) -> None:
    """Fine-tune a classifier with checkpoints; keep probabilities and losses."""
    points, labels = PointSets.load(data / "points"), np.load(data / "labels.npy")
    start = DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=0, **SMALL).fit(points)
    classifier = SiteNetClassifier(start, max_epochs=4, cv=2, checkpoint_dir=folder / "run", **SMALL)
    classifier.fit(points, labels > np.median(labels))
    _keep(folder, classifier.predict_proba(points), classifier.history_)


def mask(folder: Path, data: Path) -> None:
    """Pretrain on all rows and fine-tune on the labelled ones, with checkpoints and a cache of pretrained embedders."""
    points, labels = PointSets.load(data / "points"), np.load(data / "labels.npy")
    labels[::3] = np.nan
    embedder = DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=4, **SMALL)
    model = LabelMaskingRegressor(
        embedder,
        SiteNetRegressor(max_epochs=3, **SMALL),
        random_state=0,
        memory=folder / "memory",
        checkpoint_dir=folder / "run",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib's, on an entry that the kill left unfinished
        model.fit(points, labels)
    _keep(folder, model.predict(points), model.regressor_.history_)


def embed(folder: Path, data: Path) -> None:
    """Write a table of vectors, some crystals at a time, in place of an earlier one."""
    from skdim.cli import main

    out = str(folder / "end.parquet")
    assert main(["embed", "bundled", str(data / "crystals"), "--out", out, "--batch", "2", "--quiet"]) == 0


def fit(folder: Path, data: Path) -> None:
    """Fit a model to a table of labels, in place of an earlier one."""
    from skdim.cli import main

    labels = "".join(f"{number:02},{value}\n" for number, value in enumerate(bundled(40)[1]))
    (folder / "labels.csv").write_text(f"id,y\n{labels}")
    words = ["--labels", str(folder / "labels.csv"), "--target", "y", "--out", str(folder / "end.skdim")]
    words += [
        "--report",
        str(folder / "report.html"),
        "--model",
        "bundled",
        "--regressors",
        "ridge,fine-tuning",
        "--quiet",
    ]
    assert main(["fit", str(data / "crystals"), *words]) == 0


def benchmark(folder: Path, data: Path) -> None:
    """Run a small study; keep its records but for the seconds that they took."""
    records = study(folder / "study", **KILLABLE).drop(columns="seconds")
    with (folder / "draft").open("wb") as file:
        records.to_csv(file)  # floats with all of their digits
    os.replace(folder / "draft", folder / "end.csv")


TASKS: dict[str, Callable[[Path, Path], None]] = {
    task.__name__: task for task in (pretrain, fine_tune, classify, mask, embed, fit, benchmark)
}


# Those that write their file in place of an earlier one, and its suffix.
REPLACING = {"embed": "parquet", "fit": "skdim"}


def carry_out(task: str, folder: Path, data: Path, began: Any) -> None:
    """Do a task in a process of its own, which says when it begins."""
    if task in REPLACING and not any(folder.iterdir()):
        (folder / f"end.{REPLACING[task]}").write_text("before")
    began.send(True)
    TASKS[task](folder, data)


def _keep(folder: Path, values: np.ndarray, history: list[dict[str, float]]) -> None:
    """Write what a training gave, whole or not at all."""
    losses = [[row["train_loss"], row["valid_loss"]] for row in history]
    with (folder / "draft").open("wb") as file:
        np.save(file, np.concatenate([np.asarray(values, float).ravel(), np.ravel(losses)]))
    os.replace(folder / "draft", folder / "end.npy")
