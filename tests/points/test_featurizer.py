"""CrystalPointSetTransformer: bad rows named at once, order and number of rows kept, parameters checked."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from matminer.featurizers.base import BaseFeaturizer
from pymatgen.core import Lattice, Structure

from skdim import CrystalPointSetTransformer, PointSets
from skdim.exceptions import StructureError
from skdim.points import chunks
from skdim.points.chunks import Prepared, featurize, prepare, sends_arrays
from tests.bundled import jolted, sample
from tests.crystals.test_structures import BAD, kinds
from tests.daily import slow
from tests.handmade import FILES, iron, perovskite, salt, silicon
from tests.small import mixture, rutile

SMALL: dict[str, Any] = {"site_features": "paper", "n_neighbors": 12}


def featurizer(**params: Any) -> CrystalPointSetTransformer:
    return CrystalPointSetTransformer(**{**SMALL, **params})


def featurized(crystals: Any, **params: Any) -> PointSets:
    return featurizer(**params).fit_transform(crystals)


# ---------------------------------------------------------------- bad rows


def rows_with_all_failures() -> list[object]:
    """Return good and bad rows in turn, across several chunks of work."""
    return [row for bad, _ in BAD.values() for row in (bad, salt(), iron())]


def test_every_failing_row_is_told_at_once_with_its_reason() -> None:
    rows = rows_with_all_failures()
    with pytest.raises(StructureError) as caught:
        featurized(rows, max_sites=44)
    failures = dict(caught.value.failures)
    assert sorted(failures) == list(range(0, len(rows), 3))
    for row, (_, pattern) in zip(sorted(failures), BAD.values(), strict=True):
        assert re.search(pattern, failures[row]), (row, failures[row])


def test_failing_rows_become_crystals_without_sites_and_one_warning() -> None:
    rows = rows_with_all_failures()
    with pytest.warns(UserWarning, match="They become rows of NaN") as caught:
        points = featurizer(max_sites=44, on_error="nan").fit_transform(rows)
    (warning,) = caught
    assert "row 0: " in str(warning.message)
    assert "row 3: " in str(warning.message)
    assert warning.filename == __file__
    assert len(points) == len(rows)
    assert points.valid.tolist() == [False, True, True] * len(BAD)
    assert np.isnan(points.volume).tolist() == [True, False, False] * len(BAD)
    assert points[points.valid].equals(featurized([salt(), iron()] * len(BAD)))
    points.validate()


def test_rows_that_all_fail_are_still_rows() -> None:
    with pytest.warns(UserWarning, match="3 structures cannot be used"):
        points = featurized([None, "nowhere.cif", 3], on_error="nan")
    assert len(points) == 3
    assert not points.valid.any()
    assert points.feature_names == featurizer().fit().feature_names_


def test_labels_of_a_series_are_told() -> None:
    series = pd.Series([salt(), None], index=["mp-1", "mp-2"])
    with pytest.raises(StructureError, match=r"row 1 \(mp-2\): a missing value"):
        featurized(series)


def test_good_rows_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        featurized([salt(), mixture()], on_error="nan")


class Choosy(BaseFeaturizer):
    """A site featurizer that knows no iron."""

    def featurize(self, struct: Structure, idx: int) -> list[float]:
        if struct[idx].species_string == "Fe":
            raise RuntimeError("no iron,\nplease")
        return [float(len(struct.get_neighbors(struct[idx], 3.0)))]

    def feature_labels(self) -> list[str]:
        return ["within 3 A"]

    def citations(self) -> list[str]:
        return []

    def implementors(self) -> list[str]:
        return []


def test_crystals_that_a_site_featurizer_cannot_describe_fail_by_row() -> None:
    rows = [salt(), iron(), None, perovskite()]
    with pytest.raises(StructureError) as caught:
        featurized(rows, site_features=Choosy())
    assert caught.value.failures[0] == (1, "site_features: RuntimeError: no iron, please")
    assert [row for row, _ in caught.value.failures] == [1, 2]
    with pytest.warns(UserWarning, match="2 structures cannot be used"):
        points = featurized(rows, site_features=Choosy(), on_error="nan")
    assert points.valid.tolist() == [True, False, False, True]
    assert points.feature_names == ("within 3 A", "occupancy")
    assert sorted(points[0].site_types.features[points[0].site_type, 0]) == [6, 6]


# ---------------------------------------------------------------- rows, order, kinds of input


def test_every_kind_of_input_is_the_same_crystal_and_kinds_are_mixed() -> None:
    rows = list(kinds().values())
    points = featurized([*rows, *(f"tests/data/{name}" for name in FILES)])
    assert points.n_sites[: len(rows)].tolist() == [2] * len(rows)
    for one in points[: len(rows)]:
        np.testing.assert_allclose(np.sort(one.distance), np.sort(points[0].distance), atol=1e-3)


@pytest.mark.parametrize("wrap", [list, tuple, pd.Series, lambda rows: pd.DataFrame({"n": 1, "structure": rows})])
def test_every_collection_keeps_order_and_number(wrap: Any) -> None:
    crystals = [salt(), iron(), silicon(), salt(), rutile()]
    points = featurized(wrap(crystals))
    assert points.n_sites.tolist() == [2, 1, 1, 2, 2]
    array = np.empty(5, object)
    array[:] = crystals
    assert featurized(array).equals(points)
    assert featurized(iter(crystals)).equals(points)
    assert featurized(wrap(crystals[::-1])).equals(points[::-1])


@pytest.mark.parametrize("empty", [[], (), pd.Series([], dtype=object), np.empty(0, object)])
def test_no_rows_give_no_crystals(empty: Any) -> None:
    points = featurized(empty)
    assert len(points) == 0
    assert points.validate().feature_names == featurizer().fit().feature_names_
    assert PointSets.concatenate([points, featurized([salt()])]).equals(featurized([salt()]))


def test_one_atom_cells_disorder_and_vacancies_are_crystals_like_others() -> None:
    vacancy = Structure(Lattice.cubic(3.0), [{"Fe": 0.25}], [[0, 0, 0]])
    points = featurized([iron(), mixture(), vacancy])
    assert points.n_sites.tolist() == [1, 2, 1]
    occupancy = points.site_types.features[points.site_type, points.feature_names.index("occupancy")]
    np.testing.assert_allclose(sorted(occupancy), [0.25, 0.9, 1, 1])
    assert points.volume[2] == pytest.approx(27.0 / 0.25)
    number = points.site_types.features[points.site_type, points.feature_names.index("Number")]
    np.testing.assert_allclose(sorted(number), [0.6 * 11 + 0.4 * 19, 17, 26, 26])


@pytest.mark.parametrize("neighborhood", ["shell", pytest.param("supercell", marks=pytest.mark.slow)])
def test_a_crystal_alone_is_what_it_is_among_others_bit_by_bit(neighborhood: str) -> None:
    crystals = sample(150)
    points = featurized(crystals, neighborhood=neighborhood)
    for k in range(0, 150, 13):
        assert featurized([crystals[k]], neighborhood=neighborhood).equals(points[k])
    order = np.random.default_rng(0).permutation(150)
    assert featurized([crystals[k] for k in order], neighborhood=neighborhood).equals(points[order])


@pytest.mark.parametrize("neighborhood", ["shell", *slow("supercell")])
def test_large_crystals_are_worked_on_one_by_one(neighborhood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    crystals = sample(30)
    points = featurized(crystals, neighborhood=neighborhood)
    monkeypatch.setattr("skdim.points.chunks._PAIRS", 3000)
    assert featurized(crystals, neighborhood=neighborhood).equals(points)
    monkeypatch.setattr("skdim.points.chunks._PAIRS", 1)
    assert featurized(crystals, neighborhood=neighborhood).equals(points)


@pytest.mark.slow
def test_processes_change_nothing_whether_new_or_used_again() -> None:
    crystals = [*sample(140), None]
    with pytest.warns(UserWarning, match="row 140"):
        alone = featurized(crystals, on_error="nan")
    for _ in range(2):
        with pytest.warns(UserWarning, match="row 140"):
            assert featurized(crystals, n_jobs=2, on_error="nan").equals(alone)
    with joblib.parallel_config(backend="threading", n_jobs=2), pytest.warns(UserWarning, match="row 140"):
        assert featurized(crystals, on_error="nan").equals(alone)


@pytest.mark.parametrize("neighborhood", ["shell", "supercell"])
def test_what_is_sent_to_processes_gives_the_same_point_sets(neighborhood: str) -> None:
    work = CrystalPointSetTransformer(neighborhood=neighborhood, max_sites=8).work()
    broken = Structure(Lattice.cubic(3), [], [])
    crystals = [salt(), mixture(), broken, perovskite() * (2, 1, 1), iron(), rutile()]
    sent = prepare(crystals, work)
    assert isinstance(sent, Prepared)
    ours, theirs = featurize(pickle.loads(pickle.dumps(sent)), work), featurize(crystals, work)
    assert ours.points.equals(theirs.points)
    assert ours.failures == theirs.failures
    assert [row for row, _ in ours.failures] == [2, 3]


def test_what_is_no_structure_in_memory_is_sent_as_it_is() -> None:
    work = CrystalPointSetTransformer().work()
    for rows in ([salt(), "a.cif"], [salt().as_dict()], [Structure(Lattice.cubic(3), [], [])]):
        assert prepare(rows, work) is rows


@pytest.mark.slow
def test_slow_site_featurizers_and_caches_are_not_sent_in_large_batches(tmp_path: Path) -> None:
    crystals = [salt(), iron()]
    from matminer.featurizers.site import CoordinationNumber

    slow = featurizer(site_features=CoordinationNumber.from_preset("VoronoiNN"))
    assert sends_arrays(crystals, featurizer().work())
    assert not sends_arrays(crystals, slow.work())
    assert not sends_arrays(crystals, featurizer(cache_dir=tmp_path).work())
    assert not sends_arrays([*crystals, "a.cif"], featurizer().work())


@pytest.mark.slow
def test_processes_find_relative_paths_where_the_caller_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    featurized(sample(70), n_jobs=2)  # starts processes here, which the next call finds again
    salt().to(str(tmp_path / "salt.cif"))
    monkeypatch.chdir(tmp_path)
    assert featurized(["salt.cif"] * 70, n_jobs=2).n_sites.tolist() == [2] * 70
    with pytest.raises(StructureError, match=r"row 69: file 'other\.cif': No such file"):
        featurized(["salt.cif"] * 69 + ["other.cif"], n_jobs=2)


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"neighborhood": "sphere"}, ValueError, "neighborhood must be 'shell' or 'supercell', got 'sphere'"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be an integer >= 1, got 0"),
        ({"n_neighbors": 4.5}, ValueError, "n_neighbors must be .*, got 4.5"),
        ({"n_neighbors": True}, ValueError, "n_neighbors must be an integer >= 1, got True"),
        ({"supercell_size": 1}, ValueError, "supercell_size must be .*, got 1"),
        ({"max_sites": 0}, ValueError, "max_sites must be .*, got 0"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be a number > 0 and <= 0.1, got 0.0"),
        ({"tolerance": float("nan")}, ValueError, "tolerance must be .*, got nan"),
        ({"tolerance": "x"}, ValueError, "tolerance must be a number .*, got 'x'"),
        ({"tolerance": 0.11}, ValueError, "tolerance must be .*, got 0.11"),
        ({"on_error": "ignore"}, ValueError, "on_error must be .*, got 'ignore'"),
        ({"site_features": "magic"}, ValueError, "site_features must be .*, got 'magic'"),
        ({"site_features": 7}, TypeError, "site_features must be .*, got 7"),
        ({"interaction_features": ("log_coulomb",)}, ValueError, "interaction_features"),
        ({"interaction_features": "distance"}, ValueError, "interaction_features must be .*, got 'distance'"),
    ],
)
def test_what_is_not_accepted_is_named(params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        featurizer(**params).fit([salt()])
    with pytest.raises(error, match=message):
        featurizer(**params).transform([salt()])


def test_settings_tell_how_the_point_sets_were_made() -> None:
    assert dict(featurized([salt()]).settings) == {"neighborhood": "shell", "n_neighbors": 12, "tolerance": 1e-3}
    assert dict(featurized([salt()], neighborhood="supercell").settings) == {
        "neighborhood": "supercell",
        "supercell_size": 50,
        "tolerance": 1e-3,
    }


def test_pair_features_stand_beside_the_distance() -> None:
    points = featurized([salt()], interaction_features=("distance", "log_coulomb", "radius_ratio"))
    assert points.interaction_names == ("distance", "log_coulomb", "radius_ratio")
    assert points.extra.shape == (len(points.neighbor), 2)
    first = points.site_types.features[points.site_type, 0]
    product = first[0] * first[points.neighbor[0]]
    assert points.extra[0, 0] == pytest.approx(np.log(product * 0.529177 / points.distance[0]), abs=1e-5)


def test_the_tolerance_is_as_asked_for() -> None:
    rough = jolted(rutile(), np.random.default_rng(1), 0.02)
    fine, coarse = featurized([rough], tolerance=1e-4), featurized([rough], tolerance=0.1)
    assert fine.n_sites[0] == 6
    assert len(coarse.neighbor) < len(fine.neighbor)


def test_a_crystal_without_enough_memory_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assemble = chunks.assemble

    def sparing(cells: Any, *others: Any) -> Any:
        if max(len(cell.frac) for cell in cells) > 2:
            raise MemoryError
        return assemble(cells, *others)

    monkeypatch.setattr(chunks, "assemble", sparing)
    points, failures = CrystalPointSetTransformer().try_transform([iron(), perovskite(), iron()])
    assert [row for row, _ in failures] == [1]
    assert "not enough memory" in failures[0][1]
    assert points.n_sites.tolist()[1] == 0
    assert points[[0, 2]].equals(CrystalPointSetTransformer().transform([iron(), iron()]))
