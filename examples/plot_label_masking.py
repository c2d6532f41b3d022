"""
Hiding labels: the learning curve as a grid search
==================================================

How good would the model be if only 50 of the formation energies were known? All of them are, so labels can be hidden.
`LabelMaskingRegressor` pretrains on every crystal it is given and trains its regressor on ``n_labels`` of them, drawn
at random. A grid search over ``n_labels`` is then a learning curve, cross-validated like any other search.
"""

# %%
# Every second crystal in the training fold of the formation-energy set. They are featurized once, for all folds.
from skdim import CrystalPointSetTransformer
from skdim.datasets import load_formation_energy

bunch = load_formation_energy(subset="train")
X, y = CrystalPointSetTransformer().fit_transform(bunch.data[::2]), bunch.target[::2]
print(X)

# %%
# The search goes over the number of labels, over three draws of them, and over the pretraining: ``max_epochs=0`` is the
# same encoder without it, None the preset's. An embedder sees the crystals of a training fold and no label, so all
# candidates of a fold can share it. With ``memory`` they do: two folds and two settings make four pretrainings.
import tempfile
from pathlib import Path

from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

from skdim import DeepInfoMaxEmbedder, LabelMaskingRegressor

grid = {"n_labels": [50, 100, 250], "random_state": [0, 1, 2], "embedder__max_epochs": [0, None]}
with tempfile.TemporaryDirectory() as folder:
    model = LabelMaskingRegressor(DeepInfoMaxEmbedder(random_state=0), Ridge(alpha=100), memory=folder)
    folds = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(model, grid, cv=folds, scoring="neg_mean_absolute_error", refit=False, error_score="raise")
    search.fit(X, y)
    print(len(search.cv_results_["params"]) * 2, "fits,", len(list(Path(folder).rglob("output.pkl"))), "pretrainings")

# %%
# Mean absolute errors, over draws and folds. The draws are nested: with one ``random_state``, the 50 are among the 100.
import pandas as pd

results = pd.DataFrame(search.cv_results_)
results["encoder"] = results["param_embedder__max_epochs"].map(
    lambda epochs: "untrained" if epochs == 0 else "pretrained"
)
results["error"] = -results["mean_test_score"]
errors = results.groupby(["encoder", "param_n_labels"])["error"].agg(["mean", "std"]).unstack("encoder")
print(errors.round(3))

# %%
# Bars are standard deviations over the draws. The two encoders share folds and draws, so they can be compared; with
# a ridge on so few crystals they hardly differ.
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
for encoder in ("untrained", "pretrained"):
    mean, std = errors["mean", encoder], errors["std", encoder]
    ax.errorbar(mean.index.astype(int), mean, std, marker="o", capsize=3, label=encoder)
ax.set(xscale="log", xlabel="labels", ylabel="mean absolute error (eV/atom)", title="Formation energy")
ax.set_xticks([50, 100, 250], ["50", "100", "250"])
ax.minorticks_off()
ax.legend()

# %%
# In earnest the labels are not hidden but missing. Then y holds NaN, and `masked_scorer` scores the rows that are
# known, where scikit-learn's own scorers fail. Here one crystal in five is labelled.
import numpy as np
from sklearn.model_selection import cross_val_score

from skdim import masked_scorer

partly = np.where(np.random.default_rng(0).random(len(y)) < 0.2, y, np.nan)
model = LabelMaskingRegressor(DeepInfoMaxEmbedder(max_epochs=2, random_state=0), Ridge(alpha=100))
scores = cross_val_score(model, X, partly, cv=folds, scoring=masked_scorer("neg_mean_absolute_error"))
print(f"{np.isfinite(partly).sum()} labels: mean absolute error {-scores.mean():.3f} eV/atom")
