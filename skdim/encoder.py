"""A batch in, one environment vector a site out: Site-Net's attention over the neighbourhood of each site.

Site-Net [1]_ looks at every bond z_ij = [x_i, x_j, e_ij] of a site, weighs the bonds by attention and sums them:

    a_ij^h = softmax_j g_W^h(z_ij),    m_i^h = sum_j a_ij^h g_A(z_ij),
    x_i' = g_S([m_i^1 ... m_i^H]),     e_ij' = g_I(z_ij).

A first layer W z_ij is W_a x_i + W_b x_j + W_c e_ij, so sites are projected before they are gathered into pairs,
and in the first block, where x depends on the content of a site alone, only the distinct contents are projected.
What is linear after the attention is applied to the sum over pairs rather than to each pair.

Shapes in comments: S rows, P pairs, K site contents, U pairs of contents, F site features, H heads, w width.

References
----------
.. [1] Moran, Gaultois, Gusev, Rosseinsky, "Site-Net", arXiv 2209.08190.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from skdim.layers import ACTIVATIONS, activate, perceptron, radial_basis, scale
from skdim.parameters import check_choice, check_number
from skdim.segments import reaches_kth, segment_softmax, segment_sum

if TYPE_CHECKING:
    from skdim.batches import Batch

# A logit this far below the others is shut; further below, single precision would round the ones it is added to.
_CLOSED = 100.0


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of an encoder; every field can be set through ``encoder_params``.

    Attributes
    ----------
    width : int
        Width of pair and site states; a multiple of ``heads``.
    heads : int
        Attention heads. Each attends over its own slice of the value vector.
    blocks : int
        Attention blocks; the environments are read from all of them.
    depth : int
        2 is the published network: embeddings of sites and distances, layers of their own for attention, value and
        pair update, one more after the sum. 1 shares one hidden layer, and the rest is linear.
    decay : tuple of float or None
        Each head starts at attention d^-p with its own exponent p, the self pair left out. None starts flat.
    difference : bool
        Whether the absolute difference of the two sites' features is among the inputs of a pair.
    radial : bool
        True expands the distance in a few smooth functions; False feeds it as it is (the paper).
    activation : str
        One of "silu", "mish", "relu", "gelu".
    cutoff : float or None
        Distance in Angstrom beyond which pairs are ignored.
    top_k : int or None
        k-softmax: each head keeps its k largest logits.
    """

    width: int = 192
    heads: int = 4
    blocks: int = 1
    depth: int = 1
    decay: tuple[float, ...] | None = (2.0, 4.0, 6.0, 8.0)
    difference: bool = True
    radial: bool = True
    activation: str = "silu"
    cutoff: float | None = None
    top_k: int | None = None

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        for name in ("width", "heads", "blocks"):
            check_number(name, getattr(self, name), "whole numbers of at least 1", whole=True, least=1)
        if self.width % self.heads:
            raise ValueError(f"width={self.width}; accepted are multiples of heads={self.heads}.")
        check_choice("depth", self.depth, (1, 2))
        for name in ("difference", "radial"):
            check_choice(name, getattr(self, name), (True, False))
        check_choice("activation", self.activation, ACTIVATIONS)
        if self.decay is not None:
            self._check_decay()
        if self.top_k is not None:
            check_number("top_k", self.top_k, "None and whole numbers of at least 1", whole=True, least=1)
        if self.cutoff is not None:
            check_number("cutoff", self.cutoff, "None and distances in Angstrom above 0", above=0)

    def _check_decay(self) -> None:
        """Refuse what is not one exponent a head."""
        powers, heads = self.decay, self.heads
        numbers = isinstance(powers, tuple) and all(isinstance(p, Real) and isfinite(p) for p in powers)
        if not numbers or len(powers or ()) != heads:
            raise ValueError(f"decay={powers!r}; accepted are None and one exponent for each of heads={heads}.")


class Environments(NamedTuple):
    """What the encoder says of each site."""

    vector: torch.Tensor  # (S, blocks * w)
    log_partition: torch.Tensor  # (S, H) of the first block: how much attention the surroundings offer
    attention: torch.Tensor  # (P, H) of the last block


