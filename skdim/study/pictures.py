"""The pictures of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skdim.evaluation._records import BEST, NO_FEATURES
from skdim.plotting import label_efficiency_figure, new_figure, plot_embedding_map, plot_error_boxes, png
from skdim.study.blocks import readable
from skdim.study.tables import with_best

if TYPE_CHECKING:
    from skdim.study.recording import Recording


def box_picture(recording: Recording, task: str, regressor: str) -> bytes:
    """Draw the errors of one regressor (or "best") on one task as box plots, as a PNG file."""
    records = with_best(recording, task)
    own = records[(records["features"] == NO_FEATURES) | (records["regressor"] == regressor)]
    figure = new_figure(10.5, 4.4)
    ax = plot_error_boxes(own, figure.subplots(), unit=recording.unit(task), features=recording.features)
    ax.set_title(f"{task}, {readable(regressor)}")
    return png(figure)


def curve_picture(recording: Recording, task: str, regressors: Sequence[str]) -> bytes:
    """Draw learning curves, a panel for each of the regressors that were measured on the task, as a PNG file."""
    figure = label_efficiency_figure(
        with_best(recording, task),
        regressors=regressors,
        unit=recording.unit(task),
        title=task,
        features=recording.features,
    )
    return png(figure)


def curve_regressors(recording: Recording, task: str) -> list[str]:
    """Name the regressors with learning curves: the best, ridge, and fine-tuning, which is not chosen from."""
    known = set(with_best(recording, task)["regressor"])
    return [name for name in (BEST, "ridge", "fine_tuned") if name in known]


def map_pictures(recording: Recording, task: str | None = None) -> list[tuple[str, bytes]]:
    """Draw where the test crystals of one task or of all are, coloured by target: what each shows, and its PNG file."""
    pictures: list[tuple[str, bytes]] = []
    if recording.maps is None:
        return pictures
    own = recording.maps if task is None else recording.maps[recording.maps["task"] == task]
    for (name, method, features), points in own.groupby(["task", "method", "features"], sort=False):
        unit, figure = recording.unit(str(name)), new_figure(6.0, 4.8)
        label = f"{name} ({unit})" if unit else str(name)
        plot_embedding_map(points[["x", "y"]], points["target"], figure.subplots(), label=label)
        figure.axes[0].set_title(f"{features}, {method}")
        alt = f"{method} map of the test crystals of {name} by the vectors {features}"
        pictures.append((alt, png(figure)))
    return pictures
