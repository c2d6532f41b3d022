"""The objectives of Deep InfoMax on crystals.

*Local*: a site's environment tells its own pairs from those of a site of another crystal [1]_.
*Global*: a crystal's vector tells its own environments from negatives [1]_.
*Context*: the surroundings of a site tell which element sits there. It is local Deep InfoMax without the
information that an environment shares with its centre by construction: the encoder never sees the centre.

References
----------
.. [1] Moran et al., arXiv 2407.00671.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from skdim.network.estimators import ESTIMATORS, Scores
from skdim.network.layers import linear
from skdim.network.negatives import draw_rows, runs
from skdim.network.segments import segment_sum

if TYPE_CHECKING:
    from skdim.network.batches import Batch


class Gaussian(nn.Module):
    """A vector as a Gaussian: its mean, and in training a draw from it."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.mean = nn.Linear(n_in, n_out)
        self.log_variance = nn.Linear(n_in, n_out)

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return means and log variances."""
        return self.mean(hidden), self.log_variance(hidden)

    @staticmethod
    def draw(mean: torch.Tensor, log_variance: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw one vector for each mean."""
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
        return mean + noise * (0.5 * log_variance).exp()


class Critic(nn.Module):
    """T(a, b) = f(a) . h(b), with one hidden layer on each side.

    The last layer of h is applied to f(a) instead, q . (V h + c) = (V'q) . h + q . c, so no wide vector is made for
    each sample.
    """

    def __init__(self, n_anchor: int, n_sample: int, n_dot: int = 128) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Linear(n_anchor, 64), nn.Mish(), nn.Linear(64, n_dot))
        self.hidden = nn.Sequential(nn.Linear(n_sample, 64), nn.Mish())
        self.key = nn.Linear(64, n_dot)

    def anchors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Anchors (A, n_anchor) in the space of hidden samples, (A, 64 + 1)."""
        query = self.query(vectors)
        return torch.cat([query @ self.key.weight, (query @ self.key.bias).unsqueeze(1)], 1)

    def samples(self, vectors: torch.Tensor) -> torch.Tensor:
        """Hidden samples (N, 64 + 1); the last column is one."""
        return F.pad(self.hidden(vectors), (0, 1), value=1.0)


def site_pair_weights(batch: Batch) -> torch.Tensor:
    """Share (P,) of each pair in its site: (1 + d)^-2, counts and cutoff included, summing to one."""
    weight = batch.log_count.exp() * (1.0 + batch.distance) ** -2
    return weight / segment_sum(weight, batch.row, len(batch.site_type)).index_select(0, batch.row)


class LocalObjective(nn.Module):
    """Information between an environment and the pairs [x_j, d_ij] it was made from."""

    def __init__(
        self,
        n_local: int,  # width of an environment
        n_features: int,
        estimator: str,  # one of `ESTIMATORS`
    ) -> None:
        super().__init__()
        self.critic = Critic(n_local, n_features + 1)
        self.estimator = estimator

    def forward(
        self,
        batch: Batch,  # B crystals, S rows, P pairs
        features: torch.Tensor,  # (K, F) standardised site features
        local: torch.Tensor,  # (S, n_local) environments
        partner: torch.Tensor,  # (B,) another crystal for each, whose pairs are the negatives
        generator: torch.Generator,  # draws the site of the other crystal
    ) -> torch.Tensor:
        """Return the loss: mean over crystals of the mean over their sites."""
        n_rows = len(batch.site_type)
        sampled = features.index_select(0, batch.site_type).index_select(0, batch.neighbor)
        samples = self.critic.samples(torch.cat([sampled, batch.distance.unsqueeze(1)], 1))
        anchors = self.critic.anchors(local)
        weight = site_pair_weights(batch)
        positives = Scores((samples * anchors.index_select(0, batch.row)).sum(1), weight, batch.row)
        taken, owner = runs(batch.row, n_rows, draw_rows(batch, partner[batch.crystal], generator))
        value = (samples.index_select(0, taken) * anchors.index_select(0, owner)).sum(1)
        negatives = Scores(value, weight.index_select(0, taken), owner)
        n_negatives = segment_sum(batch.log_count.exp().index_select(0, taken), owner, n_rows)
        loss = ESTIMATORS[self.estimator](positives, negatives, n_rows, n_negatives)
        return (loss * batch.site_weight).sum() / len(batch)


class GlobalObjective(nn.Module):
    """Information between a crystal's vector and its environments."""

    def __init__(
        self,
        n_global: int,  # width of a crystal's vector
        n_local: int,  # width of an environment
        estimator: str,  # one of `ESTIMATORS`
    ) -> None:
        super().__init__()
        self.critic = Critic(n_global, n_local)
        self.estimator = estimator

    def forward(
        self,
        batch: Batch,  # B crystals, S rows
        vector: torch.Tensor,  # (B, n_global) crystal vectors
        local: torch.Tensor,  # (S, n_local) true environments
        # (S, n_local) for each kind of negative its environments and the crystal each is compared with.
        negatives: list[tuple[torch.Tensor, torch.Tensor]],
    ) -> torch.Tensor:
        """Return the loss, the mean over the kinds of negatives."""
        anchors = self.critic.anchors(vector)
        samples = self.critic.samples(local)
        own = (samples * anchors.index_select(0, batch.crystal)).sum(1)
        positives = Scores(own, batch.site_weight, batch.crystal)
        losses = []
        for vectors, crystal in negatives:
            value = (self.critic.samples(vectors) * anchors.index_select(0, crystal)).sum(1)
            # As many as the sites they stand for, so that merging rows by symmetry changes nothing.
            n_negatives = segment_sum(batch.site_weight * batch.sites[batch.crystal], crystal, len(batch))
            scores = Scores(value, batch.site_weight, crystal)
            losses.append(ESTIMATORS[self.estimator](positives, scores, len(batch), n_negatives).mean())
        return torch.stack(losses).mean()


