"""Read and check crystals of any accepted kind, one or many, and say why rows failed: every reason there is."""

from __future__ import annotations

import math
import os
import re
import reprlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element
from pymatgen.core.sites import Site
from pymatgen.core.structure import IMolecule, IStructure, Structure

from skdim._parameters import ON_ERROR, check
from skdim.crystals.closeness import any_closer, check_lengths, volume_of
from skdim.crystals.crystal import Crystal, SiteSpecies, crystal_of
from skdim.crystals.dialects import check_whole
from skdim.crystals.disorder import without_crowding
from skdim.crystals.given import is_a, is_upload
from skdim.crystals.notes import Decided, describe_notes
from skdim.crystals.occupancies import FULL
from skdim.crystals.parsing import (
    PARSER_ERRORS,
    Opened,
    crystal_from_file,
    crystal_from_opened,
    crystal_from_record,
    crystal_from_text,
    noted,
)
from skdim.crystals.rows import KINDS, as_structures, row_labels
from skdim.crystals.sharing import OVERLAP
from skdim.crystals.sources import Source
from skdim.crystals.textformats import mistaken_for, text_format
from skdim.crystals.uploads import text_of
from skdim.exceptions import StructureError

__all__ = [
    "check_crystal",
    "coerce_crystal",
    "coerce_structure",
    "load_structures",
    "meant_by_missing",
    "source_of",
    "told_notes",
    "try_crystal",
    "try_structure",
]

_FORMULA = re.compile(r"(?:[A-Z][a-z]?[\d.]*|[()\[\]][\d.]*)+")
_MATERIAL_ID = re.compile(r"(?:mp|mvc|oqmd|jvasp)-\d+", re.IGNORECASE)
_BRIEFLY = reprlib.Repr()
_BRIEFLY.maxstring = 200
_NO_FORMULA = "a formula is not enough, a crystal is its lattice and the positions of its atoms"
_VOLUMES = (0.1, 1e5)  # cubic Angstrom per site; dense hydrogen has 1, an atom in a vacuum box of 40 Angstrom 6e4
_FARTHEST = 1e6  # fractional; beyond it a double no longer resolves the place in the cell


def coerce_structure(obj: object) -> IStructure:
    """Make a pymatgen structure of one crystal, as `coerce_crystal` takes it; a Structure is returned as it is.

    Warns
    -----
    UserWarning
        What was decided in reading it.
    """
    crystal = coerce_crystal(obj)
    if told := told_notes([Decided(0, source_of(obj), note) for note in crystal.notes], None):
        warnings.warn(told, UserWarning, stacklevel=2)
    return crystal.structure


def told_notes(decided: Sequence[Decided], X: Any) -> str | None:
    """Say once what was decided in reading rows of X; None if nothing was.

    Examples
    --------
    >>> from skdim.crystals.notes import Note
    >>> print(told_notes([Decided(3, "NaCl.cif", Note("moments are ignored"))], []))
    1 structure was read with notes:
      moments are ignored (1 structure): row 3 (NaCl.cif)
    """
    if not decided:
        return None
    given = row_labels(X, [one.row for one in decided])
    labels: Sequence[str | None] = given or [one.source for one in decided]
    named = zip(decided, labels, strict=True)
    return describe_notes([(f"row {one.row}" + (f" ({label})" if label else ""), one.note) for one, label in named])


def try_crystal(
    obj: object,  # one crystal, as for `coerce_crystal`
    *,
    max_sites: int = 5000,  # as for `check_crystal`
    elements: Collection[int] | None = None,
) -> tuple[Crystal | None, str | None]:
    """Read one crystal of any accepted kind and check it: the crystal, or None and the reason why it failed.

    Examples
    --------
    >>> try_crystal({"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": [], "frac_coords": []})
    (None, 'no sites; at least one is needed')
    """
    try:
        return check_crystal(coerce_crystal(obj), max_sites=max_sites, elements=elements), None
    except ValueError as error:
        return None, str(error)


