"""Shapes of encoders and models: what is refused, and what becomes of fields of earlier versions."""

from __future__ import annotations

from typing import Any

import pytest

from skdim import DeepInfoMaxEmbedder
from skdim.network.config import EncoderConfig, ModelConfig, encoder_config


def test_the_published_block_takes_neither_decay_nor_difference() -> None:
    with pytest.raises(ValueError, match="give decay=None and difference=False"):
        DeepInfoMaxEmbedder(encoder_params={"block": "sitenet"}).fit(["no such file.cif"])
    assert encoder_config({"block": "sitenet", "decay": None, "difference": False, "heads": 1}).heads == 1


def test_which_pairs_have_wide_states() -> None:
    assert EncoderConfig().pair_states == "none"
    assert EncoderConfig(blocks=2).pair_states == "all"
    assert EncoderConfig(block="sitenet", decay=None, difference=False).pair_states == "all"
    assert EncoderConfig(hops=1).pair_states == "near"
    assert EncoderConfig(hops=1, blocks=2).pair_states == "all"


FORMER = {
    "encoder": {"radial": False, "cutoff": None, "top_k": None},
    "objective": {"composition": 0.0, "prior": 0.0},
    "": {"all_densities": False},
}


@pytest.mark.parametrize("part", FORMER)
def test_former_fields_are_read_where_they_did_nothing_and_refused_where_they_shaped_a_model(part: str) -> None:
    values = ModelConfig(("Row",), encoder=EncoderConfig(decay=None), context_encoder=EncoderConfig()).as_dict()

    def stored(former: dict[str, Any]) -> dict[str, Any]:
        return {**values, part: {**values[part], **former}} if part else {**values, **former}

    assert ModelConfig.from_dict(stored(FORMER[part])) == ModelConfig.from_dict(values)
    for name in FORMER[part]:
        with pytest.raises(ValueError, match=f"{name}=2 was removed"):
            ModelConfig.from_dict(stored({name: 2}))


@pytest.mark.parametrize(("parameter", "name"), [("encoder_params", "composition"), ("objective_params", "radial")])
def test_a_field_that_there_is_not_is_an_unknown_name(parameter: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{parameter} must be a dict of .* unknown names \['{name}'\]"):
        DeepInfoMaxEmbedder(**{parameter: {name: 0.0}}).fit([])
