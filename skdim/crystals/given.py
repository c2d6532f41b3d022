"""What a caller has handed over: told by its class, without importing the package that the class is from."""

from __future__ import annotations

import sys

__all__ = ["is_a", "is_column", "is_frame", "is_upload"]


def is_a(obj: object, module: str, name: str) -> bool:
    """Tell whether an object is of a class of an optional package; it is not if the package was not even imported."""
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(obj, cls)


def is_frame(obj: object) -> bool:
    """Tell a table with columns: a DataFrame of pandas or polars, a Table of pyarrow, or what exports itself as one."""
    if is_a(obj, "pandas", "DataFrame") or is_a(obj, "polars", "DataFrame") or is_a(obj, "polars", "LazyFrame"):
        return True
    if is_a(obj, "pyarrow", "Table") or is_a(obj, "pyarrow", "RecordBatch"):
        return True
    # Tables of other packages, by the protocol of Arrow.
    return hasattr(obj, "__arrow_c_stream__") and not is_column(obj) and not is_a(obj, "pandas", "Series")


def is_column(obj: object) -> bool:
    """Tell a column of polars or pyarrow, whose items are not what they look like in a list of it."""
    return is_a(obj, "polars", "Series") or is_a(obj, "pyarrow", "Array") or is_a(obj, "pyarrow", "ChunkedArray")


def is_upload(obj: object) -> bool:
    """Tell content in memory: bytes, and open files.

    Examples
    --------
    >>> import io
    >>> is_upload(b"data_"), is_upload(io.StringIO("data_")), is_upload("NaCl.cif")
    (True, True, False)
    """
    return isinstance(obj, bytes | bytearray | memoryview) or callable(getattr(obj, "read", None))
