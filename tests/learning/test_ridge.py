"""The ridge that a fine-tuning starts from: its penalty is chosen by rows, or groups, that are left out."""

from __future__ import annotations

import numpy as np
import pytest

from skdim.learning.ridge import _PENALTIES, fit_ridge, held_out_residuals


def table(n: int = 30, copies: int = 1, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    vectors = np.repeat(rng.normal(size=(n, 50)), copies, axis=0).astype(np.float32)
    targets = np.repeat(rng.normal(size=(n, 2)), copies, axis=0).astype(np.float32)
    return vectors, targets, rng.uniform(0.5, 2, n * copies).astype(np.float32)


def test_groups_of_one_row_are_leave_one_out() -> None:
    vectors, targets, weights = table()
    targets[:, 0] += vectors[:, 0]
    chosen = fit_ridge(vectors, targets, weights, np.arange(30)).penalty
    root, rows = np.sqrt(weights.astype(float)), vectors.astype(float)
    kernel = root[:, None] * (rows @ rows.T) * root
    alone = [np.array([row]) for row in range(30)]
    losses = sum((held_out_residuals(kernel, root * y, _PENALTIES, alone, root) ** 2).sum(1) for y in targets.T)
    assert chosen == pytest.approx(_PENALTIES[losses.argmin()])


def test_twins_of_rows_do_not_make_noise_look_like_something_learned() -> None:
    # Nothing can be learned here, but a twin tells the label: leaving one row out prefers hardly any penalty.
    vectors, targets, weights = table(copies=2)
    fooled = fit_ridge(vectors, targets, weights, np.arange(60))
    honest = fit_ridge(vectors, targets, weights, np.repeat(np.arange(30), 2))
    assert fooled.penalty == pytest.approx(_PENALTIES[0])
    assert honest.penalty > 100 * fooled.penalty


def test_groups_are_left_out_as_by_training_anew() -> None:
    from sklearn.linear_model import Ridge

    vectors, targets, weights = table(n=12)
    targets[:, 1] = vectors[:, :3].sum(1)
    alike = np.arange(12) // 3
    losses = []
    for penalty in _PENALTIES:
        missed = np.empty((12, 2))
        for number in range(4):
            held = alike == number
            model = Ridge(penalty).fit(vectors[~held].astype(float), targets[~held], weights[~held])
            missed[held] = model.predict(vectors[held].astype(float)) - targets[held]
        losses.append((weights[:, None] * missed**2).sum())
    assert fit_ridge(vectors, targets, weights, alike).penalty == pytest.approx(_PENALTIES[np.argmin(losses)])


def test_rows_that_are_all_alike_are_left_out_one_by_one() -> None:
    vectors, targets, weights = table()
    same, alone = (fit_ridge(vectors, targets, weights, labels) for labels in (np.zeros(30, int), np.arange(30)))
    assert same.penalty == alone.penalty


@pytest.mark.parametrize("n", [30, 200])
def test_doubt_is_that_of_the_inverse_with_fewer_and_with_more_rows_than_columns(n: int) -> None:
    vectors, targets, weights = table(n=n)
    ridge = fit_ridge(vectors, targets, weights, np.arange(n))
    away = vectors.astype(float) - np.average(vectors.astype(float), 0, weights)
    scatter = (weights[:, None] * away).T @ away
    slow = 1 + np.einsum("ij,ij->i", away, np.linalg.solve(scatter + ridge.penalty * np.eye(50), away.T).T)
    assert ridge.factor.shape == (50, min(n, 50))
    np.testing.assert_allclose(ridge.doubt(vectors), slow, rtol=1e-4)


def test_of_very_many_rows_no_matrix_of_pairs_is_made() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60_000, 3)).astype(np.float32)  # pairs of them would take 29 GB
    targets = vectors @ rng.normal(size=(3, 1)).astype(np.float32)
    ridge = fit_ridge(vectors, targets, np.ones(60_000, np.float32), np.arange(60_000) // 2)
    np.testing.assert_allclose(ridge.predict(vectors), targets, atol=0.01)