def try_structure(
    obj: object, *, max_sites: int = 5000, elements: Collection[int] | None = None
) -> tuple[IStructure | None, str | None]:
    """Make a pymatgen structure of one crystal of any accepted kind and check it; see `try_crystal`.

    Warns
    -----
    UserWarning
        What was decided in reading it.
    """
    crystal, reason = try_crystal(obj, max_sites=max_sites, elements=elements)
    if crystal is None:
        return None, reason
    if told := told_notes([Decided(0, source_of(obj), note) for note in crystal.notes], None):
        warnings.warn(told, UserWarning, stacklevel=2)
    return crystal.structure, None


def load_structures(
    X: Any,  # as for `as_structures`
    *,
    on_error: str = "raise",
    max_sites: int = 5000,  # as for `check_crystal`
    elements: Collection[int] | None = None,
) -> tuple[list[IStructure | None], list[tuple[int, str]]]:
    """Make checked structures of a collection of crystals, and list row number and reason of each failing row.

    With on_error="raise" one StructureError names them all; with "nan" their entries are None, and the caller is to
    warn of them.

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
    check("on_error", on_error, ON_ERROR)
    rows = as_structures(X)
    tried = [try_crystal(obj, max_sites=max_sites, elements=elements) for obj in rows]
    failures = [(row, reason) for row, (_, reason) in enumerate(tried) if reason is not None]
    read = [(row, crystal) for row, (crystal, _) in enumerate(tried) if crystal is not None]
    decided = [Decided(row, source_of(rows[row]), note) for row, crystal in read for note in crystal.notes]
    if told := told_notes(decided, X):
        warnings.warn(told, UserWarning, stacklevel=2)
    if failures and on_error == "raise":
        raise StructureError(failures, row_labels(X, [row for row, _ in failures]))
    return [None if crystal is None else crystal.structure for crystal, _ in tried], failures


def coerce_crystal(obj: object) -> Crystal:
    """Make the record of one crystal of any accepted kind, without judging it; what is decided is in its notes.

    Accepted are a pymatgen Structure, the path or the text of a CIF, POSCAR or JSON file (paths also of what else
    pymatgen reads), the same as bytes or an open file, ASE Atoms, an object whose ``structure`` is one, such as a
    ComputedStructureEntry, a dict that is a crystal or has one in a field, see `skdim.crystals.records`, and a row of
    `skdim.read_crystals`.

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
        if isinstance(obj, os.PathLike) or (isinstance(obj, str) and _is_path(obj)):
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
        if isinstance(held := getattr(obj, "structure", None), IStructure):  # entries, documents of databases
            return coerce_crystal(held)
    except PARSER_ERRORS as error:
        raise ValueError(source + _first_words(error) + _advice(obj, error)) from error
    raise ValueError(f"{_describe(obj)} is no crystal; accepted are {KINDS}")


def _is_path(text: str) -> bool:
    """Tell paths from crystals written as text, and from other text on one line, such as a web page."""
    return text_format(text) is None and "\n" not in text and not text.startswith("<")


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
    check_whole(atoms.arrays)
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
    if isinstance(error, ImportError):
        return f"a format for which a package is missing ({words})"
    # The messages of others make sense with their kind only, and some have none.
    named = isinstance(error, ValueError) and words
    return (words if named else f"{type(error).__name__} {words}".strip())[:300]


def _advice(obj: object, error: BaseException) -> str:
    """Say what was perhaps meant by something that is no file."""
    if isinstance(error, IsADirectoryError):
        return "; pass the files in it, each a row"
    return meant_by_missing(obj) if isinstance(error, FileNotFoundError) and isinstance(obj, str) else ""


