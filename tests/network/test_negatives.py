"""False samples: from another crystal, in proportion to its sites, with the right things kept and the rest replaced."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from skdim.network.batches import Batch
from skdim.network.negatives import (
    draw_rows,
    expand,
    other_crystals,
    permute_neighbors,
    replace_distances,
    replace_species,
    runs,
)
from tests.daily import examples
from tests.small import batch_of, handful_points, seeded


@pytest.fixture(scope="module", params=["shell", "supercell"])
def batch(request: pytest.FixtureRequest) -> Batch:
    return batch_of(handful_points(neighborhood=request.param))


@given(st.integers(2, 40), st.integers(0, 99))
@examples(40)
def test_the_partner_is_another_crystal_and_each_is_used_once(n: int, seed: int) -> None:
    partner = other_crystals(n, seeded(seed)).tolist()
    assert sorted(partner) == list(range(n))
    assert all(theirs != own for own, theirs in enumerate(partner))


def test_any_other_crystal_can_be_the_partner() -> None:
    seen = {tuple(other_crystals(4, seeded(seed)).tolist()) for seed in range(200)}
    assert {p[0] for p in seen} == {1, 2, 3}


def test_a_crystal_alone_has_no_partner() -> None:
    with pytest.raises(ValueError, match="no other crystal"):
        other_crystals(1, seeded())


def assert_drawn_as(drawn: torch.Tensor, share: torch.Tensor) -> None:
    """Chi-square at one in ten thousand."""
    seen = np.bincount(drawn.numpy(), minlength=len(share))
    expected = share.numpy() * len(drawn)
    assert seen[expected == 0].sum() == 0
    some = expected > 0
    statistic = ((seen[some] - expected[some]) ** 2 / expected[some]).sum()
    assert statistic < chi2.ppf(0.9999, max(some.sum() - 1, 1))


def test_rows_are_drawn_in_proportion_to_the_sites_they_stand_for(batch: Batch) -> None:
    for crystal in range(len(batch)):
        drawn = draw_rows(batch, torch.full((4000,), crystal), seeded(crystal))
        assert (batch.crystal[drawn] == crystal).all()
        assert_drawn_as(drawn, batch.site_weight * (batch.crystal == crystal))


def test_draws_stay_in_their_crystal_in_batches_of_many() -> None:
    points = handful_points()
    many = batch_of(points, [k % len(points) for k in range(3000)])
    crystal = torch.arange(len(many)).repeat_interleave(3)
    assert torch.equal(many.crystal[draw_rows(many, crystal, seeded())], crystal)


def test_runs_are_the_values_of_the_chosen_segments(batch: Batch) -> None:
    chosen = torch.tensor([3, 0, 3, 5])
    taken, owner = runs(batch.row, len(batch.site_type), chosen)
    slow = [(p, o) for o, s in enumerate(chosen.tolist()) for p, r in enumerate(batch.row.tolist()) if r == s]
    assert list(zip(taken.tolist(), owner.tolist(), strict=True)) == slow


def pair_key(batch: Batch, p: int) -> tuple[float, ...]:
    """What a pair is, the copies aside."""
    one = (batch.log_count[p] - batch.count[p].log()).item()
    return (int(batch.neighbor[p]), float(batch.distance[p]), round(one, 9), *batch.extra[p].tolist())


def multiset(batch: Batch, row: int) -> Counter[tuple[float, ...]]:
    """Every pair of a row, as often as it is there."""
    found: Counter[tuple[float, ...]] = Counter()
    for p in (batch.row == row).nonzero()[:, 0].tolist():
        found[pair_key(batch, p)] += int(batch.count[p])
    return found


def assert_pairs_numbered(batch: Batch) -> None:
    """Each pair's contents are those of its two rows."""
    contents = torch.stack([batch.site_type[batch.row], batch.site_type[batch.neighbor]], 1)
    assert torch.equal(batch.pair_types[batch.pair_type], contents)
    assert (batch.row.diff() >= 0).all()


def test_expanding_writes_every_merged_pair_out(batch: Batch) -> None:
    wide = expand(batch)
    assert len(wide.row) == int(batch.count.sum()) > len(batch.row)
    assert (wide.count == 1).all()
    assert_pairs_numbered(wide)
    for row in range(len(batch.site_type)):
        assert multiset(wide, row) == multiset(batch, row)


