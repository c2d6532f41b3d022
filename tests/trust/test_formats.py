"""Damaged files of every format: each crystal in them gives a vector or a reason, in little time and memory.

The short form runs with the other tests; ``SKDIM_TRUST=long`` (``make trust``) runs 30 times as many cases and prints
what became of them.
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

from skdim import load_pretrained, read_crystals
from skdim.crystals.structures import try_crystal
from tests.crystals.test_codeinputs import aims, castep, espresso
from tests.crystals.test_records import as_jarvis, as_optimade
from tests.crystals.test_shelx import SPLIT
from tests.crystals.test_written import with_symmetry
from tests.handmade import DATA, flat, iron, perovskite, salt, silicon

CASES = 40 * (30 if os.environ.get("SKDIM_TRUST") == "long" else 1)  # of each kind
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


MAGNETIC = """data_m
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
2 -x,-y,-z,+1
loop_
_space_group_symop_magn_centering.id
_space_group_symop_magn_centering.xyz
1 x,y,z,+1
2 x+1/2,y+1/2,z+1/2,-1
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Fe1 Fe 0 0 0 1
O1 O 0.5 0 0 0.9
loop_
_atom_site_moment.label
_atom_site_moment.crystalaxis_x
_atom_site_moment.crystalaxis_y
_atom_site_moment.crystalaxis_z
Fe1 0 0 2.2(1)
"""


def poscar(structure, *, old: bool) -> bytes:
    """A POSCAR; of an old version of VASP with the elements behind the coordinates alone."""
    names = list(dict.fromkeys(site.specie.symbol for site in structure))
    rows = sorted(structure, key=lambda site: names.index(site.specie.symbol))
    lines = ["a comment", "1.0", *(" ".join(map(repr, row)) for row in structure.lattice.matrix.tolist())]
    lines += [] if old else [" ".join(names)]
    lines += [" ".join(str(sum(site.specie.symbol == name for site in rows)) for name in names), "Direct"]
    lines += [" ".join(map(repr, site.frac_coords.tolist())) + f" {site.specie.symbol}" * old for site in rows]
    return "\n".join(lines).encode()


SEEDS = {
    "p1.cif": lambda: CIF,
    "symmetry.cif": lambda: with_symmetry(perovskite()).encode(),
    "disorder.cif": lambda: (DATA / "li_la_ti_o3_split.cif").read_bytes(),
    "blocks.cif": lambda: CIF + b"\n" + with_symmetry(silicon()).encode(),
    "magnetic.mcif": lambda: MAGNETIC.encode(),
    "f.vasp": lambda: poscar(perovskite(), old=False),
    "POSCAR_old": lambda: poscar(salt(), old=True),
    "f.in": lambda: espresso(salt()).encode(),
    "f.cell": lambda: castep(salt()).encode(),
    "geometry.in": lambda: aims(salt()).encode(),
    "f.res": lambda: SPLIT.encode(),
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
TEXT = ("cif", "mcif", "vasp", "POSCAR_old", "in", "cell", "json", "jsonl", "csv", "extxyz")
LONG = b"1" * 2000
WORDS = [b"?", b".", b"0", b"1", b"-1", b"0.5", b"1e308", b"nan", b"x,y,z", b"'-y,x,z+1/4'", LONG, b"x,y,z" + LONG]
WORDS += [
    b"300000000",
    b"data_",
    b"loop_",
    b"_cell_length_a",
    b"Na",
    b"OH",
    b"T1",
    b"'",
    b";",
    b"[" * 2000,
    b"\xff\xfe",
]
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


def rewritten(data: bytes, rng: np.random.Generator) -> bytes:
    """Change lines and words of a text."""
    lines = data.split(b"\n")
    for _ in range(rng.integers(1, 4)):
        k, other = (int(place) for place in rng.integers(len(lines), size=2))
        kind, words = rng.integers(6), lines[k].split(b" ")
        if kind == 0 and len(lines) > 1:
            del lines[k]
        elif kind == 1:
            lines[k:k] = [lines[other]] * int(rng.choice([1, 2, 300]))
        elif kind == 2:
            lines[k], lines[other] = lines[other], lines[k]
        elif kind == 3:
            words[int(rng.integers(len(words)))] = WORDS[rng.integers(len(WORDS))]
            lines[k] = b" ".join(words)
        elif kind == 4:
            lines[k] = lines[k].replace(b"0", NUMBERS[rng.integers(len(NUMBERS))], 1)
        else:
            lines[k] += b" " + WORDS[rng.integers(len(WORDS))]
    return b"\n".join(lines)


@pytest.fixture(scope="module")
def figures():
    """What became of all cases, printed at the end."""
    found = {"cases": 0, "vectors": 0, "reasons": 0, "slowest": 0.0, "grown": 0.0}
    yield found
    print("\nall formats: {cases} cases, {vectors} vectors and {reasons} reasons, ".format(**found), end="")
    print("slowest {slowest:.2f} s, {grown:.0f} MiB more than at the start".format(**found))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_give_vectors_or_reasons(name, tmp_path, monkeypatch, figures):
    monkeypatch.chdir(tmp_path)
    model, seed = load_pretrained(), SEEDS[name]()
    Path(name).write_bytes(seed)
    assert all(try_crystal(row)[1] is None for row in read_crystals(name))
    model.transform(CRYSTALS)
    rng = np.random.default_rng(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, outcomes = 0.0, {"vectors": 0, "reasons": 0}
    for case in range(CASES):
        data = (rewritten if name.rpartition(".")[2] in TEXT and case % 2 else damaged)(seed, rng)
        Path(name).write_bytes(data)
        start = time.process_time()
        rows = list(read_crystals(name))
        assert rows  # never nothing at all
        points, failures = model.featurizer_.try_transform(rows)
        vectors = model.transform(points)
        failed = np.zeros(len(rows), bool)
        failed[[row for row, _ in failures]] = True
        assert all(reason for _, reason in failures)
        assert (np.isfinite(vectors).all(axis=1) == ~failed).all()
        assert np.isnan(vectors[failed]).all()
        outcomes["reasons"] += len(failures)
        outcomes["vectors"] += len(rows) - len(failures)
        slowest = max(slowest, time.process_time() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name}: {CASES} cases, {outcomes}, slowest {slowest:.2f} s, {grown:.0f} MiB more")
    for key, value in {"cases": CASES, **outcomes, "grown": grown}.items():
        figures[key] += value
    figures["slowest"] = max(figures["slowest"], slowest)
    assert slowest < SECONDS
    assert grown < MEGABYTES


def test_fields_of_csv_are_as_long_as_crystals_while_they_are_read(tmp_path):
    """The bound of the csv module is one for all; it is put back."""
    before = csv.field_size_limit()
    long = json.dumps({**DICTS[0], "note": "x" * 300_000})
    pd.DataFrame({"structure": [long]}).to_csv(tmp_path / "t.csv", index=False)
    (row,) = read_crystals(tmp_path / "t.csv")
    assert try_crystal(row)[1] is None
    assert csv.field_size_limit() == before
