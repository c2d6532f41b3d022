"""Which column of a table holds the crystals, and which one their ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymatgen.core.structure import IStructure

from skdim.crystals.dialects import DIALECT_FIELDS
from skdim.crystals.given import is_a, is_upload
from skdim.crystals.records import is_record, unwrap
from skdim.crystals.sources import ID_FIELDS, Source
from skdim.crystals.textformats import is_crystal_text, mistaken_for
from skdim.exceptions import first_few

__all__ = ["LOOKED_AT", "choose_column", "choose_ids", "looks_like_crystal"]

LOOKED_AT = 20
"""Values of a column that are looked at to tell whether it holds crystals."""
_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".json", ".gz", ".bz2", ".xz")


def choose_column(
    names: Sequence[Any],  # of the columns
    # Some values of each column that may hold crystals, by the place of the column.
    samples: Mapping[int, Iterable[Any]],
    column: str | None = None,  # the name of the one to take
    *,
    paths: bool = False,  # whether paths count as crystals: in a table in memory, not in one from a file
) -> list[int]:
    """Choose the columns of a table that hold the crystals.

    Mostly it is the place of one column: the one that is named, that of the name "structure", the only one that holds
    crystals, or the only one there is. Else the places of the fields that make a crystal together, such as
    "lattice_vectors", "cartesian_site_positions" and "species_at_sites". No such column, or more than one, is a
    ValueError that lists the columns.

    Examples
    --------
    >>> choose_column(["id", "relaxed", "energy"], {0: ["a"], 1: [{"lattice": {}, "sites": []}], 2: [1.0]})
    [1]
    """
    if column is not None:
        named = [place for place, name in enumerate(names) if name == column]
        if len(named) != 1:
            raise ValueError(f"there {_how_many(named)} {column!r}; {_listed(names)}")
        return named
    holding = [
        place for place, values in samples.items() if any(looks_like_crystal(value, paths=paths) for value in values)
    ]
    preferred = [place for place in holding if names[place] == "structure"]
    if len(preferred) == 1 or len(holding) == 1:
        return preferred or holding
    if len(holding) > 1:
        raise ValueError(
            f"the columns {_names(names, holding)} hold crystals; name the one to take (column), or pass it alone"
        )
    if together := _together(names):
        return together
    called = [place for place, name in enumerate(names) if name == "structure"]
    if len(called) == 1 or len(names) == 1:
        return called or [0]
    raise ValueError(
        f"no column holds crystals (CIF or JSON text, or dicts); {_listed(names)}" + _near_miss(names, samples)
    )


def _near_miss(names: Sequence[Any], samples: Mapping[int, Iterable[Any]]) -> str:
    """Say what the texts of a column are that are nearly crystals: dicts that were printed, names of files."""
    for place, values in samples.items():
        texts = [value for value in values if isinstance(value, str)]
        if any(found := [mistaken_for(text) for text in texts if text]):
            return f"; {str(names[place])!r} holds {next(filter(None, found))}"
        if any(_is_path(text) for text in texts):
            return f"; {str(names[place])!r} holds names of files, which are not followed: pass the files themselves"
    return ""


def _is_path(text: str) -> bool:
    """Tell the path of a file by its end."""
    return text.lower().endswith(_SUFFIXES) or "POSCAR" in text or "CONTCAR" in text


def _how_many(named: Sequence[int]) -> str:
    """Say that a column is missing, or there more than once."""
    return "is no column" if not named else f"are {len(named)} columns"


def _listed(names: Sequence[Any]) -> str:
    """List all columns."""
    return f"the columns are {_names(names, range(len(names)))}"


def _names(names: Sequence[Any], places: Iterable[int]) -> str:
    """List some columns."""
    return first_few((repr(str(names[place])[:40]) for place in places), 20)


def _together(names: Sequence[Any]) -> list[int]:
    """Find the columns that make a crystal together."""
    for fields in DIALECT_FIELDS:
        if all(field in names for field in fields):
            return list(range(len(names)))
    return []


def choose_ids(names: Sequence[Any], column: str | None = None) -> int | None:
    """Choose the column of the ids: the one that is named, or the first of `skdim.crystals.sources.ID_FIELDS`.

    Examples
    --------
    >>> choose_ids(["cif", "jid"]), choose_ids(["cif", "ID"]), choose_ids(["cif", "gap"])
    (1, 1, None)
    """
    if column is not None:
        return choose_column(names, {}, column)[0]
    spelled = [names, [str(name).strip().lower().replace(" ", "_") for name in names]]
    found = (place for some in spelled for field in ID_FIELDS for place, name in enumerate(some) if name == field)
    return next(found, None)


def looks_like_crystal(obj: object, *, paths: bool = False) -> bool:
    """Tell crystals from formulas, identifiers and numbers, without reading files."""
    if isinstance(obj, str):
        if is_crystal_text(obj):
            return True
        return paths and _is_path(obj)
    if isinstance(obj, Mapping):
        try:
            return is_record(unwrap(obj)) or isinstance(unwrap(obj), str)
        except ValueError:
            return True
    if isinstance(obj, bytes):
        return is_crystal_text(obj.decode("utf-8", "replace"))
    known = isinstance(obj, IStructure | Source) or isinstance(getattr(obj, "structure", None), IStructure)
    known = known or is_a(obj, "ase.atoms", "Atoms") or is_upload(obj)
    return known or (paths and isinstance(obj, os.PathLike))
