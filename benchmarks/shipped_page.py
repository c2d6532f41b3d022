"""What the models that come with the package are worth: the page ``docs/shipped.md``, its picture, and a summary.

All of it is made from the records of ``shipped.py`` and ``other_properties.py``; `results.py` writes it together with
the page of results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from shipped import BEST_OF_FOUR, BUNDLED, FEW, REGRESSORS, RIVALS, best_of_four, span

from skdim.evaluation import choose_regressor, compare, summarise
from skdim.evaluation._records import format_cell
from skdim.plotting import plot_label_efficiency
from skdim.study.blocks import Block, Heading, Table, Text, markdown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from skdim.evaluation import ErrorRatio

ALONE, LABELLED = "materials_project_held_out", "materials_project_labels"
MODELS = (ALONE, LABELLED, "bundled")
GIVEN = "materials_project"
"""What `load_pretrained` gives; it has seen the structures of the test crystals."""
BASELINES = ("magpie", BEST_OF_FOUR, *RIVALS, "untrained", "bundled")
TASKS = {
    "formation energy": ("formation energy", "eV/atom"),
    "band gap": ("band gap", "eV"),
    "log10 K": ("bulk modulus", "log10 GPa"),
}
DRAWN = {
    LABELLED: "skdim",
    ALONE: "skdim, structures alone",
    "sevennet": "SevenNet-0",
    "untrained": "the same form, untrained",
    "magpie": "Magpie",
}
"""The curves of the picture, and what they are called there."""
SEEN = (
    (
        "`materials_project_held_out`",
        "in the picture *structures alone*: pretrained without labels on 120,000 crystals of the Materials Project, "
        "and on what their electrons do in a [tight-binding model](method.md), which needs no label either",
    ),
    (
        "`materials_project`",
        "`load_pretrained()`: goes on from `materials_project_held_out` with all 139,405 crystals, so that it has seen "
        "the structures of most test crystals, though no label",
    ),
    (
        "`materials_project_labels`",
        '`load_pretrained("materials_project_labels")`, in the picture *skdim*: has also learned from 36,000 computed '
        "formation energies and PBE band gaps, and from the stiffness of 14,000 crystals as a universal potential, "
        "CHGNet, computes it; that is why it is ahead",
    ),
    (
        "`bundled`",
        '`load_pretrained("bundled")`: a small model of all bundled structures, those of the test folds too; no labels',
    ),
    ("untrained", "the form of `materials_project_held_out` without any learning"),
    ("magpie", "matminer's Magpie statistics of the composition"),
    ("matminer", "the largest set of matminer's features that can be computed of thousands of crystals"),
    ("sevennet", "atoms of SevenNet-0, a potential trained on energies of 1.5 million structures, pooled by layer"),
    ("sevennet_l3i5", "the same of SevenNet-l3i5, a larger form of it, trained on the same structures"),
    ("chgnet_layers", "the same of CHGNet, another potential trained on energies of the Materials Project"),
    ("ofm, cfid, xrd", "orbital field matrix, classical force-field inspired descriptors, X-ray powder pattern"),
    (BEST_OF_FOUR, "in each cell, that of magpie, ofm, cfid and xrd whose mean error turned out lowest"),
)


def read(folder: Path, name: str = "results") -> pd.DataFrame:
    """Records of `shipped.py` or `other_properties.py`, of the regressors that are chosen from."""
    records = pd.read_parquet(folder / f"{name}.parquet")
    return records[records["regressor"].isin(REGRESSORS)]


def draw(records: pd.DataFrame, path: Path) -> None:
    """Draw errors against numbers of labels, a panel for each bundled property."""
    best = choose_regressor(records[records["features"].isin(DRAWN)], REGRESSORS).assign(regressor="best")
    best["features"] = best["features"].map(DRAWN)
    with plt.rc_context({"font.family": "DejaVu Sans", "svg.hashsalt": "skdim", "svg.fonttype": "path"}):
        figure, axes = plt.subplots(1, len(TASKS), figsize=(12.5, 3.9), layout="constrained")
        for ax, (task, (title, unit)) in zip(axes, TASKS.items(), strict=True):
            own = best[best["task"] == task]
            own = pd.concat([own[own["features"] == name] for name in DRAWN.values()])  # the order of the legend
            plot_label_efficiency(own, ax, labels=False, features=list(DRAWN.values()))
            ax.set(title=title, ylabel=f"mean absolute error ({unit})")
        # With their markers, so that the curves are told apart in grey too.
        figure.legend(
            *axes[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=len(DRAWN),
            handlelength=3,
            frameon=False,
        )
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def page(records: pd.DataFrame, others: pd.DataFrame, picture: str) -> str:
    """The page in Markdown, given the path of its picture."""
    blocks = [*_opening(records, picture), *_errors(records), *_ratios(records), *_others(others), *_made()]
    return f"# The shipped models\n\n{markdown(blocks)}\n"


def summary(records: pd.DataFrame, picture: str) -> Iterator[Block]:
    """The same in short, for the page of results."""
    yield Text(
        "The model *structures alone* (`materials_project_held_out`, from which `load_pretrained()` goes on) has seen "
        "120,000 structures and no label; "
        '`load_pretrained("materials_project_labels")` (*labels too*, in the picture *skdim*) has also learned from '
        "computed energies, band gaps and stiffness. Neither has seen a composition of the test crystals. What each "
        "has seen, and every cell, is on the page [The shipped models](shipped.md)."
    )
    yield Text(_image(picture))
    beside = {"magpie": "Magpie", "sevennet": "SevenNet-0", "untrained": "the same form untrained"}
    for model, name in {ALONE: "structures alone", LABELLED: "labels too"}.items():
        yield Text(f"*{name.capitalize()}*: errors divided by those of other vectors.")
        yield _ratio_table(records, [(model, baseline) for baseline in beside], tuple(beside.values()))
    yield Text(
        f"{_ABOUT_RATIOS} SevenNet-0 is a potential trained on energies of 1.5 million structures, Magpie are "
        "statistics of the composition, and the last column is what the training adds. The large set holds all kinds "
        "of crystals of the Materials Project, metals too."
    )


_ABOUT_RATIOS = (
    "Ratios of errors, geometric means over the numbers of labels, with 95% intervals from resampling the repeats; "
    "below one is a gain."
)


def _image(picture: str) -> str:
    """The picture, as Markdown."""
    return f"![Error against the number of labels for formation energy, band gap and bulk modulus]({picture})"


def _opening(records: pd.DataFrame, picture: str) -> Iterator[Block]:
    """What was measured, on which models."""
    yield Text(
        "What the models that come with the package, `load_pretrained(...)`, are worth with few labels, cell by cell. "
        "The picture shows three of the tasks; the page [Results](results.md) also has the study of encoders that were "
        "pretrained on a few thousand crystals."
    )
    yield Text(_image(picture))
    yield Table(("in the tables", "is"), SEEN)
    labelled, alone = (
        f"{_found(records, name, 'sevennet', tuple(BUNDLED))[1].ratio:.2f}" for name in (LABELLED, ALONE)
    )
    yield Text(
        f"Neither `{ALONE}` nor `{LABELLED}` has seen a composition of the test crystals; the potentials may have. "
        f"Over 50 to 250 labels of the three tasks of the picture, the errors of `{LABELLED}` are {labelled} times "
        f"those of SevenNet-0, and those of `{ALONE}` {alone} times. On [properties on which nothing was "
        "chosen](#properties-on-which-nothing-was-chosen) the lead is smaller."
    )
    yield Text(_of_all(records))


def _of_all(records: pd.DataFrame) -> str:
    """What the model of all crystals is worth beside the one that it goes on from."""
    if GIVEN not in set(records["features"]):
        return f"`{GIVEN}` is not in this record."
    found = _told(_found(records, GIVEN, ALONE, tuple(BUNDLED))[1])
    return (
        f"`load_pretrained()` gives `{GIVEN}`. Its errors are {found} times those of `{ALONE}` over the three "
        "tasks and 50 to 250 labels: a seventh more structures, the test crystals' own among them, hardly change what "
        "vectors are worth. So the tables and examples that judge on the bundled sets are of the model that has not "
        "seen them, and your own crystals are given the one that has learned from all."
    )


def _errors(records: pd.DataFrame) -> Iterator[Block]:
    """A table for each task, the lowest mean of each column in bold."""
    yield Heading("Errors", 2)
    repeats = records.groupby(["task", "features", "labels", "regressor"])["repeat"].nunique()
    yield Text(
        "Each row has the better of ridge and Laplacian kernel ridge, chosen by cross-validation on the given labels "
        f"alone. Mean absolute error ± standard error over {repeats.max()} repeats; the lowest of each column "
        "is bold. Log10 K is the decadic logarithm of the bulk modulus in GPa; the *large set* are energies and gaps "
        "of all kinds of crystals of the Materials Project, metals too; see [Method](method.md) for what was chosen "
        "on them."
    )
    cells = summarise(choose_regressor(records, REGRESSORS))
    for task in dict.fromkeys(cells["task"]):
        yield Heading(f"{task} ({TASKS[task.partition(',')[0]][1]})")
        yield _error_table(cells[cells["task"] == task])


def _error_table(own: pd.DataFrame) -> Table:
    """Means and standard errors of one task."""
    counts, names = sorted(own["labels"].unique()), list(dict.fromkeys(own["features"]))
    found = own.set_index(["features", "labels"])
    rows = tuple(
        (
            f"`{name}`" if name in (GIVEN, *MODELS) else name,
            *(
                format_cell(*found.loc[(name, n), ["mean", "standard_error"]], 3) if (name, n) in found.index else ""
                for n in counts
            ),
        )
        for name in names
    )
    lowest = [found.xs(n, level="labels")["mean"].idxmin() for n in counts]
    bold = frozenset((names.index(name), column + 1) for column, name in enumerate(lowest))
    return Table(("vectors", *(f"{n} labels" for n in counts)), rows, bold)


def _ratios(records: pd.DataFrame) -> Iterator[Block]:
    """Every model beside every baseline."""
    yield Heading("Ratios of errors", 2)
    yield Text(_ABOUT_RATIOS)
    given = _with_best_of_four(records)
    for baseline in BASELINES:
        if baseline in set(given["features"]):
            yield Heading(f"Divided by {baseline}")
            models = [name for name in MODELS if name != baseline]
            yield _ratio_table(given, [(name, baseline) for name in models], [f"`{name}`" for name in models])


def _others(records: pd.DataFrame) -> Iterator[Block]:
    """Properties that had no part in any choice: ratios, then errors."""
    yield Heading("Properties on which nothing was chosen", 2)
    yield Text(
        "How the encoder is built, what it learns and for how long was chosen by errors of formation energies, band "
        "gaps and bulk moduli; [Method](method.md) says on which crystals. Other labels of the bundled sets had no "
        "part in it, and so they show better what to expect of a property of one's own. Below are errors on the "
        "same test folds divided by those of other vectors, geometric means over 50 to 250 labels with 95% "
        "intervals from resampling the repeats. The lead is smaller here, and where the errors of all vectors are "
        "close to each other little is left of it. `materials_project_labels` has learned from energies and from "
        "the stiffness that a potential computes, shear included."
    )
    few = records[records["labels"].isin(FEW)]
    pairs = [(model, baseline) for model in (ALONE, LABELLED) for baseline in ("magpie", "sevennet", "untrained")]
    tasks = dict.fromkeys(records["task"])
    rows = []
    for name, own in {**{task: few[few["task"] == task] for task in tasks}, f"all {len(tasks)}": few}.items():
        found = (compare(own, *pair, regressors=REGRESSORS) for pair in pairs)
        rows.append((name.partition(" (")[0], *map(_told, found)))
    yield Table(("property", *(f"`{model}` / {baseline}" for model, baseline in pairs)), tuple(rows))
    cells = summarise(choose_regressor(records, REGRESSORS))
    for task in tasks:
        yield Heading(task)
        yield _error_table(cells[cells["task"] == task])


def _made() -> Iterator[Block]:
    """How the records were made."""
    yield Heading("How it was recorded", 2)
    yield Text(
        "`python benchmarks/shipped.py` writes the records to `benchmarks/shipped`, `python "
        "benchmarks/other_properties.py` those of the other properties, `python benchmarks/results.py` this page, and "
        "`python benchmarks/headline.py` prints the table of the README."
    )


def _with_best_of_four(records: pd.DataFrame) -> pd.DataFrame:
    """Records, with those of the best of four features where all four were measured."""
    own = records[~_large(records["task"])]
    return pd.concat([records, best_of_four(own)], ignore_index=True)


def _large(tasks: pd.Series) -> pd.Series:
    """Which tasks are of the large set."""
    return tasks.str.endswith("large set")


def _groups(records: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Tasks that are told together, by what they are called."""
    large = dict.fromkeys(records["task"][_large(records["task"])])
    return {
        **{name: (name,) for name in BUNDLED},
        "band gap and log10 K": ("band gap", "log10 K"),
        "all three": tuple(BUNDLED),
        **{name: (name,) for name in large},
    }


