"""Displays of what an embedder looks at: attention, the periodic table, a crystal."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from pymatgen.core import Lattice, Structure

from skdim import load_pretrained
from skdim.exceptions import StructureError
from skdim.interpretation import attention_by_distance, interchangeable_elements, site_surprise
from skdim.plotting import AttentionDisplay, CrystalDisplay, PeriodicTableDisplay
from skdim.plotting._crystals import _VIEW, _drawn_atoms
from tests.handmade import perovskite, salt


@pytest.fixture
def ax():
    return Figure((7, 5)).subplots()


@pytest.fixture(scope="module")
def embedder():
    return load_pretrained()


def lightness(colour):
    return np.dot(mpl.colors.to_rgb(colour), [0.299, 0.587, 0.114])


# Attention


@pytest.mark.parametrize("encoder", ["environment", "context"])
def test_attention_of_each_head_sums_to_one_over_the_shells(ax, embedder, encoder):
    display = AttentionDisplay.from_estimator(embedder, [salt(), perovskite()], encoder=encoder, ax=ax)
    assert display.curves.sum().to_numpy() == pytest.approx(np.ones(display.curves.shape[1]), abs=1e-5)
    assert np.diff(display.curves.index) == pytest.approx(display.width)
    assert ax.get_title() == f"{encoder} encoder"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("distance (Å)", "attention per shell of 0.25 Å")


def test_heads_can_be_told_apart_without_colour(ax, embedder):
    AttentionDisplay.from_estimator(embedder, [salt()], ax=ax)
    looks = {(line.get_linestyle(), line.get_marker()) for line in ax.lines}
    assert len(looks) == len(ax.lines) > 1


def test_the_first_shell_holds_the_attention_paid_to_the_nearest_neighbours(embedder, ax):
    table = attention_by_distance(embedder, [salt()])
    own = table[(table["encoder"] == "context") & (table["distance"] < 3)]  # 2.82 Angstrom, six of them
    display = AttentionDisplay.from_table(table, encoder="context", ax=ax)
    expected = own.groupby("head")["weight"].sum() / len(salt())
    assert display.curves.iloc[0].to_numpy() == pytest.approx(expected.to_numpy())


def test_attention_refuses_tables_and_encoders_that_are_not_there(embedder):
    table = attention_by_distance(embedder, [salt()])
    with pytest.raises(ValueError, match=r"columns crystal, .*, got none of \['weight'\]"):
        AttentionDisplay.from_table(table.drop(columns="weight"))
    with pytest.raises(ValueError, match="encoder must be 'environment' or 'context', got 'both'"):
        AttentionDisplay.from_table(table, encoder="both")


# Periodic table


def test_each_element_has_its_place_and_known_values_are_written_in_it(ax):
    display = PeriodicTableDisplay.from_values({"Fe": 0.25, "O": 0.5, "Xe": np.nan}, label="error (eV)", ax=ax)
    texts = {text.get_text().split("\n")[0]: text for text in ax.texts}
    assert len(texts) == 103
    assert texts["Fe"].get_text() == "Fe\n0.25"
    assert texts["Xe"].get_text() == "Xe"
    assert texts["Fe"].get_position() == (8, 4)
    assert texts["Lu"].get_position()[0] - texts["La"].get_position()[0] == 14
    assert list(display.values.index) == ["Fe", "O"]
    (bar,) = ax.child_axes
    assert bar.get_xlabel() == "error (eV)"


def test_names_can_be_read_on_every_colour(ax):
    values = dict(zip(["H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne"], np.linspace(0, 1, 10), strict=True))
    PeriodicTableDisplay.from_values(values, ax=ax)
    for box, text in zip(ax.patches, ax.texts, strict=True):
        assert abs(lightness(box.get_facecolor()) - lightness(text.get_color())) > 0.3


def test_errors_are_means_over_the_crystals_that_hold_an_element(ax):
    crystals = [salt(), perovskite(), perovskite()]
    display = PeriodicTableDisplay.from_errors(crystals, [-3.0, 1.0, 2.0], ax=ax)
    assert display.values.to_dict() == {"Na": 3.0, "Cl": 3.0, "Sr": 1.5, "Ti": 1.5, "O": 1.5}
    few = PeriodicTableDisplay.from_errors(crystals, [-3.0, 1.0, np.nan], least=1, ax=ax)
    assert few.values["O"] == 1.0
    assert "Na" not in PeriodicTableDisplay.from_errors(crystals, [3.0, 1.0, 2.0], least=2, ax=ax).values


def test_similarities_are_those_of_the_embedder(embedder, ax):
    display = PeriodicTableDisplay.from_similarity(embedder, "O", ax=ax)
    assert display.values.to_dict() == interchangeable_elements(embedder)["O"].drop("O").to_dict()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: PeriodicTableDisplay.from_values({"Fe": 1.0, "iron": 2.0}), r"by symbol, got \['iron'\]"),
        (lambda e: PeriodicTableDisplay.from_values({"Fe": np.nan}), "by symbol, got none"),
        (lambda e: PeriodicTableDisplay.from_errors([salt()], [1.0, 2.0]), r"shape \(1,\), .*, got \(2,\)"),
        (lambda e: PeriodicTableDisplay.from_similarity(e, "Og"), "element must be one of .*, got 'Og'"),
    ],
)
def test_the_periodic_table_refuses_what_does_not_fit(embedder, call, message):
    with pytest.raises(ValueError, match=message):
        call(embedder)


# A crystal


def test_a_crystal_is_drawn_with_bonds_a_cell_and_a_legend(ax):
    pytest.importorskip("hofmann")
    display = CrystalDisplay.from_structure(perovskite(), ax=ax)
    assert ax.get_title() == "SrTiO3"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Sr", "Ti", "O"]
    assert display.plot(Figure().subplots()) is display


def test_values_of_sites_colour_them_and_surprise_is_one_of_them(embedder, ax):
    pytest.importorskip("hofmann")
    display = CrystalDisplay.from_estimator(embedder, perovskite(), ax=ax)
    assert display.values == pytest.approx(site_surprise(embedder, perovskite())["surprise"].to_numpy())
    bar = ax.figure.axes[-1]
    assert bar.get_ylabel() == "surprise (nats)"
    assert bar.get_ylim() == pytest.approx((display.values.min(), display.values.max()))


def test_atoms_have_their_symbols_unless_others_hide_them(ax):
    pytest.importorskip("hofmann")
    sites, places = _drawn_atoms(salt())
    assert len(sites) == 27  # 8 corners, 6 faces, 12 edges and the middle
    assert len(np.unique(places.round(6), axis=0)) == 27
    for aside, seen in ((0.0, 1), (3.0, 2)):
        places = np.array([[4.0, 4.0, 4.0], np.array([4.0, 4.0, 4.0 + aside]) - 2 * np.array(_VIEW)])
        pair = Structure(Lattice.cubic(8), ["Cs", "Cs"], places, coords_are_cartesian=True)
        display = CrystalDisplay.from_structure(pair, [0.0, 1.0], ax=Figure().subplots())
        assert len(display.ax_.patches) == seen
    assert len(CrystalDisplay.from_structure(pair, ax=ax).ax_.patches) == seen  # elements are alike in grey


def test_mixed_sites_and_paths_are_drawn(ax, tmp_path):
    pytest.importorskip("hofmann")
    alloy = Structure(Lattice.cubic(3.8), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    CrystalDisplay.from_structure(alloy, ax=ax)
    assert ax.get_title() == "Cu0.5 Au0.5"
    assert not ax.patches  # a symbol on a divided disc cannot be read
    salt().to(str(tmp_path / "salt.cif"))
    assert CrystalDisplay.from_structure(tmp_path / "salt.cif", ax=ax).structure.composition == salt().composition


def test_a_crystal_refuses_values_of_another_length_and_what_is_no_crystal(ax):
    with pytest.raises(ValueError, match=r"values must have shape \(8,\)"):
        CrystalDisplay.from_structure(salt(), [1.0, 2.0], ax=ax)
    with pytest.raises(StructureError, match="row 0"):
        CrystalDisplay.from_structure("missing.cif", ax=ax)


def test_bonds_of_which_an_atom_has_more_than_eight_hide_nothing():
    pytest.importorskip("hofmann")
    from skdim.plotting._crystals import _scene

    drawn = {frozenset(bond.species) for bond in _scene(perovskite()).bond_specs}
    assert frozenset({"Ti", "O"}) in drawn
    assert not any("Sr" in species for species in drawn)  # of twelve neighbours
    assert frozenset({"Na", "Cl"}) in {frozenset(bond.species) for bond in _scene(salt()).bond_specs}
