"""What a cell of a table means: a number as people write it, a bound, a unit, or that nothing is known."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from skdim.cli.matching import header_without_unit, is_logarithm

__all__ = ["LabelCell", "NumberStyle", "is_missing", "number_style", "plain", "same_unit", "unit_of"]

_MISSING = frozenset(
    {"", "-", "--", "---", ".", "..", "...", "?", "*", "nan", "na", "n/a", "n.a.", "none", "null", "nd", "n.d.", "tbd"}
    | {"<na>", "#n/a", "#na", "#value!", "#div/0!", "#ref!", "#null!", "#num!", "#name?"}
)  # in small letters

_DASHES = str.maketrans("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d\u00a0\u2007\u2009\u202f", "--------    ")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_RAISED_POWER = re.compile("10[ ]?([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_EXPONENT = r"[eEdD][+-]?\d+"
_TEN = r"10\s*(?:\^|\*\*)?\s*\(?([+-]?\d+)\)?"
_SCALE = rf"(?:({_EXPONENT})|\s*[×x·*]\s*{_TEN})?"
_PLUS_MINUS = rf"\s*(?:±|\+/-|\+-)\s*{_NUMBER}(?:{_EXPONENT})?"
_WORD = r"(?:[A-Za-zµμΩ°%Å]|/(?=[A-Za-z]))[^<>±\s]*"
# A bound, or that the value is approximate; a number with its power of ten, which may stand behind an uncertainty in
# brackets or apply to a sum in brackets; an uncertainty; a unit.
_VALUE = re.compile(
    rf"(<=|>=|<|>|≤|≥|~|≈|\u223c|≅|ca\.?)?\s*"
    rf"(?:({_NUMBER})(?:\(\d+(?:\.\d+)?\))?{_SCALE}|\(\s*({_NUMBER}){_PLUS_MINUS}\s*\){_SCALE}|10(?:\^|\*\*)([+-]?\d+))"
    rf"(?:{_PLUS_MINUS})?\s*(?![xXeEdD][+-]?\d)({_WORD}(?:\s+{_WORD})*)?"
)
_BOUND = {"<": -1, "<=": -1, "≤": -1, ">": 1, ">=": 1, "≥": 1}
# What only a decimal comma can be, not one that sets thousands apart, and what only a decimal point can be.
_COMMA = re.compile(r"[\s<>≤≥=~]*[+-]?(?:0,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{1,3}(?:\.\d{3})+,\d+)(?!\d).*")
_POINT = re.compile(r"[\s<>≤≥=~]*[+-]?(?:0?\.\d+|\d+\.(?:\d{1,2}|\d{4,})|\d{1,3}(?:,\d{3})+\.\d+)(?!\d).*")
_SPACED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:[ '\u2019]\d{3})+(?!\d)")
_GROUPED = {mark: re.compile(rf"(?<![\d.,])[1-9]\d{{0,2}}(?:[{mark}]\d{{3}})+(?![\d{mark}])") for mark in ",."}
_TWICE = {mark: re.compile(rf"(?<![\d.,])[1-9]\d{{0,2}}(?:[{mark}]\d{{3}}){{2,}}(?![\d{mark}])") for mark in ",."}
_OTHER = {",": ".", ".": ","}


def plain(text: str) -> str:
    """Write a cell with plain minus signs and blanks, and powers of ten in one line.

    Examples
    --------
    >>> plain(" \u22123×10\u207b\u00b2 ")
    '-3×10^-2'
    """
    if text.isascii():
        return text.strip()
    text = _RAISED_POWER.sub(lambda found: f"10^{found[1].translate(_RAISED)}", text)
    return text.translate(_DASHES).strip()


def is_missing(text: str) -> bool:
    """Tell a cell in which nothing is known.

    Examples
    --------
    >>> is_missing("N/A"), is_missing("\u2014"), is_missing("0")
    (True, True, False)
    """
    return plain(text).lower() in _MISSING


class NumberStyle(NamedTuple):
    """How the numbers of a column are written."""

    comma: bool
    """Whether decimals stand behind a comma."""
    grouped: str = ""
    """What sets thousands apart: a comma, a point, or nothing that is certain."""


def number_style(texts: Iterable[str], *, semicolons: bool = False) -> NumberStyle:
    """Tell how the numbers of a column are written, by those that can be read in one way only.

    Parameters
    ----------
    texts : iterable of str
        Cells.
    semicolons : bool
        Whether these stand between the columns, as where commas are decimal.

    Returns
    -------
    NumberStyle

    Examples
    --------
    >>> number_style(["1,250", "0,3", "n.d."]), number_style(["1,250"])
    (NumberStyle(comma=True, grouped='.'), NumberStyle(comma=False, grouped=''))
    >>> number_style(["1,250", "2,000.5"])
    NumberStyle(comma=False, grouped=',')
    """
    cells = [plain(text) for text in texts]
    comma = any(_COMMA.fullmatch(cell) or _TWICE["."].search(cell) for cell in cells)
    point = any(_POINT.fullmatch(cell) or _TWICE[","].search(cell) for cell in cells)
    if comma and not point:
        return NumberStyle(True, ".")
    grouped = any(_GROUPED[","].search(cell) and ("." in cell or _TWICE[","].search(cell)) for cell in cells)
    return NumberStyle(semicolons, "," if grouped and not comma and not semicolons else "")


@dataclass(frozen=True)
class LabelCell:
    """A cell of the labels."""

    value: float
    side: int
    """-1 for an upper bound, 1 for a lower bound, else 0."""
    unit: str
    """What stands behind the number."""
    about: bool = False
    """Whether the cell says that the value is approximate."""

    @classmethod
    def read(cls, text: str, style: NumberStyle | None = None) -> LabelCell | None:
        """Read a cell; None where it holds no number.

        Examples
        --------
        >>> LabelCell.read("<1.2(3)×10^-4 S/cm")
        LabelCell(value=0.00012, side=-1, unit='S/cm', about=False)
        """
        match = _VALUE.fullmatch(_with_points(plain(text), style or NumberStyle(False)))
        if match is None:
            return None
        sign, number, exponent, power, inner, inner_exponent, inner_power, alone, unit = match.groups()
        scale = exponent or inner_exponent or ""
        scale = scale.replace("d", "e").replace("D", "e") or f"e{power or inner_power or alone or 0}"
        value = float(f"{number or inner or 1}{scale}")
        side = _BOUND.get(sign, 0)
        about = bool(sign) and not side
        return cls(value, side, (unit or "").strip(), about) if math.isfinite(value) else None


def _with_points(text: str, style: NumberStyle) -> str:
    """Write a number with a decimal point and without what sets thousands apart."""
    text = _SPACED.sub(lambda found: re.sub(r"[ '\u2019]", "", found[0]), text)
    for mark in ",.":  # both in one number, or one of them twice: there is one way to read it
        sure = _GROUPED[mark].search(text)
        if sure and (style.grouped == mark or _OTHER[mark] in text or _TWICE[mark].search(text)):
            head, tail = text[: sure.end()].replace(mark, ""), text[sure.end() :]
            return head + tail.replace(",", ".", 1) if mark == "." and tail.startswith(",") else head + tail
    return text.replace(",", ".") if style.comma and "." not in text else text


def unit_of(header: str, units: Sequence[str]) -> tuple[str, bool]:
    """Tell the unit of a column: that of its header, or that of most cells; and whether the cells tell it.

    Logarithms have none.

    Examples
    --------
    >>> unit_of("Tc (K)", ["", ""]), unit_of("gap / eV", ["", ""]), unit_of("Tc", ["K", "K", ""])
    (('K', False), ('eV', False), ('K', True))
    >>> unit_of("log sigma (S/cm)", ["", ""])
    ('', False)
    """
    bare = header_without_unit(header)
    if bare != header and not is_logarithm(header):
        return header[len(bare) :].strip(" ()[]/,"), False
    found, n = next(iter(Counter(unit for unit in units if unit).most_common(1)), ("", 0))
    return (found, True) if n and 2 * n >= len(units) else ("", False)


def same_unit(one: str, other: str) -> bool:
    """Tell whether two units are the same but for spaces and raised digits.

    Examples
    --------
    >>> same_unit("S cm\u207b\u00b9", "S cm^-1"), same_unit("meV", "MeV")
    (True, False)
    """
    return _bare_unit(one) == _bare_unit(other)


def _bare_unit(unit: str) -> str:
    """Write a unit without spaces and signs of typesetting."""
    return re.sub(r"[\s^·*]", "", unit.translate(_RAISED).translate(_DASHES)).replace("\u03bc", "\u00b5")
