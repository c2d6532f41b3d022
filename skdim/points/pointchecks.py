"""Checks that the columns of point sets fit together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdim.points.sitetypes import N_ATOMIC_NUMBERS

# name: dtype, and the count that its first axis follows
LAYOUT: dict[str, tuple[str, str]] = {
    "site_offsets": ("int64", "crystals + 1"),
    "pair_offsets": ("int64", "site rows + 1"),
    "site_type": ("int32", "site rows"),
    "multiplicity": ("int32", "site rows"),
    "neighbor": ("int32", "pairs"),
    "distance": ("float32", "pairs"),
    "count": ("int32", "pairs"),
    "weight": ("float32", "pairs"),
    "extra": ("float32", "pairs"),
    "volume": ("float32", "crystals"),
}
_FARTHEST = 1e6  # Angstrom; lattices that are accepted have vectors of up to 1000
_LARGEST = 1e30  # of features, which are put in units of their deviations in single precision
_FULL = 1.5  # of an element on a site; some files have a little more than one atom there
SHARED = ("feature_names", "interaction_names", "settings")


def check_layout(columns: Mapping[str, Any]) -> None:
    """Check types, lengths and the ends of the offsets; nothing else of mapped files is read."""
    for name in ("site_offsets", "pair_offsets"):
        if columns[name].ndim != 1 or len(columns[name]) == 0 or columns[name][0] != 0:
            raise ValueError(f"{name} must be one-dimensional and begin with 0.")
    n_sites, n_pairs = int(columns["site_offsets"][-1]), int(columns["pair_offsets"][-1])
    n_crystals = len(columns["site_offsets"]) - 1
    lengths = {"crystals": n_crystals, "site rows": n_sites, "pairs": n_pairs}
    lengths |= {"crystals + 1": n_crystals + 1, "site rows + 1": n_sites + 1}
    n_extra = len(columns["interaction_names"]) - 1
    for name, (dtype, counted) in LAYOUT.items():
        shape = (lengths[counted], n_extra) if name == "extra" else (lengths[counted],)
        _check_array(name, columns[name], dtype, shape)
    site_types, n_features = columns["site_types"], len(columns["feature_names"])
    _check_array("site_types.features", site_types.features, "float64", (len(site_types), n_features))
    _check_array("site_types.fractions", site_types.fractions, "float32", (len(site_types), N_ATOMIC_NUMBERS))
    if columns["interaction_names"][:1] != ("distance",):
        raise ValueError(f"interaction_names must begin with 'distance', got {columns['interaction_names']!r}.")


def check_values(columns: Mapping[str, Any]) -> None:
    """Check the content of columns whose layout is right."""
    sites, pairs = np.diff(columns["site_offsets"]), np.diff(columns["pair_offsets"])
    _check_all("site_offsets", "not decrease", sites >= 0)
    _check_all("pair_offsets", "not decrease", pairs >= 0)
    _check_all("site_type", "be a row of site_types", _within(columns["site_type"], len(columns["site_types"])))
    size = np.repeat(np.repeat(sites, sites), pairs)  # (P,) rows of the crystal of each pair
    _check_all("neighbor", "be a row of its crystal", _within(columns["neighbor"], size))
    for name in ("multiplicity", "count"):
        _check_all(name, "be at least 1", columns[name] >= 1)
    distance, weight, volume = columns["distance"], columns["weight"], columns["volume"]
    _check_all("distance", f"be from 0 to {_FARTHEST:g}", (distance >= 0) & (distance <= _FARTHEST))
    _check_all("weight", "be in (0, 1]", (weight > 0) & (weight <= 1))
    _check_all("extra", "be finite", np.isfinite(columns["extra"]).all(axis=1))
    used = np.unique(columns["site_type"])
    features, fractions = columns["site_types"].features[used], columns["site_types"].fractions[used]
    _check_all("site_types.features", f"be numbers up to {_LARGEST:g}", (np.abs(features) <= _LARGEST).all(axis=1))
    shares = (fractions >= 0).all(axis=1) & (fractions.max(axis=1) > 0) & (fractions <= _FULL).all(axis=1)
    _check_all("site_types.fractions", f"be from 0 to {_FULL:g}, and not all 0", shares)
    good = np.where(sites > 0, np.isfinite(volume) & (volume > 0), np.isnan(volume))
    _check_all("volume", "be positive, or NaN for a crystal without rows", good)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return what two sets must share and do not, as 'name: one value, other value'."""
    found = []
    for name in SHARED:
        # Compared as JSON, so that settings read from disk equal those they were made from.
        ours, theirs = (json.loads(json.dumps(_plain(columns[name]))) for columns in (a, b))
        if name == "settings":
            keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
            found += [f"{key}: {ours.get(key)!r}, {theirs.get(key)!r}" for key in keys]
        elif ours != theirs:
            found.append(f"{name}: {ours!r}, {theirs!r}")
    return found


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Tell whether two arrays agree in type, shape and values, NaN equal to NaN."""
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def check_joinable(parts: Sequence[Any]) -> None:
    """Check that there is something to join and that all of it was made alike."""
    if not parts:
        raise ValueError("there is nothing to join: give at least one PointSets.")
    first = parts[0]
    for number, part in enumerate(parts):
        if not hasattr(part, "site_offsets"):
            raise TypeError(f"item {number} is {type(part).__name__}, not PointSets.")
        shared = all(getattr(part, name) is getattr(first, name) for name in SHARED)
        if not shared and (found := differences(vars(first), vars(part))):
            raise ValueError(
                f"item {number} was not made as item 0 was ({'; '.join(found)}). "
                "Only sets of the same features and settings can be joined."
            )


def _check_array(name: str, array: NDArray[Any], dtype: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the array has this type and shape."""
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise ValueError(f"{name} must be {dtype} of shape {shape}, got {array.dtype} of shape {array.shape}.")


def _check_all(name: str, rule: str, holds: NDArray[np.bool_]) -> None:
    """Raise ValueError naming the first entry for which the rule does not hold."""
    if not holds.all():
        broken = np.flatnonzero(~holds)
        raise ValueError(f"{name} must {rule}: entry {broken[0]} does not ({len(broken)} in all).")


def _within(index: NDArray[Any], size: NDArray[Any] | int) -> NDArray[np.bool_]:
    """Tell where an index is in range."""
    return np.asarray((index >= 0) & (index < size))


def _plain(value: Any) -> Any:
    """Return a mapping as a dict; JSON knows no other."""
    return dict(value) if isinstance(value, Mapping) else value
