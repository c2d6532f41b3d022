"""`skdim suggest`: choose the crystals to measure next."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.cli.arguments import PATHS_HELP, add_paths, add_reading, at_least
from skdim.cli.command import Command
from skdim.cli.messages import one_line, printable, say
from skdim.cli.names import check_device
from skdim.cli.predict import check_table, load_model, write_table
from skdim.cli.reading import find_crystals, settle
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd

GOALS = ("information", "best", "both")
_CHOSEN = {
    "information": "those that tell most about all of them",
    "best": "those that may have the best value",
    "both": "by turns those that tell most about all of them and those that may have the best value",
}
_WIDTH, _LONGEST = 100, 25  # columns of a terminal; letters of an id

_DESCRIPTION = f"""\
Choose the crystals to measure next, as one batch, with a model that `skdim fit` wrote: those that tell most about all
given crystals (information), those that may have the best value (best), or one of each by turns (both). Crystals that
are labelled already are left out. Of more than 3000, the best value is sought among those that promise most, and for
information a random sample stands for all. The table is printed {_WIDTH} columns wide; --out writes all of it to a
file.

{PATHS_HELP}"""

_EXAMPLES = """\
  skdim suggest model.skdim cifs/ --n 10
  skdim suggest model.skdim cifs/ --n 5 --goal best --out next.csv
  skdim suggest model.skdim cifs/ --n 5 --goal best --smallest"""


def run(args: argparse.Namespace) -> int:
    """Print or write the crystals to measure next; return an exit code."""
    if args.out is not None:
        check_table(args.out, "--out")
    check_device(args.device)
    model = load_model(args.model)
    found = find_crystals(args)

    from skdim._pool import Pool
    from skdim.cli.streaming import Counts, beside, featurized, reading_workers
    from skdim.predictor import CrystalRegressor

    if not isinstance(model, CrystalRegressor):
        raise InputError(f"{str(args.model)!r} predicts classes; suggestions need a model of numbers")
    model.set_params(device=args.device)
    model.embedder_.set_params(device=args.device)
    pool = Pool(model, args.n, args.goal, not args.smallest, args.target)
    work, counts = model.embedder_.featurizer_.work(), Counts()
    with reading_workers(found, args.jobs) as workers, beside(workers):
        for ids, points in featurized(found, work, workers, 1024, counts, progress=not args.quiet):
            if not counts.failures or args.on_error == "nan":
                pool.add(ids, points)
    code = settle(counts, args.on_error, "They are left out.")
    table = pool.choose()
    if len(table) < args.n:
        say(f"{len(table)} of {args.n}: no other crystal is usable and without a label")
    if not args.quiet:
        say(f"chosen for --goal {args.goal}: {_CHOSEN[args.goal]}")
    if args.out is None:
        end = "" if len(model.targets_) == 1 else f"_{args.target or model.target_names_[0]}"
        print(printable(as_text(table, end)))
    else:
        write_table(table, args.out)
        if not args.quiet:
            say(f"wrote {args.out}: {len(table)} crystals")
    return code


def as_text(
    table: pd.DataFrame,  # what `CrystalRegressor.suggest` gives
    end: str = "",  # of the names of the columns of the target that counts, where there are several
) -> str:  # where long ids begin with "...": it is their ends that differ
    """Write what was chosen for a terminal of 100 columns; flags have a line of their own.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"id": "a.cif", "prediction": 1.5, "lower": 1.0, "upper": 2.0, "distance": 0.25}
    >>> print(as_text(pd.DataFrame([row | {"nearest_1": "b.cif", "flags": ""}])))
    id     prediction  90% interval  distance  nearest labelled
    a.cif         1.5  1 to 2            0.25  b.cif
    """
    rows = [("id", "prediction", "90% interval", "distance", "nearest labelled")]
    numbers = (table[f"{name}{end}"] for name in ("prediction", "lower", "upper"))
    for name, value, low, high, away, near in zip(
        table["id"], *numbers, table["distance"], table["nearest_1"], strict=True
    ):
        rows.append((_tail(str(name)), f"{value:.4g}", f"{low:.4g} to {high:.4g}", f"{away:.3g}", _tail(str(near))))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, flags in zip(rows, ["", *table["flags"]], strict=True):
        cells = [f"{cell:{'>' if k in (1, 3) else '<'}{wide[k]}}" for k, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
        if flags:
            lines += textwrap.wrap(str(flags), _WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def _tail(name: str) -> str:
    """Shorten a name to its end."""
    name = one_line(name)
    return name if len(name) <= _LONGEST else f"...{name[3 - _LONGEST :]}"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of suggest."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="what `skdim fit` wrote")
    add_paths(parser)
    parser.add_argument("--n", type=at_least(1), default=10, metavar="N", help="crystals to choose (10)")
    parser.add_argument("--goal", choices=GOALS, default="information", help="what they are for (information)")
    parser.add_argument("--smallest", action="store_true", help="the best value is the smallest, not the largest")
    parser.add_argument("--target", metavar="NAME", help="which of several targets counts (the first)")
    parser.add_argument("--out", type=Path, metavar="TABLE", help="table to write, .csv or .parquet (print it)")
    add_reading(parser, "leaves them out", on_error="nan")


COMMAND = Command("suggest", "choose what to measure next", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
