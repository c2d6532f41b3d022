"""Records of a study in, one page of HTML that needs no other file out."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from skdim.benchmark import captions
from skdim.benchmark.figures import box_picture, curve_heads, curve_picture, map_picture
from skdim.benchmark.records import BEST
from skdim.benchmark.tables import comparable_features, error_table, paired_table, ratio_table
from skdim.benchmark.text import readable

if TYPE_CHECKING:
    from skdim.benchmark.recording import Recording

_TITLE = "Errors with few labels"
_MADE = {
    "versions": "Versions",
    "tasks": "Tasks",
    "settings": "Settings",
    "pretraining": "Pretraining",
    "imputed_rows": "Rows with missing values, in whose place are column means",
    "seconds": "Seconds by part",
    "vectors_sha256": "Sums of the vectors (sha256)",
}


def web_page(recording: Recording, baseline: str) -> str:
    """Write the whole report.

    Parameters
    ----------
    recording : Recording
        Of the study.
    baseline : str
        Feature set to compare with.

    Returns
    -------
    str
        HTML; pictures are part of it.
    """
    sections = {
        "In short": _overview(recording, baseline),
        "Spread over the draws": _boxes(recording),
        "Learning curves": _curves(recording),
        "Errors": _errors(recording),
        f"Compared with {baseline}": _paired(recording, baseline),
        "Maps": _maps(recording),
        "How it was made": _made(recording),
    }
    written = {title: "\n".join(blocks) for title, blocks in sections.items()}
    shown = [(f"part-{k}", html.escape(title), text) for k, (title, text) in enumerate(written.items(), 1) if text]
    template = Template((files("skdim.benchmark") / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=_TITLE,
        notes="\n".join(f'<p class="note">{html.escape(note)}</p>' for note in notes(recording)),
        contents="\n".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title, _ in shown),
        sections="\n".join(
            f'<section id="{anchor}"><h2>{title}</h2>\n{text}\n</section>' for anchor, title, text in shown
        ),
    )


def notes(recording: Recording) -> list[str]:
    """Say what a reader has to know before any number.

    Parameters
    ----------
    recording : Recording
        Of the study.

    Returns
    -------
    list of str
        Empty for a whole run.
    """
    found = []
    if recording.study.get("quick"):
        found.append("This was a quick trial: it shows that everything works, and its numbers mean nothing.")
    if recording.study.get("finished") is False:
        found.append("The run is not finished: what is not there yet is left out.")
    return found


def paired_heads(recording: Recording, baseline: str) -> list[str]:
    """Name those of the best head and ridge with which something can be compared with the baseline.

    Parameters
    ----------
    recording : Recording
        Of the study.
    baseline : str
        Feature set to compare with.

    Returns
    -------
    list of str
    """
    return [head for head in (BEST, "ridge") if comparable_features(recording, baseline, head)]


def _text(*sentences: str) -> str:
    """Write a paragraph below a title or a table."""
    return f'<p class="caption">{html.escape(" ".join(sentences))}</p>'


def _figure(picture: bytes, alt: str, *sentences: str) -> str:
    """Write a picture as part of the page."""
    data = base64.b64encode(picture).decode()
    caption = f"<figcaption>{html.escape(' '.join(sentences))}</figcaption>" if sentences else ""
    return f'<figure><img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">{caption}</figure>'


def _folded(title: str, blocks: list[str]) -> str:
    """Write what is read when it is asked for."""
    return f"<details><summary>{html.escape(title)}</summary>\n" + "\n".join(blocks) + "\n</details>"


def _overview(recording: Recording, baseline: str) -> Iterator[str]:
    """Ratios over all cells."""
    heads = paired_heads(recording, baseline)
    if heads:
        yield ratio_table(recording, baseline, heads).html()
        yield _text(f"Errors divided by those of {baseline}.", captions.OVERALL, captions.choice(recording))
    else:
        yield _text(f"No other feature set was measured on the draws of {baseline}: there is nothing to compare.")


def _boxes(recording: Recording) -> Iterator[str]:
    """Box plots: of the best head and ridge at once, of the others on demand."""
    heads = [*([BEST] if recording.heads else []), *recording.heads, *recording.other_heads]
    for task in recording.tasks:
        own = set(recording.records.loc[recording.records["task"] == task, "head"]) | {BEST}
        drawn = {
            head: _figure(
                box_picture(recording, task, head),
                f"Box plots of the errors of {readable(head)} for {task}, by number of labels and feature set",
                captions.measured(recording, task, [head]),
                captions.BOXES,
            )
            for head in heads
            if head in own
        }
        yield f"<h3>{html.escape(task)}</h3>"
        yield from (drawn.pop(head) for head in (BEST, "ridge") if head in drawn)
        if drawn:
            yield _folded(f"Other heads for {task}", list(drawn.values()))


def _curves(recording: Recording) -> Iterator[str]:
    """Learning curves of the best head, ridge and fine-tuning."""
    for task in recording.tasks:
        heads = curve_heads(recording, task)
        if heads:
            alt = f"Error for {task} against the number of labels, a curve for each feature set"
            sentences = captions.measured(recording, task, heads), captions.CURVES
            yield _figure(curve_picture(recording, task, heads), alt, *sentences)


def _errors(recording: Recording) -> Iterator[str]:
    """Tables of means."""
    yield _text(captions.ERRORS, captions.choice(recording))
    for task in recording.tasks:
        yield f"<h3>{html.escape(task)}</h3>"
        heads = curve_heads(recording, task)
        if heads:
            yield error_table(recording, task, heads).html()
            yield _text(captions.measured(recording, task, heads))
        yield _folded(f"Every head for {task}", [error_table(recording, task).html()])


def _paired(recording: Recording, baseline: str) -> Iterator[str]:
    """Tests against the baseline, and of fine-tuning against an untrained start."""
    pairs = [(baseline, head) for head in paired_heads(recording, baseline)]
    untrained = "default untrained"
    if comparable_features(recording, untrained, "fine_tuned"):
        pairs.append((untrained, "fine_tuned"))
    for against, head in pairs:
        yield f"<h3>{html.escape(readable(head))}, against {html.escape(against)}</h3>"
        yield _text(captions.testing(recording, against))
        for task in recording.tasks:
            yield f"<h4>{html.escape(task)}</h4>"
            yield paired_table(recording, task, against, head).html()
            yield _text(captions.measured(recording, task, [head]))


def _maps(recording: Recording) -> Iterator[str]:
    """Maps, if there are any."""
    if recording.maps is None or recording.maps.empty:
        return
    yield _text(captions.MAPS)
    yield '<div class="maps">'
    for task, method, features in recording.maps[["task", "method", "features"]].drop_duplicates().to_numpy():
        alt = f"{method} map of the test crystals of {task} by the vectors {features}"
        yield _figure(map_picture(recording, task, method, features), alt)
    yield "</div>"


def _made(recording: Recording) -> Iterator[str]:
    """Command, versions, seeds, seconds."""
    study = recording.study
    if study.get("command"):
        yield f"<pre>{html.escape(str(study['command']))}</pre>"
    rest = {name: value for name, value in study.items() if name not in _MADE and name != "command"}
    rest["seconds of the heads, all draws"] = round(float(recording.records["seconds"].sum()), 1)
    yield _facts(rest)
    for name, title in _MADE.items():
        if study.get(name):
            yield f"<h3>{html.escape(title)}</h3>"
            yield _facts(study[name])


def _facts(value: Any) -> str:
    """Write what JSON can hold: objects as tables, lists as lines."""
    if isinstance(value, dict):
        rows = "".join(
            f'<tr><th scope="row">{html.escape(str(name))}</th><td>{_facts(inner)}</td></tr>'
            for name, inner in value.items()
        )
        return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'
    if isinstance(value, list):
        return html.escape(", ".join(map(str, value)))
    return "" if value is None else html.escape(str(value))
