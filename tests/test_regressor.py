"""Fine-tuning: a pretrained start survives whatever scikit-learn does; the ridge is where it starts; it learns."""

from __future__ import annotations

import copy
import io
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pymatgen.core import Structure
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.finetuning import unpacked
from tests.handmade import salt
from tests.small import bundled, bundled_points
from tests.test_sklearn_contract import ROUNDING, WITHOUT_X, crystals

N = 30


@cache
def pretrained() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=2, random_state=0).fit(bundled_points(N))


@cache
def untrained() -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=0, random_state=5).fit(bundled_points(N))


def energies() -> np.ndarray:
    return bundled(N)[1]


def regressor(embedder: Any = None, **params: Any) -> SiteNetRegressor:
    given = {"max_epochs": 2, "random_state": 0, **params}
    return SiteNetRegressor(pretrained() if embedder is None else embedder, **given)


def weights(model: SiteNetRegressor, part: str = "0/model.") -> dict[str, np.ndarray]:
    return unpacked(model.state_, part)


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def moved(model: SiteNetRegressor) -> set[str]:
    """Names of the parts of the encoder that a training has changed."""
    before, after = weights(model, "start/"), weights(model)
    return {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}


def test_without_epochs_it_is_the_ridge_on_the_embedder_s_vectors() -> None:
    y = energies()
    vectors = pretrained().transform(bundled_points(N)).astype(float)
    ridge = RidgeCV(np.logspace(1.5, 6, 19)).fit(vectors, y)
    model = regressor(max_epochs=0).fit(bundled_points(N), y)
    assert np.allclose(model.predict(bundled_points(N)), ridge.predict(vectors), atol=1e-4)
    assert model.history_ == []


def test_pretrained_weights_survive_every_fold_of_cross_validation() -> None:
    given = {"cv": 3, "return_estimator": True}
    trained = cross_validate(regressor(), bundled_points(N), energies(), **given)["estimator"]
    control = cross_validate(regressor(untrained()), bundled_points(N), energies(), **given)["estimator"]
    for one, other in zip(trained, control, strict=True):
        assert equal(weights(one, "start/"), pretrained().state_.weights)
        assert one.history_[0]["train_loss"] != pytest.approx(other.history_[0]["train_loss"], rel=1e-3)


def test_pretrained_weights_survive_clone_and_a_grid_search_and_stay_as_they_are() -> None:
    before = copy.deepcopy(pretrained().state_.weights)
    again = clone(clone(regressor()))
    assert equal(again.embedder.state_.weights, before)
    search = GridSearchCV(again, {"learning_rate": [1e-4, 1e-3], "embedder__verbose": [0]}, cv=2)
    best = search.fit(bundled_points(N), energies()).best_estimator_
    assert equal(weights(best, "start/"), before)
    assert equal(pretrained().state_.weights, before)
    assert again.set_params(embedder__verbose=1).embedder is not pretrained()
    assert pretrained().verbose == 0


def test_a_requested_sample_weight_survives_clone() -> None:
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        asked = regressor().set_fit_request(sample_weight=True)
        assert clone(asked).get_metadata_routing().fit.requests["sample_weight"] is True


def test_every_way_to_give_an_embedder_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "embedder.safetensors"
    pretrained().save(path)
    wanted = regressor().fit(bundled_points(N), energies()).predict(bundled_points(N))
    for embedder in (path, str(path), FrozenEstimator(pretrained())):
        model = clone(regressor(embedder)).fit(bundled_points(N), energies())
        assert np.array_equal(model.predict(bundled_points(N)), wanted)


def test_structures_point_sets_and_a_pipeline_give_the_same() -> None:
    structures, y = bundled(N)
    wanted = regressor().fit(bundled_points(N), y).predict(bundled_points(N))
    assert np.allclose(regressor().fit(structures, y).predict(structures), wanted, atol=1e-5)
    pipeline = make_pipeline(CrystalPointSetTransformer(), regressor())
    assert np.allclose(pipeline.fit(structures, y).predict(structures), wanted, atol=1e-5)
    assert cross_val_predict(pipeline, structures, y, cv=2).shape == (N,)


