"""Read and check crystals of any accepted kind, one or many, and say why rows failed."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any

from pymatgen.core.structure import IStructure

from skdim._parameters import ON_ERROR, check
from skdim.crystals.coercion import coerce_crystal, source_of
from skdim.crystals.crystal import Crystal
from skdim.crystals.notes import Decided, describe_notes
from skdim.crystals.prechecks import check_crystal
from skdim.crystals.rows import as_structures, row_labels
from skdim.exceptions import StructureError

__all__ = ["coerce_structure", "load_structures", "told_notes", "try_crystal", "try_structure"]


def coerce_structure(obj: object) -> IStructure:
    """Make a pymatgen structure of one crystal, as `coerce_crystal` takes it; a Structure is returned as it is.

    Warns
    -----
    UserWarning
        What was decided in reading it.
    """
    crystal = coerce_crystal(obj)
    if told := told_notes([Decided(0, source_of(obj), note) for note in crystal.notes], None):
        warnings.warn(told, UserWarning, stacklevel=2)
    return crystal.structure


def told_notes(decided: Sequence[Decided], X: Any) -> str | None:
    """Say once what was decided in reading rows of X; None if nothing was.

    Examples
    --------
    >>> from skdim.crystals.notes import Note
    >>> print(told_notes([Decided(3, "NaCl.cif", Note("moments are ignored"))], []))
    1 structure was read with notes:
      moments are ignored (1 structure): row 3 (NaCl.cif)
    """
    if not decided:
        return None
    given = row_labels(X, [one.row for one in decided])
    labels: Sequence[str | None] = given or [one.source for one in decided]
    named = zip(decided, labels, strict=True)
    return describe_notes([(f"row {one.row}" + (f" ({label})" if label else ""), one.note) for one, label in named])


def try_crystal(
    obj: object,  # one crystal, as for `coerce_crystal`
    *,
    max_sites: int = 5000,  # as for `check_crystal`
    elements: Collection[int] | None = None,
) -> tuple[Crystal | None, str | None]:
    """Read one crystal of any accepted kind and check it: the crystal, or None and the reason why it failed.

    Examples
    --------
    >>> try_crystal({"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": [], "frac_coords": []})
    (None, 'no sites; at least one is needed')
    """
    try:
        return check_crystal(coerce_crystal(obj), max_sites=max_sites, elements=elements), None
    except ValueError as error:
        return None, str(error)


def try_structure(
    obj: object, *, max_sites: int = 5000, elements: Collection[int] | None = None
) -> tuple[IStructure | None, str | None]:
    """Make a pymatgen structure of one crystal of any accepted kind and check it; see `try_crystal`.

    Warns
    -----
    UserWarning
        What was decided in reading it.
    """
    crystal, reason = try_crystal(obj, max_sites=max_sites, elements=elements)
    if crystal is None:
        return None, reason
    if told := told_notes([Decided(0, source_of(obj), note) for note in crystal.notes], None):
        warnings.warn(told, UserWarning, stacklevel=2)
    return crystal.structure, None


def load_structures(
    X: Any,  # as for `as_structures`
    *,
    # With "raise", rows that fail are an error which names them all. With "nan" they are None, and it is for the caller
    # to warn.
    on_error: str = "raise",
    max_sites: int = 5000,  # as for `check_crystal`
    elements: Collection[int] | None = None,
) -> tuple[list[IStructure | None], list[tuple[int, str]]]:
    """Make checked structures of a collection of crystals, and list row number and reason of each failing row.

    With on_error="raise" they are one StructureError; with "nan" their entries are None, and it is for the caller to
    warn.

    Warns
    -----
    UserWarning
        Once, of all that was decided in reading.

    Examples
    --------
    >>> crystal = {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    >>> structures, failures = load_structures([crystal, None], on_error="nan")
    >>> [row for row, _ in failures]
    [1]
    """
    check("on_error", on_error, ON_ERROR)
    rows = as_structures(X)
    tried = [try_crystal(obj, max_sites=max_sites, elements=elements) for obj in rows]
    failures = [(row, reason) for row, (_, reason) in enumerate(tried) if reason is not None]
    read = [(row, crystal) for row, (crystal, _) in enumerate(tried) if crystal is not None]
    decided = [Decided(row, source_of(rows[row]), note) for row, crystal in read for note in crystal.notes]
    if told := told_notes(decided, X):
        warnings.warn(told, UserWarning, stacklevel=2)
    if failures and on_error == "raise":
        raise StructureError(failures, row_labels(X, [row for row, _ in failures]))
    return [None if crystal is None else crystal.structure for crystal, _ in tried], failures
