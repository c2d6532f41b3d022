"""`skdim info`: show what a file written by skdim holds."""

from __future__ import annotations

import argparse
from pathlib import Path

from skdim.cli.command import Command
from skdim.cli.exits import OK
from skdim.cli.messages import printable
from skdim.cli.names import MODELS_HELP, model_file

_DESCRIPTION = """\
Show a saved model's settings and training record: its parameters, the crystals and epochs it was trained with, its
losses, the columns of its vectors, the versions it was made with, and the sha256 of the file. Other files that skdim
writes are known too: fitted and fine-tuned models, checkpoints, folders of point sets and of benchmarks, tables of
vectors and others, pages and pictures.
"""

_EXAMPLES = """\
  skdim info model.safetensors
  skdim info materials_project
  skdim info model.safetensors --json | python -m json.tool"""


def run(args: argparse.Namespace) -> int:
    """Print what a file holds."""
    from skdim.cli.modelfile import as_json, as_text, facts_of

    facts = facts_of(args.model if Path(args.model).is_dir() else model_file(args.model))
    print(as_json(facts) if args.json else printable(as_text(facts)))
    return OK


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of info."""
    parser.add_argument("model", metavar="FILE", help=f"a file that skdim wrote, or {MODELS_HELP}")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


COMMAND = Command(
    "info", "show a saved model's settings and training record", _DESCRIPTION, _EXAMPLES, _add_arguments, run
)
