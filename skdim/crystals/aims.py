"""The geometry.in of FHI-aims, with names of species that are more than an element."""

from __future__ import annotations

import re
import warnings

import numpy as np
from pymatgen.core.structure import IStructure

from skdim.crystals.limits import current_limits
from skdim.crystals.records import structure_from_dict
from skdim.crystals.species import element_of_name
from skdim.crystals.textformats import fortran

__all__ = ["is_aims", "structure_from_aims"]

_START = re.compile(r"^[ \t]*lattice_vector[ \t]", re.MULTILINE | re.IGNORECASE)
_ATOM = re.compile(r"^[ \t]*atom(?:_frac)?[ \t]", re.MULTILINE | re.IGNORECASE)
_NOT_ATOMS = ("empty", "multipole", "pseudocore")  # basis functions, charges and cores at places of their own


def is_aims(text: str) -> bool:
    r"""Tell a geometry.in by its lattice and atoms.

    Examples
    --------
    >>> is_aims("lattice_vector 4 0 0\natom 0 0 0 Po\n"), is_aims("data_x\n")
    (True, False)
    """
    return bool("_vector" in text[:200_000] and _START.search(text, 0, 200_000) and _ATOM.search(text))


def structure_from_aims(text: str) -> IStructure:
    """Read the crystal of a geometry.in, a text for which `is_aims` holds.

    References
    ----------
    V. Blum et al., Comput. Phys. Commun. 180 (2009) 2175, and the manual of FHI-aims.
    """
    vectors: list[list[float]] = []
    cartesian: list[bool] = []
    coords: list[list[float]] = []
    species: list[str] = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        word = words[0].lower() if words else ""
        if word == "lattice_vector":
            vectors.append(_three(words[1:], line))
        elif word in ("atom", "atom_frac"):
            if len(words) != 5:
                raise ValueError(f"the line {line.strip()[:60]!r} of the geometry: no three numbers and a species")
            cartesian.append(word == "atom")
            coords.append(_three(words[1:4], line))
            species.append(element_of_name(words[4]))
        elif word in _NOT_ATOMS:
            warnings.warn(f"places without an atom are left out: {word}", stacklevel=2)
    if len(vectors) != 3:
        raise ValueError(f"a geometry of {len(vectors)} lattice vectors; a crystal, of three, is accepted")
    if len(species) > (most := current_limits().rows):
        raise ValueError(f"a geometry of {len(species)} atoms; up to {most} are read (limit rows)")
    matrix, places = np.array(vectors), np.array(coords)
    if not abs(np.linalg.det(matrix)) > 0:
        raise ValueError(f"singular lattice: its vectors {vectors} span no volume")
    own = np.array(cartesian)
    places[own] = places[own] @ np.linalg.inv(matrix)
    return structure_from_dict({"lattice": matrix, "species": species, "frac_coords": places})


def _three(words: list[str], line: str) -> list[float]:
    """Read three numbers."""
    try:
        values = [fortran(word) for word in words]
    except ValueError:
        values = []
    if len(values) != 3 or not np.isfinite(values).all():
        raise ValueError(f"the line {line.strip()[:60]!r} of the geometry: three numbers are needed")
    return values
