"""Parsed arguments of `skdim benchmark` in; a folder with records and a report, and an exit code out."""

from __future__ import annotations

import argparse
import shlex
from functools import partial
from pathlib import Path
from typing import Any

from skdim.cli.arguments import add_quiet, add_seed, at_least
from skdim.cli.command import Command
from skdim.cli.exits import OK
from skdim.cli.messages import say
from skdim.exceptions import InputError

SHORT = "compare vectors, features and heads with few labels"

ABOUT = """\
Compare feature sets and heads with few labels, and write a report. Labels are drawn at random from the training fold of
each data set, again and again; errors are those on its test fold. Encoders are pretrained on the structures of the
training folds, without labels.

data sets (of --dataset), by default all:
  formation_energy   3938 crystals, eV/atom        labels 50 100 250 1000
  band_gap           1056 crystals, eV             labels 50 100 250 500
  elastic_moduli     1181 crystals, log10(K/GPa)   labels 50 100 250 500

feature sets (of --features), by default all but the last; names of two words in quotes:
  default, paper                      vectors of an encoder that is pretrained with this preset
  "default untrained", "paper untrained"   of the same encoder as it is initialised
  magpie, elements                    statistics of elemental properties, the structure left aside
  ofm, cfid, xrd                      orbital field matrix, JARVIS CFID, X-ray powder pattern
  chgnet                              of a potential trained on energies; where its package is installed
  "default transductive"              pretrained on the test folds' structures too; what --transductive adds

heads (of --heads), by default all:
  median                              the guess that needs no features
  linear, ridge, kernel_ridge, random_forest_cv, extra_trees_cv, mlp    on fixed vectors
  fine_tuned                          the encoder trained further on the labels, from three starts: pretrained,
                                      untrained, and trained on the labels of another property
"""

EXAMPLES = """\
  skdim benchmark --quick --out try/                  # the machinery, in two minutes
  skdim benchmark --out results/ --jobs -1            # everything; hours, most of them for forests and slow features
  skdim benchmark --out results/ --dataset band_gap --features default magpie --heads ridge kernel_ridge --labels 50 100
        After an interrupt the last one, given again, goes on where it stopped; with more draws, heads or feature sets
        it computes only those.
  skdim benchmark --matbench jdft2d --out jdft2d/     # a Matbench task, downloaded if it is missing"""

QUICK: dict[str, Any] = {
    "tasks": ["band_gap", "elastic_moduli"],
    "label_counts": [50, 100],
    "features": ["default", "default untrained", "magpie"],
    "heads": ["median", "ridge", "kernel_ridge", "extra_trees", "fine_tuned"],
    "draws": 2,
    "fine_tuning_draws": 1,
    "crystals": 300,
    "max_epochs": 3,
}
"""What --quick does unless other arguments say otherwise."""

_QUICK_NOTE = (
    "--quick shows that the machinery works, not what the vectors are worth: two draws on some hundred crystals and "
    "a few epochs say nothing about that"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of benchmark.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    """
    add, several = parser.add_argument, partial(parser.add_argument, nargs="+", metavar="NAME")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write to; what is finished in it is kept")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--dataset", nargs="+", metavar="NAME", help="bundled data sets (all)")
    data.add_argument("--matbench", metavar="TASK", help="a Matbench task on structures in place of these")
    add("--labels", nargs="+", type=at_least(2), metavar="N", help="numbers of labels (those of each data set)")
    several("--features", help="feature sets (all that can be computed here)")
    several("--heads", help="heads (all)")
    add("--draws", type=at_least(1), metavar="N", help="draws for each number of labels (20)")
    add("--fine-tuning-draws", type=at_least(1), metavar="N", help="the same for fine_tuned (5)")
    add("--fewer-draws", nargs="+", type=_head_draws, metavar="HEAD=N", help="heads that have fewer draws, as mlp=5")
    add("--transductive", action="store_true", help='add the feature set "default transductive"')
    add("--baseline", metavar="NAME", help="feature set that the report compares with (magpie)")
    add(
        "--quick", action="store_true", help="little of everything, to see the machinery work: its numbers mean nothing"
    )
    add("--cache", type=Path, metavar="DIR", help="where baseline features are kept (cache in the folder of --out)")
    add("--jobs", type=int, metavar="N", help="jobs at a time, -1: all cores (1)")
    add_seed(parser)
    add_quiet(parser)


def _head_draws(text: str) -> tuple[str, int]:
    """Read HEAD=N."""
    head, sign, number = text.partition("=")
    if not (head and sign):
        raise argparse.ArgumentTypeError(f"{text!r}; accepted are a head and its draws, such as mlp=5")
    return head, at_least(1)(number)


def benchmark(args: argparse.Namespace) -> int:
    """Run a study, or what is missing of it.

    Parameters
    ----------
    args : Namespace
        out, dataset, matbench, labels, features, heads, draws, fine_tuning_draws, fewer_draws, transductive, baseline,
        quick, cache, jobs, seed, quiet, and the words of the command line.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    InputError, OSError
        If an argument cannot be used; nothing was computed then.
    """
    try:
        return _benchmark(args)
    except ValueError as error:  # the checks of a study come before its work; they do not raise InputError yet
        raise InputError(str(error)) from error


def _benchmark(args: argparse.Namespace) -> int:
    """Run a study, or what is missing of it."""
    from skdim.benchmark.checks import check_folder
    from skdim.benchmark.study import run_study
    from skdim.benchmark.tasks import load_matbench_task

    check_folder(args.out)
    if args.quick and not args.quiet:
        say(_QUICK_NOTE)
    settings = _settings(args)
    if args.matbench is not None:
        settings["tasks"] = [load_matbench_task(args.matbench)]
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
        "tasks": args.dataset,
        "label_counts": args.labels,
        "features": args.features,
        "heads": args.heads,
        "draws": args.draws,
        "fine_tuning_draws": args.fine_tuning_draws,
        "fewer_draws": dict(args.fewer_draws) if args.fewer_draws else None,
        "baseline": args.baseline,
        "cache_dir": args.cache,
        "n_jobs": args.jobs,
    }
    usual = QUICK if args.quick else {}
    chosen = {name: value for name, value in given.items() if value is not None}
    return {**usual, **chosen, "transductive": args.transductive, "random_state": args.seed}


COMMAND = Command("benchmark", SHORT, ABOUT, EXAMPLES, add_arguments, benchmark)
