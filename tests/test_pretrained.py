"""The shipped models: a file is the one its card describes, and its vectors are those that were recorded."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor, pretrained
from skdim.datasets import load_unlabelled
from skdim.interpretation import site_surprise
from skdim.learning.states import BOUND
from skdim.network.batches import collate
from skdim.pretrained import load_pretrained, pretrained_card
from tests.bundled import bundled_crystal
from tests.handmade import DATA, salt
from tests.small import as_double, bundled

SHIPPED = Path(str(files(pretrained)))


@pytest.mark.parametrize("name", pretrained.MODELS)
def test_the_file_is_small_and_is_the_one_that_its_card_describes(name: str) -> None:
    content, card = (SHIPPED / f"{name}.safetensors").read_bytes(), pretrained_card(name)
    assert hashlib.sha256(content).hexdigest() == card["sha256"]
    assert len(content) == card["bytes"] <= 4_000_000


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "bundled")) for name in pretrained.MODELS]
)
def test_single_precision_is_enough_for_its_vectors(name: str) -> None:
    """Of the bundled crystals, and of one whose thousand sites are summed over."""
    rng, place = np.random.default_rng(0), np.indices((10, 10, 10)).reshape(3, -1).T / 10
    species = rng.choice(["Li", "O", "Fe", "P"], 1000).tolist()
    many = Structure(Lattice.cubic(26.0), species, place + rng.uniform(-0.01, 0.01, place.shape))
    encoder = load_pretrained(name).encoder_
    state, points = encoder.state, encoder.featurize([*bundled(20)[0], many])
    batch, model = collate(points, np.arange(len(points))), encoder.state.model()
    with torch.inference_mode():
        single, double = model.vectors(batch).numpy(), model.double().vectors(as_double(batch)).numpy()
    within = [np.clip((raw - state.center) / state.scale, -BOUND, BOUND) for raw in (single, double)]
    assert within[0] == pytest.approx(within[1], abs=1e-5)


@pytest.mark.parametrize("name", pretrained.MODELS)
def test_its_vectors_are_those_that_were_recorded(name: str) -> None:
    recorded = json.loads((DATA / f"pretrained_vectors_{name}.json").read_text())
    vectors = load_pretrained(name).transform([bundled_crystal(int(row)) for row in recorded["rows"]])
    assert np.abs(vectors - np.array(list(recorded["rows"].values()))).max() < 1e-4


@pytest.mark.slow
def test_the_card_says_what_went_in_and_what_came_out() -> None:
    card, embedder = pretrained_card("bundled"), load_pretrained("bundled")
    assert card["data"]["crystals"] == len(load_unlabelled().data) == embedder.state_.record.rows
    assert card["seed"] == embedder.random_state
    assert card["training"]["epochs"] == len(embedder.history_)
    assert card["command"].startswith("python benchmarks/make_pretrained.py")
    assert "transductive" in card["scores"]
    assert card["limits"]
    assert (
        card["scores"]["formation energy"]["ridge, 500 labels"]
        < card["scores"]["formation energy"]["median, 500 labels"] / 2
    )


@pytest.mark.parametrize("name", [name for name in pretrained.MODELS if name != "bundled"])
def test_cards_of_the_large_set_give_attribution_and_say_what_was_left_out(name: str) -> None:
    card, embedder = pretrained_card(name), load_pretrained(name)
    assert card["data"]["crystals"] == embedder.state_.record.rows > 100_000
    assert "CC BY 4.0" in card["data"]["source"]
    assert ("labels" in card["data"]) == name.endswith("labels")
    assert "bundled" in card["limits"][0]
    assert ("transductive scores" in card) == (name == "materials_project")
    assert card["scores"]["band gap"]["50 labels"] > card["scores"]["band gap"]["250 labels"]


def test_it_is_the_default_preset_as_it_is_now() -> None:
    untrained = DeepInfoMaxEmbedder(max_epochs=0).fit(bundled(3)[0])
    shipped = load_pretrained("bundled")
    # It has no hops and masks nothing: what these would be was recorded when it was made.
    was, now = shipped.state_.config, untrained.state_.config
    encoders = ("encoder", "context_encoder")
    like = {
        name: replace(getattr(was, name), hop_width=now.encoder.hop_width, reach=now.encoder.reach) for name in encoders
    }
    objective = replace(was.objective, masked_share=now.objective.masked_share)
    assert replace(was, objective=objective, **like) == now
    assert shipped.state_.settings == untrained.state_.settings
    assert list(shipped.get_feature_names_out()) == list(untrained.get_feature_names_out())
    assert shipped.get_params() == DeepInfoMaxEmbedder(random_state=shipped.random_state).get_params()


def test_what_is_given_without_a_name_has_learned_from_structures_of_the_materials_project_alone() -> None:
    untrained = DeepInfoMaxEmbedder(preset="deep", max_epochs=0).fit(bundled(3)[0])
    shipped = load_pretrained()
    assert np.array_equal(shipped.transform([salt()]), load_pretrained("materials_project").transform([salt()]))
    # It has the form of the preset, and beside it what was learned of electrons, see its card.
    config, columns = shipped.state_.config, shipped.get_feature_names_out().tolist()
    alone = {"property_width": 0, "property_names": (), "property_beside": False}
    assert replace(config, objective=untrained.state_.config.objective, **alone) == untrained.state_.config
    assert shipped.state_.settings == untrained.state_.settings
    own = untrained.get_feature_names_out().tolist()
    told = [f"dim_property_{k}" for k in range(512)] + [f"dim_told_{name}" for name in config.property_names]
    assert columns == own + told


def test_the_former_name_of_the_small_model_is_understood() -> None:
    for ask in (load_pretrained, pretrained_card):
        with pytest.warns(FutureWarning, match="'default' is now called 'bundled'"):
            ask("default")


def test_it_is_fitted_and_serves_whatever_takes_an_embedder() -> None:
    structures, y = bundled(12)
    embedder = load_pretrained()
    assert site_surprise(embedder, salt())["expected"].isin(["Na", "Cl", "K", "Rb", "Br", "F", "I", "Li", "Cs"]).any()
    model = SiteNetRegressor(embedder, max_epochs=0).fit(structures, y)
    assert np.isfinite(model.predict(structures)).all()


def test_a_pipeline_that_would_train_it_anew_says_so_and_one_that_keeps_it_does_not() -> None:
    structures, y = bundled(12)
    embedder = load_pretrained()
    expected = embedder.transform(structures)
    kept = make_pipeline(FrozenEstimator(embedder), Ridge()).fit(structures, y)
    assert np.array_equal(kept[0].transform(structures), expected)
    quick = load_pretrained("bundled").set_params(max_epochs=1)
    with pytest.warns(UserWarning, match="fit trains a new encoder and makes no use of what the loaded embedder"):
        cross_val_predict(make_pipeline(quick, Ridge()), structures, y, cv=2)  # which clones it
    with pytest.warns(UserWarning, match=r"sklearn.frozen.FrozenEstimator\(embedder\)"):
        make_pipeline(quick, Ridge()).fit(structures, y)  # which does not


def test_a_fit_of_a_clone_trains_and_is_not_the_untrained_control() -> None:
    for name in pretrained.MODELS:
        assert load_pretrained(name).max_epochs is None


def test_a_file_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SHIPPED, tmp_path / "pretrained")
    with (tmp_path / "pretrained" / "materials_project.safetensors").open("ab") as file:
        file.write(b"x")
    monkeypatch.setattr(pretrained, "files", lambda package: tmp_path / "pretrained")
    with pytest.raises(ValueError, match=r"has the sha256 .*, but its card says .*Install the package again"):
        load_pretrained()


def test_unknown_models_are_refused() -> None:
    for ask in (load_pretrained, pretrained_card):
        with pytest.raises(ValueError, match=r"name must be 'materials_project'.* got 'paper'"):
            ask("paper")
