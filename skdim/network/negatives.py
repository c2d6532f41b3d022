"""Negatives: which crystals are paired, and crystals with one thing made wrong.

Negatives of the global objective come from another crystal, or from the same crystal with its species
replaced, its distances replaced, or its neighbours' identities permuted [1]_. The disturbed crystals are made from
expanded pairs: equal pairs that the symmetry reduction merged are disturbed one by one.

References
----------
.. [1] Moran et al., arXiv 2407.00671.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from skdim.network.segments import segment_sum

if TYPE_CHECKING:
    from skdim.network.batches import Batch


def other_crystals(n_crystals: int, generator: torch.Generator) -> torch.Tensor:
    """For each crystal of a batch of at least two another one, each used once: a permutation without a fixed point.

    Examples
    --------
    >>> other_crystals(2, torch.Generator()).tolist()
    [1, 0]
    """
    if n_crystals < 2:
        raise ValueError(f"a batch of {n_crystals} crystal(s) holds no other crystal to draw negatives from.")
    order = torch.randperm(n_crystals, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner


def draw_rows(batch: Batch, crystal: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One row of each of the crystals (N,), drawn in proportion to how many sites the row stands for."""
    return _draw(batch.site_weight.double(), batch.crystal, len(batch), crystal, generator)


def _draw(
    share: torch.Tensor, segment: torch.Tensor, n_segments: int, wanted: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """For each wanted segment (M,) one of its values, drawn by shares (N,) that sum to one over each segment (N,)."""
    # The running sum passes from c to c + 1 along segment c.
    steps = share.cumsum(0)
    target = wanted + torch.rand(len(wanted), generator=generator, dtype=torch.float64).to(steps.device)
    drawn = torch.searchsorted(steps, target, right=True).clamp_max(len(steps) - 1)
    sizes = torch.bincount(segment, minlength=n_segments)
    last = sizes.cumsum(0) - 1
    return torch.minimum(torch.maximum(drawn, (last - sizes + 1)[wanted]), last[wanted])


def runs(index: torch.Tensor, n: int, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of the chosen segments' values laid end to end, and which choice each belongs to.

    ``index`` (N,) ascends and names each value's segment; ``chosen`` (M,) may repeat segments.
    """
    sizes = torch.bincount(index, minlength=n)
    starts = sizes.cumsum(0) - sizes
    length = sizes[chosen]
    owner = torch.repeat_interleave(torch.arange(len(chosen), device=chosen.device), length)
    first = length.cumsum(0) - length
    within = torch.arange(len(owner), device=chosen.device) - first[owner]
    return starts[chosen][owner] + within, owner


def expand(batch: Batch) -> Batch:
    """The batch with every merged pair written out, so that each can be disturbed by itself."""
    take = torch.repeat_interleave(torch.arange(len(batch.count), device=batch.count.device), batch.count)
    written_out = replace(
        batch,
        row=batch.row[take],
        neighbor=batch.neighbor[take],
        distance=batch.distance[take],
        count=torch.ones_like(take),
        log_count=(batch.log_count - batch.count.log())[take],
        extra=batch.extra[take],
        pair_type=batch.pair_type[take],
    )
    return _grouped(written_out)


def _grouped(batch: Batch) -> Batch:
    """The batch with its groups made anew from rows and pair types."""
    n_pair_types = len(batch.pair_types)
    key = batch.row * n_pair_types + batch.pair_type
    groups, group, size = torch.unique(key, return_inverse=True, return_counts=True)
    return replace(
        batch,
        by_group=torch.argsort(group, stable=True),
        group_start=size.cumsum(0) - size,
        group_row=groups // n_pair_types,
        group_pair_type=groups % n_pair_types,
    )


def _with_pairs(batch: Batch, site_type: torch.Tensor, neighbor: torch.Tensor) -> Batch:
    """The batch with other site types or neighbours, its pair types numbered anew."""
    n_site_types = len(batch.features)
    key = site_type[batch.row] * n_site_types + site_type[neighbor]
    distinct, pair_type = torch.unique(key, return_inverse=True)
    pair_types = torch.stack([distinct // n_site_types, distinct % n_site_types], 1)
    return _grouped(replace(batch, site_type=site_type, neighbor=neighbor, pair_type=pair_type, pair_types=pair_types))


def replace_species(batch: Batch, partner: torch.Tensor, generator: torch.Generator) -> Batch:
    """Each row gets the type of a site of the partner crystal; positions stay."""
    return _with_pairs(batch, batch.site_type[draw_rows(batch, partner[batch.crystal], generator)], batch.neighbor)


def replace_distances(batch: Batch, partner: torch.Tensor, generator: torch.Generator) -> Batch:
    """Each site gets the distances of a site of the partner crystal; its neighbours' identities stay as frequent.

    ``batch`` must be expanded. Neighbours are drawn from the site's own ones, in proportion to their weights.
    """
    source = draw_rows(batch, partner[batch.crystal], generator)
    taken, row = runs(batch.row, len(batch.site_type), source)
    moved = replace(
        batch,
        row=row,
        distance=batch.distance[taken],
        count=batch.count[taken],
        log_count=batch.log_count[taken],
        extra=batch.extra[taken],
    )
    n_rows, weight = len(batch.site_type), batch.log_count.double().exp()
    share = weight / segment_sum(weight, batch.row, n_rows)[batch.row]
    neighbor = batch.neighbor[_draw(share, batch.row, n_rows, row, generator)]
    return _with_pairs(moved, batch.site_type, neighbor)


def permute_neighbors(batch: Batch, generator: torch.Generator) -> Batch:
    """Within each site the neighbours' identities are permuted against the distances; ``batch`` must be expanded."""
    shuffled = torch.randperm(len(batch.row), generator=generator).to(batch.row.device)
    # Sorting a shuffled order by row permutes within each row.
    order = shuffled[torch.argsort(batch.row[shuffled], stable=True)]
    return _with_pairs(batch, batch.site_type, batch.neighbor[order])
