"""Read and check crystals of any accepted kind, one or many, and say why rows failed."""

from __future__ import annotations

import math
import os
import re
import reprlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element
from pymatgen.core.sites import Site
from pymatgen.core.structure import IMolecule, IStructure, Structure

from skdim.crystals.crystal import Crystal, SiteSpecies, crystal_of, site_species
from skdim.crystals.notes import Note, describe_notes
from skdim.crystals.optional import is_a
from skdim.crystals.parsing import (
    PARSER_ERRORS,
    Opened,
    crystal_from_file,
    crystal_from_opened,
    crystal_from_record,
    crystal_from_text,
    noted,
    text_format,
)
from skdim.crystals.prechecks import check_crystal, check_structure
from skdim.crystals.rows import KINDS, as_structures, row_labels
from skdim.crystals.sources import Source
from skdim.crystals.textformats import mistaken_for
from skdim.crystals.uploads import is_upload, text_of
from skdim.exceptions import StructureError

__all__ = [
    "Crystal",
    "SiteSpecies",
    "StructureError",
    "as_structures",
    "check_on_error",
    "check_structure",
    "coerce_crystal",
    "coerce_structure",
    "load_structures",
    "meant_by_missing",
    "site_species",
    "source_of",
    "told_notes",
    "try_crystal",
    "try_structure",
]

_ON_ERROR = ("raise", "nan")
_FORMULA = re.compile(r"(?:[A-Z][a-z]?[\d.]*|[()\[\]][\d.]*)+")
_MATERIAL_ID = re.compile(r"(?:mp|mvc|oqmd|jvasp)-\d+", re.IGNORECASE)
_BRIEFLY = reprlib.Repr()
_BRIEFLY.maxstring = 200
_NO_FORMULA = "a formula is not enough, a crystal is its lattice and the positions of its atoms"


def coerce_crystal(obj: object) -> Crystal:
    """Make the record of one crystal of any accepted kind, without judging it.

    Parameters
    ----------
    obj : object
        A pymatgen Structure, the path or the text of a CIF, POSCAR or JSON file
        (paths also of what else pymatgen reads), the same as bytes or an open file, ASE Atoms, or a dict that is a
        crystal or has one in a field, see `skdim.crystals.records`; or a row of `skdim.read_crystals`.

    Returns
    -------
    Crystal
        What was decided in reading it is in its notes; nothing is warned of.

    Raises
    ------
    ValueError
        If it is of no accepted kind, or cannot be read.

    Examples
    --------
    >>> flat = {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    >>> coerce_crystal(flat).species
    (((84, 1.0),),)
    """
    if isinstance(obj, Crystal):
        return obj
    if isinstance(obj, IStructure):
        return crystal_of(_mended(obj))
    if isinstance(obj, Source):
        if obj.problem is not None:
            raise ValueError(obj.problem)
        return coerce_crystal(obj.content)
    source = ""
    try:
        if isinstance(obj, str) and "\n" not in obj and (mistaken := mistaken_for(obj)):
            raise ValueError(mistaken)
        if isinstance(obj, os.PathLike) or (isinstance(obj, str) and text_format(obj) is None and "\n" not in obj):
            source = f"file {_BRIEFLY.repr(os.fspath(obj))}: "
            return crystal_from_file(obj)
        if isinstance(obj, Opened):
            source = f"file {_BRIEFLY.repr(obj.path)}: "
            return crystal_from_opened(obj)
        if isinstance(obj, str):
            return crystal_from_text(obj)
        if is_upload(obj):
            return crystal_from_text(text_of(obj))
        if isinstance(obj, Mapping) and not isinstance(obj, Composition):
            return crystal_from_record(obj)
        if is_a(obj, "ase.atoms", "Atoms"):
            return noted(_from_ase, obj)
    except PARSER_ERRORS as error:
        raise ValueError(source + _first_words(error) + _advice(obj, error)) from error
    raise ValueError(f"{_describe(obj)} is no crystal; accepted are {KINDS}")


def coerce_structure(obj: object) -> IStructure:
    """Make a pymatgen structure of one crystal of any accepted kind, without judging it.

    Parameters
    ----------
    obj : object
        As for `coerce_crystal`. A pymatgen Structure is returned as it is, not copied.

    Returns
    -------
    pymatgen Structure

    Raises
    ------
    ValueError
        If it is of no accepted kind, or cannot be read.

    Warns
    -----
    UserWarning
        What was decided in reading it.
    """
    crystal = coerce_crystal(obj)
    if told := told_notes([(0, source_of(obj), note) for note in crystal.notes], None):
        warnings.warn(told, UserWarning, stacklevel=2)
    return crystal.structure


