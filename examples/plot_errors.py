"""
Where a model is wrong, and why
===============================

A mean error hides where a model fails. Pictures show it: predictions beside the true values, errors by element, errors
by the distance to the nearest labelled crystal, and what each site adds to a prediction.
"""

# %%
# Formation energies of 300 crystals are known; those of the test fold are predicted.
import numpy as np

from skdim import CrystalRegressor
from skdim.datasets import load_formation_energy

train, test = load_formation_energy(subset="train"), load_formation_energy(subset="test")
known = np.random.default_rng(0).permutation(len(train.data))[:300]
model = CrystalRegressor(regressors=["laplacian"], random_state=0)
model = model.fit(train.data[known], train.target[known])

# %%
# Predictions with their intervals, and the errors as a histogram. Squares are crystals outside their interval.
from skdim.plotting import ParityDisplay

table = model.predict_frame(test.data)
ends = table[["lower", "upper"]]
_ = ParityDisplay.from_predictions(test.target, table["prediction"], ends, target="formation energy", unit="eV/atom")

# %%
# Errors by element: the mean over the test crystals that hold it, of elements in ten crystals or more. Grey elements
# are rarer.
from skdim.plotting import PeriodicTableDisplay

# sphinx_gallery_thumbnail_number = 2
errors = table["prediction"].to_numpy() - test.target
_ = PeriodicTableDisplay.from_errors(test.data, errors, least=10, label="mean absolute error (eV/atom)")

# %%
# The five worst predictions, with the labelled crystals nearest to them.
worst = np.argsort(-np.abs(errors))[:5]
for row in worst:
    near = train.data[known][table["nearest_1"].iloc[row]]
    print(
        f"{test.data[row].composition.reduced_formula:10} {test.target[row]:6.2f} eV/atom, predicted "
        f"{table['prediction'].iloc[row]:6.2f}; nearest labelled: {near.composition.reduced_formula}"
    )

# %%
# Distance tells beforehand which predictions to doubt. Each box is a fifth of the test crystals, from those nearest to
# a labelled crystal to those farthest from any.
import matplotlib.pyplot as plt

fifths = np.array_split(np.argsort(table["distance"].to_numpy()), 5)
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.boxplot([np.abs(errors[rows]) for rows in fifths], showfliers=False, medianprops={"color": "#D55E00"})
ax.set(xlabel="fifths of the crystals, the nearest to a labelled one first", ylabel="absolute error (eV/atom)")
ax.spines[["top", "right"]].set_visible(False)

# %%
# Why does it predict what it predicts? `explain` splits a prediction exactly among the sites of a crystal, beginning
# with the prediction for the mean of the labelled crystals. Here is the worst case, coloured by what its sites add. It
# is no carbonate: its carbon atoms are 2.8 Å away from the nearest oxygen.
from skdim.plotting import CrystalDisplay

crystal = test.data[worst[0]]
parts = model.explain([crystal])
sites = parts[parts["part"] == "site"]["contribution"].to_numpy()
_ = CrystalDisplay.from_structure(crystal, sites, label="adds to the prediction (eV/atom)")
