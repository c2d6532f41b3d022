"""The command `skdim`: one module a command, each with its arguments, help text, examples and run function.

`main` begins it, and imports `program`, which holds the table of commands and decides which exit code an error gets.
What the commands share: `streaming` featurizes crystals chunk by chunk, `reading` reports those that failed, `names`
knows what comes with the package, `outputs` writes vectors, `modelfile` reads the record of a saved model.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

__all__ = ["main", "run_and_exit"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code, see `skdim.cli.exits`.

    All else is imported here, a third of a second in which an interrupt has nothing to tidy up and ends the process.
    """
    before = signal.getsignal(signal.SIGINT)
    # In a thread nothing can be set; what ignores interrupts, as a shell's background jobs do, goes on to ignore them.
    guarded = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if guarded:
        signal.signal(signal.SIGINT, _leave)
    try:
        from skdim.cli import program
    finally:
        if guarded:
            signal.signal(signal.SIGINT, before)
    return program.main(argv)


def run_and_exit() -> NoReturn:
    """Run the command as a program of its own, which ends with it.

    What is in memory goes with the process; with torch, Python would take a tenth of a second to take it apart first.
    """
    code = main()
    if threading.active_count() == 1:  # no other thread is at work
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process as an interrupted command ends, without a traceback."""
    os.write(2, b"skdim: interrupted\n")
    os._exit(130)
