"""The folder of a study in; report.html, which needs no other file, and report.md beside the records out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.benchmark import captions
from skdim.benchmark.figures import curve_heads
from skdim.benchmark.recording import read_recording
from skdim.benchmark.tables import error_table, ratio_table
from skdim.benchmark.webpage import notes, paired_heads, web_page

if TYPE_CHECKING:
    from skdim.benchmark.recording import Recording


def write_report(folder: str | os.PathLike[str], *, baseline: str = "magpie") -> tuple[Path, Path]:
    """Write what a study found, as a page to read and as a short text for a README.

    Parameters
    ----------
    folder : str or path
        Of the study: with ``results.parquet`` (records of `label_efficiency`, with a task each), ``study.json`` (an
        object; the page shows whatever it holds, of which ``command``, ``seed``, ``versions`` and, for each of
        ``tasks``, ``unit``, ``training_fold`` and ``test_fold`` are named in captions) and possibly ``maps.parquet``
        (columns task, method, x, y, target, features).
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
    >>> names = ["task", "features", "head", "labels", "draw", "cv_mae", "mae", "rmse", "r2", "seconds"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pd.DataFrame(rows, columns=names).to_parquet(Path(folder, "results.parquet"))
    ...     _ = Path(folder, "study.json").write_text(json.dumps({"command": "skdim benchmark", "seed": 0}))
    ...     page, short = write_report(folder)
    ...     print(short.read_text().splitlines()[4])
    | features | best head: ratio (95%)  | best head: highest cell | ridge: ratio (95%)      | ridge: highest cell |
    """
    recording = read_recording(folder)
    if baseline not in recording.features:
        raise ValueError(f"baseline={baseline!r} is not in the records; there are {', '.join(recording.features)}.")
    page, short = Path(folder, "report.html"), Path(folder, "report.md")
    page.write_text(web_page(recording, baseline), encoding="utf-8")
    short.write_text("\n".join(_lines(recording, baseline)) + "\n", encoding="utf-8")
    return page, short


def _lines(recording: Recording, baseline: str) -> Iterator[str]:
    """Write the short text."""
    yield from ["## Errors with few labels", ""]
    for note in notes(recording):
        yield from [f"**{note}**", ""]
    heads = paired_heads(recording, baseline)
    if heads:
        yield from [f"Errors divided by those of {baseline}:", "", ratio_table(recording, baseline, heads).markdown()]
        yield from ["", captions.OVERALL, ""]
    yield from [captions.choice(recording), ""]
    for task in recording.tasks:
        shown = curve_heads(recording, task)
        if shown:
            yield from [f"### {task}", "", error_table(recording, task, shown).markdown(), ""]
            yield from [captions.measured(recording, task, shown), captions.ERRORS, ""]
    if recording.study.get("command"):
        yield from ["Made by", "", "```", str(recording.study["command"]), "```"]