def source_of(obj: object) -> str | None:
    """Return the path that a row is, or the id that it has, briefly; None if it has none.

    Examples
    --------
    >>> source_of("cifs/NaCl.cif"), source_of(Source("mp-22")), source_of({})
    ('cifs/NaCl.cif', 'mp-22', None)
    """
    if isinstance(obj, Source):
        obj = obj.id
    if isinstance(obj, os.PathLike) or (isinstance(obj, str) and "\n" not in obj):
        return _BRIEFLY.repr(os.fspath(obj))[1:-1]
    return None


def told_notes(decided: Sequence[tuple[int, str | None, Note]], X: Any) -> str | None:
    """Say once what was decided in reading the crystals of a collection.

    Parameters
    ----------
    decided : sequence of (int, str or None, Note)
        Row number, file, and what was decided.
    X : object
        The collection, the labels of which name its rows.

    Returns
    -------
    str or None
        None if nothing was.

    Examples
    --------
    >>> print(told_notes([(3, "NaCl.cif", Note("moments are ignored"))], []))
    1 structure was read with notes:
      moments are ignored (1 structure): row 3 (NaCl.cif)
    """
    given = row_labels(X, [row for row, _, _ in decided])
    labels = [source for _, source, _ in decided] if given is None else list(given)
    named = zip(decided, labels, strict=True)
    notes = [(f"row {row} ({label})" if label else f"row {row}", note) for (row, _, note), label in named]
    return describe_notes(notes) if notes else None


def _mended(structure: IStructure) -> IStructure:
    """Return a structure, rebuilt if its lattice was pickled by a pymatgen that knew no directions without period."""
    lattice = structure.lattice
    if hasattr(lattice, "_pbc"):
        return structure
    sites = structure.sites
    return Structure(Lattice(lattice.matrix), [site.species for site in sites], [site.frac_coords for site in sites])


def _from_ase(atoms: Any) -> IStructure:
    """Convert ASE Atoms, with the occupancies that ASE keeps beside the atoms when it reads a disordered CIF."""
    from pymatgen.io.ase import AseAtomsAdaptor

    if atoms.cell.rank < 3:
        raise ValueError("ASE Atoms without a cell of three vectors; a crystal, periodic in all three, is accepted")
    if not all(atoms.pbc):  # which older pymatgen does not hand on
        raise ValueError(f"ASE Atoms with pbc={atoms.pbc.tolist()}; only crystals periodic in all three are accepted")
    structure = AseAtomsAdaptor.get_structure(atoms)
    occupancy, kinds = atoms.info.get("occupancy"), atoms.arrays.get("spacegroup_kinds")
    if occupancy is None or kinds is None:
        return structure
    species = [occupancy[str(kind)] for kind in kinds]
    if any(symbol not in shares for symbol, shares in zip(atoms.symbols, species, strict=True)):
        raise ValueError("ASE Atoms whose info['occupancy'] and symbols contradict one another")
    return Structure(structure.lattice, species, list(structure.frac_coords))


