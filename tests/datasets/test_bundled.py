import subprocess
import sys
from collections import defaultdict
from importlib.resources import files
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from scipy.stats import spearmanr

from skdim import datasets
from skdim.datasets import _bundled

# loader, crystals, crystals of the training fold, default target, other targets
SETS = [
    pytest.param("load_formation_energy", 3938, 3150, "formation_energy_per_atom", ["e_above_hull"], id="energy"),
    pytest.param("load_band_gap", 1056, 823, "band_gap", ["n"], id="gap"),
    pytest.param("load_elastic_moduli", 1181, 935, "log10(K_VRH)", ["K_VRH", "G_VRH", "log10(G_VRH)"], id="elastic"),
    pytest.param("load_piezoelectric", 941, 738, "eij_max", [], id="piezo"),
]
LABELLED = [param.values[0] for param in SETS]


@pytest.fixture(scope="module")
def everything():
    """Every labelled set, loaded once; only for tests that change nothing."""
    return {name: getattr(datasets, name)(as_frame=True) for name in LABELLED}


@pytest.fixture(scope="module")
def unlabelled():
    return datasets.load_unlabelled()


def identical(a, b):
    """Compare in all digits, at once and in order: Structure's == searches site by site."""
    same_numbers = np.array_equal(a.lattice.matrix, b.lattice.matrix) and np.array_equal(a.frac_coords, b.frac_coords)
    return same_numbers and a.species == b.species


def by_id(bunch):
    return dict(zip(bunch.material_id, bunch.frame["structure"], strict=True))


@pytest.mark.parametrize(("name", "n", "n_train", "target", "others"), SETS)
def test_a_bunch_holds_one_row_per_crystal_in_every_field(name, n, n_train, target, others):
    bunch = getattr(datasets, name)()
    assert bunch.data.shape == bunch.target.shape == bunch.material_id.shape == bunch.test_mask.shape == (n,)
    assert all(isinstance(structure, Structure) for structure in bunch.data)
    assert bunch.target.dtype == np.float64
    assert np.isfinite(bunch.target).all()
    assert bunch.test_mask.sum() == n - n_train
    assert len(set(bunch.material_id)) == n
    assert bunch.frame is None
    assert bunch.target_names == [target]


@pytest.mark.parametrize(("name", "n", "n_train", "target", "others"), SETS)
def test_train_and_test_are_the_two_sides_of_the_mask_in_the_same_order(everything, name, n, n_train, target, others):
    whole = everything[name]
    for subset, mask in (("train", ~whole.test_mask), ("test", whole.test_mask)):
        X, y = getattr(datasets, name)(return_X_y=True, subset=subset)
        assert X.shape == y.shape == (mask.sum(),)
        np.testing.assert_array_equal(y, whole.target[mask])
        assert all(identical(a, b) for a, b in zip(X, whole.frame["structure"][mask], strict=True))


@pytest.mark.parametrize(("name", "n", "n_train", "target", "others"), SETS)
def test_as_frame_gives_pandas_objects_as_scikit_learn_does(everything, name, n, n_train, target, others):
    bunch = everything[name]
    assert isinstance(bunch.data, pd.DataFrame)
    assert isinstance(bunch.target, pd.Series)
    assert bunch.data.shape == (n, 1)
    assert list(bunch.data) == bunch.feature_names == ["structure"]
    assert bunch.target.name == target
    assert set(bunch.frame) == {"material_id", "structure", target, *others}
    X, y = getattr(datasets, name)(return_X_y=True, as_frame=True)
    assert X.shape == (n, 1)
    pd.testing.assert_series_equal(y, bunch.target)


@pytest.mark.parametrize(("name", "n", "n_train", "target", "others"), SETS)
def test_every_label_can_be_the_target(everything, name, n, n_train, target, others):
    for other in others:
        bunch = getattr(datasets, name)(target=other)
        assert bunch.target_names == [other]
        np.testing.assert_array_equal(bunch.target, everything[name].frame[other])


@pytest.mark.parametrize(("name", "n", "n_train", "target", "others"), SETS)
def test_the_description_states_the_counts_the_target_and_the_licence(everything, name, n, n_train, target, others):
    descr = everything[name].DESCR
    assert f"{n} ({n_train} in the training fold, {n - n_train} in the test fold)" in descr
    assert f"``{target}``" in descr
    assert "CC BY 4.0" in descr
    assert "doi:10." in descr


def test_unlabelled_has_each_crystal_of_every_set_once(everything, unlabelled):
    assert len(unlabelled.material_id) == len(set(unlabelled.material_id)) == len(unlabelled.data) == 6317
    assert set(unlabelled.material_id) == set().union(*(bunch.material_id for bunch in everything.values()))
    assert unlabelled.target is None
    assert unlabelled.target_names == []
    assert "6317 (5025 in the training fold, 1292 in the test fold)" in unlabelled.DESCR
    X, y = datasets.load_unlabelled(return_X_y=True, subset="test")
    assert X.shape == (1292,)
    assert y is None


def test_unlabelled_training_crystals_are_test_crystals_of_no_set(everything):
    train = datasets.load_unlabelled(subset="train", as_frame=True)
    assert train.data.shape == (5025, 1)
    assert not train.test_mask.any()
    for bunch in everything.values():
        assert set(train.material_id).isdisjoint(bunch.material_id[bunch.test_mask])


