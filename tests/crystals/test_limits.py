"""What is no crystal, or too large to be one, is known before the work is done, and named with its cure."""

import gzip
import itertools
import json
import os
import time
import zipfile

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

import skdim
from skdim.crystals.limits import Limits, check_size, current_limits, read_bounded
from skdim.crystals.structures import load_structures, try_crystal
from skdim.exceptions import InputError
from tests.handmade import DATA, salt

SALT = (DATA / "nacl.cif").read_text()


def reason(obj):
    crystal, why = try_crystal(obj)
    assert crystal is None
    return why


def test_devices_and_pipes_are_not_opened(tmp_path):
    os.symlink("/dev/zero", tmp_path / "zero.cif")
    os.mkfifo(tmp_path / "pipe.cif")
    assert "a regular file is needed" in reason(tmp_path / "zero.cif")
    assert "a regular file is needed" in reason(tmp_path / "pipe.cif")


def test_a_file_beyond_the_bound_is_not_read(tmp_path):
    with open(tmp_path / "large.cif", "wb") as file:
        file.truncate(Limits().n_bytes + 1)
    assert "files and texts of up to 64 MiB are read" in reason(tmp_path / "large.cif")
    with skdim.reading_limits(n_bytes=10), pytest.raises(ValueError, match="limit n_bytes"):
        read_bounded(str(DATA / "nacl.cif"))
    check_size(Limits().n_bytes)


def test_what_unpacks_beyond_the_bound_is_refused(tmp_path):
    (tmp_path / "bomb.cif.gz").write_bytes(gzip.compress(b"#" * (Limits().n_bytes + 10), 1))
    assert "64 MiB" in reason(tmp_path / "bomb.cif.gz")


