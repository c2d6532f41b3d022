"""The hidden layer over a whole crystal that was learned from labels of other crystals.

Averages of wide states over sites throw most of what labels teach away: a few hundred columns hold it, and what tells
an energy is one direction among them. So a layer that has learned to tell properties of crystals from all hops at once
is read itself, before its last, linear step. Its columns are numbers that such properties are made of.

Shapes in comments: B crystals, S sites, w width of a site's state, H hops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from skdim.network.segments import runs_of, segment_sum, weighted_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skdim.network.batches import Batch


class PropertyLayer(nn.Module):
    """Mean and mean absolute deviation of the sites' states after each hop, and one hidden layer of them."""

    def __init__(
        self,
        hops: int,  # of the deep encoder
        hop_width: int,
        width: int,  # of the layer
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(hop_width) for _ in range(hops))
        self.hidden = nn.Linear(2 * hops * hop_width, width)

    def forward(self, batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """The layer (B, width) of the states (S, w) after each hop."""
        sites = runs_of(batch.crystal, len(batch))
        pooled = [weighted_sum(part, batch.site_weight, sites) for part in self._parts(batch, states)]
        return F.silu(self.hidden(torch.cat(pooled, 1)))

    def shares(self, batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """Split the layer among the sites (S, width): in proportion to what each adds before the nonlinearity."""
        weight = batch.site_weight.unsqueeze(1)
        added = F.linear(torch.cat(self._parts(batch, states), 1) * weight, self.hidden.weight)
        added = added + weight * self.hidden.bias
        return added * segment_sum(added, batch.crystal, len(batch)).sigmoid().index_select(0, batch.crystal)

    def _parts(self, batch: Batch, states: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """What is averaged over sites: their states after all hops (S, H w), and how far each is from the mean."""
        normed = torch.cat([norm(state) for norm, state in zip(self.norms, states, strict=True)], 1)
        mean = weighted_sum(normed, batch.site_weight, runs_of(batch.crystal, len(batch)))
        return normed, (normed - mean.index_select(0, batch.crystal)).abs()
