"""`skdim demo`: the whole method on crystals that come with the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from skdim.cli.arguments import add_quiet, add_seed
from skdim.cli.command import Command
from skdim.cli.exits import OK
from skdim.exceptions import InputError

_DESCRIPTION = """\
Pretrain on crystals that come with the package, and show what the vectors are worth: a table of test errors at 50 to
1000 labels, for the trained and the untrained encoder and for elemental statistics. Writes the model, the vectors, the
table and two pictures to a folder. Takes some minutes on two cores.
"""

_EXAMPLES = """\
  skdim demo
  skdim demo --quick --out /tmp/demo"""


def run(args: argparse.Namespace) -> int:
    """Pretrain on bundled crystals and show what the vectors are worth."""
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"{str(args.out)!r} is a file; --out takes the name of a folder")

    from skdim.demo import run_demo

    run_demo(args.out, quick=args.quick, random_state=args.seed, verbose=int(not args.quiet))
    return OK


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of demo."""
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to write to (demo)")
    parser.add_argument("--quick", action="store_true", help="a fraction of the crystals and epochs: a try-out")
    add_seed(parser)
    add_quiet(parser)


COMMAND = Command("demo", "see what it is worth, on bundled crystals", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
