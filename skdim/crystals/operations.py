"""Groups of symmetry operations, and those that a CIF lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from skdim.crystals.limits import current_limits

__all__ = ["GRID", "Operations", "fits_cell", "listed_operations", "sorted_group"]


GRID = 5040  # translations are multiples of 1/5040: of halves to tenths and twelfths, and of 24ths
_PRODUCTS = 10_000  # that are made at once
_SNAP = 0.004  # translations are written with two decimals or more
_TERM = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?|\.\d+)(?:/(\d+))?)?\*?([xyz])?(?:/(\d+))?")
_AXES = "xyz"
_METRIC_TOLERANCE = 0.01  # of the products of two cell lengths; measured cells are printed as if of lower symmetry


@dataclass(frozen=True, eq=False)
class Operations:
    """A group of symmetry operations modulo lattice translations."""

    rotation: NDArray[np.int64]  # (m, 3, 3) acting on columns of fractional coordinates; the identity comes first
    shift: NDArray[np.int64]  # (m, 3) translations in units of 1/5040, from 0 to 5039

    def __len__(self) -> int:
        """Return the number of operations."""
        return len(self.rotation)

    @cached_property
    def translation(self) -> NDArray[np.float64]:
        """Translations as fractions of the cell, shape (m, 3)."""
        return self.shift / GRID

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """One number for each operation, shape (m,)."""
        return _keys(self.rotation, self.shift)

    @cached_property
    def table(self) -> NDArray[np.int32]:
        """Which operation each product of two is, shape (m, m); -1 where the product is not among them."""
        order = np.argsort(self.keys)
        ranked = self.keys[order]
        table = np.empty((len(self), len(self)), np.int32)
        step = max(1, _PRODUCTS // len(self))
        for start in range(0, len(self), step):
            rotation, shift = self.rotation[start : start + step, None], self.shift[start : start + step, None]
            moved = (self.shift @ rotation[:, 0].transpose(0, 2, 1) + shift) % GRID
            products = _keys((rotation @ self.rotation).reshape(-1, 3, 3), moved.reshape(-1, 3))
            place = np.minimum(np.searchsorted(ranked, products), len(ranked) - 1)
            found = np.where(ranked[place] == products, order[place], -1)
            table[start : start + step] = found.reshape(-1, len(self))
        return table

    @cached_property
    def _cosets(self) -> dict[bytes, tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """What was found by `cosets`; there are few special positions."""
        return {}

    def cosets(self, fixing: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Divide the group by operations (m,) that leave a point where it is, perhaps not all of them.

        First come all of them (s,): the products of those that were given belong to them too. Then one operation (m /
        s,) for each different image of the point.
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
    def distinct_rotations(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The distinct rotations as numbers with a point, shape (k, 3, 3), and transposed."""
        rotation = np.unique(self.rotation, axis=0).astype(np.float64)
        return rotation, np.ascontiguousarray(rotation.transpose(0, 2, 1))

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
    return np.asarray(code + 7**9 * (shift @ np.array([1, GRID, GRID**2])))


def sorted_group(rotation: NDArray[np.int64], shift: NDArray[np.int64]) -> Operations:
    """Leave out repetitions and put the identity first."""
    identity = np.eye(3, dtype=np.int64)
    rotation, shift = np.concatenate([identity[None], rotation]), np.concatenate([np.zeros((1, 3), np.int64), shift])
    first = np.sort(np.unique(_keys(rotation, shift), return_index=True)[1])
    return Operations(rotation[first], shift[first])


@lru_cache(maxsize=1024)
def listed_operations(
    # Such as "x,y,z" and "-y,x-y,z+1/3"; a fourth part, the time reversal of magnetic operations, is left out.
    words: tuple[str, ...],
    centerings: tuple[str, ...] = (),  # translations that magnetic CIFs list apart, to be combined with all operations
) -> Operations:
    """Read symmetry operations as they are listed; what is no operation, or no group, is a ValueError.

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
        shift = ((shift[:, None] + moves) % GRID).reshape(-1, 3)
        rotation = np.repeat(rotation, len(moves), axis=0)
    group = sorted_group(rotation, shift)
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
    return _parsed(word)


@lru_cache(maxsize=4096)
def _parsed(word: str) -> tuple[list[list[int]], list[int]]:
    """Read one operation that is not too long."""
    parts = "".join(word.lower().split()).split(",")
    if len(parts) == 4 and parts[3] in {"+1", "-1", "1", "m", "mx"}:
        parts = parts[:3]
    if len(parts) != 3:
        raise ValueError(f"{word!r} is no symmetry operation; three parts such as 'x,y,z+1/2' are accepted")
    rows, shifts = [], []
    for part in parts:
        row, shift = _part(part, word)
        rows.append(row)
        shifts.append(shift)
    (a, b, c), (d, e, f), (g, h, i) = rows
    if abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) != 1:
        raise ValueError(f"{word!r} is no symmetry operation: it does not keep volumes")
    return rows, shifts


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
            return round(near * GRID) % GRID
    return round(shift * GRID) % GRID


def fits_cell(operations: Operations, lattice: NDArray[np.float64]) -> bool:
    """Tell whether a cell has the symmetry of operations, its lengths and angles those of their crystal system."""
    if len(operations) == 1:
        return True
    metric = lattice @ lattice.T
    lengths = np.sqrt(np.diag(metric))
    rotation, transposed = operations.distinct_rotations
    change = transposed @ metric @ rotation - metric
    return bool((np.abs(change) <= _METRIC_TOLERANCE * np.outer(lengths, lengths)).all())
