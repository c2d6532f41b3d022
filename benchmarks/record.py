"""Keep a report as JSON, also in the history of recorded runs, with the commit and the versions."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_PACKAGES = ("skdim-crystals", "torch", "numpy", "scikit-learn", "pymatgen", "vesin")


def surroundings() -> dict[str, Any]:
    """What a speed depends on beside the code: the commit, the machine, the versions."""
    return {
        "commit": _git("rev-parse", "--short=10", "HEAD") or "unknown",
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no", "--", "skdim", "benchmarks/*.py")),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }


def write(report: dict[str, Any], out: Path, name: str) -> list[Path]:
    """Write a report under its name, and in the folder ``history`` beside that under date and commit too.

    Parameters
    ----------
    report : dict
        JSON-able, with what `surroundings` gives.
    out : Path
        The file.
    name : str
        What was measured, for the history.

    Returns
    -------
    list of Path
        The files written.
    """
    stamp = report["date"].replace("-", "").replace(":", "")
    past = out.parent / "history" / f"{stamp}-{report['commit']}-{name}.json"
    for file in (out, past):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return [out, past]


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the model that is measured; by default one that has seen no bundled crystal."""
    usual = "materials_project_held_out"
    parser.add_argument("--model", default=usual, help=f"model that comes with the package, or its file ({usual})")


def in_process(command: list[str], threads: int) -> dict[str, Any]:
    """Run a Python script in a process of its own with so many threads; return the JSON of its last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _git(*arguments: str) -> str:
    """What git says, or nothing where this is no checkout."""
    try:
        done = subprocess.run(["git", *arguments], cwd=_HERE.parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
