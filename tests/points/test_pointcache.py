"""The cache: the same point sets with it and without it, less work, and no harm from damage or from others."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Structure

from skdim import CrystalPointSetTransformer, PointSets
from skdim.exceptions import StructureError
from skdim.points.pointcache import pack, unpack
from tests.bundled import bundled_crystal, jolted, sample
from tests.daily import slow
from tests.handmade import DATA, FILES, iron, perovskite, salt
from tests.points.test_featurizer import Choosy
from tests.small import handful_points, mixture


def through(folder: Path, crystals: Any, **params: Any) -> PointSets:
    return CrystalPointSetTransformer(cache_dir=folder, **params).fit_transform(crystals)


def without(crystals: Any, **params: Any) -> PointSets:
    return CrystalPointSetTransformer(**params).fit_transform(crystals)


def n_entries(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "pointsets.sqlite")) as connection:
        return connection.execute("SELECT COUNT(*) FROM entries").fetchone()[0]


@pytest.fixture
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make the computing of point sets an error."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("skdim.points.chunks.assemble", refuse)
    return monkeypatch


@pytest.mark.parametrize(
    "params",
    [
        {},
        *slow(
            {"neighborhood": "supercell"},
            {"interaction_features": ("distance", "log_coulomb"), "site_features": "paper"},
            {"site_features": Choosy()},
        ),
    ],
    ids=["shell", "supercell", "pair features", "site featurizer"],
)
def test_point_sets_are_the_same_cold_and_warm(
    params: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    crystals = [*(s for s in sample(90) if "Fe" not in s.formula), mixture(), salt(), salt()]
    expected = without(crystals, **params)
    assert through(tmp_path, crystals, **params).equals(expected)
    assert n_entries(tmp_path) == len(crystals) - 1  # two are alike
    request.getfixturevalue("nothing_is_computed")
    assert through(tmp_path, crystals, **params).validate().equals(expected)
    order = np.random.default_rng(0).permutation(len(crystals))[:30]
    assert through(tmp_path, [crystals[k] for k in order], **params).equals(expected[order])


def test_folds_subsets_and_mixtures_of_known_and_new_hit(tmp_path: Path) -> None:
    crystals = sample(100)
    through(tmp_path, crystals[::2])
    assert through(tmp_path, crystals).equals(without(crystals))
    assert n_entries(tmp_path) == 100
    with pytest.warns(UserWarning, match="row 1: a missing"):
        points = through(tmp_path, [crystals[0], None, iron()], on_error="nan")
    assert points.valid.tolist() == [True, False, True]
    assert n_entries(tmp_path) == 101
    assert len(through(tmp_path, [])) == 0


def test_files_and_texts_are_not_even_read_again(tmp_path: Path, nothing_is_computed: pytest.MonkeyPatch) -> None:
    nothing_is_computed.undo()
    rows: list[object] = [DATA / name for name in FILES] + [str(DATA / "nacl.cif"), (DATA / "nacl.cif").read_text()]
    expected = through(tmp_path, rows)
    nothing_is_computed.setattr("skdim.points.chunks.try_crystal", None)
    assert through(tmp_path, rows).equals(expected)
    # What counts is the content: a copy elsewhere is known, a changed file is not.
    copy = tmp_path / "nacl.cif"
    shutil.copy(DATA / "nacl.cif", copy)
    assert through(tmp_path, [copy]).equals(expected[0])
    nothing_is_computed.undo()
    copy.write_text(salt().apply_strain(0.02, inplace=False).to(fmt="cif"))
    assert through(tmp_path, [copy]).volume[0] == pytest.approx(expected.volume[0] * 1.02**3, rel=1e-3)


def test_a_known_file_with_too_many_sites_fails_all_the_same(tmp_path: Path) -> None:
    through(tmp_path, [DATA / "nacl.cif"])
    with pytest.raises(StructureError, match="max_sites=4"):
        through(tmp_path, [DATA / "nacl.cif"], max_sites=4)
    with pytest.raises(StructureError, match="No such file"):
        through(tmp_path, ["nowhere.cif"])
    broken = tmp_path / "broken.cif.gz"
    broken.write_bytes(gzip.compress(b"data_x\n")[:-3])
    for _ in range(2):  # failures are not kept
        with pytest.raises(StructureError, match="row 1"):
            through(tmp_path, [salt(), broken])


@pytest.mark.parametrize(
    "params",
    [
        {"n_neighbors": 24},
        {"neighborhood": "supercell"},
        {"tolerance": 1e-2},
        {"site_features": "paper"},
        {"site_features": Choosy()},
        {"interaction_features": ("distance", "radius_ratio")},
    ],
    ids=str,
)
def test_other_settings_are_other_entries(params: dict[str, Any], tmp_path: Path) -> None:
    base = {"site_features": "magpie"}
    through(tmp_path, [salt()], **base)
    assert through(tmp_path, [salt()], **{**base, **params}).equals(without([salt()], **{**base, **params}))
    assert n_entries(tmp_path) == 2
    # What does not change the result does not count.
    through(tmp_path, [salt()], **base, n_jobs=1, on_error="nan", verbose=0, max_sites=99)
    assert n_entries(tmp_path) == 2


def test_other_crystals_are_other_entries(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    crystals = [salt(), jolted(salt(), rng, 1e-6), salt() * (1, 1, 2), mixture(), perovskite()]
    crystals += [salt().replace_species({"Na": "K"}, in_place=False), salt().apply_strain(1e-6, inplace=False)]
    half = mixture()
    half.replace(1, {"Cl": 0.8})
    assert through(tmp_path, [*crystals, half]).equals(without([*crystals, half]))
    assert n_entries(tmp_path) == len(crystals) + 1
    through(tmp_path, [salt().add_oxidation_state_by_element({"Na": 1, "Cl": -1})])  # which no element's features see
    assert n_entries(tmp_path) == len(crystals) + 1


class Charged(Choosy):
    """A site featurizer that sees oxidation states."""

    def featurize(self, struct: Structure, idx: int) -> list[float]:
        return [float(getattr(struct[idx].specie, "oxi_state", None) or 0)]


def test_site_featurizers_see_more_than_elements(tmp_path: Path) -> None:
    charged = salt().add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    rows = [salt(), charged]
    for _ in range(2):
        assert through(tmp_path, rows, site_features=Charged()).equals(without(rows, site_features=Charged()))
    assert n_entries(tmp_path) == 2


# ---------------------------------------------------------------- damage and company


def test_damaged_entries_are_made_again_with_a_warning(tmp_path: Path) -> None:
    crystals = sample(10)
    expected = through(tmp_path, crystals)
    with closing(sqlite3.connect(tmp_path / "pointsets.sqlite")) as connection, connection:
        rows = connection.execute("SELECT rowid, value FROM entries").fetchall()
        for place, (rowid, value) in enumerate(rows[:4]):
            damaged = [b"", value[:-5], value[:40], value[:100] + b"\x00\x01" + value[102:]][place]
            connection.execute("UPDATE entries SET value = ? WHERE rowid = ?", (damaged, rowid))
    with pytest.warns(UserWarning, match=r"cache_dir: entries of .*sqlite are damaged; they are made again") as caught:
        assert CrystalPointSetTransformer(cache_dir=tmp_path).fit_transform(crystals).equals(expected)
    assert [w.filename for w in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert through(tmp_path, crystals).equals(expected)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\x07" * 5000])
def test_a_damaged_file_is_told_and_not_used(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pointsets.sqlite").write_bytes(content)
    with pytest.warns(UserWarning, match=r"cache_dir: .*sqlite cannot be used .*delete it"):
        assert through(tmp_path, sample(70)).equals(without(sample(70)))
    assert (tmp_path / "pointsets.sqlite").read_bytes() == content


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        through(tmp_path / "file", [salt()])
    (tmp_path / "folder" / "pointsets.sqlite").mkdir(parents=True)
    with pytest.raises(OSError, match=r"cache_dir: .* cannot be opened"):
        through(tmp_path / "folder", [salt()])


@pytest.mark.slow
def test_processes_and_threads_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    crystals = sample(200)
    expected = without(crystals)
    parts = [slice(0, 120), slice(80, 200), slice(0, 200, 2), slice(60, 140)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda part: through(tmp_path / "threads", crystals[part]), parts))
    assert all(points.equals(expected[part]) for points, part in zip(done, parts, strict=True))
    assert n_entries(tmp_path / "threads") == 200
    assert through(tmp_path / "processes", crystals, n_jobs=2).equals(expected)
    assert n_entries(tmp_path / "processes") == 200
    assert through(tmp_path / "processes", crystals, n_jobs=2).equals(expected)


@pytest.mark.slow
def test_a_warm_cache_is_faster_than_none(tmp_path: Path) -> None:
    crystals = [bundled_crystal(k) for k in range(300)]
    plain, cached = CrystalPointSetTransformer(), CrystalPointSetTransformer(cache_dir=tmp_path)
    cached.fit_transform(crystals)

    def seconds(transformer: CrystalPointSetTransformer) -> float:
        start = time.process_time()
        transformer.transform(crystals)
        return time.process_time() - start

    # Twice as fast and more; the least of three, as a busy machine only ever adds.
    assert min(seconds(cached) for _ in range(3)) < min(seconds(plain) for _ in range(3))


def test_entries_are_numbers_and_come_back_bit_by_bit(tmp_path: Path) -> None:
    points = handful_points()
    config = (
        CrystalPointSetTransformer(
            site_features="paper", n_neighbors=10, interaction_features=("distance", "log_coulomb")
        )
        .work()
        .config
    )
    through(tmp_path, [salt()])
    with closing(sqlite3.connect(tmp_path / "pointsets.sqlite")) as connection:
        types = {tuple(map(type, row)) for row in connection.execute("SELECT * FROM entries")}
    assert types == {(str, bytes)}
    for one in points:
        blob = pack(one)
        back = unpack(blob, config)
        assert back is not None
        assert back.validate().equals(one)
        assert all(unpack(blob[:n], config) is None for n in range(0, len(blob), 97))
