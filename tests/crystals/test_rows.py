"""Collections of every kind are unpacked row by row, and a structure never becomes an array of its sites."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdim.crystals.rows import as_structures, row_labels
from tests.handmade import DATA, flat, iron, perovskite, salt, silicon

SALT, SILICON, PEROVSKITE = salt(), silicon(), perovskite()
ROWS = [SALT, SILICON, PEROVSKITE, None]


def object_array(rows):
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


@pytest.mark.parametrize(
    "collect",
    [
        list,
        tuple,
        object_array,
        lambda rows: object_array(rows)[:, None],
        lambda rows: (row for row in rows),
        lambda rows: dict(enumerate(rows)).values(),
        pd.Series,
        lambda rows: pd.Series(rows, index=[7, 7, 2, 0]),
        lambda rows: pd.Index(object_array(rows)),
        lambda rows: pd.DataFrame({"structure": rows, "path": ["a.cif"] * 4}),
        lambda rows: pd.DataFrame({"crystal": rows, "formula": ["NaCl"] * 4, "energy": [0.5] * 4}, index=[3, 1, 1, 0]),
        lambda rows: pd.DataFrame({"anything": rows}),
    ],
)
def test_rows_keep_their_order_number_and_identity(collect):
    rows = as_structures(collect(ROWS))
    assert type(rows) is list
    assert [id(row) for row in rows] == [id(row) for row in ROWS]


def test_structures_of_equal_site_counts_stay_structures():
    assert len(SALT) == len(SILICON)
    for rows in (as_structures([SALT, SILICON]), as_structures(object_array([SALT, SILICON]))):
        assert rows[0] is SALT
        assert rows[1] is SILICON


def test_an_array_that_became_sites_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 8\).*pass the list itself"):
        as_structures(np.array([SALT, SILICON], dtype=object))
    with pytest.raises(ValueError, match=r"shape \(2, 1\)"):
        as_structures(np.array([iron(), iron()], dtype=object))


@pytest.mark.parametrize("array", [np.zeros((3, 4)), np.zeros(3), np.array(None), np.empty((2, 2), dtype=object)])
def test_other_arrays_are_refused(array):
    with pytest.raises(ValueError, match="a list or a one-dimensional array"):
        as_structures(array)


def test_an_array_of_paths_is_taken():
    assert as_structures(np.array(["a.cif", "b.cif"])) == ["a.cif", "b.cif"]


@pytest.mark.parametrize("single", [SALT, "nacl.cif", DATA / "nacl.cif", flat(SALT), b"data"])
def test_a_single_crystal_is_refused(single):
    with pytest.raises(TypeError, match=r"X is a single \w+; put it in a list: \[X\]"):
        as_structures(single)


def test_crystals_by_id_are_refused_with_what_to_pass():
    with pytest.raises(TypeError, match=r"a dict with 2 entries.*pass pandas\.Series\(X\).*list\(X\.values\(\)\)"):
        as_structures({"mp-1": SALT, "mp-2": SALT})


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_refused_with_what_to_pass(kind, tmp_path):
    with pytest.raises(TypeError, match=r"X is the folder '.*'; pass its files"):
        as_structures(kind(tmp_path))


def test_single_ase_atoms_are_refused():
    build = pytest.importorskip("ase.build")
    with pytest.raises(TypeError, match="X is a single Atoms"):
        as_structures(build.bulk("Fe"))


@pytest.mark.parametrize("thing", [None, 3, {"a.cif"}])
def test_what_is_no_collection_is_refused(thing):
    with pytest.raises(TypeError, match="a list of crystals is needed"):
        as_structures(thing)


@pytest.mark.parametrize(
    "value", [SALT, flat(SALT), SALT.to(fmt="poscar"), SALT.to_json(), "a/b.cif", DATA / "si.json", "POSCAR"]
)
def test_the_column_of_crystals_is_found_by_its_values(value):
    frame = pd.DataFrame(
        {"id": ["mp-1", "mp-2"], "formula": ["NaCl", None], "crystal": [None, value], "gap": [1.0, np.nan]}
    )
    assert as_structures(frame)[1] is value


def test_a_frame_without_one_clear_column_names_its_columns():
    with pytest.raises(ValueError, match=r"no column holds crystals .*the columns are 'formula', 'gap'"):
        as_structures(pd.DataFrame({"formula": ["NaCl"], "gap": [1.0]}))
    with pytest.raises(ValueError, match="columns 'relaxed', 'measured' hold crystals; name the one to take"):
        as_structures(pd.DataFrame({"relaxed": [SALT], "measured": [SALT], "gap": [1.0]}))
    twice = pd.DataFrame([[SALT, SALT]], columns=["structure", "structure"])
    with pytest.raises(ValueError, match="columns 'structure', 'structure' hold crystals"):
        as_structures(twice)


def test_empty_collections_have_no_rows():
    assert (
        as_structures([])
        == as_structures(pd.Series([], dtype=object))
        == as_structures(np.array([], dtype=object))
        == []
    )


def test_labels_are_those_of_pandas():
    series = pd.Series([SALT, SILICON], index=["mp-1", "mp-2"])
    assert row_labels(series, [1]) == ["mp-2"]
    assert row_labels(series.to_frame(), [0, 1]) == ["mp-1", "mp-2"]
    assert row_labels(series.reset_index(drop=True), [1]) is None
    assert row_labels([SALT], [0]) is None
