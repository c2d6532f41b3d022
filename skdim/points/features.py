"""Features of sites, from the tables of elements of matminer's MagpieData or by site, and features of pairs."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skdim.exceptions import InputError
from skdim.points.sitetypes import N_ELEMENTS, SiteTypes

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

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
INTERACTION_FEATURES = ("distance", "log_coulomb", "radius_ratio")

_BOHR = 0.529177210903  # Angstrom
_LOG_COULOMB_CLIP = 10.0
_DIGITS = 6  # that count, so that sites alike by symmetry share a site type in spite of rounding errors


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
    >>> from skdim.points.features import element_table
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


@dataclass(frozen=True, eq=False)
class SiteFeaturizer:
    """A matminer site featurizer: features belong to the site and not to its element."""

    names: tuple[str, ...]  # its feature labels
    featurizer: Any  # anything with ``featurize(structure, index)`` and ``feature_labels()``

    atomic_numbers: ClassVar[None] = None  # any

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of site types made with these features: the labels, then "occupancy"."""
        return (*self.names, "occupancy")

    def describe(self, structure: IStructure) -> NDArray[np.float64]:
        """Return the features (n, F) of every site of a structure, if they are as many as the labels, and finite."""
        rows = [list(self.featurizer.featurize(structure, index)) for index in range(len(structure))]
        name = type(self.featurizer).__name__
        for index, row in enumerate(rows):
            if len(row) != len(self.names):
                raise ValueError(f"{name} gave {len(row)} features for site {index} and has {len(self.names)} labels.")
        values = np.array(rows, dtype=np.float64)
        if not np.isfinite(values).all():
            index, column = np.argwhere(~np.isfinite(values))[0]
            raise ValueError(f"{name} gave {values[index, column]} as {self.names[column]!r} of site {index}.")
        return values


def resolve_site_features(
    # A key of `SITE_FEATURES`; names of tables of `matminer.utils.data.MagpieData`; or an object with
    # ``featurize(structure, index)`` and ``feature_labels()``.
    spec: Any,
) -> ElementTable | SiteFeaturizer:
    """Turn the parameter ``site_features`` into values.

    Examples
    --------
    >>> from skdim.points.features import resolve_site_features
    >>> table = resolve_site_features(["Number", "Electronegativity"])
    >>> table.values[8].tolist()
    [8.0, 3.44]
    """
    if hasattr(spec, "featurize") and hasattr(spec, "feature_labels"):
        return SiteFeaturizer(tuple(str(label) for label in spec.feature_labels()), spec)
    names = isinstance(spec, Sequence) and all(isinstance(name, str) for name in spec)
    if not names or (isinstance(spec, str) and spec not in SITE_FEATURES):
        accepted = f"{', '.join(map(repr, SITE_FEATURES))}, a list of names of MagpieData tables"
        error = InputError if isinstance(spec, str) else TypeError
        raise error(f"site_features must be {accepted}, or a matminer site featurizer, got {spec!r}.")
    return element_table(spec)


def site_types_from_species(
    species: Sequence[Sequence[tuple[int, float]]],  # atomic numbers and occupancies of each of the K site types
    table: ElementTable,  # of the elements
) -> SiteTypes:
    """Make the table of site types from the species of each.

    Features are the means of the element values weighted by occupancy; the last column is the total occupancy.

    Examples
    --------
    >>> from skdim.points.features import site_types_from_species, resolve_site_features
    >>> site_types = site_types_from_species([((8, 0.5), (9, 0.25))], resolve_site_features(["Number"]))
    >>> site_types.features.round(3).tolist()
    [[8.333, 0.75]]
    """
    fractions = _occupancies(species)
    row, z = np.nonzero(fractions)
    if unknown := set(z.tolist()) - table.atomic_numbers:
        raise ValueError(f"the element tables end before atomic numbers {sorted(unknown)}.")
    total = fractions.sum(axis=1)
    features = np.zeros((len(species), len(table.names) + 1))
    # Weights first, so that a site of one element has exactly the values of the element.
    np.add.at(features[:, :-1], row, (fractions[row, z] / total[row])[:, None] * table.values[z])
    features[:, -1] = total
    return SiteTypes(features, fractions.astype(np.float32))


