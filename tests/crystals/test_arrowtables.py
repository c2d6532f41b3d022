"""Parquet and Arrow files that state far more than they hold are refused, or read in the memory of one row."""

import tracemalloc

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

import skdim
from skdim.crystals.structures import try_crystal
from tests.handmade import DATA

CIF = (DATA / "nacl.cif").read_text()
WRITERS = {"a.parquet": parquet.write_table, "a.feather": feather.write_feather}


def shared(text: str, n_rows: int) -> pa.Array:
    """A column of one value in many rows."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array([text]))


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("nested", [False, True])
def test_a_value_that_many_rows_share_is_in_memory_once(name, nested, tmp_path):
    column = shared(CIF + "#" + "x" * 300_000, 70)
    if nested:
        column = pa.StructArray.from_arrays([column.cast(pa.string())], ["cif"])
    options = {"dictionary_pagesize_limit": 10**8} if name == "a.parquet" else {}
    WRITERS[name](pa.table({"structure": column}), tmp_path / name, **options)
    tracemalloc.start()
    with skdim.reading_limits(n_bytes=1_000_000):
        n_good = sum(try_crystal(row)[1] is None for row in skdim.read_crystals(tmp_path / name))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_good == 70
    assert peak < 8 * 300_000  # the rows of a batch would take 64 times as much as one


def last_problem(path, **limits):
    with skdim.reading_limits(**limits):
        return list(skdim.read_crystals(path))[-1].problem


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("in_dictionary", [False, True])
def test_a_batch_that_unpacks_to_far_more_than_it_takes_is_refused(compression, in_dictionary, tmp_path):
    column = pa.array(["x" * 10_000_000])
    table = pa.table({"structure": column.dictionary_encode() if in_dictionary else column})
    feather.write_feather(table, tmp_path / "a.feather", compression=compression)
    assert "unpacks to 9.54 MiB" in last_problem(tmp_path / "a.feather", n_bytes=100_000)


def test_a_row_with_a_long_list_of_one_long_value_is_refused(tmp_path):
    column = pa.StructArray.from_arrays([pa.array([CIF]), pa.array([["x" * 10_000] * 1000])], ["cif", "tags"])
    parquet.write_table(pa.table({"structure": column}), tmp_path / "a.parquet", compression="none")
    assert "limit n_bytes" in last_problem(tmp_path / "a.parquet", n_bytes=100_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_many_more_rows_than_bytes_are_refused(name, tmp_path):
    WRITERS[name](pa.table({"structure": pa.nulls(1_000_000, pa.string())}), tmp_path / name)
    assert len(list(skdim.read_crystals(tmp_path / name))) <= 100_000
    assert "rows in" in last_problem(tmp_path / name)


@pytest.mark.parametrize("name", WRITERS)
def test_some_thousand_rows_may_share_a_value(name, tmp_path):
    WRITERS[name](pa.table({"structure": pa.nulls(20_000, pa.string())}), tmp_path / name)
    assert len(list(skdim.read_crystals(tmp_path / name))) == 20_000


@pytest.mark.skipif(not hasattr(pa, "string_view"), reason="older pyarrow does not know the texts of polars")
@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_arrow_files_of_polars_are_read(compression, tmp_path):
    pl.DataFrame({"id": ["a", "b"], "cif": [CIF, CIF]}).write_ipc(tmp_path / "a.feather", compression=compression)
    rows = list(skdim.read_crystals(tmp_path / "a.feather"))
    assert [row.id for row in rows] == ["a", "b"]
    assert all(try_crystal(row)[1] is None for row in rows)
