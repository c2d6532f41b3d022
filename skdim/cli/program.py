"""The front door of the command line: the table of commands, and what each kind of error means to a script."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import skdim
from skdim.cli import benchmark, demo, embed, fit, info, map, predict, pretrain, suggest
from skdim.cli.command import Command
from skdim.cli.exits import BAD_INPUT, FAULT, INTERRUPTED, PIPE_CLOSED, TERMINATED, exit_codes_text
from skdim.cli.fitting import with_commas
from skdim.cli.messages import plain_warnings, say
from skdim.cli.overwriting import refuse_overwriting
from skdim.crystals.limits import reading_limits
from skdim.exceptions import InputError, WorkerError

COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    fit.COMMAND,
    predict.COMMAND,
    suggest.COMMAND,
    embed.COMMAND,
    map.COMMAND,
    pretrain.COMMAND,
    info.COMMAND,
    benchmark.COMMAND,
)

_ABOUT = """\
Predict properties of crystals from few labels. An encoder that has learned from structures alone turns crystals into
vectors; any scikit-learn estimator learns from these, also where only a few labels are known.

See what it is worth, on crystals that come with the package:
  skdim demo
With your own crystals, and a table of values for some of them:
  skdim fit cifs/ --labels labels.csv --target conductivity --out model.skdim
  skdim predict model.skdim new_cifs/ --out predictions.csv
With crystals alone, vectors for other tools:
  skdim embed materials_project cifs/ --out vectors.parquet
With many crystals of your own, an encoder that has learned from them; no labels are needed:
  skdim pretrain cifs/ --out model.safetensors

skdim COMMAND --help explains each command.
"""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STREAMS = "Messages and progress go to stderr, the result to stdout or to the file of --out."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code, see `skdim.cli.exits`."""
    interrupts: list[int] = []
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        args = _parsed(words or ["--help"])
        args.words = words
        refuse_overwriting(args)
        with plain_warnings(), _ending_on_signals(interrupts), reading_limits(**dict(getattr(args, "limit", []))):
            code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except _Terminated:
        say("terminated")
        return TERMINATED
    except BrokenPipeError:  # also in the middle of the work, by a message: that is no success
        for stream in (sys.stdout, sys.stderr):  # Python would flush them again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return PIPE_CLOSED
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            return _failed(error)
        # What waits to be written would fail once more at Python's end, with a code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say(f"error: stdout: {error.strerror}")
        return BAD_INPUT
    except WorkerError as error:  # where it happened says nothing; what was in work does
        say(f"error: {error}")
        return FAULT
    except ImportError as error:
        if not interrupts:
            return _failed(error)
        say("interrupted")  # numpy calls an interrupt while it is imported a bad installation
        return INTERRUPTED
    except Exception as error:  # nothing is swallowed: it is told, in full where it is a fault
        return _failed(error)
    return code


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; of words that belong to none say where to look, of `fit` how several names are given."""
    parser = build_parser()
    args, left = parser.parse_known_args(with_commas(words))
    if left:
        commas = words[0] == "fit" and not left[0].startswith("-")
        cure = "several names of one option have commas between, " if commas else ""
        parser.error(f"unrecognized arguments: {' '.join(left)}; {cure}see skdim {words[0]} --help")
    return args


def _failed(error: Exception) -> int:
    """Say what an error is about; one that is no bad input is a fault, shown in full, with a code that no crash has."""
    if _is_bad_input(error):
        say(f"error: {_first_words(error)}")
        return BAD_INPUT
    traceback.print_exception(error)
    return FAULT


def _is_bad_input(error: Exception) -> bool:
    """Tell what the caller can put right from errors in skdim.

    A bare ValueError is an error in skdim: checks of input raise InputError. An OSError is about the caller's files if
    it names one, or if it consists of a message alone, as those that this package raises. A training that diverges
    (FloatingPointError) says which argument to change.
    """
    if isinstance(error, OSError):
        return error.filename is not None or error.errno is None
    return isinstance(error, InputError | FloatingPointError)


def _first_words(error: Exception) -> str:
    """Return the message; of an error of the system its reason and file, without the number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)!r}: {error.strerror}"
    return str(error)


class _Terminated(BaseException):
    """SIGTERM, passed through the code as an interrupt is, so that unfinished files are removed."""


@contextmanager
def _ending_on_signals(interrupts: list[int]) -> Iterator[None]:
    """Let SIGTERM unwind the program, and note each SIGINT, which does; only the main thread may set this up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        interrupts.append(number)
        raise KeyboardInterrupt

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _terminate)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Raise `_Terminated` where the program is."""
    raise _Terminated


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("skdim", description=_ABOUT, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"skdim {skdim.__version__}")
    group = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        epilog = f"examples:\n{command.examples}\n\n{exit_codes_text()}\n{_STREAMS}"
        own = group.add_parser(
            command.name, help=command.summary, description=command.description, epilog=epilog, formatter_class=raw
        )
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    return parser
