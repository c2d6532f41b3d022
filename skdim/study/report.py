"""The report of a study: one page that needs no other file, and a short text beside it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from skdim._files import generator, replacing
from skdim.evaluation._records import BEST
from skdim.study import captions
from skdim.study.blocks import Block, Code, Facts, Figure, Folded, Heading, Text, markdown, readable
from skdim.study.finetuning import FINE_TUNED
from skdim.study.pictures import box_picture, curve_picture, curve_regressors, map_pictures
from skdim.study.recording import read_recording
from skdim.study.tables import comparable_features, error_table, paired_table, ratio_table

if TYPE_CHECKING:
    from skdim.study.recording import Recording

_TITLE = "Errors with few labels"
_MADE = {
    "versions": "Versions",
    "tasks": "Tasks",
    "settings": "Settings",
    "pretraining": "Pretraining",
    "imputed_rows": "Rows with missing values, for which column means are used",
    "seconds": "Seconds by part",
    "vectors_sha256": "Digests of the vectors (sha256)",
}


def write_report(folder: str | os.PathLike[str], *, baseline: str = "magpie") -> tuple[Path, Path]:
    """Write what a study found, as a page to read and as a short text.

    Parameters
    ----------
    folder : str or path
        Of the study: with ``results.parquet`` (records of `label_efficiency`, with a task each), ``study.json`` (an
        object; the page shows whatever it holds, and its captions use ``command``, ``seed``, ``versions`` and, for each
        of ``tasks``, ``unit``, ``training_fold`` and ``test_fold``) and possibly ``maps.parquet`` (columns task,
        method, x, y, target, features).
    baseline : str, default="magpie"
        Feature set with which the others are compared.

    Returns
    -------
    tuple of Path
        ``report.html``, one file with its pictures inside, and ``report.md``; those of earlier reports are replaced.

    Raises
    ------
    FileNotFoundError
        If the folder, the records or ``study.json`` are not there.
    ValueError
        If a file cannot be read, or the baseline is not in the records.

    Examples
    --------
    >>> import json, tempfile
    >>> import pandas as pd
    >>> rows = [("gap", f, "ridge", 50, d, e, e + d / 9, 1, 0, 0.1) for f, e in (("mine", 1), ("magpie", 2))
    ...         for d in range(3)]
    >>> names = ["task", "features", "regressor", "labels", "repeat", "cv_mae", "mae", "rmse", "r2", "seconds"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pd.DataFrame(rows, columns=names).to_parquet(Path(folder, "results.parquet"))
    ...     _ = Path(folder, "study.json").write_text(json.dumps({"command": "skdim benchmark", "seed": 0}))
    ...     page, short = write_report(folder)
    ...     print(short.read_text().splitlines()[4][:42])
    | features | best regressor: ratio (95%) |
    """
    recording = read_recording(folder)
    if baseline not in recording.features:
        raise ValueError(
            f"baseline must be a feature set of the records, {', '.join(recording.features)}, got {baseline!r}."
        )
    page, short = Path(folder, "report.html"), Path(folder, "report.md")
    for path, text in ((page, web_page(recording, baseline)), (short, short_report(recording, baseline))):
        with replacing(path) as draft:
            draft.write_text(text, encoding="utf-8")
    return page, short


def short_report(recording: Recording, baseline: str) -> str:
    """Write the ratios and the errors as Markdown."""

    def blocks() -> Iterator[Block]:
        yield Heading(_TITLE, 2)
        yield from (Text(f"**{note}**") for note in notes(recording))
        regressors = paired_regressors(recording, baseline)
        if regressors:
            yield Text(f"Errors divided by those of {baseline}:")
            yield from (ratio_table(recording, baseline, regressors), Text(captions.OVERALL))
        yield Text(captions.choice(recording))
        yield from _feature_sets(recording)
        for task in recording.tasks:
            yield from task_errors(recording, task, curve_regressors(recording, task))
        if recording.study.get("command"):
            yield from (Text("Made by"), Code(str(recording.study["command"])))

    return f"{markdown(blocks())}\n\n<!-- {generator()} -->\n"


def task_errors(recording: Recording, task: str, regressors: list[str]) -> Iterator[Block]:
    """Yield the errors of some regressors (or "best") on one task, with their caption."""
    if regressors:
        yield Heading(task)
        yield error_table(recording, task, regressors)
        yield Text(f"{captions.measured(recording, task, regressors)} {captions.ERRORS}")


def web_page(recording: Recording, baseline: str) -> str:
    """Write the whole report as one page of HTML; pictures are part of it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    sections = {
        "In short": _overview(recording, baseline),
        "Spread over the repeats": _boxes(recording),
        "Learning curves": _curves(recording),
        "Errors": _errors(recording),
        f"Compared with {baseline}": _paired(recording, baseline),
        "Maps": _maps(recording),
        "How it was made": _made(recording),
    }
    written = {title: list(blocks) for title, blocks in sections.items()}
    environment = Environment(
        loader=PackageLoader("skdim.study", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return environment.get_template("report.html").render(
        generator=generator(),
        title=_TITLE,
        notes=notes(recording),
        sections={title: blocks for title, blocks in written.items() if blocks},
    )


def notes(recording: Recording) -> list[str]:
    """Say what a reader must know before any number; nothing for a whole run."""
    found = []
    if recording.study.get("quick"):
        found.append("This was a quick trial: it shows that everything works, and its numbers mean nothing.")
    if recording.study.get("finished") is False:
        found.append("The run is not finished: what is missing is left out.")
    made = recording.study.get("pretraining")
    for name, facts in made.items() if isinstance(made, dict) else ():
        if isinstance(facts, dict) and facts.get("test fold") == "not known":
            found.append(f"Whether the encoder given for {name} has seen crystals of the test fold is not known.")
    return found


def paired_regressors(recording: Recording, baseline: str) -> list[str]:
    """Name those of the best regressor and ridge with which something can be compared with the baseline."""
    return [name for name in (BEST, "ridge") if comparable_features(recording, baseline, name)]


def _feature_sets(recording: Recording) -> Iterator[Block]:
    """What the feature sets are, where that is known."""
    text = captions.feature_sets(recording.features)
    if text:
        yield Text(text)


def _overview(recording: Recording, baseline: str) -> Iterator[Block]:
    """Ratios over all cells."""
    regressors = paired_regressors(recording, baseline)
    if regressors:
        yield ratio_table(recording, baseline, regressors)
        yield Text(f"Errors divided by those of {baseline}. {captions.OVERALL} {captions.choice(recording)}")
    else:
        yield Text(f"No other feature set was measured in the repeats of {baseline}: there is nothing to compare.")
    yield from _feature_sets(recording)


def _boxes(recording: Recording) -> Iterator[Block]:
    """Box plots: of the best regressor and ridge at once, of the others on demand."""
    regressors = [*([BEST] if recording.regressors else []), *recording.regressors, *recording.other_regressors]
    for task in recording.tasks:
        own = set(recording.records.loc[recording.records["task"] == task, "regressor"]) | {BEST}
        drawn = {
            name: Figure(
                box_picture(recording, task, name),
                f"Box plots of the errors of {readable(name)} for {task}, by number of labels and feature set",
                f"{captions.measured(recording, task, [name])} {captions.BOXES}",
            )
            for name in regressors
            if name in own
        }
        yield Heading(task)
        yield from (drawn.pop(name) for name in (BEST, "ridge") if name in drawn)
        if drawn:
            yield Folded(f"Other regressors for {task}", tuple(drawn.values()))


def _curves(recording: Recording) -> Iterator[Block]:
    """Learning curves of the best regressor, ridge and fine-tuning."""
    for task in recording.tasks:
        regressors = curve_regressors(recording, task)
        if regressors:
            alt = f"Error for {task} against the number of labels, a curve for each feature set"
            caption = f"{captions.measured(recording, task, regressors)} {captions.CURVES}"
            yield Figure(curve_picture(recording, task, regressors), alt, caption)


def _errors(recording: Recording) -> Iterator[Block]:
    """Tables of means."""
    yield Text(captions.choice(recording))
    for task in recording.tasks:
        yield from task_errors(recording, task, curve_regressors(recording, task))
        yield Folded(f"Every regressor for {task}", (error_table(recording, task),))


def _paired(recording: Recording, baseline: str) -> Iterator[Block]:
    """Tests against the baseline, and of fine-tuning against an untrained start."""
    pairs = [(baseline, name) for name in paired_regressors(recording, baseline)]
    starts = ("default untrained", "paper untrained")
    pairs += [(name, FINE_TUNED) for name in starts if comparable_features(recording, name, FINE_TUNED)]
    for against, name in pairs:
        yield Heading(f"{readable(name)}, against {against}")
        yield Text(captions.testing(recording, against))
        for task in recording.tasks:
            yield Heading(task, 4)
            yield paired_table(recording, task, against, name)
            yield Text(captions.measured(recording, task, [name]))


def _maps(recording: Recording) -> Iterator[Block]:
    """Maps, if there are any."""
    pictures = map_pictures(recording)
    if pictures:
        yield Text(captions.MAPS)
        yield from (Figure(picture, alt) for alt, picture in pictures)


def _made(recording: Recording) -> Iterator[Block]:
    """Command, versions, seeds, seconds."""
    study = recording.study
    if study.get("command"):
        yield Code(str(study["command"]))
    rest = {name: value for name, value in study.items() if name not in _MADE and name != "command"}
    rest["seconds of the regressors, all repeats"] = round(float(recording.records["seconds"].sum()), 1)
    yield Facts(rest)
    for name, title in _MADE.items():
        if study.get(name):
            yield from (Heading(title), Facts(study[name]))
