"""Errors with few labels on the vectors of the models that come with the package.

    python benchmarks/shipped.py [--table materials_project.parquet] [--models materials_project bundled ...]
        [--repeats 20] [--out benchmarks/shipped]

Tasks: formation energies, band gaps and bulk moduli of the bundled sets, on their test folds; and with ``--table``
energies and gaps, metals included, of compositions of the large set, half of which give the labels and half the test
fold (see `materials_project.py`). No composition of either was in the training of the models of the large set; the
small model has seen the bundled structures. A model called ``untrained`` (``untrained=FILE``) is a baseline too. Every
feature set is treated alike: columns standardised on the training fold, ridge and Laplacian kernel ridge, the better of
the two chosen by cross-validation on the given labels. ``--models`` takes names of shipped models, and NAME=FILE for
those to ship. SevenNet-0 on the same draws of the bundled tasks comes from the record in ``benchmarks/rivals`` (50 to
250 labels), and OFM, CFID and XRD from that in ``benchmarks/results``. *Best of four* is, in each cell, the one of
Magpie, OFM, CFID and XRD whose mean error turned out lowest.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from materials_project import composition_keys, held_out, read_labels, read_structures

from skdim import DeepInfoMaxEmbedder, datasets
from skdim._files import replacing
from skdim.evaluation import choose_regressor, compare, label_efficiency, magpie_statistics
from skdim.pretrained import MODELS, load_pretrained
from skdim.study.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_HERE = Path(__file__).parent
REGRESSORS = ("ridge", "kernel_ridge")
FEW = (50, 100, 250)
BUNDLED = {
    "formation energy": ("load_formation_energy", {}, (*FEW, 1000)),
    "band gap": ("load_band_gap", {}, (*FEW, 500)),
    "log10 K": ("load_elastic_moduli", {"target": "log10(K_VRH)"}, (*FEW, 500)),
}
LARGE_COUNTS = (*FEW, 1000)
ALL_COUNTS = (*FEW, 500, 1000)
FOUR = ("magpie", "ofm", "cfid", "xrd")
BEST_OF_FOUR = "best of four"
_MOST_SITES = 200


class Task(NamedTuple):
    """Crystals, labels and test fold."""

    name: str
    crystals: Any
    y: NDArray[np.float64]
    test: NDArray[np.bool_]
    counts: tuple[int, ...]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="parquet file of the large set")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="names, or NAME=FILE")
    parser.add_argument("--repeats", type=int, default=20, help="draws of labels (default: 20)")
    parser.add_argument("--out", type=Path, default=_HERE / "shipped", help="folder of the record and its table")
    options = parser.parse_args()
    embedders = dict(map(load, options.models))
    found = [measured(task, embedders, options.repeats) for task in tasks(options.table)]
    own = pd.concat(found)
    records = pd.concat([own, *of_recorded(own, "rivals", "sevennet"), *of_recorded(own, "results", *FOUR[1:])])
    options.out.mkdir(parents=True, exist_ok=True)
    records.to_parquet(options.out / "results.parquet", index=False)
    table = text(records, options.repeats)
    print(table)
    with replacing(options.out / "report.md") as draft:
        draft.write_text(table + "\n", encoding="utf-8")


def load(model: str) -> tuple[str, DeepInfoMaxEmbedder]:
    """A shipped model, or one to be shipped, and its name."""
    name, _, file = model.partition("=")
    return name, DeepInfoMaxEmbedder.load(file) if file else load_pretrained(name)


def tasks(table: Path | None) -> Iterator[Task]:
    """The bundled tasks, and those of the large set."""
    for name, (loader, given, counts) in BUNDLED.items():
        bunch = getattr(datasets, loader)(**given)
        yield Task(name, bunch.data, bunch.target, bunch.test_mask, counts)
    if table is None:
        return
    keys, labels = composition_keys(table), read_labels(table)
    rows = np.flatnonzero(held_out(keys) & np.all([np.isfinite(values) for values in labels.values()], axis=0))
    crystals = read_structures(table, rows)
    small = np.array([len(crystal) <= _MOST_SITES for crystal in crystals])
    rows, crystals = rows[small], [crystal for crystal, few in zip(crystals, small, strict=True) if few]
    test = np.array([int(hashlib.sha256(f"part{keys[row]}".encode()).hexdigest(), 16) % 2 == 0 for row in rows])
    for name, values in labels.items():
        yield Task(f"{name.replace('_', ' ')}, large set", crystals, values[rows], test, LARGE_COUNTS)


def measured(task: Task, embedders: dict[str, DeepInfoMaxEmbedder], repeats: int) -> pd.DataFrame:
    """Records of one task."""
    features: dict[str, Any] = {name: embedder.transform(task.crystals) for name, embedder in embedders.items()}
    features["magpie"] = magpie_statistics(task.crystals)
    return label_efficiency(
        features,
        task.y,
        task.test,
        label_counts=task.counts,
        regressors=REGRESSORS,
        n_repeats=repeats,
        task=task.name,
    )


def of_recorded(records: pd.DataFrame, study: str, *features: str) -> list[pd.DataFrame]:
    """Records of other features in a study, if they are of the same draws: then errors of Magpie are the same."""
    recorded = read_recording(_HERE / study).records
    recorded = recorded[recorded["regressor"].isin(REGRESSORS)]
    both = ["task", "features", "regressor", "labels", "repeat"]
    joined = records.merge(recorded, on=both, suffixes=("", "_recorded"))
    joined = joined[joined["features"] == "magpie"]
    if joined.empty or not np.allclose(joined["mae"], joined["mae_recorded"], rtol=1e-3):
        print(f"benchmarks/{study} is of other draws: {', '.join(features)} left out")
        return []
    draws = records[["task", "labels", "repeat"]].drop_duplicates()
    return [recorded[recorded["features"].isin(features)].merge(draws)]


def best_of_four(records: pd.DataFrame) -> pd.DataFrame:
    """Records of the features of `FOUR` whose mean error is lowest, in each cell that has all of them."""
    chosen = choose_regressor(records[records["features"].isin(FOUR)], REGRESSORS)
    means = chosen.groupby(["task", "labels", "features"])["mae"].mean().unstack().reindex(columns=list(FOUR)).dropna()
    cells = means.idxmin(axis=1).rename("features").reset_index()
    return records.merge(cells).assign(features=BEST_OF_FOUR)


def text(records: pd.DataFrame, repeats: int) -> str:
    """Mean absolute errors of the better regressor, and ratios of them, as Markdown."""
    best = choose_regressor(records, REGRESSORS)
    lines = [f"Mean absolute error ± standard error over {repeats} draws of labels.", ""]
    lines += ["| task | vectors | " + " | ".join(f"{n} labels" for n in ALL_COUNTS) + " |"]
    lines += ["| --- " * (2 + len(ALL_COUNTS)) + "|"]
    for (task, features), own in best.groupby(["task", "features"], sort=False):
        cells = own.groupby("labels")["mae"].agg(["mean", "sem"])
        told = [f"{cells['mean'][n]:.3f} ± {cells['sem'][n]:.3f}" if n in cells.index else "" for n in ALL_COUNTS]
        lines.append(f"| {task} | {features} | " + " | ".join(told) + " |")
    lines += ["", "Ratios of errors, geometric means over the cells, with 95% intervals from resampling the draws.", ""]
    lines += ["| vectors | baseline | tasks | labels | ratio |", "| --- | --- | --- | --- | --- |"]
    large = records["task"].str.endswith("large set")
    for group in (*BUNDLED, "all three", "band gap and log10 K", *dict.fromkeys(records["task"][large])):
        of_group = {"all three": tuple(BUNDLED), "band gap and log10 K": ("band gap", "log10 K")}.get(group, (group,))
        own = records[records["task"].isin(of_group)]
        few = own if group.endswith("large set") else own[own["labels"].isin(FEW)]
        lines += [f"| {a} | {b} | {group} | {span(few)} | {ratio(few, a, b)} |" for a, b in pairs(few)]
    whole = records[~large]
    four = best_of_four(whole)
    models = [] if four.empty else [a for a, b in pairs(whole) if b == "magpie"]
    together = pd.concat([whole, four])
    lines += [
        f"| {a} | {BEST_OF_FOUR} | all three | {span(four)} | {ratio(together, a, BEST_OF_FOUR)} |" for a in models
    ]
    return "\n".join(lines)


def span(records: pd.DataFrame) -> str:
    """Fewest and most labels."""
    return f"{records['labels'].min()} to {records['labels'].max()}"


def pairs(records: pd.DataFrame) -> list[tuple[str, str]]:
    """Each model beside what there was before."""
    names = [name for name in dict.fromkeys(records["features"]) if name not in FOUR[1:]]
    baselines = [name for name in ("magpie", "sevennet", "bundled", "untrained") if name in names]
    return [(a, b) for b in baselines for a in names if a != b and a not in ("magpie", "sevennet", "untrained")]


def ratio(records: pd.DataFrame, features: str, baseline: str) -> str:
    """Ratio of errors with its interval."""
    found = compare(records, features, baseline, regressors=REGRESSORS)
    return f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"


if __name__ == "__main__":
    main()
