"""Relatives by composition, formula, prototype, structure and element stay on one side of every split."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GroupKFold, cross_val_score

from skdim import DeepInfoMaxEmbedder
from skdim.evaluation import CompositionGroupKFold, LeaveElementOut, composition_groups, near_duplicates
from skdim.exceptions import StructureError
from tests.bundled import OTHERWISE, jolted, sample
from tests.daily import slow
from tests.handmade import face_centred, iron, perovskite, salt, silicon


def rocksalt(first: str, second: str, a: float = 5.6) -> Structure:
    return face_centred(a, [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride(first: str, second: str) -> Structure:
    return Structure(Lattice.cubic(4.1), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


def mixed() -> Structure:
    return face_centred(6, [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_the_three_names_of_a_crystal() -> None:
    assert composition_groups([salt()], "system").tolist() == ["Cl-Na"]
    assert composition_groups([salt()], "formula").tolist() == ["NaCl"]
    assert composition_groups([salt()], "prototype").tolist() == ["A1B1 225 A:1:m-3m B:1:m-3m"]


def test_a_prototype_is_known_by_its_sites_and_not_by_its_elements() -> None:
    names = composition_groups(
        [salt(), rocksalt("Mg", "O", 4.2), rocksalt("Cl", "Na"), caesium_chloride("Cs", "Cl"), mixed()], "prototype"
    )
    assert len(set(names[[0, 1, 2, 4]])) == 1  # a mixed species is one kind, as in the families that chemists speak of
    assert names[3] != names[0]


@pytest.mark.parametrize("way", ["supercell", *slow(*(way for way in OTHERWISE if way != "supercell"))])
def test_a_prototype_does_not_depend_on_the_description_of_the_cell(way) -> None:
    rng = np.random.default_rng(0)
    crystals = [salt(), perovskite(), silicon(), iron(), *sample(20, seed=3)]
    moved = [OTHERWISE[way](crystal, rng) for crystal in crystals]
    assert composition_groups(moved, "prototype").tolist() == composition_groups(crystals, "prototype").tolist()


def test_sites_on_top_of_each_other_have_a_prototype_too() -> None:
    (name,) = composition_groups(
        [Structure(Lattice.cubic(3), [{"Fe": 0.5}] * 2, [[0, 0, 0], [1e-4, 0, 0]])], "prototype"
    )
    assert name.startswith("A1")


@pytest.mark.parametrize("by", ["system", "formula", "prototype"])
def test_no_group_is_on_both_sides(by: str) -> None:
    crystals = sample(60)
    names = composition_groups(crystals, by)
    seen = []
    for train, test in CompositionGroupKFold(3, by=by, random_state=1).split(crystals):
        assert not set(names[train]) & set(names[test])
        seen.extend(test)
    assert sorted(seen) == list(range(60))


def test_the_folds_are_those_of_groups_handed_to_scikit_learn() -> None:
    crystals = sample(40)
    ours = CompositionGroupKFold(4, random_state=5).split(crystals)
    theirs = GroupKFold(4, shuffle=True, random_state=5).split(crystals, groups=composition_groups(crystals))
    for (_, test), (_, expected) in zip(ours, theirs, strict=True):
        assert test.tolist() == expected.tolist()


def test_it_goes_where_a_splitter_goes() -> None:
    crystals = np.fromiter(sample(30), dtype=object, count=30)
    splitter = CompositionGroupKFold(3, random_state=0)
    assert len(cross_val_score(DummyRegressor(), crystals, np.arange(30.0), cv=splitter)) == 3
    assert splitter.get_n_splits() == 3
    assert repr(splitter) == "CompositionGroupKFold(by='system', n_splits=3, random_state=0, shuffle=True)"


def test_too_few_groups_and_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"n_splits must be at most 1, as the 4 crystals .* by formula, got 3"):
        next(CompositionGroupKFold(3, by="formula").split([salt()] * 4))
    with pytest.raises(TypeError, match=r"array of numbers of shape \(4, 2\); crystals are needed"):
        next(CompositionGroupKFold(2).split(np.zeros((4, 2))))
    with pytest.raises(ValueError, match=r"by must be .*, got 'family'"):
        composition_groups([salt()], "family")
    with pytest.raises(StructureError, match="row 1"):
        composition_groups([salt(), None])


def test_each_element_is_left_out_once_and_nothing_of_it_stays() -> None:
    crystals = [salt(), perovskite(), silicon(), mixed(), iron()]
    splitter = LeaveElementOut(min_test=2)
    splits = list(splitter.split(crystals))
    assert [test.tolist() for _, test in splits] == [[0, 3], [0, 3]]  # Na and Cl, in the order of atomic numbers
    assert splitter.get_n_splits(crystals) == 2
    (train, test), *_ = LeaveElementOut(["O"]).split(crystals)
    assert train.tolist() == [0, 2, 3, 4]
    assert test.tolist() == [1]


@pytest.mark.parametrize(
    ("splitter", "words"),
    [
        (LeaveElementOut(["Xe"]), "got .'Xe'."),
        (LeaveElementOut(["Na"]), "got .'Na'."),  # in all of them
        (LeaveElementOut([]), "must be elements that some"),
        (LeaveElementOut(min_test=5), "min_test must be smaller, got 5: no element"),
    ],
)
def test_elements_that_cannot_be_left_out(splitter: LeaveElementOut, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(splitter.split([salt(), mixed()]))


def test_near_duplicates_share_a_label_by_structure_and_by_vector() -> None:
    rng = np.random.default_rng(0)
    crystals = [salt(), perovskite(), caesium_chloride("Na", "Cl"), jolted(salt(), rng), perovskite()]
    assert near_duplicates(crystals).tolist() == [0, 1, 2, 0, 1]
    vectors = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(sample(40)).transform(crystals)
    assert near_duplicates(crystals, vectors).tolist() == [0, 1, 2, 0, 1]
    assert composition_groups(crystals, "structure").tolist() == ["NaCl 0", "SrTiO3 1", "NaCl 2", "NaCl 0", "SrTiO3 1"]


def test_likeness_is_passed_on_and_never_crosses_formulas() -> None:
    crystals = [salt(), salt(), salt(), perovskite()]
    vectors = np.array([[0.0], [1.0], [0.5], [0.5]])
    assert near_duplicates(crystals, vectors, tolerance=0.5).tolist() == [0, 0, 0, 1]
    assert near_duplicates(crystals, vectors, tolerance=0.4).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"got shape \(3, 1\)"):
        near_duplicates(crystals, vectors[:3])
