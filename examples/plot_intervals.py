"""
Intervals that hold
===================

A prediction is of use if it says how far it may be off. Here 120 bulk moduli are known; those of other crystals are
predicted with intervals that are meant to hold nine times of ten.
"""

# %%
# The labelled crystals are drawn at random from the training fold. The vectors come from the model that is shipped with
# the package; the regressor is chosen by cross-validation inside the labels.
import numpy as np

from skdim import CrystalRegressor
from skdim.datasets import load_elastic_moduli

train = load_elastic_moduli(subset="train", target="K_VRH")
test = load_elastic_moduli(subset="test", target="K_VRH")
known = np.random.default_rng(0).permutation(len(train.data))[:120]
model = CrystalRegressor(regressors=["ridge", "laplacian"], random_state=0)
model = model.fit(train.data[known], train.target[known])
print(f"chosen: {model.chosen_[0]}; mean absolute errors inside the labels, GPa:")
print({name: round(error, 1) for name, error in model.errors_[0].items()})

# %%
# Intervals of the test crystals, sorted by the prediction. They are wider where the model is less sure.
import matplotlib.pyplot as plt

table = model.predict_frame(test.data).assign(known=test.target).sort_values("prediction")
inside = (table["lower"] <= table["known"]) & (table["known"] <= table["upper"])
print(f"{inside.mean():.0%} of {len(table)} intervals hold the value")

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
rows = np.arange(len(table))
axes.fill_between(rows, table["lower"], table["upper"], color="#56B4E9", alpha=0.4, lw=0, label="90% interval")
axes.plot(rows, table["prediction"], color="#0072B2", label="prediction")
axes.scatter(rows[inside], table["known"][inside], s=9, color="#222222", label="value, inside")
axes.scatter(rows[~inside], table["known"][~inside], s=22, color="#D55E00", marker="x", label="value, outside")
axes.set(xlabel="test crystals, by prediction", ylabel="bulk modulus (GPa)")
_ = axes.legend(frameon=False, loc="upper left")

# %%
# Do they keep their promise for every coverage? Points on the line do.
coverages = np.linspace(0.1, 0.9, 9)
held = []
for coverage in coverages:
    lower, upper = model.predict_interval(test.data, coverage).T
    held.append(((lower <= test.target) & (test.target <= upper)).mean())

figure, axes = plt.subplots(figsize=(4, 3.8), layout="constrained")
axes.axline((0, 0), slope=1, color="#777777", linewidth=1, linestyle="--")
axes.plot(coverages, held, "o", color="#0072B2")
axes.set(xlabel="share that is to be inside", ylabel="share inside, test crystals", xlim=(0, 1), ylim=(0, 1))

# %%
# Crystals unlike the labelled ones deserve less trust: :doc:`plot_errors`.
