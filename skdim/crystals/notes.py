"""What reading had to decide, kept with the crystal and told once for all crystals of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Note", "describe_notes"]

_LISTED = 3  # rows that are named for each kind of note


class Note(NamedTuple):
    """One thing that was decided in reading a crystal."""

    kind: str
    """What was done, in words that fit all crystals of which it is true."""
    detail: str = ""
    """What is said of this one crystal, such as the labels of its sites."""


def describe_notes(notes: Sequence[tuple[str, Note]]) -> str:
    """Say once what was decided in reading many crystals.

    Parameters
    ----------
    notes : sequence of (str, Note)
        The name of each crystal and what is noted of it.

    Returns
    -------
    str
        One line for each kind: how many crystals, and the first three of them with their details.

    Examples
    --------
    >>> notes = [("row 0", Note("hydrogens are left out", "OH1")), ("row 4", Note("moments are ignored"))]
    >>> print(describe_notes(notes))
    2 structures were read with notes:
      hydrogens are left out (1 structure): row 0: OH1
      moments are ignored (1 structure): row 4
    """
    by_kind: dict[str, dict[str, str]] = {}
    for name, note in notes:
        by_kind.setdefault(note.kind, {}).setdefault(name, note.detail)
    count = len({name for name, _ in notes})
    lines = [f"{count} structure{'s were' if count != 1 else ' was'} read with notes:"]
    for kind, of in by_kind.items():
        shown = "; ".join(f"{name}: {detail}" if detail else name for name, detail in list(of.items())[:_LISTED])
        more = f"; and {len(of) - _LISTED} more" if len(of) > _LISTED else ""
        lines.append(f"  {kind} ({len(of)} structure{'s' if len(of) != 1 else ''}): {shown}{more}")
    return "\n".join(lines)
