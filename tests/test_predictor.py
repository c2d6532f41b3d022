"""From labelled crystals to predictions: choice, intervals, missing and censored labels, one safe file."""

import copy
import json
import tempfile
import warnings
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.io.cif import CifWriter
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline

from skdim import CrystalPointSetTransformer, CrystalRegressor, DeepInfoMaxEmbedder, load_pretrained, read_crystals
from skdim._crystalpredictor import _KEY, _digest, read_model
from skdim._pool import Pool
from skdim._targetmodel import TargetModel, choose
from skdim.datasets import load_elastic_moduli
from skdim.evaluation import composition_groups
from skdim.evaluation._readouts import READOUTS
from skdim.exceptions import ModelFileError, StructureError
from skdim.points.twins import twins
from tests.handmade import salt

BUNCH = load_elastic_moduli(target="K_VRH")
CRYSTALS, MODULI = BUNCH.data[:120], BUNCH.target[:120]
NEW, TRUTH = BUNCH.data[120:180], BUNCH.target[120:180]


@pytest.fixture(scope="module")
def embedder() -> DeepInfoMaxEmbedder:
    return load_pretrained()


@pytest.fixture(scope="module")
def points(embedder):
    return embedder.featurizer_.transform(BUNCH.data[:180])


@pytest.fixture(scope="module")
def model(embedder) -> CrystalRegressor:
    return CrystalRegressor(embedder, cv=5, random_state=0).fit(CRYSTALS, MODULI)


def quick(embedder, **params) -> CrystalRegressor:
    return CrystalRegressor(embedder, **{"regressors": ("ridge",), "cv": 5, "random_state": 0, **params})


def test_it_predicts_far_better_than_a_guess_and_its_intervals_hold(model) -> None:
    assert model.score(NEW, TRUTH) > 0.8
    lower, upper = model.predict_interval(NEW, coverage=0.9).T
    assert 0.8 <= np.mean((lower <= TRUTH) & (upper >= TRUTH)) <= 1
    mean, std = model.predict(NEW, return_std=True)
    assert ((lower < mean) & (mean < upper)).mean() > 0.95
    assert 0.5 < np.mean(np.abs(mean - TRUTH) < std) < 0.9


def test_the_chosen_regressor_has_the_lowest_error_and_beats_the_median(model) -> None:
    (errors,) = model.errors_
    assert set(errors) == {"median", *READOUTS}
    assert errors[model.chosen_[0]] == min(errors.values())
    assert errors["median"] > 2 * errors[model.chosen_[0]]
    np.testing.assert_allclose(np.abs(model.held_out_ - MODULI).mean(), errors[model.chosen_[0]])


@pytest.mark.parametrize("name", ["ridge", "laplacian"])
def test_near_duplicates_are_on_one_side_of_every_fold(embedder, points, name) -> None:
    # Labels are noise, which a twin in another fold would tell.
    noise = np.repeat(np.random.default_rng(0).normal(size=40), 2)
    twice = points[np.repeat(np.arange(40), 2)]
    model = quick(embedder, regressors=[name]).fit(twice, noise)
    (target,) = model.targets_
    assert (target.conformal.fold_[::2] == target.conformal.fold_[1::2]).all()
    assert model.errors_[0][name] > 0.8 * model.errors_[0]["median"]
    given = quick(embedder, regressors=[name]).fit(twice, noise, groups=np.arange(80))  # as if they were strangers
    assert (given.targets_[0].conformal.fold_[::2] == given.targets_[0].conformal.fold_[1::2]).all()


def test_copies_of_one_crystal_leave_folds_of_rows(embedder, points) -> None:
    model = quick(embedder).fit(points[np.zeros(12, int)], np.arange(12.0))
    np.testing.assert_allclose(model.predict(points[:1]), 5.5, rtol=0.2)


