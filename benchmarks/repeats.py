"""Repeats that a measurement is made of: each is kept as soon as it is there, and a stopped run goes on.

The scripts that measure decisions (intervals, applicability, suggestion, grouped folds, fine-tuning) have these in
common: the bundled tasks with the vectors of one model, made once; a file of lines beside ``--out``, one for each
repeat, which names the model by the digest of its file, so that no record mixes two models; and a record with both.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import record

TASKS = {
    "formation energy (eV/atom)": "load_formation_energy",
    "band gap (eV)": "load_band_gap",
    "log10 bulk modulus": "load_elastic_moduli",
    "piezoelectric modulus (C/m2)": "load_piezoelectric",
}
Z = 1.6448536269514722  # of intervals that hold 90%
Repeat = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A bundled task with the vectors of a model.

    Attributes
    ----------
    data : sequence of N crystals
        All of them.
    points : PointSets
        As the model takes them.
    vectors : ndarray of shape (N, d)
        Of the model, float64.
    target, test : ndarray of shape (N,)
        Labels, and which rows are in the test fold.
    """

    data: Any
    points: Any
    vectors: np.ndarray
    target: np.ndarray
    test: np.ndarray

    def groups(self, by: str) -> np.ndarray:
        """Groups of the crystals, see `skdim.evaluation.composition_groups`."""
        from skdim.evaluation import composition_groups

        return composition_groups(self.data, by=by).astype(str)


@cache
def embedder(model: str) -> Any:
    """Load a model that comes with the package, or a file."""
    from skdim import DeepInfoMaxEmbedder, load_pretrained

    return DeepInfoMaxEmbedder.load(model) if Path(model).is_file() else load_pretrained(model)


@cache
def load(task: str, model: str) -> Task:
    """Load a task, once for each model."""
    from skdim import datasets

    bunch = getattr(datasets, TASKS[task])()
    points = embedder(model).featurizer_.transform(bunch.data)
    vectors = embedder(model).transform(points).astype(np.float64)
    return Task(bunch.data, points, vectors, bunch.target, bunch.test_mask)


@cache
def groups(task: str, model: str, by: str) -> np.ndarray:
    """Groups of a task's crystals, made once."""
    return load(task, model).groups(by)


def options_of(description: str, name: str, repeats: int) -> argparse.ArgumentParser:
    """Make a parser with the options that all of these scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=repeats, help=f"random choices of labels (default: {repeats})")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--tasks", type=int, default=len(TASKS), help="the first of them, for a trial (default: all)")
    parser.add_argument("--report", action="store_true", help="report the repeats on file, and measure no more")
    parser.add_argument("--out", type=Path, default=Path(f"benchmarks/{name}.json"), help="JSON file to write")
    record.add_model(parser)
    return parser


def keys(options: argparse.Namespace, **parts: Iterable[Any]) -> list[Repeat]:
    """Name the repeats that are wanted; the first repeat of all cells comes first."""
    names = ("seed", "task", *parts)
    values = range(options.repeats), list(TASKS)[: options.tasks], *parts.values()
    return [dict(zip(names, one, strict=True)) for one in itertools.product(*values)]


def measured(
    options: argparse.Namespace,
    wanted: Sequence[Repeat],
    call: Callable[..., Repeat],
    arguments: Callable[[Repeat], tuple[Any, ...]],
) -> list[Repeat]:
    """Measure the repeats that are not on file, and keep each.

    Parameters
    ----------
    options : Namespace
        Of `options_of`.
    wanted : sequence of dict
        From `keys`.
    call : callable
        Measures one repeat: JSON-able results by name.
    arguments : callable
        What ``call`` takes, for one of ``wanted``.

    Returns
    -------
    list of dict
        Keys and results, in the order of ``wanted``; with ``--report`` those that there are.
    """
    from joblib import Parallel, delayed

    lines, basis = options.out.with_suffix(".jsonl"), model_of(options)
    names = list(wanted[0]) if wanted else []
    done = {_place(line, names): line for line in _on_file(lines) if basis.items() <= line.items()}
    missing = [] if options.report else [key for key in wanted if _place(key, key) not in done]
    jobs = (delayed(call)(*arguments(key)) for key in missing)
    now = {**basis, "commit": record.surroundings()["commit"]}
    for key, found in zip(missing, Parallel(options.jobs, return_as="generator")(jobs), strict=True):
        done[_place(key, key)] = {**now, **key, **found}
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[_place(key, key)]) + "\n")
    places = (_place(key, key) for key in wanted)
    return [done[place] for place in places if place in done]


def recorded(options: argparse.Namespace) -> tuple[list[Repeat], list[str]]:
    """Rows of the record that are of the same model and as many repeats, and the commits that they were measured at."""
    if not options.out.exists():
        return [], []
    before = json.loads(options.out.read_text("utf-8"))
    if not model_of(options).items() <= before["settings"].items():
        return [], []
    return [row for row in before["rows"] if row["repeats"] == options.repeats], before["settings"]["commits"]


def write(
    options: argparse.Namespace, name: str, found: Sequence[Repeat], commits: Iterable[str] = (), **parts: Any
) -> None:
    """Write the record: what was measured, of which model, at which commits, those of rows of before with them."""
    settings = {
        **model_of(options),
        "repeats": max([*(1 + repeat["seed"] for repeat in found), *(row["repeats"] for row in parts.get("rows", ()))]),
        "commits": sorted({*commits, *(repeat["commit"] for repeat in found)}),
        **parts.pop("settings", {}),
    }
    for file in record.write({**record.surroundings(), "settings": settings, **parts}, options.out, name):
        print(f"Written to {file}")


def model_of(options: argparse.Namespace) -> Repeat:
    """Name the model whose vectors are measured, and its file."""
    from skdim._files import file_digest
    from skdim.pretrained import pretrained_card

    file = Path(options.model)
    digest = file_digest(file) if file.is_file() else pretrained_card(options.model)["sha256"]
    return {"model": file.name, "sha256": digest[:12]}


def cells(found: Sequence[Repeat], *names: str) -> dict[tuple[Any, ...], list[Repeat]]:
    """Put repeats together that have the same values of these names, in the order of the tasks."""
    together: dict[tuple[Any, ...], list[Repeat]] = {}
    for repeat in sorted(found, key=lambda repeat: list(TASKS).index(repeat["task"])):
        together.setdefault(tuple(repeat[name] for name in names), []).append(repeat)
    return together


def spread(values: Any) -> float:
    """Standard error of the mean; of one value nothing is known."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _on_file(lines: Path) -> list[Repeat]:
    """Repeats that were measured before; a line that was cut off is none."""
    if not lines.exists():
        return []
    whole = [line for line in lines.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in whole]


def _place(repeat: Repeat, names: Iterable[str]) -> tuple[Any, ...]:
    """Tell repeats apart."""
    return tuple(repeat.get(name) for name in names)
