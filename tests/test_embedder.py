"""DeepInfoMaxEmbedder as scikit-learn's users meet it: rows in, bounded standardised columns out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matminer.featurizers.composition import Stoichiometry
from pymatgen.core import Structure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim.exceptions import StructureError
from tests.bundled import rows
from tests.daily import crossed, slow
from tests.handmade import iron, perovskite, salt, silicon
from tests.small import bundled, bundled_points, crystals_and_energies, mixture

SMALL: dict[str, Any] = {"encoder_params": {"width": 16}, "max_epochs": 1, "random_state": 0}
BAD = Structure(np.eye(3) * 4, ["Na", "Cl"], [[0, 0, 0], [0.01, 0, 0]])


@cache
def fitted(**params: Any) -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(**{**SMALL, **params}).fit(bundled_points(60))


def standard(vectors: np.ndarray) -> np.ndarray:
    """Columns that nothing was cut off from, which must then have mean zero and deviation one, or be constant."""
    inside = np.abs(vectors).max(0) < 3
    assert inside.sum() > 0.3 * vectors.shape[1]
    mean, deviation = vectors[:, inside].mean(0), vectors[:, inside].std(0)
    assert np.abs(mean).max() < 1e-3
    assert np.all((np.abs(deviation - 1) < 1e-3) | (deviation < 1e-2))
    return inside


@pytest.mark.parametrize(("readout", "max_epochs"), crossed(["moments", "network"], [0, 1]))
def test_columns_are_standardised_on_the_pretraining_set_and_bounded(readout: str, max_epochs: int) -> None:
    objective = {"local": 1.0, "global": 1.0, "context": float(readout == "moments")}
    embedder = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": max_epochs}, readout=readout, objective_params=objective)
    vectors = embedder.fit_transform(bundled_points(60))
    assert vectors.dtype == np.float32
    assert vectors.shape == (60, len(embedder.get_feature_names_out()))
    assert np.abs(vectors).max() <= 3
    standard(vectors)
    assert np.array_equal(vectors, embedder.transform(bundled_points(60)))


def test_columns_stay_bounded_on_crystals_like_none_of_the_pretraining_set() -> None:
    embedder = DeepInfoMaxEmbedder(**SMALL).fit([salt(), perovskite(), mixture()])
    vectors = embedder.transform([iron(), *bundled(40)[0]])
    assert np.isfinite(vectors).all()
    assert np.abs(vectors).max() == 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_plain_ridge_on_fifty_labels_does_not_explode(seed: int) -> None:
    structures, energies = crystals_and_energies(np.random.default_rng(seed).permutation(len(rows()))[:250].tolist())
    embedder = DeepInfoMaxEmbedder(**{**SMALL, "random_state": seed})
    vectors = embedder.fit_transform(structures)
    error = np.abs(Ridge(alpha=1.0).fit(vectors[:50], energies[:50]).predict(vectors[50:]) - energies[50:])
    guess = np.abs(np.median(energies[:50]) - energies[50:])
    assert error.mean() < guess.mean()
    assert error.max() < 3 * guess.max()


def test_rows_that_fail_end_as_nan_and_do_not_disturb_the_others() -> None:
    structures = bundled(12)[0]
    mixed = [*structures[:5], BAD, *structures[5:], "no such file.cif"]
    embedder = DeepInfoMaxEmbedder(**SMALL, on_error="nan")
    with pytest.warns(UserWarning, match=r"(?s)2 structures cannot be used.*row 5.*row 13"):
        vectors = embedder.fit_transform(mixed)
    clean = DeepInfoMaxEmbedder(**SMALL).fit_transform(structures)
    assert np.isnan(vectors[[5, 13]]).all()
    assert np.allclose(np.delete(vectors, [5, 13], 0), clean, atol=1e-5)
    with pytest.warns(UserWarning, match="1 structure cannot be used"):
        assert np.isnan(embedder.transform([BAD])).all()


def test_rows_that_fail_are_an_error_that_names_them_all() -> None:
    with pytest.raises(ValueError, match=r"(?s)row 1.*row 3"):
        DeepInfoMaxEmbedder(**SMALL).fit([salt(), BAD, iron(), "no such file.cif"])


def test_components_are_standardised_uncorrelated_and_the_principal_ones() -> None:
    embedder = DeepInfoMaxEmbedder(**SMALL, embedding_dim=8)
    vectors = embedder.fit_transform(bundled_points(60))
    assert list(embedder.get_feature_names_out()) == [f"dim_component_{k}" for k in range(8)]
    assert np.abs(vectors.mean(0)).max() < 0.1
    inside = np.abs(vectors).max(0) < 3
    assert np.allclose(vectors[:, inside].mean(0), 0, atol=1e-3)
    assert np.allclose(np.cov(vectors[:, inside].T), np.eye(inside.sum()), atol=1e-3)
    whole = fitted().transform(bundled_points(60))
    # Eight axes leave as much of the variance as the other singular values hold.
    values = np.linalg.svd(whole - whole.mean(0), compute_uv=False) ** 2
    columns = np.c_[vectors, np.ones(60)]
    rest = whole - columns @ np.linalg.lstsq(columns, whole, rcond=None)[0]
    assert (rest**2).sum() == pytest.approx(values[8:].sum(), rel=0.1)


def test_axes_along_which_nothing_is_left_are_not_blown_up() -> None:
    twins = [salt(), salt(), perovskite(), perovskite(), iron()]
    vectors = DeepInfoMaxEmbedder(**SMALL, embedding_dim=4).fit_transform(twins)
    assert np.allclose(vectors[0], vectors[1], atol=1e-3)
    assert np.abs(vectors[:, 2:]).max() < 1e-2


def test_the_width_of_the_published_vector_can_be_chosen() -> None:
    embedder = DeepInfoMaxEmbedder(None, "paper", {"width": 8}, max_epochs=1, embedding_dim=5, random_state=0)
    vectors = embedder.fit_transform(bundled(20)[0])
    assert list(embedder.get_feature_names_out()) == [f"dim_global_{k}" for k in range(5)]
    assert vectors.shape == (20, 5)


@pytest.mark.parametrize("n", [5, 60])
def test_more_components_than_there_can_be_are_refused_before_training(n: int) -> None:
    embedder = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 10**9}, embedding_dim=n)
    with pytest.raises(ValueError, match=f"embedding_dim must be an integer from 1 to {n - 1},.* got {n}"):
        embedder.fit(bundled_points(60)[:n])


@pytest.mark.slow
def test_the_paper_s_preset_trains_as_published() -> None:
    embedder = DeepInfoMaxEmbedder(preset="paper", max_epochs=2, random_state=0).fit(bundled(30)[0])
    state = embedder.state_
    assert [set(row) for row in embedder.history_] == [{"epoch", "train_loss", "valid_loss", "dur"}] * 2
    assert embedder.transform(bundled(30)[0]).shape == (30, 64)
    assert state.settings["neighborhood"] == "supercell"
    assert state.settings["supercell_size"] == 50
    assert len(state.config.feature_names) == 9  # the eight of the paper and the occupancy
    encoder = state.config.encoder
    assert (encoder.width, encoder.heads, encoder.blocks, encoder.block) == (64, 1, 1, "sitenet")
    assert (state.config.local_dim, state.config.global_dim, state.config.kl_weight) == (32, 64, 0.1)
    assert state.config.negatives == ("crystal", "species", "distances", "neighbors")
    shapes = {name: value.shape for name, value in state.weights.items()}
    assert shapes["two_level.before.0.weight"] == (64, 32)
    assert shapes["two_level.before.3.weight"] == (128, 64)
    assert shapes["two_level.after.0.weight"] == (64, 128)
    assert shapes["two_level.local_objective.critic.query.2.weight"] == (128, 64)


@pytest.mark.slow
def test_training_changes_the_vectors_of_the_untrained_control() -> None:
    control = fitted(max_epochs=0)
    assert control.history_ == []
    learned = fitted(max_epochs=10, validation_fraction=0.0, batch_pairs=300)
    changed = np.abs(control.transform(bundled_points(60)) - learned.transform(bundled_points(60))).max(0) > 0.05
    names = learned.get_feature_names_out()
    assert changed[[name.startswith("dim_context") for name in names]].all()
    assert not changed[[name.startswith("dim_raw") for name in names]].any()


def test_columns_have_names_of_what_they_are() -> None:
    names = fitted().get_feature_names_out()
    assert names.dtype == object
    assert len(set(names)) == len(names)
    assert "dim_raw_Electronegativity_mean" in names
    assert "dim_surprise_0_maximum" in names
    with pytest.raises(NotFittedError):
        DeepInfoMaxEmbedder().get_feature_names_out()
    with pytest.raises(NotFittedError):
        DeepInfoMaxEmbedder().transform([salt()])


def test_pandas_output_has_the_names_and_the_index_of_the_rows() -> None:
    structures, energies = bundled(6)
    frame = pd.DataFrame({"structure": structures, "energy": energies}, index=list("abcdef")).sample(frac=1)
    embedder = clone(fitted()).set_output(transform="pandas").fit(structures)
    plain = embedder.set_output(transform="default").transform(structures)
    embedder.set_output(transform="pandas")
    for X in (frame, frame["structure"]):
        table = embedder.transform(X)
        assert isinstance(table, pd.DataFrame)
        assert list(table.columns) == list(embedder.get_feature_names_out())
        assert list(table.index) == list(frame.index)
        assert np.allclose(table.loc[list("abcdef")].to_numpy(), plain, atol=1e-5)
    assert list(embedder.transform(structures).index) == list(range(6))
    assert (embedder.fit_transform(frame).index == frame.index).all()


@pytest.mark.slow
def test_a_pipeline_of_it_is_cross_validated_on_raw_structures() -> None:
    structures, energies = bundled(30)
    model = make_pipeline(DeepInfoMaxEmbedder(**SMALL), Ridge(100.0))
    scores = cross_val_score(model, structures, energies, cv=3, scoring="neg_mean_absolute_error", error_score="raise")
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    on_points = cross_val_score(model, bundled_points(30), energies, cv=3, scoring="neg_mean_absolute_error")
    assert on_points == pytest.approx(scores, rel=1e-3)


@pytest.mark.slow
def test_its_parameters_are_searched_through_a_pipeline(tmp_path: Any) -> None:
    structures, energies = bundled(24)
    steps = [("points", CrystalPointSetTransformer()), ("embedder", DeepInfoMaxEmbedder(**SMALL)), ("ridge", Ridge())]
    grid = {
        "embedder__max_epochs": [0, 1],
        "embedder__embedding_dim": np.array([3, 5]),
        "points__n_neighbors": [12],
        "ridge__alpha": [1.0, 100.0],
    }
    search = GridSearchCV(Pipeline(steps, memory=str(tmp_path)), grid, cv=2, error_score="raise").fit(
        structures, energies
    )
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(structures[:3]).shape == (3,)
    assert search.best_estimator_["embedder"].transform(search.best_estimator_["points"].transform(structures)).shape[
        1
    ] == int(search.best_params_["embedder__embedding_dim"])


def stoichiometry(X: Any) -> np.ndarray:
    structures = X["structure"] if isinstance(X, pd.DataFrame) else X
    featurizer = Stoichiometry()
    return np.array([featurizer.featurize(s.composition) for s in structures])


def test_its_columns_stand_beside_those_of_matminer() -> None:
    structures, energies = bundled(20)
    beside = FunctionTransformer(stoichiometry, feature_names_out=lambda *_: Stoichiometry().feature_labels())
    union = FeatureUnion([("dim", DeepInfoMaxEmbedder(**SMALL)), ("matminer", beside)])
    vectors = union.fit_transform(structures)
    names = union.get_feature_names_out()
    assert vectors.shape == (20, len(names))
    assert "matminer__2-norm" in names
    assert np.array_equal(vectors[:, names == "matminer__2-norm"][:, 0], stoichiometry(structures)[:, 1])
    frame = pd.DataFrame({"structure": structures}, index=range(20, 40))
    table = union.set_output(transform="pandas").fit_transform(frame)
    assert list(table.index) == list(range(20, 40))
    assert not table.isna().any(axis=None)
    assert np.isfinite(make_pipeline(union, Ridge()).fit(structures, energies).predict(structures)).all()


def test_a_clone_has_the_parameters_and_nothing_learned() -> None:
    copy = clone(fitted())
    assert not hasattr(copy, "state_")
    assert copy.get_params() == fitted().get_params()
    given = DeepInfoMaxEmbedder(CrystalPointSetTransformer(n_neighbors=12), **SMALL)
    assert clone(given).featurizer is not given.featurizer
    given.fit(bundled(5)[0])
    assert given.featurizer_ is not given.featurizer
    assert not hasattr(given.featurizer, "feature_names_")
    assert given.state_.settings["n_neighbors"] == 12


@pytest.mark.parametrize(
    "made",
    [
        *slow({"site_features": "magpie"}, {"site_features": ["Electronegativity", "Row"], "n_neighbors": 20}),
        {"neighborhood": "supercell", "supercell_size": 20, "interaction_features": ("distance", "log_coulomb")},
    ],
    ids=str,
)
def test_an_embedder_fitted_on_point_sets_takes_over_how_they_were_made(made: dict[str, Any], tmp_path: Path) -> None:
    structures = list(bundled(12)[0])
    featurizer = CrystalPointSetTransformer(**made)
    given = DeepInfoMaxEmbedder(featurizer, **SMALL).fit(structures)
    told = DeepInfoMaxEmbedder(**SMALL).fit(featurizer.transform(structures))
    told.save(tmp_path / "model")
    for one in (told, DeepInfoMaxEmbedder.load(tmp_path / "model")):
        np.testing.assert_array_equal(one.transform(structures), given.transform(structures))
    again = told.fit(structures[:4]).state_.settings  # None is the preset's own again
    assert again == fitted().state_.settings


def test_point_sets_that_tell_nothing_are_fitted_all_the_same() -> None:
    points = CrystalPointSetTransformer().transform(bundled(4)[0])
    untold = replace(points, settings={"cache_dir": "elsewhere", "n_jobs": 3})
    embedder = DeepInfoMaxEmbedder(**SMALL).fit(untold)
    assert (embedder.featurizer_.cache_dir, embedder.featurizer_.n_jobs) == (None, None)
    assert embedder.transform(untold).shape == (4, len(embedder.get_feature_names_out()))


def test_points_of_another_kind_are_refused_with_both_named() -> None:
    few, paper = (
        CrystalPointSetTransformer(**p).transform(bundled(3)[0])
        for p in ({"n_neighbors": 12}, {"site_features": "paper"})
    )
    with pytest.raises(ValueError, match=r"settings .*'n_neighbors': 12.* trained on .*'n_neighbors': 48"):
        fitted().transform(few)
    with pytest.raises(ValueError, match=r"site features .*'Row'.* trained on .*'Electronegativity'"):
        fitted().transform(paper)


def test_the_progress_bar_shows_losses_and_only_where_it_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skdim._progress._shows_bars", lambda: True)  # as in a terminal
    DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 3}, verbose=1).fit(bundled_points(50))
    shown = capsys.readouterr().err
    assert "pretraining: 100%" in shown
    assert "train=" in shown
    assert "valid=" in shown
    DeepInfoMaxEmbedder(**SMALL, validation_fraction=0.0, verbose=1).fit(bundled_points(20))
    shown = capsys.readouterr().err
    assert "train=" in shown
    assert "valid=" not in shown
    DeepInfoMaxEmbedder(**SMALL).fit(bundled(3)[0])
    assert capsys.readouterr() == ("", "")


def test_on_error_counts_as_it_is_now_also_after_a_load(tmp_path: Path) -> None:
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit([salt(), silicon()])
    embedder.save(tmp_path / "model.safetensors")
    loaded = DeepInfoMaxEmbedder.load(tmp_path / "model.safetensors").set_params(on_error="nan")
    with pytest.warns(UserWarning, match="row 1"):
        vectors = loaded.transform([salt(), None])
    assert np.isnan(vectors).all(axis=1).tolist() == [False, True]
    with pytest.raises(StructureError):
        embedder.transform([salt(), None])
