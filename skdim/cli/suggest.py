"""`skdim suggest`: choose the crystals to measure next."""

from __future__ import annotations

import argparse
from pathlib import Path

from skdim.cli.arguments import PATHS_HELP, add_paths, add_reading, at_least
from skdim.cli.command import Command
from skdim.cli.messages import printable, say
from skdim.cli.names import check_device
from skdim.cli.predict import SUFFIXES, load_model, write_table
from skdim.cli.reading import find_crystals, settle
from skdim.exceptions import InputError

GOALS = ("information", "best", "both")
_ONLY_WRITTEN = ("distance", "nearest_", "pretraining_")  # columns that make lines too long for a terminal

_DESCRIPTION = f"""\
Choose the crystals to measure next, as one batch, with a model that `skdim fit` wrote: those that teach most about all
crystals that are given (information), those that may have the best value (best), or by turns (both). Crystals that are
labelled already are left out. The table of --out has the columns of `skdim predict`; what is printed has fewer.

{PATHS_HELP}"""

_EXAMPLES = """\
  skdim suggest model.skdim cifs/ --n 10
  skdim suggest model.skdim cifs/ --n 5 --goal best --out next.csv
  skdim suggest model.skdim cifs/ --n 5 --goal best --smallest"""


def run(args: argparse.Namespace) -> int:
    """Print or write the crystals to measure next.

    Parameters
    ----------
    args : Namespace
        See `_add_arguments`.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    InputError, OSError
        If an argument or a crystal cannot be used.
    """
    from skdim.cli.outputs import check_place

    if args.out is not None:
        if args.out.suffix.lower() not in SUFFIXES:
            raise InputError(f"--out {str(args.out)!r} must end in {' or '.join(SUFFIXES)}")
        check_place(args.out)
    check_device(args.device)
    model = load_model(args.model)
    found = find_crystals(args)

    from skdim.cli.streaming import Counts, featurized, reading_workers
    from skdim.points.pointsets import PointSets
    from skdim.predictor import CrystalRegressor

    if not isinstance(model, CrystalRegressor):
        raise InputError(f"{str(args.model)!r} predicts classes; suggestions need a model of numbers")
    model.embedder_.set_params(device=args.device)
    work, counts, ids, parts = model.embedder_.featurizer_.work(), Counts(), [], []
    with reading_workers(found, args.jobs) as workers:
        for names, points in featurized(found, work, workers, 1024, counts, progress=not args.quiet):
            use = points.valid
            ids += [name for name, usable in zip(names, use, strict=True) if usable]
            parts.append(points[use])
    code = settle(counts, args.on_error, "They are left out.")
    points, wanted = PointSets.concatenate(parts), {"goal": args.goal, "maximize": not args.smallest}
    table = model.suggest(points, args.n, **wanted, ids=ids, target=args.target)
    if args.out is None:
        narrow = table.drop(columns=[name for name in table if str(name).startswith(_ONLY_WRITTEN)])
        print(printable(narrow.to_string(index=False, float_format=lambda value: f"{value:.4g}")))
    else:
        write_table(table, args.out)
        if not args.quiet:
            say(f"wrote {args.out}: {len(table)} crystals")
    return code


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of suggest."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="what `skdim fit` wrote")
    add_paths(parser)
    parser.add_argument("--n", type=at_least(1), default=10, metavar="N", help="crystals to choose (10)")
    parser.add_argument("--goal", choices=GOALS, default="information", help="what they are for (information)")
    parser.add_argument("--smallest", action="store_true", help="the best value is the smallest, not the largest")
    parser.add_argument("--target", metavar="NAME", help="which of several targets counts (the first)")
    parser.add_argument("--out", type=Path, metavar="TABLE", help="table to write, .csv or .parquet (print it)")
    add_reading(parser, "leaves them out")


COMMAND = Command("suggest", "choose what to measure next", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
