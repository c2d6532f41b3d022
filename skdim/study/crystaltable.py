"""The crystals of a table in a file, with their ids and labels; crystals are made when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from skdim._files import digest, file_digest
from skdim.crystals.columns import choose_ids
from skdim.crystals.sources import Source
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_CELLS = ("cell", "numbers", "frac_coords")
"""Columns that make a crystal together: a, b, c in Angstrom and angles in degrees, or three vectors; atomic numbers;
fractional coordinates, flat or by site."""
_FORMATS = {".parquet": "parquet", ".feather": "feather", ".arrow": "feather"}


class TableCrystals(Sequence[Source]):
    """Crystals of some rows of a table, each made when it is asked for, so that a large table fits into memory."""

    def __init__(
        self,
        ids: Sequence[str],  # one for each crystal
        contents: list[Any] | _Cells,  # one for each crystal: what a `Source` holds, or a `Source`
        key: str,  # digest of the contents
    ) -> None:
        self.ids, self.contents, self.key = ids, contents, key

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.ids)

    @overload
    def __getitem__(self, rows: int) -> Source: ...
    @overload
    def __getitem__(self, rows: slice) -> list[Source]: ...
    def __getitem__(self, rows: int | slice) -> Source | list[Source]:
        """Make one crystal, or a list of consecutive ones."""
        if isinstance(rows, slice):
            pairs = zip(self.ids[rows], self.contents[rows], strict=True)
            return [_source(name, content) for name, content in pairs]
        return _source(self.ids[rows], self.contents[rows])

    def part(self, start: int, stop: int) -> TableCrystals:
        """Return consecutive crystals in a form that is small to send to another process, still to be made."""
        contents = self.contents[start:stop] if isinstance(self.contents, list) else self.contents.part(start, stop)
        return TableCrystals(self.ids[start:stop], contents, f"{self.key} {start} {stop}")


def _source(name: str, content: Any) -> Source:
    """Put a crystal, or the reason for none, under its id."""
    return Source(name, content.content, content.problem) if isinstance(content, Source) else Source(name, content)


class _Cells(Sequence[Any]):
    """Structures made of the columns `_CELLS`; a row that makes none is a `Source` with the reason."""

    def __init__(self, columns: Any) -> None:
        self.columns = columns  # pyarrow.Table, or a list of dicts

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            first, last, _ = rows.indices(len(self))
            return [_structure(row) for row in self._dicts(first, last)]
        return _structure(self._dicts(rows, rows + 1)[0])

    def part(self, start: int, stop: int) -> _Cells:
        """Return consecutive rows without the rest of the table."""
        return _Cells(self._dicts(start, stop))

    def _dicts(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return consecutive rows as dicts."""
        if isinstance(self.columns, list):
            return self.columns[start:stop]
        rows: list[dict[str, Any]] = self.columns.slice(start, max(stop - start, 0)).to_pylist()
        return rows


def _structure(row: dict[str, Any]) -> Any:
    """Make the crystal of a row of `_CELLS`."""
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    try:
        cell = np.asarray(row["cell"], np.float64)
        lattice = Lattice.from_parameters(*cell) if cell.shape == (6,) else Lattice(cell.reshape(3, 3))
        return Structure(lattice, row["numbers"], np.asarray(row["frac_coords"], np.float64).reshape(-1, 3))
    except (TypeError, ValueError) as error:
        return Source("", problem=f"cell, numbers and frac_coords make no crystal: {error}")


@dataclass(frozen=True, eq=False)
class LabelledTable:
    """What a table holds for a study."""

    crystals: TableCrystals
    labels: dict[str, NDArray[np.float64]]  # by column; NaN where a crystal has none