def test_training_lowers_the_loss_and_the_best_epoch_is_kept() -> None:
    model = regressor(max_epochs=12, learning_rate=3e-3, validation_fraction=0, patience=12)
    model.fit(bundled_points(N), energies())
    losses = [row["train_loss"] for row in model.history_]
    assert losses[-1] < 0.8 * losses[0]
    held = regressor(max_epochs=3, learning_rate=1.0, validation_fraction=0.3).fit(bundled_points(N), energies())
    # At this rate every epoch is worse than the start, so the start is what is kept.
    assert moved(held) == set()
    assert all(np.isfinite(row["valid_loss"]) for row in held.history_)


@pytest.mark.parametrize(
    ("freeze", "expected"), [("none", {"encoder", "context"}), ("local", set()), ("global", {"encoder", "context"})]
)
def test_what_is_frozen_stays_as_it_is(freeze: str, expected: set[str]) -> None:
    model = regressor(freeze=freeze, validation_fraction=0).fit(bundled_points(N), energies())
    assert moved(model) == expected


@pytest.mark.parametrize("freeze", ["none", "local", "global", "both"])
def test_levels_of_the_paper_s_network_can_be_frozen(freeze: str) -> None:
    structures, y = bundled(12)
    embedder = DeepInfoMaxEmbedder(preset="paper", encoder_params={"width": 8}, max_epochs=0, random_state=0)
    model = regressor(embedder.fit(structures), freeze=freeze, validation_fraction=0).fit(structures, y)
    before, after = weights(model, "start/"), weights(model)
    changed = {k for k in before if not np.array_equal(before[k], after[k])}
    local = {k for k in changed if k.startswith(("encoder.", "published.local."))}
    assert bool(local) == (freeze in ("none", "global"))
    assert bool(changed - local) == (freeze in ("none", "local"))
    assert all(k.startswith(("published.before", "published.after", "published.global_.")) for k in changed - local)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_units_of_the_target_do_not_matter(loss: str) -> None:
    y = energies()
    one = regressor(loss=loss).fit(bundled_points(N), y).predict(bundled_points(N))
    other = regressor(loss=loss).fit(bundled_points(N), 1000 * y - 7).predict(bundled_points(N))
    assert np.allclose(other, 1000 * one - 7, rtol=1e-3, atol=1)


def test_several_targets_at_once_and_a_constant_one() -> None:
    y = energies()
    table = np.stack([y, np.full(N, 3.5)], 1)
    predicted = regressor().fit(bundled_points(N), table).predict(bundled_points(N))
    assert predicted.shape == (N, 2)
    assert np.allclose(predicted[:, 1], 3.5, atol=0.1)
    assert np.corrcoef(predicted[:, 0], y)[0, 1] > 0.5


def test_rows_of_no_weight_are_as_good_as_absent() -> None:
    y, weight = energies().copy(), np.ones(N)
    weight[20:] = 0
    one = regressor().fit(bundled_points(N)[:20], y[:20])
    y[20:] = 1e6
    other = regressor().fit(bundled_points(N), y, sample_weight=weight)
    assert np.allclose(one.predict(bundled_points(N)), other.predict(bundled_points(N)), atol=1e-5)
    doubled = regressor().fit(bundled_points(N)[:20], y[:20], sample_weight=np.full(20, 2.0))
    assert np.allclose(one.predict(bundled_points(N)), doubled.predict(bundled_points(N)), atol=1e-5)


def test_an_ensemble_tells_how_sure_it_is() -> None:
    model = regressor(n_ensemble=3, max_epochs=1).fit(bundled_points(N), energies())
    mean, spread = model.predict(bundled_points(N), return_std=True)
    assert np.array_equal(mean, model.predict(bundled_points(N)))
    assert (spread > 0).all()
    assert [row["member"] for row in model.history_] == [0, 1, 2]
    with pytest.raises(ValueError, match="n_ensemble was 1"):
        regressor(max_epochs=0).fit(bundled_points(N), energies()).predict(bundled_points(N), return_std=True)


