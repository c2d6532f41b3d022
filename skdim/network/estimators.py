"""Bounds on mutual information, as losses of critic scores.

An anchor (a site, or a crystal) has positive samples and negative ones, each with a score T of the critic and a weight.
The weights of an anchor's positives sum to one, and so do those of its negatives.

References
----------
Hjelm et al., "Learning deep representations by mutual information estimation and maximization", arXiv 1808.06670.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from skdim.network.segments import segment_logsumexp, segment_sum

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Scores:
    """Scores of samples that belong to anchors."""

    value: torch.Tensor  # (N,) critic scores T
    weight: torch.Tensor  # (N,) sums to one over each anchor
    anchor: torch.Tensor  # (N,) index of the anchor


def jensen_shannon(positives: Scores, negatives: Scores, n_anchors: int, n_negatives: torch.Tensor) -> torch.Tensor:
    """E_P[softplus(-T)] + E_N[softplus(T)] for each anchor, giving (A,).

    Its optimal critic is the log density ratio of positives to negatives.
    """
    pull = segment_sum(positives.weight * F.softplus(-positives.value), positives.anchor, n_anchors)
    push = segment_sum(negatives.weight * F.softplus(negatives.value), negatives.anchor, n_anchors)
    return pull + push


def donsker_varadhan(positives: Scores, negatives: Scores, n_anchors: int, n_negatives: torch.Tensor) -> torch.Tensor:
    """-E_P[T] + log E_N[e^T] for each anchor, giving (A,)."""
    gain = segment_sum(positives.weight * positives.value, positives.anchor, n_anchors)
    return _log_mean_exp(negatives, n_anchors) - gain


def info_nce(positives: Scores, negatives: Scores, n_anchors: int, n_negatives: torch.Tensor) -> torch.Tensor:
    """-E_P[T - log(e^T + sum_N e^T)] for each anchor, giving (A,).

    ``n_negatives`` (A,) says how many negatives the weights of each anchor are shares of.
    """
    crowd = _log_mean_exp(negatives, n_anchors) + n_negatives.log()
    excess = crowd.index_select(0, positives.anchor) - positives.value
    return segment_sum(positives.weight * F.softplus(excess), positives.anchor, n_anchors)


def _log_mean_exp(scores: Scores, n_anchors: int) -> torch.Tensor:
    """Log E[e^T] over each anchor's samples."""
    return segment_logsumexp(scores.value + scores.weight.log(), scores.anchor, n_anchors)


ESTIMATORS: dict[str, Callable[[Scores, Scores, int, torch.Tensor], torch.Tensor]] = {
    "jsd": jensen_shannon,
    "dv": donsker_varadhan,
    "infonce": info_nce,
}


def gaussian_kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Divergence of N(mean, e^log_variance) from the unit Gaussian, averaged over the last dimension.

    Examples
    --------
    >>> gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3))
    tensor([0., 0.])
    """
    return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1.0).mean(-1)
