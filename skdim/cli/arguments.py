"""Parsers in, arguments that several commands share added to them; types of arguments out."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add where randomness starts.

    Parameters
    ----------
    parser : ArgumentParser
        Of a command.
    """
    parser.add_argument(
        "--seed", type=at_least(0), default=0, metavar="N", help="the same seed gives the same vectors (0)"
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add how much is said.

    Parameters
    ----------
    parser : ArgumentParser
        Of a command.
    """
    parser.add_argument("--quiet", action="store_true", help="no progress, only what went wrong")


def at_least(least: int) -> Callable[[str], int]:
    """Make a type of argument: whole numbers from here on.

    Parameters
    ----------
    least : int
        The smallest.

    Returns
    -------
    callable
        Of a text; gives the number.
    """

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}; accepted are whole numbers of at least {least}")
        return int(text)

    return number
