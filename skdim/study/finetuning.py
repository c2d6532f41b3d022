"""Fine-tuning in a study: encoders trained further on the labels, from several starts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

from skdim.evaluation._regressors import errors
from skdim.study.encoders import model_facts
from skdim.study.finished import Finished, Record
from skdim.study.tasks import DATASETS, StudyTask, load_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skdim.evaluation._label_efficiency import Targets
    from skdim.evaluation._repeats import Repeat
    from skdim.points.pointsets import PointSets
    from skdim.regressor import SiteNetRegressor
    from skdim.study.encoders import Encoders

FINE_TUNED = "fine_tuned"
OTHER = "other property"
OTHERS = {OTHER: "default", f"paper {OTHER}": "paper"}
"""Starts that were trained on the labels of another property, with the preset of their encoder."""
STARTS = {"default": "default", "default untrained": "default", OTHER: "default"}
"""The default starts of a fine-tuning: their names in the column features of the records, with their presets."""
ALL_STARTS = STARTS | {"paper": "paper", "paper untrained": "paper", f"paper {OTHER}": "paper"}
PUBLISHED = {"cv": None, "loss": "mse", "validation_fraction": 0.05}
"""Parameters with which the published encoder is fine-tuned, as in the paper: nothing holds it to a ridge, and 5% of
the labels choose the best epoch."""
# With this many labels, larger batches learn as well and take less time.
_MANY, _LARGE_BATCH = 10_000, 16_000


def regressor_from(start: str, regressor: SiteNetRegressor) -> SiteNetRegressor:
    """Return the regressor that is fine-tuned from a start, not fitted."""
    fresh: SiteNetRegressor = clone(regressor)
    return fresh.set_params(**PUBLISHED) if ALL_STARTS[start] == "paper" else fresh


class OtherProperty:
    """Regressors trained on all labels of another property, whose encoders are a start for fine-tuning.

    ``facts`` describes each of them, for ``study.json``.
    """

    def __init__(
        self,
        encoders: Encoders,  # of the study; the regressors start from its untrained encoders
        regressor: SiteNetRegressor,  # not fitted; its parameters are used
        crystals: int | None,  # crystals of the other data set; None takes all
        seed: int,  # of the training
        say: Callable[[str], None],  # called with a message before long steps
        max_epochs: int | None = None,  # of the training; None leaves it to the regressor
    ) -> None:
        self.encoders, self.regressor, self.max_epochs = encoders, regressor, max_epochs
        self.crystals, self.seed, self.say = crystals, seed, say
        self.facts: dict[str, dict[str, Any]] = {}
        self._paths: dict[tuple[str, str], Path] = {}

    def path(self, other: str, start: str = OTHER) -> Path:
        """Train on a task of the study or one of `DATASETS`, or find the `SiteNetRegressor` that was trained before."""
        if (other, start) not in self._paths:
            self._paths[other, start] = self._trained(other, start)
        return self._paths[other, start]

    def _trained(self, other: str, start: str) -> Path:
        """Train and save, unless the file is there."""
        points, target = self.labelled(other, OTHERS[start])
        before = self.encoders.path(f"{OTHERS[start]} untrained")
        # cv=None, as published: held to a ridge, the encoder might stay where it was, which is another start already.
        bare = regressor_from(start, self.regressor).set_params(random_state=self.seed, cv=None)
        if self.max_epochs is not None:
            bare.set_params(max_epochs=self.max_epochs)
        if len(points) >= _MANY:
            bare.set_params(batch_pairs=max(bare.batch_pairs, _LARGE_BATCH))
        key = self.encoders.key(bare, points, OTHERS[start], target, before.name)
        name = f"{'paper ' if OTHERS[start] == 'paper' else ''}{other}"
        path = self.encoders.folder / f"{name.replace('_', '-').replace(' ', '-')}-{key[:12]}.safetensors"
        known = self._name(other)
        if not path.exists():
            self.say(f"{start}: training on {len(points):,} labels of {known}")
            checkpoint = path.with_suffix("")
            bare.set_params(embedder=before, device=self.encoders.device, checkpoint_dir=checkpoint)
            bare.fit(points, target).set_params(checkpoint_dir=None).save(path)
            shutil.rmtree(checkpoint, ignore_errors=True)
        self.facts[f"{start}: {known}"] = model_facts(path, type(bare).load(path).history_, len(points))
        return path

    def _name(self, other: str) -> str:
        """Name of another property in the records: that of a task of the study, or else of a bundled data set."""
        own = other in [task.name for task in self.encoders.tasks]
        return other if own else DATASETS[other].name

    def vectors(self, task: StudyTask, start: str) -> NDArray[np.float32]:
        """Return the vectors (n, d) that the encoder trained on another property than the task's gives its crystals."""
        from skdim.learning.presets import Run
        from skdim.learning.pretraining import column_scale, some_raw_vectors
        from skdim.learning.statefile import write_state
        from skdim.regressor import SiteNetRegressor

        path, preset = self.path(str(task.other), start), OTHERS[start]
        vectors_file = path.with_suffix(".vectors.safetensors")
        if not vectors_file.exists():
            state = SiteNetRegressor.load(path).state_.encoder()
            points, _ = self.labelled(str(task.other), preset)
            raw = some_raw_vectors(state.model(), points, np.arange(len(points)), Run(self.seed))
            center, scale = column_scale(raw)
            write_state(vectors_file, replace(state, center=center, scale=scale))
        return self.encoders.vectors_of(vectors_file, preset, task)

    def labelled(self, other: str, preset: str = "default") -> tuple[PointSets, NDArray[np.float64]]:
        """Return crystals and labels of another property, without those in the test fold of any task."""
        known = {task.name: task for task in self.encoders.tasks}
        task = known.get(self._name(other)) or load_task(other).sample(self.crystals, self.seed)
        use = ~task.test_mask & np.isfinite(task.target)
        use &= ~np.isin(np.asarray(task.material_id), sorted(self.encoders.tested))
        if task.name in known:
            points = self.encoders.points_of(preset, task)[use]
        else:
            from skdim.learning.presets import PRESETS
            from skdim.points.featurizer import CrystalPointSetTransformer

            rows = [task.structures[row] for row in np.flatnonzero(use)]
            featurizer = CrystalPointSetTransformer(**PRESETS[preset].featurizer, n_jobs=self.encoders.n_jobs)
            points = featurizer.fit_transform(rows)
        target = np.asarray(task.target, np.float64)[use]
        if points.valid.all():
            return points, target
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
    device: str = "auto",  # where to compute
) -> Iterator[Record]:
    """Fine-tune one encoder in repeats.

    Yield the record of each, in order, as soon as it and those before it are there; ``cv_mae`` is NaN.
    """
    test = points[targets.test]
    jobs = (
        delayed(finished.run)(
            regressor,
            repeat,
            _record,
            (start, name, points[repeat.rows], test, targets, repeat, clone(regressor), device),
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
    device: str,
) -> Record:
    """Fine-tune in one repeat and record the errors."""
    from skdim.network.threads import one_torch_thread

    began, usable, known = time.perf_counter(), labelled.valid, targets.y[repeat.rows]
    with one_torch_thread():
        regressor.set_params(embedder=start, random_state=repeat.seed, on_error="nan", n_jobs=1, device=device)
        predicted = regressor.fit(labelled[usable], known[usable]).predict(test)
    # Crystals that cannot be used are predicted by the mean, as the other regressors do with missing features.
    predicted = np.where(np.isnan(predicted), known.mean(), predicted)
    names = {"task": targets.name, "features": name, "regressor": FINE_TUNED}
    counts = {"labels": repeat.labels, "repeat": repeat.number, "cv_mae": float("nan")}
    return {**names, **counts, **errors(targets.y[targets.test], predicted), "seconds": time.perf_counter() - began}
