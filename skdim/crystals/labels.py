"""Which element an atom row of a CIF names: by its type symbol, and else by its label where that says so."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from pymatgen.core.periodic_table import Element

__all__ = ["CLASSES", "NUMBERS", "N_ELEMENTS", "NamedElement", "element_of_label", "element_of_type"]

N_ELEMENTS = 118
NUMBERS: dict[str, int] = {Element.from_Z(number).symbol: number for number in range(1, N_ELEMENTS + 1)}
"""Atomic numbers by symbol."""

CLASSES = frozenset({"RE", "TM"})
"""In capitals these may also be any rare earth and any transition metal."""

_HEAVY_HYDROGEN = {"D": 1, "T": 1}
# A symbol, perhaps behind a mass number, and what form factor tables and databases put behind it: a charge, "val".
_TYPE = re.compile(r"(?:\d{1,3}|\(\d{1,3}\))?([A-Za-z]{1,2}?)(?:val|[+-]\d*(?:\.\d+)?[+-]?|\d*(?:\.\d+)?[+-]*)?")
_DECORATION = re.compile(r"[\s^]|\((?:[IVX]+|\d*[+-]|[+-]\d*)\)")  # "Fe 3+", "Fe^3+^", "Fe(III)"
# Groups that are named by one site: the heavy atom has the position, its hydrogens have none.
_GROUP = re.compile(r"(?:[HD][23](?=O))?([OCN])(?:[HD][1-4]?|(?<=O)W)?(?:\d*[+-]\d*)?")
# Labels of groups of atoms, of which the one that is meant is not said.
_MOLECULES = re.compile(r"(?:[HD][23]?O[HD]?|SO[34]|C[Ll]O[34]|N[HD][34]|NO[23]|PO4|C[HD][234]|CN|BF4|PF6)\w*")
_LABEL = re.compile(r"[^A-Za-z]*([A-Za-z]+)(.*)", re.DOTALL)
# Words that name a place or what has no element, and that begin like one.
_NO_ELEMENTS = frozenset(
    {"alk", "alkali", "anion", "atom", "cat", "cation", "cent", "centroid", "cog", "du", "dum", "dummy", "ghost"}
    | {"hal", "hole", "host", "hree", "int", "ion", "lig", "lone", "lp", "lree", "met", "metal", "none", "oct", "pos"}
    | {"ree", "sit", "site", "sol", "solv", "tet", "unk", "va", "vac", "vacancy", "void", "wat", "water", "xx"}
)
_CENTRES = frozenset({"Cg", "Ct"})  # of rings
_WATER = re.compile(r"Wat\d*")  # as the mineral database of the American Mineralogist has it
# Labels of one capital and one of these are those of a second atom of an element, in the naming of molecules.
_SERIES = frozenset("ABCDEFGHMNOPSZ")
_MOLECULAR = frozenset("CHNOPS")
_HYDROXYL = re.compile(r"\d*[-(]H\d*\)?")  # behind the O of "O-H" and "O(H)"
_CRYSTALS = 99  # heavier elements are of no crystal that was measured
_ATOM_WISE = 103  # heavier elements make no crystals: "CN" and "NH" in capitals are groups, "Cn1" is a centre
_METALS = frozenset("KUVY")  # behind another symbol these are no names of sites: "NaK"


class NamedElement(NamedTuple):
    """What a type symbol or a label says."""

    number: int
    """Atomic number."""
    hydrogens: bool = False
    """Whether it names hydrogens too, which have no position of their own."""
    guessed: bool = False
    """Whether another reading is possible, though far-fetched."""


@lru_cache(maxsize=4096)
def element_of_type(symbol: str) -> NamedElement | None:
    """Read a type symbol, as in ``_atom_site_type_symbol``: an element, with a charge or a mass number, or None.

    D and T are hydrogen.

    Examples
    --------
    >>> [element_of_type(symbol).number for symbol in ("Fe3+", "O2-", "O-2", "FE", "Cval", "D", "7Li", "Fe+3")]
    [26, 8, 8, 26, 6, 1, 3, 26]
    >>> [element_of_type(symbol).number for symbol in ("Fe(III)", "Fe 3+", "O^2-^", "(7)Li")]
    [26, 26, 8, 3]
    >>> element_of_type("M") is None
    True
    """
    if not symbol.isalnum():
        symbol = _DECORATION.sub("", symbol)
    if symbol.rstrip("0123456789+-") in CLASSES:
        return None
    found = _TYPE.fullmatch(symbol)
    name = found[1].capitalize() if found else ""
    number = NUMBERS.get(name) or _HEAVY_HYDROGEN.get(name)
    if number is not None and number > _ATOM_WISE and symbol != name:
        number = None
    if name == "T" and re.search(r"T\d+$", symbol):  # a tetrahedral site
        return None
    group = _GROUP.fullmatch(symbol)
    if group and (number is None or symbol.startswith("NH")):
        return NamedElement(NUMBERS[group[1]], hydrogens="H" in symbol or "D" in symbol)
    return None if number is None else NamedElement(number)


def element_of_label(
    label: str,  # as in ``_atom_site_label``
    known: Collection[int] = (),  # atomic numbers that the file names elsewhere, in its formula for instance
) -> NamedElement | None:  # None if the label names no element, or more than one
    """Read the label of an atom, for rows without a type symbol.

    A label is the symbol of an element, alone or followed by a digit, a sign or a capital letter. Where two readings
    are possible (``CA1`` is calcium, or a carbon named A), the elements that the file names elsewhere decide.

    Examples
    --------
    >>> [element_of_label(label).number for label in ("Fe1", "Fe(1)", "Cu2a", "OW1", "OH", "Ow", "D1")]
    [26, 26, 29, 8, 8, 8, 1]
    >>> [element_of_label(label) for label in ("T1", "M1", "Na/K", "Va", "CA1")]
    [None, None, None, None, None]
    >>> element_of_label("CA1", known={20, 8}).number, element_of_label("OCo", known={11, 13, 14, 8}).number
    (20, 8)
    """
    return _element_of_label(label, frozenset(known))


@lru_cache(maxsize=65536)
def _element_of_label(label: str, known: frozenset[int]) -> NamedElement | None:
    """Read a label; see `element_of_label`."""
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    letters, rest = found[1], found[2]
    if _WATER.fullmatch(label) and NUMBERS["O"] in known and NUMBERS["W"] not in known:
        return NamedElement(NUMBERS["O"], hydrogens=True)
    on_a_place = letters[:2].istitle() and letters[2:].isupper()  # "SiT", silicon on the place T
    if (
        (letters.lower() in _NO_ELEMENTS and not on_a_place)
        or _MOLECULES.fullmatch(label)
        or _names_another(rest, letters)
    ):
        return None
    readings = _readings(letters, known)
    if letters in CLASSES and not known:
        return None
    if _HYDROXYL.fullmatch(rest):
        readings = [reading._replace(hydrogens=reading.number == NUMBERS["O"]) for reading in readings]
    if known:
        readings = [reading for reading in readings if reading.number in known]
    if len({reading.number for reading in readings}) != 1:
        return None
    return readings[0]


def _readings(letters: str, known: frozenset[int]) -> list[NamedElement]:
    """List the elements that the letters of a label may name, the likely one alone where there is one.

    What follows a symbol of one letter, and K, U, V and Y behind any, names a second element if the file may have that
    one, and else a place: "OCo" of a feldspar is an oxygen, "MgY" of a tourmaline is magnesium.
    """
    head, tail = letters[0].upper(), letters[1:]
    single = NUMBERS.get(head) or (1 if head == "D" else None)
    pair = NUMBERS.get(letters[:2].capitalize()) if tail else None
    if pair is not None and pair > _CRYSTALS and letters[:2].istitle():  # "No1" is a number
        return []
    if pair is not None and pair > _ATOM_WISE:
        pair = None
    if not tail:
        return [NamedElement(single)] if single else []
    if letters[:2].istitle() or letters.islower():  # the second letter is small, as in a symbol
        if pair and (len(letters) == 2 or letters[2].isupper()):
            metal = letters[2:] in _METALS and _may_hold(NUMBERS[letters[2:]], known)
            return [] if metal or _second_symbol(letters[2:]) else [NamedElement(pair)]
        # "Ow", "Oh", "Ha": one small letter behind a symbol of one; a longer word is no label of an element.
        ok = single and not pair and len(letters) == 2 and head in "OHNCD" and letters not in _CENTRES
        return [NamedElement(single, hydrogens=letters == "Oh")] if ok and single else []
    water = head == "O" and tail[0] in "HD"
    alone = [NamedElement(single, hydrogens=water)] if single and (len(tail) <= 3 or water) else []
    if alone and (second := _second_symbol(tail)) and _may_hold(second, known):
        alone = []
    if not pair:
        return alone
    both = [NamedElement(pair, guessed=bool(alone))]
    if alone and head in _MOLECULAR and tail[0] in _SERIES:
        return [*both, *alone]
    return both if len(tail) <= 3 else []


def _second_symbol(tail: str) -> int | None:
    """Return the element that follows a symbol in its usual spelling, as in "AlSi"."""
    return NUMBERS.get(tail[:2]) if len(tail) >= 2 and tail[0].isupper() and tail[1].islower() else None


def _may_hold(number: int, known: frozenset[int]) -> bool:
    """Tell whether a file may have an element, by those that it names."""
    return not known or number in known


def _names_another(rest: str, letters: str) -> bool:
    """Tell whether a label names a second element, behind a stroke, a comma or a plus sign, a number or in brackets."""
    found = re.match(r"[\s\d.]*[/,|&+;]\s*([A-Za-z]{1,2})", rest)  # "Na/K", "Na1/K1"
    found = found or re.match(r"\s*[([]([A-Z][a-z])[0-9.]*[)\]]", rest)  # "Ti(Zr)"
    found = found or re.match(r"[\d.]+[_-]?([A-Z][a-z])(?![a-z])", rest)  # "Fe1Mg1"
    return found is not None and found[1].capitalize() in NUMBERS
