"""Sets of points larger than memory: written in parts, mapped, and read in blocks when an embedder is fitted."""

from __future__ import annotations

import copy
import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Structure

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets
from skdim.exceptions import StructureError
from skdim.learning.loader import CrystalDataset, crystal_loader
from skdim.learning.pretraining import site_statistics
from skdim.network.batches import pair_budget_batches, shuffled
from skdim.points.pointstore import save_parts
from tests.bundled import sample
from tests.small import bundled, bundled_points, handful, mixture


def parts_of(points: PointSets, size: int) -> Iterator[PointSets]:
    return (points[k : k + size] for k in range(0, len(points), size))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_parts_make_the_same_set_as_all_at_once(tmp_path: Path, size: int) -> None:
    points = bundled_points(40)
    assert save_parts(tmp_path / "p", parts_of(points, size)) == 40
    assert PointSets.load(tmp_path / "p").equals(points)  # with its checksums
    assert PointSets.load(tmp_path / "p", mmap_mode="r").equals(points)


def test_parts_with_their_own_contents_failed_rows_and_extra_features(tmp_path: Path) -> None:
    featurizer = CrystalPointSetTransformer(interaction_features=("distance", "log_coulomb"), on_error="nan")
    lists = [handful(), [mixture()], handful()[2:4]]
    parts = [featurizer.transform(crystals) for crystals in lists]
    parts.insert(
        1,
        PointSets.empty(2, parts[0].site_types, parts[0].feature_names, ("distance", "log_coulomb"), parts[0].settings),
    )
    save_parts(tmp_path / "p", parts)
    joined = PointSets.concatenate(parts)
    assert PointSets.load(tmp_path / "p").equals(joined)
    assert joined.valid.tolist() == [True] * 6 + [False] * 2 + [True] * 3


def test_a_table_that_names_a_content_twice_is_no_trouble(tmp_path: Path) -> None:
    points = bundled_points(10)
    twice = copy.copy(points)
    object.__setattr__(
        twice,
        "site_types",
        type(points.site_types)(*(np.concatenate([a, a]) for a in vars(points.site_types).values())),
    )
    object.__setattr__(twice, "site_type", twice.site_type + np.int32(len(points.site_types)))
    save_parts(tmp_path / "p", [twice, bundled_points(40)])
    assert PointSets.load(tmp_path / "p").equals(PointSets.concatenate([points, bundled_points(40)]))


def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    save_parts(tmp_path / "p", [bundled_points(10)])
    other = CrystalPointSetTransformer(n_neighbors=12).transform(bundled(5)[0])
    with pytest.raises(ValueError, match="settings"):
        save_parts(tmp_path / "p", [bundled_points(10), other])
    with pytest.raises(ValueError, match="parts is empty"):
        save_parts(tmp_path / "p", [])
    assert len(PointSets.load(tmp_path / "p")) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 5003])
def test_a_shuffle_by_blocks_serves_every_crystal_once_and_repeats_with_its_seed(n: int) -> None:
    one, same, other = (shuffled(n, np.random.default_rng(seed), window=1000, block=50) for seed in (0, 0, 1))
    assert np.array_equal(np.sort(one), np.arange(n))
    assert np.array_equal(one, same)
    assert n == 1 or not np.array_equal(one, other)


def test_few_crystals_are_shuffled_as_one() -> None:
    expected = np.random.default_rng(3).permutation(1000)
    assert np.array_equal(shuffled(1000, np.random.default_rng(3), window=1000, block=50), expected)


