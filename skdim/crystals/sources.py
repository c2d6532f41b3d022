"""Where a crystal comes from: its id, what is to be parsed, or why there is nothing to parse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ID_FIELDS", "Source", "UniqueIds", "as_text", "own_id"]

ID_FIELDS = ("material_id", "id", "entry_id", "jid", "mat_id", "task_id", "immutable_id", "cod_id", "icsd_id", "mpid")
"""Fields that are taken for the id of a record or of the rows of a table, the first one that is there."""


@dataclass(frozen=True)
class Source:
    """A crystal that is not parsed yet."""

    id: str  # what it is called, unlike all others of its kind in a file
    content: Any = None  # what `skdim.crystals.structures.coerce_structure` reads: a path, text, or a dict
    problem: str | None = None  # why there is no content; None if there is


class UniqueIds:
    """Ids that were given out: one that comes again gets "#2", "#3", ... at its end.

    Examples
    --------
    >>> ids = UniqueIds()
    >>> [ids.unique(name) for name in ("mp-1", "mp-2", "mp-1")]
    ['mp-1', 'mp-2', 'mp-1#2']
    """

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def unique(self, name: str) -> str:
        """Return an id that was not given out before."""
        # Names that are no UTF-8 could not be written to any table.
        name = unique = name if name.isascii() else name.encode("utf-8", "replace").decode()
        while self._taken[unique]:
            self._taken[name] += 1
            unique = f"{name}#{self._taken[name]}"
        self._taken[unique] += 1
        return unique


def as_text(text: str) -> str:
    r"""Mark text so that it cannot be taken for a path: what a file holds must not lead to other files.

    Examples
    --------
    >>> as_text("/etc/passwd")
    '/etc/passwd\n'
    """
    return text + "\n"


def own_id(record: Mapping[str, Any], field: str | None = None) -> str | None:
    """Return the id of a record, in one of `ID_FIELDS` of it or of its field "data", or in the field that is named.

    None if it has none; that the field that was named is missing or empty is a ValueError.

    Examples
    --------
    >>> own_id({"entry_id": None, "data": {"mat_id": "agm1"}})
    'agm1'
    """
    if field is not None:
        named = _as_id(record.get(field))
        if named is None:
            raise ValueError(f"the id field {field!r} is missing or empty")
        return named
    inner = record.get("data")
    for fields in (record, inner if isinstance(inner, Mapping) else {}):
        for name in ID_FIELDS:
            if (found := _as_id(fields.get(name))) is not None:
                return found
    return None


def _as_id(value: Any) -> str | None:
    """Return a text or a whole number as an id."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None