def read_labelled_table(
    path: Path,  # Parquet, Feather (Arrow) or CSV
    targets: Sequence[str] | None = None,  # columns of the labels; None takes every column of floating-point numbers
    rows: int | None = None,  # crystals to take, drawn at random; None takes all
    seed: int = 0,  # decides which
    column: str | None = None,  # of the crystals, and of their ids; see `skdim.crystals.columns`
    id_column: str | None = None,
) -> LabelledTable:
    """Read the crystals of a table that have a label, with their ids and labels.

    A crystal is in the columns ``cell``, ``numbers`` and ``frac_coords``, or in one that every command takes.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    names, labels = _labels(path, targets)
    id_place = choose_ids(names, id_column)
    if id_place is None:
        raise InputError(f"{str(path)!r} has no column of ids, by which the test fold is chosen: name it (--id).")
    # Of a crystal without any label there is nothing to predict.
    use = np.flatnonzero(np.any([np.isfinite(values) for values in labels.values()], axis=0))
    if rows is not None and rows < len(use):
        use = np.sort(np.random.default_rng(seed).permutation(use)[:rows])
    ids = [str(value) for value in _frame(path, [names[id_place]])[names[id_place]].to_numpy()[use]]
    contents = _contents(path, names, use, column, id_column)
    key = digest(file_digest(path), use, str([column, id_column]))
    return LabelledTable(TableCrystals(ids, contents, key), {name: values[use] for name, values in labels.items()})


def _schema(path: Path) -> Any:
    """Return the columns of a Parquet or Feather file, without reading them."""
    import pyarrow.dataset as ds
    from pyarrow.lib import ArrowException

    try:
        return ds.dataset(path, format=_format(path)).schema
    except (ArrowException, OSError) as error:
        raise InputError(f"{str(path)!r} cannot be read as a table: {error}") from error


def _format(path: Path) -> str:
    """Name the format of a file as pyarrow does; "csv" for any other."""
    return _FORMATS.get(path.suffix.lower(), "csv")


def _frame(path: Path, names: list[str] | None = None) -> pd.DataFrame:
    """Read some columns, or all, as a data frame."""
    import pandas as pd

    if _format(path) == "parquet":
        return pd.read_parquet(path, columns=names)
    if _format(path) == "feather":
        return pd.read_feather(path, columns=names)
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        return pd.read_csv(path, usecols=names, sep=max("\t;,", key=head.count), skipinitialspace=True)
    except (pd.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read as a table: {error}") from error


def _labels(path: Path, targets: Sequence[str] | None) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """Return the names of all columns, and those that hold labels as numbers."""
    import pandas as pd
    from pyarrow.types import is_floating

    if _format(path) == "csv":
        frame = _frame(path)
        names = [str(name) for name in frame.columns]
        numeric = [name for name in names if frame[name].dtype.kind == "f"]
    else:
        schema = _schema(path)
        names, numeric = list(schema.names), [field.name for field in schema if is_floating(field.type)]
        frame = _frame(path, [name for name in dict.fromkeys(targets) if name in names] if targets else numeric)
    wanted = list(targets) if targets else numeric
    if not wanted or len(set(wanted)) < len(wanted) or not set(wanted) <= set(names):
        raise InputError(f"targets must be distinct columns of {str(path)!r}, {', '.join(names)}, got {wanted}.")
    found = {}
    for name in wanted:
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
        found[name] = np.where(np.isfinite(values), values, np.nan)
    return names, found


def _contents(
    path: Path, names: Sequence[str], use: NDArray[np.int64], column: str | None, id_column: str | None
) -> list[Any] | _Cells:
    """Read the crystals of some rows, as far as is needed to make each when it is asked for."""
    if column is None and set(_CELLS) <= set(names) and _format(path) != "csv":
        import pyarrow.dataset as ds

        table = ds.dataset(path, format=_format(path)).to_table(columns=list(_CELLS))
        return _Cells(table.take(use).combine_chunks())
    from skdim.crystals.reading import read_crystals

    sources = list(read_crystals(path, column=column, id_column=id_column))
    if len(sources) <= use[-1]:
        raise InputError(f"{str(path)!r} holds {len(sources)} crystals and more labels: {sources[-1].problem}.")
    return [sources[row] for row in use]
