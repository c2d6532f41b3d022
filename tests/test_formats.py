"""Files of every format since 3 load, and give what they gave when they were written; current ones are verified."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from skdim import DeepInfoMaxEmbedder, LabelMaskingRegressor, SiteNetRegressor
from skdim.exceptions import ModelFileError
from skdim.learning.statefile import FORMAT, write_state
from skdim.learning.tensorfile import read_tensors, write_tensors
from tests.daily import slow
from tests.handmade import iron, perovskite, salt, silicon
from tests.masked import data, embedder, model
from tests.small import bundled, bundled_points

FORMATS = Path(__file__).parent / "data" / "formats"
RUN_TIME = {"checkpoint_dir": None, "device": "auto", "n_jobs": None, "verbose": 0}


def load(file: Path) -> Any:
    """Load a file by the name of what wrote it."""
    kind = {"embedder": DeepInfoMaxEmbedder, "regressor": SiteNetRegressor, "masking": LabelMaskingRegressor}
    return kind[file.stem.split("_")[0]].load(file)


def answers(estimator: Any) -> np.ndarray:
    probe = [iron(), perovskite(), salt(), silicon()]
    return np.asarray(estimator.transform(probe) if hasattr(estimator, "transform") else estimator.predict(probe))


@pytest.mark.parametrize("version", ["3", "5", *slow("4")])
def test_a_file_of_each_format_gives_what_it_gave(version: str, tmp_path: Path) -> None:
    assert {path.name for path in FORMATS.iterdir()} == {"3", "4", "5"}
    with np.load(FORMATS / version / "expected.npz") as expected:
        files = sorted(file for file in (FORMATS / version).iterdir() if file.stem != "expected")
        assert {file.stem for file in files} == set(expected)
        for file in files:
            found = load(file)
            assert answers(found) == pytest.approx(expected[file.stem], abs=1e-5), file.name
            found.save(tmp_path / file.name)
            assert np.array_equal(answers(load(tmp_path / file.name)), answers(found))


def test_there_is_a_file_of_every_format() -> None:
    assert {int(path.name) for path in FORMATS.iterdir()} == set(range(3, FORMAT + 1))


@pytest.mark.slow
def test_how_and_where_to_run_is_not_restored(tmp_path: Path) -> None:
    given = {"device": "cpu", "n_jobs": 1, "verbose": 0, "checkpoint_dir": tmp_path / "here"}
    DeepInfoMaxEmbedder(max_epochs=0, random_state=0, **given).fit(bundled_points(5)).save(tmp_path / "e")
    loaded = DeepInfoMaxEmbedder.load(tmp_path / "e")
    assert {name: loaded.get_params()[name] for name in RUN_TIME} == RUN_TIME
    regressor = SiteNetRegressor(loaded, max_epochs=0, random_state=0, **given)
    regressor.fit(bundled_points(5), np.arange(5.0)).save(tmp_path / "r")
    again = SiteNetRegressor.load(tmp_path / "r")
    assert {name: again.get_params()[name] for name in RUN_TIME} == RUN_TIME
    model(memory=tmp_path / "cache").fit(*data(20)).save(tmp_path / "m")
    assert LabelMaskingRegressor.load(tmp_path / "m").memory is None


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small regressor's file, with all that a file can hold."""
    path = tmp_path_factory.mktemp("saved") / "regressor"
    start = DeepInfoMaxEmbedder(encoder_params={"width": 8}, max_epochs=1, embedding_dim=4, random_state=0)
    start.fit(bundled_points(12))
    given = {"max_epochs": 1, "n_ensemble": 2, "head_width": 3, "random_state": 0}
    free, held = (
        SiteNetRegressor(start, cv=cv, **given).fit(bundled_points(12), bundled(12)[1]).state_ for cv in (None, 2)
    )
    write_state(path, replace(free, anchor=held.anchor))
    return path


