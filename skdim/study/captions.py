"""What the tables and pictures of a study show, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skdim.evaluation import REFERENCE_FEATURES
from skdim.evaluation._records import BEST
from skdim.study.blocks import listed, readable
from skdim.study.encoders import PRETRAININGS
from skdim.study.finetuning import OTHERS

if TYPE_CHECKING:
    from skdim.study.recording import Recording


def measured(recording: Recording, task: str, regressors: Sequence[str]) -> str:
    """Say on which crystals, with which labels and how often regressors ("best": all to choose from) were measured."""
    facts, unit = recording.of_task(task), recording.unit(task)
    size, pool = facts.get("test_fold"), facts.get("training_fold")
    chosen = [name for one in regressors for name in (recording.regressors if one == BEST else [one])]
    seed, repeats = recording.study.get("seed"), recording.repeats(chosen)
    fewer = " (regressors with fewer repeats have the first of them)" if " to " in repeats else ""
    return (
        f"Mean absolute error for {task}{f' in {unit}' if unit else ''}, on the fixed test fold"
        f"{f' of {size:,} crystals' if size else ''}. Labels are drawn at random from "
        f"{f'the {pool:,} crystals of the training fold' if pool else 'the training fold'}; {repeats} "
        f"repeats for each number of labels, the same for every feature set and regressor{fewer}"
        f"{f'; seed {seed}' if seed is not None else ''}."
    )


def choice(recording: Recording) -> str:
    """Say what the best regressor is chosen from."""
    if not recording.regressors:
        return (
            "No regressor was measured for every feature set with an error estimated from the labels alone, so no best "
            "regressor is chosen."
        )
    left = [readable(name) for name in recording.other_regressors]
    rest = f" Not chosen from: {listed(left)}." if left else ""
    return (
        "The best regressor is, for each feature set and repeat, the one with the lowest cross-validated error on the "
        f"given labels, never on the test fold, among {listed(readable(name) for name in recording.regressors)}.{rest}"
    )


def testing(recording: Recording, baseline: str) -> str:
    """Say what the paired comparisons with a feature set are and what they hold for."""
    known = len(recording.pool_sizes) == len(recording.tasks)
    overlap = (
        "r being the number of labels over the size of the training fold, which is the share two repeats have in common"
        if known
        else "where the size of the training fold is not known, r is taken as zero, which makes p too small"
    )
    return (
        f"Each cell: error divided by that of {baseline} in the same repeats (geometric mean over them) with its "
        "95% interval; the mean difference in units of the target; the p-value of a two-sided corrected resampled "
        "t-test (Nadeau and Bengio, Machine Learning 52 (2003) 239) on the logarithms of the ratios, with the variance "
        f"of the mean raised from s²/J to (1/J + r/(1 - r)) s², {overlap}. p-values are adjusted by Holm's procedure "
        "for all cells of a feature set, over the tasks; bold where below 0.05. All this holds for this test fold and "
        "these vectors: other test crystals and other pretrainings would widen the intervals."
    )


def feature_sets(names: Sequence[str]) -> str:
    """Say what the named feature sets are, as far as they come with the package; "" if nothing is known about any."""
    known = {name: pretraining.summary for name, pretraining in PRETRAININGS.items()}
    known |= {name: reference.summary for name, reference in REFERENCE_FEATURES.items()}
    known |= {
        name: f"the {preset} encoder trained on all labels of another property of the training fold"
        for name, preset in OTHERS.items()
    }
    found = [f"{name}: {known[name]}" for name in names if name in known]
    return f"Feature sets. {'; '.join(found)}." if found else ""


OVERALL = (
    "Geometric means over all cells (task and number of labels) of the ratio of mean errors, with 95% intervals from "
    "resampling the repeats, the same ones for both; below one is better than the baseline. Resampling treats the "
    "repeats as independent, so where labels are a large part of the training fold the intervals are somewhat narrow."
)
BOXES = (
    "Boxes span the quartiles over the repeats, the line is the median, whiskers reach to the last repeat within one "
    "and a half box heights, dots are repeats beyond; with fewer than five repeats, each is a marker. Hatched boxes "
    "are encoders before training. Boxes stand in the order of the legend. Logarithmic axis."
)
CURVES = "Means over the repeats; bands are 95% intervals of the mean (Student's t). Both axes are logarithmic."
ERRORS = "Mean ± standard error over the repeats; the lowest mean of each column is bold."
MAPS = (
    "Each point is a crystal of the test fold, placed by its vector: neighbours have similar vectors. Labels only "
    "colour the points."
)
