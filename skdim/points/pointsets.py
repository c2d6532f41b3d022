"""`PointSets`: many crystals in shared, ragged numpy columns, indexed like an array."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from skdim._fields import ANY, TEXT, Schema, check_fields
from skdim._notebook import html_table
from skdim.exceptions import InputError
from skdim.points import storage
from skdim.points.pointchecks import LAYOUT, SHARED, check_joinable, check_layout, check_values, differences, same
from skdim.points.sitetypes import SiteTypes, merge_site_types

__all__ = ["PointSets", "SiteTypes"]

FORMAT, VERSION = "skdim.PointSets", 2
# What the arrays of earlier layouts were called.
_FORMER_NAMES = {
    1: {"site_type": "kind", "site_types_features": "kinds_features", "site_types_fractions": "kinds_fractions"}
}
_LABELS: Schema = {"feature_names": [TEXT], "interaction_names": [TEXT], "settings": {"*": ANY}}
_PER_SITE = ("site_type", "multiplicity")
_PER_PAIR = ("neighbor", "distance", "count", "weight", "extra")
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class PointSets:
    """Point sets of C crystals in shared columns: S site rows, P pairs, K site types.

    A sequence of crystals for scikit-learn: ``len``, ``shape`` and every form of row indexing work and
    always give `PointSets` again. It is not an array: ``numpy.asarray`` of it is refused.

    Parameters
    ----------
    site_offsets : ndarray of int64, shape (C+1,)
        Rows of crystal c are ``site_offsets[c]:site_offsets[c+1]``. No rows: the crystal failed.
    pair_offsets : ndarray of int64, shape (S+1,)
        Pairs of site row s are ``pair_offsets[s]:pair_offsets[s+1]``.
    site_type : ndarray of int32, shape (S,)
        Row of `site_types`.
    multiplicity : ndarray of int32, shape (S,)
        Number of sites that the row stands for, divided by the greatest common divisor over the crystal.
    neighbor : ndarray of int32, shape (P,)
        The neighbour's row, counted within its crystal.
    distance : ndarray of float32, shape (P,)
        In Angstrom; 0 for the self pair, which only supercells have.
    count : ndarray of int32, shape (P,)
        Number of equal pairs of the row that are merged into this one.
    weight : ndarray of float32, shape (P,)
        Smooth cutoff in (0, 1]; 1 everywhere for supercells.
    extra : ndarray of float32, shape (P, E)
        Interaction features other than the distance.
    volume : ndarray of float32, shape (C,)
        Cubic Angstrom per atom, atoms counted by occupancy; NaN for failed crystals.
    site_types : SiteTypes
        The distinct site types, shared by all slices of one set.
    feature_names : tuple of str
        Names of the F columns of ``site_types.features``.
    interaction_names : tuple of str
        "distance", then the names of the columns of `extra`.
    settings : mapping
        JSON-able parameters the sets were made with; sets of other settings cannot be joined.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim.points.pointsets import SiteTypes, PointSets
    >>> site_types = SiteTypes(np.ones((1, 1)), np.zeros((1, 119), np.float32))
    >>> sets = PointSets.empty(3, site_types, ("occupancy",), ("distance",), {"neighborhood": "shell"})
    >>> sets
    PointSets(3 crystals (3 failed), 0 site rows, 0 pairs, 1 site feature, shell neighborhood)
    >>> len(sets[[0, 2]]), len(sets[-1]), len(sets[np.array([True, False, False])])
    (2, 1, 1)
    """

    site_offsets: NDArray[np.int64]  # (C+1,)
    pair_offsets: NDArray[np.int64]  # (S+1,)
    site_type: NDArray[np.int32]  # (S,)
    multiplicity: NDArray[np.int32]  # (S,)
    neighbor: NDArray[np.int32]  # (P,)
    distance: NDArray[np.float32]  # (P,)
    count: NDArray[np.int32]  # (P,)
    weight: NDArray[np.float32]  # (P,)
    extra: NDArray[np.float32]  # (P, E)
    volume: NDArray[np.float32]  # (C,)
    site_types: SiteTypes
    feature_names: tuple[str, ...]
    interaction_names: tuple[str, ...] = ("distance",)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(
        cls,
        n_crystals: int,
        site_types: SiteTypes,
        feature_names: tuple[str, ...],
        interaction_names: tuple[str, ...] = ("distance",),
        settings: Mapping[str, Any] | None = None,
    ) -> PointSets:
        """Return point sets of crystals that all failed: no rows, no pairs, NaN volumes."""
        columns: dict[str, Any] = {name: np.zeros(0, dtype) for name, (dtype, _) in LAYOUT.items()}
        columns["site_offsets"], columns["pair_offsets"] = np.zeros(n_crystals + 1, np.int64), np.zeros(1, np.int64)
        columns["extra"] = np.zeros((0, len(interaction_names) - 1), np.float32)
        columns["volume"] = np.full(n_crystals, np.nan, np.float32)
        return cls(
            **columns,
            site_types=site_types,
            feature_names=feature_names,
            interaction_names=interaction_names,
            settings=dict(settings or {}),
        )

    def __len__(self) -> int:
        """Return the number of crystals C."""
        return len(self.site_offsets) - 1

    @property
    def shape(self) -> tuple[int]:
        """(C,): with it scikit-learn indexes as it does arrays, and never builds a list."""
        return (len(self),)

    @property
    def kind(self) -> NDArray[np.int32]:
        """Former name of `site_type`."""
        _warn_of_former("kind")
        return self.site_type

    @property
    def kinds(self) -> SiteTypes:
        """Former name of `site_types`."""
        _warn_of_former("kinds")
        return self.site_types

    @property
    def n_sites(self) -> NDArray[np.int64]:
        """Site rows of each crystal, shape (C,)."""
        return np.diff(self.site_offsets)

    @property
    def n_pairs(self) -> NDArray[np.int64]:
        """Pairs of each crystal, shape (C,)."""
        return np.diff(self.pair_offsets[self.site_offsets])

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Whether each crystal has rows, shape (C,); False marks one that failed."""
        return self.n_sites > 0

    def __getitem__(self, key: Any) -> PointSets:
        """Return the crystals at an int, a slice, a sequence of int or a boolean mask (C,), always as PointSets.

        The result shares `site_types`; consecutive crystals share all columns with this set.
        """
        rows = row_index(key, len(self))
        return self._slice(rows) if isinstance(rows, slice) else self._gather(rows)

    def __iter__(self) -> Iterator[PointSets]:
        """Iterate over the crystals, each as PointSets of length one."""
        return (self._slice(slice(c, c + 1)) for c in range(len(self)))

    def _slice(self, rows: slice) -> PointSets:
        """Return consecutive crystals as views."""
        s0, s1 = int(self.site_offsets[rows.start]), int(self.site_offsets[rows.stop])
        p0, p1 = int(self.pair_offsets[s0]), int(self.pair_offsets[s1])
        return self._with(
            self.site_offsets[rows.start : rows.stop + 1] - s0,
            self.pair_offsets[s0 : s1 + 1] - p0,
            (slice(s0, s1), slice(p0, p1), rows),
        )

    def _gather(self, rows: NDArray[np.int64]) -> PointSets:
        """Return the crystals at any positions as copies."""
        site_offsets, sites = gather_runs(self.site_offsets, rows)
        # The pairs of a crystal lie together, so they are gathered by crystal, not by site.
        _, pairs = gather_runs(self.pair_offsets[self.site_offsets], rows)
        pair_offsets = offsets_from_lengths(self.pair_offsets[sites + 1] - self.pair_offsets[sites])
        return self._with(site_offsets, pair_offsets, (sites, pairs, rows))

    def _with(self, site_offsets: Any, pair_offsets: Any, chosen: tuple[Any, Any, Any]) -> PointSets:
        """Return the set of the given offsets and chosen site rows, pairs and crystals."""
        sites, pairs, crystals = chosen
        columns: dict[str, Any] = {name: getattr(self, name)[sites] for name in _PER_SITE}
        columns |= {name: getattr(self, name)[pairs] for name in _PER_PAIR}
        columns |= {name: getattr(self, name) for name in ("site_types", *SHARED)}
        return PointSets(site_offsets, pair_offsets, volume=self.volume[crystals], **columns)

    @classmethod
    def concatenate(cls, sets: Iterable[PointSets]) -> PointSets:
        """Join point sets made with the same settings; identical site types of different sets become one.

        Parameters
        ----------
        sets : iterable of PointSets
            At least one.

        Returns
        -------
        PointSets

        Raises
        ------
        ValueError
            If there is none, or if features, interaction features or settings differ.
        """
        parts = list(sets)
        if len(parts) == 1 and isinstance(parts[0], PointSets):
            return parts[0]
        check_joinable(parts)
        site_types, maps = merge_site_types([part.site_types for part in parts])
        names = ("multiplicity", *_PER_PAIR, "volume")
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        columns |= {name: getattr(parts[0], name) for name in SHARED}
        return cls(
            site_offsets=offsets_from_lengths(np.concatenate([part.n_sites for part in parts])),
            pair_offsets=offsets_from_lengths(np.concatenate([np.diff(part.pair_offsets) for part in parts])),
            site_type=np.concatenate([new[part.site_type] for part, new in zip(parts, maps, strict=True)]),
            site_types=site_types,
            **columns,
        )

    def validate(self) -> PointSets:
        """Check every column against the others and return self; a ValueError names the first that does not fit."""
        check_layout(vars(self))
        check_values(vars(self))
        return self

    def equals(self, other: object) -> bool:
        """Tell whether both hold the same crystals in the same order, bit for bit (NaN equals NaN).

        Parameters
        ----------
        other : object
            Point sets, whose table of site types may differ in order and in rows that no site uses.

        Returns
        -------
        bool
        """
        if not isinstance(other, PointSets) or differences(vars(self), vars(other)):
            return False
        if not all(same(getattr(self, name), getattr(other, name)) for name in LAYOUT if name != "site_type"):
            return False
        _, (ours, theirs) = merge_site_types([self.site_types, other.site_types])
        return np.array_equal(ours[self.site_type], theirs[other.site_type])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a folder of .npy files and meta.json, which appears only when it is complete.

        Parameters
        ----------
        path : path-like
            The folder. Saved PointSets are replaced; anything else is a FileExistsError.
        """
        arrays = {name: getattr(self, name) for name in LAYOUT}
        arrays |= {f"site_types_{name}": array for name, array in vars(self.site_types).items()}
        with storage.growing_folder(path, FORMAT, VERSION) as folder:
            folder.header.update({name: getattr(self, name) for name in SHARED} | {"settings": dict(self.settings)})
            for name, array in arrays.items():
                folder.append(name, array)

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap_mode: Literal["r"] | None = None) -> PointSets:
        """Read a folder written by `save`.

        Parameters
        ----------
        path : path-like
        mmap_mode : {None, "r"}, default=None
            "r" maps the files: crystals are read when they are indexed. None reads and checks all of it.

        Returns
        -------
        PointSets

        Raises
        ------
        FileNotFoundError
            If there is no saved set at `path`.
        InputError
            If the folder is damaged, or of another kind or version.
        """
        names = (*LAYOUT, "site_types_features", "site_types_fractions")
        arrays, meta = storage.read_folder(path, FORMAT, VERSION, names, mmap_mode, _FORMER_NAMES)
        site_types = SiteTypes(arrays.pop("site_types_features"), arrays.pop("site_types_fractions"))
        try:
            check_fields("", {name: meta.get(name) for name in SHARED}, _LABELS)
            labels: dict[str, Any] = {name: tuple(meta[name]) for name in ("feature_names", "interaction_names")}
            columns: dict[str, Any] = {**arrays, **labels, "settings": meta["settings"]}
            sets = cls(site_types=site_types, **columns)
            if mmap_mode is None:
                return sets.validate()
            check_layout(vars(sets))
        except ValueError as error:
            raise InputError(f"{os.fspath(path)} is damaged: {error}") from error
        return sets

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        """Refuse to become an array of sites."""
        raise TypeError(
            "PointSets are ragged and cannot become an array. Index them (sets[rows]), use their columns "
            "(sets.distance), or transform them with a DeepInfoMaxEmbedder."
        )

    def __repr__(self) -> str:
        """Return the sizes in one line."""
        failed = int((~self.valid).sum())
        sizes = [_counted(len(self), "crystal") + (f" ({failed:,} failed)" if failed else "")]
        sizes += [_counted(len(self.site_type), "site row"), _counted(len(self.neighbor), "pair")]
        sizes.append(_counted(len(self.feature_names), "site feature"))
        if len(self.interaction_names) > 1:
            sizes.append(_counted(len(self.interaction_names), "interaction feature"))
        if "neighborhood" in self.settings:
            sizes.append(f"{self.settings['neighborhood']} neighborhood")
        return f"PointSets({', '.join(sizes)})"

    def _repr_html_(self) -> str:
        """Return the sizes as a table, for notebooks."""
        failed = int((~self.valid).sum())
        rows = {
            "crystals": f"{len(self):,}" + (f", {failed:,} of them failed" if failed else ""),
            "site rows": f"{len(self.site_type):,}, equal sites merged",
            "pairs": f"{len(self.neighbor):,}",
            "site features": ", ".join(self.feature_names),
            "interaction features": ", ".join(self.interaction_names),
            "neighborhood": str(self.settings.get("neighborhood", "not known")),
        }
        return html_table("PointSets", rows)


def _warn_of_former(name: str) -> None:
    """Warn that an attribute of point sets has another name now."""
    now = name.replace("kind", "site_type")
    warnings.warn(f"PointSets.{name} is now PointSets.{now}.", DeprecationWarning, stacklevel=3)


def __getattr__(name: str) -> Any:
    """Return a class by its former name."""
    if name == "Kinds":
        warnings.warn("Kinds is now SiteTypes.", DeprecationWarning, stacklevel=2)
        return SiteTypes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _counted(n: int, noun: str) -> str:
    """Return '1 pair' or '1,234 pairs'."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def offsets_from_lengths(lengths: NDArray[Any]) -> Ints:
    """Return int64 offsets (n+1,) of n consecutive runs of the given lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def gather_runs(offsets: Ints, runs: Ints) -> tuple[Ints, Ints]:
    """Return the offsets (len(runs)+1,) of the chosen runs laid end to end, and the flat positions they come from."""
    start = offsets[runs]
    fresh = offsets_from_lengths(offsets[runs + 1] - start)
    return fresh, np.repeat(start - fresh[:-1], np.diff(fresh)) + np.arange(fresh[-1])


def row_index(key: Any, n: int) -> slice | Ints:
    """Turn any one-axis index of n rows into a slice of step one, or into non-negative positions."""
    # scikit-learn asks for X[key, ...].
    if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
        key = key[0]
    if isinstance(key, slice):
        start, stop, step = key.indices(n)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step, dtype=np.int64)
    if key is Ellipsis:
        return slice(0, n)
    if key is None or isinstance(key, (str, bytes, bool, np.bool_, tuple)):
        raise _no_index(key)
    try:
        single = operator.index(key)
    except TypeError:
        return _positions(key, n)
    if not -n <= single < n:
        raise _out_of_range(single, n)
    return slice(single % n, single % n + 1)


def _positions(key: Any, n: int) -> slice | Ints:
    """Turn a sequence of integers or a mask into positions, or into a slice where they are consecutive."""
    array = np.asarray(key)
    if array.ndim != 1:
        raise _no_index(key)
    if array.dtype == bool:
        if len(array) != n:
            raise IndexError(f"the boolean mask has {len(array)} entries for {n} crystals.")
        return np.flatnonzero(array)
    if len(array) == 0:
        return slice(0, 0)
    if array.dtype.kind not in "iu":
        raise _no_index(key)
    low, high = int(array.min()), int(array.max())
    if low < -n or high >= n:
        raise _out_of_range(low if low < -n else high, n)
    positions = np.where(array < 0, array + n, array).astype(np.int64)
    # A run of consecutive rows (the test part of an unshuffled KFold) needs no copies.
    if np.all(np.diff(positions) == 1):
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _out_of_range(position: int, n: int) -> IndexError:
    """Return the error for a row that is not there."""
    return IndexError(f"row {position} is out of range for {n} crystals.")


def _no_index(key: Any) -> IndexError:
    """Return the error for something that selects no rows."""
    return IndexError(
        f"{key!r} does not select crystals: the index must be an integer, a slice, "
        "a one-dimensional sequence of integers, or a boolean mask."
    )
