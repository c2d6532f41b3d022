"""Site features against matminer's own look-ups, interaction features against its Coulomb matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matminer.featurizers.composition import ElementProperty
from matminer.utils.data import MagpieData
from pymatgen.core import Element, Structure

from skdim.points.features import (
    SITE_FEATURES,
    SiteFeaturizer,
    check_interaction_features,
    element_table,
    interaction_features,
    resolve_site_features,
    site_types_from_sites,
    site_types_from_species,
)
from tests.daily import examples
from tests.handmade import salt

SALT = salt()


@pytest.mark.parametrize(("preset", "size"), [("paper", 8), ("magpie", 22)])
def test_presets_hold_the_values_of_matminer(preset: str, size: int) -> None:
    table = resolve_site_features(preset)
    magpie = MagpieData(impute_nan=True)
    assert len(table.names) == size
    assert table.feature_names == (*table.names, "occupancy")
    for z in range(1, 113):
        expected = [magpie.get_elemental_property(Element.from_Z(z), name) for name in table.names]
        assert table.values[z].tolist() == expected


def test_gaps_of_a_table_are_its_mean() -> None:
    values = resolve_site_features(["Electronegativity"]).values[:, 0]
    known = np.delete(values[1:113], [z - 1 for z in range(1, 113) if values[z] == values[2]])
    assert values[2] == values[10] == values[18]  # noble gases have none
    assert len(known) > 90
    assert values[2] == pytest.approx(known.mean())


def test_the_magpie_preset_is_that_of_matminer() -> None:
    assert list(SITE_FEATURES["magpie"]) == ElementProperty.from_preset("magpie", impute_nan=True).features


def test_published_facts() -> None:
    table = resolve_site_features(["Number", "Electronegativity", "CovalentRadius", "Column", "Row"])
    assert table.values[9].tolist() == [9, 3.98, 57, 17, 2]
    assert table.values[55].tolist() == [55, 0.79, 244, 1, 6]


def test_elements_beyond_the_tables_are_not_supported() -> None:
    for spec in ("paper", "magpie", ["ShearModulus"]):
        assert resolve_site_features(spec).atomic_numbers == set(range(1, 113))
    with pytest.raises(ValueError, match=r"end before atomic numbers \[117, 118\]"):
        site_types_from_species([((118, 1.0),), ((8, 0.5), (117, 0.5)), ((8, 1.0),)], resolve_site_features("paper"))


def test_tables_are_read_once_and_cannot_be_written() -> None:
    table = element_table(["Number", "Row"])
    assert element_table(("Number", "Row")) is table
    with pytest.raises(ValueError, match="read-only"):
        table.values[1, 0] = 2


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (
            "magpi",
            ValueError,
            "site_features must be 'paper', 'magpie', 'bonding', a list .*, got 'magpi'",
        ),
        (["Electronegativty"], ValueError, r"no table .Electronegativty.\. Did you mean Electronegativity"),
        (["OxidationStates"], ValueError, "no table 'OxidationStates'"),
        (["IonizationEnergies"], ValueError, "no table 'IonizationEnergies'. Did you mean FirstIonizationEnergy"),
        (["zzz"], ValueError, "Did you mean AllenElectronegativity, AtomicRadius"),
        ([], ValueError, "must hold at least one name"),
        (["Row", "Row"], ValueError, "none twice"),
        (8, TypeError, "site_features must be .*, got 8"),
        ([1, 2], TypeError, r"site_features must be .*, got \[1, 2\]"),
    ],
)
def test_other_site_features_are_refused(spec: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_site_features(spec)


contents = st.lists(
    st.dictionaries(st.integers(1, 94), st.floats(0.05, 1.0), min_size=1, max_size=3).map(lambda d: tuple(d.items())),
    min_size=1,
    max_size=5,
)


@given(contents)
@examples(50)
def test_kinds_are_means_over_the_occupants(drawn: list[tuple[tuple[int, float], ...]]) -> None:
    table = resolve_site_features("paper")
    site_types = site_types_from_species(drawn, table)
    for k, content in enumerate(drawn):
        total = sum(occupancy for _, occupancy in content)
        mean = sum(occupancy / total * table.values[z] for z, occupancy in content)
        np.testing.assert_allclose(site_types.features[k], [*mean, total], rtol=1e-12)
        assert {z: site_types.fractions[k, z] for z in np.flatnonzero(site_types.fractions[k])} == {
            z: np.float32(occupancy) for z, occupancy in content
        }


def test_a_partly_empty_site_of_one_element_has_the_values_of_the_element() -> None:
    table = resolve_site_features("magpie")
    site_types = site_types_from_species([((3, 1.0),), ((3, 0.3),), ((3, 0.1), (3, 0.2))], table)
    assert site_types.features.dtype == np.float64
    assert site_types.fractions.dtype == np.float32
    assert (site_types.features[:, :-1] == table.values[3]).all()
    np.testing.assert_allclose(site_types.features[:, -1], [1, 0.3, 0.3])


@pytest.mark.parametrize("content", [(), ((8, 0.0),)])
def test_a_site_without_atoms_is_no_kind(content: tuple) -> None:
    with pytest.raises(ValueError, match="holds no atoms"):
        site_types_from_species([((8, 1.0),), content], resolve_site_features("paper"))


@pytest.mark.slow
def test_a_site_featurizer_of_matminer_describes_every_site() -> None:
    from matminer.featurizers.site import SiteElementalProperty

    spec = resolve_site_features(SiteElementalProperty(properties=("Number", "Row"), impute_nan=True))
    assert isinstance(spec, SiteFeaturizer)
    assert spec.feature_names == ("site Number", "site Row", "occupancy")
    np.testing.assert_array_equal(spec.describe(SALT), [[11, 3]] * 4 + [[17, 3]] * 4)


@pytest.mark.slow
def test_sites_alike_by_symmetry_share_a_kind() -> None:
    from matminer.featurizers.site import AGNIFingerprints

    spec = resolve_site_features(AGNIFingerprints(directions=[None], etas=[1.0, 4.0], cutoff=6))
    moved = SALT.copy()
    moved.translate_sites(range(len(moved)), [0.123, 0.31, 0.77])
    values = spec.describe(moved)
    contents = [((site.specie.Z, 1.0),) for site in moved]
    site_types, site_type = site_types_from_sites(contents, values)
    assert len(site_types) == 2
    assert len(set(site_type[:4])) == len(set(site_type[4:])) == 1
    np.testing.assert_allclose(site_types.features[site_type][:, :-1], values, rtol=1e-5)
    assert (np.argmax(site_types.fractions, axis=1)[site_type] == moved.atomic_numbers).all()


class Told:
    """A site featurizer that returns what it is told to, and the atomic number where that is None."""

    def __init__(self, row: list[float | None]) -> None:
        self.row = row

    def featurize(self, structure: Structure, index: int) -> list[float]:
        return [structure[index].specie.Z if value is None else value for value in self.row]

    def feature_labels(self) -> list[str]:
        return ["a", "b"]


def test_a_site_featurizer_describes_every_site() -> None:
    spec = resolve_site_features(Told([None, 5.0]))
    assert isinstance(spec, SiteFeaturizer)
    assert spec.feature_names == ("a", "b", "occupancy")
    values = spec.describe(SALT)
    np.testing.assert_array_equal(values, [[11, 5]] * 4 + [[17, 5]] * 4)
    site_types, site_type = site_types_from_sites([((site.specie.Z, 1.0),) for site in SALT], values)
    assert len(site_types) == 2
    np.testing.assert_array_equal(site_types.features[site_type][:, :-1], values)


def test_a_broken_site_featurizer_is_named() -> None:
    with pytest.raises(ValueError, match="Told gave 1 features for site 0 and has 2 labels"):
        resolve_site_features(Told([1.0])).describe(SALT)
    with pytest.raises(ValueError, match="Told gave nan as 'b' of site 0"):
        resolve_site_features(Told([1.0, np.nan])).describe(SALT)


@pytest.mark.slow
def test_log_coulomb_is_the_logarithm_of_the_coulomb_matrix() -> None:
    from matminer.featurizers.structure.matrix import CoulombMatrix

    matrix = CoulombMatrix(flatten=False).featurize(SALT)[0]
    site_types = site_types_from_species([((11, 1.0),), ((17, 1.0),)], resolve_site_features("paper"))
    i, j = np.divmod(np.arange(64), 8)
    found = interaction_features(["log_coulomb"], site_types, i // 4, j // 4, SALT.distance_matrix.reshape(-1))
    np.testing.assert_allclose(found[:, 0], np.log(matrix.reshape(-1)), rtol=1e-5)


def test_log_coulomb_is_that_of_the_numbers_and_the_distance_in_bohr_and_clipped() -> None:
    pair = site_types_from_species([((11, 1.0),), ((17, 1.0),)], resolve_site_features("paper"))
    found = interaction_features(["log_coulomb"], pair, np.array([0]), np.array([1]), np.array([2.82]))
    np.testing.assert_allclose(found, [[np.log(11 * 17 / (2.82 / 0.529177))]], rtol=1e-5)
    uranium = site_types_from_species([((92, 1.0),)], resolve_site_features("paper"))
    zero = np.zeros(2, int)
    clipped = interaction_features(["log_coulomb"], uranium, zero, zero, np.array([1e-3, 1e9]))
    np.testing.assert_allclose(clipped[:, 0], [10, -10])


def test_radius_ratio_of_a_bond_is_about_one() -> None:
    diamond, mixed = ((6, 1.0),), ((6, 0.25), (14, 0.75))
    site_types = site_types_from_species([diamond, mixed], resolve_site_features(["Row"]))
    type_i, type_j = np.array([0, 0]), np.array([0, 1])
    found = interaction_features(["radius_ratio", "log_coulomb"], site_types, type_i, type_j, np.array([1.545, 2.0]))
    assert found.dtype == np.float32
    assert found.shape == (2, 2)
    carbon, silicon = 0.76, 1.11  # covalent radii, Cordero et al. 2008
    np.testing.assert_allclose(found[:, 0], [1.545 / (2 * carbon), 2 / (1.25 * carbon + 0.75 * silicon)], rtol=0.02)


def test_no_further_interactions_are_no_columns() -> None:
    site_types = site_types_from_species([((6, 1.0),)], resolve_site_features("paper"))
    nothing = np.zeros(0, int)
    assert interaction_features([], site_types, np.zeros(3, int), np.zeros(3, int), np.ones(3)).shape == (3, 0)
    assert interaction_features(["log_coulomb"], site_types, nothing, nothing, np.zeros(0)).shape == (0, 1)


@pytest.mark.parametrize("names", ["distance", [], ["log_coulomb"], ["distance", "distance"], ["distance", "angle"]])
def test_other_interaction_features_are_refused(names: object) -> None:
    with pytest.raises(ValueError, match="must be a sequence that begins with 'distance', followed by any of 'log_"):
        check_interaction_features(names)
