"""The protocol: what a record says, what the test fold must not touch, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim.evaluation import REGRESSORS, label_efficiency, magpie_statistics, summarise
from skdim.evaluation import _features as features_module
from skdim.evaluation._features import standardise
from skdim.evaluation._regressors import resolve_regressors as resolve_regressors
from skdim.evaluation._repeats import draw_repeats
from tests.evaluation.toy import toy

SCORES = ["cv_mae", "mae", "rmse", "r2"]


def test_what_is_neither_listed_nor_named_is_told(task):
    X, y, mask = task
    with pytest.raises(TypeError, match=r"label_counts must be a list, got 20; write \[20\]"):
        label_efficiency({"a": X}, y, mask, label_counts=20, n_repeats=1)
    with pytest.raises(TypeError, match="features must map names to arrays or transformers, got a ndarray"):
        label_efficiency(X, y, mask, label_counts=[20], n_repeats=1)


def test_records_have_a_row_for_each_draw_feature_set_and_regressor(records):
    regressors = ["ridge", "kernel_ridge", "extra_trees"]
    wanted = [("none", "median", n, d) for n in (30, 100) for d in range(2)]
    wanted += [(f, r, n, d) for f in ("Magpie", "few columns") for r in regressors for n in (30, 100) for d in range(2)]
    assert list(records[["features", "regressor", "labels", "repeat"]].itertuples(index=False, name=None)) == wanted
    assert set(records["task"]) == {"energy"}
    assert np.isfinite(records[SCORES]).all(axis=None)


def test_errors_fall_with_labels_and_lie_below_the_median_guess(records):
    mean = summarise(records).set_index(["features", "regressor", "labels"])["mean"]
    for name in ("ridge", "kernel_ridge", "extra_trees"):
        assert mean["Magpie", name, 100] < mean["Magpie", name, 30] < mean["none", "median", 30]


def test_records_say_what_training_by_hand_gives(energies, magpie, records):
    pool, test = np.flatnonzero(~energies.test_mask), np.flatnonzero(energies.test_mask)
    repeat = draw_repeats(pool, [100], 2, 7)[1]
    X = standardise("Magpie", magpie.to_numpy(), pool)
    for name in ("ridge", "extra_trees"):
        model = REGRESSORS[name]()
        if name == "extra_trees":
            model.set_params(random_state=repeat.seed)
        predicted = model.fit(X[repeat.rows], energies.target[repeat.rows]).predict(X[test])
        row = records.query("features == 'Magpie' and regressor == @name and labels == 100 and repeat == 1").iloc[0]
        assert row["mae"] == pytest.approx(np.abs(predicted - energies.target[test]).mean())
        assert row["rmse"] == pytest.approx(np.sqrt(((predicted - energies.target[test]) ** 2).mean()))
        anew = cross_val_predict(clone(model), X[repeat.rows], energies.target[repeat.rows], cv=KFold(5))
        if name == "extra_trees":
            assert row["cv_mae"] == pytest.approx(np.abs(anew - energies.target[repeat.rows]).mean())


def measure(X, y, mask, **kwargs):
    """Measure cheap regressors on arrays."""
    regressors = {
        "ridge": REGRESSORS["ridge"](),
        "kernel": REGRESSORS["kernel_ridge"](),
        "trees": ExtraTreesRegressor(5),
    }
    return label_efficiency(
        {"X": X}, y, mask, **{"label_counts": (10, 20), "n_repeats": 2, "regressors": regressors, **kwargs}
    )


@pytest.mark.slow
def test_records_are_bit_equal_for_any_number_of_jobs(task):
    one, two = measure(*task, n_jobs=1), measure(*task, n_jobs=2)
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"), check_exact=True)


def test_feature_sets_are_treated_alike_and_unit_free(task):
    X, y, mask = task
    records = label_efficiency(
        {"a": X, "b": 1000 * X + 7}, y, mask, label_counts=[20], n_repeats=2, regressors=["kernel_ridge"]
    )
    a, b = (records[records["features"] == name][SCORES].to_numpy() for name in "ab")
    assert a == pytest.approx(b)


def test_the_test_fold_decides_no_choice(task):
    X, y, mask = task
    changed_X, changed_y = X.copy(), y.copy()
    changed_X[mask], changed_y[mask] = 50 * X[mask] + 1, -y[mask]
    plain, changed = measure(X, y, mask), measure(changed_X, changed_y, mask)
    assert (plain["cv_mae"] == changed["cv_mae"]).all()
    assert (plain["mae"] != changed["mae"]).all()


def test_without_folds_only_regressors_that_choose_know_their_error(task):
    records = measure(*task, cv=None).set_index("regressor")["cv_mae"]
    assert records["trees"].isna().all()
    assert records[["ridge", "kernel"]].notna().all()


@pytest.mark.slow
def test_tuned_regressors_report_the_error_of_their_choice():
    X, y = toy(25, 3)
    for name, set_seed in (("extra_trees_cv", "forest"), ("mlp", "estimator__regressor")):
        (named,) = resolve_regressors([name])
        scores = named.evaluate(X, y, X, y, seed=3, cv=5)
        chosen = clone(named.regressor).set_params(**{f"{set_seed}__random_state": 3}).fit(X, y)
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
        label_efficiency({"": values}, y, mask, label_counts=[20], n_repeats=1, regressors=["ridge"])
        for values in (X, wide)
    ]
    assert errors[1]["mae"][0] < 1.2 * errors[0]["mae"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y, m: (X[:-1], y, m), r"features\['X'\] has 119 rows, but y has 120"),
        (lambda X, y, m: (X[:, 0], y, m), r"features\['X'\] must have shape .* got \(120,\)"),
        (lambda X, y, m: (np.where(X > 2, np.inf, X), y, m), r"features\['X'\] is infinite in rows"),
        (lambda X, y, m: (X * [np.nan, 1, 1, 1, 1, 1], y, m), r"NaN in every row of the pool in columns \[0\]"),
        (lambda X, y, m: (X, np.where(np.arange(120) == 7, np.nan, y), m), "y must be finite, got nan at row 7"),
        (lambda X, y, m: (X, np.stack([y, y], 1), m), r"y must have one target a row, got shape \(120, 2\)"),
        (lambda X, y, m: (X, y, m.astype(int)), "test_mask must hold booleans .* got int64"),
        (lambda X, y, m: (X, y, m[:-1]), r"shape \(119,\)"),
        (lambda X, y, m: (X, y, m | True), "120 of 120 rows in the test fold"),
        (lambda X, y, m: (Spy(), y, m), "pass the crystals as structures="),
    ],
)
def test_bad_input_is_refused_by_name_and_value(task, change, message):
    with pytest.raises(ValueError, match=message):
        measure(*change(*task))


def test_a_feature_set_cannot_have_the_name_of_regressors_without_features(task):
    X, y, mask = task
    with pytest.raises(ValueError, match="features has the name 'none'"):
        label_efficiency({"none": X}, y, mask, label_counts=[20], n_repeats=1)


@pytest.mark.parametrize(
    ("regressors", "error", "message"),
    [
        ("ridge", TypeError, "regressors must be a list of names, got 'ridge'"),
        (["ridge", "forest"], ValueError, r"regressors must be distinct names among .* got \['ridge', 'forest'\]"),
        ([], ValueError, r"or a mapping of names to regressors, got \[\]"),
        ({"mine": Ridge}, TypeError, "instances"),
    ],
)
def test_regressors_are_refused_by_name(regressors, error, message):
    with pytest.raises(error, match=message):
        resolve_regressors(regressors)


# Reference features


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


@pytest.mark.slow
def test_magpie_statistics_are_the_same_in_several_processes(energies, magpie):
    pd.testing.assert_frame_equal(magpie_statistics(energies.data[:40], n_jobs=2), magpie.iloc[:40])


def test_magpie_statistics_of_no_crystals_have_all_columns():
    assert magpie_statistics([]).shape == (0, 132)
