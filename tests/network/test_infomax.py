"""The objectives against loops over expanded pairs, sites and elements, written from the formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from skdim.crystals.crystal import crystal_of
from skdim.network.batches import Batch
from skdim.network.estimators import ESTIMATORS
from skdim.network.infomax import (
    ContextObjective,
    Critic,
    Gaussian,
    GlobalObjective,
    LocalObjective,
    site_pair_weights,
    surprise,
)
from skdim.network.negatives import draw_rows, other_crystals
from skdim.points.assembly import assemble
from skdim.points.chunks import cells_and_site_types
from skdim.points.featurizer import CrystalPointSetTransformer
from skdim.points.sitetypes import N_ATOMIC_NUMBERS
from tests.daily import slow
from tests.handmade import iron, perovskite, silicon
from tests.network.test_estimators import SLOW
from tests.small import batch_of, handful_points, mixture, random, seeded, unit_features

Sample = tuple[torch.Tensor, float]  # a vector and its weight


@pytest.fixture(scope="module", params=["shell", "supercell"])
def batch(request: pytest.FixtureRequest) -> Batch:
    return batch_of(handful_points(neighborhood=request.param))


def critic_of(module: LocalObjective | GlobalObjective, anchor: torch.Tensor, sample: torch.Tensor) -> float:
    """T(a, b) = f(a) . h(b), both sides computed in full."""
    critic = module.critic
    return float(critic.query(anchor) @ critic.key(critic.hidden(sample)))


def slow_bound(
    module: LocalObjective | GlobalObjective, anchor: torch.Tensor, true: list[Sample], false: list[Sample], n: float
) -> float:
    """One anchor's loss, its samples one by one."""
    scored = [[(critic_of(module, anchor, vector), weight) for vector, weight in some] for some in (true, false)]
    return SLOW[module.estimator](*scored, n)


def pairs_of(batch: Batch, features: torch.Tensor, row: int) -> tuple[list[Sample], float]:
    """Every copy of every pair of a site: [x_j, d_ij] weighted by (1 + d)^-2, and how many there are."""
    vectors, weights, n = [], [], 0.0
    for p in (batch.row == row).nonzero()[:, 0].tolist():
        d = float(batch.distance[p])
        one = math.exp(float(batch.log_count[p])) / int(batch.count[p])
        vector = torch.cat([features[batch.site_type[batch.neighbor[p]]], batch.distance[p : p + 1]])
        vectors += [vector] * int(batch.count[p])
        weights += [one * (1 + d) ** -2] * int(batch.count[p])
        n += one * int(batch.count[p])
    return [(v, w / sum(weights)) for v, w in zip(vectors, weights, strict=True)], n


def mean_over_crystals(batch: Batch, of_site: Callable[[int], float]) -> float:
    """Mean over crystals of the mean over their sites."""
    weight = batch.site_weight.tolist()
    return sum(weight[row] * of_site(row) for row in range(len(weight))) / len(batch)


@pytest.mark.parametrize("estimator", ["infonce", "jsd", *slow(*sorted(ESTIMATORS.keys() - {"infonce", "jsd"}))])
def test_the_local_loss_is_that_of_loops_over_expanded_pairs(batch: Batch, estimator: str) -> None:
    features, local = unit_features(batch), random(len(batch.site_type), 6)
    objective = LocalObjective(6, features.shape[1], estimator).double()
    partner = other_crystals(len(batch), seeded(5))
    other = draw_rows(batch, partner[batch.crystal], seeded(9)).tolist()
    assert all(batch.crystal[o] != batch.crystal[r] for r, o in enumerate(other))
    with torch.no_grad():
        loss = objective(batch, features, local, partner, seeded(9))
        found = [pairs_of(batch, features, row) for row in range(len(batch.site_type))]
        slow = mean_over_crystals(
            batch, lambda r: slow_bound(objective, local[r], found[r][0], found[other[r]][0], found[other[r]][1])
        )
    assert float(loss) == pytest.approx(slow)


def test_pair_weights_fall_as_the_inverse_square_and_sum_to_one(batch: Batch) -> None:
    weight = site_pair_weights(batch)
    for row in range(len(batch.site_type)):
        own = (batch.row == row).nonzero()[:, 0]
        assert float(weight[own].sum()) == pytest.approx(1.0)
        one = weight[own] / batch.log_count[own].exp() * (1 + batch.distance[own]) ** 2
        assert torch.allclose(one, one[:1])


@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
def test_the_global_loss_is_that_of_loops_over_sites(estimator: str) -> None:
    batch = batch_of(handful_points())
    objective = GlobalObjective(7, 6, estimator).double()
    vector, local, wrong = (
        random(len(batch), 7),
        random(len(batch.site_type), 6, seed=1),
        random(len(batch.site_type), 6, seed=2),
    )
    partner = other_crystals(len(batch), seeded(5))
    with torch.no_grad():
        loss = objective(batch, vector, local, [(local, partner[batch.crystal]), (wrong, batch.crystal)])
        slow = sum(
            slow_bound(objective, vector[c], sites(batch, local, c), sites(batch, theirs, o), float(atoms_of(o)))
            for c in range(len(batch))
            for theirs, o in ((local, partner.tolist().index(c)), (wrong, c))
        )
    assert float(loss) == pytest.approx(slow / (2 * len(batch)))


def sites(batch: Batch, vectors: torch.Tensor, crystal: int) -> list[Sample]:
    """A crystal's environments with their shares of its sites."""
    own = (batch.crystal == crystal).nonzero()[:, 0].tolist()
    return [(vectors[row], float(batch.site_weight[row])) for row in own]


def atoms_of(crystal: int) -> float:
    """Sites in the formula unit, counted by occupancy: Fe, NaCl, SrTiO3, TiO2, Si, the mixture."""
    return [1.0, 2.0, 5.0, 3.0, 1.0, 1.9][crystal]


