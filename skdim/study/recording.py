"""The folder of a recorded study: its records, and what is known about how they were made."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import skdim
from skdim._files import replacing
from skdim.evaluation._records import COLUMNS, NO_FEATURES, comparable_regressors

if TYPE_CHECKING:
    import pandas as pd

    from skdim.study.plan import Plan

MAP_COLUMNS = ("task", "method", "x", "y", "target", "features")
# Names of columns in studies recorded before they were renamed.
_FORMER = {"head": "regressor", "draw": "repeat"}
# What the errors of regressors depend on; what features depend on shows in the features.
_OF_REGRESSORS = ("numpy", "scipy", "scikit-learn")
_SHOWN = (*_OF_REGRESSORS, "torch", "skorch", "pymatgen", "matminer", "pandas", "chgnet", "sevenn", "umap-learn")


@dataclass(frozen=True, eq=False)
class Recording:
    """What the folder of a study holds."""

    records: pd.DataFrame  # of ``results.parquet``; columns as of `label_efficiency`
    study: dict[str, Any]  # of ``study.json``
    maps: pd.DataFrame | None = None  # of ``maps.parquet``, where it is there

    @cached_property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return [str(name) for name in self.records["task"].unique()]

    @cached_property
    def features(self) -> list[str]:
        """Names of the feature sets, without what ignores them."""
        return [str(name) for name in self.records["features"].unique() if name != NO_FEATURES]

    @cached_property
    def regressors(self) -> list[str]:
        """Regressors from which the best may be chosen."""
        return comparable_regressors(self.records)

    @property
    def other_regressors(self) -> list[str]:
        """Regressors that were measured but are not chosen from."""
        sighted = self.records.loc[self.records["features"] != NO_FEATURES, "regressor"].unique()
        return [str(name) for name in sighted if name not in self.regressors]

    def of_task(self, task: str) -> dict[str, Any]:
        """Return what is known about a task; {} if nothing is."""
        tasks = self.study.get("tasks", {})
        facts = tasks.get(task, {}) if isinstance(tasks, dict) else {}
        return facts if isinstance(facts, dict) else {}

    def unit(self, task: str) -> str:
        """Return the unit of a task's target, "" where it is not known."""
        return str(self.of_task(task).get("unit") or "")

    @property
    def pool_sizes(self) -> dict[str, int]:
        """Size of the training fold of each task for which it is known."""
        sizes = {task: self.of_task(task).get("training_fold") for task in self.tasks}
        return {task: int(size) for task, size in sizes.items() if size}

    def label_counts(self, task: str) -> list[int]:
        """Numbers of labels of a task."""
        return sorted(int(n) for n in self.records.loc[self.records["task"] == task, "labels"].unique())

    def repeats(self, regressors: Sequence[str]) -> str:
        """Say how many repeats some regressors have, such as "20" or "5 to 20"."""
        own = self.records[self.records["regressor"].isin(regressors)]
        counts = own.groupby(["task", "features", "regressor", "labels"])["repeat"].nunique()
        if counts.empty:
            return "no"
        return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"


def read_recording(folder: str | os.PathLike[str]) -> Recording:
    """Read the folder of a study: ``results.parquet`` and ``study.json``, and ``maps.parquet`` where it is there.

    Records of earlier studies, whose columns are called ``head`` and ``draw``, are read as well. A file that is missing
    is a FileNotFoundError, one that cannot be used a ValueError.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"folder must be one that `skdim benchmark` wrote; {str(folder)!r} is no folder.")
    records = _table(place / "results.parquet", COLUMNS)
    keys = ["task", "features", "regressor", "labels", "repeat"]
    if records.empty or records.duplicated(keys).any():
        twice = records.loc[records.duplicated(keys), keys].head(1).values.tolist()
        reason = f"has {twice[0]} twice" if twice else "has no rows"
        raise ValueError(f"{place / 'results.parquet'} {reason}; it must have one row for each of {', '.join(keys)}.")
    maps = _table(place / "maps.parquet", MAP_COLUMNS) if (place / "maps.parquet").exists() else None
    return Recording(records, _facts(place / "study.json"), maps)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a table that must have some columns."""
    import pandas as pd
    from pyarrow.lib import ArrowException

    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; `skdim benchmark` writes it into its folder.")
    try:
        table = pd.read_parquet(path).rename(columns=_FORMER)
    except (ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as parquet: {error}") from error
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"{path} has no columns {missing}; it has {list(table.columns)}.")
    return table


def _facts(path: Path) -> dict[str, Any]:
    """Read what is known about a study."""
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; `skdim benchmark` writes it into its folder.")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(facts, dict):
        raise ValueError(f"{path} must hold an object with keys such as 'command', got a {type(facts).__name__}.")
    return facts


def versions_of(*more: str) -> dict[str, str]:
    """Return the versions of what decides the errors of a regressor, and of ``more`` that is installed."""
    found = {"skdim": skdim.__version__}
    for name in (*_OF_REGRESSORS, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_facts(plan: Plan, found: dict[str, Any], finished: bool) -> None:
    """Write ``study.json``: the plan, what only the running shows, and whether the records are complete."""
    facts: dict[str, Any] = {
        "command": None,
        "quick": False,
        "finished": finished,
        "seed": plan.seed,
        "versions": {"python": platform.python_version(), **versions_of(*_SHOWN)},
        "baseline": plan.baseline,
        "tasks": {
            task.name: {
                "unit": task.unit,
                "crystals": len(task),
                "training_fold": len(targets.pool),
                "test_fold": len(targets.test),
                "labels": [int(n) for n in labels],
            }
            for task, targets, labels in zip(plan.tasks, plan.targets, plan.labels, strict=True)
        },
        "settings": {
            "features": {name: kind if isinstance(kind, str) else repr(kind) for name, kind in plan.features.items()},
            "repeats": plan.n_repeats,
            "starts": list(plan.starts) if plan.fine_tuned is not None else [],
            "crystals": plan.crystals,
            "max_epochs": plan.max_epochs,
            "device": plan.device,
            "n_jobs": plan.n_jobs,
        },
        **found,
    }
    with replacing(plan.out / "study.json") as draft:
        draft.write_text(json.dumps(facts, indent=2, allow_nan=False), encoding="utf-8")
