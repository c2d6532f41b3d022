"""Fine-tuning as one of the regressors that `CrystalRegressor` chooses from."""

import numpy as np
import pytest

from skdim import CrystalRegressor, load_pretrained
from skdim._finetuned import seconds
from skdim.datasets import load_elastic_moduli
from skdim.exceptions import InputError
from skdim.regressor import SiteNetRegressor

BUNCH = load_elastic_moduli(target="K_VRH")
N = 40


@pytest.fixture(scope="module")
def embedder():
    return load_pretrained("bundled")


@pytest.fixture(scope="module")
def points(embedder):
    return embedder.featurizer_.transform(BUNCH.data[: N + 20])


@pytest.fixture(scope="module")
def model(embedder, points) -> CrystalRegressor:
    targets = np.stack([BUNCH.target[:N], np.where(np.arange(N) % 5, -BUNCH.target[:N], np.nan)], 1)
    return CrystalRegressor(embedder, ["fine-tuning"], cv=5, random_state=0).fit(points[:N], targets)


def test_each_target_has_a_model_of_its_own_that_saw_its_labels_only(model, points) -> None:
    assert model.chosen_ == ["fine-tuning", "fine-tuning"]
    assert [len(target.rows) for target in model.targets_] == [N, N - N // 5]
    for number, (target, errors) in enumerate(zip(model.targets_, model.errors_, strict=True)):
        assert errors["fine-tuning"] < errors["median"]
        held = target.scale.inverse(target.tuned.model.held_out_)
        np.testing.assert_allclose(held, model.held_out_[target.rows, number])
    new = BUNCH.target[N : N + 20]
    assert np.abs(model.predict(points[N:])[:, 0] - new).mean() < np.abs(np.median(new) - new).mean()


def test_intervals_are_around_the_predictions_and_wider_the_more_they_hold(model, points) -> None:
    mean, ends = model.predict(points[N:]), model.predict_interval(points[N:], 0.8)
    wider = model.predict_interval(points[N:], 0.9)
    assert ((ends[..., 0] < mean) & (mean < ends[..., 1])).all()
    assert (wider[..., 0] <= ends[..., 0]).all()
    assert (wider[..., 1] >= ends[..., 1]).all()
    held = model.targets_[1].conformal
    inside = held.scores_ <= np.sort(held.scores_)[int(np.ceil(0.8 * (len(held.scores_) + 1))) - 1]
    assert inside.mean() >= 0.8


def test_a_saved_model_predicts_and_explains_the_same(model, points, tmp_path) -> None:
    model.save(tmp_path / "m.skdim")
    again = CrystalRegressor.load(tmp_path / "m.skdim")
    assert again.chosen_ == model.chosen_
    assert tuple(again.regressors) == ("fine-tuning",)
    for method in ("predict", "predict_interval"):
        np.testing.assert_array_equal(getattr(again, method)(points[N:]), getattr(model, method)(points[N:]))
    here, there = model.explain(points[N : N + 2]), again.explain(points[N : N + 2])
    np.testing.assert_allclose(here["contribution"], there["contribution"], atol=1e-9)


def test_an_explanation_gives_fine_tuning_a_part_of_its_own_and_sums_to_the_prediction(model, points) -> None:
    table, expected = model.explain(points[N : N + 3]), model.predict(points[N : N + 3])
    scaled = np.stack([t.scale.forward(expected[:, k]) for k, t in enumerate(model.targets_)], 1)
    for part in ("kind", "element", "site"):
        own = table[table["part"].isin(["start", part])]
        summed = own.groupby(["crystal", "target"])["contribution"].sum().to_numpy().reshape(3, 2)
        np.testing.assert_allclose(summed, scaled, atol=1e-3 * np.abs(scaled).max())
        assert (table[table["part"] == part]["name"] == "fine-tuning").sum() == 6
    kinds = table[table["part"].isin(["start", "kind"]) & (table["name"] != "fine-tuning")]
    linear = [target.tuned.linear.predict(model.embedder_.transform(points[N : N + 3])) for target in model.targets_]
    summed = kinds.groupby(["crystal", "target"])["contribution"].sum().to_numpy().reshape(3, 2)
    np.testing.assert_allclose(summed, np.stack(linear, 1), atol=1e-3 * np.abs(scaled).max())
    assert [set(losses) for losses in model.losses_] == [{"median", "fine-tuning"}] * 2


def test_a_model_that_stays_at_its_ridge_is_not_chosen(embedder, points, monkeypatch) -> None:
    monkeypatch.setattr("skdim._finetuned.SiteNetRegressor.strength_", property(lambda self: 0.0))
    told = []
    monkeypatch.setattr(SiteNetRegressor, "fit", lambda self, X, y, w, groups: told.append(groups) or _flat(self, y))
    model = CrystalRegressor(embedder, ["ridge", "fine-tuning"], cv=4, random_state=0)
    model.fit(points[:N], BUNCH.target[:N])
    assert model.chosen_ == ["ridge"]
    assert model.targets_[0].tuned is None
    np.testing.assert_array_equal(told[0], model.targets_[0].conformal.fold_)  # held out together, as by the others


def _flat(model: SiteNetRegressor, y) -> SiteNetRegressor:
    model.held_out_ = np.asarray(y, float)  # the best there can be
    model.part_strength_ = 0.0
    return model


def test_unknown_regressors_are_named_beside_the_known_ones(embedder, points) -> None:
    with pytest.raises(InputError, match=r"'fine-tuning'\], got \['finetuning'\]"):
        CrystalRegressor(embedder, ["finetuning"]).fit(points[:N], BUNCH.target[:N])


def test_the_time_it_takes_is_told_and_is_limited(points) -> None:
    assert 0 < seconds(points[:10]) < seconds(points) < 90
