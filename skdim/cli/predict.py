"""`skdim predict`: predict a property with intervals, and say how far to trust each prediction."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.cli.arguments import PATHS_HELP, add_paths, add_reading, at_least
from skdim.cli.command import Command
from skdim.cli.messages import say
from skdim.cli.names import check_device
from skdim.cli.reading import find_crystals, settle
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd

    from skdim._crystalpredictor import CrystalPredictor

SUFFIXES = (".csv", ".parquet")

_DESCRIPTION = f"""\
Predict crystals with a model that `skdim fit` wrote: one row for each input, in order, with the columns
  id          as `skdim embed` gives it
  prediction  in the units of the labels
  lower, upper
              ends of an interval that holds the true value of 90% of crystals like the labelled ones
  distance    to the nearest labelled crystal, in the model's own measure
  percentile  share of the labelled crystals, in percent, that have a nearer neighbour among themselves
  nearest_1   id of the nearest labelled crystal; nearest_2 and nearest_3 are the next ones
  pretraining_percentile
              as percentile, among the crystals that the model was pretrained on; empty where its file does not tell
  flags       a prediction beyond all labels; what the crystal has and no labelled one has, or none of the pretraining:
              an element, more sites, disorder
A model of classes gives a probability for each class in place of the interval. Its prediction is the class whose
probability exceeds its share among the labels by the largest factor, so that rare classes are found too.

With --explain a second table says what adds to each prediction: one line for each kind of column of the vector
(composition, density, environment, context, electrons), element and site. Start and all kinds make the sum, and so do
start and all elements, and start and all sites. Contributions are on the scale that the model was fitted on, which the
report of the fit names; for a class they add up to the logarithm of its probability, less the mean over the others.

{PATHS_HELP}"""

_EXAMPLES = """\
  skdim predict model.skdim new_cifs/ --out predictions.csv
  skdim predict model.skdim new.zip POSCAR --out predictions.parquet --coverage 0.8 --on-error nan
  skdim predict model.skdim new_cifs/ --out predictions.csv --explain why.csv"""


def run(args: argparse.Namespace) -> int:
    """Predict crystals, a chunk at a time, and write a table; return an exit code."""
    check_table(args.out, "--out")
    if args.explain is not None:
        check_table(args.explain, "--explain")
    check_device(args.device)
    model = load_model(args.model)
    found = find_crystals(args)

    import pandas as pd

    from skdim.cli.streaming import Counts, beside, featurized, reading_workers

    work, counts = model.embedder_.featurizer_.work(), Counts()
    model.set_params(device=args.device)
    model.embedder_.set_params(device=args.device)
    parts, explained = [], []
    with reading_workers(found, args.jobs) as workers, beside(workers):
        for ids, points in featurized(found, work, workers, args.batch, counts, progress=not args.quiet):
            if counts.failures and args.on_error != "nan":
                continue
            frame = model.predict_frame(points, args.coverage)
            frame.insert(0, "id", ids)
            parts.append(frame)
            if args.explain is not None:
                told = model.explain(points)
                explained.append(told.assign(crystal=[ids[row] for row in told["crystal"]]))
    code = settle(counts, args.on_error, "Their predictions are empty.")
    table = pd.concat(parts, ignore_index=True)
    _write(table, args.out, explained, args.explain)
    if not args.quiet:
        flagged = int((table["distance"].notna() & (table["flags"] != "")).sum())
        say(f"wrote {args.out}: {len(table)} rows, {flagged} to be careful with, see flags")
    return code


def _write(table: pd.DataFrame, path: Path, explained: list[pd.DataFrame], place: Path | None) -> None:
    """Write the predictions and, if there is a place for it, what adds to them: both tables or none."""
    import pandas as pd

    from skdim._files import replacing

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        write_table(table, draft)
        if place is not None:
            write_table(pd.concat(explained, ignore_index=True).rename(columns={"crystal": "id"}), place)


def check_table(path: Path, option: str) -> None:
    """Refuse a table, named by an option, of a kind that is not written or in a place where none can be written."""
    from skdim.cli.outputs import check_place

    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{option} {str(path)!r} must end in {' or '.join(SUFFIXES)}")
    check_place(path)


def load_model(path: Path) -> CrystalPredictor:
    """Load a model that `skdim fit` wrote, of whichever class it is."""
    from skdim._crystalpredictor import read_model
    from skdim.classifier import CrystalClassifier
    from skdim.predictor import CrystalRegressor

    if not path.is_file():
        raise InputError(f"{str(path)!r} is not a file; a model that `skdim fit` wrote is needed")
    header, _ = read_model(path)
    classes: dict[str, type[CrystalPredictor]] = {
        "CrystalClassifier": CrystalClassifier,
        "CrystalRegressor": CrystalRegressor,
    }
    if header["kind"] not in classes:
        raise InputError(f"{str(path)!r} must hold a {' or a '.join(classes)}, got a {header['kind']}")
    return classes[header["kind"]].load(path)


def write_table(
    table: pd.DataFrame,  # with a default index
    path: Path,  # with one of `SUFFIXES`; Parquet keeps texts as they are
) -> None:
    """Write a table, complete or not at all; texts so that a spreadsheet shows them and does nothing else with them."""
    from skdim._files import replacing
    from skdim.cli.outputs import spreadsheet_text

    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [name for name in table.columns if table[name].dtype == object]
    with replacing(path) as draft:
        if path.suffix.lower() == ".parquet":
            table.astype(dict.fromkeys(texts, "string")).to_parquet(draft, index=False)
            return

        def harmless(text: object) -> str:
            return spreadsheet_text(str(text)).replace("\r", "\\r")

        shown = table.copy()
        for name in texts:
            shown[name] = [None if cell is None else harmless(cell) for cell in shown[name]]
        shown.columns = [harmless(name) for name in shown.columns]  # names of targets and classes are in them
        shown.to_csv(draft, index=False, float_format="%.6g", lineterminator="\n")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of predict."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="what `skdim fit` wrote")
    add_paths(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="TABLE", help="table to write: .csv or .parquet")
    parser.add_argument("--explain", type=Path, metavar="TABLE", help="table to write of what adds to each prediction")
    parser.add_argument(
        "--coverage", type=share, default=0.9, metavar="SHARE", help="share of values that intervals are to hold (0.9)"
    )
    parser.add_argument(
        "--batch", type=at_least(1), default=1024, metavar="N", help="crystals in memory at once (1024)"
    )
    add_reading(parser, "makes them rows without a prediction")


def share(text: str) -> float:
    """Read a number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, got {text!r}")
    return value


COMMAND = Command("predict", "predict with intervals", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
