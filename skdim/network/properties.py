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

from skdim.network.segments import runs_of, weighted_sum

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
        normed = torch.cat([norm(state) for norm, state in zip(self.norms, states, strict=True)], 1)  # (S, H w)
        mean = weighted_sum(normed, batch.site_weight, sites)
        apart = (normed - mean.index_select(0, batch.crystal)).abs()
        return F.silu(self.hidden(torch.cat([mean, weighted_sum(apart, batch.site_weight, sites)], 1)))