def test_clamp_bounds_the_prediction_from_below() -> None:
    model = regressor(clamp=-1.0).fit(bundled_points(N), energies())
    bounded = model.predict(bundled_points(N))
    assert bounded.min() == -1
    assert np.array_equal(bounded, np.maximum(model.set_params(clamp=None).predict(bundled_points(N)), -1))


def test_the_same_seed_gives_the_same_bits_and_global_generators_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global one is meant
    one, same, other = (
        regressor(random_state=k).fit(bundled_points(N), energies()).predict(bundled_points(N)) for k in (0, 0, 1)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_training_goes_on_from_where_it_was() -> None:
    given = {"max_epochs": 1, "validation_fraction": 0, "warm_start": True}
    model = regressor(**given).fit(bundled_points(N), energies())
    first = weights(model)
    model.fit(bundled_points(N), energies())
    assert [row["epoch"] for row in model.history_] == [1]
    assert not equal(weights(model), first)
    model = regressor()
    losses = [model.partial_fit(bundled_points(N), energies()).history_[0]["train_loss"] for _ in range(6)]
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match="head_width=3, but the last fit had 64"):
        model.set_params(head_width=3).partial_fit(bundled_points(N), energies())


def test_another_property_is_a_start_in_one_line(tmp_path: Path) -> None:
    volumes = np.array([s.volume / len(s) for s in bundled(N)[0]])
    source = regressor(validation_fraction=0).fit(bundled_points(N), volumes)
    target = regressor(source).fit(bundled_points(N), energies())
    assert equal(weights(target, "start/"), weights(source))
    source.save(tmp_path / "source")
    again = clone(regressor(tmp_path / "source")).fit(bundled_points(N), energies())
    assert np.array_equal(again.predict(bundled_points(N)), target.predict(bundled_points(N)))
    target.save(tmp_path / "target")
    assert equal(SiteNetRegressor.load(tmp_path / "target").embedder.state_.weights, weights(source))


def test_saving_and_pickling_keep_every_bit_and_no_network(tmp_path: Path) -> None:
    model = regressor(n_ensemble=2, max_epochs=1).fit(bundled_points(N), energies())
    wanted = model.predict(bundled_points(N), return_std=True)
    model.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    buffer = io.BytesIO()
    pickle.dump(model, buffer)
    assert b"torch" not in buffer.getvalue()
    for again in (SiteNetRegressor.load(tmp_path / "model"), pickle.loads(buffer.getvalue())):
        assert all(
            np.array_equal(a, b) for a, b in zip(again.predict(bundled_points(N), return_std=True), wanted, strict=True)
        )
    loaded = SiteNetRegressor.load(tmp_path / "model")
    assert str(loaded.history_) == str(model.history_)
    refit = loaded.fit(bundled_points(N), energies())
    assert np.array_equal(refit.predict(bundled_points(N)), wanted[0])


def test_files_of_the_other_estimator_are_refused(tmp_path: Path) -> None:
    pretrained().save(tmp_path / "embedder")
    regressor(max_epochs=0).fit(bundled_points(N), energies()).save(tmp_path / "regressor")
    with pytest.raises(ValueError, match=r"DeepInfoMaxEmbedder\.load may read it"):
        SiteNetRegressor.load(tmp_path / "embedder")
    with pytest.raises(ValueError, match=r"SiteNetRegressor\.load reads it"):
        DeepInfoMaxEmbedder.load(tmp_path / "regressor")


def test_a_file_whose_parts_do_not_fit_together_is_refused(tmp_path: Path) -> None:
    model = regressor(max_epochs=0).fit(bundled_points(N), energies())
    model.state_.weights.pop("0/linear.bias")
    model.save(tmp_path / "damaged")
    with pytest.raises(ValueError, match="does not fit together, or it is damaged"):
        SiteNetRegressor.load(tmp_path / "damaged")