def _first_words(error: BaseException) -> str:
    """Say on one line what a parser raised."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"{words} is missing"
    # The messages of others make sense with their kind only, and some have none.
    named = isinstance(error, ValueError) and words
    return (words if named else f"{type(error).__name__} {words}".strip())[:300]


def _advice(obj: object, error: BaseException) -> str:
    """Say what was perhaps meant by something that is no file."""
    if isinstance(error, IsADirectoryError):
        return "; pass the files in it, each a row"
    return meant_by_missing(obj) if isinstance(error, FileNotFoundError) and isinstance(obj, str) else ""


def meant_by_missing(name: str) -> str:
    """Say what the name of a file that is not there was perhaps meant for.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    str
        To be put behind a message; empty if it may well be the name of a file.

    Examples
    --------
    >>> meant_by_missing("mp-149")
    '; nothing is looked up by the id of a material, a file or a structure is needed'
    """
    if "://" in name:
        return "; nothing is downloaded, a file on this machine is needed"
    if _MATERIAL_ID.fullmatch(name):
        return "; nothing is looked up by the id of a material, a file or a structure is needed"
    symbols = re.findall("[A-Z][a-z]?", name) if _FORMULA.fullmatch(name) else []
    if symbols and all(map(Element.is_valid_symbol, symbols)):
        return f"; {_NO_FORMULA}"
    return ""


def _describe(obj: object) -> str:
    """Name a value that is no crystal, briefly."""
    if obj is None or type(obj).__name__ in {"NAType", "NaTType"} or (isinstance(obj, float) and math.isnan(obj)):
        return f"a missing value ({obj})"
    if isinstance(obj, Site):
        return "a single site (was a list of structures made an array?)"
    if isinstance(obj, IMolecule):
        return "a Molecule, which has no lattice,"
    if isinstance(obj, Composition):
        return f"the Composition {obj.formula!r} ({_NO_FORMULA})"
    return f"{' '.join(_BRIEFLY.repr(obj).split())} of type {type(obj).__name__}"


def check_on_error(on_error: str) -> None:
    """Refuse values of `on_error` that are not known.

    Parameters
    ----------
    on_error : str
        The value to check.

    Raises
    ------
    ValueError
        If it is neither "raise" nor "nan".
    """
    if on_error not in _ON_ERROR:
        raise ValueError(f"on_error must be {' or '.join(map(repr, _ON_ERROR))}, got {on_error!r}.")


def try_crystal(
    obj: object, *, max_sites: int = 5000, max_atomic_number: int | Collection[int] | None = None
) -> tuple[Crystal | None, str | None]:
    """Read one crystal of any accepted kind and check it.

    Parameters
    ----------
    obj : object
        One crystal, as for `coerce_crystal`.
    max_sites, max_atomic_number
        As for `check_structure`.

    Returns
    -------
    crystal : Crystal or None
        None if it failed.
    reason : str or None
        Why it failed, None if it did not.

    Examples
    --------
    >>> try_crystal({"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": [], "frac_coords": []})
    (None, 'no sites; at least one is needed')
    """
    try:
        return check_crystal(coerce_crystal(obj), max_sites=max_sites, max_atomic_number=max_atomic_number), None
    except ValueError as error:
        return None, str(error)


def try_structure(
    obj: object, *, max_sites: int = 5000, max_atomic_number: int | Collection[int] | None = None
) -> tuple[IStructure | None, str | None]:
    """Make a pymatgen structure of one crystal of any accepted kind and check it; see `try_crystal`.

    Warns
    -----
    UserWarning
        What was decided in reading it.
    """
    crystal, reason = try_crystal(obj, max_sites=max_sites, max_atomic_number=max_atomic_number)
    if crystal is None:
        return None, reason
    if told := told_notes([(0, source_of(obj), note) for note in crystal.notes], None):
        warnings.warn(told, UserWarning, stacklevel=2)
    return crystal.structure, None


def load_structures(
    X: Any,
    *,
    on_error: str = "raise",
    max_sites: int = 5000,
    max_atomic_number: int | Collection[int] | None = None,
) -> tuple[list[IStructure | None], list[tuple[int, str]]]:
    """Make checked structures of a collection of crystals.

    Parameters
    ----------
    X : list, tuple, ndarray of objects, pandas Series, pandas DataFrame or another iterable
        As for `as_structures`.
    on_error : {"raise", "nan"}, default="raise"
        With "raise", rows that fail are an error which names them all. With "nan" they are None, and it is for the
        caller to warn.
    max_sites, max_atomic_number
        As for `check_structure`.

    Returns
    -------
    structures : list of (pymatgen Structure or None)
        One entry for each row of X.
    failures : list of (int, str)
        Row number and reason of each failing row.

    Raises
    ------
    StructureError
        With on_error="raise", if any row fails.
    ValueError
        If `on_error` is not known.

    Warns
    -----
    UserWarning
        Once, of all that was decided in reading.

    Examples
    --------
    >>> crystal = {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    >>> structures, failures = load_structures([crystal, None], on_error="nan")
    >>> [row for row, _ in failures]
    [1]
    """
    check_on_error(on_error)
    rows = as_structures(X)
    tried = [try_crystal(obj, max_sites=max_sites, max_atomic_number=max_atomic_number) for obj in rows]
    failures = [(row, reason) for row, (_, reason) in enumerate(tried) if reason is not None]
    read = [(row, crystal) for row, (crystal, _) in enumerate(tried) if crystal is not None]
    if told := told_notes([(row, source_of(rows[row]), note) for row, crystal in read for note in crystal.notes], X):
        warnings.warn(told, UserWarning, stacklevel=2)
    if failures and on_error == "raise":
        raise StructureError(failures, row_labels(X, [row for row, _ in failures]))
    return [None if crystal is None else crystal.structure for crystal, _ in tried], failures