@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
def test_losses_do_not_depend_on_the_symmetry_reduction(estimator: str) -> None:
    work = CrystalPointSetTransformer(site_features="paper", n_neighbors=10).work()
    config, table = work.config, work.features
    # Two crystals have one partner each, and in the second two every site is like the others.
    cells, site_types = cells_and_site_types([crystal_of(perovskite()), crystal_of(mixture())], table)
    both = [batch_of(assemble(cells, site_types, config, reduce=reduce)) for reduce in (True, False)]
    cells, site_types = cells_and_site_types([crystal_of(iron()), crystal_of(silicon())], table)
    alike = [batch_of(assemble(cells, site_types, config, reduce=reduce)) for reduce in (True, False)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        level = GlobalObjective(4, 9, estimator).double()
        local = LocalObjective(9, 9, estimator).double()
    partner, losses = torch.tensor([1, 0]), []
    with torch.no_grad():
        for whole, single in zip(both, alike, strict=True):
            vectors = unit_scale(whole)[whole.site_type]
            wide = level(whole, random(2, 4), vectors, [(vectors, partner[whole.crystal])])
            features = unit_scale(single)
            losses.append((float(wide), float(local(single, features, features[single.site_type], partner, seeded()))))
    # The features are of single precision, and a loss may be a small difference of larger numbers.
    assert losses[0] == pytest.approx(losses[1], rel=1e-6, abs=1e-7)


def unit_scale(batch: Batch) -> torch.Tensor:
    """Features that do not depend on what else is in the batch."""
    return batch.features / 50


def test_the_context_objective_is_a_softmax_over_elements_in_proportion_to_their_shares() -> None:
    batch = batch_of(handful_points())
    share = torch.zeros(N_ATOMIC_NUMBERS)
    share[[8, 22, 26, 38]] = torch.tensor([0.5, 0.2, 0.2, 0.1])
    objective = ContextObjective(6, share).double()
    torch.nn.init.normal_(objective.bias, generator=seeded(1))
    context = random(len(batch.site_type), 6)
    with torch.no_grad():
        unexpected = surprise(batch, objective.log_probabilities(context))
        critic = objective.query(context) @ objective.key.T + objective.bias
        loss = objective(batch, context)
    chance = share.double().clamp_min(1e-6)
    slow = []
    for row, site_type in enumerate(batch.site_type.tolist()):
        crowd = sum(float(chance[z]) * math.exp(float(critic[row, z])) for z in range(N_ATOMIC_NUMBERS))
        content = batch.fractions[site_type] / batch.fractions[site_type].sum()
        # InfoNCE: how much better the true element scores than the elements drawn from the pretraining set.
        gain = {z: float(critic[row, z]) - math.log(crowd) for z in range(N_ATOMIC_NUMBERS)}
        slow.append(-sum(float(content[z]) * (gain[z] + math.log(float(chance[z]))) for z in range(N_ATOMIC_NUMBERS)))
    assert unexpected.tolist() == pytest.approx(slow)
    assert float(loss) == pytest.approx(mean_over_crystals(batch, lambda row: slow[row]))


def test_a_context_that_tells_nothing_leaves_the_shares_of_the_elements() -> None:
    batch = batch_of(handful_points())
    share = torch.rand(N_ATOMIC_NUMBERS, generator=seeded())
    objective = ContextObjective(6, share / share.sum()).double()
    torch.nn.init.zeros_(objective.query.weight)
    torch.nn.init.zeros_(objective.query.bias)
    found = objective.log_probabilities(random(len(batch.site_type), 6)).exp()
    assert torch.allclose(found, (share / share.sum()).double().expand_as(found))


def test_drawn_vectors_have_the_mean_and_variance_they_are_said_to_have() -> None:
    mean, log_variance = torch.full((4000, 2), 3.0), torch.tensor([0.0, -2.0]).expand(4000, 2)
    drawn = Gaussian.draw(mean, log_variance, seeded())
    assert drawn.mean(0).tolist() == pytest.approx([3.0, 3.0], abs=0.1)
    assert drawn.var(0).log().tolist() == pytest.approx([0.0, -2.0], abs=0.1)


def test_the_critic_is_the_product_of_both_sides_in_full() -> None:
    critic = Critic(5, 3).double()
    anchors, samples = random(4, 5), random(6, 3, seed=1)
    slow = critic.query(anchors) @ critic.key(critic.hidden(samples)).T
    assert torch.allclose(critic.anchors(anchors) @ critic.samples(samples).T, slow)


@pytest.mark.slow
def test_a_trained_critic_approaches_the_log_density_ratio() -> None:
    """Environments that tell which of two elements is near: T must become log p(z | l) / p(z)."""
    rng = np.random.default_rng(0)
    element = torch.from_numpy(rng.choice([0, 1], 400, p=[0.75, 0.25]))
    vectors = torch.nn.functional.one_hot(element, 2).double()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        critic = Critic(2, 2, n_dot=8).double()
    optimizer = torch.optim.Adam(critic.parameters(), 0.03)
    p = vectors.mean(0)
    for _ in range(250):
        score = critic.anchors(torch.eye(2, dtype=torch.float64)) @ critic.samples(torch.eye(2, dtype=torch.float64)).T
        # True samples of an anchor: its own element nine times in ten; false ones: any, as often as it is there.
        own = 0.9 * torch.eye(2, dtype=torch.float64) + 0.1 * torch.eye(2, dtype=torch.float64).flip(0)
        loss = (own * torch.nn.functional.softplus(-score) + p * torch.nn.functional.softplus(score)).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert torch.allclose(score, (own / p).log(), atol=0.05)
