"""What a report says of a fit, in numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skdim._targetmodel import TargetModel, choose
from skdim.cli.fitreport import _in_decades
from skdim.evaluation._readouts import READOUTS


def learned(labels: np.ndarray, vectors: np.ndarray) -> TargetModel:
    n = len(labels)
    ridge = {"ridge": READOUTS["ridge"]}
    return choose(vectors, labels, np.ones(n), None, np.arange(n), np.zeros(n, int), ridge, "auto", 5, 0)


def test_errors_of_labels_over_decades_are_told_in_decades_too() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 4))
    decades = 2 * vectors[:, 0] + 0.1 * rng.normal(size=60)
    model = learned(10**decades, vectors)
    assert model.losses["ridge"] == pytest.approx(np.abs(model.conformal.held_out_ - decades).mean())
    (note,) = _in_decades(model)
    assert f"{model.losses['ridge']:.2f}, where a guess of the median has {model.losses['median']:.2f};" in note
    assert model.losses["ridge"] < 0.2 * model.losses["median"]
    assert _in_decades(learned(decades, vectors)) == []
