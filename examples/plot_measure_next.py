"""
Which crystals to measure next
==============================

Labels are expensive, so it matters which crystals get one. A model can choose: those that teach it most about all
others, or those that may have the highest value. Here bulk moduli are "measured" in rounds of ten.
"""

# %%
# One call does it for a fitted model: ten crystals of a pool, chosen together.
import numpy as np

from skdim import CrystalRegressor
from skdim.datasets import load_elastic_moduli

moduli = load_elastic_moduli(as_frame=True, target="K_VRH")
crystals = moduli.frame.set_index("material_id")["structure"]
order = np.random.default_rng(0).permutation(len(crystals))
known, pool = order[:30], order[30:]
model = CrystalRegressor(regressors=["laplacian"], random_state=0)
model = model.fit(crystals.iloc[known], moduli.target.iloc[known])
chosen = model.suggest(crystals.iloc[pool], n=10, goal="best")
chosen["formula"] = [crystals[name].composition.reduced_formula for name in chosen["id"]]
print(chosen[["id", "formula", "prediction", "lower", "upper"]].round(0).to_string(index=False))

# %%
# Is the choice better than chance? Start from twenty labels, choose ten more and "measure" them, and so on up to a
# hundred; five starts. The vectors are those of a model that has seen none of these crystals.
import pandas as pd

from skdim import load_pretrained
from skdim.evaluation import LaplacianKernelRidge, suggest

embedder = load_pretrained("materials_project_held_out")
vectors, values = embedder.transform(crystals), np.log10(moduli.target.to_numpy())
test = moduli.test_mask
records = []
for start in range(5):
    rng = np.random.default_rng(start)
    pool = rng.permutation(np.flatnonzero(~test))
    for goal in ("at random", "information", "best"):
        known = pool[:20]
        while True:
            model = LaplacianKernelRidge().fit(vectors[known], values[known])
            error = np.abs(model.predict(vectors[test]) - values[test]).mean()
            records.append((goal, len(known), start, error, 10 ** values[known].max()))
            if len(known) == 100:
                break
            rest = np.setdiff1d(pool, known)
            if goal == "at random":
                new = rng.choice(len(rest), 10, replace=False)
            else:
                new = suggest(vectors[known], values[known], vectors[rest], n=10, goal=goal)
            known = np.append(known, rest[new])
records = pd.DataFrame(records, columns=["features", "labels", "repeat", "mae", "highest"])

# %%
# Left, the error on crystals that are never measured: choosing for information lowers it fastest. Right, the highest
# modulus found: choosing for the best value finds it early, and the error pays for it. Lines are means over the starts,
# and bands their 95% intervals.
import matplotlib.pyplot as plt

from skdim.plotting import LabelEfficiencyDisplay

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
results = records.assign(task="bulk modulus", regressor="laplacian")
LabelEfficiencyDisplay.from_results(results, unit="log10 GPa", ax=left)
left.set_xticks([20, 40, 70, 100], [20, 40, 70, 100])
highest = records.groupby(["labels", "features"], sort=False)["highest"].mean().unstack()
for goal, color, look in (
    ("at random", "#0072B2", "o-"),
    ("information", "#D55E00", "s--"),
    ("best", "#009E73", "D-."),
):
    right.plot(highest[goal], look, color=color, markersize=4)
pool_highest = 10 ** values[~test].max()
right.axhline(pool_highest, color="#777777", linewidth=1, linestyle=":")
right.text(100, pool_highest + 4, "highest of the pool", ha="right", va="bottom", color="#777777")
right.set(xlabel="number of labels", ylabel="highest bulk modulus found (GPa)")
right.spines[["top", "right"]].set_visible(False)
