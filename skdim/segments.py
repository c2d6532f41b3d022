"""Values of ragged segments in, their sums, softmaxes and moments out: the arithmetic under attention and readout.

Shapes: N values in S segments; ``index`` (N,) is each value's segment. Sums run in the order of the values, so
results repeat bit by bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

# Exponentials of logits within this bound, and sums of many, are far from what single precision cannot hold.
_SAFE = 60.0


def segment_sum(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Sum the values (N, ...) of each segment, giving (S, ...)."""
    return values.new_zeros(n_segments, *values.shape[1:]).index_add(0, index, values)


def weighted_sum(values: torch.Tensor, weight: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Sum of the values (N, D) of each segment times their weights (N,), giving (S, D); ``index`` must ascend.

    The products never lie in memory, which for wide values is most of the time.
    """
    size = torch.bincount(index, minlength=n_segments)
    order = torch.arange(len(index), device=index.device)
    return F.embedding_bag(order, values, size.cumsum(0) - size, mode="sum", per_sample_weights=weight)


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


def mean_and_deviation(
    values: torch.Tensor, weight: torch.Tensor, index: torch.Tensor, n_segments: int
) -> torch.Tensor:
    """Mean and mean absolute deviation from it of each segment, (S, 2 * D); see `weighted_moments`."""
    mean = weighted_sum(values, weight, index, n_segments)
    deviation = weighted_sum((values - mean.index_select(0, index)).abs(), weight, index, n_segments)
    return torch.cat([mean, deviation], 1)


def mean_and_covariance(
    values: torch.Tensor, other: torch.Tensor, weight: torch.Tensor, index: torch.Tensor, n_segments: int
) -> torch.Tensor:
    """Mean of each segment and covariance with another value (N,), (S, 2 * D); see `weighted_moments`."""
    departure = other - segment_sum(other * weight, index, n_segments).index_select(0, index)
    sums = [weighted_sum(values, w, index, n_segments) for w in (weight, weight * departure)]
    return torch.cat(sums, 1)


def weighted_moments(values: torch.Tensor, weight: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Mean, mean deviation, minimum and maximum of each segment.

    Parameters
    ----------
    values : Tensor of shape (N, D)
        One row a site.
    weight : Tensor of shape (N,)
        Sums to one over each segment.
    index : LongTensor of shape (N,)
        Segment of each row.
    n_segments : int
        Number of segments S.

    Returns
    -------
    Tensor of shape (S, 4 * D)
        Means, mean absolute deviations from them, minima, maxima.
    """
    lowest, highest = -segment_max(-values, index, n_segments), segment_max(values, index, n_segments)
    return torch.cat([mean_and_deviation(values, weight, index, n_segments), lowest, highest], 1)
