"""Measure what variants of the default preset are worth with few labels: why the default is what it is.

    python benchmarks/ablation.py [--seeds 2] [--repeats 8] [--out records.csv]

Works on the training folds of three tasks alone: a fifth of their crystals, by a hash of the material id, is held out
here as "test", and the rest, without labels, is what every variant is pretrained on. The package's own test folds are
not touched. Every variant is evaluated with the same regressors on the same labels; ratios of errors are to the
default, geometric means over tasks, numbers of labels, repeats and seeds of the pretraining, with paired 95% intervals
over repeats.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets
from skdim.datasets import load_band_gap, load_elastic_moduli, load_formation_energy
from skdim.evaluation import compare, label_efficiency, magpie_statistics

LOADERS = {
    "formation energy": load_formation_energy,
    "band gap": load_band_gap,
    "log10 K": load_elastic_moduli,
}
LABELS = (50, 100, 250, 500)
REGRESSORS = ("ridge", "kernel_ridge")
# Name of a variant, parameters of the transformer, parameters of the embedder.
VARIANTS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("default", {}, {}),
    ("untrained", {}, {"max_epochs": 0}),
    ("site_features='magpie'", {"site_features": "magpie"}, {}),
    ("width 128", {}, {"encoder_params": {"width": 128}}),
    ("width 256", {}, {"encoder_params": {"width": 256}}),
    ("no decay with distance", {}, {"encoder_params": {"decay": None}}),
    ("no differences of features", {}, {"encoder_params": {"difference": False}}),
    ("two blocks", {}, {"encoder_params": {"blocks": 2}}),
    ("no strain, no jitter", {}, {"objective_params": {"strain": 0.0, "jitter": 0.0}}),
    ("40 epochs", {}, {"max_epochs": 40}),
    ("local objective added", {}, {"objective_params": {"local": 1.0}}),
    ("local and global added", {}, {"objective_params": {"local": 1.0, "global": 1.0}}),
    ("deep", {}, {"preset": "deep"}),
    ("deep, untrained", {}, {"preset": "deep", "max_epochs": 0}),
    ("deep, noise alone", {}, {"preset": "deep", "objective_params": {"masked": 0.0}}),
    ("deep, masked elements alone", {}, {"preset": "deep", "objective_params": {"noise": 0.0}}),
)

# Endings of the names of columns that hold amounts per volume and per length.
DENSITIES = ("_per_volume", "_per_length", "_d2", "_d8")
# Columns that are left out of the vectors of a variant, by the beginnings and ends of their names.
Parts = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
OF_DEFAULT: Parts = (
    ("without densities", (), DENSITIES),
    ("without densities by a site's neighbours", (), ("_d2", "_d8")),
    ("without polar covariances", (), ("_covariance",)),
    ("without context", ("context_",), ()),
    ("without environments", ("environment_",), ()),
    ("without surprise", ("surprise_",), ()),
    (
        "composition only (raw)",
        ("density_", "surprise_", "environment_", "context_"),
        DENSITIES,
    ),
)
OF_DEEP: Parts = (
    ("deep, without levels", ("level_",), ()),
    ("deep, without logarithms of densities", ("log_",), ()),
    ("deep, without hops", ("hop",), ()),
    ("deep, without context", ("context_",), ()),
)
WITHOUT = {"default": OF_DEFAULT, "deep": OF_DEEP}


def main() -> None:
    """Measure every variant, write the table that the method page shows, and perhaps the records."""
    options = parse()
    records = pd.concat(list(measure(options)), ignore_index=True)
    if options.out is not None:
        records.to_csv(options.out, index=False)
    found = table(records)
    found.to_csv(options.table, index=False, lineterminator="\n")
    print(found.to_string(index=False))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="pretrainings of each variant (default: 2)")
    parser.add_argument("--repeats", type=int, default=8, help="random choices of labels (default: 8)")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="these variants and the default (default: all)")
    parser.add_argument("--out", type=Path, default=None, help="CSV file for the records")
    table_file = Path(__file__).with_suffix(".csv")
    parser.add_argument("--table", type=Path, default=table_file, help="CSV file for the table (default: %(default)s)")
    return parser.parse_args()


def held_out(material_ids: Any) -> Any:
    """Tell which crystals of the training folds serve as test here."""
    digests = (hashlib.sha256(f"dev{name}".encode()).hexdigest() for name in material_ids)
    return np.array([int(digest, 16) % 5 == 0 for digest in digests])


def measure(options: argparse.Namespace) -> Iterator[pd.DataFrame]:
    """Yield the records of each variant, seed and task."""
    tasks = {name: load(subset="train") for name, load in LOADERS.items()}
    masks = {name: held_out(task.material_id) for name, task in tasks.items()}
    for name, task in tasks.items():
        yield evaluate(name, {"Magpie": magpie_statistics(task.data)}, task.target, masks[name], options)
    for variant, of_transformer, of_embedder in VARIANTS:
        if options.only is not None and variant not in ("default", *options.only):
            continue
        transformer = CrystalPointSetTransformer(**of_transformer)
        points = {name: transformer.fit_transform(task.data) for name, task in tasks.items()}
        unlabelled = PointSets.concatenate([points[name][~masks[name]] for name in tasks])
        for seed in range(options.seeds):
            embedder = DeepInfoMaxEmbedder(transformer, random_state=seed, **of_embedder).fit(unlabelled)
            names = [name.removeprefix("dim_") for name in embedder.get_feature_names_out()]
            for name, task in tasks.items():
                vectors = embedder.transform(points[name])
                named = options.only is None or variant in options.only
                for part, kept in parts(variant, names, named).items():
                    found = evaluate(name, {part: vectors[:, kept]}, task.target, masks[name], options)
                    yield found.assign(repeat=found["repeat"] + seed * options.repeats, columns=int(kept.sum()))


def parts(variant: str, names: list[str], named: bool = True) -> dict[str, Any]:
    """Which columns count: all, and for the default and the deep form, where they are asked for, all but a part."""
    kept = {variant: np.ones(len(names), bool)}
    for part, begins, ends in WITHOUT.get(variant, ()) if named else ():
        kept[part] = np.array([not (name.startswith(begins) or name.endswith(ends)) for name in names])
    return kept


def evaluate(name: str, features: dict[str, Any], target: Any, mask: Any, options: argparse.Namespace) -> pd.DataFrame:
    """Measure one feature set on one task."""
    return label_efficiency(
        features,
        target,
        mask,
        label_counts=LABELS,
        regressors=REGRESSORS,
        n_repeats=options.repeats,
        cv=None,
        task=name,
    )


def table(records: pd.DataFrame) -> pd.DataFrame:
    """Ratios of errors to the default, a line a variant."""
    repeats = records.loc[records["features"] == "default", "repeat"].max() + 1
    magpie = records[records["features"] == "Magpie"]
    copies = [magpie.assign(repeat=magpie["repeat"] + k) for k in range(0, repeats, magpie["repeat"].max() + 1)]
    records = pd.concat([records[records["features"] != "Magpie"], *copies], ignore_index=True)
    rows = []
    for variant in dict.fromkeys(["Magpie", *records["features"]]):
        columns = 132 if variant == "Magpie" else records.loc[records["features"] == variant, "columns"].max()
        ratios = [str(compare(records, variant, "default", regressor=name)) for name in REGRESSORS]
        rows.append((variant, int(columns), *ratios))
    return pd.DataFrame(rows, columns=["variant", "columns", *(name.replace("_", " ") for name in REGRESSORS)])


if __name__ == "__main__":
    main()
