"""A collection of crystals of any kind in, a list with one entry for each of its rows out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core.sites import Site
from pymatgen.core.structure import IMolecule, IStructure

from skdim.crystals.parsing import text_format
from skdim.crystals.uploads import is_upload, text_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["KINDS", "as_structures", "is_a", "keep_labels", "row_labels"]

KINDS = (
    "a pymatgen Structure, the path or the text of a CIF, POSCAR or JSON file, the same as bytes or an open file, "
    "ASE Atoms, or a dict of pymatgen, OPTIMADE, JARVIS or ASE"
)
"""What a crystal may be, for messages."""

_LOOKED_AT = 20  # rows of a column that are looked at to tell whether it holds crystals
_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".json", ".gz", ".bz2", ".xz")


def as_structures(X: Any) -> list[object]:
    """Unpack a collection of crystals into a list, without looking into the crystals.

    Parameters
    ----------
    X : list, tuple, ndarray of objects, pandas Series, pandas DataFrame or another iterable
        Crystals of the kinds that `coerce_structure` takes, mixed as you like. Of a DataFrame the column "structure"
        is taken, or else the only one that holds crystals.

    Returns
    -------
    list of object
        One entry for each row, in their order.

    Raises
    ------
    TypeError
        If X is a single crystal, or no collection.
    ValueError
        If X is an array of other than one dimension, or a DataFrame without one clear column of crystals.

    Examples
    --------
    >>> as_structures(("a.cif", "b.cif"))
    ['a.cif', 'b.cif']
    """
    if isinstance(X, IStructure | IMolecule | str | bytes | os.PathLike | Mapping) or is_a(X, "ase.atoms", "Atoms"):
        raise TypeError(_not_rows(X))
    if is_a(X, "pandas", "DataFrame"):
        return list(_structure_column(X))
    if isinstance(X, np.ndarray):
        return _from_array(X)
    if is_upload(X):
        raise TypeError(_not_rows(X))
    if isinstance(X, set | frozenset) or not isinstance(X, Iterable):
        raise TypeError(f"X is of type {type(X).__name__}; a list of crystals is needed, each {KINDS}")
    # Read here: other processes could not share an open file.
    return [_as_content(row) if is_upload(row) else row for row in X]


def _as_content(upload: Any) -> object:
    """Return the text of bytes or of an open file, or the thing itself where that fails: its row will say why."""
    try:
        return text_of(upload) + "\n"  # never taken for a path
    except (ValueError, OSError):
        return upload


def _not_rows(X: Any) -> str:
    """Say what to pass in place of something that is no collection of rows."""
    if isinstance(X, Mapping) and "lattice" not in X:
        return (
            f"X is a {type(X).__name__} with {len(X)} entries, whose keys would be lost; pass pandas.Series(X), the "
            "index of which names rows in messages, or list(X.values())"
        )
    if isinstance(X, str | os.PathLike) and os.path.isdir(os.path.expanduser(X)):
        return f"X is the folder {os.fspath(X)!r}; pass its files, such as sorted(pathlib.Path(X).glob('*.cif'))"
    return f"X is a single {type(X).__name__}; put it in a list: [X]"


def _from_array(X: np.ndarray[Any, Any]) -> list[object]:
    """Unpack an array of one dimension, or of one column."""
    if X.ndim == 2 and X.shape[1] == 1 and not (X.size and isinstance(X.flat[0], Site)):
        X = X[:, 0]
    if X.ndim != 1 or X.dtype.kind not in "OUT":
        raise ValueError(
            f"X is an array of shape {X.shape} and dtype {X.dtype}; a list or a one-dimensional array of objects is "
            "accepted. numpy.asarray turns structures into rows of sites: pass the list itself"
        )
    return list(X)


def _structure_column(frame: pd.DataFrame) -> pd.Series[Any]:
    """Pick the column of a DataFrame that holds the crystals."""
    found = [place for place, name in enumerate(frame.columns) if name == "structure"]
    if not found and frame.shape[1] == 1:
        found = [0]
    if not found:
        columns = range(frame.shape[1])
        found = [
            place for place in columns if any(map(_looks_like_crystal, frame.iloc[:, place].dropna()[:_LOOKED_AT]))
        ]
    if len(found) != 1:
        which = [frame.columns[place] for place in found] if found else "none"
        raise ValueError(
            f"X is a DataFrame with the columns {list(frame.columns)}, of which {which} hold crystals; "
            "name the one to use 'structure', or pass it alone"
        )
    return frame.iloc[:, found[0]]


def _looks_like_crystal(obj: object) -> bool:
    """Tell crystals from formulas, identifiers and numbers, without reading files."""
    if isinstance(obj, str):
        return text_format(obj) is not None or obj.lower().endswith(_SUFFIXES) or "POSCAR" in obj or "CONTCAR" in obj
    if isinstance(obj, Mapping):
        return "lattice" in obj
    return isinstance(obj, IStructure | os.PathLike) or is_a(obj, "ase.atoms", "Atoms")


def row_labels(X: Any, rows: list[int]) -> list[str] | None:
    """Give the labels that pandas has for some rows.

    Parameters
    ----------
    X : object
        What `as_structures` takes.
    rows : list of int
        Row numbers.

    Returns
    -------
    list of str or None
        None if X is nothing of pandas, or its rows are only numbered.
    """
    index: Any = getattr(X, "index", None)
    if not is_a(index, "pandas", "Index") or is_a(index, "pandas", "RangeIndex"):
        return None
    return [str(index[row]) for row in rows]


def keep_labels(values: NDArray[Any], X: Any, estimator: object) -> Any:
    """Give rows the labels of a pandas Series, where pandas output is wanted of an estimator.

    scikit-learn itself gives the labels of a DataFrame, and only of late those of a Series.

    Parameters
    ----------
    values : ndarray of shape (C, D)
        One row for each crystal.
    X : object
        The crystals.
    estimator : object
        Whose ``set_output`` counts, and else scikit-learn's configuration.

    Returns
    -------
    ndarray or DataFrame
        The same numbers.
    """
    from sklearn import get_config  # which imports pandas, and reading structures does without

    output = getattr(estimator, "_sklearn_output_config", {}).get("transform", get_config()["transform_output"])
    if output != "pandas" or not is_a(X, "pandas", "Series"):
        return values
    import pandas as pd

    return pd.DataFrame(values, index=X.index)


def is_a(obj: object, module: str, name: str) -> bool:
    """Tell whether an object is of a class of an optional package, without importing that.

    Parameters
    ----------
    obj : object
        Any object.
    module, name : str
        Where the class is defined and what it is called.

    Returns
    -------
    bool
        False, if the package was not even imported.
    """
    cls = getattr(sys.modules.get(module), name, None)
    return cls is not None and isinstance(obj, cls)
