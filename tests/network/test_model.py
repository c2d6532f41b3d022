"""Levels, configuration and the model put together: what is learned from what, and what the vectors hold."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from skdim.learning.pretraining import site_statistics
from skdim.network.batches import Batch
from skdim.network.config import NEGATIVES, READOUTS, EncoderConfig, ModelConfig, ObjectiveConfig
from skdim.network.model import CrystalModel, disturbed
from skdim.network.negatives import (
    draw_rows,
    expand,
    other_crystals,
    permute_neighbors,
    replace_distances,
    replace_species,
)
from skdim.network.readout import column_names
from skdim.network.two_level import TwoLevelObjective
from skdim.points.sitetypes import N_ATOMIC_NUMBERS
from tests.daily import crossed
from tests.network.test_infomax import mean_over_crystals, pairs_of, sites, slow_bound
from tests.small import batch_of, handful, handful_points, noise, random, seeded

ENCODER = EncoderConfig(width=8, heads=2, decay=(2.0, 6.0))
PUBLISHED = ObjectiveConfig(local=1.0, global_=1.0, context=0.0)


def config(**changes: object) -> ModelConfig:
    points = handful_points()
    given = {"encoder": ENCODER, "context_encoder": ENCODER, "local_dim": 6, "global_dim": 7, **changes}
    return ModelConfig(points.feature_names, points.interaction_names, **given)  # type: ignore[arg-type]


def model_of(given: ModelConfig) -> CrystalModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = CrystalModel(given, site_statistics(handful_points())).double()
    for parameter in model.parameters():
        parameter.data += 0.05 * random(*parameter.shape)
    return model


@cache
def batch() -> Batch:
    return batch_of(handful_points())


def slow_pool(levels: TwoLevelObjective, some: Batch, local: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pre-pool layers on each site, mean over sites, post-pool layers."""
    rows = []
    for c in range(len(some)):
        mean = sum(weight * levels.before(vector[None]) for vector, weight in sites(some, local, c))
        rows.append(levels.global_(levels.after(mean)))
    return torch.cat([m for m, _ in rows]), torch.cat([v for _, v in rows])


def slow_kl(mean: torch.Tensor, log_variance: torch.Tensor) -> float:
    terms = [(float(m) ** 2 + math.exp(v) - float(v) - 1) / 2 for m, v in zip(mean, log_variance, strict=True)]
    return sum(terms) / len(terms)


def slow_losses(model: CrystalModel, some: Batch, seed: int) -> dict[str, float]:
    """The published losses, the draws made one after the other as the method needs them."""
    levels, features, g = model.two_level, model.features(some), seeded(seed)
    assert levels is not None
    partner = other_crystals(len(some), g)
    mean, variance = levels.local(model.encoder(some, features, some.distance).vector)
    drawn = mean + torch.randn(mean.shape, generator=g, dtype=mean.dtype) * (variance / 2).exp()
    other = draw_rows(some, partner[some.crystal], g).tolist()
    pairs = [pairs_of(some, features, row) for row in range(len(some.site_type))]
    vector = slow_pool(levels, some, mean)
    crystals = vector[0] + torch.randn(vector[0].shape, generator=g, dtype=mean.dtype) * (vector[1] / 2).exp()
    kl = mean_over_crystals(some, lambda r: slow_kl(mean[r], variance[r]))
    kl += sum(slow_kl(vector[0][c], vector[1][c]) for c in range(len(some))) / len(some)
    kinds = {
        "crystal": lambda: None,
        "species": lambda: replace_species(some, partner, g),
        "distances": lambda: replace_distances(expand(some), partner, g),
        "neighbors": lambda: permute_neighbors(expand(some), g),
    }
    total, used = 0.0, [name for name in NEGATIVES if name in model.config.negatives]
    for name in used:
        wrong = kinds[name]()
        false = mean if wrong is None else levels.local(model.encoder(wrong, features, wrong.distance).vector)[0]
        for c in range(len(some)):
            theirs = partner.tolist().index(c) if wrong is None else c
            args = (crystals[c], sites(some, mean, c), sites(some, false, theirs), float(some.sites[theirs]))
            total += slow_bound(levels.global_objective, *args) / len(some) / len(used)
    local = mean_over_crystals(
        some,
        lambda r: slow_bound(levels.local_objective, drawn[r], pairs[r][0], pairs[other[r]][0], pairs[other[r]][1]),
    )
    return {"local": local, "global": total, "kl": 0.1 * kl}


@pytest.mark.parametrize(
    ("negatives", "estimator"), crossed([NEGATIVES, *((name,) for name in NEGATIVES)], ["jsd", "infonce"])
)
def test_the_published_losses_are_those_of_loops(negatives: tuple[str, ...], estimator: str) -> None:
    model = model_of(config(objective=replace(PUBLISHED, estimator=estimator), negatives=negatives))
    with torch.no_grad():
        losses = model.losses(batch(), noise(4))
        slow = slow_losses(model, batch(), 4)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(slow)


