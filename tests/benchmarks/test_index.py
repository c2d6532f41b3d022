"""The README of the records: everything in the folder is in it, and everything in it is there."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
_MADE_BY_COMMANDS = {"cache", "__pycache__", ".gitignore", "README.md"}


def test_every_script_and_record_is_named() -> None:
    # Repeats that a run keeps beside its record are no part of the project.
    names = {path.name for path in FOLDER.iterdir() if path.suffix != ".jsonl"} - _MADE_BY_COMMANDS
    assert not sorted(name for name in names if name not in INDEX)


def test_every_name_is_there() -> None:
    named = set(re.findall(r"`(?:benchmarks/)?([a-z_]+\.(?:py|json|csv|parquet|md))`", INDEX))
    named |= set(re.findall(r"benchmarks/([a-z_]+\.py)", INDEX))
    assert len(named) > 20
    assert not sorted(name for name in named - {"materials_project.parquet"} if not (FOLDER / name).is_file())