def test_species_come_from_sites_of_the_partner_and_positions_stay(batch: Batch) -> None:
    partner = other_crystals(len(batch), seeded(1))
    wrong = replace_species(batch, partner, seeded(2))
    assert_pairs_numbered(wrong)
    for name in ("row", "neighbor", "distance", "log_count", "extra", "crystal", "site_weight"):
        assert torch.equal(getattr(wrong, name), getattr(batch, name))
    for row, crystal in enumerate(batch.crystal.tolist()):
        theirs = batch.site_type[batch.crystal == partner[crystal]]
        assert int(wrong.site_type[row]) in theirs.tolist()


def test_species_are_drawn_as_often_as_the_partner_has_them(batch: Batch) -> None:
    salt, perovskite = 1, 2
    partner = torch.arange(len(batch)).roll(-1)
    row = int((batch.crystal == salt).nonzero()[0])
    drawn = torch.stack([replace_species(batch, partner, seeded(k)).site_type[row] for k in range(600)])
    share = torch.zeros(len(batch.features), dtype=torch.float64)
    share.index_add_(0, batch.site_type, batch.site_weight * (batch.crystal == perovskite))
    assert_drawn_as(drawn, share)


def distances(batch: Batch, row: int) -> Counter[tuple[float, ...]]:
    """The distances of a row with what goes with them, identities aside."""
    own = batch.row == row
    return Counter(zip(batch.distance[own].tolist(), batch.log_count[own].tolist(), strict=True))


def test_distances_come_whole_from_a_site_of_the_partner(batch: Batch) -> None:
    wide = expand(batch)
    partner = other_crystals(len(batch), seeded(1))
    wrong = replace_distances(wide, partner, seeded(2))
    assert_pairs_numbered(wrong)
    assert torch.equal(wrong.site_type, batch.site_type)
    for row, crystal in enumerate(batch.crystal.tolist()):
        theirs = [distances(wide, r) for r in (batch.crystal == partner[crystal]).nonzero()[:, 0].tolist()]
        assert distances(wrong, row) in theirs
        assert set(wrong.neighbor[wrong.row == row].tolist()) <= set(wide.neighbor[wide.row == row].tolist())


def test_with_replaced_distances_neighbors_stay_as_frequent_whatever_their_distance(batch: Batch) -> None:
    wide = expand(batch)
    # As if every other row were occupied one time in five.
    wide = replace(wide, log_count=wide.log_count + math.log(0.2) * (wide.neighbor % 2))
    partner = torch.arange(len(batch)).roll(1)
    row = int((batch.crystal == 3).nonzero()[0])
    near, far = [], []
    for seed in range(150):
        wrong = replace_distances(wide, partner, seeded(seed))
        own = (wrong.row == row).nonzero()[:, 0]
        order = own[wrong.distance[own].argsort()]
        near.append(wrong.neighbor[order[:3]])
        far.append(wrong.neighbor[order[-3:]])
    share = torch.zeros(len(batch.site_type), dtype=torch.float64)
    own = wide.row == row
    share.index_add_(0, wide.neighbor[own], wide.log_count[own].exp() / wide.log_count[own].exp().sum())
    for drawn in (near, far):
        assert_drawn_as(torch.cat(drawn), share)


def test_permuting_keeps_neighbors_and_distances_and_breaks_what_ties_them(batch: Batch) -> None:
    wide = expand(batch)
    wrong = permute_neighbors(wide, seeded(3))
    assert_pairs_numbered(wrong)
    for name in ("row", "distance", "log_count", "extra", "site_type"):
        assert torch.equal(getattr(wrong, name), getattr(wide, name))
    for row in range(len(batch.site_type)):
        own = wide.row == row
        assert Counter(wrong.neighbor[own].tolist()) == Counter(wide.neighbor[own].tolist())


def test_after_permuting_the_nearest_neighbor_is_any_of_them(batch: Batch) -> None:
    wide = expand(batch)
    row = int((batch.crystal == 3).nonzero()[0])
    own = wide.row == row
    nearest = int(own.nonzero()[0])
    drawn = torch.stack([permute_neighbors(wide, seeded(k)).neighbor[nearest] for k in range(600)])
    share = torch.bincount(wide.neighbor[own], minlength=len(batch.site_type)) / own.sum()
    assert_drawn_as(drawn, share.double())
