"""A fit that ends while the same object predicts: answers are those of one fit, or of the other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from skdim import CrystalClassifier, CrystalRegressor, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim._crystalpredictor import of_one_fit
from tests.small import bundled, bundled_points

N = 30
BARE: dict[str, Any] = {"encoder_params": {"width": 8}, "max_epochs": 0, "random_state": 0}


class Refitted:
    """A model that another thread fits while it predicts."""

    def __init__(self) -> None:
        self.one = self.other = 0

    def fit(self) -> None:
        self.one, self.other = self.one + 1, self.other + 1

    @of_one_fit
    def predict(self, fit: Callable[[], None]) -> tuple[int, int]:
        one = self.one
        fit()
        return one, self.other


def test_a_prediction_goes_on_with_the_fit_that_it_began_with() -> None:
    model = Refitted()
    assert model.predict(model.fit) == (0, 0)
    assert model.predict(model.fit) == (1, 1)


@pytest.mark.parametrize("kind", [CrystalRegressor, CrystalClassifier])
def test_all_that_predicts_does_so(kind: type) -> None:
    names = {"predict", "predict_frame", "explain"}
    names |= {"predict_interval", "suggest"} if kind is CrystalRegressor else {"predict_proba"}
    assert {name for name in vars(kind) if hasattr(vars(kind)[name], "__wrapped__")} == names | {"fit"}


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ["embedder", "fine-tuned", "labelled"])
def test_answers_beside_a_fit_in_another_thread_are_of_one_fit(name: str) -> None:
    points, y = bundled_points(N), bundled(N)[1]
    start, asked = DeepInfoMaxEmbedder(**BARE).fit(points), points[:3]
    model: Any = {
        "embedder": DeepInfoMaxEmbedder(**BARE),
        "fine-tuned": SiteNetRegressor(start, max_epochs=0, cv=2, random_state=0),
        "labelled": CrystalRegressor(start, regressors=["ridge"], cv=3, random_state=0),
    }[name]
    answers: dict[str, Callable[[], Any]] = {
        "embedder": lambda: model.transform(asked),
        "fine-tuned": lambda: np.stack(model.predict(asked, return_std=True)),
        "labelled": lambda: model.predict_frame(asked)[["prediction", "lower", "upper", "distance"]].to_numpy(),
    }

    def fit(number: int) -> None:
        model.fit(points[number * 10 :], y[number * 10 :] * (1 - 3 * number))

    known = [(fit(number), answers[name]())[1] for number in (0, 1)]
    assert not np.array_equal(*known)
    fits = threading.Thread(target=lambda: [fit(number % 2) for number in range(30)])
    fits.start()
    found = [answers[name]()]
    while fits.is_alive():
        found.append(answers[name]())
    assert all(any(np.array_equal(one, other) for other in known) for one in found)
