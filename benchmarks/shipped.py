"""Errors with few labels on the vectors of the models that come with the package.

    python benchmarks/shipped.py [--table materials_project.parquet] [--models materials_project bundled ...]
        [--repeats 20] [--add] [--others] [--out benchmarks/shipped]

Tasks: formation energies, band gaps and bulk moduli of the bundled sets, on their test folds; and with ``--table``
energies and gaps, metals included, of compositions of the large set, half of which give the labels and half the test
fold (see `materials_project.py`). No composition of either was in the training of `materials_project_held_out` and
`materials_project_labels`; `materials_project` has seen their structures, and `bundled` those of the bundled sets. A
model called ``untrained`` (``untrained=FILE``) is a baseline too. Every feature set is treated alike: columns
standardised on the training fold, ridge and Laplacian kernel ridge, the better of the two chosen by cross-validation on
the given labels. ``--models`` takes names of shipped models, and NAME=FILE for those to ship; with ``--add`` the record
keeps what it has of others, if it is of the same repeats. Potentials and matminer's largest set on the same labels of
the bundled tasks come from the record in ``benchmarks/rivals`` (50 to 250 labels), and OFM, CFID and XRD from that in
``benchmarks/results``; ``--others`` takes these anew beside what was measured before, and measures nothing. *Best of
four* is, in each cell, the one of Magpie, OFM, CFID and XRD whose mean error turned out lowest. `shipped_page.py` tells
what was found.
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
from skdim.evaluation import choose_regressor, label_efficiency, magpie_statistics
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
RIVALS = ("sevennet", "sevennet_l3i5", "chgnet_layers", "matminer")
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
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="parquet file of the large set")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="names, or NAME=FILE")
    parser.add_argument("--repeats", type=int, default=20, help="random choices of labels (default: 20)")
    parser.add_argument("--add", action="store_true", help="keep what the record has of other models")
    parser.add_argument("--others", action="store_true", help="only take other features from their records anew")
    parser.add_argument("--out", type=Path, default=_HERE / "shipped", help="folder of the record")
    options = parser.parse_args()
    place = options.out / "results.parquet"
    if options.others:
        own = pd.read_parquet(place)
        own = own[~own["features"].isin((*RIVALS, *FOUR[1:]))]
    else:
        embedders = dict(map(load, options.models))
        own = pd.concat([measured(task, embedders, options.repeats) for task in tasks(options.table)])
        own = added(own, pd.read_parquet(place)) if options.add else own
    records = pd.concat([own, *of_recorded(own, "rivals", *RIVALS), *of_recorded(own, "results", *FOUR[1:])])
    options.out.mkdir(parents=True, exist_ok=True)
    with replacing(place) as draft:
        records.to_parquet(draft, index=False)
    print(f"{place}: {', '.join(dict.fromkeys(records['features']))}")


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


def added(new: pd.DataFrame, former: pd.DataFrame) -> pd.DataFrame:
    """Join records of new models with those of former ones, task by task; errors of Magpie tell whether they match."""
    both = ["task", "features", "regressor", "labels", "repeat"]
    joined = new[new["features"] == "magpie"].merge(former, on=both, how="left", suffixes=("", "_former"))
    if not np.allclose(joined["mae"], joined["mae_former"], rtol=1e-3):
        raise SystemExit("the record is of other repeats, or lacks a task: measure all models anew")
    new = new[new["features"] != "magpie"]
    kept = former[~former["features"].isin((*new["features"].unique(), *RIVALS, *FOUR[1:]))]
    tasks = dict.fromkeys(former["task"])
    return pd.concat([records[records["task"] == task] for task in tasks for records in (new, kept)])


def of_recorded(records: pd.DataFrame, study: str, *features: str) -> list[pd.DataFrame]:
    """Records of other features in a study, if they are of the same repeats: then errors of Magpie are the same."""
    recorded = read_recording(_HERE / study).records
    recorded = recorded[recorded["regressor"].isin(REGRESSORS)]
    both = ["task", "features", "regressor", "labels", "repeat"]
    joined = records.merge(recorded, on=both, suffixes=("", "_recorded"))
    joined = joined[joined["features"] == "magpie"]
    if joined.empty or not np.allclose(joined["mae"], joined["mae_recorded"], rtol=1e-3):
        print(f"benchmarks/{study} is of other repeats: {', '.join(features)} left out")
        return []
    repeats = records[["task", "labels", "repeat"]].drop_duplicates()
    return [recorded[recorded["features"].isin(features)].merge(repeats)]


def best_of_four(records: pd.DataFrame) -> pd.DataFrame:
    """Records of the features of `FOUR` whose mean error is lowest, in each cell that has all of them."""
    chosen = choose_regressor(records[records["features"].isin(FOUR)], REGRESSORS)
    means = chosen.groupby(["task", "labels", "features"])["mae"].mean().unstack().reindex(columns=list(FOUR)).dropna()
    cells = means.idxmin(axis=1).rename("features").reset_index()
    return records.merge(cells).assign(features=BEST_OF_FOUR)


def span(records: pd.DataFrame) -> str:
    """Fewest and most labels."""
    return f"{records['labels'].min()} to {records['labels'].max()}"


if __name__ == "__main__":
    main()
