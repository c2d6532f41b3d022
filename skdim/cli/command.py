"""What a command of the command line consists of; each module of a command defines one as ``COMMAND``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command: its words and its function."""

    name: str  # the word after "skdim"
    summary: str  # one line for ``skdim --help``
    description: str  # what ``skdim NAME --help`` says before the arguments
    examples: str  # command lines, each indented by two spaces; the heading "examples:" and the exit codes are added
    add_arguments: Callable[[argparse.ArgumentParser], None]  # adds the arguments to an ArgumentParser
    # Does the work, given the parsed arguments, and returns an exit code (`skdim.cli.exits`). What it imports at the
    # top of its module must be light: ``skdim --help`` imports every command.
    run: Callable[[argparse.Namespace], int]