@pytest.mark.parametrize("name", READOUTS)
def test_a_saved_model_predicts_bit_by_bit_the_same(embedder, points, tmp_path, name) -> None:
    targets = np.stack([MODULI[:60], np.where(np.arange(60) % 3, np.log(MODULI[:60]), np.nan)], 1)
    model = quick(embedder, regressors=[name], n_jobs=2, verbose=1).set_params(verbose=0).fit(points[:60], targets)
    model.save(tmp_path / "m.skdim")
    again = CrystalRegressor.load(tmp_path / "m.skdim")
    np.testing.assert_array_equal(again.predict_interval(points[60:]), model.predict_interval(points[60:]))
    np.testing.assert_array_equal(again.predict(points[60:]), model.predict(points[60:]))
    pd.testing.assert_frame_equal(again.predict_frame(points[60:70]), model.predict_frame(points[60:70]))
    assert again.errors_ == model.errors_
    assert again.n_jobs is None  # how it ran is not how it runs now


def test_a_changed_file_is_refused(model, tmp_path) -> None:
    path = tmp_path / "m.skdim"
    model.save(path)
    content = bytearray(path.read_bytes())
    for place in np.linspace(200, len(content) - 1, 25).astype(int):
        changed = content.copy()
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"damaged|no model"):
            CrystalRegressor.load(path)
    with pytest.raises(FileNotFoundError, match="is not a file"):
        CrystalRegressor.load(tmp_path / "none")
    save_file({"a": np.zeros(1)}, path)
    with pytest.raises(ValueError, match="no model that"):
        CrystalRegressor.load(path)


def test_a_file_whose_parts_do_not_fit_together_is_refused_though_its_digest_is_right(model, tmp_path) -> None:
    path = tmp_path / "m.skdim"
    model.save(path)
    header, _ = read_model(path)
    arrays = load_file(path)

    def refused(match: str, header: Any = header, **changed: np.ndarray) -> None:
        text, changed = json.dumps(header), arrays | changed
        save_file(changed, path, {_KEY: text, "sha256": _digest(text, changed)})
        with pytest.raises(ModelFileError, match=match):
            CrystalRegressor.load(path)

    for name in ("0/fold", "0/scores", "vectors", "0/1/numbers", "elements"):
        refused(r"do(es)? not fit", **{name: arrays[name][:-1].copy()})
    for name in ("0/scores", "vectors", "0/exact"):
        refused(f"{name} must be finite", **{name: np.full_like(arrays[name], np.nan)})
    for place in range(3):  # alpha, gamma, intercept and scale of a kernel
        numbers = arrays["0/1/numbers"].copy()
        numbers[[0, 1, 3][place]] = [0.0, 0.0, -1.0][place]
        refused("of a kernel regressor alpha must be >=", **{"0/1/numbers": numbers})
    numbers = arrays["0/1/numbers"].copy()
    numbers[0] = 1e-300  # with which the kernel has no inverse
    refused("of a kernel regressor alpha must be >=", **{"0/1/numbers": numbers})
    refused("0/1/dual must hold numbers up to 1e", **{"0/1/dual": np.full_like(arrays["0/1/dual"], 1e300)})
    refused("0/scored must have one dimension", **{"0/scored": arrays["0/scored"][:, None]})
    refused("ids must be as many", header={**header, "ids": []})
    refused("no model", header={name: value for name, value in header.items() if name != "kind"})
    facts, parameters = header["facts"], header["parameters"]
    refused("one at least", header={**header, "facts": {**facts, "targets": []}})
    refused("names", header={**header, "facts": {**facts, "names": []}})
    refused("folds", header={**header, "facts": {**facts, "targets": [{**facts["targets"][0], "folds": 10**12}]}})
    for name, value in {"scale": 1e308, "regressors": 10**12, "cv": -1, "random_state": "x"}.items():
        refused(f"fit together: .*({name}|int)", header={**header, "parameters": {**parameters, name: value}})
    for name in ("n_jobs", "device", "embedder"):  # how to run is not for a file to say
        refused(f"together: .*{name}", header={**header, "parameters": {**parameters, name: 64}})


def test_predictions_that_are_no_numbers_are_an_error_that_names_rows(model, points, tmp_path) -> None:
    path = tmp_path / "m.skdim"
    model.save(path)
    header, arrays = read_model(path)
    header["facts"]["targets"][0]["scale"] = ["none", 1.0, 1060]  # units of 2 to this power
    save_file(arrays, path, {_KEY: json.dumps(header), "sha256": _digest(json.dumps(header), arrays)})
    loaded = CrystalRegressor.load(path)
    for use in (loaded.predict, loaded.predict_interval, loaded.predict_frame):
        with pytest.raises(FloatingPointError, match=r"of 5 crystals are not finite \(rows 0, 1, 2, 3, 4\)"):
            use(points[100:105])


