"""`skdim fit`: learn a property from a table of labels, and report how well that went."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim._progress import duration
from skdim.cli.arguments import PATHS_HELP, add_paths, add_quiet, add_seed, jobs
from skdim.cli.command import Command
from skdim.cli.messages import printable, say
from skdim.cli.names import MODELS, check_device, load_embedder
from skdim.cli.reading import find_crystals, settle
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from skdim._crystalmodel import CrystalModel
    from skdim.cli.labels import LabelTable
    from skdim.crystals.reading import CrystalRow
    from skdim.points.pointsets import PointSets

# Processor seconds of one fit on 300 labels, and the power of their number with which they grow. Each regressor is
# fitted on all labels and without each of ten folds, on vectors and on Magpie statistics.
_FIT_SECONDS = {"ridge": (0.02, 2.4), "laplacian": (0.11, 2.4), "gaussian": (0.06, 2.4), "trees": (0.45, 1.05)}
_FITS, _WORTH_SAYING = 24, 5.0
COMPOSED = ("system", "formula", "prototype", "structure")

_DESCRIPTION = f"""\
Learn a property from a table of labels: choose a regressor by cross-validation inside the labels, save it with all that
it takes to predict, and write a report: errors beside a guess and beside Magpie statistics, a learning curve, how often
intervals held, the hardest crystals, near-duplicates, and what did not fit.

