"""The deep encoder: several hops of message passing, so that a site knows of more than its own neighbours.

A site starts as a linear function of its features and of the elements on it. In each hop it hears from its near
neighbours and is updated, as in SchNet [1]_ and its kin:

    m_i = sum_j a_ij * silu(A h_i + B h_j) * (D e_ij),    h_i' = h_i + W silu(V [h_i, LN(m_i)]).

e_ij are smooth functions of the distance. The weights a_ij = n_ij w_ij o_j t_ij d_ij^-p sum to one over j, with another
exponent p for each slice of the width. They are exact under symmetry reduction: counts, cutoff weights and occupancies
enter as in Site-Net's attention.

Far neighbours cost as much as near ones and tell less, so t_ij lets them fade out between r_i and 1.25 r_i. r_i is
``reach`` times the spacing of atoms around the site, (sum over j of n_ij w_ij o_j d_ij^-p)^(-1/p) with the gentlest p.
That takes no sorting, moves with the atoms without jumps, and grows with the crystal.

Shapes in comments: S rows, P pairs, N near pairs, K site types, F site features, H slices, w width, R radial functions.

References
----------
.. [1] Schuett et al., "SchNet: A continuous-filter convolutional neural network for modeling quantum interactions",
   arXiv 1706.08566.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from skdim.network.layers import activate_, in_double, linear, scale_
from skdim.network.segments import run_starts, segment_sum
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from skdim.network.batches import Batch
    from skdim.network.config import EncoderConfig

# Share of the reach over which neighbours fade out.
_TAPER = 0.25
# Angstrom: centres of the radial functions, from bonds to the far end of the shells, evenly in the logarithm.
_FIRST, _LAST, _CENTRES = 1.2, 7.5, 10
N_RADIAL = _CENTRES + 2


class NearPairs(NamedTuple):
    """The pairs that hops use."""

    which: torch.Tensor  # (N,) among the batch's pairs
    row: torch.Tensor  # (N,) ascending
    neighbor: torch.Tensor  # (N,)
    weight: torch.Tensor  # (N, H) sums to one over the pairs of a row
    radial: torch.Tensor  # (N, R)


class Hop(nn.Module):
    """One round of messages from near neighbours."""

    def __init__(self, width: int) -> None:  # w of a site's state; a multiple of the number of slices
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.centre = nn.Linear(width, width, bias=False)
        self.neighbor = nn.Linear(width, width)
        self.filter = nn.Linear(N_RADIAL, width, bias=False)
        self.message_norm = nn.LayerNorm(width)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, state: torch.Tensor, pairs: NearPairs) -> torch.Tensor:
        """Next states (S, w) from states (S, w)."""
        normed = self.norm(state)
        neighbor = linear(normed, self.neighbor.weight, self.neighbor.bias)
        message = neighbor.index_select(0, pairs.neighbor)  # (N, w)
        message += linear(normed, self.centre.weight).index_select(0, pairs.row)
        message = scale_(activate_("silu", message), self.filter(pairs.radial))
        summed = self.message_norm(sum_by_slice(message, pairs, len(state)))
        first, activation, last = self.update
        heard = linear(torch.cat([normed, summed], 1), first.weight, first.bias)
        return state + linear(activation(heard), last.weight, last.bias)


class DeepEncoder(nn.Module):
    """States of the sites of a batch before and after each hop."""

    exponents: torch.Tensor

    def __init__(
        self,
        n_features: int,  # F
        config: EncoderConfig,  # its ``hops``, ``hop_width``, ``reach`` and ``decay``
    ) -> None:
        super().__init__()
        width = config.hop_width
        self.reach = config.reach
        exponents = torch.tensor(config.decay or (0.0,))
        # As a number: a look at a tensor in each pass would make the host wait for the device.
        self.gentlest = min((power for power in exponents.tolist() if power > 0), default=2.0)
        self.register_buffer("exponents", exponents, persistent=False)
        self.features = nn.Linear(n_features, width)
        self.elements = nn.Parameter(0.3 * torch.randn(N_ATOMIC_NUMBERS, width))
        self.masked = nn.Parameter(0.3 * torch.randn(width))
        self.hops = nn.ModuleList(Hop(width) for _ in range(config.hops))

    def near(self, batch: Batch, distance: torch.Tensor) -> NearPairs:
        """The near pairs at distances (P,), the batch's own or disturbed ones."""
        return near_pairs(batch, distance, self.exponents, self.gentlest, self.reach)

    def forward(
        self,
        batch: Batch,  # S rows
        features: torch.Tensor,  # (K, F) standardised features of the batch's site types
        pairs: NearPairs,
        masked: torch.Tensor | None = None,  # (S,) rows whose content is hidden
    ) -> list[torch.Tensor]:  # (S, w) at the start and after each hop
        """Encode every site."""
        table = self.features(features) + batch.element_shares.to(features.dtype) @ self.elements  # (K, w)
        state = table.index_select(0, batch.site_type)
        if masked is not None:
            state = torch.where(masked.unsqueeze(1), self.masked, state)
        states = [state]
        for hop in self.hops:
            states.append(hop(states[-1], pairs))
        return states


