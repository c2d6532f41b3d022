"""Files appear whole or not at all; digests tell contents apart."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from skdim._files import digest, file_digest, replacing, replacing_together, scratch_folder


def write_half(file, error):
    with replacing(file) as draft:
        draft.write_text("half")
        raise error


def test_an_error_leaves_the_earlier_file_and_no_draft(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("before")
    with pytest.raises(RuntimeError, match="half"):
        write_half(file, RuntimeError("half"))
    assert file.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_interrupt_leaves_the_earlier_file_and_no_draft(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_half(file, KeyboardInterrupt())
    assert file.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_names_the_file_not_the_draft(tmp_path):
    with pytest.raises(OSError, match=r"a\.txt") as caught:
        write_half(tmp_path / "a.txt", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert caught.value.errno == errno.ENOSPC
    assert ".part" not in str(caught.value)


def test_two_writers_never_share_a_draft(tmp_path):
    with replacing(tmp_path / "a.txt") as one, replacing(tmp_path / "a.txt") as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "a.txt").read_text() == "one"  # the outer block ends last


def write_both(a, b, contents):
    """Write two files by functions that write one each, the first one's place being a draft."""
    with replacing(a) as outer:
        for path, content in zip((outer, b), contents, strict=True):
            with replacing(path) as draft:
                draft.write_text(content)
                if content == "full":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("contents", "named"), [(("one", "full"), r"b\.txt"), (("full", "two"), r"a\.txt")])
def test_functions_that_write_one_file_each_write_all_or_none(tmp_path, contents, named):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    with pytest.raises(OSError, match=named) as caught:
        write_both(a, b, contents)
    assert ".part" not in str(caught.value)
    assert os.listdir(tmp_path) == []
    write_both(a, b, ("one", "two"))
    assert (a.read_text(), b.read_text(), sorted(os.listdir(tmp_path))) == ("one", "two", ["a.txt", "b.txt"])


@pytest.mark.parametrize("name", ["", "missing/a.txt"])
def test_places_where_no_file_can_be_are_refused(tmp_path, name):
    with pytest.raises(OSError, match="folder"), replacing(tmp_path / name):
        pass


def test_digest_separates_kinds_shapes_and_borders():
    parts = [("ab",), ("a", "b"), (b"ab",), (np.frombuffer(b"ab", np.uint8),), (np.zeros((1, 2)),), (np.zeros((2, 1)),)]
    assert len({digest(*p) for p in parts}) == len(parts)


def test_file_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def write_two(a, b, error):
    with replacing_together(a, b) as (one, two):
        one.write_text("1")
        two.write_text("2")
        raise error


def test_files_that_belong_together_are_replaced_together(tmp_path):
    a, b = tmp_path / "a.npy", tmp_path / "a.ids.csv"
    with pytest.raises(RuntimeError):
        write_two(a, b, RuntimeError())
    assert os.listdir(tmp_path) == []
    with replacing_together(a, b) as (one, two):
        one.write_text("1")
        two.write_text("2")
    assert sorted(os.listdir(tmp_path)) == ["a.ids.csv", "a.npy"]


KILLED = """
import os, sys, time
from skdim._files import replacing
with replacing(sys.argv[1]) as draft:
    draft.touch()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.name != "posix", reason="processes cannot be asked for safely")
def test_the_draft_of_a_killed_process_goes_with_the_next_writer(tmp_path):
    file = tmp_path / "a.txt"
    subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False)
    assert len(os.listdir(tmp_path)) == 1
    with replacing(file) as live:
        live.touch()
        with replacing(file) as other:
            other.touch()
            assert sorted(os.listdir(tmp_path)) == sorted([live.name, other.name])
    assert os.listdir(tmp_path) == ["a.txt"]


KILLED_IN_A_FOLDER = """
import os, sys
from pathlib import Path
from skdim._files import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "part").write_text("half")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.name != "posix", reason="processes cannot be asked for safely")
def test_the_scratch_folder_of_a_killed_process_goes_with_the_next_writer(tmp_path):
    final = tmp_path / "points.v1"
    subprocess.run([sys.executable, "-c", KILLED_IN_A_FOLDER, str(final)], check=False)
    assert len(os.listdir(tmp_path)) == 1
    with scratch_folder(final) as folder:
        assert os.listdir(tmp_path) == [folder.name]
    assert os.listdir(tmp_path) == []


def test_an_error_in_a_scratch_folder_names_what_was_to_be_written(tmp_path):
    with pytest.raises(
        OSError, match=r"cannot be written: No space left on device, after 4 bytes: '.*points'"
    ) as caught:
        fill(tmp_path / "points")
    assert ".part" not in str(caught.value)
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="elsewhere"), scratch_folder(tmp_path / "points"):
        (tmp_path / "elsewhere").read_text()


def fill(final):
    with scratch_folder(final) as folder:
        (folder / "a").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "a"))


def test_an_error_says_how_much_was_written(tmp_path):
    with pytest.raises(OSError, match="after 4 bytes"):
        write_half(tmp_path / "a.txt", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
