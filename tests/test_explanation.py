"""A prediction in parts: sums, and that neither the cell, nor the order of sites, nor symmetry matters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from skdim import CrystalClassifier, CrystalRegressor, DeepInfoMaxEmbedder, load_pretrained
from skdim.datasets import load_elastic_moduli
from skdim.evaluation._readouts import READOUTS
from skdim.exceptions import StructureError
from skdim.learning.seeding import drawing_from
from skdim.network.model import CrystalModel, SiteStatistics
from skdim.network.readout import KINDS, column_kinds, column_names
from tests.bundled import permuted
from tests.handmade import salt
from tests.small import handful, mixture

BUNCH = load_elastic_moduli(target="K_VRH")
CRYSTALS, MODULI = list(BUNCH.data[:60]), BUNCH.target[:60]
# All but the ridge take seconds: trees are taken apart leaf by leaf, and kernels step by step.
READ = {name: pytest.param(name, marks=[pytest.mark.slow] * (name != "ridge")) for name in READOUTS}


@pytest.fixture(scope="module")
def embedder() -> DeepInfoMaxEmbedder:
    return load_pretrained()


@pytest.fixture(scope="module")
def points(embedder):
    return embedder.featurizer_.transform(CRYSTALS)


@pytest.fixture(params=READ.values(), scope="module")
def model(request, embedder, points) -> CrystalRegressor:
    return CrystalRegressor(embedder, [request.param], scale="log10", random_state=0).fit(points, MODULI)


def total(table: pd.DataFrame, part: str) -> np.ndarray:
    return table[table["part"] == part].groupby("crystal")["contribution"].sum().to_numpy()


def parts_of(model, crystal, part: str) -> dict[str, float]:
    table = model.explain([crystal])
    return table[table["part"] == part].groupby("name")["contribution"].sum().to_dict()


def test_kinds_elements_and_sites_each_sum_to_the_prediction(model) -> None:
    table = model.explain(handful())
    predicted = np.log10(model.predict(handful()))
    for part in ("kind", "element", "site"):
        np.testing.assert_allclose(total(table, "start") + total(table, part), predicted, atol=2e-5)
    np.testing.assert_allclose(total(table, "sum"), predicted, atol=2e-5)
    shares = table[table["part"].isin(["element", "site"])].groupby(["crystal", "part"])["share"].sum()
    np.testing.assert_allclose(shares, 1, atol=1e-6)
    assert set(table[table["part"] == "kind"]["name"]) == set(KINDS)


def test_the_cell_and_the_order_of_sites_do_not_matter(model) -> None:
    big = salt()
    big.make_supercell([2, 1, 1])
    for other in (big, permuted(salt(), np.random.default_rng(0))):
        for part in ("kind", "element"):
            here, there = parts_of(model, salt(), part), parts_of(model, other, part)
            assert here == pytest.approx(there, abs=2e-4)


def test_a_site_that_symmetry_makes_like_others_adds_as_much_as_each_of_them(model) -> None:
    apart = model.explain([salt()])
    merged = model.explain(model.embedder_.featurizer_.transform([salt()]))
    sites, orbits = (table[table["part"] == "site"] for table in (apart, merged))
    assert sites["name"].tolist() == [f"{k} Na" for k in range(4)] + [f"{k} Cl" for k in range(4, 8)]
    assert sorted(orbits["name"]) == ["0 Na", "1 Cl"] or sorted(orbits["name"]) == ["0 Cl", "1 Na"]
    for symbol in ("Na", "Cl"):
        each = sites[sites["name"].str.endswith(symbol)]["contribution"]
        together = orbits[orbits["name"].str.endswith(symbol)]["contribution"].sum()
        np.testing.assert_allclose(each, together / 4, atol=1e-4)


def test_a_shared_site_is_split_by_occupancy(model) -> None:
    table = model.explain([mixture()]).set_index("name")
    metal = table.loc["0 Na0.6K0.4", "contribution"]
    assert table.loc["Na", "contribution"] == pytest.approx(0.6 * metal, abs=1e-6)
    assert table.loc["K", "contribution"] == pytest.approx(0.4 * metal, abs=1e-6)


@pytest.mark.parametrize("ends", [[100], [60, 140]])
@pytest.mark.parametrize("regressor", [READ["ridge"], READ["trees"]])
def test_of_classes_log_odds_against_the_others_are_what_the_parts_sum_to(embedder, points, ends, regressor) -> None:
    kinds = np.array(["soft", "middle", "hard"])[np.digitize(MODULI, ends)]
    model = CrystalClassifier(embedder, [regressor], cv=3, random_state=0).fit(points, kinds)
    table, logs = model.explain(handful()), np.log(model.predict_proba(handful()))
    n = len(model.classes_)
    for k, kind in enumerate(model.classes_):
        own = table[table["class"] == kind]
        expected = logs[:, k] - (logs.sum(1) - logs[:, k]) / (n - 1)
        for part in ("kind", "element", "site"):
            np.testing.assert_allclose(total(own, "start") + total(own, part), expected, atol=2e-4)
        np.testing.assert_allclose(total(own, "sum"), expected, atol=2e-4)
    if n == 2:
        by_class = [table[table["class"] == kind]["contribution"].to_numpy() for kind in model.classes_]
        np.testing.assert_allclose(by_class[0], -by_class[1], atol=1e-6)


def test_of_a_ridge_the_kinds_are_coefficients_times_columns(embedder, points) -> None:
    model = CrystalRegressor(embedder, ["ridge"], scale="none", random_state=0).fit(points, MODULI)
    vectors = embedder.transform(points).astype(float)
    regressor = model.targets_[0].conformal.regressor_
    coefficients = regressor.predict(np.eye(vectors.shape[1])) - regressor.predict(np.zeros_like(vectors[:1]))
    columns = (vectors - vectors.mean(0)) * coefficients
    kinds = np.array(column_kinds(embedder.state_.config))
    table = model.explain(points[:5])
    found = table[table["part"] == "kind"].pivot(index="crystal", columns="name", values="contribution")
    for kind in KINDS:
        # In GPa. The vectors of five crystals and of sixty differ by roundings of single precision.
        np.testing.assert_allclose(found[kind], columns[:5][:, kinds == kind].sum(1), rtol=0, atol=1e-3)


def test_each_kind_has_the_columns_it_names(embedder) -> None:
    kinds = dict(zip(column_names(embedder.state_.config), column_kinds(embedder.state_.config), strict=True))
    assert set(kinds.values()) == set(KINDS)
    assert kinds["raw_Electronegativity_mean"] == "composition"
    assert kinds["Electronegativity_per_volume"] == kinds["density_0_mean"] == "density"
    assert kinds["hop1_0_mean"] == "environment"
    assert kinds["surprise_0_maximum"] == kinds["context_3_covariance"] == "context"
    assert kinds["property_0"] == kinds["told_gap0.5"] == "electrons"


def test_a_model_that_has_not_learned_what_electrons_do_adds_no_line_for_them() -> None:
    small = load_pretrained("bundled")
    model = CrystalRegressor(small, ["ridge"], random_state=0).fit(CRYSTALS[:20], MODULI[:20])
    table = model.explain([salt()])
    assert table[table["part"] == "kind"]["name"].tolist() == [kind for kind in KINDS if kind != "electrons"]
    np.testing.assert_allclose(total(table, "start") + total(table, "kind"), total(table, "sum"), atol=2e-5)


@pytest.mark.parametrize("widths", [{}, {"property_width": 5}])
def test_shares_of_sites_sum_to_the_vector(embedder, widths) -> None:
    encoder = embedder.encoder_
    if widths:
        state = DeepInfoMaxEmbedder(preset="deep", max_epochs=0, random_state=0).fit(handful()).state_
        n = len(state.config.feature_names)
        statistics = SiteStatistics(torch.zeros(n), torch.ones(n), torch.ones(119))
        with drawing_from(torch.Generator().manual_seed(0)):
            model = CrystalModel(replace(state.config, **widths), statistics).eval()
    else:
        model = encoder.model
    batch = encoder.batch(embedder.featurizer_.transform(handful()), np.arange(6))
    shares, pooled = model.site_shares(batch).detach().numpy(), model.vectors(batch).detach().numpy()
    summed = np.stack([shares[batch.crystal.numpy() == crystal].sum(0) for crystal in range(6)])
    np.testing.assert_allclose(summed, pooled, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_several_targets_short_vectors_names_and_rows_that_fail(points) -> None:
    short = DeepInfoMaxEmbedder(max_epochs=0, embedding_dim=12, random_state=0).fit(points)
    both = np.stack([MODULI, np.where(np.arange(60) % 2, np.log(MODULI), np.nan)], 1)
    model = CrystalRegressor(short, ["ridge", "trees"], on_error="nan", cv=3, random_state=0).fit(points, both)
    with pytest.warns(UserWarning, match="predicted NaN"):
        table = model.explain(pd.Series([salt(), None, mixture()], index=["a", "b", "c"]))
    assert set(table["crystal"]) == {"a", "c"}
    predicted = model.predict([salt(), mixture()])
    for part in ("kind", "element", "site"):
        own = table[table["part"].isin(["start", part])]
        summed = own.groupby(["crystal", "target"])["contribution"].sum().unstack().to_numpy()
        np.testing.assert_allclose(summed, predicted, rtol=1e-4, atol=1e-4)
    with pytest.raises(StructureError):
        model.set_params(on_error="raise").explain([None])


def test_vectors_of_a_network_cannot_be_taken_apart(points) -> None:
    paper = DeepInfoMaxEmbedder(preset="paper", max_epochs=0, random_state=0).fit(CRYSTALS[:12])
    model = CrystalRegressor(paper, ["ridge"], cv=3, random_state=0).fit(CRYSTALS[:12], MODULI[:12])
    with pytest.raises(ValueError, match="readout='network'"):
        model.explain(CRYSTALS[:1])
