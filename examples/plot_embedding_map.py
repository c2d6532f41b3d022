"""
A map of 6,317 crystals
=======================

The vectors of a pretrained encoder put similar crystals close to each other. Laid out in a plane, all crystals that
come with the package show what the encoder has made of them: it has seen no property, yet formation energies vary
smoothly over the map.
"""

# %%
# Every bundled crystal, and its vector by the model that comes with the package.
from skdim import load_pretrained
from skdim.datasets import load_formation_energy, load_unlabelled

crystals = load_unlabelled()
vectors = load_pretrained().transform(crystals.data)
print(vectors.shape)

# %%
# t-SNE lays them out. The colour is the formation energy; the crystals for which it is not known are grey. Neither
# axis means anything by itself; what counts is who is close to whom.
import pandas as pd

from skdim.plotting import EmbeddingMapDisplay

known = load_formation_energy(as_frame=True).frame.set_index("material_id")["formation_energy_per_atom"]
energies = pd.Series(crystals.material_id).map(known)
display = EmbeddingMapDisplay.from_vectors(vectors, energies, label="formation energy (eV/atom)")

# %%
# The same map, coloured by something the encoder could see: the share of oxygen.
from skdim.plotting import plot_embedding_map

oxygen = [structure.composition.get_atomic_fraction("O") for structure in crystals.data]
_ = plot_embedding_map(display.coordinates, oxygen, label="share of oxygen", cmap="cividis")

# %%
# Distances on a map are distorted; those of the vectors are not. The nearest neighbours of calcium oxide, itself first:
from skdim.interpretation import nearest_neighbors

formulas = [structure.composition.reduced_formula for structure in crystals.data]
near = nearest_neighbors(vectors, vectors[[formulas.index("CaO")]], n_neighbors=7)
print(", ".join(formulas[row] for row in near["row"]))

# %%
# ``skdim map`` makes a page of such a map, to search and to explore: see :doc:`/map`.
