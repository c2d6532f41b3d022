"""`skdim benchmark`: compare feature sets and regressors with few labels, and report on it."""

from __future__ import annotations

import argparse
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim.cli.arguments import add_quiet, add_seed, at_least
from skdim.cli.command import Command
from skdim.cli.exits import OK
from skdim.cli.messages import say
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT = "compare vectors, features and regressors with few labels"

# The names are repeated here because `skdim --help` must not import the packages that define them; a test compares.
ABOUT = """\
Compare feature sets and regressors with few labels, and write a report. Labels are drawn at random from the training
fold of each data set, again and again; errors are those on its test fold. Encoders are pretrained on the structures of
the training folds, without labels.

data sets (of --dataset), by default all:
  formation_energy   3938 crystals, eV/atom        labels 50 100 250 1000
  band_gap           1056 crystals, eV             labels 50 100 250 500
  elastic_moduli     1181 crystals, log10(K/GPa)   labels 50 100 250 500

With --data, the crystals, ids and labels of a table (Parquet, Feather or CSV), a row a crystal: the crystal in one
column as other commands take it, or in cell (a, b, c in Angstrom and three angles, or three vectors), numbers (atomic
numbers) and frac_coords (flat, or by site). A tenth of the crystals, chosen by a digest of their ids, is the test fold;
each label column is a task, and the property that networks are trained on for "other property" is the next one. Point
sets and features are made once, in parts that are kept in the folder of --out. An encoder that was pretrained elsewhere
(--pretrained) is refused if FILE.ids.txt beside FILE.safetensors, with an id a line, names a crystal of the test fold.

feature sets (of --features), by default all but the last four lines; names of two words need quotes:
  default, paper                      vectors of an encoder pretrained with this preset
  "default untrained", "paper untrained"   vectors of the same encoder before training
  magpie, elements                    statistics of elemental properties, without the structure
  ofm, cfid, xrd                      orbital field matrix, JARVIS CFID, X-ray powder pattern
  chgnet, chgnet_layers, sevennet     vectors of potentials trained on energies, if their packages are installed
  sevennet_l3i5                       vectors of a larger form of SevenNet
  matminer                            the largest set of matminer's features; half a second and more for a crystal
  "other property", "paper other property"   vectors of a network trained on the labels of another property
  "default transductive"              pretrained on the structures of the test folds too; added by --transductive

regressors (of --regressors), by default all but the last two:
  median                              the guess that needs no features
  linear, ridge, kernel_ridge, random_forest_cv, extra_trees_cv, mlp    on fixed vectors
  fine_tuned                          the encoder trained further on the labels, from three starts: pretrained,
                                      untrained, and trained on the labels of another property
  random_forest, extra_trees          on fixed vectors, without a choice of their parameters
"""

EXAMPLES = """\
  skdim benchmark --quick --out try/                  # a little of everything, in two minutes
  skdim benchmark --out results/ --jobs -1            # everything; hours, most of them for forests and slow features
  skdim benchmark --out results/ --dataset band_gap --features default magpie --regressors ridge kernel_ridge
        After an interrupt the same command continues where it stopped; with more repeats, regressors or feature sets it
        computes only those.
  skdim benchmark --data crystals.parquet --target band_gap energy --out mine/ --jobs 2 --epochs paper=10 other=5
        A table of your own; --rows 500 --labels 20 50 is a trial of a minute.
  skdim benchmark --matbench jdft2d --out jdft2d/     # a Matbench task, downloaded if it is missing"""

QUICK: dict[str, Any] = {
    "tasks": ["band_gap", "elastic_moduli"],
    "label_counts": [25, 50],
    "features": ["default", "default untrained", "magpie"],
    "regressors": ["median", "ridge", "kernel_ridge", "extra_trees", "fine_tuned"],
    "n_repeats": 2,
    "fine_tuning_repeats": 1,
    "crystals": 200,
    "max_epochs": 2,
}
"""What --quick does unless other arguments say otherwise."""

