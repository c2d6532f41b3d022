"""The report of `skdim fit`, as text for a terminal and as a page that opens without a network."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim._files import generator, replacing
from skdim.cli.matching import counted
from skdim.cli.messages import printable

if TYPE_CHECKING:
    from skdim.cli.classreport import ClassReport
    from skdim.cli.fitreport import FitReport, Report

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
    lines += _of_more_labels(report)
    lines += _of_twins(report)
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def classes_as_text(report: ClassReport) -> str:
    """Write the report on classes for a terminal."""
    wide = max(12, *(len(kind) for kind in report.classes))
    lines = [
        f"{report.target}: {len(report.truth)} labels of {len(report.classes)} classes; chosen: {report.chosen}; "
        f"{report.n_usable} of {report.n_crystals} crystals usable",
        f"vectors: {report.model}",
        f"tested by {report.folds}",
        *(
            f"{which}: accuracy {right:.1%}, mean over the classes {each:.1%}"
            for which, (right, each) in report.accuracies.items()
        ),
        *(f"caution: {caution}" for caution in report.cautions),
        "",
        *_table(report),
        "",
        *_of_more_labels(report),
        *report.left_out,
        *_of_twins(report),
        "",
        "label (rows) and held-out prediction (columns)",
        " " * wide + "".join(f" {kind:>{wide}}" for kind in report.classes),
        *(
            f"{kind:{wide}}" + "".join(f" {n:{wide}d}" for n in row)
            for kind, row in zip(report.classes, report.confusion, strict=True)
        ),
        "",
        "surest mistakes (look at these labels first)",
        *(f"  {mistake}" for mistake in report.mistakes),
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in report.notes)])


def _of_more_labels(report: FitReport) -> list[str]:
    """Say what twice the labels would bring, where the learning curve tells it."""
    if report.expected:
        return [
            f"with twice the labels ({report.expected[0]}) expect {_with_article(report.error_name)} of about "
            f"{report.told(report.expected[1])}, from {report.learning[-1][1]:.3g} now{report.of_ridge}"
        ]
    if len(report.learning) > 1:
        return [
            f"the {report.error_name} does not fall with the number of labels: more of the same kind will hardly help"
        ]
    return []


def _of_twins(report: FitReport) -> list[str]:
    """Count near-duplicates, where there are some."""
    if not report.twins:
        return []
    return [f"{counted(report.twins, 'set')} of near-duplicates among the labelled crystals, see the report"]


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _table(report: Report | ClassReport) -> list[str]:
    """Errors of each regressor, those on a scale beside those in the unit of the labels."""
    title = report.measure + (report.error_unit and f", {report.error_unit}")
    lines = [f"{title:38} {'vectors':>10} {'Magpie':>10}{report.unit and f'  {_RAW}'}"]
    for name, error in sorted(report.errors.items(), key=lambda item: item[1]):
        shown = report.of_guess if name == report.guess else name
        beside = f"{report.magpie[name]:10.4g}" if name in report.magpie and name != report.guess else " " * 10
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
    from skdim.plotting import ParityDisplay, new_figure

    parity = new_figure(7.8, 4.6)
    ParityDisplay.from_predictions(
        report.measured,
        report.predicted,
        target=report.target,
        unit=report.label_unit,
        logarithmic=report.scale == "log10",
        ax=parity.subplots(),
    )
    return _embedded({"parity": parity, "curve": _learning_curve(report)})


def _learning_curve(report: FitReport) -> Any:
    """Draw the learning curve."""
    from skdim.plotting import new_figure, plot_learning_curve

    curve = new_figure(4.6, 4.2)
    counts, errors = zip(*report.learning, strict=True)
    plot_learning_curve(
        counts,
        errors,
        expected=report.expected,
        unit=report.error_unit,
        guess=report.errors[report.guess],
        measure=report.measure,
        of_guess=report.of_guess,
        ax=curve.subplots(),
    )
    return curve


def _embedded(drawn: dict[str, Any]) -> dict[str, str]:
    """Figures as they are put into a page."""
    from skdim.plotting import png

    return {name: base64.b64encode(png(figure)).decode() for name, figure in drawn.items()}


def _pictures_of_classes(report: ClassReport) -> dict[str, str]:
    """Draw held-out probabilities against observed frequencies, the confusion matrix, and the learning curve."""
    from skdim.plotting import new_figure, plot_calibration, plot_confusion

    kinds = report.classes
    drawn = {"confusion": new_figure(4.6, 4.2)}
    plot_confusion(report.confusion, kinds, ax=drawn["confusion"].subplots())
    if report.is_calibrated:
        drawn["calibration"] = new_figure(4.6, 4.2)
        happened = report.truth[:, None] == range(len(kinds))
        # Of two classes one says all.
        shown = slice(1, None) if len(kinds) == 2 else slice(None)
        plot_calibration(
            report.shares[:, shown].ravel(),
            happened[:, shown].ravel(),
            what=kinds[1] if len(kinds) == 2 else "a class",
            ax=drawn["calibration"].subplots(),
        )
    if len(report.learning) > 1:
        drawn["curve"] = _learning_curve(report)
    return _embedded(drawn)


def write_classes_page(
    report: ClassReport,
    unmatched: Sequence[str],  # rows of the table that label no crystal
    path: Path,
) -> None:
    """Write the report on classes, and what failed, as a page that opens without a network."""
    text, pictures = classes_as_text(report), _pictures_of_classes(report)
    _write(path, "classes.html", report=report, text=text, pictures=pictures, unmatched=unmatched)


def _write(path: Path, template: str, **shown: Any) -> None:
    """Fill in a template; all that is shown is escaped, and control characters in names are shown as such."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    def shown_as_text(value: Any) -> Any:
        return printable(value) if type(value) is str and not value.isprintable() else value

    pages = Environment(
        loader=PackageLoader("skdim.cli"), autoescape=True, undefined=StrictUndefined, finalize=shown_as_text
    )
    pages.filters["short"] = lambda value: value if isinstance(value, str) else f"{value:.4g}"
    pages.filters["percent"] = lambda value: f"{value:.0%}" if math.isfinite(value) else "too few"
    with replacing(path) as draft:
        draft.write_text(pages.get_template(template).render(shown, generator=generator()), encoding="utf-8")
