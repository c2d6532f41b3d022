"""Reference features: numbers of the libraries they come from, rows that fail, what is kept."""

import importlib.util
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest
from matminer.featurizers.structure import JarvisCFID, OrbitalFieldMatrix, XRDPowderPattern
from matminer.utils.data import MagpieData
from pymatgen.core import Lattice, Structure

from skdim.datasets import load_formation_energy
from skdim.evaluation import REFERENCE_FEATURES, _references, reference_features
from skdim.evaluation._cfid import ArrayCFID, _dihedral
from skdim.evaluation._references import _key
from skdim.exceptions import StructureError
from skdim.points.features import SITE_FEATURES
from tests.bundled import jolted, permuted, sample, shifted
from tests.handmade import iron, perovskite, salt, silicon
from tests.small import mixture, rutile

PURE = ["magpie", "elements", "ofm", "xrd", "cfid"]


def small(n, seed=0):
    return [s for s in sample(8 * n, seed) if len(s) <= 6][:n]


def entries(folder):
    """The files of what is kept, one for each crystal."""
    return sorted(folder.rglob("output.pkl"))


# Numbers


def test_elements_are_four_statistics_of_the_tables_of_the_default_site_features():
    tables = MagpieData(impute_nan=True)
    found = reference_features("elements", [perovskite(), mixture()])
    for row, shares in enumerate(
        [{"Sr": 0.2, "Ti": 0.2, "O": 0.6}, {"Na": 0.6 / 1.9, "K": 0.4 / 1.9, "Cl": 0.9 / 1.9}]
    ):
        for name in SITE_FEATURES["bonding"]:
            values = [tables.all_elemental_props[name][symbol] for symbol in shares]
            weights = list(shares.values())
            mean = sum(w * v for w, v in zip(weights, values, strict=True))
            spread = sum(w * abs(v - mean) for w, v in zip(weights, values, strict=True))
            wanted = [mean, spread, min(values), max(values)]
            words = ("mean", "mean deviation", "minimum", "maximum")
            assert found.loc[row, [f"{word} {name}" for word in words]].tolist() == pytest.approx(wanted)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "make"), [("ofm", lambda: OrbitalFieldMatrix(period_tag=True)), ("xrd", XRDPowderPattern)]
)
def test_columns_are_those_of_matminer(name, make):
    featurizer = make()
    crystals = [salt(), perovskite(), *small(2)]
    found = reference_features(name, crystals)
    assert found.columns.tolist() == featurizer.feature_labels()
    assert found.to_numpy() == pytest.approx(np.array([featurizer.featurize(s) for s in crystals]))


def test_the_matminer_set_has_the_columns_of_its_parts_and_nan_where_one_fails():
    pure, mixed = reference_features("matminer", [salt(), mixture()]).to_numpy()
    columns = reference_features("matminer", [salt()]).columns
    assert len(set(columns)) == len(columns) == len(pure)
    assert not np.isnan(pure[columns.str.startswith("ElementProperty MagpieData")]).any()
    density = columns.get_loc("DensityFeatures density")
    assert pure[density] == pytest.approx(salt().density)
    assert columns.str.endswith("_element").sum() == 0
    # Sites of two elements have no distances between elements, and yet a composition.
    assert np.isnan(mixed).any()
    assert not np.isnan(mixed[columns.str.startswith("ElementFraction")]).any()


def test_cfid_is_that_of_matminer_wherever_no_atoms_are_in_a_line():
    # Jolts too small for a bin of distances, which leave few lines of three: those of an atom and its own images.
    rng = np.random.default_rng(0)
    slow, fast = JarvisCFID(), ArrayCFID()
    labels = np.array(slow.feature_labels())
    usual = ~np.isin(labels, ["jml_adf1_179", "jml_adf2_179"])
    for crystal in small(4, seed=5):
        crooked = jolted(crystal, rng, 1e-4)
        assert fast.featurize(crooked)[usual] == pytest.approx(slow.featurize(crooked)[usual], rel=1e-9, abs=1e-9)


