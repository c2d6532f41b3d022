"""What columns add to a prediction: exact sums, and what integrals of the gradient give."""

import itertools
import math

import numpy as np
import pytest
from sklearn.base import clone

from skdim.evaluation import _slopes
from skdim.evaluation._readouts import READOUTS

RNG = np.random.default_rng(1)
X = RNG.normal(size=(80, 6)).astype(np.float32)
Y = X[:, 0] + 0.5 * X[:, 1] ** 2 + 0.1 * RNG.normal(size=80)
NEW = RNG.normal(size=(20, 6)).astype(np.float32)
START = X.mean(0)


def parts(slopes, way):
    return slopes.slope * way + slopes.rest


@pytest.fixture(params=READOUTS, scope="module")
def regressor(request):
    model = clone(READOUTS[request.param])
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    return model.fit(X, Y)


def test_parts_sum_to_the_difference_of_the_predictions(regressor) -> None:
    found = parts(regressor.slopes(NEW, START), NEW.astype(float) - START)
    np.testing.assert_allclose(found.sum(1), regressor.predict(NEW) - regressor.predict(START[None]), atol=1e-9)


def test_a_column_that_does_not_move_adds_nothing_and_one_that_decides_adds_most(regressor) -> None:
    ends = NEW.copy()
    ends[:, 3] = START[3]
    found = parts(regressor.slopes(ends, START), ends.astype(float) - START)
    assert (found[:, 3] == 0).all()
    sizes = np.abs(found).mean(0)
    assert sizes[0] == sizes.max()


@pytest.mark.slow
def test_more_steps_change_little(regressor, monkeypatch) -> None:
    few = parts(regressor.slopes(NEW, START), NEW.astype(float) - START)
    monkeypatch.setattr(_slopes, "STEPS", 400)
    many = parts(regressor.slopes(NEW, START), NEW.astype(float) - START)
    assert np.abs(few - many).max() < 0.02 * np.abs(many).max()


@pytest.mark.parametrize("name", ["laplacian", "gaussian"])
def test_they_are_integrated_gradients(name) -> None:
    model = clone(READOUTS[name]).fit(X, Y)
    times, small = (np.arange(2000) + 0.5) / 2000, 1e-5
    for row in NEW[:3].astype(float):
        way = row - START
        places = START + times[:, None] * way
        by_hand = [
            way[c] * np.mean(model.predict(places + small * e) - model.predict(places - small * e)) / (2 * small)
            for c, e in enumerate(np.eye(6))
        ]
        found = parts(model.slopes(row[None], START), way)[0]
        assert np.abs(found - by_hand).max() < 0.02 * np.abs(by_hand).max()


def shapley(predict, end):
    """Shapley values of the columns of one row beside the start, by their definition: all sets of columns."""
    d = len(end)
    inside = np.array(list(itertools.product([False, True], repeat=d)))
    value = dict(zip(map(tuple, inside.tolist()), predict(np.where(inside, end, START)), strict=True))
    found = np.zeros(d)
    for column in range(d):
        for others in inside[~inside[:, column]]:
            with_it = tuple(np.where(np.arange(d) == column, True, others).tolist())
            share = 1 / (d * math.comb(d - 1, int(others.sum())))
            found[column] += share * (value[with_it] - value[tuple(others.tolist())])
    return found


def test_they_are_close_to_shapley_values_and_equal_them_where_columns_add_up(regressor) -> None:
    found = parts(regressor.slopes(NEW, START), NEW.astype(float) - START)
    exact = np.stack([shapley(regressor.predict, row) for row in NEW])
    np.testing.assert_allclose(exact.sum(1), found.sum(1), atol=1e-6)
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.95
    if getattr(regressor, "kernel", "") == "linear":
        np.testing.assert_allclose(found, exact, atol=1e-5)


def test_a_ridge_adds_slope_times_way() -> None:
    model = clone(READOUTS["ridge"]).fit(X, Y)
    found = model.slopes(NEW, START)
    coefficients = model.predict(np.eye(6)) - model.predict(np.zeros((1, 6)))
    np.testing.assert_allclose(found.slope, np.broadcast_to(coefficients, NEW.shape), rtol=1e-9)


def test_ways_without_length_have_finite_slopes(regressor) -> None:
    found = regressor.slopes(X[:1], X[0])
    assert np.isfinite(found.slope).all()
    assert (found.rest == 0).all()
