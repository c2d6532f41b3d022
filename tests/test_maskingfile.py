"""A fitted label-masking regressor on disk and back: the same predictions, and no pickle that was not asked for."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skdim import LabelMaskingRegressor, SiteNetRegressor
from skdim._files import digest
from skdim.cli.modelfile import facts_of
from skdim.exceptions import InputError, ModelFileError
from tests.masked import data, embedder, model

VARIANTS: dict[str, dict[str, Any]] = {
    "ridge": {"n_labels": 10},
    "site-net": {"regressor": SiteNetRegressor(max_epochs=1, random_state=0)},
    "frozen": {"embedder": FrozenEstimator(embedder().fit(data(20)[0]))},
    "pipeline": {"embedder": make_pipeline(embedder(), PCA(3))},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_saved_regressor_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    points, y = data(30, unknown=5)
    fitted = model(**VARIANTS[name]).fit(points, y)
    wanted = fitted.predict(points)
    fitted.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    back = LabelMaskingRegressor.load(tmp_path / "model", trusted=name == "pipeline")
    assert np.array_equal(back.predict(points), wanted)
    assert np.array_equal(back.labelled_, fitted.labelled_)
    assert back.get_params()["n_labels"] == fitted.n_labels
    again = clone(back).fit(points, y)
    assert np.allclose(again.predict(points), wanted, atol=1e-5)
    back.save(tmp_path / "again")


class Doubled(Ridge):
    """A regressor that is nobody's."""

    def predict(self, X: Any) -> Any:
        return 2 * super().predict(X)


def test_types_that_are_not_known_to_be_safe_are_built_only_if_told_to(tmp_path: Path) -> None:
    points, y = data(20)
    model(regressor=Doubled()).fit(points, y).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"its regressor is made of the types .*Doubled.*trusted=True"):
        LabelMaskingRegressor.load(tmp_path / "model")
    assert isinstance(LabelMaskingRegressor.load(tmp_path / "model", trusted=True).regressor, Doubled)
    model(**VARIANTS["site-net"]).fit(points, y).save(tmp_path / "plain")
    with zipfile.ZipFile(tmp_path / "plain") as archive:
        assert sorted(archive.namelist()) == ["embedder", "model.json", "regressor"]


def test_what_cannot_be_saved_or_loaded_is_named(tmp_path: Path) -> None:
    points, y = data(20)
    with pytest.raises(NotFittedError):
        model().save(tmp_path / "model")
    fitted = model().fit(points, y)
    with pytest.raises(IsADirectoryError, match="is a folder; the path of a file to write"):
        fitted.save(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*not'"):
        fitted.save(tmp_path / "not" / "there")
    with pytest.raises(FileNotFoundError, match=r"what LabelMaskingRegressor\.save wrote"):
        LabelMaskingRegressor.load(tmp_path / "model")
    for content in (b"", b"PK\x03\x04 damaged"):
        (tmp_path / "damaged").write_bytes(content)
        with pytest.raises(ValueError, match="is not a LabelMaskingRegressor saved by skdim, or it is damaged"):
            LabelMaskingRegressor.load(tmp_path / "damaged")
    embedder().fit(points).save(tmp_path / "embedder")
    with pytest.raises(ValueError, match="is not a LabelMaskingRegressor"):
        LabelMaskingRegressor.load(tmp_path / "embedder")


@pytest.mark.parametrize("facts", [[], "model", {}, {"format": "1"}, {"format": 1}])
def test_an_archive_of_something_else_is_named(facts: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("model.json", json.dumps(facts))
    with pytest.raises(
        ValueError, match=r"is not a LabelMaskingRegressor saved by skdim|format must be|frozen is missing"
    ):
        LabelMaskingRegressor.load(tmp_path / "other")


def packed(source: bytes) -> bytes:
    """The same archive with its parts packed, as a few kB that unpack to gigabytes would be."""
    kept = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as archive, zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    return kept.getvalue()


def test_an_archive_that_would_grow_or_is_locked_is_refused(tmp_path: Path) -> None:
    points, y = data(20)
    model().fit(points, y).save(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    (tmp_path / "packed").write_bytes(packed(content))
    start = b"PK\x01\x02\x14\x03\x14\x00"  # of an entry of the directory; flags follow
    (tmp_path / "locked").write_bytes(content.replace(start + b"\x00", start + b"\x01"))
    with zipfile.ZipFile(tmp_path / "model") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["regressor"] = packed(parts["regressor"])
    facts = json.loads(parts["model.json"])
    parts["model.json"] = json.dumps({**facts, "sha256": digest(parts["embedder"], parts["regressor"])}).encode()
    with zipfile.ZipFile(tmp_path / "inside", "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    for name in ("packed", "locked", "inside"):
        with pytest.raises(ModelFileError, match="is packed or locked, which save never does"):
            LabelMaskingRegressor.load(tmp_path / name)
    assert facts_of(tmp_path / "model")["labelled"] == 20
    with pytest.raises(InputError, match="is packed or locked"):
        facts_of(tmp_path / "packed")


class Unsaved(Ridge):
    """A regressor that no pickle can hold."""

    def __getstate__(self) -> Any:
        raise TypeError("no pickle")


def test_what_cannot_be_pickled_leaves_no_file(tmp_path: Path) -> None:
    points, y = data(20)
    with pytest.raises(TypeError, match="no pickle"):
        model(regressor=Unsaved()).fit(points, y).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_files_of_later_versions_are_refused(tmp_path: Path) -> None:
    points, y = data(20)
    model().fit(points, y).save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        facts = json.loads(archive.read("model.json"))
    with zipfile.ZipFile(tmp_path / "later", "w") as archive:
        archive.writestr("model.json", json.dumps({**facts, "format": 99}))
    with pytest.raises(ValueError, match="format must be 1 or 2, got 99"):
        LabelMaskingRegressor.load(tmp_path / "later", trusted=True)


def test_the_regressor_may_be_fitted_anew_after_a_load(tmp_path: Path) -> None:
    points, y = data(20)
    model(regressor=Ridge(3.0)).fit(points, y).save(tmp_path / "model")
    back = LabelMaskingRegressor.load(tmp_path / "model", trusted=True)
    assert back.regressor.alpha == 3
    assert len(back.set_params(n_labels=7).fit(points, y).labelled_) == 7
