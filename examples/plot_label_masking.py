"""
Label counts as a grid search
=============================

How good would the model be if only 50 of the bulk moduli were known? All of them are, so labels can be hidden.
`LabelMaskingRegressor` pretrains on every crystal it is given and trains its regressor on ``n_labels`` of them, drawn
at random. A grid search over ``n_labels`` is then a learning curve, cross-validated like any other search.
"""

# %%
# A pipeline from structures to predictions. With ``memory``, a folder, each pretraining is kept: it does not depend on
# the labels, so all candidates of a fold can share it.
from tempfile import TemporaryDirectory

from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, LabelMaskingRegressor

folder = TemporaryDirectory()
masking = LabelMaskingRegressor(DeepInfoMaxEmbedder(random_state=0), Ridge(alpha=100), memory=folder.name)
model = Pipeline([("points", CrystalPointSetTransformer()), ("model", masking)])

# %%
# The search goes over the number of labels, over three draws of them, and over the pretraining: ``max_epochs=0`` is the
# same encoder without it, None the preset's.
from sklearn.model_selection import GridSearchCV, KFold

from skdim.datasets import load_elastic_moduli

crystals, moduli = load_elastic_moduli(return_X_y=True)
grid = {
    "model__n_labels": [50, 100, 250],
    "model__random_state": [0, 1, 2],
    "model__embedder__max_epochs": [0, None],
}
folds = KFold(2, shuffle=True, random_state=0)
search = GridSearchCV(model, grid, cv=folds, scoring="neg_mean_absolute_error", refit=False, error_score="raise").fit(
    crystals, moduli
)

# %%
# The results as a learning curve. The draws are nested: with one ``random_state``, the 50 are among the 100. Bands are
# 95% intervals of the mean over the draws, so they are wide with three. On bulk moduli the pretraining gains nothing;
# it does on formation energies with few labels.
import pandas as pd

from skdim.plotting import LabelEfficiencyDisplay

found = pd.DataFrame(search.cv_results_)
results = pd.DataFrame(
    {
        "task": "bulk modulus",
        "features": [
            "untrained" if epochs == 0 else "pretrained" for epochs in found["param_model__embedder__max_epochs"]
        ],
        "regressor": "ridge",
        "labels": found["param_model__n_labels"].astype(int),
        "repeat": found["param_model__random_state"].astype(int),
        "mae": -found["mean_test_score"],
    }
)
display = LabelEfficiencyDisplay.from_results(results, unit="log10 GPa")

# %%
# In earnest the labels are not hidden but missing. Then y holds NaN, and `masked_scorer` scores the rows that are
# known, where scikit-learn's own scorers fail. Here one crystal in five is labelled.
import numpy as np
from sklearn.model_selection import cross_val_score

from skdim import masked_scorer

partly = np.where(np.random.default_rng(0).random(len(moduli)) < 0.2, moduli, np.nan)
model.set_params(model__random_state=0)
scores = cross_val_score(model, crystals, partly, cv=folds, scoring=masked_scorer("neg_mean_absolute_error"))
print(f"{np.isfinite(partly).sum()} labels: mean absolute error {-scores.mean():.3f} log10 GPa")
folder.cleanup()
