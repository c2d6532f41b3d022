"""
What an embedder looks at
=========================

A pretrained embedder can be asked what it has learned: how far its sites look, which sites of a crystal surprise it,
which crystals it takes for similar, and which elements it takes for interchangeable.
"""

# %%
# Pretrain on fifteen hundred bundled crystals, for a few epochs. No label is involved.
import numpy as np

from skdim import DeepInfoMaxEmbedder
from skdim.datasets import load_unlabelled

structures = load_unlabelled(subset="train").data
some = np.random.default_rng(0).permutation(len(structures))[:1500]
structures = structures[some]
embedder = DeepInfoMaxEmbedder(max_epochs=8, random_state=0).fit(structures)

# %%
# How far a site looks
# --------------------
#
# `attention_by_distance` gives the attention of each site to each of its neighbours. Attention starts as a power of the
# distance, another for each head; what an encoder has learned departs from it. There are two: "environment" sees the
# centre, "context" never does. Here attention is summed in shells of a quarter of an Angstrom, and averaged over the
# sites of fifty crystals.
import matplotlib.pyplot as plt

from skdim.interpretation import attention_by_distance

table = attention_by_distance(embedder, structures[:50])
print(table.head())

width = 0.25
table["shell"] = (table["distance"] // width + 0.5) * width
n_sites = len(table[["crystal", "site"]].drop_duplicates())
curves = table.groupby(["encoder", "head", "shell"])["weight"].sum().div(n_sites).unstack("shell", fill_value=0.0)
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True, layout="constrained")
for ax, encoder in zip(axes, ("environment", "context"), strict=True):
    for head, weights in curves.loc[encoder].iterrows():
        ax.plot(weights.index, weights, color=plt.cm.viridis(head / 4), label=f"head {head}")
    ax.set(title=f"{encoder} encoder", xlabel="distance (Å)", xlim=(1, 8))
axes[0].set_ylabel("attention in a shell of 0.25 Å")
axes[1].legend(frameon=False)

# %%
# Which sites surprise it
# -----------------------
#
# The context encoder guesses what sits on a site from its surroundings. `site_surprise` says how improbable it finds
# what is there. To see whether that means anything, take strontium titanate and let one strontium and one oxygen change
# places.
from pymatgen.core import Lattice, Structure

cell = Structure.from_spacegroup(
    "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
)
swapped = cell * (2, 2, 2)
far = [int(k) for k in np.argsort(-swapped.distance_matrix[0]) if swapped[int(k)].species_string == "O"]
swapped.replace(0, "O")
swapped.replace(far[0], "Sr")

# %%
# The two strangers stand out, and so do the titanium atoms beside the strontium that sits in the place of their oxygen:
from skdim.interpretation import site_surprise

sites = site_surprise(embedder, swapped)
print(sites.nlargest(4, "surprise")[["element", "surprise", "expected", "probability"]].round(2))

# %%
# Their picture, with atoms at the border of the cell drawn on both sides of it:
import itertools

fig = plt.figure(figsize=(6.4, 5.2), layout="constrained")
ax = fig.add_subplot(projection="3d", proj_type="ortho")
edges = list(itertools.product((0, 1), repeat=3))
for one, other in itertools.combinations(edges, 2):
    if np.abs(np.subtract(one, other)).sum() == 1:
        ax.plot(*(np.array([one, other]) @ swapped.lattice.matrix).T, color="0.7", linewidth=0.8)
sizes = {"Sr": 260, "Ti": 150, "O": 70}
drawn = []
for row in sites.itertuples():
    place = np.array([row.a, row.b, row.c])
    for shift in edges:
        if (place + shift < 1.001).all():
            drawn.append((*swapped.lattice.get_cartesian_coords(place + shift), row.surprise, sizes[row.element]))
x, y, z, surprise, size = np.transpose(drawn)
dots = ax.scatter(x, y, z, c=surprise, s=size, cmap="magma_r", edgecolors="0.3", depthshade=False)
ax.set_axis_off()
ax.view_init(elev=16, azim=-68)
ax.set_box_aspect((1, 1, 1), zoom=1.25)
ax.set_title("SrTiO$_3$ with one Sr and one O swapped\n(large: Sr, medium: Ti, small: O)")
fig.colorbar(dots, ax=ax, shrink=0.7, label="surprise (nats)")

# %%
# Which crystals are alike
# ------------------------
#
# `nearest_neighbors` looks for the rows whose vectors are nearest. The neighbours of rock salt:
from skdim.interpretation import nearest_neighbors

salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
vectors = embedder.transform(structures)
near = nearest_neighbors(vectors, embedder.transform([salt]), n_neighbors=8)
names = [structures[row].composition.reduced_formula for row in near["row"]]
groups = [structures[row].get_space_group_info()[0] for row in near["row"]]

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.barh(range(len(near)), near["distance"], color="tab:blue")
ax.set_yticks(range(len(near)), [f"{name}  ({group})" for name, group in zip(names, groups, strict=True)])
ax.invert_yaxis()
ax.set(xlabel="distance of vectors", title="Neighbours of NaCl (Fm-3m)")

# %%
# Which elements are interchangeable
# ----------------------------------
#
# `interchangeable_elements` correlates what the context encoder has learned of two elements: whether the same
# surroundings make both more probable, or less. It knows the properties of the neighbours, but an element to be guessed
# is a mere name to it; what it finds alike it has found in crystals.
from skdim.interpretation import interchangeable_elements

alike = interchangeable_elements(embedder)
for symbol in ("O", "Cl", "S", "La", "Fe"):
    others = alike[symbol].drop(symbol).nlargest(4)
    print(f"{symbol:2}: {', '.join(f'{name} {value:.2f}' for name, value in others.items())}")

# %%
# The most frequent elements as a map, ordered by hierarchical clustering:
from collections import Counter

from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

counts = Counter(element.symbol for s in structures for element in s.composition.elements)
frequent = [symbol for symbol, _ in counts.most_common(36)]
shown = alike.loc[frequent, frequent]
order = leaves_list(linkage(squareform(1 - shown, checks=False), "average", optimal_ordering=True))
shown = shown.iloc[order, order]

fig, ax = plt.subplots(figsize=(7.2, 6.4), layout="constrained")
image = ax.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
ax.set_xticks(range(len(shown)), shown.columns, fontsize=7, rotation=90)
ax.set_yticks(range(len(shown)), shown.index, fontsize=7)
ax.set_title("Elements that the same surroundings ask for")
fig.colorbar(image, ax=ax, shrink=0.8, label="correlation of log ratios")
