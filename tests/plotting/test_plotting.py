"""What the pictures show: every curve and point, names that can be read, and the units."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from skdim.plotting import label_efficiency_figure, plot_embedding_map, plot_label_efficiency
from skdim.plotting._curves import spread
from tests.daily import examples


@pytest.fixture
def records():
    rng = np.random.default_rng(0)
    level = {"trained": 1.0, "untrained": 1.02, "Magpie": 1.03}
    rows = [
        ("energy", features, regressor, n, repeat, value * n**-0.3 * (1 + 0.02 * rng.normal()))
        for features, value in level.items()
        for regressor in ("ridge", "random_forest")
        for n in (50, 100, 250)
        for repeat in range(4)
    ]
    rows += [("energy", "none", "median", n, d, 0.9) for n in (50, 100, 250) for d in range(4)]
    return pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"])


@pytest.fixture
def ax():
    return Figure((7, 5), layout="constrained").subplots()


def names_beside(ax):
    return [text for text in ax.texts if text.get_text()]


@pytest.mark.slow
def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, skdim.plotting; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "False"


def test_each_curve_goes_through_the_means_and_carries_its_name(records, ax):
    plot_label_efficiency(records, ax, unit="eV/atom")
    assert len(ax.lines) == 7
    curve = next(line for line in ax.lines if line.get_label() == "Magpie, random forest")
    own = records.query("features == 'Magpie' and regressor == 'random_forest'")
    assert curve.get_xdata().tolist() == [50, 100, 250]
    assert curve.get_ydata() == pytest.approx(own.groupby("labels")["mae"].mean())
    assert {text.get_text() for text in names_beside(ax)} == {line.get_label() for line in ax.lines}
    assert ax.get_ylabel() == "MAE on the test fold (eV/atom)"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["50", "100", "250"]


def test_with_one_regressor_curves_are_named_by_features_alone(records, ax):
    plot_label_efficiency(records[records["regressor"].isin(["ridge", "median"])], ax)
    assert {line.get_label() for line in ax.lines} == {"trained", "untrained", "Magpie", "median"}
    assert len({line.get_color() for line in ax.lines}) == 4


def test_names_do_not_overlap_and_lie_outside_of_the_curves(records, ax):
    plot_label_efficiency(records, ax)
    figure, names = ax.figure, names_beside(ax)
    figure.draw_without_rendering()
    point = figure.dpi / 72
    boxes = [Text.get_window_extent(name) for name in names]  # without the lines that lead to them
    heights = sorted((box.y0 + box.y1) / 2 for box in boxes)
    assert len(heights) == 7
    assert all(b - a >= 1.1 * point * names[0].get_fontsize() for a, b in pairwise(heights))
    end = ax.transData.transform((250, 1))[0]
    assert all(end < box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_the_name_of_a_curve_that_ends_early_stands_beside_the_others_and_points_to_its_end(records, ax):
    few = records[~((records["features"] == "Magpie") & (records["labels"] == 250))]
    plot_label_efficiency(few[few["regressor"] == "ridge"], ax)
    ax.figure.draw_without_rendering()
    names = {name.get_text(): name for name in names_beside(ax)}
    assert names["Magpie"].xy[0] == 100
    assert names["Magpie"].xyann[0] == names["trained"].xyann[0] == 250


def test_bands_are_intervals_of_students_t(ax):
    errors = [1.0, 2.0, 3.0]
    rows = [("", "a", "ridge", n, d, error) for n in (10, 20) for d, error in enumerate(errors)]
    plot_label_efficiency(pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"]), ax)
    (band,) = ax.collections
    height = band.get_paths()[0].vertices[:, 1]
    # Two degrees of freedom: 4.303 standard errors of 1/sqrt(3); below, a tenth of the mean at least.
    assert height.max() == pytest.approx(2 + 4.303 / np.sqrt(3), rel=1e-3)
    assert height.min() == pytest.approx(0.2)


def test_single_draws_have_no_band(records, ax):
    plot_label_efficiency(records[records["repeat"] == 0], ax)
    assert all(len(band.get_paths()) == 0 or not band.get_paths()[0].vertices.size for band in ax.collections)


def test_several_tasks_are_refused(records):
    both = pd.concat([records, records.assign(task="gap")])
    with pytest.raises(ValueError, match=r"one task, got \['energy', 'gap'\]"):
        plot_label_efficiency(both)


@examples(40)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=8), st.floats(0.1, 20))
def test_spread_keeps_order_distance_and_centre(places, step):
    moved = spread(places, step)
    order = np.argsort(places, kind="stable")
    assert all(b - a >= step - 1e-6 for a, b in pairwise(moved[order]))
    assert moved.mean() == pytest.approx(np.mean(places), abs=1e-6)


def test_spread_leaves_what_is_far_apart():
    assert spread([7.0, 1.0, 4.0], 2.5).tolist() == [7.0, 1.0, 4.0]


def test_the_map_shows_every_crystal_and_unknown_values_in_grey(ax):
    rng = np.random.default_rng(0)
    values = np.append(rng.normal(size=300), [np.nan, 50.0])
    plot_embedding_map(rng.normal(size=(302, 2)), values, ax, label="formation energy (eV/atom)")
    unknown, known = ax.collections
    assert (len(unknown.get_offsets()), len(known.get_offsets())) == (1, 301)
    bar = known.colorbar
    assert bar.ax.get_ylabel() == "formation energy (eV/atom)"
    assert known.get_clim() == pytest.approx(tuple(np.nanpercentile(values, [1, 99])))
    assert bar.extend == "both"


def test_points_keep_their_colours(ax):
    places, values = np.stack([np.arange(9.0), np.zeros(9)], 1), np.arange(9.0) ** 2
    plot_embedding_map(places, values, ax)
    drawn = ax.collections[1]
    assert np.asarray(drawn.get_array()) == pytest.approx(np.asarray(drawn.get_offsets())[:, 0] ** 2)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"got \(5, 3\) and \(5,\)"):
        plot_embedding_map(np.zeros((5, 3)), np.zeros(5))


def test_new_axes_are_made_where_none_are_given(records, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    import matplotlib.pyplot as plt

    plt.close("all")  # switching with figures open is deprecated in older versions
    plt.switch_backend("Agg")
    axes = plot_label_efficiency(records), plot_embedding_map(np.zeros((3, 2)), np.arange(3))
    assert all(ax.figure.number in plt.get_fignums() for ax in axes)
    plt.close("all")


def test_a_figure_has_a_panel_for_each_regressor_with_the_guesses_in_each(records):
    figure = label_efficiency_figure(records, unit="eV/atom", title="Energies")
    assert [ax.get_title() for ax in figure.axes] == ["ridge", "random forest"]
    for ax in figure.axes:
        assert {line.get_label() for line in ax.lines} == {"trained", "untrained", "Magpie", "median"}
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert [ax.get_title() for ax in label_efficiency_figure(records, regressors=["ridge"]).axes] == ["ridge"]
