"""A folder of arrays: what comes back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from skdim.points import storage

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros((0, 4), np.int32)}


def write(
    path: Path,
    kind: str = "skdim.Thing",
    version: int = 1,
    arrays: dict[str, np.ndarray] = ARRAYS,
    note: object = ("x", None),
) -> None:
    with storage.growing_folder(path, kind, version) as folder:
        folder.header["note"] = note
        for name, array in arrays.items():
            folder.append(name, array)


def read(path: Path, mmap_mode: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    return storage.read_folder(path, "skdim.Thing", 1, list(ARRAYS), mmap_mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_arrays_and_header_come_back(tmp_path: Path, mmap_mode: str | None) -> None:
    write(tmp_path / "t")
    arrays, meta = read(tmp_path / "t", mmap_mode)
    assert meta["note"] == ["x", None]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)
        assert type(arrays[name]) is np.ndarray


def test_only_a_folder_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    for setup in (lambda p: p.write_text("x"), lambda p: (p.mkdir(), (p / "x").touch()), lambda p: write(p, "other")):
        target = tmp_path / f"t{len(list(tmp_path.iterdir()))}"
        setup(target)
        with pytest.raises(FileExistsError, match=r"is not a saved skdim\.Thing"):
            write(target)
    write(tmp_path / "same")
    (tmp_path / "empty").mkdir()
    for name in ("same", "empty"):
        write(tmp_path / name)
        read(tmp_path / name)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "t")
    with pytest.raises(TypeError, match="JSON"):
        write(tmp_path / "t", note=object())
    with pytest.raises(ValueError, match="o must hold numbers"):
        write(tmp_path / "t", arrays={"o": np.array([None])})
    read(tmp_path / "t")
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_full_disk_names_the_folder_and_leaves_what_was_there(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="of POSIX systems")
    write(tmp_path / "points", arrays={"a": np.arange(3)})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be written: File too large, after .*: '[^']*/points'"):
            write(tmp_path / "points", arrays={"a": np.arange(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [path.name for path in tmp_path.iterdir()] == ["points"]
    assert np.array_equal(np.load(tmp_path / "points" / "a.npy"), np.arange(3))


def test_missing_folders_and_other_content_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"is not a folder: expected a folder written by Thing\.save"):
        read(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"has no meta\.json"):
        read(tmp_path)
    write(tmp_path / "new", version=2)
    with pytest.raises(ValueError, match="layout version 2; this version of skdim reads 1"):
        read(tmp_path / "new")
    write(tmp_path / "other", kind="other")
    with pytest.raises(ValueError, match=r"holds 'other', not 'skdim\.Thing'"):
        read(tmp_path / "other")
    with pytest.raises(ValueError, match=r"mmap_mode must be None or 'r', got 'w'"):
        read(tmp_path / "new", "w")


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_damage_is_named(tmp_path: Path, mmap_mode: str | None) -> None:
    folder = tmp_path / "t"

    def refused(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            read(folder, mmap_mode)
        write(folder)

    write(folder)
    (folder / "a.npy").unlink()
    refused(r"incomplete: a\.npy is missing")
    (folder / "a.npy").write_bytes((folder / "a.npy").read_bytes()[:-8])
    refused(r"a\.npy is damaged")
    (folder / "a.npy").write_bytes(b"")
    refused(r"a\.npy is damaged")
    np.save(folder / "a.npy", np.arange(6).reshape(2, 3))
    refused(r"a\.npy is damaged: <i8 \[2, 3\] found, <f8 \[2, 3\] announced")
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "arrays": {}}))
    refused("damaged: it does not list a, b")
    (folder / "meta.json").write_text(json.dumps({**meta, "arrays": None}))
    refused("damaged: arrays must be a dict, got None")
    for field, value in (("shape", None), ("dtype", 8), ("crc32", -1)):
        arrays = {**meta["arrays"], "a": {**meta["arrays"]["a"], field: value}}
        (folder / "meta.json").write_text(json.dumps({**meta, "arrays": arrays}))
        refused(f"damaged: arrays.a.{field} must be")
    (folder / "meta.json").write_text(json.dumps({**meta, "version": [1]}))
    refused(r"has layout version \[1\]")


def test_a_cut_header_is_named(tmp_path: Path) -> None:
    write(tmp_path / "t")
    text = (tmp_path / "t" / "meta.json").read_text()
    (tmp_path / "t" / "meta.json").write_text(text[:-5])
    with pytest.raises(ValueError, match="not valid JSON"):
        read(tmp_path / "t")