def near_pairs(
    batch: Batch,  # S rows, P pairs
    distance: torch.Tensor,  # (P,) in Angstrom
    exponents: torch.Tensor,  # (H,) powers by which weights fall
    gentlest: float,  # of those above zero, which gives the spacing
    reach: float,  # in spacings
) -> NearPairs:
    """Pairs within reach of their site, and their weights; a site's own copy at distance zero is left out."""
    n_rows = len(batch.site_type)
    # In double precision, as high powers of the distance multiply what rounding leaves of it.
    logarithm = in_double(distance).clamp_min(1e-3).log()
    apart = distance > 0
    amount = in_double(batch.log_count).exp() * apart
    gentle = (amount * torch.exp(-gentlest * logarithm)).to(distance.dtype)
    spacing = segment_sum(in_double(gentle), batch.row, n_rows).clamp_min(1e-30).pow(-1.0 / gentlest)  # (S,)
    # A small part of the distance decides how much of a pair has faded.
    beyond = ((in_double(distance) / (reach * spacing).index_select(0, batch.row) - 1.0) / _TAPER).to(distance.dtype)
    fading = 0.5 * (1.0 + torch.cos(math.pi * beyond.clamp(0.0, 1.0)))
    index = torch.nonzero(apart & (beyond < 1.0)).squeeze(1)
    row, logarithm = batch.row.index_select(0, index), logarithm.index_select(0, index)
    log_spacing = spacing.log().index_select(0, row)
    # In spacings, so that high powers of the distance stay within single precision.
    falling = torch.exp(-exponents * (logarithm - log_spacing).unsqueeze(1)).to(distance.dtype)
    weight = falling * (amount.to(distance.dtype) * fading).index_select(0, index).unsqueeze(1)  # (N, H)
    total = segment_sum(weight, row, n_rows).clamp_min(1e-30)
    radial = radial_functions(distance.index_select(0, index), logarithm)
    weight = weight / total.index_select(0, row)
    return NearPairs(index, row, batch.neighbor.index_select(0, index), weight, radial)


def radial_functions(distance: torch.Tensor, logarithm: torch.Tensor) -> torch.Tensor:
    """Smooth functions (N, R) of the distance (N,): Gaussians of its logarithm, a constant and its inverse."""
    first, last = math.log(_FIRST), math.log(_LAST)
    centres = torch.linspace(first, last, _CENTRES, device=distance.device, dtype=logarithm.dtype)
    width = (last - first) / (_CENTRES - 1)
    departure = (logarithm.unsqueeze(1) - centres).to(distance.dtype)
    bumps = torch.exp(-0.5 * (departure / width) ** 2)
    inverse = (2.5 / distance).clamp_max(3.0)
    return torch.cat([bumps, torch.ones_like(inverse).unsqueeze(1), inverse.unsqueeze(1)], 1)


def sum_by_slice(message: torch.Tensor, pairs: NearPairs, n_rows: int) -> torch.Tensor:
    """Sum over a row's pairs of messages (N, w), each slice with weights of its own, giving (S, w).

    Where no gradient is wanted, products of messages and weights never lie in memory.
    """
    n_slices = pairs.weight.shape[1]
    width = message.shape[1] // n_slices  # told, as it cannot be found where there are no pairs
    if torch.is_grad_enabled():
        weighted = message.view(len(message), n_slices, width) * pairs.weight.unsqueeze(2)
        return segment_sum(weighted.flatten(1), pairs.row, n_rows)
    which = torch.arange(n_slices, device=message.device).unsqueeze(1)  # (H, 1)
    n_pairs = len(message)
    taken = which + n_slices * torch.arange(n_pairs, device=message.device)  # (H, N): a slice of a pair is a row
    slices = message.reshape(n_pairs * n_slices, width)
    weights = pairs.weight.to(slices.dtype).T.reshape(-1)
    first = (run_starts(pairs.row, n_rows) + n_pairs * which).flatten()  # (H * S)
    summed = F.embedding_bag(taken.flatten(), slices, first, mode="sum", per_sample_weights=weights)
    return summed.view(n_slices, n_rows, -1).transpose(0, 1).flatten(1)
