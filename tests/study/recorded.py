"""A small study with real records, written as `skdim benchmark` writes it."""

import json
from pathlib import Path

import pandas as pd

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.datasets import load_band_gap
from skdim.evaluation import label_efficiency, magpie_statistics

N, LABELS, REPEATS = 160, (20, 40), 3


def small_records():
    """Trained, untrained and Magpie vectors with two regressors, and fine-tuning from both encoders."""
    gaps = load_band_gap()
    points = CrystalPointSetTransformer().fit_transform(gaps.data[:N])
    y, test = gaps.target[:N], gaps.test_mask[:N]
    fitted = {
        name: DeepInfoMaxEmbedder(max_epochs=epochs, random_state=0).fit(points[~test])
        for name, epochs in (("default", 1), ("default untrained", 0))
    }
    settings = {"label_counts": LABELS, "n_repeats": REPEATS, "task": "band gap", "random_state": 0}
    vectors = {name: embedder.transform(points) for name, embedder in fitted.items()}
    frozen = label_efficiency(
        {**vectors, "magpie": magpie_statistics(gaps.data[:N])},
        y,
        test,
        regressors=("median", "ridge", "kernel_ridge"),
        **settings,
    )
    rows = []
    for name, embedder in fitted.items():
        for repeat in range(REPEATS - 1):
            rows_of = slice(20 * repeat, 20 * repeat + 20)
            tuned = SiteNetRegressor(embedder=embedder, max_epochs=2, random_state=repeat)
            tuned.fit(points[~test][rows_of], y[~test][rows_of])
            error = float(abs(tuned.predict(points[test]) - y[test]).mean())
            rows.append(("band gap", name, "fine_tuned", 20, repeat, float("nan"), error, error, 0.0, 1.0))
    return pd.concat([frozen, pd.DataFrame(rows, columns=frozen.columns)], ignore_index=True), test


def write_study(folder):
    """Write the folder of the study."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records, test = small_records()
    records.to_parquet(folder / "results.parquet", index=False)
    facts = {
        "command": "skdim benchmark --dataset band_gap --out <here> & 'there'",
        "finished": True,
        "seed": 0,
        "versions": {"skdim": "0.1.0", "python": "3.11"},
        "tasks": {"band gap": {"unit": "eV", "training_fold": int((~test).sum()), "test_fold": int(test.sum())}},
        "settings": {"n_repeats": {"ridge": 3, "fine_tuned": 2}, "crystals": None, "labels": list(LABELS)},
        "imputed_rows": {"band gap": {"magpie": 2}},
        "pretraining": {"default": {"seconds": 1.5, "epochs": 1, "crystals": 120}},
        "seconds": {"features: magpie": 0.4},
    }
    (folder / "study.json").write_text(json.dumps(facts))
    held = records.loc[records["features"] == "default", ["mae", "rmse"]].to_numpy()
    maps = pd.DataFrame(held, columns=["x", "y"]).assign(
        task="band gap", method="t-SNE", target=1.0, features="default"
    )
    maps.to_parquet(folder / "maps.parquet", index=False)
    return folder
