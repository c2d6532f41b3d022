"""StructureError: what it says, and that it comes back whole from another process."""

import pickle

import joblib
import pytest

from skdim.exceptions import StructureError, describe_failures


def test_the_message_names_rows_and_reasons():
    assert str(StructureError([(4, "no sites"), (9, "singular lattice")])) == (
        "2 structures cannot be used:\n  row 4: no sites\n  row 9: singular lattice"
    )


def test_labels_stand_beside_the_rows():
    assert "row 4 (mp-13): no sites" in str(StructureError([(4, "no sites")], labels=["mp-13"]))


def test_many_failures_are_all_kept_and_the_first_twenty_told():
    error = StructureError([(row, f"reason {row}") for row in range(50)])
    assert len(error.failures) == 50
    lines = str(error).splitlines()
    assert len(lines) == 22
    assert lines[-2:] == ["  row 19: reason 19", "  and 30 more"]


@pytest.mark.parametrize("labels", [None, ["mp-13"]])
def test_it_survives_pickle(labels):
    error = pickle.loads(pickle.dumps(StructureError([(4, "no sites")], labels)))
    assert isinstance(error, ValueError)
    assert (error.failures, error.labels) == ([(4, "no sites")], labels)
    assert str(error) == describe_failures([(4, "no sites")], labels)


def fail():
    raise StructureError([(1, "no sites")])


@pytest.mark.slow
def test_it_comes_back_from_a_worker():
    with pytest.raises(StructureError) as caught:
        joblib.Parallel(n_jobs=2)(joblib.delayed(fail)() for _ in range(2))
    assert caught.value.failures == [(1, "no sites")]
