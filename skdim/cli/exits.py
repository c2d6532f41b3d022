"""The exit codes of the command line: the one table that help texts, documentation and tests read."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

OK = 0
BAD_INPUT = 2
SOME_FAILED = 65
FAULT = 70
INTERRUPTED = 130
PIPE_CLOSED = 141
TERMINATED = 143


class ExitCode(NamedTuple):
    """A code and what a script may conclude from it."""

    code: int
    meaning: str


# 1 is missing on purpose: Python and native libraries end with it when they give up. 65 and 70 are the codes of
# sysexits.h for bad data and for internal errors; 3, which is free there, is how programs abort on Windows.
EXIT_CODES = (
    ExitCode(OK, "Done; every crystal was used."),
    ExitCode(BAD_INPUT, "Nothing was written: an argument, a file or a crystal cannot be used. stderr names it."),
    ExitCode(SOME_FAILED, "Done, but some crystals could not be used (only with --on-error nan). stderr names each."),
    ExitCode(FAULT, "An error in skdim itself, or a worker process that died. stderr shows where."),
    ExitCode(INTERRUPTED, "Interrupted from the keyboard (SIGINT)."),
    ExitCode(PIPE_CLOSED, "The reader of stdout or stderr has closed it (SIGPIPE). The rest of the output is missing."),
    ExitCode(TERMINATED, "Asked to end (SIGTERM). Unfinished files are removed."),
)
CRASH = "Any other code, 1 included, is a crash outside skdim's control."


def exit_codes_text() -> str:
    """Write the table for a help text: a heading, then one code a line."""
    rows = [(str(row.code), row.meaning) for row in EXIT_CODES] + [("else", CRASH)]
    lines = [line for code, meaning in rows for line in _row(code, meaning)]
    return "\n".join(["exit codes:", *lines])


def _row(code: str, meaning: str) -> list[str]:
    """Wrap one row, the second and later lines indented under the meaning."""
    return textwrap.wrap(meaning, 110, initial_indent=f"  {code:<6}", subsequent_indent=" " * 8)
