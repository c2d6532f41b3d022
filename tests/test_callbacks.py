"""scikit-learn's callbacks, where its version has them: they see fits and epochs, and may end a training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder
from tests.small import bundled_points

pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")


class Watch:
    """Writes down what it is told, and asks to stop at the end of an epoch."""

    max_propagation_depth = None

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.seen = stop_after, []

    def setup(self, estimator: Any, context: Any) -> None:
        self.seen.append("setup")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.seen.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        self.seen.append(f"end {context.task_name}")
        return context.task_name == "epoch" and self.seen.count("end epoch") == self.stop_after

    def teardown(self, estimator: Any, context: Any) -> None:
        self.seen.append("teardown")


def embedder(**params: Any) -> DeepInfoMaxEmbedder:
    given = {"encoder_params": {"width": 8}, "max_epochs": 3, "random_state": 0, **params}
    return DeepInfoMaxEmbedder(**given)


def test_a_callback_sees_the_fit_and_each_epoch_and_changes_nothing() -> None:
    watch, points = Watch(), bundled_points(24)
    watched = embedder().set_callbacks(watch)
    vectors = watched.fit_transform(points)
    epoch = ["begin epoch", "end epoch"]
    assert watch.seen == ["setup", "begin fit", *epoch, *epoch, *epoch, "end fit", "teardown"]
    assert np.array_equal(vectors, embedder().fit_transform(points))


def test_a_callback_ends_a_training() -> None:
    stopped = embedder().set_callbacks(Watch(stop_after=1)).fit(bundled_points(24))
    assert len(stopped.history_) == 1


def test_it_is_torn_down_where_a_fit_fails_and_comes_along_to_a_clone() -> None:
    watch = Watch()
    with pytest.raises(FloatingPointError):
        clone(embedder(learning_rate=1e30).set_callbacks(watch)).fit(bundled_points(24))
    assert watch.seen[-1] == "teardown"
    assert "end fit" not in watch.seen


def test_a_pipeline_hands_its_callbacks_on() -> None:
    watch = Watch()
    make_pipeline(embedder(), StandardScaler()).set_callbacks(watch).fit(bundled_points(24))
    assert watch.seen.count("end epoch") == 3


def test_a_fitted_estimator_is_given_at_the_end_of_the_fit() -> None:
    class Last(Watch):
        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
            if context.task_name == "fit":
                self.fitted = fitted_estimator

    watch, points = Last(), bundled_points(24)
    vectors = embedder().set_callbacks(watch).fit_transform(points)
    assert np.array_equal(watch.fitted.transform(points), vectors)
