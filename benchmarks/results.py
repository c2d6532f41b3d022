"""Write the page of results, and that of the shipped models: what was measured, beside targets and published errors.

    python benchmarks/results.py [--study benchmarks/results] [--out docs/results.md] [--pictures docs/images]

The tables are made from the records, so nothing on the pages is typed by hand, except for the remarks, which are in
``benchmarks/remarks.md`` and ``benchmarks/scale/remarks.md``. The page of the shipped models, ``shipped.md``, is
written beside the other.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import shipped_page
from PIL import Image
from published import CITATION, STARTS, TRANSFER

from skdim.evaluation import ErrorRatio, choose_features, compare, summarise
from skdim.evaluation._records import BEST, format_cell
from skdim.study import captions
from skdim.study.blocks import Block, Code, Heading, Table, Text, listed, markdown, readable
from skdim.study.finetuning import FINE_TUNED
from skdim.study.pictures import box_picture, curve_picture, curve_regressors, map_pictures
from skdim.study.recording import Recording, read_recording
from skdim.study.report import notes, paired_regressors, task_errors
from skdim.study.tables import comparable_features, error_table, highest_cell, ratio_table

if TYPE_CHECKING:
    import pandas as pd

_HERE = Path(__file__).parent
_REFERENCES = ("magpie", "ofm", "cfid", "xrd")
_SPLITS = {"random": "at random", "grouped": "with new prototypes"}
STUDIED = ("formation energy", "band gap", "log10 bulk modulus")
"""How the names of the three tasks of the study begin in other records."""
SCALE_TASKS = {"formation energy": "formation_energy_per_atom", "band gap": "band_gap"}
SCALE_UNIT = {"formation energy": "eV/atom", "band gap": "eV"}
SCALE_STARTS = {
    "published preset": {
        "paper untrained": "default untrained",
        "paper": "default",
        "paper other property": "other property",
    },
    "default preset": {name: name for name in STARTS},
}
"""Starts of the study of a large table, with the published start that each is beside."""
_OF_PAPER = ("paper", "paper untrained", "ofm", "xrd")
QUESTIONS = {
    "What are the shipped models worth, beside other features and a universal potential?": "The shipped models",
    "What is a pretraining on a few thousand crystals of my own worth, by default and as published?": (
        "A study of presets on a few thousand crystals"
    ),
    "What becomes of the errors where no relative of a crystal is labelled?": "Random and grouped folds",
    "What does fine-tuning add, and what does a trained start add to it?": "Fine-tuning",
    "What does the publication's protocol give on tens of thousands of crystals?": "The paper at its own scale",
    "What agrees with the publication?": "What agrees with the publication, and what does not",
}
"""What a visitor asks, and the section that answers."""


@dataclass(frozen=True)
class Target:
    """A ratio of errors that was set as a target before the measurement.

    Attributes
    ----------
    features, baseline : str
        Feature sets; several names for the baseline, separated by commas, are the best of them.
    regressor : str
        Of both.
    most : float
        The ratio should be at most this.
    labels : tuple of int, optional
        Numbers of labels that count; by default all.
    """

    features: str
    baseline: str
    regressor: str
    most: float
    labels: tuple[int, ...] | None = None


TARGETS = (
    Target("default", ", ".join(_REFERENCES), BEST, 0.82),
    Target("default", "magpie", "ridge", 0.70),
    Target("default", "default untrained", BEST, 0.90),
    Target("default", "paper", BEST, 0.60),
    Target("default", "default untrained", FINE_TUNED, 0.90, (50, 100, 250)),
    Target("default", "chgnet", BEST, 0.65),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page and its pictures."""
    parser = argparse.ArgumentParser(description="Write the page of results from the records of a study.")
    parser.add_argument("--study", type=Path, default=_HERE / "results", help="folder of `skdim benchmark`")
    parser.add_argument("--out", type=Path, default=_HERE.parent / "docs" / "results.md", help="the page")
    parser.add_argument("--pictures", type=Path, default=_HERE.parent / "docs" / "images", help="folder for pictures")
    options = parser.parse_args(arguments)
    recording = read_recording(options.study)
    shown = {}
    for name, picture in pictures(recording).items():
        path = options.pictures / f"results_{name}.png"
        # A palette: a quarter of the size, since the pictures are in the repository.
        Image.open(io.BytesIO(picture)).convert("RGB").quantize(128).save(path, optimize=True)
        shown[name] = os.path.relpath(path, options.out.parent)
    records, picture = shipped_page.read(_HERE / "shipped"), options.pictures / "shipped.svg"
    shipped_page.draw(records, picture)
    shown["shipped"] = os.path.relpath(picture, options.out.parent)
    others = shipped_page.read(_HERE / "shipped", "other_properties")
    of_models = options.out.with_name("shipped.md")
    of_models.write_text(shipped_page.page(records, others, shown["shipped"]), encoding="utf-8")
    options.out.write_text(page(recording, shown), encoding="utf-8")
    print(f"Written to {options.out} and {of_models}")


