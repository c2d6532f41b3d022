"""
Fine-tuning on a hundred labels
===============================

A ridge regression on the vectors of a pretrained embedder leaves the embedder as it is. `SiteNetRegressor` begins with
that very ridge and then trains the encoder and the head together. Here both learn formation energies from a hundred
labels, beside the same training from an encoder that was not pretrained, and from one that knows another property.
"""

# %%
# Featurize crystals once, and pretrain on some of the training fold. No label is involved, and no test crystal.
import numpy as np

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim.datasets import load_formation_energy

train, test = load_formation_energy(subset="train"), load_formation_energy(subset="test")
rng = np.random.default_rng(0)
pool = rng.permutation(len(train.data))[:1500]
points = CrystalPointSetTransformer().fit_transform(train.data[pool])
energies = train.target[pool]
pretrained = DeepInfoMaxEmbedder(random_state=0, max_epochs=10).fit(points)
untrained = DeepInfoMaxEmbedder(random_state=0, max_epochs=0).fit(points)

# %%
# Crystals whose energies are to be predicted:
some = rng.permutation(len(test.data))[:300]
held_out, truth = CrystalPointSetTransformer().fit_transform(test.data[some]), test.target[some]

# %%
# A hundred labels, drawn at random, three times. ``max_epochs=0`` is the ridge on the embedder's vectors, which is
# where the fine-tuning starts.
import pandas as pd

from skdim import SiteNetRegressor

starts = {
    "ridge, pretrained vectors": SiteNetRegressor(pretrained, max_epochs=0),
    "fine-tuned, pretrained start": SiteNetRegressor(pretrained, random_state=0),
    "ridge, untrained vectors": SiteNetRegressor(untrained, max_epochs=0),
    "fine-tuned, untrained start": SiteNetRegressor(untrained, random_state=0),
}
errors = []
for draw in range(3):
    labelled = np.random.default_rng(draw).permutation(len(points))[:100]
    for name, regressor in starts.items():
        regressor.fit(points[labelled], energies[labelled])
        error = np.abs(regressor.predict(held_out) - truth).mean()
        errors.append({"start": name, "draw": draw, "error": error})
errors = pd.DataFrame(errors).pivot(index="draw", columns="start", values="error")[list(starts)]
print(errors.mean().round(3).to_string())

# %%
# The draws differ as much as the starts do, so lines connect the errors of one draw. Three draws of one task show how
# to compare, not how large the difference is elsewhere.
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for _, row in errors.iterrows():
    ax.plot(row, range(len(row)), "o-", color="0.75", markersize=4, linewidth=1)
ax.plot(errors.mean(), range(len(starts)), "D", color="tab:blue")
ax.set_yticks(range(len(starts)), list(starts))
ax.invert_yaxis()
ax.set_xlabel("mean absolute error (eV/atom)")
ax.set_title("Formation energy from 100 labels (lines: draws, diamonds: their mean)")

# %%
# What the training did: the loss of standardised targets, epoch by epoch.
tuned = SiteNetRegressor(pretrained, cv=None, random_state=0).fit(points[labelled], energies[labelled])
history = pd.DataFrame(tuned.history_)
fig, ax = plt.subplots(figsize=(5.5, 3), layout="constrained")
ax.plot(history["epoch"], history["train_loss"])
ax.set(xlabel="epoch", ylabel="training loss", title="Fine-tuning, last draw")

# %%
# A regressor of another property is a start too, in one line. Band gaps are learned first, from the pretrained encoder;
# their encoder then goes on to formation energies.
from skdim.datasets import load_band_gap

gaps = load_band_gap(subset="train")
source = SiteNetRegressor(pretrained, clamp=0, max_epochs=10, cv=None, random_state=0)
source.fit(gaps.data[:200], gaps.target[:200])
regressor = SiteNetRegressor(source, random_state=0).fit(points[labelled], energies[labelled])
print(f"start from band gaps: {np.abs(regressor.predict(held_out) - truth).mean():.3f} eV/atom")
