"""What box plots show: quartiles of the repeats for each feature set, and one style for a feature set everywhere."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from skdim.plotting import COLOURS, feature_styles, new_figure, plot_error_boxes, plot_label_efficiency, png
from skdim.plotting._styles import _KNOWN


@pytest.fixture
def records():
    rng = np.random.default_rng(0)
    rows = [
        ("energy", features, "ridge", n, repeat, value * n**-0.3 * (1 + 0.1 * rng.normal()))
        for features, value in {"default": 1.0, "default untrained": 1.1, "mine": 1.2}.items()
        for n in (50, 100)
        for repeat in range(7)
    ]
    rows += [("energy", "none", "median", n, d, 0.9) for n in (50, 100) for d in range(7)]
    return pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"])


@pytest.fixture
def ax():
    return Figure((9, 4), layout="constrained").subplots()


def boxes(ax):
    """Bottom, top and centre of each box."""
    extents = [patch.get_path().get_extents() for patch in ax.patches]
    return [(box.y0, box.y1, (box.x0 + box.x1) / 2) for box in extents]


def test_boxes_span_the_quartiles_and_stand_in_order_over_their_number_of_labels(records, ax):
    plot_error_boxes(records, ax, unit="eV/atom")
    own = records[records["features"] != "none"]
    quartiles = own.groupby(["features", "labels"], sort=False)["mae"].quantile([0.25, 0.75]).unstack().to_numpy()
    drawn = np.array(boxes(ax))
    assert drawn[:, :2] == pytest.approx(quartiles)
    assert np.round(drawn[:, 2]).tolist() == [0, 1] * 3
    assert drawn[::2, 2].tolist() == sorted(drawn[::2, 2])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["50", "100"]
    assert ax.get_ylabel() == "MAE on the test fold (eV/atom)"


def test_boxes_do_not_overlap_and_every_one_is_named(records, ax):
    plot_error_boxes(records, ax)
    extents = sorted((p.get_path().get_extents() for p in ax.patches), key=lambda box: box.x0)
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(extents))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "default",
        "default untrained",
        "mine",
        "median",
    ]
    figure = ax.figure
    figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().x1 <= figure.bbox.x1


def test_each_of_few_draws_is_a_marker(records, ax):
    few = records[(records["features"] == "default") & (records["repeat"] < 2)]
    plot_error_boxes(few, ax)
    shown = np.concatenate([np.asarray(markers.get_offsets()) for markers in ax.collections])
    assert sorted(shown[:, 1]) == pytest.approx(sorted(few["mae"]))
    assert shown[:, 0].round().tolist() == [0, 0, 1, 1]


def test_untrained_controls_are_hatched_and_the_median_guess_is_a_line_at_its_height(records, ax):
    plot_error_boxes(records, ax)
    assert [bool(patch.get_hatch()) for patch in ax.patches] == [False, False, True, True, False, False]
    (lines,) = ax.collections
    assert [segment[0, 1] for segment in lines.get_segments()] == [0.9, 0.9]


def test_what_cannot_be_drawn_is_refused(records):
    forest = records[records["features"] == "default"].assign(regressor="forest")
    with pytest.raises(ValueError, match=r"one regressor.*, got \['ridge', 'forest'\] for 'default'"):
        plot_error_boxes(pd.concat([records, forest]))
    with pytest.raises(ValueError, match="of one task"):
        plot_error_boxes(pd.concat([records, records.assign(task="gap")]))
    with pytest.raises(ValueError, match=r"metric must be .* got 'mape'"):
        plot_error_boxes(records, metric="mape")


def test_a_feature_set_has_one_colour_in_every_picture(records, ax):
    names = ["ofm", "mine", "default"]
    part = records[(records["features"] == "mine")]
    plot_label_efficiency(part, ax, features=names)
    colour = ax.lines[0].get_color()
    other = Figure().subplots()
    plot_error_boxes(part, other, features=names)
    assert other.patches[0].get_facecolor() == pytest.approx(
        (*tuple(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)), 1)
    )


# How people without one kind of cone see linear RGB (Machado, Oliveira, Fernandes 2009, severity 1).
PROTAN = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
TRITAN = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]


def seen(colour, matrix):
    """CIE L*a*b* of a colour as it is seen."""
    value = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    rgb = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    x, y, z = np.where((s := xyz / [0.9505, 1, 1.089]) > 0.008856, np.cbrt(s), 7.787 * s + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("matrix", [np.eye(3), PROTAN, DEUTAN, TRITAN], ids=["all cones", "protan", "deutan", "tritan"])
def test_styles_can_be_told_apart_by_the_colour_blind(matrix):
    styles = list(_KNOWN.values())
    assert len({(style.marker, style.plain) for style in styles}) == len(styles)  # also without any colour
    places = [seen(style.color, matrix) for style in styles]
    distances = [np.linalg.norm(a - b) for k, a in enumerate(places) for b in places[:k]]
    assert min(distances) > 5  # two units are a just noticeable difference


def test_names_that_are_not_known_take_what_is_left_in_their_order():
    styles = feature_styles(["mine", "default", "yours", "mine"])
    assert [styles[name].color for name in ("default", "mine", "yours")] == list(COLOURS[:3])
    assert len(feature_styles([str(k) for k in range(20)])) == 20


def test_a_picture_is_a_png_file_of_the_size_of_its_figure():
    figure = new_figure(4.0, 2.0)
    picture = png(figure)
    assert picture[:4] == b"\x89PNG"
    assert [int.from_bytes(picture[k : k + 4], "big") for k in (16, 20)] == [600, 300]
