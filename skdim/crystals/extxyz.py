"""The crystals of an extended XYZ file, frame by frame."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from skdim.crystals.dialects import check_whole
from skdim.crystals.limits import current_limits
from skdim.crystals.sources import Source, own_id
from skdim.crystals.species import number_of
from skdim.crystals.streams import READ_ERRORS, Bounded, text_lines
from skdim.crystals.textformats import mistaken_for

__all__ = ["sources_of_extxyz"]

_KEY = re.compile(r"[^\s=]+")
_EQUALS = re.compile(r"\s*=\s*")
_PLAIN = re.compile(r"\S+")
_ENCLOSED = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"'),
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'"),
    "{": re.compile(r"\{([^}]*)\}"),
    "[": re.compile(r"\[([^\]]*)\]"),
}
_DEFAULT = "species:S:1:pos:R:3"
_PLACES = ("pos", "positions")
_TRUE = frozenset(("T", "True", "true", "1"))


def sources_of_extxyz(
    # Frames, each the number of its atoms, a line of ``key=value`` with ``Lattice``, and a line for each atom.
    file: Bounded,
    # Of the file; it is the id of a single frame, and with their numbers from 0 that of many, unless their lines have
    # an id (``material_id``, ...).
    name: str,
    id_field: str | None = None,  # the key of the id
) -> Iterator[Source]:
    """Yield the crystals of an extended XYZ file; where reading cannot go on, the last one is a problem."""
    number, first = 0, None
    try:
        for source in _frames(text_lines(file), name, id_field):
            # The first frame waits for the second: alone it is called by the file.
            if number == 1 and first is not None:
                yield first
            if number:
                yield source
            else:
                first = source
            number += 1
    except (*READ_ERRORS, MemoryError) as error:
        if number == 1 and first is not None:
            yield first
        how = f" from frame {number} on" if number else ""
        yield Source(name, problem=f"an XYZ file that cannot be read{how}: {error}")
    else:
        if number == 1 and first is not None:
            yield Source(name if first.id == f"{name}/0" else first.id, first.content, first.problem)
        elif not number:
            yield Source(name, problem="an empty file")


def _frames(lines: Iterator[str], name: str, id_field: str | None) -> Iterator[Source]:
    """Yield the frames of a file, one after the other."""
    number = 0
    for line in lines:
        if not line.strip():
            continue
        if not line.strip().isdigit():
            raise ValueError(mistaken_for(line) or f"the number of atoms is needed, not {line.strip()[:40]!r}")
        n_sites = int(line[:12])
        if n_sites > (most := current_limits().rows):
            raise ValueError(f"{n_sites} atoms; up to {most} are read (limit rows)")
        pairs = _pairs(next(lines, ""))
        rows = [line.split() for line in itertools.islice(lines, n_sites)]
        if len(rows) < n_sites:
            raise ValueError(f"it ends after {len(rows)} of {n_sites} atoms")
        yield _source(f"{name}/{number}", pairs, rows, id_field)
        number += 1


def _pairs(line: str) -> dict[str, str]:
    """Read the keys and values of the second line of a frame, in one pass however long it is."""
    pairs: dict[str, str] = {}
    never_closed: set[str] = set()
    end = 0
    while key := _KEY.search(line, end):
        equals = _EQUALS.match(line, key.end())
        end = key.end() if equals is None else equals.end()
        if equals is None or end == len(line):
            continue
        mark = line[end]
        enclosed = _ENCLOSED[mark].match(line, end) if mark in _ENCLOSED and mark not in never_closed else None
        if enclosed is None:
            never_closed.add(mark)
            word = _PLAIN.match(line, end)
            pairs[key[0]], end = (word[0], word.end()) if word else ("", end)
        else:
            pairs[key[0]], end = enclosed[1], enclosed.end()
    return pairs


def _source(fallback: str, pairs: dict[str, str], rows: list[list[str]], id_field: str | None) -> Source:
    """Make the source of a frame."""
    name = fallback
    try:
        name = own_id(pairs, id_field) or fallback
        return Source(name, _record(pairs, rows))
    except (ValueError, LookupError) as error:
        return Source(name, problem=str(error))


def _record(pairs: dict[str, str], rows: list[list[str]]) -> dict[str, Any]:
    """Read the crystal of a frame, as ASE would write it."""
    keys = {key.lower(): value for key, value in pairs.items()}
    if "lattice" not in keys:
        raise ValueError("there is no Lattice in the second line: a molecule, or plain XYZ; a crystal is needed")
    vectors = np.array(keys["lattice"].replace(",", " ").split(), dtype=np.float64)
    if vectors.size != 9:
        raise ValueError(f"Lattice has {vectors.size} numbers; 9 are needed")
    columns = _columns(keys.get("properties", _DEFAULT))
    width = max(end for _, end in columns.values())
    short = next((k for k, row in enumerate(rows) if len(row) < width), None)
    if short is not None:
        raise ValueError(f"the line of atom {short} has {len(rows[short])} of {width} columns")
    place = next((columns[key] for key in _PLACES if key in columns), None)
    if place is None or place[1] - place[0] != 3:
        raise ValueError(f"Properties name no column pos of three numbers: {sorted(columns)}")
    record: dict[str, Any] = {"lattice_vectors": vectors.reshape(3, 3)}
    record["cartesian_site_positions"] = np.array([row[place[0] : place[1]] for row in rows], dtype=np.float64)
    species = columns.get("species") or columns.get("element") or columns.get("z")
    if species is None:
        raise ValueError(f"Properties name no column species: {sorted(columns)}")
    record["species_at_sites"] = [row[species[0]] for row in rows]
    record["dimension_types"] = _periodic(keys.get("pbc"))
    check_whole({name: [row[start] for row in rows] for name, (start, _) in columns.items()})
    if "occupancy" in keys:
        return _with_occupancies(record, keys["occupancy"], columns, rows)
    return record


def _columns(properties: str) -> dict[str, tuple[int, int]]:
    """Read which columns of the atoms' lines hold what: from where to where."""
    words = properties.split(":")
    columns, start = {}, 0
    for key, count in zip(words[::3], words[2::3], strict=False):
        columns[key.lower()] = (start, start + int(count))
        start += int(count)
    return columns


def _periodic(pbc: str | None) -> list[int]:
    """Read along which vectors a frame is periodic; all, if nothing is said."""
    if pbc is None:
        return [1, 1, 1]
    words = pbc.replace(",", " ").split()
    return [int(word in _TRUE) for word in (words * 3 if len(words) == 1 else words)]


def _with_occupancies(
    record: dict[str, Any], occupancy: str, columns: dict[str, tuple[int, int]], rows: list[list[str]]
) -> dict[str, Any]:
    """Put in what ASE writes beside the atoms of a disordered crystal."""
    held = json.loads(occupancy.removeprefix("_JSON ").replace('\\"', '"'))
    place = columns.get("spacegroup_kinds")
    if not isinstance(held, dict) or place is None:
        raise ValueError("occupancy without a column spacegroup_kinds; the sites' occupancies are not known")
    return {
        "numbers": [number_of(symbol) for symbol in record["species_at_sites"]],
        "positions": record["cartesian_site_positions"],
        "cell": record["lattice_vectors"],
        "pbc": record["dimension_types"],
        "info": {"occupancy": held},
        "spacegroup_kinds": [int(row[place[0]]) for row in rows],
    }
