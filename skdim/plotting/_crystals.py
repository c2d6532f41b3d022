"""A crystal drawn as crystals are drawn: atoms, bonds and the cell."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.crystals.structures import load_structures
from skdim.exceptions import InputError
from skdim.plotting._axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

_VIEW = (1.0, 0.35, 0.25)  # direction to the viewer
_SCALE = 0.42  # of the radii
_BORDER = 0.1  # Angstrom from a face of the cell, within which an atom is drawn on the other side too
_LOOK = {
    "show_axes": False,
    "atom_scale": _SCALE,
    "pbc_padding": _BORDER,
    "atom_outline_width": 0.7,
    "bond_outline_width": 0.7,
}
_BONDS = 8  # of one kind that an atom has; more of them, as of Sr to O in SrTiO3, would hide the rest
_MOST = 1000  # sites; beyond, nothing can be told apart


class CrystalDisplay:
    """A crystal with its bonds and its cell, coloured by element or by a value of each site.

    Make it with `from_structure` or `from_estimator`. It is drawn by hofmann (``pip install 'skdim-crystals[draw]'``):
    bonds are those of VESTA's table of lengths, without kinds of which an atom has more than eight; atoms on the border
    of the cell are drawn on each side of it, and mixed sites are pies. Colours of elements are those of VESTA; atoms
    that are coloured by a value have the symbols of their elements on them.

    Parameters
    ----------
    structure : Structure
        Of pymatgen.
    values : ndarray of shape (n_sites,) or None, default=None
        What colours the sites, NaN in grey; None colours them by element.
    label : str
        Name and unit of the values.

    Attributes
    ----------
    ax_ : Axes
        With the crystal.
    figure_ : Figure
        Of the axes.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, structure: Structure, values: NDArray[np.float64] | None = None, *, label: str = "") -> None:
        self.structure = structure
        self.values = values
        self.label = label

    @classmethod
    def from_structure(
        cls, structure: Any, values: Any = None, *, label: str = "", ax: Axes | None = None
    ) -> CrystalDisplay:
        """Draw a crystal.

        Parameters
        ----------
        structure : crystal
            Of any accepted kind: a pymatgen Structure, a path, ...
        values : array-like of shape (n_sites,), optional
            What colours the sites, NaN in grey; by default their elements do.
        label : str
            Name and unit of the values.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        CrystalDisplay

        Raises
        ------
        StructureError
            If it is no usable crystal, or one of more than 1000 sites.
        ValueError
            If there is not one value for each site, or none is known.
        ImportError
            If hofmann is not installed.

        Examples
        --------
        >>> import matplotlib
        >>> from pymatgen.core import Lattice, Structure
        >>> matplotlib.use("Agg")
        >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        >>> CrystalDisplay.from_structure(salt).ax_.get_title()
        'NaCl'
        """
        crystal: Any = load_structures([structure], max_sites=_MOST)[0][0]
        sizes = None if values is None else np.asarray(values, np.float64)
        if sizes is not None and (sizes.shape != (len(crystal),) or not np.isfinite(sizes).any()):
            raise InputError(f"values must have shape ({len(crystal)},), a number for a site or more, got {values!r}.")
        return cls(crystal, sizes, label=label).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, structure: Any, *, ax: Axes | None = None) -> CrystalDisplay:
        """Draw how unexpected an embedder finds the element on each site of a crystal, given its neighbours.

        Parameters
        ----------
        estimator : DeepInfoMaxEmbedder
            Fitted, with a context objective, as the default preset has.
        structure : crystal
            Of any accepted kind.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        CrystalDisplay
            Its values are the surprise of `skdim.interpretation.site_surprise`.
        """
        from skdim.interpretation import site_surprise

        sites = site_surprise(estimator, structure)
        crystal: Any = load_structures([structure])[0][0]
        values = np.full(len(crystal), np.nan)
        values[sites["site"]] = sites["surprise"]
        return cls.from_structure(crystal, values, label="surprise (nats)", ax=ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "cividis_r") -> CrystalDisplay:
        """Draw; a legend names the elements, or a colour bar the values.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.
        cmap : str, default="cividis_r"
            Colour map of matplotlib, dark for high values; this one falls evenly in lightness, so it can be read in
            grey.

        Returns
        -------
        self
        """
        self.ax_ = new_axes(5.6, 5.0) if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        from matplotlib.colors import Normalize, to_rgba

        scene = _scene(self.structure)
        if self.values is None:
            scene.render_mpl(ax=self.ax_, **_LOOK)
            self._name_elements(scene)
            first = [next(iter(site.species.get_el_amt_dict())) for site in self.structure]
            self._write_symbols(scene, np.array([to_rgba(scene.atom_styles[symbol].colour) for symbol in first]))
        else:
            from matplotlib.cm import ScalarMappable

            scale = Normalize(float(np.nanmin(self.values)), float(np.nanmax(self.values)))
            scene.set_atom_data("value", self.values)
            limits = scale.vmin, scale.vmax
            scene.render_mpl(ax=self.ax_, colour_by="value", cmap=cmap, colour_range=limits, **_LOOK)
            colours = ScalarMappable(scale, cmap)
            bar = self.figure_.colorbar(colours, ax=self.ax_, label=self.label, shrink=0.7)
            bar.outline.set_visible(False)
            self._write_symbols(scene, colours.to_rgba(self.values))
        whole = self.structure.composition
        self.ax_.set_title(whole.reduced_formula if self.structure.is_ordered else whole.fractional_composition.formula)
        return self

    def _name_elements(self, scene: Any) -> None:
        """Write the elements beside the crystal."""
        from matplotlib.lines import Line2D

        dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 9, "markeredgecolor": "#222222"}
        styles = {symbol: scene.atom_styles[symbol] for symbol in self.structure.composition.get_el_amt_dict()}
        handles = [Line2D([], [], color=style.colour, label=symbol, **dot) for symbol, style in styles.items()]
        self.ax_.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)

    def _write_symbols(self, scene: Any, colours: NDArray[np.float64]) -> None:
        """Write the elements on the atoms that nothing in front hides, as large as the atoms."""
        from matplotlib.patches import PathPatch
        from matplotlib.textpath import TextPath
        from matplotlib.transforms import Affine2D

        sites, places = _drawn_atoms(self.structure)
        symbols = ["/".join(site.species.chemical_system_set) for site in self.structure]
        sizes = [max(scene.atom_styles[s].radius for s in site.species.chemical_system_set) for site in self.structure]
        flat, depth, radii = scene.view.project(places, _SCALE * np.array(sizes)[sites])
        for k, site in enumerate(sites):
            if self.values is None and not self.structure[site].is_ordered:
                continue  # the parts of its disc tell
            front = depth > depth[k] + 1e-6
            if (np.linalg.norm(flat[front] - flat[k], axis=1) < radii[front] + 0.6 * radii[k]).any():
                continue
            text = TextPath((0, 0), symbols[site], size=1.0)
            box = text.get_extents()
            size = 1.1 * radii[k] / max(box.width, box.height)
            middle = -(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2
            place = Affine2D().translate(*middle).scale(size).translate(*flat[k])
            dark = colours[site, :3] @ [0.299, 0.587, 0.114] < 0.5
            shape = text.transformed(place)
            self.ax_.add_patch(PathPatch(shape, color="white" if dark else "#222222", linewidth=0, zorder=5))


def _drawn_atoms(structure: Structure) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Site and place of each atom in the cell or on its border, (a,) and (a, 3)."""
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 1, 3)
    images = structure.frac_coords % 1 + shifts  # (27, n, 3)
    slack = _BORDER * np.array(structure.lattice.reciprocal_lattice_crystallographic.lengths)  # one over heights
    inside = ((images >= -slack) & (images <= 1 + slack)).all(-1)
    return np.nonzero(inside)[1], structure.lattice.get_cartesian_coords(images[inside])


def _scene(structure: Structure) -> Any:
    """A scene of hofmann, with the colours that crystallographers know."""
    try:
        from hofmann import AtomStyle, BondSpec, StructureScene, default_atom_style, default_bond_specs
    except ImportError as error:
        raise ImportError("CrystalDisplay needs hofmann: pip install 'skdim-crystals[draw]'") from error
    symbols = list(structure.composition.get_el_amt_dict())
    known = default_bond_specs(symbols)
    drawn = [bond for bond in known if _most_bonds(structure, *bond.species, bond.max_length) <= _BONDS]
    # Groups such as carbonate are drawn whole, also where they reach out of the cell.
    bonds = [BondSpec(bond.species, bond.max_length, complete=_centre(*bond.species)) for bond in drawn or known]
    styles = {}
    for symbol in symbols:
        plain = default_atom_style(symbol)
        styles[symbol] = AtomStyle(plain.radius, _colours().get(symbol, plain.colour))
    scene = StructureScene.from_pymatgen(structure, bonds, atom_styles=styles)
    scene.view.look_along(_VIEW, up=(0.0, 0.0, 1.0))
    return scene


def _most_bonds(structure: Structure, first: str, second: str, length: float) -> int:
    """Most neighbours of one element that an atom of the other has within a length in Angstrom."""
    center, other, _, _ = structure.get_neighbor_list(length)
    one, two = (
        np.array([symbol in site.species.chemical_system_set for site in structure]) for symbol in (first, second)
    )
    joined = (one[center] & two[other]) | (two[center] & one[other])
    return int(np.bincount(center[joined], minlength=1).max())


def _centre(first: str, second: str) -> str | bool:
    """The element whose bonds of this kind are all drawn: the less electronegative of two non-metals."""
    from pymatgen.core.periodic_table import Element

    one, other = Element(first), Element(second)
    if one.is_metal or other.is_metal:
        return False
    return first if one.X <= other.X else second


@cache
def _colours() -> dict[str, tuple[float, float, float]]:
    """VESTA's colours of the elements, from pymatgen's table."""
    try:
        from pymatgen.core.graphs import EL_COLORS
    except ModuleNotFoundError:  # of earlier versions
        from pymatgen.analysis.graphs import EL_COLORS

    return {symbol: (r / 255, g / 255, b / 255) for symbol, (r, g, b) in EL_COLORS["VESTA"].items()}