def test_rows_that_fail_are_left_out_and_predicted_nan() -> None:
    structures, y = bundled(N)
    spoiled = [*structures[:20], "no crystal"]
    with pytest.warns(UserWarning, match="row 20: file 'no crystal'"):
        model = regressor(on_error="nan").fit(spoiled, y[:21])
    with pytest.warns(UserWarning, match="row 20"):
        predicted = model.predict(spoiled)
    assert np.isnan(predicted[20])
    assert np.isfinite(predicted[:20]).all()


def test_a_score_leaves_out_rows_that_fail_and_names_them() -> None:
    structures, y = bundled(N)
    model = regressor(on_error="nan", max_epochs=0).fit(bundled_points(N), y)
    wanted = model.score(structures, y)
    assert wanted == pytest.approx(r2_score(y, model.predict(bundled_points(N))), abs=1e-5)
    spoiled, energy = [*structures[:20], None, *structures[20:]], np.insert(y, 20, 7.0)
    with pytest.warns(UserWarning, match="row 20"), pytest.warns(UserWarning, match="left out of the score: rows 20"):
        assert model.score(spoiled, energy) == pytest.approx(wanted, abs=1e-5)
    weight = np.arange(1.0, N + 2)
    with pytest.warns(UserWarning, match="cannot be used"), pytest.warns(UserWarning, match="left out of the score"):
        weighted = model.score(spoiled, energy, sample_weight=weight)
    assert weighted == pytest.approx(model.score(structures, y, sample_weight=np.delete(weight, 20)), abs=1e-5)
    with (
        pytest.warns(UserWarning, match="cannot be used"),
        pytest.raises(ValueError, match=r"none of the 2 rows to be scored has a prediction.* rows 0, 1"),
    ):
        model.score([None, None], [1.0, 2.0])
    with pytest.raises(ValueError, match="y has nan at row 3"):
        model.score(structures, spoiled_at(y, 3))
    with pytest.raises(ValueError, match="X has 30 rows and y has 29"):
        model.score(structures, y[1:])


def spoiled_at(y: np.ndarray, row: int) -> np.ndarray:
    y = y.copy()
    y[row] = np.nan
    return y


def test_a_single_crystal_is_not_taken_for_rows() -> None:
    for X in ("NaCl", salt()):
        with pytest.raises(TypeError, match="X is a single"):
            regressor().fit(X, [1.0] * 8)
    structures, y = bundled(N)
    wanted = regressor(max_epochs=0).fit(structures, y).predict(structures)
    assert np.array_equal(regressor(max_epochs=0).fit(iter(structures), y).predict(iter(structures)), wanted)


def test_a_constant_batch_is_no_reason_to_stop_a_training_that_goes_on() -> None:
    model = regressor().partial_fit(bundled_points(N), energies())
    assert len(model.partial_fit(bundled_points(N)[:3], np.ones(3)).history_) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"freeze": "all"}, "freeze='all'; accepted are 'none', 'local', 'global', 'both'"),
        ({"loss": "l2"}, "loss='l2'; accepted are 'huber', 'mae', 'mse'"),
        ({"head_width": -1}, "head_width=-1; accepted are whole numbers of at least 0"),
        ({"n_ensemble": 0}, "n_ensemble=0"),
        ({"validation_fraction": 1.0}, r"validation_fraction=1.0; accepted are shares from 0 to below 0.9"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"n_jobs": 0}, "n_jobs=0; accepted are None and whole numbers other than 0"),
        ({"verbose": -1}, "verbose=-1; accepted are whole numbers of at least 0"),
        ({"clamp": np.nan}, "clamp=nan"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"embedder": DeepInfoMaxEmbedder()}, "is not fitted; accepted are a fitted DeepInfoMaxEmbedder"),
        ({"embedder": RidgeCV()}, r"embedder=RidgeCV\(\); accepted are"),
    ],
)
def test_parameters_that_are_not_accepted_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regressor().set_params(**params).fit(bundled_points(N), energies())


