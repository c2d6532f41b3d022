"""The folder of a recorded study in; the sections of the page of results, as reStructuredText, out."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from skdim.benchmark import captions
from skdim.benchmark.comparison import Ratio, compare
from skdim.benchmark.published import CITATION, STARTS, TRANSFER
from skdim.benchmark.recording import Recording, read_recording
from skdim.benchmark.records import BEST, best_of, format_cell, summarise
from skdim.benchmark.tables import comparable_features, error_table, highest_cell
from skdim.benchmark.text import Table, listed, readable

if TYPE_CHECKING:
    import pandas as pd

RIVALS = ("magpie", "ofm", "cfid", "xrd")
_TUNED = "fine_tuned"
_OF_PAPER = ("paper", "paper untrained", "ofm", "xrd")


@dataclass(frozen=True)
class Goal:
    """What was set out for: errors of the first over those of the second.

    Attributes
    ----------
    features, baseline : str
        Feature sets; several names for the baseline, separated by commas, are the best of them.
    head : str
        Of both.
    aim : float
        Ratio that was set out for.
    labels : tuple of int, optional
        Numbers of labels that count; by default all.
    """

    features: str
    baseline: str
    head: str
    aim: float
    labels: tuple[int, ...] | None = None


GOALS = (
    Goal("default", ", ".join(RIVALS), BEST, 0.82),
    Goal("default", "magpie", "ridge", 0.70),
    Goal("default", "default untrained", BEST, 0.90),
    Goal("default", "paper", BEST, 0.60),
    Goal("default", "default untrained", _TUNED, 0.90, (50, 100, 250)),
    Goal("default", "chgnet", BEST, 0.65),
)


def measure(recording: Recording, goal: Goal) -> Ratio | None:
    """Compare what a goal is about.

    Parameters
    ----------
    recording : Recording
        Of the study.
    goal : Goal
        What to compare.

    Returns
    -------
    Ratio or None
        None if one of the two was not measured, or not on the same draws.
    """
    import pandas as pd

    records, heads = recording.records, recording.heads
    if goal.labels is not None:
        records = records[records["labels"].isin(goal.labels)]
    names = goal.baseline.split(", ")
    present = comparable_features(replace(recording, records=records), goal.features, goal.head)
    if not set(names) <= set(present):
        return None
    if len(names) > 1:
        records = pd.concat([records, best_of(records, names, name=goal.baseline, heads=heads)], ignore_index=True)
    return compare(records, goal.features, goal.baseline, head=goal.head, heads=heads)


def results_page(folder: str | os.PathLike[str], section: str | None = None) -> str:
    """Write what a recorded study found.

    Parameters
    ----------
    folder : str or path
        Of the study, as for `write_report`.
    section : {"recorded", "goals", "errors", "fine-tuning", "published ordering"} or None, default=None
        The section to write, without its heading; None writes all of them with headings.

    Returns
    -------
    str
        In reStructuredText.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder cannot be read; if there is no such section.

    Examples
    --------
    >>> results_page("somewhere", "summary")
    Traceback (most recent call last):
        ...
    ValueError: section='summary'; accepted are recorded, goals, errors, fine-tuning, published ordering and None.
    """
    if section is not None and section not in SECTIONS:
        raise ValueError(f"section={section!r}; accepted are {', '.join(SECTIONS)} and None.")
    recording = read_recording(folder)
    if section is not None:
        return "\n".join(SECTIONS[section](recording))
    texts = [
        f"{name.capitalize()}\n{'-' * len(name)}\n\n" + "\n".join(write(recording)) for name, write in SECTIONS.items()
    ]
    return "\n\n".join(["Results\n=======", *texts]) + "\n"


def _recorded(recording: Recording) -> Iterator[str]:
    """Say how the records came to be."""
    study = recording.study
    if study.get("command"):
        yield from [".. code-block:: text", "", textwrap.indent(str(study["command"]), "   "), ""]
    header = ("Task", "Unit", "Crystals to draw labels from", "Test fold", "Numbers of labels")
    rows = [
        (task, recording.unit(task), str(facts.get("training_fold", "")), str(facts.get("test_fold", "")), counts)
        for task in recording.tasks
        for facts, counts in [(recording.of_task(task), listed(recording.cells(task)))]
    ]
    yield from [Table(header, tuple(rows)).rst(), ""]
    yield f"Seed {study.get('seed', 'not known')}. {_draws(recording)} {captions.choice(recording)}"
    yield from ["", *_counts(study)]
    if isinstance(study.get("versions"), dict):
        yield f"Versions: {', '.join(f'{name} {number}' for name, number in study['versions'].items())}."


def _draws(recording: Recording) -> str:
    """Say how many draws the heads have."""
    heads = [*recording.heads, *recording.other_heads]
    return f"Draws: {', '.join(f'{recording.draws([head])} of {readable(head)}' for head in heads)}."


def _counts(study: dict[str, Any]) -> Iterator[str]:
    """Say what was imputed and how long things took."""
    imputed = study.get("imputed_rows") or {}
    rows = [f"{name} {count} ({task})" for task, counts in imputed.items() for name, count in counts.items()]
    if rows:
        yield from [f"Rows with missing values, in whose place are the means of the columns: {', '.join(rows)}.", ""]
    models = study.get("pretraining") or {}
    times = [f"{name} {facts['seconds']} s" for name, facts in models.items() if "seconds" in facts]
    if times:
        yield from [f"Pretraining: {', '.join(times)}.", ""]


def _goals(recording: Recording) -> Iterator[str]:
    """Ratios, with what was set out for; and once more on fewer draws, where more heads can be chosen from."""
    yield from _goal_table(recording, GOALS)
    yield from ["", captions.OVERALL]
    fewer = on_fewer_draws(recording)
    if fewer is not None:
        more = listed(readable(head) for head in fewer.heads if head not in recording.heads)
        yield from ["", f"On the first {fewer.draws(fewer.heads)} draws, with {more} among the heads:", ""]
        yield from _goal_table(fewer, [goal for goal in GOALS if goal.head == BEST])


def on_fewer_draws(recording: Recording) -> Recording | None:
    """The recording of no more draws than the next head has that was measured for every feature set.

    Parameters
    ----------
    recording : Recording
        Of the study.

    Returns
    -------
    Recording or None
        None if no further head has several draws.
    """
    records = recording.records
    draws = records[records["cv_mae"].notna()].groupby(["head", "task", "features", "labels"])["draw"].nunique()
    least = draws.groupby("head").min()
    further = [int(n) for head, n in least.items() if head in recording.other_heads and n > 1]
    if not further:
        return None
    fewer = replace(recording, records=records[records["draw"] < max(further)])
    return fewer if set(fewer.heads) > set(recording.heads) else None


def _goal_table(recording: Recording, goals: Sequence[Goal]) -> Iterator[str]:
    """One line a goal."""
    rows = []
    for goal in goals:
        ratio = measure(recording, goal)
        names = goal.baseline.split(", ")
        against = f"the best of {listed(names)}" if len(names) > 1 else goal.baseline
        at = f", {listed(goal.labels)} labels" if goal.labels else ""
        found = ("not measured", "") if ratio is None else (str(ratio), highest_cell(ratio))
        rows.append((f"{goal.features} / {against}, {readable(goal.head)}{at}", *found, f"{goal.aim:.2f}"))
    yield Table(("Errors of", "Ratio", "Highest cell", "Set out for, at most"), tuple(rows)).rst()


def _errors(recording: Recording) -> Iterator[str]:
    """Means for each task."""
    for task in recording.tasks:
        yield from _task(recording, task, [BEST, "ridge", _TUNED])
    yield captions.ERRORS


def _task(recording: Recording, task: str, heads: Sequence[str], features: Sequence[str] | None = None) -> list[str]:
    """Means for one task, with their caption."""
    table = error_table(recording, task, heads, features=features)
    shown = [head for head in heads if readable(head) in {row[1] for row in table.rows}]
    return [f".. rubric:: {task}", "", table.rst(), "", captions.measured(recording, task, shown), ""]


def _fine_tuning(recording: Recording) -> Iterator[str]:
    """Fine-tuned networks beside published ones."""
    tuned = recording.records[recording.records["head"] == _TUNED]
    for task, published in TRANSFER.items():
        own = summarise(tuned[tuned["task"] == task])
        if own.empty:
            yield from [f"Fine-tuning was not measured for {task}.", ""]
            continue
        yield from [f".. rubric:: {task} ({recording.unit(task)})", "", _beside(own, published).rst(), ""]
    yield (
        "*Here*: on the bundled crystals, mean ± standard error over the draws. *Published*: on matbench, of which "
        f"crystals and folds are others, by {CITATION}."
    )


def _beside(own: pd.DataFrame, published: dict[int, dict[str, float]]) -> Table:
    """Put measured means and published ones side by side."""
    cells = {(row["features"], row["labels"]): row for _, row in own.iterrows()}
    counts = sorted({*published, *own["labels"]})
    rows = []
    for count in counts:
        row = [str(count)]
        for start in STARTS:
            found, known = cells.get((start, count)), published.get(count, {}).get(start)
            row.append("" if found is None else format_cell(found["mean"], found["standard_error"], 3))
            row.append("" if known is None else f"{known:.3f}")
        rows.append(tuple(row))
    header = ["Labels"]
    for name in STARTS.values():
        header += [f"From {name}: here", "published"]
    return Table(tuple(header), tuple(rows))


def _ordering(recording: Recording) -> Iterator[str]:
    """The published preset beside the controls it was published with."""
    present = [name for name in _OF_PAPER if name in recording.features]
    if "paper" not in present or not recording.heads:
        yield 'The preset "paper" was not measured.'
        return
    comparable = comparable_features(recording, "paper", BEST)
    ratios = [
        (f"paper / {name}", str(ratio), highest_cell(ratio))
        for name in present[1:]
        if name in comparable
        for ratio in [compare(recording.records, "paper", name, heads=recording.heads)]
    ]
    if ratios:
        yield from [Table(("Errors of", "Ratio", "Highest cell"), tuple(ratios)).rst(), "", captions.OVERALL, ""]
    for task in recording.tasks:
        yield from _task(recording, task, [BEST], present)


SECTIONS: dict[str, Callable[[Recording], Iterator[str]]] = {
    "recorded": _recorded,
    "goals": _goals,
    "errors": _errors,
    "fine-tuning": _fine_tuning,
    "published ordering": _ordering,
}
"""Writers of the sections, by name."""
