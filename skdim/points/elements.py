"""Elemental properties by atomic number, from the tables of matminer's MagpieData."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from skdim.exceptions import InputError
from skdim.points.sitetypes import N_ELEMENTS

SITE_FEATURES: dict[str, tuple[str, ...]] = {
    "paper": (
        "Number",
        "AtomicWeight",
        "Row",
        "Column",
        "FirstIonizationEnergy",
        "Electronegativity",
        "AtomicRadius",
        "Density",
    ),
    "magpie": (
        "Number",
        "MendeleevNumber",
        "AtomicWeight",
        "MeltingT",
        "Column",
        "Row",
        "CovalentRadius",
        "Electronegativity",
        "NsValence",
        "NpValence",
        "NdValence",
        "NfValence",
        "NValence",
        "NsUnfilled",
        "NpUnfilled",
        "NdUnfilled",
        "NfUnfilled",
        "NUnfilled",
        "GSvolume_pa",
        "GSbandgap",
        "GSmagmom",
        "SpaceGroupNumber",
    ),
    # Chosen on a split of the training folds for what they say about bonding: place in the periodic table, electrons,
    # size, how strongly electrons are bound, cohesion. Numbers that only label an element are left out.
    "bonding": (
        "MendeleevNumber",
        "Column",
        "Row",
        "NsValence",
        "NpValence",
        "NdValence",
        "NfValence",
        "NValence",
        "NUnfilled",
        "CovalentRadius",
        "GSvolume_pa",
        "Electronegativity",
        "AllenElectronegativity",
        "FirstIonizationEnergy",
        "SecondIonizationEnergy",
        "ElectronAffinity",
        "Polarizability",
        "MeltingT",
        "HeatVaporization",
        "GSenergy_pa",
        "BulkModulus",
    ),
}


_SEVERAL_NUMBERS = ("IonizationEnergies", "OxidationStates")  # tables with more than one number per element


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Properties of the elements."""

    names: tuple[str, ...]  # names of the F tables of MagpieData
    # (119, F) row z is element z. Where a table has no value for an element it is the mean over the elements that have
    # one, as with ``MagpieData(impute_nan=True)``. Rows of elements beyond the tables (above 112, copernicium) and row
    # 0 are NaN.
    values: NDArray[np.float64]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of site types made with this table: those of the table, then "occupancy"."""
        return (*self.names, "occupancy")

    @functools.cached_property
    def atomic_numbers(self) -> frozenset[int]:
        """Elements that the tables know."""
        return frozenset(np.flatnonzero(~np.isnan(self.values).any(axis=1)).tolist())


def element_table(names: str | Sequence[str]) -> ElementTable:
    """Look up properties of the elements, once: a key of `SITE_FEATURES`, or names of tables of MagpieData.

    A name that is unknown, given twice, or of a table without one number per element is a ValueError.

    Examples
    --------
    >>> from skdim.points.elements import element_table
    >>> table = element_table(["Number", "Electronegativity"])
    >>> table.values[8].tolist()
    [8.0, 3.44]
    """
    chosen = SITE_FEATURES[names] if isinstance(names, str) else tuple(names)
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"site_features must hold at least one name, and none twice, got {names!r}.")
    return _read_table(chosen)


@functools.lru_cache(maxsize=16)
def _read_table(names: tuple[str, ...]) -> ElementTable:
    """Choose columns of MagpieData."""
    tables = _magpie_tables()
    for name in names:
        if name not in tables:
            close = difflib.get_close_matches(name, tables, n=3, cutoff=0.5) or sorted(tables)
            raise InputError(f"site_features: MagpieData has no table {name!r}. Did you mean {', '.join(close)}?")
    values = np.column_stack([tables[name] for name in names])
    # Where the table of atomic numbers has ended, every value is a mean that says nothing of the element.
    values[tables["Number"] != np.arange(N_ELEMENTS + 1)] = np.nan
    values.flags.writeable = False
    return ElementTable(names, values)


@functools.lru_cache(maxsize=1)
def _magpie_tables() -> dict[str, NDArray[np.float64]]:
    """Read every table with one number per element, gaps filled with the mean, shape (119,) each.

    From the files of matminer, not through its ``MagpieData``, whose import takes half a second: processes that read
    crystals wait for it.
    """
    folder = files("matminer") / "utils" / "data_files" / "magpie_elementdata"
    names = (file.name for file in folder.iterdir())
    tables = (name.removesuffix(".table") for name in sorted(names) if name.endswith(".table"))
    return {name: _column((folder / f"{name}.table").read_text()) for name in tables if name not in _SEVERAL_NUMBERS}


def _column(table: str) -> NDArray[np.float64]:
    """Read a table of a number a line, from hydrogen on, where there is one."""
    lines = table.splitlines()[:N_ELEMENTS]
    values = np.array([*map(_number, lines), *[np.nan] * (N_ELEMENTS - len(lines))])
    return np.concatenate([[np.nan], np.where(np.isnan(values), np.nanmean(values), values)])


def _number(line: str) -> float:
    """Read a number; what is none says that it is not known."""
    try:
        return float(line)
    except ValueError:
        return np.nan
