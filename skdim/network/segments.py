"""Sums, softmaxes and moments over ragged segments: the arithmetic of attention and readout.

Shapes: N values in S segments; ``index`` (N,) is each value's segment. Sums run in the order of the values, so
results repeat bit by bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from skdim.network.layers import in_double

if TYPE_CHECKING:
    from collections.abc import Iterable

# Exponentials of logits within this bound, and sums of many, are far from what single precision cannot hold. Gradients
# have squares of sums in the denominator.
_MODERATE = 60.0
_MODERATE_IN_TRAINING = 30.0
_LONG = 64  # values of a segment that are summed one after the other


def segment_sum(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Sum the values (N, ...) of each segment, giving (S, ...)."""
    return values.new_zeros(n_segments, *values.shape[1:]).index_add(0, index, values)


class Runs(NamedTuple):
    """Segments of values that lie side by side, long ones in parts: a sum of a thousand would lose its last digits."""

    n_segments: int
    segment: torch.Tensor  # (N,) of each value, ascending
    order: torch.Tensor  # (N,) the values as they lie
    start: torch.Tensor  # (P,) first value of each part
    part: torch.Tensor  # (N,) of each value, ascending
    owner: torch.Tensor | None  # (P,) segment of each part; None where each segment is one


def run_starts(index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """First value (S,) of each segment of an index (N,) that ascends."""
    size = torch.bincount(index, minlength=n_segments)
    return size.cumsum(0) - size


def runs_of(index: torch.Tensor, n_segments: int) -> Runs:
    """Where each segment of an index (N,) begins, which must ascend."""
    order, size = torch.arange(len(index), device=index.device), torch.bincount(index, minlength=n_segments)
    start = size.cumsum(0) - size
    # Looked up on the processor alone: anywhere else the host would have to wait for it.
    if index.device.type != "cpu" or int(size.max()) <= _LONG:
        return Runs(n_segments, index, order, start, index, None)
    n_parts = (size + _LONG - 1).div(_LONG, rounding_mode="floor").clamp_min(1)
    owner, first = torch.arange(n_segments).repeat_interleave(n_parts), n_parts.cumsum(0) - n_parts
    start_of_part = start[owner] + _LONG * (torch.arange(len(owner)) - first[owner])
    part = first[index] + (order - start[index]).div(_LONG, rounding_mode="floor")
    return Runs(n_segments, index, order, start_of_part, part, owner)


def run_sum(values: torch.Tensor, runs: Runs) -> torch.Tensor:
    """Sum the values (N, ...) of each segment, giving (S, ...)."""
    return _of_parts(segment_sum(values, runs.part, len(runs.start)), runs)


def _of_parts(sums: torch.Tensor, runs: Runs) -> torch.Tensor:
    """Sums of segments (S, ...) from those of their parts (P, ...)."""
    return sums if runs.owner is None else segment_sum(sums, runs.owner, runs.n_segments)


def weighted_sum(values: torch.Tensor, weight: torch.Tensor, runs: Runs) -> torch.Tensor:
    """Sum of the values (N, D) of each segment times their weights (N,), giving (S, D).

    The products never lie in memory, which for wide values is most of the time.
    """
    # Under autocast values may be shorter than weights.
    values = values.to(weight.dtype)
    sums = F.embedding_bag(runs.order, values, runs.start, mode="sum", per_sample_weights=weight)
    return _of_parts(sums, runs)


def segment_max(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Largest of the values (N, D) of each segment, column by column, giving (S, D); -inf where there are none."""
    start = values.new_full((n_segments, values.shape[1]), -torch.inf)
    return start.scatter_reduce(0, index.unsqueeze(1).expand_as(values), values, "amax")


def run_max(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """The same as `segment_max` for an index that ascends, in half the time."""
    size = torch.bincount(index, minlength=n_segments)
    # Unsafe: the sizes are not checked again.
    return torch.segment_reduce(values.contiguous(), "max", lengths=size, axis=0, unsafe=True)


def _are_moderate(logits: torch.Tensor, bound: float) -> bool:
    """Whether single precision holds the exponentials, and sums of many."""
    least, most = torch.aminmax(logits)
    return bool(least > -bound and most < bound)


def segment_exp(
    logits: torch.Tensor,  # (N, H) a logit of -inf takes no part; every segment needs one that is finite
    index: torch.Tensor,  # (N,) segment of each value, ascending
    n_segments: int,
) -> tuple[torch.Tensor, torch.Tensor | float]:
    """Exponentials (N, H) that can be summed over each segment, and by how much (S, H) their logits were lowered.

    Nothing is lowered where single precision holds the exponentials as they are. Whether that is so for all is looked
    up on the processor alone: anywhere else the host would have to wait for it. Else the logits of a segment are
    lowered by the largest of them, where single precision could not hold its exponential.
    """
    bound = _MODERATE_IN_TRAINING if torch.is_grad_enabled() else _MODERATE
    if logits.device.type == "cpu" and _are_moderate(logits.detach(), bound):
        return logits.exp(), 0.0
    largest = run_max(logits.detach(), index, n_segments)
    top = largest.masked_fill(largest.abs() <= bound, 0.0)
    return (logits - top.index_select(0, index)).exp_(), top


def segment_softmax(logits: torch.Tensor, index: torch.Tensor, n_segments: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax (N, H) over each segment, and the logarithm of the sum of its exponentials (S, H).

    Logits and index are as for `segment_exp`.
    """
    raised, top = segment_exp(logits, index, n_segments)
    total = segment_sum(raised, index, n_segments)
    return raised / total.index_select(0, index), total.log() + top


def segment_logsumexp(values: torch.Tensor, index: torch.Tensor, n_segments: int) -> torch.Tensor:
    """Logarithm of the sum of exponentials of the values (N,) of each segment, in any order, giving (S,)."""
    top = segment_max(values.detach().unsqueeze(1), index, n_segments).squeeze(1)
    return segment_sum((values - top.index_select(0, index)).exp(), index, n_segments).log() + top


MOMENTS = ("mean", "deviation", "minimum", "maximum")
SIGNED_MOMENTS = ("mean", "covariance")


def mean_and_covariance(
    values: Iterable[torch.Tensor], other: torch.Tensor, weight: torch.Tensor, runs: Runs
) -> list[torch.Tensor]:
    """Of each of the values (N, D) two parts: means of segments and covariances with another value (N,), each (S, D).

    See `weighted_moments`.
    """
    exact, amount = in_double(other), in_double(weight)
    departure = exact - segment_sum(exact * amount, runs.segment, runs.n_segments).index_select(0, runs.segment)
    weights = (weight, (amount * departure).to(weight.dtype))
    return [weighted_sum(v, w, runs) for v in values for w in weights]


def weighted_moments(
    values: torch.Tensor,  # (N, D)
    weight: torch.Tensor,  # (N,) sums to one over each segment
    runs: Runs,
) -> list[torch.Tensor]:
    """Means, mean absolute deviations from them, minima and maxima of the segments, (S, D) each."""
    mean = weighted_sum(values, weight, runs)
    deviation = weighted_sum((values - mean.index_select(0, runs.segment)).abs(), weight, runs)
    where = (runs.segment, runs.n_segments)
    return [mean, deviation, -segment_max(-values, *where), segment_max(values, *where)]
