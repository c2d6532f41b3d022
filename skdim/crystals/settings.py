"""The settings of space groups that a symbol, a Hall symbol or a number may mean, with their operations."""

from __future__ import annotations

import re
from functools import lru_cache

import gemmi
import numpy as np

from skdim.crystals.limits import current_limits
from skdim.crystals.operations import GRID, Operations, listed_operations, sorted_group

__all__ = ["Setting", "contradiction", "named_settings", "standard_short_symbol"]


Setting = tuple[int, str, Operations]
"""Number of the space group, a name of the setting, its operations."""

_EXTENSION = re.compile(
    r"^(?P<symbol>.*?)(?:\s*[:(]\s*(?P<choice>[^()]*)\)?|\s*(?P<attached>(?-i:[SZHR]))|\s+(?P<old>[SZHR]|O[12]|[12]))?$",
    re.IGNORECASE,
)
# "Pnma (62)", "Pnma (no. 62)", "Pnma #62"
_NUMBERED = re.compile(r"(.*?)\s*(?:\(\s*(?:no\.?\s*|#\s*)?(\d{1,3})\s*\)|(?:\bno\.?\s*|#\s*)(\d{1,3}))", re.IGNORECASE)


# One of the directions of a symbol without spaces.
_TOKEN = re.compile(r"-[1346]|(?:21|3[12]|4[123]|6[1-5]|[12346])(?:/[a-z])?|[a-z]")


@lru_cache(maxsize=1)
def _settings() -> tuple[gemmi.SpaceGroup, ...]:
    """All settings that gemmi knows."""
    return tuple(gemmi.spacegroup_table())


@lru_cache(maxsize=1)
def _by_symbol() -> dict[str, list[gemmi.SpaceGroup]]:
    """Settings by each spelling of their symbols."""
    found: dict[str, list[gemmi.SpaceGroup]] = {}
    for setting in _settings():
        for name in _spellings(setting):
            group = found.setdefault(name, [])
            if setting not in group:
                group.append(setting)
    return found


def _spellings(setting: gemmi.SpaceGroup) -> set[str]:
    """Spellings of the symbol of a setting, without spaces, in small letters."""
    full = setting.hm.replace(" ", "").lower()
    names = {full}
    tokens = setting.hm.split()
    # "P 21/c" of "P 1 21/c 1"; "C 2" is never the primitive group No. 3 in a doubled cell.
    if (
        len(tokens) == 4
        and tokens.count("1") == 2
        and 3 <= setting.number <= 15
        and (setting.number, tokens[0]) not in ((3, "B"), (3, "C"))
    ):
        names.add("".join(token for token in tokens if token != "1").lower())
    if setting.number >= 195:  # "Fd3m" of "F d -3 m"
        names.add(full.replace("-3", "3"))
    if setting.number in {39, 41, 64, 67, 68}:  # "C m c e" of "C m c a": the glide of two directions
        letters = list(full)
        letters["abc".index(full[0]) + 1] = "e"
        names.add("".join(letters))
    if setting.ext == "H":  # "H 3 2"
        names.add("h" + full[1:])
    return names