def test_a_flipped_bit_is_found_wherever_it_is(saved: Path, tmp_path: Path) -> None:
    content, copy = saved.read_bytes(), tmp_path / "flipped"
    for place in np.random.default_rng(0).integers(0, len(content), 60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(place) % 8
        copy.write_bytes(flipped)
        with pytest.raises(ModelFileError, match="flipped'"):
            SiteNetRegressor.load(copy)


def changed(tensor: np.ndarray, value: float) -> np.ndarray:
    tensor = tensor.copy()
    tensor.flat[0] = value
    return tensor


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights/feature_mean", lambda x: changed(x, np.nan), "weights/feature_mean must be finite"),
        ("center", lambda x: changed(x, np.inf), "center must be finite"),
        ("scale", lambda x: changed(x, 0.0), "scale must be > 0"),
        ("scale", lambda x: x.astype(np.float16), "scale must be of float32, got 'float16'"),
        ("components", lambda x: x[:-1], r"components must be of shape \(4, "),
        ("members/1/head/linear.weight", lambda x: x.T.copy(), "members/1/head/linear.weight must be of shape"),
        ("members/0/encoder/feature_mean", lambda x: changed(x, np.nan), "members/0/encoder/feature_mean must be"),
        ("weights/feature_mean", None, "weights/feature_mean is missing"),
        ("offset", None, "components and offset must both"),
        ("members/1/head/linear.bias", None, "members/1/head/linear.bias is missing"),
        ("members/2/head/linear.bias", np.zeros(1, np.float32), "belongs to no part"),
        ("weights/other", np.zeros(1, np.float32), "weights/other belongs to no part"),
        ("other", np.zeros(1, np.float32), "'other' belongs to no part"),
        ("anchor/weight", lambda x: x.T.copy(), r"anchor/weight must be of shape \(1, 4\)"),
        ("anchor/factor", lambda x: changed(x, np.inf), "anchor/factor must be finite"),
        ("anchor/strength", lambda x: x + 2, "anchor/strength must be from 0 to 1"),
        ("anchor/noise", None, "noise"),
        ("anchor/other", np.zeros(1, np.float32), "'other' belongs to no part"),
    ],
)
def test_a_tensor_that_no_fit_can_have_left_is_named(
    name: str, change: Any, message: str, saved: Path, tmp_path: Path
) -> None:
    facts, arrays = read_tensors(saved)
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name]) if callable(change) else change
    write_tensors(tmp_path / "m", facts, arrays)
    with pytest.raises(ModelFileError, match=message):
        SiteNetRegressor.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("config", "encoder", "width"), 10_000_000, r"width must be an integer from 1 to"),
        (("config", "encoder", "width"), 16, "must be of shape"),
        (("config", "encoder", "blocks"), 10**9, "blocks must be an integer from 1 to"),
        (("config", "encoder", "heads"), 10**9, "heads"),
        (("config", "encoder", "surprise"), 1, "surprise"),
        (("config", "global_dim"), 10**9, "global_dim must be an integer from 1 to"),
        (("config", "feature_names"), ["a", "a"], "feature_names must be distinct names"),
        (("config", "objective", "estimator"), "mine", "estimator"),
        (("config",), None, "config must be a dict, got None"),
        (("columns",), ["a"], "components must be of shape"),
        (("columns",), "abcd", "columns"),
        (("settings",), [], "settings must be a dict"),
        (("parameters",), 3, "parameters must be a dict"),
        (("config", "interaction_names"), ["log_coulomb"], "config.interaction_names must be those of the featurizer"),
        (("record", "history"), [{"epoch": 1}], r"record.history\[0\].train_loss is missing"),
        (
            ("regressor", "record", "history", 0, "epoch"),
            0,
            r"regressor.record.history\[0\].epoch must be an integer from",
        ),
        (
            ("regressor", "record", "history", 1, "valid_loss"),
            "nan",
            r"history\[1\].valid_loss must be None or a number",
        ),
        (("record", "versions", "torch"), 2.13, "record.versions.torch must be text, got 2.13"),
        (("record", "rows"), -1, "record.rows must be None or an integer >= 0"),
        (("record", "failed"), 13, "record.failed must be at most the number of rows, 12, got 13"),
        (("seen", "sites"), [], "seen.sites must be an integer >= 0"),
        (("featurizer", "n_neighbors"), 0, "featurizer: n_neighbors"),
        (("featurizer", "site_features"), ["NoSuch"], "featurizer: .*NoSuch"),
        (("featurizer", "cache_dir"), "/tmp", "cache_dir"),
        (("regressor", "members"), 10**12, "members/2"),
        (("regressor", "members"), 0, "belongs to no part"),
        (("regressor", "members"), -1, "members must be an integer >= 0"),
        (("regressor", "parameters", "random_state"), "x", "regressor.parameters.random_state must be"),
        (("regressor", "head_width"), 4, "must be of shape"),
        (("regressor", "targets", "scale"), [0.0], "targets.scale must be > 0"),
        (("regressor", "targets", "center"), ["a"], "targets.center"),
        (("regressor", "parameters"), [], "regressor.parameters must be a dict"),
        (("regressor", "parameters", "widht"), 3, "parameters: .*widht"),
        (("parameters", "featurizer"), {"memory": "x"}, "parameters: "),
        (("format",), 99, "format must be 3, 4 or 5, got 99"),
        (("format",), "4", "format must be"),
        (("kind",), "embedder", "regressor is no field of the file of an embedder"),
        (("kind",), "x" * 10**6, "kind must be 'embedder', 'regressor' or 'classifier', got 'x{199}[.]{4}$"),
        (("parameters", "patience"), 0, "parameters: patience must be an integer >= 1"),
        (("parameters", "warm_start"), None, "parameters: warm_start must be True or False"),
    ],
)
def test_a_fact_that_no_fit_can_have_left_is_named(
    place: tuple[str, ...], value: Any, message: str, saved: Path, tmp_path: Path
) -> None:
    facts, arrays = read_tensors(saved)
    inner = facts
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    write_tensors(tmp_path / "m", facts, arrays)
    with pytest.raises(ModelFileError, match=message):
        SiteNetRegressor.load(tmp_path / "m")


