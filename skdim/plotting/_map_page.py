"""One HTML page of a map of crystals: it opens without a network, and shows, searches, selects and exports.

The drawing is done by plotly.js, which pymatgen brings along: WebGL points for some hundred thousand crystals, and the
chosen crystal in three dimensions. Chemiscope shows structures better but draws every point with its full data, which
becomes slow above some ten thousand; deck.gl and regl-scatterplot are faster still but would have to be fetched.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim._files import generator, replacing

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

MOST_STRUCTURES = 20_000  # embedded in a page: above, it would be tens of megabytes
_GRID = 65_535  # fractional coordinates are kept as 16-bit integers: better than 0.001 Angstrom in cells up to 60


def save_map_page(
    path: str | os.PathLike[str],
    coordinates: NDArray[Any],
    table: pd.DataFrame,
    *,
    neighbors: NDArray[Any] | None = None,
    structures: Mapping[int, Structure] | None = None,
    color: str | None = None,
    title: str = "Map of crystals",
) -> None:
    """Write a self-contained page on which a map of crystals can be explored.

    Pan and zoom, hover for the properties of a crystal, click for its structure and its nearest neighbours, search by
    id or formula, colour by any column, select with the lasso and save the selection as CSV.

    Parameters
    ----------
    path : str or path
        The HTML file.
    coordinates : ndarray of shape (n, 2)
        Where each crystal is, as `project` gives it.
    table : DataFrame of n rows
        The column "id", perhaps "formula", and properties: numbers or texts.
    neighbors : ndarray of int, shape (n, k), optional
        Row numbers of the nearest neighbours of each crystal, the nearest first.
    structures : mapping of int to pymatgen Structure, optional
        By row number; at most 20,000.
    color : str, optional
        Column that colours the points at first; by default the first property.
    title : str
        Of the page.

    Raises
    ------
    ValueError
        If the lengths differ, a column is missing, or there are too many structures for one page.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from pathlib import Path
    >>> page = Path(tempfile.mkdtemp()) / "map.html"
    >>> save_map_page(page, np.zeros((2, 2)), pd.DataFrame({"id": ["a", "b"], "gap (eV)": [0.0, 1.5]}))
    >>> page.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    from jinja2 import Environment
    from plotly.offline import get_plotlyjs

    places = np.asarray(coordinates, np.float32)
    _check(places, table, neighbors, structures, color)
    properties = [str(name) for name in table.columns if name not in ("id", "formula")]
    facts = {
        "id": [str(name) for name in table["id"]],
        "formula": [str(name) for name in table["formula"]] if "formula" in table else None,
        "x": _packed(places[:, 0], np.float32),
        "y": _packed(places[:, 1], np.float32),
        "columns": [_column(name, table[name]) for name in properties],
        "color": color if color is not None else next(iter(properties), None),
        "neighbors": None if neighbors is None else _packed(neighbors, np.int32),
        "structures": {str(row): _crystal(crystal) for row, crystal in (structures or {}).items()},
        "elements": _element_styles(structures or {}),
    }
    source = files("skdim.plotting").joinpath("_map_page.html").read_text(encoding="utf-8")
    # "<" is written as an escape, so no text in the data can end the script element that holds it.
    data = json.dumps(facts, allow_nan=False).replace("<", "\\u003c")
    page = (
        Environment(autoescape=True)
        .from_string(source)
        .render(generator=generator(), title=title, data=data, plotly=get_plotlyjs())
    )
    with replacing(path) as draft:
        draft.write_text(page, encoding="utf-8")


def _check(
    places: NDArray[np.float32],
    table: pd.DataFrame,
    neighbors: NDArray[Any] | None,
    structures: Mapping[int, Structure] | None,
    color: str | None,
) -> None:
    """Refuse what does not fit together."""
    if places.shape != (len(table), 2) or not np.isfinite(places).all():
        raise ValueError(f"coordinates must be finite numbers of shape ({len(table)}, 2), got shape {places.shape}.")
    if "id" not in table:
        raise ValueError(f"table must have a column 'id', got {list(table.columns)[:10]}.")
    if color is not None and color not in table:
        raise ValueError(f"color must be one of the columns {list(table.columns)[:20]}, got {color!r}.")
    if neighbors is not None and len(neighbors) != len(table):
        raise ValueError(f"neighbors must have {len(table)} rows, got {len(neighbors)}.")
    if len(structures or {}) > MOST_STRUCTURES:
        raise ValueError(
            f"one page holds at most {MOST_STRUCTURES} structures, got {len(structures or {})}: "
            "leave the structures out, or make a map of fewer crystals."
        )


def _packed(values: Any, kind: type) -> str:
    """Return an array as little-endian bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<")).tobytes()).decode()


def _column(name: str, values: pd.Series) -> dict[str, Any]:
    """Describe a property: numbers as packed single precision, everything else as text."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(values) and not is_bool_dtype(values):
        return {"name": name, "numbers": _packed(values.to_numpy(np.float64, na_value=np.nan), np.float32)}
    return {
        "name": name,
        "texts": ["" if missing else str(v) for v, missing in zip(values, values.isna(), strict=True)],
    }


def _crystal(structure: Structure) -> dict[str, Any]:
    """Describe a structure: the lattice (Angstrom), the most frequent element on each site, fractional coordinates."""
    numbers = [max(site.species.items(), key=lambda part: part[1])[0].Z for site in structure]
    wrapped = np.round((structure.frac_coords % 1.0) * _GRID) % _GRID
    return {
        "lattice": [round(float(v), 5) for v in structure.lattice.matrix.ravel()],
        "numbers": numbers,
        "places": _packed(wrapped, np.uint16),
    }


def _element_styles(structures: Mapping[int, Structure]) -> dict[str, list[Any]]:
    """Symbol, colour and covalent radius (Angstrom) of each element that is drawn, by atomic number."""
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
    from pymatgen.core.periodic_table import Element

    present = {species.Z for structure in structures.values() for site in structure for species in site.species}
    styles = {}
    for z in sorted(present):
        symbol = Element.from_Z(z).symbol
        styles[str(z)] = [symbol, _color(z), CovalentRadius.radius.get(symbol, 1.5)]
    return styles


def _color(number: int) -> str:
    """Return a colour for an element: its own hue, and its own lightness, so that grey prints tell some apart."""
    known = {1: "#ffffff", 6: "#404040", 7: "#3050f8", 8: "#e0301e", 9: "#6ac04a", 16: "#e6c229", 17: "#2ca02c"}
    if number in known:
        return known[number]
    import colorsys

    # Steps by the golden angle: elements that are close in the table are far apart in hue.
    red, green, blue = colorsys.hls_to_rgb((number * 0.381966) % 1.0, 0.42 + 0.06 * (number % 5), 0.55)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
