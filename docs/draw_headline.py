"""Draw errors with few labels, of the models that come with the package and of others, for the front page.

From the records in benchmarks/shipped, with the better of ridge and Laplacian kernel ridge for each draw of labels. The
page is built with it (see conf.py), so it cannot go stale.

python docs/draw_headline.py FILE
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

from skdim.evaluation import choose_regressor
from skdim.plotting import plot_label_efficiency

ROOT = Path(__file__).parent.parent
NAMES = {
    "materials_project_labels": "skdim",
    "materials_project": "skdim, structures alone",
    "sevennet": "SevenNet-0",
    "untrained": "the same form, untrained",
    "magpie": "Magpie",
}
TASKS = {
    "formation energy": ("formation energy", "eV/atom"),
    "band gap": ("band gap", "eV"),
    "log10 K": ("bulk modulus", "log10 GPa"),
}


def main(path):
    """Draw a panel for each property."""
    records = pd.read_parquet(ROOT / "benchmarks" / "shipped" / "results.parquet")
    records = records[records["features"].isin(NAMES)]
    best = choose_regressor(records, ("ridge", "kernel_ridge")).assign(regressor="best")
    best["features"] = best["features"].map(NAMES)
    plt.rcParams.update({"font.family": "DejaVu Sans", "svg.hashsalt": "skdim", "svg.fonttype": "path"})
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.9), layout="constrained")
    for ax, (task, (name, unit)) in zip(axes, TASKS.items(), strict=True):
        own = best[best["task"] == task]
        own = pd.concat([own[own["features"] == features] for features in NAMES.values()])  # the order of the colours
        plot_label_efficiency(own, ax, labels=False, features=list(NAMES.values()))
        ax.set(title=name, ylabel=f"mean absolute error ({unit})")
    # With their markers, so that the curves are told apart in grey too.
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(NAMES), frameon=False)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None, dpi=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
