"""The two forms of Site-Net's attention block: from states of sites and pairs to the next states.

Shapes in comments: S rows, P pairs, U pair types, G groups (the pairs of one row with one site type), H heads, w width,
E functions of the distance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from skdim.network.layers import Perceptron, activate_, in_double, scale_
from skdim.network.segments import run_starts, segment_exp, segment_softmax, segment_sum

if TYPE_CHECKING:
    from skdim.network.batches import Batch
    from skdim.network.config import EncoderConfig


class PairInputs(NamedTuple):
    """Which two states make each pair, and what the first block knows beside them."""

    batch: Batch
    left: torch.Tensor  # (U,) or (P,)
    right: torch.Tensor
    of_types: bool  # whether states belong to site types, so that U pair types stand for P pairs of sites
    difference: torch.Tensor | None  # (U, F)
    alike: torch.Tensor | None  # (U, 1) one where the neighbour holds an element of the centre, else zero


def first_pairs(batch: Batch, features: torch.Tensor, hide_centre: bool) -> PairInputs:
    """In the first block a state belongs to a site type, so pair types are all there is to compute."""
    left, right = batch.pair_types.unbind(1)
    if not hide_centre:
        difference = (features.index_select(0, left) - features.index_select(0, right)).abs()
        return PairInputs(batch, left, right, True, difference, None)
    # A mixture that shares one element is hidden as a whole: its features are means, of which no part can be shown.
    holds = (batch.fractions > 0).to(features.dtype)
    alike = (holds @ holds.T > 0).to(features.dtype)[left, right].unsqueeze(1)
    return PairInputs(batch, left, right, True, None, alike)


def part_of(pairs: PairInputs, rows: slice, cut: slice) -> PairInputs:
    """The pairs of consecutive rows, those at ``cut``; their batch numbers its rows from the first of these."""
    batch = pairs.batch
    part = replace(
        batch,
        site_type=batch.site_type[rows],
        row=batch.row[cut] - rows.start,
        neighbor=batch.neighbor[cut],
        distance=batch.distance[cut],
        count=batch.count[cut],
        log_count=batch.log_count[cut],
        extra=batch.extra[cut],
        pair_type=batch.pair_type[cut],
    )
    if pairs.of_types:
        return pairs._replace(batch=part)
    return pairs._replace(batch=part, left=pairs.left[cut], right=pairs.right[cut])


class Outputs(NamedTuple):
    """What a block gives."""

    state: torch.Tensor  # (S, w)
    edge: torch.Tensor  # (P, ...)
    partition: torch.Tensor  # (S, H)
    scores: torch.Tensor  # (P, H) whose softmax over a site's pairs is the attention

    def room(self, n_rows: int, n_pairs: int) -> Outputs:
        """Uninitialised outputs of the same widths, for so many rows and pairs."""
        lengths = (n_rows, n_pairs, n_rows, n_pairs)
        return Outputs(*(own.new_empty(n, *own.shape[1:]) for own, n in zip(self, lengths, strict=True)))


class _Block(nn.Module):
    """What both forms share: projections of the two sites of a pair."""

    def __init__(
        self,
        n_site: int,  # width of a site's state
        n_difference: int,  # width of the differences of site features; 0 leaves them out
        wide: int,  # width of the hidden layer
        config: EncoderConfig,
        # Whether only the neighbour is seen, and not even that where it holds an element of the centre.
        hide_centre: bool,
    ) -> None:
        super().__init__()
        self.config = config
        self.centre = None if hide_centre else nn.Linear(n_site, wide, bias=False)
        self.neighbor = nn.Linear(n_site, wide)
        self.difference = nn.Linear(n_difference, wide, bias=False) if n_difference else None
        self.hidden_neighbor = nn.Parameter(0.3 * torch.randn(wide)) if hide_centre else None

    def _sites(self, pairs: PairInputs, state: torch.Tensor) -> torch.Tensor:
        """W_a x_i + W_b x_j and what the first block adds (U, wide)."""
        hidden: torch.Tensor = self.neighbor(state).index_select(0, pairs.right)
        if self.hidden_neighbor is not None and pairs.alike is not None:
            hidden = hidden + pairs.alike * (self.hidden_neighbor - hidden)
        if self.centre is not None:
            hidden = hidden + self.centre(state).index_select(0, pairs.left)
        if self.difference is not None:
            hidden = hidden + self.difference(pairs.difference)
        return hidden


class SiteNetBlock(_Block):
    """The published block: a layer for each of attention, value and pair update, one more after the sum."""

    def __init__(
        self, n_site: int, n_edge: int, n_difference: int, config: EncoderConfig, last: bool, hide_centre: bool = False
    ) -> None:
        width, activation = config.width, config.activation
        self.slices = 2 + (not last)
        super().__init__(n_site, n_difference, self.slices * width, config, hide_centre)
        self.edge = nn.Linear(n_edge, self.slices * width, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(self.slices))
        self.logit = nn.Linear(width, config.heads)
        self.value = Perceptron(width, width, activation=activation)
        self.site = Perceptron(width, width, activation=activation)

    def forward(self, pairs: PairInputs, state: torch.Tensor, edge: torch.Tensor, prior: torch.Tensor) -> Outputs:
        """Take site states (S or K, n_site), edge states (P, n_edge) and prior logits (P, H)."""
        hidden = self._sites(pairs, state)
        if pairs.of_types:
            hidden = hidden.index_select(0, pairs.batch.pair_type)
        # One pass over the pairs for the product and the sum.
        hidden = hidden.addmm_(edge.to(hidden.dtype), self.edge.weight.T.to(hidden.dtype))  # (P, slices * w)
        parts = [
            norm(activate_(self.config.activation, h))
            for norm, h in zip(self.norms, hidden.chunk(self.slices, 1), strict=True)
        ]
        batch, n_rows = pairs.batch, len(pairs.batch.site_type)
        scores = self.logit(parts[0]) + prior
        attention, partition = segment_softmax(scores, batch.row, n_rows)
        by_head = scale_(self.value(parts[1]).unflatten(1, (self.config.heads, -1)), attention.unsqueeze(2))
        summed = segment_sum(by_head.flatten(1), batch.row, n_rows)  # (S, w)
        # Nothing is made of the pairs after the last block.
        updated = parts[2] if self.slices > 2 else edge.new_empty(len(edge), 0)
        return Outputs(self.site(summed), updated, partition, scores)


class SeparableBlock(_Block):
    """A block whose pairs are a function of the two site types, times and plus functions of the distance.

    In symbols::

        u_ij = s(W_a x_i + W_b x_j + W_d |x_i - x_j| + b),  e_ij = [1, functions of the distance],
        value_ij = u_ij * (C e_ij) + D e_ij,  logit_ij = e_ij . (Q u_ij) + prior.

    So in a first block the sum over pairs that share both site types needs only sums of e_ij, weighed by attention:
    nothing as wide as a state is made for a pair. In later blocks each pair has a type of its own.
    """

    def __init__(
        self, n_site: int, n_edge: int, n_difference: int, config: EncoderConfig, hide_centre: bool = False
    ) -> None:
        super().__init__(n_site, n_difference, config.width, config, hide_centre)
        n_edge, heads, slice_ = n_edge + 1, config.heads, config.width // config.heads
        # Values start close to functions of the site types alone, which carries most of what kernels and ridges use.
        scaling = 0.1 * torch.randn(heads, n_edge, slice_)
        scaling[:, 0] = 1.0
        self.scaling = nn.Parameter(scaling)
        self.shift = nn.Parameter(torch.rand(heads, n_edge, slice_) - 0.5)
        self.logit = nn.Linear(config.width, heads * n_edge)
        # Attention starts at the decay with distance, or flat, and learns what departs from it.
        nn.init.zeros_(self.logit.weight)
        nn.init.zeros_(self.logit.bias)
        self._looked_at: tuple[int, ...] = ()
        self._zero = False

    def forward(self, pairs: PairInputs, state: torch.Tensor, edge: torch.Tensor, prior: torch.Tensor) -> Outputs:
        """Take site states (S or K, n_site), functions of the distance (P, E) and prior logits (P, H)."""
        batch, row, n_rows = pairs.batch, pairs.batch.row, len(pairs.batch.site_type)
        pair_state = activate_(self.config.activation, self._sites(pairs, state))  # (U, w)
        if not torch.is_grad_enabled() and self._attention_is_prior():
            scores = prior
        else:
            scores = self._logits(pairs, pair_state, edge) + prior
        raised, top = segment_exp(scores, row, n_rows)
        group = (batch.by_group, batch.group_start) if pairs.of_types else None
        if group is not None:
            row, which = batch.group_row, batch.group_pair_type
        else:
            which = torch.arange(len(row), device=row.device)
        # Covariances and surprise, which is read from a context and grows to 20, multiply what rounding leaves of it.
        dtype, exact, edges = raised.dtype, in_double(raised), in_double(edge)
        # Of the first function, which is one, and of the others: (G, H) each.
        sums = [_group_sum(exact, function, group) for function in (None, *edges.unbind(1))]
        total = segment_sum(sums[0], row, n_rows)  # (S, H), by which the softmax divides
        share = total.reciprocal().index_select(0, row)
        attention = torch.stack([s * share for s in sums], 2).to(dtype)  # (G, H, 1 + E)
        state = self._summed(pair_state, which, row, attention, n_rows)
        return Outputs(state, edge, (total.log() + top).to(dtype), scores)

    def _attention_is_prior(self) -> bool:
        """Whether nothing has been learned of the attention, so that no pass over the pairs is needed for it.

        The weights are looked at once after each change, as a look makes the host wait for the device.
        """
        weights = (self.logit.weight, self.logit.bias)
        # Tensors made in inference mode do not count their changes.
        state = tuple(x for w in weights if not w.is_inference() for x in (id(w), w._version))
        if not state or state != self._looked_at:
            self._zero = not any(bool(w.any()) for w in weights)
            self._looked_at = state
        return self._zero

    def _logits(self, pairs: PairInputs, pair_state: torch.Tensor, edge: torch.Tensor) -> torch.Tensor:
        """What is learned of the attention (P, H)."""
        # Heads next to one another: loops over a few numbers for each of many pairs are slow.
        query = self._query(pair_state).view(len(pair_state), self.config.heads, -1).transpose(1, 2).flatten(1)
        if pairs.of_types:
            query = query.index_select(0, pairs.batch.pair_type)
        logits, *factors = torch.split(query, self.config.heads, 1)
        for function, factor in zip(edge.unbind(1), factors, strict=True):
            logits = torch.addcmul(logits, factor, function.unsqueeze(1))
        return logits

    def _query(self, pair_state: torch.Tensor) -> torch.Tensor:
        """What is asked of each function of the distance (U, H * (1 + E)); attention is an exponential of it."""
        weight, bias = in_double(self.logit.weight), in_double(self.logit.bias)
        return F.linear(in_double(pair_state), weight, bias).to(pair_state.dtype)

    def _summed(
        self, pair_state: torch.Tensor, which: torch.Tensor, row: torch.Tensor, attention: torch.Tensor, n_rows: int
    ) -> torch.Tensor:
        """Sum over a row's groups (or pairs) of attention times value, (S, w), from pair types (U, w) given by `which`.

        The value is a sum over functions of the distance, and so is its sum over a group: what stands beside each
        function is a table by pair type, and attention times the function (G, H, 1 + E) says how much of it is taken.
        """
        heads, n_edge = self.config.heads, attention.shape[2]
        scaling, shift = (x.transpose(0, 1).flatten(1) for x in (self.scaling, self.shift))
        table = torch.addcmul(shift, pair_state.unsqueeze(1), scaling)  # (U, 1 + E, w)
        head, function = (torch.arange(n, device=row.device) for n in (heads, n_edge))
        first = head.view(-1, 1, 1) + heads * function  # (H, 1, 1 + E)
        start = (run_starts(row, n_rows) + len(row) * head.unsqueeze(1)) * n_edge  # (H, S)
        weights = attention.transpose(0, 1).flatten()  # (H * G * (1 + E))
        taken = (which.unsqueeze(1) * (heads * n_edge) + first).flatten()
        table = table.reshape(-1, pair_state.shape[1] // heads)
        summed = F.embedding_bag(taken, table, start.flatten(), mode="sum", per_sample_weights=weights)
        return summed.view(heads, n_rows, -1).transpose(0, 1).flatten(1)


def _group_sum(
    weights: torch.Tensor, function: torch.Tensor | None, group: tuple[torch.Tensor, torch.Tensor] | None
) -> torch.Tensor:
    """Sum of weights (P, H) times a function (P,) over groups of pairs, given by their order and where each begins."""
    if group is None:
        return weights if function is None else weights * function.unsqueeze(1)
    order, start = group
    factors = None if function is None else function.index_select(0, order)
    return F.embedding_bag(order, weights, start, mode="sum", per_sample_weights=factors)
