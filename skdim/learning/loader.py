"""Batches for training: in the order of an epoch, and the share of each of several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from skdim.network.batches import Batch, collate, pair_budget_batches, shuffled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets


class CrystalDataset(Dataset[Any]):
    """Crystals of point sets, served a batch at a time.

    skorch and the loader know crystals by position; a list of positions becomes one `Batch` at once, so no crystal is
    ever an object of its own. Targets (n, T) and weights (n,) of the crystals travel with them, where there are any.
    Noise is drawn from their ``numbers`` (n,), by default those of their rows.
    """

    def __init__(
        self,
        points: PointSets,
        crystals: NDArray[np.int64],
        targets: NDArray[np.float32] | None = None,
        weights: NDArray[np.float32] | None = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        self.points, self.crystals, self.targets, self.weights = points, crystals, targets, weights
        self.numbers = crystals if numbers is None else numbers

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.crystals)

    def __getitem__(self, position: int) -> tuple[Batch, Any]:
        """Return one crystal as a batch."""
        return self.__getitems__([position])

    def __getitems__(self, positions: list[int]) -> tuple[Batch, Any]:
        """Return some crystals as one batch, and their targets and weights; zeros where there are none."""
        chosen, targets = np.array(positions), torch.zeros(len(positions))
        batch = collate(self.points, self.crystals[chosen], self.numbers[chosen])
        if self.targets is None:
            return batch, targets
        weights = torch.ones(len(positions)) if self.weights is None else torch.from_numpy(self.weights[positions])
        return batch, (torch.from_numpy(self.targets[positions]), weights)


def hold_out(n: int, n_held_out: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of n crystals to learn from, and which to hold out, drawn at random; each in order."""
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


class PairBudgetSampler(Sampler[list[int]]):
    """Positions of each batch; the order of an epoch depends on the seed and the epoch alone.

    With several processes, batches are as many times larger, and each process gets its share.
    """

    def __init__(
        self, n_pairs: NDArray[np.int64], budget: int, seed: int | None, rank: int = 0, processes: int = 1
    ) -> None:
        self.n_pairs, self.budget, self.seed, self.epoch = n_pairs, budget, seed, 0
        self.rank, self.processes = rank, processes

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of the next epoch; in order where there is no seed."""
        order = np.arange(len(self.n_pairs))
        if self.seed is not None:
            order = shuffled(len(order), np.random.default_rng([self.seed, self.epoch]))
        self.epoch += 1
        budget, at_least = self.budget * self.processes, 2 * self.processes
        for batch in pair_budget_batches(self.n_pairs, budget, order, at_least):
            own = share_of(batch, self.n_pairs, self.rank, self.processes)
            if len(own):
                yield own.tolist()


def crystal_loader(
    dataset: CrystalDataset,
    batch_size: int,
    budget: int,
    seed: int | None = None,
    rank: int = 0,
    processes: int = 1,
    workers: int = 0,
) -> DataLoader[Any]:
    """Loader of batches within a pair budget; skorch's batch_size, a number of crystals, is not used."""
    n_pairs = dataset.points.n_pairs[dataset.crystals]
    sampler = PairBudgetSampler(n_pairs, budget, seed, rank, processes)
    # A loader without a generator of its own draws from the global one.
    generator = torch.Generator()
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=_as_is, generator=generator, num_workers=workers)


def _as_is(batch: Any) -> Any:
    """Pass on what is a batch already."""
    return batch


def share_of(
    batch: NDArray[np.int64],  # (B,) crystals; with fewer than two for each process the first one gets all
    n_pairs: NDArray[np.int64],  # (C,) pairs of each crystal
    rank: int,  # which part of how many
    processes: int,
) -> NDArray[np.int64]:
    """Part of a global batch for one process: about as many pairs for each, and at least two crystals, or none.

    Examples
    --------
    >>> sizes = np.array([5, 5, 1, 1, 1, 1, 6])
    >>> [share_of(np.arange(7), sizes, rank, 2).tolist() for rank in range(2)]
    [[0, 1], [2, 3, 4, 5, 6]]
    """
    if len(batch) < 2 * processes:
        return batch if rank == 0 else batch[:0]
    done = np.cumsum(n_pairs[batch])
    cuts = np.searchsorted(done, done[-1] * np.arange(1, processes) / processes, side="right")
    place = 2 * np.arange(1, processes)
    # Two crystals at least before, between and after the cuts.
    cuts = np.maximum.accumulate(np.minimum(cuts, len(batch) - place[::-1]) - place) + place
    edges = [0, *np.maximum(cuts, place).tolist(), len(batch)]
    return batch[edges[rank] : edges[rank + 1]]
