"""Files whose digest is right and whose header is not: refused with one kind of error, or all that they hold works.

Each field of each kind of file is replaced by what it may not be. The short form runs with the other tests and takes
thirty cases of each kind of file; ``SKDIM_TRUST=long`` (``make trust``) takes a seventh of all.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pytest
from safetensors.numpy import save
from sklearn.base import clone
from sklearn.linear_model import Ridge

from skdim import (
    CrystalClassifier,
    CrystalPointSetTransformer,
    CrystalRegressor,
    DeepInfoMaxEmbedder,
    LabelMaskingRegressor,
    PointSets,
    SiteNetClassifier,
    SiteNetRegressor,
)
from skdim._crystalpredictor import _KEY, _digest, read_model
from skdim.cli.modelfile import as_json, as_text, facts_of
from skdim.exceptions import InputError, StructureError
from skdim.learning.tensorfile import read_tensors, tensor_bytes
from skdim.plotting import TrainingHistoryDisplay
from tests.small import bundled, bundled_points

LONG = os.environ.get("SKDIM_TRUST") == "long"
SECONDS = 2.0  # of the processor
N = 24
SMALL: dict[str, Any] = {"encoder_params": {"width": 8}, "max_epochs": 1, "random_state": 0}
TUNED: dict[str, Any] = {"max_epochs": 1, "batch_pairs": 300, "random_state": 0}
Case = tuple[tuple[Any, ...], str, Any]  # where something is changed, how, and what is there then


class Kind(NamedTuple):
    """How files of a kind are made, taken apart, put together again, read, and used."""

    make: Callable[[Path], Any]
    header: Callable[[Path], tuple[Any, Any]]  # and the rest
    write: Callable[[Path, Any, Any], Any]  # with the right digest
    load: Callable[[Path], Any]
    use: Callable[[Any, Path], Any]
    unread: bool = False  # whether there are parts that `skdim info` does not read


def embedder(**params: Any) -> DeepInfoMaxEmbedder:
    return DeepInfoMaxEmbedder(**{**SMALL, **params}).fit(bundled(N)[0])


def kinds_of_crystals() -> np.ndarray:
    return np.where(bundled(N)[1] > np.median(bundled(N)[1]), "high", "low")


def probe() -> list[Any]:
    return bundled(40)[0][-3:]


def write_tensors(path: Path, header: Any, arrays: Any) -> None:
    facts = header if isinstance(header, dict) else {"skdim": header}
    path.write_bytes(tensor_bytes(facts, arrays))


def write_model(path: Path, header: Any, arrays: Any) -> None:
    text = json.dumps(header)
    path.write_bytes(save(arrays, {_KEY: text, "sha256": _digest(text, arrays)}))


def masking_header(path: Path) -> tuple[Any, Any]:
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(contents.pop("model.json")), contents


def write_masking(path: Path, header: Any, contents: Any) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(header))
        for name, content in contents.items():
            archive.writestr(name, content)


def points_header(path: Path) -> tuple[Any, Any]:
    return json.loads((path / "meta.json").read_text()), {file.name: file.read_bytes() for file in path.glob("*.npy")}


def write_points(path: Path, header: Any, contents: Any) -> None:
    path.mkdir(exist_ok=True)
    for name, content in {**contents, "meta.json": json.dumps(header).encode()}.items():
        (path / name).write_bytes(content)


def answers(model: Any) -> list[np.ndarray]:
    if hasattr(model, "transform"):
        assert model.transform(probe()).shape[1] == len(model.get_feature_names_out())
        return [model.transform(probe())]
    if hasattr(model, "predict_proba"):
        return [model.predict_proba(probe()), np.unique(model.predict(probe()), return_inverse=True)[1]]
    if getattr(getattr(model, "state_", None), "anchor", None) is not None:
        return [*model.predict(probe(), return_std=True)]
    return [np.asarray(model.predict(probe()))]


def use(model: Any, folder: Path) -> None:
    """Do what can be done with a fitted estimator."""
    before = answers(model)
    assert all(np.isfinite(values).all() for values in before)
    repr(model), model._repr_html_(), clone(model)
    if getattr(model, "history_", []):
        figure = TrainingHistoryDisplay.from_estimator(model).figure_
        figure.canvas.draw()
        matplotlib.pyplot.close(figure)
    if hasattr(model, "predict_frame"):
        assert len(model.predict_frame(probe()).to_csv()) > 100
        model.explain(probe()[:1])
    if hasattr(model, "suggest"):
        assert np.isfinite(model.predict_interval(probe(), 0.8)).all()
        assert len(model.suggest(probe(), 2)) == 2
        assert all(math.isfinite(min(errors.values())) for errors in model.errors_)
    model.save(folder / "again")
    assert all(map(np.array_equal, answers(type(model).load(folder / "again")), before))


def use_points(points: PointSets, folder: Path) -> None:
    repr(points), points._repr_html_()
    points.save(folder / "again")
    assert PointSets.load(folder / "again").equals(points)
    assert len(PointSets.concatenate([points, points])) == 2 * len(points)


def go_on(_: Any, folder: Path) -> None:
    """Go on from a checkpoint, which the training looks at."""
    (folder / "changed").rename(folder / "checkpoint.safetensors")
    try:
        trained = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 2}, checkpoint_dir=folder).fit(bundled_points(N))
    except (InputError, FloatingPointError) as error:
        assert "checkpoint" in str(error) or "lower learning_rate" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(trained.transform(probe())).all()


def write_checkpoint(path: Path) -> None:
    begun = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 2}, checkpoint_dir=path.parent)
    begun.fit(bundled_points(N))
    (path.parent / "checkpoint.previous.safetensors").rename(path)


def tensors(make: Callable[[], Any], load: Any) -> Kind:
    return Kind(lambda path: make().save(path), read_tensors, write_tensors, load, use)


def chosen(make: Callable[[], Any], load: Any) -> Kind:
    return Kind(lambda path: make().save(path), read_model, write_model, load, use)


def masking(make: Callable[[], Any], unread: bool) -> Kind:
    load = LabelMaskingRegressor.load
    return Kind(lambda path: make().save(path), masking_header, write_masking, load, use, unread)


KINDS: dict[str, Kind] = {
    "embedder": tensors(lambda: embedder(validation_fraction=0.2), DeepInfoMaxEmbedder.load),
    "deep": tensors(lambda: embedder(preset="deep"), DeepInfoMaxEmbedder.load),
    "paper": tensors(
        lambda: embedder(preset="paper", encoder_params={"width": 8, "heads": 1}), DeepInfoMaxEmbedder.load
    ),
    "components": tensors(
        lambda: embedder(embedding_dim=4, featurizer=CrystalPointSetTransformer(site_features=["Number", "Row"])),
        DeepInfoMaxEmbedder.load,
    ),
    "regressor": tensors(
        lambda: SiteNetRegressor(embedder(), n_ensemble=2, cv=2, **TUNED).fit(bundled_points(N), bundled(N)[1]),
        SiteNetRegressor.load,
    ),
    "classifier": tensors(
        lambda: SiteNetClassifier(embedder(), cv=2, **TUNED).fit(bundled_points(N), kinds_of_crystals()),
        SiteNetClassifier.load,
    ),
    "masking": masking(
        lambda: LabelMaskingRegressor(embedder(), Ridge(), random_state=0).fit(bundled_points(N), bundled(N)[1]), True
    ),
    "fine-tuned masking": masking(
        lambda: LabelMaskingRegressor(embedder(), SiteNetRegressor(cv=None, **TUNED), random_state=0).fit(
            bundled_points(N), bundled(N)[1]
        ),
        False,
    ),
    "chosen": chosen(
        lambda: CrystalRegressor(
            embedder(), regressors=["trees", "fine-tuning"], cv=3, scale="yeo-johnson", random_state=0
        ).fit(bundled(N)[0], bundled(N)[1]),
        CrystalRegressor.load,
    ),
    "chosen class": chosen(
        lambda: CrystalClassifier(embedder(), regressors=["ridge"], cv=3, random_state=0).fit(
            bundled_points(N), kinds_of_crystals()
        ),
        CrystalClassifier.load,
    ),
    "checkpoint": Kind(write_checkpoint, read_tensors, write_tensors, facts_of, go_on),
    "points": Kind(
        lambda path: bundled_points(N).save(path), points_header, write_points, PointSets.load, use_points, True
    ),
}


def nested() -> Any:
    value: Any = []
    for _ in range(500):
        value = [value]
    return value


VALUES = [None, True, -1, 0, 1, 2, 0.5, 1e308, -1e308, 1e-320, math.nan, math.inf, 10**30, 10**400, "", "x", "nan"]
VALUES += ["y" * 50_000, "\x1b[31m\0", [], {}, [None], [[]], ["x"], [1.5], {"a": 1}, nested()]


def fields(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all fields; of a list the first and the last item."""
    yield place
    own = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
    for key, inner in own.items():
        if isinstance(value, dict) or key in (0, len(value) - 1):
            yield from fields(inner, (*place, key))


