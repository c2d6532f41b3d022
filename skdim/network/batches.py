"""Batches of torch tensors, gathered from point sets within a budget of pairs.

Rows and pairs stay ragged: a batch holds exactly the pairs of its crystals, so nothing is spent on padding and a
crystal's vector does not depend on the crystals beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from skdim.points.pointsets import gather_runs, offsets_from_lengths
from skdim.points.reduction import changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from skdim.points.pointsets import PointSets

# More crystals than a window are shuffled by blocks of consecutive ones, which are read together.
_WINDOW, _BLOCK = 65_536, 1024


@dataclass(frozen=True)
class Batch:
    """Some crystals as tensors. Shapes: B crystals, S rows, P pairs, K site types, U pair types, F, E features."""

    crystal: torch.Tensor  # (S,) crystal of each row, ascending
    site_type: torch.Tensor  # (S,) site type of each row
    # (S,) share of the crystal's atoms that the row stands for (sites by occupancy); sums to one over a crystal.
    site_weight: torch.Tensor
    # (B,) number of atoms that the rows of a crystal stand for. Multiplicities have no common divisor, so it does not
    # depend on a cell.
    sites: torch.Tensor
    row: torch.Tensor  # (P,) the two rows of each pair; ``row`` ascends
    neighbor: torch.Tensor  # (P,)
    distance: torch.Tensor  # (P,) in Angstrom
    count: torch.Tensor  # (P,) number of equal pairs that are merged
    # (P,) logarithm of the count times the cutoff weight times the neighbour's occupancy: a half-occupied neighbour
    # counts half.
    log_count: torch.Tensor
    extra: torch.Tensor  # (P, E) interaction features other than the distance
    pair_type: torch.Tensor  # (P,) index of the two site types in ``pair_types``
    # (U, 2) the distinct pairs of site types (row, neighbour), so that what depends on types alone is computed once.
    pair_types: torch.Tensor
    # (P,) the pairs, those side by side that have the row and the site type of the neighbour in common.
    by_group: torch.Tensor
    # (G,) where each group begins in ``by_group``, its row, ascending, and its type as an index in ``pair_types``.
    group_start: torch.Tensor
    group_row: torch.Tensor  # (G,)
    group_pair_type: torch.Tensor  # (G,)
    volume: torch.Tensor  # (B,) cubic Angstrom per atom
    features: torch.Tensor  # (K, F) site features of each site type
    fractions: torch.Tensor  # (K, 119) occupancy by atomic number
    index: torch.Tensor  # (B,) number of each crystal: its noise is drawn from it, whatever batch the crystal is in
    self_pairs: bool  # whether there may be pairs of a site with itself, at distance zero; supercells have them

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.volume)

    @property
    def element_shares(self) -> torch.Tensor:
        """Share of each element in what a site type holds, (K, 119)."""
        return self.fractions / self.fractions.sum(1, keepdim=True)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in values.items()}
        return Batch(**moved)


def collate(
    points: PointSets,  # C crystals
    crystals: NDArray[np.int64],  # (B,) which of them; each must be valid (have rows)
    index: NDArray[np.int64] | None = None,  # (B,) their numbers for noise; None takes the crystals themselves
) -> Batch:
    """Gather crystals of the point sets into one batch, in the given order."""
    own = points[crystals]  # without copies where crystals lie side by side
    per_row = np.diff(own.pair_offsets)
    crystal = np.repeat(np.arange(len(own)), np.diff(own.site_offsets))
    row = np.repeat(np.arange(len(crystal)), per_row)
    neighbor = own.neighbor + np.repeat(own.site_offsets[crystal], per_row)
    used, site_type = np.unique(own.site_type, return_inverse=True)
    groups = _group(row, site_type[neighbor], len(used))
    pair_types, group_pair_type = _number(site_type[groups.row] * len(used) + groups.site_type, len(used) ** 2)
    pair_type = np.empty_like(row)
    pair_type[groups.order] = np.repeat(group_pair_type, np.diff(groups.start, append=len(row)))
    occupancy = own.site_types.fractions[used].sum(1, dtype=np.float64)[site_type]
    atoms = own.multiplicity * occupancy
    total = np.bincount(crystal, atoms, minlength=len(own))
    log_count = np.log(own.count * own.weight * occupancy.astype(np.float32)[neighbor], dtype=np.float32)
    return Batch(
        crystal=torch.from_numpy(crystal),
        site_type=torch.from_numpy(site_type),
        site_weight=_float(atoms / total[crystal]),
        sites=_float(total.astype(np.float64)),
        row=torch.from_numpy(row),
        neighbor=torch.from_numpy(neighbor),
        distance=_float(own.distance),
        count=torch.from_numpy(own.count.astype(np.int64)),
        log_count=torch.from_numpy(log_count),
        extra=_float(own.extra),
        pair_type=torch.from_numpy(pair_type),
        pair_types=torch.from_numpy(np.stack([pair_types // len(used), pair_types % len(used)], 1)),
        by_group=torch.from_numpy(groups.order),
        group_start=torch.from_numpy(groups.start),
        group_row=torch.from_numpy(groups.row),
        group_pair_type=torch.from_numpy(group_pair_type),
        volume=_float(own.volume),
        features=_float(own.site_types.features[used]),
        fractions=_float(own.site_types.fractions[used]),
        index=torch.from_numpy(np.array(crystals if index is None else index, np.int64)),
        self_pairs=bool(own.distance.min(initial=1.0) <= 0),
    )


class _Groups(NamedTuple):
    """The pairs of each row with each site type, G groups."""

    order: NDArray[np.int64]  # (P,) pairs, those of a group side by side and in their order
    start: NDArray[np.int64]  # (G,) where each group begins in them
    row: NDArray[np.int64]  # (G,) ascending
    site_type: NDArray[np.int64]  # (G,) of the neighbours


def _group(row: NDArray[np.int64], site_type: NDArray[np.int64], n_site_types: int) -> _Groups:
    """Group pairs by their row (P,) and the site type of their neighbour (P,)."""
    key, bits = row * n_site_types + site_type, len(row).bit_length()
    if key.max(initial=0) >> (63 - bits):
        order = np.argsort(key, kind="stable")
        key = key[order]
    else:
        # Integers are sorted in a third of the time that their order takes, so each one carries its place.
        key = np.sort((key << bits) | np.arange(len(row)))
        order = key & ((1 << bits) - 1)
        key >>= bits
    start = np.flatnonzero(changes(key))
    return _Groups(order, start, *np.divmod(key[start], n_site_types))


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
    """As a float32 tensor of its own: point sets may be a file that cannot be written to."""
    return torch.from_numpy(np.array(values, np.float32))


def pair_budget_batches(
    n_pairs: NDArray[np.int64],  # (C,) pairs of each crystal
    budget: int,  # most pairs in a batch; only the crystals that ``at_least`` asks for can exceed it
    crystals: NDArray[np.int64],  # (N,) the crystals in the order to serve
    # Fewest crystals in a batch, where there are as many: training needs two, so that each has another.
    at_least: int = 1,
) -> Iterator[NDArray[np.int64]]:
    """Cut a sequence of crystals into batches of at most ``budget`` pairs; yield the crystals (B,) of each.

    Examples
    --------
    >>> sizes = np.array([4, 4, 9, 1])
    >>> [b.tolist() for b in pair_budget_batches(sizes, 8, np.arange(4))]
    [[0, 1], [2], [3]]
    >>> [b.tolist() for b in pair_budget_batches(sizes, 8, np.arange(4), at_least=2)]
    [[0, 1], [2, 3]]
    """
    total, start = offsets_from_lengths(n_pairs[crystals]), 0
    while start < len(crystals):
        # Before the first crystal with which the sum of pairs passes the budget.
        stop = int(np.searchsorted(total, total[start] + budget, side="right")) - 1
        stop = max(stop, start + at_least)
        if len(crystals) - stop < at_least:
            stop = len(crystals)
        yield crystals[start:stop]
        start = stop


def row_ranges(batch: Batch, most: int) -> Iterator[tuple[slice, slice]]:
    """Cut the rows of a batch into runs of at most so many pairs, or of one row: yield rows and pairs of each."""
    edges = torch.searchsorted(batch.row, torch.arange(len(batch.site_type) + 1, device=batch.row.device)).tolist()
    for rows in pair_budget_batches(np.diff(edges), most, np.arange(len(batch.site_type))):
        start, stop = int(rows[0]), int(rows[-1]) + 1
        yield slice(start, stop), slice(edges[start], edges[stop])


def shuffled(
    n: int,
    rng: np.random.Generator,
    window: int = _WINDOW,  # positions that are shuffled with one another, and that stay in one window
    block: int = _BLOCK,
) -> NDArray[np.int64]:
    """Positions 0 to n - 1 in random order; of more than a window by blocks, so that few parts of a file are read.

    The positions are cut into blocks, at other places each time; the blocks are shuffled, and so are the positions of
    each run of blocks that fills a window.

    Examples
    --------
    >>> order = shuffled(1000, np.random.default_rng(0), window=100, block=10)
    >>> bool((np.sort(order) == np.arange(1000)).all()), len(set(order[:100] // 10)) > 10
    (True, True)
    """
    if n <= window:
        return rng.permutation(np.arange(n))
    edges = np.array([0, *range(int(rng.integers(1, block + 1)), n, block), n])
    blocks = rng.permutation(len(edges) - 1)
    _, order = gather_runs(edges, blocks)
    for start in range(0, n, window):
        rng.shuffle(order[start : start + window])
    return order
