"""Records in, files that are whole at any moment out; so a study that was killed finds what it had done."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np

_NUMBERS = ("cv_mae", "mae", "rmse", "r2", "seconds")


def write_text(path: Path, text: str) -> None:
    """Write a file that appears under its name only when it is complete.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    text : str
        Its content.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def write_table(path: Path, table: Any) -> None:
    """Write a DataFrame as Parquet; the file appears under its name only when it is complete.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    table : DataFrame
        Its content.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    table.to_parquet(draft, index=False)
    os.replace(draft, path)


def digest(*things: Any) -> str:
    """Hash arrays by their bytes, strings, numbers and mappings by their JSON, and other objects by their state.

    Parameters
    ----------
    *things : object
        What a result depends on.

    Returns
    -------
    str
        Hexadecimal, 32 digits; the same in every process.

    Examples
    --------
    >>> digest(np.arange(3), {"a": 1}) == digest(np.arange(3), {"a": 1}) != digest(np.arange(4), {"a": 1})
    True
    """
    total = hashlib.sha256()
    for thing in things:
        if isinstance(thing, np.ndarray):
            total.update(f"{thing.dtype.str}{thing.shape}".encode())
            total.update(np.ascontiguousarray(thing).tobytes())
        elif isinstance(thing, str | int | float | Mapping | list | tuple | None):
            total.update(json.dumps(thing, sort_keys=True).encode())
        else:
            total.update(joblib.hash(thing).encode())
        total.update(b"\n")
    return total.hexdigest()[:32]


class Parts:
    """Finished trainings, a file for each unit: one task, feature set, head and number of labels, with all its draws.

    Parameters
    ----------
    folder : Path
        Of the files; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._read: dict[str, dict[int, dict[str, Any]]] = {}

    def records(self, key: str) -> dict[int, dict[str, Any]]:
        """Give the records of a unit that are there.

        Parameters
        ----------
        key : str
            Digest of everything that decides the unit, the number of draws excepted.

        Returns
        -------
        dict of int to dict
            Record of each draw.
        """
        if key not in self._read:
            try:
                rows = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            except (FileNotFoundError, json.JSONDecodeError):  # a machine that lost its power may leave an empty file
                rows = []
            self._read[key] = {
                row["draw"]: {k: math.nan if v is None and k in _NUMBERS else v for k, v in row.items()} for row in rows
            }
        return self._read[key]

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep a record, on disk when this returns.

        Parameters
        ----------
        key : str
            Of its unit.
        record : mapping
            One row of the table; its ``draw`` is its place.
        """
        unit = self.records(key)
        unit[int(record["draw"])] = dict(record)
        rows = [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in unit[draw].items()}
            for draw in sorted(unit)
        ]
        write_text(self.folder / f"{key}.json", json.dumps(rows, indent=0, allow_nan=False))
