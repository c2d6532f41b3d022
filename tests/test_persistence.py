"""A fitted embedder on disk and back: the same bits, no pickle, and clear words about files that are none."""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
from skdim.exceptions import ModelFileError
from skdim.learning.statefile import saved_bytes
from skdim.learning.tensorfile import read_tensors, write_tensors
from tests.daily import slow
from tests.handmade import salt
from tests.points.test_featurizer import Choosy
from tests.small import bundled, bundled_points

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "untrained": {"max_epochs": 0, "verbose": 0, "device": "cpu"},
    "components": {"embedding_dim": np.int64(4), "encoder_params": {"width": np.int64(8)}, "validation_fraction": 0.0},
    "network": {
        "readout": "network",
        "objective_params": {"context": 0.0, "local": 1.0, "global": np.float32(0.5)},
        "negatives": ("crystal", "species"),
        "random_state": np.int64(3),
    },
    "own featurizer": {"featurizer": CrystalPointSetTransformer(n_neighbors=12, site_features=["Number", "Row"])},
}


@cache
def fitted(name: str = "default") -> DeepInfoMaxEmbedder:
    params = {"encoder_params": {"width": 8}, "max_epochs": 2, "random_state": 0, **VARIANTS[name]}
    return DeepInfoMaxEmbedder(**params).fit(bundled(12)[0])


def vectors(embedder: DeepInfoMaxEmbedder) -> np.ndarray:
    return embedder.transform(bundled(20)[0])


def saved(tmp_path: Path, name: str = "default") -> Path:
    path = tmp_path / "model.skdim"
    fitted(name).save(path)
    return path


def header_of(path: Path) -> dict[str, Any]:
    """The JSON in a safetensors file, read without the library and without what JSON does not have."""
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    words = json.loads(blob[8 : 8 + length])["__metadata__"]["skdim"]
    found: dict[str, Any] = json.loads(words, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    return found


def rewrite(path: Path, **changes: Any) -> None:
    """The same arrays under a changed header; None takes an entry out."""
    header = {**header_of(path), **changes}
    write_tensors(path, {k: v for k, v in header.items() if v is not None}, load_file(path))


@pytest.mark.parametrize("name", ["default", "network", *slow("untrained", "components", "own featurizer")])
def test_a_saved_embedder_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    embedder = fitted(name)
    back = DeepInfoMaxEmbedder.load(saved(tmp_path, name))
    assert np.array_equal(vectors(back), vectors(embedder))
    assert list(back.get_feature_names_out()) == list(embedder.get_feature_names_out())
    ours, theirs = embedder.get_params(), back.get_params()
    assert repr(theirs.pop("featurizer")) == repr(ours.pop("featurizer"))
    assert theirs == {**ours, "device": "auto"}  # which is about the machine and not restored
    assert [list(row) for row in back.history_] == [list(row) for row in embedder.history_]
    for row, other in zip(back.history_, embedder.history_, strict=True):
        assert all(row[k] == other[k] or (math.isnan(row[k]) and math.isnan(other[k])) for k in row)


def test_the_file_is_at_exactly_that_path_and_holds_arrays_and_json_only(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.skdim"]
    header = header_of(path)
    assert set(header["record"]["versions"]) == {"skdim", "torch", "python"}
    assert header["parameters"]["encoder_params"] == {"width": 8}
    assert len(header["record"]["history"]) == 2
    assert all(isinstance(value, np.ndarray) for value in load_file(path).values())
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())
    DeepInfoMaxEmbedder.load(str(path))


def test_saving_replaces_a_file_at_once(tmp_path: Path) -> None:
    path = saved(tmp_path)
    fitted("untrained").save(str(path))
    assert DeepInfoMaxEmbedder.load(path).max_epochs == 0
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_what_comes_back_can_be_cloned_fitted_and_saved_again(tmp_path: Path) -> None:
    back = DeepInfoMaxEmbedder.load(saved(tmp_path))
    assert not hasattr(clone(back), "state_")
    with pytest.warns(UserWarning, match="makes no use of what the loaded embedder has learned.*FrozenEstimator"):
        afresh = clone(back).fit(bundled(12)[0])
    assert np.array_equal(vectors(afresh), vectors(fitted()))
    afresh.fit(bundled(12)[0])  # its own now: a further fit loses nothing that was loaded, and says nothing
    went_on = DeepInfoMaxEmbedder.load(saved(tmp_path)).set_params(warm_start=True, max_epochs=0).fit(bundled(12)[0])
    assert np.allclose(vectors(went_on), vectors(fitted()), atol=1e-6)
    back.save(tmp_path / "again")
    assert np.array_equal(vectors(DeepInfoMaxEmbedder.load(tmp_path / "again")), vectors(fitted()))


def test_what_comes_back_knows_which_features_it_was_trained_on(tmp_path: Path) -> None:
    back = DeepInfoMaxEmbedder.load(saved(tmp_path, "own featurizer"))
    with pytest.raises(ValueError, match=r"site features .*'Electronegativity'.* trained on .*'Number', 'Row'"):
        back.transform(bundled_points(3))


@pytest.mark.parametrize("content", [b"", b"not a model", pickle.dumps([1, 2]), b"\x93NUMPY" + bytes(200)])
def test_a_file_of_another_kind_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.skdim"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model.skdim' is not a model saved by skdim, or it is damaged"):
        DeepInfoMaxEmbedder.load(path)