def surprise(batch: Batch, log_probabilities: torch.Tensor) -> torch.Tensor:
    """Minus the log probability of what each site holds, (S,), in nats, from those of the elements (S, 119)."""
    return -(batch.element_shares.index_select(0, batch.site_type) * log_probabilities).sum(1)


LEAST_SHARE = 1e-6
"""Share of the sites that the context objective gives to an element of which it has seen none."""


class ContextObjective(nn.Module):
    """Information between a site's surroundings and the element that sits there.

    InfoNCE with every element of the pretraining set as a sample, in proportion to its share of the sites: the critic
    q(l_i) . h(z) is the log ratio of the element's probability here to that share, and the loss is the cross entropy
    of the true element.
    """

    log_share: torch.Tensor

    def __init__(
        self,
        n_local: int,  # width of a context environment
        # (119,) share of the pretraining set's sites by atomic number; an element without any gets a floor.
        share: torch.Tensor,
    ) -> None:
        super().__init__()
        self.query = nn.Linear(n_local, 64)
        self.key = nn.Parameter(torch.randn(len(share), 64) / 8.0)
        self.bias = nn.Parameter(torch.zeros(len(share)))
        self.register_buffer("log_share", share.clamp_min(LEAST_SHARE).log())

    def log_probabilities(self, context: torch.Tensor) -> torch.Tensor:
        """Log probability (S, 119) of each element at each site, from its context (S, n_local)."""
        query = linear(context, self.query.weight, self.query.bias)
        return linear(query, self.key, self.bias + self.log_share).log_softmax(1)

    def forward(self, batch: Batch, context: torch.Tensor) -> torch.Tensor:
        """Return the loss: mean over crystals of the mean surprise over their sites."""
        return (surprise(batch, self.log_probabilities(context)) * batch.site_weight).sum() / len(batch)