def test_saving_needs_no_other_place_than_the_file(model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    model.save(tmp_path / "m.skdim")
    monkeypatch.undo()
    assert CrystalRegressor.load(tmp_path / "m.skdim").chosen_ == model.chosen_


def test_what_load_would_refuse_is_refused_by_save(model, tmp_path) -> None:
    wrong = copy.copy(model)
    wrong.domain_ = replace(model.domain_, vectors=model.domain_.vectors * 1e6)
    with pytest.raises(ModelFileError, match=r"cannot be saved, as it could not be loaded again.*vectors"):
        wrong.save(tmp_path / "m.skdim")
    assert not list(tmp_path.iterdir())


def test_clones_searches_and_cross_validation_take_it_as_any_other(embedder, points) -> None:
    model = quick(embedder)
    fresh = clone(model.fit(points[:60], MODULI[:60]))
    assert not hasattr(fresh, "targets_")
    assert fresh.embedder.state_ is embedder.state_
    scores = cross_val_score(model, points[:90], MODULI[:90], cv=3)
    assert (scores > 0.3).all()
    search = GridSearchCV(model, {"scale": ["none", "log10"]}, cv=2).fit(points[:60], MODULI[:60])
    assert search.best_params_["scale"] in ("none", "log10")
    pipeline = make_pipeline(CrystalPointSetTransformer(), quick(embedder)).fit(list(CRYSTALS[:40]), MODULI[:40])
    assert pipeline.predict(list(NEW[:2])).shape == (2,)
    with pytest.raises(NotFittedError):
        quick(embedder).predict(NEW)


def test_one_that_is_not_fitted_is_pretrained_on_all_crystals_the_unlabelled_too(points) -> None:
    labels = np.where(np.arange(60) < 30, MODULI[:60], np.nan)
    fresh = DeepInfoMaxEmbedder(max_epochs=0, random_state=0)
    model = quick(fresh).fit(points[:60], labels)
    assert not hasattr(fresh, "state_")
    np.testing.assert_array_equal(
        model.embedder_.transform(points[60:65]), clone(fresh).fit(points[:60]).transform(points[60:65])
    )
    assert model.labelled_.tolist() == list(range(30))


def test_a_target_with_missing_values_is_learned_as_it_would_be_alone(embedder, points) -> None:
    second = np.where(np.arange(120) % 2, np.log(MODULI), np.nan)
    both = quick(embedder).fit(points[:120], np.stack([MODULI, second], 1))
    known = np.isfinite(second)
    alone = quick(embedder).fit(points[:120][known], second[known])
    # Vectors are in single precision, and their last bits depend on the crystals of a batch; from the same ones ...
    np.testing.assert_allclose(both.predict(points[120:])[:, 1], alone.predict(points[120:]), rtol=1e-6)
    vectors = both.domain_.vectors
    rows = (second[known], np.ones(60), None, twins(points[:120], vectors)[known], np.zeros(60, np.int64))
    same = choose(vectors[known], *rows, both.candidates(both.seed_), both.scale, both.cv, both.seed_)
    new = embedder.transform(points[120:])
    # ... the same is learned to the last bit.
    np.testing.assert_array_equal(both.predict(points[120:])[:, 1], same.predict(new, points[120:], "cpu", None)[0])
    assert both.predict_interval(points[120:]).shape == (60, 2, 2)
    assert [column for column in both.predict_frame(points[120:]) if column.endswith("_1")][:3] == [
        "prediction_1",
        "lower_1",
        "upper_1",
    ]


def test_rows_of_weight_zero_are_left_out(embedder, points) -> None:
    weights = np.r_[np.ones(60), np.zeros(60)]
    weighted = quick(embedder).fit(points[:120], MODULI, sample_weight=weights)
    fewer = quick(embedder).fit(points[:60], MODULI[:60])
    np.testing.assert_array_equal(weighted.predict(points[120:]), fewer.predict(points[120:]))


def test_a_model_whose_file_does_not_know_blocks_leaves_whole_folds_out(embedder, points) -> None:
    vectors = embedder.transform(points[:120])
    rows = (MODULI[:120], np.ones(120), None, np.arange(120), np.zeros(120, np.int64))
    regressors = {"laplacian": READOUTS["laplacian"]}
    by_five = choose(vectors, *rows, regressors, "none", 5, 0)
    by_fold = choose(vectors, *rows, regressors, "none", PredefinedSplit(by_five.conformal.fold_), 0)
    facts, arrays = by_fold.to_arrays()
    earlier = {name: array for name, array in arrays.items() if name not in ("block", "missed")}
    new = embedder.transform(points[120:])
    ends = [
        model.on_scale(new, points[120:], "cpu", 0.9)[1]
        for model in (by_fold, TargetModel.of_arrays(facts, earlier, vectors), by_five)
    ]
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-6)
    assert not np.allclose(ends[2], ends[0], rtol=1e-3)


