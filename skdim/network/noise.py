"""Noise for crystals: the same in every batch and in every process.

Counter-based: a number is a hash of a key, the crystal and what is drawn for it, so none depends on another draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from skdim.network.batches import Batch

# Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), as signed numbers.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
_LOW = 2**32 - 1


@dataclass(frozen=True)
class Noise:
    """The randomness of one epoch."""

    key: int  # of 32 bits. What is drawn for a crystal is a hash of it: the same in every batch and process
    # Source of what is drawn for a batch, one draw after the other; each process has its own.
    generator: torch.Generator

    @classmethod
    def of_epoch(cls, seed: int, epoch: int, training: bool, rank: int = 0) -> Noise:
        """Return the noise of an epoch (from zero) of a training in one of its processes.

        That of held-out crystals (``training=False``) is independent of that in training.
        """
        key, own = np.random.SeedSequence([seed, epoch, int(training)]).generate_state(2, np.uint32).tolist()
        return cls(key, torch.Generator().manual_seed(key << 32 | (own + rank) % 2**32))


def crystal_noise(batch: Batch, noise: Noise) -> torch.Tensor:
    """Standard normal number (B,) for each crystal of a batch, from the key and the crystal's index."""
    return _normal(_crystal_keys(batch, noise.key))


def pair_noise(batch: Batch, noise: Noise) -> torch.Tensor:
    """Standard normal number (P,) for each pair of a batch, numbered within its crystal."""
    crystal = batch.crystal.index_select(0, batch.row)
    first = torch.searchsorted(crystal, torch.arange(len(batch), device=crystal.device))
    # Counted from the crystal's first pair: the part that all pairs of a crystal share is put into its key.
    keys = _crystal_keys(batch, noise.key).sub_(first.mul_(_STEP))
    number = torch.arange(1, len(crystal) + 1, device=crystal.device)
    return _normal(_mix_(number.mul_(_STEP).add_(keys.index_select(0, crystal))))


def site_noise(batch: Batch, noise: Noise) -> torch.Tensor:
    """Standard normal number (S,) for each row of a batch, numbered within its crystal."""
    first = torch.searchsorted(batch.crystal, torch.arange(len(batch), device=batch.crystal.device))
    # Downwards from minus one, where pairs are counted upwards from one: no row shares a number with a pair.
    keys = _crystal_keys(batch, noise.key).add_(first.mul_(_STEP))
    number = torch.arange(1, len(batch.crystal) + 1, device=batch.crystal.device)
    return _normal(_mix_(number.mul_(-_STEP).add_(keys.index_select(0, batch.crystal))))


def _crystal_keys(batch: Batch, key: int) -> torch.Tensor:
    """A number (B,) of 64 bits for each crystal."""
    return _mix_(_mix_(batch.index * _STEP + key).add_(key))


def _mix_(bits: torch.Tensor) -> torch.Tensor:
    """Hash numbers of 64 bits in place: SplitMix64. Products are meant to overflow, shifts to fill with zeros."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        bits ^= (bits >> shift).bitwise_and_(2 ** (64 - shift) - 1)
        bits *= factor
    bits ^= (bits >> 31).bitwise_and_(2**33 - 1)
    return bits


def _normal(bits: torch.Tensor) -> torch.Tensor:
    """Turn hashes into standard normal numbers (Box and Muller)."""
    radius = (bits >> 32).bitwise_and_(_LOW).float().add_(0.5).mul_(2.0**-32)
    angle = (bits & _LOW).float().mul_(2.0**-31 * math.pi)
    return radius.log_().mul_(-2.0).clamp_min_(0.0).sqrt_().mul_(angle.cos_())
