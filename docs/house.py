"""A picture of the package, drawn from the import contracts in pyproject.toml.

Each layer of the contracts is a storey: what stands in it imports only from the storeys below. Packages that have a
contract of their own show their modules from left to right, each layer before those that import from it.
`made.py` writes the drawing, and a test finds it if it is stale.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

_CONTRACTS = Path(__file__).parent.parent / "pyproject.toml"
_WIDTH, _GAP, _PAD, _LINE = 860, 6, 9, 17
_LETTER = 6.3  # width of a letter of the small text, about
_STYLE = (
    ".house text{font:600 13px system-ui,sans-serif;fill:#222}"
    ".house .modules{font-weight:400;font-size:11.5px}"
    ".house rect{fill:#4a90d9;fill-opacity:.12;stroke:#4a90d9}"
    ".house .paper{fill:#fff;fill-opacity:1;stroke:none}"  # a dark page must not lie behind dark letters
)


@dataclass(frozen=True)
class Room:
    """A module, or a package with the layers of its own modules, the lowest one first."""

    name: str
    layers: tuple[tuple[str, ...], ...] = ()

    def lines(self, width: float) -> list[str]:
        """The modules in lines of a width; an arrow stands between layers."""
        words = [word for layer in self.layers for word in (*(f"{name}," for name in layer[:-1]), f"{layer[-1]} →")]
        lines = [""]
        for word in words:
            if _LETTER * len(f"{lines[-1]} {word}") > width - 2 * _PAD:
                lines.append("")
            lines[-1] += f" {word}" if lines[-1] else word
        return [*lines[:-1], lines[-1].removesuffix(" →")] if words else []

    def height(self, width: float) -> int:
        """How much room the name and the lines take."""
        return _PAD + _LINE * (1 + len(self.lines(width))) + _PAD // 2


def storeys(pyproject: Path = _CONTRACTS) -> list[list[Room]]:
    """Read the layers of the package, the top one first."""
    contracts = tomllib.loads(pyproject.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = {name: c["layers"] for c in contracts if c["type"] == "layers" for name in c["containers"]}

    def room(name: str) -> Room:
        return Room(name, tuple(tuple(_names(layer)) for layer in reversed(layers.get(f"skdim.{name}", ()))))

    return [[room(name) for name in _names(layer)] for layer in layers["skdim"]]


def _names(layer: str) -> list[str]:
    """The modules of a layer, which the contracts write as "a | (b) : c"."""
    return re.findall(r"\w+", layer)


def house_svg(house: list[list[Room]]) -> str:
    """Draw the storeys.

    Parameters
    ----------
    house : list of list of Room
        From `storeys`, the top one first.

    Returns
    -------
    str
        An SVG picture.
    """
    drawn: list[str] = []
    top = 1
    for rooms in house:
        width = (_WIDTH - 2 - _GAP * (len(rooms) - 1)) / len(rooms)
        height = max(room.height(width) for room in rooms)
        for k, room in enumerate(rooms):
            drawn += _room(room, 1 + k * (width + _GAP), top, width, height)
        top += height + _GAP
    title = "The modules of skdim by layer: each imports only from the layers below its own."
    return (
        f'<svg class="house" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" role="img" '
        f'style="max-width:100%;height:auto"><title>{title}</title><style>{_STYLE}</style>'
        f'<rect width="{_WIDTH}" height="{top}" class="paper"/>{"".join(drawn)}</svg>'
    )


def _room(room: Room, x: float, y: float, width: float, height: float) -> Iterator[str]:
    """A box with the name of a module or package, and below it the package's modules."""
    yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" rx="4"/>'
    x, y = x + _PAD, y + _PAD + 11
    yield f'<text x="{x:.1f}" y="{y}">{escape(room.name)}</text>'
    for k, line in enumerate(room.lines(width), 1):
        yield f'<text class="modules" x="{x:.1f}" y="{y + k * _LINE}">{escape(line)}</text>'
