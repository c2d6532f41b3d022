"""Predictions against true values, with their intervals and a histogram of the errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.plotting._axes import new_axes
from skdim.plotting._styles import COLOURS, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


class ParityDisplay:
    """Predictions against true values, with their intervals and a histogram of the errors.

    Make it with `from_predictions` or `from_estimator`.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n,)
        Targets and predictions.
    interval : ndarray of shape (n, 2), optional
        Lower and upper ends of an interval for each prediction.
    target : str
        Name of the target, such as "band gap".
    unit : str
        Unit of the target, such as "eV".
    logarithmic : bool
        Whether the axes are; errors are then decades, and rows with values up to 0 are left out.

    Attributes
    ----------
    ax_, histogram_ax_ : Axes
        Of the predictions, and of the histogram beside it.
    figure_ : Figure
        With both.
    """

    ax_: Axes
    histogram_ax_: Axes
    figure_: Figure

    def __init__(
        self,
        y_true: NDArray[np.float64],
        y_pred: NDArray[np.float64],
        interval: NDArray[np.float64] | None = None,
        *,
        target: str = "",
        unit: str = "",
        logarithmic: bool = False,
    ) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.interval = interval
        self.target = target
        self.unit = unit
        self.logarithmic = logarithmic

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        interval: Any = None,
        *,
        target: str = "",
        unit: str = "",
        logarithmic: bool = False,
        ax: Axes | None = None,
    ) -> ParityDisplay:
        """Draw predictions that are known.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n,)
            Targets and predictions; rows where one is NaN are left out.
        interval : array-like of shape (n, 2), optional
            Lower and upper ends of an interval for each prediction.
        target, unit : str
            Name and unit of the target.
        logarithmic : bool, default=False
            Whether the axes are logarithmic, with errors in decades; rows with values up to 0 are left out.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        ParityDisplay

        Raises
        ------
        ValueError
            If the shapes do not match, or no row is known.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> display = ParityDisplay.from_predictions([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], target="band gap", unit="eV")
        >>> display.ax_.get_xlabel(), round(display.mae, 2)
        ('band gap (eV)', 0.5)
        """
        truth, found = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
        ends = None if interval is None else np.asarray(interval, np.float64)
        if truth.ndim != 1 or truth.shape != found.shape or (ends is not None and ends.shape != (len(truth), 2)):
            shapes = [truth.shape, found.shape, *([] if ends is None else [ends.shape])]
            raise ValueError(f"y_true, y_pred and interval must have shapes (n,), (n,) and (n, 2), got {shapes}.")
        known = np.isfinite(truth) & np.isfinite(found)
        if logarithmic:
            known &= (np.nan_to_num(truth) > 0) & (np.nan_to_num(found) > 0)
        if not known.any():
            raise ValueError("y_true and y_pred must have a row in which both are known.")
        ends = None if ends is None else ends[known]
        return cls(truth[known], found[known], ends, target=target, unit=unit, logarithmic=logarithmic).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        coverage: float = 0.9,
        target: str = "",
        unit: str = "",
        logarithmic: bool = False,
        ax: Axes | None = None,
    ) -> ParityDisplay:
        """Predict rows that the estimator has not seen, and draw the predictions.

        Parameters
        ----------
        estimator : fitted regressor
            Its intervals are drawn if it has the method ``predict_interval``, as `CrystalRegressor` has.
        X : collection of n rows
            As the estimator takes them.
        y : array-like of shape (n,)
            Targets.
        coverage : float, default=0.9
            Of the intervals.
        target, unit, logarithmic
            As for `from_predictions`.
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        ParityDisplay
        """
        interval = estimator.predict_interval(X, coverage) if hasattr(estimator, "predict_interval") else None
        return cls.from_predictions(
            y, estimator.predict(X), interval, target=target, unit=unit, logarithmic=logarithmic, ax=ax
        )

    @property
    def mae(self) -> float:
        """Mean absolute error, in decades where the axes are logarithmic."""
        return float(np.abs(self._errors()).mean())

    @property
    def coverage(self) -> float:
        """Share of the targets within their intervals; NaN without intervals."""
        return float("nan") if self.interval is None else float(self._inside().mean())

    def _errors(self) -> NDArray[np.float64]:
        """Predictions less true values, in decades where the axes are logarithmic."""
        if self.logarithmic:
            return np.log10(self.y_pred) - np.log10(self.y_true)
        return self.y_pred - self.y_true

    def _inside(self) -> NDArray[np.bool_]:
        """Whether each target is within its interval."""
        if self.interval is None:
            return np.ones(len(self.y_true), bool)
        inside: NDArray[np.bool_] = (self.interval[:, 0] <= self.y_true) & (self.y_true <= self.interval[:, 1])
        return inside

    def plot(self, ax: Axes | None = None) -> ParityDisplay:
        """Draw.

        Points are filled where the target is within its interval and open squares where it is not.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default new axes of pyplot.

        Returns
        -------
        self
        """
        self.ax_ = new_axes(7.2, 4.6) if ax is None else ax
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self._draw_points(self.ax_)
        self.histogram_ax_ = self.ax_.inset_axes((1.14, 0.0, 0.42, 1.0))
        self._draw_errors(self.histogram_ax_)
        return self

    def _draw_points(self, ax: Axes) -> None:
        """Draw predictions, intervals and the diagonal."""
        size = float(np.clip(4000 / len(self.y_true), 8, 30))
        limits = self._limits()
        ax.plot(limits, limits, color=GREY, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
        if self.interval is not None:
            ax.vlines(self.y_true, *self.interval.T, color=GREY, alpha=0.35, linewidth=0.8, zorder=2)
        inside = self._inside()
        ax.scatter(self.y_true[inside], self.y_pred[inside], s=size, color=COLOURS[0], linewidths=0, zorder=3)
        ax.scatter(
            self.y_true[~inside], self.y_pred[~inside], s=1.3 * size, marker="s", facecolors="white",
            edgecolors=COLOURS[1], linewidths=1.0, zorder=3,
        )  # fmt: skip
        if self.logarithmic:
            ax.set(xscale="log", yscale="log")
        ax.set(xlim=limits, ylim=limits, xlabel=self._label(self.target or "true value"))
        ax.set_ylabel(self._label(f"predicted {self.target}".strip() if self.target else "prediction"))
        ax.set_aspect("equal", anchor="W")  # room for the histogram on the right
        ax.spines[["top", "right"]].set_visible(False)
        unit = "decades" if self.logarithmic else self.unit
        lines = [f"MAE {self.mae:.3g} {unit}".strip(), f"{len(self.y_true):,} rows"]
        if self.interval is not None:
            lines.append(f"{self.coverage:.0%} within their interval")
        ax.text(0.03, 0.97, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=9)

    def _limits(self) -> tuple[float, float]:
        """Ends of both axes."""
        ends = [] if self.interval is None else list(self.interval.T)
        shown = np.concatenate([self.y_true, self.y_pred, *ends])
        if self.logarithmic:
            shown = np.log10(shown[shown > 0])
        low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
        pad = 0.04 * (high - low) or 0.5
        low, high = low - pad, high + pad
        return (10**low, 10**high) if self.logarithmic else (low, high)

    def _draw_errors(self, ax: Axes) -> None:
        """Draw the histogram of the errors."""
        errors = self._errors()
        most = float(np.percentile(np.abs(errors), 99)) or 1.0
        # What is beyond is counted in the last bins.
        ax.hist(
            np.clip(errors, -most, most),
            bins=np.linspace(-most, most, 26).tolist(),
            color=COLOURS[0],
            edgecolor="white",
        )
        ax.axvline(0.0, color="#222222", linewidth=1, linestyle=(0, (4, 2)))
        ax.set(xlabel="error (decades)" if self.logarithmic else self._label("error"), ylabel="rows")
        ax.spines[["top", "right"]].set_visible(False)

    def _label(self, name: str) -> str:
        """A name with the unit of the target."""
        return f"{name} ({self.unit})" if self.unit else name
