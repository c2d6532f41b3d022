"""Dicts that describe one crystal, in the dialects of the field.

Pymatgen, OPTIMADE, JARVIS and ASE each write a crystal as a dict of their own. All are read here, from the fields that
make a crystal: lattice, species with occupancies, coordinates. Other fields of a dict are ignored;
a class or module that it names is never imported.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import IStructure, Structure

from skdim.crystals.dialects import DIALECTS, Fields
from skdim.crystals.limits import current_limits
from skdim.crystals.occupancies import FULL, excess
from skdim.crystals.species import ELEMENTS, symbol_of
from skdim.crystals.textformats import is_crystal_text

__all__ = [
    "ACCEPTED",
    "build",
    "is_record",
    "structure_from_dict",
    "unwrap",
]

ACCEPTED = (
    "'lattice' and 'sites' (pymatgen), 'lattice', 'species' and 'frac_coords', 'lattice_vectors', "
    "'cartesian_site_positions' and 'species_at_sites' (OPTIMADE), 'lattice_mat', 'coords' and 'elements' (JARVIS), "
    "or 'cell', 'numbers' and 'positions' (ASE)"
)
"""The fields by which a dict is known to be a crystal, for messages."""

_AMOUNTS = re.compile(r"(?:[A-Z][a-z]?0?\.\d+)+")  # a mixture in one word, "Cu0.5Au0.5"


def structure_from_dict(record: Mapping[str, Any]) -> IStructure:
    """Make a structure of a dict, which is left as it is; charges, isotopes and site properties are left out.

    It is what ``Structure.as_dict()`` gives; the flat form ``{"lattice": 3 vectors in Angstrom, "species": n symbols or
    dicts of occupancies, "frac_coords": n rows of 3}``; the attributes of a structure in OPTIMADE; atoms of JARVIS; or
    what ``Atoms.todict()`` of ASE gives. Values may be lists or arrays. Fields that are missing or do not fit together
    are a ValueError. A damaged record may also raise `TypeError`, `LookupError`, `AttributeError` or `ArithmeticError`.

    Examples
    --------
    >>> flat = {"lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    >>> structure_from_dict(flat).formula
    'Po1'
    """
    for keys, read in DIALECTS.items():
        if _has(record, keys):
            return build(read(record))
        if empty := [key for key in keys if key in record and record[key] is None]:
            raise ValueError(f"the field {empty[0]!r} is empty")
    raise ValueError(f"a dict with the keys {_keys(record)}; a crystal has {ACCEPTED}")


def is_record(record: object) -> bool:
    """Tell whether a value is meant to be one crystal as a dict, damaged ones included."""
    return isinstance(record, Mapping) and ("lattice" in record or any(_has(record, keys) for keys in DIALECTS))


def unwrap(record: Mapping[str, Any], field: str | None = None) -> Mapping[str, Any] | str:
    """Find the crystal in a dict that has other fields beside it: a dict for `structure_from_dict`, or text.

    Entries of pymatgen, documents of the Materials Project and of JARVIS, resources of OPTIMADE and rows of tables keep
    a crystal in one field ("structure", "atoms", "attributes", "cif", ...). By default the record itself is taken if it
    is a crystal, then "structure", then the only field that holds one; more than one is a ValueError that lists them.
    If there is none, the record itself is returned, and `structure_from_dict` says what it lacks.

    Examples
    --------
    >>> unwrap({"jid": "JVASP-1", "atoms": {"lattice_mat": [], "coords": [], "elements": []}})
    {'lattice_mat': [], 'coords': [], 'elements': []}
    """
    if field is not None:
        if field not in record:
            raise ValueError(f"there is no field {field!r} in a dict with the keys {_keys(record)}")
        inner = record[field]
        return unwrap(inner) if isinstance(inner, Mapping) else inner if isinstance(inner, str) else _no_crystal(inner)
    if any(_has(record, keys) for keys in DIALECTS):
        return record
    found = {name: inner for name, value in record.items() if (inner := _inner(value)) is not None}
    if "structure" in found:
        return found["structure"]
    if len(found) > 1:
        raise ValueError(f"a dict with crystals in the fields {', '.join(map(repr, found))}; say which to take")
    return next(iter(found.values())) if found else record


def _inner(value: Any) -> Mapping[str, Any] | str | None:
    """Return a field that is a crystal, or that is a dict which has one as "structure", "atoms" or "attributes"."""
    if isinstance(value, str):
        return value if is_crystal_text(value) else None
    if is_record(value):
        return cast(Mapping[str, Any], value)
    for name in ("structure", "atoms", "attributes") if isinstance(value, Mapping) else ():
        if is_record(value.get(name)):
            return cast(Mapping[str, Any], value[name])
    return None


def _no_crystal(value: object) -> NoReturn:
    """Refuse what cannot be a crystal."""
    missing = value is None or value != value
    raise ValueError("a missing value" if missing else f"{str(value)[:40]!r} of type {type(value).__name__}")


def _keys(record: Mapping[str, Any]) -> str:
    """List the first keys of a dict."""
    return ", ".join(repr(str(key)[:40]) for key in list(record)[:10]) or "(none)"


def build(fields: Fields) -> IStructure:
    """Make a structure of the fields of a crystal."""
    n_sites = len(fields.species)
    if n_sites > (most := current_limits().rows):
        raise ValueError(f"{n_sites} sites; up to {most} are read (limit rows)")
    if fields.coords.shape != (n_sites, 3):
        raise ValueError(f"{n_sites} species with coordinates of shape {fields.coords.shape}; ({n_sites}, 3) is needed")
    known: dict[Any, Composition] = {}
    contents = [_content(known, held, site) for site, held in enumerate(fields.species)]
    lattice = Lattice(fields.matrix, pbc=fields.pbc)
    if fields.cartesian and not abs(lattice.volume) > 0:  # negated, so that NaN fails too
        raise ValueError(f"singular lattice: its vectors {fields.matrix.tolist()} span no volume")
    return Structure(lattice, contents, list(fields.coords), coords_are_cartesian=fields.cartesian)


def _has(record: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Tell whether a dict has these keys, with values: tables have all columns in each row."""
    return all(record.get(key) is not None for key in keys)


def _content(known: dict[Any, Composition], held: Any, site: int) -> Composition:
    """Return what a site holds, by element; the same word is looked up once."""
    key = held if isinstance(held, str | int) and not isinstance(held, bool) else None
    if key is not None and key in known:
        return known[key]
    amounts: dict[str, float] = {}
    for species, amount in _amounts(held):
        try:
            symbol = symbol_of(species)
        except ValueError as error:
            raise ValueError(f"site {site} holds {error}") from None
        # Added up, so that Fe2+ and Fe3+, or H and D, on one site do not overwrite one another.
        amounts[symbol] = amounts.get(symbol, 0.0) + amount
    parts = [amount for _, amount in _amounts(held)]
    # Judged later, with a reason: Composition would refuse a negative occupancy in its own words.
    content = Composition(_at_most_one(amounts, parts, site), allow_negative=True)
    if key is not None:
        known[key] = content
    return content


def _at_most_one(amounts: dict[str, float], parts: Sequence[float], site: int) -> dict[str, float]:
    """Scale what adds to a little more than one atom, as in a CIF; more is a ValueError that names the site."""
    total = sum(amounts.values())
    if not total > 1 + 1e-8:
        return amounts
    kind = excess(total, len(amounts), parts)
    if kind is None:
        raise ValueError(f"site {site} has occupancies that add to {total:g}; at most 1 is accepted")
    if total > FULL:
        warnings.warn(f"{kind}: site {site} ({total:.3g})", stacklevel=2)
    return {symbol: amount / total for symbol, amount in amounts.items()}


def _amounts(held: Any) -> list[tuple[Any, float]]:
    """List the species of a site with their occupancies."""
    if isinstance(held, tuple):  # the same element more than once, perhaps
        return [(species, float(amount)) for species, amount in held]
    if isinstance(held, Mapping):
        return [(species, float(amount)) for species, amount in held.items() if amount is not None]
    if isinstance(held, str) and _AMOUNTS.fullmatch(held) and held not in ELEMENTS:
        found = re.findall(r"([A-Z][a-z]?)([\d.]+)", held)
        return [(symbol, float(amount)) for symbol, amount in found]
    return [(held, 1.0)]
