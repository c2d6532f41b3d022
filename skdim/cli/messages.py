"""Messages to the person at the terminal: on stderr, one prefix, no control characters from file names."""

from __future__ import annotations

import sys
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def say(message: str) -> None:
    """Write a message to stderr."""
    print(f"skdim: {printable(message)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    r"""Replace what a terminal would obey rather than show, so that a file name cannot recolour or rewrite the screen.

    Line feeds and tabs stay; other control characters, marks that reorder text, and halves of surrogate pairs become
    Python escapes.

    Examples
    --------
    >>> print(printable("a\x1b[2Jb.cif"))
    a\x1b[2Jb.cif
    """
    return "".join(_shown(character) for character in text)


def one_line(text: str) -> str:
    r"""Do what `printable` does, and write line feeds and tabs as escapes too: for names within a line.

    Examples
    --------
    >>> print(one_line("two\nlines"))
    two\nlines
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _shown(character: str) -> str:
    """Return a character, or its escape."""
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings as messages, without the line of code that gave them."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"skdim: warning: {printable(str(message))}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