def test_groups_are_never_on_both_sides(embedder, points) -> None:
    groups = composition_groups(CRYSTALS, "system")
    model = quick(embedder).fit(points[:120], MODULI, groups=groups)
    fold = model.targets_[0].conformal.fold_
    assert all(len(set(fold[groups == group])) == 1 for group in groups)


def test_rows_without_a_group_stand_alone_and_scores_need_known_values(embedder, points) -> None:
    model = quick(embedder).fit(points[:30], MODULI[:30], groups=["a"] * 10 + [None] * 20)
    fold = model.targets_[0].conformal.fold_
    assert len(set(fold[:10])) == 1
    assert len(set(fold)) == 5
    with pytest.raises(ValueError, match="at least 2 usable rows to be scored, got 0"):
        model.score(points[:3], [np.nan] * 3)


def test_columns_of_a_frame_name_the_targets(embedder, points, tmp_path) -> None:
    table = pd.DataFrame({"K": MODULI[:60], "log": np.log(MODULI[:60])})
    model = quick(embedder).fit(points[:60], table)
    assert {"prediction_K", "lower_log"} <= set(model.predict_frame(points[60:62]).columns)
    model.save(tmp_path / "m.skdim")
    assert CrystalRegressor.load(tmp_path / "m.skdim").target_names_ == ["K", "log"]


@pytest.mark.parametrize(("labels", "kind"), [(MODULI, "log10"), (MODULI / 1000 + 1, "none"), (MODULI - 50, "none")])
def test_a_logarithm_is_taken_where_labels_span_decades(embedder, points, labels, kind) -> None:
    spread = labels * 10.0 ** np.linspace(-2, 2, 120) if kind == "log10" else labels
    assert quick(embedder).fit(points[:120], spread).targets_[0].scale.kind == kind


@pytest.mark.parametrize("transform", ["none", "log10", "yeo-johnson"])
def test_predictions_are_in_the_units_of_the_labels_whatever_the_scale(embedder, points, transform) -> None:
    model = quick(embedder, scale=transform).fit(points[:120], MODULI)
    scale = model.targets_[0].scale
    np.testing.assert_allclose(scale.inverse(scale.forward(MODULI)), MODULI, rtol=1e-8)
    assert model.score(points[120:], TRUTH) > 0.6
    assert (np.diff(model.predict_interval(points[120:]), axis=1) > 0).all()


def test_a_bound_that_says_nothing_new_is_harmless_and_one_that_misleads_is_overruled(embedder, points) -> None:
    plain = quick(embedder).fit(points[:120], MODULI)
    labels, sides = MODULI.copy(), np.zeros(120, int)
    sides[:30] = -1
    labels[:30] = 5000.0  # "<5000": true, and far from the value
    bounded = quick(embedder, scale="none").fit(points[:120], labels, censored=sides)
    naive = quick(embedder, scale="none").fit(points[:120], labels)
    errors = [np.abs(m.predict(points[120:]) - TRUTH).mean() for m in (plain, bounded, naive)]
    assert errors[1] < 2 * errors[0]
    assert errors[2] > 5 * errors[1]
    assert len(bounded.targets_[0].conformal.scores_) == 90


