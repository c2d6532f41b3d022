"""Single precision, in which everything is computed, against double precision with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxEmbedder
from skdim.network.batches import collate
from tests.small import as_double, bundled


@pytest.mark.parametrize(
    "params", [{}, {"preset": "deep"}, {"preset": "paper", "encoder_params": {"width": 16}}], ids=["", "deep", "paper"]
)
def test_vectors_in_single_precision_are_those_of_double_precision(params: dict[str, Any]) -> None:
    """Within 1e-5 of the length of each vector, in standard deviations; a column alone may be off by some 1e-5."""
    structures = bundled(20)[0]
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0, **params).fit(structures)
    points, state = embedder.featurize(structures), embedder.state_
    batch, model = collate(points, np.arange(len(points))), state.model().eval()
    with torch.inference_mode():
        single = model.vectors(batch).double().numpy()
        double = model.double().vectors(as_double(batch)).numpy()
    assert double.dtype == np.float64
    error = np.linalg.norm((single - double) / state.scale, axis=1)
    length = np.linalg.norm((double - state.center) / state.scale, axis=1)
    assert (error < 1e-5 * length).all()
