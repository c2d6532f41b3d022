"""Arguments that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from skdim.cli.names import BUNDLED_PREFIX
from skdim.crystals.limits import Limits

PATHS_HELP = f"""\
PATHs may be mixed:
  files      CIF, POSCAR, JSON, JSON lines (.jsonl), tables (.csv, .tsv, .parquet, .feather), extended XYZ (.extxyz,
             .xyz), databases and trajectories of ASE (.db, .traj), or any other format that pymatgen reads; text may be
             compressed (.gz, .bz2, .xz)
  folders    searched recursively, in sorted order, for names such as *.cif, *.vasp, POSCAR*, *.json, *.jsonl, *.extxyz;
             tables, databases and trajectories are read where they are named
  globs      in quotes, so that the shell does not expand them: 'runs/**/CONTCAR'
  archives   .zip, .tar, .tar.gz, .tgz; nothing is unpacked to disk
  {BUNDLED_PREFIX}NAME   crystals that come with the package; NAME is formation_energy, band_gap, elastic_moduli or
             piezoelectric
JSON holds one structure, a list of them, a dict {{id: structure}}, a dict with such a list as "entries" or "data", or a
table in pandas' "split" form. A structure in JSON or a table is a dict of pymatgen, OPTIMADE, JARVIS or ASE, CIF or
JSON text, or a record that has one of these in a field. Nothing that a file names is imported, called or opened.
Disordered crystals are accepted.
"""


def add_paths(
    parser: argparse.ArgumentParser,
    # What the option for the column of the ids is called, where the command has another ``--id``.
    id_option: str = "--id",
) -> None:
    """Add the crystals to read, as ``args.paths``, ``args.column`` and ``args.id_column``."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="where the crystals are, see above")
    column = 'column of tables, or field of JSON records, that holds the crystals ("structure", or the only one)'
    parser.add_argument("--column", metavar="NAME", help=column)
    ids = "column or field that holds their ids (the first of material_id, id, entry_id, jid, mat_id, task_id)"
    parser.add_argument(id_option, dest="id_column", metavar="NAME", help=ids)


def add_reading(
    parser: argparse.ArgumentParser,
    outcome: str,  # what happens to unusable crystals with ``--on-error nan``, such as "makes them rows of NaN"
    on_error: str = "raise",  # the default
) -> None:
    """Add what every command that reads crystals accepts: --on-error, --jobs, --device, --quiet."""
    what = f"how to treat unusable crystals: raise is an error that names all of them, nan {outcome} ({on_error})"
    parser.add_argument("--on-error", choices=("raise", "nan"), default=on_error, help=what)
    parser.add_argument("--jobs", type=jobs, default=1, metavar="N", help="processes, -1: all cores (1)")
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda, ... (auto)")
    limits = f"read larger crystals than usual, in the field NAME of skdim.Limits: {_bounds()}; may be repeated"
    parser.add_argument("--limit", type=limit, action="append", default=[], metavar="NAME=N", help=limits)
    add_quiet(parser)


def _bounds() -> str:
    """List what `limit` accepts."""
    return ", ".join(f"{field.name} ({field.default})" for field in fields(Limits))


def limit(text: str) -> tuple[str, int]:
    """Read a bound on what is read, such as "rows=1000000"."""
    name, _, number = text.partition("=")
    known = [field.name for field in fields(Limits)]
    if name not in known or not number.isascii() or not number.isdigit() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"must be {', '.join(known)} with = and an integer >= 1, got {text!r}")
    return name, int(number)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add --seed."""
    parser.add_argument(
        "--seed", type=at_least(0), default=0, metavar="N", help="the same seed gives the same result (0)"
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add --quiet."""
    parser.add_argument("--quiet", action="store_true", help="no progress, only problems")


def at_least(least: int) -> Callable[[str], int]:
    """Make an argument type: integers from a smallest one on."""

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be an integer >= {least}, got {text!r}")
        return int(text)

    return number


def jobs(text: str) -> int:
    """Read a number of processes: an integer other than 0, as joblib counts them."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number == 0:
        raise argparse.ArgumentTypeError(f"must be an integer other than 0 (-1 means all cores), got {text!r}")
    return number
