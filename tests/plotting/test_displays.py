"""Displays in scikit-learn's manner: what they draw, what they keep, and their units."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error

from skdim.plotting import EmbeddingMapDisplay, LabelEfficiencyDisplay, ParityDisplay, TrainingHistoryDisplay
from tests.handmade import perovskite, salt


@pytest.fixture
def ax():
    return Figure((9, 5), layout="constrained").subplots()


@pytest.fixture
def line():
    X = np.random.default_rng(0).normal(size=(90, 3))
    return X, X @ [1.0, 2.0, 3.0], np.arange(90) % 3 == 0


HISTORY = [
    {"epoch": k, "train_loss": 1 / k, "valid_loss": loss, "dur": 0.1} for k, loss in enumerate((1.0, 0.4, 0.7), 1)
]


def test_each_display_keeps_its_axes_and_figure_and_can_be_drawn_again(ax, line):
    X, y, mask = line
    displays = [
        ParityDisplay.from_predictions(y, y, ax=ax),
        EmbeddingMapDisplay.from_vectors(X, y, method="pca", ax=ax),
        TrainingHistoryDisplay.from_history(HISTORY, ax=ax),
        LabelEfficiencyDisplay.from_estimator(Ridge(), X, y, mask, label_counts=(10, 20), n_repeats=2, ax=ax),
    ]
    for display in displays:
        assert display.ax_ is ax
        assert display.figure_ is ax.figure
        other = Figure((9, 5), layout="constrained").subplots()
        assert display.plot(other) is display
        assert display.ax_ is other


def test_new_axes_are_those_of_pyplot(monkeypatch):
    monkeypatch.setattr(mpl, "get_backend", lambda: "Agg")
    import matplotlib.pyplot as plt

    plt.close("all")  # switching with figures open is deprecated in older versions
    plt.switch_backend("Agg")
    display = TrainingHistoryDisplay.from_history(HISTORY)
    assert display.figure_.number in plt.get_fignums()
    plt.close("all")


# Parity


def test_parity_shows_each_row_with_its_interval_and_open_squares_where_it_misses(ax):
    truth, found = np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.5, 2.0, 1.0, 2.0])
    interval = np.stack([found - 0.6, found + 0.6], axis=1)
    display = ParityDisplay.from_predictions(truth, found, interval, target="band gap", unit="eV", ax=ax)
    bars, inside, outside = ax.collections
    assert sorted(inside.get_offsets().tolist()) == [[1.0, 1.5], [2.0, 2.0]]
    assert outside.get_offsets().tolist() == [[3.0, 1.0]]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == interval[:3].tolist()
    assert display.mae == pytest.approx(mean_absolute_error(truth[:3], found[:3]))
    assert display.coverage == pytest.approx(2 / 3)
    (text,) = ax.texts
    assert text.get_text().splitlines() == ["MAE 0.833 eV", "3 rows", "67% within their interval"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("band gap (eV)", "predicted band gap (eV)")
    assert ax.get_xlim() == ax.get_ylim()


def test_the_histogram_counts_every_error_also_those_far_out(ax):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    found = truth + rng.normal(size=500)
    found[:3] += 100
    display = ParityDisplay.from_predictions(truth, found, unit="eV", ax=ax)
    assert sum(bar.get_height() for bar in display.histogram_ax_.patches) == 500
    assert display.histogram_ax_.get_xlabel() == "error (eV)"
    assert np.isnan(display.coverage)


def test_parity_of_an_estimator_takes_its_intervals_if_it_has_any(ax, line):
    X, y, mask = line

    class Wide(Ridge):
        def predict_interval(self, X, coverage=0.9):
            middle = self.predict(X)
            return np.stack([middle - coverage, middle + coverage], axis=1)

    plain = ParityDisplay.from_estimator(Ridge().fit(X, y), X[mask], y[mask], ax=ax)
    assert plain.interval is None
    wide = ParityDisplay.from_estimator(Wide().fit(X, y), X[mask], y[mask], coverage=0.5, ax=ax)
    assert np.diff(wide.interval, axis=1) == pytest.approx(np.ones((30, 1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0]), r"shapes \(n,\), \(n,\) and \(n, 2\), got \[\(2,\), \(1,\)\]"),
        (([1.0], [1.0], [1.0]), r"got \[\(1,\), \(1,\), \(1,\)\]"),
        (([np.nan], [1.0]), "a row in which both are known"),
    ],
)
def test_parity_refuses_what_does_not_match(arguments, message):
    with pytest.raises(ValueError, match=message):
        ParityDisplay.from_predictions(*arguments)


# Training history


def test_the_history_has_a_curve_for_each_loss_and_a_ring_at_the_best_epoch(ax):
    TrainingHistoryDisplay.from_history(HISTORY, unit="nat", ax=ax)
    train, valid, ring = ax.lines
    assert train.get_ydata().tolist() == [1, 1 / 2, 1 / 3]
    assert valid.get_ydata().tolist() == [1.0, 0.4, 0.7]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, 0.4)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss (nat)")
    assert train.get_linestyle() != valid.get_linestyle()


@pytest.mark.slow
def test_each_member_of_an_ensemble_has_its_curves_and_the_legend_names_them_once(ax):
    rows = [{**row, "member": member} for member in (0, 1) for row in HISTORY]
    TrainingHistoryDisplay.from_history(pd.DataFrame(rows), ax=ax)
    assert len(ax.lines) == 6
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "held out"]


def test_without_held_out_rows_there_is_one_curve_and_without_epochs_an_error(ax):
    TrainingHistoryDisplay.from_history([{**row, "valid_loss": np.nan} for row in HISTORY], ax=ax)
    assert len(ax.lines) == 1
    with pytest.raises(ValueError, match="max_epochs=0 has none"):
        TrainingHistoryDisplay.from_history([])


# Map


def test_the_map_leaves_out_rows_without_a_vector_and_keeps_the_order(ax, line):
    X, y, _ = line
    X = X.copy()
    X[5] = np.nan
    display = EmbeddingMapDisplay.from_vectors(X, y, method="pca", label="energy (eV)", ax=ax)
    assert display.values.tolist() == np.delete(y, 5).tolist()
    assert ax.collections[1].colorbar.ax.get_ylabel() == "energy (eV)"
    with pytest.raises(ValueError, match="same length, got 90 and 89"):
        EmbeddingMapDisplay.from_vectors(X, y[1:])


# Label efficiency


def test_estimators_are_compared_on_the_same_draws_of_the_rows_outside_the_test_fold(ax, line):
    X, y, mask = line
    seen = []

    class Noting(Ridge):
        def fit(self, X, y):
            seen.append(sorted(y))
            return super().fit(X, y)

    display = LabelEfficiencyDisplay.from_estimator(
        {"a": Noting(), "b": Noting(alpha=10)}, X, y, mask, label_counts=(10, 30), n_repeats=3, unit="eV", ax=ax
    )
    assert seen[:6] == seen[6:]
    assert [len(rows) for rows in seen[:6]] == [10] * 3 + [30] * 3
    assert not set(y[mask]) & {value for rows in seen for value in rows}
    results = display.results
    assert results.groupby(["features", "labels"]).size().tolist() == [3] * 4
    assert {line.get_label() for line in ax.lines} == {"a", "b"}
    assert ax.get_ylabel() == "MAE on the test fold (eV)"


def test_crystals_are_rows_also_where_all_have_as_many_sites(ax):
    crystals, y = [salt(), perovskite()] * 10, np.arange(20.0)
    mask = np.arange(20) >= 16
    guess = DummyRegressor(strategy="mean")
    settings = {"label_counts": (4,), "n_repeats": 2, "ax": ax}
    errors = [
        LabelEfficiencyDisplay.from_estimator(guess, X, y, mask, **settings).results["mae"].tolist()
        for X in (crystals, [salt()] * 20, np.zeros((20, 1)), pd.DataFrame({"a": np.zeros(20)}))
    ]
    assert errors[0] == errors[1] == errors[2] == errors[3]
    with pytest.raises(ValueError, match="label_counts must be at most 16"):
        LabelEfficiencyDisplay.from_estimator(guess, crystals, y, mask, label_counts=(17,))


def test_known_results_are_drawn_as_they_are(ax):
    rows = [("", "a", "ridge", n, d, 1 / n) for n in (10, 20) for d in range(2)]
    results = pd.DataFrame(rows, columns=["task", "features", "regressor", "labels", "repeat", "mae"])
    display = LabelEfficiencyDisplay.from_results(results, unit="eV", ax=ax)
    assert display.ax_.lines[0].get_ydata().tolist() == [1 / 10, 1 / 20]


def test_logarithmic_parity_counts_errors_in_decades_and_leaves_out_what_has_no_logarithm(ax):
    truth, found = np.array([1e-6, 1e-3, 1.0, 0.0]), np.array([1e-5, 1e-3, 0.1, 1.0])
    display = ParityDisplay.from_predictions(truth, found, target="conductivity", logarithmic=True, ax=ax)
    assert len(display.y_true) == 3
    assert display.ax_.get_xscale() == display.ax_.get_yscale() == "log"
    assert display.histogram_ax_.get_xlabel() == "error (decades)"
    assert display.mae == pytest.approx((1 + 0 + 1) / 3)
    assert ax.texts[0].get_text().startswith("MAE 0.667 decades")
    assert display.ax_.get_xlim()[0] > 0
