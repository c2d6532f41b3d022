"""
Quick start
===========

A few labels, many structures. An encoder is pretrained on some 2500 crystals without labels; then the bulk moduli of
300 crystals serve to predict those of others. All data come with the package.
"""

# %%
# Structures without labels are cheap: these are every second crystal of the bundled sets, test crystals left out.
from skdim.datasets import load_elastic_moduli, load_unlabelled

structures = load_unlabelled(subset="train").data[::2]
print(f"{len(structures)} crystals, the first of them {structures[0].composition.reduced_formula}")

# %%
# Pretraining takes structures only. The held-out loss says when to stop; no label is involved.
from skdim import DeepInfoMaxEmbedder

embedder = DeepInfoMaxEmbedder(random_state=0).fit(structures)
for row in embedder.history_[::7]:
    print(f"epoch {row['epoch']:2}: loss {row['train_loss']:.2f}, on held-out crystals {row['valid_loss']:.2f}")

# %%
# Labels are few: the decadic logarithm of the bulk modulus of 300 crystals, drawn at random. The other crystals of the
# training fold are not used here.
import numpy as np

train, test = load_elastic_moduli(subset="train"), load_elastic_moduli(subset="test")
known = np.random.default_rng(0).permutation(len(train.data))[:300]
X, y = train.data[known], train.target[known]

# %%
# A pipeline from structures to predictions. The embedder is frozen, so that fitting the pipeline does not pretrain it
# again on the 300. The regressor is any of scikit-learn's.
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline

regressors = {
    "ridge": Ridge(alpha=100),
    "random forest": RandomForestRegressor(max_features=1 / 3, random_state=0),
    "median guess": DummyRegressor(strategy="median"),
}
predictions = {}
for name, regressor in regressors.items():
    model = make_pipeline(FrozenEstimator(embedder), regressor).fit(X, y)
    predictions[name] = model.predict(test.data)
    print(f"{name:14} mean absolute error {mean_absolute_error(test.target, predictions[name]):.3f}")

# %%
# Is it the pretraining? The control is the same encoder without any. It is standardised on the same crystals.
control = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(structures)
for name in ("ridge", "random forest"):
    model = make_pipeline(FrozenEstimator(control), regressors[name]).fit(X, y)
    print(f"{name:14} mean absolute error {mean_absolute_error(test.target, model.predict(test.data)):.3f}, untrained")

# %%
# One draw of labels is one sample: :doc:`plot_label_efficiency` averages over many.
#
# Predicted moduli of the test crystals against the computed ones:
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
ax.scatter(10**test.target, 10 ** predictions["ridge"], s=12, alpha=0.7, linewidths=0)
ax.axline((100, 100), (200, 200), color="gray", linewidth=1, zorder=0)
ax.set(xscale="log", yscale="log", xlabel="bulk modulus, computed (GPa)", ylabel="predicted from 300 labels (GPa)")
plt.show()

# %%
# Keep the embedder: one file, without pickle.
from pathlib import Path
from tempfile import TemporaryDirectory

with TemporaryDirectory() as folder:
    path = Path(folder) / "moduli.safetensors"
    embedder.save(path)
    print(DeepInfoMaxEmbedder.load(path).transform(test.data[:3]).shape)
