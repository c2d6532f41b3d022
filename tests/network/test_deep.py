"""The deep encoder and what it restores: loops over single pairs say the same, whatever the description."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from skdim import CrystalPointSetTransformer
from skdim.crystals.crystal import crystal_of
from skdim.network.batches import Batch, collate
from skdim.network.config import EncoderConfig, ModelConfig, ObjectiveConfig
from skdim.network.deep import DeepEncoder, NearPairs, radial_functions, sum_by_slice
from skdim.network.restoration import DeepTower, choose_elements, masked_elements, told_noise
from skdim.network.segments import segment_sum
from skdim.points.assembly import assemble
from skdim.points.chunks import cells_and_site_types
from tests.small import batch_of, bundled_points, handful, handful_points, noise, random, unit_features

CONFIG = EncoderConfig(width=8, heads=2, decay=(2.0, 6.0), hops=2, hop_width=8, reach=6.0)


@cache
def batch() -> Batch:
    return batch_of(handful_points(n_neighbors=40))


@cache
def encoder() -> DeepEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DeepEncoder(batch().features.shape[1], CONFIG).double()


def slow_weights(some: Batch, row: int) -> dict[int, torch.Tensor]:
    """Weights of one site's near pairs, from the formulas, pair by pair."""
    pairs = torch.nonzero(some.row == row).squeeze(1).tolist()
    amount = {p: math.exp(some.log_count[p]) for p in pairs}
    distance = {p: float(some.distance[p]) for p in pairs}
    spacing = sum(amount[p] * distance[p] ** -2.0 for p in pairs) ** -0.5
    weights = {}
    for p in pairs:
        beyond = (distance[p] / (CONFIG.reach * spacing) - 1) / 0.25
        fading = 1.0 if beyond <= 0 else 0.5 * (1 + math.cos(math.pi * min(beyond, 1.0)))
        if beyond < 1:
            weights[p] = torch.tensor([amount[p] * fading * distance[p] ** -power for power in (2.0, 6.0)])
    total = sum(weights.values())
    return {p: w / total for p, w in weights.items()}


def test_near_pairs_are_those_of_the_formulas() -> None:
    near = encoder().near(batch(), batch().distance)
    slow = {p: w for row in range(len(batch().site_type)) for p, w in slow_weights(batch(), row).items()}
    assert near.which.tolist() == sorted(slow)
    assert 0 < len(slow) < len(batch().row)
    torch.testing.assert_close(near.weight, torch.stack([slow[p] for p in sorted(slow)]).double())


def test_a_hop_is_that_of_loops_over_pairs() -> None:
    some, hop = batch(), encoder().hops[0]
    near, state = encoder().near(some, some.distance), random(len(some.site_type), 8)
    normed = hop.norm(state)
    radial = radial_functions(some.distance, some.distance.log())
    rows = []
    for row in range(len(state)):
        total = torch.zeros(8, dtype=torch.float64)
        for pair, weight in slow_weights(some, row).items():
            message = hop.neighbor(normed[some.neighbor[pair]]) + hop.centre(normed[row])
            message = torch.nn.functional.silu(message) * hop.filter(radial[pair])
            total = total + message * weight.double().repeat_interleave(4)
        rows.append(state[row] + hop.update(torch.cat([normed[row], hop.message_norm(total)])))
    torch.testing.assert_close(hop(state, near), torch.stack(rows), atol=1e-6, rtol=1e-6)


def test_sums_without_gradients_are_the_same() -> None:
    near = encoder().near(batch(), batch().distance)
    message, n_rows = random(len(near.row), 8), len(batch().site_type)
    kept = sum_by_slice(message, near, n_rows)
    with torch.no_grad():
        torch.testing.assert_close(sum_by_slice(message, near, n_rows), kept)


@pytest.mark.parametrize("learning", [True, False])
def test_a_reach_without_neighbours_leaves_each_site_to_itself(learning: bool) -> None:
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(learning):
        lonely = DeepEncoder(batch().features.shape[1], replace(CONFIG, reach=1.0)).double()
        near = lonely.near(batch(), batch().distance)
        assert len(near.row) == 0
        summed = sum_by_slice(random(0, 8), near, len(batch().site_type))
    assert summed.shape == (len(batch().site_type), 8)
    assert not summed.any()


