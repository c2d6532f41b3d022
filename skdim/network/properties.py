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
    """Mean and mean absolute deviation of the sites' states after each hop, and one hidden layer of them.

    Parameters
    ----------
    hops, hop_width : int
        Of the deep encoder.
    width : int
        Of the layer.
    """

    def __init__(self, hops: int, hop_width: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(hop_width) for _ in range(hops))
        self.hidden = nn.Linear(2 * hops * hop_width, width)

    def forward(self, batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """The layer (B, width) of the states (S, w) after each hop."""
        sites = runs_of(batch.crystal, len(batch))
        normed, mean = self._normed(batch, states)
        apart = weighted_sum((normed - mean.index_select(0, batch.crystal)).abs(), batch.site_weight, sites)
        return F.silu(self.hidden(torch.cat([mean, apart], 1)))

    def site_shares(self, batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """Split the layer among the sites (S, width): rows of a crystal sum to its row.

        What goes into the activation is a sum over sites, and silu(u) = u sigmoid(u) is split as u is.
        """
        normed, mean = self._normed(batch, states)
        apart = (normed - mean.index_select(0, batch.crystal)).abs()
        each = self.hidden(torch.cat([normed, apart], 1)) * batch.site_weight.unsqueeze(1)  # (S, width)
        whole = segment_sum(each, batch.crystal, len(batch))
        return each * torch.sigmoid(whole).index_select(0, batch.crystal)

    def _normed(self, batch: Batch, states: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """States after all hops side by side (S, H w), each hop normed, and their means (B, H w)."""
        normed = torch.cat([norm(state) for norm, state in zip(self.norms, states, strict=True)], 1)
        return normed, weighted_sum(normed, batch.site_weight, runs_of(batch.crystal, len(batch)))
