"""The layer that tells properties: a loop over sites says the same, and it is read, kept and fine-tuned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.exceptions import InputError
from skdim.learning.states import EmbedderState, weights_of
from skdim.network.config import EncoderConfig, ModelConfig, ObjectiveConfig
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.network.properties import PropertyLayer
from skdim.network.readout import column_names
from skdim.network.segments import segment_sum
from tests.daily import slow
from tests.small import batch_of, bundled, handful, handful_points

WIDTH = 5
SMALL = {"width": 8, "heads": 2, "decay": (2.0, 6.0), "hops": 2, "hop_width": 8}


BESIDE = {"property_names": ("gap", "bond"), "property_beside": True}


def with_properties(**fields: Any) -> DeepInfoMaxEmbedder:
    """An embedder whose property layer has drawn weights."""
    crystals, _ = bundled(40)
    start = DeepInfoMaxEmbedder(preset="deep", encoder_params=SMALL, max_epochs=0, random_state=0).fit(crystals).state_
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        features = len(start.config.feature_names)
        statistics = SiteStatistics(torch.zeros(features), torch.ones(features), torch.ones(119))
        model = CrystalModel(replace(start.config, property_width=WIDTH, **fields), statistics).float()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in start.weights.items()}, strict=False)
    columns = tuple(column_names(model.config))
    center, scale = np.zeros(len(columns), np.float32), np.ones(len(columns), np.float32)
    state: EmbedderState = replace(
        start, config=model.config, weights=weights_of(model), center=center, scale=scale, columns=columns, seen=None
    )
    return DeepInfoMaxEmbedder.from_state(state)


def test_layer_is_that_of_a_loop_over_sites() -> None:
    batch = batch_of(handful_points())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layer = PropertyLayer(EncoderConfig(hops=2, hop_width=4), 3, 2).double()
        states = [torch.randn(len(batch.site_type), 4, dtype=torch.float64) for _ in range(2)]
    fast = layer(batch, states)
    for crystal in range(len(batch)):
        rows = torch.nonzero(batch.crystal == crystal).squeeze(1).tolist()
        hops = list(zip(layer.norms, states, strict=True))
        normed = {row: torch.cat([norm(state[row]) for norm, state in hops]) for row in rows}
        mean = sum(batch.site_weight[row] * normed[row] for row in rows)
        apart = sum(batch.site_weight[row] * (normed[row] - mean).abs() for row in rows)
        hidden = F.silu(layer.hidden(torch.cat([mean, apart])))
        torch.testing.assert_close(fast[crystal], torch.cat([hidden, layer.told(hidden)]))


@pytest.mark.parametrize("fields", [BESIDE, *slow({})])
def test_shares_of_sites_sum_to_the_vector(fields: dict[str, Any]) -> None:
    embedder = with_properties(**fields)
    model, batch = embedder.state_.model().double(), batch_of(embedder.featurizer_.transform(handful()))
    with torch.inference_mode():
        shares, vectors = model.site_shares(batch), model.vectors(batch)
    torch.testing.assert_close(segment_sum(shares, batch.crystal, len(batch)), vectors, atol=1e-4, rtol=1e-4)


def test_columns_are_read_in_place_of_what_was_learned_without_labels_and_do_not_depend_on_the_cell() -> None:
    embedder = with_properties()
    names = embedder.get_feature_names_out().tolist()
    assert names[-WIDTH:] == [f"dim_property_{k}" for k in range(WIDTH)]
    assert not any(name.startswith(("dim_hop", "dim_environment", "dim_context")) for name in names)
    crystals = handful()
    vectors = embedder.transform(crystals)
    assert np.ptp(vectors[:, -WIDTH:], axis=0).min() > 0
    larger = embedder.transform([crystal.make_supercell((2, 1, 1), in_place=False) for crystal in crystals])
    np.testing.assert_allclose(larger, vectors, atol=1e-4)


def test_columns_beside_what_was_learned_without_labels_leave_it_as_it_is() -> None:
    embedder = with_properties(**BESIDE)
    names = embedder.get_feature_names_out().tolist()
    assert names[-WIDTH - 2 :] == [*(f"dim_property_{k}" for k in range(WIDTH)), "dim_told_gap", "dim_told_bond"]
    state = embedder.state_
    config = replace(state.config, property_width=0, property_names=(), property_beside=False)
    assert names[: -WIDTH - 2] == [f"dim_{name}" for name in column_names(config)]
    kept = {name: value for name, value in state.weights.items() if not name.startswith("properties.")}
    n = len(names) - WIDTH - 2
    columns, center, scale = state.columns[:n], state.center[:n], state.scale[:n]
    alone = replace(state, config=config, weights=kept, columns=columns, center=center, scale=scale)
    vectors = DeepInfoMaxEmbedder.from_state(alone).transform(handful())
    np.testing.assert_array_equal(embedder.transform(handful())[:, :n], vectors)


@pytest.mark.parametrize("fields", [BESIDE, *slow({})])
def test_a_pretraining_that_goes_on_leaves_the_layer_and_its_hops_as_they_are(fields: dict[str, Any]) -> None:
    before = with_properties(**fields)
    crystals, _ = bundled(60)
    after = DeepInfoMaxEmbedder(preset="deep", encoder_params=SMALL, max_epochs=1, random_state=0, warm_start=True)
    after.state_ = before.state_
    after.fit(crystals)
    assert after.get_feature_names_out().tolist() == before.get_feature_names_out().tolist()
    old, new = before.state_.weights, after.state_.weights
    for name in old:
        rests = name.startswith(("properties.", "deep."))
        assert np.array_equal(old[name], new[name]) or not rests, name
    assert any(not np.array_equal(old[name], new[name]) for name in old if name.startswith("context."))


def test_a_pretraining_that_goes_on_needs_something_that_the_layer_does_not_rest_on() -> None:
    crystals, _ = bundled(40)
    embedder = DeepInfoMaxEmbedder(
        preset="deep", encoder_params=SMALL, objective_params={"context": 0.0}, max_epochs=1, warm_start=True
    )
    embedder.state_ = with_properties().state_
    with pytest.raises(InputError, match="Give 'context' one above 0"):
        embedder.fit(crystals)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, BESIDE])
def test_file_gives_the_same_vectors_and_fine_tuning_starts_from_them(fields: dict[str, Any], tmp_path: Path) -> None:
    embedder = with_properties(**fields)
    embedder.save(tmp_path / "labelled.safetensors")
    again = DeepInfoMaxEmbedder.load(tmp_path / "labelled.safetensors")
    crystals, y = bundled(40)
    np.testing.assert_array_equal(again.transform(crystals), embedder.transform(crystals))
    tuned = SiteNetRegressor(embedder=again, max_epochs=1, random_state=0).fit(crystals, y)
    assert np.isfinite(tuned.predict(crystals)).all()


def test_layer_needs_hops_to_read() -> None:
    with pytest.raises(InputError, match="property_width=3 needs hops"):
        ModelConfig(("Row",), objective=ObjectiveConfig(context=0.0), property_width=3)


def test_what_is_told_needs_the_layer() -> None:
    with pytest.raises(InputError, match="property_names needs a property_width"):
        ModelConfig(("Row",), objective=ObjectiveConfig(context=0.0), property_names=("gap",))
