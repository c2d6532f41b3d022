"""The encoder against its slow twin, and what must not change its vectors."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skdim.crystals.crystal import crystal_of
from skdim.network import encoder as encoders
from skdim.network import segments
from skdim.network.batches import Batch, row_ranges
from skdim.network.config import EncoderConfig
from skdim.network.encoder import SiteNetEncoder
from skdim.points.assembly import assemble
from skdim.points.chunks import cells_and_site_types
from skdim.points.featurizer import CrystalPointSetTransformer
from skdim.points.pointsets import PointSets
from tests.daily import crossed, slow
from tests.encoder_twin import slow_encoder
from tests.small import batch_of, handful, handful_points, random, unit_features

DEFAULT = EncoderConfig(width=8, heads=2, decay=(2.0, 6.0))
PAPER = EncoderConfig(width=8, heads=1, block="sitenet", decay=None, difference=False, activation="mish")
CONFIGS = {
    "default": DEFAULT,
    "paper": PAPER,
    "paper, two heads": replace(PAPER, heads=2, activation="gelu"),
    "default, flat, relu": replace(DEFAULT, decay=None, activation="relu"),
    "default, no differences": replace(DEFAULT, difference=False),
    "two blocks": replace(DEFAULT, blocks=2),
    "paper, three blocks": replace(PAPER, blocks=3),
}
SHALLOW = [name for name, config in CONFIGS.items() if config.blocks == 1]


@cache
def batch(neighborhood: str = "shell") -> Batch:
    return batch_of(handful_points(neighborhood=neighborhood, supercell_size=12))


def build(config: EncoderConfig, batch: Batch, hide_centre: bool = False, seed: int = 0) -> SiteNetEncoder:
    """An encoder none of whose weights is zero."""
    encoder = SiteNetEncoder(batch.features.shape[1], batch.extra.shape[1], config, hide_centre).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    return encoder


def gradients(encoder: SiteNetEncoder, vector: torch.Tensor, partition: torch.Tensor) -> list[torch.Tensor]:
    """Of a random function of the output."""
    loss = (vector * random(*vector.shape)).sum() + (partition * random(*partition.shape, seed=1)).sum()
    return list(torch.autograd.grad(loss, list(encoder.parameters()), allow_unused=True, materialize_grads=True))


def assert_twins(encoder: SiteNetEncoder, some: Batch, distance: torch.Tensor) -> None:
    features = unit_features(some)
    fast = encoder(some, features, distance)
    vector, partition = slow_encoder(encoder, some, features, distance)
    assert torch.allclose(fast.vector, vector, atol=1e-10)
    assert torch.allclose(fast.log_partition, partition, atol=1e-10)
    ours = gradients(encoder, fast.vector, fast.log_partition)
    theirs = gradients(encoder, vector, partition)
    for name, mine, other in zip(dict(encoder.named_parameters()), ours, theirs, strict=True):
        assert torch.allclose(mine, other, atol=1e-8), name
    assert sum(bool(g.abs().max() > 1e-6) for g in ours) > 0.7 * len(ours)


@pytest.mark.parametrize("neighborhood", ["shell", *slow("supercell")])
@pytest.mark.parametrize("name", [*SHALLOW, *slow("two blocks", "paper, three blocks")])
def test_the_encoder_is_its_slow_twin(name: str, neighborhood: str) -> None:
    some = batch(neighborhood)
    assert_twins(build(CONFIGS[name], some), some, some.distance)


@pytest.mark.parametrize(
    ("name", "neighborhood"), crossed(["default", "paper", "default, flat, relu"], ["shell", "supercell"])
)
def test_the_encoder_that_hides_the_centre_is_its_slow_twin(name: str, neighborhood: str) -> None:
    some = batch(neighborhood)
    assert_twins(build(CONFIGS[name], some, hide_centre=True), some, some.distance)


def test_disturbed_distances_take_the_place_of_the_batch_own() -> None:
    some = batch()
    assert_twins(build(DEFAULT, some), some, some.distance * (0.1 * random(len(some.distance))).exp())


def test_attention_sums_to_one_over_each_site() -> None:
    some = batch()
    attention = build(DEFAULT, some)(some, unit_features(some), some.distance).attention(some)
    total = torch.zeros(len(some.site_type), 2, dtype=torch.float64).index_add(0, some.row, attention)
    assert torch.allclose(total, torch.ones_like(total))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_crystal_alone_is_the_same_crystal_among_others(name: str) -> None:
    points = handful_points()
    encoder = build(CONFIGS[name], batch())
    together = batch_of(points)
    vector = encoder(together, together.features / 50, together.distance).vector
    for crystal in range(len(points)):
        alone = batch_of(points, [crystal])
        single = encoder(alone, alone.features / 50, alone.distance).vector
        assert torch.allclose(single, vector[together.crystal == crystal], atol=1e-10)


def shuffled(points: PointSets, rng: np.random.Generator) -> tuple[PointSets, np.ndarray]:
    """One crystal with its rows, and the pairs of each row, in another order."""
    order = rng.permutation(len(points.site_type))
    place = np.argsort(order)
    pairs = [rng.permutation(np.arange(points.pair_offsets[r], points.pair_offsets[r + 1])) for r in order]
    flat = np.concatenate(pairs)
    columns = {name: getattr(points, name)[flat] for name in ("distance", "count", "weight", "extra")}
    return replace(
        points,
        pair_offsets=np.r_[0, np.cumsum([len(p) for p in pairs])],
        site_type=points.site_type[order],
        multiplicity=points.multiplicity[order],
        neighbor=place[points.neighbor[flat]].astype(np.int32),
        **columns,
    ).validate(), order


@pytest.mark.parametrize("name", CONFIGS)
def test_the_order_of_rows_and_pairs_only_orders_the_vectors(name: str) -> None:
    points = handful_points()[[2]]
    other, order = shuffled(points, np.random.default_rng(2))
    assert not np.array_equal(order, np.arange(len(order)))
    ours, theirs = batch_of(points), batch_of(other)
    encoder = build(CONFIGS[name], ours)
    vector = encoder(ours, ours.features / 50, ours.distance).vector
    assert torch.allclose(encoder(theirs, theirs.features / 50, theirs.distance).vector, vector[order], atol=1e-10)


@pytest.mark.parametrize("block", ["separable", "sitenet"])
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_merging_what_symmetry_makes_alike_changes_no_vector(block: str, blocks: int) -> None:
    work = CrystalPointSetTransformer(site_features="paper", n_neighbors=10).work()
    config, table = work.config, work.features
    cells, site_types = cells_and_site_types([crystal_of(s) for s in handful()], table)
    merged, single = (batch_of(assemble(cells, site_types, config, reduce=reduce)) for reduce in (True, False))
    encoder = build(replace(DEFAULT if block == "separable" else PAPER, blocks=blocks), merged)
    means = []
    for some in (merged, single):
        vector = encoder(some, some.features / 50, some.distance).vector
        sites = vector * some.site_weight[:, None]
        means.append(torch.zeros(len(some), vector.shape[1], dtype=torch.float64).index_add(0, some.crystal, sites))
    assert len(single.site_type) > 2 * len(merged.site_type)
    assert torch.allclose(means[0], means[1], rtol=1e-5, atol=1e-8)


def test_before_training_attention_falls_with_each_head_s_power_of_the_distance() -> None:
    some = batch("supercell")
    encoder = SiteNetEncoder(some.features.shape[1], some.extra.shape[1], DEFAULT).double()
    attention = encoder(some, unit_features(some), some.distance).attention(some)
    for row in range(len(some.site_type)):
        own = some.row == row
        for head, power in enumerate((2.0, 6.0)):
            d = some.distance[own]
            weight = torch.where(d > 0, some.log_count[own].exp() * d**-power, 0.0)
            assert torch.allclose(attention[own, head], weight / weight.sum(), atol=1e-6)


@pytest.mark.parametrize(("name", "learned"), crossed(CONFIGS, [True, False]))
def test_what_is_saved_without_gradients_changes_nothing(name: str, learned: bool) -> None:
    some = batch()
    encoder = build(CONFIGS[name], some)
    if not learned:
        for block in encoder.blocks:
            torch.nn.init.zeros_(block.logit.weight)
    features, distance = unit_features(some), some.distance.double()
    with_gradients = encoder(some, features, distance)
    with torch.no_grad():
        without = encoder(some, features, distance)
    for one, other in zip(with_gradients, without, strict=True):
        torch.testing.assert_close(one.detach(), other)


@pytest.mark.parametrize(
    ("name", "hide_centre"), crossed(["paper", "paper, three blocks", "two blocks"], [False, True])
)
def test_a_large_batch_is_encoded_some_rows_after_the_others(
    name: str, hide_centre: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = batch("supercell")
    encoder = build(replace(CONFIGS[name], blocks=1) if hide_centre else CONFIGS[name], some, hide_centre)
    with torch.no_grad():
        whole = encoder(some, unit_features(some), some.distance)
        monkeypatch.setattr(encoders, "_LARGE", 0)
        monkeypatch.setattr(encoders, "_PART", 12)
        assert len(list(row_ranges(some, 12))) > 3
        parts = encoder(some, unit_features(some), some.distance)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_ranges_of_rows_hold_all_pairs_in_order() -> None:
    some = batch()
    ranges = list(row_ranges(some, 25))
    assert [r for rows, _ in ranges for r in range(rows.start, rows.stop)] == list(range(len(some.site_type)))
    assert [p for _, cut in ranges for p in range(cut.start, cut.stop)] == list(range(len(some.row)))
    for rows, cut in ranges:
        assert set(some.row[cut].tolist()) == set(range(rows.start, rows.stop))
        assert cut.stop - cut.start <= 25 or rows.stop - rows.start == 1


class Looks(TorchDispatchMode):
    """Counts how often the host asks for a value of a tensor, which makes it wait where tensors are on a device."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("name", "neighborhood"), crossed(CONFIGS, ["shell", "supercell"]))
def test_off_the_processor_no_value_is_asked_for(name: str, neighborhood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only on the processor are logits looked at, to save work; what comes out is the same."""
    some = batch(neighborhood)
    encoder = build(CONFIGS[name], some)
    with torch.no_grad():
        usual = encoder(some, unit_features(some), some.distance)
        monkeypatch.setattr(segments, "_are_moderate", lambda logits, bound: False)
        features = unit_features(some)
        with Looks() as looks:
            other = encoder(some, features, some.distance)
    assert looks.count == 0
    for one, two in zip(usual, other, strict=True):
        torch.testing.assert_close(one, two)
