"""
What an embedder looks at
=========================

A pretrained embedder can be asked what it has learned: how far its sites look, which sites of a crystal surprise it,
which crystals it takes for similar, and which elements it takes for interchangeable. The one here comes with the
package; it has seen structures and no property.
"""

# %%
# How far a site looks
# --------------------
#
# `attention_by_distance` gives the attention of each site to each of its neighbours. It starts as a power of the
# distance, another for each head; what an encoder has learned departs from it. The small model that comes with the
# package has two encoders: "environment" sees the atom in the centre, "context" never does. Both are drawn for forty
# crystals.
import matplotlib.pyplot as plt

from skdim import load_pretrained
from skdim.datasets import load_band_gap
from skdim.interpretation import attention_by_distance
from skdim.plotting import AttentionDisplay

embedder = load_pretrained("bundled")
table = attention_by_distance(embedder, load_band_gap().data[:40])
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, encoder in zip(axes, ("environment", "context"), strict=True):
    AttentionDisplay.from_table(table, encoder=encoder, ax=ax)

# %%
# Which sites surprise it
# -----------------------
#
# The context encoder guesses what sits on a site from its surroundings. `site_surprise` says how improbable it finds
# what is there. To see whether that means anything, take strontium titanate, and let one strontium and one oxygen
# change places.
from pymatgen.core import Lattice, Structure

from skdim.interpretation import site_surprise

cell = Structure.from_spacegroup(
    "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
)
swapped = cell * (2, 2, 2)
oxygens = [k for k, site in enumerate(swapped) if site.species_string == "O"]
far = max(oxygens, key=lambda k: (round(swapped.get_distance(0, k), 3), swapped[k].x))  # the one in front
swapped.replace(0, "O")
swapped.replace(far, "Sr")
sites = site_surprise(embedder, swapped)
print(sites.nlargest(4, "surprise")[["element", "surprise", "expected", "probability"]].round(2).to_string(index=False))

# %%
# The strontium among titanium stands out, then the titanium atoms beside it, which have a strontium in the place of an
# oxygen, and the oxygen at the corners of the cell.
from skdim.plotting import CrystalDisplay

# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(1, 2, figsize=(7, 3.3), layout="constrained")
CrystalDisplay.from_structure(swapped, ax=axes[0])
_ = CrystalDisplay.from_estimator(embedder, swapped, ax=axes[1])

# %%
# Which crystals are alike
# ------------------------
#
# `nearest_neighbors` looks for the rows whose vectors are nearest. The neighbours of rock salt among the crystals with
# known band gaps:
from skdim.interpretation import nearest_neighbors

salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
structures = load_band_gap().data
near = nearest_neighbors(structures, [salt], n_neighbors=6, embedder=embedder)
for row, distance in zip(near["row"], near["distance"], strict=True):
    formula, group = structures[row].composition.reduced_formula, structures[row].get_space_group_info()[0]
    print(f"{formula:6} {group:6} distance {distance:5.1f}")

# %%
# Which elements are interchangeable
# ----------------------------------
#
# `interchangeable_elements` correlates what the context encoder has learned of two elements: whether the same
# surroundings make both more probable, or less. It knows the properties of the neighbours, but an element to be guessed
# is a mere name to it; what it finds alike it has found in crystals. Two elements and what could replace them:
from skdim.plotting import PeriodicTableDisplay

for symbol in ("La", "Cl"):
    PeriodicTableDisplay.from_similarity(embedder, symbol)
