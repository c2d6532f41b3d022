"""Values of parameters that are not accepted: one clear error each, before any crystal is looked at."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skdim import DeepInfoMaxEmbedder
from skdim._parameters import as_json, check, choice, integer, number, optional
from tests.small import bundled_points

# A parameter, values it does not accept, and what the message says is accepted.
REFUSED: list[tuple[str, list[Any], str]] = [
    ("preset", ["best", None, 3, ["paper"]], "'default' or 'paper'"),
    ("embedding_dim", [0, -3, 2.5, "8", True], "an integer >= 1"),
    ("max_epochs", [-1, 1.5, "ten", math.nan], "an integer >= 0"),
    ("batch_pairs", [0, -8, 1e4, "many"], "an integer >= 1"),
    ("learning_rate", [0.0, -1e-3, math.inf, math.nan, "fast"], "a finite number > 0"),
    ("kl_weight", [-0.1, math.nan, math.inf, "a"], "a finite number >= 0"),
    ("negatives", ["crystal", (), ("cell",), 3, ("crystal", "crystal"), {"crystal"}], "crystal, species, distances"),
    ("readout", ["mean", 4, ("moments",)], "'moments' or 'network'"),
    ("validation_fraction", [1.0, -0.1, 50, math.nan, "half"], "a number >= 0 and < 1"),
    ("patience", [0, -1, 2.5, "long"], "an integer >= 1"),
    ("device", ["gpu", "cuda:99", 0, None, ""], "'auto' or a torch device"),
    ("on_error", ["ignore", None, 0], "'raise'"),
    ("n_jobs", [0, 1.5, "all", True], "an integer other than 0"),
    ("verbose", [-1, "loud", 1.5, None], "an integer >= 0"),
    ("checkpoint_dir", [3, b"x", ["a"]], "the path of a folder"),
    ("random_state", ["seed", -1, 1.5, np.random.default_rng(0)], "RandomState"),
    ("featurizer", ["shell", 3, DeepInfoMaxEmbedder], "CrystalPointSetTransformer"),
    ("encoder_params", [3, "width", ["width"]], "a dict of width, heads"),
    ("objective_params", [3, "local", ["local"]], "a dict of local, global, context"),
]
NESTED: list[tuple[str, str, list[Any], str]] = [
    ("encoder_params", "width", [0, -4, 1.5, "wide", None], "an integer >= 1"),
    ("encoder_params", "width", [18], "a multiple of heads=4"),
    ("encoder_params", "heads", [0, "two"], "an integer >= 1"),
    ("encoder_params", "blocks", [0, 1.5], "an integer >= 1"),
    ("encoder_params", "block", [1, "deep", None], "'separable' or 'sitenet'"),
    ("encoder_params", "decay", [3.0, (1.0,), "2468", (1.0, 2.0, 3.0, math.nan)], "one exponent for each of heads=4"),
    ("encoder_params", "difference", ["yes", 1, None], "True or False"),
    ("encoder_params", "activation", ["tanh", None], "'silu', 'mish', 'relu' or 'gelu'"),
    ("objective_params", "local", [-1.0, math.nan, "on", None], "a finite number >= 0"),
    ("objective_params", "global", [-1.0, math.inf], "a finite number >= 0"),
    ("objective_params", "context", [-1.0], "a finite number >= 0"),
    ("objective_params", "jitter", [-0.1, "some"], "a finite number >= 0"),
    ("objective_params", "strain", [-0.1], "a finite number >= 0"),
    ("objective_params", "estimator", ["mine", None, 3], "'jsd', 'dv' or 'infonce'"),
]


def assert_refused(name: str, value: Any, accepted: str, **params: Any) -> None:
    with pytest.raises(ValueError, match="must be") as error:
        # Were a crystal looked at first, there would be an error about the file.
        DeepInfoMaxEmbedder(**params).fit(["no such file.cif"])
    message = str(error.value)
    assert name in message
    assert accepted in message
    assert repr(value) in message or str(value) in message
    assert "no such file" not in message


@pytest.mark.parametrize(
    ("name", "value", "accepted"), [(name, v, accepted) for name, values, accepted in REFUSED for v in values]
)
def test_a_value_that_is_not_accepted_is_named_with_what_is(name: str, value: Any, accepted: str) -> None:
    if name == "preset" or value is not None or name in ("device", "on_error"):
        assert_refused(name, value, accepted, **{name: value})


@pytest.mark.parametrize(
    ("parameter", "name", "value", "accepted"),
    [(parameter, name, v, accepted) for parameter, name, values, accepted in NESTED for v in values],
)
def test_so_is_one_in_a_dict_of_parameters(parameter: str, name: str, value: Any, accepted: str) -> None:
    assert_refused(name, value, accepted, **{parameter: {name: value}})


@pytest.mark.parametrize("parameter", ["encoder_params", "objective_params"])
def test_unknown_names_are_named_with_the_known_ones(parameter: str) -> None:
    with pytest.raises(ValueError, match=rf"{parameter} must be a dict of .*, got the unknown names \['widht', 3\]"):
        DeepInfoMaxEmbedder(**{parameter: {"widht": 3, 3: 4}}).fit(["no such file.cif"])


def test_a_training_without_any_objective_is_refused_and_a_control_without_one_is_not() -> None:
    nothing = {"context": 0.0}
    with pytest.raises(ValueError, match="nothing to learn"):
        DeepInfoMaxEmbedder(objective_params=nothing).fit(["no such file.cif"])
    DeepInfoMaxEmbedder(objective_params=nothing, max_epochs=0).fit(bundled_points(10))


def test_the_network_readout_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match=r"objective_params=\{'context': 1.0\} needs readout='moments'"):
        DeepInfoMaxEmbedder(readout="network").fit(["no such file.cif"])


@pytest.mark.parametrize("value", [np.int64(3), np.float32(0.5), 2])
def test_numbers_of_numpy_are_numbers(value: Any) -> None:
    check("x", value, number(least=0))


def test_bounds_are_kept() -> None:
    for accepted in (number(least=0), number(most=0), integer(0), integer(-1, 0), optional(integer(0))):
        check("x", 0, accepted)
    for accepted in (number(above=0), number(below=0), number(least=1), number(most=-1), integer(1), integer(-2, -1)):
        with pytest.raises(ValueError, match=r"x must be .* got 0"):
            check("x", 0, accepted)


def test_a_message_reads_as_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"^patience must be None or an integer >= 1, got 0\.$"):
        check("patience", 0, optional(integer(1)))


def test_choices_are_compared_with_their_types() -> None:
    check("depth", np.int64(2), choice(1, 2))
    for value in (True, "2", 2.0, None, [1]):
        with pytest.raises(ValueError, match=r"depth must be 1 or 2, got"):
            check("depth", value, choice(1, 2))


def test_json_of_numpy_and_paths_is_that_of_python() -> None:
    ours = as_json({"b": np.int64(1), "a": (np.float64(0.5), np.bool_(True)), "c": Path("x"), "d": np.arange(2)})
    assert json.loads(ours) == {"a": [0.5, True], "b": 1, "c": "x", "d": [0, 1]}
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        as_json({"a": object()})
