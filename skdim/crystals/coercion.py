"""One crystal of any accepted kind becomes a record, or is refused with what it is."""

from __future__ import annotations

import math
import os
import re
import reprlib
from collections.abc import Mapping
from typing import Any

from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import Element
from pymatgen.core.sites import Site
from pymatgen.core.structure import IMolecule, IStructure, Structure

from skdim.crystals.crystal import Crystal, crystal_of
from skdim.crystals.dialects import check_whole
from skdim.crystals.given import is_a, is_upload
from skdim.crystals.parsing import (
    PARSER_ERRORS,
    Opened,
    crystal_from_file,
    crystal_from_opened,
    crystal_from_record,
    crystal_from_text,
    noted,
)
from skdim.crystals.rows import KINDS
from skdim.crystals.sources import Source
from skdim.crystals.textformats import mistaken_for, text_format
from skdim.crystals.uploads import text_of

__all__ = ["coerce_crystal", "meant_by_missing", "source_of"]


_FORMULA = re.compile(r"(?:[A-Z][a-z]?[\d.]*|[()\[\]][\d.]*)+")
_MATERIAL_ID = re.compile(r"(?:mp|mvc|oqmd|jvasp)-\d+", re.IGNORECASE)
_BRIEFLY = reprlib.Repr()
_BRIEFLY.maxstring = 200
_NO_FORMULA = "a formula is not enough, a crystal is its lattice and the positions of its atoms"


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
