"""Which element a word or number in a dict means."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from pymatgen.core.periodic_table import DummySpecies, Element, Species

from skdim.crystals.labels import NUMBERS

__all__ = ["ELEMENTS", "element_of_name", "number_of", "symbol_of"]


# An element with what may stand behind it: a charge, a spin. The number of a label such as Na1 is no part of it.
_SPECIES = re.compile(r"([A-Z][a-z]?)(?:\d*\.?\d*[+-]|[+-]\d+\.?\d*)?(?:,.*)?")
_NAMED = re.compile(r"([A-Za-z]{1,2})(?:[\d_+-].*)?")  # a species of a program, with what tells it from others
_LONGEST = 200  # characters of a species
_SYMBOLS = {number: symbol for symbol, number in NUMBERS.items()}
ELEMENTS = NUMBERS | {"D": 1, "T": 1}
"""Atomic numbers by symbol, those of heavy hydrogen too."""


def symbol_of(species: Any) -> str:
    """Return the element of a species such as "Fe", "Fe3+,spin=5", "D" or 26, without charge and isotope.

    What is no element is a ValueError whose message begins with the species.

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
        found = _SPECIES.fullmatch(species.strip()[:_LONGEST])
        number = ELEMENTS.get(found[1]) if found else int(species) if _is_number(species) else None
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


def element_of_name(name: str) -> str:
    """Return the element of a species of a program, such as "Fe1" or "Fe_up"; another name as it is.

    Examples
    --------
    >>> element_of_name("fe_up"), element_of_name("water")
    ('Fe', 'water')
    """
    found = _NAMED.fullmatch(name)
    return found[1].capitalize() if found else name