def test_dihedral_angle_is_that_between_planes_and_zero_where_there_is_none():
    turn = np.radians(60)
    before, along = np.array([[1.0, 0, 0], [0, 0, 2.0], [1e-12, 0, 1.0]]), np.array([0, 0, 1.5])
    after = np.array([[np.cos(turn), np.sin(turn), 0.7], [0, 0, 1.0]])
    # The bonds run along the chain, so that opposite first and last ones, cis, have an angle of zero.
    found = _dihedral(before, along, after).reshape(3, 2)
    assert found == pytest.approx(np.array([[120, 0], [0, 0], [0, 0]]))


@pytest.mark.parametrize("name", PURE)
def test_order_and_origin_of_the_sites_do_not_matter(name):
    crystal, rng = rutile(), np.random.default_rng(1)
    found = reference_features(name, [crystal, permuted(crystal, rng), shifted(crystal, rng)]).to_numpy()
    # CFID counts pairs at exactly half a cell by the sign of rounding, XRD counts whole photons.
    loose = {"cfid": slice(0, 438 + 4 + 378 + 100), "xrd": slice(None)}.get(name, slice(None))
    assert found[1:, loose] == pytest.approx(found[[0, 0], loose], rel=2e-2, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "width"), [("chgnet", 64), ("chgnet_layers", 640), ("sevennet", 1280), ("sevennet_l3i5", 1280)]
)
def test_potentials_give_vectors(name, width):
    if not REFERENCE_FEATURES[name].is_available:
        pytest.skip(f"needs the extra {REFERENCE_FEATURES[name].extra}")
    crystal, rng = rutile(), np.random.default_rng(1)
    crystals = [crystal, permuted(crystal, rng), shifted(crystal, rng), crystal * (1, 1, 2), salt()]
    found = reference_features(name, crystals).to_numpy()
    assert found.shape == (5, width)
    # The sum over atoms is in CHGNet's vector, not the mean.
    same = found[1:3] if name == "chgnet" else found[1:4]
    assert same == pytest.approx(found[[0] * len(same)], abs=1e-3)
    assert np.abs(found[4] - found[0]).max() > 0.1


@pytest.mark.parametrize(("name", "module"), [("chgnet", "chgnet"), ("sevennet", "sevenn")])
def test_without_its_package_a_potential_says_how_to_install_it(name, module, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None)  # as if none were there
    with pytest.raises(ImportError, match=rf"pip install 'skdim-crystals\[{name}\]'") as caught:
        reference_features(name, [salt()])
    assert caught.value.name == module


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_rows_and_warnings():
    crystals = [*(Structure(Lattice.cubic(a), ["Po"], [[0, 0, 0]]) for a in np.linspace(3, 4, 20)), mixture()]
    tables = []
    for n_jobs in (1, 2):
        with pytest.warns(UserWarning, match="ofm fails on 1 of 21") as caught:
            tables.append(reference_features("ofm", crystals, n_jobs=n_jobs))
        assert len(caught) == 1
    assert tables[0].equals(tables[1])


# Rows that fail


@pytest.mark.parametrize(
    ("name", "crystal", "reason"),
    [
        ("ofm", mixture(), "disordered; ofm accepts ordered crystals only"),
        ("cfid", Structure(Lattice.cubic(4), ["Eu", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]), "Element Eu not found"),
        ("xrd", iron().make_supercell(8, in_place=False), "512 sites; xrd accepts at most 500"),
        ("elements", Structure(Lattice.cubic(4), ["Og"], [[0, 0, 0]]), "nan as 'mean MendeleevNumber'"),
    ],
)
def test_rows_that_fail_are_nan_and_told_in_one_warning(name, crystal, reason, tmp_path):
    for _ in range(2):  # the second time from the cache
        with pytest.warns(UserWarning, match=f"{name} fails on 1 of 2 crystals, .*: row 1: .*{reason}") as caught:
            found = reference_features(name, [salt(), crystal], cache_dir=tmp_path)
        assert len(caught) == 1
        assert found.isna().all(axis=1).tolist() == [False, True]


def test_a_warning_names_three_rows_by_their_labels():
    import pandas as pd

    crystals = pd.Series([mixture()] * 4 + [salt()], index=list("abcde"))
    with pytest.warns(UserWarning, match=r"4 of 5 .* row 0 \(a\): .* row 2 \(c\): [^;]*; [^;]*; \.\.\.$"):
        reference_features("ofm", crystals)


