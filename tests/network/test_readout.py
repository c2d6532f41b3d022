"""Names of columns come from the configuration; they fit what a model pools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxEmbedder
from skdim.learning.pretraining import site_statistics
from skdim.network.batches import collate
from skdim.network.config import EncoderConfig, ModelConfig
from skdim.network.model import CrystalModel
from skdim.network.readout import column_names, part_columns
from tests.daily import slow
from tests.small import as_double, batch_of, bundled, handful_points

TWO_HEADS = EncoderConfig(width=8, heads=2, decay=(2.0, 6.0))
ENCODERS = [
    TWO_HEADS,
    replace(TWO_HEADS, blocks=3, decay=(0.5, 1.0)),
    EncoderConfig(width=6, heads=1, block="sitenet", decay=None, difference=False),
]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_parts_have_the_columns_that_the_configuration_names(encoder: EncoderConfig) -> None:
    points = handful_points()
    context = replace(encoder, blocks=1)
    config = ModelConfig(points.feature_names, points.interaction_names, encoder, context)
    model = CrystalModel(config, site_statistics(points)).double()
    batch = batch_of(points)
    with torch.no_grad():
        parts, vectors = model.site_parts(batch), model.vectors(batch)
    assert {part: values.shape[1] for part, values in parts.items()} == {
        part: len(names) for part, names in part_columns(config).items()
    }
    assert list(parts) == list(part_columns(config))
    assert vectors.shape[1] == len(column_names(config)) == len(set(column_names(config)))


@pytest.mark.parametrize("preset", ["default", *slow("deep", "paper")])
def test_single_precision_gives_five_digits_of_double_precision(preset: str) -> None:
    embedder = DeepInfoMaxEmbedder(preset=preset, max_epochs=1, random_state=0).fit(bundled(40)[0])
    model, points = embedder.state_.model(), embedder.featurize(bundled(40)[0])
    batch = collate(points, np.arange(40))
    with torch.inference_mode():
        single, double = model.vectors(batch), model.double().vectors(as_double(batch))
    largest = double.abs().amax(0).clamp_min(1e-3)
    assert ((single - double).abs().amax(0) / largest).max() < 1e-5
