"""Critic scores of true and false samples in, a loss a sample's anchor out: bounds on mutual information.

An anchor (a site, or a crystal) has true samples and false ones, each with a score T of the critic and a weight;
weights sum to one over an anchor's true samples and over its false ones.

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
    """Scores of samples that belong to anchors.

    Attributes
    ----------
    value : Tensor of shape (N,)
        Critic scores T.
    weight : Tensor of shape (N,)
        Sums to one over each anchor.
    anchor : LongTensor of shape (N,)
        Index of the anchor.
    """

    value: torch.Tensor
    weight: torch.Tensor
    anchor: torch.Tensor


def jensen_shannon(true: Scores, false: Scores, n_anchors: int, n_false: torch.Tensor) -> torch.Tensor:
    """E_P[softplus(-T)] + E_N[softplus(T)] for each anchor, giving (A,).

    Its optimal critic is the log density ratio of true to false samples.
    """
    pull = segment_sum(true.weight * F.softplus(-true.value), true.anchor, n_anchors)
    push = segment_sum(false.weight * F.softplus(false.value), false.anchor, n_anchors)
    return pull + push


def donsker_varadhan(true: Scores, false: Scores, n_anchors: int, n_false: torch.Tensor) -> torch.Tensor:
    """-E_P[T] + log E_N[e^T] for each anchor, giving (A,)."""
    gain = segment_sum(true.weight * true.value, true.anchor, n_anchors)
    return _log_mean_exp(false, n_anchors) - gain


def info_nce(true: Scores, false: Scores, n_anchors: int, n_false: torch.Tensor) -> torch.Tensor:
    """-E_P[T - log(e^T + sum_N e^T)] for each anchor, giving (A,).

    ``n_false`` (A,) says how many false samples the weights of each anchor are shares of.
    """
    crowd = _log_mean_exp(false, n_anchors) + n_false.log()
    excess = crowd.index_select(0, true.anchor) - true.value
    return segment_sum(true.weight * F.softplus(excess), true.anchor, n_anchors)


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
