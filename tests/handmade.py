"""Small real crystals and the files of tests/data, for the tests."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gemmi
import numpy as np
from pymatgen.core import Lattice, Structure

from skdim.crystals.crystal import Crystal
from skdim.crystals.notes import describe_notes
from skdim.crystals.structures import try_crystal

DATA = Path(__file__).parent / "data"
FILES = {
    "nacl.cif": "Na4 Cl4",
    "li_la_ti_o3_split.cif": "Li0.33 La0.56 Ti1 O3",
    "POSCAR_SrTiO3": "Sr1 Ti1 O3",
    "si.json": "Si2",
}

FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def salt() -> Structure:
    """Rock salt, conventional cell: eight sites."""
    return Structure(Lattice.cubic(5.64), ["Na"] * 4 + ["Cl"] * 4, [*FACES, *(FACES + 0.5)])


def silicon() -> Structure:
    """Silicon, conventional cell: eight sites, as many as the salt has."""
    return Structure(Lattice.cubic(5.431), ["Si"] * 8, [*FACES, *(FACES + 0.25)])


def perovskite() -> Structure:
    """Cubic SrTiO3: five sites."""
    return Structure(Lattice.cubic(3.905), ["Sr", "Ti", "O", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], *FACES[1:]])


def face_centred(edge: float, species: list[object], sites: list[list[float]]) -> Structure:
    """A cubic cell of these sites and those half an edge away along two axes; quicker than the orbits of Fm-3m."""
    places = [(FACES + site) % 1 for site in sites]
    return Structure(Lattice.cubic(edge), [one for one in species for _ in FACES], np.concatenate(places))


def of_space_group(symbol: str, lattice: Lattice, species: list[object], sites: list[list[float]]) -> Structure:
    """A cell of the orbits of these sites, as `Structure.from_spacegroup` makes it; that takes half a second."""
    operations = gemmi.find_spacegroup_by_name(symbol).operations()
    places = []
    for site in sites:
        images = np.array([operation.apply_to_xyz(list(site)) for operation in operations]).round(9) % 1
        away = images[:, None] - images
        same = np.abs(away - np.rint(away)).max(2) < 1e-5
        places.append(images[same.argmax(1) == np.arange(len(images))])  # the first of each place
    kinds = [one for one, own in zip(species, places, strict=True) for _ in own]
    return Structure(lattice, kinds, np.concatenate(places))


def iron() -> Structure:
    """Body-centred iron, primitive cell: one site."""
    return Structure(2.87 / 2 * Lattice([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]).matrix, ["Fe"], [[0, 0, 0]])


def flat(structure: Structure) -> dict[str, object]:
    """Write a structure as the flat dict of lattice, species and frac_coords."""
    species = [site.species.as_dict() for site in structure]
    return {
        "lattice": structure.lattice.matrix.tolist(),
        "species": species,
        "frac_coords": structure.frac_coords.tolist(),
    }


def entry(structure: Structure, **data: object) -> dict[str, object]:
    """Write a structure as pymatgen writes a ComputedStructureEntry, whose import takes more than a second."""
    return {
        "@module": "pymatgen.core.entries",
        "@class": "ComputedStructureEntry",
        "energy": -1.0,
        "composition": structure.composition.as_dict(),
        "entry_id": data.pop("entry_id", None),
        "correction": 0.0,
        "energy_adjustments": [],
        "parameters": {},
        "data": data,
        "structure": structure.as_dict(),
    }


def told(crystal: Crystal, name: object = "the crystal") -> Structure:
    """Structure of a crystal that was read, with a warning of what was decided in reading."""
    if crystal.notes:
        warnings.warn(describe_notes([(str(name), note) for note in crystal.notes]), UserWarning, stacklevel=2)
    return crystal.structure


def reason_against(structure: Structure, **limits: object) -> str | None:
    """Why a structure cannot be used; None if it can."""
    return try_crystal(structure, **limits)[1]


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """Give up the superuser's right to read everything for a while, where the tests run as one."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
