"""The data blocks of a CIF and what each says by tag: gemmi parses, and what it finds wrong is said in plain words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemmi import cif

from skdim.crystals.limits import check_size, current_limits

__all__ = ["Tags", "chosen_block", "document", "is_crystal", "number", "tags_of"]

_MINUS = {ord(sign): "-" for sign in "\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d"} | {
    ord(space): " " for space in "\u00a0\u2007\u2009\u202f\u3000\ufeff"
}
_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "01234567890123456789+-")
_BARRED = re.compile("(\\d)[\u0304\u0305]")  # with a line above
_FRACTION = re.compile(r"([+-]?\d{1,20}(?:\.\d{0,20})?)/(\d{1,20})")
_CURLY = re.compile("[\u2018\u2019\u201c\u201d]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_FIELD, _QUOTES = r"^;[\s\S]*?\n;", r"'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\""
_QUOTED = r"'[^'\n]*'|\"[^\"\n]*\""
_TOKEN = re.compile(rf"{_FIELD}|#[^\n]*|(?P<quoted>{_QUOTES})|{_QUOTED}|(?P<opening>[\[{{])|\S+", re.MULTILINE)
"""A value of CIF 2.0 or a comment, of lists and tables the opening bracket."""
_BRACKET = re.compile(rf"{_FIELD}|{_QUOTES}|{_QUOTED}|[\[\]{{}}]", re.MULTILINE)
_CRYSTAL_TAGS = ("_atom_site_", "_atom_site.", "_cell_length_", "_cell.length_")


@dataclass(frozen=True, eq=False)
class Tags:
    """What a data block says, by tag: in small letters, with a low line where newer dictionaries have a dot."""

    name: str
    values: Mapping[str, Any]  # the value, or the loop and the column
    repeated: frozenset[str]

    def text(self, *tags: str) -> str:
        """Return the value of the first of some tags that is given, without quotes; empty if none is."""
        for tag in tags:
            if tag in self.values and (column := self.column(tag)):
                value = column[0]
                text = "" if cif.is_null(value) else " ".join(cif.as_string(value).split())
                if text not in ("", "?", "."):  # which some programs put in quotes
                    return text
        return ""

    def column(self, tag: str) -> list[str]:
        """Return the values of a tag as written; of one without a loop, one value; none if it is not there."""
        if tag in self.repeated:
            raise ValueError(f"{tag} is given twice, with different values")
        found = self.values.get(tag)
        if found is None:
            return []
        if isinstance(found, str):
            return [found]
        loop, place = found
        n_values, most = loop.length() * loop.width(), current_limits().values
        if n_values > most:  # each would take memory
            raise ValueError(f"a loop of {n_values} values with {tag}; up to {most} are read (limit values)")
        return list(loop.values[place :: loop.width()])


def document(text: str) -> list[cif.Block]:
    """Parse a CIF."""
    check_size(len(text))
    text = text.rstrip("\0\x1a \t\r\n") + "\n"  # what old systems put at the end
    curly = not text.isascii() and _CURLY.search(text)
    if not text.isascii():
        text = _BARRED.sub(r"-\1", text.translate(_MINUS).translate(_DIGITS))
        text = _NOT_ASCII.sub("~", text)  # which means nothing in symbols of space groups and elements
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    if text.lstrip()[:1] in {"_", "l"}:
        text = "data_\n" + text
    if text.startswith("#\\#CIF_2"):
        text = _without_cif2(text)
    try:
        return list(cif.read_string(text, 0))
    except (ValueError, RuntimeError) as error:
        hint = "; a CIF needs straight quotes, not the curly quotes of a word processor" if curly else ""
        raise ValueError(_syntax(str(error), text) + hint) from error


def _without_cif2(text: str) -> str:
    """Write what only CIF 2.0 has in the words of CIF 1.1.

    Three quotes become text fields. Lists and tables become values that are not given: they say nothing of a crystal.
    """
    parts, end = [], 0
    place = 0
    while found := _TOKEN.search(text, place):
        place = found.end()
        if found.lastgroup == "quoted":
            value = f"\n;{found[0][3:-3]}\n;\n"
        elif found.lastgroup == "opening":
            place = _closing(text, found.start())
            value = ".\n"
        else:
            continue
        parts += [text[end : found.start()], value]
        end = place
    return "".join([*parts, text[end:]])


def _closing(text: str, start: int) -> int:
    """Return where a list or table of CIF 2.0 ends."""
    depth = 0
    for mark in _BRACKET.finditer(text, start):
        depth += (mark[0] in "[{") - (mark[0] in "]}")
        if not depth:
            return mark.end()
    line = text.count("\n", 0, start) + 1
    raise ValueError(f"line {line}: a list or table of CIF 2.0 has no closing bracket: the file is cut off")


def _syntax(words: str, text: str) -> str:
    """Say in plain words what gemmi found wrong: "string:3:4(20): Wrong number of values in loop _x"."""
    found = re.match(r"string:(\d+)(?::\d+\(\d+\))?:?\s*(.*)", words, re.DOTALL)
    line, reason = (int(found[1]), found[2]) if found else (0, words)
    if re.search(r"^(?:<{7}|>{7})(?:\s|$)", text, re.MULTILINE):
        return "a merge of two versions (git) was not finished: lines that begin with <<<<<<< show where"
    lines = text.split("\n", line) if 0 < line < 100_000 else []  # far down, as many lines would take memory
    shown = lines[line - 1].strip()[:60] if 0 < line <= len(lines) else ""
    if "Wrong number of values" in reason:
        return (
            f"the loop that begins at line {line} has a number of values that is no multiple of its columns: "
            "a row is cut off, or a value with a space is not quoted"
        )
    plain = {
        "unterminated text field": "a text field has no closing semicolon: the file is cut off",
        "unterminated 'string'": "a quoted value has no closing quote",
        'unterminated "string"': "a quoted value has no closing quote",
        "expected block header": "a CIF begins with data_ and a name",
        "has no value": "a tag has no value",
        "parse error": "this is no CIF: a value with a space is not quoted, or a value is missing or one too many",
    }
    said = next((say for key, say in plain.items() if key in reason), "this is no CIF")
    return f"line {line} ({shown!r}): {said}"


def is_crystal(block: cif.Block) -> bool:
    """Tell whether a block has a cell or atoms: publications have further blocks for other things."""
    for item in block:
        pair: Any = item.pair
        loop = item.loop
        tags = [str(pair[0])] if pair is not None else loop.tags if loop is not None else []
        if any(tag.lower().startswith(_CRYSTAL_TAGS) for tag in tags):
            return True
    return False


def chosen_block(blocks: Sequence[cif.Block], crystals: Sequence[cif.Block], name: str | None) -> cif.Block:
    """Return the block that was asked for, or the first with a crystal."""
    if name is not None:
        named = [one for one in blocks if one.name.strip().lower() == name.lower()]
        if len(named) != 1:
            names = ", ".join(one.name.strip() for one in crystals[:10])
            raise ValueError(
                f"{len(named) or 'no'} data blocks are called {name!r}; those with crystals are {names or 'none'}"
            )
        return named[0]
    if not crystals:
        raise ValueError("no data block has a cell or atoms: this CIF describes no crystal structure")
    return crystals[0]


def tags_of(block: cif.Block) -> Tags:
    """List what a block says."""
    values: dict[str, Any] = {}
    repeated = set()
    for tag, value in _items(block):
        tag = tag.lower().replace(".", "_")
        said = values.setdefault(tag, value)
        if said == value or _says_nothing(value):  # the same again is no contradiction
            continue
        if not _says_nothing(said):
            repeated.add(tag)
        values[tag] = value
    return Tags(block.name.strip(), values, frozenset(repeated))


def _says_nothing(value: Any) -> bool:
    """Tell a value that is unknown, or empty: files of minerals have an empty formula below the formula."""
    return isinstance(value, str) and (cif.is_null(value) or cif.as_string(value).strip() in ("", "?", "."))


def _items(block: cif.Block) -> Iterator[tuple[str, Any]]:
    """Give each tag of a block with its value, or with its loop and column."""
    for item in block:
        pair: Any = item.pair
        if pair is not None:
            yield pair[0], pair[1]
        elif (loop := item.loop) is not None:
            for place, tag in enumerate(loop.tags):
                yield tag, (loop, place)


def number(word: str, what: str) -> float:
    """Read a number, without its uncertainty; fractions such as 1/3 too."""
    value = cif.as_number(word)
    if math.isnan(value):
        text = cif.as_string(word).strip()
        value = cif.as_number(text)
        if math.isnan(value) and (found := _FRACTION.fullmatch(text)) and int(found[2]):
            value = float(found[1]) / int(found[2])
    if not math.isfinite(value):
        raise ValueError(f"{what} is {word[:40]}; a number is needed")
    return value
