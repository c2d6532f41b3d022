"""Single precision, in which everything is computed, against double precision with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pymatgen.core import Structure

from skdim import DeepInfoMaxEmbedder
from skdim.learning.states import BOUND
from skdim.network.batches import collate
from skdim.pretrained import MODELS, load_pretrained
from tests.small import as_double, bundled


@pytest.mark.parametrize(
    "params", [{}, {"preset": "deep"}, {"preset": "paper", "encoder_params": {"width": 16}}], ids=["", "deep", "paper"]
)
def test_vectors_in_single_precision_are_those_of_double_precision(params: dict[str, Any]) -> None:
    """Each column of each crystal within 1e-5 standard deviations, of vectors as long as several tens of them."""
    structures = bundled(20)[0]
    check(DeepInfoMaxEmbedder(max_epochs=0, random_state=0, **params).fit(structures), structures)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "bundled")) for name in MODELS]
)
def test_models_of_the_package_too(name: str) -> None:
    check(load_pretrained(name), bundled(300)[0])


def check(embedder: DeepInfoMaxEmbedder, structures: list[Structure]) -> None:
    points, state = embedder.featurize(structures), embedder.state_
    batch, model = collate(points, np.arange(len(points))), state.model().eval()
    with torch.inference_mode():
        single = model.vectors(batch).double().numpy()
        double = model.double().vectors(as_double(batch)).numpy()
    assert double.dtype == np.float64
    single, double = (np.clip((v - state.center) / state.scale, -BOUND, BOUND) for v in (single, double))
    assert np.abs(single - double).max() < 1e-5
