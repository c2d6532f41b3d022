"""The plan of a study in; its records out, each kept as soon as it is there."""

from __future__ import annotations

import hashlib
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.benchmark.features import compute_features
from skdim.benchmark.fine_tuned import HEAD as FINE_TUNED
from skdim.benchmark.fine_tuned import OTHER, STARTS, Sources, fine_tune, fresh_workers
from skdim.benchmark.maps import map_table
from skdim.benchmark.plan import CV, Plan
from skdim.benchmark.pretrained import EMBEDDERS, Encoders, file_digest
from skdim.benchmark.records import COLUMNS, NO_FEATURES
from skdim.benchmark.store import Parts, digest, write_table
from skdim.benchmark.trials import progress_bar, train_heads
from skdim.benchmark.versions import versions_of, write_facts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from skdim.benchmark.draws import Draw
    from skdim.regressor import SiteNetRegressor

_MAPPED = "default"


class Study:
    """A study as it goes on.

    Parameters
    ----------
    plan : Plan
        What it does.
    cache : Path
        Of baseline features.
    verbose : int
        Whether to say what is done.
    notes : dict
        For ``study.json``.
    """

    def __init__(self, plan: Plan, cache: Path, verbose: int, notes: dict[str, Any]) -> None:
        self.plan, self.cache, self.verbose, self.notes = plan, cache, verbose, notes
        self.parts = Parts(plan.out / "parts")
        self.encoders = Encoders(
            plan.tasks, plan.out / "models", plan.max_epochs, plan.seed, plan.n_jobs, self.bars, self.say
        )
        self.records: list[dict[str, Any]] = []
        self.imputed: dict[str, dict[str, int]] = {task.name: {} for task in plan.tasks}
        self.vector_hashes: dict[str, dict[str, str]] = {task.name: {} for task in plan.tasks}
        self.seconds: dict[str, float] = {}
        self.sources: Sources | None = None
        self.began = time.perf_counter()

    @property
    def bars(self) -> int:
        """Whether to show progress bars: they are for a screen, not for a log."""
        return int(bool(self.verbose) and sys.stderr.isatty())

    def say(self, text: str) -> None:
        """Say what is done, and when."""
        if self.verbose:
            print(f"skdim: {time.perf_counter() - self.began:6.0f} s  {text}", file=sys.stderr, flush=True)

    def run(self) -> None:
        """Do everything but the report."""
        blind = [head for head in self.plan.heads if head.ignores_features]
        for place, task in enumerate(self.plan.tasks):
            self._train(NO_FEATURES, place, np.zeros((len(task), 1)), [head.name for head in blind])
        for name, kind in self.plan.features.items():
            for place in range(len(self.plan.tasks)):
                self._feature_set(name, kind, place)
            self.save(finished=False)
        if self.plan.fine_tuned is not None:
            self._fine_tuned(self.plan.fine_tuned)
        self._maps()
        self.save(finished=True)

    def save(self, finished: bool) -> None:
        """Write the records that are there, and how they came to be."""
        write_table(self.plan.out / "results.parquet", self.table())
        found = {
            "imputed_rows": self.imputed,
            "pretraining": self.encoders.facts | (self.sources.facts if self.sources is not None else {}),
            "vectors_sha256": self.vector_hashes,
            "seconds": {part: round(seconds, 1) for part, seconds in self.seconds.items()},
        }
        write_facts(self.plan, found | self.notes, finished)

    def table(self) -> pd.DataFrame:
        """Give the records in the order in which things were asked for."""
        import pandas as pd

        tasks = {task.name: k for k, task in enumerate(self.plan.tasks)}
        names = [NO_FEATURES, *self.plan.features, *STARTS]
        heads = [*(head.name for head in self.plan.heads), FINE_TUNED]
        rows = sorted(
            self.records,
            key=lambda r: (
                tasks[r["task"]],
                heads.index(r["head"]) if r["head"] == FINE_TUNED else -1,
                names.index(r["features"]),
                heads.index(r["head"]),
                r["labels"],
                r["draw"],
            ),
        )
        return pd.DataFrame.from_records(rows, columns=list(COLUMNS))

    def _feature_set(self, name: str, kind: Any, place: int) -> None:
        """Compute one feature set of one task, and train the heads on it."""
        began = time.perf_counter()
        columns = self._usable(name, self._columns(name, kind, place), place)
        self._spent(f"features: {name}", began)
        self._train(name, place, columns, [head.name for head in self.plan.heads if not head.ignores_features])

    def _spent(self, part: str, began: float) -> None:
        """Note how long a part took."""
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

    def _columns(self, name: str, kind: Any, place: int) -> NDArray[np.float64]:
        """Compute one feature set of one task."""
        task, pool = self.plan.tasks[place], self.plan.goals[place].pool
        given, structures = kind, None
        if not isinstance(kind, str):
            structures = task.structures
        elif kind in EMBEDDERS:
            given = self.encoders.vectors(kind, task)
            self.vector_hashes[task.name][name] = hashlib.sha256(given.tobytes()).hexdigest()
        else:
            from skdim.benchmark.baselines import baseline_features

            self.say(f"{name}: features of {len(task):,} crystals of {task.name}")
            given = baseline_features(
                kind, task.structures, cache_dir=self.cache, n_jobs=self.plan.n_jobs, verbose=self.bars
            )
        return compute_features({name: given}, structures, pool, len(task))[name]

    def _usable(self, name: str, columns: NDArray[np.float64], place: int) -> NDArray[np.float64]:
        """Leave out columns that no crystal of the pool has, and count the rows that are incomplete."""
        task, pool = self.plan.tasks[place], self.plan.goals[place].pool
        known = ~np.isnan(columns[pool]).all(0)
        if not known.any():
            raise ValueError(f"the feature set {name!r} failed on all {len(pool)} crystals of the pool of {task.name}")
        failed = int(np.isnan(columns[:, known]).any(1).sum())
        if failed or not known.all():
            self.imputed[task.name][name] = failed
            without = "" if known.all() else f", {(~known).sum()} columns without any value are left out"
            warnings.warn(
                f"{name}, {task.name}: NaN in {failed} of {len(columns)} rows, column means take its place{without}",
                stacklevel=2,
            )
        return columns[:, known]

    def _train(self, name: str, place: int, columns: NDArray[np.float64], heads: Sequence[str]) -> None:
        """Train heads on one feature set of one task, but for what is there."""
        goal, began = self.plan.goals[place], time.perf_counter()
        by_name = {head.name: head for head in self.plan.heads}
        basis = digest(columns, goal.y, goal.pool, goal.held_out, self.plan.seed, CV, goal.name, name, versions_of())
        keys = {
            (head, labels): digest(basis, int(labels), head, by_name[head].regressor)
            for head in heads
            for labels in self.plan.labels[place]
        }
        wanted = [(by_name[head], draw) for head in heads for draw in self.plan.drawn(place, head)]
        missing = [(head, draw) for head, draw in wanted if not self._found(keys[head.name, draw.labels], draw)]
        missing.sort(key=lambda pair: -pair[1].labels)  # the longest first, so that no core waits at the end
        with warnings.catch_warnings():
            # It was said before, with the name of the task.
            warnings.filterwarnings("ignore", r"features\[.*\] is NaN", UserWarning)
            trained = train_heads(name, columns, goal, missing, cv=CV, n_jobs=self.plan.n_jobs)
            self._keep(f"{name}: {goal.name}", trained, keys, len(missing), len(wanted))
        self._spent(f"heads: {name}", began)
        self.records += [self.parts.records(keys[head.name, draw.labels])[draw.number] for head, draw in wanted]

    def _found(self, key: str, draw: Draw) -> bool:
        """Tell whether a training is finished."""
        return draw.number in self.parts.records(key)

    def _keep(
        self, what: str, trained: Iterable[dict[str, Any]], keys: Mapping[Any, str], missing: int, wanted: int
    ) -> None:
        """Keep each record as it comes."""
        if wanted:
            known = f", {wanted - missing} of {wanted} known" if missing < wanted else ""
            self.say(f"{what}: {missing} trainings{known}")
        with progress_bar(missing, self.bars) as bar:
            for record in trained:
                self.parts.add(keys[record["head"], record["labels"]], record)
                bar.update()

    def _fine_tuned(self, regressor: SiteNetRegressor) -> None:
        """Fine-tune from each start, on each task."""
        plan, encoders = self.plan, self.encoders
        fresh_workers()
        self.sources = Sources(encoders, regressor, plan.crystals, plan.seed, self.say)
        for start in STARTS:
            for place, task in enumerate(plan.tasks):
                if start == OTHER and task.other is None:
                    self.say(f"{OTHER}: none is known for {task.name}")
                    continue
                began = time.perf_counter()
                path = self.sources.path(str(task.other)) if start == OTHER else encoders.path(start)
                self._spent(f"start: {start}", began)
                self._fine_tune(start, place, path, regressor)
            self.save(finished=False)

    def _fine_tune(self, start: str, place: int, path: Path, regressor: SiteNetRegressor) -> None:
        """Fine-tune from one start on one task, but for what is there."""
        from skdim.learning.pretraincache import pretraining_key

        plan, goal, began = self.plan, self.plan.goals[place], time.perf_counter()
        points, wanted = self.encoders.points_of("default", plan.tasks[place]), plan.drawn(place, FINE_TUNED)
        content = pretraining_key(regressor, points)
        facts = (goal.y, goal.pool, goal.held_out, plan.seed, goal.name, start, versions_of("torch", "skorch"))
        basis = digest(content, *facts, file_digest(path))
        keys = {(FINE_TUNED, labels): digest(basis, int(labels)) for labels in plan.labels[place]}
        missing = [draw for draw in wanted if not self._found(keys[FINE_TUNED, draw.labels], draw)]
        trained = fine_tune(path, start, points, goal, missing, regressor, plan.n_jobs)
        self._keep(f"fine-tuned from {start}: {goal.name}", trained, keys, len(missing), len(wanted))
        self._spent(f"heads: fine-tuned from {start}", began)
        self.records += [self.parts.records(keys[FINE_TUNED, draw.labels])[draw.number] for draw in wanted]

    def _maps(self) -> None:
        """Write maps of the test folds."""
        import pandas as pd

        if _MAPPED not in self.plan.features.values():
            return
        began, tables = time.perf_counter(), []
        for task, goal in zip(self.plan.tasks, self.plan.goals, strict=True):
            vectors = self.encoders.vectors(_MAPPED, task)[goal.held_out]
            tables.append(map_table(task.name, _MAPPED, vectors, goal.y[goal.held_out], self.plan.seed))
        write_table(self.plan.out / "maps.parquet", pd.concat(tables, ignore_index=True))
        self._spent("maps", began)
