"""Whether JSON that was read from a file has the fields that it must have, declared once and looked at before use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from skdim._parameters import FLAG, Accepted, integer, number, optional, shown
from skdim.exceptions import ModelFileError

__all__ = [
    "ANY",
    "CLASSES",
    "COUNT",
    "ERROR",
    "FLAG",
    "NAME",
    "RECORD",
    "TEXT",
    "VERSIONS",
    "OrNone",
    "Schema",
    "check_fields",
]


@dataclass(frozen=True)
class OrNone:
    """None, or what else a field is."""

    schema: Schema


Schema = Accepted | dict[str, "Schema"] | list["Schema"] | OrNone
"""What a field is: a value that is accepted, a dict of such fields, a list of such items.

A field of a dict may be missing if its name ends in "?"; under "*" is what all other fields are, without it there are
no others. A list has one schema for all of its items.
"""

ANY = Accepted("anything", lambda value: True)  # what is looked at elsewhere
TEXT = Accepted("text", lambda value: isinstance(value, str))
NAME = Accepted("text or a number", lambda value: isinstance(value, str) or number().test(value))
COUNT = integer(0)


def _are_classes(value: Any) -> bool:
    """Whether these are two or more classes, of one type."""
    if not isinstance(value, list) or len(value) < 2 or len({type(one) for one in value}) > 1:
        return False
    whole = integer(-(2**63), 2**63 - 1)
    plain = (isinstance(one, str | bool) or (whole if isinstance(one, int) else number()).test(one) for one in value)
    return all(plain) and len(set(value)) == len(value)


CLASSES = Accepted("a list of two or more texts, or numbers, no two alike", _are_classes)
VERSIONS: Schema = {"*": TEXT}
ERROR = Accepted("a number >= 0", lambda value: value == math.inf or number(least=0).test(value))
_LOSS = number(least=-1e100, most=1e100)
_EPOCH: Schema = {
    "epoch": integer(1, 10**9),
    "train_loss": _LOSS,
    "valid_loss": optional(_LOSS),
    "dur": optional(number(least=0)),
    "member?": integer(0, 10**9),
}
RECORD: Schema = {"history": [_EPOCH], "rows": optional(COUNT), "failed": optional(COUNT), "versions": VERSIONS}
"""How a training went; see `skdim.learning.states.TrainingRecord`."""


def check_fields(name: str, value: Any, schema: Schema) -> None:
    """Refuse what does not have the fields of a schema; a ModelFileError names the first that does not fit.

    Examples
    --------
    >>> check_fields("", {"epochs": [1, "x"]}, {"epochs": [COUNT]})
    Traceback (most recent call last):
    ...
    skdim.exceptions.ModelFileError: epochs[1] must be an integer >= 0, got 'x'.
    """
    if isinstance(schema, OrNone):
        if value is not None:
            check_fields(name, value, schema.schema)
    elif isinstance(schema, Accepted):
        if not schema.test(value):
            raise ModelFileError(f"{name} must be {schema.words}, got {shown(value)}.")
    elif isinstance(schema, list):
        if not isinstance(value, list):
            raise ModelFileError(f"{name} must be a list, got {shown(value)}.")
        for place, item in enumerate(value):
            check_fields(f"{name}[{place}]", item, schema[0])
    else:
        _check_dict(name, value, schema)


def _check_dict(name: str, value: Any, schema: dict[str, Schema]) -> None:
    """Refuse what is no dict, one without a field, and one with more."""
    if not isinstance(value, dict):
        raise ModelFileError(f"{name or 'the header'} must be a dict, got {shown(value)}.")
    head, known = f"{name}." if name else "", {field.removesuffix("?"): kind for field, kind in schema.items()}
    for field in schema:
        if field != "*" and not field.endswith("?") and field not in value:
            raise ModelFileError(f"{head}{field} is missing.")
    for field, own in value.items():
        if field not in known and "*" not in known:
            raise ModelFileError(f"{head}{shown(field)} is no field of such a file.")
        check_fields(f"{head}{field}", own, known.get(field, schema.get("*", ANY)))
