"""Words of a command line in, an exit code out: the command `skdim`."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import skdim
from skdim.cli import benchmark, commands
from skdim.cli.arguments import add_quiet, add_seed, at_least
from skdim.cli.commands import BAD_INPUT, FAULT, INTERRUPTED, OK, say

_ABOUT = """\
Crystal structures in, vectors out. An encoder is pretrained on crystals without labels; its vectors then serve any
scikit-learn estimator, also where only a few labels are known.

Start with
  skdim demo                                          # what this is worth, on crystals that come with the package
or with your own crystals
  skdim pretrain cifs/ --out model.safetensors        # learn from every structure you have; needs no labels
  skdim embed model.safetensors cifs/ --out vectors.parquet
  skdim info model.safetensors

skdim COMMAND --help explains each command.
"""

_EXIT_CODES = """\
exit codes:
  0    done
  1    done, but some crystals could not be used (only with --on-error nan); stderr names each with its reason
  2    nothing was written: a bad argument, or crystals or files that cannot be used; stderr says which and why
  70   a fault of skdim's own, with a traceback
  130  interrupted
Messages and progress go to stderr, what was asked for to stdout or to the file of --out.
"""

_PATHS = """\
PATHs are, mixed as you like:
  files      CIF, POSCAR, JSON (plain or .gz, .bz2, .xz), or what else pymatgen reads
  folders    searched with the folders in them, in sorted order, for names such as *.cif, *.vasp, POSCAR*, *.json
  globs      in quotes, so that the shell leaves them alone: 'runs/**/CONTCAR'
  archives   .zip, .tar, .tar.gz, .tgz; nothing is unpacked to disk
A JSON file holds one structure, a list of them, a dict {id: structure}, or a table as pandas splits it. A structure in
it is what pymatgen's as_dict() gives, a record {"material_id", "lattice", "species", "frac_coords"}, or CIF text.
Disordered crystals are welcome.
"""

_PRETRAIN = f"""\
Pretrain an encoder on crystals and save it as one safetensors file. No labels are needed: give it every structure you
have, also those whose properties are unknown.

{_PATHS}"""

_PRETRAIN_EXAMPLES = f"""\
examples:
  skdim pretrain cifs/ --out model.safetensors
  skdim pretrain mp.json.gz 'runs/**/CONTCAR' --out model.safetensors --max-epochs 30 --jobs 4
  skdim pretrain big.tar.gz --out model.safetensors --checkpoint state/ --on-error nan
        After an interrupt the last one, given again, goes on where it stopped.

{_EXIT_CODES}"""

_EMBED = f"""\
Write one vector for each crystal: one row for each input, in order, with a column "id".

{_PATHS}
The id of a row is the path of its file ("cifs/NaCl.cif"); for a member of an archive the two paths as one
("cifs.zip/NaCl.cif"); for a structure in a JSON list or dict its own id (material_id, id, entry_id or key), or else
the path and its number from 0 ("mp.json/0"). An id that occurs again gets "#2", "#3", ... at its end.
"""

_EMBED_EXAMPLES = f"""\
examples:
  skdim embed model.safetensors cifs/ --out vectors.parquet
  skdim embed model.safetensors new.zip POSCAR --out vectors.csv --on-error nan
  skdim embed model.safetensors 'cifs/*.cif' --out vectors.npy --jobs -1
        writes the vectors alone, and their ids in the same order to vectors.ids.csv

{_EXIT_CODES}"""

_INFO = """\
Say what a saved model is: its preset and parameters, the crystals and epochs it was trained with, its losses, the
columns of its vectors, the versions it was made with, and the sha256 of the file.
"""

_INFO_EXAMPLES = """\
examples:
  skdim info model.safetensors
  skdim info model.safetensors --json | python -m json.tool
