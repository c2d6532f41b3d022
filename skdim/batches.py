"""Point sets in, batches of torch tensors out, each within a budget of pairs.

Rows and pairs stay ragged: a batch holds exactly the pairs its crystals have, so no step pays for padding and a
crystal's vector does not depend on the crystals beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from skdim.ragged import gather_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from skdim.pointsets import PointSets


@dataclass(frozen=True)
class Batch:
    """Some crystals as tensors. Shapes: B crystals, S rows, P pairs, K kinds, U kind pairs, F, E features.

    Attributes
    ----------
    crystal : LongTensor of shape (S,)
        Crystal of each row, ascending.
    kind : LongTensor of shape (S,)
        Site content of each row.
    site_weight : Tensor of shape (S,)
        Share of the crystal's atoms that the row stands for (sites by occupancy); sums to one over a crystal.
    sites : Tensor of shape (B,)
        How many atoms the rows of a crystal stand for; multiplicities have no common divisor, so of no cell in
        particular.
    row, neighbor : LongTensor of shape (P,)
        The two rows of each pair; ``row`` ascends.
    distance : Tensor of shape (P,)
        In Angstrom.
    count : LongTensor of shape (P,)
        How many equal pairs are merged.
    log_count : Tensor of shape (P,)
        Logarithm of the count times the cutoff weight times the neighbour's occupancy: a neighbour that is there half
        the time counts half.
    extra : Tensor of shape (P, E)
        Interaction features other than the distance.
    kind_pair : LongTensor of shape (P,)
        Index of the two contents in ``pair_kinds``.
    pair_kinds : LongTensor of shape (U, 2)
        The distinct (row content, neighbour content) pairs, so that what depends on contents alone is computed once.
    volume : Tensor of shape (B,)
        Cubic Angstrom per atom.
    features : Tensor of shape (K, F)
        Site features of each content.
    fractions : Tensor of shape (K, 119)
        Occupancy by atomic number.
    """

    crystal: torch.Tensor
    kind: torch.Tensor
    site_weight: torch.Tensor
    sites: torch.Tensor
    row: torch.Tensor
    neighbor: torch.Tensor
    distance: torch.Tensor
    count: torch.Tensor
    log_count: torch.Tensor
    extra: torch.Tensor
    kind_pair: torch.Tensor
    pair_kinds: torch.Tensor
    volume: torch.Tensor
    features: torch.Tensor
    fractions: torch.Tensor

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.volume)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def collate(points: PointSets, crystals: NDArray[np.int64]) -> Batch:
    """Gather crystals of the point sets into one batch.

    Parameters
    ----------
    points : PointSets
        C crystals.
    crystals : ndarray of shape (B,)
        Which of them; each must be valid (have rows).

    Returns
    -------
    Batch
        The crystals in the given order.
    """
    site_offsets, rows = gather_runs(points.site_offsets, crystals)
    pair_offsets, pairs = gather_runs(points.pair_offsets, rows)
    crystal = np.repeat(np.arange(len(crystals)), np.diff(site_offsets))
    row = np.repeat(np.arange(len(rows)), np.diff(pair_offsets))
    neighbor = points.neighbor[pairs] + site_offsets[crystal[row]]
    used, kind = np.unique(points.kind[rows], return_inverse=True)
    key = kind[row] * len(used) + kind[neighbor]
    pair_kinds, kind_pair = _number(key, len(used) ** 2)
    occupancy = points.kinds.fractions[used].sum(1, dtype=np.float64)[kind]
    atoms = points.multiplicity[rows] * occupancy
    total = np.bincount(crystal, atoms, minlength=len(crystals))
    count = points.count[pairs]
    return Batch(
        crystal=torch.from_numpy(crystal),
        kind=torch.from_numpy(kind),
        site_weight=_float(atoms / total[crystal]),
        sites=_float(total.astype(np.float64)),
        row=torch.from_numpy(row),
        neighbor=torch.from_numpy(neighbor),
        distance=_float(points.distance[pairs]),
        count=torch.from_numpy(count.astype(np.int64)),
        log_count=_float(np.log(count * points.weight[pairs].astype(np.float64) * occupancy[neighbor])),
        extra=_float(points.extra[pairs]),
        kind_pair=torch.from_numpy(kind_pair),
        pair_kinds=torch.from_numpy(np.stack([pair_kinds // len(used), pair_kinds % len(used)], 1)),
        volume=_float(points.volume[crystals]),
        features=_float(points.kinds.features[used]),
        fractions=_float(points.kinds.fractions[used]),
    )


def _number(key: NDArray[np.int64], bound: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct keys below the bound and the index of each key among them; sorts only where a table would be large."""
    if bound > 10_000_000:
        return np.unique(key, return_inverse=True)
    present = np.zeros(bound, bool)
    present[key] = True
    distinct = np.flatnonzero(present)
    index = np.empty(bound, np.int64)
    index[distinct] = np.arange(len(distinct))
    return distinct, index[key]


def _float(values: NDArray[np.floating]) -> torch.Tensor:
    """As a float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def pair_budget_batches(
    n_pairs: NDArray[np.int64], budget: int, crystals: NDArray[np.int64], at_least: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Cut a sequence of crystals into batches of at most ``budget`` pairs.

    Parameters
    ----------
    n_pairs : ndarray of shape (C,)
        Pairs of each crystal.
    budget : int
        Most pairs in a batch; only the crystals that ``at_least`` asks for can exceed it.
    crystals : ndarray of shape (N,)
        The crystals in the order to serve.
    at_least : int, default=1
        Fewest crystals in a batch, where there are as many: training needs two, so that each has another.

    Yields
    ------
    ndarray
        Crystals of one batch.

    Examples
    --------
    >>> sizes = np.array([4, 4, 9, 1])
    >>> [b.tolist() for b in pair_budget_batches(sizes, 8, np.arange(4))]
    [[0, 1], [2], [3]]
    >>> [b.tolist() for b in pair_budget_batches(sizes, 8, np.arange(4), at_least=2)]
    [[0, 1], [2, 3]]
    """
    starts, filled, size = [0], 0, n_pairs[crystals].tolist()
    for position, pairs in enumerate(size):
        if position - starts[-1] >= at_least and filled + pairs > budget:
            starts.append(position)
            filled = 0
        filled += pairs
    if len(starts) > 1 and len(size) - starts[-1] < at_least:
        starts.pop()
    for start, stop in pairwise([*starts, len(size)]):
        if stop > start:
            yield crystals[start:stop]
