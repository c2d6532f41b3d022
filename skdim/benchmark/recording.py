"""The folder of a study in; its records and what is known about how they came to be, checked, out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim.benchmark.records import COLUMNS, NO_FEATURES, comparable_heads

if TYPE_CHECKING:
    import pandas as pd

MAP_COLUMNS = ("task", "method", "x", "y", "target", "features")


@dataclass(frozen=True, eq=False)
class Recording:
    """What the folder of a study holds.

    Attributes
    ----------
    records : DataFrame
        Of ``results.parquet``; columns as of `label_efficiency`.
    study : dict
        Of ``study.json``.
    maps : DataFrame or None
        Of ``maps.parquet``, where it is there.
    """

    records: pd.DataFrame
    study: dict[str, Any]
    maps: pd.DataFrame | None = None

    @cached_property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return [str(name) for name in self.records["task"].unique()]

    @cached_property
    def features(self) -> list[str]:
        """Names of the feature sets, without what ignores them."""
        return [str(name) for name in self.records["features"].unique() if name != NO_FEATURES]

    @cached_property
    def heads(self) -> list[str]:
        """Heads from which the best may be chosen."""
        return comparable_heads(self.records)

    @property
    def other_heads(self) -> list[str]:
        """Heads that were measured but are not chosen from."""
        sighted = self.records.loc[self.records["features"] != NO_FEATURES, "head"].unique()
        return [str(head) for head in sighted if head not in self.heads]

    def of_task(self, task: str) -> dict[str, Any]:
        """Give what is known about a task; {} if nothing is."""
        tasks = self.study.get("tasks", {})
        facts = tasks.get(task, {}) if isinstance(tasks, dict) else {}
        return facts if isinstance(facts, dict) else {}

    def unit(self, task: str) -> str:
        """Give the unit of a task's target, "" where it is not known."""
        return str(self.of_task(task).get("unit") or "")

    @property
    def pool_sizes(self) -> dict[str, int]:
        """Size of the training fold of each task for which it is known."""
        sizes = {task: self.of_task(task).get("training_fold") for task in self.tasks}
        return {task: int(size) for task, size in sizes.items() if size}

    def cells(self, task: str) -> list[int]:
        """Numbers of labels of a task."""
        return sorted(int(n) for n in self.records.loc[self.records["task"] == task, "labels"].unique())

    def draws(self, heads: list[str]) -> str:
        """Say how many draws some heads have, such as "20" or "5 to 20"."""
        own = self.records[self.records["head"].isin(heads)]
        counts = own.groupby(["task", "features", "head", "labels"])["draw"].nunique()
        if counts.empty:
            return "no"
        return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"


def read_recording(folder: str | os.PathLike[str]) -> Recording:
    """Read the folder of a study.

    Parameters
    ----------
    folder : str or path
        With ``results.parquet`` and ``study.json``, and possibly ``maps.parquet``.

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If the folder or one of the first two files is not there.
    ValueError
        If a file cannot be read, has not the columns it should have, or has no rows.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"folder={str(folder)!r} is no folder; accepted is one that `skdim benchmark` wrote.")
    records = _table(place / "results.parquet", COLUMNS)
    keys = ["task", "features", "head", "labels", "draw"]
    if records.empty or records.duplicated(keys).any():
        twice = records.loc[records.duplicated(keys), keys].head(1).values.tolist()
        reason = f"has {twice[0]} twice" if twice else "has no rows"
        raise ValueError(f"{place / 'results.parquet'} {reason}; it should have one row for each of {', '.join(keys)}.")
    maps = _table(place / "maps.parquet", MAP_COLUMNS) if (place / "maps.parquet").exists() else None
    return Recording(records, _facts(place / "study.json"), maps)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a table that has to have some columns."""
    import pandas as pd
    from pyarrow.lib import ArrowException

    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; `skdim benchmark` writes it into its folder.")
    try:
        table = pd.read_parquet(path)
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
        raise ValueError(f"{path} holds a {type(facts).__name__}; accepted is an object with keys such as 'command'.")
    return facts
