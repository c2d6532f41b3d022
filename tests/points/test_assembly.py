"""Point sets of known crystals: rows as crystallography counts them, and the same vectors reduced or not."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from pymatgen.core import Element, Lattice, Structure

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets
from skdim.crystals.crystal import crystal_of
from skdim.network.batches import collate
from skdim.network.model import CrystalModel
from skdim.points.assembly import assemble
from skdim.points.chunks import cells_and_site_types
from tests.bundled import OTHERWISE, bundled_crystal, sample
from tests.daily import crossed, slow
from tests.handmade import iron, of_space_group, perovskite, salt, silicon
from tests.small import mixture, rutile

QUARTZ = of_space_group(
    "P3_221", Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 2 / 3], [0.4133, 0.2672, 0.7855]]
)
SPINEL = of_space_group("Fd-3m", Lattice.cubic(8.083), ["Mg", "Al", "O"], [[0] * 3, [5 / 8] * 3, [0.3874] * 3])
GARNET = of_space_group(
    "Ia-3d",
    Lattice.cubic(12.0),
    ["Y", "Al", "Al", "O"],
    [[1 / 8, 0, 1 / 4], [0] * 3, [3 / 8, 0, 1 / 4], [0.97, 0.05, 0.15]],
)
WURTZITE = of_space_group(
    "P6_3mc", Lattice.hexagonal(3.81, 6.26), ["Zn", "S"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3748]]
)
# Sites of the asymmetric unit with their shares: the Wyckoff positions 4a and 4b of rock salt, ...
KNOWN = {
    "iron": (iron(), {"Fe": [1]}),
    "rock salt": (salt(), {"Na": [1], "Cl": [1]}),
    "diamond": (silicon(), {"Si": [1]}),
    "perovskite": (perovskite(), {"Sr": [1], "Ti": [1], "O": [3]}),
    "rutile": (rutile(), {"Ti": [1], "O": [2]}),
    "quartz": (QUARTZ, {"Si": [1], "O": [2]}),
    "wurtzite": (WURTZITE, {"Zn": [1], "S": [1]}),
    "spinel": (SPINEL, {"Mg": [1], "Al": [2], "O": [4]}),
    "garnet": (GARNET, {"Y": [3], "Al": [2, 3], "O": [12]}),
}


def featurized(crystals: list[Structure], **params: Any) -> PointSets:
    return CrystalPointSetTransformer(**params).fit_transform(crystals)


@cache
def both(neighborhood: str, site_features: str) -> tuple[PointSets, PointSets]:
    """Return point sets of the same crystals, reduced and unreduced, on the same snapped distances."""
    crystals = [*sample(14), *(crystal for crystal, _ in KNOWN.values() if len(crystal) < 60), mixture()]
    work = CrystalPointSetTransformer(neighborhood, site_features=site_features).work()
    config, table = work.config, work.features
    cells, site_types = cells_and_site_types([crystal_of(s) for s in crystals], table)
    reduced, unreduced = (assemble(cells, site_types, config, reduce=reduce) for reduce in (True, False))
    return reduced.validate(), unreduced.validate()


def rows_of(points: PointSets) -> Counter:
    """Return the rows of one crystal with their pairs, exact and in no order."""
    neighbor_site_type = points.site_type[points.neighbor]
    rows: Counter = Counter()
    for s in range(len(points.site_type)):
        p = slice(points.pair_offsets[s], points.pair_offsets[s + 1])
        content = points.site_types.features[points.site_type[s]].tobytes()
        others = [points.site_types.features[k].tobytes() for k in neighbor_site_type[p]]
        columns = (points.distance[p], points.count[p], points.weight[p], points.extra[p].sum(1))
        pairs = tuple(sorted(zip(others, *(c.tolist() for c in columns), strict=True)))
        rows[content, int(points.multiplicity[s]), pairs] += 1
    return rows


# ---------------------------------------------------------------- counts


@pytest.mark.parametrize("name", KNOWN)
def test_rows_are_the_sites_of_the_asymmetric_unit(name: str) -> None:
    crystal, known = KNOWN[name]
    points = featurized([crystal], site_features=["Number"])
    found: dict[str, list[int]] = {}
    for site_type, multiplicity in zip(points.site_type, points.multiplicity, strict=True):
        symbol = Element.from_Z(int(points.site_types.features[site_type, 0])).symbol
        found.setdefault(symbol, []).append(int(multiplicity))
    assert {s: sorted(m) for s, m in found.items()} == known


def test_shells_are_those_of_the_textbook() -> None:
    points = featurized([salt()], n_neighbors=6 + 12)
    sodium = slice(points.pair_offsets[0], points.pair_offsets[1])
    a = 5.64
    assert points.count[sodium][:2].tolist() == [6, 12]
    np.testing.assert_allclose(points.distance[sodium][:2], [a / 2, a / 2**0.5], rtol=1e-6)
    assert points.volume[0] == pytest.approx(a**3 / 8)


@pytest.mark.parametrize("neighborhood", ["shell", "supercell"])
def test_multiplicities_have_no_common_divisor_and_share_the_sites(neighborhood: str) -> None:
    crystals = sample(40)
    points = featurized(crystals, neighborhood=neighborhood)
    for one, crystal in zip(points, crystals, strict=True):
        assert np.gcd.reduce(one.multiplicity) == 1
        total = one.multiplicity.sum()
        assert len(crystal) % total == 0
        shares = np.bincount(one.site_type, one.multiplicity / total)
        expected = crystal.composition.fractional_composition.values()
        assert sorted(shares[shares > 0]) == pytest.approx(sorted(expected))


def test_every_row_has_complete_shells() -> None:
    points = featurized(sample(60), n_neighbors=48)
    row = np.repeat(np.arange(len(points.site_type)), np.diff(points.pair_offsets))
    assert np.bincount(row, points.count * (points.weight == 1)).min() >= 48
    assert (points.distance > 0).all()
    assert (points.weight > 0).all()
    assert (points.weight <= 1).all()


def test_every_row_of_a_supercell_sees_all_its_atoms_and_itself() -> None:
    points = featurized(sample(30), neighborhood="supercell")
    row = np.repeat(np.arange(len(points.site_type)), np.diff(points.pair_offsets))
    counts = np.bincount(row, points.count)
    for one, sites in zip(points, np.split(counts, points.site_offsets[1:-1]), strict=True):
        assert len(set(sites)) == 1
        assert sites[0] % one.multiplicity.sum() == 0
    own = points.distance == 0
    assert np.bincount(row[own], points.count[own]).tolist() == [1] * len(points.site_type)
    assert (points.weight == 1).all()


# ---------------------------------------------------------------- one point set whatever the description


@pytest.mark.parametrize(
    "way", ["supercell", "Niggli cell", *slow(*(way for way in OTHERWISE if way not in ("supercell", "Niggli cell")))]
)
def test_every_description_gives_the_same_point_set_bit_by_bit(way: str) -> None:
    rng = np.random.default_rng(7)
    crystals = [*sample(25), *(crystal for crystal, _ in KNOWN.values() if len(crystal) < 60), mixture()]
    ours = featurized(crystals)
    theirs = featurized([OTHERWISE[way](crystal, rng) for crystal in crystals])
    for one, other in zip(ours, theirs, strict=True):
        assert rows_of(one) == rows_of(other)
    np.testing.assert_allclose(theirs.volume, ours.volume, rtol=1e-6)


def test_several_supercells_and_the_primitive_cell_are_one() -> None:
    crystal = KNOWN["perovskite"][0]
    cells = [crystal, crystal * (2, 1, 1), crystal * (2, 2, 2), crystal * (1, 3, 2)]
    first, *others = featurized(cells)
    assert all(one.equals(first) for one in others)


# ---------------------------------------------------------------- reduced and unreduced


@pytest.mark.parametrize("neighborhood", ["shell", "supercell"])
def test_the_reduction_loses_no_pair(neighborhood: str) -> None:
    reduced, unreduced = both(neighborhood, "magpie")
    assert len(unreduced.site_type) > 1.5 * len(reduced.site_type)
    assert len(unreduced.neighbor) > (2.5 if neighborhood == "supercell" else 5) * len(reduced.neighbor)
    for one, whole in zip(reduced, unreduced, strict=True):
        copies = len(whole.site_type) // one.multiplicity.sum()
        row = np.repeat(np.arange(len(one.site_type)), np.diff(one.pair_offsets))
        merged: Counter = Counter()
        for site_type, other, d, w, n in zip(
            one.site_type[row], one.site_type[one.neighbor], one.distance, one.weight,
            copies * one.multiplicity[row] * one.count, strict=True,
        ):  # fmt: skip
            merged[int(site_type), int(other), float(d), float(w)] += int(n)
        row = np.repeat(np.arange(len(whole.site_type)), np.diff(whole.pair_offsets))
        columns = (whole.site_type[row], whole.site_type[whole.neighbor], whole.distance, whole.weight)
        assert merged == Counter(zip(*(c.tolist() for c in columns), strict=True))


def random_model(points: PointSets, preset: str, encoder: dict[str, Any]) -> CrystalModel:
    """Return a model whose attention is far from flat and far from its initial values."""
    embedder = DeepInfoMaxEmbedder(preset=preset, encoder_params=encoder, max_epochs=0, random_state=0).fit(points)
    model = embedder.state_.model()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "logit" in name:
                scale = 3.0 / parameter.shape[-1] ** 0.5
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return model


def vectors(model: CrystalModel, points: PointSets) -> np.ndarray:
    with torch.inference_mode():
        return np.concatenate([model.vectors(collate(points, np.array([c]))).numpy() for c in range(len(points))])


@pytest.mark.parametrize(("preset", "neighborhood"), crossed(["default", "paper"], ["shell", "supercell"]))
@pytest.mark.parametrize("encoder", [{}, *slow(*({"blocks": n} for n in (2, 3)), {"heads": 1, "decay": None})], ids=str)
def test_reduced_and_unreduced_point_sets_give_the_same_vector(
    encoder: dict[str, Any], preset: str, neighborhood: str
) -> None:
    reduced, unreduced = both(neighborhood, "paper" if preset == "paper" else "magpie")
    model = random_model(reduced, preset, encoder)
    ours, theirs = vectors(model, reduced), vectors(model, unreduced)
    assert np.isfinite(theirs).all()
    change = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert change.max() < 1e-5


def test_the_reduction_halves_the_rows_of_real_crystals_and_more() -> None:
    crystals = [bundled_crystal(k) for k in range(300)]
    points = featurized(crystals)
    assert len(points.site_type) < 0.5 * sum(map(len, crystals))
    assert len(points.neighbor) < 48 * 0.3 * sum(map(len, crystals))


def test_counts_survive_where_weights_do_not() -> None:
    """A wrong count must show: the check above would be worthless if it could not fail."""
    reduced, unreduced = both("shell", "magpie")
    wrong = PointSets(**{**vars(reduced), "count": np.ones_like(reduced.count)})
    model = random_model(reduced, "default", {})
    change = np.abs(vectors(model, wrong) - vectors(model, unreduced))
    assert change.max() > 1e-2