def reached(model: CrystalModel, loss: torch.Tensor) -> set[str]:
    """Parts of the model that a loss moves."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    moved = {n for n, g in zip(names, gradients, strict=True) if g is not None and g.abs().max() > 0}
    return {".".join(n.split(".")[: 2 if n.startswith("two_level") else 1]) for n in moved}


def test_the_gradient_stops_between_the_levels() -> None:
    objective = replace(PUBLISHED, context=1.0)
    model = model_of(config(objective=objective))
    losses = model.losses(batch(), noise(4))
    upper = {"two_level.before", "two_level.after", "two_level.global_"}
    assert reached(model, losses["local"]) == {"encoder", "two_level.local", "two_level.local_objective"}
    assert reached(model, losses["global"]) == {*upper, "two_level.global_objective"}
    assert reached(model, losses["kl"]) == {"encoder", "two_level.local", *upper}
    assert reached(model, losses["context"]) == {"context"}


def test_weights_multiply_their_objectives_and_zero_leaves_them_out() -> None:
    one, other = (
        model_of(config(objective=ObjectiveConfig(*w), kl_weight=k)).losses(batch(), noise(4))
        for w, k in (((1.0, 1.0, 1.0), 0.1), ((2.0, 3.0, 5.0), 0.2))
    )
    assert list(one) == ["context", "local", "global", "kl"]
    for name, factor in (("local", 2), ("global", 3), ("context", 5), ("kl", 2)):
        assert other[name].item() == pytest.approx(factor * one[name].item())
    assert list(model_of(config()).losses(batch(), noise())) == ["context"]
    assert list(model_of(config(objective=PUBLISHED)).losses(batch(), noise())) == ["local", "global", "kl"]


def test_a_crystal_alone_can_learn_its_context_but_nothing_that_needs_another() -> None:
    alone = batch_of(handful_points(), [2])
    assert model_of(config()).losses(alone, noise())["context"].isfinite()
    with pytest.raises(ValueError, match="no other crystal"):
        model_of(config(objective=PUBLISHED)).losses(alone, noise())


def test_noise_is_of_each_pair_and_strain_of_each_crystal() -> None:
    many = replace(batch_of(handful_points(), [2] * 400), index=torch.arange(400))
    strained = disturbed(many, ObjectiveConfig(jitter=0.0, strain=0.05), noise()) / many.distance
    of_crystal = [strained[many.crystal[many.row] == c].log() for c in range(400)]
    assert max(float(s.max() - s.min()) for s in of_crystal) < 1e-6
    assert torch.stack([s[0] for s in of_crystal]).std().item() == pytest.approx(0.05, rel=0.2)
    jittered = (disturbed(many, ObjectiveConfig(jitter=0.03, strain=0.0), noise()) / many.distance).log()
    assert jittered.std().item() == pytest.approx(0.03, rel=0.1)
    assert torch.equal(disturbed(many, ObjectiveConfig(jitter=0.0, strain=0.0), noise()), many.distance)


@pytest.mark.parametrize(
    ("readout", "objective"),
    [("moments", ObjectiveConfig()), *((readout, PUBLISHED) for readout in READOUTS)],
)
def test_vectors_have_named_columns_and_do_not_depend_on_other_crystals(
    readout: str, objective: ObjectiveConfig
) -> None:
    context = ENCODER if readout == "moments" else None
    model = model_of(config(objective=objective, readout=readout, context_encoder=context))
    together = model.vectors(batch())
    names = column_names(model.config)
    assert together.shape == (len(batch()), len(names))
    assert len(set(names)) == len(names)
    assert together.isfinite().all()
    alone = torch.cat([model.vectors(batch_of(handful_points(), [c])) for c in range(len(batch()))])
    assert torch.allclose(alone, together, atol=1e-10)


def test_moments_hold_the_raw_features_and_what_the_encoders_say() -> None:
    model = model_of(config())
    names = column_names(model.config)
    values = dict(zip(names, model.vectors(batch()).detach().T, strict=True))
    expected = model.features(batch())[batch().site_type][:, batch_columns("Electronegativity")]
    for c in range(len(batch())):
        own = (batch().crystal == c).nonzero()[:, 0]
        mean = float((expected[own] * batch().site_weight[own]).sum())
        assert float(values["raw_Electronegativity_mean"][c]) == pytest.approx(mean)
        assert float(values["raw_Electronegativity_maximum"][c]) == pytest.approx(float(expected[own].max()))
    parts = {name.split("_")[0] for name in names if "_per_" not in name}
    assert parts == {"raw", "density", "environment", "context", "surprise"}
    iron = 0
    spreads = [v for name, v in values.items() if name.endswith(("deviation", "covariance"))]
    # Of the features, two heads' densities, the surprise, and two environments of width eight.
    assert len(spreads) == len(handful_points().feature_names) + 2 + 1 + 8 + 8
    assert all(abs(float(v[iron])) < 1e-12 for v in spreads)


def test_the_polar_moment_is_the_covariance_of_an_environment_with_electronegativity() -> None:
    model, some = model_of(config()), batch()
    values = dict(zip(column_names(model.config), model.vectors(some).detach().T.numpy(), strict=True))
    contexts = model.site_parts(some)["context"].detach().numpy()
    polarity = model.features(some)[some.site_type][:, batch_columns("Electronegativity")].numpy()
    for c in range(len(some)):
        own = (some.crystal == c).numpy()
        slow = np.cov(contexts[own, 1], polarity[own], bias=True, aweights=some.site_weight[own].numpy())
        assert values["context_1_covariance"][c] == pytest.approx(slow[0, 1], abs=1e-6)


def test_densities_are_site_features_per_volume_and_per_length() -> None:
    model, points = model_of(config()), handful_points()
    values = dict(zip(column_names(model.config), model.vectors(batch()).detach().T.numpy(), strict=True))
    for c, structure in enumerate(handful()):
        volume = structure.volume / sum(s.species.num_atoms for s in structure)
        assert values["occupancy_per_volume"][c] <= 1.001 / volume
        one = points[c]
        weight = one.multiplicity * one.site_types.fractions[one.site_type].sum(1)
        radius = np.average(one.site_types.features[one.site_type][:, batch_columns("AtomicRadius")], weights=weight)
        assert values["AtomicRadius_per_volume"][c] == pytest.approx(radius / volume, rel=1e-4)
        assert values["AtomicRadius_per_length"][c] == pytest.approx(radius / volume ** (1 / 3), rel=1e-4)


def test_densities_by_neighbours_are_those_of_the_sum_of_powers_of_the_distances() -> None:
    model, points = model_of(config()), handful_points()
    names, vectors = column_names(model.config), model.vectors(batch()).detach().numpy()
    assert model.config.encoder.decay is not None
    gentle, steep = min(model.config.encoder.decay), max(model.config.encoder.decay)
    column = batch_columns("AtomicRadius")
    for c in range(len(points)):
        one = points[c]
        occupancy = one.site_types.fractions[one.site_type].sum(1).astype(float)
        weight = one.count * one.weight * occupancy[one.neighbor]
        row = np.repeat(np.arange(len(one.site_type)), np.diff(one.pair_offsets))
        for p in (gentle, steep):
            spacing = np.bincount(row, weight / one.distance.astype(float) ** p) ** (-1 / p)
            for kind, power in (("length", 1), ("volume", 3)):
                slow = np.average(
                    one.site_types.features[one.site_type][:, column] / spacing**power,
                    weights=one.multiplicity * occupancy,
                )
                assert vectors[c, names.index(f"AtomicRadius_per_{kind}_d{p:g}")] == pytest.approx(slow, rel=1e-4)


def test_with_logarithms_amounts_per_volume_of_every_spacing_are_read() -> None:
    encoder = replace(ENCODER, heads=4, decay=(2.0, 4.0, 6.0, 8.0))
    few = model_of(config(encoder=encoder, context_encoder=encoder))
    many = CrystalModel(replace(few.config, log_densities=True), site_statistics(handful_points())).double()
    many.load_state_dict(few.state_dict())
    of_few, of_many = (
        dict(zip(column_names(m.config), m.vectors(batch()).detach().T.numpy(), strict=True)) for m in (few, many)
    )
    spacings = ["", *(f"_d{p:g}" for p in (2, 4, 6, 8))]
    assert {f"AtomicRadius_per_volume{spacing}" for spacing in spacings} <= set(of_many)
    both = [name for name in of_few if "_per_length" not in name]
    assert all(np.array_equal(of_few[name], of_many[name]) for name in both)
    assert set(of_many) - set(of_few) == {
        *(f"log_{name}_per_length{p}{s}" for name in few.config.feature_names for p in range(1, 7) for s in spacings),
        *(f"{name}_per_volume{s}" for name in few.config.feature_names for s in ("_d4", "_d6")),
    }


def test_logarithms_are_those_of_amounts_per_powers_of_the_spacings() -> None:
    plain, points = model_of(config()), handful_points()
    model = CrystalModel(replace(plain.config, log_densities=True), site_statistics(points)).double()
    names, vectors = column_names(model.config), model.vectors(batch()).detach().numpy()
    assert model.config.encoder.decay is not None
    decay, column = max(model.config.encoder.decay), batch_columns("AtomicRadius")
    size = math.hypot(float(model.feature_mean[column]), float(model.feature_scale[column]))
    for c in range(len(points)):
        one = points[c]
        occupancy = one.site_types.fractions[one.site_type].sum(1).astype(float)
        radius, share = one.site_types.features[one.site_type][:, column], one.multiplicity * occupancy
        row = np.repeat(np.arange(len(one.site_type)), np.diff(one.pair_offsets))
        sums = np.bincount(row, one.count * one.weight * occupancy[one.neighbor] / one.distance.astype(float) ** decay)
        of_cell = np.full(len(share), float(one.volume[0]) ** (-1 / 3))
        for spacing, inverse in (("", of_cell), (f"_d{decay:g}", sums ** (1 / decay))):
            for p in (1, 4, 6):
                crowding = np.average(inverse**p, weights=share)
                seen = np.average(radius, weights=share * inverse**p)
                slow = np.log((seen + 0.03 * size) * crowding)
                found = vectors[c, names.index(f"log_AtomicRadius_per_length{p}{spacing}")]
                assert found == pytest.approx(slow, abs=1e-4)


@pytest.mark.parametrize("n_read", [1, 3, 999])
def test_the_first_units_of_the_context_are_read_and_all_of_them_learned(n_read: int) -> None:
    whole, width = model_of(config()), config().context_width
    part = CrystalModel(replace(whole.config, context_read=n_read), site_statistics(handful_points())).double()
    part.load_state_dict(whole.state_dict())
    of_whole, of_part = (
        dict(zip(column_names(m.config), m.vectors(batch()).detach().T.numpy(), strict=True)) for m in (whole, part)
    )
    left_out = set(of_whole) - set(of_part)
    assert left_out == {f"context_{k}_{how}" for k in range(n_read, width) for how in ("mean", "covariance")}
    assert all(np.array_equal(of_part[name], of_whole[name]) for name in of_part)
    assert part.losses(batch(), noise())["context"] == whole.losses(batch(), noise())["context"]


def test_there_is_a_logarithm_of_an_amount_of_nothing() -> None:
    points = handful_points()
    model = CrystalModel(replace(config(), log_densities=True), site_statistics(points)).double()
    for value in (0.0, -1.0, 1e-30):
        nothing = replace(batch(), features=torch.full_like(batch().features, value))
        assert torch.isfinite(model.double().vectors(nothing)).all()


def test_without_decays_densities_are_those_of_the_cell_alone() -> None:
    flat = replace(config().encoder, decay=None)
    model = model_of(config(encoder=flat, context_encoder=flat))
    amounts = [n for n in column_names(model.config) if "_per_" in n]
    assert len(amounts) == 2 * len(handful_points().feature_names)
    assert model.vectors(batch()).shape[1] == len(column_names(model.config))


def batch_columns(name: str) -> int:
    return handful_points().feature_names.index(name)


def test_features_are_standardised_over_the_atoms_of_the_pretraining_set() -> None:
    points = handful_points()
    mean, scale, share = site_statistics(points)
    rows, weights, elements = [], [], np.zeros(N_ATOMIC_NUMBERS)
    for crystal in range(len(points)):
        one = points[crystal]
        occupancy = one.site_types.fractions[one.site_type].sum(1)
        atoms = one.multiplicity * occupancy / (one.multiplicity * occupancy).sum() / len(points)
        rows.append(one.site_types.features[one.site_type])
        weights.append(atoms)
        elements += atoms @ (one.site_types.fractions[one.site_type] / occupancy[:, None])
    values, weight = np.concatenate(rows), np.concatenate(weights)
    slow = np.average(values, axis=0, weights=weight)
    assert mean.numpy() == pytest.approx(slow, rel=1e-5)
    deviation = np.sqrt(np.average((values - slow) ** 2, axis=0, weights=weight))
    assert scale.numpy() == pytest.approx(np.where(deviation > 1e-6, deviation, 1.0), rel=1e-5)
    assert share.numpy() == pytest.approx(elements, abs=1e-6)


def test_a_configuration_survives_json() -> None:
    given = config(objective=replace(PUBLISHED, estimator="dv"), negatives=("species", "crystal"), kl_weight=0.3)
    for one in (given, replace(given, context_encoder=None), config()):
        assert ModelConfig.from_dict(json.loads(json.dumps(one.as_dict()))) == one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"negatives": ()}, "negatives"),
        ({"negatives": ("crystal", "cell")}, "cell"),
        ({"negatives": ("crystal", "crystal")}, "negatives"),
        ({"readout": "mean"}, "readout must be 'moments' or 'network', got 'mean'"),
        ({"kl_weight": -0.1}, "kl_weight must be .*, got -0.1"),
        ({"kl_weight": math.nan}, "kl_weight must be .*, got nan"),
        ({"context_encoder": None}, "'context'"),
    ],
)
def test_combinations_that_cannot_work_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**change)
