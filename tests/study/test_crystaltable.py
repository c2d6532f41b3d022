"""Tables of crystals with labels: every form gives the same crystals, in their order, with their own labels."""

import numpy as np
import pandas as pd
import pytest

from skdim import CrystalPointSetTransformer
from skdim.datasets import in_test_fold
from skdim.exceptions import InputError
from skdim.study.crystaltable import read_labelled_table
from skdim.study.tasks import load_table_tasks
from tests.study.tabled import crystals, write_cells

N = 60


def frame():
    """The table with a column of CIF text."""
    structures, ids, energies = crystals(N)
    cif = [structure.to(fmt="cif") for structure in structures[:20]]
    return pd.DataFrame({"id": ids[:20], "structure": cif, "energy": energies[:20], "note": "x"})


def same(found, expected):
    """Tell whether rows hold the crystals that are expected."""
    featurizer = CrystalPointSetTransformer()
    ours, theirs = featurizer.transform(list(found)), featurizer.transform(expected)
    assert ours.n_sites.tolist() == theirs.n_sites.tolist()
    np.testing.assert_allclose(ours.distance, theirs.distance, atol=2e-3)
    np.testing.assert_allclose(ours.volume, theirs.volume, rtol=1e-4)


def test_cells_become_the_crystals_they_were_made_of(tmp_path):
    table = read_labelled_table(write_cells(tmp_path / "table.parquet"))
    structures, ids, energies = crystals(N)
    assert list(table.crystals.ids) == ids
    assert list(table.labels) == ["energy", "volume"]
    np.testing.assert_array_equal(table.labels["energy"], energies)
    assert np.isnan(table.labels["volume"]).sum() == 6
    assert table.crystals[5].id == ids[5]
    same(table.crystals[10:30], structures[10:30])
    same([table.crystals[k] for k in (3, 0)], [structures[3], structures[0]])


def test_vectors_and_nested_coordinates_are_taken_as_well(tmp_path):
    structures, _, _ = crystals(N)
    nested = {
        "cell": [s.lattice.matrix.tolist() for s in structures],
        "frac_coords": [s.frac_coords.tolist() for s in structures],
    }
    table = read_labelled_table(write_cells(tmp_path / "table.parquet", **nested))
    same(table.crystals[:10], structures[:10])


@pytest.mark.parametrize("name", ["table.csv", "table.feather", "table.parquet"])
def test_a_column_of_crystals_is_read_from_every_kind_of_file(tmp_path, name):
    path = tmp_path / name
    getattr(frame(), {"csv": "to_csv", "feather": "to_feather", "parquet": "to_parquet"}[name[6:]])(path)
    table = read_labelled_table(path, ["energy"])
    assert list(table.crystals.ids) == crystals(N)[1][:20]
    np.testing.assert_allclose(table.labels["energy"], crystals(N)[2][:20])
    same(table.crystals[:5], crystals(N)[0][:5])


def test_rows_without_a_label_are_left_out_and_some_are_drawn_by_the_seed(tmp_path):
    path = write_cells(tmp_path / "table.parquet")
    some = read_labelled_table(path, ["volume"])
    assert len(some.crystals) == N - 6
    few, again, others = (read_labelled_table(path, rows=20, seed=seed) for seed in (0, 0, 1))
    assert few.crystals.ids == again.crystals.ids != others.crystals.ids
    assert few.crystals.key == again.crystals.key != others.crystals.key
    place = [crystals(N)[1].index(name) for name in few.crystals.ids]
    assert place == sorted(place)
    np.testing.assert_array_equal(few.labels["energy"], crystals(N)[2][place])


def test_a_row_that_makes_no_crystal_fails_alone(tmp_path):
    structures, _, _ = crystals(N)
    coordinates = [s.frac_coords.ravel().tolist() for s in structures]
    coordinates[4] = coordinates[4][:-1]
    coordinates[7] = None
    table = read_labelled_table(write_cells(tmp_path / "table.parquet", frac_coords=coordinates))
    points, failures = CrystalPointSetTransformer().try_transform(table.crystals[:10])
    assert [row for row, _ in failures] == [4, 7]
    assert all("cell, numbers and frac_coords make no crystal" in reason for _, reason in failures)
    assert points.valid.sum() == 8


def test_tasks_share_the_crystals_and_a_fold_that_the_ids_decide(tmp_path):
    energy, volume = load_table_tasks(write_cells(tmp_path / "table.parquet"))
    assert energy.structures is volume.structures
    assert (energy.other, volume.other) == ("volume", "energy")
    assert energy.test_mask.tolist() == in_test_fold(energy.material_id, share=0.1).tolist()
    # A tenth of all, and no crystal that pretrainings for the bundled sets have seen.
    assert in_test_fold(np.array(energy.material_id)[energy.test_mask].tolist()).all()
    many = [f"mp-{k}" for k in range(20_000)]
    assert in_test_fold(many, share=0.1).mean() == pytest.approx(0.1, abs=0.01)
    (alone,) = load_table_tasks(tmp_path / "table.parquet", ["energy"])
    assert alone.other is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": ["gap"]}, r"targets must be distinct columns of .*energy, volume, got \['gap'\]"),
        ({"targets": ["energy", "energy"]}, "targets must be distinct"),
        ({"id_column": "name"}, "there is no column 'name'"),
    ],
)
def test_what_is_not_in_the_table_is_said(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_labelled_table(write_cells(tmp_path / "table.parquet"), **change)


def test_a_table_without_ids_labels_or_sense_is_refused(tmp_path):
    frame().drop(columns="id").to_csv(tmp_path / "anonymous.csv", index=False)
    frame().drop(columns="energy").to_csv(tmp_path / "unlabelled.csv", index=False)
    (tmp_path / "text.parquet").write_text("no table")
    for name, message in (
        ("anonymous.csv", "has no column of ids"),
        ("unlabelled.csv", "targets must be distinct columns of"),
        ("text.parquet", "cannot be read as a table"),
    ):
        with pytest.raises(InputError, match=message):
            read_labelled_table(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_labelled_table(tmp_path / "missing.parquet")