def test_an_archive_that_unpacks_to_more_than_a_sound_one_is_read_up_to_there(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(6):
            archive.writestr(f"{k}.cif", SALT + "#" * 1_000_000)
    with skdim.reading_limits(unpacked=2_500_000):
        rows = list(skdim.read_crystals(tmp_path / "a.zip"))
    assert [row.problem is None for row in rows] == [True, True, False]
    assert "limit unpacked" in rows[-1].problem


def test_a_trajectory_of_which_the_frames_are_one_place_is_not_read_over_and_over(tmp_path):
    item = json.dumps(
        {"numbers": [84], "positions": [[0, 0, 0]], "cell": (np.eye(3) * 4).tolist(), "note": "x" * 10**6}
    )
    n_frames, place = 1000, 56 + len(item)
    head = b"- of Ulm" + b"ASE-Trajectory".ljust(16) + np.array([3, n_frames, place]).tobytes()
    data = head + np.array([len(item)]).tobytes() + item.encode() + np.full(n_frames, 48).tobytes()
    (tmp_path / "a.traj").write_bytes(data)
    *good, last = skdim.read_crystals(tmp_path / "a.traj")
    assert 1 <= len(good) < 10
    assert "overlap" in last.problem
    (tmp_path / "b.traj").write_bytes(gzip.compress(data))
    assert len(list(skdim.read_crystals(tmp_path / "b.traj"))) == len(good) + 1


def test_limits_are_raised_for_what_is_read_in_the_statement_alone():
    with skdim.reading_limits(rows=1):
        assert "limit rows" in reason(SALT)
        with skdim.reading_limits(operations=1):
            assert current_limits() == Limits(rows=1, operations=1)
    assert try_crystal(SALT)[1] is None
    assert current_limits() == Limits()


def test_limits_hold_in_worker_processes_too():
    with skdim.reading_limits(rows=1):
        _, failures = skdim.CrystalPointSetTransformer(n_jobs=2).try_transform([SALT] * 70)
    assert len(failures) == 70
    assert all("limit rows" in why for _, why in failures)


@pytest.mark.parametrize(("bounds", "words"), [({"row": 1}, "no bound; .*rows"), ({"rows": 0}, "rows must be an")])
def test_what_is_no_limit_is_refused(bounds, words):
    with pytest.raises(InputError, match=words), skdim.reading_limits(**bounds):
        pass


# Each was searched from every line to the end, for hours.
SLOW = {
    "blank lines": "\n" * 2_000_000 + "x",
    "blank lines and a percent sign": "%\n" + "\n" * 2_000_000,
    "blanks": " " * 2_000_000 + "x\n",
    "blocks that do not end": "%block lattice_cart\n" * 100_000,
    "a long second line": "1\n" + "a" * 1_000_000 + "\nH 0 0 0\n",
}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize(
    "suffix", [".txt", *(pytest.param(one, marks=pytest.mark.slow) for one in (".cif", ".extxyz", ".json", ".vasp"))]
)
def test_long_texts_are_told_apart_in_one_pass(name, suffix, tmp_path):
    (tmp_path / f"a{suffix}").write_text(SLOW[name])
    assert all(row.problem or reason(row) for row in skdim.read_crystals(tmp_path / f"a{suffix}"))


def test_a_cell_with_room_for_a_hundredth_of_its_atoms_is_refused_before_they_are_compared():
    cell = "data_a\n" + "".join(f"_cell_length_{x} 4\n" for x in "abc")
    cell += "".join(f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma"))
    operations = "".join(f"'x+{a}/8,y+{b}/8,z+{c}/8'\n" for a, b, c in itertools.product(range(8), repeat=3))
    places = np.random.default_rng(0).random((400, 3)).round(5).tolist()
    atoms = "".join("Na1 {} {} {}\n".format(*place) for place in places)
    columns = "".join(f"_atom_site_{name}\n" for name in ("label", "fract_x", "fract_y", "fract_z"))
    text = f"{cell}loop_\n_space_group_symop_operation_xyz\n{operations}loop_\n{columns}{atoms}"
    assert "204800 atoms in a cell of 64 cubic Angstrom" in reason(text)


def test_json_with_more_values_than_a_crystal_has_is_not_loaded():
    assert "JSON of 3000002 values" in reason('{"lattice": [' + "[]," * 1_500_000 + "0]}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings_that_editors_write(encoding, tmp_path):
    (tmp_path / "a.cif").write_bytes(("# M\u00fcller\n" + SALT).encode(encoding))
    assert try_crystal(tmp_path / "a.cif")[1] is None
    assert try_crystal((tmp_path / "a.cif").read_bytes())[1] is None


MISTAKEN = {
    "feed.cif": (b'<?xml version="1.0"?><rss></rss>', "begins with data_"),
    "page.cif": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page, not data"),
    "pointer.cif": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n", "a Git LFS pointer"),
    "empty.cif": (b"", "an empty file"),
    "zeros.cif": (b"\0" * 100, "an empty file"),
    "picture.cif": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "CIF"),
    "table.cif": (b"id,band_gap\nmp-1,2.0\n", "begins with data_"),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_files_that_are_something_else(name, tmp_path):
    content, words = MISTAKEN[name]
    (tmp_path / name).write_bytes(content)
    assert words in reason(tmp_path / name)


def test_xml_on_one_line_is_no_path():
    assert "neither CIF nor POSCAR nor JSON" in reason('<?xml version="1.0"?><rss></rss>')


def test_an_array_of_structures_is_told_from_rows_of_sites():
    with pytest.raises(ValueError, match="pass the list itself"):
        load_structures(np.asarray([salt(), salt()]))
    rows = list(np.asarray([salt(), salt()]))
    assert "was a list of structures made an array?" in reason(rows[0][0])


def test_a_film_of_ase_is_refused():
    ase = pytest.importorskip("ase")
    film = ase.Atoms("Cu", cell=[3, 3, 20], pbc=[True, True, False])
    assert "only crystals periodic in all three are accepted" in reason(film)
    assert "without a cell" in reason(ase.Atoms("H2", [[0, 0, 0], [0, 0, 1]]))


def test_positions_on_a_sphere_get_a_verdict_in_time():
    # 2k positions of occupancy 1/k, each opposite another: one of each pair may be taken, which adds to one.
    for k in (8, 16, 24):
        points = np.random.default_rng(k).normal(size=(k, 3))
        points *= 0.2501 / np.linalg.norm(points, axis=1)[:, None]
        places = np.concatenate([points, -points]) + 5
        structure = Structure(Lattice.cubic(10), [{"Li": 1 / k}] * (2 * k), places, coords_are_cartesian=True)
        crystal, why = try_crystal(structure)
        assert (crystal is None) == (why is not None)


def test_positions_that_are_all_linked_are_told_from_those_that_exclude_one_another():
    """A step of the search looked at all 4900 of them, which took hours; near to one are a dozen."""
    places = np.random.default_rng(1).random((4900, 3))
    linked = Structure(Lattice.cubic(8), [{"Li": 0.13}] * 4900, places)
    crystal, why = try_crystal(linked)
    assert (crystal is None) == (why is not None)
    with skdim.reading_limits(steps=1):
        assert "limit steps" in reason(linked)


@pytest.mark.slow
def test_the_fullest_positions_are_those_of_a_search_through_all_of_them():
    rng = np.random.default_rng(0)
    for _ in range(60):
        places = 5 + rng.normal(scale=0.25, size=(9, 3))
        occupancy = rng.choice([0.1, 0.2, 0.35], 9)
        near = np.linalg.norm(places[:, None] - places, axis=2) < 0.5
        fullest = max(
            occupancy[list(group)].sum()
            for size in range(1, 10)
            for group in itertools.combinations(range(9), size)
            if near[np.ix_(group, group)].all()
        )
        species = [{"Li": amount, "Na": 1e-4} for amount in occupancy]  # two elements are never scaled
        _, why = try_crystal(Structure(Lattice.cubic(10), species, places, coords_are_cartesian=True))
        assert (why is not None) == (fullest > 1.001)


def test_hundreds_of_atoms_in_one_place_are_refused_at_once():
    """A tree of places cannot tell them apart: each of 250,000 images was compared with 1300 others."""
    head = SALT.partition("Na1 Na")[0].replace("'x, y, z'", "'x, y, z'\n'-x, -y, -z'").replace("'P 1'", "'P -1'")
    text = head + "".join(f"H{k} H 0.1 0.2 0.3 0.001\n" for k in range(300))
    assert "overlaps with more than 256 others, in one place" in reason(text)


@pytest.mark.slow
@pytest.mark.parametrize("neighborhood", ["shell", "supercell"])
def test_a_raised_number_of_sites_leaves_the_refusal_of_what_is_too_large_fast(neighborhood):
    """Nothing of which the time grows faster than the sites is done before it."""
    n, steps = 60_000, 40
    frac = np.array(list(itertools.islice(itertools.product(np.arange(steps) / steps, repeat=3), n)))
    frac += np.random.default_rng(0).uniform(0, 0.2 / steps, frac.shape)
    edge = (12 * n) ** (1 / 3)
    crystal = f"x\n1\n{edge} 0 0\n0 {edge} 0\n0 0 {edge}\nNa\n{n}\nDirect\n"
    crystal += "\n".join(" ".join(map(repr, row)) for row in frac.tolist())
    featurizer = skdim.CrystalPointSetTransformer(neighborhood=neighborhood, max_sites=10**6).fit()
    start = time.process_time()
    _, failures = featurizer.try_transform([crystal])
    assert time.process_time() - start < 10
    assert "limit pairs" in failures[0][1]
