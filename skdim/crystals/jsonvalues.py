"""JSON read value by value, without the whole file in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from skdim.crystals.limits import check_values, current_limits, megabytes

__all__ = ["Values"]


_IN_NUMBERS = frozenset(["", *"0123456789.eE+-"])
_WHITE = re.compile(r"[ \t\r\n]*")
_STEP = 1 << 16  # characters


class Values:
    """JSON read value by value."""

    def __init__(self, file: Any) -> None:
        self._file, self._text, self._at, self._ended, self._forgotten = file, "", 0, False, 0
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """Return the next character that is not white; empty at the end."""
        while True:
            self._at = _WHITE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it always matches
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(_STEP):
                return ""

    def start(self) -> str:
        """Return what was read and not taken."""
        return self._text[self._at :]

    def place(self) -> int:
        """Return how many characters were taken."""
        return self._forgotten + self._at

    def check_taken_since(self, start: int) -> None:
        """Refuse to keep more than one crystal takes."""
        if self.place() - start > (most := current_limits().n_bytes):
            raise ValueError(f"more than {megabytes(most)} without a crystal (limit n_bytes)")

    def expect(self, marks: str) -> str:
        """Take one of some characters."""
        mark = self.peek()
        if not mark or mark not in marks:
            raise ValueError(f"{mark!r} where {' or '.join(map(repr, marks))} is needed" if mark else "it ends early")
        self._at += 1
        return mark

    def value(self) -> Any:
        """Take a whole value."""
        step = _STEP
        self.peek()
        while True:
            try:
                check_values(self._text)
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise ValueError("it is nested too deeply") from error
            except json.JSONDecodeError as error:
                # What is wrong far from the end of what was read will not be mended by reading on.
                cut = error.pos > len(self._text) - 20 or error.msg.startswith("Unterminated string")
                if cut and not self._text[self._at :].strip():
                    raise ValueError("it ends early") from error
                if not cut or not self._more(step):
                    if error.pos >= len(self._text.rstrip()) or error.msg.startswith("Unterminated string"):
                        raise ValueError("it is cut off") from error
                    shown = self._text[error.pos : error.pos + 20]
                    where = f" at character {self._forgotten + error.pos}" + (f" ({shown!r})" if shown else "")
                    raise ValueError(f"{error.msg}{where}") from error
            else:
                # A number may go on behind the end of what was read.
                if self._text[end : end + 1] not in _IN_NUMBERS or not self._more(step):
                    self._at = end
                    return value
            step *= 2

    def elements(self) -> Iterator[Any]:
        """Take the values of a list, at its bracket."""
        self.expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self.expect(",]") == "]":
                return
            if self.peek() == "]":
                raise ValueError("a comma stands before the end of a list")

    def keys(self) -> Iterator[str]:
        """Take the keys of an object, at its brace; after each the caller takes the value."""
        self.expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                self.expect('"')
            key = self.value()
            self.expect(":")
            yield key
            if self.expect(",}") == "}":
                return

    def _more(self, size: int) -> bool:
        """Read on, and forget what was taken."""
        if self._ended:
            return False
        if len(self._text) - self._at > (most := current_limits().n_bytes):
            raise ValueError(f"a value of more than {megabytes(most)} (limit n_bytes)")
        part = self._file.read(size)
        self._forgotten += self._at
        self._text, self._at = self._text[self._at :] + part, 0
        self._ended = not part
        return not self._ended
