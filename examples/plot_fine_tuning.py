"""
Fine-tuning on a hundred labels
===============================

A ridge regression on the vectors of an encoder leaves the encoder as it is. `SiteNetRegressor` begins with that very
ridge and then trains encoder and head together, as far as held-out labels say that it helps. When is that worth the
while? Here both learn two properties from a hundred labels: from a model that comes with the package and has learned
from 120,000 other crystals, and from an encoder without any training.
"""

# %%
# Two sets of crystals, each with a fixed test fold. They are featurized once; both encoders take the same point sets.
from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, load_pretrained
from skdim.datasets import load_band_gap, load_elastic_moduli

sets = {"bulk modulus (log10 GPa)": load_elastic_moduli, "band gap (eV)": load_band_gap}
data = {}
for name, load in sets.items():
    train, test = load(subset="train"), load(subset="test")
    points = [CrystalPointSetTransformer().fit_transform(part.data) for part in (train, test)]
    data[name] = points[0], train.target, points[1], test.target

# %%
# A hundred labels, drawn at random, two times. ``max_epochs=0`` is the ridge on the encoder's vectors, where
# fine-tuning begins.
import numpy as np
import pandas as pd

from skdim import SiteNetRegressor

rows = []
for name, (points, values, held_out, truth) in data.items():
    starts = {
        "120,000 crystals": load_pretrained("materials_project_held_out"),
        "untrained": DeepInfoMaxEmbedder(random_state=0, max_epochs=0).fit(points),
    }
    for repeat in range(2):
        labelled = np.random.default_rng(repeat).permutation(len(points))[:100]
        for start, embedder in starts.items():
            for step, epochs in {"ridge": {"max_epochs": 0}, "fine-tuned": {}}.items():
                regressor = SiteNetRegressor(embedder, random_state=0, **epochs)
                regressor.fit(points[labelled], values[labelled])
                rows.append((name, start, repeat, step, np.abs(regressor.predict(held_out) - truth).mean()))
errors = pd.DataFrame(rows, columns=["property", "start", "repeat", "step", "error"])
errors = errors.pivot(index=["property", "start", "repeat"], columns="step", values="error")[["ridge", "fine-tuned"]]
print(errors.groupby(["property", "start"], sort=False).mean().round(3))

# %%
# Each line is a repeat, from the ridge to the fine-tuned network. On bulk moduli fine-tuning takes about a tenth off
# the error, and the start hardly matters. On band gaps the start is what matters, and fine-tuning adds little to it.
# Which it is for a property nobody knows beforehand: `CrystalRegressor` and ``skdim fit`` try both, and keep the
# better by cross-validation. More repeats, numbers of labels and properties are on the page :doc:`/results`.
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
styles = {"120,000 crystals": ("#0072B2", "o", "-"), "untrained": ("#D55E00", "s", "--")}
for ax, name in zip(axes, data, strict=True):
    for start, (color, marker, line) in styles.items():
        drawn = ax.plot(errors.loc[name, start].T, color=color, marker=marker, linestyle=line)
        drawn[0].set_label(start)
    ax.margins(y=0.1)
    ax.set(title=name, xlim=(-0.3, 1.3), ylim=(0, None), ylabel="mean absolute error")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False, loc="lower left", handlelength=3)

# %%
# What the training did, epoch by epoch: the loss of the standardised targets. It may rise while the learning rate is
# high, and falls as that cools down; the weights of the lowest loss are kept. ``cv=None`` trains all the way, without
# asking held-out labels.
from skdim.plotting import TrainingHistoryDisplay

points, values, _, _ = data["bulk modulus (log10 GPa)"]
start = load_pretrained("materials_project_held_out")
all_the_way = SiteNetRegressor(start, cv=None, random_state=0).fit(points[:100], values[:100])
display = TrainingHistoryDisplay.from_estimator(all_the_way)

# %%
# A regressor of another property is a start too: ``SiteNetRegressor(all_the_way)`` goes on from its encoder, which
# pays where that property has more labels than this one.