@pytest.mark.skipif(find_spec("chgnet") is None, reason="needs the extra chgnet")
def test_what_a_library_says_of_a_crystal_is_passed_on():
    helium = Structure(Lattice.cubic(4.2), ["He"], [[0, 0, 0]])
    with pytest.warns(UserWarning, match="chgnet warns of 1 of 1: row 0: No Pauling electronegativity for He"):
        reference_features("chgnet", [helium])


def test_unusable_crystals_are_left_nan_on_request():
    with pytest.warns(UserWarning, match="elements fails on 1 of 2 crystals, .*: row 1: "):
        found = reference_features("elements", [salt(), None], on_error="nan")
    assert found.isna().all(axis=1).tolist() == [False, True]
    assert found[:1].equals(reference_features("elements", [salt()]))


def test_unknown_names_and_unusable_crystals_are_refused():
    with pytest.raises(ValueError, match=r"name.*'magpie', 'elements', 'ofm'"):
        reference_features("OFM", [salt()])
    with pytest.raises(StructureError, match="row 1"):
        reference_features("xrd", [salt(), None])


def test_no_crystals_give_no_rows():
    assert reference_features("elements", []).shape == (0, 84)


# What is kept


def test_the_key_is_of_lattice_coordinates_and_occupancies_alone():
    plain, dressed = salt(), salt()
    dressed.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    dressed.add_site_property("magmom", [1.0] * 8)
    moved, strained = salt(), salt()
    moved.translate_sites([0], [1e-4, 0, 0])
    strained.apply_strain(1e-4)
    noisy = jolted(plain, np.random.default_rng(0), 1e-9)
    magpie, elements = REFERENCE_FEATURES["magpie"], REFERENCE_FEATURES["elements"]
    keys = [_key(magpie, s) for s in (plain, dressed, noisy, moved, strained)]
    assert keys[0] == keys[1] == keys[2]
    assert len({*keys, _key(elements, plain), _key(magpie, silicon())}) == 5


def test_what_is_kept_is_found_again(tmp_path, monkeypatch):
    crystals = [salt(), perovskite(), salt()]
    first = reference_features("elements", crystals, cache_dir=tmp_path)
    assert len(entries(tmp_path)) == 2

    def never(structure):
        raise AssertionError("described again")

    with monkeypatch.context() as patched:
        patched.setattr(_references.sets, "neutral", never)
        assert reference_features("elements", crystals, cache_dir=tmp_path).equals(first)


def test_damaged_entries_are_computed_again_with_a_word_in_the_log(tmp_path, caplog):
    crystals = [salt(), perovskite()]
    first = reference_features("elements", crystals, cache_dir=tmp_path)
    for file in entries(tmp_path):
        file.write_bytes(file.read_bytes()[:20])
    assert reference_features("elements", crystals, cache_dir=tmp_path).equals(first)
    assert caplog.text.count("Exception while loading results for _describe") == 2
    assert reference_features("elements", crystals, cache_dir=tmp_path).equals(first)
    assert caplog.text.count("Exception while loading results for _describe") == 2


def test_a_folder_that_cannot_be_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        reference_features("elements", [salt()], cache_dir=tmp_path / "file")


KILLED = """
import sys
from skdim.datasets import load_formation_energy
from skdim.evaluation import reference_features
reference_features("xrd", load_formation_energy().data[:600], cache_dir=sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_run_leaves_what_it_has_computed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)]) as process:
        while len(entries(tmp_path)) < 3 and process.poll() is None:
            time.sleep(0.02)
        process.kill()
    assert process.returncode != 0
    kept = entries(tmp_path)
    assert 3 <= len(kept) < 600
    first = load_formation_energy().data[:3]
    stamps = {file: file.stat().st_mtime_ns for file in kept}
    found = reference_features("xrd", first, cache_dir=tmp_path)
    assert found.equals(reference_features("xrd", first))
    assert {file: file.stat().st_mtime_ns for file in kept} == stamps
