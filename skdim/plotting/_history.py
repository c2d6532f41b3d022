"""The losses of a training, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.plotting._axes import new_axes
from skdim.plotting._styles import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOSSES = {"train_loss": ("training", COLOURS[0], "-", "o"), "valid_loss": ("held out", COLOURS[1], "--", "s")}


class TrainingHistoryDisplay:
    """The losses of a training, epoch by epoch.

    Make it with `from_estimator` or `from_history`.

    Parameters
    ----------
    history : DataFrame
        Columns ``epoch``, ``train_loss`` and ``valid_loss``, and ``member`` for an ensemble.
    unit : str
        Unit of the loss, where it has one.

    Attributes
    ----------
    ax_ : Axes
        With the curves.
    figure_ : Figure
        Of the axes.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, history: pd.DataFrame, *, unit: str = "") -> None:
        self.history = history
        self.unit = unit

    @classmethod
    def from_estimator(cls, estimator: Any, *, unit: str = "", ax: Axes | None = None) -> TrainingHistoryDisplay:
        """Draw the ``history_`` of a fitted estimator.

        Parameters
        ----------
        estimator : DeepInfoMaxEmbedder or SiteNetRegressor
            Fitted.
        unit : str
            Unit of the loss, where it has one.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        TrainingHistoryDisplay
        """
        return cls.from_history(estimator.history_, unit=unit, ax=ax)

    @classmethod
    def from_history(cls, history: Any, *, unit: str = "", ax: Axes | None = None) -> TrainingHistoryDisplay:
        """Draw a training that is known.

        Parameters
        ----------
        history : list of dict or DataFrame
            For each epoch ``epoch``, ``train_loss``, ``valid_loss``, and possibly ``member``.
        unit : str
            Unit of the loss, where it has one.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        TrainingHistoryDisplay

        Raises
        ------
        ValueError
            If there is no epoch, or a column is missing.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> losses = [{"epoch": k, "train_loss": 1 / k, "valid_loss": 1.2 / k} for k in (1, 2, 3)]
        >>> TrainingHistoryDisplay.from_history(losses).ax_.get_xlabel()
        'epoch'
        """
        import pandas as pd

        table = pd.DataFrame(history)
        if table.empty or not {"epoch", *_LOSSES} <= set(table.columns):
            raise ValueError(
                f"history must have rows with epoch, {' and '.join(_LOSSES)}, got {len(table)} rows with "
                f"{list(table.columns)}; an estimator with max_epochs=0 has none."
            )
        return cls(table, unit=unit).plot(ax)

    def plot(self, ax: Axes | None = None) -> TrainingHistoryDisplay:
        """Draw; the epoch with the lowest loss on held-out rows, whose weights are kept, carries a ring.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        self
        """
        from matplotlib.ticker import MaxNLocator

        self.ax_ = new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        members = [self.history] if "member" not in self.history else [m for _, m in self.history.groupby("member")]
        for number, member in enumerate(members):
            for column, (name, colour, line, marker) in _LOSSES.items():
                if np.isfinite(member[column]).any():
                    (curve,) = self.ax_.plot(
                        member["epoch"], member[column], linestyle=line, marker=marker, color=colour
                    )
                    curve.set(markersize=3, label=name if number == 0 else "_")
            if np.isfinite(member["valid_loss"]).any():
                best = int(np.nanargmin(member["valid_loss"]))
                place = float(member["epoch"].iloc[best]), float(member["valid_loss"].iloc[best])
                self.ax_.plot(*place, "o", ms=10, mfc="none", mec="#222222")
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax_.set(xlabel="epoch", ylabel=f"loss ({self.unit})" if self.unit else "loss")
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(frameon=False)
        return self
