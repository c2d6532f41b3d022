"""Tables of vectors: one Parquet, CSV or NPY file that grows by chunks and appears complete or not at all."""

from __future__ import annotations

import csv
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._files import replacing_together
from skdim.cli.messages import printable
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".parquet", ".csv", ".npy")
_GROUP = 8192  # rows of a Parquet file that are written together


def check_suffix(path: Path) -> None:
    """Refuse names whose suffix is none of `SUFFIXES`.

    Examples
    --------
    >>> check_suffix(Path("vectors.xlsx"))
    Traceback (most recent call last):
    skdim.exceptions.InputError: 'vectors.xlsx' must end in .parquet, .csv or .npy
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{str(path)!r} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


def check_place(path: Path) -> None:
    """Make sure that a file can be written at a path, in folders that may have to be made; nothing is made yet."""
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; the name of a file is needed")
    existing = next(place for place in path.absolute().parents if place.exists())
    if not existing.is_dir():
        raise InputError(f"{str(path)!r} cannot be written: {str(existing)!r} is a file, not a folder")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"cannot write to the folder {str(existing)!r}")


@contextmanager
def vector_writer(
    path: Path,  # with one of `SUFFIXES`; its folder is made if need be
    columns: Sequence[str],  # names of the d columns of the vectors
    facts: Mapping[str, str],  # where the vectors come from; only Parquet keeps them, in its metadata under "skdim"
) -> Iterator[VectorTable]:
    """Open a table that grows by chunks and appears under its name when the block ends well.

    Each writer has drafts of its own: of two that write the same file at the same time, the one that ends last leaves
    its whole table.
    """
    check_suffix(path)
    tables: dict[str, type[VectorTable]] = {".parquet": _Parquet, ".csv": _Csv, ".npy": _Npy}
    kind = tables[path.suffix.lower()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_together(path, *kind.companions(path)) as drafts:
        table = kind(drafts, columns, facts)
        try:
            yield table
        except BaseException:
            with suppress(OSError):  # what is still to be written may not fit on the disk either
                table.close()
            raise
        table.close()


class VectorTable(ABC):
    """A table of ids and vectors that is being written."""

    def __init__(
        self,
        drafts: Sequence[Path],  # the file to write, and those of `companions`
        columns: Sequence[str],  # names of the d columns
        facts: Mapping[str, str],  # see `vector_writer`
    ) -> None:
        self.drafts, self.columns, self.facts = list(drafts), list(columns), dict(facts)
        self._open()

    @staticmethod
    def companions(path: Path) -> list[Path]:
        """Files beside the first that belong to the table."""
        return []

    @abstractmethod
    def _open(self) -> None:
        """Open the drafts."""

    @abstractmethod
    def write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add n rows: ids, and vectors of shape (n, d)."""

    @abstractmethod
    def close(self) -> None:
        """Write what is missing and close the drafts."""


class _Parquet(VectorTable):
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

    def close(self) -> None:
        """Write the last rows and the footer."""
        try:
            self._flush()
        finally:
            self._writer.close()


class _Csv(VectorTable):
    """Column "id", then the vectors in the fewest digits that give the same float32; NaN is an empty field."""

    def _open(self) -> None:
        """Write the header."""
        self._file = self.drafts[0].open("w", newline="", encoding="utf-8")
        csv.writer(self._file, lineterminator="\n").writerow(["id", *self.columns])

    def write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add lines."""
        import pandas as pd

        numbers = pd.DataFrame(vectors).to_csv(None, header=False, index=False, lineterminator="\n").splitlines()
        self._file.writelines(f"{_field(name)},{line}\n" for name, line in zip(ids, numbers, strict=True))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Npy(VectorTable):
    """The vectors alone, as float32 of shape (n, d); the ids as a CSV of one column beside them."""

    @staticmethod
    def companions(path: Path) -> list[Path]:
        """The file of the ids: V.ids.csv beside V.npy."""
        return [path.with_suffix(".ids.csv")]

    def _open(self) -> None:
        """Write the header as if there were no row."""
        self._n_rows = 0
        self._file = self.drafts[0].open("wb")
        self._header()
        self._ids = self.drafts[1].open("w", newline="", encoding="utf-8")
        self._ids.write("id\n")

    def write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add rows to both files."""
        self._file.write(np.ascontiguousarray(vectors, "<f4").data)
        self._ids.writelines(f"{_field(name)}\n" for name in ids)
        self._n_rows += len(ids)

    def close(self) -> None:
        """Write the number of rows over the first header: numpy leaves room for it to grow."""
        try:
            self._file.seek(0)
            self._header()
        finally:
            self._file.close()
            self._ids.close()

    def _header(self) -> None:
        """Write numpy's header at the current place."""
        shape = (self._n_rows, len(self.columns))
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": shape})


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four in their wide forms


def spreadsheet_text(text: str) -> str:
    r"""Write a name so that a spreadsheet or a terminal shows it and does nothing else with it.

    What a spreadsheet would take for a formula (names that begin with =, +, - or @, also after blanks or in their wide
    forms, and are not numbers) gets an apostrophe in front; control characters other than line ends become Python
    escapes.

    Examples
    --------
    >>> spreadsheet_text("=HYPERLINK(1)"), spreadsheet_text("-1.5"), spreadsheet_text("\x1b[2J.cif")
    ("'=HYPERLINK(1)", '-1.5', '\\x1b[2J.cif')
    """
    shown = "\r".join(printable(part) for part in text.split("\r"))
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) and not _is_number(shown) else shown


def _field(name: str) -> str:
    """One field of a CSV file: in quotes where it holds a comma, a quote or a line end of any kind."""
    text = spreadsheet_text(name)
    return '"' + text.replace('"', '""') + '"' if any(character in text for character in ',"\r\n') else text


def _is_number(text: str) -> bool:
    """Tell plain decimal numbers."""
    return re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None