"""

_DEMO = """\
Pretrain on crystals that come with the package, and show what the vectors are worth: a table of test errors at 50 to
1000 labels, for the trained and the untrained encoder and for elemental statistics. Writes the model, the vectors, the
table and two pictures to a folder. Some minutes on two cores.
"""

_DEMO_EXAMPLES = """\
examples:
  skdim demo
  skdim demo --quick --out /tmp/demo
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after "skdim"; by default those the program was called with.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        With --help, --version, or words that are not understood.
    """
    args = build_parser().parse_args(argv)
    args.words = list(sys.argv[1:] if argv is None else argv)
    try:
        with _plain_warnings():
            code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has seen enough; Python would flush again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (ValueError, OSError, ArithmeticError) as error:
        say(f"error: {error}")
        return BAD_INPUT
    except Exception:  # shown in full; only the code must not be Python's own, 1, which says "done" here
        traceback.print_exc()
        return FAULT
    return code


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings as messages, without the line of code that gave them."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"skdim: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns
    -------
    ArgumentParser
    """
    parser = argparse.ArgumentParser("skdim", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"skdim {skdim.__version__}")
    kinds = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(
        _command(kinds, "demo", commands.demo, "see what it is worth, on bundled crystals", _DEMO, _DEMO_EXAMPLES)
    )
    _add_pretrain(_command(kinds, "pretrain", commands.pretrain, "learn from crystals", _PRETRAIN, _PRETRAIN_EXAMPLES))
    _add_embed(_command(kinds, "embed", commands.embed, "write vectors of crystals", _EMBED, _EMBED_EXAMPLES))
    _add_info(_command(kinds, "info", commands.info, "say what a saved model is", _INFO, _INFO_EXAMPLES))
    benchmark.add_arguments(
        _command(kinds, "benchmark", benchmark.benchmark, benchmark.SHORT, benchmark.ABOUT, benchmark.EXAMPLES)
    )
    return parser


def _command(
    kinds: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    short: str,
    long: str,
    examples: str,
) -> argparse.ArgumentParser:
    """Add a command, without its arguments."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = kinds.add_parser(name, help=short, description=long, epilog=examples, formatter_class=raw)
    parser.set_defaults(run=run)
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    """Arguments of demo."""
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to write to (demo)")
    parser.add_argument("--quick", action="store_true", help="a fraction of the crystals and epochs: a try-out")
    add_seed(parser)
    add_quiet(parser)


def _add_pretrain(parser: argparse.ArgumentParser) -> None:
    """Arguments of pretrain."""
    _add_paths(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="M", help="file to write; is replaced if it exists")
    parser.add_argument("--preset", choices=("default", "paper"), default="default", help="configuration (default)")
    parser.add_argument("--max-epochs", type=at_least(0), metavar="N", help="most epochs (the preset's); 0: untrained")
    parser.add_argument("--embedding-dim", type=at_least(1), metavar="N", help="columns of the vectors (the preset's)")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="keep the state of the training here, go on from it"
    )
    add_seed(parser)
    _add_common(parser, "left out")


def _add_embed(parser: argparse.ArgumentParser) -> None:
    """Arguments of embed."""
    parser.add_argument("model", type=Path, metavar="M", help="a saved model")
    _add_paths(parser)
    formats = "file to write, replaced if it exists: .parquet, .csv, or .npy with the ids in .ids.csv beside it"
    parser.add_argument("--out", type=Path, required=True, metavar="V", help=formats)
    parser.add_argument(
        "--batch", type=at_least(1), default=1024, metavar="N", help="crystals in memory at once (1024)"
    )
    _add_common(parser, "rows of NaN")


def _add_info(parser: argparse.ArgumentParser) -> None:
    """Arguments of info."""
    parser.add_argument("model", type=Path, metavar="M", help="a saved model")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def _add_paths(parser: argparse.ArgumentParser) -> None:
    """Where the crystals are."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="where the crystals are, see above")


def _add_common(parser: argparse.ArgumentParser, fate: str) -> None:
    """Arguments of all that read crystals."""
    on_error = (
        f"what becomes of unusable crystals: with raise an error names all of them, with nan they are {fate} (raise)"
    )
    parser.add_argument("--on-error", choices=("raise", "nan"), default="raise", help=on_error)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes for reading crystals, -1: all cores (1)"
    )
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda, ... (auto)")
    add_quiet(parser)
