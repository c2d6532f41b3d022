"""`skdim fit`: learn a property from a table of labels, and report how well that went."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim.cli.arguments import PATHS_HELP, add_paths, add_reading, add_seed
from skdim.cli.command import Command
from skdim.cli.fitting import CLASSES, FINE_TUNING, QUICK, Given, Learned, asked_for, learn, load_starts
from skdim.cli.messages import printable, say
from skdim.cli.names import MODELS, check_device
from skdim.cli.reading import crystal_rows, find_crystals, settle
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from skdim.cli.labels import LabelTable
    from skdim.cli.streaming import Counts
    from skdim.crystals.paths import Found
    from skdim.points.chunks import Work
    from skdim.points.pointsets import PointSets

_SHOWN = 3  # crystals that cannot be read, where no label fits any
_CHUNK = 1024  # crystals that are read and featurized before they are forgotten
COMPOSED = ("system", "formula", "prototype", "structure")

_DESCRIPTION = f"""\
Learn a property from a table of labels: choose a regressor by cross-validation inside the labels, save it with all that
it takes to predict, and write a report: errors beside a guess and beside Magpie statistics, a learning curve, how often
intervals held, the hardest crystals, near-duplicates, and what did not fit. Fine-tuning of the model on the labels is
tried too, where it takes no more than about a minute. Of classes the report has log losses, calibration and confusion.

