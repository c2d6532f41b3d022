"""Outputs that would take the place of what a command reads, or of one another."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from skdim.crystals.paths import is_archive, is_searched
from skdim.exceptions import InputError

_OUTPUTS = ("out", "report", "explain")
_INPUTS = ("paths", "labels", "model", "vectors", "table", "structures", "data")


def refuse_overwriting(args: argparse.Namespace) -> None:
    """Refuse to write over a file that is read, before anything is done; ``args`` are those of any command."""
    outputs = [(f"--{name}", Path(path)) for name in _OUTPUTS if (path := getattr(args, name, None)) is not None]
    for (flag, path), (other, another) in combinations(outputs, 2):
        if path.absolute() == another.absolute():
            raise InputError(f"{flag} and {other} are the same file, {str(path)!r}; they need names of their own")
    for flag, path in outputs:
        for place in (path, path.with_suffix(".ids.csv")) if path.suffix.lower() == ".npy" else (path,):
            # What a link leads to is left alone: the link itself is replaced.
            if place.is_file() and not place.is_symlink() and (read := _read_from(place, args)):
                raise InputError(f"{flag} {str(path)!r} would replace {read}; choose another name")


def _read_from(place: Path, args: argparse.Namespace) -> str | None:
    """Say which input a file is or belongs to, if any."""
    for given in _inputs(args):
        if os.path.isdir(given):
            inside = Path(given).resolve() in place.resolve().parents
            if inside and (is_searched(place.name) or is_archive(place.name)):
                return f"a file of the folder {given!r}, which is read"
        elif any(os.path.samefile(place, path) for path in (given, *glob.iglob(given)) if os.path.exists(path)):
            return f"{given!r}, which is read"
    return None


def _inputs(args: argparse.Namespace) -> Iterator[str]:
    """Yield what a command reads, as it was given."""
    for name in _INPUTS:
        value = getattr(args, name, None)
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield os.path.expanduser(one)
