"""Colours and markers of feature sets, the same in every picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Okabe and Ito's colours, which people with any common colour blindness can tell apart, without yellow, which is too
# pale for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#777777"  # of what ignores the features
MARKERS = "osD^vPX"
# The colours are alike in grey, so lines differ too, where pictures have a legend.
LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
NO_FEATURES = "none"  # of what ignores the features, in the column ``features`` of records


@dataclass(frozen=True)
class Style:
    """How a feature set is drawn.

    Attributes
    ----------
    color, marker : str
        As matplotlib names them.
    plain : bool
        False for a control without training, which is drawn with open markers, dashed lines and hatched boxes.
    line : str or tuple
        As matplotlib describes dashes.
    """

    color: str
    marker: str
    plain: bool = True
    line: str | tuple[int, tuple[float, ...]] = "-"


# Those of `skdim benchmark`. Nobody can tell more than seven colours apart reliably, so the markers differ as well.
_KNOWN = {
    "default": Style("#0072B2", "o"),
    "default untrained": Style("#56B4E9", "o", plain=False),
    "default transductive": Style("#332288", "P"),
    "paper": Style("#D55E00", "s"),
    "paper untrained": Style("#E69F00", "s", plain=False),
    "magpie": Style("#009E73", "^"),
    "elements": Style("#000000", "D"),
    "ofm": Style("#CC79A7", "v"),
    "cfid": Style("#882255", "X"),
    "xrd": Style("#8C6D31", "<"),
    "chgnet": Style("#661100", ">"),
    "other property": Style("#AA7744", "*"),
}


def feature_styles(names: Iterable[str]) -> dict[str, Style]:
    """Choose colours and markers.

    Parameters
    ----------
    names : iterable of str
        Feature sets. Those of ``skdim benchmark`` have their own styles; the others are given the remaining ones in the
        order in which they come, so pass the same names for every picture.

    Returns
    -------
    dict of str to Style

    Examples
    --------
    >>> styles = feature_styles(["default", "mine"])
    >>> styles["default"].color, styles["mine"].color
    ('#0072B2', '#D55E00')
    """
    wanted = list(dict.fromkeys(names))
    styles = {name: _KNOWN[name] for name in wanted if name in _KNOWN}
    used = {style.color for style in styles.values()}, {style.marker for style in styles.values()}
    colours = [c for c in COLOURS if c not in used[0]] or list(COLOURS)
    markers = [m for m in MARKERS if m not in used[1]] or list(MARKERS)
    for k, name in enumerate(name for name in wanted if name not in _KNOWN):
        styles[name] = Style(colours[k % len(colours)], markers[k % len(markers)], line=LINES[k % len(LINES)])
    return styles
