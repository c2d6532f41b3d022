"""
A map of crystals
=================

The vectors of a pretrained encoder put similar crystals close to each other. Laid out in a plane, they show what the
encoder has made of the structures: it has seen no property, yet formation energies vary smoothly over the map.
"""

# %%
# Pretrain on eight hundred crystals. They come with formation energies, which are used for colours only.
import numpy as np

from skdim import DeepInfoMaxEmbedder
from skdim.datasets import load_formation_energy

crystals = load_formation_energy()
some = np.random.default_rng(0).permutation(len(crystals.data))[:800]
structures, energies = crystals.data[some], crystals.target[some]
vectors = DeepInfoMaxEmbedder(random_state=0).fit_transform(structures)
print(vectors.shape)

# %%
# t-SNE lays them out, after principal components have removed most of the columns.
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline

layout = make_pipeline(PCA(50, random_state=0), TSNE(init="pca", random_state=0))
places = layout.fit_transform(vectors)

# %%
# Neither axis means anything by itself; what counts is who is close to whom.
from skdim.plotting import plot_embedding_map

ax = plot_embedding_map(places, energies, label="formation energy (eV/atom)")
ax.set_title("Crystals by their vectors")

# %%
# The same map, coloured by something the encoder could see: the share of oxygen.
oxygen = [structure.composition.get_atomic_fraction("O") for structure in structures]
ax = plot_embedding_map(places, oxygen, label="share of oxygen", cmap="cividis")
ax.set_title("Crystals by their vectors")

# %%
# Neighbours in the space of vectors, of a crystal picked at random:
from sklearn.neighbors import NearestNeighbors

search = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors)
for row in search.kneighbors(vectors[5:6], return_distance=False)[0]:
    print(f"{structures[row].composition.reduced_formula:12} {energies[row]:6.2f} eV/atom")
