"""The blocks that reports are made of, and their form in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from skdim.evaluation._records import BEST, markdown_table


@dataclass(frozen=True)
class Heading:
    """A title, below that of its section; ``level`` is 3 or more."""

    kind: ClassVar[str] = "heading"
    text: str
    level: int = 3


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Code:
    """A command."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Table:
    """Cells of text.

    A line break within a cell is kept in HTML and is a comma in Markdown; ``bold`` holds row and column of cells that
    stand out.
    """

    kind: ClassVar[str] = "table"
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()

    def markdown(self) -> str:
        """Write as a table of Markdown."""
        lines = [[cell.replace("\n", ", ") for cell in row] for row in self.rows]
        for row, column in self.bold:
            lines[row][column] = f"**{lines[row][column]}**"
        return markdown_table([self.header, *lines])


@dataclass(frozen=True)
class Figure:
    """A picture (a PNG file) with its caption, and what it shows in words for those who cannot see it."""

    kind: ClassVar[str] = "figure"
    picture: bytes = field(repr=False)
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown on demand."""

    kind: ClassVar[str] = "folded"
    title: str
    blocks: tuple[Any, ...]


@dataclass(frozen=True)
class Facts:
    """What JSON can hold: objects as tables, lists as lines."""

    kind: ClassVar[str] = "facts"
    value: Any


Block = Heading | Text | Code | Table | Figure | Folded | Facts


def markdown(blocks: Iterable[Block]) -> str:
    """Write headings, paragraphs, commands and tables as Markdown.

    Examples
    --------
    >>> print(markdown([Heading("Errors"), Text("In eV."), Code("skdim demo")]))
    ### Errors
    <BLANKLINE>
    In eV.
    <BLANKLINE>
    ```
    skdim demo
    ```
    """
    return "\n\n".join(_markdown(block) for block in blocks)


def _markdown(block: Block) -> str:
    """Write one block."""
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case Text():
            return block.text
        case Code():
            return f"```\n{block.text}\n```"
        case Table():
            return block.markdown()
        case _:
            raise TypeError(f"a block of kind {block.kind!r} has no form in Markdown.")


def readable(regressor: str) -> str:
    """Write the name of a regressor in words."""
    return "best regressor" if regressor == BEST else regressor.replace("_", " ")


def listed(values: Iterable[object]) -> str:
    """Write at least one value as an enumeration.

    Examples
    --------
    >>> listed([50, 100, 250])
    '50, 100 and 250'
    """
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
