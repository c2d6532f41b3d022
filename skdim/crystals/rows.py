"""Collections of crystals of any kind as lists with one entry for each of their rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core.sites import Site
from pymatgen.core.structure import IMolecule, IStructure

from skdim.crystals.frames import column_of, frame_ids
from skdim.crystals.given import is_a, is_column, is_frame, is_upload
from skdim.crystals.sources import Source
from skdim.crystals.uploads import text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KINDS", "as_structures", "keep_labels", "listed", "row_labels"]

KINDS = (
    "a pymatgen Structure, the path or the text of a CIF, POSCAR or JSON file, the same as bytes or an open file, "
    "ASE Atoms, or a dict of pymatgen, OPTIMADE, JARVIS or ASE"
)
"""What a crystal may be, for messages."""


def listed(X: Any) -> Any:
    """Read an iterator, which can be read but once, into a list; other collections stay as they are."""
    return list(X) if isinstance(X, Iterator) else X


def as_structures(X: Any) -> list[object]:
    """Unpack a collection of crystals into a list with one entry for each row, without looking into the crystals.

    They may be in a list, tuple, array of objects of one dimension, Series, DataFrame, Table or another iterable, of
    the kinds that `coerce_structure` takes, mixed as you like. Of a DataFrame (pandas, polars) or Table (pyarrow) the
    column "structure" is taken, or else the only one that holds crystals. Columns of polars and pyarrow are taken too.
    A single crystal is a TypeError.

    Examples
    --------
    >>> as_structures(("a.cif", "b.cif"))
    ['a.cif', 'b.cif']
    """
    if isinstance(X, IStructure | IMolecule | str | bytes | os.PathLike | Mapping) or is_a(X, "ase.atoms", "Atoms"):
        raise TypeError(_not_rows(X))
    if is_frame(X) or is_column(X):
        return column_of(X)
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


def row_labels(X: Any, rows: list[int]) -> list[str] | None:
    """Give the names that a data frame or `skdim.read_crystals` has for some rows of what `as_structures` takes.

    They are ids, labels of pandas, or a column of ids; None if the rows are only numbered.
    """
    if isinstance(X, list | tuple) and X and all(isinstance(one, Source) for one in X):
        return [X[row].id for row in rows]
    index: Any = getattr(X, "index", None)
    if is_a(index, "pandas", "Index") and not is_a(index, "pandas", "RangeIndex"):
        return [str(index[row]) for row in rows]
    ids = frame_ids(X) if is_frame(X) else None
    return None if ids is None else [str(ids[row]) for row in rows]


def keep_labels(values: NDArray[Any], X: Any, estimator: object) -> Any:
    """Give rows (C, D) the labels of a pandas Series X, where pandas output is wanted of an estimator.

    scikit-learn itself gives the labels of a DataFrame, and only of late those of a Series. Without ``set_output``, its
    configuration counts.
    """
    from sklearn import get_config  # which imports pandas, and reading structures does without

    output = getattr(estimator, "_sklearn_output_config", {}).get("transform", get_config()["transform_output"])
    if output != "pandas" or not is_a(X, "pandas", "Series"):
        return values
    import pandas as pd

    return pd.DataFrame(values, index=X.index)
