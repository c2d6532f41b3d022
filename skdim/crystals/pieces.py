"""Lists of files divided into pieces that can be read apart from each other, by other processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from skdim.crystals.paths import holds_many
from skdim.crystals.sources import Source

__all__ = ["Piece", "grouped", "pieces_of"]

Piece = str | Source
"""A file that is still closed, or a crystal that was found in one."""

_TEXT = 1 << 20  # bytes of text that are read together, about
_PLAIN = 1 << 14  # bytes that a crystal is taken to have, where it is no text


def pieces_of(files: Iterable[str], column: str | None = None, id_column: str | None = None) -> Iterator[Piece]:
    """Divide files into pieces, in their order; only those that may hold many crystals are opened."""
    for file in files:
        if holds_many(file):
            from skdim.crystals.reading import sources_of_file  # with all formats, which take long to import

            yield from sources_of_file(file, column, id_column)
        else:
            yield file


def grouped(pieces: Iterable[Piece], most: int) -> Iterator[list[Piece]]:
    """Group pieces in order, up to a number of them, and fewer where they are large."""
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        group.append(piece)
        size += _bytes(piece)
        if len(group) == most or size > _TEXT:
            yield group
            group, size = [], 0
    if group:
        yield group


def _bytes(piece: Piece) -> int:
    """How large a crystal is, about."""
    content: Any = piece.content if isinstance(piece, Source) else piece
    if not isinstance(content, str):
        return _PLAIN
    if "\n" in content:
        return len(content)
    try:
        return os.stat(content).st_size
    except (OSError, ValueError):
        return 0
