"""One crystal as arrays, with what its sites hold and what reading had to decide: what every reader makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from pymatgen.core.lattice import Lattice
from pymatgen.core.periodic_table import DummySpecies, Element, Species
from pymatgen.core.structure import IStructure, Structure

from skdim.crystals.labels import N_ELEMENTS
from skdim.crystals.notes import Note

__all__ = ["Crystal", "SiteSpecies", "crystal_of", "site_species"]

SiteSpecies = tuple[tuple[int, float], ...]
"""What a site holds: (atomic number, occupancy) of its elements, by rising atomic number."""

WHOLE: tuple[SiteSpecies, ...] = tuple(((number, 1.0),) for number in range(N_ELEMENTS + 1))
"""By atomic number the content of a site that one element fills; shared, so that equal ones are found fast."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """A crystal as it was read, not yet judged."""

    lattice: NDArray[np.float64]  # (3, 3) lattice vectors as rows, in Angstrom
    frac: NDArray[np.float64]  # (n, 3) fractional coordinates
    species: tuple[SiteSpecies, ...]  # the K distinct contents of sites
    site_type: NDArray[np.int32]  # (n,) for each site its content
    notes: tuple[Note, ...] = ()  # what was decided in reading
    labels: Sequence[str] = ()  # what the file calls each of the n sites; empty if it does not
    # The object in memory that the crystal was made of; its properties matter to site featurizers.
    source: IStructure | None = field(default=None, repr=False)
    apart: bool = False  # whether it is known that all sites are 0.5 Angstrom or more apart

    def __len__(self) -> int:
        """Return the number of sites."""
        return len(self.frac)

    def species_on(self, site: int) -> SiteSpecies:
        """Return what a site holds."""
        return self.species[self.site_type[site]]

    def site_name(self, site: int) -> str:
        """Name a site for messages: its label in the file, or what it holds."""
        return self.labels[site] if len(self.labels) else _symbols(self.species_on(site))

    @cached_property
    def structure(self) -> IStructure:
        """The crystal as a pymatgen Structure: the one it was made of, or a new one."""
        if self.source is not None:
            return self.source
        species = [{Element.from_Z(number): amount for number, amount in content} for content in self.species]
        return Structure(Lattice(self.lattice), [species[k] for k in self.site_type], list(self.frac))


def _symbols(content: SiteSpecies) -> str:
    """Write a content as a formula."""
    names = [(Element.from_Z(number).symbol if number else "X", amount) for number, amount in content]
    return " ".join(name if amount == 1 else f"{name}{amount:g}" for name, amount in names)


def crystal_of(structure: IStructure, notes: Sequence[Note] = ()) -> Crystal:
    """Make the record of a pymatgen structure, which stays at hand as its `structure`.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal_of(Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])).species
    (((55, 1.0),), ((17, 1.0),))
    """
    contents = site_species(structure)
    distinct = {content: k for k, content in enumerate(dict.fromkeys(contents))}
    site_type = np.array([distinct[content] for content in contents], np.int32)
    # Older pymatgen keeps whole numbers as they are given.
    frac = np.asarray(structure.frac_coords, np.float64).reshape(-1, 3)
    lattice = np.asarray(structure.lattice.matrix, np.float64)
    return Crystal(lattice, frac, tuple(distinct), site_type, tuple(notes), source=structure)


def site_species(structure: IStructure) -> list[SiteSpecies]:
    """Say which elements each site holds, and how much of each: (atomic number, occupancy) by rising atomic number.

    Oxidation states and isotopes do not matter: Fe2+ and Fe3+ on one site add up, deuterium is hydrogen. A vacancy is
    nothing. Dummy species are (0, 1.0); they are refused later.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(4), [{"Na+": 0.5, "K+": 0.25}, "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> site_species(salt)
    [((11, 0.5), (19, 0.25)), ((17, 1.0),)]
    """
    return [_content(site.species) for site in structure.sites]


def _content(composition: Composition) -> SiteSpecies:
    """Give the content of one site, in a shared tuple where it is one whole element."""
    if len(composition) == 1:
        species, amount = next(iter(composition.items()))
        if type(species) in (Element, Species):
            return WHOLE[species.Z] if amount == 1 else ((species.Z, round(float(amount), 8)),)
    given = dict(composition.items())
    if not np.isclose(sum(map(float, given.values())), composition.num_atoms):
        # Older pymatgen adds to the amount beside Fe those of Fe2+ and Fe3+: taken off again.
        charged = {species: amount for species, amount in given.items() if isinstance(species, Species)}
        given = {
            species: amount if species in charged else amount - sum(v for k, v in charged.items() if k.Z == species.Z)
            for species, amount in given.items()
        }
    amounts: dict[int, float] = {}
    for species, amount in given.items():
        number = 0 if isinstance(species, DummySpecies) else species.Z
        amounts[number] = 1.0 if number == 0 else amounts.get(number, 0.0) + float(amount)
    # Rounded, because the order in which a mixture is added up must not make two kinds of site of one.
    return tuple((number, round(amount, 8)) for number, amount in sorted(amounts.items()))
