"""Crystals in, baseline features out; features of any kind in, standardised columns out, every set treated alike."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import clone

from skdim.pointsets import PointSets
from skdim.prechecks import site_contents
from skdim.rows import as_structures
from skdim.structures import load_structures

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_BOUND = 3.0
# Fewer compositions than these are not worth a process, which has to import matminer first.
_PER_PROCESS = 2000

# What a composition is made of, whatever the size of the cell: (atomic number, share), in this order.
Shares = tuple[tuple[int, float], ...]


def magpie_statistics(structures: Any, *, n_jobs: int | None = None) -> pd.DataFrame:
    """Magpie's statistics of the elements of each crystal: what to beat without looking at the structure.

    Twenty-two elemental properties, each as minimum, maximum, range, mean, mean deviation and mode over the
    composition [1]_, computed by matminer.

    Parameters
    ----------
    structures : collection of crystals of length C
        Of any accepted kind; partial occupancies count as such.
    n_jobs : int or None, default=None
        Processes, where there are enough compositions for more than one.

    Returns
    -------
    DataFrame of shape (C, 132)
        One row a crystal, with matminer's feature labels.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.

    References
    ----------
    .. [1] L. Ward et al., npj Comput. Mater. 2 (2016) 16028, doi:10.1038/npjcompumats.2016.28.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> magpie_statistics([salt])["MagpieData mean Number"].tolist()
    [14.0]
    """
    import pandas as pd

    of_row = [_shares(structure) for structure in load_structures(structures)[0]]
    distinct = list(dict.fromkeys(of_row))
    n_chunks = min(effective_n_jobs(n_jobs), max(len(distinct) // _PER_PROCESS, 1))
    chunks = [distinct[k::n_chunks] for k in range(n_chunks)]
    done = Parallel(n_jobs=n_chunks)(delayed(_describe)(chunk) for chunk in chunks)
    values = {
        shares: row for chunk, rows in zip(chunks, done, strict=True) for shares, row in zip(chunk, rows, strict=True)
    }
    labels = _magpie().feature_labels()
    table = np.array([values[shares] for shares in of_row]).reshape(len(of_row), len(labels))
    return pd.DataFrame(table, columns=labels)


def _shares(structure: Any) -> Shares:
    """Return the share of each element in a crystal."""
    # Site by site: the composition of older pymatgen counts the mixed oxidation states of one site twice.
    amounts: dict[int, float] = defaultdict(float)
    for content in site_contents(structure):
        for number, amount in content:
            amounts[number] += amount
    total = sum(amounts.values())
    return tuple(sorted((number, round(amount / total, 10)) for number, amount in amounts.items()))


def _magpie() -> Any:
    """Make matminer's featurizer."""
    from matminer.featurizers.composition import ElementProperty

    return ElementProperty.from_preset("magpie", impute_nan=True)


def _describe(compositions: Sequence[Shares]) -> list[list[float]]:
    """Featurize compositions."""
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    magpie = _magpie()
    return [magpie.featurize(Composition({Element.from_Z(z): share for z, share in shares})) for shares in compositions]


def compute_features(
    features: Mapping[str, Any], structures: Any, pool: NDArray[np.int64], n_rows: int
) -> dict[str, NDArray[np.float64]]:
    """Make an array of each feature set.

    Parameters
    ----------
    features : mapping of str to array-like of shape (n, d) or transformer
        A transformer is cloned and fitted on the crystals of the pool only; wrap a fitted one in scikit-learn's
        FrozenEstimator to use it as it is.
    structures : collection of n crystals, PointSets or None
        For the transformers.
    pool : ndarray of int
        Rows of the crystals that may be learned from.
    n_rows : int
        n, the number of targets.

    Returns
    -------
    dict of str to ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If there is no feature set, its length is wrong, it is not finite, or a transformer has no structures.
    TypeError
        If they are not given by name.
    """
    if not isinstance(features, Mapping):
        raise TypeError(f"features is a {type(features).__name__}; accepted are arrays by name: {{'mine': features}}.")
    if not len(features):
        raise ValueError(f"features={features!r} is empty; give at least one array or transformer by name.")
    rows = None if structures is None else _indexable(structures)
    if rows is not None and len(rows) != n_rows:
        raise ValueError(f"structures has {len(rows)} rows, but y has {n_rows}; they must match.")
    arrays = {}
    for name, given in features.items():
        if hasattr(given, "fit") and hasattr(given, "transform"):
            if rows is None:
                raise ValueError(f"features[{name!r}] is a transformer: pass the crystals as structures=.")
            given = clone(given).fit(rows[pool], None).transform(rows)
        arrays[name] = _checked(name, given, n_rows)
    return arrays


def _indexable(structures: Any) -> Any:
    """Put crystals in an array of objects, without looking into them; point sets can be indexed as they are."""
    if isinstance(structures, PointSets):
        return structures
    rows = as_structures(structures)
    return np.fromiter(rows, dtype=object, count=len(rows))


def _checked(name: str, given: Any, n_rows: int) -> NDArray[np.float64]:
    """Check the shape of a feature set, and that only NaN is not finite."""
    array = np.asarray(given, np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"features[{name!r}] has shape {array.shape}; accepted is (rows, columns).")
    if len(array) != n_rows:
        raise ValueError(f"features[{name!r}] has {len(array)} rows, but y has {n_rows}; they must match.")
    infinite = np.flatnonzero(np.isinf(array).any(1))
    if len(infinite):
        raise ValueError(f"features[{name!r}] is infinite in rows {infinite[:5].tolist()} ({len(infinite)} in all).")
    return array


def standardise(name: str, columns: NDArray[np.float64], pool: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standardise columns on the pool and clip them to three deviations.

    Parameters
    ----------
    name : str
        Of the feature set, for messages.
    columns : ndarray of shape (n, d)
        NaN is replaced by the column's mean, with one warning that counts the rows.
    pool : ndarray of int
        Rows that decide mean and deviation.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If a column is NaN in the whole pool.
    """
    missing = np.isnan(columns)
    empty = np.flatnonzero(missing[pool].all(0))
    if len(empty):
        raise ValueError(f"features[{name!r}] is NaN in every row of the pool in columns {empty[:5].tolist()}.")
    mean, scale = np.nanmean(columns[pool], 0), np.nanstd(columns[pool], 0)
    # A column that only rounding moves says nothing.
    scale[scale <= 1e-9 * np.abs(mean) + 1e-12] = np.inf
    standard: NDArray[np.float64] = np.clip((columns - mean) / scale, -_BOUND, _BOUND)
    if missing.any():
        failed = int(missing.any(1).sum())
        warnings.warn(f"features[{name!r}] is NaN in {failed} rows; column means take its place.", stacklevel=5)
        standard[missing] = 0.0
    return standard