def meant_by_missing(name: str) -> str:
    """Say what the name of a file that is not there was perhaps meant for, to be put behind a message.

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


def check_crystal(
    crystal: Crystal,
    *,
    max_sites: int = 5000,  # the most sites that are accepted
    elements: Collection[int] | None = None,  # atomic numbers that are accepted; None accepts every element
) -> Crystal:
    """Check a crystal, and scale split positions that hold a little more than one atom.

    One that cannot be used is a ValueError, which names the value at fault and what is accepted. Split positions of one
    disordered atom may be as close as they like: what may not be is a group of positions, each closer than 0.5 Angstrom
    to each other, with occupancies that add to more than one. Partly occupied ones of one element may add to 1.5, as
    refinements have it; see `skdim.crystals.disorder.without_crowding` for what is scaled.

    Examples
    --------
    >>> cell = {"lattice": np.eye(3) * 4, "species": (((11, 1.0),), ((17, 1.0),)), "site_type": np.array([0, 1])}
    >>> len(check_crystal(Crystal(frac=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), **cell)))
    2
    >>> check_crystal(Crystal(frac=np.array([[0, 0, 0], [0.05, 0, 0]]), **cell))
    Traceback (most recent call last):
    ...
    ValueError: sites 0 (Na) and 1 (Cl) overlap: 0.2 Angstrom apart; closer than 0.5 their occupancies may add ...
    """
    n_sites = len(crystal)
    if n_sites == 0:
        raise ValueError("no sites; at least one is needed")
    if n_sites > max_sites:
        raise ValueError(f"{n_sites} sites; max_sites={max_sites} are accepted")
    _check_lattice(crystal.lattice, n_sites)
    if crystal.source is not None and not all(getattr(crystal.source.lattice, "pbc", (True,) * 3)):
        pbc = tuple(map(bool, crystal.source.lattice.pbc))
        raise ValueError(f"periodic as pbc={pbc}; only crystals periodic in all three are accepted")
    # Negated, so that NaN fails too.
    if not np.abs(crystal.frac).max() <= _FARTHEST:
        site = int(np.argmin((np.abs(crystal.frac) <= _FARTHEST).all(axis=1)))
        coords = crystal.frac[site].tolist()
        raise ValueError(f"site {site} has the fractional coordinates {coords}; finite ones up to 1e6 are accepted")
    for k, content in enumerate(crystal.species):
        if problem := _content_reason(content, elements):
            site = int(np.argmax(crystal.site_type == k))
            raise ValueError(f"site {site} ({_named(crystal, site)}) {problem}")
    if crystal.apart or not any_closer(crystal.frac, crystal.lattice, OVERLAP):
        return crystal
    return without_crowding(crystal)


def _named(crystal: Crystal, site: int) -> str:
    """Name what sits on a site, with its charge where that is known."""
    return crystal.source.sites[site].species_string if crystal.source is not None else crystal.site_name(site)


def _check_lattice(lattice: NDArray[np.float64], n_sites: int) -> None:
    """Refuse absurd lengths and volumes; impossible angles show as a volume near zero or a site near its own image."""
    lengths = [math.hypot(*vector) for vector in lattice.tolist()]
    check_lengths(lengths)
    volume = volume_of(lattice)
    if not _VOLUMES[0] <= volume / n_sites <= _VOLUMES[1]:
        kind = "singular" if volume < _VOLUMES[0] else "absurd"
        raise ValueError(
            f"{kind} lattice: {volume:.3g} cubic Angstrom for {n_sites} sites; 0.1 to 1e5 for each site are accepted"
        )


def _content_reason(content: SiteSpecies, elements: Collection[int] | None) -> str | None:
    """Say what is wrong with what a site holds."""
    if not content:
        return "has no occupancy; more than 0 and at most 1 is accepted"
    for number, occupancy in content:
        if number == 0:
            return "is a dummy species or an unknown element; a vacancy is accepted as an occupancy below 1"
        if not occupancy > 0:
            return f"has the occupancy {occupancy:g}; more than 0 and at most 1 is accepted"
        if elements is not None and number not in elements:
            heaviest = max(elements, default=0)
            return f"holds element {number}, which is not in the table of elements; that goes up to number {heaviest}"
    total = sum(occupancy for _, occupancy in content)
    if not total <= FULL:
        return f"has occupancies that add to {total:g}; more than 0 and at most 1 is accepted"
    return None
