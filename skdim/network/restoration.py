"""What the deep encoder learns: to restore what was taken from a crystal.

Some elements are masked, on all of their sites, and every distance is disturbed. The encoder tells

- the element of each masked site, as in masked language models;
- the noise on each distance, as in denoising pretraining [1]_: real structures are minima of their energy, so what
  pulls a distance back is what energies are made of.

Shapes in comments: S rows, N near pairs, w width.

References
----------
.. [1] Zaidi et al., "Pre-training via Denoising for Molecular Property Prediction", arXiv 2206.00133.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from skdim.network.deep import N_RADIAL, DeepEncoder
from skdim.network.infomax import surprise
from skdim.network.layers import Perceptron
from skdim.network.noise import site_noise
from skdim.network.segments import segment_sum
from skdim.points.sitetypes import N_ATOMIC_NUMBERS

if TYPE_CHECKING:
    from skdim.network.batches import Batch
    from skdim.network.config import EncoderConfig, ObjectiveConfig
    from skdim.network.deep import NearPairs
    from skdim.network.noise import Noise


class DeepTower(nn.Module):
    """The deep encoder, and what it learns to tell."""

    def __init__(self, n_features: int, config: EncoderConfig) -> None:
        super().__init__()
        width = config.hop_width
        self.encoder = DeepEncoder(n_features, config)
        self.norm = nn.LayerNorm(width)
        self.element = nn.Sequential(Perceptron(width, width, activation="silu"), nn.Linear(width, N_ATOMIC_NUMBERS))
        self.noise = NoiseHead(width)

    def losses(
        self,
        batch: Batch,
        features: torch.Tensor,
        distance: torch.Tensor,
        objective: ObjectiveConfig,
        noise: Noise,
    ) -> dict[str, torch.Tensor]:
        """Return the weighted losses of what is to be restored, given disturbed distances (P,)."""
        losses: dict[str, torch.Tensor] = {}
        masked = None
        if objective.masked > 0:
            masked = choose_elements(batch, objective.masked_share, noise)
        pairs = self.encoder.near(batch, distance)
        states = self.encoder(batch, features, pairs, masked)
        state = self.norm(states[-1])
        if masked is not None:
            losses["masked"] = objective.masked * masked_elements(batch, self.element(state), masked)
        if objective.noise > 0:
            expected = math.hypot(objective.jitter, objective.strain)
            relative = (distance / batch.distance).log().index_select(0, pairs.which) / expected
            losses["noise"] = objective.noise * told_noise(batch, self.noise(state, pairs), relative, pairs)
        return losses


class NoiseHead(nn.Module):
    """Tells the noise on the distance of a pair from the states of both sites and the disturbed distance."""

    def __init__(self, width: int) -> None:  # w of a site's state
        super().__init__()
        self.site = nn.Linear(width, width)
        self.filter = nn.Linear(N_RADIAL, width, bias=False)
        self.hidden = nn.Linear(3 * width, width)
        self.told = nn.Linear(width, 1)

    def forward(self, state: torch.Tensor, pairs: NearPairs) -> torch.Tensor:
        """Noise (N,) in standard deviations, the same for both directions of a pair."""
        site = self.site(state)
        left, right = site.index_select(0, pairs.row), site.index_select(0, pairs.neighbor)
        both = torch.cat([left + right, left * right, self.filter(pairs.radial)], 1)  # (N, 3 w)
        noise: torch.Tensor = self.told(F.silu(self.hidden(both))).squeeze(1)
        return noise


def choose_elements(batch: Batch, share: float, noise: Noise) -> torch.Tensor:
    """Which rows (S,) are masked: each site type of a crystal with this probability, on all of its sites.

    If one of many equal sites were masked alone, the others would give it away. The choice is drawn for the crystal,
    whatever batch it is in.
    """
    n_types = len(batch.fractions)
    _, kind = torch.unique(batch.crystal * n_types + batch.site_type, return_inverse=True)
    rows = torch.arange(len(kind), device=kind.device)
    first = torch.full_like(rows, len(kind)).scatter_reduce_(0, kind, rows, "amin")
    below = math.sqrt(2.0) * float(torch.erfinv(torch.tensor(2.0 * share - 1.0, dtype=torch.float64)))
    return site_noise(batch, noise).index_select(0, first.index_select(0, kind)) < below


def masked_elements(
    batch: Batch,  # S rows
    logits: torch.Tensor,  # (S, 119) by atomic number
    masked: torch.Tensor,  # (S,) rows that count
) -> torch.Tensor:
    """Cross entropy of the elements of masked sites: mean over crystals that have some of the mean over those sites."""
    entropy = surprise(batch, logits.log_softmax(1))
    weight = batch.site_weight * masked
    total = segment_sum(weight, batch.crystal, len(batch))
    mean = segment_sum(weight * entropy, batch.crystal, len(batch)) / total.clamp_min(1e-9)
    return mean.sum() / (total > 0).sum().clamp_min(1)


def told_noise(batch: Batch, told: torch.Tensor, noise: torch.Tensor, pairs: NearPairs) -> torch.Tensor:
    """Mean over crystals of the mean over their atoms of squared errors (N,); near pairs weigh more than far ones."""
    weight = pairs.weight[:, 0] * batch.site_weight.index_select(0, pairs.row)
    return (weight * (told - noise) ** 2).sum() / len(batch)