@lru_cache(maxsize=1024)
def _operations(hall: str) -> Operations:
    """Operations of a Hall symbol; any other text is a ValueError."""
    if len(hall) > (most := current_limits().word):
        raise ValueError(f"a Hall symbol of {len(hall)} characters; {most} are accepted")
    try:
        group = gemmi.symops_from_hall(hall)
    except RuntimeError as error:
        raise ValueError(f"{hall!r} is no Hall symbol") from error
    operations = list(group)
    rotation = np.array([operation.rot for operation in operations], np.int64) // gemmi.Op.DEN
    shift = np.array([operation.tran for operation in operations], np.int64) * (GRID // gemmi.Op.DEN)
    return sorted_group(rotation, shift % GRID)


@lru_cache(maxsize=1024)
def named_settings(
    symbol: str,  # of Hermann and Mauguin, perhaps with an origin or axes choice: "F d -3 m :2", "R -3 m H"
    hall: str,  # Hall's symbol, which stands for one setting
    number: int | None,  # of the space group
    code: str,  # of the setting in International Tables, such as "b1" or "2"
) -> tuple[Setting, ...]:  # several if what is said does not tell them apart, none if nothing is said that is known
    """List the settings that a CIF may mean by what it says of its space group; texts that are not given are empty.

    Examples
    --------
    >>> [name for _, name, _ in named_settings("F d -3 m", "", None, "")]
    ['F d -3 m:1', 'F d -3 m:2']
    >>> [name for _, name, _ in named_settings("F d -3 m Z", "", 227, "")]
    ['F d -3 m:2']
    """
    by_name = _from_symbol(symbol)
    if hall:
        operations = _operations(hall)
        known = [s for s in _settings() if _operations(s.hall).same_as(operations)]
        numbers = {s.number for s in known}
        if by_name and known and not numbers & {s.number for s in by_name}:
            raise ValueError(f"the Hall symbol {hall!r} and the space group {symbol!r} contradict one another")
        if number and known and number not in numbers:
            raise ValueError(f"the Hall symbol {hall!r} and the space group number {number} contradict one another")
        return ((known[0].number if known else 0, f"Hall {hall}", operations),)
    if number and by_name:
        if number not in {s.number for s in by_name}:
            raise ValueError(f"the space group {symbol!r} and the number {number} contradict one another")
        by_name = [s for s in by_name if s.number == number]
    if not by_name and not symbol and number:
        # A number without a symbol never means a triclinic cell that is enlarged by a centring.
        by_name = [s for s in _settings() if s.number == number and (number > 2 or s.hm[0] == "P")]
        if not by_name:
            raise ValueError(f"space group number {number}; 1 to 230 are accepted")
    if code:
        by_name = _with_code(by_name, code)
    distinct: list[Setting] = []
    for s in by_name:
        operations = _operations(s.hall)
        if not any(operations.same_as(other) for _, _, other in distinct):
            distinct.append((s.number, s.xhm(), operations))
    return tuple(distinct)


def _from_symbol(symbol: str) -> list[gemmi.SpaceGroup]:
    """Settings with a Hermann-Mauguin symbol."""
    if not symbol or len(symbol) > current_limits().word:
        return []
    plain, number = _plain(symbol)
    found = _from_plain(plain)
    if number and found and number not in {s.number for s in found}:
        raise ValueError(f"the space group {symbol!r} does not have the number that stands behind it")
    return [s for s in found if not number or s.number == number]


def _from_plain(symbol: str) -> list[gemmi.SpaceGroup]:
    """Settings with a symbol without its number."""
    if found := _spelled(symbol):
        return found
    parts = _EXTENSION.match(symbol)
    found = _spelled(parts["symbol"]) if parts else []
    if parts and found:
        choice = _choice(parts)
        return _with_code(found, choice) if choice else found
    known = gemmi.find_spacegroup_by_name(symbol.split(":")[0])
    if known is None:
        return []
    return [s for s in _settings() if s.hm == known.hm and s.number == known.number]


def _choice(parts: re.Match[str]) -> str:
    """Return what stands behind a symbol: an origin or axes choice."""
    return (parts["choice"] or parts["attached"] or parts["old"] or "").strip()


def _plain(symbol: str) -> tuple[str, int]:
    """Write a symbol without the signs of typesetting, and return the number that stands behind it, or else 0.

    "P2(1)/c", "P2~1~/c" and "P2_{1}/c" are "P21/c", and bars are minus signs.
    """
    symbol = re.sub(r"\\(?:bar|overline)\s*\{?\s*(\d)\s*\}?", r"-\1", symbol)
    symbol = re.sub("(\\d)\u0305", r"-\1", symbol)  # a line above the digit
    symbol = re.sub("[\u2010-\u2015\u2212]", "-", symbol)
    symbol = re.sub(r"(?<=[2346])(?:\((\d)\)|~(\d)~)", r"\1\2", symbol)
    symbol = re.sub(r"[_{}$]", "", symbol).strip()
    found = _NUMBERED.fullmatch(symbol)
    number = int(found[2] or found[3]) if found else 0
    return (found[1], number) if found and number > 2 else (symbol, 0)  # 1 and 2 are choices of an origin


@lru_cache(maxsize=1024)
def standard_short_symbol(
    symbol: str,  # of Hermann and Mauguin
    code: str = "",  # of the setting; where it, or what stands behind the symbol, names one, the symbol is not short
) -> int | None:
    """Return the number of the monoclinic space group whose standard setting has a short symbol, or else None.

    Examples
    --------
    >>> standard_short_symbol("P 21/c"), standard_short_symbol("P 1 21/c 1"), standard_short_symbol("P 21/n")
    (14, None, None)
    >>> standard_short_symbol("P 21/c (14)"), standard_short_symbol("P 21/c :b1")
    (14, None)
    """
    bare, _ = _plain(symbol)
    parts = None if _spelled(bare) else _EXTENSION.match(bare)  # "P 2 1 1" is no "P 2 1" of origin 1
    plain = re.sub(r"\s", "", parts["symbol"] if parts else bare).lower()
    monoclinic = [s for s in _settings() if 3 <= s.number <= 15]
    for setting in monoclinic:
        if setting.is_reference_setting() and setting.short_name().lower() == plain:
            codes = [word for word in (_choice(parts) if parts else "", code) if word]
            named = any(_has_code(s, word) for s in monoclinic if s.number == setting.number for word in codes)
            return None if named else int(setting.number)
    return None


def _spelled(symbol: str) -> list[gemmi.SpaceGroup]:
    """Settings with a symbol without extension, short or in full: "P 21/n 21/m 21/a" is "P n m a"."""
    table, plain = _by_symbol(), symbol.replace(" ", "").lower()
    if plain in table or "/" not in plain:
        return table.get(plain, [])
    first, *others = _TOKEN.findall(plain[1:]) or [""]
    short = "".join(token.split("/")[-1] for token in others)
    for axis in (first, first.split("/")[-1]):  # the axis stays in "P 4/m m m", and not in "P m m m" and "F m -3 m"
        if found := table.get(plain[0] + axis + short):
            return found
    return []


def _with_code(found: list[gemmi.SpaceGroup], code: str) -> list[gemmi.SpaceGroup]:
    """Settings with a code among those found, or else among all of their space groups, whose symbol may be short."""
    chosen = [s for s in found if _has_code(s, code)]
    numbers = {s.number for s in found}
    if not chosen or max(numbers) <= 15:  # databases use the short symbol of a monoclinic group for any of its settings
        chosen = [s for s in _settings() if s.number in numbers and _has_code(s, code)]
    # A code that none of several has says nothing; with one setting there is nothing to choose.
    return chosen or found


def _has_code(setting: gemmi.SpaceGroup, code: str) -> bool:
    """Tell whether a setting has an origin or axes choice, in one of the ways to say so."""
    code = re.sub(r"(origin|choice|setting|cell|axes|o)", "", code.strip().lower()).strip()
    code = {"s": "1", "z": "2", "hexagonal": "h", "rhombohedral": "r"}.get(code, code)
    own = {setting.ext.lower().strip("\0"), setting.qualifier.lower()}
    return code in own - {""} or f"{setting.ext}{setting.qualifier}".lower().strip("\0") == code


@lru_cache(maxsize=1024)
def contradiction(
    words: tuple[str, ...],  # listed operations
    symbol: str,  # this and the next as for `named_settings`
    hall: str,
    number: int | None,
) -> str:
    """Say how listed operations contradict the space group that is named beside them; empty if they do not.

    Another setting of the same space group is no contradiction: authors change coordinates and operations, and forget
    the symbol. Another crystal class is one, and a centring of which the translations are missing.

    Examples
    --------
    >>> contradiction(("x,y,z",), "P -1", "", 2)
    "the 1 listed symmetry operations and the space group 'P -1' contradict one another"
    """
    operations = listed_operations(words)
    by_name, plain = _from_symbol(symbol), hall.replace(" ", "").replace("_", "").lower()
    said = [(f"the space group {symbol!r}", by_name)]
    if plain:
        same = [s for s in _settings() if s.hall.replace(" ", "").lower() == plain]
        said.append((f"the Hall symbol {hall!r}", same))
    if {s.number for s in by_name} != {number}:  # otherwise it says no more than the symbol
        said.append((f"the space group number {number}", [s for s in _settings() if s.number == number]))
    for name, settings in said:
        if settings and not _may_be(operations, settings):
            return f"the {len(words)} listed symmetry operations and {name} contradict one another"
    return ""


def _may_be(operations: Operations, named: list[gemmi.SpaceGroup]) -> bool:
    """Tell whether operations may be those of one of some settings, or of another setting of the same space group."""
    numbers = {s.number for s in named}
    settings = [_operations(s.hall) for s in named]
    alike = [setting for setting in settings if setting.rotations == operations.rotations]
    if not alike:
        settings = [_operations(s.hall) for s in _settings() if s.number in numbers]
        alike = [setting for setting in settings if setting.rotations == operations.rotations]
    if alike:
        return any(setting.centerings <= operations.centerings for setting in alike)
    return any(setting.crystal_class == operations.crystal_class for setting in settings)
