"""Kernel ridge: its shortcuts against training anew, its choices, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, cross_val_predict

from skdim.evaluation import KernelRidgeCV, LaplacianKernelRidge
from skdim.evaluation._kernel_ridge import mean_distances
from skdim.learning.ridge import held_out_residuals
from tests.daily import examples
from tests.evaluation.toy import toy


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


@examples(15)
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
    model = LaplacianKernelRidge().fit(X, y)
    tried = {}
    for alpha in model.alphas:
        for gamma in model.gammas:
            single = LaplacianKernelRidge(alphas=[alpha], gammas=[gamma]).fit(X, y)
            tried[alpha, gamma] = single.cv_error_
    assert (model.alpha_, model.gamma_) == min(tried, key=tried.get)
    assert model.cv_error_ == pytest.approx(min(tried.values()))


def test_kernel_ridge_on_precomputed_distances_is_the_same_also_in_cross_validation():
    X, y = toy()
    D = mean_distances(X, X)
    rows, given = LaplacianKernelRidge(), LaplacianKernelRidge(precomputed=True)
    assert given.fit(D, y).predict(D[:7]) == pytest.approx(rows.fit(X, y).predict(X[:7]))
    assert cross_val_predict(given, D, y) == pytest.approx(cross_val_predict(rows, X, y))


def test_kernel_ridge_with_a_huge_penalty_predicts_the_mean():
    X, y = toy()
    for kernel in ("linear", "laplacian"):
        assert KernelRidgeCV(kernel, alphas=[1e9]).fit(X, y).predict(X) == pytest.approx(np.full(60, y.mean()))


def test_groups_are_held_out_together():
    X, y = toy()
    groups = np.arange(60) % 6
    model = LaplacianKernelRidge(cv=GroupKFold(3)).fit(X, y, groups=groups)
    single = LaplacianKernelRidge([model.alpha_], [model.gamma_], cv=3)
    anew = cross_val_predict(single, X, y, cv=GroupKFold(3), groups=groups)
    assert model.cv_error_ == pytest.approx(np.abs(anew - y).mean())


def test_groups_are_kept_together_by_the_folds_that_it_makes():
    rng = np.random.default_rng(0)
    X, groups = np.repeat(rng.normal(size=(20, 30)), 2, axis=0), np.repeat(np.arange(20), 2)
    y = np.repeat(rng.normal(size=20), 2)  # noise, of which a twin tells the label
    alone, together = KernelRidgeCV(cv=None).fit(X, y), KernelRidgeCV(cv=None).fit(X, y, groups=groups)
    assert together.cv_error_ > 1.2 * alone.cv_error_
    given = KernelRidgeCV(cv=GroupKFold(5, shuffle=True, random_state=0)).fit(X, y, groups=groups.astype(str))
    assert (together.alpha_, together.cv_error_) == (given.alpha_, given.cv_error_)
    assert KernelRidgeCV(cv=None).fit(X, y, groups=np.zeros(40)).alpha_ == alone.alpha_  # nothing to hold out


def test_laplacian_kernel_ridge_is_kernel_ridge_with_that_kernel_and_no_other():
    X, y = toy()
    general, named = KernelRidgeCV("laplacian").fit(X, y), clone(LaplacianKernelRidge()).fit(X, y)
    assert (general.predict(X) == named.predict(X)).all()
    assert set(named.get_params()) == {"alphas", "gammas", "cv", "precomputed"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kernel": "rbf"}, "kernel.*'rbf'"),
        ({"precomputed": True}, "precomputed=True"),
        ({"alphas": [0.0]}, r"alphas must be a sequence of positive numbers, got \[0.0\]"),
        ({"kernel": "laplacian", "gammas": []}, r"gammas must be .* got \[\]"),
        ({"cv": ShuffleSplit(3)}, "cv must hold out every row exactly once"),
        ({"cv": 1000}, "cv=1000 needs at least 1000 rows, got"),
    ],
)
def test_kernel_ridge_refuses_parameters_by_name_and_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        KernelRidgeCV(**parameters).fit(*toy())


def test_kernel_ridge_refuses_targets_that_are_not_finite_and_distances_that_are_no_square():
    with pytest.raises(ValueError, match="Input y contains NaN"):
        KernelRidgeCV().fit(np.eye(6), [1, 2, 3, 4, 5, np.nan])
    with pytest.raises(ValueError, match=r"distances of n rows from each other.*\(6, 5\)"):
        LaplacianKernelRidge(precomputed=True).fit(np.ones((6, 5)), np.arange(6))


def test_kernel_ridge_refuses_rows_of_another_width():
    X, y = toy()
    with pytest.raises(ValueError, match=r"X has 3 features.*expecting 5"):
        KernelRidgeCV().fit(X, y).predict(X[:, :3])
