"""Symmetry operations of a CIF: those that it lists, and those of the setting that it names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from skdim.crystals.limits import current_limits

__all__ = ["Operations", "Setting", "contradiction", "fits_cell", "listed_operations", "named_settings"]

_GRID = 5040  # translations are multiples of 1/5040: of halves to tenths and twelfths, and of 24ths
_SNAP = 0.004  # translations are written with two decimals or more
_TERM = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?|\.\d+)(?:/(\d+))?)?\*?([xyz])?(?:/(\d+))?")
_AXES = "xyz"
_METRIC_TOLERANCE = 0.01  # of the products of two cell lengths; measured cells are printed as if of lower symmetry


@dataclass(frozen=True, eq=False)
class Operations:
    """A group of symmetry operations modulo lattice translations.

    Parameters
    ----------
    rotation : ndarray of int64, shape (m, 3, 3)
        Acting on columns of fractional coordinates; the identity comes first.
    shift : ndarray of int64, shape (m, 3)
        Translations in units of 1/5040, from 0 to 5039.
    """

    rotation: NDArray[np.int64]
    shift: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of operations."""
        return len(self.rotation)

    @cached_property
    def translation(self) -> NDArray[np.float64]:
        """Translations as fractions of the cell, shape (m, 3)."""
        return self.shift / _GRID

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """One number for each operation, shape (m,)."""
        return _keys(self.rotation, self.shift)

    @cached_property
    def table(self) -> NDArray[np.int32]:
        """Which operation each product of two is, shape (m, m); -1 where the product is none of them."""
        order = np.argsort(self.keys)
        ranked = self.keys[order]
        table = np.empty((len(self), len(self)), np.int32)
        for i, (rotation, shift) in enumerate(zip(self.rotation, self.shift, strict=True)):
            products = _keys(rotation @ self.rotation, (self.shift @ rotation.T + shift) % _GRID)
            place = np.minimum(np.searchsorted(ranked, products), len(ranked) - 1)
            table[i] = np.where(ranked[place] == products, order[place], -1)
        return table

    @cached_property
    def _cosets(self) -> dict[bytes, tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """What was found by `cosets`; there are few special positions."""
        return {}

    def cosets(self, fixing: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Divide the group by the operations that leave a point where it is.

        Parameters
        ----------
        fixing : ndarray of bool, shape (m,)
            Operations that do, perhaps not all of them.

        Returns
        -------
        group : ndarray of shape (s,)
            All of them: the products of those that do belong to them too.
        first : ndarray of shape (m / s,)
            One operation for each different image of the point.
        """
        key = fixing.tobytes()
        if key not in self._cosets:
            while True:
                group = np.zeros(len(self), bool)
                group[self.table[np.ix_(fixing, fixing)].ravel()] = True
                if (group == fixing).all():
                    break
                fixing = group
            self._cosets[key] = np.flatnonzero(group), np.unique(self.table[:, group].min(axis=1))
        return self._cosets[key]

    @cached_property
    def centerings(self) -> int:
        """Number of pure translations."""
        return int((self.rotation == np.eye(3, dtype=np.int64)).all(axis=(1, 2)).sum())

    @cached_property
    def crystal_class(self) -> tuple[tuple[int, int, int], ...]:
        """Kinds of rotations (determinant, trace) with their numbers: it tells the 32 crystal classes apart."""
        rotations = np.unique(self.rotation.reshape(-1, 9), axis=0).reshape(-1, 3, 3)
        kinds = np.stack([np.rint(np.linalg.det(rotations)), np.trace(rotations, axis1=1, axis2=2)], axis=1)
        found, counts = np.unique(kinds.astype(np.int64), axis=0, return_counts=True)
        return tuple((int(d), int(t), int(n)) for (d, t), n in zip(found, counts, strict=True))

    @cached_property
    def rotations(self) -> frozenset[bytes]:
        """The distinct rotations."""
        return frozenset(rotation.tobytes() for rotation in self.rotation)

    def same_as(self, other: Operations) -> bool:
        """Tell whether two groups hold the same operations."""
        return len(self) == len(other) and bool((np.sort(self.keys) == np.sort(other.keys)).all())


def _keys(rotation: NDArray[np.int64], shift: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number operations: rotations have entries from -3 to 3, shifts are below 5040."""
    code = (rotation.reshape(-1, 9) + 3) @ (7 ** np.arange(9))
    # 7^9 * 5040^3 is beyond 64 bits, wrapping around keeps distinct operations of a group apart all the same.
    return np.asarray(code + 7**9 * (shift @ np.array([1, _GRID, _GRID**2])))


def _sorted_group(rotation: NDArray[np.int64], shift: NDArray[np.int64]) -> Operations:
    """Leave out repetitions and put the identity first."""
    identity = np.eye(3, dtype=np.int64)
    rotation, shift = np.concatenate([identity[None], rotation]), np.concatenate([np.zeros((1, 3), np.int64), shift])
    first = np.sort(np.unique(_keys(rotation, shift), return_index=True)[1])
    return Operations(rotation[first], shift[first])


@lru_cache(maxsize=1024)
def listed_operations(words: tuple[str, ...], centerings: tuple[str, ...] = ()) -> Operations:
    """Read symmetry operations as they are listed.

    Parameters
    ----------
    words : tuple of str
        Such as "x,y,z" and "-y,x-y,z+1/3"; a fourth part, the time reversal of magnetic operations, is left out.
    centerings : tuple of str
        Translations that magnetic CIFs list apart, to be combined with all operations.

    Returns
    -------
    Operations

    Raises
    ------
    ValueError
        If a word is no operation, or they do not form a group.

    Examples
    --------
    >>> len(listed_operations(("x,y,z", "-x,-y,-z")))
    2
    >>> listed_operations(("x,y,z", "-y,x,z"))
    Traceback (most recent call last):
    ValueError: the symmetry operations are no group: '-y,x,z' followed by '-y,x,z' is not among the 2 listed; ...
    """
    most = current_limits().operations
    if len(words) * max(1, len(centerings)) > most:
        raise ValueError(f"{len(words)} symmetry operations; up to {most} are read (limit operations)")
    parsed = [_operation(word) for word in words]
    rotation = np.array([p[0] for p in parsed], np.int64).reshape(-1, 3, 3)
    shift = np.array([p[1] for p in parsed], np.int64).reshape(-1, 3)
    if centerings:
        moves = np.array([_operation(word)[1] for word in centerings], np.int64)
        shift = ((shift[:, None] + moves) % _GRID).reshape(-1, 3)
        rotation = np.repeat(rotation, len(moves), axis=0)
    group = _sorted_group(rotation, shift)
    missing = np.argwhere(group.table < 0)
    if len(missing):
        names = {int(key): word for word, key in zip(words, _keys(rotation, shift), strict=not centerings)}
        first, second = (names.get(int(group.keys[k]), "an operation") for k in missing[0])
        raise ValueError(
            f"the symmetry operations are no group: {second!r} followed by {first!r} is not among the {len(words)} "
            "listed; list all operations of the space group, those of its centring too"
        )
    return group


def _operation(word: str) -> tuple[list[list[int]], list[int]]:
    """Read one operation."""
    if len(word) > (most := current_limits().word):
        raise ValueError(f"a symmetry operation of {len(word)} characters, {word[:30]!r}...; {most} are accepted")
    parts = word.lower().replace(" ", "").replace("\t", "").split(",")
    if len(parts) == 4 and parts[3] in {"+1", "-1", "1", "m", "mx"}:
        parts = parts[:3]
    if len(parts) != 3:
        raise ValueError(f"{word!r} is no symmetry operation; three parts such as 'x,y,z+1/2' are accepted")
    rows, shifts = [], []
    for part in parts:
        row, shift = _part(part, word)
        rows.append(row)
        shifts.append(shift)
    if abs(round(float(np.linalg.det(np.array(rows))))) != 1:
        raise ValueError(f"{word!r} is no symmetry operation: it does not keep volumes")
    return rows, shifts


@lru_cache(maxsize=4096)
def _part(part: str, word: str) -> tuple[list[int], int]:
    """Read one of three parts of an operation: integer coefficients of x, y and z, and a translation."""
    row, shift, end = [0, 0, 0], Fraction(0), 0
    while end < len(part):
        found = _TERM.match(part, end)
        if found is None or found.end() == end or (end and not found[1]):
            break
        sign, number, below, axis, below_axis = found.groups()
        if not (number or axis) or int(below or 1) == 0 or below_axis:
            break
        value = Fraction(number or "1") / int(below or 1) * (-1 if sign == "-" else 1)
        if axis is None:
            shift += value
        elif value.denominator != 1 or abs(value) > 3:
            break
        else:
            row[_AXES.index(axis)] += int(value)
        end = found.end()
    if end < len(part) or not part or max(map(abs, row)) > 3:
        raise ValueError(f"{word!r} is no symmetry operation: {part!r} is not understood")
    return row, _snapped(float(shift % 1))


def _snapped(shift: float) -> int:
    """Round a translation to the fraction that its decimals stand for."""
    for below in (24, 5, 7, 9, 10):
        near = round(shift * below) / below
        if abs(near - shift) < (_SNAP if below == 24 else 1e-4):
            return round(near * _GRID) % _GRID
    return round(shift * _GRID) % _GRID


def fits_cell(operations: Operations, lattice: NDArray[np.float64]) -> bool:
    """Tell whether a cell has the symmetry of operations, its lengths and angles those of their crystal system."""
    metric = lattice @ lattice.T
    lengths = np.sqrt(np.diag(metric))
    rotation = operations.rotation.astype(np.float64)
    change = rotation.transpose(0, 2, 1) @ metric @ rotation - metric
    return bool((np.abs(change) <= _METRIC_TOLERANCE * np.outer(lengths, lengths)).all())


# ---------------------------------------------------------------- settings by name

Setting = tuple[int, str, Operations]
"""Number of the space group, a name of the setting, its operations."""

_EXTENSION = re.compile(
    r"^(?P<symbol>.*?)(?:\s*[:(]\s*(?P<choice>[^()]*)\)?|\s+(?P<old>[SZHR]|O[12]|[12]))?\s*(?:\(?\s*(?:no\.?\s*|#\s*)\d+\)?)?$",
    re.IGNORECASE,
)


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
        and (setting.number, tokens[0])
        not in (
            (3, "B"),
            (3, "C"),
        )
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
    """Operations of a Hall symbol; a ValueError if it is none."""
    if len(hall) > (most := current_limits().word):
        raise ValueError(f"a Hall symbol of {len(hall)} characters; {most} are accepted")
    try:
        group = gemmi.symops_from_hall(hall)
    except RuntimeError as error:
        raise ValueError(f"{hall!r} is no Hall symbol") from error
    operations = list(group)
    rotation = np.array([operation.rot for operation in operations], np.int64) // gemmi.Op.DEN
    shift = np.array([operation.tran for operation in operations], np.int64) * (_GRID // gemmi.Op.DEN)
    return _sorted_group(rotation, shift % _GRID)


@lru_cache(maxsize=1024)
def named_settings(symbol: str, hall: str, number: int | None, code: str) -> tuple[Setting, ...]:
    """List the settings that a CIF may mean by what it says of its space group.

    Parameters
    ----------
    symbol : str
        Hermann-Mauguin symbol, perhaps with an origin or axes choice: "F d -3 m :2", "R -3 m H". Empty if not given.
    hall : str
        Hall symbol, which stands for one setting. Empty if not given.
    number : int or None
        Number of the space group.
    code : str
        Code of the setting in International Tables, such as "b1" or "2". Empty if not given.

    Returns
    -------
    tuple of (int, str, Operations)
        Number, name and operations of each; several if what is said does not tell them apart, none if nothing is said
        that is known.

    Raises
    ------
    ValueError
        If what is said contradicts itself.

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
    symbol = re.sub(r"\((\d)\)", r"\1", symbol.replace("_", "").strip())  # "P2(1)/c"
    if found := _spelled(symbol):
        return found
    parts = _EXTENSION.match(symbol)
    found = _spelled(parts["symbol"]) if parts else []
    if parts and found:
        choice = (parts["choice"] or parts["old"] or "").strip()
        return _with_code(found, choice) if choice else found
    known = gemmi.find_spacegroup_by_name(symbol.split(":")[0])
    if known is None:
        return []
    return [s for s in _settings() if s.hm == known.hm and s.number == known.number]


@lru_cache(maxsize=1024)
def standard_short_symbol(symbol: str) -> int | None:
    """Return the number of the monoclinic space group whose standard setting has a short symbol, or else None.

    Parameters
    ----------
    symbol : str
        Hermann-Mauguin symbol, without an origin or axes choice.

    Returns
    -------
    int or None

    Examples
    --------
    >>> standard_short_symbol("P 21/c"), standard_short_symbol("P 1 21/c 1"), standard_short_symbol("P 21/n")
    (14, None, None)
    """
    plain = re.sub(r"[\s_()]", "", symbol).lower()
    for setting in _settings():
        if 3 <= setting.number <= 15 and setting.is_reference_setting() and setting.short_name().lower() == plain:
            return int(setting.number)
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
def contradiction(words: tuple[str, ...], symbol: str, hall: str, number: int | None) -> str:
    """Say how listed operations contradict the space group that is named beside them; empty if they do not.

    Another setting of the same space group is no contradiction: authors change coordinates and operations, and forget
    the symbol. Another crystal class is one, and a centring of which the translations are missing.

    Parameters
    ----------
    words : tuple of str
        Listed operations.
    symbol, hall, number
        As for `named_settings`.

    Returns
    -------
    str

    Examples
    --------
    >>> contradiction(("x,y,z",), "P -1", "", 2)
    "the 1 listed symmetry operations and the space group 'P -1' contradict one another"
    """
    operations = listed_operations(words)
    plain = hall.replace(" ", "").replace("_", "").lower()
    same = [s for s in _settings() if s.hall.replace(" ", "").lower() == plain]
    said = [(f"the space group {symbol!r}", _from_symbol(symbol)), (f"the Hall symbol {hall!r}", same)]
    said.append((f"the space group number {number}", [s for s in _settings() if s.number == number]))
    for name, settings in said:
        if settings and not _may_be(operations, settings):
            return f"the {len(words)} listed symmetry operations and {name} contradict one another"
    return ""


def _may_be(operations: Operations, named: list[gemmi.SpaceGroup]) -> bool:
    """Tell whether operations may be those of one of some settings, or of another setting of the same space group."""
    numbers = {s.number for s in named}
    others = [s for s in _settings() if s.number in numbers]
    for some in (named, others):
        settings = [_operations(s.hall) for s in some]
        if alike := [setting for setting in settings if setting.rotations == operations.rotations]:
            return any(setting.centerings <= operations.centerings for setting in alike)
    return any(setting.crystal_class == operations.crystal_class for setting in settings)
