"""Checks of parameters, declared once beside the class they belong to, and parameters as JSON.

A check reads ``check("patience", 0, integer(1))`` and fails with one form of message: "patience must be an integer
>= 1, got 0."
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skdim.exceptions import InputError, first_few


@dataclass(frozen=True)
class Accepted:
    """What a parameter accepts."""

    words: str  # for the message, after "must be"
    test: Callable[[Any], bool]  # whether a value is accepted; it takes a value of any type


def integer(least: int, most: float = math.inf, why: str = "") -> Accepted:
    """Integers within bounds, both included; booleans are not integers.

    Examples
    --------
    >>> integer(1).words, integer(1, 5, "the number of labels").words
    ('an integer >= 1', 'an integer from 1 to 5 (the number of labels)')
    """
    words = f"an integer >= {least}" if most == math.inf else f"an integer from {least} to {most}"
    return Accepted(
        words + f" ({why})" * bool(why), lambda value: _is_number(value, int, np.integer) and least <= value <= most
    )


def number(
    *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf, below: float = math.inf
) -> Accepted:
    """Finite numbers within bounds, of which ``least`` and ``most`` are included; booleans are not numbers.

    Examples
    --------
    >>> number(above=0).words, number(least=0, below=1).words, number().words
    ('a finite number > 0', 'a number >= 0 and < 1', 'a finite number')
    """
    signs = {">=": least, ">": above, "<=": most, "<": below}
    bounds = [f"{sign} {bound:g}" for sign, bound in signs.items() if math.isfinite(bound)]
    closed = any(map(math.isfinite, (most, below)))
    words = " ".join(["a" if closed else "a finite", "number", " and ".join(bounds)]).strip()

    def test(value: Any) -> bool:
        if not _is_number(value, int, float, np.integer, np.floating):
            return False
        if isinstance(value, int) and abs(value) > sys.float_info.max:  # Python's integers have no end
            return False
        return math.isfinite(value) and least <= value <= most and above < value < below

    return Accepted(words, test)


def choice(*values: Any) -> Accepted:
    """One of some values, of the same type.

    Examples
    --------
    >>> choice("mae", "mse", "huber").words
    "'mae', 'mse' or 'huber'"
    """
    *first, last = map(repr, values)

    def test(value: Any) -> bool:
        plain = value.item() if isinstance(value, np.generic) else value
        return any(type(plain) is type(one) and plain == one for one in values)  # True is not 1

    return Accepted(f"{', '.join(first)} or {last}" if first else last, test)


def optional(accepted: Accepted) -> Accepted:
    """None, or what else is accepted.

    Examples
    --------
    >>> optional(integer(1)).words
    'None or an integer >= 1'
    """
    return Accepted(f"None or {accepted.words}", lambda value: value is None or accepted.test(value))


FLAG = choice(True, False)
ON_ERROR = choice("raise", "nan")
N_JOBS = Accepted(
    "None or an integer other than 0 (-1 uses all processors)",
    lambda value: value is None or (_is_number(value, int, np.integer) and value != 0),
)
VERBOSE = Accepted(
    "a boolean or an integer >= 0",
    lambda value: isinstance(value, bool | np.bool_) or (_is_number(value, int, np.integer) and value >= 0),
)
RUNNING = {"on_error": ON_ERROR, "n_jobs": N_JOBS, "verbose": VERBOSE}
"""What the parameters accept that say what becomes of failing rows, and how to run."""
FOLDER = Accepted("None or the path of a folder", lambda value: value is None or isinstance(value, str | os.PathLike))


def check(name: str, value: Any, accepted: Accepted) -> None:
    """Refuse a value that a parameter does not accept.

    Examples
    --------
    >>> check("patience", 0, integer(1))
    Traceback (most recent call last):
    ...
    skdim.exceptions.InputError: patience must be an integer >= 1, got 0.
    """
    if not accepted.test(value):
        raise InputError(f"{name} must be {accepted.words}, got {shown(value)}.")


def shown(value: Any, most: int = 200) -> str:
    """Show a value in a message, the beginning alone where it is long.

    Examples
    --------
    >>> shown("a short one"), shown("x" * 1000, 5)
    ("'a short one'", "'xxxx...")
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or an integer of more digits than Python writes
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}..."


def check_are_numbers(what: str, values: Any, rows: Any) -> None:
    """Refuse what a model gives for rows (C,) where it is NaN or infinite, values (C, ...); the message names the rows.

    Examples
    --------
    >>> check_are_numbers("predictions", np.array([1.0, np.nan]), np.array([4, 7]))
    Traceback (most recent call last):
    ...
    FloatingPointError: the predictions of 1 crystals are not finite (rows 7): weights of the model are too large, ...
    """
    values = np.asarray(values)
    fine = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not fine.all():
        wrong = np.asarray(rows)[~fine].tolist()
        raise FloatingPointError(
            f"the {what} of {len(wrong)} crystals are not finite (rows {first_few(wrong, 5)}): "
            "weights of the model are too large, or the file was changed. Load another one, or train anew."
        )


def check_parameters(owner: object, accepted: Mapping[str, Accepted]) -> None:
    """Refuse an object one of whose attributes has a value that is not accepted.

    The attributes are given by name; a trailing underscore is left out of the message.
    """
    for name, values in accepted.items():
        check(name.rstrip("_"), getattr(owner, name), values)


def _is_number(value: Any, *types: type) -> bool:
    """Whether a value is of one of the types, and no boolean."""
    return isinstance(value, types) and not isinstance(value, bool)


def seed_of(random_state: Any) -> int:
    """Draw a seed from a random state without a trace in any global generator; None gives another seed each time."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    from sklearn.utils import check_random_state  # a second, which reading the header of a model does without

    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise InputError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a numpy.random.RandomState, got "
            f"{random_state!r}."
        ) from error


def as_json(value: Any) -> str:
    """Write a value as JSON; numbers of numpy and paths become those of Python.

    Examples
    --------
    >>> as_json({"width": np.int64(3), "heads": (1, 2)})
    '{"width": 3, "heads": [1, 2]}'
    """
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    """Python's own number or text for one of numpy, or for a path."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written as JSON.")
