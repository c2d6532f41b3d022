"""Footers of Parquet files: what pyarrow tells of sound ones, and an error where it would end the process."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from skdim.crystals.parquetfooter import chunks_of

TABLE = pa.table({"id": ["a", "b", "c"] * 40, "y": [1.5, None, 3.0] * 40, "deep": [{"cif": "x", "n": [1, 2]}] * 120})
OPTIONS = {
    "plain": {"use_dictionary": False, "compression": "none"},
    "packed": {"compression": "zstd", "row_group_size": 50},
    "second pages": {"data_page_version": "2.0", "write_page_index": True},
    "without statistics": {"write_statistics": False, "row_group_size": 7},
}


def told_by_pyarrow(path: Path) -> list[tuple[object, ...]]:
    metadata = parquet.read_metadata(path)
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    return [
        (
            chunk.path_in_schema,
            chunk.total_uncompressed_size,
            chunk.total_compressed_size,
            chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page,
        )
        for group in groups
        for chunk in (group.column(k) for k in range(metadata.num_columns))
    ]


@pytest.mark.parametrize("name", [*OPTIONS, "of polars"])
def test_columns_are_those_that_pyarrow_tells(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    if name == "of polars":
        pl.DataFrame({"id": ["a", "b"] * 50, "y": range(100)}).write_parquet(path, row_group_size=30)
    else:
        parquet.write_table(TABLE, path, **OPTIONS[name])
    assert list(chunks_of(str(path))) == told_by_pyarrow(path)


# With one bit changed in the type of the column, pyarrow 26 ends the process when it is asked for the column's sizes.
DAMAGED = """
import sys
from pathlib import Path
import skdim
path = Path(sys.argv[1])
content = path.read_bytes()
start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
problems = 0
for place in (*range(start + 10, start + 30), *range(start + 105, start + 115)):
    for bit in range(8):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        problems += any(row.problem for row in skdim.read_crystals([path]))
print(problems)
"""


@pytest.mark.slow
def test_a_footer_that_contradicts_itself_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"structure": ["x"] * 3}), path)
    done = subprocess.run([sys.executable, "-c", DAMAGED, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_any_bytes_are_a_footer_or_an_error(tmp_path: Path) -> None:
    path, kept, drawn = tmp_path / "a.parquet", io.BytesIO(), random.Random(0)
    parquet.write_table(TABLE, kept)
    length = int.from_bytes(kept.getvalue()[-8:-4], "little")
    sound = kept.getvalue()[-8 - length : -8]
    deep = bytes([0x1C]) * 100
    long_list = bytes([0x19, 0xF1, *[0xFF] * 4, 0x0F])
    cases = [deep, long_list, b"", b"\xff" * 30, *(drawn.randbytes(drawn.randrange(40)) for _ in range(300))]
    for _ in range(300):
        changed = bytearray(sound)
        changed[drawn.randrange(length)] = drawn.randrange(256)
        cases.append(bytes(changed))
    refused = 0
    for footer in cases:
        path.write_bytes(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")
        try:
            list(chunks_of(str(path)))
        except ValueError:
            refused += 1
    assert refused > 100
    path.write_bytes(b"PAR1" + bytes(5 << 20) + struct.pack("<I", 5 << 20) + b"PAR1")
    with pytest.raises(ValueError, match="its footer has 5 MiB; up to 4 MiB are read"):
        list(chunks_of(str(path)))
