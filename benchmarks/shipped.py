"""Errors with few labels on the vectors of the models that come with the package.

    python benchmarks/shipped.py [--table materials_project.parquet] [--models materials_project bundled ...]
        [--repeats 20] [--out benchmarks/shipped]

Tasks: formation energies, band gaps and bulk moduli of the bundled sets, on their test folds; and with ``--table``
energies and gaps, metals included, of compositions of the large set, half of which give the labels and half the test
fold (see `materials_project.py`). No composition of either was in the training of the models of the large set; the
small model has seen the bundled structures. A model called ``untrained`` (``untrained=FILE``) is a baseline too. Every
feature set is treated alike: columns standardised on the training fold, ridge and Laplacian kernel ridge, the better of
the two chosen by cross-validation on the given labels. ``--models`` takes names of shipped models, and NAME=FILE for
those to ship. SevenNet-0 on the same draws of the bundled tasks comes from the record in ``benchmarks/rivals``.
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_HERE = Path(__file__).parent
REGRESSORS = ("ridge", "kernel_ridge")
COUNTS = (50, 100, 250)
LARGE_COUNTS = (50, 100, 250, 1000)
BUNDLED = {
    "formation energy": ("load_formation_energy", {}),
    "band gap": ("load_band_gap", {}),
    "log10 K": ("load_elastic_moduli", {"target": "log10(K_VRH)"}),
}
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
    records = pd.concat([*found, *of_sevennet(pd.concat(found))], ignore_index=True)
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
    for name, (loader, given) in BUNDLED.items():
        bunch = getattr(datasets, loader)(**given)
        yield Task(name, bunch.data, bunch.target, bunch.test_mask, COUNTS)
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


def of_sevennet(records: pd.DataFrame) -> list[pd.DataFrame]:
    """Records of SevenNet-0, if they are of the same draws: then Magpie's errors are the same in both."""
    recorded = pd.read_parquet(_HERE / "rivals" / "results.parquet")
    both = ["task", "features", "regressor", "labels", "repeat"]
    joined = records.merge(recorded, on=both, suffixes=("", "_recorded"))
    joined = joined[joined["features"] == "magpie"]
    if joined.empty or not np.allclose(joined["mae"], joined["mae_recorded"], rtol=1e-3):
        print("benchmarks/rivals is of other draws: SevenNet-0 is left out")
        return []
    return [recorded[recorded["features"] == "sevennet"].merge(records[["task", "labels", "repeat"]].drop_duplicates())]


def text(records: pd.DataFrame, repeats: int) -> str:
    """Mean absolute errors of the better regressor, and ratios of them, as Markdown."""
    best = choose_regressor(records, REGRESSORS)
    lines = [f"Mean absolute error ± standard error over {repeats} draws of labels.", ""]
    lines += ["| task | vectors | " + " | ".join(f"{n} labels" for n in LARGE_COUNTS) + " |"]
    lines += ["| --- " * (2 + len(LARGE_COUNTS)) + "|"]
    for (task, features), own in best.groupby(["task", "features"], sort=False):
        cells = own.groupby("labels")["mae"].agg(["mean", "sem"])
        told = [f"{cells['mean'][n]:.3f} ± {cells['sem'][n]:.3f}" if n in cells.index else "" for n in LARGE_COUNTS]
        lines.append(f"| {task} | {features} | " + " | ".join(told) + " |")
    lines += ["", "Ratios of errors, geometric means over the cells, with 95% intervals from resampling the draws.", ""]
    lines += ["| vectors | baseline | tasks | ratio |", "| --- | --- | --- | --- |"]
    large = records["task"].str.endswith("large set")
    for group in (*BUNDLED, "all three", *dict.fromkeys(records["task"][large])):
        own = records[~large if group == "all three" else records["task"] == group]
        lines += [f"| {a} | {b} | {group} | {ratio(own, a, b)} |" for a, b in pairs(own)]
    return "\n".join(lines)


def pairs(records: pd.DataFrame) -> list[tuple[str, str]]:
    """Each model beside what there was before."""
    names = list(dict.fromkeys(records["features"]))
    baselines = [name for name in ("magpie", "sevennet", "bundled", "untrained") if name in names]
    return [(a, b) for b in baselines for a in names if a != b and a not in ("magpie", "sevennet", "untrained")]


def ratio(records: pd.DataFrame, features: str, baseline: str) -> str:
    """Ratio of errors with its interval."""
    found = compare(records, features, baseline, regressors=REGRESSORS)
    return f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"


if __name__ == "__main__":
    main()