class SiteNetEncoder(nn.Module):
    """Site-Net's attention blocks over ragged neighbourhoods.

    Parameters
    ----------
    n_features : int
        Site features F.
    n_extra : int
        Interaction features beside the distance, E.
    config : EncoderConfig
        Shape of the network.
    hide_centre : bool, default=False
        True gives the context encoder: it sees neither the centre nor what is in neighbours that hold one of the
        centre's elements, so what it knows of the centre it has from the surroundings. One block only: deeper pairs
        have seen their centre. Interaction features beside the distance are left out, as they contain the centre.
    """

    exponents: torch.Tensor

    def __init__(self, n_features: int, n_extra: int, config: EncoderConfig, hide_centre: bool = False) -> None:
        super().__init__()
        if hide_centre and config.blocks != 1:
            raise ValueError(f"blocks={config.blocks} must be 1 for an encoder that hides the centre.")
        self.config, self.hide_centre = config, hide_centre
        # Interaction features beside the distance, such as a Coulomb term, contain the centre.
        self.n_extra = 0 if hide_centre else n_extra
        self.register_buffer("exponents", torch.tensor(config.decay or [0.0] * config.heads), persistent=False)
        n_edge, width, activation = (4 if config.radial else 1) + self.n_extra, config.width, config.activation
        self.embed_site = self.embed_edge = None
        sizes = (n_features, n_edge)
        if config.depth == 2:
            self.embed_site = perceptron(n_features, width, activation=activation)
            self.embed_edge = perceptron(n_edge, width, activation=activation)
            sizes = (width, width)
        n_difference = n_features if config.difference and not hide_centre else 0
        first = [_Block(*sizes, n_difference, config, last=config.blocks == 1, hide_centre=hide_centre)]
        rest = [_Block(width, width, 0, config, last=b == config.blocks - 1) for b in range(1, config.blocks)]
        self.blocks = nn.ModuleList(first + rest)

    @property
    def out_width(self) -> int:
        """Width of an environment vector."""
        return self.config.blocks * self.config.width

    def forward(self, batch: Batch, features: torch.Tensor, distance: torch.Tensor) -> Environments:
        """Encode every site.

        Parameters
        ----------
        batch : Batch
            S rows, P pairs.
        features : Tensor of shape (K, F)
            Standardised features of the batch's site contents.
        distance : Tensor of shape (P,)
            Distances in Angstrom, the batch's own or disturbed ones.

        Returns
        -------
        Environments
        """
        prior = self._prior(batch, distance)
        # The self pair has d = 0; where powers of d are taken it is closed, so any finite distance will do.
        safe = distance.clamp_min(1e-2) if self.config.radial else distance
        edge = radial_basis(safe) if self.config.radial else safe.unsqueeze(1)
        if self.n_extra:
            edge = torch.cat([edge, batch.extra], 1)
        state = features
        if self.embed_site is not None and self.embed_edge is not None:
            state, edge = self.embed_site(features), self.embed_edge(edge)
        pairs = _first_pairs(batch, features, self.hide_centre)
        outputs, partitions = [], []
        for block in self.blocks:
            state, edge, partition, attention = block(pairs, state, edge, prior)
            pairs = _Pairs(batch, batch.row, batch.neighbor, None, None, None)
            outputs.append(state)
            partitions.append(partition)
        return Environments(torch.cat(outputs, 1), partitions[0], attention)

    def _prior(self, batch: Batch, distance: torch.Tensor) -> torch.Tensor:
        """Logits (P, H) before anything is learned: counts, cutoff, decay with distance."""
        prior = batch.log_count.unsqueeze(1).expand(-1, self.config.heads)
        closed = torch.zeros_like(distance, dtype=torch.bool)
        if self.config.decay is not None:
            closed = distance <= 0
            prior = prior - self.exponents * distance.clamp_min(1e-2).log().unsqueeze(1)
        if self.config.cutoff is not None:
            closed = closed | (distance > self.config.cutoff)
        # Finite, so that a site with nothing but closed pairs still has a softmax, over all of their copies.
        return torch.where(closed.unsqueeze(1), batch.log_count.unsqueeze(1) - _CLOSED, prior)


class _Pairs(NamedTuple):
    """Which two states make each pair, and what the first block knows beside them."""

    batch: Batch
    left: torch.Tensor  # (U,) or (P,)
    right: torch.Tensor
    expand: torch.Tensor | None  # (P,) from pairs of contents to pairs of sites
    difference: torch.Tensor | None  # (U, F)
    alike: torch.Tensor | None  # (U, 1) one where the neighbour holds an element of the centre, else zero


