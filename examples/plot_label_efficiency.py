"""
How many labels does it take?
=============================

Bulk moduli are expensive: each takes several calculations of strained cells. So the question is how well a modulus can
be predicted when only 50, 100 or 250 are known. Here the vectors of a model that comes with the package answer it,
which has learned from 120,000 other crystals, beside those of an encoder pretrained on these few, those of the same
encoder without training, and Magpie's statistics of the elements, which need no structure.
"""

# %%
# Crystals, with the logarithm of their bulk modulus as the property. One fixed fold is for testing only.
from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim.datasets import load_elastic_moduli

moduli = load_elastic_moduli(target="log10(K_VRH)")
print(f"{len(moduli.data)} crystals, {moduli.test_mask.sum()} of them in the test fold")

# %%
# Featurize them once; both encoders take the result.
points = CrystalPointSetTransformer().fit_transform(moduli.data)
print(points)

# %%
# Feature sets by name: arrays, or transformers. A transformer is fitted on the crystals outside the test fold, so the
# pretraining does not see the test crystals, and it never sees a label. The model that comes with the package has not
# seen their compositions either; the one that ``load_pretrained()`` gives without a name has.
from skdim import load_pretrained
from skdim.evaluation import label_efficiency, magpie_statistics

features = {
    "120,000 crystals": load_pretrained("materials_project_held_out").transform(moduli.data),
    "pretrained here": DeepInfoMaxEmbedder(random_state=0),
    "untrained": DeepInfoMaxEmbedder(random_state=0, max_epochs=0),
    "Magpie": magpie_statistics(moduli.data),
}

# %%
# Each repeat draws labels at random, the same for every feature set and regressor. Ten repeats keep this example short.
records = label_efficiency(
    features,
    moduli.target,
    moduli.test_mask,
    structures=points,
    label_counts=(50, 100, 250),
    regressors=("median", "ridge", "kernel_ridge"),
    n_repeats=10,
    task="log10 K",
)

# %%
# The records have a row for each repeat. Mean absolute errors with their standard errors over the repeats:
from skdim.evaluation import choose_regressor, compare, format_table

print(format_table(records))

# %%
# Which of the two regressors is better depends on features and labels. `choose_regressor` takes for each repeat the one
# with the lower cross-validated error on the labels themselves, as one would in practice. Bands are 95% intervals of
# the mean.
import pandas as pd

from skdim.plotting import LabelEfficiencyDisplay

guess = records["regressor"] == "median"
best = pd.concat([choose_regressor(records[~guess]), records[guess]])
display = LabelEfficiencyDisplay.from_results(best, unit="log10 GPa")

# %%
# Since all repeats are shared, ratios of errors are known better than the errors. A ratio below one is in favour of the
# first. The interval is that of the repeats; other pretrainings and test folds would add to it.
for first, second in [
    ("pretrained here", "untrained"),
    ("120,000 crystals", "untrained"),
    ("120,000 crystals", "Magpie"),
]:
    print(f"{first} / {second}: {compare(records, first, second, regressor='ridge')} with ridge")

# %%
# For this property, to pretrain on a thousand crystals makes the vectors a little worse than the form of the encoder
# alone; to pretrain on a hundred times as many makes them better. The page of results has both for other properties.
