"""How far the sites of an encoder look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skdim._parameters import check, choice
from skdim.exceptions import InputError
from skdim.plotting._axes import new_axes
from skdim.plotting._styles import COLOURS, MARKERS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = ("crystal", "site", "encoder", "head", "distance", "weight")
_LINES = ("-", "--", "-.", ":")


class AttentionDisplay:
    """The attention of sites by the distance of the neighbour, a curve for each head.

    Make it with `from_estimator` or `from_table`.

    Parameters
    ----------
    curves : DataFrame of shape (shells, heads)
        Attention that a site pays to all neighbours in a shell, mean over the sites; each column sums to one. The index
        holds the middles of the shells in Angstrom.
    width : float
        Of a shell, in Angstrom.
    encoder : str
        Whose attention it is.

    Attributes
    ----------
    ax_ : Axes
        With the curves.
    figure_ : Figure
        Of the axes.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, curves: pd.DataFrame, *, width: float = 0.25, encoder: str = "environment") -> None:
        self.curves = curves
        self.width = width
        self.encoder = encoder

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        encoder: str = "environment",
        width: float = 0.25,
        ax: Axes | None = None,
    ) -> AttentionDisplay:
        """Draw the attention of a fitted embedder in some crystals.

        Parameters
        ----------
        estimator : DeepInfoMaxEmbedder
            Fitted.
        X : collection of crystals, or PointSets
            Some dozens are enough.
        encoder : {"environment", "context"}, default="environment"
            The one that sees the atom in the centre, or the one that does not.
        width : float, default=0.25
            Of a shell, in Angstrom.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        AttentionDisplay
        """
        from skdim.interpretation import attention_by_distance

        return cls.from_table(attention_by_distance(estimator, X), encoder=encoder, width=width, ax=ax)

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, *, encoder: str = "environment", width: float = 0.25, ax: Axes | None = None
    ) -> AttentionDisplay:
        """Draw attention that is known.

        Parameters
        ----------
        table : DataFrame
            As `skdim.interpretation.attention_by_distance` gives it.
        encoder : {"environment", "context"}, default="environment"
            Of those in the table.
        width : float, default=0.25
            Of a shell, in Angstrom.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        AttentionDisplay

        Raises
        ------
        ValueError
            If a column is missing, or the table has no rows of the encoder.

        Examples
        --------
        >>> import matplotlib
        >>> import pandas as pd
        >>> matplotlib.use("Agg")
        >>> rows = [(0, 0, "environment", 0, 2.1, 0.75), (0, 0, "environment", 0, 3.4, 0.25)]
        >>> table = pd.DataFrame(rows, columns=["crystal", "site", "encoder", "head", "distance", "weight"])
        >>> AttentionDisplay.from_table(table, width=0.5).curves[0].tolist()
        [0.75, 0.0, 0.25]
        """
        import numpy as np

        missing = [name for name in _COLUMNS if name not in table]
        if missing:
            raise InputError(f"table must have the columns {', '.join(_COLUMNS)}, got none of {missing}.")
        check("encoder", encoder, choice(*dict.fromkeys(table["encoder"])))
        own = table[table["encoder"] == encoder]
        n_sites = len(own[["crystal", "site"]].drop_duplicates())
        shell = np.floor(own["distance"] / width).astype(int)
        sums = own.groupby([shell, "head"])["weight"].sum().unstack("head", fill_value=0) / n_sites
        shells = range(int(shell.min()), int(shell.max()) + 1)
        curves = sums.reindex(shells, fill_value=0.0)
        curves.index = (np.asarray(shells) + 0.5) * width
        return cls(curves.rename_axis(index="distance"), width=width, encoder=encoder).plot(ax)

    def plot(self, ax: Axes | None = None) -> AttentionDisplay:
        """Draw; each head has its own colour, line and marker.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        self
        """
        self.ax_ = new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        for k, (head, curve) in enumerate(self.curves.items()):
            self.ax_.plot(
                curve.index,
                curve,
                color=COLOURS[k % len(COLOURS)],
                linestyle=_LINES[k % len(_LINES)],
                marker=MARKERS[k % len(MARKERS)],
                markersize=3.5,
                linewidth=1.4,
                label=f"head {head}",
            )
        self.ax_.set(xlabel="distance (Å)", ylabel=f"attention per shell of {self.width:g} Å")
        self.ax_.set_title(f"{self.encoder} encoder")
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(frameon=False)
        return self
