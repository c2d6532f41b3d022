"""Point sets with random columns of any layout, and their slow twin: plain lists."""

from __future__ import annotations

import numpy as np

from skdim.points.pointsets import PointSets
from skdim.points.sitetypes import N_ATOMIC_NUMBERS, SiteTypes


def make_sets(pairs_of_rows: list[list[int]], seed: int = 0, n_site_types: int = 4) -> PointSets:
    """Point sets with random columns: one list a crystal, one number of pairs a row, no rows for a failed crystal."""
    rng = np.random.default_rng(seed)
    sites = np.array([len(rows) for rows in pairs_of_rows], dtype=np.int64)
    pairs = np.array([n for rows in pairs_of_rows for n in rows], dtype=np.int64)
    n_sites, n_pairs = int(sites.sum()), int(pairs.sum())
    numbers = rng.choice(np.arange(1, 9), n_site_types, replace=False)
    fractions = np.zeros((n_site_types, N_ATOMIC_NUMBERS), np.float32)
    fractions[np.arange(n_site_types), numbers] = 1
    sets = PointSets(
        site_offsets=np.r_[0, np.cumsum(sites)].astype(np.int64),
        pair_offsets=np.r_[0, np.cumsum(pairs)].astype(np.int64),
        site_type=rng.integers(0, n_site_types, n_sites, dtype=np.int32),
        multiplicity=rng.integers(1, 5, n_sites, dtype=np.int32),
        neighbor=(rng.integers(0, 2**30, n_pairs) % np.repeat(np.repeat(sites, sites), pairs)).astype(np.int32),
        distance=rng.uniform(0, 7, n_pairs).astype(np.float32),
        count=rng.integers(1, 5, n_pairs, dtype=np.int32),
        weight=rng.uniform(0.1, 1, n_pairs).astype(np.float32),
        extra=rng.normal(size=(n_pairs, 1)).astype(np.float32),
        volume=np.where(sites > 0, rng.uniform(5, 30, len(sites)), np.nan).astype(np.float32),
        site_types=SiteTypes(np.column_stack([numbers, np.ones(n_site_types)]).astype(np.float64), fractions),
        feature_names=("Number", "occupancy"),
        interaction_names=("distance", "log_coulomb"),
        settings={"neighborhood": "shell", "n_neighbors": 48},
    )
    return sets.validate()


def as_list(sets: PointSets) -> list[tuple]:
    """Return the slow twin: a list of crystals, each with a list of sites, each with a list of pairs."""
    crystals = []
    for c in range(len(sets.site_offsets) - 1):
        sites = []
        for s in range(sets.site_offsets[c], sets.site_offsets[c + 1]):
            pairs = [
                (sets.neighbor[p], sets.distance[p], sets.count[p], sets.weight[p], *sets.extra[p])
                for p in range(sets.pair_offsets[s], sets.pair_offsets[s + 1])
            ]
            content = (*sets.site_types.features[sets.site_type[s]], *sets.site_types.fractions[sets.site_type[s]])
            sites.append((content, sets.multiplicity[s], pairs))
        crystals.append((None if np.isnan(sets.volume[c]) else sets.volume[c], sites))
    return crystals
