"""The formula that a CIF gives beside its atoms, and whether the crystal that was read agrees with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from pymatgen.core.periodic_table import Element

from skdim.crystals.labels import NUMBERS

__all__ = ["Difference", "compare", "parse_formula"]

# Each text fits in one way, so that one that does not fit is soon found out.
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_PART = re.compile(rf"([A-Z][a-z]?)(?: ?({_NUMBER}))?")
_WHOLE = re.compile(rf" ?(?:[A-Z][a-z]?(?: ?{_NUMBER})? ?)+")
_GROUP = re.compile(rf"\(([^()]*)\)({_NUMBER})?")
_BETWEEN = re.compile(r" ?[,;*_] ?| \. ")  # a salt and its water
_FACTOR = re.compile(rf"({_NUMBER})? ?(.*)")
_RELATIVE = 0.02  # of the atoms of an element: formulas are rounded
_ABSOLUTE = 0.01  # of all atoms of a formula unit,
_MOST = 0.45  # but less than an atom
_LONGEST = 2000


@dataclass(frozen=True)
class Difference:
    """How a crystal differs from a formula."""

    words: str  # what the crystal holds and what the formula says
    hydrogen_only: bool  # whether they agree in all elements but hydrogen


@lru_cache(maxsize=1024)
def parse_formula(text: str) -> Mapping[int, float] | None:
    """Read a formula such as "C12 H22 O11" or "Al2O3": atoms by atomic number; None for what is no such formula.

    Symbols are followed by their numbers, but for one; there may be groups in brackets, and parts behind a comma or a
    star, perhaps with a factor. D and T are hydrogen.

    Examples
    --------
    >>> dict(parse_formula("Ca(NO3)2")), parse_formula("?"), dict(parse_formula("Cs Cl, 2H2 O"))
    ({20: 1.0, 7: 2.0, 8: 6.0}, None, {55: 1.0, 17: 1.0, 1: 4.0, 8: 2.0})
    """
    if len(text) > _LONGEST:
        return None
    atoms: dict[int, float] = {}
    for part in _BETWEEN.split(" ".join(text.replace("[", "(").replace("]", ")").split())):
        factor, formula = _FACTOR.fullmatch(part).groups()  # type: ignore[union-attr]  # everything fits
        inner = _without_groups(formula) if formula else {}
        if inner is None:
            return None
        for number, count in inner.items():
            atoms[number] = atoms.get(number, 0.0) + count * float(factor or 1)
    return MappingProxyType({number: n for number, n in atoms.items() if n > 0}) or None


def _without_groups(text: str) -> dict[int, float] | None:
    """Read one part of a formula."""
    while found := _GROUP.search(text):  # innermost first
        inner = _counted(found[1])
        if inner is None:
            return None
        factor = float(found[2] or 1)
        atoms_within = " ".join(f"{s}{n * factor!r}" for s, n in inner)
        text = " ".join(f"{text[: found.start()]} {atoms_within} {text[found.end() :]}".split())
        if len(text) > 10 * _LONGEST:
            return None
    atoms: dict[int, float] = {}
    for symbol, count in _counted(text) or []:
        number = NUMBERS.get(symbol) or (1 if symbol in {"D", "T"} else None)
        if number is None:
            return None
        atoms[number] = atoms.get(number, 0.0) + count
    return atoms or None


def _counted(text: str) -> list[tuple[str, float]] | None:
    """List symbols with their numbers; None for what is no formula without brackets."""
    if not _WHOLE.fullmatch(text):
        return None
    return [(symbol, float(count or 1)) for symbol, count in _PART.findall(text)]


def compare(
    atoms: Mapping[int, float],  # atoms in the cell by atomic number
    formula: Mapping[int, float],  # atoms of a formula unit
    # Formula units in the cell; None if the file does not say, then the proportions alone are compared.
    units: float | None,
) -> Difference | None:
    """Compare what a cell holds with a formula; None if they agree within what rounding explains."""
    if units is None:
        shared = [number for number in formula if number != 1] or list(formula)
        units = sum(atoms.get(number, 0.0) for number in shared) / sum(formula[number] for number in shared)
    if units <= 0:
        return Difference(f"the atoms are {_words(atoms)} and the formula is {_words(formula)}", False)
    margin = min(_MOST, _ABSOLUTE * sum(formula.values()))
    wrong = {
        number
        for number in {*atoms, *formula}
        if abs(atoms.get(number, 0.0) / units - formula.get(number, 0.0))
        > max(margin, _RELATIVE * formula.get(number, 0.0)) + 1e-9
    }
    if not wrong:
        return None
    words = f"the cell holds {_words(atoms)} and {units:g} formula units of {_words(formula)} were expected"
    return Difference(words, wrong == {1})


def _words(atoms: Mapping[int, float]) -> str:
    """Write atoms as a formula."""
    return " ".join(f"{Element.from_Z(number).symbol}{round(n, 3):g}" for number, n in sorted(atoms.items()))
