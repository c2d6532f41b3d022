"""Shapes of encoders: what is refused, and what fields of earlier versions mean."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from skdim import DeepInfoMaxEmbedder
from skdim.network.config import EncoderConfig, ModelConfig, encoder_config

FLAT = {"decay": None, "difference": False}


@pytest.mark.parametrize("block", ["separable", "sitenet"])
def test_fields_of_earlier_versions_are_read_at_the_values_that_are_left(block: str) -> None:
    given = EncoderConfig(block=block, **FLAT)  # type: ignore[arg-type]
    former = {"radial": False, "cutoff": None, "top_k": None, "depth": 1 if block == "separable" else 2}
    fields = {name: value for name, value in asdict(given).items() if name != "block"}
    assert encoder_config({**fields, **former}) == given
    values = ModelConfig(("Row",), encoder=given, context_encoder=given).as_dict()
    stored = {**values, "encoder": {**fields, **former}, "context_encoder": {**fields, **former}}
    assert ModelConfig.from_dict(stored) == ModelConfig.from_dict(values)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"radial": True}, "radial=True was removed: the distance enters as it is"),
        ({"cutoff": 4.0}, "cutoff=4.0 was removed: n_neighbors of the featurizer"),
        ({"top_k": 5}, "top_k=5 was removed: every pair"),
        ({"depth": 2}, "depth=2 with decay or difference was removed.*block='sitenet'"),
        ({"depth": 3}, "depth=3 was removed: give block='separable' or block='sitenet'"),
        ({"depth": True}, "depth=True was removed"),
        ({"block": "sitenet"}, "give decay=None and difference=False"),
    ],
)
def test_what_was_removed_is_refused_with_the_cure(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder_config(params)
    with pytest.raises(ValueError, match=message):
        DeepInfoMaxEmbedder(encoder_params=params).fit(["no such file.cif"])


def test_which_pairs_have_wide_states() -> None:
    assert EncoderConfig().pair_states == "none"
    assert EncoderConfig(blocks=2).pair_states == "all"
    assert EncoderConfig(block="sitenet", decay=None, difference=False).pair_states == "all"
    assert EncoderConfig(hops=1).pair_states == "near"
    assert EncoderConfig(hops=1, blocks=2).pair_states == "all"


def test_an_objective_that_was_removed_is_refused_where_it_had_a_weight() -> None:
    values = {**ModelConfig(("Row",), context_encoder=EncoderConfig()).as_dict()}
    former = {**values, "objective": {**values["objective"], "composition": 0.0, "prior": 0.0}}
    assert ModelConfig.from_dict(former) == ModelConfig.from_dict(values)
    with pytest.raises(ValueError, match=r"'composition': 1\.0.* was removed: .* gain nothing"):
        ModelConfig.from_dict({**former, "objective": {**values["objective"], "composition": 1.0}})


@pytest.mark.parametrize(("parameter", "name"), [("encoder_params", "composition"), ("objective_params", "radial")])
def test_a_former_field_of_the_other_configuration_is_an_unknown_name(parameter: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{parameter} must be a dict of .* unknown names \['{name}'\]"):
        DeepInfoMaxEmbedder(**{parameter: {name: 0.0}}).fit([])
