"""The regressors a model chooses from: against the naive formula, scikit-learn's own, and through their arrays."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold

from skdim.evaluation import KernelRidgeCV
from skdim.evaluation._kernel_ridge import ALPHAS, GAMMAS
from skdim.evaluation._kernel_ridge import KERNELS as NAMES
from skdim.evaluation._readouts import READOUTS, TreesRegressor
from skdim.learning.ridge import Spectrum, minus_log_likelihoods

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5)).astype(np.float32)
Y = X[:, 0] + 0.5 * X[:, 1] ** 2 + 0.1 * RNG.normal(size=60)
NEW = RNG.normal(size=(20, 5)).astype(np.float32)
KERNELS = [KernelRidgeCV(kernel, cv=None, choice=choice) for kernel in NAMES for choice in ("error", "likelihood")]


@pytest.mark.parametrize("model", KERNELS, ids=repr)
def test_mean_and_variance_are_those_of_a_gaussian_process_with_an_intercept(model) -> None:
    weights = RNG.uniform(0.5, 2, size=60)
    fitted = clone(model).fit(X, Y, weights)
    kernel = fitted._kernel(fitted.rows_, fitted.gamma_)
    inverse = np.linalg.inv(kernel + fitted.alpha_ * np.diag(weights.mean() / weights))
    ones = np.ones(60)
    intercept = ones @ inverse @ Y / (ones @ inverse @ ones)
    between = fitted._kernel(NEW.astype(float), fitted.gamma_)
    itself = (NEW.astype(float) ** 2).mean(1) if model.kernel == "linear" else np.ones(20)
    mean, std = fitted.predict(NEW, return_std=True)
    np.testing.assert_allclose(mean, intercept + between @ inverse @ (Y - intercept), rtol=1e-6)
    variance = fitted.alpha_ + itself - np.einsum("ij,jk,ik->i", between, inverse, between)
    np.testing.assert_allclose(std, fitted.scale_ * np.sqrt(variance), rtol=1e-5)


@pytest.mark.parametrize("kernel", NAMES)
def test_the_strength_has_the_lowest_error_of_all_by_plain_refits(kernel: str) -> None:
    model = KernelRidgeCV(kernel, cv=None).fit(X, Y)
    errors = {}
    for gamma in (1.0,) if kernel == "linear" else GAMMAS:
        for alpha in ALPHAS:
            lost = np.empty(60)
            for train, test in KFold(5, shuffle=True, random_state=0).split(X):
                part = KernelRidgeCV(kernel)
                part.rows_, part.weights_ = X[train].astype(float), np.ones(len(train))
                part.alpha_, part.gamma_ = alpha, gamma
                part._solve(Y[train], part._kernel(part.rows_, gamma))
                guess = part._kernel(X[test].astype(float), gamma) @ part.dual_coef_ + part.intercept_
                lost[test] = np.abs(guess - Y[test])
            errors[gamma, alpha] = lost.mean()
    assert min(errors, key=errors.get) == (model.gamma_, model.alpha_)


def test_the_likelihood_is_scikit_learns_up_to_a_constant() -> None:
    model = KernelRidgeCV("matern", cv=None, choice="likelihood").fit(X, Y)
    differences = []
    for gamma in (0.4, 1.5):
        part = KernelRidgeCV("matern")
        part.rows_ = X.astype(float)
        ours = minus_log_likelihoods(Spectrum.of(part._kernel(part.rows_, gamma)), np.ones(60), Y, ALPHAS)
        for alpha, value in list(zip(ALPHAS, ours, strict=True))[4:12]:
            inverse = np.linalg.inv(part._kernel(part.rows_, gamma) + alpha * np.eye(60))
            center = inverse.sum(0) @ Y / inverse.sum()
            amplitude = (Y - center) @ inverse @ (Y - center) / 60
            length = np.sqrt(3 * 5) / gamma  # Matérn 3/2 takes sqrt(3) times the Euclidean distance by its length
            theirs = GaussianProcessRegressor(
                ConstantKernel(amplitude, "fixed") * (Matern(length, "fixed", nu=1.5) + WhiteKernel(alpha, "fixed")),
                optimizer=None,
            ).fit(X, Y - center)
            differences.append(value + 2 * theirs.log_marginal_likelihood_value_)
    assert np.ptp(differences) < 1e-5
    assert model.alpha_ in ALPHAS


@pytest.mark.parametrize("model", KERNELS, ids=repr)
def test_a_row_twice_is_a_row_of_weight_two(model) -> None:
    twice = np.concatenate([X, X[:10]])
    weights = np.ones(60)
    weights[:10] = 2
    one, other = clone(model).fit(X, Y, weights), clone(model).fit(X, Y)
    # With the same strength: which strength is best depends on how the folds fall.
    other.alpha_, other.gamma_ = one.alpha_ / one.weights_[20], one.gamma_
    other.rows_, other.weights_ = twice.astype(float), np.ones(70)
    other._solve(np.concatenate([Y, Y[:10]]), other._kernel(other.rows_, other.gamma_))
    np.testing.assert_allclose(one.predict(NEW), other.predict(NEW), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("model", READOUTS.values(), ids=READOUTS)
def test_rows_without_weight_do_not_matter_and_arrays_give_the_same_again(model) -> None:
    weights = np.r_[np.ones(40), np.zeros(20)]
    seeded = clone(model)
    if "random_state" in seeded.get_params():
        seeded.set_params(random_state=0)
    else:
        fewer = clone(seeded).fit(X[:40], Y[:40])
        np.testing.assert_array_equal(clone(seeded).fit(X, Y, weights).predict(NEW), fewer.predict(NEW))
    fitted = clone(seeded).fit(X[:40], Y[:40])
    again = clone(seeded).restore(fitted.to_arrays(), X[:40])
    for one, other in zip(fitted.predict(NEW, return_std=True), again.predict(NEW, return_std=True), strict=True):
        np.testing.assert_array_equal(one, other)


def test_trees_are_scikit_learns() -> None:
    theirs = ExtraTreesRegressor(100, max_features=round(3 * 5**0.5), random_state=3)
    theirs.set_params(max_features=min(5, round(3 * 5**0.5))).fit(X, Y)
    each = np.stack([tree.predict(NEW) for tree in theirs.estimators_])
    mean, std = TreesRegressor(random_state=3).fit(X, Y).predict(NEW, return_std=True)
    np.testing.assert_allclose(mean, theirs.predict(NEW))
    np.testing.assert_allclose(std, each.std(0, ddof=1))


@pytest.mark.parametrize("model", KERNELS, ids=repr)
def test_kernels_that_share_what_takes_long_are_those_of_each_target_to_the_bit(model) -> None:
    weights = RNG.uniform(0.5, 2, size=60)
    targets = np.stack([Y, Y > 0, X[:, 2]], 1).astype(float)
    for target, one in zip(targets.T, model.fit_each(X, targets, weights), strict=True):
        alone = clone(model).fit(X, target, weights)
        assert (one.alpha_, one.gamma_) == (alone.alpha_, alone.gamma_)
        for mine, other in zip(one.predict(NEW, return_std=True), alone.predict(NEW, return_std=True), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_trees_of_several_targets_are_scikit_learns_of_all_of_them() -> None:
    targets = np.stack([Y, Y > 0, X[:, 2]], 1)
    theirs = ExtraTreesRegressor(100, max_features=5, random_state=3).fit(X, targets).predict(NEW)
    mine = np.stack([one.predict(NEW) for one in TreesRegressor(random_state=3).fit_each(X, targets)], 1)
    np.testing.assert_allclose(mine, theirs)
    (alone,) = TreesRegressor(random_state=3).fit_each(X, Y[:, None])
    np.testing.assert_array_equal(alone.predict(NEW), TreesRegressor(random_state=3).fit(X, Y).predict(NEW))


@pytest.mark.parametrize("change", ["loop", "column", "nan", "shape"])
def test_damaged_trees_are_refused(change: str) -> None:
    arrays = {name: array.copy() for name, array in TreesRegressor(random_state=0).fit(X, Y).to_arrays().items()}
    if change == "loop":
        arrays["left"][0, 0] = 0
    elif change == "column":
        arrays["feature"][0, 0] = 5
    elif change == "nan":
        arrays["value"][0, 0] = np.nan
    else:
        arrays["threshold"] = arrays["threshold"][:, 1:]
    with pytest.raises(ValueError, match="the arrays of a forest"):
        TreesRegressor().restore(arrays, X)


def test_damaged_kernels_are_refused() -> None:
    arrays = KernelRidgeCV("laplacian").fit(X, Y).to_arrays()
    with pytest.raises(ValueError, match="do not fit"):
        KernelRidgeCV("laplacian").restore(arrays, X[1:])
    with pytest.raises(ValueError, match="not finite"):
        KernelRidgeCV("laplacian").restore({**arrays, "dual": arrays["dual"] * np.nan}, X)
