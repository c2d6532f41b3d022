"""
Alloys: sites with more than one element
========================================

Solid solutions, doped conductors and most measured crystals have sites that several elements share. Such a site is
described by the mean of the properties of its elements, weighted by occupancy, and nothing else changes: the same
models take ordered and disordered crystals. Here a model that has seen only ordered ones predicts alloys.
"""

# %%
# An alloy is a structure whose sites hold a mixture. This one is gold and copper at random on the sites of ordered
# Cu\ :sub:`3`\ Au.
import matplotlib.pyplot as plt
from pymatgen.core import Lattice, Structure

from skdim.plotting import CrystalDisplay

ordered = Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.80), ["Au", "Cu"], [[0, 0, 0], [0.5, 0.5, 0]])


def alloy(structure):
    """Mix the elements of a crystal evenly over its sites."""
    mixture = structure.composition.fractional_composition
    return Structure(structure.lattice, [mixture] * len(structure), structure.frac_coords)


figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
for ax, crystal in zip(axes, (ordered, alloy(ordered)), strict=True):
    CrystalDisplay.from_structure(crystal, ax=ax)

# %%
# The model learns bulk moduli of 250 ordered crystals.
import numpy as np

from skdim import CrystalRegressor
from skdim.datasets import load_elastic_moduli

train = load_elastic_moduli(subset="train", target="K_VRH")
test = load_elastic_moduli(subset="test", target="K_VRH")
known = np.random.default_rng(0).permutation(len(train.data))[:250]
model = CrystalRegressor(regressors=["laplacian"], random_state=0)
model = model.fit(train.data[known], train.target[known])

# %%
# How much does the description by means cost? In the test fold are binary compounds whose atoms sit on a simple
# lattice. Each is predicted as it is and as an alloy on the same sites. There are no moduli of the alloys to compare
# with, so both are compared with the modulus of the compound, from which that of the alloy differs somewhat.
from skdim.plotting import ParityDisplay


def is_binary_on_a_lattice(structure):
    """Tell whether there would be one atom in the primitive cell if both elements were the same."""
    alike = Structure(structure.lattice, ["X0+"] * len(structure), structure.frac_coords)
    return len(structure.composition) == 2 and len(structure) <= 8 and len(alike.get_primitive_structure(0.01)) == 1


rows = [row for row, structure in enumerate(test.data) if is_binary_on_a_lattice(structure)]
compounds, moduli = test.data[rows], test.target[rows]
mixed = [alloy(structure) for structure in compounds]

figure, axes = plt.subplots(1, 2, figsize=(12.5, 3.8), layout="constrained")
for ax, crystals, title in zip(axes, (compounds, mixed), ("as compounds", "as alloys"), strict=True):
    ParityDisplay.from_estimator(model, crystals, moduli, target="bulk modulus", unit="GPa", ax=ax)
    ax.set_title(title)

# %%
# The mixtures are predicted worse, mostly too high: mean properties are not the properties of a mean. So give the model
# some disordered crystals to learn from where they are what you want to predict.
#
# A series from copper to gold, with cells between those of the elements (Vegard's law). The stars are the two ordered
# compounds of the data set. The table of predictions warns that no labelled crystal was disordered.
share = np.linspace(0.02, 0.98, 25)
cells = [Lattice.cubic((1 - x) * 3.64 + x * 4.17) for x in share]
series = [
    Structure.from_spacegroup("Fm-3m", c, [{"Cu": 1 - x, "Au": x}], [[0, 0, 0]])
    for c, x in zip(cells, share, strict=True)
]
table = model.predict_frame(series)
print(table["flags"].value_counts())

figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
ax.fill_between(share, table["lower"], table["upper"], color="#56B4E9", alpha=0.4, linewidth=0, label="90% interval")
ax.plot(share, table["prediction"], color="#0072B2", label="prediction for the alloy")
ax.plot([0.25, 0.75], [142, 143], "*", color="#D55E00", markersize=12, label="computed, ordered")
ax.set(xlabel="share of gold", ylabel="bulk modulus (GPa)", xlim=(0, 1), ylim=(100, 220))
_ = ax.legend(frameon=False, loc="lower right")
