"""A ridge that weighs parts of a vector: obvious twins, invariances, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.stats import multivariate_normal
from sklearn.linear_model import Ridge

from skdim.learning.ridge import _median, _normal_scores, _solved, fit_by_part, fit_ridge, unlikelihood

N, WIDTHS = 60, (5, 40)
PARTS = np.repeat([7, 2], WIDTHS)  # numbers of any kind


def drawn(seed: int = 0, noise: float = 0.1, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, and targets that depend on the first part alone."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, sum(WIDTHS))).astype(np.float32)
    targets = vectors[:, : WIDTHS[0]] @ np.random.default_rng(9).normal(size=(WIDTHS[0], 2))
    targets = (targets + noise * rng.normal(size=targets.shape)).astype(np.float32)
    return vectors, targets / np.float32(2)


def fitted(vectors, targets, weights=None, parts=PARTS, robust=False):
    weights = np.ones(len(targets), np.float32) if weights is None else weights
    ridge = fit_ridge(vectors, targets, weights, np.arange(len(targets)))
    return ridge, fit_by_part(ridge, vectors, targets, weights, parts, robust)


def test_the_likelihood_is_that_of_a_normal_distribution_and_its_slope_that_of_small_steps() -> None:
    rng = np.random.default_rng(1)
    rows, target = rng.normal(size=(2, 8, 3)), rng.normal(size=8)
    kernels, ones = rows @ rows.transpose(0, 2, 1), np.ones(8)

    def obvious(logs: np.ndarray) -> float:
        """With the best amplitude and constant found by trying."""
        covariance = np.tensordot(np.exp(logs[:-1]), kernels, 1) + np.exp(logs[-1]) * np.eye(8)

        def cost(tried: np.ndarray) -> float:
            return -2 * multivariate_normal.logpdf(target, np.full(8, tried[0]), np.exp(tried[1]) * covariance)

        return minimize(cost, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).fun

    one, other = np.array([0.3, -0.5, 0.2]), np.array([-1.0, 0.4, 1.0])
    found = [unlikelihood(logs, kernels, target, ones)[0] - (logs[:-1] ** 2).sum() for logs in (one, other)]
    assert found[1] - found[0] == pytest.approx(obvious(other) - obvious(one), abs=1e-4)
    root = rng.uniform(0.5, 2, 8)
    slope = approx_fprime(one, lambda logs: unlikelihood(logs, kernels, target, root)[0], 1e-7)
    np.testing.assert_allclose(unlikelihood(one, kernels, target, root)[1], slope, rtol=1e-4, atol=1e-4)


def test_it_is_a_weighted_ridge_and_its_residuals_are_those_of_training_anew() -> None:
    vectors, targets = (known[:12].astype(float) for known in drawn())
    weights = np.random.default_rng(2).uniform(0.5, 2, 12)
    rows, y = vectors - vectors.mean(0), targets[:, 0]
    dual, constant, residual = _solved(rows @ rows.T, y, np.sqrt(weights), 3.0)
    ridge = Ridge(3.0).fit(rows, y, weights)
    np.testing.assert_allclose(rows @ (dual @ rows) + constant, ridge.predict(rows), atol=1e-8)
    for row in range(12):
        known = np.arange(12) != row
        other = Ridge(3.0).fit(rows[known], y[known], weights[known])
        assert residual[row] == pytest.approx(y[row] - other.predict(rows[[row]])[0], abs=1e-8)


@pytest.mark.parametrize("robust", [False, True])
def test_a_part_that_tells_nothing_gets_a_small_share(robust: bool) -> None:
    vectors, targets = drawn()
    new, truth = drawn(1, noise=0.0)
    ridge, found = fitted(vectors, targets, robust=robust)
    plain, weighed = (np.abs(one.predict(new) - truth).mean() for one in (ridge, found))
    assert weighed < 0.6 * plain
    assert np.array_equal(found.factor, ridge.factor)  # what tells of doubt stays


@pytest.mark.parametrize("robust", [False, True])
def test_neither_order_nor_units_nor_the_numbers_of_parts_matter(robust: bool) -> None:
    rng, (vectors, targets) = np.random.default_rng(3), drawn()
    _, first = fitted(vectors, targets, robust=robust)
    rows, columns = rng.permutation(N), rng.permutation(vectors.shape[1])
    weights = np.ones(N, np.float32)
    _, other = fitted(vectors[rows][:, columns], targets[rows], weights, 3 - PARTS[columns], robust)
    np.testing.assert_allclose(other.weight, first.weight[:, columns], atol=1e-3)
    _, shifted = fitted(vectors, 4 * targets + 1, robust=robust)
    np.testing.assert_allclose(shifted.predict(vectors), 4 * first.predict(vectors) + 1, atol=2e-2)


def test_an_outlying_label_hardly_matters() -> None:
    vectors, targets = drawn()
    wrong = targets.copy()
    wrong[3] += 30
    rest = np.arange(N) != 3
    moved = {}
    for robust in (False, True):
        _, without = fitted(vectors[rest], targets[rest], robust=robust)
        _, found = fitted(vectors, wrong, robust=robust)
        moved[robust] = np.abs(found.predict(vectors) - without.predict(vectors)).mean()
    assert moved[True] < 0.1
    assert moved[True] < 0.2 * moved[False]


def test_a_constant_target_and_equal_crystals_are_predicted_as_they_are() -> None:
    vectors, targets = drawn()
    targets[:, 1] = 0
    for rows in (vectors, np.ones_like(vectors)):
        _, found = fitted(rows, targets, robust=True)
        assert np.isfinite(found.weight).all()
        np.testing.assert_allclose(found.predict(rows)[:, 1], 0, atol=1e-6)


def test_scores_and_median_count_weights_as_repetition() -> None:
    values, times = np.array([3.0, 1.0, 4.0, 1.0, 5.0]), np.array([2, 1, 3, 1, 2])
    again = np.repeat(values, times)
    scores = _normal_scores(values, times.astype(float))
    np.testing.assert_allclose(np.repeat(scores, times), _normal_scores(again, np.ones(len(again))))
    assert scores[1] == scores[3]
    assert _median(values, times.astype(float)) == np.median(again)
