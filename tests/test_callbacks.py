"""scikit-learn's callbacks, where its version has them: they see fits and epochs, and may end a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import (
    DeepInfoMaxEmbedder,
    LabelMaskingClassifier,
    LabelMaskingRegressor,
    SiteNetClassifier,
    SiteNetRegressor,
)
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


LABELS = np.arange(24.0)
EPOCH = ["begin epoch", "end epoch"]


def finetuned(kind: type[Any] = SiteNetRegressor, **params: Any) -> Any:
    start = embedder(max_epochs=0).fit(bundled_points(24))
    return kind(start, max_epochs=2, cv=2, random_state=0, **params)


@pytest.mark.parametrize("kind", [SiteNetRegressor, SiteNetClassifier])
def test_it_sees_the_epochs_of_a_fine_tuning_those_that_hold_labels_out_included(kind: type[Any]) -> None:
    watch, points, y = Watch(), bundled_points(24), LABELS if kind is SiteNetRegressor else np.arange(24) % 2
    watched = finetuned(kind).set_callbacks(watch).fit(points, y)
    assert watch.seen[:4] == ["setup", "begin fit", *EPOCH]
    assert watch.seen[-2:] == ["end fit", "teardown"]
    assert watch.seen.count("end epoch") >= 2 + len(watched.history_)
    assert np.array_equal(watched.predict(points), finetuned(kind).fit(points, y).predict(points))
    assert clone(watched)._skl_callbacks == [watch]


def test_one_more_epoch_is_a_fit_too() -> None:
    watch = Watch()
    finetuned().set_callbacks(watch).partial_fit(bundled_points(24), LABELS)
    assert watch.seen == ["setup", "begin fit", *EPOCH, "end fit", "teardown"]


def masking(part: Any, **params: Any) -> LabelMaskingRegressor:
    return LabelMaskingRegressor(embedder(max_epochs=2), part, **params)


def test_the_parts_of_label_masking_hear_of_its_callbacks(tmp_path: Path) -> None:
    watch, points = Watch(), bundled_points(24)
    model = masking(SiteNetRegressor(max_epochs=1, cv=None, random_state=0), memory=tmp_path).set_callbacks(watch)
    model.fit(points, LABELS)
    part = ["begin fit", *EPOCH, "end fit"]
    assert watch.seen == ["setup", "begin fit", "begin fit", *EPOCH, *part[1:], *part, "end fit", "teardown"]
    for fitted in (model.embedder_, model.regressor_):
        assert not {"_skl_callbacks", "_parent_callback_ctx"} & set(vars(fitted))
    # What was pretrained is found again, whoever watches.
    watch.seen.clear()
    again = clone(model).fit(points, LABELS)
    assert watch.seen == ["setup", "begin fit", *part, "end fit", "teardown"]
    assert np.array_equal(again.predict(points), model.predict(points))


def test_it_is_said_of_a_part_that_has_no_callbacks() -> None:
    watch = Watch()
    with pytest.warns(UserWarning, match="DummyRegressor does not support callbacks"):
        masking(DummyRegressor()).set_callbacks(watch).fit(bundled_points(24), LABELS)
    assert watch.seen[-4:] == ["begin fit-regressor", "end fit-regressor", "end fit", "teardown"]


def test_a_label_masking_classifier_hands_them_on_too() -> None:
    watch = Watch()
    model = LabelMaskingClassifier(embedder(max_epochs=1), LogisticRegression()).set_callbacks(watch)
    model.fit(bundled_points(24), np.arange(24) % 2)
    assert watch.seen[:6] == ["setup", "begin fit", "begin fit", *EPOCH, "end fit"]
    assert watch.seen[-2:] == ["end fit", "teardown"]


def test_an_embedder_with_a_watch_of_its_own_is_found_again(tmp_path: Path) -> None:
    watch, points = Watch(), bundled_points(24)
    for _ in range(2):
        model = LabelMaskingRegressor(embedder().set_callbacks(watch), DummyRegressor(), memory=tmp_path)
        model.fit(points, LABELS)
    assert watch.seen.count("begin fit") == 1