{PATHS_HELP}
The table is .csv, .tsv or .parquet. A row belongs to the crystal that its id names: by the full path, by the path
within an archive or folder, or by the name of the file without its suffix. Rows that fit no crystal are listed. Bounds
such as <1E-10 and >5 are accepted, and uncertainties such as 1.23(4).
"""

_EXAMPLES = """\
  skdim fit cifs/ --labels labels.csv --target conductivity --out model.skdim
        and then
  skdim predict model.skdim new_cifs/ --out predictions.csv
  skdim fit cifs.zip --labels labels.tsv --id code --target gap --groups family --out gap.skdim
        tested on families that were left out
  skdim fit cifs/ --labels labels.csv --target gap --model materials_project,materials_project_labels --out gap.skdim
        with the vectors of whichever model has the lower error by cross-validation
  skdim fit cifs/ --labels labels.csv --target bulk,shear --out moduli.skdim
        two properties, each learned from the crystals that have a value for it
  skdim fit cifs/ --labels labels.csv --target kind --task classification --out kind.skdim
  skdim fit cifs/ --labels labels.csv --target Tc --groups system --pretrain --out tc.skdim
        tested on composition systems that were left out; vectors trained on all the crystals in cifs/"""


def run(args: argparse.Namespace) -> int:
    """Fit a regressor on labelled crystals, save it, and report; return an exit code."""
    from skdim._files import replacing
    from skdim.cli.outputs import check_place
    from skdim.cli.tablefile import read_table

    started = time.monotonic()
    page = args.report or args.out.with_name(f"{args.out.name}.html")
    check_place(args.out)
    check_place(page)
    check_device(args.device)
    asked_for(args)
    read_table(args.labels, "--labels")  # this and the regressors before any crystal is read
    starts = load_starts(args)

    found = find_crystals(args)
    # What is kept of crystals is their ids and point sets: files are read again where more is needed.
    problems = {crystal.id: crystal.problem for crystal in crystal_rows(found)}
    ids = list(problems)
    try:
        labels = _labels(args, ids)
    except InputError as error:  # names may be missing where a table or an archive cannot be read
        unread = [f"{name}: {problem}" for name, problem in problems.items() if problem]
        if unread:
            listed = "\n  ".join([f"{len(unread)} of {len(ids)} crystals cannot be read:", *unread[:_SHOWN]])
            raise InputError(f"{error}\n{listed}") from error
        raise
    points, code, failures = _featurized(found, ids, starts, args)
    groups = _groups(args.groups, list(labels.values()), found, next(iter(points.values())))
    given = Given(ids, labels, points, groups)
    learned = learn(args, given, starts)
    report = _report_classes if args.task == "classification" else _report_numbers
    text, write_page = report(learned, given, failures)
    for path in (args.out, page):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(args.out) as draft:  # both or none
        learned.model.save(draft)
        write_page(page)
    print(printable(text))
    if not args.quiet:
        say(f"wrote {args.out} and {page} in {time.monotonic() - started:.0f} s")
    return code


def _report_numbers(
    learned: Learned, given: Given, failures: Sequence[tuple[str, str]]
) -> tuple[str, Callable[[Path], None]]:
    """Report on each target, as text and by what writes a page."""
    from skdim.cli.fitpage import as_text, write_pages
    from skdim.cli.fitreport import make_report

    reports = [
        make_report(
            learned.model,
            learned.points,
            given.ids,
            known.values,
            known.sides,
            given.groups,
            number=number,
            target=target,
            source=learned.source,
            notes=[*known.notes, *learned.notes],
            failures=failures,
            unit=known.unit,
        )
        for number, (target, known) in enumerate(given.labels.items())
    ]
    unmatched = next(iter(given.labels.values())).unmatched
    return "\n\n".join(as_text(report) for report in reports), partial(write_pages, reports, unmatched)


def _report_classes(
    learned: Learned, given: Given, failures: Sequence[tuple[str, str]]
) -> tuple[str, Callable[[Path], None]]:
    """Report on classes, as text and by what writes a page."""
    from skdim.cli.classreport import make_class_report
    from skdim.cli.fitpage import classes_as_text, write_classes_page

    ((target, known),) = given.labels.items()
    report = make_class_report(
        learned.model,
        learned.points,
        given.ids,
        known.values,
        given.groups,
        target=target,
        source=learned.source,
        notes=[*known.notes, *learned.notes],
        failures=failures,
    )
    return classes_as_text(report), partial(write_classes_page, report, known.unmatched)


def _labels(args: argparse.Namespace, ids: Sequence[str]) -> dict[str, LabelTable]:
    """Read the labels of each target."""
    from skdim.cli.labels import read_labels

    column = None if args.groups in COMPOSED else args.groups
    classes, targets = args.task == "classification", _targets(args.target, args.labels)
    if classes and len(targets) > 1:
        raise InputError(f"--task classification learns one target at a time, got {', '.join(targets)}")
    labels = {
        target: read_labels(args.labels, target, ids, key=args.id, groups=column, classes=classes) for target in targets
    }
    for target, known in labels.items():
        if not classes and not known.known.any():
            raise InputError(
                f"--target {target!r} has no number for any of the crystals; --task classification learns names of "
                "classes"
            )
    return labels


def _featurized(
    found: Found, ids: Sequence[str], starts: Mapping[str, Any], args: argparse.Namespace
) -> tuple[dict[str, PointSets], int, list[tuple[str, str]]]:
    """Make the point sets of crystals for each start, the same ones where they need the same; say which failed."""
    from skdim.cli.streaming import Counts
    from skdim.learning.states import FeaturizerSettings

    points: dict[str, PointSets] = {}
    made: dict[FeaturizerSettings, PointSets] = {}
    counts = Counts()
    for name, embedder in starts.items():
        featurizer = embedder.featurizer_ if hasattr(embedder, "featurizer_") else embedder.make_featurizer()
        settings = FeaturizerSettings.of(featurizer)
        if settings not in made:
            of_these = Counts(told=False) if made else counts
            made[settings] = _point_sets(found, ids, featurizer.work(), args, of_these)
        points[name] = made[settings]
    return points, settle(counts, args.on_error, "They are left out."), counts.failures


def _point_sets(found: Found, ids: Sequence[str], work: Work, args: argparse.Namespace, counts: Counts) -> PointSets:
    """Read crystals and make their point sets, so many at a time."""
    from skdim.cli.streaming import featurized, reading_workers
    from skdim.points.pointsets import PointSets

    with reading_workers(found, args.jobs) as workers:
        parts = list(featurized(found, work, workers, _CHUNK, counts, progress=not args.quiet))
    if [name for names, _ in parts for name in names] != list(ids):
        raise InputError("the files of crystals changed while they were read; run the command again")
    return PointSets.concatenate(points for _, points in parts)


def _targets(given: Sequence[str], path: Path) -> list[str]:
    """Targets that were named, each by an option of its own or with commas between; a column may have commas itself."""
    from skdim.cli.matching import column_named
    from skdim.cli.tablefile import read_table

    columns = [str(name) for name in read_table(path, "--labels").columns]
    named = [
        name.strip()
        for text in given
        for name in ([text] if column_named(text, columns) else text.split(","))
        if name.strip()
    ]
    return list(dict.fromkeys(named))


def _groups(name: str | None, labels: Sequence[LabelTable], found: Found, points: PointSets) -> NDArray[Any] | None:
    """Return the groups of the crystals: of a column, or made of the crystals themselves."""
    import numpy as np

    if name is None:
        return None
    if name not in COMPOSED:
        return np.array(labels[0].groups, dtype=object)

    from skdim.evaluation import composition_groups

    known = points.valid & np.any([one.known for one in labels], axis=0)
    groups = np.array([f"row {row}" for row in range(len(points))], dtype=object)
    labelled = [crystal for crystal, is_known in zip(crystal_rows(found), known, strict=True) if is_known]
    groups[known] = composition_groups(labelled, name)
    return groups


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of fit."""
    _add_table(parser)  # first, as the usage has the options in this order, and what is required is there
    parser.add_argument("--out", type=Path, required=True, metavar="M", help="model to write; replaced if it exists")
    _add_learning(parser)
    add_paths(parser, id_option="--structure-id")  # --id is that of the labels
    parser.add_argument("--report", type=Path, metavar="PAGE", help="report to write (the model's name with .html)")
    add_seed(parser)
    add_reading(parser, "leaves them out", on_error="nan")


