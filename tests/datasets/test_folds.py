import hashlib
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdim import datasets
from skdim.datasets import in_test_fold
from tests.daily import examples

LOADERS = ["load_formation_energy", "load_band_gap", "load_elastic_moduli", "load_piezoelectric"]


@pytest.fixture(scope="module")
def folds():
    return {
        (name, s): set(getattr(datasets, name)(subset=s).material_id) for name in LOADERS for s in ("train", "test")
    }


@pytest.mark.parametrize("name", LOADERS)
def test_the_folds_of_a_set_are_disjoint_and_complete(folds, name):
    train, test = folds[name, "train"], folds[name, "test"]
    assert train.isdisjoint(test)
    assert train | test == set(getattr(datasets, name)().material_id)
    assert 0.19 < len(test) / len(train | test) < 0.23


@pytest.mark.parametrize(("trained", "tested"), list(permutations(LOADERS, 2)))
def test_no_test_crystal_of_one_set_is_a_training_crystal_of_another(folds, trained, tested):
    assert folds[trained, "train"].isdisjoint(folds[tested, "test"])
    shared = (folds[trained, "train"] | folds[trained, "test"]) & (folds[tested, "train"] | folds[tested, "test"])
    assert shared, "the sets share no crystal: the test above says nothing"


def test_the_fold_is_a_share_of_the_sha256_of_the_id():
    ids = [f"mp-{number}" for number in range(2000)]
    slow = [int(hashlib.sha256(i.encode()).hexdigest(), 16) / 2**256 < 0.2053 for i in ids]
    np.testing.assert_array_equal(in_test_fold(ids), slow)


@examples(30)
@given(st.lists(st.text(max_size=12), max_size=20), st.randoms(use_true_random=False))
def test_the_fold_of_a_crystal_depends_on_its_id_alone(ids, random):
    mask = in_test_fold(ids)
    assert mask.shape == (len(ids),)
    assert mask.dtype == bool
    order = list(range(len(ids)))
    random.shuffle(order)
    np.testing.assert_array_equal(in_test_fold(ids[row] for row in order), mask[order] if ids else mask)


def test_one_string_is_refused():
    with pytest.raises(TypeError, match="material_ids must be a sequence of strings, got the single string 'mp-149'"):
        in_test_fold("mp-149")


def test_what_is_no_string_is_named_with_its_row():
    with pytest.raises(TypeError, match=r"must hold strings such as 'mp-149'; 2 do not \(row 1: 149, row 3: None\)"):
        in_test_fold(["mp-149", 149, "mp-66", None])