def test_a_masking_file_of_format_1_with_a_pickle_is_read_on_request(tmp_path: Path) -> None:
    points, y = data(20)
    fitted = model().fit(points, y)
    fitted.embedder_.save(tmp_path / "embedder_")
    pickled = io.BytesIO()
    joblib.dump({"regressor_": fitted.regressor_}, pickled)
    facts = {"format": 1, "versions": {"skdim": "0.1"}, "pickled": {"regressor_": "Ridge"}, "frozen": False}
    facts |= {"n_labels": None, "random_state": 0, "memory": None, "labelled": [0, 1], "target_shape": []}
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        archive.writestr("model.json", json.dumps(facts))
        archive.writestr("estimators.joblib", pickled.getvalue())
        archive.write(tmp_path / "embedder_", "embedder_")
    with pytest.raises(ModelFileError, match=r"its Ridge is kept as a pickle.*trusted=True"):
        LabelMaskingRegressor.load(tmp_path / "m")
    back = LabelMaskingRegressor.load(tmp_path / "m", trusted=True)
    assert isinstance(back.regressor_, Ridge)
    assert np.array_equal(back.predict(points), fitted.predict(points))


@pytest.mark.slow
def test_a_changed_part_of_a_masking_file_is_found(tmp_path: Path) -> None:
    points, y = data(20)
    model().fit(points, y).save(tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    other = embedder(random_state=1).fit(points)
    other.save(tmp_path / "other")
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name, content in (parts | {"embedder": (tmp_path / "other").read_bytes()}).items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match="sha256 does not fit"):
        LabelMaskingRegressor.load(tmp_path / "m")
