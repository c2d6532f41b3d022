"""The words of a study in; what it will do, checked before anything takes long, out."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim._parameters import check_number
from skdim.benchmark.checks import check_folder, check_numbers, try_baselines
from skdim.benchmark.draws import Draw, draw_labels
from skdim.benchmark.fine_tuned import HEAD as FINE_TUNED
from skdim.benchmark.pretrained import EMBEDDERS
from skdim.benchmark.records import NO_FEATURES
from skdim.benchmark.tasks import DATASETS, StudyTask, load_task
from skdim.benchmark.trials import Task, make_task
from skdim.evaluation._regressors import REGRESSORS as HEADS
from skdim.evaluation._regressors import NamedRegressor as Head
from skdim.evaluation._regressors import resolve_regressors as resolve_heads

if TYPE_CHECKING:
    from skdim.regressor import SiteNetRegressor

CV = 5
TRANSDUCTIVE = "default transductive"
STUDY_HEADS = ("median", "linear", "ridge", "kernel_ridge", "random_forest_cv", "extra_trees_cv", "mlp", FINE_TUNED)
"""Heads of a study that is not told otherwise."""


@dataclass(frozen=True)
class Plan:
    """What a study does.

    Attributes
    ----------
    out : Path
        Folder of its results.
    tasks : list of StudyTask
        What is predicted.
    goals : list of Task
        The same, as the heads take them.
    labels : list of tuple of int
        Numbers of labels of each task.
    features : dict
        Name of a bundled feature set, or a transformer, by the name in the records.
    heads : list of Head
        Heads on fixed vectors.
    fine_tuned : SiteNetRegressor or None
        What is fine-tuned, not fitted.
    draws : dict of str to int
        By head.
    baseline : str
        Feature set that the report compares with.
    crystals, max_epochs, seed, n_jobs
        As for `run_study`.
    """

    out: Path
    tasks: list[StudyTask]
    goals: list[Task]
    labels: list[tuple[int, ...]]
    features: dict[str, Any]
    heads: list[Head]
    fine_tuned: SiteNetRegressor | None
    draws: dict[str, int]
    baseline: str
    crystals: int | None
    max_epochs: int | None
    seed: int
    n_jobs: int | None

    def drawn(self, place: int, head: str) -> list[Draw]:
        """Draw the labels of one task for one head, large numbers first: they take longest.

        Parameters
        ----------
        place : int
            Of the task.
        head : str
            A head with fewer draws than another has the first of them.

        Returns
        -------
        list of Draw
        """
        drawn = draw_labels(self.goals[place].pool, self.labels[place], self.draws[head], self.seed, CV)
        return sorted(drawn, key=lambda draw: -draw.labels)


def make_plan(
    out: str | os.PathLike[str],
    *,
    tasks: Sequence[str | StudyTask],
    label_counts: Sequence[int] | None,
    features: Sequence[str] | Mapping[str, Any] | None,
    heads: Sequence[str] | Mapping[str, Any],
    draws: int,
    fine_tuning_draws: int,
    fewer_draws: Mapping[str, int] | None,
    transductive: bool,
    baseline: str | None,
    crystals: int | None,
    max_epochs: int | None,
    random_state: int,
    n_jobs: int | None,
) -> Plan:
    """Check the parameters of `run_study`, which it takes as they are.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError, TypeError
        If something is not known or cannot be done, naming it and what is accepted.
    """
    folder = check_folder(out)
    check_numbers(crystals, max_epochs, random_state, n_jobs)
    sets = _feature_sets(features, transductive)
    fixed, fine_tuned = _heads(heads)
    names = [head.name for head in fixed] + [FINE_TUNED] * (fine_tuned is not None)
    of_head = _draws(names, draws, fine_tuning_draws, fewer_draws or {})
    chosen = [task.sample(crystals, random_state) for task in _tasks(tasks)]
    plan = Plan(
        out=folder,
        tasks=chosen,
        goals=[make_task(task.name, task.target, task.test_mask) for task in chosen],
        labels=[tuple(task.labels if label_counts is None else label_counts) for task in chosen],
        features=sets,
        heads=fixed,
        fine_tuned=fine_tuned,
        draws=of_head,
        baseline=_baseline(baseline, sets),
        crystals=crystals,
        max_epochs=max_epochs,
        seed=int(random_state),
        n_jobs=n_jobs,
    )
    _check_labels(plan)
    try_baselines(plan.features.values())
    return plan


def default_features() -> tuple[str, ...]:
    """Name the bundled feature sets that can be computed here: all, but for chgnet where its package is missing.

    Returns
    -------
    tuple of str
    """
    from skdim.benchmark.baselines import BASELINES

    usable = [name for name in BASELINES if name != "chgnet" or importlib.util.find_spec("chgnet")]
    return (*(name for name, recipe in EMBEDDERS.items() if not recipe.transductive), *usable)


def _tasks(tasks: Sequence[str | StudyTask]) -> list[StudyTask]:
    """Load the tasks that are named."""
    if isinstance(tasks, str) or not len(tasks):
        raise ValueError(f"tasks={tasks!r}; accepted are sequences of {', '.join(DATASETS)} and StudyTasks")
    loaded = [load_task(task) if isinstance(task, str) else task for task in tasks]
    names = [task.name for task in loaded]
    if len(set(names)) < len(names):
        raise ValueError(f"the tasks {names} are not different ones")
    for task in loaded:
        if not len(task.structures) == len(task.target) == len(task.material_id) == len(task.test_mask):
            raise ValueError(f"task {task.name!r}: structures, target, material_id and test_mask differ in length")
        if task.other is not None and task.other not in DATASETS:
            raise ValueError(f"task {task.name!r}: other={task.other!r}; accepted are None, {', '.join(DATASETS)}")
    return loaded


def _feature_sets(features: Sequence[str] | Mapping[str, Any] | None, transductive: bool) -> dict[str, Any]:
    """Check the feature sets, and put them by name."""
    from skdim.benchmark.baselines import BASELINES

    if isinstance(features, str):
        raise TypeError(f"features={features!r} is a single name; put it in a list: [{features!r}]")
    given = default_features() if features is None else features
    sets = dict(given) if isinstance(given, Mapping) else {name: name for name in given}
    if not sets or len(sets) < len(given):
        raise ValueError(f"features={list(given)}: at least one is needed, and each once")
    if NO_FEATURES in sets:
        raise ValueError(
            f"features has the name {NO_FEATURES!r}, which the records keep for heads that ignore features"
        )
    if transductive:
        sets.setdefault(TRANSDUCTIVE, TRANSDUCTIVE)
    known = [*EMBEDDERS, *BASELINES]
    for name, kind in sets.items():
        if isinstance(kind, str) and kind not in known:
            raise ValueError(f"there is no feature set {kind!r}; accepted are {', '.join(known)}, and transformers")
        if not isinstance(kind, str) and not (hasattr(kind, "fit") and hasattr(kind, "transform")):
            raise TypeError(f"features[{name!r}]={kind!r} is neither the name of a feature set nor a transformer")
    return sets


def _heads(heads: Sequence[str] | Mapping[str, Any]) -> tuple[list[Head], SiteNetRegressor | None]:
    """Make the heads on fixed vectors, and what is fine-tuned if that is asked for."""
    from skdim.regressor import SiteNetRegressor

    if isinstance(heads, str):
        raise TypeError(f"heads={heads!r} is a single name; put it in a list: [{heads!r}]")
    unknown = [] if isinstance(heads, Mapping) else [name for name in heads if name not in {*HEADS, FINE_TUNED}]
    if unknown or not len(heads) or len(set(heads)) < len(heads):
        raise ValueError(f"heads={list(heads)}; accepted are different ones of {', '.join([*HEADS, FINE_TUNED])}")
    if isinstance(heads, Mapping):
        fixed: Any = {name: head for name, head in heads.items() if name != FINE_TUNED}
        fine_tuned = heads.get(FINE_TUNED)
        if fine_tuned is not None and not isinstance(fine_tuned, SiteNetRegressor):
            raise TypeError(f"heads[{FINE_TUNED!r}]={fine_tuned!r}; accepted are SiteNetRegressors")
    else:
        fixed = [name for name in heads if name != FINE_TUNED]
        fine_tuned = SiteNetRegressor() if FINE_TUNED in heads else None
    return (resolve_heads(fixed) if len(fixed) else []), fine_tuned


def _draws(heads: Sequence[str], draws: int, fine_tuning: int, fewer: Mapping[str, int]) -> dict[str, int]:
    """Say how many draws each head has."""
    check_number("draws", draws, "whole numbers of at least 1", whole=True, least=1)
    check_number("fine_tuning_draws", fine_tuning, "whole numbers of at least 1", whole=True, least=1)
    unknown = [name for name in fewer if name not in heads or name == FINE_TUNED]
    if unknown:
        raise ValueError(f"fewer_draws names {unknown}; accepted are heads of the study: {', '.join(heads)}")
    for name, number in fewer.items():
        check_number(f"fewer_draws[{name!r}]", number, "whole numbers of at least 1", whole=True, least=1)
    return {name: int(fine_tuning if name == FINE_TUNED else fewer.get(name, draws)) for name in heads}


def _baseline(baseline: str | None, features: Mapping[str, Any]) -> str:
    """Choose the feature set to compare with."""
    if baseline is None:
        return "magpie" if "magpie" in features else list(features)[-1]
    if baseline not in features:
        raise ValueError(f"baseline={baseline!r} is not among the feature sets of the study: {', '.join(features)}")
    return baseline


def _check_labels(plan: Plan) -> None:
    """Refuse numbers of labels that a task does not have, with the size of its pool."""
    for place, task in enumerate(plan.tasks):
        try:
            draw_labels(plan.goals[place].pool, plan.labels[place], 1, plan.seed, CV)
        except ValueError as error:
            raise ValueError(f"{task.name}: {error}") from error
