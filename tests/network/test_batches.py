"""Batches against loops over crystals, and the budget of pairs that cuts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets
from skdim.network.batches import Batch, collate, pair_budget_batches
from tests.bundled import sample
from tests.pointset_twin import make_sets
from tests.small import handful_points

SETS = [make_sets([[3, 1], [2], [4, 0, 5]], seed=1), handful_points(), handful_points(neighborhood="supercell")]


@pytest.mark.parametrize("points", SETS, ids=["random", "shell", "supercell"])
@pytest.mark.parametrize("crystals", [[0], [2, 0], [1, 1, 2]])
def test_a_batch_holds_what_its_crystals_hold(points: PointSets, crystals: list[int]) -> None:
    batch = collate(points, np.array(crystals))
    row = pair = 0
    for place, c in enumerate(crystals):
        one = points[c]
        occupancy = one.site_types.fractions.sum(1)[one.site_type]
        atoms = one.multiplicity * occupancy
        first, n = row, len(one.site_type)
        for s in range(n):
            assert batch.crystal[row] == place
            assert_site_type(batch, int(batch.site_type[row]), one, int(one.site_type[s]))
            assert batch.site_weight[row] == pytest.approx(atoms[s] / atoms.sum(), rel=1e-6)
            for p in range(one.pair_offsets[s], one.pair_offsets[s + 1]):
                j = int(one.neighbor[p])
                assert (batch.row[pair], batch.neighbor[pair]) == (row, first + j)
                assert batch.distance[pair] == one.distance[p]
                assert batch.count[pair] == one.count[p]
                weight = one.count[p] * one.weight[p] * occupancy[j]
                assert batch.log_count[pair] == pytest.approx(np.log(weight), abs=1e-5)
                assert batch.extra[pair].tolist() == one.extra[p].tolist()
                left, right = batch.pair_types[batch.pair_type[pair]].tolist()
                assert (left, right) == (int(batch.site_type[row]), int(batch.site_type[first + j]))
                pair += 1
            row += 1
        assert batch.volume[place] == one.volume[0]
        assert batch.sites[place] == pytest.approx(atoms.sum(), rel=1e-6)
    assert (row, pair) == (len(batch.crystal), len(batch.distance))
    assert len(batch) == len(crystals)
    assert len(torch.unique(batch.pair_types, dim=0)) == len(batch.pair_types)


def assert_site_type(batch: Batch, site_type: int, points: PointSets, other: int) -> None:
    np.testing.assert_array_equal(
        batch.features[site_type].numpy(), points.site_types.features[other].astype(np.float32)
    )
    np.testing.assert_array_equal(batch.fractions[site_type].numpy(), points.site_types.fractions[other])


def test_many_site_types_are_numbered_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from skdim.network import batches

    few = collate(SETS[1], np.arange(4))
    number = batches._number
    monkeypatch.setattr(batches, "_number", lambda key, bound: number(key, bound + 10**8))
    many = collate(SETS[1], np.arange(4))
    for name, column in vars(few).items():
        assert np.array_equal(column, getattr(many, name)), name


def test_columns_have_the_types_that_models_need() -> None:
    batch = collate(SETS[1], np.arange(2))
    columns = {k: v for k, v in vars(batch).items() if k != "self_pairs"}
    assert {v.dtype for v in columns.values()} == {torch.int64, torch.float32}
    assert all(v.is_contiguous() for v in columns.values())
    moved = batch.to("cpu")
    assert all(torch.equal(v, getattr(moved, k)) for k, v in columns.items())
    assert moved.self_pairs is batch.self_pairs


def test_only_supercells_have_pairs_of_a_site_with_itself() -> None:
    shells, supercells = (handful_points(neighborhood=name) for name in ("shell", "supercell"))
    assert not collate(shells, np.arange(len(shells))).self_pairs
    assert all(collate(supercells, np.array([c])).self_pairs for c in range(len(supercells)))


@given(
    st.lists(st.integers(0, 30), max_size=40),
    st.integers(1, 60),
    st.integers(1, 4),
    st.integers(0, 999),
)
def test_every_crystal_is_in_one_batch_within_the_budget(
    sizes: list[int], budget: int, at_least: int, seed: int
) -> None:
    n_pairs = np.array(sizes, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(sizes))
    cut = list(pair_budget_batches(n_pairs, budget, order, at_least))
    assert np.concatenate([*cut, np.zeros(0, int)]).tolist() == order.tolist()
    for place, batch in enumerate(cut):
        assert len(batch) >= min(at_least, len(sizes))
        if place < len(cut) - 1:  # the last one may have taken up a rest of too few
            assert n_pairs[batch].sum() <= budget or len(batch) == at_least
            assert n_pairs[batch].sum() + n_pairs[cut[place + 1][0]] > budget
        else:
            assert n_pairs[batch].sum() <= budget or len(batch) == 1 or at_least > 1


def test_a_crystal_has_one_vector_alone_and_among_others() -> None:
    crystals = sample(16)
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(crystals)
    together = embedder.transform(crystals)
    alone = np.concatenate([embedder.transform([crystal]) for crystal in crystals])
    # Of vectors bounded by 3, in single precision: sums over other batches round otherwise.
    np.testing.assert_allclose(alone, together, atol=5e-5)
    order = np.random.default_rng(0).permutation(16)
    points = CrystalPointSetTransformer().fit_transform(crystals)
    np.testing.assert_allclose(embedder.transform(points[order]), together[order], atol=5e-5)
