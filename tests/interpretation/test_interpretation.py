"""What the tables of interpretation say holds of the network itself: sums, probabilities, neighbours, sites."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, PointSets
from skdim.exceptions import StructureError
from skdim.interpretation import attention_by_distance, interchangeable_elements, nearest_neighbors, site_surprise
from tests.bundled import sample
from tests.handmade import iron, perovskite, salt
from tests.small import bundled, bundled_points, handful, mixture, rutile

SITE = ["crystal", "site", "encoder", "head"]


@cache
def fitted(**params: Any) -> DeepInfoMaxEmbedder:
    given = {"max_epochs": 8, "random_state": 0, **params}
    return DeepInfoMaxEmbedder(**given).fit(sample(500))


@cache
def paper() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(preset="paper", max_epochs=0, random_state=0).fit(bundled(4)[0])


@cache
def contextless() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(objective_params={"context": 0.0}, max_epochs=0).fit(bundled_points(200))


@cache
def supercells() -> DeepInfoMaxEmbedder:
    featurizer = CrystalPointSetTransformer(neighborhood="supercell")
    return DeepInfoMaxEmbedder(featurizer, max_epochs=0, random_state=0).fit(handful())


@pytest.mark.parametrize("of", [fitted, supercells])
def test_attention_sums_to_one_for_each_site_encoder_and_head(of: Any) -> None:
    table = attention_by_distance(of(), handful())
    total = table.groupby(SITE)["weight"].sum()
    assert np.allclose(total, 1, atol=1e-5)
    assert set(table["encoder"]) == {"environment", "context"}
    assert set(table["head"]) == set(range(of().state_.config.encoder.heads))
    assert set(table["crystal"]) == set(range(len(handful())))


def test_every_site_of_the_crystal_is_listed_with_what_sits_there() -> None:
    table = attention_by_distance(fitted(), [rutile(), mixture()])
    first = table[table["crystal"] == 0].drop_duplicates("site")
    assert list(first["element"]) == [site.species_string for site in rutile()]
    assert set(table[table["crystal"] == 1]["element"]) == {"Na0.6K0.4", "Cl0.9"}
    distances = rutile().distance_matrix
    near = table[(table["crystal"] == 0) & (table["distance"] < 2.1)]
    assert np.allclose(near["distance"], distances[near["site"], near["neighbor"]], atol=1e-3)


def test_point_sets_give_the_same_attention_with_alike_sites_merged() -> None:
    shells = ["encoder", "head", "element", "neighbor_element", "distance"]
    every = attention_by_distance(fitted(), [rutile()])
    merged = attention_by_distance(fitted(), CrystalPointSetTransformer().fit_transform([rutile()]))
    assert len(merged) < len(every)
    for table in (every, merged):
        table["distance"] = table["distance"].round(4)
        table["weight"] /= table.groupby("element")["site"].transform("nunique")
    wanted, got = (table.groupby(shells)["weight"].sum() for table in (every, merged))
    pd.testing.assert_series_equal(got, wanted, atol=1e-6)
    assert (merged["count"] > 1).any()


def test_attention_of_an_untrained_head_falls_with_its_power_of_the_distance() -> None:
    embedder = fitted(max_epochs=0)
    table = attention_by_distance(embedder, [iron()]).query("encoder == 'environment'")
    radius = table["distance"].min() * 1.6  # within the complete shells, where nothing is tapered
    inner = table[table["distance"] < radius]
    for head, power in enumerate(embedder.state_.config.encoder.decay):
        one = inner[inner["head"] == head]
        assert np.ptp(np.log(one["weight"]) + power * np.log(one["distance"])) < 1e-3


def test_the_paper_s_network_has_one_encoder() -> None:
    table = attention_by_distance(paper(), [salt(), perovskite()])
    assert set(table["encoder"]) == {"environment"}
    assert np.allclose(table.groupby(SITE)["weight"].sum(), 1, atol=1e-5)
    # Sites of the primitive cell, by the site of the given cell each stands for.
    assert {salt()[k].species_string for k in table[table["crystal"] == 0]["site"]} == {"Na", "Cl"}


@pytest.mark.parametrize("crystal", [rutile(), perovskite(), mixture()], ids=lambda s: s.formula)
def test_surprise_is_minus_the_log_probability_that_the_vector_pools(crystal: Any) -> None:
    embedder = fitted()
    table = site_surprise(embedder, crystal)
    atoms = np.array([site.species.num_atoms for site in crystal])
    names = list(embedder.state_.columns)
    model = embedder.state_.model()
    from skdim.network.batches import collate

    batch = collate(CrystalPointSetTransformer().fit_transform([crystal]), np.arange(1))
    with torch.inference_mode():
        raw = model.vectors(batch)[0].numpy()
    for moment, value in (
        ("mean", np.average(table["surprise"], weights=atoms)),
        ("minimum", table["surprise"].min()),
        ("maximum", table["surprise"].max()),
    ):
        assert raw[names.index(f"surprise_0_{moment}")] == pytest.approx(value, abs=1e-4)


def test_surprise_names_place_and_expectation() -> None:
    table = site_surprise(fitted(), rutile())
    assert list(table["site"]) == list(range(6))
    assert np.allclose(table[["a", "b", "c"]], rutile().frac_coords)
    assert np.allclose(table[["x", "y", "z"]], rutile().cart_coords)
    known = table[table["expected"] == table["element"]]
    assert len(known)
    assert np.allclose(known["surprise"], -np.log(known["probability"]), atol=1e-5)
    rest = table.drop(known.index)
    assert (rest["surprise"] > -np.log(rest["probability"])).all()


@pytest.mark.slow
def test_swapped_sites_are_the_most_surprising_ones() -> None:
    swapped = perovskite() * (2, 2, 2)
    assert (swapped[0].species_string, swapped[16].species_string) == ("Sr", "O")
    swapped.replace(0, "O")
    swapped.replace(16, "Sr")
    surprise = site_surprise(fitted(max_epochs=15), swapped)["surprise"]
    assert set(surprise.nlargest(2).index) == {0, 16}


def test_supercell_neighborhoods_list_the_primitive_cell() -> None:
    table = site_surprise(supercells(), salt())
    assert sorted(table["element"]) == ["Cl", "Na"]
    assert [salt()[k].species_string for k in table["site"]] == list(table["element"])


def test_interchangeable_elements_are_those_of_the_pretraining_set() -> None:
    table = interchangeable_elements(fitted())
    present = {e.symbol for s in sample(500) for e in s.composition.elements}
    assert set(table.index) == present == set(table.columns)
    assert np.array_equal(np.diag(table), np.ones(len(table)))
    assert np.allclose(table, table.T)
    assert table.abs().max(axis=None) <= 1
    over = interchangeable_elements(fitted(), bundled_points(200))
    assert over.shape == table.shape
    assert np.allclose(over, interchangeable_elements(fitted(), bundled(200)[0]), atol=1e-3)


def test_similarity_over_crystals_is_the_correlation_of_centred_log_ratios() -> None:
    embedder, crystals = fitted(), [rutile(), perovskite(), salt()]
    model = embedder.state_.model()
    from skdim.network.batches import collate

    batch = collate(CrystalPointSetTransformer().fit_transform(crystals), np.arange(3))
    with torch.inference_mode():
        guess = model.context.objective.log_probabilities(model.context(batch, model.features(batch), batch.distance))
    table = interchangeable_elements(embedder, crystals)
    numbers = sorted({e.Z for c in sample(500) for e in c.composition.elements})
    ratios = (guess - model.context.objective.log_share)[:, numbers].double().numpy()
    ratios -= ratios.mean(1, keepdims=True)
    assert np.allclose(table, np.corrcoef(ratios.T), atol=1e-4)


def test_the_nearest_neighbour_of_a_row_is_itself() -> None:
    vectors = fitted().transform(bundled_points(200))
    table = nearest_neighbors(vectors, vectors[[5, 17]], n_neighbors=3)
    nearest = table[table["rank"] == 1]
    assert list(nearest["row"]) == [5, 17]
    assert np.allclose(nearest["distance"], 0, atol=1e-4)
    assert list(table["query"]) == [0, 0, 0, 1, 1, 1]


def test_neighbours_are_those_of_a_search_by_hand_and_never_oneself_or_a_failed_row() -> None:
    vectors = fitted().transform(bundled_points(200)).astype(float)[:30]
    vectors[4] = np.nan
    table = nearest_neighbors(vectors, n_neighbors=2)
    apart = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    np.fill_diagonal(apart, np.inf)
    wanted = [k for k in range(30) if k != 4]
    assert list(table[table["rank"] == 1]["query"]) == wanted
    assert list(table[table["rank"] == 1]["row"]) == [int(np.nanargmin(apart[k])) for k in wanted]


def test_crystals_are_embedded_where_there_is_an_embedder() -> None:
    crystals = bundled(20)[0]
    table = nearest_neighbors(crystals, [crystals[7]], n_neighbors=2, embedder=fitted())
    vectors = fitted().transform(crystals)
    pd.testing.assert_frame_equal(table, nearest_neighbors(vectors, vectors[[7]], n_neighbors=2), atol=1e-3)
    assert table["row"][0] == 7


@pytest.mark.parametrize("tool", [lambda e: site_surprise(e, salt()), interchangeable_elements])
@pytest.mark.parametrize("embedder", [paper, contextless])
def test_without_a_context_objective_there_is_a_clear_error(tool: Any, embedder: Any) -> None:
    with pytest.raises(ValueError, match=r"embedder must have a context objective.*preset='default'"):
        tool(embedder())


def test_other_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"embedder must be a fitted DeepInfoMaxEmbedder, got Ridge"):
        attention_by_distance(Ridge(), [salt()])
    with pytest.raises(NotFittedError):
        interchangeable_elements(DeepInfoMaxEmbedder())
    with pytest.raises(StructureError, match=r"row 0: file 'missing\.cif'"):
        site_surprise(fitted(), "missing.cif")
    with pytest.raises(ValueError, match=r"got 'model\.safetensors'. DeepInfoMaxEmbedder\.load reads a saved one"):
        site_surprise("model.safetensors", salt())
    with pytest.raises(TypeError, match="structure must be one crystal, got a list"):
        site_surprise(fitted(), [salt()])
    with pytest.raises(StructureError, match="row 1"):
        attention_by_distance(FrozenEstimator(fitted()), [salt(), None])
    with pytest.raises(ValueError, match="trained on"):
        attention_by_distance(paper(), bundled_points(200))
    with pytest.raises(ValueError, match="0 usable sites; at least 2"):
        interchangeable_elements(fitted(), bundled_points(200)[:0])
    with pytest.raises(ValueError, match=r"n_neighbors must be an integer from 1 to 2 \(3 of 3 rows .*\), got 3"):
        nearest_neighbors(np.eye(3), n_neighbors=3)
    with pytest.raises(ValueError, match="queries must be finite, got NaN at rows 0"):
        nearest_neighbors(np.eye(3), [[np.nan, 0, 0]], n_neighbors=1)
    with pytest.raises(ValueError, match="queries must have 3 columns, as vectors has, got 2"):
        nearest_neighbors(np.eye(3), np.eye(2), n_neighbors=1)
    with pytest.raises(ValueError, match=r"vectors must be numbers .* got the shape \(3,\)"):
        nearest_neighbors([1.0, 2.0, 3.0])


def test_no_crystals_give_an_empty_table() -> None:
    empty: PointSets = bundled_points(200)[:0]
    for X in (empty, []):
        table = attention_by_distance(fitted(), X)
        assert len(table) == 0
        assert "weight" in table
