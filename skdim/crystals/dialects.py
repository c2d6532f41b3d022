"""The dialects in which a dict describes a crystal: pymatgen, flat, OPTIMADE, JARVIS, ASE."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.lattice import Lattice

from skdim.crystals.formula import compare, parse_formula
from skdim.crystals.limits import current_limits
from skdim.crystals.species import ELEMENTS, symbol_of

__all__ = ["DIALECTS", "DIALECT_FIELDS", "Fields", "check_whole", "with_occupancies"]

_SHARES = ("occupancy", "occupancies", "occ")


@dataclass(frozen=True)
class Fields:
    """What makes a crystal."""

    matrix: NDArray[np.float64]  # (3, 3) lattice vectors in Angstrom, one a row
    # What each of the n sites holds: a symbol, an atomic number, or occupancies by symbol, as a dict or pairs.
    species: Sequence[Any]
    coords: NDArray[np.float64]  # (n, 3) fractional, or in Angstrom
    cartesian: bool = False  # whether the latter
    pbc: tuple[bool, bool, bool] = (True, True, True)  # along which vectors the crystal is periodic


def _array(value: Any, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers as an array of this shape; -1 stands for any length."""
    value = _plain(value)
    if shape[0] < 0 and len(value) > (most := current_limits().rows):
        raise ValueError(f"{name} has {len(value)} rows; up to {most} are read (limit rows)")
    try:
        array = np.array([list(row) for row in value] if len(shape) == 2 else value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        rows = value if isinstance(value, Sequence) and not isinstance(value, str) else []
        where = next((f": {str(row)[:40]} in row {k}" for k, row in enumerate(rows) if not _is_row(row, shape)), "")
        raise ValueError(f"{name} holds something else than numbers in rows of {shape[-1]}{where}") from error
    if array.size == 0 and shape[0] < 0:
        array = array.reshape(0, *shape[1:])
    if array.ndim != len(shape) or any(want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = "three vectors of three numbers" if shape == (3, 3) else f"rows of {shape[-1]} numbers"
        raise ValueError(f"{name} must be {wanted}, got the shape {array.shape}")
    return array


def _is_row(row: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether a row of a would-be array is a number, or as many numbers as it should have."""
    try:
        found = np.asarray(row, dtype=np.float64).shape
    except (ValueError, TypeError):
        return False
    return found == shape[1:]


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
    if (
        not fractional
        and (bare := next((k for k, site in enumerate(sites) if site.get("xyz") is None), None)) is not None
    ):
        raise ValueError(f"site {bare} has no coordinates ('abc' or 'xyz')")
    coords = _array([site["abc" if fractional else "xyz"] for site in sites], "the sites' coordinates", (-1, 3))
    return Fields(matrix, [_pymatgen_species(site) for site in sites], coords, not fractional, pbc)


def _pymatgen_species(site: Mapping[str, Any]) -> Any:
    """Read what a site holds: occupancies by element, which may be listed more than once."""
    species = site["species"]
    if isinstance(species, str | Mapping):
        return species
    return tuple((str(one["element"]), float(one["occu"])) for one in species)


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
    listed = record.get("numbers")
    name = "numbers" if listed is not None else "atomic_numbers"
    numbers = [int(number) for number in _array(record[name], name, (-1,))]
    check_whole(record)
    # A record without pbc is a molecule to ASE, but then its cell would be empty too.
    fields = Fields(cell, numbers, coords, True, _pbc(record.get("pbc")))
    info = record.get("info")
    occupancy = info.get("occupancy") if isinstance(info, Mapping) else None
    if occupancy is None:
        return fields
    return with_occupancies(fields, occupancy, record.get("spacegroup_kinds"))


def check_whole(
    columns: Mapping[str, Any],  # by name; a value for each atom
) -> None:
    """Refuse occupancies in a column beside the atoms: neither ASE nor extended XYZ says what such a column holds.

    Examples
    --------
    >>> check_whole({"occupancy": [1, 0.5]})
    Traceback (most recent call last):
    ValueError: a column 'occupancy' with other values than 1; a crystal with partly occupied sites is read of a CIF
    """
    for name in _SHARES:
        values = _plain(columns.get(name))
        listed = values if isinstance(values, Sequence | np.ndarray) and not isinstance(values, str) else ()
        if any(float(value) != 1 for value in listed):
            raise ValueError(
                f"a column {name!r} with other values than 1; a crystal with partly occupied sites is read of a CIF"
            )


def with_occupancies(
    fields: Fields,  # with the first element of each site
    occupancy: Any,  # occupancies by symbol, for each kind of site; or that as JSON
    kinds: Any,  # kind of each site
) -> Fields:
    """Put in what ASE keeps beside the atoms of a disordered crystal, if it fits them."""
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
    n_sites = record.get("nsites")
    if n_sites is not None and n_sites == n_sites and int(n_sites) != len(names):  # NaN in tables: not given
        raise ValueError(f"nsites is {n_sites}, but {len(names)} sites are listed")
    contents = _optimade_species(record, set(names))
    shares = _optimade_shares(record, len(names))
    if missing := next((name for name in names if name not in contents), None):
        raise ValueError(f"species_at_sites names {missing!r}, which is not among the species")
    held = [
        {symbol: share * amount for symbol, amount in contents[name].items()}
        for name, share in zip(names, shares, strict=True)
    ]
    _check_formula(record, held)
    return Fields(matrix, held, coords, True, _pbc(periodic))


def _check_formula(record: Mapping[str, Any], held: Sequence[Mapping[str, float]]) -> None:
    """Compare whole atoms with the formula beside them: a difference is an error, one in hydrogen alone is said.

    Formulas of OPTIMADE have whole numbers, which those of disordered crystals are rounded to.
    """
    text = record.get("chemical_formula_reduced")
    formula = parse_formula(text) if isinstance(text, str) else None
    symbols = [next(iter(shares)) for shares in held if list(shares.values()) == [1.0]]
    if formula is None or len(symbols) < len(held) or not ELEMENTS.keys() >= set(symbols):
        return
    difference = compare(Counter(ELEMENTS[symbol] for symbol in symbols), formula, None)
    if difference is None:
        return
    if not difference.hydrogen_only:
        raise ValueError(f"the atoms do not agree with chemical_formula_reduced: {difference.words}")
    warnings.warn("chemical_formula_reduced has more or less hydrogen than the crystal", stacklevel=2)


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
        if contents.setdefault(name, shares) != shares:
            raise ValueError(f"two different species are called {name!r}")
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


DIALECTS: dict[tuple[str, ...], Callable[[Mapping[str, Any]], Fields]] = {
    ("lattice", "sites"): _pymatgen,
    ("lattice", "species", "frac_coords"): _flat,
    ("lattice_vectors", "cartesian_site_positions", "species_at_sites"): _optimade,
    ("lattice_mat", "coords", "elements"): _jarvis,
    ("cell", "numbers", "positions"): _ase,
    ("cell", "atomic_numbers", "positions"): _ase,  # as data sets for potentials have it
}
DIALECT_FIELDS = tuple(DIALECTS)
"""The fields that make a crystal in each dialect."""
