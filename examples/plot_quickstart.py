"""
Quick start
===========

A few labels, many structures. An encoder is pretrained on some 1700 crystals without labels; then the bulk moduli of
200 crystals serve to predict those of others. All data come with the package.
"""

# %%
# Structures without labels are cheap: these are every third crystal of the bundled sets, test crystals left out.
from skdim.datasets import load_elastic_moduli, load_unlabelled

structures = load_unlabelled(subset="train").data[::3]
print(f"{len(structures)} crystals, the first of them {structures[0].composition.reduced_formula}")

# %%
# Pretraining takes structures only. The loss on crystals that are held out says when to stop; the ring marks the epoch
# whose weights are kept.
from skdim import DeepInfoMaxEmbedder
from skdim.plotting import TrainingHistoryDisplay

embedder = DeepInfoMaxEmbedder(random_state=0).fit(structures)
display = TrainingHistoryDisplay.from_estimator(embedder)

# %%
# Labels are few: the decadic logarithm of the bulk modulus of 200 crystals, drawn at random. The other crystals of the
# training fold are not used here.
import numpy as np

train, test = load_elastic_moduli(subset="train"), load_elastic_moduli(subset="test")
known = np.random.default_rng(0).permutation(len(train.data))[:200]
X, y = train.data[known], train.target[known]

# %%
# A pipeline from structures to predictions. The embedder is frozen, so that fitting the pipeline does not pretrain it
# again on the 200. The regressor is any of scikit-learn's.
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skdim.plotting import ParityDisplay

# sphinx_gallery_thumbnail_number = 2
model = make_pipeline(FrozenEstimator(embedder), Ridge(alpha=100)).fit(X, y)
display = ParityDisplay.from_estimator(model, test.data, test.target, target="log10 bulk modulus", unit="log10 GPa")

# %%
# Is it the pretraining? The control is the same encoder without any, and the guess is the median of the 200. Most of
# the gain over the guess comes from the encoder itself: on 1,700 crystals pretraining adds little. A model that
# comes with the package has learned from 120,000 and needs none. It has not seen the compositions of the test crystals;
# ``load_pretrained()`` without a name gives one that goes on from it with all crystals of its set.
from skdim import load_pretrained

embedders = {
    "pretrained on 120,000 crystals": load_pretrained("materials_project_held_out"),
    "pretrained here": embedder,
    "untrained": DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(structures),
}
print("Mean absolute error, log10 GPa")
for name, one in embedders.items():
    other = make_pipeline(FrozenEstimator(one), Ridge(alpha=100)).fit(X, y)
    print(f"  {name:31} {np.abs(other.predict(test.data) - test.target).mean():.3f}")
print(f"  {'guess':31} {np.abs(np.median(y) - test.target).mean():.3f}")

# %%
# One choice of labels is one sample: :doc:`plot_label_efficiency` averages over many.
#
# Keep the embedder: one file, without pickle.
from tempfile import TemporaryDirectory

with TemporaryDirectory() as folder:
    embedder.save(f"{folder}/moduli.safetensors")
    again = DeepInfoMaxEmbedder.load(f"{folder}/moduli.safetensors")
print(again.transform(test.data[:3]).shape)