_QUICK_NOTE = (
    "--quick only shows that everything runs: two repeats on some hundred crystals and a few epochs say nothing about "
    "what the vectors are worth"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of benchmark."""
    add, several = parser.add_argument, partial(parser.add_argument, nargs="+", metavar="NAME")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write to; what is finished there is kept")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--dataset", nargs="+", metavar="NAME", help="bundled data sets (all)")
    data.add_argument("--data", type=Path, metavar="TABLE", help="a table of crystals with ids and labels, see above")
    data.add_argument("--matbench", metavar="TASK", help="a Matbench task on structures in place of these")
    several("--target", help="columns of --data to predict (every one of floating-point numbers)")
    add("--column", metavar="NAME", help="column of --data that holds the crystals, where it is not found by its name")
    add("--id", dest="id_column", metavar="NAME", help="column of --data that holds their ids")
    add("--rows", type=at_least(20), metavar="N", help="crystals of --data, drawn at random (all with a label)")
    add("--labels", nargs="+", type=at_least(2), metavar="N", help="numbers of labels (those of each data set)")
    several("--features", help="feature sets (all that can be computed here)")
    several("--regressors", help="regressors (all but the last two)")
    add("--repeats", type=at_least(1), metavar="N", help="random choices of labels for each number of labels (20)")
    add("--fine-tuning-repeats", type=at_least(1), metavar="N", help="the same for fine_tuned (5)")
    add("--fewer-repeats", nargs="+", type=_fewer, metavar="NAME=N", help="regressors with fewer, such as mlp=5")
    several("--starts", help='where fine_tuned starts ("default" "default untrained" "other property")')
    epochs = "epochs of the pretrainings: N for all, or default=N, paper=N, other=N (those of the presets)"
    add("--epochs", nargs="+", type=_epochs, metavar="NAME=N", help=epochs)
    given = "encoders pretrained elsewhere, such as paper=model.safetensors, see above"
    add("--pretrained", nargs="+", type=_pretrained, metavar="NAME=FILE", help=given)
    # The former names, which the commands of earlier recordings have.
    add("--heads", nargs="+", dest="regressors", help=argparse.SUPPRESS)
    add("--draws", type=at_least(1), dest="repeats", help=argparse.SUPPRESS)
    add("--fine-tuning-draws", type=at_least(1), dest="fine_tuning_repeats", help=argparse.SUPPRESS)
    add("--fewer-draws", nargs="+", type=_fewer, dest="fewer_repeats", help=argparse.SUPPRESS)
    add("--transductive", action="store_true", help='add the feature set "default transductive"')
    add("--baseline", metavar="NAME", help="feature set that the report compares with (magpie)")
    add("--quick", action="store_true", help="a little of everything, to see that it runs: its numbers mean nothing")
    add("--cache", type=Path, metavar="DIR", help="where reference features are kept (cache in the folder of --out)")
    add("--device", help="where to compute: auto, cpu, cuda, ... (auto)")
    add("--jobs", type=int, metavar="N", help="jobs at a time, -1: all cores (1)")
    add_seed(parser)
    add_quiet(parser)


def _fewer(text: str) -> tuple[str, int]:
    """Read NAME=N."""
    name, sign, number = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"must be a regressor and its number of repeats, such as mlp=5, got {text!r}")
    return name, at_least(1)(number)


def _epochs(text: str) -> tuple[str, int]:
    """Read N or NAME=N; the name of the first is empty."""
    name, sign, number = text.rpartition("=")
    if sign and name not in ("default", "paper", "other"):
        raise argparse.ArgumentTypeError(f"must be N, or default, paper or other with =N, got {text!r}")
    return {"other": "other property"}.get(name, name), at_least(0)(number)


def _pretrained(text: str) -> tuple[str, Path]:
    """Read NAME=FILE."""
    name, sign, file = text.partition("=")
    if not (name and sign and file):
        raise argparse.ArgumentTypeError(f"must be a feature set and a file, such as paper=FILE, got {text!r}")
    return name, Path(file)


def benchmark(args: argparse.Namespace) -> int:
    """Run a study, or what is missing of it; arguments that cannot be used are refused before anything is computed."""
    from skdim.study.plan import check_folder
    from skdim.study.run import run_study
    from skdim.study.tasks import load_matbench_task, load_table_tasks

    check_folder(args.out)
    if args.quick and not args.quiet:
        say(_QUICK_NOTE)
    settings = _settings(args)
    if args.data is not None:
        settings["tasks"] = load_table_tasks(
            args.data,
            args.target,
            rows=settings.pop("crystals", None) if args.rows is None else args.rows,
            seed=args.seed,
            column=args.column,
            id_column=args.id_column,
        )
        settings["crystals"] = None
    elif args.target or args.rows or args.column or args.id_column:
        raise InputError("--target, --rows, --column and --id are for the table of --data")
    if args.matbench is not None:
        try:
            settings["tasks"] = [load_matbench_task(args.matbench)]
        except ValueError as error:  # documented: there is no such task
            raise InputError(str(error)) from error
    notes = {"command": shlex.join(["skdim", *args.words]), "quick": args.quick}
    records = run_study(args.out, **settings, verbose=int(not args.quiet), notes=notes)
    if not args.quiet:
        say(f"wrote {args.out / 'report.html'} and report.md: {len(records):,} records, in results.parquet")
        if args.quick:
            say(_QUICK_NOTE)
    return OK


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Turn arguments into those of `run_study`; what is not given is left to that, or to --quick."""
    given = {
        "tasks": _names(args.dataset),
        "label_counts": args.labels,
        "features": _names(args.features),
        "regressors": _names(args.regressors),
        "n_repeats": args.repeats,
        "fine_tuning_repeats": args.fine_tuning_repeats,
        "fewer_repeats": dict(args.fewer_repeats) if args.fewer_repeats else None,
        "baseline": args.baseline,
        "starts": _names(args.starts),
        "max_epochs": _max_epochs(args.epochs),
        "pretrained": dict(args.pretrained) if args.pretrained else None,
        "device": args.device,
        "cache_dir": args.cache,
        "n_jobs": args.jobs,
    }
    usual = QUICK if args.quick else {}
    chosen = {name: value for name, value in given.items() if value is not None}
    return {**usual, **chosen, "transductive": args.transductive, "random_state": args.seed}


def _names(given: Sequence[str] | None) -> list[str] | None:
    """Names with blanks between, or commas, as `skdim fit` has them."""
    return None if given is None else [name.strip() for text in given for name in text.split(",") if name.strip()]


def _max_epochs(given: list[tuple[str, int]] | None) -> int | dict[str, int] | None:
    """Turn what --epochs has into what `run_study` takes."""
    if not given:
        return None
    epochs = dict(given)
    if "" in epochs and len(given) > 1:
        raise InputError("--epochs must be one number, or each with a name, such as paper=10 default=5")
    return epochs.get("", epochs)


COMMAND = Command("benchmark", SHORT, ABOUT, EXAMPLES, add_arguments, benchmark)
