"""Models and checkpoints name no device. No GPU is needed: "meta" stands for a device that is not this processor."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from skdim import DeepInfoMaxEmbedder
from skdim.network.batches import collate
from skdim.network.noise import crystal_noise, pair_noise
from tests.small import bundled, bundled_points, noise


@pytest.fixture(scope="module")
def embedder() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(bundled_points(20))


def test_a_model_trained_on_a_device_that_is_not_here_is_loaded_on_the_processor(
    embedder: DeepInfoMaxEmbedder, tmp_path: Path
) -> None:
    """What a GPU would have written differs from this file in one parameter: arrays are numpy's on every device."""
    copy.copy(embedder).set_params(device="cuda:7").save(tmp_path / "m.safetensors")
    loaded = DeepInfoMaxEmbedder.load(tmp_path / "m.safetensors")
    assert loaded.device == "auto"
    assert np.array_equal(loaded.transform(bundled_points(20)), embedder.transform(bundled_points(20)))


def test_a_saved_model_holds_plain_arrays(embedder: DeepInfoMaxEmbedder, tmp_path: Path) -> None:
    embedder.save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "np") as file:
        kinds = {type(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
    assert kinds == {np.ndarray}


def test_noise_is_drawn_where_the_batch_is() -> None:
    batch = collate(bundled_points(20), np.arange(5)).to("meta")
    assert crystal_noise(batch, noise()).device == torch.device("meta")
    assert pair_noise(batch, noise()).device == torch.device("meta")
    assert len(pair_noise(batch, noise())) == len(batch.row)


def test_vectors_do_not_depend_on_the_device_that_torch_makes_tensors_on(embedder: DeepInfoMaxEmbedder) -> None:
    usual = embedder.transform(bundled_points(20))
    with torch.device("meta"):
        assert np.array_equal(embedder.transform(bundled_points(20)), usual)


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_vectors_and_losses_can_be_computed_in_bfloat16(preset: str) -> None:
    crystals = bundled(20)[0]
    model = DeepInfoMaxEmbedder(preset=preset, max_epochs=1, random_state=0).fit(crystals)
    points = model.featurizer_.transform(crystals)
    batch, network = collate(points, np.arange(20)), model.encoder_.model
    with torch.inference_mode():
        exact = network(batch)
        with torch.autocast("cpu", torch.bfloat16):
            near = network(batch)
    # Three digits of each column, seen against how far columns reach.
    assert ((near - exact).abs().mean(0) / exact.abs().amax(0).clamp_min(1e-3)).max() < 0.05
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(network(batch, noise()).values())
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
