"""Site-Net's attention over the neighbourhood of each site, which gives the site its environment vector.

Site-Net [1]_ looks at every bond z_ij = [x_i, x_j, e_ij] of a site, weighs the bonds by attention and sums them:

    a_ij^h = softmax_j g_W^h(z_ij),    m_i^h = sum_j a_ij^h g_A(z_ij),
    x_i' = g_S([m_i^1 ... m_i^H]),     e_ij' = g_I(z_ij).

A first layer W z_ij is W_a x_i + W_b x_j + W_c e_ij, so sites are projected before they are gathered into pairs,
and in the first block, where x depends on the type of a site alone, only the distinct site types are projected.

Shapes in comments: S rows, P pairs, K site types, F site features, H heads, w width.

References
----------
.. [1] Moran, Gaultois, Gusev, Rosseinsky, "Site-Net", arXiv 2209.08190.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from skdim.network.batches import row_ranges
from skdim.network.blocks import Outputs, PairInputs, SeparableBlock, SiteNetBlock, first_pairs, part_of
from skdim.network.layers import Perceptron
from skdim.network.segments import segment_softmax

if TYPE_CHECKING:
    from skdim.network.batches import Batch
    from skdim.network.config import EncoderConfig

# A logit this far below the others is shut; further below, single precision would round the ones it is added to.
_CLOSED = 100.0
# Pairs of a batch from which on blocks whose states are as wide as the network take some rows after the others, and
# pairs of such a part: one crystal of 2,000 sites in a supercell has four million.
_LARGE, _PART = 200_000, 16_000
# Angstrom; where a logarithm is taken of the distance of a site from itself.
_NEAR = 1e-2


class Geometry(NamedTuple):
    """What an encoder takes of the distances."""

    prior: torch.Tensor  # (P, H) logits before anything is learned
    edge: torch.Tensor  # (P, E)


class Environments(NamedTuple):
    """What the encoder says of each site."""

    vector: torch.Tensor  # (S, blocks * w)
    log_partition: torch.Tensor  # (S, H) logarithm of the sum of exponentials of the first block's scores
    scores: torch.Tensor  # (P, H) of the last block

    def attention(self, batch: Batch) -> torch.Tensor:
        """Attention (P, H) of each site to its pairs, copies of a pair together."""
        return segment_softmax(self.scores, batch.row, len(batch.site_type))[0]


class SiteNetEncoder(nn.Module):
    """Site-Net's attention blocks over ragged neighbourhoods."""

    exponents: torch.Tensor

    def __init__(
        self,
        n_features: int,  # site features F
        n_extra: int,  # interaction features beside the distance, E
        config: EncoderConfig,
        # True gives the context encoder: it sees neither the centre nor what is in neighbours that hold one of the
        # centre's elements, so what it knows of the centre it has from the surroundings. One block only: deeper pairs
        # have seen their centre. Interaction features beside the distance are left out, as they contain the centre.
        hide_centre: bool = False,
    ) -> None:
        super().__init__()
        if hide_centre and config.blocks != 1:
            raise ValueError(f"blocks={config.blocks} must be 1 for an encoder that hides the centre.")
        self.config, self.hide_centre = config, hide_centre
        # Interaction features beside the distance, such as a Coulomb term, contain the centre.
        self.n_extra = 0 if hide_centre else n_extra
        self.register_buffer("exponents", torch.tensor(config.decay or [0.0] * config.heads), persistent=False)
        n_edge, width, activation = 1 + self.n_extra, config.width, config.activation
        self.embed_site = self.embed_edge = None
        sizes = (n_features, n_edge)
        if config.block == "sitenet":
            self.embed_site = Perceptron(n_features, width, activation=activation)
            self.embed_edge = Perceptron(n_edge, width, activation=activation)
            sizes = (width, width)
        n_difference = n_features if config.difference and not hide_centre else 0
        shapes = [(*sizes, n_difference), *[(width, sizes[1], 0)] * (config.blocks - 1)]
        self.blocks = nn.ModuleList(
            SeparableBlock(*shape, config, hide_centre)
            if config.block == "separable"
            else SiteNetBlock(*shape, config, last=k == config.blocks - 1, hide_centre=hide_centre)
            for k, shape in enumerate(shapes)
        )

    @property
    def out_width(self) -> int:
        """Width of an environment vector."""
        return self.config.blocks * self.config.width

    def forward(
        self,
        batch: Batch,  # S rows, P pairs
        features: torch.Tensor,  # (K, F) standardised features of the batch's site types
        distance: torch.Tensor,  # (P,) distances in Angstrom, the batch's own or disturbed ones
        # Of the same distances, from this encoder or another that has the same (see `same_geometry`).
        geometry: Geometry | None = None,
    ) -> Environments:
        """Encode every site."""
        prior, edge = self.geometry(batch, distance) if geometry is None else geometry
        state = features if self.embed_site is None else self.embed_site(features)
        pairs = first_pairs(batch, features, self.hide_centre)
        outputs, partitions = [], []
        # Whether a block would make more wide states of pairs at once than memory should be asked for.
        large = len(batch.row) > _LARGE and not torch.is_grad_enabled()
        for number in range(len(self.blocks)):
            wide = number > 0 or self.config.block == "sitenet"
            run = self._in_parts if wide and large else self._whole
            state, edge, partition, scores = run(number, pairs, state, edge, prior)
            # From here on every row has a state of its own.
            pairs = PairInputs(batch, batch.row, batch.neighbor, False, None, None)
            outputs.append(state)
            partitions.append(partition)
        vector = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)
        return Environments(vector, partitions[0], scores)

    def _whole(
        self, number: int, pairs: PairInputs, state: torch.Tensor, edge: torch.Tensor, prior: torch.Tensor
    ) -> Outputs:
        """Outputs of a block for all pairs it is given."""
        if number == 0 and self.embed_edge is not None:
            edge = self.embed_edge(edge)
        outputs: Outputs = self.blocks[number](pairs, state, edge, prior)
        return outputs

    def _in_parts(
        self, number: int, pairs: PairInputs, state: torch.Tensor, edge: torch.Tensor, prior: torch.Tensor
    ) -> Outputs:
        """The same, some rows after the others; attention is within a row."""
        whole: Outputs | None = None
        for rows, cut in row_ranges(pairs.batch, _PART):
            part = self._whole(number, part_of(pairs, rows, cut), state, edge[cut], prior[cut])
            # Into place at once: small tensors that stay between large ones that go would hold their memory.
            whole = part.room(len(pairs.batch.site_type), len(prior)) if whole is None else whole
            whole.state[rows], whole.partition[rows] = part.state, part.partition
            whole.edge[cut], whole.scores[cut] = part.edge, part.scores
        assert whole is not None  # a large batch has rows
        return whole

    def surroundings(self, batch: Batch, geometry: Geometry, environments: Environments | None = None) -> torch.Tensor:
        """Logarithm of the sum of exponentials of the prior, (S, H): how much there is around a site.

        What attention learns is left out: it has no bound, and sums of powers of the distance are amounts.
        """
        if environments is not None and len(self.blocks) == 1 and environments.scores is geometry.prior:
            return environments.log_partition
        return segment_softmax(geometry.prior, batch.row, len(batch.site_type))[1]

    def same_geometry(self, other: SiteNetEncoder) -> bool:
        """Whether both make the same of the distances, so that it is computed only once."""
        mine, theirs = ((e.config.heads, e.config.decay) for e in (self, other))
        return mine == theirs and self.n_extra == other.n_extra

    def geometry(self, batch: Batch, distance: torch.Tensor) -> Geometry:
        """Prior logits (counts, and decay with distance) and functions of the distances (P,)."""
        edge, counts = distance.unsqueeze(1), batch.log_count.unsqueeze(1)
        if self.n_extra:
            edge = torch.cat([edge, batch.extra], 1)
        if self.config.decay is None:
            return Geometry(counts.expand(-1, self.config.heads), edge)
        prior = counts - self.exponents * distance.clamp_min(_NEAR).log().unsqueeze(1)
        if batch.self_pairs:
            # Finite, so that a site with nothing but closed pairs still has a softmax, over all of their copies.
            prior = torch.where((distance <= 0).unsqueeze(1), counts - _CLOSED, prior)
        return Geometry(prior, edge)