def _found(
    records: pd.DataFrame, features: str, baseline: str, tasks: Sequence[str]
) -> tuple[pd.DataFrame, ErrorRatio]:
    """Compare two feature sets on some tasks, in the cells that count, which are returned too."""
    own = records[records["task"].isin(tasks)]
    if baseline != BEST_OF_FOUR and not _large(own["task"]).all():
        own = own[own["labels"].isin(FEW)]
    own = own.merge(own.loc[own["features"] == baseline, ["task", "labels"]].drop_duplicates())
    return own, compare(own, features, baseline, regressors=REGRESSORS)


def _ratio_table(records: pd.DataFrame, pairs: Sequence[tuple[str, str]], titles: Sequence[str]) -> Table:
    """A row for each group of tasks, a column for each pair of a model and a baseline that was measured there."""
    rows = []
    for group, tasks in _groups(records).items():
        on = {one: set(records.loc[records["features"] == one, "task"]) for _, one in pairs}
        found = [_found(records, *pair, tasks) if set(tasks) <= on[pair[1]] else None for pair in pairs]
        measured = [one for one in found if one is not None]
        if measured:
            cells = ("" if one is None else _told(one[1]) for one in found)
            rows.append((group, span(measured[0][0]), *cells))
    return Table(("tasks", "labels", *titles), tuple(rows))


def _told(ratio: ErrorRatio) -> str:
    """A ratio with its interval."""
    return f"{ratio.ratio:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"
