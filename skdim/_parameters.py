"""Names and values of parameters in, one clear error out where a value is not accepted; values as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection
from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def check_number(
    name: str,
    value: Any,
    accepted: str,
    *,
    whole: bool = False,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Refuse what is no finite number within its bounds.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Its value.
    accepted : str
        What is accepted, for the message.
    whole : bool, default=False
        Whether only whole numbers are.
    least, above, below : float
        Bounds; the first is included.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what is accepted.

    Examples
    --------
    >>> check_number("patience", 0, "whole numbers of at least 1", whole=True, least=1)
    Traceback (most recent call last):
    ...
    ValueError: patience=0; accepted are whole numbers of at least 1.
    """
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not number or not (math.isfinite(value) and value >= least and above < value < below):
        raise ValueError(f"{name}={value!r}; accepted are {accepted}.")


def check_choice(name: str, value: Any, accepted: Collection[Any]) -> None:
    """Refuse what is not among some values.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Its value, of any type.
    accepted : collection
        The values that are accepted.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what is accepted.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if not any(type(plain) is type(one) and plain == one for one in accepted):
        raise ValueError(f"{name}={value!r}; accepted are {', '.join(map(repr, accepted))}.")


def check_effort(n_jobs: Any, verbose: Any) -> None:
    """Refuse what is no number of processes, or no level of talking.

    Parameters
    ----------
    n_jobs : int or None
        As joblib has it: -1 is all processors, 0 is nothing.
    verbose : int or bool
        0 is silent.

    Raises
    ------
    ValueError
        Naming the parameter, its value and what is accepted.

    Examples
    --------
    >>> check_effort(0, True)
    Traceback (most recent call last):
    ...
    ValueError: n_jobs=0; accepted are None and whole numbers other than 0: -1 for all processors.
    """
    if n_jobs is not None:
        accepted = "None and whole numbers other than 0: -1 for all processors"
        check_number("n_jobs", n_jobs, accepted, whole=True)
        if not n_jobs:
            raise ValueError(f"n_jobs={n_jobs!r}; accepted are {accepted}.")
    if not isinstance(verbose, bool | np.bool_):
        check_number("verbose", verbose, "whole numbers of at least 0, 0 being silent", whole=True, least=0)


def seed_of(random_state: Any) -> int:
    """Draw a seed without a trace in any global generator.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None gives another seed each time, whatever the global generators were seeded with.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise ValueError(
            f"random_state={random_state!r}; accepted are None, whole numbers from 0 to 2**32 - 1 and instances of "
            "numpy.random.RandomState."
        ) from error


def as_json(value: Any) -> str:
    """Write a value as JSON; numbers of numpy and paths become those of Python.

    Parameters
    ----------
    value : object
        JSON-able but for numbers of numpy and paths.

    Returns
    -------
    str

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
