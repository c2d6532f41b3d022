"""What a study will do, checked before anything takes long."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._parameters import N_JOBS, check, integer, optional
from skdim.evaluation import REFERENCE_FEATURES, REGRESSORS, reference_features
from skdim.evaluation._label_efficiency import Targets, check_feature_names, check_targets
from skdim.evaluation._regressors import NamedRegressor, resolve_regressors
from skdim.evaluation._repeats import Repeat, draw_repeats
from skdim.exceptions import InputError
from skdim.study.encoders import PRETRAININGS
from skdim.study.finetuning import ALL_STARTS, FINE_TUNED, OTHER, OTHERS, STARTS
from skdim.study.tasks import DATASETS, StudyTask, load_task

if TYPE_CHECKING:
    from skdim.regressor import SiteNetRegressor

CV = 5
EPOCHS_OF = ("default", "paper", OTHER)
"""What has epochs of its own in ``max_epochs``: the presets, and the training on another property."""
TRANSDUCTIVE = "default transductive"
STUDY_REGRESSORS = (
    "median",
    "linear",
    "ridge",
    "kernel_ridge",
    "random_forest_cv",
    "extra_trees_cv",
    "mlp",
    FINE_TUNED,
)
"""The regressors of a study by default."""


@dataclass(frozen=True)
class Plan:
    """What a study does."""

    out: Path  # folder of its results
    tasks: list[StudyTask]  # what is predicted
    targets: list[Targets]  # the same, as the regressors take them
    labels: list[tuple[int, ...]]  # numbers of labels of each task
    features: dict[str, Any]  # name of a bundled feature set, or a transformer, by the name in the records
    regressors: list[NamedRegressor]  # regressors on fixed vectors
    fine_tuned: SiteNetRegressor | None  # what is fine-tuned, not fitted
    n_repeats: dict[str, int]  # by regressor
    baseline: str  # feature set that the report compares with
    starts: tuple[str, ...]  # of the fine-tuning
    crystals: int | None  # as for `run_study`
    max_epochs: int | dict[str, int] | None
    pretrained: dict[str, Path]
    device: str
    seed: int
    n_jobs: int | None

    def repeats(self, place: int, regressor: str) -> list[Repeat]:
        """Draw the labels of a task for a regressor, large numbers first: they take longest.

        A regressor with fewer repeats than another has the first of them.
        """
        drawn = draw_repeats(self.targets[place].pool, self.labels[place], self.n_repeats[regressor], self.seed, CV)
        return sorted(drawn, key=lambda repeat: -repeat.labels)


def make_plan(
    out: str | os.PathLike[str],
    *,
    tasks: Sequence[str | StudyTask],
    label_counts: Sequence[int] | None,
    features: Sequence[str] | Mapping[str, Any] | None,
    regressors: Sequence[str] | Mapping[str, Any],
    n_repeats: int,
    fine_tuning_repeats: int,
    fewer_repeats: Mapping[str, int] | None,
    transductive: bool,
    baseline: str | None,
    crystals: int | None,
    max_epochs: int | Mapping[str, int] | None,
    starts: Sequence[str] | None,
    pretrained: Mapping[str, str | os.PathLike[str]] | None,
    device: str,
    random_state: int,
    n_jobs: int | None,
) -> Plan:
    """Check the parameters of `run_study`, which explains them."""
    try:
        folder = check_folder(out)
        check("random_state", random_state, integer(0))
        check("n_jobs", n_jobs, N_JOBS)
        check("crystals", crystals, optional(integer(20)))
        epochs = _epochs(max_epochs)
        sets = _feature_sets(features, transductive)
        fixed, fine_tuned = _regressors(regressors)
        names = [one.name for one in fixed] + [FINE_TUNED] * (fine_tuned is not None)
        repeats = _repeats(names, n_repeats, fine_tuning_repeats, fewer_repeats or {})
        chosen = [task.sample(crystals, random_state) for task in _tasks(tasks)]
        plan = Plan(
            out=folder,
            tasks=chosen,
            targets=[_targets(task) for task in chosen],
            labels=[tuple(task.labels if label_counts is None else label_counts) for task in chosen],
            features=sets,
            regressors=fixed,
            fine_tuned=fine_tuned,
            n_repeats=repeats,
            baseline=_baseline(baseline, sets),
            starts=_starts(starts),
            crystals=crystals,
            max_epochs=epochs,
            pretrained={name: Path(path) for name, path in (pretrained or {}).items()},
            device=device,
            seed=int(random_state),
            n_jobs=n_jobs,
        )
        _check_labels(plan)
        _check_others(plan)
        _try_references(sets)
    except ValueError as error:  # nothing but checks until here
        raise InputError(str(error)) from error
    return plan


def default_features() -> tuple[str, ...]:
    """Name the usual feature sets that can be computed here: all whose packages are installed."""
    usable = [name for name, reference in REFERENCE_FEATURES.items() if reference.usual and reference.is_available]
    return (*(name for name, pretraining in PRETRAININGS.items() if not pretraining.transductive), *usable)


def check_folder(out: str | os.PathLike[str]) -> Path:
    """Refuse a path where no folder can be made, or none that may be written to; nothing is made."""
    folder = Path(out)
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise InputError(f"out must be a folder, got {str(folder)!r}: {str(existing)!r} is a file.")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"cannot write to the folder {str(existing)!r}")
    return folder


def _tasks(tasks: Sequence[str | StudyTask]) -> list[StudyTask]:
    """Load the tasks that are named."""
    if isinstance(tasks, str) or not len(tasks):
        raise ValueError(f"tasks must be a list of StudyTasks or names among {', '.join(DATASETS)}, got {tasks!r}.")
    loaded = [load_task(task) if isinstance(task, str) else task for task in tasks]
    names = [task.name for task in loaded]
    if len(set(names)) < len(names):
        raise ValueError(f"tasks must have distinct names, got {names}.")
    known = [*DATASETS, *names]
    for task in loaded:
        if not len(task.structures) == len(task.target) == len(task.material_id) == len(task.test_mask):
            raise ValueError(f"task {task.name!r}: structures, target, material_id and test_mask differ in length.")
        if task.other is not None and task.other not in known:
            raise ValueError(f"task {task.name!r}: other must be None or among {', '.join(known)}, got {task.other!r}.")
    return loaded


def _targets(task: StudyTask) -> Targets:
    """Check the targets of a task and its test fold; crystals without a target are in neither fold."""
    target = np.asarray(task.target, np.float64)
    known = ~np.isnan(target)
    found = check_targets(task.name, np.where(known, target, 0.0), task.test_mask)
    pool, test = found.pool[known[found.pool]], found.test[known[found.test]]
    if not len(pool) or len(test) < 2:
        raise ValueError(f"{task.name}: {len(pool)} crystals to learn from and {len(test)} to test on have a target.")
    return Targets(task.name, target, pool, test)


def _starts(starts: Sequence[str] | None) -> tuple[str, ...]:
    """Check where fine-tuning is to start."""
    chosen = tuple(STARTS if starts is None else starts)
    if isinstance(starts, str) or not set(chosen) <= set(ALL_STARTS) or len(set(chosen)) < len(chosen):
        raise ValueError(f"starts must be distinct names among {', '.join(ALL_STARTS)}, got {starts!r}.")
    return chosen


def _epochs(max_epochs: int | Mapping[str, int] | None) -> int | dict[str, int] | None:
    """Check how many epochs pretrainings take, of all or each by its name."""
    if not isinstance(max_epochs, Mapping):
        check("max_epochs", max_epochs, optional(integer(0)))
        return max_epochs
    unknown = [name for name in max_epochs if name not in EPOCHS_OF]
    if unknown:
        raise ValueError(f"max_epochs must have keys among {', '.join(EPOCHS_OF)}, got {unknown}.")
    for name, number in max_epochs.items():
        check(f"max_epochs[{name!r}]", number, integer(0))
    return dict(max_epochs)


def _check_others(plan: Plan) -> None:
    """Refuse vectors of another property for tasks that have none."""
    alone = [task.name for task in plan.tasks if task.other is None]
    wanted = [name for name, kind in plan.features.items() if isinstance(kind, str) and kind in OTHERS]
    if alone and wanted:
        raise ValueError(f"the feature set {wanted[0]!r} needs another property, and none is known for {alone[0]!r}.")


def _feature_sets(features: Sequence[str] | Mapping[str, Any] | None, transductive: bool) -> dict[str, Any]:
    """Check the feature sets, and put them by name."""
    if isinstance(features, str):
        raise TypeError(f"features must be a list of names, got {features!r}; write [{features!r}].")
    given = default_features() if features is None else features
    sets = dict(given) if isinstance(given, Mapping) else {name: name for name in given}
    if not sets or len(sets) < len(given):
        raise ValueError(f"features must have at least one feature set, and each once, got {list(given)}.")
    check_feature_names(sets)
    if transductive:
        sets.setdefault(TRANSDUCTIVE, TRANSDUCTIVE)
    known = [*PRETRAININGS, *OTHERS, *REFERENCE_FEATURES]
    for name, kind in sets.items():
        if isinstance(kind, str) and kind not in known:
            raise ValueError(f"features must be transformers or names among {', '.join(known)}, got {kind!r}.")
        if not isinstance(kind, str) and not (hasattr(kind, "fit") and hasattr(kind, "transform")):
            raise TypeError(f"features[{name!r}] must be the name of a feature set or a transformer, got {kind!r}.")
    return sets


def _regressors(
    regressors: Sequence[str] | Mapping[str, Any],
) -> tuple[list[NamedRegressor], SiteNetRegressor | None]:
    """Make the regressors on fixed vectors, and what is fine-tuned if that is asked for."""
    from skdim.regressor import SiteNetRegressor

    fixed: Any = regressors
    fine_tuned = None
    if isinstance(regressors, Mapping):
        fixed = {name: one for name, one in regressors.items() if name != FINE_TUNED}
        fine_tuned = regressors.get(FINE_TUNED)
        if fine_tuned is not None and not isinstance(fine_tuned, SiteNetRegressor):
            raise TypeError(f"regressors[{FINE_TUNED!r}] must be a SiteNetRegressor, got {fine_tuned!r}.")
    elif not isinstance(regressors, str):
        fixed, known = [name for name in regressors if name != FINE_TUNED], [*REGRESSORS, FINE_TUNED]
        if not set(regressors) <= set(known) or len(set(regressors)) < len(regressors):
            raise ValueError(f"regressors must be distinct names among {', '.join(known)}, got {list(regressors)}.")
        fine_tuned = SiteNetRegressor() if FINE_TUNED in regressors else None
    named = resolve_regressors(fixed) if len(fixed) or fine_tuned is None else []
    return [one.on_distances() for one in named], fine_tuned


def _repeats(names: Sequence[str], n_repeats: int, fine_tuning: int, fewer: Mapping[str, int]) -> dict[str, int]:
    """Say how many repeats each regressor has."""
    given = {"n_repeats": n_repeats, "fine_tuning_repeats": fine_tuning}
    given |= {f"fewer_repeats[{name!r}]": number for name, number in fewer.items()}
    for parameter, number in given.items():
        check(parameter, number, integer(1))
    unknown = [name for name in fewer if name not in names or name == FINE_TUNED]
    if unknown:
        raise ValueError(f"fewer_repeats must name regressors of the study, {', '.join(names)}, got {unknown}.")
    return {name: int(fine_tuning if name == FINE_TUNED else fewer.get(name, n_repeats)) for name in names}


def _baseline(baseline: str | None, features: Mapping[str, Any]) -> str:
    """Choose the feature set to compare with."""
    if baseline is None:
        return "magpie" if "magpie" in features else list(features)[-1]
    if baseline not in features:
        raise ValueError(f"baseline must be a feature set of the study, {', '.join(features)}, got {baseline!r}.")
    return baseline


def _check_labels(plan: Plan) -> None:
    """Refuse numbers of labels that a task does not have, with the size of its pool."""
    for task, targets, labels in zip(plan.tasks, plan.targets, plan.labels, strict=True):
        try:
            draw_repeats(targets.pool, labels, 1, plan.seed, CV)
        except ValueError as error:
            raise ValueError(f"{task.name}: {error}") from error


def _try_references(features: Mapping[str, Any]) -> None:
    """Compute each reference set of one crystal, so that a package that is missing is found at once."""
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    for kind in features.values():
        if isinstance(kind, str) and kind in REFERENCE_FEATURES:
            try:
                reference_features(kind, [salt])
            except ImportError as error:
                raise ValueError(f"the feature set {kind!r} cannot be computed here: {error}") from error