@pytest.mark.parametrize("scale", ["none", "log10", "yeo-johnson"])
@pytest.mark.parametrize("unit", [2.0**990, 2.0**-990])
def test_labels_of_any_size_have_predictions_and_intervals_of_that_size(embedder, points, scale, unit) -> None:
    given = points[:60], MODULI[:60] / MODULI[:60].max()
    usual = quick(embedder, scale=scale).fit(*given)
    other = quick(embedder, scale=scale).fit(given[0], unit * given[1])
    close = {"rtol": 0.05 if scale == "yeo-johnson" else 1e-6}  # which is another curve in other units
    np.testing.assert_allclose(other.predict(points[60:90]) / unit, usual.predict(points[60:90]), **close)
    ends = other.predict_interval(points[60:90], 0.5) / unit
    np.testing.assert_allclose(ends, usual.predict_interval(points[60:90], 0.5), **close)
    assert np.isfinite(ends).all()


def test_predictions_beyond_all_labels_are_flagged(points, embedder) -> None:
    high = np.flatnonzero(np.median(MODULI) < MODULI)
    model = quick(embedder).fit(points[high], MODULI[high])
    frame = model.predict_frame(points)
    low, top = MODULI[high].min(), MODULI[high].max()
    said = frame["flags"].str.split("; ", expand=True)[0]
    np.testing.assert_array_equal(said == "prediction below all labels", frame["prediction"] < low)
    np.testing.assert_array_equal(said == "prediction above all labels", frame["prediction"] > top)
    assert (said == "prediction below all labels").sum() > 10
    both = quick(embedder).fit(points[high], np.stack([MODULI[high], -MODULI[high]], 1))
    assert "prediction of 1 above all labels" in " ".join(both.predict_frame(points)["flags"])


@pytest.mark.parametrize("regressor", ["ridge", "trees"])
@pytest.mark.parametrize("maximize", [True, False])
def test_what_is_suggested_for_the_best_value_can_have_it_by_the_model_itself(
    embedder, points, regressor, maximize
) -> None:
    half = np.argsort(BUNCH.target[:180])[40:140]  # the best of the pool are not labelled
    rest = np.setdiff1d(np.arange(180), half)
    model = quick(embedder, regressors=(regressor,)).fit(points[half], BUNCH.target[half])
    pool = model.predict_frame(points[rest])
    labels = BUNCH.target[half]
    can = pool["upper"] > labels.max() if maximize else pool["lower"] < labels.min()
    n = int(can.sum())
    assert 5 < n < len(rest)
    assert set(model.suggest(points[rest], n, goal="best", maximize=maximize)["id"]) == set(np.flatnonzero(can))


@pytest.mark.parametrize("goal", ["information", "best"])
def test_of_a_large_pool_only_those_that_may_be_chosen_are_held(embedder, points, goal, monkeypatch) -> None:
    model = quick(embedder).fit(points[:40], MODULI[:40])
    whole = model.suggest(points, 5, goal)
    monkeypatch.setattr("skdim.evaluation._suggestion._MOST", 50)
    monkeypatch.setattr("skdim.predictor._CHUNK", 32)
    pool = Pool(model, 5, goal, True, None)
    for start in range(0, len(points), 32):
        pool.add(range(start, start + 32), points[start : start + 32])
        assert sum(map(len, pool.held)) == len(pool.ids) <= 50
    pd.testing.assert_frame_equal(pool.choose(), model.suggest(points, 5, goal))
    assert min(pool.ids) >= 40  # the labelled ones are left out
    if goal == "best":  # those that promise most are among the 50 that are held
        pd.testing.assert_frame_equal(pool.choose(), whole, rtol=1e-5)


def test_rows_that_are_no_crystals_are_an_error_or_left_out(embedder) -> None:
    crystals = [*CRYSTALS[:30], None]
    with pytest.raises(StructureError, match="row 30"):
        quick(embedder).fit(crystals, MODULI[:31])
    model = quick(embedder, on_error="nan")
    with pytest.warns(UserWarning, match="left out of fit"):
        model.fit(crystals, MODULI[:31])
    with pytest.warns(UserWarning, match="predicted NaN"):
        frame = model.predict_frame([None, CRYSTALS[0]])
    assert np.isnan(frame["prediction"][0])
    assert np.isfinite(frame["prediction"][1])
    assert frame["flags"][0] == "no usable crystal"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(model.predict_interval([None])).all()