def _add_table(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what the table holds."""
    parser.add_argument("--labels", type=Path, required=True, metavar="TABLE", help="table with a row for each label")
    parser.add_argument(
        "--target",
        required=True,
        action="append",
        metavar="COLUMN",
        help="column of the labels; several are learned side by side, each from the crystals that have a value for it: "
        "give the option again, or commas between",
    )
    parser.add_argument("--id", metavar="COLUMN", help="column of names (id, name, file, ... or the first)")
    parser.add_argument(
        "--task",
        choices=("regression", "classification"),
        default="regression",
        help="whether labels are numbers or names of classes (regression)",
    )
    parser.add_argument(
        "--groups",
        metavar="COLUMN",
        help="test on groups that were left out: a column of the table, or "
        f"{', '.join(COMPOSED[:-1])} or {COMPOSED[-1]} of the crystals themselves",
    )


def _add_learning(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how to learn."""
    parser.add_argument(
        "--model",
        default=MODELS[0],
        metavar="MODEL",
        help=f"vectors: a saved model or {', '.join(MODELS)}; of several, with commas between, that with the lowest "
        f"error by cross-validation ({MODELS[0]})",
    )
    parser.add_argument(
        "--pretrain", action="store_true", help="train the vectors on all the crystals instead, the unlabelled included"
    )
    parser.add_argument(
        "--regressors",
        metavar="NAMES",
        help=f"what to choose from, with commas or blanks between ({','.join([*QUICK, FINE_TUNING])}, the last where "
        f"it takes no more than about a minute; of classes {','.join(CLASSES)})",
    )
    parser.add_argument(
        "--transform",
        choices=("auto", "none", "log10", "yeo-johnson"),
        default="auto",
        help="scale to learn on; auto is log10 where positive labels span a factor of 100 (auto)",
    )


COMMAND = Command("fit", "learn a property from a table of labels", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
