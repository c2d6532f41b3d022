"""Regressors that choose on their labels: forests by a few trees, a network by its penalty, the best of several."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdim.evaluation import (
    REGRESSORS,
    BestRegressor,
    FixedStepsMLP,
    ForestCV,
    KernelRidgeCV,
    LaplacianKernelRidge,
)
from skdim.evaluation._regressors import resolve_regressors

# A row twice is not a row of weight two where rows are cut into folds.
FOLDS_DIFFER = {
    "check_sample_weight_equivalence_on_dense_data": "the strength is chosen by folds of rows",
}


def toy(n=80, d=30, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, np.abs(X[:, 0]) + X[:, 1] + noise * rng.normal(size=n) + 5


def mae(a, b):
    return float(np.abs(a - b).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "mlp", "random_forest_cv", "extra_trees_cv"])
def test_they_learn_repeatably_and_without_warnings(name):
    X, y = toy()
    X_test, y_test = toy(seed=1)
    (named,) = resolve_regressors([name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (named.evaluate(X, y, X_test, y_test, seed=3, cv=5) for _ in range(2))
    assert first | {"seconds": 0} == second | {"seconds": 0}
    assert first["mae"] < mae(np.median(y), y_test)
    assert first["cv_mae"] == pytest.approx(first["mae"], rel=0.5)


# Least squares


def test_linear_is_least_squares_and_of_the_solutions_the_shortest():
    X, y = toy(20, 50)
    linear = REGRESSORS["linear"]().fit(X, y)
    assert linear.predict(X) == pytest.approx(y)
    limit = Ridge(1e-7).fit(X, y)  # which ridge regression has as its limit
    assert linear.coef_ == pytest.approx(limit.coef_, abs=1e-6)


def test_error_of_least_squares_on_the_labels_is_that_of_refits():
    X, y = toy(60, 5)
    (named,) = resolve_regressors(["linear"])
    scores = named.evaluate(X, y, X, y, seed=0, cv=5)
    assert scores["cv_mae"] == pytest.approx(mae(cross_val_predict(REGRESSORS["linear"](), X, y, cv=KFold(5)), y))


# Forests


@pytest.mark.slow
@pytest.mark.parametrize("forest", [RandomForestRegressor, ExtraTreesRegressor])
def test_few_trees_tell_the_error_of_many(forest):
    X, y = toy(60, 5)
    many = mae(cross_val_predict(forest(200, max_features=0.3, random_state=0), X, y, cv=KFold(5)), y)
    few, eight = [], []
    for seed in range(25):
        whole = forest(200, max_features=0.3, random_state=seed)
        few.append(_cv_error_of_eight(whole, X, y))
        eight.append(mae(cross_val_predict(clone(whole).set_params(n_estimators=8), X, y, cv=KFold(5)), y))
    assert np.mean(few) == pytest.approx(many, rel=0.04)
    assert np.mean(eight) > 1.05 * many


def _cv_error_of_eight(forest, X, y):
    """The error that eight trees tell, without training the forest itself."""
    return ForestCV(forest, n_trees=8)._cv_error(
        {"max_features": 0.3}, X.astype(np.float32), y, [held_out for _, held_out in KFold(5).split(X)]
    )


def test_with_as_many_trees_the_error_is_that_of_cross_validation():
    X, y = toy(50, 6)
    forest = ExtraTreesRegressor(12, max_features=0.5, min_samples_leaf=2, random_state=1)
    model = ForestCV(forest, max_features=[0.5], min_samples_leaf=[2], n_trees=12).fit(X, y)
    assert model.cv_error_ == pytest.approx(mae(cross_val_predict(forest, X, y, cv=KFold(5)), y), rel=1e-6)
    assert model.predict(X) == pytest.approx(forest.fit(X, y).predict(X))


@pytest.mark.slow
def test_a_forest_takes_the_choice_with_the_lowest_error():
    X, y = toy(100, 40)
    model = ForestCV(ExtraTreesRegressor(30, random_state=0), max_features=(0.05, 1.0), min_samples_leaf=(1, 20)).fit(
        X, y
    )
    alone = {
        (share, rows): ForestCV(model.forest, [share], [rows]).fit(X, y).cv_error_
        for share in (0.05, 1.0)
        for rows in (1, 20)
    }
    assert tuple(model.choice_.values()) == min(alone, key=alone.get) == (1.0, 1)
    assert model.cv_error_ == min(alone.values())
    assert model.forest_.n_estimators == 30


def test_fewer_rows_are_tried_with_more_trees():
    assert [ForestCV(ExtraTreesRegressor(100))._n_trees(n) for n in (20, 100, 250, 1000)] == [50, 50, 20, 10]
    assert ForestCV(ExtraTreesRegressor(5))._n_trees(20) == 5
    assert ForestCV(ExtraTreesRegressor(100), n_trees=7)._n_trees(20) == 7


def test_a_forest_of_constant_targets_has_no_error():
    X, _ = toy(20)
    assert ForestCV(ExtraTreesRegressor(5)).fit(X, np.full(20, 2.5)).cv_error_ == pytest.approx(0)


@pytest.mark.slow
def test_the_random_state_of_the_protocol_reaches_the_forest_and_the_network():
    X, y = toy(40, 8)
    for name in ("extra_trees_cv", "mlp"):
        (named,) = resolve_regressors([name])
        scores = [named.evaluate(X, y, *toy(20, 8, seed=1), seed=seed, cv=None)["mae"] for seed in (0, 1)]
        assert scores[0] != scores[1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_features": ()}, r"max_features must be a sequence of positive numbers, got \(\)"),
        ({"max_features": (0.0,)}, r"max_features .* got \(0.0,\)"),
        ({"min_samples_leaf": (0,)}, r"min_samples_leaf .* got \(0,\)"),
        ({"n_trees": 1}, "n_trees must be None or an integer >= 2, got 1"),
    ],
)
def test_a_forest_refuses_parameters_by_name_and_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        ForestCV(ExtraTreesRegressor(5), **parameters).fit(*toy(20))


# The network


def test_the_network_is_trained_for_as_many_steps_whatever_the_rows():
    for n in (10, 64, 200):
        X, y = toy(n, 4)
        network = FixedStepsMLP(steps=40, random_state=0).fit(X, y).network_
        passes, in_a_pass = network.n_iter_, int(np.ceil(n / min(n, 64)))
        assert (passes - 1) * in_a_pass < 40 <= passes * in_a_pass


def test_fitting_the_network_again_forgets_the_first_time():
    X, y = toy(30, 4)
    again = FixedStepsMLP(steps=20, random_state=0).fit(-X, -y).fit(X, y)
    assert again.predict(X).tolist() == FixedStepsMLP(steps=20, random_state=0).fit(X, y).predict(X).tolist()


def test_a_huge_penalty_leaves_the_mean():
    X, y = toy(60, 5)
    network = REGRESSORS["mlp"]().estimator.set_params(regressor__alpha=1e4, regressor__random_state=0)
    assert network.fit(X, y).predict(X) == pytest.approx(np.full(60, y.mean()), abs=0.15)


@pytest.mark.slow
def test_the_unit_of_the_target_does_not_matter_to_the_network():
    X, y = toy(40, 5)
    network = REGRESSORS["mlp"]().estimator.set_params(regressor__random_state=0)
    plain, scaled = network.fit(X, y).predict(X), network.fit(X, 1000 * y - 7).predict(X)
    assert scaled == pytest.approx(1000 * plain - 7, rel=1e-3)


# The choice among them


@pytest.mark.slow
def test_the_best_regressor_is_the_one_with_the_lowest_error_on_the_same_folds():
    X, y = toy(60, 6)
    folds = KFold(4, shuffle=True, random_state=2)
    names = ["median", "linear", "ridge", "kernel_ridge", "extra_trees"]
    model = BestRegressor(names, cv=folds, random_state=5).fit(X, y)
    splits = list(folds.split(X))
    slow = {
        "median": REGRESSORS["median"](),
        "linear": REGRESSORS["linear"](),
        "ridge": KernelRidgeCV(alphas=[KernelRidgeCV(cv=splits).fit(X, y).alpha_]),
        "extra_trees": REGRESSORS["extra_trees"]().set_params(random_state=5),
    }
    chosen = LaplacianKernelRidge(cv=splits).fit(X, y)
    slow["kernel_ridge"] = LaplacianKernelRidge([chosen.alpha_], [chosen.gamma_])
    for name, regressor in slow.items():
        assert model.cv_errors_[name] == pytest.approx(mae(cross_val_predict(regressor, X, y, cv=splits), y))
    assert model.best_name_ == min(model.cv_errors_, key=model.cv_errors_.get)
    assert model.cv_error_ == min(model.cv_errors_.values())
    alone = REGRESSORS[model.best_name_]()
    if "cv" in alone.get_params():
        alone.set_params(cv=splits)
    assert model.predict(X) == pytest.approx(alone.fit(X, y).predict(X))


def test_the_best_regressor_keeps_groups_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 5)
    # Rows of a group are copies of each other: whoever sees one of them knows the others.
    X = rng.normal(size=(12, 4))[groups] + 1e-6 * rng.normal(size=(60, 4))
    y = rng.normal(size=12)[groups]
    names, shuffled = ["median", "kernel_ridge"], KFold(4, shuffle=True, random_state=0)
    fooled, honest = (
        BestRegressor(names, cv=shuffled).fit(X, y),
        BestRegressor(names, cv=GroupKFold(4)).fit(X, y, groups),
    )
    assert fooled.cv_errors_["kernel_ridge"] < 0.1 * honest.cv_errors_["kernel_ridge"]
    assert fooled.best_name_ == "kernel_ridge"


@pytest.mark.slow
@parametrize_with_checks(
    [
        KernelRidgeCV(),
        LaplacianKernelRidge(alphas=(1e-3, 0.1), gammas=(0.2, 1.0)),
        ForestCV(ExtraTreesRegressor(5, random_state=0)),
        FixedStepsMLP(steps=20, alpha=0.1),
        BestRegressor(["ridge", "linear"]),
    ],
    expected_failed_checks=lambda estimator: FOLDS_DIFFER if isinstance(estimator, KernelRidgeCV) else {},
)
def test_they_pass_the_checks_of_scikit_learn(estimator, check):
    check(estimator)
