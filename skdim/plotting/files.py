"""Records or vectors in, picture files out."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from skdim.plotting.curves import plot_label_efficiency
from skdim.plotting.maps import plot_embedding_map

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def png(
    panels: Sequence[Callable[[Axes], object]], *, width: float = 4.6, height: float = 4.2, sharey: bool = False
) -> bytes:
    r"""Draw panels side by side and return the picture.

    Parameters
    ----------
    panels : sequence of callables
        Each is given axes to draw on.
    width, height : float
        Of a panel, in inches.
    sharey : bool, default=False
        Whether all have the vertical axis of the first, on which it is labelled.

    Returns
    -------
    bytes
        Of a PNG file.

    Examples
    --------
    >>> png([lambda ax: ax.plot([1, 2], [3, 4])])[:4]
    b'\x89PNG'
    """
    from matplotlib.figure import Figure

    figure = Figure((width * len(panels), height), layout="constrained")
    for ax, draw in zip(figure.subplots(1, len(panels), sharey=sharey, squeeze=False)[0], panels, strict=True):
        draw(ax)
        if sharey:
            ax.label_outer()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def save_label_efficiency(
    records: pd.DataFrame, path: str | os.PathLike[str], *, unit: str | None = None, title: str = ""
) -> None:
    """Write a picture with a panel for each head, in each of them the heads that ignore the features.

    Parameters
    ----------
    records : DataFrame
        As for `plot_label_efficiency`.
    path : str or path
        The file; its suffix says what kind.
    unit : str, optional
        Unit of the targets.
    title : str
        Above the panels.
    """
    from matplotlib.figure import Figure

    blind = records["features"] == "none"
    heads = list(dict.fromkeys(records.loc[~blind, "head"]))
    figure = Figure((4.1 * len(heads) + 0.2, 4.4), layout="constrained")
    panels = figure.subplots(1, len(heads), sharey=True, squeeze=False)[0]
    # Before drawing: the places of the names depend on it.
    panels[0].set_ylim(0.85 * records["mae"].min(), 1.15 * records["mae"].max())
    for ax, head in zip(panels, heads, strict=True):
        plot_label_efficiency(records[blind | (records["head"] == head)], ax, unit=unit)
        ax.set_title(head.replace("_", " "))
        ax.label_outer()
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def save_embedding_map(
    coordinates: Any, values: Any, path: str | os.PathLike[str], *, label: str = "", title: str = ""
) -> None:
    """Write a picture of `plot_embedding_map`, which explains the parameters.

    Parameters
    ----------
    coordinates, values, label, path, title
        The file's suffix says what kind it is; the title stands above the map.
    """
    from matplotlib.figure import Figure

    figure = Figure((7.5, 5.5), layout="constrained")
    plot_embedding_map(coordinates, values, figure.subplots(), label=label).set_title(title)
    figure.savefig(path, dpi=150)
