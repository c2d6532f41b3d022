"""What was measured of decisions, from the records in ``benchmarks``: tables, and the sentences that follow from them.

The page names no number itself, so that a new record, perhaps of another model, leaves nothing to be mended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent.parent / "benchmarks"
_FIFTHS = ("Nearest fifth", "Second", "Third", "Fourth", "Farthest fifth")
_WAYS = {"best": "the best value", "both": "both by turns"}
Rows = Sequence[dict[str, Any]]


def source(record: dict[str, Any], name: str) -> str:
    """Say how, when and of which model a record was made."""
    settings, counts = record["settings"], sorted({row["repeats"] for row in record["rows"]})
    repeats = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    commits = ", ".join(f"`{commit}`" for commit in settings["commits"])
    return (
        f"Measured by `python benchmarks/{name}.py` with vectors of the model `{settings['model']}`; means over "
        f"{repeats} random choices of labels, of {record['date'][:10]} at commit {commits}."
    )


def interval_rows(rows: Rows) -> Iterator[list[str]]:
    """Share held and mean width of each method."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    yield ["Task", "Labels", *methods]
    for task, labels in dict.fromkeys((row["task"], row["labels"]) for row in rows):
        own = {row["method"]: row for row in rows if (row["task"], row["labels"]) == (task, labels)}
        yield [task, str(labels), *(f"{own[m]['coverage']:.1%} / {own[m]['width']:.3g}" for m in methods)]


def interval_words(rows: Rows) -> str:
    """Say how often the intervals of `CrystalRegressor` held."""
    held = [row["coverage"] for row in rows if row["method"] == "CrystalRegressor"]
    return f"Intervals of `CrystalRegressor` hold {_span(held, '.0%')}."


def distance_rows(rows: Rows) -> Iterator[list[str]]:
    """Error and share held of each fifth."""
    yield ["Task", "Folds", *_FIFTHS]
    for row in rows:
        cells = [f"{error:.3g} / {held:.0%}" for error, held in zip(row["errors"], row["held"], strict=True)]
        yield [row["task"], row["folds"], *cells]


def distance_words(rows: Rows) -> str:
    """Say how errors and intervals change with the distance."""
    said = []
    for own, whose in (
        ([row for row in rows if row["folds"] != "element"], "In folds of whole crystals, systems or prototypes"),
        ([row for row in rows if row["folds"] == "element"], "With an element that no label has"),
    ):
        times = [row["errors"][-1] / row["errors"][0] for row in own]
        held = [row["held"][-1] for row in own]
        largest = sum(row["errors"][-1] == max(row["errors"]) for row in own)
        said.append(
            f"{whose} the farthest fifth has {_span(times, '.1f')} times the error of the nearest, in {largest} of "
            f"{len(own)} rows the largest error of all, and its intervals hold {_span(held, '.0%')}."
        )
    return " ".join(said)


def suggestion_rows(rows: Rows) -> Iterator[list[str]]:
    """Errors, labels needed, and what is left to be found."""
    labels, left = "Labels to the error of random choice at 100", "Of the pool better than the best found at 50"
    yield ["Task", "Chosen by", "MAE at 50", "MAE at 100", labels, left]
    for row in rows:
        needed = f"{row['labels']:.0f} ± {row['labels_error']:.0f}"
        found = f"{row['left']:.2%} ± {row['left_error']:.2%}"
        yield [row["task"], row["way"], f"{row['mae_50']:.3g}", f"{row['mae_100']:.3g}", needed, found]


def suggestion_words(rows: Rows) -> str:
    """Say what each way of choosing is worth beside random choice."""
    by = {(row["task"], row["way"]): row for row in rows}
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    random = [by[task, "random"] for task in tasks]
    information = [by[task, "information"] for task in tasks]
    wins = sum(own["labels"] < other["labels"] for own, other in zip(information, random, strict=True))
    said = [
        f"Chosen for information, {_span([row['labels'] for row in information], '.0f')} labels do what takes "
        f"{_span([row['labels'] for row in random], '.0f')} at random; that is fewer in {wins} of {len(tasks)} tasks."
    ]
    for way in ("best", "both"):
        pairs = [(by[task, way], by[task, "random"]) for task in tasks]
        found = sum(own["left"] < other["left"] for own, other in pairs)
        lost = sum(own["mae_100"] > other["mae_100"] for own, other in pairs)
        left, at_random = (_span([pair[k]["left"] for pair in pairs], ".1%") for k in (0, 1))
        said.append(
            f"Chosen for {_WAYS[way]}, {left} of the pool are better than the best found, at random {at_random}: "
            f"fewer in {found} of {len(tasks)} tasks. The error at 100 labels is higher than at random in {lost}."
        )
    return " ".join(said)


def _span(values: Sequence[float], form: str) -> str:
    """Write a range, or one number where its ends look the same."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low.removesuffix('%')} to {high}"


Table = tuple[Callable[[Rows], Iterator[list[str]]], Callable[[Rows], str]]
TABLES: dict[str, Table] = {
    "intervals": (interval_rows, interval_words),
    "applicability": (distance_rows, distance_words),
    "suggestion": (suggestion_rows, suggestion_words),
}


def measured(name: str) -> tuple[str, Iterator[list[str]], str]:
    """Give where one of `TABLES` comes from, its rows, and what they say."""
    record = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    rows, words = TABLES[name]
    return source(record, name), rows(record["rows"]), words(record["rows"])