def test_merging_what_symmetry_makes_alike_changes_no_state() -> None:
    work = CrystalPointSetTransformer(site_features="paper", n_neighbors=40).work()
    config, table = work.config, work.features
    cells, site_types = cells_and_site_types([crystal_of(s) for s in handful()], table)
    merged, single = (batch_of(assemble(cells, site_types, config, reduce=reduce)) for reduce in (True, False))
    assert len(single.site_type) > 2 * len(merged.site_type)
    model, means = DeepEncoder(merged.features.shape[1], CONFIG).double(), []
    for some in (merged, single):
        states = model(some, some.features / 50, model.near(some, some.distance))
        assert len(states) == CONFIG.hops + 1
        means.append(segment_sum(states[-1] * some.site_weight[:, None], some.crystal, len(some)))
    torch.testing.assert_close(means[0], means[1], rtol=1e-5, atol=1e-8)


def test_hidden_sites_say_nothing_of_their_content() -> None:
    some = batch()
    near, everything = encoder().near(some, some.distance), torch.ones(len(some.site_type), dtype=torch.bool)
    first = encoder()(some, unit_features(some), near, everything)
    other = encoder()(some, unit_features(some).flip(0), near, everything)
    for a, b in zip(first, other, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
def test_as_many_elements_are_hidden_as_asked_for_on_all_their_sites_whatever_the_batch() -> None:
    points = bundled_points(40)
    every = collate(points, np.arange(40))
    kinds = [torch.unique(every.site_type[every.crystal == k]) for k in range(40)]
    shares = []
    for seed in range(60):
        hidden = choose_elements(every, 0.3, noise(seed))
        for crystal, present in enumerate(kinds):
            for kind in present:
                rows = hidden[(every.crystal == crystal) & (every.site_type == kind)]
                assert bool((rows == rows[0]).all())
                shares.append(float(rows[0]))
    assert abs(np.mean(shares) - 0.3) < 0.015
    alone = collate(points, np.array([7]))
    assert torch.equal(choose_elements(alone, 0.5, noise(3)), choose_elements(every, 0.5, noise(3))[every.crystal == 7])


def test_masked_elements_are_told_by_a_cross_entropy_over_crystals() -> None:
    some = batch()
    logits, masked = random(len(some.site_type), 119), torch.arange(len(some.site_type)) % 2 == 0
    by_crystal = []
    for crystal in range(len(some)):
        rows = [r for r in range(len(masked)) if some.crystal[r] == crystal and masked[r]]
        entropy, weight = 0.0, 0.0
        for r in rows:
            share = some.fractions[some.site_type[r]] / some.fractions[some.site_type[r]].sum()
            entropy -= float(some.site_weight[r] * (share * logits[r].log_softmax(0)).sum())
            weight += float(some.site_weight[r])
        if rows:
            by_crystal.append(entropy / weight)
    assert float(masked_elements(some, logits, masked)) == pytest.approx(sum(by_crystal) / len(by_crystal))
    assert float(masked_elements(some, logits, torch.zeros_like(masked))) == 0.0


def test_the_noise_loss_is_a_mean_square_and_zero_where_it_is_told() -> None:
    near = encoder().near(batch(), batch().distance)
    true = random(len(near.row))
    assert float(told_noise(batch(), true, true, near)) == 0.0
    # Weights sum to one over the pairs of a site and over the sites of a crystal.
    assert float(told_noise(batch(), true, true + 2.0, near)) == pytest.approx(4.0)


def test_both_directions_of_a_pair_tell_one_noise() -> None:
    head, state = DeepTower(3, CONFIG).double().noise, random(2, 8)
    pair = torch.tensor([0])
    radial, weight = random(1, 12), torch.ones(1, 2)
    there, back = (
        head(state, NearPairs(pair, torch.tensor([a]), torch.tensor([b]), weight, radial)) for a, b in ((0, 1), (1, 0))
    )
    torch.testing.assert_close(there, back)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": ObjectiveConfig(context=0.0, masked=1.0)}, "hops"),
        ({"encoder": CONFIG, "readout": "network", "objective": ObjectiveConfig(context=0.0, local=1.0)}, "moments"),
    ],
)
def test_combinations_that_cannot_work_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(("Row",), **changes)  # type: ignore[arg-type]


def test_noise_needs_a_disturbance() -> None:
    with pytest.raises(ValueError, match="jitter or strain"):
        ObjectiveConfig(noise=1.0, jitter=0.0, strain=0.0)


def test_shapes_that_cannot_be_built_are_refused() -> None:
    for wrong in ({"hops": -1}, {"hops": 1, "hop_width": 9}, {"reach": 0.0}):
        with pytest.raises(ValueError, match=next(reversed(wrong))):
            EncoderConfig(**wrong)  # type: ignore[arg-type]
