"""One record of a JSON file: its id and its crystal, or why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skdim.crystals.records import is_record, structure_from_dict, unwrap
from skdim.crystals.sources import Source, as_text, own_id
from skdim.crystals.textformats import is_crystal_text

__all__ = ["holds_crystal", "record_source", "why_not"]


def record_source(
    key: str | None,  # the id that it has where it stands
    fallback: str,  # what it is called if it has no id of its own either
    value: Any,  # a dict or text, or what is neither
    column: str | None = None,  # the fields that hold the crystal and its id
    id_field: str | None = None,
) -> Source:
    """Make the source of one record: a problem, if there is no crystal in it, or no id in the field that was named."""
    name = key
    try:
        if isinstance(value, Mapping) and (key is None or id_field is not None):
            name = own_id(value, id_field)
        name = fallback if name is None else name
        return Source(name, _crystal(value, column))
    except ValueError as error:
        return Source(fallback if name is None else name, problem=str(error))


def why_not(value: Any) -> str:
    """Say why text or a dict is no crystal."""
    if isinstance(value, str):
        return f"text that is neither CIF nor POSCAR nor JSON: it begins with {value[:40]!r}"
    inner = value.get("attributes") if isinstance(value, Mapping) else None  # of a resource of OPTIMADE
    try:
        structure_from_dict(inner if isinstance(inner, Mapping) else value)
    except ValueError as error:
        return str(error)
    return "no crystal"


def _crystal(value: Any, column: str | None) -> Any:
    """Return the crystal of a record as what is parsed later."""
    if isinstance(value, Mapping):
        value = unwrap(value, column)
    elif value is None:
        raise ValueError("a missing value (null)")
    elif not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__}, where a crystal is needed")
    return as_text(value) if isinstance(value, str) else value


def holds_crystal(value: Any, column: str | None = None) -> bool:
    """Tell whether a value is a crystal or has one among its fields, damaged ones included.

    Examples
    --------
    >>> holds_crystal({"structure": {"lattice": {}}}), holds_crystal({"energy": 1})
    (True, False)
    """
    if isinstance(value, str):
        return is_crystal_text(value)
    if not isinstance(value, Mapping):
        return False
    if column is not None:
        return column in value
    try:
        found = unwrap(value)
    except ValueError:  # more than one
        return True
    return isinstance(found, str) or is_record(found) or isinstance(value.get("structure"), Mapping)