def _first_pairs(batch: Batch, features: torch.Tensor, hide_centre: bool) -> _Pairs:
    """In the first block a state belongs to a site content, so pairs of contents are all there is to compute."""
    left, right = batch.pair_kinds.unbind(1)
    if not hide_centre:
        difference = (features.index_select(0, left) - features.index_select(0, right)).abs()
        return _Pairs(batch, left, right, batch.kind_pair, difference, None)
    # A mixture that shares one element is hidden as a whole: its features are means, of which no part can be shown.
    holds = (batch.fractions > 0).to(features.dtype)
    alike = (holds @ holds.T > 0).to(features.dtype)[left, right].unsqueeze(1)
    return _Pairs(batch, left, right, batch.kind_pair, None, alike)


class _Block(nn.Module):
    """One attention block: pair states from site and edge states, attention, weighted sums."""

    def __init__(
        self, n_site: int, n_edge: int, n_difference: int, config: EncoderConfig, last: bool, hide_centre: bool = False
    ) -> None:
        super().__init__()
        width, activation = config.width, config.activation
        self.config, self.last = config, last
        self.slices = 1 if config.depth == 1 else 2 + (not last)
        wide = self.slices * width
        self.centre = None if hide_centre else nn.Linear(n_site, wide, bias=False)
        self.neighbor = nn.Linear(n_site, wide)
        self.edge = nn.Linear(n_edge, wide, bias=False)
        self.difference = nn.Linear(n_difference, wide, bias=False) if n_difference else None
        self.hidden_neighbor = nn.Parameter(0.3 * torch.randn(wide)) if hide_centre else None
        # Where no layer follows, a pair state needs no norm, and a pass over all pairs is saved.
        self.norms = nn.ModuleList(
            nn.LayerNorm(width) if config.depth == 2 else nn.Identity() for _ in range(self.slices)
        )
        self.logit = nn.Linear(width, config.heads)
        if config.decay is not None:
            # Attention starts at the decay with distance and learns what departs from it.
            nn.init.zeros_(self.logit.weight)
            nn.init.zeros_(self.logit.bias)
        self.value = perceptron(width, width, activation=activation) if config.depth == 2 else nn.Identity()
        self.site = perceptron(width, width, activation=activation) if config.depth == 2 else nn.Identity()

    def forward(
        self, pairs: _Pairs, state: torch.Tensor, edge: torch.Tensor, prior: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return site states (S, w), edge states (P, w), log partition (S, H) and attention (P, H)."""
        # One pass over the pairs for the product and the sum.
        hidden = self._hidden(pairs, state).addmm_(edge, self.edge.weight.T)  # (P, slices * w)
        parts = [
            norm(activate(self.config.activation, h))
            for norm, h in zip(self.norms, hidden.chunk(self.slices, 1), strict=True)
        ]
        row, n_rows = pairs.batch.row, len(pairs.batch.kind)
        logits = self._logits(parts[0])
        if self.config.top_k is not None:
            log_count = pairs.batch.log_count
            ranked = logits + prior - log_count.unsqueeze(1)
            kept = reaches_kth(ranked, log_count.exp(), row, n_rows, self.config.top_k)
            logits = logits.masked_fill(~kept, -torch.inf)
        attention, partition = segment_softmax(logits + prior, row, n_rows)
        values = self.value(parts[min(1, self.slices - 1)])
        # A later block still needs the pair states, which at depth 1 are the values.
        apart = values.clone() if values is parts[-1] and not self.last else values
        by_head = scale(apart.unflatten(1, (self.config.heads, -1)), attention.unsqueeze(2))  # (P, H, w / H)
        summed = segment_sum(by_head.flatten(1), row, n_rows)  # (S, w)
        return self.site(summed), parts[-1], partition, attention

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """What is learned of the attention (P, H); a product with nothing but zeros is not worth a pass over pairs."""
        if torch.is_grad_enabled() or self.logit.weight.any():
            logits: torch.Tensor = self.logit(hidden)
            return logits
        return self.logit.bias.expand(len(hidden), -1)

    def _hidden(self, pairs: _Pairs, state: torch.Tensor) -> torch.Tensor:
        """W_a x_i + W_b x_j and what the first block adds, gathered into pairs (P, slices * w)."""
        hidden: torch.Tensor = self.neighbor(state).index_select(0, pairs.right)
        if self.hidden_neighbor is not None and pairs.alike is not None:
            hidden = hidden + pairs.alike * (self.hidden_neighbor - hidden)
        if self.centre is not None:
            hidden = hidden + self.centre(state).index_select(0, pairs.left)
        if self.difference is not None:
            hidden = hidden + self.difference(pairs.difference)
        return hidden if pairs.expand is None else hidden.index_select(0, pairs.expand)