{PATHS_HELP}
The table is .csv, .tsv or .parquet. A row belongs to the crystal that its id names: by the full path, by the path
within an archive or folder, or by the name of the file without its suffix. What fits nothing is listed. Bounds such as
<1E-10 and >5 are accepted, and uncertainties such as 1.23(4).
"""

_EXAMPLES = """\
  skdim fit cifs/ --labels labels.csv --target conductivity --out model.skdim
        and then
  skdim predict model.skdim new_cifs/ --out predictions.csv
  skdim fit cifs.zip --labels labels.tsv --id code --target gap --groups family --out gap.skdim
        tested on families that were left out
  skdim fit cifs/ --labels labels.csv --target bulk,shear --out moduli.skdim
        two properties, each learned from the crystals that have a value for it
  skdim fit cifs/ --labels labels.csv --target kind --task classification --out kind.skdim
  skdim fit cifs/ --labels labels.csv --target Tc --groups system --pretrain --out tc.skdim
        tested on composition systems that were left out; vectors trained on all the crystals in cifs/"""


def run(args: argparse.Namespace) -> int:
    """Fit a regressor on labelled crystals, save it, and report.

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
        If an argument, the table or the crystals cannot be used; nothing is written then.
    """
    from skdim.cli.labels import read_labels
    from skdim.cli.matching import read_table
    from skdim.cli.outputs import check_place

    started = time.monotonic()
    page = args.report or args.out.with_name(f"{args.out.name}.html")
    check_place(args.out)
    check_place(page)
    check_device(args.device)
    read_table(args.labels, "--labels")  # before any crystal is read

    found = find_crystals(args)
    from skdim.crystals.reading import read_files

    crystals = list(read_files(found.files, column=found.column, id_column=found.id_column))
    column = None if args.groups in COMPOSED else args.groups
    ids = [crystal.id for crystal in crystals]
    classes = args.task == "classification"
    labels = {
        target: read_labels(args.labels, target, ids, key=args.id, groups=column, classes=classes)
        for target in _targets(args.target, args.labels)
    }
    if classes and len(labels) > 1:
        raise InputError(f"--task classification learns one target at a time, got {', '.join(labels)}")
    embedder = _embedder(args)
    points, code, failures = _featurized(crystals, embedder, args)
    groups = _groups(args.groups, list(labels.values()), crystals, points)

    fit = _fit_classes if classes else _fit_numbers
    said = fit(args, labels, points, groups, embedder, ids, failures, page)
    print(printable(said))
    if not args.quiet:
        say(f"wrote {args.out} and {page} in {time.monotonic() - started:.0f} s")
    return code


def _fit_numbers(
    args: argparse.Namespace,
    labels: dict[str, LabelTable],
    points: PointSets,
    groups: NDArray[Any] | None,
    embedder: Any,
    ids: list[str],
    failures: Sequence[tuple[str, str]],
    page: Path,
) -> str:
    """Fit a regressor, save it and its page, and return the report."""
    import numpy as np
    import pandas as pd

    from skdim.cli.fitpage import as_text, write_pages
    from skdim.cli.fitreport import make_report
    from skdim.predictor import CrystalRegressor

    regressors = args.regressors.split(",")
    if not args.quiet:
        _say_how_long([int((known.known & points.valid).sum()) for known in labels.values()], regressors)
    table = pd.DataFrame({target: known.values for target, known in labels.items()})
    sides = np.stack([known.sides for known in labels.values()], 1)
    model = CrystalRegressor(
        embedder,
        regressors=regressors,
        scale=args.transform,
        device=args.device,
        on_error="nan",
        n_jobs=args.jobs,
        random_state=args.seed,
        verbose=int(not args.quiet and args.pretrain),
    )
    model.fit(points, table if len(labels) > 1 else table.iloc[:, 0], groups=groups, censored=sides)
    model.ids_ = [ids[row] for row in model.labelled_]
    source = f"pretrained on these {int(points.valid.sum())} crystals" if args.pretrain else str(args.model)
    reports = [
        make_report(
            model,
            points,
            ids,
            known.values,
            known.sides,
            groups,
            number=number,
            target=target,
            source=source,
            notes=known.notes,
            failures=failures,
        )
        for number, (target, known) in enumerate(labels.items())
    ]
    _save(model, args.out, page)
    write_pages(reports, page)
    return "\n\n".join(as_text(report) for report in reports)


def _fit_classes(
    args: argparse.Namespace,
    labels: dict[str, LabelTable],
    points: PointSets,
    groups: NDArray[Any] | None,
    embedder: Any,
    ids: list[str],
    failures: Sequence[tuple[str, str]],
    page: Path,
) -> str:
    """Fit a classifier, save it and its page, and return the report."""
    from skdim.classifier import CrystalClassifier
    from skdim.cli.classreport import classes_text
    from skdim.cli.fitpage import write_classes_page

    ((target, known),) = labels.items()
    model = CrystalClassifier(
        embedder,
        regressors=args.regressors.split(","),
        device=args.device,
        on_error="nan",
        n_jobs=args.jobs,
        random_state=args.seed,
    ).fit(points, known.values, groups=groups)
    model.ids_ = [ids[row] for row in model.labelled_]
    text = classes_text(model, target, known.values, ids, known.notes)
    _save(model, args.out, page)
    write_classes_page(target, text, [f"{name}: {reason}" for name, reason in failures], page)
    return text


def _say_how_long(n_labels: Sequence[int], regressors: Sequence[str]) -> None:
    """Say about how long the choice of regressors takes, where that is worth saying."""
    known = [_FIT_SECONDS[name] for name in regressors if name in _FIT_SECONDS]
    seconds = _FITS * sum(at_300 * (n / 300) ** power for n in n_labels for at_300, power in known)
    if seconds >= _WORTH_SAYING:
        say(f"choosing among {len(regressors)} regressors for {sum(n_labels)} labels: about {duration(seconds)}")


def _save(model: CrystalModel, out: Path, page: Path) -> None:
    """Save a model, in folders that are made if need be, also that of its page."""
    for path in (out, page):
        path.parent.mkdir(parents=True, exist_ok=True)
    model.save(out)


def _embedder(args: argparse.Namespace) -> Any:
    """Return the embedder to start from: a saved one, or one to be pretrained."""
    if not args.pretrain:
        return load_embedder(args.model, args.device)

    from skdim.embedder import DeepInfoMaxEmbedder

    return DeepInfoMaxEmbedder(device=args.device, random_state=args.seed, verbose=int(not args.quiet))


def _featurized(
    crystals: Sequence[CrystalRow], embedder: Any, args: argparse.Namespace
) -> tuple[PointSets, int, list[tuple[str, str]]]:
    """Make point sets of crystals; say which failed."""
    from sklearn.base import clone

    from skdim.cli.streaming import Counts

    featurizer = embedder.featurizer_ if hasattr(embedder, "featurizer_") else embedder.make_featurizer()
    featurizer = clone(featurizer).set_params(n_jobs=args.jobs, verbose=int(not args.quiet))
    points, failed = featurizer.try_transform(list(crystals))
    counts = Counts()
    counts.count([crystal.id for crystal in crystals], failed)
    return points, settle(counts, args.on_error, "They are left out."), counts.failures


def _targets(given: Sequence[str], path: Path) -> list[str]:
    """Targets that were named, each by an option of its own or with commas between; a column may have commas itself."""
    from skdim.cli.matching import column_named, read_table

    columns = [str(name) for name in read_table(path, "--labels").columns]
    named = [
        name.strip()
        for text in given
        for name in ([text] if column_named(text, columns) else text.split(","))
        if name.strip()
    ]
    return list(dict.fromkeys(named))


def _groups(
    name: str | None, labels: Sequence[LabelTable], crystals: Sequence[CrystalRow], points: PointSets
) -> NDArray[Any] | None:
    """Return the groups of the crystals: of a column, or made of the crystals themselves."""
    import numpy as np

    if name is None:
        return None
    if name not in COMPOSED:
        return np.array(labels[0].groups, dtype=object)

    from skdim.evaluation import composition_groups

    known = np.flatnonzero(points.valid & np.any([one.known for one in labels], axis=0))
    groups = np.array([f"row {row}" for row in range(len(crystals))], dtype=object)
    groups[known] = composition_groups([crystals[int(row)] for row in known], name)
    return groups


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of fit."""
    add_paths(parser, id_option="--structure-id")  # --id is that of the labels
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
    parser.add_argument("--out", type=Path, required=True, metavar="M", help="model to write; replaced if it exists")
    parser.add_argument("--report", type=Path, metavar="PAGE", help="report to write (the model's name with .html)")
    known = ", ".join(MODELS)
    parser.add_argument(
        "--model", default="default", metavar="MODEL", help=f"vectors: a saved model or {known} (default)"
    )
    parser.add_argument(
        "--pretrain", action="store_true", help="train the vectors on all the crystals instead, the unlabelled included"
    )
    parser.add_argument(
        "--groups",
        metavar="COLUMN",
        help="test on groups that were left out: a column of the table, or "
        f"{', '.join(COMPOSED[:-1])} or {COMPOSED[-1]} of the crystals themselves",
    )
    parser.add_argument(
        "--regressors",
        metavar="NAMES",
        default="ridge,laplacian,gaussian,trees",
        help="what to choose from, with commas between (ridge,laplacian,gaussian,trees)",
    )
    parser.add_argument(
        "--transform",
        choices=("auto", "none", "log10", "yeo-johnson"),
        default="auto",
        help="scale to learn on; auto is log10 where positive labels span a factor of 100 (auto)",
    )
    parser.add_argument(
        "--on-error",
        choices=("raise", "nan"),
        default="nan",
        help="how to treat unusable crystals: raise is an error that names all of them, nan leaves them out (nan)",
    )
    parser.add_argument("--jobs", type=jobs, default=1, metavar="N", help="processes, -1: all cores (1)")
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda, ... (auto)")
    add_seed(parser)
    add_quiet(parser)


COMMAND = Command("fit", "learn a property from a table of labels", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
