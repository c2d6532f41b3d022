"""The data blocks of a CIF that hold a crystal each."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

__all__ = ["Block", "block_of", "split_blocks"]


_CRYSTAL = re.compile(r"^[ \t]*_(?:atom_site|cell[_.]length)[_.]", re.IGNORECASE | re.MULTILINE)


class Block(NamedTuple):
    """A data block with a cell or atoms."""

    name: str
    """What stands behind ``data_``."""
    text: str
    """From there to the next block."""


def block_of(path: str) -> tuple[str, str] | None:
    """Split the name of a data block, as "all.cif#NaCl", into file and block; None if it is no such name."""
    file, _, block = path.partition("#")
    return (file, block) if block and os.path.isfile(file) and not os.path.exists(path) else None


def split_blocks(text: str) -> list[Block]:
    r"""Split a CIF at its data blocks, and leave out those without cell and atoms, as publications have.

    Examples
    --------
    >>> two = "data_a\n_atom_site_fract_x 0\ndata_global\n_journal_name x\ndata_b\n_atom_site_fract_x 0\n"
    >>> [block.name for block in split_blocks(two)]
    ['a', 'b']
    """
    blocks: list[tuple[str, list[str]]] = []
    in_field = False
    for line in text.splitlines(keepends=True):
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field and line.lstrip()[:5].lower() == "data_":
            blocks.append((line.split()[0][5:], []))
        if blocks:
            blocks[-1][1].append(line)
    found = [Block(name, "".join(lines)) for name, lines in blocks]
    return [block for block in found if _CRYSTAL.search(block.text)]
