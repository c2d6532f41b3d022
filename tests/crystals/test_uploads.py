"""Bytes and open files are read as files are, and again if asked again; older objects are mended."""

import bz2
import copy
import gzip
import io
import lzma

import numpy as np
import pytest
from pymatgen.core import IStructure

from skdim import CrystalPointSetTransformer
from skdim.crystals.structures import coerce_structure, load_structures, try_structure
from skdim.crystals.uploads import text_of
from tests.handmade import DATA, salt

SALT = (DATA / "nacl.cif").read_bytes()
FORMS = {
    "bytes": lambda: SALT,
    "bytearray": lambda: bytearray(SALT),
    "memoryview": lambda: memoryview(SALT),
    "StringIO": lambda: io.StringIO(SALT.decode()),
    "BytesIO": lambda: io.BytesIO(SALT),
    "gzip": lambda: gzip.compress(SALT),
    "bzip2 in BytesIO": lambda: io.BytesIO(bz2.compress(SALT)),
    "xz": lambda: lzma.compress(SALT),
    "byte order mark": lambda: b"\xef\xbb\xbf" + SALT,
    "UTF-16": lambda: SALT.decode().encode("utf-16"),
    "JSON": lambda: salt().to_json().encode(),
    "POSCAR": lambda: io.StringIO(salt().to(fmt="poscar")),
    "open file": lambda: (DATA / "nacl.cif").open(),
    "open binary file": lambda: (DATA / "nacl.cif").open("rb"),
}


def assert_alike(points):
    """All crystals of a set are the same."""
    for k in range(len(points)):
        np.testing.assert_array_equal(points[k].distance, points[0].distance)
        assert len(points[k].distance) > 0


@pytest.mark.parametrize("form", FORMS)
def test_uploads_give_the_crystal_again_and_again(form):
    upload = FORMS[form]()
    for _ in range(2):
        assert coerce_structure(upload).matches(salt())
    (structure,), failures = load_structures([upload])
    assert structure.matches(salt())
    assert not failures
    if hasattr(upload, "close"):
        upload.close()


@pytest.mark.slow
def test_an_upload_is_one_row_and_goes_to_other_processes():
    with pytest.raises(TypeError, match="put it in a list"):
        load_structures(io.BytesIO(SALT))
    with (DATA / "nacl.cif").open() as file:
        points = CrystalPointSetTransformer(n_jobs=2).transform([file, SALT, io.BytesIO(SALT)])
    assert_alike(points)


@pytest.mark.parametrize(
    ("upload", "reason"),
    [
        (b"", "nothing to read"),
        (io.StringIO(" "), "nothing to read"),
        (gzip.compress(SALT)[:-20], "wrongly compressed"),
        (b"/etc/passwd", "neither CIF nor POSCAR nor JSON"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "Git LFS"),
        (gzip.compress(b" " * (65 << 20)), "more than 64 MiB"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
    ],
    ids=range(8),  # names made of the bytes would say when they were compressed
)
def test_bad_uploads_have_a_reason(upload, reason):
    assert reason in try_structure(upload)[1]


def test_a_file_that_gives_neither_text_nor_bytes_is_refused():
    class Odd:
        def read(self, size):
            return [size]

    with pytest.raises(ValueError, match=r"read\(\) of a Odd gives a list"):
        text_of(Odd())


def test_objects_of_older_pymatgen_are_periodic():
    structure = salt()
    old = copy.deepcopy(structure)
    for site in [old, *old.sites]:
        vars(site.lattice).pop("_pbc", None)
    mended, reason = try_structure(old)
    assert reason is None
    assert mended == structure
    points = CrystalPointSetTransformer().transform([old, structure, IStructure.from_sites(structure.sites)])
    assert_alike(points)
    np.testing.assert_array_equal(mended.lattice.pbc, [True] * 3)
