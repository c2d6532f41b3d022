"""Errors with few labels for properties on which nothing was chosen, on the vectors of the models of the package.

    python benchmarks/other_properties.py [--models materials_project untrained=FILE ...] [--repeats 20]
        [--cache FOLDER] [--out benchmarks/shipped/other_properties.parquet]

The form of the encoder, its objectives and the number of epochs were chosen by errors of formation energies, band gaps
and bulk moduli. The bundled sets have labels of other properties, too, which took no part in it: the shear modulus, the
refractive index, the piezoelectric modulus and the energy above the convex hull. Here each of them is a task, on the
test folds of the sets. All feature sets are treated alike, as in `shipped.py`: columns standardised on the training
fold, ridge and Laplacian kernel ridge, the better of the two chosen by cross-validation on the given labels. Beside the
models stand Magpie statistics and, with the extra ``sevennet``, SevenNet-0, whose features are kept in ``--cache``.
``materials_project_labels`` has learned from energies, gaps and a potential's stiffness, shear among them; so its
shear moduli and energies above the hull are not of a kind that it has never met.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shipped import REGRESSORS, load

from skdim import datasets
from skdim._files import replacing
from skdim.evaluation import choose_regressor, compare, label_efficiency, reference_features
from skdim.pretrained import MODELS

_HERE = Path(__file__).parent
COUNTS = (50, 100, 250, 500)
BASELINES = ("magpie", "sevennet", "untrained")
SMALLEST_MODULUS = 0.01  # C/m^2: some are zero by symmetry or to rounding, and have no logarithm


def same(values: Any) -> Any:
    """Labels as they are."""
    return values


def log10_of_modulus(values: Any) -> Any:
    """Decadic logarithm of piezoelectric moduli."""
    return np.log10(np.maximum(values, SMALLEST_MODULUS))


TASKS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "log10 of shear modulus (GPa)": ("load_elastic_moduli", "log10(G_VRH)", same),
    "log10 of refractive index": ("load_band_gap", "n", np.log10),
    "log10 of piezoelectric modulus (C/m2)": ("load_piezoelectric", "eij_max", log10_of_modulus),
    "energy above hull (eV/atom)": ("load_formation_energy", "e_above_hull", same),
}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="names, or NAME=FILE")
    parser.add_argument("--repeats", type=int, default=20, help="random choices of labels (default: 20)")
    parser.add_argument("--references", nargs="*", default=["magpie", "sevennet"], help="of reference_features")
    parser.add_argument("--cache", type=Path, help="folder where their features are kept")
    parser.add_argument("--report", action="store_true", help="print what the record says, and measure nothing")
    parser.add_argument("--out", type=Path, default=_HERE / "shipped" / "other_properties.parquet")
    options = parser.parse_args()
    if not options.report:
        embedders = dict(map(load, options.models))
        records = pd.concat([measured(name, embedders, options) for name in TASKS])
        with replacing(options.out) as draft:
            records.to_parquet(draft, index=False)
    report(pd.read_parquet(options.out))


def measured(name: str, embedders: dict[str, Any], options: argparse.Namespace) -> pd.DataFrame:
    """Records of one property."""
    loader, column, transformed = TASKS[name]
    bunch = getattr(datasets, loader)(target=column)
    features: dict[str, Any] = {model: embedder.transform(bunch.data) for model, embedder in embedders.items()}
    for kind in options.references:
        features[kind] = reference_features(kind, bunch.data, on_error="nan", cache_dir=options.cache).to_numpy()
    return label_efficiency(
        features,
        transformed(bunch.target),
        bunch.test_mask,
        label_counts=COUNTS,
        regressors=REGRESSORS,
        n_repeats=options.repeats,
        task=name,
    )


def report(records: pd.DataFrame) -> None:
    """Print mean errors, and ratios of errors with their intervals."""
    best = choose_regressor(records, REGRESSORS)
    means = best.pivot_table(index=["task", "features"], columns="labels", values="mae", sort=False)
    print(means.round(4).to_string())
    names = list(dict.fromkeys(records["features"]))
    few = records[records["labels"] <= 250]
    for baseline in [name for name in BASELINES if name in names]:
        for name in [name for name in names if name not in BASELINES]:
            found = compare(few, name, baseline, regressors=REGRESSORS)
            print(f"{name} / {baseline}: {found}")


if __name__ == "__main__":
    main()