def test_safetensors_of_others_and_checkpoints_are_no_embedders(tmp_path: Path) -> None:
    save_file({"a": np.zeros(3)}, tmp_path / "other")
    save_file({"a": np.zeros(3)}, tmp_path / "words", {"skdim": "no json"})
    save_file({"a": np.zeros(3)}, tmp_path / "list", {"skdim": "[1]"})
    clone(fitted()).set_params(checkpoint_dir=tmp_path).fit(bundled(12)[0])
    for name in ("other", "words", "list", "checkpoint.safetensors"):
        with pytest.raises(ValueError, match=f"{name}' is not a model saved by skdim"):
            DeepInfoMaxEmbedder.load(tmp_path / name)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_file_is_named(share: float, tmp_path: Path) -> None:
    path = saved(tmp_path)
    blob = path.read_bytes()
    path.write_bytes(blob[: int(share * len(blob))])
    with pytest.raises(ValueError, match="is not a model saved by skdim, or it is damaged"):
        DeepInfoMaxEmbedder.load(path)


@pytest.mark.parametrize(
    "missing", ["config", "columns", "settings", "parameters", "record", "featurizer", "kind", "format"]
)
def test_a_header_without_an_entry_is_damaged(missing: str, tmp_path: Path) -> None:
    path = saved(tmp_path)
    rewrite(path, **{missing: None})
    with pytest.raises(ModelFileError, match=f"{missing} is missing|KeyError 'format'"):
        DeepInfoMaxEmbedder.load(path)


def test_weights_of_another_size_are_damaged(tmp_path: Path) -> None:
    path = saved(tmp_path)
    config = header_of(path)["config"]
    rewrite(path, config={**config, "encoder": {**config["encoder"], "width": 16}})
    with pytest.raises(ValueError, match=r"tensor weights/.* must be of shape \(.*16.*\), got \(.*8.*\)"):
        DeepInfoMaxEmbedder.load(path)


def test_features_that_nothing_can_be_divided_by_and_parameters_that_are_none_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    header, arrays = read_tensors(path)
    del header["sha256"]
    write_tensors(path, header, {**arrays, "weights/feature_scale": 0 * arrays["weights/feature_scale"]})
    with pytest.raises(ModelFileError, match=r"tensor weights/feature_scale must be > 0, got 0"):
        DeepInfoMaxEmbedder.load(path)
    write_tensors(path, {**header, "parameters": {**header["parameters"], "on_error": "ignore"}}, arrays)
    with pytest.raises(ModelFileError, match=r"parameters: on_error must be 'raise' or 'nan', got 'ignore'"):
        DeepInfoMaxEmbedder.load(path)


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("config", "encoder", "decay", 0), 10**40, "decay must be None or one exponent"),
        (("config", "encoder", "decay", 0), -3.0, "columns must be those of the model"),
        (("config", "encoder", "reach"), 1e-300, "reach must be a number >= 1 and <= 100"),
        (("settings", "n_neighbors"), 2**62, "settings must be those of the featurizer"),
        (("settings", "tolerance"), 1e300, "settings must be those of the featurizer"),
        (("featurizer", "max_sites"), 10**12, "featurizer.max_sites must be an integer from 1 to 1000000"),
        (("featurizer", "supercell_size"), 10**30, "featurizer.supercell_size must be an integer from 1 to 10000"),
        (("featurizer", "n_neighbors"), 10**9, "featurizer.n_neighbors must be an integer from 1 to 10000"),
        pytest.param(("record", "history", 0, "dur"), 10**400, "dur must be None or a finite number", id="history"),
        pytest.param(("parameters", "learning_rate"), 10**400, "learning_rate must be a finite number", id="rate"),
        (("parameters", "checkpoint_dir"), "x", "parameters.checkpoint_dir is a choice that no file keeps, got 'x'"),
        (("parameters", "n_jobs"), 64, "parameters.n_jobs is a choice that no file keeps, got 64"),
        (("kind",), 7, "kind must be 'embedder', 'regressor' or 'classifier', got 7"),
    ],
)
def test_absurd_numbers_in_the_header_are_named(
    place: tuple[Any, ...], value: float, named: str, tmp_path: Path
) -> None:
    path = saved(tmp_path)
    changed = header_of(path)
    del changed["sha256"]
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    write_tensors(path, changed, load_file(path))
    with pytest.raises(ModelFileError, match=named):
        DeepInfoMaxEmbedder.load(path)


