"""The protocol: exact shortcuts against slow twins, pairing of draws, and what the test fold must not touch."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim.benchmark import (
    HEADS,
    KernelRidgeCV,
    best_head,
    compare,
    format_table,
    label_efficiency,
    magpie_statistics,
    summarise,
)
from skdim.benchmark import features as features_module
from skdim.benchmark.draws import draw_labels
from skdim.benchmark.features import standardise
from skdim.benchmark.heads import resolve_heads
from skdim.benchmark.kernel_ridge import held_out_residuals, mean_distances
from skdim.datasets import load_formation_energy

SCORES = ["cv_mae", "mae", "rmse", "r2"]


@pytest.fixture(scope="module")
def energies():
    bunch = load_formation_energy()
    for name in ("data", "target", "test_mask", "material_id"):
        bunch[name] = bunch[name][:400]
    return bunch


@pytest.fixture(scope="module")
def magpie(energies):
    return magpie_statistics(energies.data)


@pytest.fixture(scope="module")
def records(energies, magpie):
    sets = {"Magpie": magpie, "few columns": magpie.iloc[:, ::12]}
    return label_efficiency(
        sets, energies.target, energies.test_mask, label_counts=(30, 100), draws=2, task="energy", random_state=7
    )


def toy(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + np.abs(X[:, 0]) + 3


# Kernel ridge


def slow_residuals(kernel, y, alpha, folds):
    """Train anew without each fold: the bordered system of kernel ridge regression with a free intercept."""
    residuals = np.empty(len(y))
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(y)), fold)
        system = np.ones((len(rest) + 1, len(rest) + 1))
        system[:-1, :-1] = kernel[np.ix_(rest, rest)] + alpha * np.eye(len(rest))
        system[-1, -1] = 0
        *dual, intercept = np.linalg.solve(system, np.append(y[rest], 0.0))
        residuals[fold] = y[fold] - kernel[np.ix_(fold, rest)] @ dual - intercept
    return residuals


@settings(max_examples=15)
@given(st.integers(6, 40), st.integers(1, 8), st.integers(2, 6), st.booleans(), st.integers(0, 100))
def test_held_out_residuals_are_those_of_training_anew_without_each_fold(n, d, k, linear, seed):
    X, y = toy(n, d, seed)
    kernel = X @ X.T / d if linear else np.exp(-0.5 * mean_distances(X, X))
    folds = [held_out for _, held_out in KFold(k).split(X)]
    alphas = (1e-3, 0.1, 10.0)
    fast = held_out_residuals(kernel, y, alphas, folds)
    for row, alpha in zip(fast, alphas, strict=True):
        assert row == pytest.approx(slow_residuals(kernel, y, alpha, folds), rel=1e-6, abs=1e-7)


def test_linear_kernel_ridge_is_ridge_with_alpha_times_the_number_of_columns():
    X, y = toy()
    model = KernelRidgeCV("linear").fit(X, y)
    ridge = Ridge(model.alpha_ * X.shape[1])
    assert model.predict(X) == pytest.approx(ridge.fit(X, y).predict(X))
    anew = cross_val_predict(ridge, X, y, cv=KFold(5))
    assert model.cv_error_ == pytest.approx(np.abs(anew - y).mean())


def test_kernel_ridge_chooses_the_lowest_error_of_all_pairs_of_parameters():
    X, y = toy()
    model = KernelRidgeCV("laplacian").fit(X, y)
    tried = {}
    for alpha in model.alphas:
        for gamma in model.gammas:
            single = KernelRidgeCV("laplacian", alphas=[alpha], gammas=[gamma]).fit(X, y)
            tried[alpha, gamma] = single.cv_error_
    assert (model.alpha_, model.gamma_) == min(tried, key=tried.get)
    assert model.cv_error_ == pytest.approx(min(tried.values()))


def test_kernel_ridge_on_precomputed_distances_is_the_same_also_in_cross_validation():
    X, y = toy()
    D = mean_distances(X, X)
    rows, given = KernelRidgeCV("laplacian"), KernelRidgeCV("laplacian", precomputed=True)
    assert given.fit(D, y).predict(D[:7]) == pytest.approx(rows.fit(X, y).predict(X[:7]))
    assert cross_val_predict(given, D, y) == pytest.approx(cross_val_predict(rows, X, y))


def test_kernel_ridge_with_a_huge_penalty_predicts_the_mean():
    X, y = toy()
    for kernel in ("linear", "laplacian"):
        assert KernelRidgeCV(kernel, alphas=[1e9]).fit(X, y).predict(X) == pytest.approx(np.full(60, y.mean()))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kernel": "rbf"}, "kernel='rbf'"),
        ({"precomputed": True}, "precomputed=True"),
        ({"alphas": [0.0]}, r"alphas=\[0.0\]"),
        ({"kernel": "laplacian", "gammas": []}, r"gammas=\[\]"),
    ],
)
def test_kernel_ridge_refuses_parameters_by_name_and_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        KernelRidgeCV(**parameters).fit(*toy())


def test_kernel_ridge_refuses_targets_that_are_not_finite_and_distances_that_are_no_square():
    with pytest.raises(ValueError, match="Input y contains NaN"):
        KernelRidgeCV().fit(np.eye(6), [1, 2, 3, 4, 5, np.nan])
    with pytest.raises(ValueError, match=r"X has shape \(6, 5\); accepted are distances"):
        KernelRidgeCV("laplacian", precomputed=True).fit(np.ones((6, 5)), np.arange(6))


def test_kernel_ridge_refuses_rows_of_another_width():
    X, y = toy()
    with pytest.raises(ValueError, match=r"3 columns.*trained on 5"):
        KernelRidgeCV().fit(X, y).predict(X[:, :3])


# Draws


def test_a_draw_depends_on_the_seed_and_its_own_number_alone():
    pool = np.arange(0, 900, 3)
    some, more = draw_labels(pool, [50], 2, 0), draw_labels(pool, [20, 50, 100], {20: 1, 50: 4, 100: 1}, 0)
    again = [draw for draw in more if draw.labels == 50][:2]
    assert all((a.rows == b.rows).all() and a.seed == b.seed for a, b in zip(some, again, strict=True))
    other = draw_labels(pool, [50], 2, 1)
    assert (some[0].rows != other[0].rows).any()
    assert (some[0].rows != some[1].rows).any()


def test_draws_are_distinct_rows_of_the_pool_and_every_row_is_drawn_as_often():
    pool = np.arange(100, 140)
    drawn = np.array([draw.rows for draw in draw_labels(pool, [10], 400, 0)])
    assert all(len(set(rows)) == 10 for rows in drawn.tolist())
    counts = np.bincount(drawn.ravel() - 100, minlength=40)
    assert counts.sum() == 4000  # so none is from outside
    # Binomial with mean 100 and deviation 8.7: five deviations.
    assert np.abs(counts - 100).max() < 44


@pytest.mark.parametrize(
    ("counts", "draws", "message"),
    [
        ([30, 500], 2, r"label_counts=\[30, 500\].*to 40.*not \[500\]"),
        ([4], 2, r"from 5 .*cv=5.*not \[4\]"),
        ([0.5], 2, r"not \[0.5\]"),
        ([], 2, r"label_counts=\[\]"),
        ([10, 20, 10], 2, r"label_counts=\[10, 20, 10\]: accepted are different ones"),
        ([10], 0, "draws=0"),
        ([10, 20], {10: 3}, r"draws=\{10: 3\}"),
    ],
)
def test_draws_refuse_what_cannot_be_drawn(counts, draws, message):
    with pytest.raises(ValueError, match=message):
        draw_labels(np.arange(40), counts, draws, 0, cv=5)


def test_what_is_neither_listed_nor_named_is_told(task):
    X, y, mask = task
    with pytest.raises(TypeError, match=r"label_counts=20 is no collection; put it in a list: \[20\]"):
        label_efficiency({"a": X}, y, mask, label_counts=20, draws=1)
    with pytest.raises(TypeError, match="features is a ndarray; accepted are arrays by name"):
        label_efficiency(X, y, mask, label_counts=[20], draws=1)


@pytest.mark.parametrize("cv", [0, 1, 2.5])
def test_draws_refuse_folds_that_nothing_can_be_cut_into(cv):
    with pytest.raises(ValueError, match=f"cv={cv}; accepted are None and whole numbers of at least 2"):
        draw_labels(np.arange(40), [10], 1, 0, cv=cv)


# The protocol


def test_records_have_a_row_for_each_draw_features_and_head(records):
    heads = ["ridge", "kernel_ridge", "random_forest", "extra_trees"]
    wanted = [("none", "median", n, d) for n in (30, 100) for d in range(2)]
    wanted += [(f, h, n, d) for f in ("Magpie", "few columns") for h in heads for n in (30, 100) for d in range(2)]
    assert list(records[["features", "head", "labels", "draw"]].itertuples(index=False, name=None)) == wanted
    assert set(records["task"]) == {"energy"}
    assert np.isfinite(records[SCORES]).all(axis=None)


def test_errors_fall_with_labels_and_lie_below_the_median_guess(records):
    mean = summarise(records).set_index(["features", "head", "labels"])["mean"]
    for head in ("ridge", "kernel_ridge", "random_forest", "extra_trees"):
        assert mean["Magpie", head, 100] < mean["Magpie", head, 30] < mean["none", "median", 30]


def test_records_say_what_training_by_hand_gives(energies, magpie, records):
    pool, test = np.flatnonzero(~energies.test_mask), np.flatnonzero(energies.test_mask)
    draw = draw_labels(pool, [100], 2, 7)[1]
    X = standardise("Magpie", magpie.to_numpy(), pool)
    for head in ("ridge", "extra_trees"):
        model = HEADS[head]()
        if head == "extra_trees":
            model.set_params(random_state=draw.seed)
        predicted = model.fit(X[draw.rows], energies.target[draw.rows]).predict(X[test])
        row = records.query("features == 'Magpie' and head == @head and labels == 100 and draw == 1").iloc[0]
        assert row["mae"] == pytest.approx(np.abs(predicted - energies.target[test]).mean())
        assert row["rmse"] == pytest.approx(np.sqrt(((predicted - energies.target[test]) ** 2).mean()))
        anew = cross_val_predict(clone(model), X[draw.rows], energies.target[draw.rows], cv=KFold(5))
        if head == "extra_trees":
            assert row["cv_mae"] == pytest.approx(np.abs(anew - energies.target[draw.rows]).mean())


def measure(X, y, mask, **kwargs):
    """Measure cheap heads on arrays."""
    heads = {"ridge": HEADS["ridge"](), "kernel": HEADS["kernel_ridge"](), "trees": ExtraTreesRegressor(5)}
    return label_efficiency({"X": X}, y, mask, **{"label_counts": (10, 20), "draws": 2, "heads": heads, **kwargs})


@pytest.fixture
def task():
    X, y = toy(120, 6)
    return X, y, np.arange(120) % 4 == 0


def test_records_are_bit_equal_for_any_number_of_jobs(task):
    one, two = measure(*task, n_jobs=1), measure(*task, n_jobs=2)
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"), check_exact=True)


def test_feature_sets_are_treated_alike_and_unit_free(task):
    X, y, mask = task
    records = label_efficiency({"a": X, "b": 1000 * X + 7}, y, mask, label_counts=[20], draws=2, heads=["kernel_ridge"])
    a, b = (records[records["features"] == name][SCORES].to_numpy() for name in "ab")
    assert a == pytest.approx(b)


def test_the_test_fold_decides_no_choice(task):
    X, y, mask = task
    changed_X, changed_y = X.copy(), y.copy()
    changed_X[mask], changed_y[mask] = 50 * X[mask] + 1, -y[mask]
    plain, changed = measure(X, y, mask), measure(changed_X, changed_y, mask)
    assert (plain["cv_mae"] == changed["cv_mae"]).all()
    assert (plain["mae"] != changed["mae"]).all()


def test_without_folds_only_heads_that_choose_know_their_error(task):
    records = measure(*task, cv=None).set_index("head")["cv_mae"]
    assert records["trees"].isna().all()
    assert records[["ridge", "kernel"]].notna().all()


def test_tuned_heads_report_the_error_of_their_choice():
    X, y = toy(25, 3)
    for name, set_seed in (("extra_trees_cv", "forest"), ("mlp", "estimator__regressor")):
        (head,) = resolve_heads([name])
        scores = head.evaluate(X, y, X, y, seed=3, cv=5)
        chosen = clone(head.regressor).set_params(**{f"{set_seed}__random_state": 3}).fit(X, y)
        assert scores["cv_mae"] == (chosen.cv_error_ if name == "extra_trees_cv" else -chosen.best_score_)


class Spy(TransformerMixin, BaseEstimator):
    """Number of sites as the only feature; remembers how many crystals it was fitted on."""

    def fit(self, X, y=None):
        self.n_seen_ = len(X)
        return self

    def transform(self, X):
        assert isinstance(X, np.ndarray)
        return np.array([[len(structure), self.n_seen_ + len(structure)] for structure in X])


def test_transformers_are_fitted_on_the_pool_only_and_frozen_ones_not_at_all(energies):
    sets = {"fitted": Spy(), "frozen": FrozenEstimator(Spy().fit(energies.data[:9]))}
    given = features_module.compute_features(sets, list(energies.data), np.flatnonzero(~energies.test_mask), 400)
    seen = {name: set(np.diff(values, axis=1).ravel()) for name, values in given.items()}
    assert seen == {"fitted": {(~energies.test_mask).sum()}, "frozen": {9}}


def test_transformers_can_take_point_sets(energies):
    points = CrystalPointSetTransformer().fit_transform(energies.data[:40])
    mask = np.arange(40) % 4 == 0
    sets = {"untrained": DeepInfoMaxEmbedder(max_epochs=0, random_state=0)}
    pool = np.flatnonzero(~mask)
    of_points = features_module.compute_features(sets, points, pool, 40)["untrained"]
    of_structures = features_module.compute_features(sets, energies.data[:40], pool, 40)["untrained"]
    assert of_points == pytest.approx(of_structures, abs=1e-4)


def test_missing_values_become_means_with_one_warning_that_counts_them(task):
    X, y, mask = task
    X = X.copy()
    X[[3, 4, 5], [0, 1, 1]] = np.nan
    with pytest.warns(UserWarning, match=r"features\['X'\] is NaN in 3 rows") as caught:
        records = measure(X, y, mask)
    assert [warning.filename for warning in caught] == [__file__]
    assert records["mae"].notna().all()


def test_columns_that_do_not_vary_or_only_in_the_test_fold_are_harmless(task):
    X, y, mask = task
    wide = np.hstack([X, np.full((120, 1), 0.1), np.where(mask, 1e6, 0.1)[:, None]])
    errors = [
        label_efficiency({"": values}, y, mask, label_counts=[20], draws=1, heads=["ridge"]) for values in (X, wide)
    ]
    assert errors[1]["mae"][0] < 1.2 * errors[0]["mae"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y, m: (X[:-1], y, m), r"features\['X'\] has 119 rows, but y has 120"),
        (lambda X, y, m: (X[:, 0], y, m), r"features\['X'\] has shape \(120,\)"),
        (lambda X, y, m: (np.where(X > 2, np.inf, X), y, m), r"features\['X'\] is infinite in rows"),
        (lambda X, y, m: (X * [np.nan, 1, 1, 1, 1, 1], y, m), r"NaN in every row of the pool in columns \[0\]"),
        (lambda X, y, m: (X, np.where(np.arange(120) == 7, np.nan, y), m), "y is nan in row 7"),
        (lambda X, y, m: (X, np.stack([y, y], 1), m), r"y has shape \(120, 2\)"),
        (lambda X, y, m: (X, y, m.astype(int)), "test_mask has dtype int64"),
        (lambda X, y, m: (X, y, m[:-1]), r"shape \(119,\)"),
        (lambda X, y, m: (X, y, m | True), "120 of 120 rows in the test fold"),
        (lambda X, y, m: (Spy(), y, m), "pass the crystals as structures="),
    ],
)
def test_bad_input_is_refused_by_name_and_value(task, change, message):
    with pytest.raises(ValueError, match=message):
        measure(*change(*task))


def test_a_feature_set_cannot_have_the_name_of_heads_without_features(task):
    X, y, mask = task
    with pytest.raises(ValueError, match="features has the name 'none'"):
        label_efficiency({"none": X}, y, mask, label_counts=[20], draws=1)


@pytest.mark.parametrize(
    ("heads", "error", "message"),
    [
        ("ridge", TypeError, "put it in a list"),
        (["ridge", "forest"], ValueError, r"heads=\['ridge', 'forest'\]; accepted"),
        ([], ValueError, "is empty"),
        ({"mine": Ridge}, TypeError, "instances"),
    ],
)
def test_heads_are_refused_by_name(heads, error, message):
    with pytest.raises(error, match=message):
        resolve_heads(heads)


# Baseline features


def test_magpie_statistics_are_those_of_matminer(energies, magpie):
    from matminer.featurizers.composition import ElementProperty

    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    for row in range(0, 400, 23):
        assert magpie.iloc[row].to_numpy() == pytest.approx(featurizer.featurize(energies.data[row].composition))
    assert list(magpie.columns) == featurizer.feature_labels()


def test_magpie_statistics_depend_on_the_composition_alone(energies):
    structure = energies.data[11]
    other = Structure(Lattice.cubic(4), ["Fe", {"Fe3+": 0.5, "Ni": 0.25}], [[0, 0, 0], [0.5, 0.5, 0.5]])
    twin = Structure(Lattice.cubic(9), ["Fe2+", "Fe", "Fe", "Ni"], np.eye(4, 3) / 2)
    table = magpie_statistics([structure, structure * [2, 1, 1], other, twin]).to_numpy()
    assert (table[0] == table[1]).all()
    mean = magpie_statistics([other])["MagpieData mean Number"][0]
    assert mean == pytest.approx((1.5 * 26 + 0.25 * 28) / 1.75)
    assert not (table[2] == table[3]).all()


def test_magpie_statistics_are_the_same_in_several_processes(energies, magpie):
    pd.testing.assert_frame_equal(magpie_statistics(energies.data[:40], n_jobs=2), magpie.iloc[:40])


def test_magpie_statistics_of_no_crystals_have_all_columns():
    assert magpie_statistics([]).shape == (0, 132)


# Records


def handmade(errors, **columns):
    """Records of one cell: {features: {head: [(cv_mae, mae) of each draw]}}."""
    rows = [
        {"task": "t", "features": f, "head": h, "labels": 50, "draw": d, "cv_mae": cv, "mae": mae, **columns}
        for f, heads in errors.items()
        for h, draws in heads.items()
        for d, (cv, mae) in enumerate(draws)
    ]
    return pd.DataFrame(rows)


def test_the_best_head_is_chosen_draw_by_draw_by_the_labels_not_by_the_test_fold():
    best = best_head(handmade({"a": {"x": [(1.0, 9.0), (2.0, 8.0)], "y": [(2.0, 1.0), (1.0, 7.0)]}}))
    assert best[["head", "chosen", "mae"]].values.tolist() == [["best", "x", 9.0], ["best", "y", 7.0]]
    with pytest.raises(ValueError, match=r"heads \['x'\] is NaN"):
        best_head(handmade({"a": {"x": [(np.nan, 1.0)], "y": [(1.0, 1.0)]}}))


def test_rows_of_several_tables_may_be_numbered_alike():
    first = handmade({"a": {"x": [(1.0, 9.0)], "y": [(2.0, 1.0)]}, "b": {"x": [(1.0, 3.0)], "y": [(2.0, 1.0)]}})
    second = handmade({"a": {"x": [(2.0, 2.0)], "y": [(1.0, 8.0)]}, "b": {"x": [(2.0, 1.0)], "y": [(1.0, 4.0)]}})
    tables = [first, second.assign(task="u")]
    assert best_head(pd.concat(tables))["mae"].tolist() == [9.0, 3.0, 8.0, 4.0]
    assert compare(pd.concat(tables), "a", "b").cells == {("t", 50): 3.0, ("u", 50): 2.0}


def test_draws_of_two_tasks_without_names_are_not_taken_for_one():
    records = handmade({"a": {"x": [(1.0, 9.0)]}, "b": {"x": [(1.0, 3.0)]}})
    with pytest.raises(ValueError, match="'a' has draw 0 of 50 labels for task 't' more than once; give each task"):
        compare(pd.concat([records, records]), "a", "b", head="x")


def test_summary_has_mean_and_standard_error():
    records = handmade({"a": {"x": [(1.0, 1.0), (1.0, 2.0), (1.0, 6.0)]}, "b": {"x": [(1.0, 4.0)]}})
    assert summarise(records)[["draws", "mean"]].values.tolist() == [[3, 3.0], [1, 4.0]]
    assert summarise(records)["standard_error"][0] == pytest.approx(np.sqrt(7 / 3))
    assert "| a        | x    | 3.00 ± 1.53 |" in format_table(records, digits=2)
    assert "| b        | x    | 4.00        |" in format_table(records, digits=2)
    with pytest.raises(ValueError, match="metric='mape'"):
        summarise(records, "mape")


def test_a_set_compared_with_itself_is_one_and_turning_a_comparison_turns_its_interval(records):
    same = compare(records, "Magpie", "Magpie")
    assert (same.ratio, same.low, same.high) == (1, 1, 1)
    ratio, turned = compare(records, "Magpie", "few columns"), compare(records, "few columns", "Magpie")
    assert ratio.low < ratio.ratio < ratio.high
    assert (turned.ratio, turned.low, turned.high) == pytest.approx((1 / ratio.ratio, 1 / ratio.high, 1 / ratio.low))
    assert list(ratio.cells) == [("energy", 30), ("energy", 100)]
    assert ratio.ratio == pytest.approx(np.sqrt(np.prod(list(ratio.cells.values()))))


def test_a_single_draw_has_no_interval():
    ratio = compare(handmade({"a": {"x": [(1.0, 1.0)]}, "b": {"x": [(1.0, 2.0)]}}), "a", "b")
    assert ratio.ratio == 0.5
    assert np.isnan([ratio.low, ratio.high]).all()
    assert str(ratio) == "0.500"


def test_pairing_removes_what_draws_have_in_common():
    level = np.random.default_rng(0).uniform(1, 10, 12)
    records = handmade({"a": {"x": [(1, v) for v in 0.9 * level]}, "b": {"x": [(1, v) for v in level]}})
    ratio = compare(records, "a", "b", head="x")
    assert (ratio.low, ratio.high) == pytest.approx((0.9, 0.9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": "c", "baseline": "b"}, r"features='c' is not in the records; there are \['a', 'b'\]"),
        ({"features": "a", "baseline": "b", "head": "z"}, "head='z'"),
        ({"features": "a", "baseline": "b"}, "same draws"),
    ],
)
def test_comparisons_that_cannot_be_made_are_refused(arguments, message):
    records = handmade({"a": {"x": [(1.0, 1.0)]}, "b": {"x": [(1.0, 1.0), (1.0, 1.0)]}})
    with pytest.raises(ValueError, match=message):
        compare(records, **arguments)
