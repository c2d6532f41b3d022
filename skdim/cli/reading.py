"""Finding the crystals that a command is given, and telling which of them could not be used."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from skdim.cli.exits import OK, SOME_FAILED
from skdim.cli.messages import say
from skdim.cli.names import with_bundled
from skdim.crystals.paths import Found, find_files
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from skdim.cli.streaming import Counts
    from skdim.crystals.reading import CrystalRow


def find_crystals(args: argparse.Namespace) -> Found:
    """Find the files of ``args.paths``, and say which files in folders are skipped."""
    found = replace(find_files(with_bundled(args.paths)), column=args.column, id_column=args.id_column)
    if found.skipped and not args.quiet:
        names = ", ".join(found.skipped[:3]) + (", ..." if len(found.skipped) > 3 else "")
        say(f"skipped in folders, by their names or as links to folders: {len(found.skipped)} ({names})")
    return found


def crystal_rows(found: Found) -> Iterator[CrystalRow]:
    """Read crystals one after the other, with the ids that all commands give them; none is kept."""
    from skdim.crystals.reading import read_files

    return read_files(found.files, column=found.column, id_column=found.id_column)


def settle(
    counts: Counts,
    on_error: str,
    outcome: str,  # what happened to them with "nan", a sentence
) -> int:
    """Report the crystals that failed: as an error that names them all, or as a message and an exit code."""
    if not counts.failures:
        return OK
    if on_error == "raise":
        raise InputError(f"{counts.describe()}\nNothing was written; --on-error nan continues without them.")
    say(f"{counts.describe()}\n{outcome}")
    return SOME_FAILED


def check_enough(
    counts: Counts,
    least: int,
    purpose: str,  # what they are needed for, as "to pretrain on"
) -> int:
    """Count the usable crystals, and refuse fewer than the least."""
    n = counts.n_rows - len(counts.failures)
    if n < least:
        verb = "is" if least == 1 else "are"
        raise InputError(f"{n} of {counts.n_rows} crystals can be used; at least {least} {verb} needed {purpose}")
    return n
