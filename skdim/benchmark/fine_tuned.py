"""Encoders to start from and draws of labels in; the record of each fine-tuned `SiteNetRegressor` out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

from skdim.benchmark.pretrained import file_digest, model_facts
from skdim.benchmark.store import digest
from skdim.benchmark.tasks import DATASETS, load_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.benchmark.draws import Draw
    from skdim.benchmark.pretrained import Encoders
    from skdim.benchmark.trials import Task
    from skdim.points.pointsets import PointSets
    from skdim.regressor import SiteNetRegressor

HEAD = "fine_tuned"
OTHER = "other property"
STARTS = ("default", "default untrained", OTHER)
"""Where a fine-tuning starts: what the records call it, in their column features."""


class Sources:
    """Regressors trained on all labels of another property: what their encoders are worth as a start.

    Parameters
    ----------
    encoders : Encoders
        Of the study; the regressors start from its untrained encoder of the default preset.
    regressor : SiteNetRegressor
        Not fitted; its parameters count.
    crystals : int or None
        Crystals of the other data set; None takes all.
    seed : int
        Of the training.
    say : callable
        Is told, as text, what takes long.
    """

    def __init__(
        self,
        encoders: Encoders,
        regressor: SiteNetRegressor,
        crystals: int | None,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self.encoders, self.regressor = encoders, regressor
        self.crystals, self.seed, self.say = crystals, seed, say
        self.facts: dict[str, dict[str, Any]] = {}
        self._paths: dict[str, Path] = {}

    def path(self, dataset: str) -> Path:
        """Train on a bundled data set, or find the file of such a training.

        Parameters
        ----------
        dataset : str
            One of `DATASETS`.

        Returns
        -------
        Path
            Of the saved `SiteNetRegressor`.
        """
        if dataset not in self._paths:
            self._paths[dataset] = self._trained(dataset)
        return self._paths[dataset]

    def _trained(self, dataset: str) -> Path:
        """Train and save, unless the file is there."""
        from skdim.learning.pretraincache import pretraining_key

        points, target = self._labelled(dataset)
        start = self.encoders.path("default untrained")
        bare = clone(self.regressor).set_params(random_state=self.seed)
        key = digest(pretraining_key(bare, points), target, file_digest(start))
        path = self.encoders.folder / f"{dataset.replace('_', '-')}-{key[:12]}.safetensors"
        if not path.exists():
            self.say(f"{OTHER}: training on {len(points):,} labels of {DATASETS[dataset].name}")
            bare.set_params(embedder=start).fit(points, target).save(path)
        history = type(bare).load(path).history_
        self.facts[f"{OTHER}: {DATASETS[dataset].name}"] = model_facts(path, history, len(points))
        return path

    def _labelled(self, dataset: str) -> tuple[PointSets, NDArray[np.float64]]:
        """Crystals and labels of another property, without those in a test fold."""
        tested = {
            name
            for task in self.encoders.tasks
            for name, test in zip(task.material_id, task.test_mask, strict=True)
            if test
        }
        known = {task.name: task for task in self.encoders.tasks}
        task = known.get(DATASETS[dataset].name) or load_task(dataset).sample(self.crystals, self.seed)
        use = ~task.test_mask & ~np.isin(np.asarray(task.material_id), sorted(tested))
        if task.name in known:
            points = self.encoders.points_of("default", task)[use]
        else:
            from skdim.points.featurizer import CrystalPointSetTransformer

            rows = [task.structures[row] for row in np.flatnonzero(use)]
            points = CrystalPointSetTransformer(n_jobs=self.encoders.n_jobs).fit_transform(rows)
        target = np.asarray(task.target, np.float64)[use]
        return points[points.valid], target[points.valid]


def fine_tune(
    start: Path,
    name: str,
    points: PointSets,
    task: Task,
    draws: Sequence[Draw],
    regressor: SiteNetRegressor,
    n_jobs: int | None,
) -> Iterator[dict[str, Any]]:
    """Fine-tune one encoder on draws of labels.

    Parameters
    ----------
    start : Path
        Of the saved embedder or regressor.
    name : str
        What the records call it.
    points : PointSets
        Of the task's crystals.
    task : Task
        What to predict.
    draws : sequence of Draw
        The labels.
    regressor : SiteNetRegressor
        Not fitted; its parameters count.
    n_jobs : int or None
        Processes, with one thread each, unless joblib.parallel_config names another backend.

    Yields
    ------
    dict
        The record of each, in order, as soon as it and those before it are there; ``cv_mae`` is NaN.
    """
    held_out = points[task.held_out]
    jobs = (delayed(_record)(start, name, points[draw.rows], held_out, task, draw, clone(regressor)) for draw in draws)
    yield from Parallel(n_jobs=n_jobs, return_as="generator")(jobs)


def fresh_workers() -> None:
    """End joblib's idle processes.

    One that has trained other heads would seem to leak memory when it imports torch, and would be replaced while jobs
    wait for it.
    """
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def _record(
    start: Path,
    name: str,
    labelled: PointSets,
    held_out: PointSets,
    task: Task,
    draw: Draw,
    regressor: SiteNetRegressor,
) -> dict[str, Any]:
    """Fine-tune on one draw and record the errors."""
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    from skdim.network.threads import one_torch_thread

    began, usable = time.perf_counter(), labelled.valid
    known, y_test = task.y[draw.rows], task.y[task.held_out]
    with one_torch_thread():
        regressor.set_params(embedder=start, random_state=draw.seed, on_error="nan", n_jobs=1)
        predicted = regressor.fit(labelled[usable], known[usable]).predict(held_out)
    # Crystals that cannot be used are guessed, as the other heads do with features they do not have.
    predicted = np.where(np.isnan(predicted), known.mean(), predicted)
    return {
        "task": task.name,
        "features": name,
        "head": HEAD,
        "labels": draw.labels,
        "draw": draw.number,
        "cv_mae": float("nan"),
        "mae": float(mean_absolute_error(y_test, predicted)),
        "rmse": float(root_mean_squared_error(y_test, predicted)),
        "r2": float(r2_score(y_test, predicted)),
        "seconds": time.perf_counter() - began,
    }
