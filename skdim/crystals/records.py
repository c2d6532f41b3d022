"""Dicts that describe one crystal, in the dialects of the field.

Pymatgen, OPTIMADE, JARVIS and ASE each write a crystal as a dict of their own. All are read here, from the fields that
make a crystal: lattice, species with occupancies, coordinates. Whatever else a dict holds is data that nobody looks at;
a class or module that it names is never imported.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import DummySpecies, Element, Species
from pymatgen.core.structure import IStructure, Structure

from skdim.crystals.labels import NUMBERS
from skdim.crystals.textformats import is_crystal_text

__all__ = [
    "ACCEPTED",
    "DIALECT_FIELDS",
    "Fields",
    "build",
    "is_record",
    "number_of",
    "structure_from_dict",
    "symbol_of",
    "unwrap",
    "with_occupancies",
]

ACCEPTED = (
    "'lattice' and 'sites' (pymatgen), 'lattice', 'species' and 'frac_coords', 'lattice_vectors', "
    "'cartesian_site_positions' and 'species_at_sites' (OPTIMADE), 'lattice_mat', 'coords' and 'elements' (JARVIS), "
    "or 'cell', 'numbers' and 'positions' (ASE)"
)
"""The fields by which a dict is known to be a crystal, for messages."""

_MOST_SITES = 200_000  # that are built at all; max_sites of the estimators is what they accept
# An element with what may stand behind it: a charge, a spin. The number of a label such as Na1 is no part of it.
_SPECIES = re.compile(r"([A-Z][a-z]?)(?:\d*\.?\d*[+-]|[+-]\d+\.?\d*)?(?:,.*)?")
_AMOUNTS = re.compile(r"(?:[A-Z][a-z]?0?\.\d+)+")  # a mixture in one word, "Cu0.5Au0.5"
_SYMBOLS = {number: symbol for symbol, number in NUMBERS.items()}
_NUMBERS = NUMBERS | {"D": 1, "T": 1}


@dataclass(frozen=True)
class Fields:
    """What makes a crystal.

    Attributes
    ----------
    matrix : ndarray of shape (3, 3)
        Lattice vectors in Angstrom, one a row.
    species : sequence
        What each of the n sites holds: a symbol, an atomic number, or occupancies by symbol.
    coords : ndarray of shape (n, 3)
        Fractional, or in Angstrom.
    cartesian : bool
        Whether the latter.
    pbc : tuple of bool
        Along which vectors the crystal is periodic.
    """

    matrix: NDArray[np.float64]
    species: Sequence[Any]
    coords: NDArray[np.float64]
    cartesian: bool = False
    pbc: tuple[bool, bool, bool] = (True, True, True)


def structure_from_dict(record: Mapping[str, Any]) -> IStructure:
    """Make a structure of a dict.

    Parameters
    ----------
    record : mapping
        What ``Structure.as_dict()`` gives; the flat form ``{"lattice": 3 vectors in Angstrom, "species": n symbols or
        dicts of occupancies, "frac_coords": n rows of 3}``; the attributes of a structure in OPTIMADE; atoms of
        JARVIS; what ``Atoms.todict()`` of ASE gives. It is left as it is. Values may be lists or arrays.

    Returns
    -------
    pymatgen Structure
        Charges, isotopes and site properties are left out.

    Raises
    ------
    ValueError
        If fields are missing or do not fit together. A damaged record may also raise `TypeError`, `LookupError`,
        `AttributeError` or `ArithmeticError`.

    Examples
    --------
    >>> flat = {"lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    >>> structure_from_dict(flat).formula
    'Po1'
    """
    for keys, read in _DIALECTS.items():
        if _has(record, keys):
            return build(read(record))
        if empty := [key for key in keys if key in record and record[key] is None]:
            raise ValueError(f"the field {empty[0]!r} is empty")
    raise ValueError(f"a dict with the keys {_keys(record)}; a crystal has {ACCEPTED}")


def is_record(record: object) -> bool:
    """Tell whether a value is meant to be one crystal as a dict, damaged ones included.

    Parameters
    ----------
    record : object
        Any value.

    Returns
    -------
    bool
    """
    return isinstance(record, Mapping) and ("lattice" in record or any(_has(record, keys) for keys in _DIALECTS))


def unwrap(record: Mapping[str, Any], field: str | None = None) -> Mapping[str, Any] | str:
    """Find the crystal in a dict that has other fields beside it.

    Entries of pymatgen, documents of the Materials Project and of JARVIS, resources of OPTIMADE and rows of tables
    keep a crystal in one field ("structure", "atoms", "attributes", "cif", ...).

    Parameters
    ----------
    record : mapping
        A crystal, or what has one among its fields.
    field : str, optional
        The field to take. By default the record itself if it is a crystal, then "structure", then the only one that
        holds a crystal.

    Returns
    -------
    mapping or str
        The crystal: a dict for `structure_from_dict`, or text.

    Raises
    ------
    ValueError
        If there is more than one; the fields are listed. If there is none, the record itself is returned, and
        `structure_from_dict` says what it lacks.

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
    if any(_has(record, keys) for keys in _DIALECTS):
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
    """Make a structure of the fields of a crystal.

    Parameters
    ----------
    fields : Fields
        Of any origin; sizes and species are checked.

    Returns
    -------
    pymatgen Structure

    Raises
    ------
    ValueError
        Naming the field, or the site and its species.
    """
    n_sites = len(fields.species)
    if n_sites > _MOST_SITES:
        raise ValueError(f"{n_sites} sites; up to {_MOST_SITES} are read")
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
    key = held if isinstance(held, str | int) else None
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
    # Judged later, with a reason: Composition would refuse a negative occupancy in its own words.
    content = Composition(amounts, allow_negative=True)
    if key is not None:
        known[key] = content
    return content


def _amounts(held: Any) -> list[tuple[Any, float]]:
    """List the species of a site with their occupancies."""
    if isinstance(held, Mapping):
        return [(species, float(amount)) for species, amount in held.items() if amount is not None]
    if isinstance(held, str) and _AMOUNTS.fullmatch(held) and held not in _NUMBERS:
        found = re.findall(r"([A-Z][a-z]?)([\d.]+)", held)
        return [(symbol, float(amount)) for symbol, amount in found]
    return [(held, 1.0)]


def symbol_of(species: Any) -> str:
    """Return the element of a species, without charge and isotope.

    Parameters
    ----------
    species : str, int, pymatgen Element or Species
        Such as "Fe", "Fe3+", "Fe3+,spin=5", "D", 26.

    Returns
    -------
    str
        A symbol.

    Raises
    ------
    ValueError
        If it is no element. The message begins with the species.

    Examples
    --------
    >>> symbol_of("Fe3+"), symbol_of(26), symbol_of("D")
    ('Fe', 'Fe', 'H')
    >>> symbol_of("T1")
    Traceback (most recent call last):
    ValueError: 'T1', which is no element; ...
    """
    return _SYMBOLS[number_of(species)]


def number_of(species: Any) -> int:
    """Return the atomic number of a species; see `symbol_of`.

    Examples
    --------
    >>> number_of("Fe3+")
    26
    """
    number: int | None = None
    if isinstance(species, Element | Species) and not isinstance(species, DummySpecies):
        number = int(species.Z)
    elif isinstance(species, str):
        found = _SPECIES.fullmatch(species.strip())
        number = _NUMBERS.get(found[1]) if found else int(species) if _is_number(species) else None
    elif isinstance(species, int | np.integer | float) and not isinstance(species, bool) and species == int(species):
        number = int(species)
    if number not in _SYMBOLS:
        raise ValueError(
            f"{str(species)[:40]!r}, which is no element; a vacancy is accepted as an occupancy below 1 of the others"
        )
    return number


def _is_number(text: str) -> bool:
    """Tell an atomic number written as text."""
    return text.isascii() and text.isdigit() and len(text) <= 3


def _array(value: Any, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers as an array of this shape; -1 stands for any length."""
    value = _plain(value)
    if shape[0] < 0 and len(value) > _MOST_SITES:
        raise ValueError(f"{name} has {len(value)} rows; up to {_MOST_SITES} are read")
    try:
        array = np.array([list(row) for row in value] if len(shape) == 2 else value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} holds something else than numbers in rows of {shape[-1]}: {error}") from error
    if array.size == 0 and shape[0] < 0:
        array = array.reshape(0, *shape[1:])
    if array.ndim != len(shape) or any(want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = "three vectors of three numbers" if shape == (3, 3) else f"rows of {shape[-1]} numbers"
        raise ValueError(f"{name} must be {wanted}, got the shape {array.shape}")
    return array


def _plain(value: Any) -> Any:
    """Unpack the forms in which ASE and monty write arrays as JSON: they are lists with a type beside them."""
    if isinstance(value, Mapping):
        if isinstance(value.get("__ndarray__"), Sequence):  # ASE: shape, type, flat values
            shape, _, data = value["__ndarray__"]
            return np.array(data, dtype=np.float64).reshape(shape)
        for key in ("array", "data", "matrix"):  # a cell of ASE, an array of monty, a lattice of pymatgen
            if key in value:
                return _plain(value[key])
    return value


def _pbc(value: Any) -> tuple[bool, bool, bool]:
    """Read along which vectors a crystal is periodic; all, if nothing is said."""
    if value is None:
        return (True, True, True)
    value = _plain(value)
    if isinstance(value, bool | np.bool_):
        return (bool(value),) * 3
    a, b, c = value
    return bool(a), bool(b), bool(c)


def _lattice(lattice: Any) -> tuple[NDArray[np.float64], tuple[bool, bool, bool]]:
    """Read a lattice of pymatgen, or three vectors."""
    if isinstance(lattice, Lattice):
        return np.array(lattice.matrix, np.float64), _pbc(getattr(lattice, "_pbc", None))
    if not isinstance(lattice, Mapping):
        return _array(lattice, "lattice", (3, 3)), (True, True, True)
    pbc = _pbc(lattice.get("pbc"))
    if lattice.get("matrix") is not None:
        return _array(lattice["matrix"], "lattice", (3, 3)), pbc
    lengths_and_angles = [float(lattice[key]) for key in ("a", "b", "c", "alpha", "beta", "gamma")]
    return np.array(Lattice.from_parameters(*lengths_and_angles).matrix), pbc


def _pymatgen(record: Mapping[str, Any]) -> Fields:
    """Read what ``Structure.as_dict()`` gives."""
    matrix, pbc = _lattice(record["lattice"])
    sites = record["sites"]
    if not isinstance(sites, Sequence | np.ndarray) or isinstance(sites, str):
        raise ValueError(f"'sites' is a {type(sites).__name__}; a list is needed")
    fractional = all(site.get("abc") is not None for site in sites)
    coords = _array([site["abc" if fractional else "xyz"] for site in sites], "the sites' coordinates", (-1, 3))
    return Fields(matrix, [_pymatgen_species(site) for site in sites], coords, not fractional, pbc)


def _pymatgen_species(site: Mapping[str, Any]) -> Any:
    """Read what a site holds: occupancies by element, which may be listed more than once."""
    species = site["species"]
    if isinstance(species, str | Mapping):
        return species
    shares: dict[str, float] = {}
    for one in species:
        symbol = str(one["element"])
        shares[symbol] = shares.get(symbol, 0.0) + float(one["occu"])
    return shares


def _flat(record: Mapping[str, Any]) -> Fields:
    """Read lattice, species and coordinates that stand beside one another."""
    matrix, pbc = _lattice(record["lattice"])
    return Fields(matrix, list(record["species"]), _array(record["frac_coords"], "frac_coords", (-1, 3)), pbc=pbc)


def _jarvis(record: Mapping[str, Any]) -> Fields:
    """Read atoms of JARVIS."""
    matrix = _array(record["lattice_mat"], "lattice_mat", (3, 3))
    coords = _array(record["coords"], "coords", (-1, 3))
    cartesian = record.get("cartesian")
    if not isinstance(cartesian, bool | np.bool_):
        raise ValueError(f"JARVIS atoms with cartesian={cartesian!r}; true or false is needed to read the coordinates")
    return Fields(matrix, [str(symbol).strip() for symbol in record["elements"]], coords, bool(cartesian))


def _ase(record: Mapping[str, Any]) -> Fields:
    """Read what ``Atoms.todict()`` gives, or a row of a database of ASE."""
    cell, coords = _array(record["cell"], "cell", (3, 3)), _array(record["positions"], "positions", (-1, 3))
    numbers = [int(number) for number in _array(record["numbers"], "numbers", (-1,))]
    # A record without pbc is a molecule to ASE, but then its cell would be empty too.
    fields = Fields(cell, numbers, coords, True, _pbc(record.get("pbc")))
    info = record.get("info")
    occupancy = info.get("occupancy") if isinstance(info, Mapping) else None
    if occupancy is None:
        return fields
    return with_occupancies(fields, occupancy, record.get("spacegroup_kinds"))


def with_occupancies(fields: Fields, occupancy: Any, kinds: Any) -> Fields:
    """Put in what ASE keeps beside the atoms of a disordered crystal.

    Parameters
    ----------
    fields : Fields
        With the first element of each site.
    occupancy : mapping or str
        Occupancies by symbol, for each kind of site; or that as JSON.
    kinds : sequence of int
        Kind of each site.

    Returns
    -------
    Fields

    Raises
    ------
    ValueError
        If the three are not in accord.
    """
    if isinstance(occupancy, str):
        occupancy = json.loads(occupancy)
    if kinds is None or len(kinds) != len(fields.species):
        raise ValueError("atoms of ASE with info['occupancy'] but without 'spacegroup_kinds' for each atom")
    shares = {str(kind): dict(held) for kind, held in occupancy.items()}
    species = [shares[str(int(kind))] for kind in kinds]
    for first, held in zip(fields.species, species, strict=True):
        if symbol_of(first) not in {symbol_of(symbol) for symbol in held}:
            raise ValueError("atoms of ASE whose info['occupancy'] and symbols contradict one another")
    return Fields(fields.matrix, species, fields.coords, fields.cartesian, fields.pbc)


def _optimade(record: Mapping[str, Any]) -> Fields:
    """Read the attributes of a structure in OPTIMADE."""
    n_periodic, periodic = record.get("nperiodic_dimensions"), record.get("dimension_types")
    if n_periodic is not None and n_periodic != 3:
        raise ValueError(f"nperiodic_dimensions is {n_periodic}; only crystals periodic in all three are accepted")
    matrix = _array(record["lattice_vectors"], "lattice_vectors", (3, 3))
    coords = _array(record["cartesian_site_positions"], "cartesian_site_positions", (-1, 3))
    names = [str(name) for name in record["species_at_sites"]]
    contents = _optimade_species(record, set(names))
    shares = _optimade_shares(record, len(names))
    if missing := next((name for name in names if name not in contents), None):
        raise ValueError(f"species_at_sites names {missing!r}, which is not among the species")
    held = [
        {symbol: share * amount for symbol, amount in contents[name].items()}
        for name, share in zip(names, shares, strict=True)
    ]
    return Fields(matrix, held, coords, True, _pbc(periodic))


def _optimade_species(record: Mapping[str, Any], used: set[str]) -> dict[str, dict[str, float]]:
    """Read occupancies by element for each species; vacancies are what is left to one."""
    listed = record.get("species")
    if listed is None:  # tables leave it out where each species is an element
        return {name: {name: 1.0} for name in used}
    contents: dict[str, dict[str, float]] = {}
    for one in listed:
        name, symbols = str(one["name"]), list(one["chemical_symbols"])
        amounts = one.get("concentration")
        amounts = [1.0] * len(symbols) if amounts is None and len(symbols) == 1 else list(amounts)
        if len(amounts) != len(symbols):
            raise ValueError(f"species {name!r} has {len(symbols)} chemical symbols and {len(amounts)} concentrations")
        if name in used:
            _check_attached(one, name)
        elif "implicit_atoms" in (record.get("structure_features") or ()):
            _note_missing(symbols, f"species {name!r} is at no site (implicit atoms)")
        shares: dict[str, float] = {}
        for symbol, amount in zip(symbols, amounts, strict=True):
            if symbol != "vacancy":
                shares[symbol] = shares.get(symbol, 0.0) + float(amount)
        contents[name] = shares
    return contents


def _check_attached(species: Mapping[str, Any], name: str) -> None:
    """Refuse atoms that hang on a site without a position of their own; hydrogen may, and it is said."""
    counts = species.get("nattached") or [1]
    symbols = [symbol for symbol, n in zip(species.get("attached") or [], counts, strict=False) if n]
    if symbols:
        _note_missing(symbols, f"species {name!r} has attached {' and '.join(map(str, symbols))} without positions")


def _note_missing(symbols: Sequence[Any], what: str) -> None:
    """Warn of atoms without positions if they are hydrogen, else refuse the crystal."""
    if any(symbol not in ("H", "D", "vacancy") for symbol in symbols):
        raise ValueError(f"{what}; only hydrogen may be left out")
    warnings.warn(f"{what}: it is left out", stacklevel=2)


def _optimade_shares(record: Mapping[str, Any], n_sites: int) -> list[float]:
    """Read how often each site is there: groups of sites that exclude one another have probabilities."""
    shares = [1.0] * n_sites
    for assembly in record.get("assemblies") or ():
        for sites, probability in zip(assembly["sites_in_groups"], assembly["group_probabilities"], strict=True):
            for site in sites:
                if not 0 <= site < n_sites:
                    raise ValueError(f"assemblies name site {site}, but there are {n_sites} sites")
                shares[site] *= float(probability)
    return shares


_DIALECTS: dict[tuple[str, ...], Callable[[Mapping[str, Any]], Fields]] = {
    ("lattice", "sites"): _pymatgen,
    ("lattice", "species", "frac_coords"): _flat,
    ("lattice_vectors", "cartesian_site_positions", "species_at_sites"): _optimade,
    ("lattice_mat", "coords", "elements"): _jarvis,
    ("cell", "numbers", "positions"): _ase,
}

DIALECT_FIELDS = tuple(_DIALECTS)
"""The fields that make a crystal in each dialect."""
