"""Values of ragged segments in, their sums, softmaxes and moments out: the arithmetic under attention and readout.

Shapes: N values in S segments; ``index`` (N,) is each value's segment. Sums run in the order of the values, so
results repeat bit by bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Iterable

# Exponentials of logits within this bound, and sums of many, are far from what single precision cannot hold.
_SAFE = 60.0


def segment_sum(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Sum the values (N, ...) of each segment, giving (S, ...)."""
    return values.new_zeros(n_segments, *values.shape[1:]).index_add(0, index, values)


class Runs(NamedTuple):
    """Segments of values that lie side by side."""

    segment: torch.Tensor  # (N,) of each value, ascending
    order: torch.Tensor  # (N,) the values as they lie
    start: torch.Tensor  # (S,) first value of each segment


def runs_of(index: torch.Tensor, n_segments: int) -> Runs:
    """Where each segment of an index (N,) begins, which must ascend."""
    size = torch.bincount(index, minlength=n_segments)
    return Runs(index, torch.arange(len(index), device=index.device), size.cumsum(0) - size)


def weighted_sum(values: torch.Tensor, weight: torch.Tensor, runs: Runs) -> torch.Tensor:
    """Sum of the values (N, D) of each segment times their weights (N,), giving (S, D).

    The products never lie in memory, which for wide values is most of the time.
    """
    # Under autocast values may be shorter than weights.
    values = values.to(weight.dtype)
    return F.embedding_bag(runs.order, values, runs.start, mode="sum", per_sample_weights=weight)


def segment_max(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Largest of the values (N, D) of each segment, column by column, giving (S, D); -inf where there are none."""
    start = values.new_full((n_segments, values.shape[1]), -torch.inf)
    return start.scatter_reduce(0, index.unsqueeze(1).expand_as(values), values, "amax")


def segment_exp(
    logits: torch.Tensor, index: torch.Tensor, n_segments: int
) -> tuple[torch.Tensor, torch.Tensor | float]:
    """Exponentials (N, H) that can be summed, and the logarithm by which they were lowered, (S, H) or zero for all.

    Where single precision holds the exponentials as they are, no segment's largest has to be looked up.
    """
    least, most = torch.aminmax(logits.detach())
    if least > -_SAFE and most < _SAFE:
        return logits.exp(), 0.0
    top = segment_max(logits.detach(), index, n_segments)
    return (logits - top.index_select(0, index)).exp(), top


def segment_softmax(logits: torch.Tensor, index: torch.Tensor, n_segments: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax over each segment, column by column.

    Parameters
    ----------
    logits : Tensor of shape (N, H)
        A logit of -inf takes no part; every segment needs one that is finite.
    index : LongTensor of shape (N,)
        Segment of each value.
    n_segments : int
        Number of segments S.

    Returns
    -------
    share : Tensor of shape (N, H)
        Sums to one over each segment.
    log_partition : Tensor of shape (S, H)
        Logarithm of the sum of the exponentials.
    """
    raised, top = segment_exp(logits, index, n_segments)
    total = segment_sum(raised, index, n_segments)
    return raised / total.index_select(0, index), total.log() + top


def segment_logsumexp(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Logarithm of the sum of exponentials of the values (N,) of each segment, giving (S,)."""
    return segment_softmax(values.unsqueeze(1), index, n_segments)[1].squeeze(1)


def reaches_kth(
    logits: torch.Tensor, counts: torch.Tensor, index: torch.Tensor, n_segments: int, k: int
) -> torch.Tensor:
    """Whether each logit is among the k largest of its segment.

    Parameters
    ----------
    logits : Tensor of shape (N, H)
        Each column is ranked by itself.
    counts : Tensor of shape (N,)
        How many equal values each one stands for.
    index : LongTensor of shape (N,)
        Segment of each value.
    n_segments : int
        Number of segments S.
    k : int
        How many to keep, counted with multiplicity. All that tie with the last one stay, so that the choice does not
        depend on an order among equals.

    Returns
    -------
    BoolTensor of shape (N, H)
    """
    return torch.stack([_column_reaches(c, counts, index, n_segments, k) for c in logits.detach().unbind(1)], 1)


def _column_reaches(
    logit: torch.Tensor, counts: torch.Tensor, index: torch.Tensor, n_segments: int, k: int
) -> torch.Tensor:
    """One column of `reaches_kth`."""
    order = torch.argsort(logit, descending=True, stable=True)
    order = order[torch.argsort(index[order], stable=True)]
    segment, count = index[order], counts[order].double()
    total = count.cumsum(0)
    before = total - count
    first = torch.searchsorted(segment, torch.arange(n_segments, device=segment.device))
    before = before - before[first].index_select(0, segment)
    kept = torch.zeros_like(order, dtype=torch.bool)
    kept[order] = before < k - 1e-6
    border = logit.masked_fill(~kept, torch.inf).unsqueeze(1)
    threshold = -segment_max(-border, index, n_segments).squeeze(1).index_select(0, index)
    # Equal pairs may differ in the last bits; a tie is a tie within rounding.
    return logit >= threshold - 1e-5 * threshold.abs() - 1e-7


MOMENTS = ("mean", "deviation", "minimum", "maximum")
SIGNED_MOMENTS = ("mean", "covariance")


def mean_and_covariance(
    values: Iterable[torch.Tensor], other: torch.Tensor, weight: torch.Tensor, runs: Runs
) -> list[torch.Tensor]:
    """Of each of the values (N, D) two parts: means of segments and covariances with another value (N,), each (S, D).

    See `weighted_moments`.
    """
    departure = other - segment_sum(other * weight, runs.segment, len(runs.start)).index_select(0, runs.segment)
    weights = (weight, weight * departure)
    return [weighted_sum(v, w, runs) for v in values for w in weights]


def weighted_moments(values: torch.Tensor, weight: torch.Tensor, runs: Runs) -> list[torch.Tensor]:
    """Mean, mean deviation, minimum and maximum of each segment.

    Parameters
    ----------
    values : Tensor of shape (N, D)
        One row a site.
    weight : Tensor of shape (N,)
        Sums to one over each segment.
    runs : Runs
        The S segments.

    Returns
    -------
    list of Tensor of shape (S, D)
        Means, mean absolute deviations from them, minima, maxima.
    """
    mean = weighted_sum(values, weight, runs)
    deviation = weighted_sum((values - mean.index_select(0, runs.segment)).abs(), weight, runs)
    where = (runs.segment, len(runs.start))
    return [mean, deviation, -segment_max(-values, *where), segment_max(values, *where)]
