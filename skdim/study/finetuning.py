"""Fine-tuning in a study: encoders trained further on the labels, from several starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

from skdim._files import file_digest
from skdim.evaluation._regressors import errors
from skdim.study.encoders import model_facts
from skdim.study.finished import Finished, Record, basis_of
from skdim.study.tasks import DATASETS, load_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.evaluation._label_efficiency import Targets
    from skdim.evaluation._repeats import Repeat
    from skdim.points.pointsets import PointSets
    from skdim.regressor import SiteNetRegressor
    from skdim.study.encoders import Encoders

FINE_TUNED = "fine_tuned"
OTHER = "other property"
STARTS = ("default", "default untrained", OTHER)
"""Where a fine-tuning starts: its name in the column features of the records."""


class OtherProperty:
    """Regressors trained on all labels of another property, whose encoders are a start for fine-tuning.

    ``facts`` holds what there is to say about each of them, for ``study.json``.
    """

    def __init__(
        self,
        encoders: Encoders,  # of the study; the regressors start from its untrained encoder of the default preset
        regressor: SiteNetRegressor,  # not fitted; its parameters are used
        crystals: int | None,  # crystals of the other data set; None takes all
        seed: int,  # of the training
        say: Callable[[str], None],  # called with a message before long steps
    ) -> None:
        self.encoders, self.regressor = encoders, regressor
        self.crystals, self.seed, self.say = crystals, seed, say
        self.facts: dict[str, dict[str, Any]] = {}
        self._paths: dict[str, Path] = {}

    def path(self, dataset: str) -> Path:
        """Train on one of `DATASETS`, or find the file of the `SiteNetRegressor` that was trained before."""
        if dataset not in self._paths:
            self._paths[dataset] = self._trained(dataset)
        return self._paths[dataset]

    def _trained(self, dataset: str) -> Path:
        """Train and save, unless the file is there."""
        from skdim.learning.pretraincache import pretraining_key

        points, target = self.labelled(dataset)
        start = self.encoders.path("default untrained")
        # All the way, as published: an encoder that stayed at the start would be no other start.
        bare = clone(self.regressor).set_params(random_state=self.seed, cv=None)
        key = basis_of(pretraining_key(bare, points), target, file_digest(start))
        path = self.encoders.folder / f"{dataset.replace('_', '-')}-{key[:12]}.safetensors"
        if not path.exists():
            self.say(f"{OTHER}: training on {len(points):,} labels of {DATASETS[dataset].name}")
            bare.set_params(embedder=start).fit(points, target).save(path)
        history = type(bare).load(path).history_
        self.facts[f"{OTHER}: {DATASETS[dataset].name}"] = model_facts(path, history, len(points))
        return path

    def labelled(self, dataset: str) -> tuple[PointSets, NDArray[np.float64]]:
        """Return crystals and labels of another property, without those in the test fold of any task."""
        known = {task.name: task for task in self.encoders.tasks}
        task = known.get(DATASETS[dataset].name) or load_task(dataset).sample(self.crystals, self.seed)
        use = ~task.test_mask & ~np.isin(np.asarray(task.material_id), sorted(self.encoders.tested))
        if task.name in known:
            points = self.encoders.points_of("default", task)[use]
        else:
            from skdim.points.featurizer import CrystalPointSetTransformer

            rows = [task.structures[row] for row in np.flatnonzero(use)]
            points = CrystalPointSetTransformer(n_jobs=self.encoders.n_jobs).fit_transform(rows)
        target = np.asarray(task.target, np.float64)[use]
        return points[points.valid], target[points.valid]


def fine_tune(
    start: Path,  # of the saved embedder or regressor
    name: str,  # of the start, in the records
    points: PointSets,
    targets: Targets,
    repeats: Sequence[Repeat],
    regressor: SiteNetRegressor,  # not fitted; its parameters are used
    finished: Finished,  # where each record is kept
    n_jobs: int | None,  # processes, with one thread each, unless joblib.parallel_config names another backend
) -> Iterator[Record]:
    """Fine-tune one encoder on draws of labels.

    Yield the record of each, in order, as soon as it and those before it are there; ``cv_mae`` is NaN.
    """
    test = points[targets.test]
    jobs = (
        delayed(finished.run)(
            regressor,
            repeat,
            _record,
            (start, name, points[repeat.rows], test, targets, repeat, clone(regressor)),
        )
        for repeat in repeats
    )
    yield from Parallel(n_jobs=n_jobs, return_as="generator")(jobs)


def fresh_workers() -> None:
    """End joblib's idle processes.

    One that has trained other regressors would seem to leak memory when it imports torch, and would be replaced while
    jobs wait for it.
    """
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def _record(
    start: Path,
    name: str,
    labelled: PointSets,
    test: PointSets,
    targets: Targets,
    repeat: Repeat,
    regressor: SiteNetRegressor,
) -> Record:
    """Fine-tune on one draw and record the errors."""
    from skdim.network.threads import one_torch_thread

    began, usable, known = time.perf_counter(), labelled.valid, targets.y[repeat.rows]
    with one_torch_thread():
        regressor.set_params(embedder=start, random_state=repeat.seed, on_error="nan", n_jobs=1)
        predicted = regressor.fit(labelled[usable], known[usable]).predict(test)
    # Crystals that cannot be used are predicted by the mean, as the other regressors do with missing features.
    predicted = np.where(np.isnan(predicted), known.mean(), predicted)
    names = {"task": targets.name, "features": name, "regressor": FINE_TUNED}
    counts = {"labels": repeat.labels, "repeat": repeat.number, "cv_mae": float("nan")}
    return {**names, **counts, **errors(targets.y[targets.test], predicted), "seconds": time.perf_counter() - began}