def site_types_from_sites(
    species: Sequence[Sequence[tuple[int, float]]],  # atomic numbers and occupancies of each of the n sites
    values: NDArray[np.float64],  # (n, F) from `SiteFeaturizer.describe`
) -> tuple[SiteTypes, NDArray[np.int32]]:
    """Make the table of the distinct ones of sites that have features of their own, and the type (n,) of each site.

    The last feature is the total occupancy.
    """
    fractions = _occupancies(species)
    magnitude = np.floor(np.log10(np.where(values == 0, 1, np.abs(values))))
    scale = 10.0 ** (_DIGITS - 1 - magnitude)
    features = np.column_stack([np.rint(values * scale) / scale, fractions.sum(axis=1)]) + 0.0
    rows = np.column_stack([features, fractions])
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return SiteTypes(features[first], fractions[first].astype(np.float32)), inverse.reshape(-1).astype(np.int32)


def interaction_features(
    names: Sequence[str],  # of "log_coulomb" and "radius_ratio"; E of them
    site_types: SiteTypes,
    type_i: NDArray[Any],  # (P,) site types of both sites of each pair
    type_j: NDArray[Any],  # (P,)
    distance: NDArray[Any],  # (P,) in Angstrom
) -> NDArray[np.float32]:
    r"""Compute features of pairs other than the distance, (P, E).

    Notes
    -----
    "log_coulomb" is the term of supervised Site-Net [1]_, the logarithm of the Coulomb matrix in atomic units
    clipped to ±10:
    :math:`\log(Z_i Z_j a_0 / d_{ij})`, and for the self pair, :math:`d = 0`, that of its diagonal,
    :math:`\log(Z_i^{2.4} / 2)`. "radius_ratio" is :math:`d_{ij} / (r_i + r_j)` with covalent radii.
    Z and r of a mixed site are means weighted by occupancy.

    References
    ----------
    .. [1] Moran et al., Site-Net, arXiv:2209.08190.
    """
    columns = {"log_coulomb": _log_coulomb, "radius_ratio": _radius_ratio}
    found = [columns[name](site_types, type_i, type_j, distance) for name in names]
    return np.array(found, dtype=np.float32).reshape(len(names), len(distance)).T.copy()


def check_interaction_features(names: Sequence[str]) -> None:
    """Check the parameter ``interaction_features``: known names, "distance" first, none twice."""
    unknown = [name for name in names if name not in INTERACTION_FEATURES]
    if isinstance(names, str) or unknown or tuple(names[:1]) != ("distance",) or len(set(names)) < len(names):
        raise InputError(
            "interaction_features must be a sequence that begins with 'distance', followed by any of "
            f"{', '.join(map(repr, INTERACTION_FEATURES[1:]))}, none twice, got {names!r}."
        )


def _log_coulomb(
    site_types: SiteTypes, i: NDArray[Any], j: NDArray[Any], distance: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the clipped logarithm of the Coulomb matrix, shape (P,)."""
    charge = _mean_over_site(site_types, np.arange(N_ELEMENTS + 1.0))
    product = charge[i] * charge[j]
    own = distance == 0
    apart = np.log(product * _BOHR / np.where(own, 1.0, distance))
    both = np.where(own, np.log(product**1.2 / 2), apart)
    return np.asarray(np.clip(both, -_LOG_COULOMB_CLIP, _LOG_COULOMB_CLIP))


def _radius_ratio(
    site_types: SiteTypes, i: NDArray[Any], j: NDArray[Any], distance: NDArray[Any]
) -> NDArray[np.float64]:
    """Return distances in units of the sum of covalent radii, shape (P,)."""
    picometre = np.nan_to_num(element_table(["CovalentRadius"]).values[:, 0])
    radius = _mean_over_site(site_types, picometre / 100)
    return np.asarray(distance / (radius[i] + radius[j]))


def _mean_over_site(site_types: SiteTypes, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of an element property over the occupants of each site type, shape (K,)."""
    row, z = np.nonzero(site_types.fractions)
    occupancy = site_types.fractions[row, z].astype(np.float64)
    weighted = np.bincount(row, occupancy * values[z], minlength=len(site_types))
    return np.asarray(weighted / np.bincount(row, occupancy, minlength=len(site_types)))


def _occupancies(species: Sequence[Sequence[tuple[int, float]]]) -> NDArray[np.float64]:
    """Return occupancies by atomic number, shape (K, 119); one without atoms is a ValueError."""
    fractions = np.zeros((len(species), N_ELEMENTS + 1))
    for row, occupants in enumerate(species):
        for z, occupancy in occupants:
            fractions[row, z] += occupancy
    empty = np.flatnonzero(~(fractions.sum(axis=1) > 0))
    if len(empty):
        raise ValueError(f"site species {species[empty[0]]!r} holds no atoms.")
    return fractions