def test_a_crystal_of_several_sets_is_taken_from_the_first(everything, unlabelled):
    taken = dict(zip(unlabelled.material_id, unlabelled.data, strict=True))
    for name in reversed(LABELLED):
        taken_here = by_id(everything[name])
        first = set(taken_here).difference(
            *(everything[other].material_id for other in LABELLED[: LABELLED.index(name)])
        )
        assert first
        assert all(identical(taken[material_id], taken_here[material_id]) for material_id in first)


def test_an_id_names_the_same_crystal_in_every_set(everything):
    versions = defaultdict(list)
    for bunch in everything.values():
        for material_id, structure in by_id(bunch).items():
            versions[material_id].append(structure)
    pairs = [pair for found in versions.values() for pair in combinations(found, 2)]
    assert len(pairs) == 879
    assert all(a.composition.reduced_formula == b.composition.reduced_formula for a, b in pairs)
    matcher = StructureMatcher()
    assert all(matcher.fit(a, b) for a, b in pairs[::10])


@pytest.mark.parametrize("name", [*LABELLED, "load_unlabelled"])
def test_changing_what_was_loaded_does_not_change_the_next_load(name):
    first = getattr(datasets, name)(subset="test")
    expected = first.data[0].copy()
    ids = first.material_id.copy()
    first.data[0].perturb(0.5)
    first.data[1] = None
    first.material_id[:] = "?"
    if first.target is not None:
        y = first.target.copy()
        first.target[:] = np.nan
    second = getattr(datasets, name)(subset="test")
    assert second.data[0] == expected
    assert isinstance(second.data[1], Structure)
    np.testing.assert_array_equal(second.material_id, ids)
    if second.target is not None:
        np.testing.assert_array_equal(second.target, y)


@pytest.mark.parametrize("file", _bundled.ALL_FILES, ids=lambda file: file.name)
def test_a_file_with_one_changed_byte_is_refused(file, tmp_path):
    content = bytearray((files("skdim.datasets") / "data" / file.name).read_bytes())
    copy = tmp_path / file.name
    copy.write_bytes(content)
    assert _bundled.read_verified(copy, file.sha256) == content
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(OSError, match=rf"{file.name} is damaged: .*{file.sha256}.* Reinstall"):
        _bundled.read_verified(copy, file.sha256)


@pytest.mark.parametrize("name", [*LABELLED, "load_unlabelled"])
def test_an_unknown_subset_is_refused(name):
    with pytest.raises(ValueError, match="subset must be 'all', 'train' or 'test', got 'validation'"):
        getattr(datasets, name)(subset="validation")


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match=r"target must be 'K_VRH', 'G_VRH', 'log10\(K_VRH\)'.* got 'K'"):
        datasets.load_elastic_moduli(target="K")


def test_importing_the_loaders_imports_nothing_heavy():
    code = (
        "import sys, skdim.datasets; "
        "print([name for name in ('torch', 'matminer', 'pandas', 'pymatgen', 'sklearn') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_an_element_is_as_far_above_the_hull_as_above_its_reference(everything):
    frame = everything["load_formation_energy"].frame
    elements = frame[[len(structure.composition) == 1 for structure in frame["structure"]]]
    assert len(elements) == 83
    np.testing.assert_allclose(elements["formation_energy_per_atom"], elements["e_above_hull"], atol=1e-6)


def test_lithium_fluoride_has_its_measured_heat_of_formation_and_bond_length(everything):
    bunch = everything["load_formation_energy"]
    row = list(bunch.material_id).index("mp-1138")
    structure = bunch.frame["structure"][row]
    assert structure.composition.reduced_formula == "LiF"
    assert bunch.target[row] == pytest.approx(-616.0 / 96.485 / 2, rel=0.03)  # kJ/mol, two atoms
    assert structure.get_distance(0, 1) == pytest.approx(2.01, rel=0.03)  # Angstrom


def test_carbon_and_osmium_are_the_least_compressible(everything):
    frame = everything["load_elastic_moduli"].frame.sort_values("K_VRH", ascending=False)
    assert [structure.composition.reduced_formula for structure in frame["structure"][:2]] == ["C", "Os"]
    assert frame["K_VRH"].iloc[0] == pytest.approx(443, rel=0.03)  # GPa, diamond
    np.testing.assert_allclose(frame["log10(K_VRH)"], np.log10(frame["K_VRH"]))


def test_wide_gaps_go_with_small_refractive_indices(everything):
    frame = everything["load_band_gap"].frame
    assert (frame["n"] > 1).all()
    assert (frame["band_gap"] > 0).all()
    assert spearmanr(frame["band_gap"], frame["n"]).statistic < -0.7
    widest = frame.nlargest(5, "band_gap")["structure"]
    assert all("F" in structure.symbol_set for structure in widest)


# Of spglib, about its own error handling in versions to come; pymatgen has yet to react to it.
@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_piezoelectric_crystals_have_no_inversion_centre(everything):
    bunch = everything["load_piezoelectric"]
    assert (bunch.target > 0).all()
    inversion = -np.eye(3)
    for structure in bunch.frame["structure"][::20]:
        operations = SpacegroupAnalyzer(structure, symprec=1e-3).get_symmetry_operations()
        assert not any(np.allclose(operation.rotation_matrix, inversion) for operation in operations)