def test_absurd_weights_are_named_and_large_units_of_features_are_not(tmp_path: Path) -> None:
    path = saved(tmp_path, "components")
    header, arrays = read_tensors(path)
    del header["sha256"]
    names = ["components", "offset", *(name for name in arrays if name.startswith("weights/"))]
    for name in (name for name in names if arrays[name].size):
        large = arrays[name].copy()
        large.reshape(-1)[-1] = -1e30
        write_tensors(path, header, {**arrays, name: large})
        if name.endswith("feature_mean"):
            DeepInfoMaxEmbedder.load(path)
            continue
        with pytest.raises(ModelFileError, match=f"tensor {re.escape(name)} must be (of numbers up to 1e\\+12|> 0)"):
            DeepInfoMaxEmbedder.load(path)


def test_what_load_would_refuse_is_refused_by_save_and_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before, embedder = path.read_bytes(), DeepInfoMaxEmbedder.load(path)
    weights = dict(embedder.state_.weights)
    for name, value in (("feature_scale", 0.0), ("encoder.blocks.0.neighbor.weight", 1e30)):
        wrong = {**weights, name: np.full_like(weights[name], value)}
        embedder.state_ = replace(embedder.state_, weights=wrong)
        with pytest.raises(ModelFileError, match=f"cannot be saved.* tensor weights/{re.escape(name)} must be"):
            embedder.save(path)
        with pytest.raises(ModelFileError, match="cannot be saved"):
            saved_bytes(embedder)
        assert path.read_bytes() == before


def test_a_file_of_a_later_version_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path)
    rewrite(path, format=99, config=None, skdim="9.0")
    with pytest.raises(
        ModelFileError, match=r"format must be 3, 4 or 5, got 99 \(skdim 9.0\).* a later one may read it"
    ):
        DeepInfoMaxEmbedder.load(path)


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"is not a file; the path of what DeepInfoMaxEmbedder.save"):
            DeepInfoMaxEmbedder.load(path)


def test_only_what_is_fitted_and_needs_no_pickle_can_be_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        DeepInfoMaxEmbedder().save(tmp_path / "m")
    sites = CrystalPointSetTransformer(site_features=Choosy())
    embedder = DeepInfoMaxEmbedder(sites, max_epochs=0, random_state=0).fit([salt()])
    with pytest.raises(ValueError, match=r"site_features=.* which only pickle could keep"):
        embedder.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["default", "network", *slow("untrained", "components", "own featurizer")])
def test_pickles_and_copies_give_the_same_vectors_and_hold_no_network(name: str, tmp_path: Path) -> None:
    embedder = fitted(name)
    expected = vectors(embedder)
    joblib.dump(embedder, tmp_path / "j")
    copies = [
        pickle.loads(pickle.dumps(embedder)),
        copy.deepcopy(embedder),
        joblib.load(tmp_path / "j"),
        joblib.load(tmp_path / "j", mmap_mode="r"),
    ]
    for one in copies:
        assert "_model" not in vars(one)
        assert np.array_equal(vectors(one), expected)
    assert not re.search(rb"torch\.\w", pickle.dumps(embedder))


def test_an_unfitted_embedder_is_pickled_too() -> None:
    embedder = DeepInfoMaxEmbedder(max_epochs=3)
    assert pickle.loads(pickle.dumps(embedder)).get_params() == embedder.get_params()


def test_a_subclass_loads_as_itself(tmp_path: Path) -> None:
    class Own(DeepInfoMaxEmbedder):
        pass

    assert type(Own.load(saved(tmp_path))) is Own


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    path, before = saved(tmp_path), torch.get_rng_state()
    vectors(DeepInfoMaxEmbedder.load(path))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_saved_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    path = saved(tmp_path)
    other = tmp_path / "other"
    other.write_text("")
    assert path.stat().st_mode == other.stat().st_mode


def test_a_path_that_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    embedder = fitted("untrained")
    missing = tmp_path / "not" / "there.safetensors"
    with pytest.raises(FileNotFoundError, match=r"there\.safetensors' cannot be written: there is no folder '.*not'"):
        embedder.save(missing)
    with pytest.raises(IsADirectoryError, match=r"is a folder; the path of a file to write is needed"):
        embedder.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
