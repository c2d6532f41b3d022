"""Damaged JSON, tables, archives, trajectories, databases: each gives crystals or reasons, in little time and memory.

The short form runs with the other tests; ``SKDIM_TRUST=long`` (``make trust``) runs 20 times as many cases.
"""

import csv
import gzip
import io
import json
import os
import resource
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ase.db import connect
from ase.io import write as ase_write
from pyarrow import feather, parquet
from pymatgen.io.ase import AseAtomsAdaptor

from skdim import read_crystals
from skdim.crystals.structures import try_structure
from tests.crystals.test_records import as_jarvis, as_optimade
from tests.handmade import DATA, flat, iron, perovskite, salt, silicon

CASES = 150 * (20 if os.environ.get("SKDIM_TRUST") == "long" else 1)  # of each kind
SECONDS = 2.0  # of the processor
MEGABYTES = 500
CRYSTALS = [salt(), iron(), perovskite(), silicon()]
DICTS = [CRYSTALS[0].as_dict(), flat(CRYSTALS[1]), as_optimade(CRYSTALS[2]), as_jarvis(CRYSTALS[3])]
CIF = (DATA / "nacl.cif").read_bytes()


def table() -> dict:
    cells = [json.dumps(record) for record in DICTS]
    return {"id": list("abcd"), "structure": cells, "gap": [1.0, 2.0, None, 4.0]}


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.cif", CIF)
        archive.writestr("b/c.json", json.dumps(DICTS))
    return buffer.getvalue()


def tarred(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w{mode}") as archive:
        for name, data in (("a.cif", CIF), ("c.json", json.dumps(DICTS).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def written(name: str, write) -> bytes:
    write(name)
    data = Path(name).read_bytes()
    Path(name).unlink()
    return data


def atoms() -> list:
    return [AseAtomsAdaptor.get_atoms(structure, msonable=False) for structure in CRYSTALS]


def write_database(name: str) -> None:
    with connect(name, append=False) as database:
        for one in atoms():
            database.write(one)


SEEDS = {
    "f.json": lambda: json.dumps({"entries": [{"data": {"mat_id": "x"}, "structure": one} for one in DICTS]}).encode(),
    "f.jsonl": lambda: "\n".join(map(json.dumps, DICTS)).encode(),
    "f.json.gz": lambda: gzip.compress(json.dumps(DICTS).encode()),
    "f.csv": lambda: written("s.csv", lambda name: pd.DataFrame(table()).to_csv(name, index=False)),
    "f.parquet": lambda: written("s.parquet", lambda name: parquet.write_table(pa.table(table()), name)),
    "f.feather": lambda: written("s.feather", lambda name: feather.write_feather(pa.table(table()), name)),
    "f.zip": zipped,
    "f.tar": lambda: tarred(""),
    "f.tar.gz": lambda: tarred(":gz"),
    "f.extxyz": lambda: written("s.extxyz", lambda name: ase_write(name, atoms(), format="extxyz")),
    "f.traj": lambda: written("s.traj", lambda name: ase_write(name, atoms(), format="traj")),
    "f.db": lambda: written("s.db", write_database),
}
NUMBERS = [b"1e999", b"-1", b"NaN", b"0", b"null", b"99999999999999999999", b'"x"', b"[]", b"{}", b"\0", b"\xff"]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a file as bad disks, cut connections and careless or malicious people do."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(changed) + 1))
        kind = rng.integers(6)
        if kind == 0:
            del changed[place:]
        elif kind == 1 and place < len(changed):
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            changed[place : place + int(rng.integers(1, 30))] = b""
        elif kind == 3:
            changed[place:place] = NUMBERS[rng.integers(len(NUMBERS))]
        elif kind == 4:
            start = int(rng.integers(len(changed) + 1))
            changed[place:place] = changed[start : start + int(rng.integers(1, 500))]
        else:
            changed[place : place + 8] = rng.bytes(8)
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_give_crystals_or_reasons(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seed = SEEDS[name]()
    Path(name).write_bytes(seed)
    assert all(try_structure(row)[1] is None for row in read_crystals(name))
    rng = np.random.default_rng(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, outcomes = 0.0, {"crystals": 0, "reasons": 0}
    for _ in range(CASES):
        data = damaged(seed, rng)
        Path(name).write_bytes(data)
        start = time.process_time()
        rows = list(read_crystals(name))
        assert rows  # never nothing at all
        for row in rows:
            structure, reason = try_structure(row)
            assert (structure is None) == (reason is not None)
            outcomes["crystals" if reason is None else "reasons"] += 1
        slowest = max(slowest, time.process_time() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name}: {CASES} cases, {outcomes}, slowest {slowest:.2f} s, {grown:.0f} MiB more")
    assert slowest < SECONDS
    assert grown < MEGABYTES


def test_fields_of_csv_are_as_long_as_crystals_while_they_are_read(tmp_path):
    """The bound of the csv module is one for all; it is put back."""
    before = csv.field_size_limit()
    long = json.dumps({**DICTS[0], "note": "x" * 300_000})
    pd.DataFrame({"structure": [long]}).to_csv(tmp_path / "t.csv", index=False)
    (row,) = read_crystals(tmp_path / "t.csv")
    assert try_structure(row)[1] is None
    assert csv.field_size_limit() == before