def pictures(recording: Recording) -> dict[str, bytes]:
    """Learning curves, box plots and maps of each task, as PNG files by name."""
    found = {}
    for task in recording.tasks:
        name = task.replace(" ", "_")
        found[f"curves_{name}"] = curve_picture(recording, task, curve_regressors(recording, task))
        found[f"boxes_{name}"] = box_picture(recording, task, BEST)
        found |= {f"map_{name}": picture for _, picture in map_pictures(recording, task)[:1]}
    return found


def names(recording: Recording) -> list[str]:
    """Names of the pictures on the page, in order."""
    kinds = ["curves", "boxes", *(["map"] if recording.maps is not None else [])]
    return [f"{kind}_{task.replace(' ', '_')}" for task in recording.tasks for kind in kinds]


def page(recording: Recording, shown: dict[str, str]) -> str:
    """The page in Markdown, given the paths of its pictures."""
    remarks = (_HERE / "remarks.md").read_text(encoding="utf-8").strip()
    sections = {
        "The shipped models": markdown(shipped_page.summary(shipped_page.read(_HERE / "shipped"), shown["shipped"])),
        "A study of presets on a few thousand crystals": _study(recording, shown),
        "Random and grouped folds": markdown(grouped_folds(_HERE / "grouped.json")),
        "Fine-tuning": markdown(all_fine_tuning(recording)),
        "The paper at its own scale": markdown(at_scale(_HERE / "scale")),
    }
    texts = [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(["# Results", markdown(opening()), *texts, remarks]) + "\n"


def opening() -> Iterator[Block]:
    """Which section answers which question."""
    yield Text(
        "What the vectors are worth with few labels: first the models that come with the package, then a study of "
        "pretraining on a few thousand crystals, then the protocol of the publication on a large table. Errors "
        "are of crystals that took no part in the training of a regressor; wherever *the best regressor* is named, it "
        "was chosen on the given labels alone. `python benchmarks/results.py` makes this page from the records in "
        "`benchmarks`."
    )
    links = {question: f"[{title}](#{_slug(title)})" for question, title in QUESTIONS.items()}
    yield Table(("Question", "Section"), tuple(links.items()))


def _slug(title: str) -> str:
    """The anchor of a heading, as forges and MyST make it."""
    return "".join(one for one in title.lower().replace(" ", "-") if one.isalnum() or one == "-")


def _study(recording: Recording, shown: dict[str, str]) -> str:
    """What an encoder is worth that was pretrained on the training crystals of each bundled set."""
    seen = (recording.study.get("pretraining") or {}).get("default", {}).get("crystals")
    intro = (
        f"Here an encoder is pretrained on {f'{seen:,} ' if seen else ''}crystals, those of the training folds "
        "of all tasks together, with the default and with the published preset. It stands beside the same encoder "
        "untrained and beside other features. These are not the shipped models, which have seen more."
    )
    sections = {
        "Targets set before the measurement": markdown(targets(recording)),
        "Feature sets and regressors": "\n\n".join(
            [
                captions.feature_sets(list(dict.fromkeys([*recording.features, "other property"]))),
                captions.choice(recording),
            ]
        ),
        **{f"Errors: {task}": _errors(recording, task, shown) for task in recording.tasks},
        "Beside a universal potential": markdown(rivals(_HERE / "rivals")),
        "The published preset beside its controls": markdown(published_preset(recording)),
        "Maps": "\n\n".join([captions.MAPS, *_images(shown, "map", "Map of the test crystals")]),
        "How it was recorded": markdown(recorded(recording)),
    }
    return "\n\n".join([intro, *(f"### {title}\n\n{text}" for title, text in sections.items())])


def _errors(recording: Recording, task: str, shown: dict[str, str]) -> str:
    """Table, curves and boxes of a task."""
    table = markdown(list(task_errors(recording, task, [BEST, "ridge", FINE_TUNED]))[1:])  # without its heading
    curves = _images(shown, f"curves_{task.replace(' ', '_')}", f"Learning curves for {task}")
    boxes = _images(shown, f"boxes_{task.replace(' ', '_')}", f"Errors for {task} as box plots")
    return "\n\n".join([table, *curves, captions.CURVES, *boxes, captions.BOXES])


def rivals(folder: Path) -> Iterator[Block]:
    """Feature sets that take long to compute, or programs of their own, on the same labels."""
    if not (folder / "results.parquet").is_file():
        yield Text("This is not recorded.")
        return
    recording = read_recording(folder)
    yield Text(
        "The same repeats of up to 250 labels once more, with feature sets that need programs of their own. "
        + captions.feature_sets(recording.features)
    )
    yield from (Text(f"**{note}**") for note in notes(recording))
    baseline = str(recording.study.get("baseline", "magpie"))
    regressors = paired_regressors(recording, baseline)
    if regressors:
        yield Text(f"Errors divided by those of {baseline}:")
        yield ratio_table(recording, baseline, regressors)
        yield Text(captions.OVERALL)
    for task in recording.tasks:
        yield Text(f"Mean absolute errors, {task}{f' ({unit})' if (unit := recording.unit(task)) else ''}:")
        yield error_table(recording, task, [BEST])
    yield Code(str(recording.study["command"]))


def all_fine_tuning(recording: Recording) -> Iterator[Block]:
    """What fine-tuning adds to the regressor it starts from, what a trained start adds, and the published errors."""
    yield Heading("Beside the ridge it starts from")
    yield from from_ridge(_HERE / "finetuning.json")
    yield Heading("From a trained and from an untrained start")
    yield from from_starts(_HERE / "starts.json")
    yield Heading("Beside the published errors")
    yield from fine_tuning(recording)


def _images(shown: dict[str, str], start: str, alt: str) -> list[str]:
    """The pictures whose names begin with some text."""
    return [f"![{alt}]({path})" for name, path in shown.items() if name.startswith(start)]


def recorded(recording: Recording) -> Iterator[Block]:
    """How the records were made."""
    study = recording.study
    if study.get("command"):
        yield Code(str(study["command"]))
        if "--fewer-draws" in str(study["command"]):
            yield Text("Today `--fewer-draws` is called `--fewer-repeats`.")
    header = ("Task", "Unit", "Crystals to draw labels from", "Test fold", "Numbers of labels")
    rows = [
        (
            task,
            recording.unit(task),
            str(recording.of_task(task).get("training_fold", "")),
            str(recording.of_task(task).get("test_fold", "")),
            listed(recording.label_counts(task)),
        )
        for task in recording.tasks
    ]
    yield Table(header, tuple(rows))
    regressors = [*recording.regressors, *recording.other_regressors]
    repeats = ", ".join(f"{recording.repeats([name])} of {readable(name)}" for name in regressors)
    yield Text(f"Seed {study.get('seed', 'not known')}. Random choices of labels: {repeats}.")
    imputed = [
        f"{name} {n} ({task})" for task, rows in (study.get("imputed_rows") or {}).items() for name, n in rows.items()
    ]
    if imputed:
        yield Text(f"Rows with missing values, for which column means are used: {', '.join(imputed)}.")
    models = study.get("pretraining") or {}
    times = [f"{name} {facts['seconds']:.0f} s" for name, facts in models.items() if "seconds" in facts]
    if times:
        yield Text(f"Training of the networks: {', '.join(times)}.")
    if isinstance(study.get("versions"), dict):
        yield Text(f"Versions: {', '.join(f'{name} {number}' for name, number in study['versions'].items())}.")


def measure(recording: Recording, target: Target) -> ErrorRatio | None:
    """Compare what a target is about; None if one of the two was not measured, or not in the same repeats."""
    import pandas as pd

    records, regressors = recording.records, recording.regressors
    if target.labels is not None:
        records = records[records["labels"].isin(target.labels)]
    names = target.baseline.split(", ")
    present = comparable_features(replace(recording, records=records), target.features, target.regressor)
    if not set(names) <= set(present):
        return None
    if len(names) > 1:
        best = choose_features(records, names, name=target.baseline, regressors=regressors)
        records = pd.concat([records, best], ignore_index=True)
    return compare(records, target.features, target.baseline, regressor=target.regressor, regressors=regressors)


def targets(recording: Recording) -> Iterator[Block]:
    """Ratios beside the targets; and once more in fewer repeats, with more regressors to choose from."""
    yield Text(
        "A ratio below one is in favour of the first. The best regressor is chosen by the given labels alone, and so "
        "is the feature set where several are named together."
    )
    yield _target_table(recording, TARGETS)
    yield Text(captions.OVERALL)
    fewer = on_fewer_repeats(recording)
    if fewer is not None:
        more = listed(readable(name) for name in fewer.regressors if name not in recording.regressors)
        yield Text(f"In the first {fewer.repeats(fewer.regressors)} repeats, with {more} among the regressors:")
        yield _target_table(fewer, [target for target in TARGETS if target.regressor == BEST])


def grouped_folds(record: Path) -> Iterator[Block]:
    """Errors with relatives of the test rows among the labels, and without."""
    if not record.is_file():
        yield Text("Folds of whole groups were not measured.")
        return
    report = json.loads(record.read_text(encoding="utf-8"))
    settings = report["settings"]
    yield Text(
        "Drawn at random, labels may hold relatives of the crystals that are predicted, which would flatter every "
        f"feature set. Here {settings['labels']} labels are cut into five folds at random, or so that crystals of one "
        "formula, composition system or prototype stay together; or all crystals with one of the four commonest "
        "elements are predicted by those without it. Mean absolute errors of "
        + ("ridge or " if "regressors" in settings else "")
        + "Laplacian kernel ridge regression"
        + (", whichever is better inside the labels by folds of the same kind" if "regressors" in settings else "")
        + f", on the vectors of {_with_what_it_has_seen(settings.get('model', 'bundled'))} and on Magpie "
        f"statistics, and of a guess of the median; mean ± standard error over {settings['repeats']} repeats. Recorded "
        "by `python benchmarks/grouped.py`."
    )
    header = ("Task", "Folds", "Vectors", "Magpie", "Vectors / Magpie", "Guess of the median")
    yield Table(header, tuple(_grouped_row(row) for row in report["rows"]))


def _with_what_it_has_seen(model: str) -> str:
    """Name a model that comes with the package, and what it has seen of the bundled sets."""
    return f"the model `{model}`" + (" (it has seen the structures, no label)" if model == "bundled" else "")


def _grouped_row(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table on groups."""
    vectors, magpie, median = (format_cell(row[n], row[f"{n}_error"], 3) for n in ("vectors", "magpie", "median"))
    return row["task"], row["folds"], vectors, magpie, f"{row['vectors'] / row['magpie']:.2f}", median


def on_fewer_repeats(recording: Recording) -> Recording | None:
    """The recording limited to as many repeats as the next regressor has that was measured for every feature set.

    None if no further regressor has several repeats.
    """
    records = recording.records
    cells = records[records["cv_mae"].notna()].groupby(["regressor", "task", "features", "labels"])
    least = cells["repeat"].nunique().groupby("regressor").min()
    further = [int(n) for name, n in least.items() if name in recording.other_regressors and n > 1]
    if not further:
        return None
    fewer = replace(recording, records=records[records["repeat"] < max(further)])
    return fewer if set(fewer.regressors) > set(recording.regressors) else None


def _target_table(recording: Recording, chosen: Sequence[Target]) -> Table:
    """One row for each target."""
    rows = []
    for target in chosen:
        ratio = measure(recording, target)
        names = target.baseline.split(", ")
        against = f"the best of {listed(names)}" if len(names) > 1 else target.baseline
        at = f", {listed(target.labels)} labels" if target.labels else ""
        found = ("not measured", "") if ratio is None else (str(ratio), highest_cell(ratio))
        rows.append((f"{target.features} / {against}, {readable(target.regressor)}{at}", *found, f"{target.most:.2f}"))
    return Table(("Errors of", "Ratio", "Highest cell", "Target, at most"), tuple(rows))


def fine_tuning(recording: Recording) -> Iterator[Block]:
    """Fine-tuned networks beside published ones."""
    tuned = recording.records[recording.records["regressor"] == FINE_TUNED]
    for task, published in TRANSFER.items():
        own = summarise(tuned[tuned["task"] == task])
        if own.empty:
            yield Text(f"Fine-tuning was not measured for {task}.")
            continue
        yield Heading(f"{task} ({recording.unit(task)})", 4)
        yield _beside(own, published)
    yield Text(
        "*Here*: on the bundled crystals, mean ± standard error over the repeats. *Published*: on Matbench, with other "
        f"crystals and folds, by {CITATION}."
    )


def at_scale(folder: Path) -> Iterator[Block]:
    """What a study of the large table that is given by path found, beside the published errors."""
    if not (folder / "results.parquet").is_file():
        yield Text("This is not recorded. How to measure it is on the page [Reproducing the paper](howto/paper.md).")
        return
    recording = read_recording(folder)
    crystals = next(iter(recording.study["tasks"].values()))
    yield Text(
        f"On {crystals['crystals']:,} crystals of the Materials Project with formation energies and band gaps (PBE), "
        f"of which a tenth, by a digest of the id, is the test fold: {crystals['test_fold']:,} crystals; labels are "
        "drawn from the rest. The networks were pretrained on the structures of that rest, or trained on its labels of "
        "the other property. The published errors are of 132,752 and 106,113 crystals and other folds."
    )
    yield from (Text(f"**{note}**") for note in notes(recording))
    tuned = recording.records[recording.records["regressor"] == FINE_TUNED]
    for published, task in SCALE_TASKS.items():
        yield Heading(f"{published} ({SCALE_UNIT[published]})")
        own = summarise(tuned[tuned["task"] == task])
        for preset, starts in SCALE_STARTS.items():
            if own["features"].isin(starts).any():
                yield Text(f"Fine-tuned, {preset}:")
                yield _beside(own, TRANSFER[published], starts)
        yield Text("On vectors that stay as they are:")
        shown = [
            name
            for name in (BEST, "ridge", "kernel_ridge", "random_forest", "mlp")
            if name in _measured(recording, task)
        ]
        yield error_table(recording, task, shown)
        yield Text(captions.measured(recording, task, shown))
    yield Text("Errors divided by those of a twin or of Magpie, each with the same regressor, in the repeats it has:")
    yield _by_regressor(
        recording,
        (
            ("paper", "paper untrained"),
            ("paper other property", "paper untrained"),
            ("default", "default untrained"),
            ("other property", "default untrained"),
            ("default", "magpie"),
        ),
    )
    for baseline in ("paper untrained", "magpie"):
        regressors = paired_regressors(recording, baseline) if baseline in recording.features else []
        if regressors:
            yield Text(f"Errors divided by those of {baseline}:")
            yield ratio_table(recording, baseline, regressors)
    yield Text(captions.OVERALL)
    if (folder / "remarks.md").is_file():
        yield Text((folder / "remarks.md").read_text(encoding="utf-8").strip())
    yield from recorded(recording)


def _by_regressor(recording: Recording, wanted: Sequence[tuple[str, str]]) -> Table:
    """Ratios of errors of two feature sets with each regressor, over all tasks and numbers of labels."""
    names = [
        name
        for name in ("ridge", "kernel_ridge", "random_forest", "mlp")
        if name in set(recording.records["regressor"])
    ]
    rows = [
        (f"{ours} / {others}", *(str(compare(recording.records, ours, others, regressor=name)) for name in names))
        for ours, others in wanted
        if {ours, others} <= set(recording.features)
    ]
    return Table(("Errors of", *map(readable, names)), tuple(rows))


def _measured(recording: Recording, task: str) -> set[str]:
    """Regressors that were measured on a task, and the best of them."""
    return {*recording.records.loc[recording.records["task"] == task, "regressor"], BEST}


def from_ridge(record: Path) -> Iterator[Block]:
    """Errors of fine-tuning as it is now, divided by those of the ridge it starts from."""
    if not record.is_file():
        yield Text("This was not measured.")
        return
    report = json.loads(record.read_text(encoding="utf-8"))
    steps = all("linear" in row for row in report["rows"])
    yield Text(
        "The fine-tuned rows of the study were recorded when fine-tuning trained on without holding labels out. Today "
        "`SiteNetRegressor` starts at a ridge, weighs the parts of the vector (the first step), trains from there, and "
        "goes in each step only as far as held-out labels say. Here are its mean "
        "absolute errors, divided by those of that ridge (below one is a gain), with labels drawn at random and with "
        "the prototypes of the test crystals left out, from the encoder of "
        f"{_with_what_it_has_seen(report['settings'].get('model', 'bundled'))}. *Held* is the share of test crystals "
        "inside intervals meant to hold 90%. Recorded by `python benchmarks/finetuning.py`"
        + ("." if steps else ", before there was a first step.")
    )
    rows = {(row["task"], row["labels"], row["split"]): row for row in report["rows"]}
    cells = [("ratio", ".2f"), *[("linear", ".2f")] * steps, ("all_the_way", ".2f"), ("held", ".0%")]
    beside = (*["First step"] * steps, "All the way", "Held")
    header = ("Task", "Labels", "Repeats", "Random", *beside, "New prototypes", *beside)
    lines = []
    for task, labels in dict.fromkeys((task, labels) for task, labels, _ in rows):
        own = [rows.get((task, labels, split)) for split in _SPLITS]
        repeats = min(row["repeats"] for row in own if row)
        found = [format(row[name], form) if row else "" for row in own for name, form in cells]
        lines.append((task, str(labels), str(repeats), *found))
    yield Table(header, tuple(lines))
    means = [
        f"{found['mean']:.3f} {_SPLITS[split]} (highest {found['highest']:.3f})"
        for split, found in report["means"].items()
    ]
    yield Text(
        "*First step*: without the training. " * steps
        + f"*All the way*: the trained model without a choice. Means over the cells: {' and '.join(means)}."
    )


def from_starts(record: Path) -> Iterator[Block]:
    """Errors of fine-tuning that starts from pretrained weights, divided by those of a start from drawn ones."""
    if not record.is_file():
        yield Text("This was not measured.")
        return
    report = json.loads(record.read_text(encoding="utf-8"))
    yield Text(
        f"Mean absolute errors after fine-tuning from the encoder of the model `{report['settings']['trained']}` and "
        "from one of its form with drawn weights, each from the ridge on its own vectors, with labels drawn at random; "
        f"{report['settings']['repeats']} repeats. Recorded by `python benchmarks/starts.py`."
    )
    rows = [
        (
            row["task"],
            str(row["labels"]),
            *(f"{row[name]:.3f}" for name in ("trained", "untrained")),
            f"{row['ratio']:.2f}",
        )
        for row in report["rows"]
    ]
    yield Table(("Task", "Labels", "From trained", "From untrained", "Ratio"), tuple(rows))
    by_task: dict[str, list[float]] = {}
    for row in report["rows"]:
        by_task.setdefault(row["task"], []).append(row["ratio"])
    means = [f"{task} {_geometric(found):.3f}" for task, found in by_task.items()]
    of_study = [ratio for task, found in by_task.items() if task.startswith(STUDIED) for ratio in found]
    yield Text(
        f"Geometric means: {', '.join(means)}; over the {len(of_study)} cells of the tasks that the other tables have "
        f"{_geometric(of_study):.3f}, over all {len(rows)} cells {report['mean']:.3f}."
    )


def _geometric(ratios: Sequence[float]) -> float:
    """Geometric mean."""
    return math.exp(mean(map(math.log, ratios)))


def _beside(
    own: pd.DataFrame,
    published: dict[int, dict[str, float]],
    starts: Mapping[str, str] | None = None,  # measured start to the published one; None takes the same names
) -> Table:
    """Put measured means and published ones side by side."""
    starts = starts or {name: name for name in STARTS}
    cells: dict[Any, Any] = {(row["features"], row["labels"]): row for _, row in own.iterrows()}
    rows = []
    for count in sorted({*published, *own["labels"]}):
        row = [str(count)]
        for start, other in starts.items():
            found, known = cells.get((start, count)), published.get(count, {}).get(other)
            row.append("" if found is None else format_cell(found["mean"], found["standard_error"], 3))
            row.append("" if known is None else f"{known:.3f}")
        rows.append(tuple(row))
    header = ["Labels"]
    for name in (STARTS[other] for other in starts.values()):
        header += [f"From {name}: here", "published"]
    return Table(tuple(header), tuple(rows))


def published_preset(recording: Recording) -> Iterator[Block]:
    """The published preset beside the controls it was published with."""
    present = [name for name in _OF_PAPER if name in recording.features]
    if "paper" not in present or not recording.regressors:
        yield Text('The preset "paper" was not measured.')
        return
    comparable = comparable_features(recording, "paper", BEST)
    ratios = [
        (f"paper / {name}", str(ratio), highest_cell(ratio))
        for name in present[1:]
        if name in comparable
        for ratio in [compare(recording.records, "paper", name, regressors=recording.regressors)]
    ]
    if ratios:
        yield Table(("Errors of", "Ratio", "Highest cell"), tuple(ratios))
        yield Text(captions.OVERALL)


if __name__ == "__main__":
    main()