def test_names_travel_in_the_index(embedder) -> None:
    named = pd.Series(list(CRYSTALS[:30]), index=[f"c{k}" for k in range(30)])
    model = quick(embedder).fit(named, MODULI[:30])
    frame = model.predict_frame(named[4:6])
    assert frame.index.tolist() == ["c4", "c5"]
    assert frame["nearest_1"].tolist() == ["c4", "c5"]


def test_crystals_of_an_archive_keep_their_ids(embedder, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for k, crystal in enumerate(CRYSTALS[:12]):
            archive.writestr(f"c{k:02}.cif", str(CifWriter(crystal)))
    model = quick(embedder).fit(read_crystals(tmp_path / "set.zip"), MODULI[:12])
    frame = model.predict_frame(read_crystals(tmp_path / "set.zip"))
    assert frame.index[3].endswith("set.zip/c03.cif")
    assert frame["nearest_1"].iloc[3] == frame.index[3]
    assert set(model.explain(read_crystals(tmp_path / "set.zip"))["crystal"]) == set(frame.index)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [1.0, 2, 3] + [np.nan] * 27}, "y has 3 labelled usable rows; at least 10 are needed"),
        ({"y": np.ones(30)}, "y is 1 in all 30 labelled rows"),
        ({"groups": ["a"] * 30}, "30 labelled rows are of 1 group; at least 2 groups"),
        ({"y": MODULI[:29]}, "X has 30 rows and y has 29"),
        ({"groups": pd.Series(["a"] * 30, index=range(5, 35))}, "30 labelled rows are of 1 group; at least 2 groups"),
        ({"groups": ["a"] * 29}, "one group for each of the 30 rows, got 29"),
        ({"y": [None] * 30}, "y has 0 labelled"),
        ({"y": MODULI[:30] * np.inf}, "y must be finite, got inf at all 30 rows"),
        ({"censored": np.full(30, 2)}, "censored must hold -1, 0 and 1 only"),
        ({"censored": np.full(30, 1)}, "0 labelled usable rows beside 30 that are bounds only"),
        ({"y": None}, "the target y is None"),
    ],
)
def test_what_few_labels_make_impossible_is_said_with_what_is_needed(embedder, points, change, words) -> None:
    given = {"y": MODULI[:30], **change}
    with pytest.raises(ValueError, match=words):
        quick(embedder).fit(points[:30], **given)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"regressors": []}, "regressors must be a list"),
        ({"regressors": "ridge"}, "must be a list of some"),
        ({"regressors": ["svm"]}, "must be a list of some of"),
        ({"scale": "log"}, "scale .*'log'"),
        ({"embedder": 3}, "embedder must be a DeepInfoMaxEmbedder"),
        ({"on_error": "skip"}, "on_error"),
        ({"cv": 1}, "cv"),
    ],
)
def test_parameters_that_are_not_accepted(embedder, points, params, words) -> None:
    with pytest.raises(ValueError, match=words):
        quick(embedder).set_params(**params).fit(points[:30], MODULI[:30])


def test_a_logarithm_of_labels_that_are_not_positive_is_refused(embedder, points) -> None:
    with pytest.raises(ValueError, match=r"y must be positive with scale='log10', got -.*yeo-johnson"):
        quick(embedder, scale="log10").fit(points[:30], MODULI[:30] - 1000)


def test_the_salt_is_far_from_hard_crystals(model) -> None:
    frame = model.predict_frame([salt()])
    assert frame["prediction"][0] < 100  # the bulk modulus of rock salt is 24 GPa


def test_a_splitter_is_not_kept_in_a_file_and_that_is_said(embedder, points, tmp_path) -> None:
    from sklearn.model_selection import KFold

    model = CrystalRegressor(embedder, regressors=["ridge"], cv=KFold(3)).fit(points[:30], MODULI[:30])
    with pytest.warns(UserWarning, match=r"cv=KFold.* is not kept"):
        model.save(tmp_path / "m.skdim")
    assert CrystalRegressor.load(tmp_path / "m.skdim").cv == 10
