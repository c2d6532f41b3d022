"""What reading had to decide, kept with the crystal and told once for all crystals of a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Decided", "Note", "NoteCounts", "describe_notes"]

_LISTED = 3  # rows that are named for each kind of note


class Note(NamedTuple):
    """One thing that was decided in reading a crystal."""

    kind: str
    """What was done, in words that fit all crystals of which it is true."""
    detail: str = ""
    """What is said of this one crystal, such as the labels of its sites."""


class Decided(NamedTuple):
    """A note, and the row whose reading it is of."""

    row: int
    source: str | None  # the file that the row is, or the id that it has
    note: Note


class NoteCounts:
    """What was decided in reading many crystals: counts and the first few names, in little memory.

    Examples
    --------
    >>> counts = NoteCounts()
    >>> counts.add("row 0", [Note("hydrogens are left out", "OH1")])
    >>> counts.add("row 4", [Note("moments are ignored")])
    >>> print(counts.describe())
    2 structures were read with notes:
      hydrogens are left out (1 structure): row 0: OH1
      moments are ignored (1 structure): row 4
    """

    def __init__(self) -> None:
        self._n_crystals = 0
        self._counts: Counter[str] = Counter()
        self._shown: dict[str, list[str]] = {}

    def add(self, name: str, notes: Sequence[Note]) -> None:
        """Count the notes of one crystal, once for each kind."""
        self._n_crystals += bool(notes)
        for kind in dict.fromkeys(note.kind for note in notes):
            self._counts[kind] += 1
            shown = self._shown.setdefault(kind, [])
            if len(shown) < _LISTED:
                detail = next(note.detail for note in notes if note.kind == kind)
                shown.append(f"{name}: {detail}" if detail else name)

    def describe(self) -> str | None:
        """Say what was decided, one line for each kind; None if nothing was."""
        if not self._n_crystals:
            return None
        lines = [f"{self._n_crystals} structure{'s were' if self._n_crystals != 1 else ' was'} read with notes:"]
        for kind, shown in self._shown.items():
            count = self._counts[kind]
            more = f"; and {count - _LISTED} more" if count > _LISTED else ""
            lines.append(f"  {kind} ({count} structure{'s' if count != 1 else ''}): {'; '.join(shown)}{more}")
        return "\n".join(lines)


def describe_notes(notes: Sequence[tuple[str, Note]]) -> str:
    """Say once what was decided in reading some crystals, given by name, as `NoteCounts.describe` has it."""
    by_name: dict[str, list[Note]] = {}
    for name, note in notes:
        by_name.setdefault(name, []).append(note)
    counts = NoteCounts()
    for name, some in by_name.items():
        counts.add(name, some)
    return counts.describe() or ""