def spoiled(value: float) -> np.ndarray:
    y = energies().copy()
    y[[3, 7]] = value
    return y


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        (spoiled(np.nan), None, "y has nan at rows 3, 7; accepted are finite numbers"),
        (spoiled(np.inf), None, "y has inf at rows 3, 7"),
        (energies()[:-1], None, "X has 30 rows and y has 29; accepted is one label for each row"),
        (np.full(N, np.nan), None, "y has nan at all 30 rows; accepted .* use LabelMaskingRegressor"),
        (np.full(N, 3.5), None, "y is 3.5 in all 30 labelled rows; accepted are targets with at least two different"),
        (np.full((N, 2), [1, 0]), None, "y is 1, 0 in all 30 labelled rows"),
        (["a"] * N, None, "y is no array of numbers"),
        (energies().reshape(2, 3, 5), None, r"y has shape \(2, 3, 5\)"),
        (energies(), np.full(N, -1.0), "sample_weight has -1.0 at all 30 rows"),
        (energies(), np.eye(N)[0], "X holds 1 usable labelled crystals of 30 rows; at least 2 are needed"),
        (energies(), np.zeros(N), "sample_weight is zero in all 30 rows"),
        (energies(), np.ones(3), r"sample_weight has shape \(3,\); accepted is one for each row: \(30,\)"),
    ],
)
def test_labels_that_cannot_be_used_are_named(y: Any, weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regressor().fit(bundled_points(N), y, sample_weight=weight)


def test_point_sets_of_another_kind_than_the_embedder_s_are_refused() -> None:
    other = CrystalPointSetTransformer(site_features="paper").fit_transform([salt()] * 3)
    with pytest.raises(ValueError, match="this embedder was trained on"):
        regressor().fit(other, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="this embedder was trained on"):
        regressor(max_epochs=0).fit(bundled_points(N), energies()).predict(other)


def test_a_saved_embedder_of_other_features_is_refused_with_both_named(tmp_path: Path) -> None:
    path = tmp_path / "paper.safetensors"
    featurizer = CrystalPointSetTransformer(site_features="paper")
    DeepInfoMaxEmbedder(featurizer, max_epochs=0, random_state=0).fit(bundled(4)[0]).save(path)
    with pytest.raises(ValueError, match=r"site features .*'Polarizability'.* trained on .*'Density'"):
        regressor(path).fit(bundled_points(N), energies())


@pytest.mark.parametrize("name", WITHOUT_X)
def test_scikit_learn_s_checks_without_crystals_pass(name: str) -> None:
    getattr(estimator_checks, name)("SiteNetRegressor", SiteNetRegressor())


class ToyRegressor(SiteNetRegressor):
    """The regressor behind a door for arrays, as ToyEmbedder is the embedder."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ToyRegressor:
        return super().fit(self.crystals(X, ensure_min_samples=2), y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> ToyRegressor:
        return super().partial_fit(self.crystals(X, reset=not hasattr(self, "state_")), y, sample_weight)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        check_is_fitted(self)
        return super().predict(self.crystals(X, reset=False), return_std)

    def crystals(self, X: Any, **given: Any) -> list[Structure]:
        return crystals(validate_data(self, X, dtype=np.float64, **given))


def test_scikit_learn_s_other_checks_pass_on_crystals_made_of_rows() -> None:
    other = "a row that is repeated is drawn into other batches, and leave-one-out leaves one copy out"
    expected = {**ROUNDING, "check_sample_weight_equivalence_on_dense_data": other}
    toy = ToyRegressor(max_epochs=1, head_width=4, random_state=0)
    results = estimator_checks.check_estimator(toy, expected_failed_checks=expected, on_skip=None, on_fail=None)
    assert not [(r["check_name"], repr(r["exception"])) for r in results if r["status"] == "failed"]
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= {*expected, "check_array_api_input"}
    assert sum(r["status"] == "passed" for r in results) >= 50


def test_tags_say_that_crystals_are_no_array_and_targets_may_be_several() -> None:
    tags = get_tags(SiteNetRegressor())
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required
    assert tags.target_tags.multi_output
    assert tags.estimator_type == "regressor"


def test_an_untrained_start_needs_no_embedder() -> None:
    structures, y = bundled(N)
    model = SiteNetRegressor(max_epochs=1, head_width=0, random_state=0).fit(structures[:20], y[:20])
    assert model.score(structures[:20], y[:20]) > 0
