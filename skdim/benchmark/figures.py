"""Records of a study in, its pictures as PNG files out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skdim.benchmark.records import BEST, NO_FEATURES
from skdim.benchmark.tables import with_best
from skdim.benchmark.text import readable

if TYPE_CHECKING:
    from skdim.benchmark.recording import Recording


def box_picture(recording: Recording, task: str, head: str) -> bytes:
    """Draw the errors of one head on one task as box plots.

    Parameters
    ----------
    recording : Recording
        Of the study.
    task : str
        One of its tasks.
    head : str
        A head, or "best".

    Returns
    -------
    bytes
        Of a PNG file.
    """
    from skdim.plotting import plot_error_boxes, png

    own = recording.records[recording.records["task"] == task]

    def draw(ax: Any) -> None:
        plot_error_boxes(
            own, ax, head=head, heads=recording.heads, unit=recording.unit(task), features=recording.features
        )
        ax.set_title(f"{task}, {readable(head)}")

    return png([draw], width=10.5, height=4.4)


def curve_picture(recording: Recording, task: str, heads: Sequence[str]) -> bytes:
    """Draw learning curves, a panel for each head.

    Parameters
    ----------
    recording : Recording
        Of the study.
    task : str
        One of its tasks.
    heads : sequence of str
        Heads that were measured on the task, "best" among them where it is wanted.

    Returns
    -------
    bytes
        Of a PNG file.
    """
    import pandas as pd

    from skdim.plotting import plot_label_efficiency, png

    records = with_best(recording, task)
    guesses = records["features"] == NO_FEATURES
    shown = records[guesses | records["head"].isin(heads)]
    low, high = shown.groupby(["features", "head", "labels"])["mae"].mean().agg(["min", "max"])

    def panel(head: str, ax: Any) -> None:
        own = records[records["head"] == head]
        # Before drawing: the places of the names depend on it.
        ax.set_ylim(0.8 * low, 1.25 * high)
        alike = guesses & records["labels"].isin(own["labels"])
        both = pd.concat([records[alike], own])
        plot_label_efficiency(both, ax, unit=recording.unit(task), features=recording.features)
        ax.set_title(f"{task}, {readable(head)}")

    return png([lambda ax, head=head: panel(head, ax) for head in heads], width=5.0, height=4.8, sharey=True)  # type: ignore[misc]


def curve_heads(recording: Recording, task: str) -> list[str]:
    """Name the heads whose learning curves are shown: the best, ridge, and what cannot be chosen from.

    Parameters
    ----------
    recording : Recording
        Of the study.
    task : str
        One of its tasks.

    Returns
    -------
    list of str
    """
    measured = set(with_best(recording, task)["head"])
    return [head for head in (BEST, "ridge", "fine_tuned") if head in measured]


def map_picture(recording: Recording, task: str, method: str, features: str) -> bytes:
    """Draw where the crystals of a test fold are, coloured by target.

    Parameters
    ----------
    recording : Recording
        Of a study with maps.
    task, method, features : str
        Which of them.

    Returns
    -------
    bytes
        Of a PNG file.
    """
    from skdim.plotting import plot_embedding_map, png

    maps = recording.maps
    if maps is None:
        raise ValueError("recording has no maps")
    own = maps[(maps["task"] == task) & (maps["method"] == method) & (maps["features"] == features)]
    unit = recording.unit(task)

    def draw(ax: Any) -> None:
        label = f"{task} ({unit})" if unit else task
        plot_embedding_map(own[["x", "y"]], own["target"], ax, label=label).set_title(f"{features}, {method}")

    return png([draw], width=6.0, height=4.8)