def test_a_shuffle_by_blocks_mixes_the_blocks_of_a_window_and_reads_few_others() -> None:
    """As an urn with the window's blocks does: 400 draws from 20 blocks leave none out, and repeat none much."""
    order = shuffled(100_000, np.random.default_rng(0), window=1000, block=50)
    for window in order[:5000].reshape(5, 1000):
        whole, parts = np.unique(window // 50, return_counts=True)
        assert len(whole) <= 2 * 1000 / 50 + 2  # each of its blocks touches two of the file's
        drawn = np.unique(window[:400] // 50)
        assert len(drawn) > 0.9 * len(whole[parts > 5])
        assert np.median(np.abs(np.diff(window))) > 1000  # neighbours in the batch are far apart in the file
    # Blocks are cut elsewhere each time, so no two crystals stay together for good.
    starts = {int(shuffled(5000, np.random.default_rng(seed), window=1000, block=50).min()) for seed in range(3)}
    assert starts == {0}


def test_batches_of_an_epoch_hold_every_crystal_once_and_repeat_with_the_seed() -> None:
    data = CrystalDataset(bundled_points(40), np.arange(40))
    loader, same = (crystal_loader(data, 0, 200, seed=4) for _ in range(2))
    first, again, second = ([b.index.tolist() for b, _ in loader_] for loader_ in (loader, same, loader))
    assert all(sorted(np.concatenate(batches).tolist()) == list(range(40)) for batches in (first, second))
    assert first == again != second
    assert len(first) > 3


def test_an_embedder_learns_the_same_from_a_mapped_set(tmp_path: Path) -> None:
    points = bundled_points(60)
    points.save(tmp_path / "p")
    mapped = PointSets.load(tmp_path / "p", mmap_mode="r")
    one, other = (DeepInfoMaxEmbedder(max_epochs=2, random_state=0).fit(given) for given in (points, mapped))
    assert all(np.array_equal(one.state_.weights[k], other.state_.weights[k]) for k in one.state_.weights)
    assert np.array_equal(one.transform(points), other.transform(mapped))


def test_site_statistics_are_the_same_in_blocks_and_without_failed_crystals(monkeypatch: pytest.MonkeyPatch) -> None:
    points = bundled_points(40)
    whole = site_statistics(points)
    failed = PointSets.empty(3, points.site_types, points.feature_names, points.interaction_names, points.settings)
    monkeypatch.setattr("skdim.learning.pretraining._BLOCK", 7)
    for given in (points, PointSets.concatenate([failed, points[:20], failed, points[20:]])):
        for ours, theirs in zip(site_statistics(given), whole, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_vectors_of_a_random_choice_give_center_and_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the crystals: deviations within a fifth of those of all, and the seed decides which third."""
    points = bundled_points(300)
    whole = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(points).state_
    monkeypatch.setattr("skdim.learning.pretraining._SEEN", 100)
    one, same, other = (DeepInfoMaxEmbedder(max_epochs=0, random_state=r).fit(points).state_ for r in (0, 0, 1))
    assert np.array_equal(one.scale, same.scale)
    assert not np.array_equal(one.scale, other.scale)
    assert np.median(np.abs(np.log(one.scale / whole.scale))) < 0.2


def test_fitting_a_mapped_set_does_not_read_it_into_memory(tmp_path: Path) -> None:
    """numpy, which reads the files, never holds a quarter of them, also with rows that failed in between."""
    points = bundled_points(200)
    failed = PointSets.empty(1, points.site_types, points.feature_names, points.interaction_names, points.settings)
    save_parts(tmp_path / "p", (part for _ in range(180) for part in (points, failed)))
    size = sum(file.stat().st_size for file in (tmp_path / "p").iterdir())
    mapped = PointSets.load(tmp_path / "p", mmap_mode="r")
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdim.learning.pretraining._SEEN", 100)
        patch.setattr("skdim.learning.pretraining._BLOCK", 500)
        tracemalloc.start()
        try:
            embedder.fit(mapped)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert size > 10 * 2**20
    assert peak < size / 4
    assert (embedder.state_.record.rows, embedder.state_.record.failed) == (180 * 201, 180)


def test_batches_within_a_budget_are_cut_as_by_a_loop() -> None:
    """The slow twin: crystal by crystal."""
    rng = np.random.default_rng(0)
    for n, budget, at_least in ((0, 5, 1), (1, 5, 2), (200, 50, 1), (200, 50, 3), (5, 1, 2)):
        sizes, order = rng.integers(0, 30, n), rng.permutation(n)
        expected: list[list[int]] = [[]]
        for crystal in order.tolist():
            if len(expected[-1]) >= at_least and sizes[[*expected[-1], crystal]].sum() > budget:
                expected.append([])
            expected[-1].append(crystal)
        if len(expected) > 1 and len(expected[-1]) < at_least:
            expected[-2:] = [expected[-2] + expected[-1]]
        got = [batch.tolist() for batch in pair_budget_batches(sizes, budget, order, at_least)]
        assert got == [batch for batch in expected if batch]


def test_crystals_of_a_generator_are_forgotten_when_they_are_featurized() -> None:
    crystals, most = sample(300), 0
    seen: list[weakref.ref[Structure]] = []

    def one_after_the_other() -> Iterator[Structure]:
        nonlocal most
        for crystal in crystals:
            copy = crystal.copy()
            seen.append(weakref.ref(copy))
            most = max(most, sum(one() is not None for one in seen))
            yield copy

    points = CrystalPointSetTransformer().transform(one_after_the_other())
    assert points.equals(CrystalPointSetTransformer().transform(crystals))
    assert most < 200
    failing = (crystal if k != 130 else "no such file" for k, crystal in enumerate(crystals))
    with pytest.raises(StructureError, match="row 130: "):
        CrystalPointSetTransformer().transform(failing)


def test_vectors_are_made_in_place() -> None:
    """The vectors of many crystals are there once, and little beside them."""
    points = PointSets.concatenate([bundled_points(200)] * 40)
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(bundled_points(40))
    tracemalloc.start()
    try:
        vectors = embedder.transform(points)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * vectors.nbytes
