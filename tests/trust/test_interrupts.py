"""Fits that are interrupted wherever they are: the earlier fit is whole, or what was learned by then can be used.

The short form runs with the other tests; ``SKDIM_TRUST=long`` (``make trust``) interrupts each kind of fit 200 times.
"""

from __future__ import annotations

import copy
import inspect
import os
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import skdim
from skdim import (
    CrystalClassifier,
    CrystalRegressor,
    DeepInfoMaxEmbedder,
    LabelMaskingRegressor,
    SiteNetClassifier,
    SiteNetRegressor,
)
from tests.small import bundled, bundled_points

PLACES = 200 if os.environ.get("SKDIM_TRUST") == "long" else 4  # of each kind of fit, at random
LAST = 4  # beside them, those at the end
N = 24
SOURCES = str(Path(skdim.__file__).parent)
SMALL: dict[str, Any] = {"encoder_params": {"width": 8}, "max_epochs": 2, "batch_pairs": 300, "random_state": 0}
TUNED: dict[str, Any] = {"max_epochs": 2, "batch_pairs": 300, "random_state": 0}


class Interrupting:
    """A profiler that counts calls of functions of the package, and interrupts one of them."""

    def __init__(self, place: int | None = None) -> None:
        self.place = place
        self.calls = 0
        self.interrupted = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        # Of generators calls are also those that end them, and what these raise is lost in Python itself.
        ours = code.co_filename.startswith(SOURCES) and not code.co_flags & inspect.CO_GENERATOR
        if event == "call" and ours:
            self.calls += 1
            if self.calls == self.place:
                sys.setprofile(None)
                self.interrupted = True
                raise KeyboardInterrupt


def fit(model: Any, interrupting: Interrupting) -> None:
    sys.setprofile(interrupting)
    try:
        model.fit(bundled_points(N), labels(model))
    finally:
        sys.setprofile(None)


def labels(model: Any) -> Any:
    energies = bundled(N)[1]
    return energies > np.median(energies) if hasattr(model, "predict_proba") else energies


def answers(model: Any) -> np.ndarray:
    points = bundled_points(N)
    if hasattr(model, "transform"):
        return np.asarray(model.transform(points))
    return np.asarray(model.predict_proba(points) if hasattr(model, "predict_proba") else model.predict(points))


def taken_over(model: Any, earlier: Any) -> bool:
    """Whether what a model has learned is that of another fit: all of it, or nothing."""
    shared = {"featurizer_"}  # of the same start
    learned = {k: v for k, v in vars(model).items() if k.endswith("_") and not isinstance(v, bool | float | int)}
    (new,) = {value is not vars(earlier)[name] for name, value in learned.items() if name not in shared}
    return new


KINDS = ("embedder", "regressor", "classifier", "masking", "fine-tuned masking", "chosen", "chosen class")


def unfitted() -> dict[str, Any]:
    start = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 1}).fit(bundled_points(N))
    embedder = DeepInfoMaxEmbedder(**SMALL)
    return {
        "embedder": DeepInfoMaxEmbedder(**SMALL, embedding_dim=4),
        "regressor": SiteNetRegressor(start, cv=2, learning_rate=3e-3, n_ensemble=2, **TUNED),
        "classifier": SiteNetClassifier(start, cv=2, **TUNED),
        "masking": LabelMaskingRegressor(embedder, Ridge(), random_state=0),
        "fine-tuned masking": LabelMaskingRegressor(embedder, SiteNetRegressor(cv=None, **TUNED), random_state=0),
        "chosen": CrystalRegressor(start, regressors=["ridge", "fine-tuning"], cv=2, random_state=0),
        "chosen class": CrystalClassifier(embedder, regressors=["ridge"], cv=3, random_state=0),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_leaves_the_earlier_fit_or_one_that_can_be_used_and_is_told_of(kind: str) -> None:
    models = unfitted()
    assert tuple(models) == KINDS
    earlier = models[kind].fit(bundled_points(N), labels(models[kind]))
    before, whole = answers(earlier), Interrupting()
    fit(copy.copy(earlier), whole)
    rng, kept = np.random.default_rng(0), 0
    for place in {*rng.integers(1, whole.calls, PLACES).tolist(), *range(whole.calls - LAST, whole.calls)}:
        model, interrupting = copy.copy(earlier), Interrupting(place)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with pytest.raises(KeyboardInterrupt):
                fit(model, interrupting)
        assert interrupting.interrupted
        told = any("fit was interrupted" in str(warning.message) for warning in said)
        after = answers(model)
        assert np.isfinite(after).all()
        if taken_over(model, earlier):
            assert told or place == whole.calls  # the last call is that which tells
        else:
            assert np.array_equal(after, before)
        kept += told
    print(f"{kind}: {kept} kept something of {PLACES + LAST} interrupted fits, at {whole.calls} calls")
