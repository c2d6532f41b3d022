"""A value for each element, drawn on the periodic table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.crystals.structures import load_structures
from skdim.exceptions import InputError
from skdim.plotting._axes import new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 103  # elements that are drawn: up to lawrencium
_EMPTY = "#eeeeee"


class PeriodicTableDisplay:
    """A value for each element, on the periodic table.

    Make it with `from_values`, `from_errors` or `from_similarity`.

    Parameters
    ----------
    values : Series
        By symbol of the element.
    label : str
        Name and unit of the values.

    Attributes
    ----------
    ax_ : Axes
        With the table.
    figure_ : Figure
        Of the axes.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, values: pd.Series, *, label: str = "") -> None:
        self.values = values
        self.label = label

    @classmethod
    def from_values(
        cls, values: Mapping[str, float] | pd.Series, *, label: str = "", ax: Axes | None = None
    ) -> PeriodicTableDisplay:
        """Draw values that are known.

        Parameters
        ----------
        values : mapping or Series
            By symbol of the element, such as ``{"Fe": 1.2}``; NaN counts as not known.
        label : str
            Name and unit of the values.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        PeriodicTableDisplay

        Raises
        ------
        ValueError
            If a name is not the symbol of an element up to lawrencium, or no value is known.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> float(PeriodicTableDisplay.from_values({"Fe": 0.2, "O": 0.1}, label="error (eV)").values["O"])
        0.1
        """
        import pandas as pd

        known = pd.Series(dict(values), dtype=float).dropna()
        strange = [str(name) for name in known.index if name not in _places()]
        if strange or known.empty:
            raise InputError(f"values must have a value for an element or more, by symbol, got {strange or 'none'}.")
        return cls(known, label=label).plot(ax)

    @classmethod
    def from_errors(
        cls,
        structures: Any,
        errors: Any,
        *,
        least: int = 1,
        label: str = "mean absolute error",
        ax: Axes | None = None,
    ) -> PeriodicTableDisplay:
        """Draw the mean absolute error of the crystals that hold an element.

        Parameters
        ----------
        structures : collection of n crystals
            Of any accepted kind.
        errors : array-like of shape (n,)
            Predictions minus true values; NaN is left out.
        least : int, default=1
            Elements in fewer crystals are left out.
        label : str
            Name and unit.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        PeriodicTableDisplay

        Raises
        ------
        ValueError
            If the lengths differ, no element is in ``least`` crystals, or rows are no usable crystals.
        """
        import pandas as pd

        sizes = np.abs(np.asarray(errors, np.float64))
        crystals = load_structures(structures)[0]
        if sizes.shape != (len(crystals),):
            raise InputError(f"errors must have shape ({len(crystals)},), one for each crystal, got {sizes.shape}.")
        rows = [
            (element, size)
            for crystal, size in zip(crystals, sizes, strict=True)
            if crystal is not None and np.isfinite(size)
            for element in crystal.composition.get_el_amt_dict()
        ]
        means = pd.DataFrame(rows, columns=["element", "size"]).groupby("element")["size"].agg(["mean", "count"])
        return cls.from_values(means.loc[means["count"] >= least, "mean"], label=label, ax=ax)

    @classmethod
    def from_similarity(cls, estimator: Any, element: str, *, ax: Axes | None = None) -> PeriodicTableDisplay:
        """Draw how interchangeable with an element an embedder considers the others.

        Parameters
        ----------
        estimator : DeepInfoMaxEmbedder
            Fitted, with a context objective, as the default preset has.
        element : str
            Symbol, such as "O".
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        PeriodicTableDisplay
            Its values are correlations, see `skdim.interpretation.interchangeable_elements`.

        Raises
        ------
        ValueError
            If the embedder has not seen the element, or has no context objective.
        """
        from skdim.interpretation import interchangeable_elements

        alike = interchangeable_elements(estimator)
        if element not in alike:
            raise InputError(f"element must be one of those in the pretraining, {list(alike)}, got {element!r}.")
        label = f"interchangeable with {element} (correlation)"
        return cls.from_values(alike[element].drop(element), label=label, ax=ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "cividis") -> PeriodicTableDisplay:
        """Draw; elements without a value are grey.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.
        cmap : str, default="cividis"
            Colour map of matplotlib; this one rises evenly in lightness, so it can be read in grey.

        Returns
        -------
        self
        """
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize, to_hex
        from matplotlib.patches import Rectangle

        self.ax_ = new_axes(9.6, 5.2) if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        colours = ScalarMappable(Normalize(self.values.min(), self.values.max()), cmap)
        decimals = max(0, 1 - math.floor(math.log10(self.values.abs().max() or 1.0)))
        for symbol, (row, group) in _places().items():
            value = self.values.get(symbol)
            face = _EMPTY if value is None else to_hex(tuple(colours.to_rgba(value)))
            ink = "#999999" if value is None else _ink(face)
            self.ax_.add_patch(Rectangle((group - 0.47, row - 0.47), 0.94, 0.94, facecolor=face, linewidth=0))
            text = symbol if value is None else f"{symbol}\n{value:.{decimals}f}"
            self.ax_.text(group, row, text, ha="center", va="center", fontsize=7.5, color=ink, linespacing=1.15)
        self.ax_.set(xlim=(0.4, 18.6), ylim=(9.8, 0.4), aspect="equal")
        self.ax_.set_axis_off()
        inset = self.ax_.inset_axes((0.19, 0.86, 0.42, 0.035))  # the gap above the transition metals
        bar = self.figure_.colorbar(colours, cax=inset, orientation="horizontal", label=self.label)
        bar.outline.set_visible(False)
        return self


def _places() -> dict[str, tuple[float, float]]:
    """Row and group of each element; lanthanides and actinides stand below."""
    from pymatgen.core.periodic_table import Element

    places = {}
    for number in range(1, _MOST + 1):
        element = Element.from_Z(number)
        series = (57, 8.3) if 57 <= number <= 71 else (89, 9.3) if 89 <= number <= 103 else None
        place = (float(element.row), float(element.group)) if series is None else (series[1], 4.0 + number - series[0])
        places[element.symbol] = place
    return places


def _ink(face: str) -> str:
    """Black or white, whichever can be read on a colour."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(face)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
