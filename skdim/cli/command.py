"""What a command of the command line consists of; each module of a command defines one as ``COMMAND``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command: its words and its function.

    Attributes
    ----------
    name : str
        The word after "skdim".
    summary : str
        One line for ``skdim --help``.
    description : str
        What ``skdim NAME --help`` says before the arguments.
    examples : str
        Command lines, each indented by two spaces; the heading "examples:" and the exit codes are added.
    add_arguments : callable
        Adds the arguments to an ArgumentParser.
    run : callable
        Does the work, given the parsed arguments, and returns an exit code (`skdim.cli.exits`). What it imports at
        the top of its module must be light: ``skdim --help`` imports every command.
    """

    name: str
    summary: str
    description: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
