"""Records of a study in; sentences that say what its tables and pictures show out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skdim.benchmark.records import BEST
from skdim.benchmark.text import listed, readable

if TYPE_CHECKING:
    from skdim.benchmark.recording import Recording


def measured(recording: Recording, task: str, heads: Sequence[str]) -> str:
    """Say on which crystals, with which labels and how often something was measured.

    Parameters
    ----------
    recording : Recording
        Of the study.
    task : str
        One of its tasks.
    heads : sequence of str
        Heads that are shown, "best" for all that are chosen from.

    Returns
    -------
    str
    """
    facts, unit = recording.of_task(task), recording.unit(task)
    size, pool = facts.get("test_fold"), facts.get("training_fold")
    chosen = [name for head in heads for name in (recording.heads if head == BEST else [head])]
    seed, draws = recording.study.get("seed"), recording.draws(chosen)
    fewer = ", the first ones for heads with fewer" if " to " in draws else ""
    return (
        f"Mean absolute error for {task}{f' in {unit}' if unit else ''}, on the fixed test fold"
        f"{f' of {size:,} crystals' if size else ''}. Labels are drawn at random from "
        f"{f'the {pool:,} crystals of the training fold' if pool else 'the training fold'}; {draws} "
        f"draws for each number of labels, the same ones for every feature set and head{fewer}"
        f"{f'; seed {seed}' if seed is not None else ''}."
    )


def choice(recording: Recording) -> str:
    """Say what the best head is chosen from.

    Parameters
    ----------
    recording : Recording
        Of the study.

    Returns
    -------
    str
    """
    if not recording.heads:
        return "No head was measured for every feature set with an error known from the labels alone: none is best."
    left = [readable(head) for head in recording.other_heads]
    rest = f" Not chosen from: {listed(left)}." if left else ""
    return (
        "The best head is, for each feature set and draw, the one with the lowest cross-validated error on the given "
        f"labels, never on the test fold, among {listed(readable(head) for head in recording.heads)}.{rest}"
    )


def testing(recording: Recording, baseline: str) -> str:
    """Say what the paired comparisons are and what they hold for.

    Parameters
    ----------
    recording : Recording
        Of the study.
    baseline : str
        Feature set to compare with.

    Returns
    -------
    str
    """
    known = len(recording.pool_sizes) == len(recording.tasks)
    overlap = (
        "r being the number of labels over the size of the training fold, which is the share two draws have in common"
        if known
        else "where the size of the training fold is not known, r is taken as zero, which makes p too small"
    )
    return (
        f"Each cell: error divided by that of {baseline} on the same draws (geometric mean over the draws) with its "
        "95% interval; the mean difference in units of the target; the p-value of a two-sided corrected resampled "
        "t-test (Nadeau and Bengio, Machine Learning 52 (2003) 239) on the logarithms of the ratios, with the variance "
        f"of the mean raised from s²/J to (1/J + r/(1 - r)) s², {overlap}. p-values are adjusted by Holm's procedure "
        "for all cells of a feature set, over the tasks; bold where below 0.05. All this holds for this test fold and "
        "these vectors: other test crystals and other pretrainings would widen the intervals."
    )


OVERALL = (
    "Geometric means over all cells (task and number of labels) of the ratio of mean errors, with 95% intervals from "
    "resampling the draws, the same ones for both; below one is better than the baseline. Resampling takes draws for "
    "independent, so where labels are a good part of the training fold the intervals are somewhat too narrow."
)
BOXES = (
    "Boxes span the quartiles over the draws, the line is the median, whiskers reach to the last draw within one and a "
    "half box heights, dots are draws beyond; where draws are fewer than five, each is a marker. Hatched boxes are "
    "encoders before training. Logarithmic axis."
)
CURVES = "Means over the draws; bands are 95% intervals of the mean (Student's t). Both axes are logarithmic."
ERRORS = "Mean ± standard error over the draws; the lowest mean of each column is bold."
MAPS = (
    "Each point is a crystal of the test fold, placed by its vector: neighbours have similar vectors. Labels only "
    "colour the points."
)
