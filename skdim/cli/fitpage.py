"""The report of `skdim fit`, as text for a terminal and as a page that opens without a network."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim._files import replacing
from skdim.cli.matching import counted
from skdim.cli.messages import printable

if TYPE_CHECKING:
    from skdim.cli.fitreport import Report

_RAW = "in the labels' unit"  # heads errors there


def as_text(report: Report) -> str:
    """Write the report for a terminal, in some fifteen lines."""
    own, guess = report.told(report.error), report.told(report.errors["median"])
    on_scale = f", on the scale {report.scale}" if report.unit else ""
    labels = f"{report.n_labelled} labels" + (f" and {report.bounds}" if report.n_bounds else "")
    lines = [
        f"{report.target}: {labels}; {report.n_usable} of {report.n_crystals} crystals usable",
        f"vectors: {report.model}",
        f"tested by {report.folds}; scale: {report.scale}; chosen: {report.chosen}",
        "",
        *_table(report),
        "",
        *([f"on unseen crystals {report.chosen} is off by {own}, a guess by {guess}"] if report.unit else []),
        f"R2 of the held-out predictions{on_scale}: {report.r2:.3f}",
        *(f"caution: {caution}" for caution in report.cautions),
    ]
    held = ", ".join(f"{got:.0%} of {share:.0%}" for share, got in report.coverage if math.isfinite(got))
    lines.append(f"intervals held: {held or 'too few labels to tell'}")
    if report.expected:
        lines.append(
            f"with twice the labels ({report.expected[0]}) expect an error of about {report.told(report.expected[1])}, "
            f"from {report.learning[-1][1]:.3g} now{report.of_ridge}"
        )
    elif len(report.learning) > 1:
        lines.append("the error does not fall with the number of labels: more of the same kind will hardly help")
    if report.twins:
        sets = counted(report.twins, "set")
        lines.append(f"{sets} of near-duplicates among the labelled crystals, see the report")
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def _table(report: Report) -> list[str]:
    """Errors of each regressor, those on a scale beside those in the unit of the labels."""
    title = "mean absolute error" + (report.error_unit and f", {report.error_unit}")
    lines = [f"{title:38} {'vectors':>10} {'Magpie':>10}{report.unit and f'  {_RAW}'}"]
    for name, error in sorted(report.errors.items(), key=lambda item: item[1]):
        shown = "guess of the median" if name == "median" else name
        beside = f"{report.magpie[name]:10.4g}" if name in report.magpie and name != "median" else " " * 10
        raw = f"  {report.raw_errors[name]:{len(_RAW)}.4g}" if report.unit else ""
        mark = "  <- chosen" if name == report.chosen else ""
        lines.append(f"  {shown:36} {error:10.4g} {beside}{raw}{mark}".rstrip())
    return lines


def write_pages(
    reports: Sequence[Report],
    unmatched: Sequence[str],  # rows of the table that label no crystal
    path: Path,
) -> None:
    """Write the reports on all targets as one page that opens without a network."""
    _write(path, "fit.html", shown=[(report, _pictures(report)) for report in reports], unmatched=unmatched)


def _pictures(report: Report) -> dict[str, str]:
    """Draw predicted against measured values, and the learning curve, as they are put into a page."""
    from skdim.plotting import ParityDisplay, new_figure, plot_learning_curve, png

    parity, curve = new_figure(7.8, 4.6), new_figure(4.6, 4.2)
    ParityDisplay.from_predictions(
        report.measured,
        report.predicted,
        target=report.target,
        unit=report.label_unit,
        logarithmic=report.scale == "log10",
        ax=parity.subplots(),
    )
    counts, errors = zip(*report.learning, strict=True)
    guess = report.errors["median"]
    plot_learning_curve(
        counts, errors, expected=report.expected, unit=report.error_unit, guess=guess, ax=curve.subplots()
    )
    drawn = {"parity": parity, "curve": curve}
    return {name: base64.b64encode(png(figure)).decode() for name, figure in drawn.items()}


def write_classes_page(
    target: str,  # column of the labels
    text: str,  # what `skdim.cli.classreport.classes_text` gives
    failures: Sequence[str],  # crystals that could not be used, with reasons
    unmatched: Sequence[str],  # rows of the table that label no crystal
    path: Path,
) -> None:
    """Write the report on classes, and what failed, as a page."""
    _write(path, "classes.html", target=target, text=text, failures=failures, unmatched=unmatched)


def _write(path: Path, template: str, **shown: Any) -> None:
    """Fill in a template; all that is shown is escaped, and control characters in names are shown as such."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    def shown_as_text(value: Any) -> Any:
        return printable(value) if type(value) is str and not value.isprintable() else value

    pages = Environment(
        loader=PackageLoader("skdim.cli"), autoescape=True, undefined=StrictUndefined, finalize=shown_as_text
    )
    pages.filters["short"] = lambda value: f"{value:.4g}"
    pages.filters["percent"] = lambda value: f"{value:.0%}" if math.isfinite(value) else "too few"
    with replacing(path) as draft:
        draft.write_text(pages.get_template(template).render(shown), encoding="utf-8")
