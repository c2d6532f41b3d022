"""Trainings that are finished, kept so that a study that was stopped continues where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from skdim._files import digest

if TYPE_CHECKING:
    from skdim.evaluation._repeats import Repeat

Record = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """Finished trainings on one feature set of one task.

    Each is kept by joblib.Memory as soon as it ends, in the process that did it.
    """

    folder: Path  # of all finished trainings of a study
    basis: str  # digest of everything that decides these trainings, except for the regressor and the repeat

    def find(self, regressor: Any, repeat: Repeat) -> Record | None:
        """Return the record of a training, None if it is not finished or its file is damaged."""
        once, key = self._once(), self._key(regressor, repeat)
        if not once.check_call_in_cache(key, _missing, ()):
            return None
        try:
            record: Record = once(key, _missing, ())
        except LookupError:
            return None
        return record

    def run(self, regressor: Any, repeat: Repeat, train: Callable[..., Record], arguments: tuple[Any, ...]) -> Record:
        """Call ``train`` with the arguments, and keep the record that it returns."""
        record: Record = self._once()(self._key(regressor, repeat), train, arguments)
        return record

    def _once(self) -> Any:
        """`_call` behind joblib's cache."""
        return joblib.Memory(self.folder, verbose=0).cache(_call, ignore=["train", "arguments"])

    def _key(self, regressor: Any, repeat: Repeat) -> str:
        """Digest of a training."""
        return basis_of(self.basis, regressor, repeat.labels, repeat.number)


def _call(key: str, train: Callable[..., Record], arguments: tuple[Any, ...]) -> Record:
    """Train; the key alone says what is done."""
    return train(*arguments)


def _missing() -> Record:
    """Say that a file that was there could not be read."""
    raise LookupError


def basis_of(*parts: Any) -> str:
    """Digest arrays and texts as they are, what JSON can hold by its JSON, and other objects by their state.

    Examples
    --------
    >>> basis_of(np.arange(3), {"a": 1}) == basis_of(np.arange(3), {"a": 1}) != basis_of(np.arange(4), {"a": 1})
    True
    """
    return digest(*(part if isinstance(part, np.ndarray | str) else _text(part) for part in parts))


def _text(part: Any) -> str:
    """JSON of plain values, the hash of the state of others, each with its kind."""
    if isinstance(part, int | float | dict | list | tuple | None):
        return f"json {json.dumps(part, sort_keys=True)}"
    return f"state {joblib.hash(part)}"