def others(value: Any) -> Iterator[tuple[str, Any]]:
    """What is wrong in place of a value, with a name."""
    yield from ((repr(wrong)[:40], wrong) for wrong in VALUES)
    if isinstance(value, list) and value:
        yield from (("twice", value * 2), ("shorter", value[:-1]), ("turned", value[::-1]), ("longer", [*value, None]))
    if isinstance(value, dict):
        yield "surplus", {**value, "surplus": 1}
    if isinstance(value, int | float):
        yield from (("more", value + 1), ("turned", -value), ("huge", 10**9), ("text", str(value)), ("not", not value))
    if isinstance(value, str):
        yield "longer", f"{value}x"


def cases(header: Any) -> Iterator[Case]:
    """Every field with every wrong value, and without."""
    for place in fields(header):
        value = header
        for key in place:
            value = value[key]
        yield from ((place, how, wrong) for how, wrong in others(value))
        if place:
            yield place, "missing", ...


def with_other(header: Any, place: tuple[Any, ...], wrong: Any) -> Any:
    """The header with another value in a place; ... takes the field out."""
    if not place:
        return wrong
    changed = copy.deepcopy(header)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if wrong is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = wrong
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:No artists with labels", "error::RuntimeWarning")
def test_a_header_with_a_wrong_field_is_refused_or_all_of_it_works(kind: str, tmp_path: Path) -> None:
    matplotlib.use("Agg")
    make, take_apart, write, load, used, unread = KINDS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(tmp_path / "whole")
    header, rest = take_apart(tmp_path / "whole")
    every, outcomes = list(cases(header)), Counter[str]()
    for number in np.random.default_rng(0).permutation(len(every))[: len(every) // 7 if LONG else 30]:
        place, how, wrong = every[number]
        folder, where = tmp_path / f"{number}", f"{place} {how}"
        folder.mkdir()
        try:
            write(folder / "changed", with_other(header, place, wrong), rest)
        except (ValueError, RecursionError):  # JSON cannot hold it
            continue
        start, refused, told = time.process_time(), None, None
        try:
            loaded = load(folder / "changed")
        except InputError as error:
            refused = str(error)
        try:
            told = facts_of(folder / "changed")
            assert as_json(told)
            assert as_text(told)
        except InputError:
            pass
        if refused is None:
            try:
                used(loaded, folder)
            except (StructureError, FloatingPointError) as error:
                # A smaller model is one too, and targets may be as large as numbers are: both are said when asked.
                few, large = "max_sites" in place, "not finite" in str(error)
                assert few or (large and ({"targets", "classes", "clamp"} & {*place})), where
        else:
            assert len(refused) < 2000, where
        assert (told is None) == (refused is not None) or unread, where
        assert time.process_time() - start < SECONDS, where
        outcomes["works" if refused is None else "refused"] += 1
    print(f"{kind}: {dict(outcomes)}")
    assert outcomes["refused"]
