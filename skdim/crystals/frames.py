"""The crystals of a table in memory: data frames and columns of pandas, polars and pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skdim.crystals.columns import LOOKED_AT, choose_column, choose_ids
from skdim.crystals.given import is_a, is_column
from skdim.crystals.sources import Source
from skdim.crystals.tables import crystal_of_cell

__all__ = ["column_of", "frame_ids", "sources_of_frame"]


def column_of(X: Any, column: str | None = None) -> list[Any]:
    """Return the crystals of a data frame, row by row, or the values of a column.

    They are the values of the column `skdim.crystals.columns.choose_column` takes, or dicts of those that make a
    crystal together.
    """
    if is_column(X):
        return list(X.to_list() if is_a(X, "polars", "Series") else X.to_pylist())
    frame = _Frame(X)
    places = choose_column(frame.names, frame.samples(), column, paths=True)
    columns = [frame.values(place) for place in places]
    if len(places) == 1:
        return columns[0]
    return [dict(zip([frame.names[place] for place in places], row, strict=True)) for row in zip(*columns, strict=True)]


def frame_ids(X: Any, id_column: str | None = None) -> list[Any] | None:
    """Return the column of a data frame that holds ids, if there is one."""
    frame = _Frame(X)
    place = choose_ids(frame.names, id_column)
    return None if place is None else frame.values(place)


def sources_of_frame(
    frame: Any,  # see `skdim.crystals.given.is_frame`
    # The columns that hold the crystals and their ids. Without ids the labels of pandas are taken, or the numbers of
    # the rows.
    column: str | None = None,
    id_column: str | None = None,
) -> Iterator[Source]:
    """Yield the crystals of a data frame."""
    ids = frame_ids(frame, id_column)
    index = getattr(frame, "index", None)
    if ids is None and index is not None and not is_a(index, "pandas", "RangeIndex"):
        ids = list(index)
    for number, crystal in enumerate(column_of(frame, column)):
        label = number if ids is None else ids[number]
        name = str(label) if label is not None and label == label and str(label) else f"row {number}"
        if isinstance(crystal, str | bytes | dict) or crystal is None or crystal != crystal:
            try:
                # In memory a path is a path: it is the caller's own.
                content = crystal if isinstance(crystal, str) and "\n" not in crystal else crystal_of_cell(crystal)
                yield Source(name, content)
            except ValueError as error:
                yield Source(name, problem=str(error))
        else:
            yield Source(name, crystal)


class _Frame:
    """One way to the columns of data frames of every kind."""

    def __init__(self, frame: Any) -> None:
        if is_a(frame, "polars", "LazyFrame"):
            raise TypeError("a LazyFrame of polars has no rows yet; pass frame.collect()")
        if not (is_a(frame, "pandas", "DataFrame") or is_a(frame, "polars", "DataFrame")):
            import pyarrow as pa

            frame = frame if isinstance(frame, pa.Table | pa.RecordBatch) else pa.table(frame)
        self._frame = frame
        self.names: list[Any] = list(
            frame.columns if hasattr(frame, "get_column") or hasattr(frame, "iloc") else frame.schema.names
        )

    def values(self, place: int, n_rows: int | None = None) -> list[Any]:
        """Return a column, or its first rows."""
        if hasattr(self._frame, "iloc"):
            column = self._frame.iloc[:, place]
            return list(column if n_rows is None else column.dropna()[:n_rows])
        if hasattr(self._frame, "get_column"):
            column = self._frame.to_series(place)
            return list(column.to_list() if n_rows is None else column.drop_nulls()[:n_rows].to_list())
        column = self._frame.column(place)
        return list(column.to_pylist() if n_rows is None else column.drop_null()[:n_rows].to_pylist())

    def samples(self) -> dict[int, list[Any]]:
        """Return some values of each column that are not missing."""
        return {place: self.values(place, LOOKED_AT) for place in range(len(self.names))}
