"""
Embeddings beside matminer's features
=====================================

A data frame of structures and band gaps gets two sets of features the way matminer adds them: elemental statistics of
the composition (Magpie), and the vectors of a model that comes with the package, which has learned from structures
alone, and from none with a composition of the frame. A random forest then says what each set is worth, and what both
are worth together.
"""

import matplotlib.pyplot as plt
import numpy as np
from matminer.featurizers.composition import ElementProperty
from matminer.featurizers.conversions import StructureToComposition
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold, cross_val_score

from skdim import load_pretrained
from skdim.datasets import load_band_gap
from skdim.matminer import EmbeddingFeaturizer

# %%
# A frame as in any matminer notebook: a column of pymatgen structures, and a property of each.
frame = load_band_gap(as_frame=True).frame[["structure", "band_gap"]]
print(frame.head())

# %%
# Magpie describes the composition alone.
to_composition, magpie = StructureToComposition(), ElementProperty.from_preset("magpie")
for featurizer in (to_composition, magpie):
    featurizer.set_n_jobs(1)
frame = to_composition.featurize_dataframe(frame, "structure", pbar=False)
frame = magpie.featurize_dataframe(frame, "composition", pbar=False)

# %%
# The embedder is fitted, so it is used as it is; one that is not would learn from the structures first
# (``fit_featurize_dataframe``), never from the gaps. All rows go through the encoder in one pass.
embedding = EmbeddingFeaturizer(load_pretrained("materials_project_held_out"))
print(f"structures that can be embedded: {embedding.precheck_dataframe(frame, 'structure'):.0%}")
frame = embedding.featurize_dataframe(frame, "structure", ignore_errors=True, pbar=False)
print(
    f"{len(frame)} rows, {len(magpie.feature_labels())} columns of Magpie, {len(embedding.feature_labels())} of vectors"
)

# %%
# One forest, the same folds of shuffled rows, three sets of columns.
columns = {
    "Magpie": magpie.feature_labels(),
    "embedding": embedding.feature_labels(),
    "both": magpie.feature_labels() + embedding.feature_labels(),
}
forest = RandomForestRegressor(n_estimators=60, max_features=0.1, min_samples_leaf=2, random_state=0)
folds = KFold(3, shuffle=True, random_state=0)


def errors(model, features):
    """Mean absolute error in eV of each fold."""
    return -cross_val_score(model, features, frame["band_gap"], cv=folds, scoring="neg_mean_absolute_error")


results = {name: errors(forest, frame[names]) for name, names in columns.items()}
results["median guess"] = errors(DummyRegressor(strategy="median"), frame[columns["Magpie"]])
for name, fold_errors in results.items():
    print(f"{name:13} {fold_errors.mean():.3f} +- {fold_errors.std():.3f} eV")

# %%
# The lines show the spread over the folds. A forest gains less from the vectors than a ridge or a Laplacian kernel
# does, which :doc:`plot_label_efficiency` compares.
figure, axes = plt.subplots(figsize=(5, 2.4), layout="constrained")
means, spreads = ([f(e) for e in results.values()] for f in (np.mean, np.std))
axes.barh(list(results), means, xerr=spreads, color=["#009E73", "#0072B2", "#56B4E9", "#cccccc"])
axes.invert_yaxis()
axes.set_xlabel("mean absolute error of the band gap (eV)")
axes.spines[["top", "right"]].set_visible(False)

# %%
# What to cite, as of every matminer featurizer.
print(*embedding.citations(), sep="\n")
