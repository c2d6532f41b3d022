"""The hidden layer over a whole crystal that has learned to tell properties of other crystals.

In averages of states over sites, what such properties teach is lost: there are hundreds of columns, and an energy is
one direction among them. So the hidden layer from which the properties are told is read itself: its columns are numbers
that they are made of. The properties as the layer tells them may be read beside it.

The properties may be labels, or be computed from the crystals themselves, as a tight-binding model gives them.

Shapes in comments: B crystals, S sites, w width of a site's state, H hops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from skdim.network.layers import linear
from skdim.network.segments import runs_of, segment_sum, weighted_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skdim.network.batches import Batch
    from skdim.network.config import EncoderConfig


class PropertyLayer(nn.Module):
    """Mean and mean absolute deviation of the states after each hop, a hidden layer of them, and a linear step."""

    def __init__(
        self,
        encoder: EncoderConfig,  # of the deep encoder
        width: int,  # of the layer
        n_told: int = 0,  # properties that are read
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(encoder.hop_width) for _ in range(encoder.hops))
        self.hidden = nn.Linear(2 * encoder.hops * encoder.hop_width, width)
        self.told = nn.Linear(width, n_told) if n_told else None

    def forward(self, batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """The layer of the states (S, w) after each hop, and what it tells: (B, width + n_told)."""
        hidden = self.layer(batch, states)
        return hidden if self.told is None else torch.cat([hidden, self.told(hidden)], 1)

    def layer(self, batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """The layer alone (B, width)."""
        sites = runs_of(batch.crystal, len(batch))
        pooled = [weighted_sum(part, batch.site_weight, sites) for part in self._parts(batch, states)]
        return F.silu(linear(torch.cat(pooled, 1), self.hidden.weight, self.hidden.bias))

    def shares(self, batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """Split what is read among the sites (S, ...): in proportion to what each adds before the nonlinearity."""
        weight = batch.site_weight.unsqueeze(1)
        added = F.linear(torch.cat(self._parts(batch, states), 1) * weight, self.hidden.weight)
        added = added + weight * self.hidden.bias
        share = added * segment_sum(added, batch.crystal, len(batch)).sigmoid().index_select(0, batch.crystal)
        if self.told is None:
            return share
        return torch.cat([share, F.linear(share, self.told.weight) + weight * self.told.bias], 1)

    def _parts(self, batch: Batch, states: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """What is averaged over sites: their states after all hops (S, H w), and how far each is from the mean."""
        normed = torch.cat([norm(state) for norm, state in zip(self.norms, states, strict=True)], 1)
        mean = weighted_sum(normed, batch.site_weight, runs_of(batch.crystal, len(batch)))
        return normed, (normed - mean.index_select(0, batch.crystal)).abs()
