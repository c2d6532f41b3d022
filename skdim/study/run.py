"""Running a study: everything that its plan asks for and that is not finished yet."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._files import digest, file_digest, replacing
from skdim.evaluation import REFERENCE_FEATURES, reference_features
from skdim.evaluation._features import compute_features
from skdim.evaluation._label_efficiency import progress_bar, train
from skdim.evaluation._records import COLUMNS, NO_FEATURES
from skdim.evaluation._regressors import NamedRegressor
from skdim.plotting import project
from skdim.regressor import SiteNetRegressor
from skdim.study.crystaltable import TableCrystals
from skdim.study.encoders import PRETRAININGS, Encoders
from skdim.study.finetuning import (
    ALL_STARTS,
    FINE_TUNED,
    OTHER,
    OTHERS,
    OtherProperty,
    fine_tune,
    fresh_workers,
    regressor_from,
)
from skdim.study.finished import Finished, Record, basis_of
from skdim.study.plan import CV, STUDY_REGRESSORS, Plan, make_plan
from skdim.study.recording import MAP_COLUMNS, versions_of, write_facts
from skdim.study.report import write_report
from skdim.study.tablepoints import kept_features
from skdim.study.tasks import DATASETS, StudyTask

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from skdim.evaluation._repeats import Repeat

_MAPPED = "default"
_FEWEST_MAPPED = 4  # crystals


def run_study(
    out: str | os.PathLike[str],
    *,
    tasks: Sequence[str | StudyTask] = tuple(DATASETS),
    label_counts: Sequence[int] | None = None,
    features: Sequence[str] | Mapping[str, Any] | None = None,
    regressors: Sequence[str] | Mapping[str, Any] = STUDY_REGRESSORS,
    n_repeats: int = 20,
    fine_tuning_repeats: int = 5,
    fewer_repeats: Mapping[str, int] | None = None,
    transductive: bool = False,
    baseline: str | None = None,
    crystals: int | None = None,
    max_epochs: int | Mapping[str, int] | None = None,
    starts: Sequence[str] | None = None,
    pretrained: Mapping[str, str | os.PathLike[str]] | None = None,
    device: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
    report: bool = True,
    notes: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Measure feature sets and regressors on tasks with few labels, and report on it.

    Encoders are pretrained once, on the structures of all training folds together, and the labels of each task are
    drawn from its training fold, as `label_efficiency` does. What is finished is in the folder at once: a run that was
    stopped continues there when it is started again, and a run with more repeats, regressors or feature sets computes
    only what is missing.

    Parameters
    ----------
    out : str or path
        Folder of the results: ``results.parquet`` (the records), ``study.json`` (how they were made),
        ``maps.parquet``, ``report.html``, ``report.md``, ``models/``, and ``finished/`` with the finished trainings.
    tasks : sequence of str or StudyTask
        "formation_energy", "band_gap", "elastic_moduli", or tasks of your own.
    label_counts : sequence of int or None, default=None
        Numbers of labels; None takes each task's own.
    features : sequence of str, mapping, or None, default=None
        Names of feature sets: vectors of this package ("default", "paper", "default untrained", ...) and
        `skdim.evaluation.REFERENCE_FEATURES` ("magpie", "ofm", ...). Or a mapping from names in the records to such
        names or to transformers of structures, which are cloned and fitted on the pool of each task. None takes all
        that can be computed here.
    regressors : sequence of str, or mapping of str to regressor
        As for `label_efficiency`, and "fine_tuned": a `SiteNetRegressor` that starts from the default encoder, from the
        untrained one, and from one trained on all labels of another property.
    n_repeats, fine_tuning_repeats : int
        Random choices of labels for each number of labels, for regressors on fixed vectors and for fine-tuning: those
        of fine-tuning are the first of the others.
    fewer_repeats : mapping of str to int, optional
        Repeats of regressors that have fewer than the others.
    transductive : bool, default=False
        Whether to add "default transductive": pretrained on the structures of the test folds too, without labels.
    baseline : str or None, default=None
        Feature set that the report compares with; None takes "magpie" if it is there.
    crystals : int or None, default=None
        Crystals of each task, drawn at random; None takes all.
    max_epochs : int, mapping of str to int, or None, default=None
        Of the pretrainings: of all, or by preset ("default", "paper") and of the training on "other property"; None
        leaves it to the presets.
    starts : sequence of str or None, default=None
        Where "fine_tuned" starts: "default", "default untrained", "other property", which None takes, and "paper",
        "paper untrained", "paper other property".
    pretrained : mapping of str to path, optional
        Files of `DeepInfoMaxEmbedder` that were pretrained elsewhere, by feature set ("default", "paper"). Beside
        ``NAME.safetensors``, ``NAME.ids.txt`` may hold the ids of the crystals it was pretrained on, one a line: then
        a file that has seen a crystal of a test fold is refused. Else ``study.json`` says that this is not known.
    device : str, default="auto"
        Where networks are trained and read; "auto" is a GPU if torch finds one, else the processor.
    cache_dir : str, path or None, default=None
        Where reference features are kept; None takes ``cache`` in the folder.
    random_state : int, default=0
        Decides which rows are labelled and seeds everything else.
    n_jobs : int or None, default=None
        Jobs at a time, -1 for all cores; None leaves it to joblib.parallel_config, which can also name a backend.
    verbose : int, default=0
        1 reports progress on stderr.
    report : bool, default=True
        Whether to write ``report.html`` and ``report.md``, as `write_report` does.
    notes : mapping, optional
        Goes into ``study.json``; must be serialisable as JSON.

    Returns
    -------
    DataFrame
        The records, as of `label_efficiency`; "fine_tuned" has no ``cv_mae``.

    Raises
    ------
    InputError, TypeError
        If something is unknown or cannot be done; before anything is computed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     records = run_study(folder, tasks=["band_gap"], label_counts=[50], features=["default untrained", "magpie"],
    ...                         regressors=["ridge"], n_repeats=2, crystals=100, report=False)
    >>> records[["features", "regressor", "labels", "repeat"]].values.tolist()[:2]
    [['default untrained', 'ridge', 50, 0], ['default untrained', 'ridge', 50, 1]]
    """
    plan = make_plan(
        out,
        tasks=tasks,
        label_counts=label_counts,
        features=features,
        regressors=regressors,
        n_repeats=n_repeats,
        fine_tuning_repeats=fine_tuning_repeats,
        fewer_repeats=fewer_repeats,
        transductive=transductive,
        baseline=baseline,
        crystals=crystals,
        max_epochs=max_epochs,
        starts=starts,
        pretrained=pretrained,
        device=device,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    cache = Path(cache_dir) if cache_dir is not None else plan.out / "cache"
    study = Study(plan, cache, verbose, dict(notes or {}))
    study.run()
    if report:
        write_report(plan.out, baseline=plan.baseline)
    return study.table()


class Study:
    """A study while it runs."""

    def __init__(
        self,
        plan: Plan,  # what it does
        cache: Path,  # of reference features
        verbose: int,  # whether to report progress
        notes: dict[str, Any],  # for ``study.json``
    ) -> None:
        self.plan, self.cache, self.verbose, self.notes = plan, cache, verbose, notes
        # Bars are for a screen, not for a log.
        self.bars = int(bool(verbose) and sys.stderr.isatty())
        epochs = plan.max_epochs
        self.encoders = Encoders(
            plan.tasks,
            plan.out / "models",
            epochs,
            plan.seed,
            plan.n_jobs,
            self.bars,
            self.say,
            plan.pretrained,
            plan.device,
        )
        self.encoders.check_given()
        regressor = SiteNetRegressor() if plan.fine_tuned is None else plan.fine_tuned
        other_epochs = epochs.get(OTHER) if isinstance(epochs, dict) else None
        self.other = OtherProperty(self.encoders, regressor, plan.crystals, plan.seed, self.say, other_epochs)
        self.records: list[Record] = []
        self.imputed: dict[str, dict[str, int]] = {task.name: {} for task in plan.tasks}
        self.vector_digests: dict[str, dict[str, str]] = {task.name: {} for task in plan.tasks}
        self.seconds: dict[str, float] = {}
        self.began = time.perf_counter()

    def say(self, text: str) -> None:
        """Report what is done, and when."""
        if self.verbose:
            print(f"skdim: {time.perf_counter() - self.began:6.0f} s  {text}", file=sys.stderr, flush=True)

    def run(self) -> None:
        """Do everything except the report."""
        for place, task in enumerate(self.plan.tasks):
            self._train(NO_FEATURES, place, np.zeros((len(task), 1)))
        for name, kind in self.plan.features.items():
            for place in range(len(self.plan.tasks)):
                self._feature_set(name, kind, place)
            self.save(finished=False)
        if self.plan.fine_tuned is not None:
            self._fine_tune_all(self.plan.fine_tuned)
        self._maps()
        self.save(finished=True)

    def save(self, finished: bool) -> None:
        """Write the records that are there, and how they were made."""
        with replacing(self.plan.out / "results.parquet") as draft:
            self.table().to_parquet(draft, index=False)
        found = {
            "imputed_rows": self.imputed,
            "pretraining": self.encoders.facts | self.other.facts,
            "vectors_sha256": self.vector_digests,
            "seconds": {part: round(seconds, 1) for part, seconds in self.seconds.items()},
        }
        write_facts(self.plan, found | self.notes, finished)

    def table(self) -> pd.DataFrame:
        """Return the records in the order in which things were asked for."""
        import pandas as pd

        tasks = [task.name for task in self.plan.tasks]
        names = [NO_FEATURES, *self.plan.features, *ALL_STARTS]
        regressors = [*(one.name for one in self.plan.regressors), FINE_TUNED]
        rows = sorted(
            self.records,
            key=lambda r: (
                tasks.index(r["task"]),
                r["regressor"] == FINE_TUNED,
                names.index(r["features"]),
                regressors.index(r["regressor"]),
                r["labels"],
                r["repeat"],
            ),
        )
        return pd.DataFrame.from_records(rows, columns=list(COLUMNS))

    def _feature_set(self, name: str, kind: Any, place: int) -> None:
        """Compute one feature set of one task, and train the regressors on it."""
        began = time.perf_counter()
        columns = self._usable(name, self._columns(name, kind, place), place)
        self._spent(f"features: {name}", began)
        self._train(name, place, columns)

    def _spent(self, part: str, began: float) -> None:
        """Note how long a part took."""
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

    def _columns(self, name: str, kind: Any, place: int) -> NDArray[np.float64]:
        """Compute one feature set of one task."""
        task, targets = self.plan.tasks[place], self.plan.targets[place]
        given, structures = kind, None
        if not isinstance(kind, str):
            structures = task.structures
        elif kind in PRETRAININGS:
            given = self.encoders.vectors(kind, task)
            self.vector_digests[task.name][name] = digest(given)
        elif kind in OTHERS:
            given = self.other.vectors(task, kind)
        else:
            self.say(f"{name}: features of {len(task):,} crystals of {task.name}")
            given = self._reference(kind, task)
        return compute_features({name: given}, structures, targets.pool, len(task))[name]

    def _reference(self, kind: str, task: StudyTask) -> Any:
        """Describe the crystals of one task as others do."""
        settings: dict[str, Any] = {"n_jobs": self.plan.n_jobs, "verbose": self.bars}
        if not isinstance(task.structures, TableCrystals):
            return reference_features(kind, task.structures, cache_dir=self.cache, **settings)

        def described(part: Any) -> Any:
            with warnings.catch_warnings():
                # How many rows have missing values is said later, and why they do stays with a small study.
                warnings.simplefilter("ignore", UserWarning)
                return reference_features(kind, part, on_error="nan", **settings)

        return kept_features(task.structures, described, self.cache / kind, REFERENCE_FEATURES[kind].scope)

    def _usable(self, name: str, columns: NDArray[np.float64], place: int) -> NDArray[np.float64]:
        """Leave out columns that no crystal of the pool has, and count the rows that are incomplete."""
        task, pool = self.plan.tasks[place], self.plan.targets[place].pool
        missing = np.isnan(columns)
        known = ~missing[pool].all(0)
        if not known.any():
            raise ValueError(f"the feature set {name!r} failed on all {len(pool)} crystals of the pool of {task.name}.")
        failed = int(missing[:, known].any(1).sum())
        if failed or not known.all():
            self.imputed[task.name][name] = failed
            without = "" if known.all() else f"; {(~known).sum()} columns without any value are left out"
            warnings.warn(
                f"{name}, {task.name}: NaN in {failed} of {len(columns)} rows, column means are used instead{without}",
                stacklevel=2,
            )
        return columns if known.all() else columns[:, known]

    def _train(self, name: str, place: int, columns: NDArray[np.float64]) -> None:
        """Train regressors on one feature set of one task, except for what is finished."""
        plan, targets, began = self.plan, self.plan.targets[place], time.perf_counter()
        facts = (targets.y, targets.pool, targets.test, plan.seed, CV, targets.name, name, versions_of())
        finished = self._finished(columns, *facts)
        own = [one for one in plan.regressors if one.ignores_features == (name == NO_FEATURES)]
        wanted = [(one, repeat) for one in own for repeat in plan.repeats(place, one.name)]
        missing = self._add_known(finished, wanted)
        missing.sort(key=lambda pair: -pair[1].labels)  # the longest first, so that no core waits at the end
        with warnings.catch_warnings():
            # It was said before, with the name of the task.
            warnings.filterwarnings("ignore", r"features\[.*\] is NaN", UserWarning)
            trained = train(name, columns, targets, missing, cv=CV, n_jobs=plan.n_jobs, run=finished.run)
            self._add(f"{name}: {targets.name}", trained, len(missing), len(wanted))
        self._spent(f"regressors: {name}", began)

    def _finished(self, *basis: Any) -> Finished:
        """The finished trainings on one basis."""
        return Finished(self.plan.out / "finished", basis_of(*basis))

    def _add_known(
        self, finished: Finished, wanted: Sequence[tuple[Any, Repeat]]
    ) -> list[tuple[NamedRegressor, Repeat]]:
        """Add the records of the trainings that are finished; return the others."""
        missing = []
        for regressor, repeat in wanted:
            record = finished.find(regressor, repeat)
            if record is None:
                missing.append((regressor, repeat))
            else:
                self.records.append(record)
        return missing

    def _add(self, what: str, trained: Iterable[Record], missing: int, wanted: int) -> None:
        """Add the records of trainings as they end."""
        if wanted:
            known = f", {wanted - missing} of {wanted} known" if missing < wanted else ""
            self.say(f"{what}: {missing} trainings{known}")
        with progress_bar(missing, self.bars) as bar:
            for record in trained:
                self.records.append(record)
                bar.update()

    def _fine_tune_all(self, regressor: SiteNetRegressor) -> None:
        """Fine-tune from each start, on each task."""
        fresh_workers()
        for start in self.plan.starts:
            for place, task in enumerate(self.plan.tasks):
                if start in OTHERS and task.other is None:
                    self.say(f"{start}: none is known for {task.name}")
                    continue
                began = time.perf_counter()
                path = self.other.path(str(task.other), start) if start in OTHERS else self.encoders.path(start)
                self._spent(f"start: {start}", began)
                self._fine_tune(start, place, path, regressor_from(start, regressor))
            self.save(finished=False)

    def _fine_tune(self, start: str, place: int, path: Path, regressor: SiteNetRegressor) -> None:
        """Fine-tune from one start on one task, except for what is finished."""
        from skdim.learning.pretraincache import pretraining_key

        plan, targets, began = self.plan, self.plan.targets[place], time.perf_counter()
        points = self.encoders.points_of(ALL_STARTS[start], plan.tasks[place])
        content = pretraining_key(regressor, points)
        facts = (targets.y, targets.pool, targets.test, plan.seed, targets.name, start, versions_of("torch", "skorch"))
        finished = self._finished(content, *facts, file_digest(path))
        wanted = [(regressor, repeat) for repeat in plan.repeats(place, FINE_TUNED)]
        missing = [repeat for _, repeat in self._add_known(finished, wanted)]
        trained = fine_tune(path, start, points, targets, missing, regressor, finished, plan.n_jobs, plan.device)
        self._add(f"fine-tuned from {start}: {targets.name}", trained, len(missing), len(wanted))
        self._spent(f"regressors: fine-tuned from {start}", began)

    def _maps(self) -> None:
        """Write maps of the test folds."""
        import pandas as pd

        if _MAPPED not in self.plan.features.values():
            return
        began, tables = time.perf_counter(), [pd.DataFrame(columns=list(MAP_COLUMNS))]
        methods = {"t-SNE": "tsne"} | ({"UMAP": "umap"} if importlib.util.find_spec("umap") else {})
        for task, targets in zip(self.plan.tasks, self.plan.targets, strict=True):
            vectors = self.encoders.vectors(_MAPPED, task)[targets.test]
            usable = np.isfinite(vectors).all(1)
            for name, method in methods.items() if usable.sum() >= _FEWEST_MAPPED else ():
                places = project(vectors[usable], method, self.plan.seed)
                points = pd.DataFrame(places, columns=["x", "y"]).assign(target=targets.y[targets.test][usable])
                tables.append(points.assign(task=task.name, method=name, features=_MAPPED))
        with replacing(self.plan.out / "maps.parquet") as draft:
            pd.concat(tables[1:] or tables, ignore_index=True)[list(MAP_COLUMNS)].to_parquet(draft, index=False)
        self._spent("maps", began)
