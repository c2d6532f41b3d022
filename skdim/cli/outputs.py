"""Ids and vectors in, a chunk at a time; one Parquet, CSV or NPY file out, complete or not at all."""

from __future__ import annotations

import csv
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skdim.exceptions import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".parquet", ".csv", ".npy")
_GROUP = 8192  # rows of a Parquet file that are written together


def check_suffix(path: Path) -> None:
    """Refuse names whose suffix says no format that can be written.

    Parameters
    ----------
    path : Path
        The file to be written.

    Raises
    ------
    InputError
        If its suffix is none of `SUFFIXES`.

    Examples
    --------
    >>> check_suffix(Path("vectors.xlsx"))
    Traceback (most recent call last):
    skdim.exceptions.InputError: 'vectors.xlsx' has the suffix '.xlsx'; accepted are .parquet, .csv, .npy
    """
    if path.suffix.lower() not in SUFFIXES:
        shown = f"has the suffix {path.suffix!r}" if path.suffix else "has no suffix"
        raise InputError(f"{str(path)!r} {shown}; accepted are {', '.join(SUFFIXES)}")


def check_place(path: Path) -> None:
    """Make sure that a file can be written at a path, in folders that may have to be made; nothing is made yet.

    Parameters
    ----------
    path : Path
        The file to be written; one that is there already will be replaced.

    Raises
    ------
    InputError
        If the path is a folder, or goes through a file.
    OSError
        If its folder cannot be written to.
    """
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; the name of a file is needed")
    existing = next(place for place in path.absolute().parents if place.exists())
    if not existing.is_dir():
        raise InputError(f"{str(path)!r} cannot be written: {str(existing)!r} is a file, not a folder")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"cannot write to the folder {str(existing)!r}")


def vector_writer(path: Path, columns: Sequence[str], facts: Mapping[str, str]) -> VectorWriter:
    """Choose the writer for a file by its suffix.

    Parameters
    ----------
    path : Path
        With one of `SUFFIXES`.
    columns : sequence of str
        Names of the d columns of the vectors.
    facts : mapping of str to str
        Where the vectors come from; only Parquet keeps them, in its metadata under "skdim".

    Returns
    -------
    VectorWriter
    """
    check_suffix(path)
    writers: dict[str, type[VectorWriter]] = {".parquet": _Parquet, ".csv": _Csv, ".npy": _Npy}
    return writers[path.suffix.lower()](path, columns, facts)


class VectorWriter(ABC):
    """A table that grows by chunks: drafts beside the final files, which replace those only at a good end.

    Parameters
    ----------
    path : Path
        The file.
    columns : sequence of str
        Names of the d columns.
    facts : mapping of str to str
        See `vector_writer`.
    """

    def __init__(self, path: Path, columns: Sequence[str], facts: Mapping[str, str]) -> None:
        self.columns, self.facts = list(columns), dict(facts)
        self.paths = [path, *self._companions(path)]
        self.drafts = [Path(f"{final}.part") for final in self.paths]

    def __enter__(self) -> Self:
        """Open the drafts, in folders that are made if need be."""
        self.paths[0].parent.mkdir(parents=True, exist_ok=True)
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Put the drafts in place, or remove them if anything went wrong."""
        complete = False
        try:
            self._close(complete=kind is None)
            complete = kind is None
        finally:
            for draft, final in zip(self.drafts, self.paths, strict=True):
                if complete:
                    os.replace(draft, final)
                else:
                    draft.unlink(missing_ok=True)

    def _companions(self, path: Path) -> list[Path]:
        """Files that belong to the first."""
        return []

    @abstractmethod
    def _open(self) -> None:
        """Open the drafts."""

    @abstractmethod
    def write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add n rows: ids, and vectors of shape (n, d)."""

    @abstractmethod
    def _close(self, *, complete: bool) -> None:
        """Finish the drafts if they are complete, and close them."""


class _Parquet(VectorWriter):
    """Column "id", then the vectors as float32, in row groups of some thousand rows."""

    def _open(self) -> None:
        """Write the schema."""
        import pyarrow as pa
        from pyarrow import parquet

        fields = [pa.field("id", pa.string()), *(pa.field(name, pa.float32()) for name in self.columns)]
        self._schema = pa.schema(fields, {"skdim": json.dumps(self.facts)})
        self._waiting: list[tuple[Sequence[str], NDArray[np.float32]]] = []
        self._writer: Any = parquet.ParquetWriter(
            # Vectors hardly repeat a value, and there are many columns: dictionaries and statistics would only cost.
            self.drafts[0],
            self._schema,
            use_dictionary=False,
            write_statistics=False,
        )

    def write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep rows until they fill a group: what a file's end says of each column of each group waits in memory."""
        self._waiting.append((ids, vectors))
        if sum(len(ids) for ids, _ in self._waiting) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        """Write what waits as one row group."""
        import pyarrow as pa

        if not self._waiting:
            return
        ids = [name for names, _ in self._waiting for name in names]
        vectors = np.concatenate([rows for _, rows in self._waiting])
        self._waiting.clear()
        columns = [pa.array(ids, pa.string()), *(pa.array(np.ascontiguousarray(column)) for column in vectors.T)]
        self._writer.write_table(pa.table(columns, schema=self._schema))

    def _close(self, *, complete: bool) -> None:
        """Write the last rows and the footer."""
        try:
            if complete:
                self._flush()
        finally:
            self._writer.close()


class _Csv(VectorWriter):
    """Column "id", then the vectors in the fewest digits that give the same float32; NaN is an empty field."""

    def _open(self) -> None:
        """Write the header."""
        self._file = self.drafts[0].open("w", newline="", encoding="utf-8")
        csv.writer(self._file, lineterminator="\n").writerow(["id", *self.columns])

    def write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add lines."""
        import pandas as pd

        frame = pd.DataFrame(vectors, index=list(ids))
        frame.to_csv(self._file, header=False, lineterminator="\n")

    def _close(self, *, complete: bool) -> None:
        """Close the file."""
        self._file.close()


class _Npy(VectorWriter):
    """The vectors alone, as float32 of shape (n, d); the ids as a CSV of one column beside them."""

    def _companions(self, path: Path) -> list[Path]:
        """The file of the ids: V.ids.csv beside V.npy."""
        return [path.with_suffix(".ids.csv")]

    def _open(self) -> None:
        """Write the header as if there were no row."""
        self._n_rows = 0
        self._file = self.drafts[0].open("wb")
        self._header()
        self._ids = self.drafts[1].open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._ids, lineterminator="\n")
        self._rows.writerow(["id"])

    def write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add rows to both files."""
        self._file.write(np.ascontiguousarray(vectors, np.float32).astype("<f4", copy=False).tobytes())
        self._rows.writerows([name] for name in ids)
        self._n_rows += len(ids)

    def _close(self, *, complete: bool) -> None:
        """Write the number of rows over the first header: numpy leaves room for it to grow."""
        self._file.seek(0)
        self._header()
        self._file.close()
        self._ids.close()

    def _header(self) -> None:
        """Write numpy's header at the current place."""
        shape = (self._n_rows, len(self.columns))
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": shape})
